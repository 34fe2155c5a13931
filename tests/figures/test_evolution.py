"""Panels about evolution, on axes that are not displayed."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from crmnet.figures.evolution import (
    archetype_curves,
    archetype_map,
    conservation_histogram,
    scatter_by_series,
    share_histogram,
    trajectory_lines,
)


@pytest.fixture
def ax():
    return Figure().subplots()


def test_every_share_is_counted_once_and_nan_is_left_out(ax):
    share_histogram(ax, {"complex": [0.0, 0.5, 0.5, 1.0, np.nan], "defined": [0.2]}, "robustness")
    filled, *_ = ax.patches
    assert filled.get_data().values.sum() == 4
    assert ax.get_xlim() == (0, 1)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["complex", "defined"]


def test_one_series_has_no_legend(ax):
    share_histogram(ax, {"complex": [0.5]}, "robustness")
    assert ax.get_legend() is None


def test_a_trajectory_keeps_its_last_value_after_its_end(ax):
    paths = np.array([[0.0, 1, np.nan, np.nan], [0.0, 1, 2, 3], [0.0, 1, 4, np.nan]])
    trajectory_lines(ax, {"up": paths}, "expression", "complex")
    (line,) = ax.lines
    # Medians of (0, 0, 0), (1, 1, 1), (1, 2, 4) and (1, 3, 4).
    assert line.get_ydata().tolist() == [0, 1, 2, 3]
    assert line.get_xdata().tolist() == [0, 1, 2, 3]


def test_points_of_each_series_are_drawn(ax):
    scatter_by_series(ax, {"a": ([1, 2], [3, 4]), "b": ([5], [6])}, "x", "y")
    assert [len(points.get_offsets()) for points in ax.collections] == [2, 1]


def test_extreme_coefficients_are_in_the_end_bars(ax):
    values = [*np.linspace(-0.9, 0.9, 400), 30.0, np.nan]
    conservation_histogram(ax, values)
    assert sum(bar.get_height() for bar in ax.patches) == 401
    assert ax.get_xlim()[1] < 3
    assert ax.patches[-1].get_height() >= 1


def test_archetypes_are_numbered_from_1(ax):
    archetype_curves(ax, [[-1, 0, 1], [-2, 0, 0]], "bins in complex")
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["archetype 1", "archetype 2"]
    other = Figure().subplots()
    archetype_map(other, np.zeros((5, 2)), [[0, 1], [2, 3]], np.arange(5), "expression")
    assert [text.get_text() for text in other.texts] == ["1", "2"]
