"""Training: data set + settings → run folder, through Lightning's Trainer.

The paper's recipe (section 2.4): Huber loss, Adam, warm-up then cosine, early stopping on the
validation R², best weights kept. A run that was killed goes on from its last finished epoch and
ends with the same weights as one that was not: batches and dropout depend only on the seed and the
number of the epoch or step.

On several devices every process runs :func:`train`; each sees its share of one permutation of the
rows, gradients are averaged, and only the process of rank 0 writes.
"""

from __future__ import annotations

import csv
import hashlib
import logging
import math
import os
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
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from crmnet.checkpoint import (
    HISTORY,
    RECORD,
    STATE,
    WEIGHTS,
    build_network,
    load_record,
    load_run,
    load_state,
    load_strictly,
    save_record,
    save_state,
    save_weights,
    write_atomically,
)
from crmnet.data.augment import reverse_complement_some, shift_some
from crmnet.data.dataset import Dataset
from crmnet.data.loader import Batch, Index, RowBatches, make_loader, output_of
from crmnet.data.splits import hold_out
from crmnet.evaluate import score
from crmnet.models.layers import (
    TOP_BIN,
    bin_mean,
    count_parameters,
    has_marks,
    soft_bin_loss,
)
from crmnet.optimiser import make_optimizer, make_schedule, mean_size
from crmnet.predict import choose_device
from crmnet.run import Best, RunRecord, RunSettings, Scale, TrainSettings, versions
from crmnet.sequence import one_hot

log = logging.getLogger("crmnet")


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
        if s.loss == "soft-bins":
            logits = network.logits(x_BCL).float()[rows, batch.medium]  # type: ignore[operator]
            return soft_bin_loss(logits, target, s.bin_spread), bin_mean(logits), target
        predicted = network(x_BCL).float()[rows, batch.medium]
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
        singleton_B = (batch.labels == batch.labels.round()) & s.mark_singletons
        marks_BC1 = torch.stack([reverse_B, singleton_B], dim=1).to(x_BCL)[:, :, None]
        return torch.cat([x_BCL, marks_BC1.expand(-1, -1, x_BCL.shape[2])], dim=1)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        losses, _, _ = self._errors(self.network, self._shown(batch), batch)
        weight = row_weights(batch.weight, self.settings)
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


class Diverged(RuntimeError):
    """The loss is no number any more."""


class RunFolder(Checkpoint):
    """Keeps the run folder up to date after every epoch: history, best weights, state."""

    def __init__(self, folder: Path, record: RunRecord) -> None:
        self.folder, self.record = folder, record
        self.history: list[dict[str, float]] = []
        self.started = 0.0
        self.sampler: RowBatches | None = None
        """Of the training loader, to be told the epoch after a resume."""

    def on_sanity_check_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """What weights from another run are worth before any training; they may stay the best."""
        assert isinstance(module, Training)
        log.info("before training: validation r %.4f, R² %.4f",
                 module.metrics["val_r"], module.metrics["val_r2"])  # fmt: skip
        self._keep(Best(epoch=0, metrics=module.metrics), module)

    def _keep(self, best: Best, module: Training) -> None:
        self.record = self.record.model_copy(update={"best": best})
        if module.trainer.is_global_zero:
            save_weights(self.folder, module.evaluated)
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
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, Training)
        metrics = {**module.metrics, "loss": float(trainer.callback_metrics["loss"])}
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
    rows, validation, validation_rows = _split(s, data, validation)
    _check_watchable(validation, validation_rows)
    if s.row_weights != "equal" and data.weight is None:
        raise ValueError(f"{data.path} has no weights; set train.row_weights=equal")
    base, base_record = (None, None) if start is None else load_run(start)
    outputs = _outputs(s, data, base_record)
    record = RunRecord(
        settings=_with_outputs(settings, outputs),
        media=outputs,
        scale=_scales(s, data, rows, outputs, base_record),
        data=_describe(data, rows, validation, validation_rows, start),
        versions=versions(),
    )
    network = build_network(record, seed=s.seed)
    if s.schedule == "one-cycle" and not s.warmup_epochs < s.epochs:
        raise ValueError(
            f"train.warmup_epochs must be below train.epochs with the schedule one-cycle; got "
            f"{s.warmup_epochs:g} of {s.epochs} (the recipes have 0.3 of the epochs)"
        )
    if (s.average_strands or s.mark_singletons) and not has_marks(network):
        raise ValueError(
            f"{settings.model.name} has no channels for strand and singletons; set "
            "train.average_strands=false and train.mark_singletons=false"
        )
    if base is not None and start is not None:
        load_strictly(network, base.state_dict(), start / WEIGHTS)
    folder = RunFolder(run, record)
    with warnings.catch_warnings():
        _quiet_lightning()
        trainer = _trainer(s, folder, device)
    rank, world = trainer.global_rank, trainer.world_size
    loader = make_loader(
        data, s.batch_size, rows=rows, shuffle=True, seed=s.seed, outputs=outputs,
        even_media=s.even_media, workers=s.workers, rank=rank, world=world,
    )  # fmt: skip
    watch = make_loader(
        validation, s.batch_size, rows=validation_rows, outputs=outputs, rank=rank, world=world
    )
    module = Training(network, s, record.scale, len(loader), world)
    assert isinstance(loader.sampler, RowBatches)
    folder.sampler = loader.sampler
    if not trainer.is_global_zero:
        log.setLevel(logging.WARNING)
    if resume and (run / RECORD).is_file() and load_record(run).finished:
        _check_same(run, record)
        log.info("%s is finished already", run)
        return load_record(run)
    state = _claim(run, record, resume, writes=trainer.is_global_zero)
    if start is not None and state is None:
        trainer.num_sanity_val_steps = math.inf  # validate once before training
    log.info(
        "training %s (%s parameters) on %s rows, watching %s",
        settings.model.name, f"{sum(count_parameters(network)):,}", f"{len(rows):,}",
        f"{len(validation_rows):,}",
    )  # fmt: skip
    # Training draws from torch's global generators; the caller's are left as they were.
    generators = [device] if device.type == "cuda" else []
    with warnings.catch_warnings(), torch.random.fork_rng(generators):
        _quiet_lightning()
        try:
            trainer.fit(module, loader, watch, ckpt_path=state)
        except SystemExit:  # what Lightning makes of Ctrl-C
            log.info("stopped; the same command with --resume goes on after the last whole epoch")
            raise KeyboardInterrupt from None
    finished = folder.record.model_copy(update={"finished": True})
    if trainer.is_global_zero:
        save_record(run, finished)
        load_run(run)  # what is on disk can be read back
    return finished


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


def _outputs(settings: TrainSettings, data: Dataset, base: RunRecord | None) -> list[str]:
    """Names of the network's outputs; with weights to start from, as many as those have."""
    if base is None:
        return ["+".join(sorted(data.media))] if settings.pool_media else data.media
    if set(data.media) <= set(base.media):
        return base.media
    if len(base.media) == 1 and (len(data.media) == 1 or settings.pool_media):
        return ["+".join(sorted(data.media))]
    pool = "; train.pool_media=true has one output for all" if len(base.media) == 1 else ""
    raise ValueError(
        f"{data.path} was measured in {', '.join(data.media)}; the outputs of the run to start "
        f"from are {', '.join(base.media)}{pool}"
    )


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


def _with_outputs(settings: RunSettings, outputs: list[str]) -> RunSettings:
    model = {**settings.model.settings, "n_media": len(outputs)}
    return settings.model_copy(
        update={"model": settings.model.model_copy(update={"settings": model})}
    )


SOFT_BIN_MIDDLE, SOFT_BIN_SD = TOP_BIN / 2, 3.5
"""Where standardised labels lie on the bins of the loss ``soft-bins``."""


def _scales(
    settings: TrainSettings, data: Dataset, rows: Index, outputs: list[str], base: RunRecord | None
) -> dict[str, Scale]:
    labels = np.asarray(data.labels)[rows]
    output = np.array([output_of(medium, outputs) for medium in data.media])[data.medium[rows]]
    scales = {}
    for number, name in enumerate(outputs):
        here = labels[output == number].astype(np.float64)
        before = None if base is None else _scale_before(name, base)
        if before is not None:
            scales[name] = before
        elif not settings.standardize:
            scales[name] = Scale()
        elif len(here) < 2 or here.std() == 0:
            raise ValueError(f"{data.path}: the labels of medium {name!r} are all the same")
        elif settings.loss == "soft-bins":
            sd = float(here.std()) / SOFT_BIN_SD
            scales[name] = Scale(mean=float(here.mean()) - SOFT_BIN_MIDDLE * sd, sd=sd)
        else:
            scales[name] = Scale(mean=float(here.mean()), sd=float(here.std()))
        unit = (here - scales[name].mean) / scales[name].sd
        if settings.loss == "soft-bins" and not settings.standardize and len(unit):
            if unit.min() < -0.5 or unit.max() > TOP_BIN + 0.5:
                raise ValueError(
                    f"{data.path}: labels of medium {name!r} go from {here.min():g} to "
                    f"{here.max():g}, beyond the bins 0-{TOP_BIN} of the loss soft-bins; "
                    "set train.standardize=true"
                )
    return scales


def _scale_before(output: str, base: RunRecord) -> Scale | None:
    """The unit in which the run to start from knows an output; None if it does not know it."""
    try:
        return base.scale[base.media[output_of(output, base.media)]]
    except ValueError:
        return None


def _describe(
    data: Dataset, rows: Index, validation: Dataset, validation_rows: Index, start: Path | None
) -> dict[str, Any]:
    described = {
        "name": data.name,
        "fingerprint": data.fingerprint,
        "training_rows": len(rows),
        "validation": validation.name if validation is not data else "held-out families",
        "validation_fingerprint": validation.fingerprint,
        "validation_rows": len(validation_rows),
    }
    if start is not None:
        weights = hashlib.sha256((start / WEIGHTS).read_bytes()).hexdigest()
        described["start"] = {"run": start.name, "weights_sha256": weights}
    return described


def _claim(run: Path, record: RunRecord, resume: bool, *, writes: bool) -> Path | None:
    """Make the run folder, or check that it may be continued; the state to continue from."""
    state = run / STATE if resume and (run / STATE).is_file() else None
    if not writes:  # the process that writes checks as well
        return state
    if not (run / RECORD).is_file():
        run.mkdir(parents=True, exist_ok=True)
        save_record(run, record)
        return None
    if not resume:
        raise FileExistsError(
            f"{run} holds a run already; continue it with --resume, or choose another name"
        )
    _check_same(run, record)
    return state


def _check_same(run: Path, record: RunRecord) -> None:
    before = load_record(run)
    for what, old, new in (
        ("settings", before.settings.model_dump(), record.settings.model_dump()),
        ("data", before.data, record.data),
    ):
        if old != new:
            raise ValueError(f"{run} was started with other {what}: {_differences(old, new)}")


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> str:
    said = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            said.append(_differences(a, b, f"{prefix}{key}."))
        elif a != b:
            said.append(f"{prefix}{key} was {a!r}, is {b!r}")
    return ", ".join(filter(None, said))


_LIGHTNING_PRECISION: dict[str, Any] = {
    "fp32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}


def _trainer(settings: TrainSettings, folder: RunFolder, device: torch.device) -> pl.Trainer:
    terminal = sys.stderr.isatty() and is_main_process()
    callbacks: list[pl.Callback] = [
        EarlyStopping("val_r2", mode="max", patience=settings.patience, check_finite=False),
        folder,
    ]
    if terminal:
        callbacks.append(TQDMProgressBar(leave=False))
    accelerator = "gpu" if device.type == "cuda" else device.type
    return pl.Trainer(
        accelerator="tpu" if settings.device == "tpu" else accelerator,
        devices=settings.devices,
        num_nodes=settings.nodes,
        strategy="auto" if settings.devices * settings.nodes == 1 else "ddp",
        precision=_LIGHTNING_PRECISION[settings.precision],
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
