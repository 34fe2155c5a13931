"""Evolvability vectors and mutational robustness: how a promoter responds to its mutations.

:func:`evolve` predicts all single substitutions of each promoter and returns an
:class:`Evolvability`. The measures are those of Vaishnav et al. (2022): the evolvability vector
contains the changes of expression in rising order, and robustness is the share of the changes that
are smaller than ε. :mod:`crmnet.design.evolve_tables` writes them for the promoters of a file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.arrays import Floats, Floats32, Integers
from crmnet.data.sequences import Promoters
from crmnet.design.neighbours import (
    AT_ONCE,
    inserts_of,
    neighbours,
    open_promoters,
    predict_named,
)
from crmnet.design.plain_model import Model
from crmnet.design.variants import describe_change
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import N_TOKEN, Tokens

if TYPE_CHECKING:
    import polars

EPSILON = 0.1616
"""Smallest change of expression that counts, in sorting bins: two standard deviations of the
expression of genes under stabilising selection (ECC > 0) in Vaishnav et al. (2022)."""
PERCENTILES = (5, 25, 50, 75, 95)
"""Percentiles of the evolvability vector in the summary."""


@dataclass(frozen=True)
class Evolvability:
    """Changes of expression by all single substitutions of B promoters, for M media."""

    ids: Sequence[str]
    media: Sequence[str]
    inserts: Tokens
    """``(B, W)``, the inserts, padded with N to the longest."""
    first: Integers
    """``(B,)``, position of the first base of each insert on the given sequence, from 1."""
    expression: Floats32
    """``(B, M)``, of the promoters without mutation."""
    changes: Floats32
    """``(B, M, W, 4)``, expression of the mutant minus expression of the promoter, by position and
    new base A, C, G, T. NaN for the promoter's own base, at N and after the end of an insert."""
    epsilon: float = EPSILON

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)

    @property
    def mutants(self) -> Integers:
        """``(B,)``, number of single substitutions: three for each known base of the insert."""
        return 3 * (self.inserts < N_TOKEN).sum(axis=1)

    @property
    def vectors(self) -> Floats32:
        """``(B, M, 3 W)``, evolvability vectors: changes in rising order, then NaN."""
        flat = self.changes.reshape(*self.changes.shape[:2], -1)
        return np.sort(flat, axis=2)[:, :, : 3 * self.inserts.shape[1]]

    @property
    def neutral(self) -> Integers:
        """``(B, M)``, number of substitutions that change expression by less than ε."""
        return (np.abs(self.changes) < self.epsilon).sum(axis=(2, 3))

    @property
    def robustness(self) -> Floats:
        """``(B, M)``, share of neutral substitutions; NaN for a promoter without a known base."""
        mutants = self.mutants[:, None]
        return np.where(mutants > 0, self.neutral / np.maximum(mutants, 1), np.nan)

    def percentiles(self, percentiles: Sequence[float] = PERCENTILES) -> Floats:
        """``(B, M, P)``, percentiles of the changes; NaN for a promoter without a known base."""
        vectors = self.vectors
        found = np.full((*vectors.shape[:2], len(percentiles)), np.nan)
        for mutants in set(self.mutants.tolist()) - {0}:
            rows = self.mutants == mutants
            at = np.percentile(vectors[rows, :, :mutants], percentiles, axis=2)
            found[rows] = np.moveaxis(at, 0, 2)
        return found

    def extreme_changes(self, sign: int) -> list[list[str]]:
        """The substitution with the largest (``sign`` 1) or smallest (−1) change, by medium.

        Returns:
            For each medium B texts such as ``35A>G``, empty without a known base. Of equal changes
            the first is taken.
        """
        worst = np.nan_to_num(sign * self.changes, nan=-np.inf)
        best = worst.reshape(*worst.shape[:2], -1).argmax(axis=2)
        mutants = self.mutants
        return [
            [self._change(row, int(best[row, m])) if mutants[row] else ""
             for row in range(len(self.ids))]
            for m in range(len(self.media))
        ]  # fmt: skip

    def _change(self, row: int, flat: int) -> str:
        position, base = divmod(flat, 4)
        reference = int(self.inserts[row, position])
        return describe_change(int(self.first[row]) + position, reference, base)

    def take(self, rows: npt.ArrayLike) -> Evolvability:
        """The promoters of some rows."""
        rows = np.asarray(rows)
        return replace(
            self,
            ids=[self.ids[row] for row in rows.tolist()],
            inserts=self.inserts[rows],
            first=self.first[rows],
            expression=self.expression[rows],
            changes=self.changes[rows],
        )

    def to_table(self) -> polars.DataFrame:
        """One row for each promoter: :func:`crmnet.design.evolve_tables.summary_columns`."""
        import polars

        from crmnet.design.evolve_tables import summary_columns

        return polars.DataFrame(dict(summary_columns(self)))

    def changes_table(self) -> polars.DataFrame:
        """One row for each substitution, by promoter, position and new base."""
        import polars

        from crmnet.design.evolve_tables import change_columns

        return polars.DataFrame(dict(change_columns(self)))


def check_epsilon(epsilon: float) -> None:
    """Raise ValueError unless ``epsilon`` is a finite number above 0."""
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise ValueError(
            f"epsilon must be a number above 0, in the unit of expression; got {epsilon}"
        )


def evolve(
    model: Model,
    sequences: sequence.Texts | npt.ArrayLike,
    *,
    medium: str | None = None,
    epsilon: float = EPSILON,
    window: sequence.Window | None = None,
    ids: Sequence[str] | None = None,
) -> Evolvability:
    """Predict all single substitutions of promoters: evolvability and robustness.

    Only the insert mutates, also if adapters are given. An N does not mutate.

    Args:
        model: A predictor, or any module ``(B, 4, L)`` → ``(B, M)``.
        sequences: Inserts or constructs as text, or tokens ``(B, L)``; see
            :func:`crmnet.design.neighbours.open_promoters`.
        medium: One of the model's media; None means all.
        epsilon: Smallest change that counts; see :data:`EPSILON`.
        window: The end that is read of a text that is too long for the network.
        ids: Names of the sequences; None means their numbers from 1.

    Raises:
        ValueError: If a sequence cannot be read, the medium is not known, or ε is not above 0.
    """
    check_epsilon(epsilon)
    predictor, promoters = open_promoters(model, sequences, window=window, ids=ids)
    media = predictor.media if medium is None else [medium]
    count = len(promoters.ids)
    return joined(
        [
            evolve_chunk(predictor, promoters.take(rows), media, epsilon)
            for rows in np.split(np.arange(count), range(AT_ONCE, count, AT_ONCE))
        ]
    )


def evolve_chunk(
    predictor: Predictor, promoters: Promoters, media: Sequence[str], epsilon: float = EPSILON
) -> Evolvability:
    """:func:`evolve` for prepared promoters, all in memory at once.

    Args:
        predictor: The model.
        promoters: From :func:`crmnet.design.neighbours.read_in_chunks`.
        media: Some of the model's media.
        epsilon: Smallest change that counts.
    """
    outputs = [predictor.medium_index(medium) for medium in media]
    tokens = promoters.tokens
    inserts, inside = inserts_of(promoters)
    near = neighbours(tokens, inside)
    names, count = promoters.ids, len(tokens)
    predicted = predict_named(
        predictor, np.concatenate([tokens, near.tokens]), names,
        np.concatenate([np.arange(count), near.row]),
    )[:, outputs]  # fmt: skip
    expression = predicted[:count]
    insert_tokens = inserts.cut_tokens(tokens)
    if not insert_tokens.shape[1]:  # only adapters
        insert_tokens = np.full((count, 1), N_TOKEN, dtype=np.uint8)
    changes = np.full((count, *insert_tokens.shape[1:], 4, len(media)), np.nan, dtype=np.float32)
    place = near.position - inserts.start[near.row]
    changes[near.row, place, near.base] = predicted[count:] - expression[near.row]
    first = inserts.start - inserts.origin + 1
    return Evolvability(
        names, list(media), insert_tokens, first, expression, np.moveaxis(changes, 3, 1), epsilon
    )


def joined(parts: Sequence[Evolvability]) -> Evolvability:
    """Evolvability of all promoters of several chunks."""
    width = max(part.inserts.shape[1] for part in parts)
    short = [width - part.inserts.shape[1] for part in parts]
    return Evolvability(
        [name for part in parts for name in part.ids],
        parts[0].media,
        np.concatenate([
            np.pad(part.inserts, ((0, 0), (0, n)), constant_values=N_TOKEN)
            for part, n in zip(parts, short, strict=True)
        ]),
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.expression for part in parts]),
        np.concatenate([
            np.pad(part.changes, ((0, 0), (0, 0), (0, n), (0, 0)), constant_values=np.nan)
            for part, n in zip(parts, short, strict=True)
        ]),
        parts[0].epsilon,
    )  # fmt: skip
