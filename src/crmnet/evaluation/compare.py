"""Compares several models on the same rows (the paper's Figure 3).

:mod:`crmnet.evaluation.align` matches the sets. This module compares each pair of models by a
paired bootstrap over families, so that errors common to all models cancel.
:mod:`crmnet.evaluation.compare_report` writes and draws the results.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from crmnet.evaluation.align import AlignedSet
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
"""Corrected p below which the difference of two models is significant."""
ROUNDING = 1e-10
"""Differences of a metric below this share of it are rounding errors, also for millions of rows."""


@dataclass(frozen=True)
class Difference(Estimate):
    """A metric of one model minus that of another, on the same rows."""

    p: float
    """Two-sided, from the difference divided by its bootstrap standard error, assumed to be normal.
    The share of resamples beyond 0 would be too coarse for a correction over many pairs."""


@dataclass(frozen=True)
class Pair:
    """Two models on one set."""

    a: str
    b: str
    difference: Difference
    p_corrected: float
    """After Holm's correction over all pairs of the set."""


@dataclass(frozen=True)
class Comparison:
    """Models scored and compared on one set."""

    name: str
    n: int
    families: int
    families_by: str | None
    """What defines a family; see :class:`~crmnet.statistics.metrics.Scored`."""
    left_out: int
    seen: int
    without: str | None
    """As in :class:`~crmnet.evaluation.align.AlignedSet`."""
    resamples: int
    metric: str
    """The metric by which pairs are compared."""
    estimates: Mapping[str, Mapping[str, Estimate]]
    """Model → metric → estimate, in the order of the models."""
    pairs: Sequence[Pair]

    @property
    def best(self) -> str | None:
        """The model with the best value of :attr:`metric`, the first of equal ones.

        Values that differ by rounding errors are equal. None if no model has a value.
        """
        sign = -1 if self.metric in LOW_IS_GOOD else 1
        values = {
            model: sign * estimates[self.metric].value
            for model, estimates in self.estimates.items()
            if math.isfinite(estimates[self.metric].value)
        }
        highest = max(values.values(), default=math.nan)
        least = highest - ROUNDING * abs(highest)
        return next((model for model, value in values.items() if value >= least), None)

    def against(self, model: str, other: str | None) -> Pair | None:
        """The pair of two models, with ``model`` first; None if they are the same model."""
        for pair in self.pairs:
            if (pair.a, pair.b) == (model, other):
                return pair
            if other is not None and (pair.b, pair.a) == (model, other):
                d = pair.difference
                return replace(
                    pair, a=model, b=other, difference=Difference(-d.value, -d.high, -d.low, d.p)
                )
        return None

    def significantly_worse(self, model: str) -> bool:
        """Whether ``model`` differs significantly from the best model."""
        pair = self.against(model, self.best)
        return pair is not None and pair.p_corrected < ALPHA


LOW_IS_GOOD = ("mse", "mae", "mse_affine")


def compare_two(
    a: Scored, b: Scored, metric: str = "pearson", *, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Paired family bootstrap: ``metric`` of ``a`` minus that of ``b``, on the same rows.

    Raises:
        ValueError: If the two sets do not hold the same measurements of the same families.
    """
    _check_same_rows(a, b)
    number = resamples_for(len(a.measured), resamples)
    values = [point_estimates(s)[metric] for s in (a, b)]
    samples = [resample(s, number, seed, ranks=metric == "spearman")[metric] for s in (a, b)]
    return difference_between(*values, *samples)


def difference_between(
    a: float, b: float, samples_a: npt.ArrayLike, samples_b: npt.ArrayLike
) -> Difference:
    """:func:`difference` of a metric of two models: 0 if only rounding errors make them differ.

    So a model does not differ from its copy on another scale, whose r has other rounding errors.

    Args:
        a: Metric of the first model.
        b: Metric of the second model.
        samples_a: The same on each resample, ``(resamples,)``.
        samples_b: The same for the second model, on the same resamples.
    """
    value, samples = a - b, np.asarray(samples_a) - np.asarray(samples_b)
    rounding = ROUNDING * max(abs(a), abs(b))
    if abs(value) <= rounding and not (np.abs(samples) > rounding).any():
        value, samples = 0.0, np.where(np.isnan(samples), np.nan, 0.0)
    return difference(value, samples)


def difference(value: float, samples: npt.ArrayLike) -> Difference:
    """A difference with its interval and p, computed from its resamples.

    p is NaN if fewer than two resamples are defined.
    """
    samples = np.asarray(samples)
    defined = samples[np.isfinite(samples)]
    error = float(defined.std(ddof=1)) if defined.size > 1 else math.nan
    if error == 0:  # models with equal predictions differ by exactly 0 in every resample
        p = float(value == 0)
    else:
        p = math.erfc(abs(value) / error / math.sqrt(2))
    return Difference(**vars(estimate(value, samples)), p=p)


def _check_same_rows(a: Scored, b: Scored) -> None:
    if not (np.array_equal(a.measured, b.measured) and np.array_equal(a.family, b.family)):
        raise ValueError(
            f"{a.name} and {b.name} are not the same rows; only predictions for the same rows can "
            "be paired"
        )


def compare(
    aligned: AlignedSet, metric: str = "pearson", *, resamples: int = RESAMPLES, seed: int = 0
) -> Comparison:
    """Score every model of a set and compare every pair of models.

    Args:
        aligned: Predictions of the models for the same rows.
        metric: Metric for the pairs, one of :data:`~crmnet.statistics.metrics.ESTIMATES`.
        resamples: Bootstrap resamples; every model gets the same families.
        seed: Seed of the bootstrap.

    Raises:
        ValueError: If the metric is unknown, or the models were not scored on the same rows.
    """
    if metric not in ESTIMATES:
        raise ValueError(f"metric must be one of {', '.join(ESTIMATES)}; got {metric!r}")
    first = next(iter(aligned.models.values()))
    for scored in aligned.models.values():
        _check_same_rows(first, scored)
    number = resamples_for(len(first.measured), resamples)
    values = {name: point_estimates(scored) for name, scored in aligned.models.items()}
    samples = {name: resample(scored, number, seed) for name, scored in aligned.models.items()}
    pairs = [
        Pair(a, b, difference_between(values[a][metric], values[b][metric],
                                      samples[a][metric], samples[b][metric]), math.nan)
        for a, b in itertools.combinations(aligned.models, 2)
    ]  # fmt: skip
    corrected = holm([pair.difference.p for pair in pairs])
    return Comparison(
        name=aligned.name,
        n=len(first.measured),
        families=len(np.unique(first.family)),
        families_by=first.families_by,
        left_out=aligned.left_out,
        seen=aligned.seen,
        without=aligned.without,
        resamples=number,
        metric=metric,
        estimates={
            model: {name: estimate(values[model][name], samples[model][name]) for name in ESTIMATES}
            for model in aligned.models
        },
        pairs=[replace(pair, p_corrected=p) for pair, p in zip(pairs, corrected, strict=True)],
    )


def holm(p: Sequence[float]) -> list[float]:
    """P-values corrected for multiple testing (Holm 1979), in the given order; NaN stays NaN."""
    order = sorted((value, place) for place, value in enumerate(p) if not math.isnan(value))
    corrected, highest = [math.nan] * len(p), 0.0
    for rank, (value, place) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * value))
        corrected[place] = highest
    return corrected
