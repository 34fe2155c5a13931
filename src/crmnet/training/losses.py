"""The losses of training, the weights of rows, and the L1 penalty.

:func:`row_losses` takes network outputs and targets in the unit of training and returns a loss for
each row. :mod:`crmnet.training.module` averages over rows and adds the penalty. A new loss needs a
branch in :func:`row_losses` and its name in :data:`crmnet.choices.Loss`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from crmnet.models.layers import bin_mean
from crmnet.runs.settings import TrainSettings
from crmnet.sequence import BINS


def row_losses(output: Tensor, target_B: Tensor, settings: TrainSettings) -> tuple[Tensor, Tensor]:
    """Loss and predicted expression of each row, both ``(B,)``, in the unit of training.

    Args:
        output: Network output for the medium of each row: values ``(B,)``, or logits ``(B, BINS)``
            if the loss is ``soft-bins``.
        target_B: Labels in the unit of training, ``(B,)``.
        settings: Loss and its parameters.
    """
    if settings.loss == "soft-bins":
        return soft_bin_loss(output, target_B, settings.bin_spread), bin_mean(output)
    if settings.loss == "mse":
        return functional.mse_loss(output, target_B, reduction="none"), output
    loss_B = functional.huber_loss(output, target_B, delta=settings.huber_delta, reduction="none")
    return loss_B, output


def soft_bin_loss(logits_BK: Tensor, bins_B: Tensor, spread: float) -> Tensor:
    """Kullback-Leibler divergence of the predicted bins from a target around each label.

    The target is a normal distribution with mean label + ½ and standard deviation ``spread``,
    integrated between the cuts −∞, 1, 2, …, 17, ∞ (LegNet, Penzar et al. 2023).

    Args:
        logits_BK: Network output, one logit per bin.
        bins_B: Labels in bins, ``(B,)``.
        spread: Standard deviation of the target distribution, in bins.

    Returns:
        ``(B,)``, in nats.
    """
    cuts = torch.arange(1, BINS, dtype=logits_BK.dtype, device=logits_BK.device)
    below = torch.special.ndtr((cuts - bins_B[:, None] - 0.5) / spread)
    edge = torch.zeros_like(bins_B)[:, None]
    target = torch.cat([edge, below, edge + 1], dim=1).diff(dim=1).clamp_min(0)
    return functional.kl_div(
        functional.log_softmax(logits_BK, dim=1), target, reduction="none"
    ).sum(dim=1)


def row_weights(weight_B: Tensor, singleton_B: Tensor, settings: TrainSettings) -> Tensor:
    """Weights of rows in the loss, ``(B,)``.

    See ``row_weights`` and ``singleton_weight`` of :class:`~crmnet.runs.settings.TrainSettings`. A
    label from n cells has the variance v₁/n + v₀: v₁ is the variance between single cells, and v₀
    is the variance that the network cannot explain. The inverse is proportional to n / (n + v₁/v₀).

    Args:
        weight_B: The column ``weight`` of the data set.
        singleton_B: True if the label is an integer bin, as for a single cell.
        settings: Kind of weights, and factor for single cells.
    """
    if settings.row_weights == "equal":
        weight_B = torch.ones_like(weight_B)
    elif settings.row_weights == "cells":
        weight_B = weight_B / (weight_B + settings.half_weight_cells)
    return torch.where(singleton_B, weight_B * settings.singleton_weight, weight_B)


def mean_absolute_weight(network: nn.Module) -> Tensor:
    """Mean absolute value of a network's weights, without biases and norms: the L1 penalty."""
    weights = [p for p in network.parameters() if p.ndim > 1]
    total = torch.stack([p.abs().sum() for p in weights]).sum()
    return total / sum(p.numel() for p in weights)
