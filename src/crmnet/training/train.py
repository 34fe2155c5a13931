"""Trains a network with Lightning's Trainer and writes a run folder.

:func:`train` takes settings (:mod:`crmnet.runs.settings`) and data sets (:mod:`crmnet.data`).
:mod:`crmnet.prediction` loads the run folder. The defaults are the paper's (section 2.4): Huber
loss, Adam, warm-up then cosine, early stopping on the validation R², best weights kept. An
interrupted run resumes after its last finished epoch. It ends with the same weights as an
uninterrupted run, because batches and dropout depend only on the seed and the number of the epoch
or step.

With several devices, every process runs :func:`train`. The processes divide one permutation of the
rows, gradients are averaged, and only the process of rank 0 writes.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import warnings
from contextlib import ExitStack
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import TQDMProgressBar
from torch import nn
from torch.utils.data import DataLoader

from crmnet.data.dataset import Dataset
from crmnet.data.loader import Batch, RowBatches, make_loader
from crmnet.device import choose_device
from crmnet.files import PathLike, locked, make_folder, remove_partials
from crmnet.models.crmnet.network import CRMnet
from crmnet.models.layers import count_parameters, has_marks
from crmnet.motifs.jaspar import yeast_motifs
from crmnet.runs.folder import (
    RECORD,
    build_trainable,
    load_record,
    load_run,
    save_record,
)
from crmnet.runs.record import RunRecord, versions
from crmnet.runs.settings import RunSettings, TrainSettings
from crmnet.training.callbacks import Diverged as Diverged  # train() raises it
from crmnet.training.callbacks import RunFolder, SafetensorsState, StopEarly
from crmnet.training.finish import doubts, norm_tokens, refit_scale
from crmnet.training.module import LIGHTNING_PRECISION, TrainingModule, resolve_precision
from crmnet.training.resume import check_new_run, check_unchanged, start_or_resume
from crmnet.training.rows import TrainData, choose_data
from crmnet.training.start import load_start, open_start, with_fitted_outputs

log = logging.getLogger("crmnet")


def train(
    settings: RunSettings,
    data: Dataset,
    run: PathLike,
    *,
    validation: Dataset | None = None,
    start: PathLike | None = None,
    resume: bool = False,
) -> RunRecord:
    """Train a network and write a run folder.

    Args:
        settings: From :func:`crmnet.runs.settings.resolve`.
        data: Training data.
        run: Folder to create.
        validation: Validation data; None holds out a share of the families of ``data``.
        start: Model to fine-tune: a run, or a packed or bundled model, of which the first network
            is taken. Training starts from its weights and its scale of the labels. Media that it
            does not predict, or predicts in another unit, start from its output that fits best.
        resume: Continue an interrupted run of the same settings and data.

    Returns:
        The finished record; the best weights are in the folder.

    Raises:
        FileExistsError: If ``run`` already holds a run and ``resume`` is False, or holds no run but
            a file that training would write.
        ValueError: If ``run`` is the folder of the data, the settings give no network that
            computes, settings or data differ from those of the run to resume, there are too few
            validation rows, or the device does not support the settings.
        Diverged: If the loss becomes NaN or infinite.
        WriteError: If another process is training into ``run``, or the disk is full.
    """
    run = Path(run)
    start = None if start is None else Path(start)
    s = settings.train
    if is_main_process():  # the others start later, when there is a run
        check_new_run(run, [data.path, None if validation is None else validation.path, start])
    device = _check_device(s)
    base = None if start is None else open_start(start)
    base_record = None if base is None else base.record
    train_data = choose_data(s, data, validation, base_record)
    columns: list[int] = []
    if base is not None:
        train_data, columns = with_fitted_outputs(train_data, base)
    record = RunRecord(
        settings=_with_outputs(settings, train_data.outputs),
        media=train_data.outputs,
        scale=train_data.scale,
        data=train_data.summary(base_record, start),
        versions=versions(),
    )
    network = build_trainable(record, seed=s.seed)
    if s.mark_singletons and not has_marks(network):
        raise ValueError(
            f"{settings.model.name} has no channel for singletons; set train.mark_singletons=false"
        )
    if s.freeze_stem:
        _freeze_stem(network)
    if base is not None:
        load_start(network, base, columns)
    elif isinstance(network, CRMnet) and network.stem is not None and network.config.stem_motifs:
        network.stem.initialise_filters([motif.log_odds() for motif in yeast_motifs()])
    folder = RunFolder(run, record)
    trainer = _trainer(s, folder, device)
    if not trainer.is_global_zero:
        log.setLevel(logging.WARNING)
    with ExitStack() as stack:
        if trainer.is_global_zero:
            make_folder(run.parent, run)
            stack.enter_context(locked(run))
        if resume and (run / RECORD).is_file() and load_record(run).finished:
            check_unchanged(run, record)
            remove_partials(run)  # of a run that was killed while it wrote its last file
            log.info("%s is already finished", run)
            return load_record(run)
        state = start_or_resume(run, record, resume, writes=trainer.is_global_zero)
        return _train(trainer, folder, network, train_data, start, state, device)


def _train(
    trainer: pl.Trainer,
    folder: RunFolder,
    network: nn.Module,
    train_data: TrainData,
    start: Path | None,
    state: Path | None,
    device: torch.device,
) -> RunRecord:
    """Train from the beginning, or from ``state``, and finish the run folder."""
    run = folder.folder
    if start is not None and state is None:
        trainer.num_sanity_val_steps = math.inf  # validate once before training
    log.info(
        "training %s (%s parameters) on %s rows, validating on %s",
        folder.record.settings.model.name, f"{sum(count_parameters(network)):,}",
        f"{len(train_data.rows):,}", f"{len(train_data.validation_rows):,}",
    )  # fmt: skip
    _fit(trainer, folder, network, train_data, state, device)
    record = folder.record
    if trainer.is_global_zero:
        network, _ = load_run(run)  # also checks that the files can be read
        if record.settings.train.refit_scale:
            record = refit_scale(network, record, train_data)
        # Last of all: a run that is killed before is resumed, and its scale is fitted then.
        save_record(run, record.model_copy(update={"finished": True}))
        for text in doubts(record):
            log.warning(text)
    return record.model_copy(update={"finished": True})


def _freeze_stem(network: nn.Module) -> None:
    """Exclude the stem of a CRMnet from training."""
    stem = getattr(network, "stem", None)
    if not isinstance(network, CRMnet) or not isinstance(stem, nn.Module):
        raise ValueError("the network has no stem to freeze; set train.freeze_stem=false")
    stem.requires_grad_(False)


def _fit(
    trainer: pl.Trainer,
    folder: RunFolder,
    network: nn.Module,
    train_data: TrainData,
    state: Path | None,
    device: torch.device,
) -> None:
    """Train to the end, resuming from ``state`` if it is given."""
    s = folder.record.settings.train
    loader, validation_loader = _loaders(s, train_data, trainer)
    assert isinstance(loader.sampler, RowBatches)
    folder.sampler = loader.sampler
    module = TrainingModule(network, s, train_data.scale, len(loader), trainer.world_size)
    if s.refit_norms:
        module.norm_tokens = norm_tokens(train_data, s.reverse_complement > 0)
    # Training uses torch's global random generators; their state is restored for the caller.
    generators = [device] if device.type == "cuda" else []
    with warnings.catch_warnings(), torch.random.fork_rng(generators):
        _quiet_lightning()
        try:
            trainer.fit(module, loader, validation_loader, ckpt_path=state)
        except SystemExit:  # raised by Lightning after Ctrl-C
            log.info("interrupted; --resume continues after the last finished epoch")
            raise KeyboardInterrupt from None


def _loaders(
    settings: TrainSettings, train_data: TrainData, trainer: pl.Trainer
) -> tuple[DataLoader[Batch], DataLoader[Batch]]:
    """Loaders of this process: shuffled training rows, and validation rows."""
    s, outputs = settings, train_data.outputs
    rank, world_size = trainer.global_rank, trainer.world_size
    loader = make_loader(
        train_data.data, s.batch_size, rows=train_data.rows, shuffle=True, seed=s.seed,
        outputs=outputs, even_media=s.even_media, sampling_weights=train_data.sampling_weights,
        workers=s.workers, rank=rank, world_size=world_size,
    )  # fmt: skip
    validation_loader = make_loader(
        train_data.validation, s.batch_size, rows=train_data.validation_rows, outputs=outputs,
        rank=rank, world_size=world_size,
    )  # fmt: skip
    return loader, validation_loader


def is_main_process() -> bool:
    """Whether this process has rank 0 among the processes of a training; only rank 0 reports."""
    ranks = ["LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"]
    if "TORCHELASTIC_RUN_ID" in os.environ:  # else another program may have left a RANK
        ranks.append("RANK")
    return not any(int(os.environ.get(rank, 0)) for rank in ranks)


def _check_device(settings: TrainSettings) -> torch.device:
    """Device of the settings, after a check that launcher, device and precision are compatible."""
    world_size = settings.devices * settings.nodes
    for launcher, size in (("torchrun", "WORLD_SIZE"), ("srun", "SLURM_NTASKS")):
        marker = "TORCHELASTIC_RUN_ID" if launcher == "torchrun" else "SLURM_PROCID"
        if marker in os.environ and int(os.environ.get(size, world_size)) != world_size:
            raise ValueError(
                f"{launcher} started {os.environ[size]} processes, but train.devices × train.nodes "
                f"is {world_size}; set them to match the launcher"
            )
    if settings.device == "tpu":  # Lightning finds it, through torch_xla
        if world_size > 1:
            raise ValueError("train.devices must be 1 on a TPU")
        return torch.device("cpu")
    device = choose_device(settings.device)
    if device.index is not None and world_size > 1:
        raise ValueError(f"train.device {settings.device} is one GPU; set train.devices=1 or cuda")
    if settings.precision == "fp16" and device.type != "cuda":
        raise ValueError(
            f"train.precision fp16 needs a CUDA GPU; on {device.type} use bf16 or fp32"
        )
    return device


def _with_outputs(settings: RunSettings, outputs: list[str]) -> RunSettings:
    """Settings whose network has the given outputs."""
    model = {**settings.model.settings, "n_media": len(outputs)}
    return settings.model_copy(
        update={"model": settings.model.model_copy(update={"settings": model})}
    )


def _trainer(settings: TrainSettings, folder: RunFolder, device: torch.device) -> pl.Trainer:
    """Lightning's Trainer, which stops early and writes the run folder through ``folder``."""
    terminal = sys.stderr.isatty() and is_main_process()
    callbacks: list[pl.Callback] = [
        StopEarly("val_r2", mode="max", patience=settings.patience, check_finite=False),
        folder,
    ]
    if terminal:
        callbacks.append(TQDMProgressBar(leave=False))
    accelerator = "gpu" if device.type == "cuda" else device.type
    with warnings.catch_warnings():
        _quiet_lightning()
        return pl.Trainer(
            accelerator="tpu" if settings.device == "tpu" else accelerator,
            devices=settings.devices if device.index is None else [device.index],
            num_nodes=settings.nodes,
            strategy="auto" if settings.devices * settings.nodes == 1 else "ddp",
            precision=LIGHTNING_PRECISION[resolve_precision(settings, device)],
            max_epochs=settings.epochs,
            gradient_clip_val=settings.gradient_clip or None,
            callbacks=callbacks,
            plugins=[SafetensorsState()],
            logger=False,
            enable_progress_bar=terminal,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            default_root_dir=folder.folder,
        )


def _quiet_lightning() -> None:
    """Suppress log lines and warnings of Lightning that users of this package cannot act on."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*available but not used.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*treespec.*", category=FutureWarning)
