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
from matplotlib.figure import Figure

from crmnet.benchmark import PAPER_ROWS, BenchmarkResult, as_json, markdown
from crmnet.checkpoint import HISTORY, load_record, write_atomically, write_text_atomically
from crmnet.compare import LOW_IS_GOOD, Result
from crmnet.data.check import Check
from crmnet.data.dataset import Dataset
from crmnet.data.leaks import Leaks
from crmnet.data.tables import TableWriter
from crmnet.evaluate import ESTIMATES, METRICS, WITHIN, Scored, finite, save_metrics
from crmnet.figures.panels import (
    STYLE,
    annotate_metrics,
    composition_lines,
    density_scatter,
    family_sizes,
    interval_bars,
    label_histogram,
    learning_curve,
    length_histogram,
    throughput_bars,
)

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
    folder.mkdir(parents=True, exist_ok=True)
    save_metrics(folder, dict(summary))
    _write_metric_table(folder / "metrics.tsv", summary)
    columns = ["set", "row", "family", "measured", "predicted"]
    with TableWriter(folder / "predictions.tsv", columns) as table:
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
                }
            )
    with matplotlib.rc_context(STYLE):
        save_figure(scatter_page(sets, summary), folder / "scatter.png")


def _write_metric_table(path: Path, summary: Mapping[str, Any]) -> None:
    columns = ["set", "n", "families", "metric", "value", "low", "high"]
    with TableWriter(path, columns) as table:
        for name, found in summary["sets"].items():
            rows = [
                (name, found["n"], found["families"], metric, *found[metric].values())
                for metric in ESTIMATES
            ]
            table.write(dict(zip(columns, zip(*rows, strict=True), strict=True)))


def metric_lines(summary: Mapping[str, Any]) -> list[str]:
    """A plain-text table of the metrics with their intervals, for the terminal and the docs."""
    sets = summary["sets"]
    related = any(found[WITHIN]["value"] is not None for found in sets.values())
    metrics = ESTIMATES if related else METRICS
    rows = [["set", "n", *(METRIC_TITLES[metric] for metric in metrics)]]
    for name, found in sets.items():
        rows.append([name, f"{found['n']:,}", *(with_interval(found[m]) for m in metrics)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number == 1 else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


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
        label_histogram(ax, manifest_histograms(dataset.manifest))
        save_figure(figure, path)


def write_check(folder: Path, check: Check, leaks: Leaks | None = None) -> None:
    """Leave ``check.json`` and ``check.png``."""
    folder.mkdir(parents=True, exist_ok=True)
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
    label_histogram(labels, manifest_histograms({"media": check.media}))
    composition_lines(bases, check.composition)
    family_sizes(families, check.families["sizes"], str(check.families["by"]))
    return figure


def manifest_histograms(
    manifest: Mapping[str, Any], bars: int = 48
) -> dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Medium → left edges and counts, with the manifest's fine bins joined to at most ``bars``."""
    histograms = {}
    for medium, found in manifest["media"].items():
        fine = {int(k): v for k, v in found["histogram"]["bins"].items()}
        first, last = min(fine), max(fine)
        step = max(1, -(-(last - first + 1) // bars))
        counts = np.zeros((last - first) // step + 1)
        for position, count in fine.items():
            counts[(position - first) // step] += count
        width = found["histogram"]["width"]
        histograms[medium] = ((first + step * np.arange(len(counts))) * width, counts)
    return histograms


def write_benchmark(folder: Path, result: BenchmarkResult) -> None:
    """Leave ``benchmark.md``, ``benchmark.json`` and ``benchmark.png``."""
    folder.mkdir(parents=True, exist_ok=True)
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


def write_comparison(folder: Path, results: Sequence[Result]) -> None:
    """Leave ``compare.json``, ``compare.csv``, ``compare.md`` and ``compare.png`` (Figure 3)."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text_atomically(
        folder / "compare.json", json.dumps(comparison_json(results), indent=2) + "\n"
    )
    write_text_atomically(folder / "compare.md", comparison_markdown(results))
    columns = ["set", "n", "families", "model", "metric", "value", "low", "high"]
    with TableWriter(folder / "compare.csv", columns) as table:
        for result in results:
            rows = [
                (result.name, result.n, result.families, model, name, *vars(found).values())
                for model, estimates in result.estimates.items()
                for name, found in estimates.items()
            ]
            table.write(dict(zip(columns, zip(*rows, strict=True), strict=True)))
    with matplotlib.rc_context(STYLE):
        save_figure(comparison_page(results), folder / "compare.png")


def comparison_json(results: Sequence[Result]) -> dict[str, Any]:
    """Sets → models → metrics, and every pair; what is not defined is null."""
    return {
        "sets": {
            r.name: {
                "n": r.n,
                "families": r.families,
                "left_out": r.left_out,
                "resamples": r.resamples,
                "models": {
                    model: {name: _plain(vars(found)) for name, found in estimates.items()}
                    for model, estimates in r.estimates.items()
                },
                "pairs": [
                    {"a": p.a, "b": p.b, "metric": r.metric, **_plain(vars(p.difference)),
                     "p_corrected": finite(p.p_corrected)}
                    for p in r.pairs
                ],
            }
            for r in results
        }
    }  # fmt: skip


def _plain(values: Mapping[str, float]) -> dict[str, float | None]:
    return {key: finite(value) for key, value in values.items()}


def comparison_markdown(results: Sequence[Result]) -> str:
    """One table a set, best model first: metrics with intervals, and the difference to the best."""
    blocks = []
    for r in results:
        related = any(math.isfinite(e[WITHIN].value) for e in r.estimates.values())
        metrics = ESTIMATES if related else METRICS
        titles = [METRIC_TITLES[m] for m in metrics]
        header = ["model", *titles, f"{METRIC_TITLES[r.metric]}: difference to best", "p"]
        lost = f", {r.left_out:,} rows left out that not all models have" if r.left_out else ""
        lines = [
            f"## {r.name}\n",
            f"n = {r.n:,}, {r.families:,} families{lost}; 95 % intervals from {r.resamples:,} "
            "resamples of families\n",
            _md_row(header),
            _md_row(["---"] * len(header)),
        ]
        for model in ranked(r):
            cells = [with_interval(_plain(vars(r.estimates[model][m]))) for m in metrics]
            pair = r.against(model, r.best)
            last = ["best", ""]
            if pair is not None:
                last = [with_interval(_plain(vars(pair.difference))), f"{pair.p_corrected:.2g}"]
            lines.append(_md_row([model, *cells, *last]))
        blocks.append("\n".join(lines))
    note = "p is two-sided, from a paired bootstrap over families, with Holm's correction for all "
    return "\n\n".join(blocks) + f"\n\n{note}pairs of a set.\n"


def _md_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def ranked(result: Result) -> list[str]:
    """The models of a result, best first."""
    sign = 1 if result.metric in LOW_IS_GOOD else -1

    def rank(model: str) -> float:
        value = result.estimates[model][result.metric].value
        return sign * value if math.isfinite(value) else math.inf

    return sorted(result.estimates, key=rank)


def comparison_page(results: Sequence[Result]) -> Figure:
    """The paper's Figure 3: a panel for each set, the best models and those no worse in blue."""
    rows = max(len(r.estimates) for r in results)
    columns = min(2, len(results))
    high = -(-len(results) // columns)
    figure = Figure(figsize=(5.2 * columns, (1.1 + 0.26 * rows) * high), layout="constrained")
    axes = figure.subplots(high, columns, squeeze=False)
    for ax, r in zip(axes.flat, results, strict=False):
        models = ranked(r)
        found = [r.estimates[model][r.metric] for model in models]
        interval_bars(
            ax,
            models,
            np.array([e.value for e in found]),
            np.array([[e.low, e.high] for e in found]),
            np.array([not r.told_apart(model) for model in models]),
            f"{METRIC_TITLES[r.metric]}, 95 % interval",
        )
        ax.set_ylim(rows - 0.4, -0.6)  # bars as thick in every panel
        ax.set_title(f"{r.name}  (n = {r.n:,})")
    for ax in axes.flat[len(results) :]:
        ax.set_visible(False)
    figure.supxlabel(
        "blue: the best, and those it is not told apart from (paired bootstrap, Holm, p < 0.05)",
        fontsize=7,
    )
    return figure
