"""Sequence logos: letters as high as what they stand for. Arrays in, matplotlib axes out."""

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

from crmnet.figures.style import GREY, INK

COLORS = {"A": "#2f9e44", "C": "#1c5fb8", "G": "#e8a317", "T": "#c92a2a"}
"""A green, C blue, G orange, T red, as everywhere in the field."""


class Site(NamedTuple):
    """A named stretch to draw under a sequence."""

    name: str
    start: int
    end: int
    strand: str


@cache
def _glyph(letter: str) -> tuple[npt.NDArray[np.float64], ...]:
    """Outlines of a letter, stretched to fill the unit square."""
    path = TextPath(
        (0, 0), letter, size=1, prop=FontProperties(family="DejaVu Sans", weight="bold")
    )
    box: Bbox = path.get_extents()
    return tuple(
        (np.asarray(outline) - (box.x0, box.y0)) / (box.width, box.height)
        for outline in path.to_polygons()
    )


def logo(ax: Axes, heights: npt.ArrayLike, start: int = 0) -> None:
    """Draw letters ``(4, L)`` as high as their values, positives up and negatives down.

    In a column the larger ones stand farther out. Letters below zero are drawn pale.
    """
    heights = np.asarray(heights)
    for row, letter in enumerate("ACGT"):
        outlines: list[list[npt.NDArray[np.float64]]] = [[], []]
        holes: list[npt.NDArray[np.float64]] = []
        for place in np.nonzero(heights[row])[0]:
            value = heights[row, place]
            others = heights[:, place]
            nearer = (np.sign(others) == np.sign(value)) & (np.abs(others) < np.abs(value))
            base = float(others[nearer].sum())
            low, high = sorted((base, base + float(value)))
            for number, outline in enumerate(_glyph(letter)):
                drawn = outline * (0.92, high - low) + (start + place + 0.04, low)
                if number:
                    holes.append(drawn)
                else:
                    outlines[int(value < 0)].append(drawn)
        for shapes, alpha in zip(outlines, (1.0, 0.45), strict=True):
            ax.add_collection(
                PolyCollection(shapes, facecolor=COLORS[letter], edgecolor="none", alpha=alpha)
            )
        ax.add_collection(PolyCollection(holes, facecolor="white", edgecolor="none"))
    up = float(np.maximum(heights, 0).sum(axis=0).max(initial=0))
    down = float(np.minimum(heights, 0).sum(axis=0).min(initial=0))
    margin = 0.05 * (up - down or 1.0)
    ax.set(xlim=(start, start + heights.shape[1]), ylim=(down - margin, up + margin))
    ax.axhline(0, color=INK, linewidth=0.5)


def number_positions(ax: Axes, length: int, every: int = 10) -> None:
    """Ticks under the middle of every tenth letter, numbered from 0."""
    places = np.arange(0, length, every)
    ax.set_xticks(places + 0.5, [str(place) for place in places])
    ax.tick_params(labelsize=7)


def motif_logo(ax: Axes, counts: npt.ArrayLike, start: int = 0) -> None:
    """A motif's logo in bits, from ``(4, W)`` counts or probabilities."""
    counts = np.asarray(counts)
    shares = counts / counts.sum(axis=0)
    bits = 2 + np.sum(shares * np.log2(np.where(shares > 0, shares, 1)), axis=0)
    logo(ax, shares * bits, start)
    ax.set(ylim=(0, 2), yticks=(0, 1, 2), xticks=[])
    ax.set_ylabel("bits", fontsize=7)
    ax.tick_params(labelsize=7)


def stacked(sites: Sequence[Site]) -> list[int]:
    """A row for each site such that neither bars nor names of a row overlap; from 0 downwards."""
    ends: list[float] = []
    rows = [0] * len(sites)
    for number in sorted(range(len(sites)), key=lambda i: sites[i].start):
        site = sites[number]
        # A short site's name is wider than the site: a letter of it takes most of a base.
        half = max(site.end - site.start, 0.75 * len(site.name)) / 2 + 0.5
        middle = (site.start + site.end) / 2
        row = next((i for i, end in enumerate(ends) if end <= middle - half), len(ends))
        ends[row : row + 1] = [middle + half]
        rows[number] = row
    return rows


def sites_under(ax: Axes, sites: Sequence[Site]) -> None:
    """Named arrows that point along each site's strand; the axes share the sequence's x."""
    rows = stacked(sites)
    for site, row in zip(sites, rows, strict=True):
        ax.add_patch(Polygon(_arrow(site, -row), closed=True, facecolor=GREY, edgecolor="none"))
        middle = (site.start + site.end) / 2
        ax.text(middle, -row - 0.22, site.name, ha="center", va="top", fontsize=6)
    ax.set_ylim(-max([1, *(row + 1 for row in rows)]) + 0.1, 0.25)
    ax.axis("off")


def _arrow(site: Site, y: float, half: float = 0.17) -> list[tuple[float, float]]:
    """Corners of a bar with a point at its 3' end, and none where the strand is not known."""
    left, right = float(site.start), float(site.end)
    first, last = left + (site.strand == "-"), right - (site.strand == "+")
    return [(first, y - half), (last, y - half), (right, y), (last, y + half), (first, y + half),
            (left, y)]  # fmt: skip
