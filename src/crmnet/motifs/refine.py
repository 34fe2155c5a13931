"""From a word or a rough matrix to a motif: sharpened on the sites that tell sequences apart.

Takes tokens and what is to be explained of their height (:mod:`crmnet.motifs.residual`), gives a
matrix and the score from which a place is a site. Scoring is compiled by numba: a second or two
on its first use ever.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from crmnet.arrays import Booleans, Integers
from crmnet.motifs.pwm import Matrix, Motif
from crmnet.motifs.residual import Rest
from crmnet.motifs.scan import GRID, ScanOptions, grid_scores, p_values
from crmnet.sequence import N_TOKEN, Tokens

CUTS = 40
"""Score thresholds tried for a matrix."""
ROUNDS = 7
"""Refinements of a matrix at most."""
LOOSE_ROUNDS = 3
"""The first of them, in which the matrix still takes shape."""
UNKNOWN = -20.0
"""Log-odds of an N, so that no site covers one."""
EDGE = 0.35
"""Bits below which a column at the edge of a motif is cut off."""
REACH = 2e-3
"""A place has strength if its score is reached by at most this share of random words."""
START = 20.0
"""Sites that a matrix to start from stands for."""


class Strictness(NamedTuple):
    """How rare, among random words, the score of a site must be."""

    chance: float
    loose: float
    """While the matrix takes shape."""


SHAPING = Strictness(4e-4, 1e-3)
"""For a new word: in one random promoter in twenty. Weaker sites would mix two motifs into one."""
POLISHING = Strictness(1e-3, 1e-3)
"""For a motif among others that claim their own sites: here weak ones say more than they blur."""


def best_scores(tokens: Tokens, motif: Motif) -> tuple[Matrix, Integers, Booleans]:
    """Best score of each sequence, where it starts, and whether on the reverse strand; ``(B,)``.

    Scores are natural-log odds; a place that covers an N loses more than any letter would.
    """
    matrix = np.vstack([motif.log_odds(), np.full(motif.width, UNKNOWN)]).astype(np.float32)
    turned = np.ascontiguousarray(matrix[[3, 2, 1, 0, 4], ::-1])
    score, place, strand = _best_places(np.ascontiguousarray(tokens), matrix, turned)
    return score, place, strand


@njit(cache=True)
def _best_places(
    tokens: Tokens, matrix: npt.NDArray[np.float32], turned: npt.NDArray[np.float32]
) -> tuple[Matrix, Integers, Booleans]:  # pragma: no cover - compiled
    many, width = len(tokens), matrix.shape[1]
    score = np.full(many, -np.inf)
    place, strand = np.zeros(many, np.int64), np.zeros(many, np.bool_)
    for row in range(many):
        for start in range(tokens.shape[1] - width + 1):
            forward = reverse = np.float32(0)
            for column in range(width):
                letter = tokens[row, start + column]
                forward += matrix[letter, column]
                reverse += turned[letter, column]
            if forward > score[row]:
                score[row], place[row], strand[row] = forward, start, False
            if reverse > score[row]:
                score[row], place[row], strand[row] = reverse, start, True
    return score, place, strand


def strength(score: Matrix, motif: Motif) -> Matrix:
    """How strong a sequence's best site is: 0 at REACH and below, 1 for the consensus."""
    floor, highest = floor_of(motif, REACH), float(motif.log_odds().max(axis=0).sum())
    return np.maximum(score - floor, 0) / max(highest - floor, 1e-3)


def floor_of(motif: Motif, chance: float) -> float:
    """The lowest score, in natural-log odds, that at most this share of random words reach."""
    low, table = p_values(grid_scores(motif, ScanOptions()))
    rare = int(np.argmax(table <= max(chance, table[-1])))
    next_there = int(np.nonzero(table == table[rare])[0][-1])
    # Halfway between two scores that words can have, as the grid rounds either.
    return float((low + (rare - 1 + next_there) / 2) / GRID * np.log(2))


def refine(
    start: Motif, tokens: Tokens, rest: Rest, strictness: Strictness, fewest: int
) -> tuple[Motif, float, float]:
    """Sharpen a matrix on its own sites until it explains no more.

    Args:
        start: The matrix, with free columns where it may grow.
        tokens: ``(B, L)`` the sequences.
        rest: What is to be explained of them.
        strictness: How weak a site may be.
        fewest: Sequences that must have a site.

    Returns:
        The motif, cut to its informative columns; the score from which a place is a site; and how
        far its sites lean to the high sequences (z).
    """
    motif = start = _fitting(start, tokens.shape[1])
    best: tuple[float, float, Motif] | None = None
    before: Integers = np.zeros(0, np.int64)
    for step in range(ROUNDS):
        score, place, turned = best_scores(tokens, motif)
        threshold = best_cut(score, rest, fewest, floor_of(motif, strictness.chance))[1]
        if step < LOOSE_ROUNDS:  # a word has one spelling: let sites with another one in
            threshold = min(threshold, floor_of(motif, strictness.loose))
        hits = np.nonzero(score >= threshold)[0]
        if step > LOOSE_ROUNDS and np.array_equal(hits, before):
            break
        before = hits
        sites = _sites(tokens[hits], place[hits], turned[hits], motif.width)
        counts = _excess_counts(sites, rest.residual[hits])
        if counts is None:
            break
        motif = Motif("?", "?", counts)
        short = trim(motif)
        score = best_scores(tokens, short)[0]
        z, threshold = best_cut(score, rest, fewest, floor_of(short, strictness.chance))
        if best is None or z > best[0]:
            best = z, threshold, short
    if best is None:
        short = trim(start)
        score = best_scores(tokens, short)[0]
        best = *best_cut(score, rest, fewest, floor_of(short, strictness.chance)), short
    return best[2], best[1], best[0]


def best_cut(score: Matrix, rest: Rest, fewest: int, floor: float) -> tuple[float, float]:
    """The threshold at which sites lean most to the high sequences: z and score.

    Only thresholds of ``floor`` or more are tried, unless ``fewest`` sequences need a lower one.
    """
    order = np.argsort(-score, kind="stable")
    strata = len(rest.total)
    last = min(len(score), max(int((score >= floor).sum()), fewest))
    ends = np.unique(np.geomspace(min(fewest, last), last, CUTS).astype(int))
    part = np.searchsorted(ends, np.arange(last), side="right")
    first = order[:last]
    lean = np.bincount(part, rest.residual[first], len(ends)).cumsum()
    cell = part * strata + rest.stratum[first]
    spread = np.bincount(cell, rest.variance[first], len(ends) * strata)
    z = rest.z(lean, spread.reshape(len(ends), strata).cumsum(axis=0))
    found = int(z.argmax())
    return float(z[found]), float(score[order[ends[found] - 1]])


def _excess_counts(sites: Tokens, residual: Matrix) -> Matrix | None:
    """Letters of the sites of high sequences less those of low ones, ``(4, W)``.

    Each counts as much as its sequence is unexplained: 1 where the odds were even.
    """
    is_base = sites == np.arange(4)[:, None, None]
    net = (is_base * residual[:, None]).sum(axis=1)
    high = (is_base * np.maximum(residual, 0)[:, None]).sum(axis=1)
    excess = 2 * np.maximum(net, 0.01 * high)
    return excess if (excess.sum(axis=0) > 1).all() else None


def _sites(tokens: Tokens, start: Integers, turned: Booleans, width: int) -> Tokens:
    """The sites' letters, ``(K, W)``, all read in the motif's direction."""
    sites = np.take_along_axis(tokens, start[:, None] + np.arange(width), axis=1)
    return np.where(turned[:, None], (3 - sites)[:, ::-1], sites).astype(np.uint8)


def _fitting(motif: Motif, width: int) -> Motif:
    """No wider than the sequences are; what is too much goes from both edges."""
    surplus = max(0, motif.width - width)
    first = surplus // 2
    return Motif(motif.name, motif.id, motif.counts[:, first : motif.width - surplus + first])


def trim(motif: Motif) -> Motif:
    """Without the uninformative columns at both edges, though at least four remain."""
    informative = np.nonzero(motif.information >= EDGE)[0]
    if not len(informative):
        return motif
    first, last = int(informative[0]), int(informative[-1]) + 1
    while last - first < min(4, motif.width):
        first, last = max(0, first - 1), min(motif.width, last + 1)
    return Motif(motif.name, motif.id, motif.counts[:, first:last])


def widen(motif: Motif, columns: int) -> Motif:
    """With free columns at both edges."""
    share = motif.counts / motif.counts.sum(axis=0)
    free = np.full((4, columns), 0.25)
    sites = max(START, float(motif.counts.sum(axis=0).max()))
    return Motif(motif.name, motif.id, np.hstack([free, share, free]) * sites)


def erase(tokens: Tokens, motif: Motif, threshold: float) -> None:
    """Put N over every site, in place; one after another, as a sequence may have several."""
    rows = np.arange(len(tokens))
    for _ in range(4):
        score, start, _ = best_scores(tokens[rows], motif)
        hit = score >= threshold
        rows = rows[hit]
        if not len(rows):
            return
        tokens[rows[:, None], start[hit][:, None] + np.arange(motif.width)] = N_TOKEN
