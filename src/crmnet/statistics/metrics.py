"""How good predictions are: metrics with intervals, per set, bootstrapped by family.

Takes sets of measured and predicted expression, which :mod:`crmnet.evaluation.score_sets` makes,
and gives what goes into ``metrics.json``. Intervals resample whole families, because rows that
derive from one another are not independent measurements.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from crmnet.arrays import Floats
from crmnet.data.leaks import Seen
from crmnet.files import write_text_atomically

METRICS = ("pearson", "spearman", "r2", "mse", "mae", "mse_affine")
WITHIN = "within_pearson"
"""Correlation of the deviations from each family's mean: the effect of a mutation."""
ESTIMATES = (*METRICS, WITHIN)
"""What :func:`bootstrap` estimates; the last is not defined where no family has two rows."""
FEWEST = 3
"""Rows below which nothing is scored."""
RESAMPLES = 1000
CONFIDENCE = 0.95
_BOOTSTRAP_WORK = 2e8
"""Rows × resamples above which fewer resamples are drawn, though never under 200."""


@dataclass(frozen=True)
class Scored:
    """One set of rows: what was measured, what was predicted, and which rows are related."""

    name: str
    measured: Floats
    predicted: Floats
    family: npt.NDArray[Any]
    """Same value, same family."""
    left_out: int = 0
    """Rows of the source that had no measured or no predicted value."""
    row: npt.NDArray[np.int64] | None = None
    """Number of each row in its data set or table, from 0; None: as they stand here."""
    unit: str | None = None
    """Of the measurements; None where nobody said it, as in a table."""
    predicted_unit: str | None = None
    """Of the predictions: that of the model's training labels."""
    families_by: str | None = None
    """What tells relatives: family, sequence, homology, or row if each row is taken to be its own
    family; None where nobody said it."""
    seen: Seen | None = None
    """Which rows the training data hold; None where nobody asked."""

    @property
    def units_differ(self) -> bool:
        """Whether R², MSE and MAE compare numbers on different scales."""
        return None not in (self.unit, self.predicted_unit) and self.unit != self.predicted_unit

    def __post_init__(self) -> None:
        if len(self.measured) < FEWEST:
            raise ValueError(
                f"{self.name}: {len(self.measured)} rows are too few to score; give at least "
                f"{FEWEST}"
            )

    def take(self, rows: npt.NDArray[Any]) -> Scored:
        """Only these rows, by number or by mask, in that order."""
        return replace(
            self,
            measured=self.measured[rows],
            predicted=self.predicted[rows],
            family=self.family[rows],
            row=None if self.row is None else self.row[rows],
            seen=None if self.seen is None else self.seen._replace(rows=self.seen.rows[rows]),
        )


@dataclass(frozen=True)
class Estimate:
    """A metric and the ends of its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


def score(measured: Floats, predicted: Floats) -> dict[str, float]:
    """The five metrics of the paper (section 2.5), and the MSE after an affine fit.

    The last is what is left when the predictions are put on the scale of the measurements by least
    squares, for sets that were measured on another scale than the training labels. R² is the
    coefficient of determination, 1 − SSE/SST, and so knows about scale and offset; the squared
    correlation does not. Correlations of constant values, and R² of constant measurements, are NaN.
    """
    sums = _moments(measured, predicted).sum(axis=0, keepdims=True)
    values = {name: float(column[0]) for name, column in _from_moments(sums).items()}
    values["spearman"] = _pearson(rankdata(measured), rankdata(predicted))
    return {name: values[name] for name in METRICS}


def _pearson(x: Floats, y: Floats) -> float:
    return float(_from_moments(_moments(x, y).sum(axis=0, keepdims=True))["pearson"][0])


def within_pearson(measured: Floats, predicted: Floats, family: npt.NDArray[Any]) -> float:
    """Pearson's r of the deviations from each family's mean; NaN if no family has two rows."""
    _, number = np.unique(family, return_inverse=True)
    sums = _moments(measured, predicted, number).sum(axis=0, keepdims=True)
    return float(_from_moments(sums)[WITHIN][0])


def _moments(
    measured: Floats, predicted: Floats, family: npt.NDArray[np.int64] | None = None
) -> Floats:
    """Per row, what sums up to every metric but ρ: ``(N, 11)``; families are numbered from 0."""
    x, y = measured - measured.mean(), predicted - predicted.mean()
    error = measured - predicted
    a, b = np.zeros_like(x), np.zeros_like(y)
    if family is not None:
        rows = np.bincount(family)
        a, b = (v - (np.bincount(family, v) / rows)[family] for v in (x, y))
    columns = [np.ones_like(x), x, y, x * x, y * y, x * y, error**2, np.abs(error)]
    return np.stack([*columns, a * a, b * b, a * b], axis=1)


def _from_moments(sums: Floats) -> dict[str, Floats]:
    """Metrics from summed moments ``(K, 11)``, one value for each of K (re)samples."""
    n, x, y, xx, yy, xy, squared, absolute, within_xx, within_yy, within_xy = sums.T
    spread_x, spread_y = _spread(xx - x * x / n, xx), _spread(yy - y * y / n, yy)
    shared = xy - x * y / n
    # The best line through constant predictions is the mean of the measurements.
    explained = np.where(np.isnan(spread_y), 0.0, shared**2 / spread_y)
    within = _spread(within_xx, xx) * _spread(within_yy, yy)
    return {
        "pearson": shared / np.sqrt(spread_x * spread_y),
        "r2": 1 - squared / spread_x,
        "mse": squared / n,
        "mae": absolute / n,
        "mse_affine": np.maximum(xx - x * x / n - explained, 0.0) / n,
        WITHIN: within_xy / np.sqrt(within),
    }


def _spread(squares: Floats, scale: Floats) -> Floats:
    """Sums of squares, NaN where they are but the rounding of constant values."""
    return np.where(squares > 1e-12 * np.maximum(scale, 1e-300), squares, np.nan)


def bootstrap(scored: Scored, *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Estimate]:
    """The metrics with percentile intervals from resampled families.

    Each resample draws as many families as there are, with replacement, and takes all their rows.
    Spearman's ρ is computed on the resampled ranks themselves. Very large sets draw fewer
    resamples (see :func:`resamples_for`). A set of one family has no intervals: NaN.
    """
    values = values_of(scored)
    samples = resample(scored, resamples_for(len(scored.measured), resamples), seed)
    return {name: estimate(values[name], samples[name]) for name in ESTIMATES}


def values_of(scored: Scored) -> dict[str, float]:
    """Every one of :data:`ESTIMATES` on the rows as they are."""
    values = score(scored.measured, scored.predicted)
    return {**values, WITHIN: within_pearson(scored.measured, scored.predicted, scored.family)}


def estimate(value: float, samples: Floats) -> Estimate:
    """A value with the percentile interval of its resamples, those not defined left out."""
    defined = samples[np.isfinite(samples)]
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(defined, [tail, 100 - tail]) if defined.size else (np.nan,) * 2
    return Estimate(value, float(low), float(high))


def resample(
    scored: Scored, resamples: int = RESAMPLES, seed: int = 0, *, ranks: bool = True
) -> dict[str, Floats]:
    """Each metric on each resample of the families: ``(resamples,)`` for each name.

    Sets of the same families and seed draw the same ones, so differences between two models on one
    set are paired. Of one family alone nothing can be resampled: all NaN.

    Args:
        scored: The set.
        resamples: How many to draw.
        seed: Decides the draws.
        ranks: Compute ρ as well, which takes longer than all the rest.
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
        drawn = np.bincount(rng.integers(n_families, size=n_families), minlength=n_families)
        sums[k] = drawn @ per_family
        if ranks:
            weight = drawn[family]
            rho[k] = weighted_pearson(measured.ranks(weight), predicted.ranks(weight), weight)
    return {**_from_moments(sums), "spearman": rho}


def resamples_for(rows: int, wanted: int = RESAMPLES) -> int:
    """Resamples drawn for a set of that many rows: ``wanted``, fewer above 200,000 rows."""
    return min(wanted, max(200, int(_BOOTSTRAP_WORK / rows)))


class WeightedRanks:
    """Mid-ranks of values that each stand there ``weight`` times, without sorting again."""

    def __init__(self, values: Floats) -> None:
        _, self.group = np.unique(values, return_inverse=True)

    def ranks(self, weight: npt.NDArray[np.int64]) -> Floats:
        in_group = np.bincount(self.group, weight)
        middle = np.cumsum(in_group) - (in_group - 1) / 2
        return middle[self.group]


def weighted_pearson(x: Floats, y: Floats, weight: npt.NDArray[np.int64]) -> float:
    """Pearson's r of values that each stand there ``weight`` times."""
    total = weight.sum()
    x, y = x - (weight @ x) / total, y - (weight @ y) / total
    spread = (weight @ (x * x)) * (weight @ (y * y))
    return float((weight @ (x * y)) / math.sqrt(spread)) if spread > 0 else math.nan


def noise_ceiling(
    replicates: Scored, *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Estimate]:
    """How well replicates agree, and the r that a perfect model would reach.

    Args:
        replicates: One replicate as measured, the other as predicted.
        resamples: Bootstrap resamples.
        seed: Decides the draws.

    Returns:
        ``replicates``, their r; ``single``, √r, the ceiling against one of them; and ``mean``,
        √(2r / (1 + r)), the ceiling against the mean of both (Spearman and Brown), for errors that
        are independent. NaN where r is negative.
    """
    r = np.float64(values_of(replicates)["pearson"])
    samples = resample(replicates, resamples, seed, ranks=False)["pearson"]
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "replicates": estimate(float(r), samples),
            "single": estimate(float(np.sqrt(r)), np.sqrt(samples)),
            "mean": estimate(float(np.sqrt(2 * r / (1 + r))), np.sqrt(2 * samples / (1 + samples))),
        }


def summarise(
    sets: Sequence[Scored], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Any]:
    """What ``metrics.json`` holds: for each set n, families, and each metric with its interval.

    Where it is known which rows the training data hold, ``against`` holds the same for the rows
    ``seen`` and those ``unseen``, the number alone where they are fewer than 3.

    Raises:
        ValueError: If two sets have the same name, for one would take the other's place.
    """
    summary: dict[str, Any] = {}
    for scored in sets:
        if scored.name in summary:
            raise ValueError(f"two sets are named {scored.name!r}; rename one, or score it apart")
        found = _counted_and_scored(scored, resamples, seed)
        n, families = found.pop("n"), found.pop("families")
        summary[scored.name] = {
            "n": n,
            "families": families,
            "families_by": scored.families_by,
            "left_out": scored.left_out,
            "unit": scored.unit,
            "predicted_unit": scored.predicted_unit,
            **found,
        }
        if scored.seen is not None:
            parts = {"seen": scored.seen.rows, "unseen": ~scored.seen.rows}
            summary[scored.name]["against"] = {
                "data": scored.seen.data,
                "level": scored.seen.level,
                **{
                    name: _counted_and_scored(scored.take(rows), resamples, seed)
                    if rows.sum() >= FEWEST
                    else {"n": int(rows.sum())}
                    for name, rows in parts.items()
                },
            }
    return {"sets": summary}


def _counted_and_scored(scored: Scored, resamples: int, seed: int) -> dict[str, Any]:
    estimates = bootstrap(scored, resamples=resamples, seed=seed)
    return {
        "n": len(scored.measured),
        "families": len(np.unique(scored.family)),
        "resamples": resamples_for(len(scored.measured), resamples),
        **{
            name: {key: finite(value) for key, value in vars(estimate).items()}
            for name, estimate in estimates.items()
        },
    }


def finite(value: float) -> float | None:
    """JSON has no NaN: what is not defined is null."""
    return value if math.isfinite(value) else None


def save_metrics(folder: Path, summary: dict[str, Any]) -> None:
    """Write ``metrics.json``."""
    write_text_atomically(folder / "metrics.json", json.dumps(summary, indent=2) + "\n")
