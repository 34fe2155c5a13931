"""Precision at k and range, counted by hand."""

import math

import numpy as np
import pytest

from crmnet.statistics.top import precision_at, relative_range


def test_precision_counts_common_rows_of_both_tops():
    measured = [9, 8, 7, 1, 2, 3]
    predicted = [5, 1, 4, 3, 0, 0]  # top 3: rows 0, 2, 3; measured top 3: rows 0, 1, 2
    assert precision_at(measured, predicted, 3) == pytest.approx(2 / 3)
    assert precision_at(measured, predicted, 1) == 1
    assert precision_at(measured, measured, 6) == 1
    assert precision_at(measured, np.negative(measured), 3) == 0
    for k in (0, 7):
        with pytest.raises(ValueError, match="k must be between 1 and the 6 values"):
            precision_at(measured, predicted, k)


def test_tied_values_share_the_places_that_are_left():
    """The first rows won, so constant predictions had the precision 1 on a sorted set."""
    measured, constant = np.arange(1000.0), np.zeros(1000)
    for order in (measured, measured[::-1]):
        assert precision_at(order, constant, 50) == pytest.approx(0.05)
    # Top 3 of the predictions: row 0, and two of rows 1 to 4, of which 1 and 2 are measured so.
    assert precision_at([9, 8, 7, 1, 2], [5, 4, 4, 4, 4], 3) == pytest.approx((1 + 2 * 2 / 4) / 3)
    # Of the measurements, one of rows 0 and 1.
    assert precision_at([9, 9, 7], [1, 5, 3], 1) == 0.5


def test_ties_count_as_the_mean_over_random_orders():
    rng = np.random.default_rng(0)
    measured, predicted = rng.integers(4, size=(2, 30))
    found = []
    for _ in range(4000):
        one, two = (np.lexsort([rng.random(30), -v])[:7] for v in (measured, predicted))
        found.append(len(np.intersect1d(one, two)) / 7)
    assert precision_at(measured, predicted, 7) == pytest.approx(np.mean(found), abs=0.01)


def test_the_top_of_unsigned_integers():
    """Their negatives wrapped around, so that 0 was the highest."""
    measured = np.array([0, 1, 2, 3], dtype=np.uint8)
    assert precision_at(measured, [0.5, 1.5, 2.5, 3.5], 1) == 1


def test_the_range_of_shrunk_predictions_is_smaller():
    measured = np.linspace(0, 17, 500)
    assert relative_range(measured, measured) == pytest.approx(1)
    assert relative_range(measured, 8.5 + 0.6 * (measured - 8.5)) == pytest.approx(0.6)
    assert relative_range(measured, -2 * measured) == pytest.approx(2)
    assert math.isnan(relative_range(np.ones(5), np.arange(5)))
