"""Lossless storage of tokens with two bits per base: a quarter of the size.

Instead of ``tokens.npy``, a packed data set has

    bases.npy      (N, 28) uint8, four bases per byte; 0 (A) where the base is N
    lengths.npy    (N,) uint8, positions up to the last base that is not N
    unknown.npy    (K, 2) uint32, row and position of each N before the end of its row, in order

and ``medium.npy`` holds runs of equal media, (R, 2) uint32: the medium, and one past its last row.
Indexing :class:`PackedTokens` returns the same tokens as an unpacked data set.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from crmnet.sequence import LENGTH, N_TOKEN, Tokens, as_tokens, sequence_lengths

_BASES_OF_BYTE = np.stack(
    [(np.arange(256) >> shift & 3).astype(np.uint8) for shift in (6, 4, 2, 0)], axis=1
)
_JOIN = np.uint32(1 << 30 | 1 << 20 | 1 << 10 | 1)
"""Four bases, one per byte, times this factor: the highest byte holds two bits of each base."""
Unknown = npt.NDArray[np.uint32]


def pack(tokens: npt.ArrayLike, first_row: int = 0) -> tuple[Tokens, Tokens, Unknown]:
    """Tokens ``(N, 112)`` → bases ``(N, 28)``, lengths ``(N,)`` and positions of N ``(K, 2)``."""
    tokens = as_tokens(tokens)
    lengths = sequence_lengths(tokens)
    inside = np.nonzero((tokens == N_TOKEN).sum(axis=1) + lengths > tokens.shape[1])[0]
    is_n = tokens[inside] == N_TOKEN  # only of the few rows with N before their end
    index, position = np.nonzero(is_n & (np.arange(tokens.shape[1]) < lengths[inside, None]))
    unknown = np.stack([inside[index] + first_row, position], axis=1).astype(np.uint32)
    fours = np.ascontiguousarray(tokens & np.uint8(3)).view("<u4")  # N & 3 is 0
    packed = (fours * _JOIN >> np.uint32(24)).astype(np.uint8)
    return packed, lengths.astype(np.uint8), unknown


class PackedTokens:
    """Packed tokens that behave like an array ``(N, 112)``; indexing unpacks the requested rows."""

    dtype = np.dtype(np.uint8)

    def __init__(self, bases: Tokens, lengths: Tokens, unknown: Unknown) -> None:
        self.bases, self.lengths, self.unknown = bases, lengths, unknown
        self.rows_with_n = np.asarray(unknown[:, 0]).astype(np.int64)
        self.shape = (len(bases), LENGTH)
        self.ndim = 2

    def __len__(self) -> int:
        return len(self.bases)

    def __getitem__(self, rows: Any) -> Tokens:
        if isinstance(rows, tuple):
            return self[rows[0]][(slice(None), *rows[1:])]
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        rows = np.asarray(rows)
        if rows.dtype == bool:
            rows = np.nonzero(rows)[0]
        if rows.ndim == 0:
            return self._unpacked(rows[None])[0]
        return self._unpacked(rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        tokens = self[:]
        return tokens if dtype is None else tokens.astype(dtype)

    def _unpacked(self, rows: npt.NDArray[np.int64]) -> Tokens:
        rows = np.where(rows < 0, rows + len(self), rows)
        tokens = _BASES_OF_BYTE[self.bases[rows]].reshape(len(rows), LENGTH)
        tokens[np.arange(LENGTH) >= self.lengths[rows][:, None]] = N_TOKEN
        first = np.searchsorted(self.rows_with_n, rows, "left")
        count = np.searchsorted(self.rows_with_n, rows, "right") - first
        for row_index in np.nonzero(count)[0].tolist():
            positions = self.unknown[first[row_index] : first[row_index] + count[row_index], 1]
            tokens[row_index, positions] = N_TOKEN
        return tokens


def as_rows(tokens: npt.ArrayLike) -> Tokens:
    """Tokens ``(N, L)`` of an array or nested lists; :class:`PackedTokens` stay packed."""
    rows: Any = tokens if isinstance(tokens, PackedTokens) else as_tokens(tokens)
    return rows


def extend_runs(medium: npt.NDArray[np.uint8], runs: list[list[int]]) -> None:
    """Append the media of more rows ``(N,)`` to a list of runs (medium, end), in place.

    If the first medium equals the last one in the list, its run is extended.
    """
    ends = np.append(np.nonzero(np.diff(medium))[0] + 1, len(medium))
    start = runs[-1][1] if runs else 0
    for end in ends.tolist():
        number = int(medium[end - 1])
        if runs and runs[-1][0] == number:
            runs[-1][1] = start + end
        else:
            runs.append([number, start + end])


def expand_runs(runs: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
    """Runs ``(R, 2)`` → the medium of each row ``(N,)``."""
    ends = runs[:, 1].astype(np.int64)
    return np.repeat(runs[:, 0].astype(np.uint8), ends - np.append(0, ends[:-1]))
