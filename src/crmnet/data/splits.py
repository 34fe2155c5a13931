"""Which rows are held out: whole families, chosen by hash, so that relatives stay together.

Takes an opened data set and gives row numbers; no data is copied. The choice depends on the rows
and the seed alone, not on their order.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crmnet.data.dataset import Dataset
from crmnet.sequence import LENGTH, Tokens, reverse_complement

CHUNK = 1 << 18
Hashes = npt.NDArray[np.uint64]


def sequence_hashes(tokens: Tokens) -> Hashes:
    """64-bit number of each row ``(N, L)``, the same for both strands of a sequence."""
    weights = np.random.default_rng(0).integers(2**64, size=LENGTH, dtype=np.uint64)
    weights |= np.uint64(1)  # odd, so that no position is lost modulo 2⁶⁴

    def forward(block: Tokens) -> Hashes:
        return (block.astype(np.uint64) + np.uint64(1)) @ weights

    hashes = np.empty(len(tokens), dtype=np.uint64)
    for start in range(0, len(tokens), CHUNK):
        block = np.asarray(tokens[start : start + CHUNK])
        hashes[start : start + CHUNK] = np.minimum(
            _mix(forward(block)), _mix(forward(reverse_complement(block)))
        )
    return hashes


def families(dataset: Dataset) -> Hashes:
    """Family of each row: the given one, else one for each distinct sequence (either strand)."""
    if dataset.family is not None:
        return np.asarray(dataset.family)
    return sequence_hashes(dataset.tokens)


def hold_out(
    dataset: Dataset, fraction: float, seed: int = 0
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split the rows into those to train on and those held out, family by family.

    Args:
        dataset: The opened data set.
        fraction: Expected share of families that are held out, in (0, 1).
        seed: Another seed holds out others.

    Returns:
        Row numbers to train on, and row numbers held out, each ascending.

    Raises:
        ValueError: If one of the two would be empty.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"the fraction to hold out must be between 0 and 1; got {fraction!r}")
    salt = np.uint64((0x9E3779B97F4A7C15 * (seed + 1)) % 2**64)
    position = _mix(families(dataset) ^ salt) >> np.uint64(11)
    held = position < np.uint64(int(fraction * 2**53))
    if held.all() or not held.any():
        raise ValueError(
            f"{dataset.path}: {len(dataset):,} rows are too few families to hold out "
            f"{fraction:.0%} of them; give a validation set of its own"
        )
    return np.nonzero(~held)[0], np.nonzero(held)[0]


def _mix(x: Hashes) -> Hashes:
    """Scramble the bits (splitmix64, Steele et al. 2014), so that neighbours part."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
