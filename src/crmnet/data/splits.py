"""Which rows are held out: whole families, chosen by hash, so that relatives stay together.

Takes an opened data set and gives row numbers; no data is copied. The choice depends on the rows
and the seed alone, not on their order.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from crmnet.data.dataset import Dataset
from crmnet.data.hashes import Hashes, insert_hashes, mix
from crmnet.data.homology import WordOptions, homology_families
from crmnet.data.packed import as_rows

Kinship = Literal["family", "sequence", "homology"]
"""What makes rows relatives: the family they were given, or, where none was, their sequence; their
sequence alone; or a shared word (see :mod:`crmnet.data.homology`)."""


def families(dataset: Dataset, by: Kinship = "family", words: WordOptions | None = None) -> Hashes:
    """Family of each row; the same sequence, either strand and in any medium, is always one.

    Args:
        dataset: The opened data set.
        by: What makes relatives; ``family`` falls back to ``sequence`` where no family was given.
        words: What ``homology`` goes by.

    Raises:
        ValueError: If ``by`` is not one of these.
    """
    if by == "family" and dataset.family is not None:
        return np.asarray(dataset.family)
    return families_of(dataset.tokens, family_rule(dataset, by), words)


def families_of(tokens: npt.ArrayLike, by: Kinship, words: WordOptions | None = None) -> Hashes:
    """Family of each row ``(N, L)`` by what tokens tell: ``sequence`` or ``homology``.

    Raises:
        ValueError: If ``by`` is neither.
    """
    tokens = as_rows(tokens)
    if by == "homology":
        return homology_families(tokens, words)
    if by == "sequence":
        return insert_hashes(tokens)
    raise ValueError(f"relatives are told by {', '.join(get_args(Kinship))}; got {by!r}")


def family_rule(dataset: Dataset, by: Kinship = "family") -> Kinship:
    """What tells relatives in the end: ``family`` is ``sequence`` where no family was given."""
    return "sequence" if by == "family" and dataset.family is None else by


_ATTEMPTS = 8
"""Draws of families. A set that came from a split has none, or only, of those that the same seed
held out before, so that a second draw is what divides it."""


def _salt(seed: int, attempt: int) -> np.uint64:
    return np.uint64((0x9E3779B97F4A7C15 * (seed + 1) + 0xD1B54A32D192ED03 * attempt) % 2**64)


def hold_out(
    dataset: Dataset,
    fraction: float,
    seed: int = 0,
    *,
    by: Kinship = "family",
    family: Hashes | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split the rows into those to train on and those held out, family by family.

    Args:
        dataset: The opened data set.
        fraction: Expected share of families that are held out, in (0, 1).
        seed: Another seed holds out others.
        by: What makes rows relatives; see :func:`families`.
        family: Families found already, in place of ``by``.

    Returns:
        Row numbers to train on, and row numbers held out, each ascending.

    Raises:
        ValueError: If one of the two would be empty.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"the fraction to hold out must be between 0 and 1; got {fraction!r}")
    related = families(dataset, by) if family is None else family
    threshold = np.uint64(int(fraction * 2**53))
    for attempt in range(_ATTEMPTS):
        held = mix(related ^ _salt(seed, attempt)) >> np.uint64(11) < threshold
        if held.any() and not held.all():
            break
    else:
        raise ValueError(
            f"{dataset.path}: {len(dataset):,} rows are too few families to hold out "
            f"{fraction:.0%} of them; give a validation set of its own"
        )
    return np.nonzero(~held)[0], np.nonzero(held)[0]
