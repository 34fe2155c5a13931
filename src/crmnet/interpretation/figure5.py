"""Figure 5 of the paper: saliency at the sites of five motifs, and expression of their promoters.

``crmnet explain --figure5`` calls :func:`figure5` with a model, promoters and motifs; it writes the
figure and its numbers. Panels A–E: for each of five motifs, an example promoter with its saliency
above the known motif. F: saliency at the sites of each motif, compared with all positions. G:
expression of the promoters with a site, compared with all promoters.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crmnet.arrays import Floats
from crmnet.choices import Digits
from crmnet.data.sequences import Promoters
from crmnet.figures.logo import logo, motif_logo, number_positions
from crmnet.figures.style import BLUE, GREY, INK, STYLE
from crmnet.files import PathLike
from crmnet.interpretation.attribute import (
    AttributeOptions,
    attribute,
    media_phrase,
    unit_of,
)
from crmnet.interpretation.explain import certain_name, predict_difference, read_discovery
from crmnet.interpretation.inserts import Inserts, find_inserts
from crmnet.interpretation.logos import INTO_ADAPTER, WIDTH, insert_sites, site_sums
from crmnet.motifs.formats import read_motifs
from crmnet.motifs.jaspar import yeast_motifs, yeast_motifs_named
from crmnet.motifs.match import NAMED, call, match
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import Hits, ScanOptions
from crmnet.prediction.predictor import Predictor
from crmnet.reports.figures import save_figure
from crmnet.reports.tables import TableWriter, for_reading
from crmnet.sequence import Tokens

log = logging.getLogger("crmnet")

FACTORS = ("NHP10", "REB1", "ABF1", "AZF1", "RAP1")
"""The five factors of the paper."""
PANELS = 5
"""Number of example panels, A–E."""
LOWER_HEIGHT = 2.8
"""Height of the panels F and G, in inches."""
RESAMPLES = 1000
MAX_ID = 40
"""Largest number of letters of an id in a title."""
MIN_PROMOTERS = 5
"""Fewest promoters for which an interval is given."""


MeanInterval = tuple[float, float, float]
"""A mean and the ends of its 95 % interval, which are NaN for too few promoters."""


class FigureMotif(NamedTuple):
    """A motif of the figure."""

    motif: Motif
    """Motif whose sites are searched."""
    known: Motif | None = None
    """The known motif that a discovered motif matches, on the same strand."""
    offset: int = 0
    """Column of ``known`` that is aligned with the first column of ``motif``."""
    p: float = 0.0
    """p-value of the match."""
    called: str = ""
    """Name that ``crmnet motifs discover`` gave to a discovered motif; empty means that of
    ``known``."""

    @property
    def name(self) -> str:
        """Name of the motif; that of a discovered motif starts with its id."""
        return f"{self.motif.id} {self._called}" if self.known else self.motif.name

    @property
    def title(self) -> str:
        """Name, known motif if that has another name, and the match p-value or the id."""
        if self.known is None:
            return f"{self.name} ({self.motif.id})"
        alike = "" if self._called.startswith(self.known.name) else f", like {self.known.name}"
        return f"{self.name}{alike} (match p {self.p:.0e})"

    @property
    def _called(self) -> str:
        return self.called or (call(self.motif, self.known, self.p) if self.known else "")


class BarValues(NamedTuple):
    """One bar in each of the panels F and G."""

    name: str
    promoters: int
    """Number of promoters with a site."""
    into_adapter: int
    """Number of these promoters with a site that reaches into an adapter."""
    saliency: MeanInterval
    """Mean saliency at the sites; intervals are bootstrapped over promoters."""
    random_saliency: float
    """Expected saliency at random positions of the same promoters; NaN in the row ``all``."""
    expression: MeanInterval
    """Mean expression of the promoters, with an interval like that of saliency."""


def top_motifs(path: PathLike | None = None) -> list[FigureMotif]:
    """The motifs of the figure: the five of the paper, or up to five of a file.

    If the file is the ``motifs.meme`` of ``crmnet motifs discover`` (with ``motifs.tsv`` in the
    same folder), these are the first five that are confirmed (both searches found them) and match a
    yeast motif of JASPAR; without such motifs, the five of the paper. Of any other file these are
    the first five.
    """
    if path is not None:
        motifs, table = read_motifs(path), read_discovery(path)
        if not table:
            return [FigureMotif(motif) for motif in motifs[:PANELS]]
        known_motifs = [
            motif._replace(called=certain_name(table[motif.motif.id]))
            for motif in _with_known_motif(
                [m for m in motifs if m.id in table and table[m.id]["confirmed"]]
            )
        ]
        if known_motifs:
            return known_motifs[:PANELS]
        log.info(
            "figure 5: no motif of %s is confirmed and known; using the motifs of the paper", path
        )
    return [FigureMotif(motif) for motif in yeast_motifs_named(FACTORS)]


def _with_known_motif(motifs: Sequence[Motif]) -> list[FigureMotif]:
    """The motifs that match a yeast motif of JASPAR, with their best match."""
    if not motifs:
        return []
    targets = yeast_motifs()
    matches = match(motifs, targets)
    named = []
    for row, (motif, best) in enumerate(zip(motifs, matches.best().tolist(), strict=True)):
        target = targets[best]
        if matches.strand[row, best] == "-":
            target = target.reverse_complement
        p, offset = float(matches.p[row, best]), int(matches.offset[row, best])
        if p < NAMED:
            named.append(FigureMotif(motif, target, offset, p))
    return named


def figure5(
    predictor: Predictor,
    promoters: Promoters,
    folder: PathLike,
    *,
    media: tuple[str | None, str | None] = (None, None),
    motifs: Sequence[FigureMotif] | None = None,
    picture: str = "png",
    seed: int = 0,
    digits: Digits = "rounded",
) -> list[BarValues]:
    """Draw Figure 5 for a set of promoters; writes ``figure5.png`` and ``figure5.tsv``.

    A site counts if its middle lies on the insert; of one that reaches into an adapter, saliency is
    that of its bases on the insert. Expression is measured expression if the file contains it.
    Otherwise, and for a difference of media, it is predicted; axis and table state which. Motifs
    without a site are left out and logged.

    Args:
        predictor: The model.
        promoters: Promoters for examples and numbers.
        folder: Output folder; must exist.
        media: Medium, and a medium to subtract.
        motifs: Up to five motifs, from :func:`top_motifs`; None means those of the paper.
        picture: Format of the figure: png, svg or pdf.
        seed: Seed of the bootstrap.
        digits: Digits of numbers in the table.

    Returns:
        The numbers of panels F and G; the first row is for all promoters and positions.

    Raises:
        ValueError: If no motif has a site in any promoter.
    """
    folder = Path(folder)
    motifs = list(motifs or top_motifs())[:PANELS]
    check_sites(promoters, motifs)
    options = AttributeOptions("masked")
    attribution = attribute(
        predictor, promoters.tokens, medium=media[0], minus=media[1], options=options,
        given=promoters.given,
    )  # fmt: skip
    inserts = attribution.inserts
    values = inserts.cut(attribution.values)
    hits = _sites(promoters.tokens, inserts, motifs)
    unit = unit_of(predictor, *media) or "expression"
    # A file contains measurements in one medium, not differences of two media.
    measured = promoters.expression if media[1] is None else None
    if measured is None:
        where = media_phrase(predictor, *media)
        kind, scale = "predicted", f"{unit}, {where}" if media[1] else f"{unit} {where}"
        expression = predict_difference(predictor, promoters.tokens, media)
    else:
        kind, scale, expression = "measured", "", measured
    saliency = values.sum(axis=1).astype(float)
    named_hits = [(motif.name, motif_hits) for motif, motif_hits in hits]
    rows = site_statistics(saliency, expression, named_hits, seed, inserts.lengths)
    _write_table(folder / "figure5.tsv", rows, kind, digits)
    with matplotlib.rc_context(STYLE):
        figure = Figure(layout="constrained")
        first = inserts.start - inserts.origin + 1
        lower_part = _examples(figure, Rows(promoters.ids, values, inserts.lengths, first), hits)
        quantity = f"{kind} {'difference' if media[1] else 'expression'}"
        _saliency_and_expression(lower_part, rows, (unit, scale), quantity)
        save_figure(figure, folder / f"figure5.{picture}")
    return rows


def check_sites(
    promoters: Promoters, motifs: Sequence[FigureMotif], remedy: str = "give more promoters"
) -> None:
    """Raise ValueError if no motif has a site in any promoter; :func:`figure5` needs one."""
    inserts = find_inserts(promoters.tokens, promoters.given)
    found = insert_sites(
        promoters.tokens, inserts, [motif.motif for motif in motifs[:PANELS]], ScanOptions()
    )
    if not len(found.row):
        names = ", ".join(motif.name for motif in motifs[:PANELS])
        raise ValueError(
            f"figure 5 needs a site of one of its motifs ({names}), and none of the motifs has a "
            f"site in these promoters; {remedy}"
        )


def _sites(
    tokens: Tokens, inserts: Inserts, motifs: Sequence[FigureMotif]
) -> list[tuple[FigureMotif, Hits]]:
    """The motifs that have sites, and their sites.

    Positions count from the first base of the insert. Those in an adapter are below 0, or beyond
    the length of the insert.
    """
    sites = insert_sites(tokens, inserts, [motif.motif for motif in motifs], ScanOptions())
    first = inserts.start[sites.row]
    sites = sites._replace(start=sites.start - first, end=sites.end - first)
    present = set(sites.motif.tolist())
    if without_site := [motif.name for number, motif in enumerate(motifs) if number not in present]:
        log.info("figure 5: no site of %s in these promoters; left out", ", ".join(without_site))
    return [
        (motif, sites.of_motif(number)) for number, motif in enumerate(motifs) if number in present
    ]


def site_statistics(
    saliency: npt.ArrayLike,
    expression: npt.ArrayLike,
    hits: Sequence[tuple[str, Hits]],
    seed: int = 0,
    lengths: npt.ArrayLike | None = None,
) -> list[BarValues]:
    """Saliency at the sites of each motif, and expression of the promoters with a site.

    Args:
        saliency: ``(B, L)`` saliency of each base.
        expression: ``(B,)``.
        hits: Name of each motif, and its sites on the same coordinates; a site may begin before 0
            or end beyond the promoter's length, in an adapter.
        seed: Seed of the bootstrap.
        lengths: ``(B,)`` number of positions of each promoter; None means L.

    Returns:
        A row named ``all`` for all promoters and positions, then one row for each motif.
    """
    saliency, expression = np.asarray(saliency), np.asarray(expression)
    ones = np.ones(len(saliency))
    lengths = ones * saliency.shape[1] if lengths is None else np.asarray(lengths, dtype=float)
    mean_interval = partial(_bootstrap_ratio, seed=seed)
    mean_saliency = mean_interval(saliency.sum(1), lengths)
    mean_expression = mean_interval(expression, ones)
    rows = [BarValues("all", len(saliency), 0, mean_saliency, np.nan, mean_expression)]
    for name, motif_hits in hits:
        covered = np.zeros(saliency.shape, dtype=bool)
        inside, reaches = _on_insert(motif_hits, lengths)
        for row, start, end in zip(inside.row, inside.start, inside.end, strict=True):
            covered[row, start:end] = True
        with_site = covered.any(axis=1)
        count = covered.sum(1)[with_site]
        width = int(motif_hits.end[0] - motif_hits.start[0])
        random_saliency = _random_saliency(saliency[with_site], width, lengths[with_site])
        rows.append(
            BarValues(
                name,
                len(count),
                len(np.unique(motif_hits.row[reaches])),
                mean_interval((saliency * covered).sum(1)[with_site], count),
                float((random_saliency * count).sum() / count.sum()),
                mean_interval(expression[with_site], ones[with_site]),
            )
        )
    return rows


def _on_insert(hits: Hits, lengths: npt.ArrayLike) -> tuple[Hits, npt.NDArray[np.bool_]]:
    """The part of each site on its insert, and which sites reach into an adapter."""
    stop = np.asarray(lengths, dtype=np.int64)[hits.row]
    inside = hits._replace(start=np.maximum(hits.start, 0), end=np.minimum(hits.end, stop))
    return inside, (hits.start < 0) | (hits.end > stop)


def _random_saliency(saliency: Floats, width: int, lengths: Floats) -> Floats:
    """Mean saliency over all windows of this width in each promoter, ``(B,)``.

    A promoter that is shorter than the window is one window.
    """
    width = min(width, saliency.shape[1])
    sums = np.lib.stride_tricks.sliding_window_view(saliency, width, axis=1).sum(axis=2)
    fitting = np.minimum(width, lengths)
    exists = np.arange(sums.shape[1]) <= (lengths - fitting)[:, None]
    means: Floats = (sums * exists).sum(axis=1) / exists.sum(axis=1) / fitting
    return means


def _bootstrap_ratio(total: Floats, count: Floats, seed: int) -> MeanInterval:
    """Ratio of the summed totals and counts, with an interval bootstrapped over promoters."""
    mean = float(total.sum() / count.sum())
    if len(total) < MIN_PROMOTERS:
        return mean, np.nan, np.nan
    rng = np.random.default_rng(seed)
    ratios = []
    for _ in range(RESAMPLES):
        sampled = rng.integers(len(total), size=len(total))
        ratios.append(total[sampled].sum() / count[sampled].sum())
    low, high = np.quantile(ratios, [0.025, 0.975])
    return mean, float(low), float(high)


def _write_table(path: Path, rows: Sequence[BarValues], kind: str, digits: Digits) -> None:
    """One row for each bar; undefined numbers are left empty."""
    names = ["motif", "promoters", "saliency", "saliency_low", "saliency_high", "saliency_anywhere",
             "expression", "expression_low", "expression_high"]  # fmt: skip
    cells = [[row.name, row.promoters, *row.saliency, row.random_saliency, *row.expression]
             for row in rows]  # fmt: skip
    columns = dict(zip(names, zip(*cells, strict=True), strict=True))
    more: dict[str, list[Any]] = {
        "expression_is": [kind] * len(rows),
        "into_adapter": [row.into_adapter for row in rows],
    }
    with TableWriter(path, [*names, *more]) as table:
        table.write(for_reading({**columns, **more}, path, digits))


class Rows(NamedTuple):
    """The promoters of the examples."""

    ids: Sequence[str]
    values: npt.NDArray[np.float32]
    """``(B, 4, L)`` saliency of the inserts."""
    lengths: npt.NDArray[np.int64]
    """``(B,)`` of the inserts."""
    first: npt.NDArray[np.int64]
    """``(B,)`` position of the insert's first base on the given sequence, from 1."""


def _examples(
    figure: Figure,
    rows: Rows,
    hits: Sequence[tuple[FigureMotif, Hits]],
) -> Figure:
    """Draw panels A–E on the upper part of a figure, set its size, and return the lower part."""
    heights = [(1.0, 0.45, 0.45) if motif.known else (1.0, 0.45) for motif, _ in hits]
    upper_height = sum(sum(panel_heights) + 0.65 for panel_heights in heights) + 0.2
    figure.set_size_inches(WIDTH, upper_height + LOWER_HEIGHT)
    ratio_of_parts = [upper_height, LOWER_HEIGHT]
    upper, lower = np.asarray(figure.subfigures(2, 1, height_ratios=ratio_of_parts)).tolist()
    ratios = [height for panel_heights in heights for height in panel_heights]
    axes = iter(upper.subplots(len(ratios), 1, squeeze=False, height_ratios=ratios)[:, 0])
    for letter, (motif, motif_hits), panel_heights in zip("ABCDE", hits, heights, strict=False):
        _example([next(axes) for _ in panel_heights], letter, motif, motif_hits, rows)
    upper.supxlabel("A–E: position on the sequence as given, from 1", fontsize=8)
    return lower


def _example(
    axes: Sequence[Axes],
    letter: str,
    figure_motif: FigureMotif,
    hits: Hits,
    rows: Rows,
) -> None:
    """Draw the promoter with the most salient site of the motif, above the logos of the motifs."""
    inside, reaches = _on_insert(hits, rows.lengths)
    best = int(np.argmax(site_sums(rows.values.sum(axis=1), inside)))
    row, start, end = int(hits.row[best]), int(hits.start[best]), int(hits.end[best])
    strand = str(hits.strand[best])
    logo_axes, length = axes[0], int(rows.lengths[row])
    logo(logo_axes, rows.values[row, :, :length])
    number_positions(logo_axes, length, int(rows.first[row]))
    logo_axes.axvspan(
        int(inside.start[best]),
        int(inside.end[best]),
        color=GREY,
        alpha=0.25,
        linewidth=0,
        zorder=0,
    )
    name = rows.ids[row] if len(rows.ids[row]) <= MAX_ID else f"{rows.ids[row][: MAX_ID - 1]}…"
    promoter = f"promoter {name}" if name.isdecimal() else name
    mark = f" ({INTO_ADAPTER} reaches into the adapter)" if reaches[best] else ""
    location = f"{'plus' if strand == '+' else 'minus'} strand of {promoter}{mark}"
    logo_axes.set_title(
        f"{letter}   {figure_motif.title}, {location}", fontsize=9, parse_math=False
    )
    logo_axes.set_ylabel("saliency", fontsize=7)
    drawn_motifs = [(figure_motif.motif, start)]
    if figure_motif.known:  # aligned columns are drawn at the same positions
        on_reverse = end + figure_motif.offset - figure_motif.known.width
        left = start - figure_motif.offset if strand == "+" else on_reverse
        drawn_motifs.append((figure_motif.known, left))
    text_x, align = (0.995, "right") if start < length / 2 else (0.005, "left")
    for ax, (motif, left) in zip(axes[1:], drawn_motifs, strict=True):
        motif_logo(ax, (motif if strand == "+" else motif.reverse_complement).counts, left)
        ax.set_xlim(0, length)
        ax.text(text_x, 0.95, motif.id, transform=ax.transAxes, fontsize=7, va="top", ha=align,
                parse_math=False)  # fmt: skip


def _saliency_and_expression(
    figure: Figure, rows: Sequence[BarValues], units: tuple[str, str], quantity: str
) -> None:
    """Draw panels F and G."""
    left, right = figure.subplots(1, 2)
    _bars(left, rows, [row.saliency for row in rows])
    left.set_title("F   mean saliency at sites", fontsize=9)
    positions = np.arange(1, len(rows))
    expected = [row.random_saliency for row in rows[1:]]
    left.hlines(expected, positions - 0.4, positions + 0.4, color=INK,
                linestyle=(0, (2, 1)), linewidth=1,
                label="same promoters, random sites")  # fmt: skip
    left.margins(y=0.2)  # space for the legend above the bars
    left.legend(loc="upper right", fontsize=7)
    left.set_ylim(bottom=0)
    _bars(right, rows, [row.expression for row in rows])
    right.set_title(f"G   mean {quantity}", fontsize=9)
    right.axhline(rows[0].expression[0], color=INK, linestyle=(0, (2, 1)), linewidth=0.8)
    for ax, unit in zip((left, right), units, strict=True):
        ax.set_ylabel(unit, fontsize=8, parse_math=False)


def _bars(ax: Axes, rows: Sequence[BarValues], estimates: Sequence[MeanInterval]) -> None:
    positions = np.arange(len(rows))
    mean, low, high = np.array(estimates).T
    ax.bar(positions, mean, color=[GREY, *[BLUE] * (len(rows) - 1)], width=0.65)
    ax.errorbar(positions, mean, yerr=[mean - low, high - mean], fmt="none", ecolor=INK,
                elinewidth=0.9, capsize=2.5)  # fmt: skip
    labels = ["\n".join([*row.name.split(), f"n = {row.promoters:,}"]) for row in rows]
    ax.set_xticks(positions, labels, fontsize=7, parse_math=False)
    ax.tick_params(axis="y", labelsize=7)
    ax.set_xlabel("motif; n: promoters with a site", fontsize=8)
