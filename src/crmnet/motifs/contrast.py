"""Which sequences are compared with which, and how unlikely a difference between them is.

Two traps make a plain comparison of high with low promoters useless. Expression goes with G + C, so
the high ones are richer in every G- and C-rich word; and rows made from one another repeat their
words. Here sequences are therefore compared within strata of equal G + C, and a family counts once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import hypergeom

from crmnet.arrays import Booleans, Integers
from crmnet.motifs.pwm import Matrix
from crmnet.sequence import Tokens

STRATA = 12
"""Classes of G + C, with about as many sequences each."""
SHARED = 18
"""Bases in a row that only relatives have in common."""
VARIED = 6
"""Different triplets that such a stretch must have; runs and repeats are nobody's mark."""


def gc_share(tokens: Tokens) -> Matrix:
    """Share of G and C among the known bases of each row, ``(B,)``."""
    known = np.maximum((tokens < 4).sum(axis=1), 1)
    return ((tokens == 1) | (tokens == 2)).sum(axis=1) / known


def composition_strata(tokens: Tokens, strata: int = STRATA) -> Integers:
    """Classes of equal G + C, ``(B,)``, as equal in size as ties allow."""
    if not len(tokens):
        return np.zeros(0, dtype=np.int64)
    share = gc_share(tokens)
    edges = np.unique(np.quantile(share, np.linspace(0, 1, strata + 1)[1:-1]))
    return np.searchsorted(edges, share, side="right")


def relatives(tokens: Tokens) -> Integers:
    """Family of each sequence, ``(B,)``: those that share SHARED bases at the same place.

    Steps of a trajectory and mutants of a fragment do; two random promoters of 80 bases do once in
    a billion pairs.
    """
    parent = np.arange(len(tokens))
    windows = np.lib.stride_tricks.sliding_window_view(tokens, SHARED, axis=1)
    power = 5 ** np.arange(SHARED, dtype=np.int64)
    for place in range(0, windows.shape[1]):
        window = windows[:, place].astype(np.int64)
        triplets = np.sort(window[:, :-2] * 25 + window[:, 1:-1] * 5 + window[:, 2:], axis=1)
        varied = (np.diff(triplets, axis=1) != 0).sum(axis=1) + 1 >= VARIED
        fine = np.nonzero(varied & (window < 4).all(axis=1))[0]
        code = window[fine] @ power
        order = np.argsort(code, kind="stable")
        same = np.nonzero(np.diff(code[order]) == 0)[0]
        for one, other in np.stack([fine[order[same]], fine[order[same + 1]]], axis=1).tolist():
            a, b = _root(parent, one), _root(parent, other)
            parent[max(a, b)] = min(a, b)
    return np.array([_root(parent, row) for row in range(len(tokens))], dtype=np.int64)


def _root(parent: Integers, row: int) -> int:
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = int(parent[row])
    return row


def extremes(expression: Matrix, family: npt.NDArray[Any], n: int) -> tuple[Integers, Integers]:
    """Rows of the n highest and the n lowest, one of each family at either end."""
    order = np.argsort(-expression, kind="stable")

    def first_of_each(rows: Integers) -> Integers:
        _, first = np.unique(family[rows], return_index=True)
        return rows[np.sort(first)]

    top = first_of_each(order)[:n]
    bottom = first_of_each(order[::-1])[:n]
    if len(np.intersect1d(top, bottom)):
        raise ValueError(
            f"{n:,} sequences at either end are more than half of {len(first_of_each(order)):,} "
            "families; ask for fewer"
        )
    return top, bottom


def exact_p(hits: Booleans, top: Booleans, stratum: Integers) -> float:
    """Chance of as many hits in the top group, the hits of each stratum being dealt at random.

    One-sided and exact: the strata's hypergeometric distributions, convolved.

    Args:
        hits: ``(B,)`` sequences that have the feature.
        top: ``(B,)`` whether a sequence is of the group in which it is looked for.
        stratum: ``(B,)`` class of composition, from 0.
    """
    strata = int(stratum.max(initial=0)) + 1
    sizes, cells = (
        np.bincount((2 * stratum + top)[rows], minlength=2 * strata).reshape(strata, 2)
        for rows in (np.ones(len(hits), dtype=bool), hits)
    )
    density = np.ones(1)
    for (low, high), have in zip(sizes.tolist(), cells.sum(axis=1).tolist(), strict=True):
        if not have:  # says nothing; of an empty stratum scipy's distribution is not defined
            continue
        dealt = np.arange(min(have, high) + 1)
        density = np.convolve(density, hypergeom.pmf(dealt, low + high, have, high))
    return float(min(1.0, density[int(cells[:, 1].sum()) :].sum()))


def minimum_hypergeometric(hits: Booleans) -> tuple[float, int]:
    """The mHG test (Eden et al. 2007) of whether hits crowd at the top of a ranking.

    Args:
        hits: ``(N,)`` in rank order.

    Returns:
        An upper bound of the p-value (the smallest hypergeometric tail over all cuts, times the
        number of hits), and the cut that gives it: how many ranks are the top.
    """
    n, have = len(hits), int(hits.sum())
    if have in (0, n):
        return 1.0, n
    ranks = np.nonzero(hits)[0] + 1
    tails = hypergeom.sf(np.arange(have), n, have, ranks)
    best = int(tails.argmin())
    return float(min(1.0, tails[best] * have)), int(ranks[best])


def without_composition(expression: Matrix, tokens: Tokens, strata: int = 50) -> Matrix:
    """Each sequence's rank among those of its own G + C, ``(B,)``; 0 lowest, 1 highest."""
    stratum = composition_strata(tokens, strata)
    ranked = np.empty(len(expression))
    for number in np.unique(stratum):
        mine = np.nonzero(stratum == number)[0]
        place = np.argsort(np.argsort(expression[mine], kind="stable"))
        ranked[mine] = (place + 0.5) / len(mine)
    return ranked
