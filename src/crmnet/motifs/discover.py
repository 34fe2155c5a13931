"""New motifs from sequences and their expression: high against low, or down a whole ranking.

The search is the discriminative kind of STREME (Bailey 2021): the word that leans most to the top
group becomes a matrix, the matrix is refined on its own best sites, its p-value comes from
sequences that the search has not seen, its sites are erased, and the search goes on.

* :func:`differential` takes the n highest against the n lowest, as the paper ran MEME.
* :func:`ranked` takes the whole list, without choosing n, as DRIMust and rGADEM do: what counts is
  the minimum hypergeometric over all cuts.

Both compare sequences of equal composition and count a family once (:mod:`crmnet.motifs.contrast`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.motifs.contrast import (
    Booleans,
    Contrast,
    Integers,
    composition_strata,
    exact_p,
    extremes,
    minimum_hypergeometric,
    stratified_z,
    without_composition,
)
from crmnet.motifs.pwm import Matrix, Motif
from crmnet.motifs.scan import GRID, ScanOptions, grid_scores, p_values, q_values
from crmnet.motifs.words import best_word
from crmnet.sequence import N_TOKEN, Tokens

log = logging.getLogger("crmnet")

CUTS = 40
"""Score thresholds tried for a matrix."""
ROUNDS = 7
"""Refinements of a matrix."""
UNKNOWN = -20.0
"""Log-odds of an N, so that no site covers one."""
CHANCE = 4e-4
"""A site's score is reached by at most this share of random words: in one random promoter in
twenty. Weaker sites matter too, but they blur the motif, and erasing them would erase others'."""
LOOSE, LOOSE_ROUNDS = 1e-3, 3
"""The same while a matrix still takes shape."""
EDGE = 0.35
"""Bits below which a column at the edge of a motif is cut off."""


@dataclass(frozen=True)
class DiscoverOptions:
    """How to search."""

    n: int = 2_000
    """Sequences at either end (:func:`differential`)."""
    matched: bool = True
    """Rank sequences among those of their own G + C before the ends are taken. Otherwise the ends
    are those of expression itself, which may have too little composition in common to compare."""
    q_value: float = 0.05
    """Motifs above this false discovery rate are left out."""
    held_out: float = 0.4
    """Share of the sequences that p-values come from."""
    most: int = 40
    """Candidates tried in each direction."""
    patience: int = 5
    """The search ends after so many candidates in a row that held-out sequences do not confirm."""
    fewest: int = 10
    """Sequences that must have a word or a motif."""
    search: int = 8_000
    """Sequences in each group that the search looks at; the others of a large set only test."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out must be between 0 and 1; got {self.held_out}")
        if not 0 < self.q_value <= 1:
            raise ValueError(f"q_value must be above 0 and at most 1; got {self.q_value}")
        for name in ("n", "most", "patience", "fewest", "search"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")


DEFAULTS = DiscoverOptions()


class Found(NamedTuple):
    """A motif and what speaks for it."""

    motif: Motif
    """Counts of its sites in the sequences of the search."""
    threshold: float
    """Score (natural-log odds over even bases, pseudocount 1) from which a place is a site."""
    enriched: str
    """``high`` or ``low``: where its sites are more frequent."""
    p: float
    """One-sided, from held-out sequences."""
    e: float
    """p times the number of candidates tested."""
    q: float
    share: float
    """Share of held-out sequences of its group that have a site."""
    share_other: float
    """The same of the other group."""


Test = Callable[[Booleans], float]
"""Held-out sequences with a site → p."""


def differential(
    tokens: Tokens,
    expression: Matrix,
    family: npt.NDArray[Any],
    options: DiscoverOptions = DEFAULTS,
) -> list[Found]:
    """Motifs of the highest against the lowest sequences, and the other way round.

    Args:
        tokens: ``(B, L)`` inserts, without adapters.
        expression: ``(B,)``.
        family: ``(B,)`` whatever tells families apart; each is taken once at either end.
        options: How many, how strict.

    Returns:
        Motifs with q below the limit, most certain first, ids ``D1``, ``D2``, …

    Raises:
        ValueError: If there are fewer than 2n families.
    """
    height = without_composition(expression, tokens) if options.matched else expression
    top, bottom = extremes(height, family, options.n)
    rows = np.concatenate([top, bottom])
    return contrast_motifs(tokens[rows], np.arange(len(rows)) < len(top), options)


def contrast_motifs(
    tokens: Tokens, top: Booleans, options: DiscoverOptions = DEFAULTS
) -> list[Found]:
    """Motifs of two groups of sequences that are there already; see :func:`differential`."""
    found: list[Found] = []
    stratum = composition_strata(tokens)
    learn, test = _split(top, options)
    for enriched, group in (("high", top), ("low", ~top)):
        contrast = Contrast(tokens.copy(), group, stratum)
        p_value = partial(exact_p, contrast=contrast.rows(test))
        found += _search(contrast, learn, test, p_value, enriched, options)
    return _significant(found, options, "D")


def ranked(
    tokens: Tokens,
    expression: Matrix,
    family: npt.NDArray[Any],
    options: DiscoverOptions = DEFAULTS,
) -> list[Found]:
    """Motifs whose sites crowd at the top, or at the bottom, of the whole ranking.

    Sequences are ranked among those of their own G + C, so composition ranks nothing. The search
    compares the upper third with the rest; p-values are minimum hypergeometric ones over every cut
    of the held-out ranking, ids ``R1``, ``R2``, …
    """
    _, rows = np.unique(family, return_index=True)
    place = without_composition(expression[rows], tokens[rows])
    rng = np.random.default_rng(options.seed)
    if len(rows) > 3 * options.search:
        kept = rng.permutation(len(rows))[: 3 * options.search]
        rows, place = rows[kept], place[kept]
    stratum = composition_strata(tokens[rows])
    found: list[Found] = []
    for enriched, height in (("high", place), ("low", 1 - place)):
        top = height > 2 / 3
        contrast = Contrast(tokens[rows], top, stratum)
        learn, test = _split(top, options)
        p_value = partial(_p_down_the_ranking, order=np.argsort(-height[test], kind="stable"))
        found += _search(contrast, learn, test, p_value, enriched, options)
    return _significant(found, options, "R")


def _p_down_the_ranking(hits: Booleans, order: Integers) -> float:
    return minimum_hypergeometric(hits[order])[0]


def _split(top: Booleans, options: DiscoverOptions) -> tuple[Integers, Integers]:
    """Rows to search in and rows to test on, each with its share of both groups."""
    rng = np.random.default_rng(options.seed)
    learn, test = [], []
    for group in (True, False):
        rows = rng.permutation(np.nonzero(top == group)[0])
        size = min(options.search, round(len(rows) * (1 - options.held_out)))
        learn.append(rows[:size])
        test.append(rows[size:])
    return np.concatenate(learn), np.concatenate(test)


def _search(
    contrast: Contrast,
    learn: Integers,
    test: Integers,
    p_value: Test,
    enriched: str,
    options: DiscoverOptions,
) -> list[Found]:
    """Candidates of one direction, confirmed or not, in the order in which they were found."""
    found: list[Found] = []
    failures = 0
    while len(found) < options.most and failures < options.patience:
        learning = contrast.rows(learn)
        word = best_word(learning, options.fewest)
        if word is None or word.z < 3:
            break
        motif, threshold = refine(word.matrix(), learning, options.fewest)
        hits = best_scores(contrast.tokens, motif)[0] >= threshold
        p = p_value(hits[test])
        top = contrast.top[test]
        share, other = float(hits[test][top].mean()), float(hits[test][~top].mean())
        found.append(Found(motif, threshold, enriched, p, 1.0, 1.0, share, other))
        failures = 0 if p < options.q_value else failures + 1
        log.info("%s %-20s p %.1e  %.1f %% / %.1f %%",
                 enriched, motif.consensus, p, 100 * share, 100 * other)  # fmt: skip
        _erase(contrast.tokens, motif, threshold)
        _erase_word(contrast.tokens, word.letters)
    return found


def _significant(found: list[Found], options: DiscoverOptions, letter: str) -> list[Found]:
    q = q_values(np.array([f.p for f in found]), len(found))
    kept = [
        f._replace(e=f.p * len(found), q=float(value))
        for f, value in zip(found, q, strict=True)
        if value < options.q_value
    ]
    kept.sort(key=lambda f: f.p)
    return [
        f._replace(motif=Motif(f.motif.consensus, f"{letter}{n}", f.motif.counts, f.e))
        for n, f in enumerate(kept, 1)
    ]


def best_scores(tokens: Tokens, motif: Motif) -> tuple[Matrix, Integers, Booleans]:
    """Best score of each sequence, where it starts, and whether on the reverse strand; ``(B,)``.

    Scores are natural-log odds; a place that covers an N loses more than any letter would.
    """
    starts = max(0, tokens.shape[1] - motif.width + 1)
    matrix = np.vstack([motif.log_odds(), np.full(motif.width, UNKNOWN)]).astype(np.float32)
    scores = np.zeros((2, len(tokens), starts), dtype=np.float32)
    for column in range(motif.width):
        letters = tokens[:, column : column + starts]
        scores[0] += matrix[letters, column]
        scores[1] += matrix[[3, 2, 1, 0, 4], motif.width - 1 - column][letters]
    flat = scores.transpose(1, 0, 2).reshape(len(tokens), -1)
    best = flat.argmax(axis=1)
    return flat[np.arange(len(tokens)), best].astype(float), best % starts, best >= starts


def refine(matrix: Matrix, contrast: Contrast, fewest: int) -> tuple[Motif, float]:
    """Sharpen a matrix on its own sites until it tells the groups apart no better.

    Args:
        matrix: ``(4, W)`` probabilities.
        contrast: The sequences.
        fewest: Sequences that must have a site.

    Returns:
        The motif, cut to its informative columns, and the score from which a place is a site.
    """
    motif = Motif("?", "?", matrix * 20)
    best: tuple[float, Motif] | None = None
    for step in range(ROUNDS):
        score, start, turned = best_scores(contrast.tokens, motif)
        threshold = _best_cut(score, contrast, fewest, floor_of(motif))[1]
        if step < LOOSE_ROUNDS:  # a word has one spelling: let sites with another one in
            threshold = min(threshold, floor_of(motif, LOOSE))
        counts = _excess_counts(contrast, score >= threshold, start, turned, motif.width)
        if counts is None:
            break
        motif = Motif("?", "?", counts)
        trimmed = _trim(motif)
        z, _ = _best_cut(best_scores(contrast.tokens, trimmed)[0], contrast, fewest,
                         floor_of(trimmed))  # fmt: skip
        if best is None or z > best[0]:
            best = z, trimmed
    final = best[1] if best else _trim(motif)
    score, _, _ = best_scores(contrast.tokens, final)
    return final, _best_cut(score, contrast, fewest, floor_of(final))[1]


def _excess_counts(
    contrast: Contrast, hits: Booleans, start: Integers, turned: Booleans, width: int
) -> Matrix | None:
    """Letters of the top group's sites less those that the other group has as well, ``(4, W)``."""
    low, high = contrast.sizes.sum(axis=0)
    counted = []
    for group in (contrast.top, ~contrast.top):
        chosen = hits & group
        sites = _sites(contrast.tokens[chosen], start[chosen], turned[chosen], width)
        counted.append(np.array([(sites == base).sum(axis=0) for base in range(4)], dtype=float))
    excess = np.maximum(counted[0] - counted[1] * high / max(low, 1), 0.01 * counted[0])
    return excess if (excess.sum(axis=0) > 1).all() else None


def floor_of(motif: Motif, chance: float = CHANCE) -> float:
    """The lowest score, in natural-log odds, that at most this share of random words reach."""
    low, table = p_values(grid_scores(motif, ScanOptions()))
    rare = int(np.argmax(table <= max(chance, table[-1])))
    next_there = int(np.nonzero(table == table[rare])[0][-1])
    # Halfway between two scores that words can have, as the grid rounds either.
    return float((low + (rare - 1 + next_there) / 2) / GRID * np.log(2))


def _best_cut(score: Matrix, contrast: Contrast, fewest: int, floor: float) -> tuple[float, float]:
    """The threshold at which sites lean most to the top group: z and score."""
    order = np.argsort(-score, kind="stable")
    sizes = contrast.sizes
    last = min(len(score), max(int((score >= floor).sum()), fewest))
    ends = np.unique(np.geomspace(min(fewest, last), last, CUTS).astype(int))
    hits = np.zeros((len(ends), sizes.size))
    np.add.at(hits, (np.searchsorted(ends, np.arange(last), side="right"),
                     contrast.cell[order[:last]]), 1)  # fmt: skip
    z = stratified_z(hits.cumsum(axis=0).reshape(len(ends), *sizes.shape), sizes)
    found = int(z.argmax())
    return float(z[found]), float(score[order[ends[found] - 1]])


def _sites(tokens: Tokens, start: Integers, turned: Booleans, width: int) -> Tokens:
    """The sites' letters, ``(K, W)``, all read in the motif's direction."""
    sites = np.take_along_axis(tokens, start[:, None] + np.arange(width), axis=1)
    return np.where(turned[:, None], (3 - sites)[:, ::-1], sites).astype(np.uint8)


def _trim(motif: Motif) -> Motif:
    """Without the uninformative columns at both edges, though at least four remain."""
    informative = np.nonzero(motif.information >= EDGE)[0]
    if not len(informative):
        return motif
    first, last = int(informative[0]), int(informative[-1]) + 1
    while last - first < min(4, motif.width):
        first, last = max(0, first - 1), min(motif.width, last + 1)
    return Motif(motif.name, motif.id, motif.counts[:, first:last])


def _erase(tokens: Tokens, motif: Motif, threshold: float) -> None:
    """Put N over every site, in place; one after another, as a sequence may have several."""
    rows = np.arange(len(tokens))
    for _ in range(4):
        score, start, _ = best_scores(tokens[rows], motif)
        hit = score >= threshold
        rows = rows[hit]
        if not len(rows):
            return
        tokens[rows[:, None], start[hit][:, None] + np.arange(motif.width)] = N_TOKEN


def _erase_word(tokens: Tokens, letters: tuple[int, ...]) -> None:
    """Put N over every copy of a word, so that no word is tried twice."""
    word = np.array(letters)
    for one in (word, np.where(word < N_TOKEN, 3 - word, N_TOKEN)[::-1]):
        windows = np.lib.stride_tricks.sliding_window_view(tokens, len(word), axis=1)
        row, start = np.nonzero(((windows == one) | (one == N_TOKEN)).all(axis=2))
        if len(row):
            tokens[row[:, None], start[:, None] + np.nonzero(one < N_TOKEN)[0]] = N_TOKEN
