"""From a data set on disk to batches on the device.

One global permutation per epoch, drawn from the seed and the epoch's number, cut into whole
batches; each batch is gathered from the memory map at once. Tokens travel, a quarter of a byte per
value of the one-hot they become; :func:`crmnet.sequence.one_hot` is applied on the device.
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
    """``(B,)`` int64, number of the output that stands for each row's medium."""
    weight: torch.Tensor
    """``(B,)`` float32; ones where the data set has no weights."""
    singleton: torch.Tensor
    """``(B,)`` bool; whether the label is a whole sorting bin, as that of a single cell."""


class DatasetRows(TorchDataset[Batch]):
    """Rows of an opened data set, fetched a batch at a time by an array of row numbers."""

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
    """Row numbers of each batch: in order, or shuffled over the whole set anew in each epoch.

    Several processes share one permutation: each step takes the next ``world · batch_size`` rows
    of it and gives every process its part.
    """

    rows: Integers
    batch_size: int
    shuffle: bool = False
    seed: int = 0
    rank: int = 0
    world: int = 1
    strata: npt.NDArray[np.integer] | None = None
    """A class for each of ``rows``; each epoch draws equally many of every class."""
    chances: npt.NDArray[np.floating] | None = None
    """For each of ``rows``, how often it is drawn, relative to others; None takes each once."""
    every_row: bool = True
    """Take the last few rows even if there are fewer than processes, some of which get none."""
    epoch: int = 0

    def __post_init__(self) -> None:
        parts: list[Any] = [slice(None)]
        if self.strata is not None:
            parts = [self.strata == c for c in np.unique(self.strata)]
        self.classes: list[Integers] = [self.rows[part] for part in parts]
        self.odds = [None if self.chances is None else self.chances[part] for part in parts]
        """``chances`` of each class's rows."""
        self.drawn = min(len(rows) for rows in self.classes)
        """Rows that an epoch draws of each class."""

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch; decides the permutation."""
        self.epoch = epoch

    def __len__(self) -> int:
        steps, left = divmod(self.drawn * len(self.classes), self.batch_size * self.world)
        return steps + (left >= (1 if self.every_row else self.world))

    def __iter__(self) -> Iterator[Integers]:
        rows = self.rows
        rng = np.random.default_rng([self.seed, self.epoch])
        if len(self.classes) > 1 or self.chances is not None:
            drawn = [self._draw(*one, rng) for one in zip(self.classes, self.odds, strict=True)]
            rows = np.concatenate(drawn)
        if self.shuffle:
            rows = rng.permutation(rows)
        together = self.batch_size * self.world
        for step in range(len(self)):
            shared = rows[step * together : (step + 1) * together]
            yield np.array_split(shared, self.world)[self.rank]

    def _draw(
        self, rows: Integers, odds: npt.NDArray[np.floating] | None, rng: np.random.Generator
    ) -> Integers:
        """As many of a class as an epoch takes: each at most once, or by their odds."""
        if odds is None:
            return rng.permutation(rows)[: self.drawn]
        return rng.choice(rows, self.drawn, p=odds / odds.sum())


def make_loader(
    dataset: Dataset,
    batch_size: int,
    *,
    rows: npt.ArrayLike | None = None,
    shuffle: bool = False,
    seed: int = 0,
    outputs: Sequence[str] | None = None,
    even_media: bool = False,
    chances: npt.ArrayLike | None = None,
    rank: int = 0,
    world: int = 1,
    workers: int = 0,
) -> DataLoader[Batch]:
    """Batches of a data set, or of some of its rows, for a training or validation loop.

    Every row comes exactly once per epoch, in one of the processes, unless ``even_media`` or
    ``chances`` draw them otherwise; the last batch may be smaller.
    Same seed and epoch, same batches.

    Args:
        dataset: Where rows come from.
        batch_size: DatasetRows per step of one process.
        rows: Row numbers; all by default.
        shuffle: A new order in every epoch. With several processes a shuffled loader leaves out
            the last rows if they are fewer than the processes; others may give an empty batch.
        seed: Decides the orders.
        outputs: Names that media are numbered by (see :func:`output_of`); by default the data
            set's media.
        even_media: Draw equally many rows of each medium in every epoch: all of the smallest, and a
            new sample of the others.
        chances: For each row, how often to draw it, relative to others; by default each is taken
            once.
        rank: Number of this process.
        world: Number of processes that share each step.
        workers: Processes that gather batches for this one.

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
            world,
            strata=np.asarray(dataset.medium)[rows] if even_media else None,
            chances=None if chances is None else np.asarray(chances),
            every_row=not shuffle,
        ),
        batch_size=None,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
