"""Chooses the device to compute on, and tests whether it supports bfloat16.

:func:`choose_device` takes a name and returns a :class:`torch.device`, for prediction, training and
the benchmark.
"""

from __future__ import annotations

import torch

Device = str | int | torch.device
"""Argument for a device: a name that torch knows, the number of a GPU, or a torch.device."""
TRAINING_NAMES = r"^(auto|cpu|mps|tpu|cuda(:\d{1,3})?)$"
"""Pattern of the names that the setting ``train.device`` accepts."""


def choose_device(device: Device = "auto") -> torch.device:
    """Convert a name to a device; ``auto`` is CUDA if available, else Apple's MPS, else the CPU.

    Args:
        device: ``auto``, or any argument of :class:`torch.device`: ``cpu``, ``cuda``, ``cuda:1``,
            ``mps``, the number of a GPU, or a device.

    Raises:
        ValueError: If torch does not know the device, or this machine does not have it.
    """
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if _count(torch.device(name)))
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device must be auto, or a name such as cpu, cuda, cuda:1 or mps; got {device!r}"
        ) from error
    if (resolved.index or 0) >= (count := _count(resolved)):
        available = ", ".join(f"{resolved.type}:{number}" for number in range(count))
        raise ValueError(
            f"this machine has no device {str(device)!r}{available and f', only {available}'}; "
            "use cpu or auto"
        )
    return resolved


def _count(device: torch.device) -> int:
    """Number of devices of the given device's type in this machine."""
    try:
        backend = torch.get_device_module(device)
    except RuntimeError:  # a type without a backend, such as meta
        return 0
    return int(backend.device_count()) if backend.is_available() else 0


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes bfloat16 products in hardware; emulation is slow."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported()
    return False
