"""Predicted expression along a sequence: one line per medium, with its interval.

:mod:`crmnet.prediction.profile` computes the values and saves the figure.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from crmnet.figures.style import CYCLE, GRID, literal


def expression_profile(
    ax: Axes,
    centre: npt.ArrayLike,
    lines: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike | None, npt.ArrayLike | None]],
    *,
    length: int,
    name: str,
) -> None:
    """Draw the expression of windows over their centres, counted from 1.

    Args:
        ax: Where to draw.
        centre: ``(W,)``, middle of each window in the sequence.
        lines: Medium → expression, lower and upper end of the interval, ``(W,)`` each; NaN, or
            None for the ends, where there is no interval.
        length: Bases of the sequence.
        name: Of the sequence.
    """
    for colour, (medium, (value, low, high)) in zip(
        CYCLE * len(lines), lines.items(), strict=False
    ):
        marker = "o" if np.size(centre) == 1 else None
        x, y = np.asarray(centre), np.asarray(value)
        ax.plot(x, y, color=colour, label=literal(medium), marker=marker)
        if low is not None and high is not None:
            ax.fill_between(
                np.asarray(centre), np.asarray(low), np.asarray(high),
                color=colour, alpha=0.15, linewidth=0,
            )  # fmt: skip
    ax.set_xlim(1, max(length, 2))
    ax.grid(color=GRID)
    ax.set_axisbelow(True)
    ax.set_title(literal(name))
    ax.set_ylabel("expression")
