"""Draws the learning curve of a run from its history.

:func:`write_learning_curve` takes a run folder and writes a figure into it; ``crmnet train`` and
the studies call it after training.
"""

from __future__ import annotations

import csv
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from crmnet.figures.panels import learning_curve
from crmnet.figures.style import STYLE
from crmnet.files import PathLike
from crmnet.reports.figures import save_figure
from crmnet.runs.folder import HISTORY, load_record


def write_learning_curve(run: PathLike) -> None:
    """Write ``learning_curve.png`` into a run folder, from its ``history.csv``."""
    run = Path(run)
    with (run / HISTORY).open(newline="") as file:
        rows = list(csv.DictReader(file))
    history = {key: np.array([float(row[key]) for row in rows]) for key in rows[0]}
    best = load_record(run).best
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        axes = figure.subplots(1, 2)
        learning_curve(axes[0], axes[1], history, best.epoch if best else None)
        save_figure(figure, run / "learning_curve.png")
