"""The top of the list, and the range of predictions: what a correlation does not show.

Someone who orders the promoters with the highest predictions needs :func:`precision_at`. A model
whose predictions are shrunk towards their mean has a :func:`relative_range` below 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Floats

LOW, HIGH = 1, 99
"""Percentiles between which the range is taken."""


def precision_at(measured: npt.ArrayLike, predicted: npt.ArrayLike, k: int) -> float:
    """Share of the ``k`` highest predicted values that are among the ``k`` highest measured.

    Equal values have no order. If several are equal to the ``k``-th highest, each counts with the
    share of them that has a place, so the result is the mean over all random orders. It is k / N
    for constant predictions.

    Raises:
        ValueError: If ``k`` is not between 1 and the number of values.
    """
    measured, predicted = (np.asarray(v, dtype=np.float64) for v in (measured, predicted))
    if not 1 <= k <= len(measured):
        raise ValueError(f"k must be between 1 and the {len(measured)} values; got {k}")
    return float(_share_in_top(measured, k) @ _share_in_top(predicted, k)) / k


def _share_in_top(values: Floats, k: int) -> Floats:
    """Probability of each value to be among the ``k`` highest if ties are ordered at random."""
    lowest = np.sort(values)[-k]
    above, tied = values > lowest, values == lowest
    return above + tied * (k - above.sum()) / tied.sum()


def relative_range(measured: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Range of predictions over that of measurements, between the percentiles 1 and 99.

    NaN if all measurements are equal.
    """
    of_measured, of_predicted = (
        float(np.subtract(*np.percentile(np.asarray(values, dtype=np.float64), (HIGH, LOW))))
        for values in (measured, predicted)
    )
    return of_predicted / of_measured if of_measured else float("nan")
