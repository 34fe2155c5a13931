"""Finds rows that two data sets share: copies, near-copies and common k-mers, on either strand.

:func:`find_leaks` takes two opened data sets and returns which rows they share, with examples. The
second data set is usually a test set that a model must not have seen. ``data check`` and ``data
split`` use it. :class:`TrainingRows` finds the rows of test sets that are among the training rows,
for evaluation. Only inserts are compared, without adapters. All rows are compared in memory, which
is practical up to about a million rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Booleans, Integers
from crmnet.choices import Flanks, Level
from crmnet.data.dataset import Dataset
from crmnet.data.hashes import Hashes, insert_hashes, mix
from crmnet.data.homology import KmerOptions, kmer_chunks
from crmnet.data.packed import as_rows
from crmnet.sequence import Lengths, Tokens, decode, inserts, reverse_complement

CHUNK = 1 << 16
"""Rows read at a time."""
PAIRS_AT_ONCE = 1 << 18
"""Pairs of rows compared at a time."""
EXAMPLES = 5
"""Number of examples in a result."""


class SharedRows(NamedTuple):
    """Rows of both data sets with one kind of similarity, and a few examples."""

    rows: Booleans
    """``(N,)``: shared rows of the checked data set."""
    against_rows: Booleans
    """``(M,)``: shared rows of the data set it is checked against."""
    examples: list[dict[str, Any]]
    """Pairs of row numbers, counted from 0, with the insert of the second row."""


@dataclass(frozen=True)
class Leaks:
    """Rows that a data set shares with another data set, by kind of similarity."""

    exact: SharedRows
    """The same insert."""
    near: SharedRows
    """Inserts of equal length that differ in 1 to ``mismatches`` bases."""
    common_kmers: SharedRows
    """Inserts with a common k-mer; the level ``words``."""
    mismatches: int
    k: int

    def rows(self, level: Level = "near") -> Booleans:
        """Which rows are shared at ``level`` or a stricter one: ``(N,)``.

        Raises:
            ValueError: If the level is unknown.
        """
        return np.logical_or.reduce([kind.rows for kind in self._up_to(level)])

    def against_rows(self, level: Level = "near") -> Booleans:
        """Which rows of the other data set are shared, at ``level`` or a stricter one: ``(M,)``."""
        return np.logical_or.reduce([kind.against_rows for kind in self._up_to(level)])

    def _up_to(self, level: Level) -> tuple[SharedRows, ...]:
        levels = get_args(Level)
        if level not in levels:
            raise ValueError(f"the level must be one of {', '.join(levels)}; got {level!r}")
        return (self.exact, self.near, self.common_kmers)[: levels.index(level) + 1]

    def as_json(self) -> dict[str, Any]:
        """Counts and examples, for JSON."""
        kinds = {"exact": self.exact, "near": self.near, "words": self.common_kmers}
        return {
            "mismatches": self.mismatches,
            "k": self.k,
            **{
                name: {
                    "rows": int(shared_rows.rows.sum()),
                    "against_rows": int(shared_rows.against_rows.sum()),
                    "examples": shared_rows.examples,
                }
                for name, shared_rows in kinds.items()
            },
        }

    def lines(self, against: str) -> Iterator[str]:
        """Counts and examples as lines of text; ``against`` is the name of the other data set."""
        for shared_rows, relation in (
            (self.exact, "the same insert as"),
            (self.near, f"an insert with 1 to {self.mismatches} mismatches to"),
            (self.common_kmers, f"a k-mer of {self.k} bases in common with"),
        ):
            yield (
                f"{shared_rows.rows.sum():,} rows have {relation} "
                f"{shared_rows.against_rows.sum():,} rows of {against}"
            )
            for example in shared_rows.examples:
                detail = f", mismatches: {example['mismatches']}" if "mismatches" in example else ""
                yield (
                    f"    row {example['row']} ~ row {example['against_row']}{detail}: "
                    f"{example['insert']}"
                )


def find_leaks(
    data: Dataset, against: Dataset, mismatches: int = 3, kmers: KmerOptions | None = None
) -> Leaks:
    """Compare every row of ``data`` with every row of ``against``.

    Args:
        data: The data set to check, usually a training set.
        against: The data set that must not share rows with it, usually a test set.
        mismatches: Largest number of mismatches of a near-copy.
        kmers: Which k-mers count.

    Raises:
        ValueError: If ``mismatches`` is not 0 to 10.
    """
    return find_shared(data.tokens, against.tokens, mismatches, kmers)


def find_shared(
    tokens: npt.ArrayLike,
    against: npt.ArrayLike,
    mismatches: int = 3,
    kmers: KmerOptions | None = None,
) -> Leaks:
    """:func:`find_leaks` for constructs ``(N, L)`` and ``(M, L)``, as data sets hold them."""
    tokens, against = as_rows(tokens), as_rows(against)
    if not 0 <= mismatches <= 10:
        raise ValueError(f"mismatches must be 0 to 10; got {mismatches!r}")
    kmers = kmers or KmerOptions()
    exact = _exact_copies(tokens, against)
    near = _near_copies(tokens, against, mismatches)
    shared = _shared_kmers(tokens, against, kmers)
    for kind in (exact, near, shared):
        for example in kind.examples:
            row = np.asarray(against[example["against_row"]])[None]
            (example["insert"],) = decode(*inserts(row))
    return Leaks(exact, near, shared, mismatches, kmers.k)


class Seen(NamedTuple):
    """Which rows of a test set are shared with the training rows of a model."""

    rows: Booleans
    """``(N,)``: shared rows of the test set."""
    data: str
    """Name of the training data."""
    level: Level


@dataclass(frozen=True)
class TrainingRows:
    """Training rows of a model; :meth:`seen` finds the rows of a test set among them."""

    tokens: Tokens
    """``(N, L)``."""
    name: str
    level: Level = "near"
    """Similarity at which a row counts as seen."""
    mismatches: int = 3
    kmers: KmerOptions | None = None
    flanks: Flanks = "auto"
    """How the sequences of a table are prepared before they are compared with these rows."""

    @classmethod
    def of(
        cls, dataset: Dataset, level: Level = "near", kmers: KmerOptions | None = None
    ) -> TrainingRows:
        """All rows of a data set."""
        return cls(dataset.tokens, dataset.name, level, kmers=kmers, flanks=dataset.flanks_to_match)

    def seen(self, tokens: npt.ArrayLike) -> Seen:
        """Which of these constructs ``(M, L)`` are shared with the training rows."""
        tokens = as_rows(tokens)
        if self.level == "exact":
            return Seen(copies(tokens, self.tokens), self.name, self.level)
        leaks = find_shared(self.tokens, tokens, self.mismatches, self.kmers)
        return Seen(leaks.against_rows(self.level), self.name, self.level)


def share_kmers(
    tokens: npt.ArrayLike, against: npt.ArrayLike, kmers: KmerOptions | None = None
) -> Booleans:
    """Which inserts of ``tokens`` ``(N, L)`` have a k-mer in common with ``against``: ``(N,)``."""
    tokens, against = as_rows(tokens), as_rows(against)
    return _shared_kmers(tokens, against, kmers or KmerOptions()).rows


def copies(tokens: npt.ArrayLike, against: npt.ArrayLike) -> Booleans:
    """Which inserts of ``tokens`` ``(N, L)`` also occur in ``against``, on either strand: ``(N,)``.

    Needs one pass over both arrays and eight bytes of memory per row.
    """
    tokens, against = as_rows(tokens), as_rows(against)
    return np.isin(insert_hashes(tokens), insert_hashes(against))


def _exact_copies(tokens: Tokens, against: Tokens) -> SharedRows:
    """Rows with the same insert."""
    hashes, other_hashes = insert_hashes(tokens), insert_hashes(against)
    partner = _first_match(hashes, other_hashes)
    examples = [
        {"row": int(row), "against_row": int(partner[row])}
        for row in np.nonzero(partner >= 0)[0][:EXAMPLES]
    ]
    return SharedRows(partner >= 0, np.isin(other_hashes, hashes), examples)


def _first_match(hashes: Hashes, other_hashes: Hashes) -> Integers:
    """For each hash, the first row of ``other_hashes`` with the same hash; −1 if there is none."""
    sorted_hashes, first = np.unique(other_hashes, return_index=True)
    index = np.minimum(np.searchsorted(sorted_hashes, hashes), len(sorted_hashes) - 1)
    return np.where(sorted_hashes[index] == hashes, first[index], -1)


def _near_copies(tokens: Tokens, against: Tokens, mismatches: int) -> SharedRows:
    """Rows with 1 to ``mismatches`` mismatches; examples are the nearest pairs."""
    index = SegmentIndex.of(against, mismatches)
    nearest = np.full(len(tokens), mismatches + 1)
    partner = np.zeros(len(tokens), dtype=np.int64)
    against_shared = np.zeros(len(against), dtype=bool)
    for start in range(0, len(tokens), CHUNK):
        chunk, lengths = inserts(np.asarray(tokens[start : start + CHUNK]))
        for pairs in index.pairs(chunk, lengths):
            near = (pairs.distance > 0) & (pairs.distance <= mismatches)
            row, other, distance = (
                pairs.row[near] + start,
                pairs.against[near],
                pairs.distance[near],
            )
            against_shared[other] = True
            closest_last = np.argsort(-distance, kind="stable")
            row, other, distance = row[closest_last], other[closest_last], distance[closest_last]
            closer = distance < nearest[row]
            nearest[row[closer]], partner[row[closer]] = distance[closer], other[closer]
    is_near = nearest <= mismatches
    examples = [
        {"row": int(row), "against_row": int(partner[row]), "mismatches": int(nearest[row])}
        for row in np.nonzero(is_near)[0][:EXAMPLES]
    ]
    return SharedRows(is_near, against_shared, examples)


class Pairs(NamedTuple):
    """Pairs of a row of a chunk and a row of the indexed data set."""

    row: Integers
    against: Integers
    distance: Integers
    """Number of mismatches of each pair."""


@dataclass
class SegmentIndex:
    """Index of inserts that finds those of equal length with up to d mismatches.

    Two such inserts, divided into d + 1 segments each, are equal in at least one segment.
    """

    both_strands: Tokens
    """The inserts, followed by their reverse complements: ``(2 N, L)``."""
    mismatches: int
    tables: dict[tuple[int, int], tuple[Hashes, Integers]]
    """(length of the insert, start of the segment) → sorted segment hashes, and their rows."""

    @classmethod
    def of(cls, tokens: Tokens, mismatches: int) -> SegmentIndex:
        """Index every construct of ``(N, L)``."""
        forward, lengths = inserts(np.asarray(tokens))
        both_strands = np.concatenate([forward, reverse_complement(forward)])
        lengths = np.concatenate([lengths, lengths])
        index = cls(both_strands, mismatches, {})
        for length in np.unique(lengths).tolist():
            rows = np.nonzero(lengths == length)[0]
            for start, stop in index.segments(length):
                hashes = _segment_hashes(both_strands[rows, start:stop])
                order = np.argsort(hashes)
                index.tables[length, start] = hashes[order], rows[order]
        return index

    def segments(self, length: int) -> Iterator[tuple[int, int]]:
        """Start and stop of each of the d + 1 segments of an insert."""
        ends = np.linspace(0, length, self.mismatches + 2).astype(int).tolist()
        return ((a, b) for a, b in itertools.pairwise(ends) if b > a)

    def pairs(self, bases: Tokens, lengths: Lengths) -> Iterator[Pairs]:
        """Candidate pairs for inserts ``(M, L)``, with their distances; pairs may be repeated."""
        for length in np.unique(lengths).tolist():
            rows = np.nonzero(lengths == length)[0]
            for start, stop in self.segments(length):
                if (length, start) not in self.tables:
                    continue
                sorted_hashes, indexed_rows = self.tables[length, start]
                hashes = _segment_hashes(bases[rows, start:stop])
                first = np.searchsorted(sorted_hashes, hashes, "left")
                count = np.searchsorted(sorted_hashes, hashes, "right") - first
                yield from self._compare(bases, rows, indexed_rows, first, count)

    def _compare(
        self,
        bases: Tokens,
        rows: Integers,
        indexed_rows: Integers,
        first: Integers,
        count: Integers,
    ) -> Iterator[Pairs]:
        """The pairs (row i, indexed_rows[first_i … first_i + count_i − 1]), in chunks."""
        ends = np.cumsum(count)
        total = int(ends[-1]) if len(ends) else 0
        for start in range(0, total, PAIRS_AT_ONCE):
            number = np.arange(start, min(start + PAIRS_AT_ONCE, total))
            i = np.searchsorted(ends, number, "right")
            other = indexed_rows[first[i] + number - (ends[i] - count[i])]
            distance = (bases[rows[i]] != self.both_strands[other]).sum(axis=1)
            yield Pairs(rows[i], other % (len(self.both_strands) // 2), distance)


def _segment_hashes(segments: Tokens) -> Hashes:
    """Hash of each segment of ``(N, length)``."""
    weights = np.random.default_rng(1).integers(2**64, size=segments.shape[1], dtype=np.uint64)
    return mix((segments.astype(np.uint64) + np.uint64(1)) @ (weights | np.uint64(1)))


def _shared_kmers(tokens: Tokens, against: Tokens, options: KmerOptions) -> SharedRows:
    """Rows with a common k-mer."""
    other_kmers, other_rows = (
        np.concatenate(column)
        for column in zip(
            (np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)),
            *kmer_chunks(against, options),
            strict=True,
        )
    )
    distinct, first = np.unique(other_kmers, return_index=True)
    shared = np.zeros(len(distinct), dtype=bool)
    partner = np.full(len(tokens), -1)
    for kmers, rows in kmer_chunks(tokens, options) if len(distinct) else ():
        index = np.minimum(np.searchsorted(distinct, kmers), len(distinct) - 1)
        is_shared = distinct[index] == kmers
        shared[index[is_shared]] = True
        partner[rows[is_shared]] = other_rows[first[index[is_shared]]]
    against_shared = np.zeros(len(against), dtype=bool)
    against_shared[other_rows[shared[np.searchsorted(distinct, other_kmers)]]] = True
    examples = [
        {"row": int(row), "against_row": int(partner[row])}
        for row in np.nonzero(partner >= 0)[0][:EXAMPLES]
    ]
    return SharedRows(partner >= 0, against_shared, examples)
