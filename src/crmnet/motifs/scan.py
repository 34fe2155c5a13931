"""Sites of motifs in sequences, with p- and q-values: what FIMO gives.

A score is a sum of log-odds in bits, rounded to a grid of 1/100 bit, so that the p-value of every
score is exact: the share of all words, under the background, that score as high, by convolving the
columns' distributions (Staden 1989).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Integers
from crmnet.motifs.pwm import UNIFORM, Matrix, Motif
from crmnet.motifs.pwm import scan as scores_along
from crmnet.sequence import N_TOKEN, Tokens

GRID = 100
"""Steps per bit."""
BLOCK = 512
"""Sequences scored at a time."""


@dataclass(frozen=True)
class ScanOptions:
    """What counts as a site."""

    p_value: float = 1e-4
    """A hit's score is reached by at most this share of random words."""
    background: tuple[float, float, float, float] = UNIFORM
    """Shares of A, C, G, T in random words."""
    pseudocount: float = 1.0
    both_strands: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.p_value <= 1:
            raise ValueError(f"p_value must be above 0 and at most 1; got {self.p_value}")
        if min(self.background) <= 0 or abs(sum(self.background) - 1) > 1e-3:
            raise ValueError(
                f"background must be four shares above 0 that add up to 1; got {self.background}"
            )


class Hits(NamedTuple):
    """Sites, ordered by motif, sequence and start; one entry each."""

    row: Integers
    """Which sequence."""
    motif: Integers
    """Which motif, by its place in the list."""
    start: Integers
    """First base, from 0."""
    end: Integers
    """One past the last base."""
    strand: npt.NDArray[np.str_]
    score: npt.NDArray[np.float64]
    """Bits."""
    p: npt.NDArray[np.float64]
    q: npt.NDArray[np.float64]
    """Benjamini and Hochberg's, over all places that were tried with the same motif."""

    def where(self, chosen: npt.NDArray[np.bool_]) -> Hits:
        """Some of the hits."""
        return Hits(**{name: column[chosen] for name, column in self._asdict().items()})

    def of(self, motif: int) -> Hits:
        """The hits of one motif."""
        return self.where(self.motif == motif)


def grid_scores(motif: Motif, options: ScanOptions) -> Integers:
    """Log-odds of each base in each column, ``(4, W)``, in whole steps of 1/GRID bit."""
    bits = motif.log_odds(options.background, options.pseudocount) / np.log(2)
    return np.rint(bits * GRID).astype(np.int64)


def p_values(scores: Integers, background: Sequence[float] = UNIFORM) -> tuple[int, Matrix]:
    """Share of random words that score at least as high, for every score there can be.

    Args:
        scores: ``(4, W)`` whole numbers.
        background: Shares of A, C, G, T.

    Returns:
        The lowest possible score, and ``(S,)`` whose entry i belongs to that score plus i.
    """
    lowest = int(scores.min(axis=0).sum())
    density = np.ones(1)
    for column in scores.T:
        steps = column - column.min()
        wider = np.zeros(len(density) + int(steps.max()))
        for step, share in zip(steps.tolist(), background, strict=True):
            wider[step : step + len(density)] += share * density
        density = wider
    return lowest, np.minimum(np.cumsum(density[::-1])[::-1], 1.0)


def find_sites(
    tokens: Tokens, motifs: Sequence[Motif], options: ScanOptions = ScanOptions()
) -> Hits:
    """Every place on either strand that scores high enough; none that covers an N.

    Args:
        tokens: ``(B, L)``.
        motifs: What to look for.
        options: Threshold and background.

    Returns:
        The hits. A motif that is its own complement is hit on both strands, as in FIMO.
    """
    matrices = [grid_scores(motif, options) for motif in motifs]
    kernels = [matrix.astype(float) for matrix in matrices]
    tables = [p_values(matrix, options.background) for matrix in matrices]
    cuts = np.array([low + np.argmax(table <= options.p_value) if table[-1] <= options.p_value
                     else np.inf for low, table in tables])  # fmt: skip
    widths = np.array([motif.width for motif in motifs])
    covered = _free_of_n(tokens, widths)
    strands = 2 if options.both_strands else 1
    parts = []
    for start in range(0, len(tokens), BLOCK):
        block = scores_along(tokens[start : start + BLOCK], kernels)[:, :, :strands]
        found = (block >= cuts[:, None, None]) & covered[start : start + BLOCK, :, None]
        row, motif, strand, place = np.nonzero(found)
        parts.append((row + start, motif, strand, place, block[row, motif, strand, place]))
    row, motif, strand, place, score = map(np.concatenate, zip(*parts, strict=True))
    order = np.lexsort((place, row, motif))
    row, motif, strand, place, score = (
        column[order] for column in (row, motif, strand, place, score)
    )
    p = np.empty(len(row))
    q = np.empty(len(row))
    for number, (low, table) in enumerate(tables):
        mine = motif == number
        p[mine] = table[score[mine].astype(np.int64) - low]
        q[mine] = q_values(p[mine], int(covered[:, number].sum()) * strands)
    ends = place + widths[motif]
    return Hits(row, motif, place, ends, np.array(["+", "-"])[strand], score / GRID, p, q)


def q_values(p: Matrix, tests: int) -> Matrix:
    """Benjamini and Hochberg's q of the smallest p-values of ``tests`` tests, in the given order.

    Of a list that was cut at a threshold these are upper bounds, and exact well below it.
    """
    order = np.argsort(p, kind="stable")
    raw = p[order] * tests / np.arange(1, len(p) + 1)
    q = np.empty(len(p))
    q[order] = np.minimum(np.minimum.accumulate(raw[::-1])[::-1], 1.0)
    return q


def _free_of_n(tokens: Tokens, widths: Integers) -> npt.NDArray[np.bool_]:
    """``(B, F, L)``: starts where a motif fits in and covers no N."""
    before = np.cumsum(np.pad(tokens == N_TOKEN, ((0, 0), (1, 0))), axis=1)
    free = np.zeros((len(tokens), len(widths), tokens.shape[1]), dtype=bool)
    for number, width in enumerate(widths.tolist()):
        starts = tokens.shape[1] - width + 1
        if starts > 0:
            free[:, number, :starts] = before[:, width:] == before[:, :starts]
    return free
