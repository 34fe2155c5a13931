"""Strata of test rows by their similarity to training rows: is accuracy lower on unlike promoters?

The similarity of an insert is the longest stretch of bases that it shares with any training insert,
on either strand, of a few lengths that are looked up.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Integers
from crmnet.data.homology import KmerOptions
from crmnet.data.leaks import share_kmers

LENGTHS = (20, 16, 14)
"""Lengths of shared stretches that are looked up, the longest first."""


def shared_length(
    tokens: npt.ArrayLike, training: npt.ArrayLike, lengths: tuple[int, ...] = LENGTHS
) -> Integers:
    """Longest of ``lengths`` that each insert shares with a training insert; 0 for none: ``(N,)``.

    Args:
        tokens: ``(N, L)``, constructs of the test rows.
        training: ``(M, L)``, constructs of the training rows.
        lengths: Lengths to look up.
    """
    found = np.zeros(len(np.asarray(tokens)), dtype=np.int64)
    for length in sorted(lengths):
        found[share_kmers(tokens, training, KmerOptions(length))] = length
    return found


def stratum_name(length: int, lengths: tuple[int, ...] = LENGTHS) -> str:
    """Name of the stratum of a value of :func:`shared_length`."""
    if length == 0:
        return f"fewer than {min(lengths)} bases in common"
    longer = [other for other in lengths if other > length]
    return f"{length} to {min(longer) - 1} bases" if longer else f"{length} bases or more"
