"""Table 1 of the paper on this machine: what a training step takes, and how fast predictions come.

Takes the name of a network and what to vary (batch size, precision, number of devices), gives a
:class:`BenchmarkResult` and its Markdown; :mod:`crmnet.report` saves both. A step is the plain one
on random sequences: one-hot on the device, forward, Huber loss, backward, Adam. Reading rows and
validating are no part of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import itertools
import json
import logging
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.multiprocessing.spawn import ProcessException, spawn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.utils.flop_counter import FlopCounterMode

from crmnet.models import build, configure
from crmnet.models.layers import count_parameters
from crmnet.predict import choose_device
from crmnet.run import versions
from crmnet.sequence import LENGTH, one_hot

log = logging.getLogger("crmnet")

EPOCHS = 20
"""Of the column of hours, as in the paper."""
ROWS = 30_722_376
"""Rows of an epoch of the paper: its complex medium."""
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
CPU_BATCH_SIZES = (32, 128)
GPU_BATCH_SIZES = (1024, 4096, 8192, 16384)
"""The paper's."""
MATRIX_SIZES = {"cpu": (256, 512, 1024, 2048), "gpu": (1024, 4096)}
"""Of the square products whose best rate is taken as what the device can do."""


@dataclass(frozen=True)
class BenchmarkOptions:
    """What to measure: a row for each number of devices × precision × batch size."""

    model: str = "crmnet"
    model_settings: Mapping[str, Any] = field(default_factory=dict)
    batch_sizes: tuple[int, ...] = ()
    """Rows per step and device; () takes the paper's on a GPU, 32 and 128 on a CPU."""
    precisions: tuple[str, ...] = ("fp32",)
    devices: tuple[int, ...] = (1,)
    """On the CPU: processes, which share its threads."""
    device: str = "auto"
    rows: int = ROWS
    """Rows of an epoch."""
    steps: int = 10
    """Steps that count, of which the median is taken."""
    warm_up: int = 3
    """Steps before them: the first ones choose kernels and claim memory."""
    isolate: bool = True
    """On the CPU, measure each row in a process of its own. Its peak memory is then its own, and a
    process that the system ends for want of memory does not take the other rows along."""

    def __post_init__(self) -> None:
        configure(self.model, **self.model_settings)  # says what is wrong with them
        least = {"batch_sizes": 1, "devices": 1, "rows": 1, "steps": 1, "warm_up": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            smallest = min(value, default=bound) if isinstance(value, tuple) else value
            if smallest < bound:
                raise ValueError(f"{name} must be at least {bound}; got {smallest}")
        for precision in self.precisions:
            if precision not in PRECISIONS:
                known = ", ".join(PRECISIONS)
                raise ValueError(f"precision must be one of {known}; got {precision!r}")


@dataclass(frozen=True)
class Case:
    """One thing to measure."""

    batch_size: int
    """Rows per step and device."""
    precision: str
    devices: int = 1
    training: bool = True

    def __str__(self) -> str:
        kind = "training" if self.training else "inference"
        return f"{kind}, batch {self.batch_size:,} × {self.devices}, {self.precision}"


class Timing(NamedTuple):
    """What was measured."""

    step_s: float
    """Median of the steps that count."""
    memory_bytes: int | None
    """Most held at any moment; see :func:`peak_memory`."""


@dataclass(frozen=True)
class TrainingRow:
    """A line of Table 1; None is what could not be measured, and ``why`` says why not."""

    batch_size: int
    """Rows per step and device."""
    hardware: str
    devices: int
    precision: str
    step_s: float | None = None
    epoch_min: float | None = None
    hours: float | None = None
    """Of ``EPOCHS`` epochs."""
    sequences_per_s: float | None = None
    """Of all devices together."""
    memory_bytes: int | None = None
    """Of the device that holds most."""
    matrix_flop_per_s: float | None = None
    """Of one device, measured: see :func:`matrix_rate`."""
    matrix_share: float | None = None
    """Operations of the step per second, as a share of the devices' matrix rates."""
    why: str | None = None


@dataclass(frozen=True)
class InferenceRow:
    """How fast one device predicts; None is what could not be measured."""

    batch_size: int
    precision: str
    sequences_per_s: float | None = None
    memory_bytes: int | None = None
    why: str | None = None


@dataclass(frozen=True)
class BenchmarkResult:
    """All that was measured, and on what."""

    options: BenchmarkOptions
    machine: Mapping[str, Any]
    parameters: int
    flop_per_sequence: int
    """Forward, multiply-add = 2; a training step takes three times as much."""
    training: tuple[TrainingRow, ...]
    inference: tuple[InferenceRow, ...]


def _paper_row(
    batch_size: int, hardware: str, devices: int, precision: str, times: tuple[float, float, float]
) -> TrainingRow:
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
"""Table 1 of the paper: the published network, ``ROWS`` rows an epoch, times as printed."""


def benchmark(options: BenchmarkOptions) -> BenchmarkResult:
    """Measure every row that is asked for.

    Rows that the device has no memory or no arithmetic for are left blank and say why.

    Raises:
        ValueError: If this machine has no such device.
    """
    bench = _Bench(options)
    o = bench.options
    return BenchmarkResult(
        options=o,
        machine=bench.machine,
        parameters=bench.parameters,
        flop_per_sequence=bench.flop_per_sequence,
        training=tuple(
            bench.training_row(Case(batch_size, precision, devices))
            for devices, precision, batch_size in itertools.product(
                o.devices, o.precisions, o.batch_sizes
            )
        ),
        inference=tuple(
            bench.inference_row(Case(batch_size, precision, training=False))
            for precision, batch_size in itertools.product(o.precisions, o.batch_sizes)
        ),
    )


class _Bench:
    """What the rows share: device, network, and matrix rates that are measured once."""

    def __init__(self, options: BenchmarkOptions) -> None:
        self.device = choose_device(options.device)
        usual = CPU_BATCH_SIZES if self.device.type == "cpu" else GPU_BATCH_SIZES
        self.options = dataclasses.replace(options, batch_sizes=options.batch_sizes or usual)
        with torch.device("meta"):  # shapes without values: nothing is allocated or computed
            outline = build(options.model, **options.model_settings)
        self.parameters = sum(count_parameters(outline))
        self.flop_per_sequence = forward_flop(outline, _length(options))
        self.machine = describe_machine(self.device)
        self.rate = functools.cache(functools.partial(matrix_rate, self.device))

    def training_row(self, case: Case) -> TrainingRow:
        hardware = self.machine["hardware"]
        timing = self._attempt(case)
        if isinstance(timing, str):
            return TrainingRow(case.batch_size, hardware, case.devices, case.precision, why=timing)
        row = timed_row(case, hardware, timing.step_s, self.options.rows)
        rate = self.rate(case.precision, _threads(case, self.device))
        needed = 3 * self.flop_per_sequence * case.batch_size / timing.step_s
        return dataclasses.replace(
            row,
            memory_bytes=timing.memory_bytes,
            matrix_flop_per_s=rate,
            matrix_share=needed / rate,
        )

    def inference_row(self, case: Case) -> InferenceRow:
        timing = self._attempt(case)
        if isinstance(timing, str):
            return InferenceRow(case.batch_size, case.precision, why=timing)
        return InferenceRow(
            case.batch_size, case.precision, case.batch_size / timing.step_s, timing.memory_bytes
        )

    def _attempt(self, case: Case) -> Timing | str:
        """What was measured, or why nothing was."""
        timing = _impossible(case, self.device) or self._run(case)
        if isinstance(timing, str):
            log.info("%s: left blank, %s", case, timing)
        else:
            log.info("%s: %.4g s", case, timing.step_s)
        return timing

    def _run(self, case: Case) -> Timing | str:
        if case.devices > 1 or (self.options.isolate and self.device.type == "cpu"):
            return _measure_in_processes(case, self.options, self.device)
        try:
            return measure(case, self.options, self.device)
        except (RuntimeError, MemoryError) as error:
            why = why_blank(error)
            if why is None:
                raise
            return why


def timed_row(case: Case, hardware: str, step_s: float, rows: int = ROWS) -> TrainingRow:
    """The row of Table 1 that follows from the seconds of a step; ``rows`` are those of an epoch.

    The last step of an epoch counts by the share of it that is filled.
    """
    together = case.batch_size * case.devices
    epoch_min = step_s * rows / together / 60
    return TrainingRow(
        case.batch_size,
        hardware,
        case.devices,
        case.precision,
        step_s=step_s,
        epoch_min=epoch_min,
        hours=EPOCHS * epoch_min / 60,
        sequences_per_s=together / step_s,
    )


def _impossible(case: Case, device: torch.device) -> str | None:
    if case.precision == "fp16" and device.type != "cuda":
        return f"fp16 needs a CUDA GPU; on {device.type} take bf16"
    there = {"cuda": torch.cuda.device_count(), "mps": 1}.get(device.type, case.devices)
    if case.devices > there:
        return f"this machine has {there} of these devices"
    return None


NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "alloc_failed")
NO_ARITHMETIC = ("not implemented for", "does not support", "not supported")


def why_blank(error: Exception) -> str | None:
    """Why a row that failed so is left blank; None if that is an error like any other."""
    said = str(error).lower()
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return "out of memory"
    if any(words in said for words in NO_MEMORY):
        return "out of memory"
    if any(words in said for words in NO_ARITHMETIC):
        return str(error).strip().splitlines()[0]
    return None


def measure(case: Case, options: BenchmarkOptions, device: torch.device) -> Timing:
    """Time the steps of one case in this process.

    The process group must stand already if there are several devices. The caller's random
    generators are left as they were.
    """
    _forget_peak(device)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        make = training_step if case.training else inference_step
        times = _times(make(case, options, device), device, options.warm_up, options.steps)
    return Timing(statistics.median(times), peak_memory(device))


def _times(work: Callable[[], Any], device: torch.device, warm_up: int, steps: int) -> list[float]:
    """Seconds of each call of ``work`` behind the first ``warm_up``."""
    for _ in range(warm_up):
        work()
    times = []
    for _ in range(steps):
        _synchronise(device)
        start = perf_counter()
        work()
        _synchronise(device)
        times.append(perf_counter() - start)
    return times


def _synchronise(device: torch.device) -> None:
    """Wait until the device has done all that it was told; a CPU has when a call returns."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def training_step(
    case: Case, options: BenchmarkOptions, device: torch.device
) -> Callable[[], None]:
    """A step of the paper's training on one batch of random sequences and labels, ready to call.

    Gradients are averaged over the processes of the group, if there is one.
    """
    network = build(options.model, **options.model_settings).to(device).train()
    model: nn.Module = network
    if case.devices > 1:
        where = [device] if device.type == "cuda" else None
        model = DistributedDataParallel(network, device_ids=where)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    scaler = torch.GradScaler(device.type, enabled=case.precision == "fp16")
    tokens = _random_tokens(case, options, device)
    labels = 17 * torch.rand(case.batch_size, device=device)  # bins 0 to 17

    def step() -> None:
        optimizer.zero_grad()
        with _autocast(case, device):
            predicted = model(one_hot(tokens))[:, 0]
        loss = functional.huber_loss(predicted.float(), labels, delta=1.0)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)
        scaler.update()

    return step


def inference_step(
    case: Case, options: BenchmarkOptions, device: torch.device
) -> Callable[[], None]:
    """The prediction of one batch of random sequences, ready to call."""
    network = build(options.model, **options.model_settings).to(device).eval()
    tokens = _random_tokens(case, options, device)

    def step() -> None:
        with torch.inference_mode(), _autocast(case, device):
            network(one_hot(tokens))

    return step


def _random_tokens(case: Case, options: BenchmarkOptions, device: torch.device) -> torch.Tensor:
    shape = (case.batch_size, _length(options))
    return torch.randint(4, shape, dtype=torch.uint8, device=device)


def _length(options: BenchmarkOptions) -> int:
    """Positions that the network sees."""
    config = configure(options.model, **options.model_settings)
    return int(getattr(config, "length", LENGTH))


def _autocast(case: Case, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Mixed precision: weights, loss and optimiser stay in float32."""
    if case.precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=PRECISIONS[case.precision])


# -- several processes ------------------------------------------------------------------------


def _measure_in_processes(
    case: Case, options: BenchmarkOptions, device: torch.device
) -> Timing | str:
    """Time a case with a process for each device: the slowest's seconds, the largest's memory."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = (case, options, device.type, _threads(case, device), folder)
        try:
            spawn(_worker, arguments, nprocs=case.devices)  # type: ignore[no-untyped-call]
        except ProcessException as error:
            return _why_ended(error, Path(folder))
        files = sorted(Path(folder).glob("*.json"))
        timings = [Timing(*json.loads(file.read_text())) for file in files]
    memory = [timing.memory_bytes for timing in timings if timing.memory_bytes is not None]
    return Timing(max(timing.step_s for timing in timings), max(memory, default=None))


def _why_ended(error: ProcessException, folder: Path) -> str:
    # One process runs out of memory, the others then miss it: what it said itself counts.
    said = sorted(folder.glob("*.why"))
    if said:
        return said[0].read_text()
    last = str(error).strip().splitlines()[-1]
    if "SIGKILL" in last:
        return "the system ended the process, as it does when memory runs out"
    return f"a process failed: {last}"


def _worker(
    rank: int, case: Case, options: BenchmarkOptions, kind: str, threads: int, folder: str
) -> None:
    """One of the processes of a case; leaves RANK.json, or RANK.why if it does not fit."""
    os.dup2(2, 1)  # gloo greets on stdout, where the caller may be writing a table
    device = torch.device(kind, rank) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(device)
    elif kind == "cpu":
        torch.set_num_threads(threads)
    try:
        if case.devices > 1:
            torch.distributed.init_process_group(
                "nccl" if kind == "cuda" else "gloo",
                init_method=f"file://{folder}/meeting",
                rank=rank,
                world_size=case.devices,
            )
        timing = measure(case, options, device)
    except Exception as error:
        why = why_blank(error)
        if why is not None:
            Path(folder, f"{rank}.why").write_text(why)
        raise
    Path(folder, f"{rank}.json").write_text(json.dumps(timing))
    if case.devices > 1:
        torch.distributed.destroy_process_group()


def _threads(case: Case, device: torch.device) -> int:
    """Threads of each process."""
    threads = torch.get_num_threads()
    return max(1, threads // case.devices) if device.type == "cpu" else threads


# -- the machine ------------------------------------------------------------------------------


def forward_flop(network: nn.Module, length: int = LENGTH) -> int:
    """Operations of one sequence's forward pass in matrix products and convolutions.

    A multiplication and its addition are two. Padding counts like any other position.
    """
    where = next(network.parameters()).device
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, 4, length, device=where))
    return int(counter.get_total_flops())


def matrix_rate(device: torch.device, precision: str, threads: int) -> float:
    """Operations per second of the best square matrix product on one device, multiply-add = 2.

    Sizes grow until they take long: where bf16 is emulated, a product of 2,048 takes a minute.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    generator = torch.Generator(device).manual_seed(0)
    best = 0.0
    try:
        for size in MATRIX_SIZES["cpu" if device.type == "cpu" else "gpu"]:
            matrix = torch.rand(size, size, generator=generator, device=device)
            matrix = matrix.to(PRECISIONS[precision])
            times = _times(functools.partial(torch.matmul, matrix, matrix), device, 1, 5)
            best = max(best, 2 * size**3 / min(times))
            if sum(times) > 0.5:  # the next size takes eight times as long
                break
    finally:
        torch.set_num_threads(before)
    return best


def _forget_peak(device: torch.device) -> None:
    """Let :func:`peak_memory` start anew, where the system can."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)  # makes sure that CUDA has been started
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):  # Linux: 5 resets the peak resident size
            Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int | None:
    """Most bytes held at any moment; None where nobody counts them.

    On CUDA those of the device's tensors. On the CPU the peak resident size of this process, Python
    and torch included.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type != "cpu" or sys.platform == "win32":
        return None
    # In a process that was started by another, ru_maxrss may be the other's; VmHWM is its own.
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # bytes on macOS, KiB elsewhere


def describe_machine(device: torch.device) -> dict[str, Any]:
    """What was measured on: hardware, threads, versions."""
    cpu, threads = _cpu_name(), torch.get_num_threads()
    found: dict[str, Any] = {"hardware": f"{cpu}, {threads} threads", "cpu": cpu}
    if device.type == "cuda":
        found["hardware"] = torch.cuda.get_device_name(device)
        found["devices_present"] = torch.cuda.device_count()
        found["device_memory_bytes"] = torch.cuda.get_device_properties(device).total_memory
        found["cuda"] = torch.version.cuda
    elif device.type != "cpu":
        found["hardware"] = f"{cpu} ({device.type})"
    return {**found, "device": device.type, "threads": threads, "versions": versions()}


def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


# -- tables -----------------------------------------------------------------------------------


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
