"""Colours are defined in one module."""

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import crmnet.figures.style
from crmnet.figures.panels import composition_lines, interval_bars
from crmnet.figures.style import BASE_COLOURS, BEST_MODELS, OTHER_MODELS

SOURCE = Path(crmnet.figures.style.__file__).parents[1]
COLOUR = re.compile(
    r"""["']#[0-9a-fA-F]{3,8}["']|(color|edgecolor|facecolor|ecolor)=["'](?!none["'])"""
)


@pytest.fixture
def ax():
    return Figure().subplots()


def test_only_the_style_names_colours():
    found = [path.name for path in SOURCE.rglob("*.py") if COLOUR.search(path.read_text())]
    assert found == ["style.py"]


def test_bases_have_the_colours_of_the_style(ax):
    composition_lines(ax, {base: [0.1, 0.2] for base in "ACGTN"})
    assert {line.get_label(): line.get_color() for line in ax.lines} == BASE_COLOURS


def test_the_best_models_have_their_colour(ax):
    intervals = np.array([[0.8, 1.0], [0.1, 0.3]])
    interval_bars(ax, ["a", "b"], np.array([0.9, 0.2]), intervals, np.array([True, False]), "r")
    bars = [to_hex(bar.get_facecolor()) for bar in ax.patches]
    assert bars == [BEST_MODELS, OTHER_MODELS]
