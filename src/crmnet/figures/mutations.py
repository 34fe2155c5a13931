"""Effects of variants: heat map of substitutions, map of epistasis, track of deletions.

The functions draw arrays on axes. :mod:`crmnet.design.mutate_figures` arranges and saves them. Red
raises expression, blue lowers it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator, MultipleLocator

from crmnet.figures.style import BASE_COLOURS, BLUE, DIVERGING, GREY, GRID, ORANGE, literal
from crmnet.sequence import LETTERS, N_TOKEN


def colour_limit(*values: npt.ArrayLike) -> float:
    """Largest absolute value, for a scale that is symmetric about 0; 1 if there is none."""
    largest = max(
        (float(np.nanmax(np.abs(v))) for v in map(np.asarray, values) if np.isfinite(v).any()),
        default=0.0,
    )
    return largest or 1.0


def substitution_map(
    ax: Axes, delta: npt.ArrayLike, bases: npt.ArrayLike, first: int, *, limit: float, title: str
) -> AxesImage:
    """Effect of each substitution: bases A, C, G, T over positions, the sequence below.

    Args:
        ax: Axes to draw on.
        delta: ``(4, L)``; NaN at the bases of the sequence, which a dot marks.
        bases: ``(L,)`` tokens of the sequence.
        first: Position of the first base.
        limit: Largest value of the colour scale.
        title: Title.
    """
    delta, bases = np.asarray(delta, dtype=np.float64), np.asarray(bases)
    many = len(bases)
    image = _image(ax, delta, (first - 0.5, first + many - 0.5, 3.5, -0.5), limit)
    known = np.nonzero(bases < N_TOKEN)[0]
    ax.scatter(first + known, bases[known], s=4, color=GREY, linewidths=0)
    for position, token in enumerate(bases.tolist()):
        letter = LETTERS[token]
        ax.text(
            first + position, 3.65, letter, ha="center", va="top", fontsize=6,
            color=BASE_COLOURS[letter],
        )  # fmt: skip
    ax.set_yticks(range(4), list("ACGT"), fontsize=7)
    ax.tick_params(axis="x", pad=9, length=0, labelsize=7)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_locator(MultipleLocator(10))
    for side in ax.spines.values():
        side.set_visible(False)
    ax.set_title(literal(title), fontsize=9)
    return image


def epistasis_map(
    ax: Axes, values: npt.ArrayLike, first: int, *, limit: float, title: str
) -> AxesImage:
    """Epistasis of each pair of positions, ``(L, L)``; NaN is white."""
    values = np.asarray(values, dtype=np.float64)
    edges = (first - 0.5, first + len(values) - 0.5)
    image = _image(ax, values, (*edges, *edges[::-1]), limit)
    ax.set_aspect("equal")
    ax.tick_params(labelsize=7)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(8, integer=True))
    ax.set(xlabel="position", ylabel="position")
    ax.set_title(literal(title), fontsize=9)
    return image


def deletion_track(
    ax: Axes, start: npt.ArrayLike, end: npt.ArrayLike, delta: npt.ArrayLike, *, title: str
) -> None:
    """Effect of each deletion as a bar over the deleted bases, ``start`` to ``end``."""
    start, end, delta = (np.asarray(a, dtype=np.float64) for a in (start, end, delta))
    order = np.argsort(-np.abs(delta), kind="stable")  # a small bar is drawn above a large one
    ax.bar(
        (start[order] + end[order]) / 2, delta[order], width=(end - start + 0.9)[order],
        color=[ORANGE if value > 0 else BLUE for value in delta[order]], alpha=0.55,
        edgecolor="none",
    )  # fmt: skip
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.set_xlim(float(start.min()) - 1, float(end.max()) + 1)
    ax.grid(axis="y", color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=7)
    ax.set_title(literal(title), fontsize=9)


def _image(ax: Axes, values: Any, extent: tuple[float, float, float, float], limit: float) -> Any:
    return ax.imshow(
        values, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto", extent=extent,
        interpolation="nearest",
    )  # fmt: skip
