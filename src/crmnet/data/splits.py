"""Finds families of rows, and selects complete families as a held-out set.

:func:`families` takes an opened data set and returns the family of each row; :func:`hold_out`
returns row numbers. No data are copied. Training, ``data split`` and evaluation use them. Families
are selected by hash: the selection depends only on the rows and the seed, not on the order of the
rows.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
import numpy.typing as npt

from crmnet.choices import FamilyRule as FamilyRule  # part of this module's signatures
from crmnet.data.dataset import Dataset
from crmnet.data.hashes import Hashes, insert_hashes, mix
from crmnet.data.homology import KmerOptions, homology_families
from crmnet.data.packed import as_rows


def families(
    dataset: Dataset, by: FamilyRule = "family", kmers: KmerOptions | None = None
) -> Hashes:
    """Family ``(N,)`` of each row; equal numbers mean the same family.

    Computed families join copies of a sequence on either strand and in any medium. Families in the
    data set are returned unchanged.

    Args:
        dataset: The opened data set.
        by: Rule that defines families; ``family`` means ``sequence`` if the data has no families.
        kmers: Which k-mers count for ``homology``.

    Raises:
        ValueError: If ``by`` has another value.
    """
    if by == "family" and dataset.family is not None:
        return np.asarray(dataset.family)
    return families_of(dataset.tokens, family_rule(dataset, by), kmers)


def families_of(tokens: npt.ArrayLike, by: FamilyRule, kmers: KmerOptions | None = None) -> Hashes:
    """Family ``(N,)`` of each row ``(N, L)`` from its tokens, by ``sequence`` or ``homology``.

    Raises:
        ValueError: If ``by`` has another value.
    """
    tokens = as_rows(tokens)
    if by == "homology":
        return homology_families(tokens, kmers)
    if by == "sequence":
        return insert_hashes(tokens)
    raise ValueError(f"families must be by {', '.join(get_args(FamilyRule))}; got {by!r}")


def family_rule(dataset: Dataset, by: FamilyRule = "family") -> FamilyRule:
    """The rule that applies: ``family`` becomes ``sequence`` if the data set has no families."""
    return "sequence" if by == "family" and dataset.family is None else by


_ATTEMPTS = 8
"""Largest number of selections to try. If a data set is one part of a split with the same seed, the
first selection contains all or none of its families, so another one must divide it."""


def _salt(seed: int, attempt: int) -> np.uint64:
    """Number that makes selections differ between seeds and attempts."""
    return np.uint64((0x9E3779B97F4A7C15 * (seed + 1) + 0xD1B54A32D192ED03 * attempt) % 2**64)


def hold_out(
    dataset: Dataset,
    fraction: float,
    seed: int = 0,
    *,
    by: FamilyRule = "family",
    family: Hashes | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split the rows into a training set and a held-out set, family by family.

    Args:
        dataset: The opened data set.
        fraction: Expected fraction of families that are held out, in (0, 1).
        seed: Selects the families; another seed selects others.
        by: Rule that defines families; see :func:`families`.
        family: Family of each row, if already computed; ``by`` is then ignored.

    Returns:
        Row numbers of the training set and of the held-out set, each ascending.

    Raises:
        ValueError: If one of the two sets would be empty.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"the held-out fraction must be between 0 and 1; got {fraction!r}")
    family_hash = families(dataset, by) if family is None else family
    threshold = np.uint64(int(fraction * 2**53))
    for attempt in range(_ATTEMPTS):
        held_out = mix(family_hash ^ _salt(seed, attempt)) >> np.uint64(11) < threshold
        if held_out.any() and not held_out.all():
            break
    else:
        raise ValueError(
            f"{dataset.path}: the {len(dataset):,} rows have too few families to hold out "
            f"{fraction:.0%} of them; {_why_few(family_hash)}give a separate validation set"
        )
    return np.nonzero(~held_out)[0], np.nonzero(held_out)[0]


def _why_few(family: Hashes) -> str:
    """What may have joined most rows in one family, and what to do; empty if nothing has."""
    largest = int(np.unique(family, return_counts=True)[1].max(initial=0))
    if 2 * largest <= len(family):
        return ""
    return (
        f"{largest:,} of them are one family. If these are not related, they may share a constant "
        "part of 20 bases or more, such as a primer: cut it off before ingestion, or let families "
        "be by sequence. Else "
    )
