"""Random orders of a sequence that keep its bases, or its pairs of neighbouring bases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from crmnet.sequence.tokens import (
    LETTERS,
    N_TOKEN,
    Lengths,
    Tokens,
    as_tokens,
    sequence_lengths,
)


def shuffle(tokens: npt.ArrayLike, seed: int | Sequence[int], k: Literal[1, 2] = 1) -> Tokens:
    """Shuffle each row; its padding, length and composition stay exactly the same.

    Args:
        tokens: ``(N, L)``.
        seed: The same seed, one number or several, gives the same shuffles of the same rows.
        k: 1 keeps the counts of bases; 2 also keeps the counts of neighbouring pairs, and therefore
            the first and the last base. The result is uniform over all such orders (k = 2: Altschul
            & Erickson 1985, random Euler paths).

    Returns:
        Tokens ``(N, L)``.
    """
    tokens = as_tokens(tokens)
    rng = np.random.default_rng(seed)
    if k == 1:
        return _shuffle_bases(tokens, rng)
    if k == 2:
        return _shuffle_pairs(tokens, rng)
    raise ValueError(f"k must be 1 (bases) or 2 (neighbouring pairs); got {k!r}")


def _shuffle_bases(tokens: Tokens, rng: np.random.Generator) -> Tokens:
    keys = rng.random(tokens.shape)
    padding = np.arange(tokens.shape[1]) >= sequence_lengths(tokens)[:, None]
    keys[padding] = 2.0  # sorts after every base
    return np.take_along_axis(tokens, np.argsort(keys, axis=1), axis=1)


def _shuffle_pairs(tokens: Tokens, rng: np.random.Generator) -> Tokens:
    if tokens.shape[1] < 2:
        return tokens.copy()
    lengths = sequence_lengths(tokens)
    edges, counts = _random_edge_orders(tokens, lengths, rng)
    shuffled = np.full_like(tokens, N_TOKEN)
    rows = np.arange(len(tokens))
    first = np.zeros((len(tokens), len(LETTERS)), dtype=np.int64)
    first[:, 1:] = np.cumsum(counts, axis=1)[:, :-1]
    shuffled[:, 0] = current = tokens[:, 0].copy()
    for position in range(1, tokens.shape[1]):
        active = rows[position < lengths]
        base = current[active]
        step = edges[active, first[active, base]]
        first[active, base] += 1
        current[active] = shuffled[active, position] = step
    return shuffled


def _random_edge_orders(
    tokens: Tokens, lengths: Lengths, rng: np.random.Generator
) -> tuple[Tokens, npt.NDArray[np.int64]]:
    """For each row, the bases that follow A, then C, … in a random order that gives an Euler path.

    An order gives a path through all steps if the last steps out of the bases form a tree that
    leads to the row's last base. Such a tree is sampled first, with a probability proportional to
    the number of orders that contain it (BEST theorem). The other steps are shuffled before it. The
    result is uniform and needs no rejection.
    """
    n, width = tokens.shape
    n_letters = len(LETTERS)
    used = np.arange(width - 1) < (lengths - 1)[:, None]
    source = np.where(used, tokens[:, :-1], n_letters)
    pairs = source.astype(np.int64) * n_letters + tokens[:, 1:]
    steps = np.stack([(pairs == pair).sum(axis=1) for pair in range(n_letters**2)], axis=1)
    steps = steps.reshape(n, n_letters, n_letters)
    ends = np.take_along_axis(tokens, np.maximum(lengths - 1, 0)[:, None], axis=1)[:, 0]
    last = _random_trees(steps, ends, rng)
    # The last step out of each base sorts after the other steps out of that base.
    keys = source + rng.random((n, width - 1))
    for base in range(n_letters):
        chosen = (source == base) & (tokens[:, 1:] == last[:, base, None])
        chosen &= (ends != base)[:, None]
        first = np.argmax(chosen, axis=1)
        rows = np.nonzero(chosen.any(axis=1))[0]
        keys[rows, first[rows]] = base + 1 - 1e-12
    edges = np.take_along_axis(tokens[:, 1:], np.argsort(keys, axis=1), axis=1)
    return edges, steps.sum(axis=2)


def _random_trees(
    steps: npt.NDArray[np.int64], ends: Tokens, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """For each row the last step out of each base, ``(N, 5)``, so that all lead to the last base.

    Args:
        steps: ``(N, 5, 5)``, number of times that each base is followed by each.
        ends: ``(N,)``, last base of each row; the entry of this base in the result is undefined.
        rng: Source of randomness.
    """
    n_letters = steps.shape[1]
    rows = np.arange(len(steps))
    # A base without steps, like the last base itself, counts as one that leads to the last base.
    idle = steps.sum(axis=2) == 0
    idle[rows, ends] = True
    to_end = np.eye(n_letters, dtype=np.int64)[ends][:, None, :]
    weight = np.where(idle[:, :, None], to_end, steps)
    trees = np.stack(np.meshgrid(*[np.arange(n_letters)] * n_letters, indexing="ij"), axis=-1)
    trees = trees.reshape(-1, n_letters)
    sampled = np.empty((len(steps), n_letters), dtype=np.int64)
    for end in np.unique(ends):
        leads = np.broadcast_to(np.arange(n_letters), trees.shape)
        through = trees.copy()
        through[:, end] = end
        for _ in range(n_letters):
            leads = np.take_along_axis(through, leads, axis=1)
        usable = trees[(leads == end).all(axis=1) & (trees[:, end] == end)]
        selected = rows[ends == end]
        for chunk in np.array_split(selected, len(selected) // 4096 + 1):
            odds = np.ones((len(chunk), len(usable)))
            for base in range(n_letters):
                odds *= weight[chunk, base][:, usable[:, base]]
            total = np.cumsum(odds, axis=1)
            row = (total <= rng.random(len(chunk))[:, None] * total[:, -1:]).sum(axis=1)
            sampled[chunk] = usable[row]
    return sampled
