"""Finds rows that two data sets share: copies, near-copies and common words, on either strand.

Takes two opened data sets, or their tokens, and returns counts and examples. The second data set
is usually a test set that a model must not have seen. :class:`TrainingRows` reports which rows of
test sets are among the training rows. Only inserts are compared, without adapters. All rows are
compared in memory, which is practical up to about a million rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Booleans, Integers
from crmnet.choices import Level
from crmnet.data.dataset import Dataset
from crmnet.data.hashes import Hashes, insert_hashes, mix
from crmnet.data.homology import WordOptions, word_chunks
from crmnet.data.packed import as_rows
from crmnet.sequence import Lengths, Tokens, decode, inserts, reverse_complement

CHUNK = 1 << 16
PAIRS_AT_ONCE = 1 << 18
EXAMPLES = 5


class SharedRows(NamedTuple):
    """Rows of both data sets that share something, with a few examples."""

    rows: Booleans
    """``(N,)``: shared rows of the checked data set."""
    against_rows: Booleans
    """``(M,)``: shared rows of the data set it is checked against."""
    examples: list[dict[str, Any]]
    """Pairs of row numbers, counted from 0, with the insert of the second row."""


@dataclass(frozen=True)
class Leaks:
    """Everything that a data set shares with another one."""

    exact: SharedRows
    """The same insert."""
    near: SharedRows
    """Inserts of one length that differ in 1 to ``mismatches`` bases."""
    words: SharedRows
    """Inserts with a word of ``k`` bases in common."""
    mismatches: int
    k: int

    def rows(self, level: Level = "near") -> Booleans:
        """Which rows share something at ``level`` or a stricter one: ``(N,)``.

        Raises:
            ValueError: If there is no such level.
        """
        return np.logical_or.reduce([kind.rows for kind in self._up_to(level)])

    def against_rows(self, level: Level = "near") -> Booleans:
        """The same for the data set that it is checked against: ``(M,)``."""
        return np.logical_or.reduce([kind.against_rows for kind in self._up_to(level)])

    def _up_to(self, level: Level) -> tuple[SharedRows, ...]:
        levels = get_args(Level)
        if level not in levels:
            raise ValueError(f"the level must be one of {', '.join(levels)}; got {level!r}")
        return (self.exact, self.near, self.words)[: levels.index(level) + 1]

    def as_json(self) -> dict[str, Any]:
        """Counts and examples, for JSON."""
        kinds = {"exact": self.exact, "near": self.near, "words": self.words}
        return {
            "mismatches": self.mismatches,
            "k": self.k,
            **{
                name: {
                    "rows": int(found.rows.sum()),
                    "against_rows": int(found.against_rows.sum()),
                    "examples": found.examples,
                }
                for name, found in kinds.items()
            },
        }

    def lines(self, against: str) -> Iterator[str]:
        """Counts and examples as sentences; ``against`` is the name of the other data set."""
        for found, what in (
            (self.exact, "the same insert as"),
            (self.near, f"an insert with 1 to {self.mismatches} mismatches to"),
            (self.words, f"a word of {self.k} bases in common with"),
        ):
            yield (
                f"{found.rows.sum():,} rows have {what} {found.against_rows.sum():,} rows of "
                f"{against}"
            )
            for example in found.examples:
                detail = f", mismatches: {example['mismatches']}" if "mismatches" in example else ""
                yield (
                    f"    row {example['row']} ~ row {example['against_row']}{detail}: "
                    f"{example['insert']}"
                )


def find_leaks(
    data: Dataset, against: Dataset, mismatches: int = 3, words: WordOptions | None = None
) -> Leaks:
    """Compare every row of ``data`` with every row of ``against``.

    Args:
        data: The data set to check, usually a training set.
        against: The data set that must not share rows with it, usually a test set.
        mismatches: Largest number of mismatches of a near-copy.
        words: Which words count.

    Raises:
        ValueError: If ``mismatches`` is not 0 to 10.
    """
    return find_shared(data.tokens, against.tokens, mismatches, words)


def find_shared(
    tokens: npt.ArrayLike,
    against: npt.ArrayLike,
    mismatches: int = 3,
    words: WordOptions | None = None,
) -> Leaks:
    """:func:`find_leaks` for constructs ``(N, L)`` and ``(M, L)``, as data sets hold them."""
    tokens, against = as_rows(tokens), as_rows(against)
    if not 0 <= mismatches <= 10:
        raise ValueError(f"mismatches must be 0 to 10; got {mismatches!r}")
    words = words or WordOptions()
    exact = _exact_copies(tokens, against)
    near = _near_copies(tokens, against, mismatches)
    shared = _shared_words(tokens, against, words)
    for kind in (exact, near, shared):
        for example in kind.examples:
            row = np.asarray(against[example["against_row"]])[None]
            (example["insert"],) = decode(*inserts(row))
    return Leaks(exact, near, shared, mismatches, words.k)


class Seen(NamedTuple):
    """Which rows of a test set share something with the training rows of a model."""

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
    """What counts as having seen a row."""
    mismatches: int = 3
    words: WordOptions | None = None

    def seen(self, tokens: npt.ArrayLike) -> Seen:
        """Which of these constructs ``(M, L)`` share something with the training rows."""
        tokens = as_rows(tokens)
        if self.level == "exact":
            return Seen(copies(tokens, self.tokens), self.name, self.level)
        found = find_shared(self.tokens, tokens, self.mismatches, self.words)
        return Seen(found.against_rows(self.level), self.name, self.level)


def copies(tokens: npt.ArrayLike, against: npt.ArrayLike) -> Booleans:
    """Which inserts of ``tokens`` ``(N, L)`` also occur in ``against``, on either strand: ``(N,)``.

    Needs one pass over both and eight bytes of memory per row.
    """
    tokens, against = as_rows(tokens), as_rows(against)
    return np.isin(insert_hashes(tokens), insert_hashes(against))


def _exact_copies(tokens: Tokens, against: Tokens) -> SharedRows:
    hashes, other_hashes = insert_hashes(tokens), insert_hashes(against)
    partner = _first_equal(hashes, other_hashes)
    examples = [
        {"row": int(row), "against_row": int(partner[row])}
        for row in np.nonzero(partner >= 0)[0][:EXAMPLES]
    ]
    return SharedRows(partner >= 0, np.isin(other_hashes, hashes), examples)


def _first_equal(hashes: Hashes, others: Hashes) -> Integers:
    """For each hash, the first row of ``others`` with the same hash; −1 if there is none."""
    known, first = np.unique(others, return_index=True)
    index = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    return np.where(known[index] == hashes, first[index], -1)


def _near_copies(tokens: Tokens, against: Tokens, mismatches: int) -> SharedRows:
    index = SegmentIndex.of(against, mismatches)
    nearest = np.full(len(tokens), mismatches + 1)
    partner = np.zeros(len(tokens), dtype=np.int64)
    against_found = np.zeros(len(against), dtype=bool)
    for start in range(0, len(tokens), CHUNK):
        chunk, lengths = inserts(np.asarray(tokens[start : start + CHUNK]))
        for pairs in index.pairs(chunk, lengths):
            near = (pairs.distance > 0) & (pairs.distance <= mismatches)
            row, other, distance = (
                pairs.row[near] + start,
                pairs.against[near],
                pairs.distance[near],
            )
            against_found[other] = True
            closest_last = np.argsort(-distance, kind="stable")
            row, other, distance = row[closest_last], other[closest_last], distance[closest_last]
            closer = distance < nearest[row]
            nearest[row[closer]], partner[row[closer]] = distance[closer], other[closer]
    found = nearest <= mismatches
    examples = [
        {"row": int(row), "against_row": int(partner[row]), "mismatches": int(nearest[row])}
        for row in np.nonzero(found)[0][:EXAMPLES]
    ]
    return SharedRows(found, against_found, examples)


class Pairs(NamedTuple):
    """Pairs of rows: of a chunk and of the other data set."""

    row: Integers
    against: Integers
    distance: Integers
    """Number of mismatches."""


@dataclass
class SegmentIndex:
    """Finds inserts of equal length with up to d mismatches.

    Two such inserts, cut into d + 1 segments each, agree in at least one segment.
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
                known, others = self.tables[length, start]
                hashes = _segment_hashes(bases[rows, start:stop])
                first = np.searchsorted(known, hashes, "left")
                count = np.searchsorted(known, hashes, "right") - first
                yield from self._compare(bases, rows, others, first, count)

    def _compare(
        self, bases: Tokens, rows: Integers, others: Integers, first: Integers, count: Integers
    ) -> Iterator[Pairs]:
        """The pairs (row i, others[first_i … first_i + count_i − 1]), some at a time."""
        ends = np.cumsum(count)
        total = int(ends[-1]) if len(ends) else 0
        for start in range(0, total, PAIRS_AT_ONCE):
            number = np.arange(start, min(start + PAIRS_AT_ONCE, total))
            i = np.searchsorted(ends, number, "right")
            other = others[first[i] + number - (ends[i] - count[i])]
            distance = (bases[rows[i]] != self.both_strands[other]).sum(axis=1)
            yield Pairs(rows[i], other % (len(self.both_strands) // 2), distance)


def _segment_hashes(segments: Tokens) -> Hashes:
    weights = np.random.default_rng(1).integers(2**64, size=segments.shape[1], dtype=np.uint64)
    return mix((segments.astype(np.uint64) + np.uint64(1)) @ (weights | np.uint64(1)))


def _shared_words(tokens: Tokens, against: Tokens, options: WordOptions) -> SharedRows:
    other_words, other_rows = (
        np.concatenate(column)
        for column in zip(
            (np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)),
            *word_chunks(against, options),
            strict=True,
        )
    )
    known, first = np.unique(other_words, return_index=True)
    shared = np.zeros(len(known), dtype=bool)
    partner = np.full(len(tokens), -1)
    for words, rows in word_chunks(tokens, options) if len(known) else ():
        index = np.minimum(np.searchsorted(known, words), len(known) - 1)
        hit = known[index] == words
        shared[index[hit]] = True
        partner[rows[hit]] = other_rows[first[index[hit]]]
    against_found = np.zeros(len(against), dtype=bool)
    against_found[other_rows[shared[np.searchsorted(known, other_words)]]] = True
    examples = [
        {"row": int(row), "against_row": int(partner[row])}
        for row in np.nonzero(partner >= 0)[0][:EXAMPLES]
    ]
    return SharedRows(partner >= 0, against_found, examples)
