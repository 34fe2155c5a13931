"""The score of the Random Promoter DREAM Challenge 2022, with intervals.

Takes predictions for the challenge's 71,103 test rows, in their order, and the subsets that its
repository publishes as lists of row numbers. Designed subsets count by the difference between two
promoters, the others by their values; r² and ρ of each are weighted and averaged.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crmnet.arrays import Floats, Integers
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
    """One part of the score."""

    weight: float
    file: str | None
    """Name of the list of rows; None takes every row."""


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
"""The final evaluation's subsets and weights, which sum to 4.65."""


@dataclass(frozen=True)
class DreamScore:
    """The two scores, and each subset's part in them."""

    pearson: Estimate
    """Weighted mean of r²."""
    spearman: Estimate
    """Weighted mean of ρ."""
    subsets: Mapping[str, Mapping[str, Any]]
    """Name → ``n``, ``weight``, and the estimates ``r2`` (squared Pearson's r) and ``rho``."""


def read_subsets(folder: Path, rows: int) -> dict[str, Integers]:
    """The challenge's lists: ``(n,)`` row numbers of values, ``(n, 2)`` of pairs (alt, ref).

    Rows and pairs that are listed twice count once.

    Args:
        folder: The folder ``data/test_subset_ids`` of the challenge's repository.
        rows: Rows of the test set.

    Raises:
        FileNotFoundError: If a list is not there.
        ValueError: If it has other columns, or rows beyond the test set.
    """
    subsets: dict[str, Integers] = {"all": np.arange(rows)}
    for name, subset in SUBSETS.items():
        if subset.file is None:
            continue
        path = folder / subset.file
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: no such list; the score needs all of {_files()} from the challenge's "
                "data/test_subset_ids"
            )
        subsets[name] = _read_list(path, rows)
    return subsets


def _files() -> str:
    return ", ".join(s.file for s in SUBSETS.values() if s.file)


def _read_list(path: Path, rows: int) -> Integers:
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        header = reader.fieldnames or []
        columns = ["alt_pos", "ref_pos"] if "alt_pos" in header else ["pos"]
        if not set(columns) <= set(header):
            raise ValueError(f"{path}, line 1: no column pos, nor alt_pos and ref_pos")
        listed = []
        for line in reader:
            try:
                listed.append([int(float(line[c])) for c in columns])
            except ValueError:
                raise ValueError(f"{path}, line {reader.line_num}: not row numbers") from None
    found = np.unique(np.array(listed, dtype=np.int64).reshape(-1, len(columns)), axis=0)
    if found.size and (found.min() < 0 or found.max() >= rows):
        raise ValueError(
            f"{path} lists row {found.max():,}; the predictions have {rows:,} rows: give them for "
            "the whole test set, in its order"
        )
    return found[:, 0] if len(columns) == 1 else found


def dream_score(
    scored: Scored, subsets: Mapping[str, Integers], *, resamples: int = RESAMPLES, seed: int = 0
) -> DreamScore:
    """Score predictions for the test set as the challenge does.

    Intervals resample families; a pair counts with the family of its second row, the reference.

    Args:
        scored: Every row of the test set, in its order.
        subsets: For each name of :data:`SUBSETS`, its rows or pairs.
        resamples: Bootstrap resamples.
        seed: Decides the draws.
    """
    _, family = np.unique(scored.family, return_inverse=True)
    parts = {name: _part(scored, family, subsets[name]) for name in SUBSETS}
    weights = np.array([s.weight for s in SUBSETS.values()])
    weights /= weights.sum()
    rng, n = np.random.default_rng(seed), int(family.max()) + 1
    once = np.ones(n, dtype=np.int64)
    whole = np.array([part.statistics(once) for part in parts.values()])
    draws = []
    for _ in range(resamples_for(len(family), resamples)):
        drawn = np.bincount(rng.integers(n, size=n), minlength=n)
        draws.append([part.statistics(drawn) for part in parts.values()])
    samples = np.array(draws)  # (resamples, subsets, 2)
    pearson, spearman = (
        estimate(float(weights @ whole[:, i]), samples[:, :, i] @ weights) for i in (0, 1)
    )
    return DreamScore(
        pearson,
        spearman,
        {
            name: {
                "n": len(subsets[name]),
                "weight": SUBSETS[name].weight,
                "r2": estimate(float(whole[k, 0]), samples[:, k, 0]),
                "rho": estimate(float(whole[k, 1]), samples[:, k, 1]),
            }
            for k, name in enumerate(parts)
        },
    )


class _Part:
    """The values or differences of one subset, ready to be scored under any weights."""

    def __init__(self, measured: Floats, predicted: Floats, family: Integers) -> None:
        self.measured, self.predicted, self.family = measured, predicted, family
        self.ranks = WeightedRanks(measured), WeightedRanks(predicted)

    def statistics(self, drawn: Integers) -> tuple[float, float]:
        """r² and ρ with each family standing there as often as it was drawn."""
        weight = drawn[self.family]
        if not weight.any():
            return float("nan"), float("nan")
        r = weighted_pearson(self.measured, self.predicted, weight)
        measured, predicted = (ranks.ranks(weight) for ranks in self.ranks)
        return r * r, weighted_pearson(measured, predicted, weight)


def _part(scored: Scored, family: Integers, rows: Integers) -> _Part:
    if rows.ndim == 1:
        return _Part(scored.measured[rows], scored.predicted[rows], family[rows])
    alt, ref = rows.T
    return _Part(
        scored.measured[alt] - scored.measured[ref],
        scored.predicted[alt] - scored.predicted[ref],
        family[ref],
    )
