"""Figures of a data set: labels, lengths, base composition, families.

``data check`` calls :func:`write_check` with the result of :mod:`crmnet.data.check`. The figures
are in this folder because ``data`` may not import ``figures``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crmnet.data.check import Check
from crmnet.data.dataset import BIN_UNIT, Dataset
from crmnet.data.leaks import Leaks
from crmnet.figures.panels import (
    composition_lines,
    family_sizes,
    label_histogram,
    length_histogram,
)
from crmnet.figures.style import STYLE, literal
from crmnet.files import PathLike, write_text_atomically
from crmnet.reports.figures import save_figure


def write_dataset_picture(dataset: Dataset, path: PathLike) -> None:
    """Draw the distribution of a data set's labels in each medium, and save it."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5, 3), layout="constrained")
        ax = figure.subplots()
        _label_panel(ax, dataset.manifest["media"])
        save_figure(figure, path)


def write_check(folder: PathLike, check: Check, leaks: Leaks | None = None) -> None:
    """Write ``check.json`` and ``check.png``."""
    folder = Path(folder)
    content = {**asdict(check), "leaks": leaks.as_json() if leaks else None}
    write_text_atomically(folder / "check.json", json.dumps(content, indent=2) + "\n")
    with matplotlib.rc_context(STYLE):
        save_figure(check_page(check), folder / "check.png")


def check_page(check: Check) -> Figure:
    """Lengths and labels, as the paper's Supplementary Figure 3, and composition and families."""
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    title = f"{literal(check.name)}  (n = {check.rows:,})"
    figure.suptitle(title, x=0.01, ha="left", weight="bold")
    (lengths, labels), (bases, families) = figure.subplots(2, 2)
    length_histogram(lengths, check.construct_lengths)
    _label_panel(labels, check.media)
    composition_lines(bases, check.composition)
    family_sizes(families, check.families["sizes"], str(check.families["by"]))
    return figure


def _label_panel(ax: Axes, media: Mapping[str, Any]) -> None:
    label_histogram(ax, manifest_histograms({"media": media}))
    if any(many_integer_bins(medium) for medium in media.values()):
        ax.set_xlabel(
            "expression\n(bars one bin wide: many labels are integers, as of single cells)"
        )


def many_integer_bins(medium: Mapping[str, Any]) -> bool:
    """Whether labels of a medium are integer sorting bins more than twice as often as by chance."""
    width = medium["histogram"]["width"]
    bins = {int(k): v for k, v in medium["histogram"]["bins"].items()}
    integers = sum(count for position, count in bins.items() if position % round(1 / width) == 0)
    return medium.get("unit") == BIN_UNIT and bool(integers > 2 * width * sum(bins.values()))


def manifest_histograms(
    manifest: Mapping[str, Any], bars: int = 48
) -> dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Medium → left edges and counts of at most ``bars`` bars, from the manifest's fine bins.

    If many labels are integer bins, narrow bars would alternate between high and low. Bars are then
    one sorting bin wide and centred on the integers.
    """
    histograms = {}
    for medium, statistics in manifest["media"].items():
        fine = {int(k): v for k, v in statistics["histogram"]["bins"].items()}
        width, first_bin = statistics["histogram"]["width"], min(fine)
        if many_integer_bins(statistics):
            bins_per_bar = round(1 / width)
            bar = {k: (2 * k + bins_per_bar) // (2 * bins_per_bar) for k in fine}
            start, size = min(bar.values()) - 0.5, 1.0
        else:
            step = max(1, -(-(max(fine) - first_bin + 1) // bars))
            bar = {k: (k - first_bin) // step for k in fine}
            start, size = first_bin * width, step * width
        lowest = min(bar.values())
        counts = np.zeros(max(bar.values()) - lowest + 1)
        for position, count in fine.items():
            counts[bar[position] - lowest] += count
        histograms[medium] = (start + size * np.arange(len(counts)), counts)
    return histograms
