"""Optimiser and learning-rate schedule of a run, as its settings define.

The functions take a network and :class:`~crmnet.runs.settings.TrainSettings` and return torch
objects. :mod:`crmnet.training.module` passes these to Lightning, which calls ``step`` on them.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from crmnet.runs.settings import TrainSettings


def learning_rate(epoch: float, settings: TrainSettings) -> float:
    """Rate for one device after ``epoch`` epochs, which may be a fraction.

    As in section 2.4 of the paper: a line from ``start_learning_rate`` to ``learning_rate`` over
    the warm-up, then a cosine to ``final_learning_rate`` at the end of the last epoch. With the
    schedule ``constant`` the rate stays at ``learning_rate`` after the warm-up. torch computes the
    schedule ``one-cycle`` (:func:`make_schedule`).
    """
    s = settings
    if epoch < s.warmup_epochs:
        fraction = epoch / s.warmup_epochs
        return s.start_learning_rate + fraction * (s.learning_rate - s.start_learning_rate)
    if s.schedule == "constant":
        return s.learning_rate
    fraction = min(1.0, (epoch - s.warmup_epochs) / max(s.epochs - s.warmup_epochs, 1e-9))
    cosine = (1 + math.cos(math.pi * fraction)) / 2
    return s.final_learning_rate + cosine * (s.learning_rate - s.final_learning_rate)


def make_optimizer(
    network: nn.Module, settings: TrainSettings, rate: float, *, fused: bool = False
) -> torch.optim.Optimizer:
    """Optimiser of all weights of a network.

    Args:
        network: The network to train.
        settings: Name of the optimiser, and weight decay.
        rate: Peak learning rate.
        fused: Use torch's fused kernel, which Adam and AdamW have.
    """
    weights, decay = _parameter_groups(network, settings, rate), settings.weight_decay
    if settings.optimizer == "rmsprop":  # with the constants of Keras
        return torch.optim.RMSprop(weights, lr=rate, alpha=0.9, eps=1e-7, weight_decay=decay)
    optimizer_class = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return optimizer_class(weights, lr=rate, weight_decay=decay, fused=fused)


def _parameter_groups(
    network: nn.Module, settings: TrainSettings, rate: float
) -> list[dict[str, Any]]:
    """Trained weights with their rates: one group, or two if lower layers have another rate."""
    trained = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    if settings.lower_rate == 1:
        return [{"params": [p for _, p in trained], "lr": rate}]
    head = [p for name, p in trained if "head" in name.split(".")]
    lower = [p for name, p in trained if "head" not in name.split(".")]
    return [{"params": head, "lr": rate}, {"params": lower, "lr": rate * settings.lower_rate}]


def make_schedule(
    optimizer: torch.optim.Optimizer, settings: TrainSettings, steps_per_epoch: int
) -> LRScheduler:
    """Learning-rate schedule, to be stepped after every batch.

    The peak of each group of weights is the rate with which the optimiser was created.
    """
    s = settings
    if s.schedule != "one-cycle":
        return LambdaLR(
            optimizer, lambda step: learning_rate(step / steps_per_epoch, s) / s.learning_rate
        )
    steps = s.epochs * steps_per_epoch
    warm_up = min(s.warmup_epochs * steps_per_epoch, steps / 2)
    if steps > 1:
        warm_up = max(warm_up, 1.5)  # torch divides by the number of warm-up steps minus one
    return OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=steps,
        pct_start=warm_up / steps,
        div_factor=s.learning_rate / s.start_learning_rate,
        final_div_factor=s.start_learning_rate / max(s.final_learning_rate, 1e-12),
        cycle_momentum=s.optimizer != "rmsprop",
    )
