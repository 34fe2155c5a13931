"""Hamming distances between inserts, and to the nearest of many references of any length."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crmnet.sequence import N_TOKEN, Lengths, Tokens

CELLS = 1 << 22
"""Distances that are computed at a time."""


def distances(left: Tokens, right: Tokens) -> Lengths:
    """Hamming distances ``(N, M)`` of inserts, padded with N; a missing base differs from all."""
    width = max(left.shape[1], right.shape[1])
    first, second = (
        np.pad(a, ((0, 0), (0, width - a.shape[1])), constant_values=N_TOKEN) for a in (left, right)
    )
    letters = np.arange(N_TOKEN + 1, dtype=np.uint8)
    one, two = (
        (a[:, :, None] == letters).reshape(len(a), -1).astype(np.float32) for a in (first, second)
    )
    return width - np.rint(one @ two.T).astype(np.int64)


def nearest_distance(inserts: Tokens, references: Mapping[int, Tokens], enough: int) -> Lengths:
    """``(N,)`` distance to the nearest reference; at least ``enough`` where none is nearer.

    Of a reference that is longer than the inserts, each window of their length counts. A shorter
    one is laid on each place of an insert, and the bases beside it count as different.

    Args:
        inserts: ``(N, W)``, all of length W.
        references: Length V → references ``(R, V)``.
        enough: Only nearer references are looked for.
    """
    length = inserts.shape[1]
    nearest = np.full(len(inserts), max(enough, length), dtype=np.int64)
    for size, same in references.items():
        beside = max(length - size, 0)
        if not size or beside >= enough:
            continue
        for shift in range(abs(length - size) + 1):
            if beside:
                found = _nearest(inserts[:, shift : shift + size], same) + beside
            else:
                found = _nearest(inserts, same[:, shift : shift + length])
            nearest = np.minimum(nearest, found)
    return nearest


def _nearest(inserts: Tokens, references: Tokens) -> Lengths:
    """``(N,)`` smallest of :func:`distances`; memory does not grow with the references."""
    rows = max(1, CELLS // max(len(inserts), 1))
    parts = [
        distances(inserts, references[first : first + rows]).min(axis=1)
        for first in range(0, len(references), rows)
    ]
    nearest: Lengths = np.min(parts, axis=0)
    return nearest
