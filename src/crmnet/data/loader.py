"""Loads batches of a data set for training and validation.

:func:`make_loader` takes an opened data set and returns a torch ``DataLoader`` for
:mod:`crmnet.training.train`. Seed and epoch determine a permutation of all rows, which is cut into
batches. A batch is read from the memory map with one indexing operation. It holds tokens, one byte
per position; :func:`crmnet.sequence.one_hot` converts them on the device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from crmnet.arrays import Integers
from crmnet.data.dataset import Dataset
from crmnet.data.media import output_of


class Batch(NamedTuple):
    """Rows of a data set as tensors."""

    tokens: torch.Tensor
    """``(B, 112)`` uint8."""
    labels: torch.Tensor
    """``(B,)`` float32, in the unit of each row's medium."""
    medium: torch.Tensor
    """``(B,)`` int64, index of the network output for each row's medium."""
    weight: torch.Tensor
    """``(B,)`` float32; ones if the data set has no weights."""
    singleton: torch.Tensor
    """``(B,)`` bool; whether the label is an integer bin, as for a single cell."""


class DatasetRows(TorchDataset[Batch]):
    """Rows of an opened data set; indexing with an array of row numbers returns a batch."""

    def __init__(self, dataset: Dataset, outputs: Sequence[str]) -> None:
        self.dataset = dataset
        self.output = np.array([output_of(name, outputs) for name in dataset.media], np.int64)

    def __getitem__(self, rows: Integers) -> Batch:
        data = self.dataset
        weight = np.ones(len(rows), np.float32) if data.weight is None else data.weight[rows]
        return Batch(
            torch.from_numpy(data.tokens[rows]),
            torch.from_numpy(data.labels[rows]),
            torch.from_numpy(self.output[data.medium[rows]]),
            torch.from_numpy(weight),
            torch.from_numpy(data.singleton(rows)),
        )

    def __len__(self) -> int:
        return len(self.dataset)


@dataclass(eq=False)
class RowBatches(Sampler[Integers]):
    """Row numbers of each batch: in order, or in a new random order in each epoch.

    Several processes share one permutation: each step takes the next ``world_size · batch_size``
    rows and divides them among the processes.
    """

    rows: Integers
    batch_size: int
    shuffle: bool = False
    seed: int = 0
    rank: int = 0
    world_size: int = 1
    strata: npt.NDArray[np.integer] | None = None
    """Class of each of ``rows``; each epoch samples the same number of rows from every class."""
    sampling_weights: npt.NDArray[np.floating] | None = None
    """Relative sampling probability of each of ``rows``; None uses every row once."""
    every_row: bool = True
    """Use the last rows of an epoch even if there are fewer rows than processes; some processes
    then get an empty batch."""
    epoch: int = 0

    def __post_init__(self) -> None:
        masks: list[Any] = [slice(None)]
        if self.strata is not None:
            masks = [self.strata == c for c in np.unique(self.strata)]
        self.classes: list[Integers] = [self.rows[mask] for mask in masks]
        self.class_weights = [
            None if self.sampling_weights is None else self.sampling_weights[mask] for mask in masks
        ]
        """Sampling weights of the rows of each class, or None."""
        self.rows_per_class = min(len(rows) for rows in self.classes)
        """Number of rows of each class that an epoch samples."""

    def set_epoch(self, epoch: int) -> None:
        """Select the permutation; Lightning's Trainer calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        steps, n_left = divmod(
            self.rows_per_class * len(self.classes), self.batch_size * self.world_size
        )
        return steps + (n_left >= (1 if self.every_row else self.world_size))

    def __iter__(self) -> Iterator[Integers]:
        rows = self.rows
        rng = np.random.default_rng([self.seed, self.epoch])
        if len(self.classes) > 1 or self.sampling_weights is not None:
            classes = zip(self.classes, self.class_weights, strict=True)
            rows = np.concatenate([self._sample(rows, weights, rng) for rows, weights in classes])
        if self.shuffle:
            rows = rng.permutation(rows)
        rows_per_step = self.batch_size * self.world_size
        for step in range(len(self)):
            shared = rows[step * rows_per_step : (step + 1) * rows_per_step]
            yield np.array_split(shared, self.world_size)[self.rank]

    def _sample(
        self, rows: Integers, weights: npt.NDArray[np.floating] | None, rng: np.random.Generator
    ) -> Integers:
        """Sample rows of a class: without replacement, or with replacement if weighted."""
        if weights is None:
            return rng.permutation(rows)[: self.rows_per_class]
        return rng.choice(rows, self.rows_per_class, p=weights / weights.sum())


def make_loader(
    dataset: Dataset,
    batch_size: int,
    *,
    rows: npt.ArrayLike | None = None,
    shuffle: bool = False,
    seed: int = 0,
    outputs: Sequence[str] | None = None,
    even_media: bool = False,
    sampling_weights: npt.ArrayLike | None = None,
    rank: int = 0,
    world_size: int = 1,
    workers: int = 0,
) -> DataLoader[Batch]:
    """Batches of a data set, or of some of its rows, for a training or validation loop.

    Each epoch uses every row exactly once, in one of the processes, unless ``even_media`` or
    ``sampling_weights`` is given. The last batch may be smaller. The same seed and epoch give the
    same batches.

    Args:
        dataset: Source of the rows.
        batch_size: Rows per step of one process.
        rows: Row numbers; None means all.
        shuffle: Use a new order in every epoch. If fewer rows than processes remain at the end, a
            shuffled loader drops them, and a loader without shuffling returns empty batches in
            some processes.
        seed: Determines the orders.
        outputs: Names of the outputs (see :func:`output_of`); None means the media of the data set.
        even_media: Sample the same number of rows from each medium in every epoch: all rows of the
            smallest medium, and a new sample from each other medium.
        sampling_weights: Relative sampling probability of each row; None uses every row once.
        rank: Index of this process.
        world_size: Number of processes that share each step.
        workers: Number of worker processes that load batches for this process.

    Raises:
        ValueError: If there are no rows, or a medium has no output.
    """
    rows = np.arange(len(dataset)) if rows is None else np.asarray(rows)
    if not len(rows):
        raise ValueError(f"{dataset.path}: no rows to load")
    return DataLoader(
        DatasetRows(dataset, dataset.media if outputs is None else outputs),
        sampler=RowBatches(
            rows,
            batch_size,
            shuffle,
            seed,
            rank,
            world_size,
            strata=np.asarray(dataset.medium)[rows] if even_media else None,
            sampling_weights=None if sampling_weights is None else np.asarray(sampling_weights),
            every_row=not shuffle,
        ),
        batch_size=None,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
