"""Sequence logos, in which the height of a letter is its value, and sites below a sequence.

The functions draw arrays on matplotlib axes. :mod:`crmnet.interpretation` computes the arrays and
arranges logos into pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Polygon
from matplotlib.textpath import TextPath
from matplotlib.transforms import Bbox

from crmnet.figures.style import BACKGROUND, BASE_COLOURS, GREY, INK


class Site(NamedTuple):
    """A named site to draw below a sequence; positions count from 0, ``end`` is exclusive."""

    name: str
    start: int
    end: int
    strand: str


@cache
def _glyph(letter: str) -> tuple[npt.NDArray[np.float64], ...]:
    """Outlines of a letter, scaled to the unit square."""
    path = TextPath(
        (0, 0), letter, size=1, prop=FontProperties(family="DejaVu Sans", weight="bold")
    )
    box: Bbox = path.get_extents()
    return tuple(
        (np.asarray(outline) - (box.x0, box.y0)) / (box.width, box.height)
        for outline in path.to_polygons()
    )


def logo(ax: Axes, heights: npt.ArrayLike, start: int = 0) -> None:
    """Draw letters with the heights ``(4, L)``, positive values up and negative values down.

    In each column, letters with larger absolute values are farther from zero. Letters with negative
    values are pale.

    Args:
        ax: Axes to draw on.
        heights: ``(4, L)``; rows A, C, G, T.
        start: Position of the first column on the x-axis.
    """
    heights = np.asarray(heights)
    for row, letter in enumerate("ACGT"):
        outlines: list[list[npt.NDArray[np.float64]]] = [[], []]
        holes: list[npt.NDArray[np.float64]] = []
        for position in np.nonzero(heights[row])[0]:
            value = heights[row, position]
            column = heights[:, position]
            nearer = (np.sign(column) == np.sign(value)) & (np.abs(column) < np.abs(value))
            base = float(column[nearer].sum())
            low, high = sorted((base, base + float(value)))
            for number, outline in enumerate(_glyph(letter)):
                polygon = outline * (0.92, high - low) + (start + position + 0.04, low)
                if number:
                    holes.append(polygon)
                else:
                    outlines[int(value < 0)].append(polygon)
        for shapes, alpha in zip(outlines, (1.0, 0.45), strict=True):
            ax.add_collection(
                PolyCollection(
                    shapes, facecolor=BASE_COLOURS[letter], edgecolor="none", alpha=alpha
                )
            )
        ax.add_collection(PolyCollection(holes, facecolor=BACKGROUND, edgecolor="none"))
    up = float(np.maximum(heights, 0).sum(axis=0).max(initial=0))
    down = float(np.minimum(heights, 0).sum(axis=0).min(initial=0))
    margin = 0.05 * (up - down or 1.0)
    ax.set(xlim=(start, start + heights.shape[1]), ylim=(down - margin, up + margin))
    ax.axhline(0, color=INK, linewidth=0.5)


def number_positions(ax: Axes, length: int, first: int = 1, every: int = 10) -> None:
    """Number the first and every tenth letter below its middle; the first has number ``first``.

    The first letter gets no number if the next number would touch it.
    """
    numbers = np.arange(first, first + length)
    shown = (numbers % every == 0) | ((numbers == first) & (first % every < every - 2))
    ax.set_xticks(np.nonzero(shown)[0] + 0.5, [str(number) for number in numbers[shown]])
    ax.tick_params(labelsize=7)


def motif_logo(ax: Axes, counts: npt.ArrayLike, start: int = 0) -> None:
    """Logo of a motif in bits, from ``(4, W)`` counts or probabilities."""
    counts = np.asarray(counts)
    shares = counts / counts.sum(axis=0)
    bits = 2 + np.sum(shares * np.log2(np.where(shares > 0, shares, 1)), axis=0)
    logo(ax, shares * bits, start)
    ax.set(ylim=(0, 2), yticks=(0, 1, 2), xticks=[])
    ax.set_ylabel("bits", fontsize=7)
    ax.tick_params(labelsize=7)


def site_rows(sites: Sequence[Site]) -> list[int]:
    """Row of each site, 0 on top, so that bars and names in the same row do not overlap."""
    ends: list[float] = []
    rows = [0] * len(sites)
    for number in sorted(range(len(sites)), key=lambda i: sites[i].start):
        site = sites[number]
        # The name of a short site is wider than the site: a letter is 0.75 bases wide.
        half_width = max(site.end - site.start, 0.75 * len(site.name)) / 2 + 0.5
        middle = (site.start + site.end) / 2
        row = next((i for i, end in enumerate(ends) if end <= middle - half_width), len(ends))
        ends[row : row + 1] = [middle + half_width]
        rows[number] = row
    return rows


def draw_sites(ax: Axes, sites: Sequence[Site]) -> None:
    """Draw sites as named arrows along their strands; x is the position in the sequence."""
    rows = site_rows(sites)
    for site, row in zip(sites, rows, strict=True):
        ax.add_patch(Polygon(_arrow(site, -row), closed=True, facecolor=GREY, edgecolor="none"))
        middle = (site.start + site.end) / 2
        ax.text(middle, -row - 0.22, site.name, ha="center", va="top", fontsize=6, parse_math=False)
    ax.set_ylim(-max([1, *(row + 1 for row in rows)]) + 0.1, 0.25)
    ax.axis("off")


def _arrow(site: Site, y: float, half: float = 0.17) -> list[tuple[float, float]]:
    """Corners of a bar with a point at its 3' end, or of a plain bar if the strand is unknown."""
    left, right = float(site.start), float(site.end)
    first, last = left + (site.strand == "-"), right - (site.strand == "+")
    return [(first, y - half), (last, y - half), (right, y), (last, y + half), (first, y + half),
            (left, y)]  # fmt: skip
