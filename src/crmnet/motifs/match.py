"""Comparison of motifs with a database by TOMTOM's method, to name them.

:func:`match` takes two lists of motifs and returns p-, E- and q-values for each pair
(:class:`Matches`), for :mod:`crmnet.interpretation.discovery` and ``crmnet motifs match``. Two
motifs are aligned at every offset on both strands, and the Euclidean distances of the aligned
columns are summed. The null distribution of such a sum comes from the distances between the query's
columns and all columns of the database (Gupta et al. 2007). The distributions of the columns, in
BINS steps, are convolved for every range of query columns, so the p-value of an alignment is exact
on this grid. The p-value of a pair is that of its best alignment, corrected for the number of
alignments.

:func:`call` converts the best match to a name for the reader. A question mark means that the name
is uncertain. A tract of A or T and a TATA box have their own names (:func:`element`), because
several factors of the database resemble them.

The module uses NumPy, because memelite's implementation compiles for almost a minute on first use.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.motifs.pwm import Matrix, Motif
from crmnet.motifs.scan import q_values

BINS = 100
MIN_OVERLAP = 5
"""Fewest informative columns of the query in an overlap; motifs with fewer must overlap
completely."""
INFORMATIVE = 0.25
"""Fewest bits of a column that counts as informative. Flat columns resemble those of any other
motif, so their similarity means nothing."""
MIN_INFORMATION = 1.0
"""Fewest bits of the query's columns in an overlap."""
MAX_WIDTH = 150
"""Widest query; the null distributions of wider ones take gigabytes."""
NAMED = 1e-3
"""A motif gets the name of its best match below this p-value; above it the name is uncertain."""
POLY_A = "poly-A/T"
"""Name of tracts of A, T, or A followed by T."""
TATA_BOX = "TATA box"
TRACT = 5
"""Fewest equal bases, A or T, in a tract."""
TATA_WIDTH = 8
"""Columns of a TATA box: TATAWAWR."""
ELEMENT_SHARE = 0.75
"""Smallest share of a motif's information that its tract or TATA box holds."""
ELEMENT_SHARE_OF_BASES = 0.6
"""Smallest share of the bases of a site that its tract or TATA box covers."""


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


def call(query: Motif, target: Motif, p: float) -> str:
    """Name of a motif whose match with ``target`` has this p-value.

    The name is that of :func:`element` if the motif is one. Otherwise it is the target's name, with
    a question mark if p is NAMED or larger. If p is 1, the name is a question mark.
    """
    if p >= 1:
        return "?"
    return element(query) or (target.name if p < NAMED else f"{target.name}?")


def is_certain(name: str, p: float) -> bool:
    """Whether a name of :func:`call` is certain, by the p-value of the match."""
    return name in (POLY_A, TATA_BOX) or p < NAMED


def element(motif: Motif) -> str | None:
    """POLY_A or TATA_BOX if the motif is one of them, on either strand; else None."""
    information = motif.information
    return _element(motif.counts / motif.counts.sum(axis=0), information, ELEMENT_SHARE)


def element_of_bases(bases: str) -> str | None:
    """POLY_A or TATA_BOX if a site is one of them, on either strand; else None."""
    shares = np.array([[letter == base for letter in bases.upper()] for base in "ACGT"], float)
    return _element(shares, shares.sum(axis=0), ELEMENT_SHARE_OF_BASES)


def _element(shares: Matrix, weight: Matrix, min_share: float) -> str | None:
    """The element with at least the share ``min_share`` of the columns' weight, if there is one."""
    enough = min_share * weight.sum()
    if not enough:
        return None
    for forward, weights in ((shares, weight), (shares[::-1, ::-1], weight[::-1])):
        if any(weights[first:last].sum() >= enough for first, last in _tracts(forward)):
            return POLY_A
    for forward, weights in ((shares, weight), (shares[::-1, ::-1], weight[::-1])):
        a, t = forward[0] >= 0.5, forward[3] >= 0.5
        weak = forward[0] + forward[3] >= 0.75
        for first in range(len(weights) - 4):
            tata = t[first] and a[first + 1] and t[first + 2] and a[first + 3] and weak[first + 4]
            if tata and weights[first : first + TATA_WIDTH].sum() >= enough:
                return TATA_BOX
    return None


def _tracts(shares: Matrix) -> list[tuple[int, int]]:
    """First and one past the last column of runs of A, then T, with TRACT of one of the two."""
    letters = "".join("AT"[int(t > a)] if max(a, t) >= 0.5 else "." for a, t in shares[[0, 3]].T)
    return [
        run.span()
        for run in re.finditer("A*T*", letters)
        if max(run[0].count("A"), run[0].count("T")) >= TRACT
    ]


def match(queries: Sequence[Motif], targets: Sequence[Motif]) -> Matches:
    """Compare motifs with a database.

    If no overlap contains MIN_INFORMATION bits of the query, p is 1.

    Raises:
        ValueError: If there are no targets, or a query is wider than MAX_WIDTH.
    """
    if not targets:
        raise ValueError("there are no motifs to compare with")
    for query in queries:
        if query.width > MAX_WIDTH:
            raise ValueError(
                f"{query.id}: motifs of up to {MAX_WIDTH} columns can be compared; this one has "
                f"{query.width}"
            )
    matrices = [motif.probabilities() for motif in targets]
    matrices += [motif.reverse_complement.probabilities() for motif in targets]
    widths = np.array([matrix.shape[1] for matrix in matrices])
    rows = [_match_one(query, matrices, widths) for query in queries]
    n = len(targets)
    shape = (len(queries), n)
    p = np.array([row[0] for row in rows]).reshape(shape)
    q = np.array([q_values(row_p, n) for row_p in p]).reshape(shape)
    offset, reverse, overlap = (
        np.array([row[i] for row in rows], dtype=np.int64).reshape(shape) for i in (1, 2, 3)
    )
    return Matches(p, p * n, q, offset, np.array(["+", "-"])[reverse], overlap)


def _match_one(
    motif: Motif, matrices: list[Matrix], widths: npt.NDArray[np.int64]
) -> tuple[Matrix, npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """p, offset, 1 for the reverse strand, and overlap of the best alignment; each ``(T,)``."""
    query = motif.probabilities()
    bits = np.concatenate([[0.0], np.cumsum(motif.information)])
    informative = np.concatenate([[0], np.cumsum(motif.information >= INFORMATIVE)])
    query_width, n_matrices = query.shape[1], len(matrices)
    columns = np.concatenate(matrices, axis=1)
    distance = np.sqrt(((query[:, :, None] - columns[:, None, :]) ** 2).sum(axis=0))
    # Similarity in whole steps, 0 for the farthest pair: large sums are rare, as in scanning.
    farthest = distance.max() or 1.0  # all columns equal: every one is as similar as can be
    similarity = np.rint((1 - distance / farthest) * (BINS - 1)).astype(np.int64)
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
    needed = np.minimum(MIN_OVERLAP, np.minimum(informative[-1], widths))
    query_columns = np.arange(query_width)
    for offset in range(-query_width + 1, int(widths.max())):
        start = max(0, -offset)
        stop = np.clip(widths - offset, 0, query_width)
        stop = np.maximum(stop, start)
        allowed = informative[stop] - informative[start] >= needed
        allowed &= bits[stop] - bits[start] >= MIN_INFORMATION
        if not allowed.any():
            continue
        total = padded[query_columns, :, query_width + offset + query_columns].sum(axis=0)
        p = np.ones(n_matrices)
        p[allowed] = tail[start, stop[allowed], total[allowed]]
        tried += allowed
        better = allowed & (p < best)
        best[better], best_offset[better] = p[better], offset
        best_overlap[better] = (stop - start)[better]
    half = n_matrices // 2
    reverse = (best[half:] < best[:half]).astype(np.int64)
    better_strand = np.arange(half) + half * reverse
    placements = tried[:half] + tried[half:]
    corrected = -np.expm1(placements * np.log1p(-np.minimum(best[better_strand], 1 - 1e-12)))
    corrected = np.where(placements > 0, corrected, 1.0)
    return corrected, best_offset[better_strand], reverse, best_overlap[better_strand]


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
