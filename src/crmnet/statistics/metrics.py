"""Accuracy metrics of predictions, with confidence intervals bootstrapped by family.

:func:`summarise` takes sets of measured and predicted expression, which
:mod:`crmnet.evaluation.score_sets` creates, and returns the contents of ``metrics.json``. Intervals
resample complete families, because rows derived from one another are not independent measurements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from crmnet.arrays import Floats
from crmnet.data.leaks import Seen

METRICS = ("pearson", "spearman", "r2", "mse", "mae", "mse_affine")
"""Names of the metrics of :func:`score`."""
WITHIN = "within_pearson"
"""Pearson's r of the deviations from each family's mean: accuracy of the effects of mutations."""
ESTIMATES = (*METRICS, WITHIN)
"""Names of the metrics of :func:`bootstrap`; the last is NaN if no family has two rows."""
MIN_ROWS = 3
"""Smallest number of rows that can be scored."""
RESAMPLES = 1000
"""Default number of bootstrap resamples."""
CONFIDENCE = 0.95
"""Nominal coverage of all intervals."""
MAX_BOOTSTRAP_WORK = 2e8
"""Largest product of rows and resamples; larger sets use fewer resamples, but at least 200."""


@dataclass(frozen=True)
class Scored:
    """Measured and predicted values of a set of rows, and the families of the rows."""

    name: str
    measured: Floats
    predicted: Floats
    family: npt.NDArray[Any]
    """Family of each row; equal values mean the same family."""
    left_out: int = 0
    """Number of rows in the source without a measured or predicted value."""
    row: npt.NDArray[np.int64] | None = None
    """Number of each row in its data set or table, from 0; None means 0 … n−1."""
    unit: str | None = None
    """Unit of the measurements; None if unknown, as for a table."""
    predicted_unit: str | None = None
    """Unit of the predictions: that of the model's training labels."""
    families_by: str | None = None
    """How families are defined: ``family``, ``sequence``, ``homology``, or ``row`` if each row is
    its own family; None if unknown."""
    seen: Seen | None = None
    """Which rows occur in the training data; None if this was not checked."""
    ids: npt.NDArray[Any] | None = None
    """``(N,)``, id of each row in its file; None if it has none."""
    sequences: npt.NDArray[Any] | None = None
    """``(N,)``, the insert of each row; None if unknown, as for a table of predictions."""

    @property
    def units_differ(self) -> bool:
        """Whether R², MSE and MAE compare numbers on different scales."""
        return None not in (self.unit, self.predicted_unit) and self.unit != self.predicted_unit

    def __post_init__(self) -> None:
        for name, kind in (("measured", np.float64), ("predicted", np.float64), ("family", None)):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=kind))
        if not len(self.measured) == len(self.predicted) == len(self.family):
            raise ValueError(
                f"{self.name}: measured, predicted and family must have the same length; got "
                f"{len(self.measured)}, {len(self.predicted)} and {len(self.family)}"
            )
        if len(self.measured) < MIN_ROWS:
            raise ValueError(
                f"{self.name}: {len(self.measured)} rows are too few to score; give at least "
                f"{MIN_ROWS}"
            )

    def take(self, rows: npt.ArrayLike) -> Scored:
        """The set with only these rows, given as numbers or as a mask, in this order."""
        rows = np.asarray(rows)
        return replace(
            self,
            measured=self.measured[rows],
            predicted=self.predicted[rows],
            family=self.family[rows],
            row=None if self.row is None else self.row[rows],
            ids=None if self.ids is None else self.ids[rows],
            sequences=None if self.sequences is None else self.sequences[rows],
            seen=None if self.seen is None else self.seen._replace(rows=self.seen.rows[rows]),
        )


@dataclass(frozen=True)
class Estimate:
    """A metric and the ends of its 95 % interval; NaN if undefined."""

    value: float
    low: float
    high: float


def score(measured: npt.ArrayLike, predicted: npt.ArrayLike) -> dict[str, float]:
    """The five metrics of the paper (section 2.5), and the MSE after an affine fit.

    ``mse_affine`` is the MSE after a least-squares fit of scale and offset, for sets measured on
    another scale than the training labels. R² is the coefficient of determination, 1 − SSE/SST.
    Unlike the squared correlation it depends on scale and offset.

    Returns:
        Name of :data:`METRICS` → value. Correlations of constant values, and R² of constant
        measurements, are NaN.
    """
    measured, predicted = (np.asarray(v, dtype=np.float64) for v in (measured, predicted))
    sums = _moments(measured, predicted).sum(axis=0, keepdims=True)
    values = {name: float(column[0]) for name, column in _from_moments(sums).items()}
    values["spearman"] = _pearson(rankdata(measured), rankdata(predicted))
    return {name: values[name] for name in METRICS}


def _pearson(x: Floats, y: Floats) -> float:
    """Pearson's r; NaN if one of the arrays is constant."""
    return float(_from_moments(_moments(x, y).sum(axis=0, keepdims=True))["pearson"][0])


def within_pearson(
    measured: npt.ArrayLike, predicted: npt.ArrayLike, family: npt.ArrayLike
) -> float:
    """Pearson's r of the deviations from each family's mean; NaN if no family has two rows."""
    measured, predicted = (np.asarray(v, dtype=np.float64) for v in (measured, predicted))
    _, number = np.unique(np.asarray(family), return_inverse=True)
    sums = _moments(measured, predicted, number).sum(axis=0, keepdims=True)
    return float(_from_moments(sums)[WITHIN][0])


def _moments(
    measured: Floats, predicted: Floats, family: npt.NDArray[np.int64] | None = None
) -> Floats:
    """Terms of each row ``(N, 11)`` whose sums determine every metric except ρ.

    ``family`` is the number of each row's family, from 0. If it is None, the terms within families
    are 0.
    """
    x, y = measured - measured.mean(), predicted - predicted.mean()
    error = measured - predicted
    a, b = np.zeros_like(x), np.zeros_like(y)
    if family is not None:
        rows = np.bincount(family)
        a, b = (v - (np.bincount(family, v) / rows)[family] for v in (x, y))
    columns = [np.ones_like(x), x, y, x * x, y * y, x * y, error**2, np.abs(error)]
    return np.stack([*columns, a * a, b * b, a * b], axis=1)


def _from_moments(sums: Floats) -> dict[str, Floats]:
    """Metrics from summed terms ``(K, 11)``: one value for each of K samples or resamples."""
    n, x, y, xx, yy, xy, squared, absolute, within_xx, within_yy, within_xy = sums.T
    spread_x, spread_y = spread(xx - x * x / n, xx), spread(yy - y * y / n, yy)
    shared = xy - x * y / n
    # The best line through constant predictions is the mean of the measurements.
    explained = np.where(np.isnan(spread_y), 0.0, shared**2 / spread_y)
    within = spread(within_xx, xx) * spread(within_yy, yy)
    return {
        "pearson": shared / np.sqrt(spread_x * spread_y),
        "r2": 1 - squared / spread_x,
        "mse": squared / n,
        "mae": absolute / n,
        "mse_affine": np.maximum(xx - x * x / n - explained, 0.0) / n,
        WITHIN: within_xy / np.sqrt(within),
    }


def spread(squares: Floats, scale: Floats) -> Floats:
    """Sums of squares, with NaN instead of the rounding errors of constant values.

    Args:
        squares: Sums of squared deviations from the mean.
        scale: Sums of the squares themselves, of which rounding errors are a small part.
    """
    return np.where(squares > 1e-12 * np.maximum(scale, 1e-300), squares, np.nan)


def bootstrap(scored: Scored, *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Estimate]:
    """Name of :data:`ESTIMATES` → its value with a percentile interval from resampled families.

    Each resample samples families with replacement, as many as the set has, and takes all their
    rows. Spearman's ρ is computed from ranks within the resample. Very large sets use fewer
    resamples (:func:`resamples_for`). The intervals of a set with one family are NaN.
    """
    values = point_estimates(scored)
    samples = resample(scored, resamples_for(len(scored.measured), resamples), seed)
    return {name: estimate(values[name], samples[name]) for name in ESTIMATES}


def point_estimates(scored: Scored) -> dict[str, float]:
    """Name of :data:`ESTIMATES` → its value for the set itself, without an interval."""
    values = score(scored.measured, scored.predicted)
    return {**values, WITHIN: within_pearson(scored.measured, scored.predicted, scored.family)}


def estimate(value: float, samples: npt.ArrayLike) -> Estimate:
    """A value with the percentile interval of its resamples; undefined resamples are ignored."""
    samples = np.asarray(samples)
    defined = samples[np.isfinite(samples)]
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(defined, [tail, 100 - tail]) if defined.size else (np.nan,) * 2
    return Estimate(value, float(low), float(high))


def resample(
    scored: Scored, resamples: int = RESAMPLES, seed: int = 0, *, ranks: bool = True
) -> dict[str, Floats]:
    """Metrics on each resample of the families: name → ``(resamples,)``.

    Sets with the same families and seed get the same resamples, so that differences between two
    models on one set are paired. With a single family all values are NaN.

    Args:
        scored: The set.
        resamples: Number of resamples.
        seed: Seed of the resampling.
        ranks: Compute Spearman's ρ too, which takes longer than all other metrics together; False
            gives NaN.
    """
    _, family = np.unique(scored.family, return_inverse=True)
    n_families = int(family.max()) + 1
    if n_families == 1:
        return {name: np.full(resamples, np.nan) for name in ESTIMATES}
    rng = np.random.default_rng(seed)
    statistics = _moments(scored.measured, scored.predicted, family)
    per_family = np.stack(
        [np.bincount(family, column, n_families) for column in statistics.T], axis=1
    )
    measured, predicted = WeightedRanks(scored.measured), WeightedRanks(scored.predicted)
    sums, rho = np.empty((resamples, statistics.shape[1])), np.full(resamples, np.nan)
    for k in range(resamples):
        counts = np.bincount(rng.integers(n_families, size=n_families), minlength=n_families)
        sums[k] = counts @ per_family
        if ranks:
            weight = counts[family]
            rho[k] = weighted_pearson(measured.ranks(weight), predicted.ranks(weight), weight)
    return {**_from_moments(sums), "spearman": rho}


def resamples_for(rows: int, requested: int = RESAMPLES) -> int:
    """Number of resamples for this many rows: ``requested``, or fewer above 200,000 rows."""
    return min(requested, max(200, int(MAX_BOOTSTRAP_WORK / rows)))


class WeightedRanks:
    """Mid-ranks of values, for any numbers of occurrences; the values are sorted only once."""

    def __init__(self, values: Floats) -> None:
        _, self.group = np.unique(values, return_inverse=True)

    def ranks(self, weight: npt.NDArray[np.int64]) -> Floats:
        """Mid-rank of each value, ``(N,)``, if it occurs ``weight`` ``(N,)`` times."""
        in_group = np.bincount(self.group, weight)
        middle = np.cumsum(in_group) - (in_group - 1) / 2
        return middle[self.group]


def weighted_pearson(x: Floats, y: Floats, weight: npt.NDArray[np.int64]) -> float:
    """Pearson's r of values that occur ``weight`` times each; NaN if one is constant."""
    total = weight.sum()
    scale_x, scale_y = weight @ (x * x), weight @ (y * y)
    x, y = x - (weight @ x) / total, y - (weight @ y) / total
    squares = spread(weight @ (x * x), scale_x) * spread(weight @ (y * y), scale_y)
    return float((weight @ (x * y)) / np.sqrt(squares))


def noise_ceiling(
    replicates: Scored, *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Estimate]:
    """Correlation between replicates, and the r that a perfect model would reach.

    Args:
        replicates: One replicate as measured, the other as predicted values.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling.

    Returns:
        ``replicates``: r of the two replicates. ``single``: √r, the highest r with one replicate.
        ``mean``: √(2r / (1 + r)), the highest r with the mean of both (Spearman–Brown). The errors
        of the replicates are assumed to be independent. NaN for negative r; resamples with
        negative r count as 0, so that replicates that do not agree have a lower end of 0.
    """
    r = np.float64(point_estimates(replicates)["pearson"])
    samples = resample(replicates, resamples, seed, ranks=False)["pearson"]
    clipped = np.maximum(samples, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "replicates": estimate(float(r), samples),
            "single": estimate(float(np.sqrt(r)), np.sqrt(clipped)),
            "mean": estimate(float(np.sqrt(2 * r / (1 + r))), np.sqrt(2 * clipped / (1 + clipped))),
        }


def summarise(
    sets: Sequence[Scored], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Any]:
    """Contents of ``metrics.json``: for each set n, families, and each metric with its interval.

    If ``Scored.seen`` is known, ``against`` contains the same for the ``seen`` and the ``unseen``
    rows, or only their number if there are fewer than 3.

    Raises:
        ValueError: If two sets have the same name.
    """
    summary: dict[str, Any] = {}
    for scored in sets:
        if scored.name in summary:
            raise ValueError(
                f"two sets are named {scored.name!r}; rename one, or score it separately"
            )
        values = _counts_and_estimates(scored, resamples, seed)
        n, families = values.pop("n"), values.pop("families")
        summary[scored.name] = {
            "n": n,
            "families": families,
            "families_by": scored.families_by,
            "left_out": scored.left_out,
            "unit": scored.unit,
            "predicted_unit": scored.predicted_unit,
            **values,
        }
        if scored.seen is not None:
            subsets = {"seen": scored.seen.rows, "unseen": ~scored.seen.rows}
            summary[scored.name]["against"] = {
                "data": scored.seen.data,
                "level": scored.seen.level,
                **{
                    name: _counts_and_estimates(scored.take(rows), resamples, seed)
                    if rows.sum() >= MIN_ROWS
                    else {"n": int(rows.sum())}
                    for name, rows in subsets.items()
                },
            }
    return {"sets": summary}


def _counts_and_estimates(scored: Scored, resamples: int, seed: int) -> dict[str, Any]:
    """Entries of a set in ``metrics.json``: numbers of rows and families, and the metrics."""
    estimates = bootstrap(scored, resamples=resamples, seed=seed)
    return {
        "n": len(scored.measured),
        "families": len(np.unique(scored.family)),
        "resamples": resamples_for(len(scored.measured), resamples),
        **{
            name: {key: none_if_undefined(value) for key, value in vars(estimate).items()}
            for name, estimate in estimates.items()
        },
    }


def none_if_undefined(value: float) -> float | None:
    """The value, or None if it is NaN or infinite: JSON has no NaN."""
    return value if math.isfinite(value) else None
