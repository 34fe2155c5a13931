"""Short k-mers that are enriched in high or in low sequences: starting points of a motif search.

:class:`KmerIndex` takes tokens and residuals (:mod:`crmnet.motifs.residual`) and returns the k-mer
with the largest score-test z. :mod:`crmnet.motifs.discover` grows this k-mer into a motif. K-mers
are read on both strands and counted once per sequence. Besides 6-, 7- and 8-mers there are pairs of
triplets with a gap, because many factors bind as dimers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Booleans
from crmnet.motifs.pwm import Matrix
from crmnet.motifs.residual import Residuals
from crmnet.sequence import N_TOKEN, Tokens

PATTERNS: tuple[tuple[int, ...], ...] = (
    *(tuple(range(k)) for k in (6, 7, 8)),
    *((0, 1, 2, 3 + gap, 4 + gap, 5 + gap) for gap in range(2, 12)),
)
"""Offsets of a k-mer's letters. Each pattern is symmetric, so both strands use the same one."""
SEED_PROBABILITY = 0.9
"""Probability of the k-mer's own letter in a column of the initial matrix."""
FLANK = 4
"""Number of uninformative columns on either side of a k-mer; refinement can make them informative.
"""

Occurrences = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
"""Rows, and codes of the k-mers in them; a k-mer is listed once for each row."""


class Kmer(NamedTuple):
    """A k-mer and its enrichment."""

    letters: tuple[int, ...]
    """Tokens; N in a gap."""
    z: float
    """Score-test z: positive if enriched in high sequences, negative if enriched in low ones."""
    pattern: int
    """Index into PATTERNS."""
    code: int
    """Number of the k-mer among all k-mers of its pattern."""

    def matrix(self) -> Matrix:
        """``(4, W)`` probabilities of the initial matrix, uninformative columns included."""
        shares = np.full((4, len(self.letters) + 2 * FLANK), 0.25)
        for column, token in enumerate(self.letters, FLANK):
            if token != N_TOKEN:
                shares[:, column] = (1 - SEED_PROBABILITY) / 3
                shares[token, column] = SEED_PROBABILITY
        return shares


class KmerIndex:
    """All k-mers of a set of sequences."""

    def __init__(self, tokens: Tokens, min_sequences: int) -> None:
        """Find the k-mers of ``(B, L)``; those in fewer than ``min_sequences`` rows are ignored."""
        self.rows = len(tokens)
        self.occurrences = [_occurrences(tokens, offsets) for offsets in PATTERNS]
        self.usable = [
            np.bincount(code, minlength=4 ** len(offsets)) >= min_sequences
            for offsets, (_, code) in zip(PATTERNS, self.occurrences, strict=True)
        ]

    def take_best(self, residuals: Residuals) -> Kmer | None:
        """Return the k-mer with the largest ``|z|``, or None, and exclude it from later calls."""
        best: Kmer | None = None
        strata = len(residuals.stratum_variance)
        for number, (offsets, (row, code)) in enumerate(
            zip(PATTERNS, self.occurrences, strict=True)
        ):
            usable = np.nonzero(self.usable[number])[0]
            if not len(usable):
                continue
            n_codes = 4 ** len(offsets)
            residual_sum = np.bincount(code, residuals.residual[row], n_codes)[usable]
            cell = code.astype(np.int64) * strata + residuals.stratum[row]
            variance_sum = np.bincount(cell, residuals.variance[row], n_codes * strata)
            z = residuals.z_scores(residual_sum, variance_sum.reshape(n_codes, strata)[usable])
            index = int(np.abs(z).argmax())
            if best is None or abs(z[index]) > abs(best.z):
                letters = _letters(int(usable[index]), offsets)
                best = Kmer(letters, float(z[index]), number, int(usable[index]))
        if best is not None:
            self.usable[best.pattern][best.code] = False
        return best

    def contains(self, kmer: Kmer) -> Booleans:
        """Which sequences contain a k-mer, ``(B,)``."""
        row, code = self.occurrences[kmer.pattern]
        with_kmer = np.zeros(self.rows, dtype=bool)
        with_kmer[row[code == kmer.code]] = True
        return with_kmer


def _occurrences(tokens: Tokens, offsets: tuple[int, ...]) -> Occurrences:
    n_starts = tokens.shape[1] - offsets[-1]
    if n_starts < 1:
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    forward = np.zeros((len(tokens), n_starts), dtype=np.int32)
    reverse = np.zeros_like(forward)
    has_no_n = np.ones(forward.shape, dtype=bool)
    for number, offset in enumerate(offsets):
        letter = tokens[:, offset : offset + n_starts].astype(np.int32)
        has_no_n &= letter < N_TOKEN
        forward += letter << (2 * number)
        reverse += (3 - letter) << (2 * (len(offsets) - 1 - number))
    code = np.sort(np.where(has_no_n, np.minimum(forward, reverse), -1), axis=1)
    first_in_row = code >= 0
    first_in_row[:, 1:] &= code[:, 1:] != code[:, :-1]
    row, place = np.nonzero(first_in_row)
    return row.astype(np.int32), code[row, place]


def _letters(code: int, offsets: tuple[int, ...]) -> tuple[int, ...]:
    letters = [N_TOKEN] * (offsets[-1] + 1)
    for number, offset in enumerate(offsets):
        letters[offset] = (code >> (2 * number)) & 3
    return tuple(letters)
