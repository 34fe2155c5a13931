"""Refines a k-mer or a rough matrix to the motif whose sites best separate high from low sequences.

:func:`refine` takes a matrix, tokens and residuals (:mod:`crmnet.motifs.residual`). It returns a
better matrix and the score threshold of its sites to :mod:`crmnet.motifs.discover`. numba compiles
the scoring, which takes one or two seconds on the first use after installation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Booleans, Integers
from crmnet.compiled import compiled
from crmnet.motifs.pwm import Matrix, Motif
from crmnet.motifs.residual import Residuals
from crmnet.motifs.scan import STEPS_PER_BIT, ScanOptions, grid_scores, p_values
from crmnet.sequence import N_TOKEN, Tokens, as_tokens

N_THRESHOLDS = 40
"""Number of score thresholds tried for a matrix."""
MAX_ROUNDS = 7
"""Largest number of refinements of a matrix."""
PERMISSIVE_ROUNDS = 3
"""Number of first rounds, in which the permissive p-value admits more varied sites."""
N_SCORE = -20.0
"""Log-odds of an N: so low that no site covers an N."""
MIN_EDGE_BITS = 0.35
"""Edge columns with less information are trimmed."""
STRENGTH_P = 2e-3
"""A site has a strength above 0 if at most this fraction of random k-mers scores as high."""
SEED_SITES = 20.0
"""Number of sites that an initial matrix is assumed to have."""


class SiteLimits(NamedTuple):
    """Largest p-values of a site, as the fraction of random k-mers that score as high."""

    p_value: float
    permissive_p: float
    """In the first PERMISSIVE_ROUNDS rounds."""


SHAPING_LIMITS = SiteLimits(4e-4, 1e-3)
"""For a new k-mer: one in twenty random promoters has a site. With weaker sites, two motifs would
merge into one."""
POLISHING_LIMITS = SiteLimits(1e-3, 1e-3)
"""For a motif whose competitors are already in the regression: weaker sites then add more
information than noise."""


def best_scores(tokens: npt.ArrayLike, motif: Motif) -> tuple[Matrix, Integers, Booleans]:
    """Best site of each sequence: score, start, whether on the reverse strand; each ``(B,)``.

    Scores are log-odds (natural logarithm). An N costs more than any base.
    """
    tokens = as_tokens(tokens)
    matrix = np.vstack([motif.log_odds(), np.full(motif.width, N_SCORE)]).astype(np.float32)
    reverse_matrix = np.ascontiguousarray(matrix[[3, 2, 1, 0, 4], ::-1])
    score, start, is_reverse = _best_sites(np.ascontiguousarray(tokens), matrix, reverse_matrix)
    return score, start, is_reverse


@compiled
def _best_sites(
    tokens: Tokens, matrix: npt.NDArray[np.float32], reverse_matrix: npt.NDArray[np.float32]
) -> tuple[Matrix, Integers, Booleans]:  # pragma: no cover - compiled
    n, width = len(tokens), matrix.shape[1]
    score = np.full(n, -np.inf)
    best_start, is_reverse = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    for row in range(n):
        for start in range(tokens.shape[1] - width + 1):
            forward = reverse = np.float32(0)
            for column in range(width):
                letter = tokens[row, start + column]
                forward += matrix[letter, column]
                reverse += reverse_matrix[letter, column]
            if forward > score[row]:
                score[row], best_start[row], is_reverse[row] = forward, start, False
            if reverse > score[row]:
                score[row], best_start[row], is_reverse[row] = reverse, start, True
    return score, best_start, is_reverse


def site_strength(score: npt.ArrayLike, motif: Motif) -> Matrix:
    """Strength of scores ``(B,)``: 0 up to the score at STRENGTH_P, 1 for the consensus."""
    score = np.asarray(score)
    floor, highest = score_at_p(motif, STRENGTH_P), float(motif.log_odds().max(axis=0).sum())
    return np.maximum(score - floor, 0) / max(highest - floor, 1e-3)


def score_at_p(motif: Motif, p_value: float) -> float:
    """Lowest score (natural log-odds) that at most this fraction of random k-mers reach."""
    lowest, table = p_values(grid_scores(motif, ScanOptions()))
    index = int(np.argmax(table <= max(p_value, table[-1])))
    next_reachable = int(np.nonzero(table == table[index])[0][-1])
    # Halfway between two scores that occur, because rounding to the grid can move either.
    return float((lowest + (index - 1 + next_reachable) / 2) / STEPS_PER_BIT * np.log(2))


def refine(
    start: Motif,
    tokens: npt.ArrayLike,
    residuals: Residuals,
    limits: SiteLimits,
    min_sequences: int,
) -> tuple[Motif, float, float]:
    """Refine a matrix round by round, and keep the version with the largest z.

    Each round finds the sites of the matrix and makes the next matrix from them.

    Args:
        start: Initial matrix; uninformative columns at its edges let the motif grow.
        tokens: ``(B, L)`` sequences.
        residuals: Residuals of these sequences, which the motif should explain.
        limits: Largest p-values of a site.
        min_sequences: Fewest sequences that must have a site.

    Returns:
        The motif, trimmed to its informative columns; its score threshold for a site; and the z of
        its sites, positive if they are enriched in high sequences.
    """
    tokens = as_tokens(tokens)
    motif = start = _cropped(start, tokens.shape[1])
    best: tuple[float, float, Motif] | None = None
    previous_hits: Integers = np.zeros(0, np.int64)
    for step in range(MAX_ROUNDS):
        score, site_start, reverse = best_scores(tokens, motif)
        min_score = score_at_p(motif, limits.p_value)
        threshold = best_threshold(score, residuals, min_sequences, min_score)[1]
        if step < PERMISSIVE_ROUNDS:  # a k-mer matches itself only: also admit similar sites
            threshold = min(threshold, score_at_p(motif, limits.permissive_p))
        hits = np.nonzero(score >= threshold)[0]
        if step > PERMISSIVE_ROUNDS and np.array_equal(hits, previous_hits):
            break
        previous_hits = hits
        sites = _sites(tokens[hits], site_start[hits], reverse[hits], motif.width)
        counts = _excess_counts(sites, residuals.residual[hits])
        if counts is None:
            break
        motif = Motif("?", "?", counts)
        trimmed = trim(motif)
        score = best_scores(tokens, trimmed)[0]
        min_score = score_at_p(trimmed, limits.p_value)
        z, threshold = best_threshold(score, residuals, min_sequences, min_score)
        if best is None or z > best[0]:
            best = z, threshold, trimmed
    if best is None:
        trimmed = trim(start)
        score = best_scores(tokens, trimmed)[0]
        min_score = score_at_p(trimmed, limits.p_value)
        best = *best_threshold(score, residuals, min_sequences, min_score), trimmed
    return best[2], best[1], best[0]


def best_threshold(
    score: npt.ArrayLike, residuals: Residuals, min_sequences: int, min_score: float
) -> tuple[float, float]:
    """The z and the score threshold at which sites are most enriched in high sequences.

    Thresholds below ``min_score`` are tried only if fewer than ``min_sequences`` reach it.
    """
    score = np.asarray(score)
    order = np.argsort(-score, kind="stable")
    strata = len(residuals.stratum_variance)
    last = min(len(score), max(int((score >= min_score).sum()), min_sequences))
    ends = np.unique(np.geomspace(min(min_sequences, last), last, N_THRESHOLDS).astype(int))
    bin = np.searchsorted(ends, np.arange(last), side="right")
    ranked = order[:last]
    residual_sum = np.bincount(bin, residuals.residual[ranked], len(ends)).cumsum()
    cell = bin * strata + residuals.stratum[ranked]
    variance_sum = np.bincount(cell, residuals.variance[ranked], len(ends) * strata)
    z = residuals.z_scores(residual_sum, variance_sum.reshape(len(ends), strata).cumsum(axis=0))
    best = int(z.argmax())
    return float(z[best]), float(score[order[ends[best] - 1]])


def _excess_counts(sites: Tokens, residual: Matrix) -> Matrix | None:
    """Letter counts at the sites of high sequences minus those of low ones, ``(4, W)``.

    The weight of a site is twice the residual of its sequence, which is 1 if the regression
    predicts 1/2.
    """
    is_base = sites == np.arange(4)[:, None, None]
    net = (is_base * residual[:, None]).sum(axis=1)
    high = (is_base * np.maximum(residual, 0)[:, None]).sum(axis=1)
    excess = 2 * np.maximum(net, 0.01 * high)
    return excess if (excess.sum(axis=0) > 1).all() else None


def _sites(tokens: Tokens, start: Integers, reverse: Booleans, width: int) -> Tokens:
    """Letters of the sites, ``(K, W)``, all on the motif's strand."""
    sites = np.take_along_axis(tokens, start[:, None] + np.arange(width), axis=1)
    return np.where(reverse[:, None], (3 - sites)[:, ::-1], sites).astype(np.uint8)


def _cropped(motif: Motif, width: int) -> Motif:
    """The motif cut to at most ``width`` columns, equally at both edges."""
    surplus = max(0, motif.width - width)
    first = surplus // 2
    return Motif(motif.name, motif.id, motif.counts[:, first : motif.width - surplus + first])


def trim(motif: Motif) -> Motif:
    """The motif without uninformative edge columns, but with at least four columns."""
    informative = np.nonzero(motif.information >= MIN_EDGE_BITS)[0]
    if not len(informative):
        return motif
    first, last = int(informative[0]), int(informative[-1]) + 1
    while last - first < min(4, motif.width):
        first, last = max(0, first - 1), min(motif.width, last + 1)
    return Motif(motif.name, motif.id, motif.counts[:, first:last])


def widen(motif: Motif, columns: int) -> Motif:
    """The motif with this many uninformative columns added at each edge."""
    share = motif.counts / motif.counts.sum(axis=0)
    free = np.full((4, columns), 0.25)
    sites = max(SEED_SITES, float(motif.counts.sum(axis=0).max()))
    return Motif(motif.name, motif.id, np.hstack([free, share, free]) * sites)


def erase(tokens: Tokens, motif: Motif, threshold: float) -> None:
    """Replace every site by N, in place; each of four passes erases the best site of a sequence."""
    rows = np.arange(len(tokens))
    for _ in range(4):
        score, start, _ = best_scores(tokens[rows], motif)
        hit = score >= threshold
        rows = rows[hit]
        if not len(rows):
            return
        tokens[rows[:, None], start[hit][:, None] + np.arange(motif.width)] = N_TOKEN
