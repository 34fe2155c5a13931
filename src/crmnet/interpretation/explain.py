"""Explanations of promoters as files: attributions, tables, logos with sites of known factors.

``crmnet explain`` runs :func:`explain`, which joins :mod:`crmnet.interpretation.attribute`,
:mod:`crmnet.motifs` and :mod:`crmnet.figures`.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.arrays import Floats
from crmnet.data.sequences import Promoters
from crmnet.figures.style import STYLE
from crmnet.files import PathLike, write_atomically, write_text_atomically
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
    DEFAULT_LOGOS,
    LogoOptions,
    LogoPanel,
    logo_page,
    named_sites,
    share_exceeded,
    site_sums,
    supported_sites,
)
from crmnet.motifs.formats import read_motifs
from crmnet.motifs.jaspar import yeast_motifs
from crmnet.motifs.match import is_certain
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import ScanOptions, find_sites
from crmnet.prediction.predictor import Predictor
from crmnet.reports.figures import save_figure
from crmnet.reports.sites import write_sites
from crmnet.reports.tables import TableWriter

SITES = ScanOptions(p_value=2e-4)
"""What counts as a site of a known factor in ``sites.tsv``."""


def explain(
    predictor: Predictor,
    promoters: Promoters,
    folder: PathLike,
    *,
    media: tuple[str | None, str | None] = (None, None),
    options: AttributeOptions = DEFAULTS,
    motifs: Sequence[Motif] | None = None,
    drawing: LogoOptions = DEFAULT_LOGOS,
) -> Attribution:
    """Attribute the predictions of promoters, find known sites, and write tables and logos.

    Writes to ``folder``:

    - ``attributions.npz``: values and hypothetical values ``(B, 4, L)``, tokens, ids, delta;
    - ``attributions.tsv``: one row for each base;
    - ``attributions.bedgraph``: one track, in which position 0 is the first base of the insert;
    - ``sites.tsv``: each site with the sum of its attributions and
      :func:`crmnet.interpretation.logos.share_exceeded`;
    - ``logos-1.png``, ``logos-2.png``, …: below each logo the sites that
      :func:`crmnet.interpretation.logos.supported_sites` selects.

    Args:
        predictor: The model.
        promoters: Promoters to explain.
        folder: Output folder, made if it does not exist.
        media: Medium to explain, and a medium to subtract.
        options: Method and settings.
        motifs: Motifs to search for; None means the yeast factors of JASPAR.
        drawing: Format and size of the logos.
    """
    folder = Path(folder)
    found = attribute(predictor, promoters.tokens, medium=media[0], minus=media[1], options=options)
    motifs = yeast_motifs() if motifs is None else motifs
    hits = find_sites(promoters.tokens[:, INSERT], motifs, SITES)
    write_attributions(folder, promoters, found)
    values = base_attributions(found)
    beyond = share_exceeded(values, hits)
    more = {"attribution": site_sums(values, hits), "beyond": beyond}
    write_sites(folder / "sites.tsv", promoters.ids, motifs, hits, more)
    hits = supported_sites(hits, beyond)
    titles = _titles(predictor, promoters.first(drawing.max_logos), media)
    panels = [
        LogoPanel(title, found.values[row][:, INSERT], named_sites(motifs, hits, row))
        for row, title in enumerate(titles)
    ]
    with matplotlib.rc_context(STYLE):
        for page, first in enumerate(range(0, len(panels), drawing.per_page), 1):
            figure = logo_page(panels[first : first + drawing.per_page], unit_of(predictor, *media))
            save_figure(figure, folder / f"logos-{page}.{drawing.format}")
    return found


def _titles(
    predictor: Predictor, promoters: Promoters, media: tuple[str | None, str | None]
) -> list[str]:
    """Title of each logo: id, predicted expression and, if known, measured expression."""
    predicted = predict_difference(predictor, promoters.tokens, media)
    unit = f" {unit_of(predictor, *media) or ''}".rstrip()
    label = media_label(predictor, media)
    titles = [
        f"{name}    predicted expression {value:.2f}{unit} in {label}"
        for name, value in zip(promoters.ids, predicted, strict=True)
    ]
    if promoters.expression is None or media[1]:  # a file holds one medium, never a difference
        return titles
    return [f"{t}, measured {m:.2f}" for t, m in zip(titles, promoters.expression, strict=True)]


def media_label(predictor: Predictor, media: tuple[str | None, str | None]) -> str:
    """The medium, or the difference of two media, as text for a title."""
    medium = media[0] or predictor.media[0]
    return f"{medium} minus {media[1]}" if media[1] else medium


def predict_difference(
    predictor: Predictor, tokens: npt.ArrayLike, media: tuple[str | None, str | None]
) -> Floats:
    """Prediction for the first medium, less that for the second if there is one, ``(B,)``."""
    tokens = sequence.as_tokens(tokens)
    return predictor.predict_tokens(tokens) @ np.array(output_weights(predictor, *media), float)


def base_attributions(found: Attribution) -> npt.NDArray[np.float32]:
    """The attribution of each base of the insert, ``(B, 80)``."""
    return found.values.sum(axis=1)[:, INSERT]


def write_attributions(folder: PathLike, promoters: Promoters, found: Attribution) -> None:
    """Write the values as npz, TSV and bedGraph."""
    folder = Path(folder)
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
    values = base_attributions(found)
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


def read_discovery(path: PathLike) -> dict[str, dict[str, str]]:
    """Rows, by motif id, of the table that ``crmnet motifs discover`` writes beside its motif file.

    Empty for motif files from other programs, which have no such table.
    """
    path = Path(path)
    table = path.with_suffix(".tsv")
    if not table.is_file():
        return {}
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    known = rows and {"motif", "name", "match_p", "confirmed"} <= set(rows[0])
    return {row["motif"]: row for row in rows} if known else {}


def labelled_motifs(path: PathLike) -> list[Motif]:
    """The motifs of a file; a discovered motif gets its id, and a known name if that is certain."""
    table = read_discovery(path)
    motifs = []
    for motif in read_motifs(path):
        row = table.get(motif.id)
        if row is not None:
            known = f" {row['name']}" if is_certain(row["name"], float(row["match_p"])) else ""
            motif = motif.renamed(motif.id + known, motif.id)
        motifs.append(motif)
    return motifs
