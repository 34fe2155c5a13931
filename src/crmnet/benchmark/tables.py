"""Result of a benchmark as JSON and as Markdown, with the paper's rows below those measured here.

The functions take a :class:`crmnet.benchmark.rows.BenchmarkResult` and return text, which
:mod:`crmnet.benchmark.report` writes to files.
"""

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
from crmnet.reports.wording import markdown_row


def as_json(result: BenchmarkResult) -> dict[str, Any]:
    """Contents of ``benchmark.json``; values that could not be measured are null."""
    paper = [dataclasses.asdict(row) for row in PAPER_ROWS]
    return {
        **dataclasses.asdict(result),
        "epochs": EPOCHS,
        "paper": {"rows": ROWS, "epochs": EPOCHS, "training": paper},
    }


TRAINING_HEADER = (
    "local batch", "hardware", "devices", "precision", "s/step", "min/epoch", f"h, {EPOCHS} epochs",
    "sequences/s", "peak GB", "share of matrix rate",
)  # fmt: skip
INFERENCE_HEADER = ("batch", "precision", "sequences/s", "peak GB")


def markdown(result: BenchmarkResult) -> str:
    """Both tables, with the paper's rows, and notes on how the numbers were measured."""
    paper = [
        _training_cells(dataclasses.replace(row, hardware=f"{row.hardware} (paper)"))
        for row in PAPER_ROWS
    ]
    lines = [
        f"# {result.options.model} on {result.machine['hardware']}",
        "",
        *_notes(result),
        "",
        "## Training",
        "",
        *_table(TRAINING_HEADER, [*map(_training_cells, result.training), *paper]),
        "",
        *_blank_reasons(
            [(f"{r.batch_size:,} × {r.devices}, {r.precision}", r) for r in result.training]
        ),
        "## Inference, one device",
        "",
        *_table(INFERENCE_HEADER, [*map(_inference_cells, result.inference)]),
        "",
        *_blank_reasons([(f"{r.batch_size:,}, {r.precision}", r) for r in result.inference]),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _notes(result: BenchmarkResult) -> list[str]:
    """How the numbers were measured, as Markdown list."""
    options, gflop = result.options, result.flop_per_sequence / 1e9
    memory_kind = "resident size of the process" if result.machine["device"] == "cpu" else "tensors"
    rates = {
        f"{row.precision} {row.matrix_flop_per_s / 1e12:.3g} TFLOP/s"
        for row in result.training
        if row.matrix_flop_per_s is not None and row.devices == min(options.devices)
    }
    lines = [
        f"- {result.parameters:,} parameters, {gflop:.4g} GFLOP per sequence in the forward pass "
        "(multiply-add = 2), three times as many in training.",
        f"- Median of {options.steps} steps after {options.warm_up} warm-up steps, on random "
        "sequences, without reading rows and validation. fp16 and bf16 are mixed precision.",
        f"- An epoch here has {options.rows:,} rows. The paper's rows are as printed there: the "
        f"published network with {ROWS:,} rows per epoch.",
        f"- Peak memory: {memory_kind}, on the device that uses most.",
    ]
    if rates:
        lines.append(f"- Fastest square matrix product on one device: {', '.join(sorted(rates))}.")
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
    """The formatted value; an empty text for None."""
    return "" if value is None else format(value, form)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return [markdown_row(header), "|" + "---|" * len(header), *map(markdown_row, rows)]


def _blank_reasons(rows: Sequence[tuple[str, TrainingRow | InferenceRow]]) -> list[str]:
    """List of the reasons for blank rows; empty if there are none."""
    reasons = [f"- {name}: {row.why}" for name, row in rows if row.why is not None]
    return ["Left blank:", "", *reasons, ""] if reasons else []
