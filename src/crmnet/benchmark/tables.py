"""A benchmark's result as JSON and as Markdown, the paper's rows below this machine's."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from crmnet.benchmark.rows import (
    EPOCHS,
    PAPER_ROWS,
    ROWS,
    BenchmarkResult,
    InferenceRow,
    TrainingRow,
)


def as_json(result: BenchmarkResult) -> dict[str, Any]:
    """What ``benchmark.json`` holds; what could not be measured is null."""
    paper = [dataclasses.asdict(row) for row in PAPER_ROWS]
    return {
        **dataclasses.asdict(result),
        "epochs": EPOCHS,
        "paper": {"rows": ROWS, "epochs": EPOCHS, "training": paper},
    }


TRAINING_HEAD = (
    "local batch", "hardware", "devices", "precision", "s/step", "min/epoch", f"h, {EPOCHS} epochs",
    "sequences/s", "peak GB", "share of matrix rate",
)  # fmt: skip
INFERENCE_HEAD = ("batch", "precision", "sequences/s", "peak GB")


def markdown(result: BenchmarkResult) -> str:
    """Both tables, the paper's rows below this machine's, with what a reader must know."""
    paper = [
        _training_cells(dataclasses.replace(row, hardware=f"{row.hardware} (paper)"))
        for row in PAPER_ROWS
    ]
    lines = [
        f"# {result.options.model} on {result.machine['hardware']}",
        "",
        *_about(result),
        "",
        "## Training",
        "",
        *_table(TRAINING_HEAD, [*map(_training_cells, result.training), *paper]),
        "",
        *_blanks([(f"{r.batch_size:,} × {r.devices}, {r.precision}", r) for r in result.training]),
        "## Inference, one device",
        "",
        *_table(INFERENCE_HEAD, [*map(_inference_cells, result.inference)]),
        "",
        *_blanks([(f"{r.batch_size:,}, {r.precision}", r) for r in result.inference]),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _about(result: BenchmarkResult) -> list[str]:
    o, forward = result.options, result.flop_per_sequence / 1e9
    counted = "resident size of the process" if result.machine["device"] == "cpu" else "tensors"
    rates = {
        f"{row.precision} {row.matrix_flop_per_s / 1e12:.3g} TFLOP/s"
        for row in result.training
        if row.matrix_flop_per_s is not None and row.devices == min(o.devices)
    }
    lines = [
        f"- {result.parameters:,} parameters, {forward:.4g} GFLOP per sequence forward "
        "(multiply-add = 2), three times that in training.",
        f"- Median of {o.steps} steps after {o.warm_up} of warm-up, random sequences; reading rows "
        "and validating are left out. fp16 and bf16 are mixed precision.",
        f"- An epoch here is {o.rows:,} rows; the paper's rows are the published network on "
        f"{ROWS:,}, as printed there.",
        f"- Peak memory: {counted}, of the device that holds most.",
    ]
    if rates:
        lines.append(f"- Best square matrix product on one device: {', '.join(sorted(rates))}.")
    return [*lines, f"- torch {result.machine['versions']['torch']}."]


def _training_cells(row: TrainingRow) -> tuple[str, ...]:
    return (
        f"{row.batch_size:,}",
        row.hardware,
        str(row.devices),
        row.precision,
        _number(row.step_s, ".4g"),
        _number(row.epoch_min, ".2f"),
        _number(row.hours, ".2f"),
        _number(row.sequences_per_s, ",.0f"),
        _gigabytes(row),
        _number(row.matrix_share, ".0%"),
    )


def _inference_cells(row: InferenceRow) -> tuple[str, ...]:
    rate = _number(row.sequences_per_s, ",.0f")
    return f"{row.batch_size:,}", row.precision, rate, _gigabytes(row)


def _gigabytes(row: TrainingRow | InferenceRow) -> str:
    return "" if row.memory_bytes is None else f"{row.memory_bytes / 1e9:.2f}"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_line(head), "|" + "---|" * len(head), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _blanks(rows: Sequence[tuple[str, TrainingRow | InferenceRow]]) -> list[str]:
    said = [f"- {name}: {row.why}" for name, row in rows if row.why is not None]
    return ["Left blank:", "", *said, ""] if said else []
