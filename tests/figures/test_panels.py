"""Artists, limits and labels on axes that are not displayed."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from crmnet.figures.panels import (
    _density_at,
    annotate_metrics,
    density_scatter,
    interval_bars,
    label_histogram,
    learning_curve,
)


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture
def two_axes():
    return Figure().subplots(1, 2)


def cloud(n=200, seed=0):
    rng = np.random.default_rng(seed)
    measured = rng.normal(8, 3, n)
    return measured, measured + rng.normal(1, 1, n)


def points_of(ax):
    (points,) = ax.collections
    return points


# -- scatter ----------------------------------------------------------------------------------


def test_both_axes_of_the_scatter_have_the_same_scale(ax):
    density_scatter(ax, np.array([0.0, 5.0, 10.0]), np.array([-10.0, 5.0, 15.0]))
    # The values span −10 to 15; the margin is 4 % of that on either side.
    assert ax.get_xlim() == ax.get_ylim() == pytest.approx((-11, 16))
    assert ax.get_aspect() == 1


def test_every_point_is_drawn_once(ax):
    measured, predicted = cloud()
    density_scatter(ax, measured, predicted)
    drawn = points_of(ax).get_offsets().data
    assert sorted(map(tuple, drawn)) == sorted(zip(measured, predicted, strict=True))


def test_dense_points_are_drawn_last_and_brightest(ax):
    rng = np.random.default_rng(0)
    crowd = rng.normal(2, 0.2, (300, 2))
    x, y = np.vstack([[[9.0, 9.0]], crowd]).T
    density_scatter(ax, x, y)
    assert tuple(points_of(ax).get_offsets().data[0]) == (9, 9)
    colors = points_of(ax).get_array()
    assert (np.diff(colors) >= 0).all()
    assert colors[-1] > colors[0]


def test_density_counts_the_neighbours():
    # Two distant positions, one with four points and one with a single point: √4 to √1.
    x = np.array([1.0, 1.0, 1.0, 1.0, 9.0])
    density = _density_at(x, x, (0.0, 10.0))
    assert density[0] / density[4] == pytest.approx(2)


def test_the_diagonal_is_perfect_prediction(ax):
    density_scatter(ax, *cloud())
    (line,) = ax.lines
    assert tuple(line.get_xdata()) == tuple(line.get_ydata()) == ax.get_xlim()


@pytest.mark.parametrize(("unit", "suffix"), [("", ""), ("bin", " (bin)")])
def test_the_axes_are_labelled_with_the_unit(ax, unit, suffix):
    density_scatter(ax, *cloud(), unit)
    assert ax.get_xlabel() == f"measured expression{suffix}"
    assert ax.get_ylabel() == f"predicted expression{suffix}"


def test_equal_values_are_drawn_too(ax):
    density_scatter(ax, np.full(5, 3.0), np.full(5, 3.0))
    assert ax.get_xlim() == pytest.approx((2.96, 3.04))
    assert len(points_of(ax).get_offsets()) == 5


def test_arguments_are_not_changed(ax):
    measured, predicted = cloud()
    measured.flags.writeable = predicted.flags.writeable = False
    density_scatter(ax, measured, predicted)


def test_numbers_are_written_into_the_upper_left_corner(ax):
    annotate_metrics(ax, ["r = 0.9", "n = 7"])
    (text,) = ax.texts
    assert text.get_text() == "r = 0.9\nn = 7"
    assert (text.get_ha(), text.get_va()) == ("left", "top")
    assert text.get_transform() == ax.transAxes
    assert text.get_bbox_patch().get_alpha() > 0.5  # points under the numbers do not hide them


# -- learning curve ---------------------------------------------------------------------------

HISTORY = {
    "epoch": np.array([1.0, 2.0, 3.0]),
    "loss": np.array([3.0, 2.0, 1.0]),
    "val_loss": np.array([3.5, 2.5, 2.0]),
    "val_r": np.array([0.5, 0.7, 0.8]),
    "val_r2": np.array([0.2, 0.4, 0.6]),
}


def curves_of(ax):
    """Label → values of the curves, without the line at the best epoch."""
    return {
        line.get_label(): line.get_ydata().tolist()
        for line in ax.lines
        if line.get_label() != "epoch kept"
    }


def marks_of(ax):
    """Positions of the lines that the legend names as the epoch kept."""
    assert all(not line.get_label().startswith("_") for line in ax.lines)
    return [line.get_xdata()[0] for line in ax.lines if line.get_label() == "epoch kept"]


def test_loss_and_accuracy_have_separate_axes(two_axes):
    learning_curve(*two_axes, HISTORY, best_epoch=3)
    assert curves_of(two_axes[0]) == {"training": [3, 2, 1], "validation": [3.5, 2.5, 2]}
    assert curves_of(two_axes[1]) == {"Pearson r": [0.5, 0.7, 0.8], "R²": [0.2, 0.4, 0.6]}
    assert [ax.get_xlabel() for ax in two_axes] == ["epoch", "epoch"]
    assert [ax.get_title() for ax in two_axes] == ["Loss", "Accuracy"]


def test_curves_run_over_the_epochs(two_axes):
    learning_curve(*two_axes, HISTORY, best_epoch=None)
    for ax in two_axes:
        assert all(line.get_xdata().tolist() == [1, 2, 3] for line in ax.lines)


@pytest.mark.parametrize(("best", "marks"), [(2, [2]), (None, [])])
def test_the_best_epoch_is_marked_where_there_is_one(two_axes, best, marks):
    learning_curve(*two_axes, HISTORY, best)
    assert [marks_of(ax) for ax in two_axes] == [marks, marks]


@pytest.mark.parametrize(("worst", "bottom"), [(0.2, 0.15), (-0.02, -0.07), (-5.0, -0.1)])
def test_a_bad_first_epoch_does_not_squeeze_the_accuracy(two_axes, worst, bottom):
    history = {**HISTORY, "val_r2": np.array([worst, 0.4, 0.6])}
    learning_curve(*two_axes, history, None)
    assert two_axes[1].get_ylim() == pytest.approx((bottom, 1))


def test_a_single_epoch_whose_accuracy_is_not_defined_is_drawn(two_axes):
    history = {name: values[:1] for name, values in HISTORY.items()}
    history["val_r"] = history["val_r2"] = np.array([np.nan])
    learning_curve(*two_axes, history, None)
    assert np.isfinite(two_axes[1].get_ylim()).all()
    low, high = two_axes[0].get_xlim()
    ticks = [x for x in two_axes[0].get_xticks() if low <= x <= high]
    assert ticks == [1]  # not 0.96, 0.98, 1.00 …


# -- histogram --------------------------------------------------------------------------------

EDGES = np.array([0.0, 0.5, 1.0])


def outlines_of(ax):
    """Label → (shares, edges) of the outlines that the legend names."""
    return {
        patch.get_label(): (patch.get_data().values, patch.get_data().edges)
        for patch in ax.patches
        if patch.get_label() and not patch.get_label().startswith("_")
    }


def test_each_medium_is_drawn_as_shares_of_its_own_rows(ax):
    counts = {"complex": np.array([1.0, 2.0, 1.0]), "defined": np.array([0.0, 30.0, 10.0])}
    label_histogram(ax, {medium: (EDGES, count) for medium, count in counts.items()})
    drawn = outlines_of(ax)
    assert drawn["complex"][0].tolist() == [0.25, 0.5, 0.25]
    assert drawn["defined"][0].tolist() == [0, 0.75, 0.25]
    assert drawn["complex"][1].tolist() == [0, 0.5, 1, 1.5]


def test_the_legend_names_the_media(ax):
    label_histogram(ax, {"complex": (EDGES, np.ones(3)), "dream": (EDGES, np.ones(3))})
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["complex", "dream"]


@pytest.mark.parametrize(("unit", "label"), [("", "expression"), ("bin", "expression (bin)")])
def test_the_histogram_names_its_unit(ax, unit, label):
    label_histogram(ax, {"complex": (EDGES, np.ones(3))}, unit)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (label, "share of rows")


def test_labels_that_are_all_equal_make_one_bar(ax):
    label_histogram(ax, {"complex": (np.array([4.0]), np.array([9.0]))})
    shares, edges = outlines_of(ax)["complex"]
    assert (shares.tolist(), edges.tolist()) == ([1], [4, 5])


@pytest.mark.parametrize(("low", "start"), [(0.94, 0.92), (0.0, 0.0)])
def test_bars_with_intervals_start_at_0_or_the_label_states_where(low, start):
    ax = Figure().subplots()
    values = np.array([0.98, np.nan, low + 0.01])
    intervals = np.array([[0.97, 0.99], [np.nan, np.nan], [low, low + 0.02]])
    leading = np.array([True, False, False])
    interval_bars(ax, ["a", "b", "c"], values, intervals, leading, "r")
    bars = [(b.get_x(), b.get_x() + b.get_width()) for b in ax.patches]
    assert bars == [pytest.approx((start, 0.98)), pytest.approx((start, low + 0.01))]
    assert ax.get_xlabel() == ("r (axis from 0.92)" if start else "r")
    assert [t.get_text() for t in ax.texts] == ["0.9800", f"{low + 0.01:.4f}"]
    assert ax.yaxis_inverted()
