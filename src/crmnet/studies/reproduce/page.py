"""The report of a study: one HTML page with every number beside that of the paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from crmnet.reports.page import (
    NOT_RUN,
    bullets,
    command,
    missing,
    paragraph,
    picture,
    subheading,
    table,
    write_page,
)
from crmnet.studies.reproduce.paper import CITATION, ITEMS
from crmnet.studies.reproduce.place import Place
from crmnet.studies.reproduce.results import Number, StepResult
from crmnet.studies.reproduce.stamps import Stamp
from crmnet.studies.reproduce.step import Step
from crmnet.studies.reproduce.steps import STEPS

TITLE = "CRMnet, reproduced"
HEADLINES = {
    "figure2": ("Pearson r, random-complex", "Pearson r, native-complex"),
    "supplementary-figure1": ("Pearson r, random-defined", "Pearson r, native-defined"),
    "published-weights": (),
}
"""Step → numbers that stand in the summary."""


def write_report(place: Place, stamps: Mapping[str, Stamp], made_by: str | None = None) -> None:
    """Write ``report.html`` from the stamps of the steps that are done."""
    sections: dict[str, list[str]] = {
        "": _introduction(place),
        "Summary": _summary(place, stamps),
        "What was run": [_overview(stamps)],
    }
    for step in STEPS:
        sections[step.title] = _section(place, step, stamps.get(step.name))
    sections["Machine, versions, seeds and data"] = _conditions(place, stamps)
    title = f"{TITLE}: profile {place.profile.name}"
    write_page(place.folder / "report.html", title, sections, made_by=made_by)


def _introduction(place: Place) -> list[str]:
    return [
        paragraph(
            f"Every result of {CITATION}, made again by crmnet, beside the paper's own numbers. "
            "Commands are those that one would type in the folder of the study; the study calls "
            "the same functions."
        ),
        paragraph(place.profile.about),
        paragraph(
            "Intervals in brackets are 95 % intervals, bootstrapped by families of related "
            "promoters. N is the number of rows."
        ),
    ]


def _summary(place: Place, stamps: Mapping[str, Stamp]) -> list[str]:
    """Accuracy on the four test sets, and of the authors' weights."""
    numbers: list[tuple[str, Number]] = []
    for step, names in HEADLINES.items():
        stamp = stamps.get(step)
        for number in stamp.result.numbers if stamp else ():
            if number.name in names or not names:
                origin = "published weights" if step == "published-weights" else "this study"
                numbers.append((origin, number))
    if not numbers:
        return [paragraph(f"Accuracy on the test sets: {NOT_RUN} yet.")]
    shown_numbers = _columns([n for _, n in numbers], place.profile.simulated > 0)
    columns = {"network": [origin for origin, _ in numbers], **shown_numbers}
    return [table(columns, caption="Accuracy on the test sets")]


def _overview(stamps: Mapping[str, Stamp]) -> str:
    """Each item of the paper, the step that reproduces it, and whether it was run."""
    step_of = {item: step for step in STEPS for item in step.items}
    columns: dict[str, list[str]] = {
        "of the paper": list(ITEMS), "step": [], "state": [], "minutes": []
    }  # fmt: skip
    for item in ITEMS:
        step = step_of[item]
        stamp = stamps.get(step.name)
        columns["step"].append(step.name)
        columns["state"].append(_state(stamp))
        is_done = stamp is not None and not stamp.result.not_run
        columns["minutes"].append(f"{stamp.seconds / 60:.1f}" if stamp and is_done else "")
    return table(columns)


def _state(stamp: Stamp | None) -> str:
    if stamp is None or stamp.result.not_run:
        return NOT_RUN
    return "in part" if stamp.result.missing else "done"


def _section(place: Place, step: Step, stamp: Stamp | None) -> list[str]:
    parts = [command(step.commands(place))]
    if stamp is None:
        run = f"crmnet reproduce --profile {place.profile.name} --only {step.name}"
        return [
            missing(step.title, "This command runs it, with what it needs:"), command(run),
            paragraph("The same as single commands:"), *parts,
        ]  # fmt: skip
    result = stamp.result
    if result.not_run:
        return [missing(step.title, result.not_run), *parts]
    return [*parts, *_result(place, result)]


def _result(place: Place, result: StepResult) -> Iterable[str]:
    yield from (paragraph(text) for text in result.sentences)
    yield from (missing(what, reason) for what, reason in result.missing.items())
    for shown in result.pictures:
        path = place.folder / shown.path
        if path.is_file():
            yield picture(path, shown.caption, values=shown.values)
    yield from (table(t.columns, caption=t.caption) for t in result.tables)
    if result.numbers:
        numbers = _columns(result.numbers, place.profile.simulated > 0)
        yield table(numbers, caption="Numbers, beside those of the paper")


def _columns(numbers: Iterable[Number], simulated: bool) -> dict[str, list[str]]:
    numbers = list(numbers)
    return {
        "number": [n.name for n in numbers],
        "here": [shown(n) for n in numbers],
        "N": [f"{n.n:,}" if n.n is not None else "" for n in numbers],
        "paper": [_paper(n) for n in numbers],
        "difference": [n.sentence(simulated) for n in numbers],
    }


def shown(number: Number) -> str:
    """The value with its interval."""
    if number.value is None:
        return "not defined"
    text = f"{number.value:,.{number.digits}f}"
    if number.low is None or number.high is None:
        return text
    return f"{text} [{number.low:,.{number.digits}f}, {number.high:,.{number.digits}f}]"


def _paper(number: Number) -> str:
    if number.paper is None:
        return "–"
    text = f"{number.paper:,.{number.digits}f}"
    return text if number.paper_n is None else f"{text} (N {number.paper_n:,})"


def _conditions(place: Place, stamps: Mapping[str, Stamp]) -> list[str]:
    """Machines and versions of the steps, seeds of the profile, fingerprints of the data."""
    about = list({_machine(stamp.about): None for stamp in stamps.values()})
    fingerprints = {
        name.removeprefix("data "): value
        for stamp in stamps.values() for name, value in stamp.inputs.items()
        if name.startswith("data ")
    }  # fmt: skip
    p = place.profile
    seeds = [
        "simulated data: 1 (training), 2 and 3 (tests)" if p.simulated else "",
        "pre-training and fine-tuning: 0, unless a setting of the profile says otherwise",
        f"ablation: {', '.join(map(str, p.seeds))}",
        "bootstrap: 0",
    ]
    parts = [subheading("Machine and versions"), bullets(about or [NOT_RUN]),
             subheading("Seeds"), bullets(filter(None, seeds))]  # fmt: skip
    if fingerprints:
        columns: dict[str, Any] = {
            "data set": list(fingerprints), "SHA-256 of its rows": list(fingerprints.values())
        }  # fmt: skip
        parts.append(table(columns, bases=("SHA-256 of its rows",), caption="Data"))
    return parts


def _machine(about: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return f"{about['hardware']}; {versions}"
