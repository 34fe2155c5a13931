"""The top of the list, and the range of predictions: what a correlation does not show.

Someone who orders the promoters with the highest predictions needs :func:`precision_at`. A model
whose predictions are shrunk towards their mean has a :func:`relative_range` below 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LOW, HIGH = 1, 99
"""Percentiles between which the range is taken."""


def precision_at(measured: npt.ArrayLike, predicted: npt.ArrayLike, k: int) -> float:
    """Share of the ``k`` highest predicted values that are among the ``k`` highest measured.

    Ties keep the order of the rows.

    Raises:
        ValueError: If ``k`` is not between 1 and the number of values.
    """
    measured, predicted = (np.asarray(v, dtype=np.float64) for v in (measured, predicted))
    if not 1 <= k <= len(measured):
        raise ValueError(f"k must be between 1 and the {len(measured)} values; got {k}")
    first, second = (np.argsort(-v, kind="stable")[:k] for v in (measured, predicted))
    return len(np.intersect1d(first, second)) / k


def relative_range(measured: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Range of predictions over that of measurements, between the percentiles 1 and 99.

    NaN if all measurements are equal.
    """
    of_measured, of_predicted = (
        float(np.subtract(*np.percentile(np.asarray(values, dtype=np.float64), (HIGH, LOW))))
        for values in (measured, predicted)
    )
    return of_predicted / of_measured if of_measured else float("nan")
