"""Artists of the panels about variants."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from crmnet.figures.mutations import (
    colour_limit,
    deletion_track,
    epistasis_map,
    substitution_map,
)
from crmnet.figures.style import BLUE, ORANGE
from crmnet.sequence import encode


@pytest.fixture
def ax():
    return Figure().subplots()


def test_the_colour_scale_is_symmetric():
    assert colour_limit([1, np.nan], [[-3.0, 2]]) == 3
    assert colour_limit([np.nan]) == colour_limit([0.0]) == colour_limit() == 1


def test_a_heat_map_marks_the_bases_of_the_sequence(ax):
    delta = np.arange(16.0).reshape(4, 4)
    image = substitution_map(ax, delta, encode(["GNAT"])[0][0], 18, limit=20, title="p$1")
    assert image.get_clim() == (-20, 20)
    np.testing.assert_array_equal(image.get_array(), delta)
    assert tuple(image.get_extent()) == (17.5, 21.5, 3.5, -0.5)
    (dots,) = ax.collections
    assert dots.get_offsets().tolist() == [[18, 2], [20, 0], [21, 3]]  # not at the N
    letters = [(t.get_position()[0], t.get_text()) for t in ax.texts]
    assert letters == [(18, "G"), (19, "N"), (20, "A"), (21, "T")]
    assert [t.get_text() for t in ax.get_yticklabels()] == list("ACGT")


def test_an_epistasis_map_has_equal_axes(ax):
    image = epistasis_map(ax, np.eye(5), 3, limit=1, title="p")
    assert tuple(image.get_extent()) == (2.5, 7.5, 7.5, 2.5)
    assert ax.get_aspect() == 1


def test_deletions_are_bars_over_the_deleted_bases(ax):
    deletion_track(ax, [1, 3], [4, 6], [0.5, -2.0], title="p")
    bars = [(b.get_x(), b.get_width(), b.get_height()) for b in ax.patches]
    assert bars == [(pytest.approx(2.55), pytest.approx(3.9), -2.0),
                    (pytest.approx(0.55), pytest.approx(3.9), 0.5)]  # fmt: skip
    colours = [tuple(b.get_facecolor()[:3]) for b in ax.patches]
    assert colours == [to_rgb(BLUE), to_rgb(ORANGE)]
