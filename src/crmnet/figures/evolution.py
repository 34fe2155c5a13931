"""Panels about evolution: robustness, trajectories, conservation and archetypes.

They are drawn on matplotlib axes from arrays; :mod:`crmnet.design` arranges them into figures.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from crmnet.figures.style import BACKGROUND, CYCLE, DASHED, DENSITY, GREY, GRID, INK, literal

BINS = 40
"""Bars of a histogram."""


def share_histogram(ax: Axes, shares: Mapping[str, npt.ArrayLike], label: str) -> None:
    """Distribution of shares between 0 and 1, as filled outlines; one series for each name.

    Args:
        ax: Axes to draw on.
        shares: Name → ``(N,)``; NaN are left out.
        label: Label of the axis of shares.
    """
    edges = np.linspace(0, 1, BINS + 1)
    for (name, values), color in zip(shares.items(), itertools.cycle(CYCLE), strict=False):
        array = np.asarray(values, dtype=float)
        counts, _ = np.histogram(array[np.isfinite(array)], edges)
        ax.stairs(counts, edges, color=color, fill=True, alpha=0.25)
        ax.stairs(counts, edges, color=color, linewidth=1.3, label=literal(name))
    ax.set(xlabel=label, ylabel="promoters", xlim=(0, 1), ylim=(0, None))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    if len(shares) > 1:
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=8)


def scatter_by_series(
    ax: Axes, series: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]], x: str, y: str
) -> None:
    """Points of one or more series in the colours of :func:`share_histogram`."""
    for (name, points), color in zip(series.items(), itertools.cycle(CYCLE), strict=False):
        first, second = (np.asarray(values, dtype=float) for values in points)
        size = max(2.0, min(16.0, 2e4 / max(len(first), 1)))
        ax.scatter(
            first, second, s=size, color=color, alpha=0.5, linewidths=0, rasterized=True,
            label=literal(name),
        )  # fmt: skip
    ax.set_xlabel(x, parse_math=False)
    ax.set_ylabel(y, parse_math=False)
    ax.grid(color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)


def trajectory_lines(ax: Axes, paths: Mapping[str, npt.ArrayLike], y: str, title: str = "") -> None:
    """Expression by number of mutations: the median of each series and its 25–75 % range.

    Args:
        ax: Axes to draw on.
        paths: Name → ``(N, S + 1)``, one row for each trajectory; NaN after its end.
        y: Label of the axis of expression.
        title: Title of the panel.
    """
    for (name, values), color in zip(paths.items(), itertools.cycle(CYCLE), strict=False):
        array = _held(np.asarray(values, dtype=float))
        steps = np.arange(array.shape[1])
        low, middle, high = np.percentile(array, [25, 50, 75], axis=0)
        ax.plot(steps, middle, color=color, linewidth=1.5, label=literal(name))
        ax.fill_between(steps, low, high, color=color, alpha=0.18, linewidth=0)
    ax.set(xlabel="mutations", title=literal(title))
    ax.set_ylabel(y, parse_math=False)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y", color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)


def _held(array: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rows in which NaN after the end are replaced by the last value."""
    last = np.maximum.accumulate(np.where(np.isnan(array), 0, np.arange(array.shape[1])), axis=1)
    return np.take_along_axis(array, last, axis=1)


def conservation_histogram(ax: Axes, coefficients: npt.ArrayLike) -> None:
    """Distribution of expression conservation coefficients; below 0 in grey, above in blue."""
    values = np.asarray(coefficients, dtype=float)
    values = values[np.isfinite(values)]
    # The few genes of an extreme coefficient do not widen the axis; the end bars contain them.
    end = float(np.ceil(np.percentile(np.abs(values), 99))) if len(values) else 1.0
    edges = np.linspace(-end, end, BINS + 1)
    counts, _ = np.histogram(np.clip(values, -end, end), edges)
    middle = (edges[:-1] + edges[1:]) / 2
    colors = [CYCLE[0] if x > 0 else GREY for x in middle.tolist()]
    ax.bar(middle, counts, width=np.diff(edges), color=colors, linewidth=0)
    ax.axvline(0, color=INK, linewidth=0.8, linestyle=DASHED)
    ax.set(xlabel="expression conservation coefficient (ECC)", ylabel="genes")
    height = 0.97
    ax.text(0.02, height, "varies more than\nrandom mutations", transform=ax.transAxes, va="top",
            fontsize=8)  # fmt: skip
    ax.text(0.98, height, "varies less:\nstabilising selection", transform=ax.transAxes, va="top",
            ha="right", fontsize=8)  # fmt: skip


def archetype_curves(ax: Axes, vectors: npt.ArrayLike, unit: str) -> None:
    """Evolvability vectors of archetypes: change of expression by rank of the mutation."""
    curves = np.asarray(vectors, dtype=float)
    rank = np.linspace(0, 100, curves.shape[1])
    ax.axhline(0, color=GREY, linewidth=0.7)
    for number, (curve, color) in enumerate(zip(curves, itertools.cycle(CYCLE), strict=False), 1):
        ax.plot(rank, curve, color=color, linewidth=1.8, label=f"archetype {number}")
    ax.set(xlabel="mutations, by rank of their change (%)", title="Archetypes")
    ax.set_ylabel(f"change of expression ({unit})", parse_math=False)
    ax.legend(fontsize=8, loc="upper left")
    ax.grid(axis="y", color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)


def archetype_map(
    ax: Axes,
    points: npt.ArrayLike,
    corners: npt.ArrayLike,
    values: npt.ArrayLike,
    label: str,
) -> None:
    """Promoters on a plane with the archetypes as numbered corners, coloured by a value.

    Args:
        ax: Axes to draw on.
        points: ``(N, 2)``.
        corners: ``(K, 2)``.
        values: ``(N,)``.
        label: Label of the colour bar.
    """
    points, corners = np.asarray(points), np.asarray(corners)
    shown = ax.scatter(
        points[:, 0], points[:, 1], c=np.asarray(values), s=max(2.0, min(16.0, 2e4 / len(points))),
        cmap=DENSITY, linewidths=0, rasterized=True,
    )  # fmt: skip
    for number, ((x, y), color) in enumerate(
        zip(corners.tolist(), itertools.cycle(CYCLE), strict=False), 1
    ):
        ax.scatter([x], [y], s=110, color=color, edgecolors=BACKGROUND, linewidths=1, zorder=3)
        ax.text(x, y, str(number), color=BACKGROUND, ha="center", va="center", fontsize=8,
                weight="bold", zorder=4)  # fmt: skip
    bar = ax.figure.colorbar(shown, ax=ax, fraction=0.05, pad=0.02)
    bar.set_label(label, parse_math=False)
    bar.outline.set_visible(False)
    ax.set(xlabel="first axis of classical MDS", ylabel="second axis", title="Promoters")
