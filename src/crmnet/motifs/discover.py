"""De novo motif discovery from sequences and their expression.

The functions take tokens, expression and families, and return motifs with p- and q-values.
:mod:`crmnet.interpretation.discovery` names the motifs and writes the files.

The search is discriminative, like STREME (Bailey 2021), but does not erase the sites of motifs
already found. Each round selects the k-mer that adds most to a regression on these motifs (largest
score-test z, :mod:`crmnet.motifs.residual`), converts it to a matrix, and refines the matrix on its
sites. At the end all motifs are polished: each is refined again on the residuals of the others.
P-values come from held-out sequences. There the sites of stronger motifs are masked, so that
fragments and variants of a motif are not confirmed.

* :func:`differential_motifs` compares the n highest with the n lowest sequences, as the paper did
  with MEME.
* :func:`ranked_motifs` uses the complete ranking, without a choice of n, like DRIMust and rGADEM.
  Its p-value is the minimum hypergeometric over all cutoffs.

Both compare sequences of equal composition and count each family once. Sequences of equal
expression are ranked at random, by the seed (:mod:`crmnet.motifs.contrast`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from crmnet.arrays import Booleans, Integers
from crmnet.motifs.contrast import (
    composition_strata,
    exact_p,
    extremes,
    minimum_hypergeometric,
    one_of_each_family,
    rank_within_strata,
)
from crmnet.motifs.kmers import KmerIndex
from crmnet.motifs.pwm import Matrix, Motif
from crmnet.motifs.refine import (
    POLISHING_LIMITS,
    SEED_SITES,
    SHAPING_LIMITS,
    best_scores,
    erase,
    refine,
    site_strength,
    widen,
)
from crmnet.motifs.residual import LabelledSequences, compute_residuals, fit_regression
from crmnet.motifs.scan import q_values
from crmnet.sequence import as_tokens

log = logging.getLogger("crmnet")

POLISHING_ROUNDS = 2
"""Rounds after the search, in which every motif is refined on the residuals of the others."""
USUAL_N = 2_000
"""Number of highest and number of lowest sequences, as in the paper."""
MIN_Z = 3.0
"""The search ends when the largest ``|z|`` is smaller. Among so many k-mers the largest one reaches
this value by chance."""
MAX_CANDIDATE_P = 0.05
"""Largest held-out p-value of a candidate that is polished, and whose sites are masked before
weaker candidates are tested."""
ADDED_COLUMNS, MAX_WIDTH = 2, 20
"""Columns that polishing adds at each edge, and the largest width that may result."""
HIGH_RESPONSE, LOW_RESPONSE = 2 / 3, 1 / 3
"""Responses above and below which sequences count as high and low in the reported shares of sites.
With two groups these are all sequences."""


@dataclass(frozen=True)
class DiscoverOptions:
    """Settings of the search."""

    n: int | None = None
    """Number of highest and number of lowest sequences (:func:`differential_motifs`). None means
    USUAL_N, or half of the families if these are fewer."""
    match_composition: bool = True
    """Select the highest and lowest sequences by rank within strata of equal G + C. If False, by
    expression itself; their compositions may then overlap too little for a comparison."""
    q_value: float = 0.05
    """Motifs at or above this false discovery rate are left out."""
    held_out: float = 0.4
    """Fraction of the sequences used for p-values only."""
    max_candidates: int = 60
    """Largest number of candidates in one search."""
    max_failures: int = 8
    """A search ends after this many candidates in a row that held-out sequences do not confirm."""
    min_sequences: int = 10
    """Fewest sequences that must contain a k-mer or a motif."""
    max_search_sequences: int = 4_000
    """Largest number of sequences of each group that are searched; the rest give p-values."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out must be between 0 and 1; got {self.held_out}")
        if not 0 < self.q_value <= 1:
            raise ValueError(f"q_value must be above 0 and at most 1; got {self.q_value}")
        counts = ("n", "max_candidates", "max_failures", "min_sequences", "max_search_sequences")
        for name in counts:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1; got {value}")


DEFAULTS = DiscoverOptions()


class DiscoveredMotif(NamedTuple):
    """A motif and the evidence for it."""

    motif: Motif
    """Counts of its sites in the searched sequences."""
    threshold: float
    """Lowest score of a site: log-odds (natural logarithm) over a uniform background, pseudocount
    1."""
    enriched: str
    """``high`` or ``low``: the group with more sites."""
    p: float
    """One-sided p-value from held-out sequences."""
    e: float
    """p times the number of candidates tested."""
    q: float
    """Benjamini-Hochberg q-value over the candidates tested."""
    share: float
    """Fraction of held-out sequences of the enriched group that have a site."""
    share_other: float
    """The same for the other group."""


class Candidate(NamedTuple):
    """A motif before its final test."""

    motif: Motif
    threshold: float
    high: bool
    """True if its sites are enriched in high sequences."""
    z: float
    """Score-test z of its sites in the searched sequences, given the other motifs."""
    p: float = 1.0


HeldOutTest = Callable[[Booleans, bool], float]
"""Takes a mask of held-out sequences with a site, and whether to test the high sequences for
enrichment; returns the p-value."""


def differential_motifs(
    tokens: npt.ArrayLike,
    expression: npt.ArrayLike,
    family: npt.ArrayLike,
    options: DiscoverOptions = DEFAULTS,
) -> list[DiscoveredMotif]:
    """Motifs enriched in the highest or in the lowest sequences, compared with each other.

    Args:
        tokens: ``(B, L)`` inserts, without adapters.
        expression: ``(B,)``, in any unit.
        family: ``(B,)`` family labels of any type; each family counts once in each group.
        options: Settings of the search.

    Returns:
        Motifs below ``options.q_value``, smallest p first, with ids ``D1``, ``D2``, …

    Raises:
        ValueError: If there are fewer than 2 n families, or a single one.
    """
    tokens, expression, family = as_tokens(tokens), np.asarray(expression), np.asarray(family)
    rows, top = extreme_sequences(tokens, expression, family, options)
    return contrast_motifs(tokens[rows], top, options)


def extreme_sequences(
    tokens: npt.ArrayLike,
    expression: npt.ArrayLike,
    family: npt.ArrayLike,
    options: DiscoverOptions,
) -> tuple[Integers, Booleans]:
    """Rows of the n highest and n lowest sequences, and a mask of the highest; ``(2n,)`` each."""
    tokens, expression, family = as_tokens(tokens), np.asarray(expression), np.asarray(family)
    score = (
        rank_within_strata(expression, tokens, seed=options.seed)
        if options.match_composition
        else expression
    )
    n = _half_of_families(family) if options.n is None else options.n
    top, bottom = extremes(score, family, n, options.seed)
    rows = np.concatenate([top, bottom])
    return rows, np.arange(len(rows)) < len(top)


def _half_of_families(family: npt.ArrayLike) -> int:
    """USUAL_N, or half of the families if these are fewer, which the log reports."""
    families = len(np.unique(family))
    n = max(1, min(USUAL_N, families // 2))
    if n < USUAL_N:
        log.info(
            f"there are {families:,} families: the {n:,} highest are compared with the {n:,} "
            "lowest (option -n)"
        )
    return n


def contrast_motifs(
    tokens: npt.ArrayLike,
    top: npt.ArrayLike,
    options: DiscoverOptions = DEFAULTS,
    letter: str = "D",
) -> list[DiscoveredMotif]:
    """Motifs of two given groups of sequences; see :func:`differential_motifs`.

    Args:
        tokens: ``(B, L)`` inserts, without adapters.
        top: ``(B,)`` True for the high group.
        options: Settings of the search; ``n`` is not used.
        letter: First letter of the ids.
    """
    tokens, top = as_tokens(tokens), np.asarray(top)
    search, test = search_and_test_sets(tokens, top, options)
    return significant_motifs(*_search(search, test, group_test(test), options), options, letter)


def search_and_test_sets(
    tokens: npt.ArrayLike, top: npt.ArrayLike, options: DiscoverOptions
) -> tuple[LabelledSequences, LabelledSequences]:
    """Split two groups (response 1 and 0) into sequences to search and held-out sequences."""
    tokens, top = as_tokens(tokens), np.asarray(top)
    sequences = LabelledSequences(tokens, top.astype(float), composition_strata(tokens))
    search, test = _split(top, options)
    return sequences.take(search), sequences.take(test)


def group_test(test: LabelledSequences) -> HeldOutTest:
    """Exact test of two groups within strata of composition."""
    top = test.response > HIGH_RESPONSE
    return lambda hits, high: exact_p(hits, top if high else ~top, test.stratum)


def ranked_motifs(
    tokens: npt.ArrayLike,
    expression: npt.ArrayLike,
    family: npt.ArrayLike,
    options: DiscoverOptions = DEFAULTS,
) -> list[DiscoveredMotif]:
    """Motifs whose sites are enriched at the top or at the bottom of the complete ranking.

    Sequences are ranked within strata of equal G + C, so that composition has no influence. The
    search explains relative ranks. P-values are minimum hypergeometric over all cutoffs of the
    held-out ranking. ``share`` refers to the upper (lower) third, ``share_other`` to the rest.
    Ids are ``R1``, ``R2``, …; arguments as for :func:`differential_motifs`, without ``n``.
    """
    tokens, expression, family = as_tokens(tokens), np.asarray(expression), np.asarray(family)
    rows = one_of_each_family(family, options.seed)
    rng = np.random.default_rng(options.seed)
    rank = rank_within_strata(expression[rows], tokens[rows], seed=options.seed)
    if len(rows) > 3 * options.max_search_sequences:
        sampled = rng.permutation(len(rows))[: 3 * options.max_search_sequences]
        rows, rank = rows[sampled], rank[sampled]
    sequences = LabelledSequences(tokens[rows], rank, composition_strata(tokens[rows]))
    search, test = (sequences.take(part) for part in _split(rank > 0.5, options))
    order = np.argsort(-test.response, kind="stable")

    def p_value(hits: Booleans, high: bool) -> float:
        ranked = order if high else order[::-1]
        return minimum_hypergeometric(hits[ranked], test.response[ranked])[0]

    return significant_motifs(*_search(search, test, p_value, options), options, "R")


def _split(is_high: Booleans, options: DiscoverOptions) -> tuple[Integers, Integers]:
    """Rows to search and held-out rows, with the same proportion of both groups."""
    rng = np.random.default_rng(options.seed)
    search, test = [], []
    for group in (True, False):
        group_rows = rng.permutation(np.nonzero(is_high == group)[0])
        n_search = round(len(group_rows) * (1 - options.held_out))
        n_search = min(options.max_search_sequences, n_search)
        search.append(group_rows[:n_search])
        test.append(group_rows[n_search:])
    return np.concatenate(search), np.concatenate(test)


def _search(
    search: LabelledSequences,
    test: LabelledSequences,
    p_value: HeldOutTest,
    options: DiscoverOptions,
) -> tuple[list[DiscoveredMotif], int]:
    """Polished candidates with p-values from ``test``, and the number of all candidates."""
    candidates = _candidates(search, test, options)
    polished = [c for c in candidates if c.p < MAX_CANDIDATE_P]
    for _ in range(POLISHING_ROUNDS):
        polished = _polished(polished, search, options)
    return with_shares(with_p_values(polished, test, p_value), test), len(candidates)


def _candidates(
    search: LabelledSequences, test: LabelledSequences, options: DiscoverOptions
) -> list[Candidate]:
    """Motifs grown from k-mers, each with a held-out p-value given the candidates before it."""
    kmers = KmerIndex(search.tokens, options.min_sequences)
    search_features: list[Matrix] = []
    test_features: list[Matrix] = []
    kmer_features: list[Matrix] = []  # prevents that a k-mer without a good motif is found again
    candidates: list[Candidate] = []
    failures = 0
    while len(candidates) < options.max_candidates and failures < options.max_failures:
        features = _columns([*search_features, *kmer_features], len(search.tokens))
        regression = fit_regression(search, features)
        residuals = compute_residuals(search, features, regression)
        kmer = kmers.take_best(residuals)
        if kmer is None or abs(kmer.z) < MIN_Z:
            break
        high = kmer.z > 0
        start = Motif("?", "?", kmer.matrix() * SEED_SITES)
        motif, threshold, z = refine(
            start,
            search.tokens,
            residuals if high else residuals.negated(),
            SHAPING_LIMITS,
            options.min_sequences,
        )
        regression = regression._replace(slope=regression.slope[: len(search_features)])
        residuals = compute_residuals(test, _columns(test_features, len(test.tokens)), regression)
        score = best_scores(test.tokens, motif)[0]
        z_test = residuals.z_score(np.nonzero(score >= threshold)[0])
        p = float(norm.sf(z_test if high else -z_test))
        candidates.append(Candidate(motif, threshold, high, z, p))
        failures = 0 if p < MAX_CANDIDATE_P else failures + 1
        log.debug("candidate %s: z %.1f, held-out p %.1e", motif.consensus, kmer.z, p)
        search_features.append(site_strength(best_scores(search.tokens, motif)[0], motif))
        test_features.append(site_strength(score, motif))
        kmer_features.append(kmers.contains(kmer).astype(float))
    return candidates


def _columns(features: Sequence[Matrix], rows: int) -> Matrix:
    return np.stack(features, axis=1) if features else np.zeros((rows, 0))


def _polished(
    candidates: Sequence[Candidate], search: LabelledSequences, options: DiscoverOptions
) -> list[Candidate]:
    """Every candidate refined on the residuals of the others, strongest first."""
    polished = sorted(candidates, key=lambda c: -c.z)
    strengths = [site_strength(best_scores(search.tokens, c.motif)[0], c.motif) for c in polished]
    for number, (motif, _, high, *_) in enumerate(polished):
        others = _columns(strengths[:number] + strengths[number + 1 :], len(search.tokens))
        residuals = compute_residuals(search, others, fit_regression(search, others))
        start = widen(motif, min(ADDED_COLUMNS, max(0, (MAX_WIDTH - motif.width) // 2)))
        motif, threshold, z = refine(
            start,
            search.tokens,
            residuals if high else residuals.negated(),
            POLISHING_LIMITS,
            options.min_sequences,
        )
        polished[number] = Candidate(motif, threshold, high, z)
        strengths[number] = site_strength(best_scores(search.tokens, motif)[0], motif)
    return polished


def with_p_values(
    candidates: Sequence[Candidate], test: LabelledSequences, p_value: HeldOutTest
) -> list[Candidate]:
    """Candidates with p-values, strongest first.

    After each test with p below MAX_CANDIDATE_P its sites are masked for the weaker candidates.
    """
    tokens = test.tokens.copy()
    tested = []
    for candidate in sorted(candidates, key=lambda candidate: -candidate.z):
        p = p_value(best_scores(tokens, candidate.motif)[0] >= candidate.threshold, candidate.high)
        tested.append(candidate._replace(p=p))
        if p < MAX_CANDIDATE_P:
            erase(tokens, candidate.motif, candidate.threshold)
    return tested


def with_shares(candidates: Sequence[Candidate], test: LabelledSequences) -> list[DiscoveredMotif]:
    """Candidates with the fractions of held-out sequences of either group that have a site."""
    motifs = []
    for candidate in candidates:
        hits = best_scores(test.tokens, candidate.motif)[0] >= candidate.threshold
        group = test.response > HIGH_RESPONSE if candidate.high else test.response < LOW_RESPONSE
        shares = float(hits[group].mean()), float(hits[~group].mean())
        direction = "high" if candidate.high else "low"
        motif, threshold, p = candidate.motif, candidate.threshold, candidate.p
        motifs.append(DiscoveredMotif(motif, threshold, direction, p, 1.0, 1.0, *shares))
    return motifs


def significant_motifs(
    discovered: Sequence[DiscoveredMotif], tried: int, options: DiscoverOptions, letter: str
) -> list[DiscoveredMotif]:
    """The motifs below ``options.q_value``, smallest p first, with E- and q-values and ids.

    Logs how many candidates are left out. ``tried`` is the number of all candidates; ids are
    ``letter`` and a number from 1.
    """
    q = q_values(np.array([entry.p for entry in discovered]), tried)
    significant = [
        entry._replace(e=entry.p * tried, q=float(value))
        for entry, value in zip(discovered, q, strict=True)
        if value < options.q_value
    ]
    significant.sort(key=lambda entry: entry.p)
    log.info("search %s: %d motifs at q < %g, %d other candidates",
             letter, len(significant), options.q_value, tried - len(significant))  # fmt: skip
    return [
        entry._replace(
            motif=Motif(entry.motif.consensus, f"{letter}{n}", entry.motif.counts, entry.e)
        )
        for n, entry in enumerate(significant, 1)
    ]
