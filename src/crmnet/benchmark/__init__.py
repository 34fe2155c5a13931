"""Table 1 of the paper on this machine: time of a training step and throughput of inference.

``crmnet benchmark`` passes the name of a network, batch sizes, precisions and numbers of devices.
The result is a :class:`BenchmarkResult`, which :mod:`crmnet.benchmark.report` saves. A step is the
same as in :mod:`crmnet.training.train`, on random sequences: one-hot encoding on the device,
forward pass, Huber loss, backward pass, Adam. Reading rows and validation are not included.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import json
import logging
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import nn
from torch.multiprocessing.spawn import ProcessException, spawn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from crmnet.benchmark.machine import (
    describe_machine,
    forward_flop,
    matrix_rate,
    peak_memory,
    reset_peak_memory,
    time_calls,
)
from crmnet.benchmark.rows import (
    CPU_BATCH_SIZES,
    EPOCHS,
    GPU_BATCH_SIZES,
    PAPER_ROWS,
    PRECISIONS,
    ROWS,
    BenchmarkOptions,
    BenchmarkResult,
    Case,
    InferenceRow,
    Timing,
    TrainingRow,
    timed_row,
)
from crmnet.benchmark.tables import as_json, markdown
from crmnet.device import choose_device
from crmnet.files import temporary_folder
from crmnet.models import build, configure
from crmnet.models.crmnet.training_form import training_forward
from crmnet.models.inference_form import for_inference
from crmnet.models.layers import count_parameters
from crmnet.process import end_process
from crmnet.sequence import LENGTH, TOP_BIN, one_hot

__all__ = [
    "EPOCHS",
    "PAPER_ROWS",
    "ROWS",
    "BenchmarkOptions",
    "BenchmarkResult",
    "Case",
    "InferenceRow",
    "Timing",
    "TrainingRow",
    "as_json",
    "benchmark",
    "describe_machine",
    "forward_flop",
    "markdown",
    "matrix_rate",
    "measure",
    "peak_memory",
    "reason_for_blank",
    "timed_row",
]

log = logging.getLogger("crmnet")


def benchmark(options: BenchmarkOptions) -> BenchmarkResult:
    """Measure every requested row.

    A row is left blank, with the reason, if the device has too little memory or does not support
    the precision.

    Raises:
        ValueError: If this machine does not have the device.
    """
    runner = _Benchmark(options)
    complete_options = runner.options
    return BenchmarkResult(
        options=complete_options,
        machine=runner.machine,
        parameters=runner.parameters,
        flop_per_sequence=runner.flop_per_sequence,
        training=tuple(
            runner.training_row(Case(batch_size, precision, devices))
            for devices, precision, batch_size in itertools.product(
                complete_options.devices, complete_options.precisions, complete_options.batch_sizes
            )
        ),
        inference=tuple(
            runner.inference_row(Case(batch_size, precision, training=False))
            for precision, batch_size in itertools.product(
                complete_options.precisions, complete_options.batch_sizes
            )
        ),
    )


class _Benchmark:
    """State shared by all rows: device, properties of the network, matrix rates."""

    def __init__(self, options: BenchmarkOptions) -> None:
        self.device = choose_device(options.device)
        default_sizes = CPU_BATCH_SIZES if self.device.type == "cpu" else GPU_BATCH_SIZES
        self.options = dataclasses.replace(
            options, batch_sizes=options.batch_sizes or default_sizes
        )
        with torch.device("meta"):  # shapes without values: nothing is allocated or computed
            network = build(options.model, **options.model_settings)
        self.parameters = sum(count_parameters(network))
        self.flop_per_sequence = forward_flop(network, _length(options))
        self.machine = describe_machine(self.device)
        self.cached_matrix_rate = functools.cache(functools.partial(matrix_rate, self.device))

    def training_row(self, case: Case) -> TrainingRow:
        hardware = self.machine["hardware"]
        timing = self._try_case(case)
        if isinstance(timing, str):
            return TrainingRow(case.batch_size, hardware, case.devices, case.precision, why=timing)
        row = timed_row(case, hardware, timing.step_s, self.options.rows)
        rate = self.cached_matrix_rate(case.precision, _threads(case, self.device))
        operations = 3 * self.flop_per_sequence * case.batch_size / timing.step_s
        return dataclasses.replace(
            row,
            memory_bytes=timing.memory_bytes,
            matrix_flop_per_s=rate,
            matrix_share=operations / rate,
        )

    def inference_row(self, case: Case) -> InferenceRow:
        timing = self._try_case(case)
        if isinstance(timing, str):
            return InferenceRow(case.batch_size, case.precision, why=timing)
        return InferenceRow(
            case.batch_size, case.precision, case.batch_size / timing.step_s, timing.memory_bytes
        )

    def _try_case(self, case: Case) -> Timing | str:
        """The timing, or the reason why the row is left blank."""
        timing = _reason_to_skip(case, self.device) or self._run_case(case)
        if isinstance(timing, str):
            log.info("%s: left blank, %s", case, timing)
        else:
            log.info("%s: %.4g s", case, timing.step_s)
        return timing

    def _run_case(self, case: Case) -> Timing | str:
        if case.devices > 1 or (self.options.isolate and self.device.type == "cpu"):
            return _measure_in_processes(case, self.options, self.device)
        try:
            return measure(case, self.options, self.device)
        except (RuntimeError, MemoryError) as error:
            why = reason_for_blank(error)
            if why is None:
                raise
            return why


def _reason_to_skip(case: Case, device: torch.device) -> str | None:
    """Reason why a case cannot be measured on this machine; None if it can be tried."""
    if case.precision == "fp16" and device.type != "cuda":
        return f"fp16 needs a CUDA GPU; on {device.type} use bf16"
    n_present = {"cuda": torch.cuda.device_count(), "mps": 1}.get(device.type, case.devices)
    if case.devices > n_present:
        return f"this machine has {n_present} {device.type} devices"
    return None


MEMORY_ERRORS = ("out of memory", "not enough memory", "can't allocate memory", "alloc_failed")
ARITHMETIC_ERRORS = ("not implemented for", "does not support", "not supported")
"""Parts of messages, in lower case, of errors that leave a row blank."""


def reason_for_blank(error: Exception) -> str | None:
    """Reason to leave a row blank after this error; None if the error must be raised."""
    message = str(error).lower()
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return "out of memory"
    if any(phrase in message for phrase in MEMORY_ERRORS):
        return "out of memory"
    if any(phrase in message for phrase in ARITHMETIC_ERRORS):
        return str(error).strip().splitlines()[0]
    return None


def measure(case: Case, options: BenchmarkOptions, device: torch.device) -> Timing:
    """Time the steps of one case in this process: median seconds of a step, and peak memory.

    With several devices, the process group must already exist. The state of the caller's random
    generators does not change.
    """
    reset_peak_memory(device)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        make_step = training_step if case.training else inference_step
        times = time_calls(make_step(case, options, device), device, options.warm_up, options.steps)
    return Timing(statistics.median(times), peak_memory(device))


class _TrainingForward(nn.Module):
    """A network in its training form."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.dtype = network, dtype

    def forward(self, x_BCL: torch.Tensor) -> torch.Tensor:
        return training_forward(self.network, x_BCL, self.dtype)


def training_step(
    case: Case, options: BenchmarkOptions, device: torch.device
) -> Callable[[], None]:
    """A function that runs one training step of the paper on random sequences and labels.

    With several devices, gradients are averaged over the process group.
    """
    network = build(options.model, **options.model_settings).to(device).train()
    model: nn.Module = _TrainingForward(network, PRECISIONS[case.precision])
    if case.devices > 1:
        device_ids = [device] if device.type == "cuda" else None
        model = DistributedDataParallel(model, device_ids=device_ids)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    scaler = torch.GradScaler(device.type, enabled=case.precision == "fp16")
    tokens = _random_tokens(case, options, device)
    labels = TOP_BIN * torch.rand(case.batch_size, device=device)

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
    """A function that predicts one batch of random sequences."""
    plain = build(options.model, **options.model_settings)
    network = for_inference(plain, device, PRECISIONS[case.precision])
    tokens = _random_tokens(case, options, device)

    def step() -> None:
        with torch.inference_mode():
            network(one_hot(tokens))

    return step


def _random_tokens(case: Case, options: BenchmarkOptions, device: torch.device) -> torch.Tensor:
    shape = (case.batch_size, _length(options))
    return torch.randint(4, shape, dtype=torch.uint8, device=device)


def _length(options: BenchmarkOptions) -> int:
    """Number of input positions of the network."""
    config = configure(options.model, **options.model_settings)
    return int(getattr(config, "length", LENGTH))


def _autocast(case: Case, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Context for mixed precision; weights, loss and optimiser stay in float32."""
    if case.precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=PRECISIONS[case.precision])


# -- several processes ------------------------------------------------------------------------


def _measure_in_processes(
    case: Case, options: BenchmarkOptions, device: torch.device
) -> Timing | str:
    """Time a case with one process per device: the longest step and the largest memory."""
    with temporary_folder() as folder:
        arguments = (case, options, device.type, _threads(case, device), str(folder))
        try:
            spawn(_worker, arguments, nprocs=case.devices)  # type: ignore[no-untyped-call]
        except ProcessException as error:
            return _failure_reason(error, folder)
        files = sorted(folder.glob("*.json"))
        timings = [Timing(*json.loads(file.read_text())) for file in files]
    memory = [timing.memory_bytes for timing in timings if timing.memory_bytes is not None]
    return Timing(max(timing.step_s for timing in timings), max(memory, default=None))


def _failure_reason(error: ProcessException, folder: Path) -> str:
    """Reason why a process failed: the one that it wrote, or one from the error."""
    # If one process runs out of memory, the others fail too, because they lose contact with it.
    # Only that process writes a reason.
    reasons = sorted(folder.glob("*.why"))
    if reasons:
        return reasons[0].read_text()
    last_line = str(error).strip().splitlines()[-1]
    if "SIGKILL" in last_line:
        return "the system ended the process, probably because memory ran out"
    return f"a process failed: {last_line}"


def _worker(
    rank: int, case: Case, options: BenchmarkOptions, device_type: str, threads: int, folder: str
) -> NoReturn:
    """Main function of one process; writes RANK.json, or RANK.why if the row stays blank."""
    os.dup2(2, 1)  # gloo prints on stdout, which is for the caller's table
    device = torch.device(device_type, rank) if device_type == "cuda" else torch.device(device_type)
    if device_type == "cuda":
        torch.cuda.set_device(device)
    elif device_type == "cpu":
        torch.set_num_threads(threads)
    try:
        if case.devices > 1:
            torch.distributed.init_process_group(
                "nccl" if device_type == "cuda" else "gloo",
                init_method=f"file://{folder}/rendezvous",
                rank=rank,
                world_size=case.devices,
            )
        timing = measure(case, options, device)
    except Exception as error:
        reason = reason_for_blank(error)
        if reason is not None:
            Path(folder, f"{rank}.why").write_text(reason)
        raise
    Path(folder, f"{rank}.json").write_text(json.dumps(timing))
    if case.devices > 1:
        torch.distributed.destroy_process_group()
    end_process()


def _threads(case: Case, device: torch.device) -> int:
    """Number of CPU threads of each process."""
    threads = torch.get_num_threads()
    return max(1, threads // case.devices) if device.type == "cpu" else threads
