"""Training: data set + settings → run folder, through Lightning's Trainer.

The paper's recipe (section 2.4): Huber loss, Adam, warm-up then cosine, early stopping on the
validation R², best weights kept. A run that was killed goes on from its last finished epoch and
ends with the same weights as one that was not: batches and dropout depend only on the seed and the
number of the epoch or step.

On several devices every process runs :func:`train`; each sees its share of one permutation of the
rows, gradients are averaged, and only the process of rank 0 writes.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, TQDMProgressBar
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from crmnet.checkpoint import (
    RECORD,
    WEIGHTS,
    build_network,
    check_same,
    claim,
    load_record,
    load_run,
    load_strictly,
    save_record,
)
from crmnet.data.augment import reverse_complement_some, shift_some
from crmnet.data.dataset import Dataset
from crmnet.data.loader import Batch, RowBatches, make_loader
from crmnet.evaluate import score
from crmnet.models.crmnet import CRMnet
from crmnet.models.layers import BinMean, bin_mean, count_parameters, has_marks, soft_bin_loss
from crmnet.models.training import training_forward
from crmnet.motifs.jaspar import yeast_motifs
from crmnet.optimiser import make_optimizer, make_schedule, mean_size
from crmnet.predict import choose_device, has_bfloat16
from crmnet.run import RunRecord, RunSettings, Scale, TrainSettings, versions
from crmnet.run_folder import Diverged as Diverged  # what training may raise
from crmnet.run_folder import RunFolder, StateFile
from crmnet.sequence import BINS, one_hot
from crmnet.train_data import TrainData, choose

log = logging.getLogger("crmnet")


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
        dtype = ARITHMETIC[_precision(s, x_BCL.device)]
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


def train(
    settings: RunSettings,
    data: Dataset,
    run: Path,
    *,
    validation: Dataset | None = None,
    start: Path | None = None,
    resume: bool = False,
) -> RunRecord:
    """Train a network and leave a run folder.

    Args:
        settings: From :func:`crmnet.run.resolve`.
        data: Rows to train on.
        run: Folder to make.
        validation: Rows to watch; without it a share of the families of ``data`` is held out.
        start: A run whose weights and units to start from, all of them trained further.
        resume: Go on where a killed run of the same settings and data stopped.

    Returns:
        The finished record; the best weights are in the folder.

    Raises:
        FileExistsError: If ``run`` holds a run already and ``resume`` is not asked for.
        ValueError: If settings or data differ from those of the run to resume, there is too
            little to validate on, or the device cannot do what is asked.
        Diverged: If the loss is no number any more.
    """
    s = settings.train
    device = _check_device(s)
    base, base_record = (None, None) if start is None else load_run(start)
    chosen = choose(s, data, validation, base_record)
    record = RunRecord(
        settings=_with_outputs(settings, chosen.outputs),
        media=chosen.outputs,
        scale=chosen.scale,
        data=chosen.described(base_record, start),
        versions=versions(),
    )
    network = build_network(record, seed=s.seed)
    if s.mark_singletons and not has_marks(network):
        raise ValueError(
            f"{settings.model.name} has no channel for singletons; set train.mark_singletons=false"
        )
    if base is not None and start is not None:
        load_strictly(network, base.state_dict(), start / WEIGHTS)
    elif isinstance(network, CRMnet) and network.stem is not None and network.config.stem_motifs:
        network.stem.begin_with([motif.log_odds() for motif in yeast_motifs()])
    folder = RunFolder(run, record)
    trainer = _trainer(s, folder, device)
    if not trainer.is_global_zero:
        log.setLevel(logging.WARNING)
    if resume and (run / RECORD).is_file() and load_record(run).finished:
        check_same(run, record)
        log.info("%s is finished already", run)
        return load_record(run)
    state = claim(run, record, resume, writes=trainer.is_global_zero)
    if start is not None and state is None:
        trainer.num_sanity_val_steps = math.inf  # validate once before training
    log.info(
        "training %s (%s parameters) on %s rows, watching %s",
        settings.model.name, f"{sum(count_parameters(network)):,}", f"{len(chosen.rows):,}",
        f"{len(chosen.validation_rows):,}",
    )  # fmt: skip
    _fit(trainer, folder, network, chosen, state, device)
    finished = folder.record.model_copy(update={"finished": True})
    if trainer.is_global_zero:
        save_record(run, finished)
        load_run(run)  # what is on disk can be read back
    return finished


def _fit(
    trainer: pl.Trainer,
    folder: RunFolder,
    network: nn.Module,
    chosen: TrainData,
    state: Path | None,
    device: torch.device,
) -> None:
    """Train to the end, from ``state`` on if it is given."""
    s = folder.record.settings.train
    loader, watch = _loaders(s, chosen, trainer)
    assert isinstance(loader.sampler, RowBatches)
    folder.sampler = loader.sampler
    module = Training(network, s, chosen.scale, len(loader), trainer.world_size)
    # Training draws from torch's global generators; the caller's are left as they were.
    generators = [device] if device.type == "cuda" else []
    with warnings.catch_warnings(), torch.random.fork_rng(generators):
        _quiet_lightning()
        try:
            trainer.fit(module, loader, watch, ckpt_path=state)
        except SystemExit:  # what Lightning makes of Ctrl-C
            log.info("stopped; the same command with --resume goes on after the last whole epoch")
            raise KeyboardInterrupt from None


def _loaders(
    settings: TrainSettings, chosen: TrainData, trainer: pl.Trainer
) -> tuple[DataLoader[Batch], DataLoader[Batch]]:
    """This process's share of the rows to train on, shuffled, and of those to watch."""
    s, outputs, rank, world = settings, chosen.outputs, trainer.global_rank, trainer.world_size
    loader = make_loader(
        chosen.data, s.batch_size, rows=chosen.rows, shuffle=True, seed=s.seed, outputs=outputs,
        even_media=s.even_media, chances=chosen.chances, workers=s.workers,
        rank=rank, world=world,
    )  # fmt: skip
    watch = make_loader(
        chosen.validation, s.batch_size, rows=chosen.validation_rows, outputs=outputs,
        rank=rank, world=world,
    )  # fmt: skip
    return loader, watch


def is_main_process() -> bool:
    """Whether this process is the one that reports, of all that train together."""
    ranks = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
    return not any(int(os.environ.get(rank, 0)) for rank in ranks)


def _check_device(settings: TrainSettings) -> torch.device:
    world = settings.devices * settings.nodes
    for launcher, size in (("torchrun", "WORLD_SIZE"), ("srun", "SLURM_NTASKS")):
        there = "TORCHELASTIC_RUN_ID" if launcher == "torchrun" else "SLURM_PROCID"
        if there in os.environ and int(os.environ.get(size, world)) != world:
            raise ValueError(
                f"{launcher} started {os.environ[size]} processes, but train.devices × train.nodes "
                f"is {world}; set both to what is started"
            )
    if settings.device == "tpu":  # Lightning finds it, through torch_xla
        if world > 1:
            raise ValueError("train.devices must be 1 on a TPU")
        return torch.device("cpu")
    device = choose_device(settings.device)
    if settings.precision == "fp16" and device.type != "cuda":
        raise ValueError(
            f"train.precision fp16 needs a CUDA GPU; on {device.type} use bf16 or fp32"
        )
    return device


def _with_outputs(settings: RunSettings, outputs: list[str]) -> RunSettings:
    model = {**settings.model.settings, "n_media": len(outputs)}
    return settings.model_copy(
        update={"model": settings.model.model_copy(update={"settings": model})}
    )


_LIGHTNING_PRECISION: dict[str, Any] = {
    "fp32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}


def _precision(settings: TrainSettings, device: torch.device) -> str:
    """The arithmetic that ``auto`` stands for on a device."""
    if settings.precision == "auto":
        return "bf16" if has_bfloat16(device) else "fp32"
    return settings.precision


def _trainer(settings: TrainSettings, folder: RunFolder, device: torch.device) -> pl.Trainer:
    terminal = sys.stderr.isatty() and is_main_process()
    callbacks: list[pl.Callback] = [
        EarlyStopping("val_r2", mode="max", patience=settings.patience, check_finite=False),
        folder,
    ]
    if terminal:
        callbacks.append(TQDMProgressBar(leave=False))
    accelerator = "gpu" if device.type == "cuda" else device.type
    with warnings.catch_warnings():
        _quiet_lightning()
        return pl.Trainer(
            accelerator="tpu" if settings.device == "tpu" else accelerator,
            devices=settings.devices,
            num_nodes=settings.nodes,
            strategy="auto" if settings.devices * settings.nodes == 1 else "ddp",
            precision=_LIGHTNING_PRECISION[_precision(settings, device)],
            max_epochs=settings.epochs,
            callbacks=callbacks,
            plugins=[StateFile()],
            logger=False,
            enable_progress_bar=terminal,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            default_root_dir=folder.folder,
        )


def _quiet_lightning() -> None:
    """Leave out what Lightning says that a user of this package cannot act on."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*available but not used.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*treespec.*", category=FutureWarning)
