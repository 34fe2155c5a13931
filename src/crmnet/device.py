"""Choice of the device to compute on, and whether it computes in bfloat16.

Takes a name, gives a :class:`torch.device`; used by prediction, training and the benchmark.
"""

from __future__ import annotations

import torch


def choose_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is CUDA, else Apple's MPS, else the CPU.

    Raises:
        ValueError: If this machine has no such device.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, available in there.items() if available)
    if not there.get(name, False):
        raise ValueError(f"this machine has no device {name!r}; use cpu or auto")
    return torch.device(name)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 numbers in hardware; emulation is slow."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported()
    return False
