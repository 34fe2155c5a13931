"""Comparison of high and low promoters at equal G + C content, with each family counted once.

The functions take tokens, expression and families. They return strata of composition, extreme rows
and p-values to :mod:`crmnet.motifs.discover`.

A plain comparison of high with low promoters is misleading for two reasons. Expression correlates
with G + C content, so high promoters contain more of every G- and C-rich k-mer. And rows derived
from one another contain the same k-mers. Therefore sequences are compared within strata of equal G
+ C content, and each family counts once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import hypergeom

from crmnet.arrays import Integers
from crmnet.motifs.pwm import Matrix
from crmnet.sequence import as_tokens

N_STRATA = 12
"""Number of G + C classes, which hold about the same number of sequences each."""
SHARED_BASES = 18
"""Two sequences are of one family if so many consecutive bases agree at the same position."""
MIN_TRIPLETS = 6
"""Distinct triplets that the shared bases must contain. Homopolymers and repeats contain fewer and
occur in unrelated sequences."""


def gc_content(tokens: npt.ArrayLike) -> Matrix:
    """Fraction of G and C among the known bases of each row, ``(B,)``."""
    tokens = as_tokens(tokens)
    n_bases = np.maximum((tokens < 4).sum(axis=1), 1)
    return ((tokens == 1) | (tokens == 2)).sum(axis=1) / n_bases


def composition_strata(tokens: npt.ArrayLike, strata: int = N_STRATA) -> Integers:
    """G + C class of each row, ``(B,)``, from 0; the classes are as equal in size as possible."""
    tokens = as_tokens(tokens)
    if not len(tokens):
        return np.zeros(0, dtype=np.int64)
    share = gc_content(tokens)
    edges = np.unique(np.quantile(share, np.linspace(0, 1, strata + 1)[1:-1]))
    return np.searchsorted(edges, share, side="right")


def find_families(tokens: npt.ArrayLike) -> Integers:
    """Family number of each sequence, ``(B,)``.

    Sequences that share SHARED_BASES consecutive bases at the same position belong to one family,
    for example the steps of a trajectory or the mutants of a fragment. Of random promoters of 80
    bases, one pair in a billion shares so many. Shorter sequences are a family each.
    """
    tokens = as_tokens(tokens)
    parent = np.arange(len(tokens))
    if tokens.shape[1] < SHARED_BASES:
        return parent
    windows = np.lib.stride_tricks.sliding_window_view(tokens, SHARED_BASES, axis=1)
    power = 5 ** np.arange(SHARED_BASES, dtype=np.int64)
    for start in range(0, windows.shape[1]):
        bases = windows[:, start].astype(np.int64)
        triplets = np.sort(bases[:, :-2] * 25 + bases[:, 1:-1] * 5 + bases[:, 2:], axis=1)
        is_varied = (np.diff(triplets, axis=1) != 0).sum(axis=1) + 1 >= MIN_TRIPLETS
        usable = np.nonzero(is_varied & (bases < 4).all(axis=1))[0]
        code = bases[usable] @ power
        order = np.argsort(code, kind="stable")
        repeated = np.nonzero(np.diff(code[order]) == 0)[0]
        pairs = np.stack([usable[order[repeated]], usable[order[repeated + 1]]], axis=1)
        for first, second in pairs.tolist():
            a, b = _root(parent, first), _root(parent, second)
            parent[max(a, b)] = min(a, b)
    return np.array([_root(parent, row) for row in range(len(tokens))], dtype=np.int64)


def _root(parent: Integers, row: int) -> int:
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = int(parent[row])
    return row


def _from_lowest(values: npt.ArrayLike, seed: int) -> Integers:
    """Rows from the lowest to the highest value; equal values are in random order.

    The order of the rows in a file often depends on how they were made, so it must not decide.
    """
    values = np.asarray(values)
    return np.lexsort((np.random.default_rng(seed).random(len(values)), values))


def one_of_each_family(family: npt.ArrayLike, seed: int) -> Integers:
    """A random row of each family, ordered by family.

    The first row would be the highest one of a file that is sorted by expression.
    """
    family = np.asarray(family)
    shuffled = np.random.default_rng(seed).permutation(len(family))
    _, first = np.unique(family[shuffled], return_index=True)
    return shuffled[first]


def extremes(
    expression: npt.ArrayLike, family: npt.ArrayLike, n: int, seed: int = 0
) -> tuple[Integers, Integers]:
    """Rows of the n highest and of the n lowest sequences, one for each family in each group.

    ``seed`` decides between sequences of equal expression.

    Raises:
        ValueError: If there are fewer than 2 n families.
    """
    expression, family = np.asarray(expression), np.asarray(family)
    families = len(np.unique(family))
    if 2 * n > families:
        raise ValueError(
            f"n = {n:,} sequences in each group are more than half of the "
            f"{families:,} families; choose an n of at most {families // 2:,} (option -n) or none"
        )
    order = _from_lowest(expression, seed)[::-1]

    def first_of_each(rows: Integers) -> Integers:
        _, first = np.unique(family[rows], return_index=True)
        return rows[np.sort(first)]

    return first_of_each(order)[:n], first_of_each(order[::-1])[:n]


def exact_p(hits: npt.ArrayLike, top: npt.ArrayLike, stratum: npt.ArrayLike) -> float:
    """One-sided p-value of the number of hits in the top group, given the hits of each stratum.

    Exact: under the null hypothesis the hits of a stratum are distributed hypergeometrically over
    its sequences; the distributions of all strata are convolved.

    Args:
        hits: ``(B,)`` True for sequences that have the feature.
        top: ``(B,)`` True for sequences of the group that is tested for enrichment.
        stratum: ``(B,)`` class of composition, from 0.
    """
    hits, top, stratum = np.asarray(hits), np.asarray(top), np.asarray(stratum)
    strata = int(stratum.max(initial=0)) + 1
    sizes, counts = (
        np.bincount((2 * stratum + top)[rows], minlength=2 * strata).reshape(strata, 2)
        for rows in (np.ones(len(hits), dtype=bool), hits)
    )
    density = np.ones(1)
    for (low, high), with_hit in zip(sizes.tolist(), counts.sum(axis=1).tolist(), strict=True):
        if not with_hit:  # no information; scipy does not define the case of an empty stratum
            continue
        in_top = np.arange(min(with_hit, high) + 1)
        density = np.convolve(density, hypergeom.pmf(in_top, low + high, with_hit, high))
    return float(min(1.0, density[int(counts[:, 1].sum()) :].sum()))


def minimum_hypergeometric(
    hits: npt.ArrayLike, values: npt.ArrayLike | None = None
) -> tuple[float, int]:
    """The mHG test (Eden et al. 2007): are hits enriched at the top of a ranking?

    Args:
        hits: ``(N,)`` True for hits, in rank order.
        values: ``(N,)`` what they are ranked by: no cutoff lies between equal values. None means
            that all differ.

    Returns:
        An upper bound of the p-value, and the cutoff (number of top ranks) at which it is reached.
        The bound is the smallest hypergeometric tail over all cutoffs, times the number of hits.
    """
    hits = np.asarray(hits)
    n, n_hits = len(hits), int(hits.sum())
    if n_hits in (0, n):
        return 1.0, n
    ranks = np.nonzero(hits)[0] + 1
    if values is not None:
        values = np.asarray(values)
        last = np.append(values[1:] != values[:-1], True)  # of the ranks with the same value
        cutoffs = np.nonzero(last)[0] + 1
        ranks = np.unique(cutoffs[np.searchsorted(cutoffs, ranks)])
    tails = hypergeom.sf(np.cumsum(hits)[ranks - 1] - 1, n, n_hits, ranks)
    best = int(tails.argmin())
    return float(min(1.0, tails[best] * n_hits)), int(ranks[best])


def rank_within_strata(
    expression: npt.ArrayLike, tokens: npt.ArrayLike, strata: int = 50, seed: int = 0
) -> Matrix:
    """Relative rank of each sequence within its G + C stratum, ``(B,)``: 0 lowest, 1 highest.

    ``seed`` decides between sequences of equal expression.
    """
    tokens, expression = as_tokens(tokens), np.asarray(expression)
    stratum = composition_strata(tokens, strata)
    # One draw for all strata: with the same draw in each, equal expression would follow the file.
    rank = np.argsort(_from_lowest(expression, seed))
    relative_rank = np.empty(len(expression))
    for number in np.unique(stratum):
        rows = np.nonzero(stratum == number)[0]
        order = np.argsort(np.argsort(rank[rows]))
        relative_rank[rows] = (order + 0.5) / len(rows)
    return relative_rank
