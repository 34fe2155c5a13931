"""Changes to training batches that leave the label true, made on the device.

Applied by :mod:`crmnet.training.train` to tokens, before they become one-hot; never in evaluation.
Random numbers come from torch's global generator, which training seeds anew for every step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crmnet.sequence import N_TOKEN, other_strand


def reverse_complement_some(tokens: Tensor, share: float) -> Tensor:
    """Replace a random share of the rows ``(B, L)`` by their other strand; padding stays last.

    The adapters turn with the insert, so a network can tell the strands apart where it matters.
    """
    turned = other_strand(tokens)
    chosen = torch.rand(len(tokens), 1, device=tokens.device) < share
    return torch.where(chosen, turned, tokens)


def shift_some(tokens: Tensor, most: int) -> Tensor:
    """Move each row ``(B, L)`` by up to ``most`` positions left or right; N fills the gap.

    What falls off an end is adapter, as long as ``most`` is smaller than the adapters.
    """
    length = tokens.shape[1]
    moves = torch.randint(-most, most + 1, (len(tokens), 1), device=tokens.device)
    source = torch.arange(length, device=tokens.device) + moves
    inside = (source >= 0) & (source < length)
    moved = tokens.gather(1, source.clamp(0, length - 1))
    return torch.where(inside, moved, torch.full_like(moved, N_TOKEN))
