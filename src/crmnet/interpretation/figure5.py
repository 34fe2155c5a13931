"""The paper's Figure 5: what the network sees at the sites of the motifs that drive expression.

A–E: an example promoter for each of five motifs, its saliency over the known motif; F: saliency at
each motif's sites against all positions; G: expression of the promoters that have it against all.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crmnet.arrays import Floats
from crmnet.data.sequences import Promoters
from crmnet.figures.logo import logo, motif_logo, number_positions
from crmnet.figures.style import BLUE, GREY, INK, STYLE
from crmnet.interpretation.attribute import INSERT, AttributeOptions, attribute, unit_of
from crmnet.interpretation.explain import (
    NAMED,
    media_label,
    predict_difference,
    read_discovery,
)
from crmnet.interpretation.logos import WIDTH, sums_over
from crmnet.motifs.formats import read_motifs
from crmnet.motifs.jaspar import yeast_motifs, yeast_motifs_named
from crmnet.motifs.match import match
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import Hits, ScanOptions, find_sites
from crmnet.prediction.predictor import Predictor
from crmnet.reports.figures import save_figure
from crmnet.reports.tables import TableWriter
from crmnet.sequence import Tokens

log = logging.getLogger("crmnet")

FACTORS = ("NHP10", "REB1", "ABF1", "AZF1", "RAP1")
"""The paper's five."""
PANELS = 5
RESAMPLES = 1000
FEWEST = 5
"""Promoters from which an interval is given."""


Estimate = tuple[float, float, float]
"""A mean, and the ends of its 95 % interval; these are NaN where there are too few promoters."""


class Subject(NamedTuple):
    """A motif of the figure."""

    motif: Motif
    """Whose sites are looked for."""
    known: Motif | None = None
    """What a discovered motif resembles, turned to its direction."""
    offset: int = 0
    """Column of ``known`` under the first one of ``motif``."""
    p: float = 0.0
    """Of the match."""

    @property
    def name(self) -> str:
        return f"{self.motif.id} {self.known.name}" if self.known else self.motif.name

    @property
    def title(self) -> str:
        more = f"(match p {self.p:.0e})" if self.known else f"({self.motif.id})"
        return f"{self.name} {more}"


class Row(NamedTuple):
    """One bar of panels F and G."""

    name: str
    promoters: int
    saliency: Estimate
    """Bootstrapped over promoters, as is expression."""
    anywhere: float
    """Mean saliency in the same promoters if the sites lay at random places; NaN for all."""
    expression: Estimate


def top_motifs(path: Path | None = None) -> list[Subject]:
    """The motifs of the figure: the paper's five, or five of a file.

    Of the ``motifs.meme`` of ``crmnet motifs discover``, whose table stands beside it, the first
    five that both searches found and that resemble one of JASPAR's yeast motifs; the paper's if
    there is none. Of any other file, the first five.
    """
    if path is not None:
        motifs, table = read_motifs(path), read_discovery(path)
        if not table:
            return [Subject(motif) for motif in motifs[:PANELS]]
        found = _named([m for m in motifs if m.id in table and table[m.id]["confirmed"]])
        if found:
            return found[:PANELS]
        log.info("figure 5: no motif of %s is confirmed and known; the paper's are drawn", path)
    return [Subject(motif) for motif in yeast_motifs_named(FACTORS)]


def _named(motifs: Sequence[Motif]) -> list[Subject]:
    """Those that resemble a yeast motif of JASPAR, with the likest."""
    if not motifs:
        return []
    targets = yeast_motifs()
    found = match(motifs, targets)
    subjects = []
    for row, (motif, best) in enumerate(zip(motifs, found.best().tolist(), strict=True)):
        known = targets[best] if found.strand[row, best] == "+" else targets[best].reversed
        p, offset = float(found.p[row, best]), int(found.offset[row, best])
        if p < NAMED:
            subjects.append(Subject(motif, known, offset, p))
    return subjects


def figure5(
    predictor: Predictor,
    promoters: Promoters,
    folder: Path,
    *,
    media: tuple[str | None, str | None] = (None, None),
    subjects: Sequence[Subject] | None = None,
    picture: str = "png",
    seed: int = 0,
) -> list[Row]:
    """Draw Figure 5 for a file of promoters; leaves ``figure5.png`` and ``figure5.tsv``.

    Expression is the measured one where the file has it, else, and for a difference of media, the
    predicted one; axis and table say which. Motifs without a site are left out, and logged.

    Args:
        predictor: The model.
        promoters: All that the numbers are of.
        folder: Where to; it must be there.
        media: Medium, and one to subtract.
        subjects: From :func:`top_motifs`, five at most; None takes the paper's.
        picture: Format of the figure: png, svg or pdf.
        seed: Of the bootstrap.

    Returns:
        The numbers of panels F and G; the first row is of all promoters and positions.

    Raises:
        ValueError: If no motif has a site in any promoter.
    """
    subjects = list(subjects or top_motifs())[:PANELS]
    options = AttributeOptions("masked")
    found = attribute(predictor, promoters.tokens, medium=media[0], minus=media[1], options=options)
    values = found.values[:, :, INSERT]
    hits = _sites(promoters.tokens[:, INSERT], subjects)
    unit = unit_of(predictor, *media) or "expression"
    # The difference of two media is not what a file's column holds.
    measured = promoters.expression if media[1] is None else None
    if measured is None:
        kind, scale = "predicted", f"{unit} in {media_label(predictor, media)}"
        expression = predict_difference(predictor, promoters.tokens, media)
    else:
        kind, scale, expression = "measured", "", measured
    along = values.sum(axis=1).astype(float)
    rows = site_statistics(along, expression, [(s.name, mine) for s, mine in hits], seed)
    _write(folder / "figure5.tsv", rows, kind)
    with matplotlib.rc_context(STYLE):
        figure = Figure(layout="constrained")
        below = _examples(figure, promoters.ids, values, hits)
        _saliency_and_expression(below, rows, (unit, scale), kind)
        save_figure(figure, folder / f"figure5.{picture}")
    return rows


def _sites(inserts: Tokens, subjects: Sequence[Subject]) -> list[tuple[Subject, Hits]]:
    """The motifs that have sites, with these."""
    sites = find_sites(inserts, [subject.motif for subject in subjects], ScanOptions())
    having = set(sites.motif.tolist())
    if not having:
        raise ValueError("none of the motifs has a site in these promoters; give more of them")
    if absent := [s.name for n, s in enumerate(subjects) if n not in having]:
        log.info("figure 5: no site of %s in these promoters; left out", ", ".join(absent))
    return [(s, sites.of(n)) for n, s in enumerate(subjects) if n in having]


def site_statistics(
    along: Floats, expression: Floats, hits: Sequence[tuple[str, Hits]], seed: int = 0
) -> list[Row]:
    """Saliency at each motif's sites and expression of the promoters that have it.

    Args:
        along: ``(B, L)`` saliency of each base.
        expression: ``(B,)``.
        hits: Name of each motif, and its sites on the same coordinates.
        seed: Of the bootstrap.
    """
    everyone = np.ones(len(along))
    estimate = partial(_estimate, seed=seed)
    rows = [Row("all", len(along), estimate(along.sum(1), everyone * along.shape[1]), np.nan,
                estimate(expression, everyone))]  # fmt: skip
    for name, mine in hits:
        covered = np.zeros(along.shape, dtype=bool)
        for row, start, end in zip(mine.row, mine.start, mine.end, strict=True):
            covered[row, start:end] = True
        having = covered.any(axis=1)
        count = covered.sum(1)[having]
        elsewhere = _anywhere(along[having], int(mine.end[0] - mine.start[0]))
        rows.append(
            Row(
                name,
                len(count),
                estimate((along * covered).sum(1)[having], count),
                float((elsewhere * count).sum() / count.sum()),
                estimate(expression[having], everyone[having]),
            )
        )
    return rows


def _anywhere(along: Floats, width: int) -> Floats:
    """Mean saliency at a random place of that width in each promoter, ``(B,)``."""
    return np.lib.stride_tricks.sliding_window_view(along, width, axis=1).mean(axis=(1, 2))


def _estimate(total: Floats, count: Floats, seed: int) -> Estimate:
    """Ratio of the totals of promoters' sums and counts."""
    mean = float(total.sum() / count.sum())
    if len(total) < FEWEST:
        return mean, np.nan, np.nan
    rng = np.random.default_rng(seed)
    ratios = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(len(total), size=len(total))
        ratios.append(total[chosen].sum() / count[chosen].sum())
    low, high = np.quantile(ratios, [0.025, 0.975])
    return mean, float(low), float(high)


def _write(path: Path, rows: Sequence[Row], kind: str) -> None:
    """One row a bar; a number that there is not is left empty."""
    names = ["motif", "promoters", "saliency", "saliency_low", "saliency_high", "saliency_anywhere",
             "expression", "expression_low", "expression_high"]  # fmt: skip
    cells = [[row.name, row.promoters, *row.saliency, row.anywhere, *row.expression]
             for row in rows]  # fmt: skip
    filled = [["" if cell != cell else cell for cell in line] for line in cells]  # NaN
    columns = dict(zip(names, zip(*filled, strict=True), strict=True))
    with TableWriter(path, [*names, "expression_is"]) as table:
        table.write({**columns, "expression_is": [kind] * len(rows)})


def _examples(
    figure: Figure,
    ids: Sequence[str],
    values: npt.NDArray[np.float32],
    hits: Sequence[tuple[Subject, Hits]],
) -> Figure:
    """Panels A–E on the upper part of a figure, sized to hold them; gives the lower part."""
    heights = [(1.0, 0.45, 0.45) if subject.known else (1.0, 0.45) for subject, _ in hits]
    above = sum(sum(each) + 0.65 for each in heights)
    figure.set_size_inches(WIDTH, above + 2.6)
    upper, lower = np.asarray(figure.subfigures(2, 1, height_ratios=[above, 2.6])).tolist()
    ratios = [height for each in heights for height in each]
    axes = iter(upper.subplots(len(ratios), 1, squeeze=False, height_ratios=ratios)[:, 0])
    for letter, (subject, mine), each in zip("ABCDE", hits, heights, strict=False):
        _example([next(axes) for _ in each], letter, subject, mine, ids, values)
    return lower


def _example(
    axes: Sequence[Axes],
    letter: str,
    subject: Subject,
    hits: Hits,
    ids: Sequence[str],
    values: npt.NDArray[np.float32],
) -> None:
    """The promoter whose site of the motif has the highest saliency, over the motifs' logos."""
    best = int(np.argmax(sums_over(values.sum(axis=1), hits)))
    row, start, end = int(hits.row[best]), int(hits.start[best]), int(hits.end[best])
    strand = str(hits.strand[best])
    top, length = axes[0], values.shape[2]
    logo(top, values[row])
    number_positions(top, length)
    top.axvspan(start, end, color=GREY, alpha=0.25, linewidth=0, zorder=0)
    top.set_title(f"{letter}   {subject.title}, on {strand} in {ids[row]}", fontsize=9)
    top.set_ylabel("saliency", fontsize=7)
    drawn = [(subject.motif, start)]
    if subject.known:  # its columns stand under those that they were compared with
        behind = end + subject.offset - subject.known.width
        drawn.append((subject.known, start - subject.offset if strand == "+" else behind))
    side, align = (0.995, "right") if start < length / 2 else (0.005, "left")
    for under, (motif, left) in zip(axes[1:], drawn, strict=True):
        motif_logo(under, (motif if strand == "+" else motif.reversed).counts, left)
        under.set_xlim(0, length)
        under.text(side, 0.95, motif.id, transform=under.transAxes, fontsize=7, va="top", ha=align)


def _saliency_and_expression(
    figure: Figure, rows: Sequence[Row], units: tuple[str, str], kind: str
) -> None:
    """Panels F and G."""
    left, right = figure.subplots(1, 2)
    _bars(left, rows, [row.saliency for row in rows])
    left.set_title("F   mean saliency at sites", fontsize=9)
    place = np.arange(1, len(rows))
    left.hlines([row.anywhere for row in rows[1:]], place - 0.4, place + 0.4, color=INK,
                linestyle=(0, (2, 1)), linewidth=1, label="same promoters, any place")  # fmt: skip
    left.margins(y=0.2)  # room for the legend above the bars
    left.legend(loc="upper right", fontsize=7)
    left.set_ylim(bottom=0)
    _bars(right, rows, [row.expression for row in rows])
    right.set_title(f"G   mean {kind} expression", fontsize=9)
    right.axhline(rows[0].expression[0], color=INK, linestyle=(0, (2, 1)), linewidth=0.8)
    for ax, unit in zip((left, right), units, strict=True):
        ax.set_ylabel(unit, fontsize=8)


def _bars(ax: Axes, rows: Sequence[Row], estimates: Sequence[Estimate]) -> None:
    place = np.arange(len(rows))
    mean, low, high = np.array(estimates).T
    ax.bar(place, mean, color=[GREY, *[BLUE] * (len(rows) - 1)], width=0.65)
    ax.errorbar(place, mean, yerr=[mean - low, high - mean], fmt="none", ecolor=INK,
                elinewidth=0.9, capsize=2.5)  # fmt: skip
    labels = ["\n".join([*row.name.split(), f"n = {row.promoters:,}"]) for row in rows]
    ax.set_xticks(place, labels, fontsize=7)
    ax.tick_params(axis="y", labelsize=7)
