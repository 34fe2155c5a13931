"""The run folder while training goes on: history, best weights and state after every epoch.

What Lightning's Trainer calls back; :mod:`crmnet.training.train` trains, :mod:`crmnet.runs.folder`
knows what the files hold.
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
from lightning.pytorch.callbacks import Checkpoint
from torch import nn

from crmnet.data.loader import RowBatches
from crmnet.files import PathLike, write_atomically
from crmnet.runs.folder import (
    HISTORY,
    STATE,
    load_state,
    save_record,
    save_state,
    save_weights,
)
from crmnet.runs.record import Best, RunRecord

log = logging.getLogger("crmnet")


class Watched(Protocol):
    """What is asked of the module that is trained."""

    metrics: dict[str, float]
    """Of the last validation, over all processes."""

    @property
    def evaluated(self) -> nn.Module:
        """The network to keep."""


class Diverged(RuntimeError):
    """The loss is no number any more."""


SECONDS_OF_SILENCE = 60


class RunFolder(Checkpoint):
    """Keeps the run folder up to date after every epoch: history, best weights, state."""

    def __init__(self, folder: PathLike, record: RunRecord) -> None:
        self.folder, self.record = Path(folder), record
        self.history: list[dict[str, float]] = []
        self.started = self.said = 0.0
        self.sampler: RowBatches | None = None
        """Of the training loader, to be told the epoch after a resume."""

    def on_sanity_check_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """What weights from another run are worth before any training; they may stay the best."""
        watched = cast(Watched, module)
        log.info("before training: validation r %.4f, R² %.4f",
                 watched.metrics["val_r"], watched.metrics["val_r2"])  # fmt: skip
        self._keep(Best(epoch=0, metrics=watched.metrics), module)

    def _keep(self, best: Best, module: pl.LightningModule) -> None:
        self.record = self.record.model_copy(update={"best": best})
        if module.trainer.is_global_zero:
            save_weights(self.folder, cast(Watched, module).evaluated)
            save_record(self.folder, self.record)

    def state_dict(self) -> dict[str, Any]:
        best = self.record.best
        return {"history": self.history, "best": best.model_dump() if best else None}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = state_dict["history"]
        if self.sampler is not None:  # workers ask for rows before the trainer says the epoch
            self.sampler.set_epoch(len(self.history))
        best = Best(**state_dict["best"]) if state_dict["best"] else None
        self.record = self.record.model_copy(update={"best": best})

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.started = self.said = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        # Where no progress bar is drawn, a line now and then tells that it goes on.
        now = time.monotonic()
        if trainer.progress_bar_callback is None and now - self.said > SECONDS_OF_SILENCE:
            self.said = now
            log.info(
                "epoch %d of %d: step %d of %s", trainer.current_epoch + 1,
                trainer.max_epochs or 0, index + 1, trainer.num_training_batches,
            )  # fmt: skip

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        metrics = {**cast(Watched, module).metrics, "loss": float(trainer.callback_metrics["loss"])}
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
            self._keep(best, module)
        if trainer.is_global_zero:
            write_atomically(self.folder / HISTORY, self._write_history)
        trainer.save_checkpoint(self.folder / STATE)  # by all together; the first one writes
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
