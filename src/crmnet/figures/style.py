"""Colours, fonts and lines of all figures. This is the only place that defines a colour."""

from __future__ import annotations

from typing import Any, Literal

INK = "#22303c"
"""Text, axes and error bars."""
BLUE, ORANGE, GREY = "#2166ac", "#d6604d", "#9aa5b1"
COLOUR_NAMES = {BLUE: "blue", ORANGE: "orange", GREY: "grey"}
"""Names for captions."""
CYCLE = (BLUE, ORANGE, "#4d9221", "#762a83", "#01665e", "#8c510a")
"""Colours of the series of one panel, such as media, in this order."""
DENSITY = "viridis"
"""Colour map of density scatters."""
DIVERGING = "RdBu_r"
"""Colour map of effects: red raises expression, blue lowers it, white is 0."""
GRID = "#e6eaee"
BACKGROUND = "white"
"""Holes in letters, and inside of markers."""
DARK_INK, DARK_BLUE, DARK_GRID = "#e3e8ed", "#8ec1f0", "#36424e"
"""Text, links and lines of a page where the reader prefers dark pages."""
DARK_BACKGROUND, DARK_PANEL, PANEL = "#14191f", "#1d242c", "#f5f7f9"
"""Backgrounds of a dark page; of its contents and commands; of those on a light page."""
DASHED = (0, (4, 3))
"""Line style of references: perfect prediction, the best epoch."""

BASE_COLOURS = {"A": "#2f9e44", "C": "#1c5fb8", "G": "#e8a317", "T": "#c92a2a", "N": GREY}
"""A green, C blue, G orange, T red, as is usual in the field."""

BEST_MODELS, OTHER_MODELS = BLUE, GREY
"""Bars of Figures 3 and 4: the best model and those not significantly worse; all others."""
MEASURED_HERE, FROM_PAPER = BLUE, GREY
"""Bars of the benchmark."""
CERTAIN, UNCERTAIN = "black", "#888888"
"""Titles of motifs with a significant match to a known motif, and without one."""

Background = Literal["light", "dark"]
"""Colour of the page around a figure of the docs."""
PAGE: dict[Background, str] = {"light": BACKGROUND, "dark": "#131416"}
PAGE_TEXT: dict[Background, str] = {"light": INK, "dark": "#e3e6ea"}
ARCHITECTURE = {"encoder": BLUE, "transformer": ORANGE, "decoder": "#4d9221", "tail": "#01665e",
                "dense": "#8c6bb1", "output": "#e8a317"}  # fmt: skip
"""Boxes of the parts of a network, on either background."""


def literal(text: str) -> str:
    """Text of the user, such as a name or unit, that matplotlib shows as it is.

    Between two unescaped dollars it would set mathematics, or raise an error.
    """
    return text.replace("$", r"\$")


STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # text stays text, as journals require
}
"""matplotlib settings; figures are drawn inside ``with matplotlib.rc_context(STYLE):``."""
