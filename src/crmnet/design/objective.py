"""What a design is to reach, and the score that the search maximises.

:class:`Objective` takes predictions of constructs (:class:`crmnet.design.scorer.Assessment`) and
returns values, utilities and scores. The value of a construct is its expression in one medium, or
the difference of two media. The utility is larger for a better value. The score is the utility
minus two penalties, for uncertainty and for leaving the training distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Floats
from crmnet.choices import Goal
from crmnet.data.media import output_of

if TYPE_CHECKING:
    from crmnet.design.scorer import Assessment

NEAR_LIMIT = 0.9
"""Share of a limit of the training distribution from which the penalty begins."""


@dataclass(frozen=True)
class Objective:
    """A goal, its media, and the weights of the penalties."""

    goal: Goal
    medium: str
    minus: str | None = None
    """``separate``: the medium in which expression is to be low."""
    targets: tuple[float, ...] = ()
    """``target``: the values to hit; the designs are divided among them."""
    uncertainty: float = 1.0
    """Weight of the uncertainty penalty: half widths of the prediction interval. With 1, the score
    of a maximised design is the lower end of its interval."""
    unlike: float = 1.0
    """Weight of the penalty on leaving the training distribution: units of expression at the limit
    beyond which a design is flagged; it begins at 90 % of the limit and grows linearly."""

    def __post_init__(self) -> None:
        if self.goal not in get_args(Goal):
            raise ValueError(f"goal must be one of {', '.join(get_args(Goal))}; got {self.goal!r}")
        if (self.goal == "separate") != (self.minus is not None):
            raise ValueError("separate, and no other goal, needs a second medium (minus)")
        if self.minus == self.medium:
            raise ValueError(f"two different media can be separated; got {self.medium} twice")
        if (self.goal == "target") != bool(self.targets):
            raise ValueError("target, and no other goal, needs values to hit (targets)")
        if not np.isfinite([*self.targets, self.uncertainty, self.unlike]).all():
            raise ValueError("targets and weights must be finite numbers")
        if self.uncertainty < 0 or self.unlike < 0:
            raise ValueError(
                f"weights of penalties must be at least 0; got {self.uncertainty:g} and "
                f"{self.unlike:g}"
            )

    @property
    def media(self) -> tuple[str, ...]:
        """The media of the goal."""
        return (self.medium,) if self.minus is None else (self.medium, self.minus)

    def title(self) -> str:
        """The goal in words."""
        if self.goal == "separate":
            return f"high expression in {self.medium}, low in {self.minus}"
        if self.goal == "target":
            return f"expression in {self.medium} of {', '.join(f'{t:g}' for t in self.targets)}"
        return f"{'high' if self.goal == 'maximise' else 'low'} expression in {self.medium}"

    def value(self, expression: npt.ArrayLike, media: Sequence[str]) -> Floats:
        """``(N,)`` expression, or difference of two media, from ``(N, M)`` of a model's media."""
        expression = np.asarray(expression, dtype=float)
        value: Floats = expression[:, output_of(self.medium, media)]
        return value if self.minus is None else value - expression[:, output_of(self.minus, media)]

    def utility(self, value: npt.ArrayLike, target: npt.ArrayLike) -> Floats:
        """``(N,)``, larger for a better value; ``target`` ``(N,)`` is used by ``target`` only."""
        value = np.asarray(value, dtype=float)
        if self.goal == "minimise":
            return -value
        return -np.abs(value - np.asarray(target)) if self.goal == "target" else value

    def score(self, assessment: Assessment, target: npt.ArrayLike) -> Floats:
        """``(N,)`` utility minus the penalties."""
        utility = self.utility(self.value(assessment.expression, assessment.media), target)
        return (
            utility
            - self.uncertainty * self.half_width(assessment)
            - self.unlike * distance_penalty(assessment.unfamiliarity)
        )

    def half_width(self, assessment: Assessment) -> Floats:
        """``(N,)`` half width of the interval of the value; errors of two media as independent."""
        columns = [output_of(medium, assessment.media) for medium in self.media]
        width: Floats = np.sqrt((assessment.half_width[:, columns] ** 2).sum(axis=1))
        return width


def distance_penalty(unfamiliarity: npt.ArrayLike) -> Floats:
    """0 up to NEAR_LIMIT of the limit, 1 at the limit, linear beyond."""
    beyond = np.maximum(np.asarray(unfamiliarity, dtype=float) - NEAR_LIMIT, 0)
    penalty: Floats = beyond / (1 - NEAR_LIMIT)
    return penalty
