"""64-bit hashes of sequences, equal for both strands.

Each function takes the tokens of a data set and returns one number for each row, which does not
depend on other rows. :mod:`~crmnet.data.splits`, :mod:`~crmnet.data.homology` and
:mod:`~crmnet.data.leaks` compare rows by these numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from crmnet.data.packed import as_rows
from crmnet.sequence import LENGTH, Tokens, inserts, reverse_complement

CHUNK = 1 << 16
"""Rows hashed at a time."""
Hashes = npt.NDArray[np.uint64]
"""``(N,)``, one hash for each row."""


def sequence_hashes(tokens: npt.ArrayLike) -> Hashes:
    """Hash ``(N,)`` of each row ``(N, L)``, equal for both strands of a sequence."""
    return _in_chunks(as_rows(tokens), lambda block: block)


def insert_hashes(tokens: npt.ArrayLike) -> Hashes:
    """Hash ``(N,)`` of each row's insert, equal for both strands; adapters do not change it."""
    return _in_chunks(as_rows(tokens), lambda block: inserts(block)[0])


def _in_chunks(tokens: Tokens, select: Callable[[Tokens], Tokens]) -> Hashes:
    """Hashes of the bases that ``select`` keeps of each row, chunk by chunk."""
    weights = np.random.default_rng(0).integers(2**64, size=LENGTH, dtype=np.uint64)
    weights |= np.uint64(1)  # odd numbers are invertible modulo 2⁶⁴, so every position counts

    def forward(block: Tokens) -> Hashes:
        return (block.astype(np.uint64) + np.uint64(1)) @ weights[: block.shape[1]]

    hashes = np.empty(len(tokens), dtype=np.uint64)
    for start in range(0, len(tokens), CHUNK):
        block = select(np.asarray(tokens[start : start + CHUNK]))
        hashes[start : start + CHUNK] = np.minimum(
            mix(forward(block)), mix(forward(reverse_complement(block)))
        )
    return hashes


def mix(x: Hashes) -> Hashes:
    """Scramble the bits (splitmix64, Steele et al. 2014): similar numbers become dissimilar."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
