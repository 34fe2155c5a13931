"""Panels of a design: oracle against judge, the course of the search, the path of edits.

:mod:`crmnet.design.pictures` arranges them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from crmnet.figures.style import BLUE, DASHED, GREY, GRID, ORANGE


def judged_scatter(
    ax: Axes, oracle: Sequence[npt.ArrayLike], judge: Sequence[npt.ArrayLike], unit: str
) -> None:
    """Values of starts and of designs by the oracle (x) and by the judge (y).

    Args:
        ax: Axes to draw on.
        oracle: Values of the starts, and of the designs.
        judge: The same by the judge.
        unit: Unit of the values, for the labels; may be empty.
    """
    everything = np.concatenate([np.asarray(part, dtype=float) for part in (*oracle, *judge)])
    low, high = float(everything.min()), float(everything.max())
    margin = 0.05 * (high - low or 1.0)
    span = (low - margin, high + margin)
    ax.plot(span, span, color=GREY, linewidth=0.8, linestyle=DASHED, zorder=1,
            label="judge agrees")  # fmt: skip
    for x, y, colour, name in zip(oracle, judge, (GREY, BLUE), ("starts", "designs"), strict=True):
        ax.scatter(x, y, s=18, color=colour, alpha=0.85, linewidths=0, zorder=2, label=name)
    suffix = f" ({unit})" if unit else ""
    ax.set(xlim=span, ylim=span, aspect="equal", title="Does the judge agree?")
    ax.set_xlabel(f"value by the oracle{suffix}")
    ax.set_ylabel(f"value by the judge{suffix}")
    ax.grid(color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)
    ax.legend(loc="best", fontsize=8)


def search_lines(ax: Axes, history: npt.ArrayLike) -> None:
    """Best score of each search ``(S + 1, C)`` after each step, and their mean."""
    history = np.asarray(history, dtype=float)
    steps = np.arange(len(history))
    ax.plot(steps, history, color=GREY, linewidth=0.7, alpha=0.7)
    started = np.isfinite(history).any(axis=1)
    ax.plot(steps[started], np.nanmean(history[started], axis=1), color=BLUE, linewidth=1.8,
            label="mean of all searches")  # fmt: skip
    ax.set(xlabel="step", ylabel="best score so far", title="Search")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.grid(axis="y", color=GRID, linewidth=0.7)
    ax.legend(loc="lower right", fontsize=8)


def path_lines(ax: Axes, values: Sequence[npt.ArrayLike], unit: str) -> None:
    """Value by the oracle after each edit, one line for each design."""
    for value in values:
        value = np.asarray(value)
        ax.plot(np.arange(len(value)), value, color=ORANGE, linewidth=0.8, alpha=0.7)
    suffix = f" ({unit})" if unit else ""
    ax.set(xlabel="edits", title="Path of edits")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_ylabel(f"value by the oracle{suffix}")
    ax.grid(axis="y", color=GRID, linewidth=0.7)
