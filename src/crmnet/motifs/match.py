"""Comparison of motifs with a database by TOMTOM's method, to name them.

Takes two lists of motifs, gives p-, E- and q-values for each pair (:class:`Matches`). Two motifs
are aligned at every offset on both strands, and the Euclidean distances of the aligned columns are
summed. The null distribution of such a sum comes from the distances between the query's columns
and all columns of the database (Gupta et al. 2007). The distributions of the columns, in BINS
steps, are convolved for every range of query columns, so the p-value of an alignment is exact on
this grid. The p-value of a pair is that of its best alignment, corrected for the number of
alignments.

Written in numpy, because the implementation of memelite compiles for most of a minute on first
use.
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
"""Fewest columns in which two motifs must overlap; narrower motifs must overlap completely."""


class Matches(NamedTuple):
    """Comparison of every query with every target, ``(Q, T)`` each."""

    p: Matrix
    e: Matrix
    """p times the number of targets."""
    q: Matrix
    """Benjamini-Hochberg q-value over the targets of one query."""
    offset: npt.NDArray[np.int64]
    """Column of the target, on ``strand``, that is aligned with the query's first column."""
    strand: npt.NDArray[np.str_]
    """``-`` if the target's reverse complement is aligned."""
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
    matrices = [motif.probabilities() for motif in targets]
    matrices += [motif.reverse_complement.probabilities() for motif in targets]
    widths = np.array([matrix.shape[1] for matrix in matrices])
    rows = [_match_one(query.probabilities(), matrices, widths) for query in queries]
    n = len(targets)
    shape = (len(queries), n)
    p = np.array([row[0] for row in rows]).reshape(shape)
    q = np.array([q_values(row_p, n) for row_p in p]).reshape(shape)
    offset, reverse, overlap = (
        np.array([row[i] for row in rows], dtype=np.int64).reshape(shape) for i in (1, 2, 3)
    )
    return Matches(p, p * n, q, offset, np.array(["+", "-"])[reverse], overlap)


def _match_one(
    query: Matrix, matrices: list[Matrix], widths: npt.NDArray[np.int64]
) -> tuple[Matrix, npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """p, offset, 1 for the reverse strand, and overlap of the best alignment; each ``(T,)``."""
    query_width, n_matrices = query.shape[1], len(matrices)
    columns = np.concatenate(matrices, axis=1)
    distance = np.sqrt(((query[:, :, None] - columns[:, None, :]) ** 2).sum(axis=0))
    # Similarity in whole steps, 0 for the farthest pair: large sums are rare, as in scanning.
    similarity = np.rint((1 - distance / distance.max()) * (BINS - 1)).astype(np.int64)
    tail = _tails(similarity)
    padded = np.zeros(
        (query_width, n_matrices, int(widths.max()) + 2 * query_width), dtype=np.int64
    )
    ends = np.cumsum(widths)
    for number, (end, width) in enumerate(zip(ends.tolist(), widths.tolist(), strict=True)):
        padded[:, number, query_width : query_width + width] = similarity[:, end - width : end]
    best = np.full(n_matrices, np.inf)
    best_offset, best_overlap = np.zeros(n_matrices, np.int64), np.zeros(n_matrices, np.int64)
    tried = np.zeros(n_matrices, np.int64)
    needed = np.minimum(MIN_OVERLAP, np.minimum(query_width, widths))
    query_columns = np.arange(query_width)
    for offset in range(-query_width + 1, int(widths.max())):
        first = max(0, -offset)
        last = np.clip(widths - offset, 0, query_width)
        allowed = last - first >= needed
        if not allowed.any():
            continue
        total = padded[query_columns, :, query_width + offset + query_columns].sum(axis=0)
        p = np.ones(n_matrices)
        p[allowed] = tail[first, last[allowed], total[allowed]]
        tried += allowed
        better = allowed & (p < best)
        best[better], best_offset[better] = p[better], offset
        best_overlap[better] = (last - first)[better]
    half = n_matrices // 2
    reverse = (best[half:] < best[:half]).astype(np.int64)
    chosen = np.arange(half) + half * reverse
    placements = tried[:half] + tried[half:]
    corrected = -np.expm1(placements * np.log1p(-np.minimum(best[chosen], 1 - 1e-12)))
    return corrected, best_offset[chosen], reverse, best_overlap[chosen]


def _tails(similarity: npt.NDArray[np.int64]) -> Matrix:
    """Probability that columns a to b of the query reach each sum by chance: ``(W, W + 1, S)``."""
    query_width = len(similarity)
    density = (
        np.array([np.bincount(row, minlength=BINS) for row in similarity]) / similarity.shape[1]
    )
    tails = np.ones((query_width, query_width + 1, query_width * (BINS - 1) + 2))
    for first in range(query_width):
        summed = np.ones(1)
        for last in range(first, query_width):
            summed = np.convolve(summed, density[last])
            tail = np.cumsum(summed[::-1])[::-1]
            tails[first, last + 1, : len(tail)] = np.clip(tail, 0, 1)
            tails[first, last + 1, len(tail) :] = 0
    return tails
