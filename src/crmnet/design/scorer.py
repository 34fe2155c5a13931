"""Models that judge candidates: expression, its uncertainty, distance from the training data.

A :class:`Scorer` wraps a :class:`~crmnet.prediction.predictor.Predictor`, or any module that takes
one-hot constructs ``(B, 4, L)``. :func:`held_out_member` splits an ensemble into an oracle and a
judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, cast

import numpy as np
from torch import nn

from crmnet import sequence
from crmnet.arrays import Floats
from crmnet.data.media import output_of, output_or_none
from crmnet.design.plain_model import as_predictor
from crmnet.models.ensemble import Ensemble, Member
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import INSERT
from crmnet.statistics.uncertainty import (
    Expression,
    InputLimits,
    Interval,
    Trust,
    by_medium,
    composition_distance,
    reasons_unlike,
)

Z90 = 1.645
"""Half width of a 90 % interval of a normal distribution, in standard deviations."""
ROWS = 8192
"""Candidates whose constructs are in memory at a time."""


class Assessment(NamedTuple):
    """What a model says about N constructs."""

    media: list[str]
    expression: Floats
    """``(N, M)``."""
    half_width: Floats
    """``(N, M)`` half width of the interval of a measurement; 0 if the model has no idea of it."""
    unfamiliarity: Floats
    """``(N,)`` largest ratio to a limit of the training distribution; 0 without limits."""


@dataclass(frozen=True)
class Scorer:
    """A model with what its card knows about uncertainty."""

    predictor: Predictor
    name: str
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """Medium → interval; for other media the spread of the members is taken."""
    familiar: InputLimits | None = None
    """Limits of the training distribution; None if the model is not calibrated."""
    bare: bool = False
    """Whether the model reads inserts alone, without adapters and padding."""

    @classmethod
    def of(
        cls, model: Predictor | nn.Module | Scorer, name: str | None = None, length: int = INSERT
    ) -> Scorer:
        """A scorer of a predictor, or of a module ``(B, 4, L)`` → ``(B, M)``.

        A predictor reads inserts with their adapters. A module reads the inserts alone; its outputs
        are called ``output``, or ``output_1``, ``output_2``, ….

        Args:
            model: The model.
            name: Its name; None means that of the predictor.
            length: Bases of the inserts that a module reads.
        """
        if isinstance(model, Scorer):
            return model
        if not isinstance(model, Predictor):
            return cls(as_predictor(model, length), name or "the model", bare=True)
        predictor = model
        calibration = predictor.card.calibration if predictor.card else None
        if calibration is None or predictor.changed:
            return cls(predictor, name or predictor.name or "the model")
        return cls(
            predictor, name or predictor.name or "the model", calibration.intervals,
            calibration.familiar,
        )  # fmt: skip

    @property
    def media(self) -> list[str]:
        """Names of the outputs."""
        return self.predictor.media

    def knows(self, media: Sequence[str]) -> bool:
        """Whether the model has an output for each of these media; one of its own if several."""
        return len(set(media)) == len(set(self.outputs(media)))

    def outputs(self, media: Sequence[str]) -> list[int]:
        """Numbers of the outputs of those media that the model has; see :func:`output_of`."""
        found = (output_or_none(medium, self.media) for medium in media)
        return [output for output in found if output is not None]

    def knows_uncertainty(self, medium: str) -> bool:
        """Whether the half width of a prediction differs from promoter to promoter."""
        model = self.predictor.model
        interval = self.intervals.get(self.media[output_of(medium, self.media)])
        if interval is not None and interval.distance_slope > 0:
            return True
        if not isinstance(model, Ensemble):
            return False
        views = len(model.members) * (1 + model.reverse_complement)
        return views > 1 and (interval is None or interval.slope > 0)

    def _is_ensemble(self) -> bool:
        return isinstance(self.predictor.model, Ensemble)

    def assess(self, constructs: sequence.Tokens) -> Assessment:
        """Assess constructs ``(N, length)``; memory does not grow with intermediate results."""
        parts = [
            self._assess(constructs[first : first + ROWS])
            for first in range(0, max(len(constructs), 1), ROWS)
        ]
        return Assessment(
            self.media, *(np.concatenate(column) for column in list(zip(*parts, strict=True))[1:])
        )

    def _assess(self, constructs: sequence.Tokens) -> Assessment:
        expression, spread = self._predict(constructs)
        distance = np.zeros(len(constructs))
        if self.familiar is not None:
            distance = composition_distance(self.familiar, constructs)
        wide = np.zeros(expression.shape)
        for column, medium in enumerate(self.media):
            own = np.zeros(len(constructs)) if spread is None else spread[:, column]
            if medium in self.intervals:
                wide[:, column] = self.intervals[medium].half_width(own, distance)
            else:
                wide[:, column] = Z90 * own
        ratio = self._unfamiliarity(distance, spread, expression)
        return Assessment(self.media, expression.astype(float), wide, ratio)

    def _unfamiliarity(
        self, distance: Floats, spread: Expression | None, expression: Expression
    ) -> Floats:
        """``(N,)`` largest ratio of composition or disagreement to its limit.

        It is above 1 for an expression beyond the measured range as well; inside it, high or low
        expression is no fault of a design.
        """
        if self.familiar is None:
            return np.zeros(len(distance))
        ratio: Floats = distance / self.familiar.composition
        for column, medium in enumerate(self.media):
            if spread is not None and medium in self.familiar.spread:
                ratio = np.maximum(ratio, spread[:, column] / self.familiar.spread[medium])
            if medium in self.familiar.measured:
                lowest, highest = self.familiar.measured[medium]
                values = expression[:, column]
                beyond = np.maximum(lowest - values, values - highest) / (highest - lowest)
                ratio = np.maximum(ratio, np.where(beyond > 0, 1 + beyond, 0))
        return ratio

    def flags(self, constructs: sequence.Tokens) -> list[str]:
        """Why each construct is unlike the training data, as in ``crmnet predict``."""
        if self.familiar is None:
            return [""] * len(constructs)
        expression, spread = self._predict(constructs)
        reasons = reasons_unlike(
            self.familiar, constructs,
            {} if spread is None else by_medium(self.media, spread),
            by_medium(self.media, expression),
        )  # fmt: skip
        return [";".join(of_row) for of_row in reasons]

    def _predict(self, constructs: sequence.Tokens) -> tuple[Expression, Expression | None]:
        """Expression, and its spread if the model is an ensemble."""
        if self._is_ensemble():
            return self.predictor.predict_with_spread(constructs)
        return self.predictor.predict_tokens(constructs), None

    def trust(self, constructs: sequence.Tokens) -> Trust | None:
        """Intervals and percentiles, as in ``crmnet predict``; None without calibration."""
        return self.predictor.assess_tokens(constructs).trust


def held_out_member(scorer: Scorer, media: Sequence[str]) -> tuple[Scorer, Scorer]:
    """The ensemble without its last member that predicts ``media``, and this member alone.

    The intervals and the limit of disagreement of the complete ensemble do not hold for its parts,
    so the parts have neither. A part has the media that one of its members predicts.

    Raises:
        ValueError: If fewer than two members predict the media.
    """
    predictor = scorer.predictor
    model = predictor.model
    able = _able(scorer, media)
    if len(able) < 2 or not isinstance(model, Ensemble):
        raise ValueError(
            f"{scorer.name} has {len(able) or 1} network for {' and '.join(media)}, so no member "
            "can be held out as a judge; name a judge that knows the medium with --judge"
        )
    rest = [number for number in range(len(model.members)) if number != able[-1]]
    parts = [rest, [able[-1]]]
    names = [f"{scorer.name} without member {able[-1] + 1}", f"member {able[-1] + 1} of "
             f"{scorer.name}"]  # fmt: skip
    limits = None if scorer.familiar is None else scorer.familiar.model_copy(update={"spread": {}})
    return tuple(  # type: ignore[return-value]
        Scorer(_part(predictor, part), name, {}, limits)
        for part, name in zip(parts, names, strict=True)
    )


def members_for(scorer: Scorer, media: Sequence[str]) -> int:
    """How many members of its ensemble predict all these media; 0 if it is no ensemble."""
    return len(_able(scorer, media))


def _able(scorer: Scorer, media: Sequence[str]) -> list[int]:
    """Numbers of the members of its ensemble that predict all these media."""
    model, own = scorer.predictor.model, scorer.predictor.media
    members = list(model.members) if isinstance(model, Ensemble) and scorer.knows(media) else []
    return [number for number, member in enumerate(members) if _predicts(member, own, media)]


def _predicts(member: nn.Module, own: Sequence[str], media: Sequence[str]) -> bool:
    """Whether a member of an ensemble has outputs for all of these media."""
    if not isinstance(member, Member):
        return True
    return all(member.own_columns[output_of(medium, own)] is not None for medium in media)


def _part(predictor: Predictor, members: Sequence[int]) -> Predictor:
    """A predictor of some members of an ensemble, for the media that one of them has."""
    own = [cast(Ensemble, predictor.model).members[number] for number in members]
    media = [medium for medium in predictor.media
             if any(_predicts(member, predictor.media, [medium]) for member in own)]  # fmt: skip
    columns = [predictor.media.index(medium) for medium in media]

    def cut(member: nn.Module) -> nn.Module:
        if not isinstance(member, Member):  # it has all media
            return member
        kept = [member.own_columns[column] for column in columns]
        return Member(member.network, kept, member.length)

    def part(model: nn.Module) -> Ensemble:
        assert isinstance(model, Ensemble)
        forward_only = [new for new, old in enumerate(members) if old in model.forward_only]
        return (
            Ensemble(
                [cut(model.members[number]) for number in members],
                reverse_complement=model.reverse_complement,
                forward_only=forward_only,
            )
            .to(predictor.device)
            .eval()
        )

    fast = None if predictor.fast is None else part(predictor.fast)
    records = [predictor.records[number] for number in members] if predictor.records else ()
    return replace(
        predictor, model=part(predictor.model), media=media, fast=fast, card=None, name=None,
        records=records, built_from=None, stamp=None,
    )  # fmt: skip
