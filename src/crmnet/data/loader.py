"""From a data set on disk to batches on the device.

One global permutation per epoch, drawn from the seed and the epoch's number, cut into whole
batches; each batch is gathered from the memory map at once. Tokens travel, a quarter of a byte per
value of the one-hot they become; :func:`crmnet.sequence.one_hot` is applied on the device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from crmnet.data.dataset import Dataset

Index = npt.NDArray[np.int64]


class Batch(NamedTuple):
    """Rows of a data set as tensors."""

    tokens: torch.Tensor
    """``(B, 112)`` uint8."""
    labels: torch.Tensor
    """``(B,)`` float32, in the unit of each row's medium."""
    medium: torch.Tensor
    """``(B,)`` int64, index into the media that the loader was given."""
    weight: torch.Tensor
    """``(B,)`` float32; ones where the data set has no weights."""


class Rows(TorchDataset[Batch]):
    """Rows of an opened data set, fetched a batch at a time by an array of row numbers."""

    def __init__(self, dataset: Dataset, media: Sequence[str]) -> None:
        self.dataset = dataset
        self.number = np.array([media.index(name) for name in dataset.media], dtype=np.int64)

    def __getitem__(self, rows: Index) -> Batch:
        data = self.dataset
        weight = np.ones(len(rows), np.float32) if data.weight is None else data.weight[rows]
        return Batch(
            torch.from_numpy(data.tokens[rows]),
            torch.from_numpy(data.labels[rows]),
            torch.from_numpy(self.number[data.medium[rows]]),
            torch.from_numpy(weight),
        )

    def __len__(self) -> int:
        return len(self.dataset)


@dataclass(eq=False)
class RowBatches(Sampler[Index]):
    """Row numbers of each batch: in order, or shuffled over the whole set anew in each epoch."""

    rows: Index
    batch_size: int
    shuffle: bool = False
    seed: int = 0
    epoch: int = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch; decides the permutation."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[Index]:
        rows = self.rows
        if self.shuffle:
            rows = np.random.default_rng([self.seed, self.epoch]).permutation(rows)
        for start in range(0, len(rows), self.batch_size):
            yield rows[start : start + self.batch_size]


def make_loader(
    dataset: Dataset,
    batch_size: int,
    *,
    rows: Index | None = None,
    shuffle: bool = False,
    seed: int = 0,
    media: Sequence[str] | None = None,
    workers: int = 0,
) -> DataLoader[Batch]:
    """Batches of a data set, or of some of its rows, for a training loop.

    Every row comes exactly once per epoch; the last batch may be smaller. Same seed and epoch,
    same batches. ``media`` gives the order in which media are numbered, and must hold all of the
    data set's; left out, it is the data set's own.
    """
    rows = np.arange(len(dataset)) if rows is None else rows
    if not len(rows):
        raise ValueError(f"{dataset.path}: no rows to load")
    return DataLoader(
        Rows(dataset, dataset.media if media is None else media),
        sampler=RowBatches(rows, batch_size, shuffle, seed),
        batch_size=None,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
