"""Files of a benchmark: Table 1 as Markdown and JSON, and a figure of the throughput.

``crmnet benchmark`` passes a :class:`crmnet.benchmark.BenchmarkResult` and the folder to write.
"""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from crmnet.benchmark import PAPER_ROWS, BenchmarkResult, as_json, markdown
from crmnet.figures.panels import throughput_bars
from crmnet.figures.style import STYLE
from crmnet.files import PathLike, write_text_atomically
from crmnet.reports.figures import save_figure


def write_benchmark(folder: PathLike, result: BenchmarkResult) -> None:
    """Write ``benchmark.md``, ``benchmark.json`` and ``benchmark.png``."""
    folder = Path(folder)
    write_text_atomically(folder / "benchmark.md", markdown(result))
    write_text_atomically(folder / "benchmark.json", json.dumps(as_json(result), indent=2) + "\n")
    with matplotlib.rc_context(STYLE):
        save_figure(benchmark_page(result), folder / "benchmark.png")


def benchmark_page(result: BenchmarkResult) -> Figure:
    """Bar chart of training throughput: measured rows on top, the paper's rows below."""
    measured = [
        (row, row.sequences_per_s, on_this_machine)
        for rows, on_this_machine in ((result.training, True), (PAPER_ROWS, False))
        for row in rows
        if row.sequences_per_s is not None
    ]
    figure = Figure(figsize=(8, 1.2 + 0.24 * len(measured)), layout="constrained")
    throughput_bars(
        figure.subplots(),
        [f"{r.devices} × {r.hardware}, {r.precision}, {r.batch_size:,}" for r, _, _ in measured],
        np.array([rate for _, rate, _ in measured]),
        np.array([on_this_machine for _, _, on_this_machine in measured]),
    )
    return figure
