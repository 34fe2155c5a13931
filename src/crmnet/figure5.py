"""The paper's Figure 5: what the network sees at the sites of the motifs that drive expression.

A–E: an example promoter for each of five motifs, its saliency over the known motif; F: saliency at
each motif's sites against all positions; G: expression of the promoters that have it against all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crmnet.attribute import INSERT, AttributeOptions, attribute, output_weights
from crmnet.data.tables import TableWriter
from crmnet.explain import Promoters
from crmnet.figures.logo import logo, motif_logo
from crmnet.figures.panels import BLUE, GREY, STYLE
from crmnet.motifs.jaspar import yeast_motifs_named
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import Hits, ScanOptions, find_sites
from crmnet.predict import Predictor
from crmnet.report import save_figure

FACTORS = ("NHP10", "REB1", "ABF1", "AZF1", "RAP1")
"""The paper's five."""
RESAMPLES = 1000

Floats = npt.NDArray[np.float64]


class Row(NamedTuple):
    """One bar of panels F and G."""

    name: str
    promoters: int
    saliency: tuple[float, float, float]
    """Mean, and the ends of a 95 % interval bootstrapped over promoters."""
    expression: tuple[float, float, float]


def figure5(
    predictor: Predictor,
    promoters: Promoters,
    folder: Path,
    *,
    media: tuple[str | None, str | None] = (None, None),
    motifs: Sequence[Motif] | None = None,
    seed: int = 0,
) -> list[Row]:
    """Draw Figure 5 for a file of promoters; leaves ``figure5.png`` and ``figure5.tsv``.

    Expression is the measured one where the file has it, else the predicted one.

    Returns:
        The numbers of panels F and G; the first row is of all promoters and positions.

    Raises:
        ValueError: If no motif has a site in any promoter.
    """
    motifs = list(motifs or yeast_motifs_named(FACTORS))[:5]
    options = AttributeOptions("masked")
    found = attribute(predictor, promoters.tokens, medium=media[0], minus=media[1], options=options)
    values = found.values[:, :, INSERT]
    along = values.sum(axis=1).astype(float)
    hits = find_sites(promoters.tokens[:, INSERT], motifs, ScanOptions())
    if not len(hits.row):
        raise ValueError("none of the motifs has a site in these promoters; give more of them")
    expression = promoters.expression
    if expression is None:
        weights = output_weights(predictor, media[0], media[1])
        expression = predictor.predict_tokens(promoters.tokens) @ np.array(weights, dtype=float)
    rows = site_statistics(along, expression, motifs, hits, seed)
    with TableWriter(folder / "figure5.tsv", _columns()) as table:
        table.write(_as_table(rows))
    with matplotlib.rc_context(STYLE):
        save_figure(_page(promoters.ids, values, along, motifs, hits, rows), folder / "figure5.png")
    return rows


def site_statistics(
    along: Floats, expression: Floats, motifs: Sequence[Motif], hits: Hits, seed: int = 0
) -> list[Row]:
    """Saliency at each motif's sites and expression of the promoters that have it.

    Args:
        along: ``(B, L)`` saliency of each base.
        expression: ``(B,)``.
        motifs: Whose hits these are.
        hits: Sites on the same coordinates.
        seed: Of the bootstrap.
    """
    everyone = np.arange(len(along))
    resample = _bootstrap(seed)
    rows = [Row("all", len(along), resample(along.sum(1), np.full(len(along), along.shape[1])),
                resample(expression, np.ones(len(along))))]  # fmt: skip
    for number, motif in enumerate(motifs):
        mine = hits.of(number)
        covered = np.zeros(along.shape, dtype=bool)
        for row, start, end in zip(mine.row, mine.start, mine.end, strict=True):
            covered[row, start:end] = True
        having = everyone[covered.any(axis=1)]
        if len(having):
            at_sites = resample((along * covered).sum(1)[having], covered.sum(1)[having])
            level = resample(expression[having], np.ones(len(having)))
            rows.append(Row(motif.name, len(having), at_sites, level))
    return rows


def _bootstrap(seed: int) -> Callable[[Floats, Floats], tuple[float, float, float]]:
    """A function of sums and counts of promoters: ratio of totals, with its interval."""

    def resample(total: Floats, count: Floats) -> tuple[float, float, float]:
        rng = np.random.default_rng(seed)
        ratios = []
        for _ in range(RESAMPLES):
            chosen = rng.integers(len(total), size=len(total))
            ratios.append(total[chosen].sum() / count[chosen].sum())
        low, high = np.quantile(ratios, [0.025, 0.975])
        return float(total.sum() / count.sum()), float(low), float(high)

    return resample


def _columns() -> list[str]:
    ends = ("", "_low", "_high")
    return ["motif", "promoters", *(f"{k}{e}" for k in ("saliency", "expression") for e in ends)]


def _as_table(rows: Sequence[Row]) -> dict[str, list[object]]:
    cells = [[row.name, row.promoters, *row.saliency, *row.expression] for row in rows]
    return dict(zip(_columns(), map(list, zip(*cells, strict=True)), strict=True))


def _page(
    ids: Sequence[str],
    values: npt.NDArray[np.float32],
    along: Floats,
    motifs: Sequence[Motif],
    hits: Hits,
    rows: Sequence[Row],
) -> Figure:
    figure = Figure(figsize=(10, 1.9 * len(motifs) + 2.8), layout="constrained")
    parts = figure.subfigures(2, 1, height_ratios=[1.9 * len(motifs), 2.8])
    above, below = np.asarray(parts).tolist()
    axes = above.subplots(2 * len(motifs), 1, squeeze=False,
                          height_ratios=[1.3, 1] * len(motifs))[:, 0]  # fmt: skip
    for number, motif in enumerate(motifs):
        _example(axes[2 * number : 2 * number + 2], "ABCDE"[number], motif, hits.of(number),
                 ids, values, along)  # fmt: skip
    left, right = below.subplots(1, 2)
    _bars(left, rows, [row.saliency for row in rows], "F", "saliency at sites (bins)")
    _bars(right, rows, [row.expression for row in rows], "G", "expression (bins)")
    left.set_ylim(bottom=0)
    return figure


def _example(
    axes: Sequence[Axes],
    letter: str,
    motif: Motif,
    hits: Hits,
    ids: Sequence[str],
    values: npt.NDArray[np.float32],
    along: Floats,
) -> None:
    """The promoter whose site of the motif has the highest saliency, over the motif's logo."""
    top, under = axes
    if not len(hits.row):
        top.set_title(f"{letter}  {motif.name}: no site in these promoters")
        top.axis("off")
        under.axis("off")
        return
    sums = [along[r, s:e].sum() for r, s, e in zip(hits.row, hits.start, hits.end, strict=True)]
    best = int(np.argmax(sums))
    row, start, strand = int(hits.row[best]), int(hits.start[best]), str(hits.strand[best])
    logo(top, values[row])
    top.axvspan(start, int(hits.end[best]), color=GREY, alpha=0.2, linewidth=0)
    top.set_title(f"{letter}  {motif.name} ({strand}) in {ids[row]}", fontsize=9)
    top.set_xticks([])
    top.set_ylabel("saliency", fontsize=7)
    top.tick_params(labelsize=7)
    turned = motif.counts if strand == "+" else motif.reversed.counts
    motif_logo(under, turned)
    under.set_xlim(-start, values.shape[2] - start)  # its columns under the site's bases


def _bars(
    ax: Axes,
    rows: Sequence[Row],
    estimates: Sequence[tuple[float, float, float]],
    letter: str,
    label: str,
) -> None:
    place = np.arange(len(rows))
    mean, low, high = np.array(estimates).T
    ax.bar(place, mean, color=[GREY, *[BLUE] * (len(rows) - 1)], width=0.65)
    ax.errorbar(place, mean, yerr=[mean - low, high - mean], fmt="none", ecolor="black",
                elinewidth=0.9, capsize=2.5)  # fmt: skip
    ax.set_xticks(place, [f"{row.name}\n{row.promoters:,}" for row in rows], fontsize=7)
    ax.set_ylabel(label, fontsize=8)
    ax.set_title(letter)
