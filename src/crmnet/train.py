"""Training: data set + settings → run folder, through Lightning's Trainer.

The paper's recipe (section 2.4): Huber loss, Adam, warm-up then cosine, early stopping on the
validation R², best weights kept. A run that was killed goes on from its last finished epoch and
ends with the same weights as one that was not: batches and dropout depend only on the seed and the
number of the epoch or step.
"""

from __future__ import annotations

import csv
import logging
import math
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping, TQDMProgressBar
from torch import Tensor, nn
from torch.nn import functional

from crmnet.checkpoint import (
    HISTORY,
    RECORD,
    STATE,
    build_network,
    load_record,
    load_run,
    load_state,
    save_record,
    save_state,
    save_weights,
    write_atomically,
)
from crmnet.data.augment import reverse_complement_some, shift_some
from crmnet.data.dataset import Dataset
from crmnet.data.loader import Batch, Index, make_loader
from crmnet.data.splits import hold_out
from crmnet.evaluate import score
from crmnet.models.layers import count_parameters
from crmnet.predict import choose_device
from crmnet.run import Best, RunRecord, RunSettings, Scale, TrainSettings, versions
from crmnet.sequence import one_hot

log = logging.getLogger("crmnet")


def learning_rate(epoch: float, settings: TrainSettings) -> float:
    """Rate at ``epoch`` epochs after the start (fractions count): line up, then cosine down.

    Paper, section 2.4: from ``start_learning_rate`` to ``learning_rate`` over the warm-up, then
    to ``final_learning_rate`` at the end of the last epoch.
    """
    s = settings
    if epoch < s.warmup_epochs:
        share = epoch / s.warmup_epochs
        return s.start_learning_rate + share * (s.learning_rate - s.start_learning_rate)
    share = min(1.0, (epoch - s.warmup_epochs) / max(s.epochs - s.warmup_epochs, 1e-9))
    fall = (1 + math.cos(math.pi * share)) / 2
    return s.final_learning_rate + fall * (s.learning_rate - s.final_learning_rate)


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
    ) -> None:
        super().__init__()
        self.network, self.settings, self.media = network, settings, list(scale)
        self.steps_per_epoch = steps_per_epoch
        # Rebuilt from the record, not from the weights file.
        self.register_buffer(
            "mean", torch.tensor([s.mean for s in scale.values()]), persistent=False
        )
        self.register_buffer("sd", torch.tensor([s.sd for s in scale.values()]), persistent=False)
        self.validated: list[tuple[Tensor, Tensor, Tensor]] = []

    def _forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Predicted and measured, each ``(B,)``, in the unit the network is trained in."""
        output = self.network(one_hot(batch.tokens))
        predicted = output.gather(1, batch.medium[:, None])[:, 0]
        return predicted, (batch.labels - self.mean[batch.medium]) / self.sd[batch.medium]

    def _loss(self, predicted: Tensor, target: Tensor) -> Tensor:
        if self.settings.loss == "mse":
            return functional.mse_loss(predicted, target)
        return functional.huber_loss(predicted, target, delta=self.settings.huber_delta)

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        # Dropout and augmentation then depend on the seed and the step alone, which is what lets a
        # killed run continue exactly. Seeding once per epoch does not: whether Lightning draws from
        # the generator before or after that differs in the first epoch after a resume.
        torch.manual_seed(self.settings.seed * 1_000_003 + self.global_step)

    def _augment(self, batch: Batch) -> Batch:
        tokens = batch.tokens
        if self.settings.reverse_complement:
            tokens = reverse_complement_some(tokens, self.settings.reverse_complement)
        if self.settings.shift:
            tokens = shift_some(tokens, self.settings.shift)
        return batch._replace(tokens=tokens)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        loss = self._loss(*self._forward(self._augment(batch)))
        self.log(
            "loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(batch.labels)
        )
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        predicted, target = self._forward(batch)
        self.validated.append((predicted, target, batch.medium))

    def on_validation_epoch_end(self) -> None:
        predicted, target, medium = (
            torch.cat(parts) for parts in zip(*self.validated, strict=True)
        )
        self.validated.clear()
        self.log("val_loss", self._loss(predicted, target))
        r2, r = [], []
        for number, name in enumerate(self.media):
            rows = (medium == number).cpu()
            if rows.sum() < 3:
                continue
            metrics = score(
                target.cpu()[rows].double().numpy(), predicted.cpu()[rows].double().numpy()
            )
            # A network that predicts one value for all has learned no order yet: r = 0.
            r.append(metrics["pearson"] if math.isfinite(metrics["pearson"]) else 0.0)
            r2.append(metrics["r2"] if math.isfinite(metrics["r2"]) else 0.0)
            if len(self.media) > 1:
                self.log(f"val_r_{name}", r[-1])
        self.log("val_r2", float(np.mean(r2)))
        self.log("val_r", float(np.mean(r)), prog_bar=True)

    def configure_optimizers(self) -> Any:
        """Adam; the schedule is a multiple of the peak rate, set before every step."""
        peak = self.settings.learning_rate
        optimizer = torch.optim.Adam(self.network.parameters(), lr=peak)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: learning_rate(step / self.steps_per_epoch, self.settings) / peak,
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class Diverged(RuntimeError):
    """The loss is no number any more."""


class RunFolder(Checkpoint):
    """Keeps the run folder up to date after every epoch: history, best weights, state."""

    def __init__(self, folder: Path, record: RunRecord) -> None:
        self.folder, self.record = folder, record
        self.history: list[dict[str, float]] = []
        self.started = 0.0

    def state_dict(self) -> dict[str, Any]:
        best = self.record.best
        return {"history": self.history, "best": best.model_dump() if best else None}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = state_dict["history"]
        best = Best(**state_dict["best"]) if state_dict["best"] else None
        self.record = self.record.model_copy(update={"best": best})

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if not all(map(math.isfinite, metrics.values())):
            raise Diverged(
                f"training diverged in epoch {trainer.current_epoch + 1} ({metrics}); "
                "lower train.learning_rate"
            )
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        row = {"epoch": trainer.current_epoch + 1, "learning_rate": rate, **metrics}
        row["seconds"] = round(time.monotonic() - self.started, 2)
        self.history.append(row)
        best = self.record.best
        if best is None or metrics["val_r2"] > best.metrics["val_r2"]:
            best = Best(epoch=int(row["epoch"]), metrics=metrics)
            self.record = self.record.model_copy(update={"best": best})
            save_weights(self.folder, module.network)  # type: ignore[arg-type]
            save_record(self.folder, self.record)
        write_atomically(self.folder / HISTORY, self._write_history)
        trainer.save_checkpoint(self.folder / STATE)
        log.info(
            "epoch %d: loss %.4f, validation r %.4f, R² %.4f%s  (%.0f s)",
            row["epoch"], row["loss"], row["val_r"], row["val_r2"],
            " *" if best.epoch == row["epoch"] else "", row["seconds"],
        )  # fmt: skip

    def _write_history(self, path: Path) -> None:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(self.history[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.history)


class StateFile(CheckpointIO):
    """Lets Lightning keep its state in one safetensors file in place of a pickle."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        save_state(Path(path), checkpoint)

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return load_state(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def train(
    settings: RunSettings,
    data: Dataset,
    run: Path,
    *,
    validation: Dataset | None = None,
    resume: bool = False,
) -> RunRecord:
    """Train a network and leave a run folder.

    Args:
        settings: From :func:`crmnet.run.resolve`.
        data: Rows to train on.
        run: Folder to make.
        validation: Rows to watch; without it a share of the families of ``data`` is held out.
        resume: Go on where a killed run of the same settings and data stopped.

    Returns:
        The finished record; the best weights are in the folder.

    Raises:
        FileExistsError: If ``run`` holds a run already and ``resume`` is not asked for.
        ValueError: If settings or data differ from those of the run to resume, or there is too
            little to validate on.
        Diverged: If the loss is no number any more.
    """
    device = choose_device(settings.train.device)
    rows, validation, validation_rows = _split(settings.train, data, validation)
    _check_watchable(validation, validation_rows)
    record = RunRecord(
        settings=_with_media(settings, data),
        media=data.media,
        scale=_scales(settings.train, data, rows),
        data=_describe(data, rows, validation, validation_rows),
        versions=versions(),
    )
    state = _claim(run, record, resume)
    if state is None and (run / RECORD).is_file() and load_record(run).finished:
        log.info("%s is finished already", run)
        return load_record(run)
    network = build_network(record, seed=settings.train.seed)
    batch = settings.train.batch_size
    loader = make_loader(
        data, batch, rows=rows, shuffle=True, seed=settings.train.seed,
        workers=settings.train.workers,
    )  # fmt: skip
    watch = make_loader(validation, batch, rows=validation_rows, media=data.media)
    module = Training(network, settings.train, record.scale, len(loader))
    folder = RunFolder(run, record)
    log.info(
        "training %s (%s parameters) on %s rows, watching %s",
        settings.model.name, f"{sum(count_parameters(network)):,}", f"{len(rows):,}",
        f"{len(validation_rows):,}",
    )  # fmt: skip
    # Training draws from torch's global generators; the caller's are left as they were.
    devices = [device] if device.type == "cuda" else []
    with warnings.catch_warnings(), torch.random.fork_rng(devices):
        _quiet_lightning()
        try:
            _trainer(settings.train, folder, device).fit(module, loader, watch, ckpt_path=state)
        except SystemExit:  # what Lightning makes of Ctrl-C
            log.info("stopped; the same command with --resume goes on after the last whole epoch")
            raise KeyboardInterrupt from None
    finished = folder.record.model_copy(update={"finished": True})
    save_record(run, finished)
    load_run(run)  # what is on disk can be read back
    return finished


def _split(
    settings: TrainSettings, data: Dataset, validation: Dataset | None
) -> tuple[Index, Dataset, Index]:
    if validation is None:
        rows, held = hold_out(data, settings.validation_fraction, settings.seed)
        return rows, data, held
    unknown = [medium for medium in validation.media if medium not in data.media]
    if unknown:
        raise ValueError(
            f"the validation set was measured in {', '.join(unknown)}, "
            f"the training set in {', '.join(data.media)}"
        )
    return np.arange(len(data)), validation, np.arange(len(validation))


def _check_watchable(validation: Dataset, rows: Index) -> None:
    if np.bincount(np.asarray(validation.medium)[rows]).max() < 3:
        raise ValueError(
            f"{len(rows)} validation rows are too few to tell a good epoch from a bad one; "
            "raise train.validation_fraction or give a validation set"
        )


def _with_media(settings: RunSettings, data: Dataset) -> RunSettings:
    model = {**settings.model.settings, "n_media": len(data.media)}
    return settings.model_copy(
        update={"model": settings.model.model_copy(update={"settings": model})}
    )


def _scales(settings: TrainSettings, data: Dataset, rows: Index) -> dict[str, Scale]:
    if not settings.standardize:
        return {medium: Scale() for medium in data.media}
    scales = {}
    labels, media = np.asarray(data.labels)[rows], np.asarray(data.medium)[rows]
    for number, medium in enumerate(data.media):
        here = labels[media == number].astype(np.float64)
        if len(here) < 2 or here.std() == 0:
            raise ValueError(f"{data.path}: the labels of medium {medium!r} are all the same")
        scales[medium] = Scale(mean=float(here.mean()), sd=float(here.std()))
    return scales


def _describe(
    data: Dataset, rows: Index, validation: Dataset, validation_rows: Index
) -> dict[str, Any]:
    return {
        "name": data.name,
        "fingerprint": data.fingerprint,
        "training_rows": len(rows),
        "validation": validation.name if validation is not data else "held-out families",
        "validation_fingerprint": validation.fingerprint,
        "validation_rows": len(validation_rows),
    }


def _claim(run: Path, record: RunRecord, resume: bool) -> Path | None:
    """Make the run folder, or check that it may be continued; the state to continue from."""
    if not (run / RECORD).is_file():
        run.mkdir(parents=True, exist_ok=True)
        save_record(run, record)
        return None
    if not resume:
        raise FileExistsError(
            f"{run} holds a run already; continue it with --resume, or choose another name"
        )
    before = load_record(run)
    for what, old, new in (
        ("settings", before.settings.model_dump(), record.settings.model_dump()),
        ("data", before.data, record.data),
    ):
        if old != new:
            raise ValueError(f"{run} was started with other {what}: {_differences(old, new)}")
    if before.finished or not (run / STATE).is_file():
        return None
    return run / STATE


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> str:
    said = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            said.append(_differences(a, b, f"{prefix}{key}."))
        elif a != b:
            said.append(f"{prefix}{key} was {a!r}, is {b!r}")
    return ", ".join(filter(None, said))


def _trainer(settings: TrainSettings, folder: RunFolder, device: torch.device) -> pl.Trainer:
    terminal = sys.stderr.isatty()
    callbacks: list[pl.Callback] = [
        EarlyStopping("val_r2", mode="max", patience=settings.patience, check_finite=False),
        folder,
    ]
    if terminal:
        callbacks.append(TQDMProgressBar(leave=False))
    return pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else device.type,
        devices=1,
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
