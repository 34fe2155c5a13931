"""Sequences as 64-bit numbers, the same for both strands, to compare and to divide by.

Takes tokens, gives a number for each row that does not depend on other rows. Splits, homology and
the search for leaks rest on it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from crmnet.data.packed import as_rows
from crmnet.sequence import LENGTH, Tokens, inserts, reverse_complement

CHUNK = 1 << 16
Hashes = npt.NDArray[np.uint64]


def sequence_hashes(tokens: npt.ArrayLike) -> Hashes:
    """64-bit number of each row ``(N, L)``, the same for both strands of a sequence."""
    return _in_chunks(as_rows(tokens), lambda block: block)


def insert_hashes(tokens: npt.ArrayLike) -> Hashes:
    """64-bit number of each row's insert, whatever adapters it carries and on either strand."""
    return _in_chunks(as_rows(tokens), lambda block: inserts(block)[0])


def _in_chunks(tokens: Tokens, part: Callable[[Tokens], Tokens]) -> Hashes:
    weights = np.random.default_rng(0).integers(2**64, size=LENGTH, dtype=np.uint64)
    weights |= np.uint64(1)  # odd, so that no position is lost modulo 2⁶⁴

    def forward(block: Tokens) -> Hashes:
        return (block.astype(np.uint64) + np.uint64(1)) @ weights[: block.shape[1]]

    hashes = np.empty(len(tokens), dtype=np.uint64)
    for start in range(0, len(tokens), CHUNK):
        block = part(np.asarray(tokens[start : start + CHUNK]))
        hashes[start : start + CHUNK] = np.minimum(
            mix(forward(block)), mix(forward(reverse_complement(block)))
        )
    return hashes


def mix(x: Hashes) -> Hashes:
    """Scramble the bits (splitmix64, Steele et al. 2014), so that neighbours part."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
