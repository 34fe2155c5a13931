"""A reporter assay with known truth: promoters, their measurement in a simulated cell, the truth.

Writes raw rows as an experiment would, ingests them through the same path as real ones, and lays
the truth beside the data set, so that predictions and explanations can be scored against it. The
truth itself is :mod:`crmnet.simulation.cell`'s. A cell lands in a bin with normal spread around its
promoter's true expression; the measured expression is the mean bin of its cells, so that of a
promoter seen in a single cell is an integer.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.arrays import Floats32
from crmnet.data.dataset import Dataset
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.writer import check_destination, replace_folder
from crmnet.reports.tables import TableWriter
from crmnet.simulation.cell import INSERT, MEDIA, Cell, find_sites

CELL_SPREAD = 1.3
"""Standard deviation, in bins, of single cells around a promoter's mean."""
BLOCK = 4096
NATIVE_RELATIVES = 4
"""Native-like promoters come in families of this many: an ancestor and its point mutants."""


@dataclass(frozen=True)
class AssayOptions:
    """What is simulated; the cell itself is always the same."""

    promoters: int = 10_000
    seed: int = 0
    native_share: float = 0.2
    """Share of promoters that are native-like: AT-rich, with more sites, in families of mutants."""
    cells: int | None = None
    """Cells per promoter; None draws few for most and many for some, as a large library does."""
    sites: float = 1.0
    """Mean number of sites set into a random promoter; native-like ones get twice as many."""

    def __post_init__(self) -> None:
        if self.promoters < 1:
            raise ValueError(f"promoters must be at least 1; got {self.promoters}")
        if not 0 <= self.native_share <= 1:
            raise ValueError(f"native_share must be between 0 and 1; got {self.native_share}")
        if self.cells is not None and self.cells < 1:
            raise ValueError(f"cells must be at least 1; got {self.cells}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0; got {self.seed}")
        if not 0 <= self.sites < float("inf"):
            raise ValueError(f"sites must be at least 0; got {self.sites}")


class Library(NamedTuple):
    """Promoters of a block, before they are measured."""

    inserts: sequence.Tokens
    """``(B, 80)``."""
    source: list[str]
    family: list[str]


def simulate(
    options: AssayOptions,
    destination: Path,
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda promoters: None,
) -> Dataset:
    """Simulate an assay and ingest it.

    Beside the data set's own files the folder holds ``assay.tsv`` (the raw rows) and ``truth/``:
    ``promoters.tsv`` (true expression in each medium), ``sites.tsv`` (positions on the construct
    from 0, end exclusive, with each site's true effect) and ``cell.json`` (every parameter). Row i
    of the data set is promoter i.

    Args:
        options: Size, seed and noise.
        destination: Folder to make.
        overwrite: Replace a folder of that name.
        progress: Called with the number of promoters made so far.

    Raises:
        FileExistsError: If ``destination`` exists and may not be overwritten.
    """
    check_destination(destination, overwrite)
    destination.parent.mkdir(parents=True, exist_ok=True)
    cell = Cell()
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".simulate-") as scratch:
        raw = Path(scratch) / "raw"
        _write_rows(cell, options, raw, progress)
        made = Path(scratch) / "made"
        ingest([raw / "assay.tsv"], made, IngestOptions(flanks="add"))
        (raw / "assay.tsv").rename(made / "assay.tsv")
        raw.rename(made / "truth")
        _describe(cell, options, made / "truth" / "cell.json")
        replace_folder(made, destination)
    return Dataset.open(destination)


def _write_rows(
    cell: Cell, options: AssayOptions, folder: Path, progress: Callable[[int], None]
) -> None:
    true_names = [f"expression_{medium}" for medium in MEDIA]
    effect_names = [f"effect_{medium}" for medium in MEDIA]
    with (
        TableWriter(
            folder / "assay.tsv",
            ["id", "sequence", "expression", "medium", "family", "cells", "source"],
        ) as assay,
        TableWriter(folder / "promoters.tsv", ["id", "source", *true_names]) as promoters,
        TableWriter(
            folder / "sites.tsv",
            ["id", "factor", "start", "end", "strand", "occupancy", *effect_names],
        ) as sites,
    ):
        for start in range(0, options.promoters, BLOCK):
            rng = np.random.default_rng([options.seed, start])
            library = _library(cell, options, min(BLOCK, options.promoters - start), start, rng)
            n = len(library.inserts)
            whole, _ = sequence.prepare(library.inserts, np.full(n, INSERT), "add")
            binding = cell.binding(whole)
            true = np.stack([cell.expression(binding, m) for m in range(len(MEDIA))], axis=1)
            medium = rng.integers(len(MEDIA), size=n)
            cells = _cells(options, n, rng)
            measured = sort_cells(true[np.arange(n), medium], cells, rng)
            ids = np.array([f"p{start + i}" for i in range(n)])
            assay.write(
                {
                    "id": ids,
                    "sequence": sequence.decode(library.inserts, np.full(n, INSERT)),
                    "expression": measured,
                    "medium": [MEDIA[m] for m in medium],
                    "family": library.family,
                    "cells": cells,
                    "source": library.source,
                }
            )
            truth = dict(zip(true_names, true.T, strict=True))
            promoters.write({"id": ids, "source": library.source, **truth})
            found = find_sites(cell, binding)
            sites.write(
                {
                    "id": ids[found.row],
                    "factor": found.name,
                    "start": found.start,
                    "end": found.end,
                    "strand": found.strand,
                    "occupancy": found.occupancy,
                    **dict(zip(effect_names, found.effect.T, strict=True)),
                }
            )
            progress(start + n)


def sort_cells(true: Floats32, cells: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats32:
    """Mean bin of each promoter's cells, each cell in a whole bin from 0 to 17."""
    owner = np.repeat(np.arange(len(true)), cells)
    bins = np.rint(rng.normal(true[owner], CELL_SPREAD)).clip(0, sequence.TOP_BIN)
    return (np.bincount(owner, bins, len(true)) / cells).astype(np.float32)


def _cells(options: AssayOptions, n: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    if options.cells is not None:
        return np.full(n, options.cells)
    return 1 + np.floor(rng.lognormal(0.5, 1.5, n)).astype(np.int64).clip(0, 999)


def _library(
    cell: Cell, options: AssayOptions, n: int, first: int, rng: np.random.Generator
) -> Library:
    n_native = round(n * options.native_share)
    n_random = n - n_native
    ancestors = -(-n_native // NATIVE_RELATIVES)
    inserts = np.concatenate([_random_bases(n_random, rng), _native_bases(ancestors, rng)])
    _plant(cell, inserts[:n_random], options.sites, rng)
    _plant(cell, inserts[n_random:], 2 * options.sites, rng)
    relatives = np.repeat(inserts[n_random:], NATIVE_RELATIVES, axis=0)
    _mutate(relatives, rng)
    inserts = np.concatenate([inserts[:n_random], relatives[:n_native]])
    source = ["random"] * n_random + ["native-like"] * n_native
    family = [f"random_{first + i}" for i in range(n_random)]
    family += [f"native_{first + i // NATIVE_RELATIVES}" for i in range(n_native)]
    order = rng.permutation(n)
    return Library(inserts[order], [source[i] for i in order], [family[i] for i in order])


def _random_bases(n: int, rng: np.random.Generator) -> sequence.Tokens:
    return rng.integers(4, size=(n, INSERT), dtype=np.uint8)


def _native_bases(n: int, rng: np.random.Generator) -> sequence.Tokens:
    """AT-rich first-order Markov chains whose A and T like to repeat, as in yeast promoters."""
    steps = np.cumsum(
        [
            [0.42, 0.17, 0.17, 0.24],
            [0.33, 0.19, 0.16, 0.32],
            [0.32, 0.16, 0.19, 0.33],
            [0.24, 0.17, 0.17, 0.42],
        ],
        axis=1,
    )
    bases = np.empty((n, INSERT), dtype=np.uint8)
    bases[:, 0] = rng.choice(4, size=n, p=[0.32, 0.18, 0.18, 0.32])
    for position in range(1, INSERT):
        draw = rng.random(n)[:, None]
        bases[:, position] = (draw > steps[bases[:, position - 1]][:, :3]).sum(axis=1)
    return bases


def _plant(cell: Cell, inserts: sequence.Tokens, mean: float, rng: np.random.Generator) -> None:
    """Set sites drawn from the matrices into random places, in place; later ones overwrite."""
    rows = np.repeat(np.arange(len(inserts)), rng.poisson(mean, len(inserts)))
    chosen = rng.integers(len(cell.motifs), size=len(rows))
    for number, motif in enumerate(cell.motifs):
        here = rows[chosen == number]
        steps = np.cumsum(motif.probabilities(), axis=0)
        site = (rng.random((len(here), 1, motif.width)) > steps[None, :3]).sum(axis=1)
        turned = rng.random(len(here)) < 0.5
        site[turned] = 3 - site[turned, ::-1]
        start = rng.integers(INSERT - motif.width + 1, size=len(here))
        inserts[here[:, None], start[:, None] + np.arange(motif.width)] = site


def _mutate(inserts: sequence.Tokens, rng: np.random.Generator) -> None:
    """One to three substitutions, in place, in all but the first of each family."""
    rows = np.arange(len(inserts))
    mutants = rows[rows % NATIVE_RELATIVES != 0]
    for mutated in (mutants, mutants[rng.random(len(mutants)) < 0.5],
                    mutants[rng.random(len(mutants)) < 0.25]):  # fmt: skip
        place = rng.integers(INSERT, size=len(mutated))
        step = rng.integers(1, 4, size=len(mutated), dtype=np.uint8)
        inserts[mutated, place] = (inserts[mutated, place] + step) % 4


def _describe(cell: Cell, options: AssayOptions, path: Path) -> None:
    described = {"options": asdict(options), **cell.described(), "cell_spread": CELL_SPREAD}
    path.write_text(json.dumps(described, indent=2) + "\n")


def read_options(dataset: Path) -> AssayOptions:
    """The options that a simulated data set was made with."""
    return AssayOptions(**json.loads((dataset / "truth" / "cell.json").read_text())["options"])
