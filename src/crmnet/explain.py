"""Explanations of promoters as files: attributions, logos over the sites of known factors, tables.

Joins :mod:`crmnet.attribute`, :mod:`crmnet.motifs` and :mod:`crmnet.figures`; what ``crmnet
explain`` runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from crmnet import sequence
from crmnet.attribute import DEFAULTS, INSERT, Attributed, AttributeOptions, attribute
from crmnet.checkpoint import write_atomically, write_text_atomically
from crmnet.data.lines import HARMLESS
from crmnet.data.reading import read_blocks
from crmnet.data.tables import TableWriter
from crmnet.figures.logo import Site, logo, sites_under
from crmnet.figures.panels import STYLE
from crmnet.motifs.jaspar import yeast_motifs
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import Hits, ScanOptions, find_sites
from crmnet.predict import Predictor
from crmnet.report import save_figure

PAGE = 12
"""Promoters on a page of logos."""


class Promoters(NamedTuple):
    """Sequences of a file, ready to be explained."""

    ids: list[str]
    tokens: sequence.Tokens
    """``(B, L)`` constructs."""
    expression: npt.NDArray[np.float64] | None
    """``(B,)`` as measured, where the file says."""


def read_promoters(
    path: Path, *, flanks: sequence.Flanks = "auto", length: int = sequence.LENGTH
) -> Promoters:
    """All sequences of a file: FASTA, TSV, CSV or lines, with expression if there is a column.

    Raises:
        ValueError: At the first sequence or number that cannot be read, naming file and line.
    """
    ids: list[str] = []
    expression: list[float] = []
    parts = []
    for block in read_blocks(path, ("id", "sequence", "expression")):
        for line, reason, _ in block.misshapen:
            if reason not in HARMLESS:
                raise ValueError(f"{path}, line {line}: {reason}")
        if not len(block):
            continue
        numbers = [str(len(ids) + n) for n in range(1, len(block) + 1)]
        names = [i.decode() for i in block.columns["id"]] if "id" in block.columns else numbers
        where = [f"{name} ({path}, line {n})" for name, n in zip(names, block.lines, strict=True)]
        tokens, lengths = sequence.encode(block.columns["sequence"], where)
        parts.append(sequence.prepare(tokens, lengths, flanks, length)[0])
        ids += names
        for line, text in zip(block.lines, block.columns.get("expression", []), strict=False):
            try:
                expression.append(float(text))
            except ValueError as error:
                raise ValueError(f"{path}, line {line}: {text.decode()!r} is no number") from error
    if not ids:
        raise ValueError(f"{path} holds no sequences")
    measured = np.array(expression) if len(expression) == len(ids) else None
    return Promoters(ids, np.concatenate(parts), measured)


def explain(
    predictor: Predictor,
    promoters: Promoters,
    folder: Path,
    *,
    media: tuple[str | None, str | None] = (None, None),
    options: AttributeOptions = DEFAULTS,
    motifs: Sequence[Motif] | None = None,
) -> Attributed:
    """Attribute, find sites, draw and write.

    Leaves ``attributions.npz`` (values and hypothetical ``(B, 4, L)``, tokens, ids, delta),
    ``attributions.tsv`` (one row a base), ``attributions.bedgraph`` (one track; the insert's first
    base is 0), ``sites.tsv`` and ``logos-1.png``, ``logos-2.png``, … in ``folder``.

    Args:
        predictor: The model.
        promoters: What to explain.
        folder: Made if it is not there.
        media: Medium to explain, and one to subtract.
        options: Method and settings.
        motifs: Looked for in the sequences; JASPAR's yeast factors by default.
    """
    found = attribute(predictor, promoters.tokens, medium=media[0], minus=media[1], options=options)
    motifs = yeast_motifs() if motifs is None else motifs
    hits = find_sites(promoters.tokens[:, INSERT], motifs, ScanOptions(p_value=2e-4))
    folder.mkdir(parents=True, exist_ok=True)
    write_attributions(folder, promoters, found)
    write_sites(folder / "sites.tsv", promoters.ids, motifs, hits, along(found, promoters.tokens))
    with matplotlib.rc_context(STYLE):
        for page, first in enumerate(range(0, len(promoters.ids), PAGE), 1):
            rows = range(first, min(first + PAGE, len(promoters.ids)))
            figure = logo_page(promoters, found, motifs, hits, rows)
            save_figure(figure, folder / f"logos-{page}.png")
    return found


def along(found: Attributed, tokens: sequence.Tokens) -> npt.NDArray[np.float32]:
    """The attribution of each base of the insert, ``(B, 80)``."""
    return found.values.sum(axis=1)[:, INSERT]


def write_attributions(folder: Path, promoters: Promoters, found: Attributed) -> None:
    """Leave the values as npz, TSV and bedGraph."""
    arrays: dict[str, Any] = {
        "values": found.values,
        "tokens": promoters.tokens,
        "ids": np.array(promoters.ids),
    }
    for name in ("delta", "hypothetical"):
        if (array := getattr(found, name)) is not None:
            arrays[name] = array

    def save(path: Path) -> None:
        with path.open("wb") as file:
            np.savez_compressed(file, **arrays)

    write_atomically(folder / "attributions.npz", save)
    values = along(found, promoters.tokens)
    letters = sequence.decode(promoters.tokens[:, INSERT], np.full(len(values), values.shape[1]))
    lines = ['track type=bedGraph name="crmnet attribution"']
    with TableWriter(folder / "attributions.tsv", ["id", "position", "base", "value"]) as table:
        for name, text, row in zip(promoters.ids, letters, values, strict=True):
            places = np.arange(len(row))
            table.write(
                {"id": [name] * len(row), "position": places, "base": list(text), "value": row}
            )
            lines += [f"{name}\t{i}\t{i + 1}\t{value:.6g}" for i, value in enumerate(row)]
    write_text_atomically(folder / "attributions.bedgraph", "\n".join(lines) + "\n")


def write_sites(
    path: Path,
    ids: Sequence[str],
    motifs: Sequence[Motif],
    hits: Hits,
    values: npt.NDArray[np.float32] | None = None,
) -> None:
    """One row for each hit, with the sum of attributions over it where they are given."""
    names = ["id", "motif", "name", "start", "end", "strand", "score", "p", "q"]
    columns = {
        "id": [ids[row] for row in hits.row],
        "motif": [motifs[i].id for i in hits.motif],
        "name": [motifs[i].name for i in hits.motif],
        **{name: column for name, column in hits._asdict().items() if name not in ("row", "motif")},
    }
    if values is not None:
        names.append("attribution")
        total = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
        columns["attribution"] = (total[hits.row, hits.end] - total[hits.row, hits.start]).astype(
            np.float32
        )
    with TableWriter(path, names) as table:
        table.write(columns)


def named_sites(motifs: Sequence[Motif], hits: Hits, row: int, most: int = 8) -> list[Site]:
    """The surest hits of one sequence that do not lie on surer ones."""
    mine = np.nonzero(hits.row == row)[0]
    chosen: list[Site] = []
    for i in mine[np.argsort(hits.p[mine], kind="stable")]:
        start, end = int(hits.start[i]), int(hits.end[i])
        middle = (start + end) / 2
        if all(not site.start <= middle <= site.end for site in chosen) and len(chosen) < most:
            chosen.append(Site(motifs[hits.motif[i]].name, start, end, str(hits.strand[i])))
    return chosen


def logo_page(
    promoters: Promoters,
    found: Attributed,
    motifs: Sequence[Motif],
    hits: Hits,
    rows: Sequence[int],
) -> Figure:
    """Logos of some promoters' inserts, one under another, each over its named sites."""
    figure = Figure(figsize=(10, 1.5 * len(rows) + 0.4), layout="constrained")
    axes = figure.subplots(2 * len(rows), 1, squeeze=False, height_ratios=[3, 1.2] * len(rows))[
        :, 0
    ]
    for number, row in enumerate(rows):
        top, under = axes[2 * number], axes[2 * number + 1]
        logo(top, found.values[row][:, INSERT])
        title = promoters.ids[row]
        if promoters.expression is not None:
            title += f"   measured {promoters.expression[row]:.2f}"
        top.set_title(title, fontsize=8)
        top.set_xticks([])
        top.tick_params(labelsize=7)
        sites_under(under, named_sites(motifs, hits, row))
        under.set_xlim(top.get_xlim())
    figure.supylabel("attribution (expression)", fontsize=8)
    return figure
