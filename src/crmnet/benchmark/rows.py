"""Options and results of the benchmark, and the rows of Table 1 of the paper.

:mod:`crmnet.benchmark` takes the options and returns the results. The field names of results are
keys of ``benchmark.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from crmnet.models import configure

EPOCHS = 20
"""Number of epochs in the column of hours, as in Table 1 of the paper."""
ROWS = 30_722_376
"""Rows of an epoch in the paper: its training set in complex medium."""
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
CPU_BATCH_SIZES = (32, 128)
"""Default batch sizes on a CPU."""
GPU_BATCH_SIZES = (1024, 4096, 8192, 16384)
"""Default batch sizes on a GPU: those of the paper."""


@dataclass(frozen=True)
class BenchmarkOptions:
    """Settings of a benchmark: one row for each number of devices × precision × batch size."""

    model: str = "crmnet"
    model_settings: Mapping[str, Any] = field(default_factory=dict)
    batch_sizes: tuple[int, ...] = ()
    """Rows per step and device. If empty: those of the paper on a GPU, 32 and 128 on a CPU."""
    precisions: tuple[str, ...] = ("fp32",)
    devices: tuple[int, ...] = (1,)
    """Numbers of devices. On the CPU, a device is a process; the processes share the threads."""
    device: str = "auto"
    rows: int = ROWS
    """Rows of an epoch."""
    steps: int = 10
    """Measured steps; the median is reported."""
    warm_up: int = 3
    """Steps before the measured ones; the first steps select kernels and allocate memory."""
    isolate: bool = True
    """On the CPU, measure each row in a separate process. The peak memory is then that of the row
    alone, and the other rows remain if the system ends a process that needs too much memory."""

    def __post_init__(self) -> None:
        configure(self.model, **self.model_settings)  # raises an error if they are invalid
        minima = {"batch_sizes": 1, "devices": 1, "rows": 1, "steps": 1, "warm_up": 0}
        for name, minimum in minima.items():
            value = getattr(self, name)
            smallest = min(value, default=minimum) if isinstance(value, tuple) else value
            if smallest < minimum:
                raise ValueError(f"{name} must be at least {minimum}; got {smallest}")
        for precision in self.precisions:
            if precision not in PRECISIONS:
                names = ", ".join(PRECISIONS)
                raise ValueError(f"precision must be one of {names}; got {precision!r}")


@dataclass(frozen=True)
class Case:
    """A measurement to make: one row of a table."""

    batch_size: int
    """Rows per step and device."""
    precision: str
    devices: int = 1
    training: bool = True

    def __str__(self) -> str:
        kind = "training" if self.training else "inference"
        return f"{kind}, batch {self.batch_size:,} × {self.devices}, {self.precision}"


class Timing(NamedTuple):
    """Result of one measurement."""

    step_s: float
    """Median seconds of a step."""
    memory_bytes: int | None
    """Peak memory; see :func:`crmnet.benchmark.machine.peak_memory`."""


@dataclass(frozen=True)
class TrainingRow:
    """A row of Table 1; values that could not be measured are None, and ``why`` is the reason."""

    batch_size: int
    """Rows per step and device."""
    hardware: str
    devices: int
    precision: str
    step_s: float | None = None
    """Median seconds of a step."""
    epoch_min: float | None = None
    """Minutes of an epoch."""
    hours: float | None = None
    """Hours of ``EPOCHS`` epochs."""
    sequences_per_s: float | None = None
    """Sum over all devices."""
    memory_bytes: int | None = None
    """Largest peak memory of all devices."""
    matrix_flop_per_s: float | None = None
    """Measured rate of one device; see :func:`crmnet.benchmark.machine.matrix_rate`."""
    matrix_share: float | None = None
    """Operations per second of the step, as a fraction of the devices' matrix rates."""
    why: str | None = None


@dataclass(frozen=True)
class InferenceRow:
    """Inference throughput of one device; values not measured are None, for the reason ``why``."""

    batch_size: int
    precision: str
    sequences_per_s: float | None = None
    memory_bytes: int | None = None
    why: str | None = None


@dataclass(frozen=True)
class BenchmarkResult:
    """All measurements, and a description of the machine."""

    options: BenchmarkOptions
    machine: Mapping[str, Any]
    parameters: int
    flop_per_sequence: int
    """Operations of a forward pass, multiply-add = 2; a training step has three times as many."""
    training: tuple[TrainingRow, ...]
    inference: tuple[InferenceRow, ...]


def _paper_row(
    batch_size: int, hardware: str, devices: int, precision: str, times: tuple[float, float, float]
) -> TrainingRow:
    """A row of the paper; ``times`` are seconds per step, minutes per epoch, and hours."""
    rate = batch_size * devices / times[0]  # the paper does not print it
    return TrainingRow(batch_size, hardware, devices, precision, *times, sequences_per_s=rate)


PAPER_ROWS = (
    _paper_row(1_024, "V100 32G", 1, "fp32", (0.434, 210.37, 70.12)),
    _paper_row(1_024, "A100 80G", 8, "fp32", (0.187, 11.81, 3.94)),
    _paper_row(1_024, "A100 80G", 8, "fp16", (0.187, 11.81, 3.94)),
    _paper_row(1_024, "TPU v3", 8, "fp32", (0.172, 10.86, 3.62)),
    _paper_row(1_024, "TPU v3", 8, "bf16", (0.165, 10.42, 3.47)),
    _paper_row(4_096, "A100 80G", 8, "fp32", (0.675, 10.65, 3.55)),
    _paper_row(4_096, "A100 80G", 8, "fp16", (0.477, 7.51, 2.51)),
    _paper_row(4_096, "TPU v3", 8, "fp32", (0.726, 11.46, 3.82)),
    _paper_row(4_096, "TPU v3", 8, "bf16", (0.611, 9.64, 3.21)),
    _paper_row(8_192, "A100 80G", 8, "fp32", (1.337, 10.54, 3.51)),
    _paper_row(8_192, "A100 80G", 8, "fp16", (0.889, 7.01, 2.34)),
    _paper_row(8_192, "TPU v3", 8, "bf16", (1.353, 10.67, 3.56)),
    _paper_row(16_384, "A100 80G", 8, "fp16", (1.718, 6.76, 2.25)),
)
"""Table 1 of the paper: the published network, ``ROWS`` rows per epoch, times as printed."""


def timed_row(case: Case, hardware: str, step_s: float, rows: int = ROWS) -> TrainingRow:
    """The row of Table 1 computed from the seconds of a step; ``rows`` is the size of an epoch.

    An incomplete last step of an epoch counts proportionally.
    """
    global_batch = case.batch_size * case.devices
    epoch_min = step_s * rows / global_batch / 60
    return TrainingRow(
        case.batch_size,
        hardware,
        case.devices,
        case.precision,
        step_s=step_s,
        epoch_min=epoch_min,
        hours=EPOCHS * epoch_min / 60,
        sequences_per_s=global_batch / step_s,
    )
