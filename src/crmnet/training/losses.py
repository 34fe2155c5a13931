"""What each row costs and counts in training."""

from __future__ import annotations

import torch
from torch import Tensor

from crmnet.runs.settings import TrainSettings


def row_weights(weight: Tensor, settings: TrainSettings) -> Tensor:
    """What rows ``(B,)`` count in the loss, from their ``weight``: see :class:`TrainSettings`.

    For n cells the variance of a label is v₁/n + v₀, v₀ being what the network cannot explain; its
    inverse is proportional to n / (n + v₁/v₀).
    """
    if settings.row_weights == "equal":
        return torch.ones_like(weight)
    if settings.row_weights == "column":
        return weight
    return weight / (weight + settings.half_weight_cells)
