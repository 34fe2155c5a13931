"""New, unmeasured promoters for a model to label: mutants, crosses, random and native-like ones.

:func:`new_promoters` takes the inserts of an opened data set and returns tokens of new promoters.
:mod:`crmnet.prediction.distil` labels them with a model and writes them as a training set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Integers
from crmnet.data.dataset import Dataset
from crmnet.perturb import cross, delete, substitute
from crmnet.sequence import (
    ADAPTER_3,
    ADAPTER_5,
    LENGTH,
    N_TOKEN,
    Flanks,
    Lengths,
    Tokens,
    as_tokens,
    inserts,
    prepare,
    sequence_lengths,
)

Kind = Literal["mutants", "crosses", "deletions", "random", "native-like"]
"""Kind of a new promoter; see :class:`Recipe`."""
INSERT_LENGTH = 80
"""Bases of a random or native-like insert."""
NO_PARENT = -1
"""Parent of a promoter that is not derived from a row."""
DERIVED: tuple[Kind, ...] = ("mutants", "crosses", "deletions")
"""Kinds that are derived from rows of the data set."""


@dataclass(frozen=True)
class Recipe:
    """Shares of the kinds of new promoters, and how far derived ones are from their parents.

    - ``mutants``: substitutions in an insert of the data set, at a rate between 0 and
      ``most_exchanged``, sampled uniformly for each mutant.
    - ``crosses``: the left part of one insert and the right part of another of the same length.
    - ``deletions``: an insert without 1 to ``longest_deletion`` successive bases.
    - ``random``: 80 bases, all four equally likely.
    - ``native-like``: 80 bases of a Markov chain with the composition of native promoters.
    """

    shares: Mapping[Kind, float] = field(default_factory=lambda: {"mutants": 0.5, "crosses": 0.5})
    """Kind → share; the shares are scaled to the sum 1."""
    most_exchanged: float = 0.3
    longest_deletion: int = 20

    def __post_init__(self) -> None:
        for kind, share in self.shares.items():
            if kind not in get_args(Kind):
                raise ValueError(f"kinds of promoters are {', '.join(get_args(Kind))}; got {kind}")
            if not 0 <= share < float("inf"):
                raise ValueError(f"the share of {kind} must be 0 or more; got {share!r}")
        if not sum(self.shares.values()) > 0:
            raise ValueError("the shares of all kinds of promoters are 0; give at least one")
        if not 0 <= self.most_exchanged <= 1:
            raise ValueError(f"most_exchanged must be between 0 and 1; got {self.most_exchanged!r}")
        if not 1 <= self.longest_deletion < INSERT_LENGTH:
            raise ValueError(
                f"longest_deletion must be 1 to {INSERT_LENGTH - 1}; got {self.longest_deletion!r}"
            )


class NewPromoters(NamedTuple):
    """New promoters, as constructs."""

    tokens: Tokens
    """``(N, 112)``."""
    parent: Integers
    """``(N,)``: row of the data set from which each is derived (of a cross: the left one), or
    :data:`NO_PARENT`."""


class Inserts(NamedTuple):
    """Distinct inserts of a data set."""

    bases: Tokens
    """``(M, L)``, padded with N."""
    lengths: Lengths
    rows: Integers
    """``(M,)``: a row of the data set that has the insert."""
    flanks: Flanks = "add"
    """``none`` if most rows have no adapter: new promoters then have none either."""

    @classmethod
    def of(cls, dataset: Dataset, rows: Integers) -> Inserts:
        """The inserts of some rows."""
        tokens = dataset.tokens[rows]
        bases, lengths = inserts(tokens)
        bare = int((lengths == sequence_lengths(tokens)).sum())
        return cls(bases, lengths, rows, "none" if 2 * bare > len(rows) else "add")

    @property
    def too_long(self) -> int:
        """Number of inserts from which promoters are derived that have to be cut."""
        longest = LENGTH - len(ADAPTER_5) - len(ADAPTER_3)
        return 0 if self.flanks == "none" else int((self.lengths > longest).sum())


@dataclass(frozen=True)
class MarkovChain:
    """A Markov chain of DNA: the next base depends on the ``order`` bases before it."""

    order: int
    start: npt.NDArray[np.float64]
    """``(4^order,)``: cumulative probabilities of the first bases."""
    following: npt.NDArray[np.float64]
    """``(4^order, 4)``: cumulative probabilities of the next base after each k-mer."""

    @classmethod
    def fit(cls, tokens: npt.ArrayLike, order: int = 5) -> MarkovChain:
        """The chain of sequences ``(N, L)``; k-mers with N are left out, all counts start at 1.

        Raises:
            ValueError: If no sequence has ``order`` + 1 successive known bases.
        """
        tokens = as_tokens(tokens)
        if tokens.shape[1] <= order:
            raise ValueError(f"the sequences are too short for a chain of order {order}")
        counts = np.zeros(4 ** (order + 1), dtype=np.int64)
        for kmers in _known_kmers(tokens, order + 1):
            counts += np.bincount(kmers, minlength=len(counts))
        if not counts.any():
            raise ValueError(f"no sequence has {order + 1} successive bases without N")
        table = counts.reshape(-1, 4) + 1.0
        start = np.cumsum(table.sum(axis=1))
        following = np.cumsum(table, axis=1)
        return cls(order, start / start[-1], following / following[:, -1:])

    def sample(self, n: int, length: int, rng: np.random.Generator) -> Tokens:
        """New sequences ``(n, length)``."""
        state = np.searchsorted(self.start, rng.random(n), side="right")
        sequences = np.empty((n, max(length, self.order)), dtype=np.uint8)
        for position in range(self.order):
            sequences[:, position] = state // 4 ** (self.order - 1 - position) % 4
        for position in range(self.order, length):
            base = (rng.random((n, 1)) >= self.following[state]).sum(axis=1)
            sequences[:, position] = base
            state = (state * 4 + base) % 4**self.order
        return sequences[:, :length]


def _known_kmers(tokens: Tokens, k: int) -> list[npt.NDArray[np.int64]]:
    """Numbers of the k-mers without N, at one position of all sequences after another."""
    place = 4 ** np.arange(k - 1, -1, -1)
    windows = (tokens[:, start : start + k] for start in range(tokens.shape[1] - k + 1))
    return [window[(window != N_TOKEN).all(axis=1)].astype(np.int64) @ place for window in windows]


def new_promoters(
    source: Inserts,
    n: int,
    recipe: Recipe,
    rng: np.random.Generator,
    native: MarkovChain | None = None,
) -> NewPromoters:
    """``n`` new promoters, in random order of their kinds.

    Args:
        source: Inserts from which promoters are derived, and whether promoters have adapters.
        n: Number of promoters.
        recipe: Shares of their kinds.
        rng: Source of random numbers.
        native: Chain of native promoters; only ``native-like`` needs it.

    Raises:
        ValueError: If the recipe has native-like promoters and ``native`` is None, or derived ones
            and ``source`` is empty.
    """
    kinds = list(recipe.shares)
    shares = np.array([recipe.shares[kind] for kind in kinds])
    counts = rng.multinomial(n, shares / shares.sum())
    promoters_of_kind = []
    for kind, count in zip(kinds, counts.tolist(), strict=True):
        if kind in DERIVED:
            promoters_of_kind.append(_derived(kind, source, count, recipe, rng))
        else:
            promoters_of_kind.append(_from_nothing(kind, count, rng, native, source.flanks))
    order = rng.permutation(n)
    return NewPromoters(
        *(np.concatenate(column)[order] for column in zip(*promoters_of_kind, strict=True))
    )


def _from_nothing(
    kind: Kind, n: int, rng: np.random.Generator, native: MarkovChain | None, flanks: Flanks
) -> NewPromoters:
    """Random or native-like promoters."""
    if kind == "random":
        bases = rng.integers(4, size=(n, INSERT_LENGTH), dtype=np.uint8)
    elif native is None:
        raise ValueError("native-like promoters need the sequences of native ones")
    else:
        bases = native.sample(n, INSERT_LENGTH, rng)
    constructs, _ = prepare(bases, np.full(n, INSERT_LENGTH), flanks)
    return NewPromoters(constructs, np.full(n, NO_PARENT))


def _derived(
    kind: Kind, source: Inserts, n: int, recipe: Recipe, rng: np.random.Generator
) -> NewPromoters:
    """Mutants, crosses or deletions of ``n`` inserts, each chosen at random."""
    if n and not len(source.rows):
        raise ValueError(f"there are no promoters from which {kind} can be derived")
    parents = rng.integers(0, max(len(source.rows), 1), n)
    bases, lengths = source.bases[parents], source.lengths[parents]
    if kind == "mutants":
        bases = substitute(bases, rng.uniform(0, recipe.most_exchanged, n), rng)
    elif kind == "crosses":
        other = _partners(source.lengths, parents, rng)
        bases = cross(bases, source.bases[other], rng.integers(0, np.maximum(lengths, 1)))
    else:
        width = np.minimum(rng.integers(1, recipe.longest_deletion + 1, n), lengths)
        bases = delete(bases, rng.integers(0, lengths - width + 1), width)
        lengths = lengths - width
    constructs, _ = prepare(bases, lengths, source.flanks)
    return NewPromoters(constructs, source.rows[parents])


def _partners(lengths: Lengths, parents: Integers, rng: np.random.Generator) -> Integers:
    """For each chosen insert, another of the same length (the same one if there is no other)."""
    order = np.argsort(lengths, kind="stable")
    ordered = lengths[order]
    start = np.searchsorted(ordered, lengths[parents], side="left")
    stop = np.searchsorted(ordered, lengths[parents], side="right")
    return order[rng.integers(start, stop)]
