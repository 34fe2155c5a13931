"""Families by homology: rows whose inserts share a word of k bases (a k-mer), on either strand.

Takes tokens and returns a family number for each row. :mod:`crmnet.data.splits` keeps each family
on one side of a split; :mod:`crmnet.data.leaks` finds the words that two data sets share. Words of
the adapters do not count, because all rows share them. Words of low complexity, such as runs of A
and T, do not count either, because unrelated promoters share them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from crmnet import sequence
from crmnet.data.hashes import Hashes, insert_hashes
from crmnet.data.packed import as_rows
from crmnet.sequence import N_TOKEN, Tokens

CHUNK = 1 << 14
WORDS_AT_ONCE = 1 << 24
"""Number of words sorted together; takes about half a gigabyte, whatever the number of rows."""

ADAPTER_WORD = 8
ADAPTER_REACH = 4
"""Parts of an adapter are also recognised up to this many bases from their usual position."""


@dataclass(frozen=True)
class WordOptions:
    """Which words (k-mers) count for homology."""

    k: int = 20
    """Length of a word; two unrelated 80-mers share a 20-mer in about one of 10⁸ pairs."""
    min_triplets: int = 9
    """Smallest number of different triplets of bases in a word of 20; proportional for other
    lengths. A random word has about 16 of 18, a run of one base 1, a repeat of two bases 2."""

    def __post_init__(self) -> None:
        if not 8 <= self.k <= 31:
            raise ValueError(f"k must be 8 to 31 bases; got {self.k!r}")

    @property
    def triplets_needed(self) -> int:
        return round(self.min_triplets * (self.k - 2) / 18)


def homology_families(tokens: npt.ArrayLike, options: WordOptions | None = None) -> Hashes:
    """A family number for each row ``(N, L)``: rows connected by chains of shared words.

    Copies of one insert, on either strand, are always one family, even if they are short or of low
    complexity. The number of a family is the smallest hash of its rows, so it does not depend on
    other rows or on the order of rows.
    """
    tokens = as_rows(tokens)
    options = options or WordOptions()
    hashes = insert_hashes(tokens)
    n = len(hashes)
    _, first, group = np.unique(hashes, return_index=True, return_inverse=True)
    labels = first[group]
    for words, rows in _sorted_parts(tokens, options):
        same = words[1:] == words[:-1]
        one = np.concatenate([rows[:-1][same], np.arange(n)])
        other = np.concatenate([rows[1:][same], labels])
        graph = coo_array((np.ones(len(one), dtype=bool), (one, other)), shape=(n, n))
        # One row represents each component, so later parts extend the components found so far.
        _, component = connected_components(graph, directed=False)
        _, first = np.unique(component, return_index=True)
        labels = first[component]
    smallest = hashes.copy()
    np.minimum.at(smallest, labels, hashes)
    return smallest[labels]


def insert_words(tokens: Tokens, options: WordOptions) -> tuple[Hashes, npt.NDArray[np.bool_]]:
    """The words of each row ``(N, L)`` as numbers, and which of them count.

    Returns:
        ``(N, L − k + 1)`` uint64, the smaller code of the word's two strands, and flags of the same
        shape: false if the word contains N or a part of an adapter, or has low complexity.
    """
    n, width = tokens.shape
    if width < options.k:
        return np.zeros((n, 0), dtype=np.uint64), np.zeros((n, 0), dtype=bool)
    bases: Tokens = np.ascontiguousarray(tokens.T) & np.uint8(3)
    excluded = np.ascontiguousarray((tokens == N_TOKEN).T) | _adapter_parts(tokens, bases)
    usable = ~_any_in_window(excluded, options.k)
    seen = np.uint64(1) << (bases[:-2] << 4 | bases[1:-1] << 2 | bases[2:]).astype(np.uint64)
    triplets = np.bitwise_count(_any_in_window(seen, options.k - 2))
    forward, reverse = _codes(bases, options.k)
    words = _scramble(np.minimum(forward, reverse))
    return words.T, (usable & (triplets >= options.triplets_needed)).T


def _codes(bases: Tokens, k: int) -> tuple[Hashes, Hashes]:
    """Codes, two bits per base, of each word and of its reverse complement: ``(W, N)``."""
    width, n = bases.shape
    mask, top = np.uint64(4**k - 1), np.uint64(2 * (k - 1))
    two = np.uint64(2)
    forward = np.empty((width - k + 1, n), dtype=np.uint64)
    reverse = np.empty_like(forward)
    one, other = np.zeros(n, dtype=np.uint64), np.zeros(n, dtype=np.uint64)
    for position in range(width):
        base = bases[position].astype(np.uint64)
        one = (one << two | base) & mask
        other = other >> two | (np.uint64(3) - base) << top
        if position >= k - 1:
            forward[position - k + 1], reverse[position - k + 1] = one, other
    return forward, reverse


def _scramble(words: Hashes) -> Hashes:
    """Spread the words over the parts; multiplication by an odd number is a bijection."""
    return words * np.uint64(0x9E3779B97F4A7C15)


def _any_in_window(flags: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Bitwise OR over windows of ``size`` along the first axis, computed by doubling."""
    reach, done = flags, 1
    while done < size:
        step = min(done, size - done)
        reach = reach[:-step] | reach[step:]
        done += step
    return reach


def _adapter_parts(tokens: Tokens, bases: Tokens) -> npt.NDArray[np.bool_]:
    """Positions ``(L, N)`` near the ends that an 8-mer of the adapters covers.

    Parts instead of complete adapters, because a truncated adapter or one with a deletion does not
    belong to the insert either.
    """
    width, n = bases.shape
    covered = np.zeros((width, n), dtype=bool)
    if width < ADAPTER_WORD:
        return covered
    codes = np.zeros((width - ADAPTER_WORD + 1, n), dtype=np.uint16)
    for offset in range(ADAPTER_WORD):
        codes = codes << np.uint16(2) | bases[offset : offset + len(codes)]
    found = _adapter_words()[codes]
    starts = np.arange(len(codes))[:, None]
    near = len(sequence.ADAPTER_5) + ADAPTER_REACH - ADAPTER_WORD
    found &= (starts <= near) | (
        starts >= sequence.sequence_lengths(tokens) - len(sequence.ADAPTER_5) - ADAPTER_REACH
    )
    for offset in range(ADAPTER_WORD):
        covered[offset : offset + len(codes)] |= found
    return covered


def _adapter_words() -> npt.NDArray[np.bool_]:
    """Whether each of the 4⁸ words occurs in an adapter, on either strand."""
    table = np.zeros(4**ADAPTER_WORD, dtype=bool)
    tokens, _ = sequence.encode([sequence.ADAPTER_5, sequence.ADAPTER_3])
    for strand in (tokens, sequence.reverse_complement(tokens)):
        windows = np.lib.stride_tricks.sliding_window_view(strand, ADAPTER_WORD, axis=1)
        complete = windows[(windows < N_TOKEN).all(axis=2)].astype(np.int64)
        table[complete @ 4 ** np.arange(ADAPTER_WORD - 1, -1, -1)] = True
    return table


def word_chunks(
    tokens: Tokens, options: WordOptions
) -> Iterator[tuple[Hashes, npt.NDArray[np.int64]]]:
    """The words that count and the row of each, for one chunk of rows after the other."""
    for start in range(0, len(tokens), CHUNK):
        words, counted = insert_words(np.asarray(tokens[start : start + CHUNK]), options)
        rows, _ = np.nonzero(counted)
        yield words[counted], rows + start


def _sorted_parts(
    tokens: Tokens, options: WordOptions
) -> Iterator[tuple[Hashes, npt.NDArray[np.int64]]]:
    """All words with their rows, sorted, in parts of :data:`WORDS_AT_ONCE`.

    Words are recomputed for each part, which costs less than storing the words of all rows.
    """
    most = len(tokens) * max(1, tokens.shape[1] - options.k + 1 - 30)
    parts = np.uint64(-(-most // WORDS_AT_ONCE))
    for part in range(int(parts)):
        found = []
        for words, rows in word_chunks(tokens, options):
            in_part = (words >> np.uint64(32)) % parts == np.uint64(part)
            found.append((words[in_part], rows[in_part]))
        words, rows = (np.concatenate(column) for column in zip(*found, strict=True))
        order = np.argsort(words)
        yield words[order], rows[order]
