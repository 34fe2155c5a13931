"""Augmentation: random changes to training batches that keep the labels valid.

The functions take the tokens of a batch (:mod:`crmnet.data.loader`) and return tokens, on the same
device. :mod:`crmnet.training.module` calls them before one-hot encoding, in training only. Random
numbers come from torch's global generator, which training seeds before every step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crmnet.sequence import N_TOKEN, other_strand


def random_reverse_complement(tokens: Tensor, share: float) -> Tensor:
    """Reverse-complement a random share of the rows ``(B, L)``; padding stays at the end.

    The adapters are reverse-complemented too, so a network can distinguish the strands.
    """
    reversed_rows = other_strand(tokens)
    is_reversed = torch.rand(len(tokens), 1, device=tokens.device) < share
    return torch.where(is_reversed, reversed_rows, tokens)


def random_shift(tokens: Tensor, max_shift: int) -> Tensor:
    """Shift each row ``(B, L)`` by up to ``max_shift`` positions left or right; N fills the gap.

    Only adapter bases are lost as long as ``max_shift`` is smaller than the adapters.
    """
    length = tokens.shape[1]
    shifts = torch.randint(-max_shift, max_shift + 1, (len(tokens), 1), device=tokens.device)
    source_position = torch.arange(length, device=tokens.device) + shifts
    inside = (source_position >= 0) & (source_position < length)
    shifted = tokens.gather(1, source_position.clamp(0, length - 1))
    return torch.where(inside, shifted, torch.full_like(shifted, N_TOKEN))
