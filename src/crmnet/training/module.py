"""The LightningModule of a training run: training step, optimiser, schedule, validation metrics.

:class:`TrainingModule` takes a network, settings and the scale of the labels.
:mod:`crmnet.training.train` passes it to Lightning's Trainer, which calls its methods with the
batches of :mod:`crmnet.data.loader`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from crmnet.data.augment import random_reverse_complement, random_shift
from crmnet.data.loader import Batch
from crmnet.device import has_bfloat16
from crmnet.models.crmnet.training_form import training_forward
from crmnet.models.layers import BinMean, has_marks
from crmnet.runs.record import Scale
from crmnet.runs.settings import TrainSettings
from crmnet.sequence import BINS, one_hot
from crmnet.statistics.metrics import score
from crmnet.training.finish import refit_norms
from crmnet.training.losses import mean_absolute_weight, row_losses, row_weights
from crmnet.training.optimiser import make_optimizer, make_schedule

ARITHMETIC = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Precision → dtype of :func:`~crmnet.models.crmnet.training_form.training_forward`; None means the
dtype of the weights."""


class TrainingModule(pl.LightningModule):
    """A network with its loss, optimiser, schedule and validation metrics.

    Args:
        network: The network to train.
        settings: Settings of the training.
        scale: Output → mean and sd; (label − mean) / sd is the label in the unit of training.
        steps_per_epoch: Number of training steps of this process in an epoch.
        world_size: Number of processes that train together.
    """

    mean: Tensor
    sd: Tensor

    def __init__(
        self,
        network: nn.Module,
        settings: TrainSettings,
        scale: Mapping[str, Scale],
        steps_per_epoch: int,
        world_size: int = 1,
    ) -> None:
        super().__init__()
        self.network, self.settings, self.outputs = network, settings, list(scale)
        self.steps_per_epoch, self.world_size = steps_per_epoch, world_size
        self.norm_tokens: Tensor | None = None
        """Rows from which the averages of batch norm are computed before each validation."""
        self.average: AveragedModel | None = None
        if settings.ema:
            average = get_ema_multi_avg_fn(settings.ema)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(
                network, multi_avg_fn=average, use_buffers=True
            ).requires_grad_(False)
        # Not persistent: the run's record stores them, the weights file does not.
        self.register_buffer(
            "mean", torch.tensor([s.mean for s in scale.values()]), persistent=False
        )
        self.register_buffer("sd", torch.tensor([s.sd for s in scale.values()]), persistent=False)
        self.validation_batches: list[tuple[Tensor, Tensor]] = []
        self.metrics: dict[str, float] = {}
        """Metrics of the last validation, over all processes."""

    @property
    def evaluation_network(self) -> nn.Module:
        """The network to validate and save: with averaged weights if ``ema`` is set."""
        return self.network if self.average is None else self.average.module

    def _row_losses(
        self, network: nn.Module, x_BCL: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss, prediction and target of each row, each ``(B,)``, in the unit of training."""
        target_B = (batch.labels - self.mean[batch.medium]) / self.sd[batch.medium]
        rows = torch.arange(len(batch.labels), device=batch.labels.device)
        output = self._output(network, x_BCL).float()[rows, batch.medium]
        loss_B, predicted_B = row_losses(output, target_B, self.settings)
        return loss_B, predicted_B, target_B

    def _output(self, network: nn.Module, x_BCL: Tensor) -> Tensor:
        """Network output for every medium: values ``(B, M)``, or logits ``(B, M, BINS)``."""
        dtype = ARITHMETIC[resolve_precision(self.settings, x_BCL.device)]
        if not self.settings.predicts_bins:
            return training_forward(network, x_BCL, dtype)
        if isinstance(network, BinMean):
            return training_forward(network.network, x_BCL, dtype).view(len(x_BCL), -1, BINS)
        return network.logits(x_BCL)  # type: ignore[operator]

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        # Dropout and augmentation then depend only on seed and step, so a resumed run gives the
        # same weights. Seeding once per epoch is not enough: in the first epoch after a resume,
        # Lightning uses the generator at another time relative to the seeding.
        step = self.settings.seed * 1_000_003 + self.global_step
        torch.manual_seed(step * self.world_size + self.global_rank)

    def _augmented(self, batch: Batch) -> Tensor:
        """Augmented one-hot rows, with marks if the network accepts them: ``(B, 4 or 6, L)``."""
        s, tokens, marked = self.settings, batch.tokens, has_marks(self.network)
        if s.reverse_complement and not marked:
            tokens = random_reverse_complement(tokens, s.reverse_complement)
        if s.shift:
            tokens = random_shift(tokens, s.shift)
        x_BCL = one_hot(tokens)
        if not marked:
            return x_BCL
        reverse_B = torch.rand_like(batch.labels) < s.reverse_complement
        singleton_B = batch.singleton & s.mark_singletons
        marks_BC1 = torch.stack([reverse_B, singleton_B], dim=1).to(x_BCL)[:, :, None]
        return torch.cat([x_BCL, marks_BC1.expand(-1, -1, x_BCL.shape[2])], dim=1)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        losses, _, _ = self._row_losses(self.network, self._augmented(batch), batch)
        weight = row_weights(batch.weight, batch.singleton, self.settings)
        summed, total = (losses * weight).sum(), weight.sum()
        # Gradients are averaged over processes, so each sum is divided by the mean total weight.
        # The step then equals that of one process with all rows, even if the processes have
        # different numbers of rows.
        mean_total = total.clone()
        if self.world_size > 1:
            torch.distributed.all_reduce(mean_total)
            mean_total /= self.world_size
        self.log(
            "loss", summed.detach() / _not_zero(total), on_step=False, on_epoch=True, prog_bar=True,
            sync_dist=self.world_size > 1,
            batch_size=len(batch.labels) * self.world_size,  # Lightning averages it as integers
        )  # fmt: skip
        loss = summed / _not_zero(mean_total)
        if self.settings.l1:
            loss = loss + self.settings.l1 * mean_absolute_weight(self.network)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Batch, index: int) -> None:
        if self.average is not None:
            self.average.update_parameters(self.network)

    def on_validation_epoch_start(self) -> None:
        if self.norm_tokens is not None and not self.trainer.sanity_checking:
            refit_norms(self.evaluation_network, self.norm_tokens, self.device)

    def validation_step(self, batch: Batch, index: int) -> None:
        if len(batch.labels):  # in the last step a process may have no rows
            losses, predicted, target = self._row_losses(
                self.evaluation_network, one_hot(batch.tokens), batch
            )
            self.validation_batches.append((torch.stack([losses, predicted, target]), batch.medium))

    def on_validation_epoch_end(self) -> None:
        numbers, output = self._gather_validation()
        loss, predicted, target = numbers.double().numpy()
        metrics = {"val_loss": float(loss.mean())}
        r2, r = [], []
        for number, name in enumerate(self.outputs):
            rows = (output == number).numpy()
            if rows.sum() < 3:
                continue
            scored = score(target[rows], predicted[rows])
            # r of constant predictions is not defined; it counts as 0.
            r.append(scored["pearson"] if math.isfinite(scored["pearson"]) else 0.0)
            r2.append(scored["r2"] if math.isfinite(scored["r2"]) else 0.0)
            if len(self.outputs) > 1:
                metrics[f"val_r_{name}"] = r[-1]
        self.metrics = {**metrics, "val_r2": float(np.mean(r2)), "val_r": float(np.mean(r))}
        for name, value in self.metrics.items():
            self.log(name, value, prog_bar=name == "val_r", sync_dist=self.world_size > 1)

    def _gather_validation(self) -> tuple[Tensor, Tensor]:
        """Loss, prediction and target ``(3, N)``, and output ``(N,)``, of all processes' rows."""
        local = None
        if self.validation_batches:
            numbers, outputs = zip(*self.validation_batches, strict=True)
            local = torch.cat(numbers, dim=1).cpu(), torch.cat(outputs).cpu()
        self.validation_batches.clear()
        of_processes: list[Any] = [local]
        if self.world_size > 1:
            of_processes = [None] * self.world_size
            torch.distributed.all_gather_object(of_processes, local)
        numbers, outputs = zip(*filter(None, of_processes), strict=True)
        return torch.cat(numbers, dim=1), torch.cat(outputs)

    def configure_optimizers(self) -> Any:
        """The optimiser, and the schedule that sets its learning rate before every step."""
        peak = self.settings.learning_rate * (
            self.world_size if self.settings.scale_learning_rate else 1
        )
        fused = self.device.type != "xla"
        optimizer = make_optimizer(self.network, self.settings, peak, fused=fused)
        schedule = make_schedule(optimizer, self.settings, self.steps_per_epoch)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def _not_zero(total: Tensor) -> Tensor:
    """``total``, or 1 if it is 0: rows without weight have the loss 0 and no gradient, not NaN."""
    return total.masked_fill(total == 0, 1.0)


LIGHTNING_PRECISION: dict[str, Any] = {
    "fp32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}
"""Precision → its name in Lightning."""


def resolve_precision(settings: TrainSettings, device: torch.device) -> str:
    """Precision on a device; ``auto`` is bf16 if the hardware supports it, else fp32."""
    if settings.precision == "auto":
        return "bf16" if has_bfloat16(device) else "fp32"
    return settings.precision
