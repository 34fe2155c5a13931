"""Accuracy against its cost: labelled points with intervals. Labels do not cover labels or points.

Like :mod:`crmnet.figures.panels`, it takes numbers and axes and draws on the axes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from crmnet.arrays import AnyFloats
from crmnet.figures.style import BLUE, GREY, GRID, INK

LABEL_SIZE = 7.5
DISTANCES = (5.0, 12.0, 20.0, 30.0, 42.0)
"""Distances in points between a marker and its label; the nearest with free space is used."""
ANGLES = np.linspace(0, 2 * np.pi, 16, endpoint=False)
FAR = 10.0
"""Above this distance in points, a line connects the marker and its label."""


def tradeoff(
    ax: Axes, x: AnyFloats, values: AnyFloats, intervals: AnyFloats, leading: npt.NDArray[np.bool_]
) -> None:
    """Draw values with intervals against their cost, on a logarithmic axis.

    Args:
        ax: Axes to draw on.
        x: Costs ``(N,)``, above 0.
        values: ``(N,)``.
        intervals: ``(N, 2)``, lower and upper ends.
        leading: ``(N,)``, True for points to highlight.
    """
    errors = np.abs(intervals.T - values)
    ax.errorbar(x, values, yerr=errors, fmt="none", ecolor=GREY, elinewidth=1, capsize=2, zorder=2)
    ax.scatter(x, values, s=22, color=np.where(leading, BLUE, GREY), edgecolor=INK,
               linewidth=0.5, zorder=3)  # fmt: skip
    ax.set_xscale("log")
    ax.margins(0.12)
    ax.grid(color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)


def label_points(
    ax: Axes, names: Sequence[str], x: AnyFloats, values: AnyFloats, bars: AnyFloats
) -> None:
    """Write each name next to its point, where it covers no points, bars or other names.

    Call this last: label positions depend on everything drawn and on the limits of the axes.

    Args:
        ax: Axes with the points.
        names: One for each point.
        x: ``(N,)``.
        values: ``(N,)``.
        bars: ``(N, 2)``, ends of the vertical bars, which labels must not cover.
    """
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    pixels = figure.dpi / 72
    centres = ax.transData.transform(np.column_stack([x, values]))
    ends = [ax.transData.transform(np.column_stack([x, end])) for end in bars.T]
    half = 3.5 * pixels
    taken = [Bbox([centre - half, centre + half]) for centre in centres]
    taken += [Bbox([low - half / 3, high + half / 3]) for low, high in zip(*ends, strict=True)]
    for place in np.argsort(-values):
        text = ax.text(0, 0, names[place], fontsize=LABEL_SIZE)
        extent = text.get_window_extent(canvas.get_renderer())  # type: ignore[no-untyped-call]
        text.remove()
        size = np.array([extent.width, extent.height]) + 2 * pixels
        distance, box = min(
            _places(centres[place], size, pixels),
            key=lambda found: _covered(found[1], taken, ax.bbox) + 0.01 * found[0],
        )
        taken.append(box)
        middle = (np.mean([box.p0, box.p1], axis=0) - centres[place]) / pixels
        leader = {"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
        ax.annotate(
            names[place], (x[place], values[place]), middle, textcoords="offset points",
            ha="center", va="center", fontsize=LABEL_SIZE, zorder=4,
            arrowprops=leader if distance > FAR else None,
        ).set_in_layout(False)  # fmt: skip


def _places(centre: AnyFloats, size: AnyFloats, pixels: float) -> Iterator[tuple[float, Bbox]]:
    """Candidate boxes around a point, nearest first, each with its distance in points."""
    for distance in DISTANCES:
        for angle in ANGLES:
            way = np.array([np.cos(angle), np.sin(angle)])
            middle = centre + way * (distance * pixels + size / 2)
            yield distance, Bbox([middle - size / 2, middle + size / 2])


def _covered(box: Bbox, taken: Sequence[Bbox], axes: Bbox) -> float:
    """Number of pixels of a box that other boxes cover, or that are outside the axes."""
    inside = Bbox.intersection(box, axes)
    outside = box.width * box.height - (inside.width * inside.height if inside else 0.0)
    overlaps = (Bbox.intersection(box, other) for other in taken)
    return outside + sum(o.width * o.height for o in overlaps if o is not None)
