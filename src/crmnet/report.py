"""Pictures and tables of a run or an evaluation, arranged and saved.

Takes what :mod:`crmnet.train` and :mod:`crmnet.evaluate` left or returned and writes the files a
person looks at. Drawing itself is in :mod:`crmnet.figures`.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crmnet.benchmark import PAPER_ROWS, BenchmarkResult, as_json, markdown
from crmnet.checkpoint import HISTORY, load_record
from crmnet.data.check import Check
from crmnet.data.dataset import BIN_UNIT, UNKNOWN_UNIT, Dataset
from crmnet.data.leaks import Leaks
from crmnet.data.tables import TableWriter
from crmnet.evaluate import ESTIMATES, METRICS, WITHIN, Scored, save_metrics
from crmnet.figures.panels import (
    STYLE,
    annotate_metrics,
    composition_lines,
    density_scatter,
    family_sizes,
    label_histogram,
    learning_curve,
    length_histogram,
    throughput_bars,
)
from crmnet.files import write_atomically, write_text_atomically

METRIC_TITLES = {
    "pearson": "Pearson r",
    "spearman": "Spearman ρ",
    "r2": "R²",
    "mse": "MSE",
    "mae": "MAE",
    "mse_affine": "MSE fitted",
    WITHIN: "r within families",
}


def save_figure(figure: Figure, path: Path) -> None:
    """Save in the format of the suffix, in one step."""
    kind = path.suffix.removeprefix(".")
    write_atomically(path, lambda p: figure.savefig(p, format=kind, bbox_inches="tight"))


def write_evaluation(folder: Path, sets: Sequence[Scored], summary: Mapping[str, Any]) -> None:
    """Leave ``metrics.json``, ``metrics.tsv``, ``predictions.tsv`` and ``scatter.png``."""
    save_metrics(folder, dict(summary))
    _write_metric_table(folder / "metrics.tsv", summary)
    columns = ["set", "row", "family", "measured", "predicted"]
    asked = any(scored.seen is not None for scored in sets)
    with TableWriter(folder / "predictions.tsv", [*columns, *["seen"] * asked]) as table:
        for scored in sets:
            table.write(
                {
                    "set": [scored.name] * len(scored.measured),
                    "row": np.arange(len(scored.measured)) if scored.row is None else scored.row,
                    "family": [
                        family.decode(errors="replace") if isinstance(family, bytes) else family
                        for family in scored.family.tolist()
                    ],
                    "measured": scored.measured.astype(np.float32),
                    "predicted": scored.predicted.astype(np.float32),
                    **({"seen": _seen_column(scored)} if asked else {}),
                }
            )
    with matplotlib.rc_context(STYLE):
        save_figure(scatter_page(sets, summary), folder / "scatter.png")


def _seen_column(scored: Scored) -> npt.NDArray[np.int64]:
    """1 where the training data hold the row, else 0."""
    rows = scored.seen.rows if scored.seen is not None else np.zeros(len(scored.measured))
    return rows.astype(np.int64)


def _write_metric_table(path: Path, summary: Mapping[str, Any]) -> None:
    columns = ["set", "n", "families", "unit", "metric", "value", "low", "high"]
    with TableWriter(path, columns) as table:
        for whole, found in summary["sets"].items():
            rows = [
                (
                    name if part is found else f"{whole}, {name.strip()}",
                    part["n"],
                    part["families"],
                    found["unit"] or "",
                    metric,
                    *part[metric].values(),
                )
                for name, part in _with_parts(whole, found)
                for metric in ESTIMATES
                if metric in part
            ]
            table.write(dict(zip(columns, zip(*rows, strict=True), strict=True)))


def metric_lines(summary: Mapping[str, Any]) -> list[str]:
    """A plain-text table of the metrics with their intervals, for the terminal and the docs."""
    sets = summary["sets"]
    related = any(found[WITHIN]["value"] is not None for found in sets.values())
    parts = [part for name, found in sets.items() for part in _with_parts(name, found)]
    metrics = ESTIMATES if related else METRICS
    units = any(found.get("unit") for found in sets.values())
    rows = [["set", "n", *["unit"] * units, *(METRIC_TITLES[metric] for metric in metrics)]]
    for name, found in parts:
        unit = [found.get("unit") or ""] * units
        values = [with_interval(found[m]) if m in found else "too few rows" for m in metrics]
        rows.append([name, f"{found['n']:,}", *unit, *values])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number == 1 else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _with_parts(name: str, found: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """A set, and where it is known what the training data hold, what they hold of it and not."""
    against = found.get("against")
    if against is None:
        return [(name, found)]
    data = against["data"]
    shown = (f"  not in {data}", against["unseen"]), (f"  in {data}", against["seen"])
    return [(name, found), *shown]


def leak_lines(summary: Mapping[str, Any]) -> list[str]:
    """For each set of which the training data hold rows, a sentence that says how many."""
    said = []
    for name, found in summary["sets"].items():
        against = found.get("against")
        if against and against["seen"]["n"]:
            what = {
                "exact": "with the same insert",
                "near": "with the same insert or one a few bases away",
                "words": "with the same insert, one a few bases away, or one that shares a word",
            }[against["level"]]
            said.append(
                f"{name}: {against['data']} holds {against['seen']['n']:,} of its {found['n']:,} "
                f"rows ({what}); only the other {against['unseen']['n']:,} tell how good the "
                "model is on promoters it has not seen"
            )
    return said


def family_lines(summary: Mapping[str, Any]) -> list[str]:
    """For each way of telling relatives, a sentence that names the sets and counts the families."""
    told: dict[str, list[str]] = {}
    for name, found in summary["sets"].items():
        if (by := found["families_by"]) is not None:
            counts = f"{found['families']:,} families of {found['n']:,} rows"
            told.setdefault(by, []).append(f"{name} ({counts})")
    what = {by: f"families by {by}" for by in told} | {"row": "rows, taken for unrelated"}
    return [f"intervals resample {what[by]}: {', '.join(sets)}" for by, sets in told.items()]


def unit_warnings(sets: Sequence[Scored]) -> list[str]:
    """A sentence for each set that was measured in another unit than the model predicts."""
    return [
        f"{scored.name}: measured in {_of(scored.unit)}, "
        f"predicted in {_of(scored.predicted_unit)}; r and ρ compare, R², MSE and MAE "
        "do not: see the MSE after an affine fit"
        for scored in sets
        if scored.units_differ
    ]


def _of(unit: str | None) -> str:
    return "an unknown unit" if unit == UNKNOWN_UNIT else f"the unit {unit!r}"


def with_interval(estimate: Mapping[str, float | None], digits: int = 4) -> str:
    """``0.9776 [0.9753, 0.9800]``; says so where the value or its interval is not defined."""
    value, low, high = (
        x if x is not None and math.isfinite(x) else None
        for x in (estimate["value"], estimate["low"], estimate["high"])
    )
    if value is None:
        return "not defined"
    if low is None or high is None:
        return f"{value:.{digits}f} [no interval]"
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def scatter_page(sets: Sequence[Scored], summary: Mapping[str, Any]) -> Figure:
    """One density scatter per set, as the paper's Figure 2."""
    columns = len(sets) if len(sets) < 4 else 2 if len(sets) == 4 else 3
    rows = -(-len(sets) // columns)
    figure = Figure(figsize=(3.9 * columns, 4.1 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax, scored in zip(axes.flat, sets, strict=False):
        found = summary["sets"][scored.name]
        density_scatter(ax, scored.measured, scored.predicted)
        ax.set_title(f"{scored.name}  (n = {found['n']:,})")
        annotate_metrics(
            ax,
            [f"{METRIC_TITLES[m]} {with_interval(found[m], 3)}" for m in ("pearson", "r2", "mse")],
        )
    for ax in axes.flat[len(sets) :]:
        ax.set_visible(False)
    return figure


def write_learning_curve(run: Path) -> None:
    """Leave ``learning_curve.png`` in a run folder."""
    with (run / HISTORY).open(newline="") as file:
        rows = list(csv.DictReader(file))
    history = {key: np.array([float(row[key]) for row in rows]) for key in rows[0]}
    best = load_record(run).best
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        axes = figure.subplots(1, 2)
        learning_curve(axes[0], axes[1], history, best.epoch if best else None)
        save_figure(figure, run / "learning_curve.png")


def write_dataset_picture(dataset: Dataset, path: Path) -> None:
    """Draw the distribution of a data set's labels, per medium."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5, 3), layout="constrained")
        ax = figure.subplots()
        _label_panel(ax, dataset.manifest["media"])
        save_figure(figure, path)


def write_check(folder: Path, check: Check, leaks: Leaks | None = None) -> None:
    """Leave ``check.json`` and ``check.png``."""
    found = {**asdict(check), "leaks": leaks.as_json() if leaks else None}
    write_text_atomically(folder / "check.json", json.dumps(found, indent=2) + "\n")
    with matplotlib.rc_context(STYLE):
        save_figure(check_page(check), folder / "check.png")


def check_page(check: Check) -> Figure:
    """What a data set is made of: lengths and labels as the paper's Supplementary Figure 3."""
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    figure.suptitle(f"{check.name}  (n = {check.rows:,})", x=0.01, ha="left", weight="bold")
    (lengths, labels), (bases, families) = figure.subplots(2, 2)
    length_histogram(lengths, check.construct_lengths)
    _label_panel(labels, check.media)
    composition_lines(bases, check.composition)
    family_sizes(families, check.families["sizes"], str(check.families["by"]))
    return figure


def _label_panel(ax: Axes, media: Mapping[str, Any]) -> None:
    label_histogram(ax, manifest_histograms({"media": media}))
    if any(mostly_whole(found) for found in media.values()):
        ax.set_xlabel("expression\n(bars one bin wide: many labels are whole, as of single cells)")


def mostly_whole(found: Mapping[str, Any]) -> bool:
    """Whether a medium has many labels that are whole sorting bins, twice as many as by chance."""
    width = found["histogram"]["width"]
    bins = {int(k): v for k, v in found["histogram"]["bins"].items()}
    whole = sum(count for position, count in bins.items() if position % round(1 / width) == 0)
    return found.get("unit") == BIN_UNIT and bool(whole > 2 * width * sum(bins.values()))


def manifest_histograms(
    manifest: Mapping[str, Any], bars: int = 48
) -> dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Medium → left edges and counts, with the manifest's fine bins joined to at most ``bars``.

    Where many labels are whole bins, narrow bars would be a comb: they are one bin wide there, with
    the whole number in their middle.
    """
    histograms = {}
    for medium, found in manifest["media"].items():
        fine = {int(k): v for k, v in found["histogram"]["bins"].items()}
        width, first = found["histogram"]["width"], min(fine)
        if mostly_whole(found):
            each = round(1 / width)
            bar = {k: (2 * k + each) // (2 * each) for k in fine}
            start, size = min(bar.values()) - 0.5, 1.0
        else:
            step = max(1, -(-(max(fine) - first + 1) // bars))
            bar = {k: (k - first) // step for k in fine}
            start, size = first * width, step * width
        lowest = min(bar.values())
        counts = np.zeros(max(bar.values()) - lowest + 1)
        for position, count in fine.items():
            counts[bar[position] - lowest] += count
        histograms[medium] = (start + size * np.arange(len(counts)), counts)
    return histograms


def write_benchmark(folder: Path, result: BenchmarkResult) -> None:
    """Leave ``benchmark.md``, ``benchmark.json`` and ``benchmark.png``."""
    write_text_atomically(folder / "benchmark.md", markdown(result))
    write_text_atomically(folder / "benchmark.json", json.dumps(as_json(result), indent=2) + "\n")
    with matplotlib.rc_context(STYLE):
        save_figure(benchmark_page(result), folder / "benchmark.png")


def benchmark_page(result: BenchmarkResult) -> Figure:
    """Training throughput of the rows that fitted, above the paper's."""
    measured = [
        (row, row.sequences_per_s, here)
        for rows, here in ((result.training, True), (PAPER_ROWS, False))
        for row in rows
        if row.sequences_per_s is not None
    ]
    figure = Figure(figsize=(8, 1.2 + 0.24 * len(measured)), layout="constrained")
    throughput_bars(
        figure.subplots(),
        [f"{r.devices} × {r.hardware}, {r.precision}, {r.batch_size:,}" for r, _, _ in measured],
        np.array([rate for _, rate, _ in measured]),
        np.array([here for _, _, here in measured]),
    )
    return figure
