"""The clock, and what a device can do: matrix rate, peak memory, name."""

from __future__ import annotations

import contextlib
import functools
import gc
import platform
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from crmnet.benchmark.rows import PRECISIONS
from crmnet.process import peak_resident
from crmnet.runs.record import versions
from crmnet.sequence import LENGTH

MATRIX_SIZES = {"cpu": (256, 512, 1024, 2048), "gpu": (1024, 4096)}
"""Of the square products whose best rate is taken as what the device can do."""


def times_of(
    work: Callable[[], Any], device: torch.device, warm_up: int, steps: int
) -> list[float]:
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
            times = times_of(functools.partial(torch.matmul, matrix, matrix), device, 1, 5)
            best = max(best, 2 * size**3 / min(times))
            if sum(times) > 0.5:  # the next size takes eight times as long
                break
    finally:
        torch.set_num_threads(before)
    return best


def forget_peak(device: torch.device) -> None:
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
    return peak_resident() if device.type == "cpu" else None


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
