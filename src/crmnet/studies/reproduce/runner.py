"""Runs the steps of a study that are not done, and writes the report anew after each.

A study that was killed at any moment continues: a step whose stamp is there is not repeated, and a
training or an ablation continues after its last epoch. :func:`plan` lists what would run.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from crmnet.benchmark.machine import describe_machine
from crmnet.data.dataset import Dataset, is_dataset
from crmnet.device import choose_device
from crmnet.files import PathLike, check_source_stays, locked, make_folder, write_text_atomically
from crmnet.studies.reproduce.page import write_report
from crmnet.studies.reproduce.place import Place
from crmnet.studies.reproduce.profiles import Cost, Profile
from crmnet.studies.reproduce.results import NotRun, StepResult
from crmnet.studies.reproduce.stamps import Stamp, digest
from crmnet.studies.reproduce.step import Step
from crmnet.studies.reproduce.steps import STEPS, chosen_steps

log = logging.getLogger("crmnet")

RECORD = "reproduce.json"
REPORT = "report.html"
DATA = "data"
"""The step that makes the data sets."""


class Study(NamedTuple):
    """The stamps of a study, and which steps this call has run."""

    report: Path
    stamps: dict[str, Stamp]
    ran: list[str]


def reproduce(
    folder: PathLike,
    profile: Profile,
    *,
    source: PathLike | None = None,
    only: Sequence[str] = (),
    device: str = "auto",
    made_by: str | None = None,
) -> Study:
    """Run a study, or continue it, and write its report.

    Args:
        folder: Folder of the study; it may not exist, may be empty, or hold a study of this
            profile.
        profile: Data and sizes.
        source: Folder with the files of public data sets; None fetches them.
        only: Names of steps; what they need runs as well. Empty means all.
        device: Where to train and predict.
        made_by: The command, for the report.

    Raises:
        FileExistsError: If ``folder`` holds something else, or a study with other settings.
        ValueError: If a step or device is unknown.
        WriteError: If another process is writing into ``folder``.
    """
    place = Place(Path(folder), profile, None if source is None else Path(source), device)
    steps = chosen_steps(profile, only)
    _check_source(place)
    make_folder(place.folder)
    with locked(place.folder / "study", title=str(folder)):
        _claim(place)
        ran = []
        stamps = _stamps(place)
        for number, step in enumerate(steps, 1):
            inputs = inputs_of(place, step, stamps)
            done = stamps.get(step.name)
            if done is None or dict(done.inputs) != inputs or _is_incomplete(done):
                log.info("%d/%d  %s", number, len(steps), step.title)
                stamps[step.name] = _run(place, step, stamps)
                ran.append(step.name)
                write_report(place, stamps, made_by)
        write_report(place, stamps, made_by)
    return Study(place.folder / REPORT, stamps, ran)


def _is_incomplete(done: Stamp) -> bool:
    """Whether a step was not run, or found not all public files, which may be there now."""
    return done.result.not_run is not None or (done.step == DATA and bool(done.result.missing))


def _check_source(place: Place) -> None:
    if place.source is None:
        return
    if not place.source.is_dir():
        raise FileNotFoundError(f"{place.source}: no such folder; name one with --from")
    check_source_stays(place.source, place.folder)


def _claim(place: Place) -> None:
    """Write the record of a new study; check that of an old one."""
    path = place.folder / RECORD
    settings = json.loads(json.dumps(place.profile.as_json()))
    if not path.exists():
        others = [p.name for p in place.folder.iterdir() if not p.name.startswith(".")]
        if others:
            raise FileExistsError(f"{place.folder} is not empty; choose another folder with -o")
        write_text_atomically(path, json.dumps({"settings": settings}, indent=1) + "\n")
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))["settings"]
        name = before["name"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); choose another folder with -o") from None
    if before != settings:
        what = f"profile {name}" if name != place.profile.name else "other settings"
        raise FileExistsError(
            f"{place.folder} holds a study of {what}; choose another folder with -o"
        )


def _stamp_path(place: Place, step: str) -> Path:
    return place.folder / "results" / f"{step}.json"


def _stamps(place: Place) -> dict[str, Stamp]:
    """Stamps of all steps that are done."""
    found = {step.name: Stamp.load(_stamp_path(place, step.name)) for step in STEPS}
    return {name: stamp for name, stamp in found.items() if stamp is not None}


def inputs_of(place: Place, step: Step, stamps: dict[str, Stamp]) -> dict[str, str]:
    """Fingerprints of the settings, data sets and needed results of a step."""
    inputs = {"settings": digest(dict(step.settings(place.profile)))}
    for name in step.reads:
        if is_dataset(place.data(name)):
            inputs[f"data {name}"] = Dataset.open(place.data(name)).fingerprint
    for name in step.needs_in(place.profile):
        if name in stamps and name != DATA:
            inputs[f"step {name}"] = stamps[name].identity
    return inputs


def _run(place: Place, step: Step, stamps: dict[str, Stamp]) -> Stamp:
    """Run a step and write its stamp."""
    started = time.monotonic()
    try:
        result = step.run(place)
    except NotRun as reason:
        result = StepResult(not_run=str(reason))
        log.info("%s: not run. %s", step.name, reason)
    seconds = time.monotonic() - started
    stamp = Stamp(step.name, inputs_of(place, step, stamps), result, seconds, _about(place))
    stamp.save(_stamp_path(place, step.name))
    return stamp


def _about(place: Place) -> dict[str, Any]:
    return describe_machine(choose_device(place.device))


class Planned(NamedTuple):
    """A step that a call would run, its expected cost, and its commands."""

    step: Step
    cost: Cost
    commands: list[str]


def plan(place: Place, only: Sequence[str] = ()) -> Iterator[Planned]:
    """Each step with its expected time and disk space; nothing is run."""
    for step in chosen_steps(place.profile, only):
        yield Planned(step, place.profile.costs[step.name], step.commands(place))
