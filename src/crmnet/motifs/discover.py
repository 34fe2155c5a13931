"""New motifs from sequences and their expression: high against low, or down a whole ranking.

The search is discriminative, as STREME's is (Bailey 2021), but nothing is erased on the way: the
word that says most about what the motifs so far leave unexplained becomes a matrix
(:mod:`crmnet.motifs.residual`), the matrix is sharpened on its own sites, and the search goes on.
Then all motifs are polished side by side, each on what the others leave. The p-values come from
sequences that the search has not seen, in which the sites of better motifs are covered, so that
fragments and variants of a motif are not confirmed beside it.

* :func:`differential` takes the n highest against the n lowest, as the paper ran MEME.
* :func:`ranked` takes the whole list, without choosing n, as DRIMust and rGADEM do: what counts is
  the minimum hypergeometric over all cuts.

Both compare sequences of equal composition and count a family once (:mod:`crmnet.motifs.contrast`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from crmnet.arrays import Booleans, Integers
from crmnet.motifs.contrast import (
    composition_strata,
    exact_p,
    extremes,
    minimum_hypergeometric,
    without_composition,
)
from crmnet.motifs.kmers import Words
from crmnet.motifs.pwm import Matrix, Motif
from crmnet.motifs.refine import (
    POLISHING,
    SHAPING,
    START,
    best_scores,
    erase,
    refine,
    strength,
    widen,
)
from crmnet.motifs.residual import Sequences, fit, rest_of
from crmnet.motifs.scan import q_values
from crmnet.sequence import Tokens

log = logging.getLogger("crmnet")

POLISHES = 2
"""Rounds after the search, in which every motif is refined on what the others leave."""
LEAST_Z = 3.0
"""The search ends when no word leans as far; by chance, the farthest of so many words would."""
GATE = 0.05
"""Candidates are kept for the polish, and their sites covered for weaker ones, if held-out
sequences are rarer than this by chance."""
GROW, WIDEST = 2, 20
"""Free columns that a polish adds on either side, and how wide the matrix may then be."""
HIGHER, LOWER = 2 / 3, 1 / 3
"""Heights of the groups whose shares of sites are told: all, where there are two groups."""


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
    most: int = 60
    """Candidates of each pass."""
    patience: int = 8
    """A pass ends after so many candidates in a row that held-out sequences do not confirm."""
    fewest: int = 10
    """Sequences that must have a word or a motif."""
    search: int = 4_000
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


class DiscoveredMotif(NamedTuple):
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
    """Benjamini and Hochberg's, over the candidates tested."""
    share: float
    """Share of held-out sequences of its group that have a site."""
    share_other: float
    """The same of the other group."""


class Candidate(NamedTuple):
    """A motif that is not yet tested."""

    motif: Motif
    threshold: float
    high: bool
    """Whether its sites are more frequent in high sequences."""
    z: float
    """How far they lean there, beyond what other motifs explain, in the sequences of the search."""
    p: float = 1.0


Test = Callable[[Booleans, bool], float]
"""Held-out sequences with a site, and whether high ones should have more of them → p."""


def differential(
    tokens: Tokens,
    expression: Matrix,
    family: npt.NDArray[Any],
    options: DiscoverOptions = DEFAULTS,
) -> list[DiscoveredMotif]:
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
    rows, top = ends(tokens, expression, family, options)
    return contrast_motifs(tokens[rows], top, options)


def ends(
    tokens: Tokens, expression: Matrix, family: npt.NDArray[Any], options: DiscoverOptions
) -> tuple[Integers, Booleans]:
    """The rows of both ends, and which of them are of the upper one: ``(2n,)`` each."""
    height = without_composition(expression, tokens) if options.matched else expression
    top, bottom = extremes(height, family, options.n)
    rows = np.concatenate([top, bottom])
    return rows, np.arange(len(rows)) < len(top)


def contrast_motifs(
    tokens: Tokens, top: Booleans, options: DiscoverOptions = DEFAULTS, letter: str = "D"
) -> list[DiscoveredMotif]:
    """Motifs of two groups of sequences that are there already; see :func:`differential`.

    Ids begin with ``letter``.
    """
    learn, test = two_groups(tokens, top, options)
    return significant(*_search(learn, test, group_test(test), options), options, letter)


def two_groups(
    tokens: Tokens, top: Booleans, options: DiscoverOptions
) -> tuple[Sequences, Sequences]:
    """Two groups as heights of 1 and 0: the sequences to search in and those to test on."""
    sequences = Sequences(tokens, top.astype(float), composition_strata(tokens))
    learn, test = _split(top, options)
    return sequences.rows(learn), sequences.rows(test)


def group_test(test: Sequences) -> Test:
    """The exact test of two groups within strata of composition."""
    top = test.height > HIGHER
    return lambda hits, high: exact_p(hits, top if high else ~top, test.stratum)


def ranked(
    tokens: Tokens,
    expression: Matrix,
    family: npt.NDArray[Any],
    options: DiscoverOptions = DEFAULTS,
) -> list[DiscoveredMotif]:
    """Motifs whose sites crowd at the top, or at the bottom, of the whole ranking.

    Sequences are ranked among those of their own G + C, so composition ranks nothing. The search
    explains ranks; p-values are minimum hypergeometric ones over every cut of the held-out ranking,
    ids ``R1``, ``R2``, … Shares are those of the upper (lower) third and of the rest.
    """
    _, rows = np.unique(family, return_index=True)
    rng = np.random.default_rng(options.seed)
    place = without_composition(expression[rows], tokens[rows])
    if len(rows) > 3 * options.search:
        kept = rng.permutation(len(rows))[: 3 * options.search]
        rows, place = rows[kept], place[kept]
    sequences = Sequences(tokens[rows], place, composition_strata(tokens[rows]))
    learn, test = (sequences.rows(part) for part in _split(place > 0.5, options))
    order = np.argsort(-test.height, kind="stable")

    def p_value(hits: Booleans, high: bool) -> float:
        return minimum_hypergeometric(hits[order if high else order[::-1]])[0]

    return significant(*_search(learn, test, p_value, options), options, "R")


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
    learn: Sequences, test: Sequences, p_value: Test, options: DiscoverOptions
) -> tuple[list[DiscoveredMotif], int]:
    """What held-out sequences do not rule out, and how many candidates there were."""
    candidates = _candidates(learn, test, options)
    kept = [c for c in candidates if c.p < GATE]
    for _ in range(POLISHES):
        kept = _polished(kept, learn, options)
    return described(with_p_values(kept, test, p_value), test), len(candidates)


def _candidates(learn: Sequences, test: Sequences, options: DiscoverOptions) -> list[Candidate]:
    """Words made motifs, each with the p of its held-out score test beyond those before it."""
    words = Words(learn.tokens, options.fewest)
    learned: list[Matrix] = []
    held: list[Matrix] = []
    spelled: list[Matrix] = []  # a word that came to nothing would else come again
    found: list[Candidate] = []
    failures = 0
    while len(found) < options.most and failures < options.patience:
        features = _columns([*learned, *spelled], len(learn.tokens))
        fitted = fit(learn, features)
        rest = rest_of(learn, features, fitted)
        word = words.best(rest)
        if word is None or abs(word.z) < LEAST_Z:
            break
        high = word.z > 0
        start = Motif("?", "?", word.matrix() * START)
        motif, threshold, z = refine(
            start, learn.tokens, rest if high else rest.turned(), SHAPING, options.fewest
        )
        fitted = fitted._replace(slope=fitted.slope[: len(learned)])
        rest = rest_of(test, _columns(held, len(test.tokens)), fitted)
        score = best_scores(test.tokens, motif)[0]
        z_test = rest.z_of(np.nonzero(score >= threshold)[0])
        p = float(norm.sf(z_test if high else -z_test))
        found.append(Candidate(motif, threshold, high, z, p))
        failures = 0 if p < GATE else failures + 1
        log.debug("candidate %s: z %.1f, held-out p %.1e", motif.consensus, word.z, p)
        learned.append(strength(best_scores(learn.tokens, motif)[0], motif))
        held.append(strength(score, motif))
        spelled.append(words.having(word).astype(float))
    return found


def _columns(features: Sequence[Matrix], rows: int) -> Matrix:
    return np.stack(features, axis=1) if features else np.zeros((rows, 0))


def _polished(
    candidates: Sequence[Candidate], learn: Sequences, options: DiscoverOptions
) -> list[Candidate]:
    """Every candidate refined on what the others leave unexplained, the strongest first."""
    polished = sorted(candidates, key=lambda c: -c.z)
    strengths = [strength(best_scores(learn.tokens, c.motif)[0], c.motif) for c in polished]
    for number, (motif, _, high, *_) in enumerate(polished):
        others = _columns(strengths[:number] + strengths[number + 1 :], len(learn.tokens))
        rest = rest_of(learn, others, fit(learn, others))
        start = widen(motif, min(GROW, max(0, (WIDEST - motif.width) // 2)))
        motif, threshold, z = refine(
            start, learn.tokens, rest if high else rest.turned(), POLISHING, options.fewest
        )
        polished[number] = Candidate(motif, threshold, high, z)
        strengths[number] = strength(best_scores(learn.tokens, motif)[0], motif)
    return polished


def with_p_values(
    candidates: Sequence[Candidate], test: Sequences, p_value: Test
) -> list[Candidate]:
    """Candidates with their p-values, strongest first: sites of the better ones are covered."""
    tokens = test.tokens.copy()
    judged = []
    for c in sorted(candidates, key=lambda c: -c.z):
        p = p_value(best_scores(tokens, c.motif)[0] >= c.threshold, c.high)
        judged.append(c._replace(p=p))
        if p < GATE:
            erase(tokens, c.motif, c.threshold)
    return judged


def described(candidates: Sequence[Candidate], test: Sequences) -> list[DiscoveredMotif]:
    """Candidates with the shares of held-out sequences that have their sites."""
    found = []
    for c in candidates:
        hits = best_scores(test.tokens, c.motif)[0] >= c.threshold
        group = test.height > HIGHER if c.high else test.height < LOWER
        shares = float(hits[group].mean()), float(hits[~group].mean())
        where = "high" if c.high else "low"
        found.append(DiscoveredMotif(c.motif, c.threshold, where, c.p, 1.0, 1.0, *shares))
    return found


def significant(
    found: Sequence[DiscoveredMotif], tried: int, options: DiscoverOptions, letter: str
) -> list[DiscoveredMotif]:
    """Those below the limit of q among all that were tried, most certain first, with ids.

    Says how many the others were.
    """
    q = q_values(np.array([f.p for f in found]), tried)
    kept = [
        f._replace(e=f.p * tried, q=float(value))
        for f, value in zip(found, q, strict=True)
        if value < options.q_value
    ]
    kept.sort(key=lambda f: f.p)
    log.info("search %s: %d motifs at q < %g, %d other candidates",
             letter, len(kept), options.q_value, tried - len(kept))  # fmt: skip
    return [
        f._replace(motif=Motif(f.motif.consensus, f"{letter}{n}", f.motif.counts, f.e))
        for n, f in enumerate(kept, 1)
    ]
