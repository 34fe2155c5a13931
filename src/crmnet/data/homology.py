"""Families by homology: rows whose inserts share a k-mer (k consecutive bases), on either strand.

:func:`homology_families` takes the tokens of a data set and returns a family number for each row.
:mod:`crmnet.data.splits` keeps each family on one side of a split; :mod:`crmnet.data.leaks` finds
the k-mers that two data sets share. K-mers of the adapters do not count, because all rows share
them. K-mers of low complexity, such as runs of A and T, do not count either, because unrelated
promoters share them.
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
"""Rows read at a time."""
KMERS_AT_ONCE = 1 << 24
"""Number of k-mers sorted together; this takes about half a gigabyte for any number of rows."""

ADAPTER_K = 8
"""Length of the k-mers by which parts of an adapter are recognised."""
ADAPTER_REACH = 4
"""Largest distance, in bases, of a recognised part from its usual position."""


@dataclass(frozen=True)
class KmerOptions:
    """Which k-mers count for homology."""

    k: int = 20
    """Length of a k-mer. About one of 10⁸ pairs of unrelated 80-base inserts shares a 20-mer."""
    min_triplets: int = 9
    """Smallest number of different triplets of bases in a 20-mer; proportional for other lengths. A
    random 20-mer has about 16 of 18, a run of one base 1, a repeat of two bases 2."""

    def __post_init__(self) -> None:
        if not 8 <= self.k <= 31:
            raise ValueError(f"k must be 8 to 31 bases; got {self.k!r}")

    @property
    def triplets_needed(self) -> int:
        """Smallest number of different triplets in a k-mer of length ``k``."""
        return round(self.min_triplets * (self.k - 2) / 18)


def homology_families(tokens: npt.ArrayLike, options: KmerOptions | None = None) -> Hashes:
    """Family number ``(N,)`` of each row ``(N, L)``: rows connected by chains of shared k-mers.

    Copies of one insert, on either strand, are always one family, even if they are short or of low
    complexity. The number of a family is the smallest hash of its rows, so it does not depend on
    other rows or on the order of rows.
    """
    tokens = as_rows(tokens)
    options = options or KmerOptions()
    hashes = insert_hashes(tokens)
    n = len(hashes)
    _, first, group = np.unique(hashes, return_index=True, return_inverse=True)
    labels = first[group]
    for kmers, rows in _sorted_parts(tokens, options):
        same = kmers[1:] == kmers[:-1]
        left_row = np.concatenate([rows[:-1][same], np.arange(n)])
        right_row = np.concatenate([rows[1:][same], labels])
        graph = coo_array((np.ones(len(left_row), dtype=bool), (left_row, right_row)), shape=(n, n))
        # One row represents each component, so later parts extend the components found so far.
        _, component = connected_components(graph, directed=False)
        _, first = np.unique(component, return_index=True)
        labels = first[component]
    smallest = hashes.copy()
    np.minimum.at(smallest, labels, hashes)
    return smallest[labels]


def insert_kmers(tokens: Tokens, options: KmerOptions) -> tuple[Hashes, npt.NDArray[np.bool_]]:
    """The k-mers of each row ``(N, L)`` as numbers, and which of them count.

    Returns:
        ``(N, L − k + 1)`` uint64, the smaller of the codes of both strands, scrambled; and flags of
        the same shape, False if the k-mer contains N or a part of an adapter, or has low
        complexity.
    """
    n, width = tokens.shape
    if width < options.k:
        return np.zeros((n, 0), dtype=np.uint64), np.zeros((n, 0), dtype=bool)
    bases: Tokens = np.ascontiguousarray(tokens.T) & np.uint8(3)
    excluded = np.ascontiguousarray((tokens == N_TOKEN).T) | _adapter_positions(tokens, bases)
    allowed = ~_any_in_window(excluded, options.k)
    triplet_bit = np.uint64(1) << (bases[:-2] << 4 | bases[1:-1] << 2 | bases[2:]).astype(np.uint64)
    triplets = np.bitwise_count(_any_in_window(triplet_bit, options.k - 2))
    forward, reverse = _codes(bases, options.k)
    kmers = _scramble(np.minimum(forward, reverse))
    return kmers.T, (allowed & (triplets >= options.triplets_needed)).T


def _codes(bases: Tokens, k: int) -> tuple[Hashes, Hashes]:
    """Codes, two bits per base, of each k-mer and of its reverse complement: ``(L − k + 1, N)``."""
    width, n = bases.shape
    mask, top = np.uint64(4**k - 1), np.uint64(2 * (k - 1))
    two = np.uint64(2)
    forward = np.empty((width - k + 1, n), dtype=np.uint64)
    reverse = np.empty_like(forward)
    forward_code, reverse_code = np.zeros(n, dtype=np.uint64), np.zeros(n, dtype=np.uint64)
    for position in range(width):
        base = bases[position].astype(np.uint64)
        forward_code = (forward_code << two | base) & mask
        reverse_code = reverse_code >> two | (np.uint64(3) - base) << top
        if position >= k - 1:
            forward[position - k + 1], reverse[position - k + 1] = forward_code, reverse_code
    return forward, reverse


def _scramble(kmers: Hashes) -> Hashes:
    """Distribute codes evenly over all numbers; multiplication by an odd number is a bijection."""
    return kmers * np.uint64(0x9E3779B97F4A7C15)


def _any_in_window(flags: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Bitwise OR over windows of ``size`` along the first axis, computed by doubling windows."""
    result, covered_size = flags, 1
    while covered_size < size:
        step = min(covered_size, size - covered_size)
        result = result[:-step] | result[step:]
        covered_size += step
    return result


def _adapter_positions(tokens: Tokens, bases: Tokens) -> npt.NDArray[np.bool_]:
    """Positions ``(L, N)`` near the ends that an 8-mer of the adapters covers.

    8-mers also find truncated adapters and adapters with a deletion, which are not part of the
    insert either.
    """
    width, n = bases.shape
    covered = np.zeros((width, n), dtype=bool)
    if width < ADAPTER_K:
        return covered
    codes = np.zeros((width - ADAPTER_K + 1, n), dtype=np.uint16)
    for offset in range(ADAPTER_K):
        codes = codes << np.uint16(2) | bases[offset : offset + len(codes)]
    is_adapter = _adapter_kmers()[codes]
    starts = np.arange(len(codes))[:, None]
    last_start = len(sequence.ADAPTER_5) + ADAPTER_REACH - ADAPTER_K
    is_adapter &= (starts <= last_start) | (
        starts >= sequence.sequence_lengths(tokens) - len(sequence.ADAPTER_5) - ADAPTER_REACH
    )
    for offset in range(ADAPTER_K):
        covered[offset : offset + len(codes)] |= is_adapter
    return covered


def _adapter_kmers() -> npt.NDArray[np.bool_]:
    """Whether each of the 4⁸ 8-mers occurs in an adapter, on either strand."""
    table = np.zeros(4**ADAPTER_K, dtype=bool)
    tokens, _ = sequence.encode([sequence.ADAPTER_5, sequence.ADAPTER_3])
    for strand in (tokens, sequence.reverse_complement(tokens)):
        windows = np.lib.stride_tricks.sliding_window_view(strand, ADAPTER_K, axis=1)
        complete = windows[(windows < N_TOKEN).all(axis=2)].astype(np.int64)
        table[complete @ 4 ** np.arange(ADAPTER_K - 1, -1, -1)] = True
    return table


def kmer_chunks(
    tokens: Tokens, options: KmerOptions
) -> Iterator[tuple[Hashes, npt.NDArray[np.int64]]]:
    """The k-mers that count, and the row of each, for one chunk of rows after another."""
    for start in range(0, len(tokens), CHUNK):
        kmers, counted = insert_kmers(np.asarray(tokens[start : start + CHUNK]), options)
        rows, _ = np.nonzero(counted)
        yield kmers[counted], rows + start


def _sorted_parts(
    tokens: Tokens, options: KmerOptions
) -> Iterator[tuple[Hashes, npt.NDArray[np.int64]]]:
    """All k-mers with their rows, sorted, in parts of about :data:`KMERS_AT_ONCE`.

    k-mers are recomputed for each part, which costs less than storing those of all rows.
    """
    max_kmers = len(tokens) * max(1, tokens.shape[1] - options.k + 1 - 30)
    parts = np.uint64(-(-max_kmers // KMERS_AT_ONCE))
    for part in range(int(parts)):
        chunks = []
        for kmers, rows in kmer_chunks(tokens, options):
            in_part = (kmers >> np.uint64(32)) % parts == np.uint64(part)
            chunks.append((kmers[in_part], rows[in_part]))
        kmers, rows = (np.concatenate(column) for column in zip(*chunks, strict=True))
        order = np.argsort(kmers)
        yield kmers[order], rows[order]
