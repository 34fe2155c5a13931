"""Choice of the device to compute on, and whether it computes in bfloat16.

Takes a name, gives a :class:`torch.device`; used by prediction, training and the benchmark.
"""

from __future__ import annotations

import torch

Device = str | int | torch.device
"""What functions take as a device: a name that torch knows, a GPU's number, or a torch.device."""


def choose_device(device: Device = "auto") -> torch.device:
    """The device of that name; ``auto`` is CUDA, else Apple's MPS, else the CPU.

    Args:
        device: ``auto``, or whatever :class:`torch.device` takes: ``cpu``, ``cuda``, ``cuda:1``,
            ``mps``, a GPU's number, or a device.

    Raises:
        ValueError: If torch knows no such device, or this machine has none.
    """
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if _count(torch.device(name)))
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device must be auto, or a name such as cpu, cuda, cuda:1 or mps; got {device!r}"
        ) from error
    if (chosen.index or 0) >= (count := _count(chosen)):
        there = ", ".join(f"{chosen.type}:{number}" for number in range(count))
        raise ValueError(
            f"this machine has no device {str(device)!r}{there and f', only {there}'}; "
            "use cpu or auto"
        )
    return chosen


def _count(device: torch.device) -> int:
    """Devices of that type in this machine."""
    try:
        backend = torch.get_device_module(device)
    except RuntimeError:  # of a type that computes nothing, such as meta
        return 0
    return int(backend.device_count()) if backend.is_available() else 0


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 numbers in hardware; emulation is slow."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported()
    return False
