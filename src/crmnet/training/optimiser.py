"""Optimiser, learning rate and weight penalty of a run, as its settings name them.

Takes a network and :class:`~crmnet.runs.settings.TrainSettings`; :mod:`crmnet.training.train` steps
what comes back.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from crmnet.runs.settings import TrainSettings


def learning_rate(epoch: float, settings: TrainSettings) -> float:
    """Rate for one device at ``epoch`` epochs after the start (fractions count).

    Paper, section 2.4: a line from ``start_learning_rate`` to ``learning_rate`` over the warm-up,
    then a cosine to ``final_learning_rate`` at the end of the last epoch; with the schedule
    ``constant`` it stays where the warm-up ended. The schedule ``one-cycle`` is torch's own.
    """
    s = settings
    if epoch < s.warmup_epochs:
        share = epoch / s.warmup_epochs
        return s.start_learning_rate + share * (s.learning_rate - s.start_learning_rate)
    if s.schedule == "constant":
        return s.learning_rate
    share = min(1.0, (epoch - s.warmup_epochs) / max(s.epochs - s.warmup_epochs, 1e-9))
    fall = (1 + math.cos(math.pi * share)) / 2
    return s.final_learning_rate + fall * (s.learning_rate - s.final_learning_rate)


def make_optimizer(
    network: nn.Module, settings: TrainSettings, rate: float, *, fused: bool = False
) -> torch.optim.Optimizer:
    """The optimiser that settings name, for all of a network's weights."""
    weights, decay = network.parameters(), settings.weight_decay
    if settings.optimizer == "rmsprop":  # with Keras' constants
        return torch.optim.RMSprop(weights, lr=rate, alpha=0.9, eps=1e-7, weight_decay=decay)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(weights, lr=rate, weight_decay=decay, fused=fused)


def mean_size(network: nn.Module) -> Tensor:
    """Mean absolute value of a network's weights; biases and norms are left out."""
    weights = [p for p in network.parameters() if p.ndim > 1]
    total = torch.stack([p.abs().sum() for p in weights]).sum()
    return total / sum(p.numel() for p in weights)


def make_schedule(
    optimizer: torch.optim.Optimizer, settings: TrainSettings, steps_per_epoch: int
) -> LRScheduler:
    """The schedule that settings name, to be stepped after every batch.

    The peak rate is the one that the optimiser was made with.
    """
    s = settings
    if s.schedule != "one-cycle":
        return LambdaLR(
            optimizer, lambda step: learning_rate(step / steps_per_epoch, s) / s.learning_rate
        )
    steps = s.epochs * steps_per_epoch
    warm_up = min(s.warmup_epochs * steps_per_epoch, steps / 2)
    if steps > 1:
        warm_up = max(warm_up, 1.5)  # torch divides by the steps of the warm-up less one
    return OneCycleLR(
        optimizer,
        max_lr=optimizer.param_groups[0]["lr"],
        total_steps=steps,
        pct_start=warm_up / steps,
        div_factor=s.learning_rate / s.start_learning_rate,
        final_div_factor=s.start_learning_rate / max(s.final_learning_rate, 1e-12),
        cycle_momentum=s.optimizer != "rmsprop",
    )
