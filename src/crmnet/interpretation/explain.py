"""Explanations of promoters as files: attributions, logos over the sites of known factors, tables.

Joins :mod:`crmnet.interpretation.attribute`, :mod:`crmnet.motifs` and :mod:`crmnet.figures`; what
``crmnet explain`` runs.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.data.lines import HARMLESS_REASONS
from crmnet.data.reading import read_blocks
from crmnet.figures.style import STYLE
from crmnet.files import write_atomically, write_text_atomically
from crmnet.interpretation.attribute import (
    DEFAULTS,
    INSERT,
    AttributeOptions,
    Attribution,
    attribute,
    output_weights,
    unit_of,
)
from crmnet.interpretation.logos import (
    DRAWING,
    Drawing,
    Shown,
    logo_page,
    named_sites,
    share_beyond,
    sums_over,
    that_matter,
)
from crmnet.motifs.formats import read_motifs
from crmnet.motifs.jaspar import yeast_motifs
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import Hits, ScanOptions, find_sites
from crmnet.prediction.predictor import Predictor
from crmnet.reports.figures import save_figure
from crmnet.reports.tables import TableWriter

SITES = ScanOptions(p_value=2e-4)
"""What counts as a site of a known factor in ``sites.tsv``."""
NAMED = 1e-3
"""Match p-value below which a discovered motif bears a known one's name; else it is a guess."""


class Promoters(NamedTuple):
    """Sequences of a file, ready to be explained."""

    ids: list[str]
    tokens: sequence.Tokens
    """``(B, L)`` constructs."""
    expression: npt.NDArray[np.float64] | None
    """``(B,)`` as measured, where the file says."""
    preparation: sequence.Preparation = sequence.Preparation()
    """What was done to the sequences of the file, adapters and length."""

    def first(self, many: int) -> Promoters:
        """The first ``many``."""
        measured = None if self.expression is None else self.expression[:many]
        return Promoters(self.ids[:many], self.tokens[:many], measured, self.preparation)


def read_promoters(
    path: Path, *, flanks: sequence.Flanks = "auto", length: int = sequence.LENGTH
) -> Promoters:
    """All sequences of a file: FASTA, TSV, CSV or lines, with expression if there is a column.

    Raises:
        ValueError: At the first sequence or number that cannot be read, naming file and line.
    """
    ids: list[str] = []
    expression: list[float] = []
    parts, preparation = [], sequence.Preparation()
    for block in read_blocks(path, ("id", "sequence", "expression")):
        for line, reason, _ in block.skipped:
            if reason not in HARMLESS_REASONS:
                raise ValueError(f"{path}, line {line}: {reason}")
        if not len(block):
            continue
        numbers = [str(len(ids) + n) for n in range(1, len(block) + 1)]
        names = [i.decode() for i in block.columns["id"]] if "id" in block.columns else numbers
        where = [f"{name} ({path}, line {n})" for name, n in zip(names, block.lines, strict=True)]
        tokens, lengths = sequence.encode(block.columns["sequence"], where)
        prepared, done = sequence.prepare(tokens, lengths, flanks, length)
        parts.append(prepared)
        preparation += done
        ids += names
        for line, text in zip(block.lines, block.columns.get("expression", []), strict=False):
            try:
                expression.append(float(text))
            except ValueError as error:
                raise ValueError(f"{path}, line {line}: {text.decode()!r} is no number") from error
    if not ids:
        raise ValueError(f"{path} holds no sequences")
    measured = np.array(expression) if len(expression) == len(ids) else None
    return Promoters(ids, np.concatenate(parts), measured, preparation)


def explain(
    predictor: Predictor,
    promoters: Promoters,
    folder: Path,
    *,
    media: tuple[str | None, str | None] = (None, None),
    options: AttributeOptions = DEFAULTS,
    motifs: Sequence[Motif] | None = None,
    drawing: Drawing = DRAWING,
) -> Attribution:
    """Attribute, find sites, draw and write.

    Leaves ``attributions.npz`` (values and hypothetical ``(B, 4, L)``, tokens, ids, delta),
    ``attributions.tsv`` (one row a base), ``attributions.bedgraph`` (one track; the insert's first
    base is 0), ``sites.tsv`` (with the sum of attributions over each, and
    :func:`crmnet.interpretation.logos.share_beyond`) and ``logos-1.png``, ``logos-2.png``, … in
    ``folder``. Under a logo stand the sites that matter
    (:func:`crmnet.interpretation.logos.that_matter`).

    Args:
        predictor: The model.
        promoters: What to explain.
        folder: Made if it is not there.
        media: Medium to explain, and one to subtract.
        options: Method and settings.
        motifs: Looked for in the sequences; JASPAR's yeast factors by default.
        drawing: Format and size of the logos.
    """
    found = attribute(predictor, promoters.tokens, medium=media[0], minus=media[1], options=options)
    motifs = yeast_motifs() if motifs is None else motifs
    hits = find_sites(promoters.tokens[:, INSERT], motifs, SITES)
    write_attributions(folder, promoters, found)
    values = along(found)
    beyond = share_beyond(values, hits)
    more = {"attribution": sums_over(values, hits), "beyond": beyond}
    write_sites(folder / "sites.tsv", promoters.ids, motifs, hits, more)
    hits = that_matter(hits, beyond)
    titles = _titles(predictor, promoters.first(drawing.most), media)
    shown = [
        Shown(title, found.values[row][:, INSERT], named_sites(motifs, hits, row))
        for row, title in enumerate(titles)
    ]
    with matplotlib.rc_context(STYLE):
        for page, first in enumerate(range(0, len(shown), drawing.page), 1):
            figure = logo_page(shown[first : first + drawing.page], unit_of(predictor, *media))
            save_figure(figure, folder / f"logos-{page}.{drawing.format}")
    return found


def _titles(
    predictor: Predictor, promoters: Promoters, media: tuple[str | None, str | None]
) -> list[str]:
    """What each promoter is, what is predicted for it, and what was measured if the file says."""
    predicted = predict_asked(predictor, promoters.tokens, media)
    unit = f" {unit_of(predictor, *media) or ''}".rstrip()
    titles = [
        f"{name}    predicted expression {value:.2f}{unit} in {asked(predictor, media)}"
        for name, value in zip(promoters.ids, predicted, strict=True)
    ]
    if promoters.expression is None or media[1]:  # no file holds the difference of two media
        return titles
    return [f"{t}, measured {m:.2f}" for t, m in zip(titles, promoters.expression, strict=True)]


def asked(predictor: Predictor, media: tuple[str | None, str | None]) -> str:
    """The medium, or the two, in words."""
    medium = media[0] or predictor.media[0]
    return f"{medium} less {media[1]}" if media[1] else medium


def predict_asked(
    predictor: Predictor, tokens: sequence.Tokens, media: tuple[str | None, str | None]
) -> npt.NDArray[np.float64]:
    """Prediction for the medium, or for the one less the other, ``(B,)``."""
    return predictor.predict_tokens(tokens) @ np.array(output_weights(predictor, *media), float)


def along(found: Attribution) -> npt.NDArray[np.float32]:
    """The attribution of each base of the insert, ``(B, 80)``."""
    return found.values.sum(axis=1)[:, INSERT]


def write_attributions(folder: Path, promoters: Promoters, found: Attribution) -> None:
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
    values = along(found)
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
    more: Mapping[str, npt.NDArray[np.float64]] | None = None,
) -> None:
    """One row for each hit, with further columns ``(H,)`` behind."""
    columns: dict[str, Any] = {
        "id": [ids[row] for row in hits.row],
        "motif": [motifs[i].id for i in hits.motif],
        "name": [motifs[i].name for i in hits.motif],
        **{name: column for name, column in hits._asdict().items() if name not in ("row", "motif")},
    }
    for name, column in (more or {}).items():
        columns[name] = column.astype(np.float32)
    with TableWriter(path, list(columns)) as table:
        table.write(columns)


def read_discovery(path: Path) -> dict[str, dict[str, str]]:
    """Rows, by id, of the table that ``crmnet motifs discover`` leaves beside its motif file.

    None for the motif files of others.
    """
    table = path.with_suffix(".tsv")
    if not table.is_file():
        return {}
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    known = rows and {"motif", "name", "match_p", "confirmed"} <= set(rows[0])
    return {row["motif"]: row for row in rows} if known else {}


def labelled_motifs(path: Path) -> list[Motif]:
    """The motifs of a file; discovered ones are called by id and, where it is sure, known name."""
    table = read_discovery(path)
    motifs = []
    for motif in read_motifs(path):
        row = table.get(motif.id)
        if row is not None:
            known = f" {row['name']}" if float(row["match_p"]) < NAMED else ""
            motif = motif.renamed(motif.id + known, motif.id)
        motifs.append(motif)
    return motifs
