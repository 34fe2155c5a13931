"""Names for motifs: each is compared with those of a database, as TOMTOM does.

Two motifs are slid along each other on both strands; where they overlap, the Euclidean distances
of their columns add up. How unusual such a sum is comes from the distances of the query's columns
to all columns of the database (Gupta et al. 2007): their distributions, in BINS steps, are
convolved for every stretch of the query, so the p-value of a placement is exact on that grid. A
pair's p-value is its best placement's, corrected for the number of placements.

Written in numpy because a compiled implementation (memelite) waits most of a minute for its
compiler on first use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.motifs.pwm import Matrix, Motif
from crmnet.motifs.scan import q_values

BINS = 100
MIN_OVERLAP = 5
"""Fewest columns that two motifs must share, or all of the narrower one."""


class Matches(NamedTuple):
    """Every query against every target, ``(Q, T)`` each."""

    p: Matrix
    e: Matrix
    """p times the number of targets."""
    q: Matrix
    """Benjamini and Hochberg's, over the targets of one query."""
    offset: npt.NDArray[np.int64]
    """Column of the (turned) target under the query's first column, in the best placement."""
    strand: npt.NDArray[np.str_]
    """``-`` where the target was turned round."""
    overlap: npt.NDArray[np.int64]

    def best(self) -> npt.NDArray[np.int64]:
        """The target with the lowest p-value for each query, ``(Q,)``."""
        return self.p.argmin(axis=1)


def match(queries: Sequence[Motif], targets: Sequence[Motif]) -> Matches:
    """Compare motifs with a database.

    Raises:
        ValueError: If there are no targets.
    """
    if not targets:
        raise ValueError("there are no motifs to compare with")
    both = [motif.probabilities() for motif in targets]
    both += [motif.reversed.probabilities() for motif in targets]
    widths = np.array([matrix.shape[1] for matrix in both])
    rows = [_match_one(query.probabilities(), both, widths) for query in queries]
    n = len(targets)
    shape = (len(queries), n)
    p = np.array([row[0] for row in rows]).reshape(shape)
    q = np.array([q_values(line, n) for line in p]).reshape(shape)
    offset, turned, overlap = (
        np.array([row[i] for row in rows], dtype=np.int64).reshape(shape) for i in (1, 2, 3)
    )
    return Matches(p, p * n, q, offset, np.array(["+", "-"])[turned], overlap)


def _match_one(
    query: Matrix, both: list[Matrix], widths: npt.NDArray[np.int64]
) -> tuple[Matrix, npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """p, offset, whether turned, and overlap of the best placement on each target, ``(T,)``."""
    wide, many = query.shape[1], len(both)
    columns = np.concatenate(both, axis=1)
    distance = np.sqrt(((query[:, :, None] - columns[:, None, :]) ** 2).sum(axis=0))
    # Nearness in whole steps, 0 the farthest: high sums are rare, as scores are.
    nearness = np.rint((1 - distance / distance.max()) * (BINS - 1)).astype(np.int64)
    tail = _tails(nearness)
    padded = np.zeros((wide, many, int(widths.max()) + 2 * wide), dtype=np.int64)
    ends = np.cumsum(widths)
    for number, (end, width) in enumerate(zip(ends.tolist(), widths.tolist(), strict=True)):
        padded[:, number, wide : wide + width] = nearness[:, end - width : end]
    best = np.full(many, np.inf)
    best_offset, best_overlap = np.zeros(many, np.int64), np.zeros(many, np.int64)
    tried = np.zeros(many, np.int64)
    needed = np.minimum(MIN_OVERLAP, np.minimum(wide, widths))
    here = np.arange(wide)
    for offset in range(-wide + 1, int(widths.max())):
        first = max(0, -offset)
        last = np.clip(widths - offset, 0, wide)
        allowed = last - first >= needed
        if not allowed.any():
            continue
        total = padded[here, :, wide + offset + here].sum(axis=0)
        p = np.ones(many)
        p[allowed] = tail[first, last[allowed], total[allowed]]
        tried += allowed
        better = allowed & (p < best)
        best[better], best_offset[better] = p[better], offset
        best_overlap[better] = (last - first)[better]
    half = many // 2
    turned = (best[half:] < best[:half]).astype(np.int64)
    chosen = np.arange(half) + half * turned
    placements = tried[:half] + tried[half:]
    corrected = -np.expm1(placements * np.log1p(-np.minimum(best[chosen], 1 - 1e-12)))
    return corrected, best_offset[chosen], turned, best_overlap[chosen]


def _tails(nearness: npt.NDArray[np.int64]) -> Matrix:
    """``(W, W + 1, S)``: chance that columns a to b of the query reach each sum on random ones."""
    wide = len(nearness)
    density = np.array([np.bincount(row, minlength=BINS) for row in nearness]) / nearness.shape[1]
    tails = np.ones((wide, wide + 1, wide * (BINS - 1) + 2))
    for first in range(wide):
        summed = np.ones(1)
        for last in range(first, wide):
            summed = np.convolve(summed, density[last])
            tail = np.cumsum(summed[::-1])[::-1]
            tails[first, last + 1, : len(tail)] = np.clip(tail, 0, 1)
            tails[first, last + 1, len(tail) :] = 0
    return tails
