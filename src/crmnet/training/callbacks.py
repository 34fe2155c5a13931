"""Lightning callback and plugin that write the run folder: history, best weights, state.

:mod:`crmnet.training.train` passes them to the Trainer. :mod:`crmnet.runs.folder` describes the
files.
"""

from __future__ import annotations

import csv
import logging
import math
import time
from pathlib import Path
from typing import Any, Protocol, cast

import lightning.pytorch as pl
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping
from torch import nn

from crmnet.data.loader import RowBatches
from crmnet.files import PathLike, write_atomically
from crmnet.runs.folder import HISTORY, STATE, save_record, save_weights
from crmnet.runs.record import BestEpoch, RunRecord
from crmnet.training.resume import load_state, save_state

log = logging.getLogger("crmnet")


class ValidatedModule(Protocol):
    """Attributes that :class:`RunFolder` reads from the LightningModule."""

    metrics: dict[str, float]
    """Metrics of the last validation, over all processes."""

    @property
    def evaluation_network(self) -> nn.Module:
        """The network to save."""


class Diverged(RuntimeError):
    """Raised when the loss becomes NaN or infinite."""


class StopEarly(EarlyStopping):
    """Stops early; a run that had stopped when it was killed trains no further epoch."""

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.wait_count >= self.patience:
            trainer.should_stop = True


LOG_INTERVAL = 60
"""Seconds between log lines within an epoch, if no progress bar is shown."""


class RunFolder(Checkpoint):
    """Writes history, best weights and state into the run folder after every epoch."""

    def __init__(self, folder: PathLike, record: RunRecord) -> None:
        self.folder, self.record = Path(folder), record
        self.history: list[dict[str, float]] = []
        self.epoch_start = self.last_log_time = 0.0
        """Times of the start of the epoch and of the last log line."""
        self.sampler: RowBatches | None = None
        """Sampler of the training loader; its epoch is set after a resume."""

    def on_sanity_check_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Log and save the weights of the run to fine-tune: no epoch may improve on them."""
        metrics = cast(ValidatedModule, module).metrics
        log.info("before training: validation r %.4f, R² %.4f",
                 metrics["val_r"], metrics["val_r2"])  # fmt: skip
        self._save(BestEpoch(epoch=0, metrics=metrics), module)

    def _save(self, best: BestEpoch, module: pl.LightningModule) -> None:
        """Save the current weights as the best ones."""
        self.record = self.record.model_copy(update={"best": best})
        if module.trainer.is_global_zero:
            save_weights(self.folder, cast(ValidatedModule, module).evaluation_network)
            save_record(self.folder, self.record)

    def state_dict(self) -> dict[str, Any]:
        best = self.record.best
        return {"history": self.history, "best": best.model_dump() if best else None}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = state_dict["history"]
        if self.sampler is not None:  # workers request rows before the Trainer sets the epoch
            self.sampler.set_epoch(len(self.history))
        best = BestEpoch(**state_dict["best"]) if state_dict["best"] else None
        self.record = self.record.model_copy(update={"best": best})

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.epoch_start = self.last_log_time = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        now = time.monotonic()
        if trainer.progress_bar_callback is None and now - self.last_log_time > LOG_INTERVAL:
            self.last_log_time = now
            log.info(
                "epoch %d of %d: step %d of %s", trainer.current_epoch + 1,
                trainer.max_epochs or 0, index + 1, trainer.num_training_batches,
            )  # fmt: skip

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        loss = float(trainer.callback_metrics["loss"])
        metrics = {**cast(ValidatedModule, module).metrics, "loss": loss}
        if not all(map(math.isfinite, metrics.values())):
            raise Diverged(
                f"training diverged in epoch {trainer.current_epoch + 1} ({metrics}); "
                "lower train.learning_rate"
            )
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        row = {"epoch": trainer.current_epoch + 1, "learning_rate": rate, **metrics}
        row["seconds"] = round(time.monotonic() - self.epoch_start, 2)
        self.history.append(row)
        best = self.record.best
        if best is None or metrics["val_r2"] > best.metrics["val_r2"]:
            best = BestEpoch(epoch=int(row["epoch"]), metrics=metrics)
            self._save(best, module)
        if trainer.is_global_zero:
            write_atomically(self.folder / HISTORY, self._write_history)
        trainer.save_checkpoint(self.folder / STATE)  # all processes call this; rank 0 writes
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


class SafetensorsState(CheckpointIO):
    """Lightning plugin: stores the trainer's state in a safetensors file, not in a pickle."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        save_state(Path(path), checkpoint)

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return load_state(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)
