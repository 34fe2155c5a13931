"""The line that brings predictions to the scale of measurements, fitted on held-out families.

:mod:`crmnet.training.finish` rescales the outputs of a run with it,
:mod:`crmnet.evaluation.rescale` those of a packed model.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Floats
from crmnet.statistics.metrics import spread

FOLDS = 5
"""Parts of the families in cross-fitting."""


class Line(NamedTuple):
    """measured = slope × predicted + offset."""

    slope: float
    offset: float

    def at(self, predicted: Floats) -> Floats:
        """The line's values."""
        return self.slope * predicted + self.offset


def fit_cross_fitted(
    measured: Floats, predicted: Floats, family: npt.ArrayLike, *, equal_families: bool = False
) -> Line | None:
    """The line of measurements on predictions, if it lowers the error of other families.

    Args:
        measured: ``(N,)``.
        predicted: ``(N,)``.
        family: ``(N,)``; the families are divided into :data:`FOLDS` parts. Each part is compared
            with the line of the others.
        equal_families: Give every family the same weight instead of every row.

    Returns:
        None if there are too few families, the measurements are all the same, the slope is not
        above 0, or the error does not fall.
    """
    _, number, sizes = np.unique(np.asarray(family), return_inverse=True, return_counts=True)
    if len(sizes) < 2 * FOLDS or _is_constant(measured):
        return None
    weight = 1 / sizes[number] if equal_families else np.ones(len(measured))
    fold = number % FOLDS
    fitted = np.empty(len(measured))
    for part in range(FOLDS):
        others = fold != part
        line = fit_line(predicted[others], measured[others], weight[others])
        fitted[~others] = line.at(predicted[~others])
    line = fit_line(predicted, measured, weight)
    error_with = (weight * np.square(measured - fitted)).sum()
    error_without = (weight * np.square(measured - predicted)).sum()
    return line if error_with < error_without and line.slope > 0 else None


def fit_line(x: Floats, y: Floats, weight: Floats | None = None) -> Line:
    """The line of weighted least squares; its slope is 0 if x is constant up to rounding."""
    weight = np.ones(len(x)) if weight is None else weight
    mean_x, mean_y = np.average(x, weights=weight), np.average(y, weights=weight)
    centred = x - mean_x
    squares = (weight * np.square(centred)).sum()
    variance = float(spread(squares, (weight * np.square(x)).sum()))
    slope = 0.0 if math.isnan(variance) else float((weight * centred * y).sum()) / variance
    return Line(slope, float(mean_y) - slope * float(mean_x))


def _is_constant(values: Floats) -> bool:
    """Whether values differ by rounding errors at most."""
    squares = np.square(values - values.mean()).sum()
    return bool(np.isnan(spread(squares, np.square(values).sum())))
