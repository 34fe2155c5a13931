"""Colours, fonts and lines that all figures share."""

from __future__ import annotations

from typing import Any

INK = "#22303c"
BLUE, ORANGE, GREY = "#2166ac", "#d6604d", "#9aa5b1"
CYCLE = (BLUE, ORANGE, "#4d9221", "#762a83", "#01665e", "#8c510a")
DENSITY = "viridis"
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
    "pdf.fonttype": 42,  # text stays text, as journals ask
}
"""Settings to draw under: ``with matplotlib.rc_context(STYLE)``."""
