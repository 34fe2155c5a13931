"""Several models on the same rows: who is better, and how sure (the paper's Figure 3).

Takes the sets that :mod:`crmnet.evaluation.align` brings together. Every pair of models is compared
by a paired bootstrap over families, so that what is hard for all of them cancels.
:mod:`crmnet.evaluation.compare_report` writes and draws what comes back.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from crmnet.arrays import Floats
from crmnet.evaluation.align import Contest
from crmnet.statistics.metrics import (
    ESTIMATES,
    RESAMPLES,
    Estimate,
    Scored,
    estimate,
    point_estimates,
    resample,
    resamples_for,
)

ALPHA = 0.05
"""Corrected p below which two models are told apart."""


@dataclass(frozen=True)
class Difference(Estimate):
    """A metric of one model minus that of another, on the same rows."""

    p: float
    """Two-sided, from the difference over its bootstrap standard error, taken as normal: shares of
    resamples beyond 0 are too coarse to be corrected for many pairs."""


@dataclass(frozen=True)
class Pair:
    """Two models on one set."""

    a: str
    b: str
    difference: Difference
    p_corrected: float
    """After Holm's correction for all pairs of the set."""


@dataclass(frozen=True)
class Result:
    """A contest, scored."""

    name: str
    n: int
    families: int
    families_by: str | None
    """What tells relatives; see :class:`~crmnet.statistics.metrics.Scored`."""
    left_out: int
    seen: int
    without: str | None
    """As in :class:`~crmnet.evaluation.align.Contest`."""
    resamples: int
    metric: str
    """What pairs are compared by."""
    estimates: Mapping[str, Mapping[str, Estimate]]
    """Model → metric → estimate, in the order given."""
    pairs: Sequence[Pair]

    @property
    def best(self) -> str:
        """The model with the best value of :attr:`metric`."""
        sign = -1 if self.metric in LOW_IS_GOOD else 1
        return max(self.estimates, key=lambda m: sign * self.estimates[m][self.metric].value)

    def against(self, model: str, other: str) -> Pair | None:
        """The pair of those two, ``model`` first; None for a model and itself."""
        for pair in self.pairs:
            if (pair.a, pair.b) == (model, other):
                return pair
            if (pair.b, pair.a) == (model, other):
                d = pair.difference
                return replace(
                    pair, a=model, b=other, difference=Difference(-d.value, -d.high, -d.low, d.p)
                )
        return None

    def told_apart(self, model: str) -> bool:
        """Whether ``model`` is worse than the best by more than chance."""
        pair = self.against(model, self.best)
        return pair is not None and pair.p_corrected < ALPHA


LOW_IS_GOOD = ("mse", "mae", "mse_affine")


def compare_two(
    a: Scored, b: Scored, metric: str = "pearson", *, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Paired family bootstrap: ``metric`` of ``a`` minus that of ``b``, on the same rows.

    Raises:
        ValueError: If the two do not hold the same measurements of the same families.
    """
    _check_same_rows(a, b)
    drawn = resamples_for(len(a.measured), resamples)
    first, second = (resample(s, drawn, seed, ranks=metric == "spearman")[metric] for s in (a, b))
    return difference(point_estimates(a)[metric] - point_estimates(b)[metric], first - second)


def difference(value: float, samples: Floats) -> Difference:
    """A difference with its interval and p, from its resamples."""
    defined = samples[np.isfinite(samples)]
    error = float(defined.std(ddof=1)) if defined.size > 1 else 0.0
    # Models that answer alike differ by nothing at all, in every resample.
    p = math.erfc(abs(value) / error / math.sqrt(2)) if error > 0 else float(value == 0)
    if not defined.size:
        p = math.nan
    return Difference(**vars(estimate(value, samples)), p=p)


def _check_same_rows(a: Scored, b: Scored) -> None:
    if not (np.array_equal(a.measured, b.measured) and np.array_equal(a.family, b.family)):
        raise ValueError(f"{a.name} and {b.name} are not the same rows; only those can be paired")


def compare(
    contest: Contest, metric: str = "pearson", *, resamples: int = RESAMPLES, seed: int = 0
) -> Result:
    """Score every model of a contest and compare every pair of them.

    Args:
        contest: The set and what was predicted for it.
        metric: One of :data:`~crmnet.statistics.metrics.ESTIMATES`, for the pairs.
        resamples: Bootstrap resamples, the same families for every model.
        seed: Decides the draws.

    Raises:
        ValueError: If the metric is not known, or the models were not scored on the same rows.
    """
    if metric not in ESTIMATES:
        raise ValueError(f"metric must be one of {', '.join(ESTIMATES)}; got {metric!r}")
    first = next(iter(contest.models.values()))
    for scored in contest.models.values():
        _check_same_rows(first, scored)
    drawn = resamples_for(len(first.measured), resamples)
    values = {name: point_estimates(scored) for name, scored in contest.models.items()}
    samples = {name: resample(scored, drawn, seed) for name, scored in contest.models.items()}
    found = [
        Pair(a, b, difference(values[a][metric] - values[b][metric],
                              samples[a][metric] - samples[b][metric]), math.nan)
        for a, b in itertools.combinations(contest.models, 2)
    ]  # fmt: skip
    corrected = holm([pair.difference.p for pair in found])
    return Result(
        name=contest.name,
        n=len(first.measured),
        families=len(np.unique(first.family)),
        families_by=first.families_by,
        left_out=contest.left_out,
        seen=contest.seen,
        without=contest.without,
        resamples=drawn,
        metric=metric,
        estimates={
            model: {name: estimate(values[model][name], samples[model][name]) for name in ESTIMATES}
            for model in contest.models
        },
        pairs=[replace(pair, p_corrected=p) for pair, p in zip(found, corrected, strict=True)],
    )


def holm(p: Sequence[float]) -> list[float]:
    """P values corrected for their number (Holm 1979), in the order given; NaN stays NaN."""
    order = sorted((value, place) for place, value in enumerate(p) if not math.isnan(value))
    corrected, highest = [math.nan] * len(p), 0.0
    for rank, (value, place) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * value))
        corrected[place] = highest
    return corrected
