"""The line of least squares, and constant predictions, which have none."""

import numpy as np
import pytest

from crmnet.statistics.scale import fit_cross_fitted, fit_line


def test_the_weighted_line_by_hand():
    # The row of weight 3 counts as three rows: x 0, 1, 2, 2, 2 and y 1, 2, 5, 5, 5.
    # Σdx² = 1.96 + 0.16 + 3 · 0.36 = 3.2; Σdxdy = 3.64 + 0.64 + 3 · 0.84 = 6.8
    line = fit_line(np.array([0.0, 1, 2]), np.array([1.0, 2, 5]), np.array([1.0, 1, 3]))
    assert line == pytest.approx((6.8 / 3.2, 3.6 - 1.4 * 6.8 / 3.2))
    assert fit_line(np.array([1e6, 1e6 + 8]), np.array([1.0, 5.0])).slope == pytest.approx(0.5)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("n", [13, 50, 401])
@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 11.7])
def test_constant_predictions_have_the_slope_0(value, n, kind):
    """The mean of equal numbers is rounded, so slopes were up to 1e17."""
    x, y = np.full(n, value, dtype=kind), np.random.default_rng(n).normal(9, 3, n)
    assert fit_line(x, y) == pytest.approx((0, y.mean()))


def test_constant_predictions_are_not_rescaled():
    """Seven of these 300 sets were."""
    for seed in range(300):
        labels = np.random.default_rng(seed).normal(9, 3, 50)
        predicted = np.full(50, 0.1 + seed / 7)
        for equal in (False, True):
            assert fit_cross_fitted(
                labels, predicted, np.arange(50) // 2, equal_families=equal
            ) is None  # fmt: skip


def test_constant_measurements_give_no_line():
    """Rounding noise gave a slope of 1e-17, which made a constant output of every prediction."""
    rng = np.random.default_rng(0)
    lines = [
        fit_cross_fitted(np.full(40, 5.1), rng.normal(size=40), np.arange(40)) for _ in range(50)
    ]
    assert lines == [None] * 50
