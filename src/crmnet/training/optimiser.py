"""Optimiser and learning-rate schedule of a run, chosen by its settings.

Takes a network and :class:`~crmnet.runs.settings.TrainSettings`, gives objects that
:mod:`crmnet.training.module` hands to Lightning, which steps them.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from crmnet.runs.settings import TrainSettings


def learning_rate(epoch: float, settings: TrainSettings) -> float:
    """Rate for one device after ``epoch`` epochs, which may be a fraction.

    Paper, section 2.4: a line from ``start_learning_rate`` to ``learning_rate`` over the warm-up,
    then a cosine to ``final_learning_rate`` at the end of the last epoch. With the schedule
    ``constant`` the rate stays at ``learning_rate`` after the warm-up. ``one-cycle`` is not
    computed here but by torch.
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
    """The optimiser of the settings, for all weights of a network."""
    weights, decay = network.parameters(), settings.weight_decay
    if settings.optimizer == "rmsprop":  # with the constants of Keras
        return torch.optim.RMSprop(weights, lr=rate, alpha=0.9, eps=1e-7, weight_decay=decay)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(weights, lr=rate, weight_decay=decay, fused=fused)


def make_schedule(
    optimizer: torch.optim.Optimizer, settings: TrainSettings, steps_per_epoch: int
) -> LRScheduler:
    """The schedule of the settings, to be stepped after every batch.

    Its peak is the learning rate with which the optimiser was created.
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
        max_lr=optimizer.param_groups[0]["lr"],
        total_steps=steps,
        pct_start=warm_up / steps,
        div_factor=s.learning_rate / s.start_learning_rate,
        final_div_factor=s.start_learning_rate / max(s.final_learning_rate, 1e-12),
        cycle_momentum=s.optimizer != "rmsprop",
    )
