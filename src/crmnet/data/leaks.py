"""What two data sets share: copies, near-copies and words of their inserts, on either strand.

Takes two opened data sets, the second being the one a model must not have seen, and gives counts
and examples; or the tokens of both, and says which of the second the first has :class:`Seen`.
Adapters are taken off first. Data sets of a million rows are compared in memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Booleans, Integers
from crmnet.data.dataset import Dataset
from crmnet.data.hashes import Hashes, insert_hashes, mix
from crmnet.data.homology import WordOptions, word_chunks
from crmnet.data.packed import as_rows
from crmnet.sequence import Lengths, Tokens, decode, inserts, reverse_complement

CHUNK = 1 << 16
PAIRS_AT_ONCE = 1 << 18
EXAMPLES = 5

Level = Literal["exact", "near", "words"]
"""The mildest kind of sharing that counts as a leak."""


class SharedRows(NamedTuple):
    """Rows that share something, on both sides, with a few examples."""

    rows: Booleans
    """``(N,)``, of the data set that is checked."""
    against_rows: Booleans
    """``(M,)``, of the data set it is checked against."""
    examples: list[dict[str, Any]]
    """Row numbers from 0, and what the two rows have in common."""


@dataclass(frozen=True)
class Leaks:
    """All that one data set shares with another."""

    exact: SharedRows
    """The same insert."""
    near: SharedRows
    """Inserts of one length that differ in 1 to ``mismatches`` bases."""
    words: SharedRows
    """Inserts with a word of ``k`` bases in common."""
    mismatches: int
    k: int

    def rows(self, level: Level = "near") -> Booleans:
        """Which rows share something at ``level`` or closer: ``(N,)``.

        Raises:
            ValueError: If there is no such level.
        """
        return np.logical_or.reduce([kind.rows for kind in self._up_to(level)])

    def against_rows(self, level: Level = "near") -> Booleans:
        """Likewise of the data set that it is checked against: ``(M,)``."""
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
        """The same as sentences, ``against`` being the name of the other data set."""
        for found, what in (
            (self.exact, "the same insert as"),
            (self.near, f"an insert 1 to {self.mismatches} bases away from"),
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
        data: The data set that is checked, to train on, say.
        against: The one it must not share rows with, to test on, say.
        mismatches: Bases in which near-copies may differ.
        words: Which words count as shared.

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
    exact = _exact(tokens, against)
    near = _near(tokens, against, mismatches)
    shared = _shared_words(tokens, against, words)
    for kind in (exact, near, shared):
        for example in kind.examples:
            row = np.asarray(against[example["against_row"]])[None]
            (example["insert"],) = decode(*inserts(row))
    return Leaks(exact, near, shared, mismatches, words.k)


class Seen(NamedTuple):
    """Which rows of a test set share something with the rows that a model was trained on."""

    rows: Booleans
    """``(N,)``, of the test set."""
    data: str
    """Name of the training data."""
    level: Level


@dataclass(frozen=True)
class TrainingRows:
    """Rows that a model was trained on, among which those of test sets are looked for."""

    tokens: Tokens
    """``(N, L)``."""
    name: str
    level: Level = "near"
    """The mildest kind of sharing that counts as having seen a row."""
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
    """Which inserts of ``tokens`` ``(N, L)`` stand in ``against`` too, on either strand: ``(N,)``.

    Takes a pass over both and eight bytes a row, whatever the number of rows.
    """
    tokens, against = as_rows(tokens), as_rows(against)
    return np.isin(insert_hashes(tokens), insert_hashes(against))


def _exact(tokens: Tokens, against: Tokens) -> SharedRows:
    mine, theirs = insert_hashes(tokens), insert_hashes(against)
    partner = _partners(mine, theirs)
    examples = [
        {"row": int(row), "against_row": int(partner[row])}
        for row in np.nonzero(partner >= 0)[0][:EXAMPLES]
    ]
    return SharedRows(partner >= 0, np.isin(theirs, mine), examples)


def _partners(mine: Hashes, theirs: Hashes) -> Integers:
    """The first row of ``theirs`` that equals each of ``mine``; −1 where none does."""
    known, first = np.unique(theirs, return_index=True)
    place = np.minimum(np.searchsorted(known, mine), len(known) - 1)
    return np.where(known[place] == mine, first[place], -1)


def _near(tokens: Tokens, against: Tokens, mismatches: int) -> SharedRows:
    index = SegmentIndex.of(against, mismatches)
    nearest = np.full(len(tokens), mismatches + 1)
    partner = np.zeros(len(tokens), dtype=np.int64)
    met = np.zeros(len(against), dtype=bool)
    for start in range(0, len(tokens), CHUNK):
        bare, lengths = inserts(np.asarray(tokens[start : start + CHUNK]))
        for pairs in index.pairs(bare, lengths):
            near = (pairs.distance > 0) & (pairs.distance <= mismatches)
            row, other, distance = (
                pairs.row[near] + start,
                pairs.against[near],
                pairs.distance[near],
            )
            met[other] = True
            closest_last = np.argsort(-distance, kind="stable")
            row, other, distance = row[closest_last], other[closest_last], distance[closest_last]
            closer = distance < nearest[row]
            nearest[row[closer]], partner[row[closer]] = distance[closer], other[closer]
    found = nearest <= mismatches
    examples = [
        {"row": int(row), "against_row": int(partner[row]), "mismatches": int(nearest[row])}
        for row in np.nonzero(found)[0][:EXAMPLES]
    ]
    return SharedRows(found, met, examples)


class Pairs(NamedTuple):
    """Rows of a chunk, rows of the other set, and the bases in which they differ."""

    row: Integers
    against: Integers
    distance: Integers


@dataclass
class SegmentIndex:
    """Finds inserts of one length within d mismatches by one of d + 1 segments they then share."""

    bare: Tokens
    """Both strands of the inserts, one after the other: ``(2 N, L)``."""
    mismatches: int
    tables: dict[tuple[int, int], tuple[Hashes, Integers]]
    """(length, start of a segment) → its sorted hashes and their rows."""

    @classmethod
    def of(cls, tokens: Tokens, mismatches: int) -> SegmentIndex:
        """Index every construct of ``(N, L)``."""
        bare, lengths = inserts(np.asarray(tokens))
        bare = np.concatenate([bare, reverse_complement(bare)])
        lengths = np.concatenate([lengths, lengths])
        index = cls(bare, mismatches, {})
        for length in np.unique(lengths).tolist():
            rows = np.nonzero(lengths == length)[0]
            for start, stop in index.segments(length):
                hashes = _segment_hashes(bare[rows, start:stop])
                order = np.argsort(hashes)
                index.tables[length, start] = hashes[order], rows[order]
        return index

    def segments(self, length: int) -> Iterator[tuple[int, int]]:
        """Start and stop of each of the d + 1 segments of an insert."""
        ends = np.linspace(0, length, self.mismatches + 2).astype(int).tolist()
        return ((a, b) for a, b in itertools.pairwise(ends) if b > a)

    def pairs(self, bare: Tokens, lengths: Lengths) -> Iterator[Pairs]:
        """Candidates for the inserts ``(M, L)`` with their true distances; some come repeatedly."""
        for length in np.unique(lengths).tolist():
            rows = np.nonzero(lengths == length)[0]
            for start, stop in self.segments(length):
                if (length, start) not in self.tables:
                    continue
                known, others = self.tables[length, start]
                hashes = _segment_hashes(bare[rows, start:stop])
                first = np.searchsorted(known, hashes, "left")
                count = np.searchsorted(known, hashes, "right") - first
                yield from self._compared(bare, rows, others, first, count)

    def _compared(
        self, bare: Tokens, rows: Integers, others: Integers, first: Integers, count: Integers
    ) -> Iterator[Pairs]:
        """The pairs (row i, others[first_i … first_i + count_i)), a bounded number at a time."""
        ends = np.cumsum(count)
        total = int(ends[-1]) if len(ends) else 0
        for start in range(0, total, PAIRS_AT_ONCE):
            number = np.arange(start, min(start + PAIRS_AT_ONCE, total))
            i = np.searchsorted(ends, number, "right")
            other = others[first[i] + number - (ends[i] - count[i])]
            distance = (bare[rows[i]] != self.bare[other]).sum(axis=1)
            yield Pairs(rows[i], other % (len(self.bare) // 2), distance)


def _segment_hashes(segments: Tokens) -> Hashes:
    weights = np.random.default_rng(1).integers(2**64, size=segments.shape[1], dtype=np.uint64)
    return mix((segments.astype(np.uint64) + np.uint64(1)) @ (weights | np.uint64(1)))


def _shared_words(tokens: Tokens, against: Tokens, options: WordOptions) -> SharedRows:
    theirs, their_rows = (
        np.concatenate(column)
        for column in zip(
            (np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)),
            *word_chunks(against, options),
            strict=True,
        )
    )
    known, first = np.unique(theirs, return_index=True)
    shared = np.zeros(len(known), dtype=bool)
    partner = np.full(len(tokens), -1)
    for words, rows in word_chunks(tokens, options) if len(known) else ():
        place = np.minimum(np.searchsorted(known, words), len(known) - 1)
        hit = known[place] == words
        shared[place[hit]] = True
        partner[rows[hit]] = their_rows[first[place[hit]]]
    met = np.zeros(len(against), dtype=bool)
    met[their_rows[shared[np.searchsorted(known, theirs)]]] = True
    examples = [
        {"row": int(row), "against_row": int(partner[row])}
        for row in np.nonzero(partner >= 0)[0][:EXAMPLES]
    ]
    return SharedRows(partner >= 0, met, examples)
