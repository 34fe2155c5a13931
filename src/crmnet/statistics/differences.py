"""Uncertainty of the difference between two predictions, such as the effect of a variant.

Errors of two related promoters resemble one another and cancel partly in their difference. So the
interval of a difference is fitted on differences: on pairs of measured rows that are of one family
and differ in a few bases. It contains a measured difference, with the noise of both measurements.

:func:`related_pairs` finds the pairs, and :func:`crmnet.statistics.uncertainty.fit_interval` fits
the interval. :mod:`crmnet.evaluation.calibrate` stores it in a model card as
:class:`Differences`, which :mod:`crmnet.design.mutate` uses.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from crmnet.arrays import Integers
from crmnet.sequence import as_tokens, sequence_lengths
from crmnet.statistics.uncertainty import Coverage, Interval

MOST_EDITS = 10
"""Largest number of bases in which the rows of a pair differ."""
MOST_PAIRS = 100
"""Pairs that one family contributes; of more pairs, so many are sampled."""


class Differences(BaseModel):
    """Uncertainty parameters of differences, all from rows on which no member was trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: float = Field(gt=0, lt=1)
    """Fraction of measured differences that intervals should contain."""
    data: dict[str, Any]
    """Name, fingerprint and number of rows of the held-out set."""
    edits: int = MOST_EDITS
    """Largest number of bases in which the rows of a pair differ."""
    intervals: dict[str, Interval] = {}
    """Medium → interval; ``rows`` counts pairs, and ``spread`` is that of the difference."""
    random: dict[str, list[float]] = {}
    """Medium → evenly spaced quantiles of the absolute effects of random substitutions in random
    promoters."""
    random_data: dict[str, int] = {}
    """Numbers of these promoters and variants, and their seed."""
    coverage: dict[str, Coverage] = {}
    """Test set → fraction of measured differences inside their intervals; ``n`` counts pairs, and
    each family has the same weight."""


def related_pairs(
    tokens: npt.ArrayLike, family: npt.ArrayLike, edits: int = MOST_EDITS, seed: int = 0
) -> Integers:
    """Pairs of rows of one family and one length that differ in 1 to ``edits`` bases: ``(P, 2)``.

    Args:
        tokens: ``(N, L)``.
        family: ``(N,)``; same value, same family.
        edits: Largest number of different bases.
        seed: Decides which pairs are kept of a family that has more than :data:`MOST_PAIRS`.
    """
    tokens, lengths = as_tokens(tokens), sequence_lengths(tokens)
    _, number = np.unique(np.asarray(family), return_inverse=True)
    order = np.argsort(number, kind="stable")
    rng = np.random.default_rng(seed)
    found = [np.zeros((0, 2), dtype=np.int64)]
    for rows in np.split(order, np.nonzero(np.diff(number[order]))[0] + 1):
        pairs = _close_pairs(tokens, lengths, rows, edits)
        if len(pairs) > MOST_PAIRS:
            pairs = pairs[np.sort(rng.choice(len(pairs), MOST_PAIRS, replace=False))]
        found.append(pairs)
    return np.concatenate(found)


def _close_pairs(
    tokens: npt.NDArray[np.uint8], lengths: Integers, rows: Integers, edits: int
) -> Integers:
    """The pairs among some rows, row by row, so that memory holds one row against the others."""
    pairs = [np.zeros((0, 2), dtype=np.int64)]
    for k, row in enumerate(rows[:-1].tolist()):
        others = rows[k + 1 :]
        different = (tokens[others] != tokens[row]).sum(axis=1)
        close = (different >= 1) & (different <= edits) & (lengths[others] == lengths[row])
        pairs.append(np.stack([np.full(close.sum(), row), others[close]], axis=1))
    return np.concatenate(pairs)
