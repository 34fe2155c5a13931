"""A simulated reporter assay with known truth: promoters and their measured expression.

:func:`simulate` takes a size, a seed and noise settings, and writes a data set folder for training.
A subfolder contains the true expression and sites, with which predictions and explanations can be
scored. :mod:`crmnet.simulation.cell` defines the true expression. The raw rows are ingested in the
same way as real ones (:mod:`crmnet.data.ingest`).

A cell falls into a sorting bin with normal spread around the true expression of its promoter. The
measured expression is the mean bin of a promoter's cells; with a single cell it is an integer.
"""

from __future__ import annotations

import json
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
from crmnet.data.writer import new_folder
from crmnet.files import PathLike
from crmnet.reports.tables import TableWriter
from crmnet.simulation.cell import INSERT, MEDIA, Cell, find_true_sites

CELL_SPREAD = 1.3
"""Standard deviation, in bins, of single cells around the true expression of their promoter."""
BLOCK_SIZE = 4096
"""Number of promoters simulated together; it determines the random numbers."""
NATIVE_FAMILY_SIZE = 4
"""Size of a family of native-like promoters: an ancestor and its point mutants."""


@dataclass(frozen=True)
class AssayOptions:
    """Size and noise of the assay; the cell itself is always the same."""

    promoters: int = 10_000
    seed: int = 0
    native_share: float = 0.2
    """Fraction of native-like promoters: AT-rich, with more sites, in families of mutants."""
    cells: int | None = None
    """Cells per promoter. None means a random number: few for most promoters and many for some, as
    in a large library."""
    sites: float = 1.0
    """Mean number of sites planted in a random promoter; native-like ones get twice as many."""

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
    """A block of promoters before the measurement."""

    inserts: sequence.Tokens
    """``(B, 80)``."""
    source: list[str]
    """``random`` or ``native-like``."""
    family: list[str]


def simulate(
    options: AssayOptions,
    destination: PathLike,
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda promoters: None,
) -> Dataset:
    """Simulate an assay, ingest it and return the opened data set.

    Besides the files of a data set, the folder holds ``assay.tsv`` (the raw rows) and ``truth/``:
    ``promoters.tsv`` (true expression in each medium), ``sites.tsv`` (positions on the construct
    from 0, end exclusive, with the true effect of each site) and ``cell.json`` (all parameters).
    Row i of the data set is promoter i.

    Args:
        options: Size, seed and noise.
        destination: Folder to create.
        overwrite: Replace an existing folder.
        progress: Called with the number of promoters simulated so far.

    Raises:
        FileExistsError: If ``destination`` exists and ``overwrite`` is False.
    """
    cell = Cell()
    with new_folder(destination, overwrite) as folder:
        raw, ingested = folder / "raw", folder / "ingested"
        _write_rows(cell, options, raw, progress)
        ingest([raw / "assay.tsv"], ingested, IngestOptions(flanks="add"))
        for file in [*ingested.iterdir(), raw / "assay.tsv"]:
            file.rename(folder / file.name)
        ingested.rmdir()
        raw.rename(folder / "truth")
        _write_parameters(cell, options, folder / "truth" / "cell.json")
    return Dataset.open(destination)


def _write_rows(
    cell: Cell, options: AssayOptions, folder: Path, progress: Callable[[int], None]
) -> None:
    """Write the raw rows, the true expression and the true sites, block by block."""
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
        for start in range(0, options.promoters, BLOCK_SIZE):
            rng = np.random.default_rng([options.seed, start])
            size = min(BLOCK_SIZE, options.promoters - start)
            library = _make_library(cell, options, size, start, rng)
            n = len(library.inserts)
            constructs, _ = sequence.prepare(library.inserts, np.full(n, INSERT), "add")
            binding = cell.binding(constructs)
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
            true_sites = find_true_sites(cell, binding)
            sites.write(
                {
                    "id": ids[true_sites.row],
                    "factor": true_sites.name,
                    "start": true_sites.start,
                    "end": true_sites.end,
                    "strand": true_sites.strand,
                    "occupancy": true_sites.occupancy,
                    **dict(zip(effect_names, true_sites.effect.T, strict=True)),
                }
            )
            progress(start + n)


def sort_cells(true: Floats32, cells: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats32:
    """Measured expression ``(B,)``: the mean bin of each promoter's cells.

    Args:
        true: ``(B,)``, true expression.
        cells: ``(B,)``, number of cells; each falls into an integer bin from 0 to 17.
        rng: Source of random numbers.
    """
    promoter_of_cell = np.repeat(np.arange(len(true)), cells)
    bins = np.rint(rng.normal(true[promoter_of_cell], CELL_SPREAD)).clip(0, sequence.TOP_BIN)
    return (np.bincount(promoter_of_cell, bins, len(true)) / cells).astype(np.float32)


def _cells(options: AssayOptions, n: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Number of cells of each promoter, ``(n,)``."""
    if options.cells is not None:
        return np.full(n, options.cells)
    return 1 + np.floor(rng.lognormal(0.5, 1.5, n)).astype(np.int64).clip(0, 999)


def _make_library(
    cell: Cell, options: AssayOptions, n: int, first_number: int, rng: np.random.Generator
) -> Library:
    """Random and native-like promoters, shuffled; family names count from ``first_number``."""
    n_native = round(n * options.native_share)
    n_random = n - n_native
    ancestors = -(-n_native // NATIVE_FAMILY_SIZE)
    inserts = np.concatenate([_random_bases(n_random, rng), _native_bases(ancestors, rng)])
    _plant(cell, inserts[:n_random], options.sites, rng)
    _plant(cell, inserts[n_random:], 2 * options.sites, rng)
    family_members = np.repeat(inserts[n_random:], NATIVE_FAMILY_SIZE, axis=0)
    _mutate(family_members, rng)
    inserts = np.concatenate([inserts[:n_random], family_members[:n_native]])
    source = ["random"] * n_random + ["native-like"] * n_native
    family = [f"random_{first_number + i}" for i in range(n_random)]
    family += [f"native_{first_number + i // NATIVE_FAMILY_SIZE}" for i in range(n_native)]
    order = rng.permutation(n)
    return Library(inserts[order], [source[i] for i in order], [family[i] for i in order])


def _random_bases(n: int, rng: np.random.Generator) -> sequence.Tokens:
    return rng.integers(4, size=(n, INSERT), dtype=np.uint8)


def _native_bases(n: int, rng: np.random.Generator) -> sequence.Tokens:
    """Inserts ``(n, 80)`` from an AT-rich Markov chain in which A and T tend to repeat."""
    cumulative = np.cumsum(
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
        uniform = rng.random(n)[:, None]
        bases[:, position] = (uniform > cumulative[bases[:, position - 1]][:, :3]).sum(axis=1)
    return bases


def _plant(cell: Cell, inserts: sequence.Tokens, mean: float, rng: np.random.Generator) -> None:
    """Plant sites, sampled from the matrices, at random positions in place.

    ``mean`` is the mean number of sites per insert. Later sites overwrite earlier ones.
    """
    rows = np.repeat(np.arange(len(inserts)), rng.poisson(mean, len(inserts)))
    motif_of_site = rng.integers(len(cell.motifs), size=len(rows))
    for number, motif in enumerate(cell.motifs):
        planted_rows = rows[motif_of_site == number]
        cumulative = np.cumsum(motif.probabilities(), axis=0)
        site = (rng.random((len(planted_rows), 1, motif.width)) > cumulative[None, :3]).sum(axis=1)
        reverse = rng.random(len(planted_rows)) < 0.5
        site[reverse] = 3 - site[reverse, ::-1]
        start = rng.integers(INSERT - motif.width + 1, size=len(planted_rows))
        inserts[planted_rows[:, None], start[:, None] + np.arange(motif.width)] = site


def _mutate(inserts: sequence.Tokens, rng: np.random.Generator) -> None:
    """Make one to three substitutions, in place, in all inserts except the first of each family."""
    rows = np.arange(len(inserts))
    mutants = rows[rows % NATIVE_FAMILY_SIZE != 0]
    for mutated in (mutants, mutants[rng.random(len(mutants)) < 0.5],
                    mutants[rng.random(len(mutants)) < 0.25]):  # fmt: skip
        position = rng.integers(INSERT, size=len(mutated))
        step = rng.integers(1, 4, size=len(mutated), dtype=np.uint8)
        inserts[mutated, position] = (inserts[mutated, position] + step) % 4


def _write_parameters(cell: Cell, options: AssayOptions, path: Path) -> None:
    parameters = {"options": asdict(options), **cell.parameters(), "cell_spread": CELL_SPREAD}
    path.write_text(json.dumps(parameters, indent=2) + "\n")


def read_options(dataset: PathLike) -> AssayOptions:
    """Read the options of a simulated data set from its folder."""
    dataset = Path(dataset)
    return AssayOptions(**json.loads((dataset / "truth" / "cell.json").read_text())["options"])
