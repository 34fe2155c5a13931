"""Timing of calls, and properties of a device: matrix rate, peak memory, name.

The functions take a device, and functions or networks to time. They return numbers and descriptions
to :mod:`crmnet.benchmark` and to the scripts in ``benchmarks/``.
"""

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
"""Sizes of square matrix products; their best rate is the matrix rate of the device."""


def time_calls(
    work: Callable[[], Any], device: torch.device, warm_up: int, steps: int
) -> list[float]:
    """Seconds of each of ``steps`` calls of ``work``, after ``warm_up`` calls without timing."""
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
    """Wait until the device has finished its work; a CPU has finished when a call returns."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def forward_flop(network: nn.Module, length: int = LENGTH) -> int:
    """Floating-point operations of one sequence's forward pass.

    Only matrix products and convolutions are counted; a multiply-add counts as 2. Padding counts
    like all other positions.
    """
    device = next(network.parameters()).device
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, 4, length, device=device))
    return int(counter.get_total_flops())


def matrix_rate(device: torch.device, precision: str, threads: int) -> float:
    """Operations per second of the fastest square matrix product on one device, multiply-add = 2.

    Sizes increase until a product is slow: with emulated bf16, a product of size 2,048 takes a
    minute.
    """
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    generator = torch.Generator(device).manual_seed(0)
    best = 0.0
    try:
        for size in MATRIX_SIZES["cpu" if device.type == "cpu" else "gpu"]:
            matrix = torch.rand(size, size, generator=generator, device=device)
            matrix = matrix.to(PRECISIONS[precision])
            times = time_calls(functools.partial(torch.matmul, matrix, matrix), device, 1, 5)
            best = max(best, 2 * size**3 / min(times))
            if sum(times) > 0.5:  # the next size takes eight times as long
                break
    finally:
        torch.set_num_threads(threads_before)
    return best


def reset_peak_memory(device: torch.device) -> None:
    """Reset the peak that :func:`peak_memory` reports, if the system supports it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)  # initialises CUDA
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):  # Linux: 5 resets the peak resident size
            Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int | None:
    """Largest number of bytes in use since the reset; None if not available.

    On CUDA: tensors on the device. On the CPU: peak resident size of this process, including Python
    and torch.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_resident() if device.type == "cpu" else None


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Description of the machine, for JSON: hardware, threads, versions."""
    cpu, threads = _cpu_name(), torch.get_num_threads()
    description: dict[str, Any] = {"hardware": f"{cpu}, {threads} threads", "cpu": cpu}
    if device.type == "cuda":
        description["hardware"] = torch.cuda.get_device_name(device)
        description["devices_present"] = torch.cuda.device_count()
        description["device_memory_bytes"] = torch.cuda.get_device_properties(device).total_memory
        description["cuda"] = torch.version.cuda
    elif device.type != "cpu":
        description["hardware"] = f"{cpu} ({device.type})"
    return {**description, "device": device.type, "threads": threads, "versions": versions()}


def _cpu_name() -> str:
    """Name of the CPU, from Linux or from Python."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
