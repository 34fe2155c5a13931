"""Result folder of a design: tables, FASTA, GenBank, the order, a record, and one HTML page.

:func:`write_designs` takes :class:`~crmnet.design.designs.Designs`. Positions in tables
count from 1 on the sequence as given, those of GenBank features on the ordered sequence.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crmnet.choices import Digits, PictureFormat
from crmnet.design.annotate import Annotated, annotate
from crmnet.design.constraints import Flanks
from crmnet.design.designs import Designs
from crmnet.design.pictures import unit_text, write_pictures
from crmnet.figures.logo import Site
from crmnet.files import PathLike, write_text_atomically
from crmnet.reports.page import bullets, paragraph, picture, table, write_page
from crmnet.reports.tables import TableWriter, for_reading
from crmnet.runs.record import versions

TABLES = ("designs.tsv", "paths.tsv", "order.tsv")
FILES = (*TABLES, "designs.fasta", "designs.gb", "design.json", "report.html")
"""Names of the files without pictures."""
RECORD = "design.json"
_WIDTHS = {"judged": 28}
"""Largest widths of pictures on the page."""
PAGE_COLUMNS = ("edits", "nearest_design", "unlike_training")
"""Further columns of the table on the page; the last is left out if no design is flagged."""


def write_designs(
    folder: PathLike,
    designs: Designs,
    *,
    flanks: Flanks,
    settings: Mapping[str, Any],
    digits: Digits = "rounded",
    form: PictureFormat = "png",
    made_by: str | None = None,
) -> None:
    """Write all files of a design.

    Args:
        folder: Made if it does not exist.
        designs: The result; without any design only the record and the tables are written.
        flanks: Adapters and primers around the inserts in the order.
        settings: Settings of the run, for the record.
        digits: Digits of numbers in text tables.
        form: File format of the pictures; the page shows png and svg.
        made_by: The command, for the page.
    """
    folder = Path(folder)
    _write_table(folder / "designs.tsv", designs.columns(), digits)
    _write_table(folder / "paths.tsv", path_columns(designs), digits)
    _write_table(folder / "order.tsv", order_columns(designs, flanks), digits)
    write_text_atomically(folder / "designs.fasta", fasta(designs))
    record = json.dumps(record_of(designs, settings), indent=2)
    write_text_atomically(folder / RECORD, record + "\n")
    if not len(designs):
        return
    annotated = annotate(designs)
    write_text_atomically(folder / "designs.gb", genbank(designs, annotated, flanks))
    pictures = write_pictures(folder, designs, annotated, form)
    shown = pictures if form != "pdf" else []
    sections = _sections(designs, shown, record_of(designs, settings))
    title = f"Designed promoters: {designs.objective.title()}"
    write_page(folder / "report.html", title, sections, made_by=made_by)


def _write_table(path: Path, columns: Mapping[str, Any], digits: Digits) -> None:
    with TableWriter(path, list(columns)) as writer:
        writer.write(for_reading(columns, path, digits))


def path_columns(designs: Designs) -> dict[str, Any]:
    """One row for each edit of each design, in order."""
    columns: dict[str, list[Any]] = {
        name: [] for name in ("id", "number", "edit", "position", "from", "to", "oracle")
    }
    for name, path in zip(designs.ids, designs.paths, strict=True):
        for number, edit in enumerate(path.changes(), 1):
            row = (name, number, edit, edit[:-3], edit[-3], edit[-1], float(path.value[number]))
            for column, value in zip(columns.values(), row, strict=True):
                column.append(value)
    return dict(columns)


def order_columns(designs: Designs, flanks: Flanks) -> dict[str, Any]:
    """Name, complete sequence, length and G + C of each oligo to order."""
    left, right = flanks.primer_5 + flanks.left, flanks.right + flanks.primer_3
    oligos = [left + insert + right for insert in designs.sequences]
    return {
        "name": designs.ids,
        "sequence": oligos,
        "length": [len(oligo) for oligo in oligos],
        "gc_percent": [100 * (o.count("G") + o.count("C")) / max(len(o), 1) for o in oligos],
    }


def fasta(designs: Designs) -> str:
    """The inserts as FASTA."""
    pairs = zip(designs.ids, designs.sequences, strict=True)
    return "".join(f">{name}\n{insert}\n" for name, insert in pairs)


def genbank(designs: Designs, annotated: Annotated, flanks: Flanks) -> str:
    """The ordered sequences as GenBank records, with adapters, insert, primers and sites."""
    from Bio import SeqIO

    records = [
        _genbank_record(designs, row, annotated.sites[row], flanks) for row in range(len(designs))
    ]
    text = io.StringIO()
    SeqIO.write(records, text, "genbank")
    return text.getvalue()


def _genbank_record(designs: Designs, row: int, sites: list[Site], flanks: Flanks) -> Any:
    from Bio.Seq import Seq
    from Bio.SeqRecord import SeqRecord

    insert = designs.sequences[row]
    parts = [
        ("primer_bind", "5' primer", flanks.primer_5),
        ("misc_feature", "5' adapter", flanks.left),
        ("regulatory", "designed promoter", insert),
        ("misc_feature", "3' adapter", flanks.right),
        ("primer_bind", "3' primer", flanks.primer_3),
    ]
    features, place = [], 0
    for kind, label, bases in parts:
        if bases:
            of_promoter = {"regulatory_class": "promoter"} if kind == "regulatory" else {}
            features.append(_feature(kind, place, place + len(bases), 0, label, of_promoter))
        place += len(bases)
    first = len(flanks.primer_5) + len(flanks.left)
    for site in sites:
        strand = {"+": 1, "-": -1}.get(site.strand, 0)
        features.append(
            _feature("protein_bind", first + site.start, first + site.end, strand, site.name,
                     {"bound_moiety": site.name})
        )  # fmt: skip
    objective = designs.objective
    record = SeqRecord(
        Seq("".join(bases for _, _, bases in parts)), id=designs.ids[row], name=designs.ids[row],
        description=f"promoter designed for {objective.title()}", features=features,
    )  # fmt: skip
    record.annotations["molecule_type"] = "DNA"
    record.annotations["comment"] = (
        f"designed by crmnet; {designs.panel.oracle.name} predicts {designs.oracle[row]:.2f}, the "
        f"judge {designs.panel.judge.name} {designs.judge[row]:.2f}"
    )
    return record


def _feature(
    kind: str, start: int, end: int, strand: int, label: str, more: Mapping[str, str]
) -> Any:
    from Bio import SeqFeature as features  # its functions have no types

    place = features.SimpleLocation(start, end, strand or None)  # type: ignore[no-untyped-call]
    return features.SeqFeature(  # type: ignore[no-untyped-call]
        place, type=kind, qualifiers={"label": label, **more}
    )


def confirmed_line(designs: Designs) -> str:
    """How much of the oracle's gain the judge confirms, as a sentence."""
    confirmed, unit = designs.confirmed, f" {unit_text(designs)}".rstrip()
    share = confirmed.share
    percent = "" if np.isnan(share) else f" ({100 * share:.0f} %)"
    return (
        f"over {len(designs)} designs, the oracle's mean gain over the starts is "
        f"{confirmed.oracle:.2f}{unit}; the judge confirms {confirmed.judge:.2f}{unit}{percent}"
    )


def reached_line(designs: Designs) -> str:
    """Which values the designs reach, and which model to believe, as a sentence."""
    judge, oracle = (
        f"{values.min():.1f} to {values.max():.1f}" for values in (designs.judge, designs.oracle)
    )
    panel, unit = designs.panel, f" {unit_text(designs)}".rstrip()
    if panel.judge.predictor.identity == panel.oracle.predictor.identity:
        return f"the designs reach {oracle}{unit} by the model that the search optimised"
    return (
        f"the designs reach {judge}{unit} by the judge and {oracle} by the oracle; believe the "
        "judge, because a search exploits the errors of the model that it optimises"
    )


def summary_lines(designs: Designs) -> list[str]:
    """What the command prints and the page shows: values, models, what they share, gain, notes."""
    panel = designs.panel
    lines = [f"goal: {designs.objective.title()}"]
    if len(designs) and designs.objective.targets:
        error = np.abs(designs.judge - designs.target)
        lines.append(f"|judge − target|: {error.mean():.2f} on average, {error.max():.2f} at most")
    elif len(designs):
        lines.append(reached_line(designs))
    lines += [
        f"{panel.oracle.name} optimises (oracle), {panel.judge.name} judges, "
        f"{panel.ranker.name} ranks",
        panel.shared,
    ]
    return [*lines, *[confirmed_line(designs)] * bool(len(designs)), *designs.notes]


def record_of(designs: Designs, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Contents of ``design.json``: settings, models, versions and results."""
    panel, confirmed = designs.panel, designs.confirmed
    return {
        "settings": dict(settings),
        "models": {
            role: {"name": scorer.name, "identity": scorer.predictor.identity}
            for role, scorer in (
                ("oracle", panel.oracle), ("judge", panel.judge), ("ranker", panel.ranker),
            )
        },
        "shared_labels": panel.shared,
        "constraints": list(designs.rules),
        "designs": len(designs),
        "complete": designs.complete,
        "mean_gain": {
            name: value if np.isfinite(value) else None
            for name, value in (("oracle", confirmed.oracle), ("judge", confirmed.judge))
        },
        "confirmed_share": confirmed.share if np.isfinite(confirmed.share) else None,
        "notes": list(designs.notes),
        "versions": versions(),
    }  # fmt: skip


def _sections(
    designs: Designs, pictures: list[Path], record: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Heading → parts of the page; its numbers are rounded, as on all pages."""
    columns = for_reading(designs.columns(), Path("designs.tsv"), "rounded")
    names = ["rank", "id", *["target"] * bool(designs.objective.targets), "sequence"]
    names += ["oracle", "judge", "gap", *PAGE_COLUMNS]
    shown = {name: list(columns[name]) for name in names if name in columns}
    if len(designs) and not any(shown["unlike_training"]):
        del shown["unlike_training"]
    captions = {
        "judged": "Value of starts and designs by the oracle and by the judge. Below the dashed "
        "line the oracle is more optimistic than the judge.",
        "search": "Left: best score of each search after each step. Right: value by the oracle "
        "along the path of edits, the most useful edit first.",
    }
    behind: dict[str, Mapping[str, Any]] = {
        "judged": {name: shown[name] for name in ("id", "oracle", "judge", "gap")},
        "search": {
            name: list(values)
            for name, values in for_reading(
                path_columns(designs), Path("paths.tsv"), "rounded"
            ).items()
        },
    }
    logos = "Attributions by the oracle, and sites of yeast factors that they support"
    figures = [
        picture(
            file,
            captions.get(file.stem, f"{logos} ({file.name})"),
            _WIDTHS.get(file.stem, 60),
            values=behind.get(file.stem),
        )
        for file in pictures
    ]
    about = (
        "Value by the oracle and by the judge, and their difference (gap); smallest number of "
        "bases in which another design differs (nearest_design)."
    )
    predicted = f"Predictions by {designs.panel.ranker.name}, which orders the designs"
    return {
        "": [bullets(summary_lines(designs))],
        "Designs": [
            paragraph(about),
            table(shown, bases=("sequence",)),
            table(_predictions(designs.media, columns), caption=predicted),
        ],
        "Pictures": figures,
        "Constraints, all met": [bullets(designs.rules or ("none",))],
        "Settings": [bullets(_setting_lines(record["settings"]))],
    }


def _predictions(media: Sequence[str], columns: Mapping[str, Any]) -> dict[str, list[str]]:
    """The columns of the ranker for reading: each expression with its interval."""
    shown = {"id": list(columns["id"])}
    for medium in media:
        values = [columns[f"{kind}_{medium}"] for kind in ("expression", "low", "high")
                  if f"{kind}_{medium}" in columns]  # fmt: skip
        shown[f"expression, {medium}"] = [
            f"{value} [{', '.join(interval)}]" if interval and all(interval) else value
            for value, *interval in zip(*values, strict=True)
        ]
        if f"percentile_{medium}" in columns:
            shown[f"percentile, {medium}"] = list(columns[f"percentile_{medium}"])
    return shown


def _setting_lines(settings: Mapping[str, Any]) -> list[str]:
    """The settings that say something, a line each."""
    return [
        f"{key}: {', '.join(map(str, value)) if isinstance(value, list | tuple) else value}"
        for key, value in settings.items()
        if value not in (None, "", [], ())
    ]
