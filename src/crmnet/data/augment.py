"""Random changes to training batches that keep the labels valid, computed on the device.

:mod:`crmnet.training.module` applies them to tokens before one-hot encoding, in training only.
Random numbers come from torch's global generator, which training seeds before every step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crmnet.sequence import N_TOKEN, other_strand


def reverse_complement_some(tokens: Tensor, share: float) -> Tensor:
    """Reverse-complement a random share of the rows ``(B, L)``; padding stays at the end.

    The adapters are reverse-complemented too, so a network can distinguish the strands.
    """
    reversed_rows = other_strand(tokens)
    chosen = torch.rand(len(tokens), 1, device=tokens.device) < share
    return torch.where(chosen, reversed_rows, tokens)


def shift_some(tokens: Tensor, most: int) -> Tensor:
    """Shift each row ``(B, L)`` by up to ``most`` positions left or right; N fills the gap.

    Only adapter bases are lost as long as ``most`` is smaller than the adapters.
    """
    length = tokens.shape[1]
    moves = torch.randint(-most, most + 1, (len(tokens), 1), device=tokens.device)
    source = torch.arange(length, device=tokens.device) + moves
    inside = (source >= 0) & (source < length)
    moved = tokens.gather(1, source.clamp(0, length - 1))
    return torch.where(inside, moved, torch.full_like(moved, N_TOKEN))
