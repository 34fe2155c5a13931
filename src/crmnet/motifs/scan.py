"""Sites of motifs in sequences, with p- and q-values like FIMO.

Takes tokens and motifs, gives :class:`Hits`, for the tables and logos of
:mod:`crmnet.interpretation`. A score is a sum of log-odds in bits, rounded to a grid of 1/100 bit.
The p-value of a score is the fraction of random k-mers of the motif's width, under the background,
that score as high. It is exact on this grid: the distributions of the columns are convolved (Staden
1989).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Integers
from crmnet.motifs.pwm import UNIFORM, Matrix, Motif, scan_scores
from crmnet.sequence import N_TOKEN, Tokens, as_tokens

STEPS_PER_BIT = 100
"""Grid steps in one bit."""
BLOCK_SIZE = 512
"""Sequences scored at a time."""


@dataclass(frozen=True)
class ScanOptions:
    """Definition of a site."""

    p_value: float = 1e-4
    """Largest fraction of random k-mers that score as high as a hit."""
    background: tuple[float, float, float, float] = UNIFORM
    """Probabilities of A, C, G, T in random k-mers."""
    pseudocount: float = 1.0
    both_strands: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.p_value <= 1:
            raise ValueError(f"p_value must be above 0 and at most 1; got {self.p_value}")
        if min(self.background) <= 0 or abs(sum(self.background) - 1) > 1e-3:
            raise ValueError(
                "background must be four probabilities above 0 that add up to 1; "
                f"got {self.background}"
            )


class Hits(NamedTuple):
    """Sites, ordered by motif, sequence and start; one entry each."""

    row: Integers
    """Index of the sequence."""
    motif: Integers
    """Index of the motif in the given list."""
    start: Integers
    """First base, from 0."""
    end: Integers
    """One past the last base."""
    strand: npt.NDArray[np.str_]
    score: npt.NDArray[np.float64]
    """Log-odds in bits."""
    p: npt.NDArray[np.float64]
    q: npt.NDArray[np.float64]
    """Benjamini-Hochberg q-value over all positions tested with the same motif."""

    def select(self, mask: npt.ArrayLike) -> Hits:
        """The hits where ``mask`` is True."""
        mask = np.asarray(mask)
        return Hits(**{name: column[mask] for name, column in self._asdict().items()})

    def of_motif(self, motif: int) -> Hits:
        """The hits of the motif with this index."""
        return self.select(self.motif == motif)


def grid_scores(motif: Motif, options: ScanOptions) -> Integers:
    """Log-odds of each base in each column, ``(4, W)``, as integers in steps of 1/100 bit."""
    bits = motif.log_odds(options.background, options.pseudocount) / np.log(2)
    return np.rint(bits * STEPS_PER_BIT).astype(np.int64)


def p_values(scores: npt.ArrayLike, background: Sequence[float] = UNIFORM) -> tuple[int, Matrix]:
    """p-values of all possible scores of a matrix.

    Args:
        scores: ``(4, W)`` integers.
        background: Probabilities of A, C, G, T.

    Returns:
        The lowest possible score, and ``(S,)`` whose entry i is the p-value of that score plus i:
        the fraction of random k-mers that score at least as high.
    """
    scores = np.asarray(scores)
    lowest = int(scores.min(axis=0).sum())
    density = np.ones(1)
    for column in scores.T:
        steps = column - column.min()
        convolved = np.zeros(len(density) + int(steps.max()))
        for step, share in zip(steps.tolist(), background, strict=True):
            convolved[step : step + len(density)] += share * density
        density = convolved
    return lowest, np.minimum(np.cumsum(density[::-1])[::-1], 1.0)


def find_sites(
    tokens: npt.ArrayLike, motifs: Sequence[Motif], options: ScanOptions = ScanOptions()
) -> Hits:
    """All positions on either strand that score high enough; none of them covers an N.

    Args:
        tokens: ``(B, L)``.
        motifs: Motifs to search for.
        options: Threshold and background.

    Returns:
        The hits. A palindromic motif is reported on both strands, as in FIMO.
    """
    tokens = as_tokens(tokens)
    matrices = [grid_scores(motif, options) for motif in motifs]
    kernels = [matrix.astype(float) for matrix in matrices]
    tables = [p_values(matrix, options.background) for matrix in matrices]
    thresholds = np.array([
        lowest + np.argmax(table <= options.p_value) if table[-1] <= options.p_value else np.inf
        for lowest, table in tables
    ])  # fmt: skip
    widths = np.array([motif.width for motif in motifs])
    fits = _free_of_n(tokens, widths)
    strands = 2 if options.both_strands else 1
    parts = []
    for first in range(0, len(tokens), BLOCK_SIZE):
        block = scan_scores(tokens[first : first + BLOCK_SIZE], kernels)[:, :, :strands]
        is_site = (block >= thresholds[:, None, None]) & fits[first : first + BLOCK_SIZE, :, None]
        row, motif, strand, start = np.nonzero(is_site)
        parts.append((row + first, motif, strand, start, block[row, motif, strand, start]))
    row, motif, strand, start, score = map(np.concatenate, zip(*parts, strict=True))
    order = np.lexsort((start, row, motif))
    row, motif, strand, start, score = (
        column[order] for column in (row, motif, strand, start, score)
    )
    p = np.empty(len(row))
    q = np.empty(len(row))
    for number, (lowest, table) in enumerate(tables):
        of_this = motif == number
        p[of_this] = table[score[of_this].astype(np.int64) - lowest]
        q[of_this] = q_values(p[of_this], int(fits[:, number].sum()) * strands)
    ends = start + widths[motif]
    return Hits(row, motif, start, ends, np.array(["+", "-"])[strand], score / STEPS_PER_BIT, p, q)


def q_values(p: npt.ArrayLike, tests: int) -> Matrix:
    """Benjamini-Hochberg q-values of the smallest p-values of ``tests`` tests, in the given order.

    If ``p`` was truncated at a threshold, these are upper bounds, exact well below the threshold.
    """
    p = np.asarray(p)
    order = np.argsort(p, kind="stable")
    raw = p[order] * tests / np.arange(1, len(p) + 1)
    q = np.empty(len(p))
    q[order] = np.minimum(np.minimum.accumulate(raw[::-1])[::-1], 1.0)
    return q


def _free_of_n(tokens: Tokens, widths: Integers) -> npt.NDArray[np.bool_]:
    """``(B, F, L)``: True at starts where a motif fits into the sequence and covers no N."""
    before = np.cumsum(np.pad(tokens == N_TOKEN, ((0, 0), (1, 0))), axis=1)
    free = np.zeros((len(tokens), len(widths), tokens.shape[1]), dtype=bool)
    for number, width in enumerate(widths.tolist()):
        starts = tokens.shape[1] - width + 1
        if starts > 0:
            free[:, number, :starts] = before[:, width:] == before[:, :starts]
    return free
