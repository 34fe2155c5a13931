"""The network as Lightning trains it: loss, optimiser, schedule and validation metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from crmnet.data.augment import reverse_complement_some, shift_some
from crmnet.data.loader import Batch
from crmnet.device import has_bfloat16
from crmnet.models.crmnet.training_form import training_forward
from crmnet.models.layers import BinMean, bin_mean, has_marks, soft_bin_loss
from crmnet.runs.record import Scale
from crmnet.runs.settings import TrainSettings
from crmnet.sequence import BINS, one_hot
from crmnet.statistics.metrics import score
from crmnet.training.losses import row_weights
from crmnet.training.optimiser import make_optimizer, make_schedule, mean_size

ARITHMETIC = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Of the network where its form for training chooses types by itself; None takes the weights'."""


class Training(pl.LightningModule):
    """A network with its loss, optimiser, schedule and validation metrics."""

    mean: Tensor
    sd: Tensor

    def __init__(
        self,
        network: nn.Module,
        settings: TrainSettings,
        scale: Mapping[str, Scale],
        steps_per_epoch: int,
        world: int = 1,
    ) -> None:
        super().__init__()
        self.network, self.settings, self.outputs = network, settings, list(scale)
        self.steps_per_epoch, self.world = steps_per_epoch, world
        self.average: AveragedModel | None = None
        if settings.ema:
            average = get_ema_multi_avg_fn(settings.ema)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(
                network, multi_avg_fn=average, use_buffers=True
            ).requires_grad_(False)
        # Rebuilt from the record, not from the weights file.
        self.register_buffer(
            "mean", torch.tensor([s.mean for s in scale.values()]), persistent=False
        )
        self.register_buffer("sd", torch.tensor([s.sd for s in scale.values()]), persistent=False)
        self.validated: list[tuple[Tensor, Tensor]] = []
        self.metrics: dict[str, float] = {}
        """Of the last validation, over all processes."""

    @property
    def evaluated(self) -> nn.Module:
        """The network to validate and to keep: the averaged one, if there is one."""
        return self.network if self.average is None else self.average.module

    def _errors(
        self, network: nn.Module, x_BCL: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss of each row, predicted and measured, each ``(B,)``, in the unit of training."""
        s, rows = self.settings, torch.arange(len(batch.labels), device=batch.labels.device)
        target = (batch.labels - self.mean[batch.medium]) / self.sd[batch.medium]
        dtype = ARITHMETIC[arithmetic_of(s, x_BCL.device)]
        if s.loss == "soft-bins":
            if isinstance(network, BinMean):
                logits = training_forward(network.network, x_BCL, dtype).view(len(rows), -1, BINS)
            else:
                logits = network.logits(x_BCL)  # type: ignore[operator]
            logits = logits.float()[rows, batch.medium]
            return soft_bin_loss(logits, target, s.bin_spread), bin_mean(logits), target
        predicted = training_forward(network, x_BCL, dtype).float()[rows, batch.medium]
        if s.loss == "mse":
            return functional.mse_loss(predicted, target, reduction="none"), predicted, target
        loss = functional.huber_loss(predicted, target, delta=s.huber_delta, reduction="none")
        return loss, predicted, target

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        # Dropout and augmentation then depend on the seed and the step alone, which is what lets a
        # killed run continue exactly. Seeding once per epoch does not: whether Lightning draws from
        # the generator before or after that differs in the first epoch after a resume.
        step = self.settings.seed * 1_000_003 + self.global_step
        torch.manual_seed(step * self.world + self.global_rank)

    def _shown(self, batch: Batch) -> Tensor:
        """Training rows as the network sees them, changed and marked: ``(B, 4 or 6, L)``."""
        s, tokens, marked = self.settings, batch.tokens, has_marks(self.network)
        if s.reverse_complement and not marked:
            tokens = reverse_complement_some(tokens, s.reverse_complement)
        if s.shift:
            tokens = shift_some(tokens, s.shift)
        x_BCL = one_hot(tokens)
        if not marked:
            return x_BCL
        reverse_B = torch.rand_like(batch.labels) < s.reverse_complement
        singleton_B = batch.singleton & s.mark_singletons
        marks_BC1 = torch.stack([reverse_B, singleton_B], dim=1).to(x_BCL)[:, :, None]
        return torch.cat([x_BCL, marks_BC1.expand(-1, -1, x_BCL.shape[2])], dim=1)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        losses, _, _ = self._errors(self.network, self._shown(batch), batch)
        weight = row_weights(batch.weight, self.settings)
        weight = torch.where(batch.singleton, weight * self.settings.singleton_weight, weight)
        summed, total = (losses * weight).sum(), weight.sum()
        # Gradients are averaged over processes, so each sum is divided by the mean total: the step
        # is that of one process with all rows, however unevenly they are shared.
        mean_total = total.clone()
        if self.world > 1:
            torch.distributed.all_reduce(mean_total)
            mean_total /= self.world
        self.log(
            "loss", summed.detach() / total, on_step=False, on_epoch=True, prog_bar=True,
            sync_dist=self.world > 1,
            batch_size=len(batch.labels) * self.world,  # Lightning averages it as an integer
        )  # fmt: skip
        loss = summed / mean_total
        return loss + self.settings.l1 * mean_size(self.network) if self.settings.l1 else loss

    def on_train_batch_end(self, outputs: Any, batch: Batch, index: int) -> None:
        if self.average is not None:
            self.average.update_parameters(self.network)

    def validation_step(self, batch: Batch, index: int) -> None:
        if len(batch.labels):  # a process may have none in the last step
            losses, predicted, target = self._errors(self.evaluated, one_hot(batch.tokens), batch)
            self.validated.append((torch.stack([losses, predicted, target]), batch.medium))

    def on_validation_epoch_end(self) -> None:
        numbers, output = self._all_validated()
        loss, predicted, target = numbers.double().numpy()
        metrics = {"val_loss": float(loss.mean())}
        r2, r = [], []
        for number, name in enumerate(self.outputs):
            rows = (output == number).numpy()
            if rows.sum() < 3:
                continue
            scored = score(target[rows], predicted[rows])
            # A network that predicts one value for all has learned no order yet: r = 0.
            r.append(scored["pearson"] if math.isfinite(scored["pearson"]) else 0.0)
            r2.append(scored["r2"] if math.isfinite(scored["r2"]) else 0.0)
            if len(self.outputs) > 1:
                metrics[f"val_r_{name}"] = r[-1]
        self.metrics = {**metrics, "val_r2": float(np.mean(r2)), "val_r": float(np.mean(r))}
        for name, value in self.metrics.items():
            self.log(name, value, prog_bar=name == "val_r", sync_dist=self.world > 1)

    def _all_validated(self) -> tuple[Tensor, Tensor]:
        """Loss, predicted and measured ``(3, N)`` and outputs ``(N,)`` of all processes' rows."""
        mine = None
        if self.validated:
            numbers, outputs = zip(*self.validated, strict=True)
            mine = torch.cat(numbers, dim=1).cpu(), torch.cat(outputs).cpu()
        self.validated.clear()
        parts: list[Any] = [mine]
        if self.world > 1:
            parts = [None] * self.world
            torch.distributed.all_gather_object(parts, mine)
        numbers, outputs = zip(*filter(None, parts), strict=True)
        return torch.cat(numbers, dim=1), torch.cat(outputs)

    def configure_optimizers(self) -> Any:
        """The optimiser; its rate is set before every step."""
        peak = self.settings.learning_rate * (
            self.world if self.settings.scale_learning_rate else 1
        )
        fused = self.device.type != "xla"
        optimizer = make_optimizer(self.network, self.settings, peak, fused=fused)
        schedule = make_schedule(optimizer, self.settings, self.steps_per_epoch)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


LIGHTNING_PRECISION: dict[str, Any] = {
    "fp32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}


def arithmetic_of(settings: TrainSettings, device: torch.device) -> str:
    """The arithmetic that ``auto`` stands for on a device."""
    if settings.precision == "auto":
        return "bf16" if has_bfloat16(device) else "fp32"
    return settings.precision
