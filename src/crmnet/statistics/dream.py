"""The score of the Random Promoter DREAM Challenge 2022, with intervals.

:func:`dream_score` takes predictions for the challenge's 71,103 test rows, in their order, and the
subsets published in its repository as lists of row numbers. It returns the two scores of the
challenge to ``crmnet evaluate --dream-subsets``: weighted means of r² and of ρ over the subsets.
Subsets of pairs (SNVs, motif perturbation, motif tiling) are scored by the difference between the
two promoters, all others by the values.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Floats, Integers
from crmnet.data.numbers import parse_number
from crmnet.files import PathLike
from crmnet.statistics.metrics import (
    RESAMPLES,
    Estimate,
    Scored,
    WeightedRanks,
    estimate,
    resamples_for,
    weighted_pearson,
)


@dataclass(frozen=True)
class Subset:
    """One subset of the score."""

    weight: float
    file: str | None
    """File name of the list of rows; None means all rows."""


SUBSETS: Mapping[str, Subset] = {
    "all": Subset(1.0, None),
    "high": Subset(0.3, "high_exp_seqs.csv"),
    "low": Subset(0.3, "low_exp_seqs.csv"),
    "yeast": Subset(0.3, "yeast_seqs.csv"),
    "random": Subset(0.3, "all_random_seqs.csv"),
    "challenging": Subset(0.5, "challenging_seqs.csv"),
    "snv": Subset(1.25, "all_SNVs_seqs.csv"),
    "motif-perturbation": Subset(0.3, "motif_perturbation_seqs.csv"),
    "motif-tiling": Subset(0.4, "motif_tiling_seqs.csv"),
}
"""Subsets and weights of the final evaluation; the weights add up to 4.65."""


@dataclass(frozen=True)
class DreamScore:
    """The two scores and the results of each subset."""

    pearson: Estimate
    """Weighted mean of r²."""
    spearman: Estimate
    """Weighted mean of ρ."""
    subsets: Mapping[str, Mapping[str, Any]]
    """Name → ``n``, ``weight``, and the estimates ``r2`` (squared Pearson's r) and ``rho``."""


def read_subsets(folder: PathLike, rows: int) -> dict[str, Integers]:
    """Subset → its row numbers ``(n,)``, or ``(n, 2)`` for pairs (alt, ref).

    Rows and pairs that are listed twice count once.

    Args:
        folder: The folder ``data/test_subset_ids`` of the challenge's repository.
        rows: Number of rows of the test set.

    Raises:
        FileNotFoundError: If a list is missing.
        ValueError: If a list has other columns, or row numbers outside the test set.
    """
    folder = Path(folder)
    subsets: dict[str, Integers] = {"all": np.arange(rows)}
    for name, subset in SUBSETS.items():
        if subset.file is None:
            continue
        path = folder / subset.file
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: no such list; the score needs {_file_names()} from the folder "
                "data/test_subset_ids of the challenge"
            )
        subsets[name] = _read_list(path, rows)
    return subsets


def _file_names() -> str:
    """Names of all lists, for an error message."""
    return ", ".join(s.file for s in SUBSETS.values() if s.file)


def _read_list(path: Path, rows: int) -> Integers:
    """Sorted row numbers or pairs of one list, without repeats."""
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        header = reader.fieldnames or []
        columns = ["alt_pos", "ref_pos"] if "alt_pos" in header else ["pos"]
        if not set(columns) <= set(header):
            raise ValueError(f"{path}, line 1: expected a column pos, or alt_pos and ref_pos")
        row_numbers = []
        for line in reader:
            try:
                row_numbers.append([_row_number(line[c] or "") for c in columns])
            except ValueError:
                raise ValueError(f"{path}, line {reader.line_num}: not row numbers") from None
    numbers = np.unique(np.array(row_numbers, dtype=np.int64).reshape(-1, len(columns)), axis=0)
    if numbers.size and (numbers.min() < 0 or numbers.max() >= rows):
        raise ValueError(
            f"{path} lists row {numbers.max():,}; the predictions have {rows:,} rows: give one for "
            "each row of the test set, in its order"
        )
    return numbers[:, 0] if len(columns) == 1 else numbers


def _row_number(text: str) -> int:
    value = parse_number(text.strip().encode())
    if not value.is_integer():
        raise ValueError
    return int(value)


def dream_score(
    scored: Scored,
    subsets: Mapping[str, npt.ArrayLike],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> DreamScore:
    """Score predictions for the test set by the rules of the challenge.

    Intervals resample families. A pair belongs to the family of its second row, the reference. The
    intervals of a set with one family are NaN.

    Args:
        scored: All rows of the test set, in their order.
        subsets: Name of :data:`SUBSETS` → its rows or pairs, from :func:`read_subsets`.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling.
    """
    _, family = np.unique(scored.family, return_inverse=True)
    rows = {name: np.asarray(subsets[name]) for name in SUBSETS}
    subset_values = {name: _subset_values(scored, family, rows[name]) for name in SUBSETS}
    weights = np.array([s.weight for s in SUBSETS.values()])
    weights /= weights.sum()
    rng, n = np.random.default_rng(seed), int(family.max()) + 1
    one_each = np.ones(n, dtype=np.int64)
    values = np.array([subset.statistics(one_each) for subset in subset_values.values()])
    samples = np.full((resamples_for(len(family), resamples), len(SUBSETS), 2), np.nan)
    for k in range(len(samples) if n > 1 else 0):
        counts = np.bincount(rng.integers(n, size=n), minlength=n)
        samples[k] = [subset.statistics(counts) for subset in subset_values.values()]
    pearson, spearman = (
        estimate(float(weights @ values[:, i]), samples[:, :, i] @ weights) for i in (0, 1)
    )
    return DreamScore(
        pearson,
        spearman,
        {
            name: {
                "n": len(rows[name]),
                "weight": SUBSETS[name].weight,
                "r2": estimate(float(values[k, 0]), samples[:, k, 0]),
                "rho": estimate(float(values[k, 1]), samples[:, k, 1]),
            }
            for k, name in enumerate(subset_values)
        },
    )


class _SubsetValues:
    """Values or differences of one subset, with their ranks."""

    def __init__(self, measured: Floats, predicted: Floats, family: Integers) -> None:
        self.measured, self.predicted, self.family = measured, predicted, family
        self.ranks = WeightedRanks(measured), WeightedRanks(predicted)

    def statistics(self, counts: Integers) -> tuple[float, float]:
        """r² and ρ if each family occurs ``counts`` times; NaN if no row remains."""
        weight = counts[self.family]
        if not weight.any():
            return float("nan"), float("nan")
        r = weighted_pearson(self.measured, self.predicted, weight)
        measured, predicted = (ranks.ranks(weight) for ranks in self.ranks)
        return r * r, weighted_pearson(measured, predicted, weight)


def _subset_values(scored: Scored, family: Integers, rows: Integers) -> _SubsetValues:
    """Values of rows ``(n,)``, or differences alt − ref of pairs ``(n, 2)``."""
    if rows.ndim == 1:
        return _SubsetValues(scored.measured[rows], scored.predicted[rows], family[rows])
    alt, ref = rows.T
    return _SubsetValues(
        scored.measured[alt] - scored.measured[ref],
        scored.predicted[alt] - scored.predicted[ref],
        family[ref],
    )
