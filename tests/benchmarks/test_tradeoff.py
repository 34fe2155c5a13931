"""Labels beside points: every one there, none on another, on a point or on a bar."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from tradeoff import label_points, tradeoff

from crmnet.models import MODELS

pytestmark = pytest.mark.slow


def drawn(x, values, names):
    figure = Figure(figsize=(5, 4), layout="constrained")
    ax = figure.subplots()
    bars = np.stack([values - 0.004, values + 0.003], axis=1)
    tradeoff(ax, x, values, bars, values == values.max())
    label_points(ax, names, x, values, bars)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    # Of the words alone, without the lines that lead to them.
    boxes = {text.get_text(): Text.get_window_extent(text, renderer) for text in ax.texts}
    return ax, boxes, bars


@pytest.mark.parametrize("seed", range(4))
def test_labels_of_the_zoo_cover_nothing(seed):
    rng = np.random.default_rng(seed)
    names = list(MODELS)
    x, values = 10 ** rng.uniform(1, 4, len(names)), rng.uniform(0.85, 0.93, len(names))
    ax, boxes, bars = drawn(x, values, names)
    assert set(boxes) == set(names)
    for one, other in itertools.combinations(boxes.values(), 2):
        assert not one.overlaps(other)
    points = ax.transData.transform(np.column_stack([x, values]))
    for box in boxes.values():
        assert not any(box.contains(*point) for point in points)
        assert ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1
        for place, ends in zip(x, bars, strict=True):
            middle = ax.transData.transform([(place, end) for end in np.linspace(*ends, 9)])
            assert not any(box.contains(*point) for point in middle)


def test_points_that_coincide_are_labelled_apart_and_led_to():
    ax, boxes, _ = drawn(np.full(3, 100.0), np.full(3, 0.9), ["first", "second", "third"])
    for one, other in itertools.combinations(boxes.values(), 2):
        assert not one.overlaps(other)
    assert ax.get_xscale() == "log"
