"""How far to trust a prediction: its interval, its place among native promoters, unlike inputs.

A :class:`Calibration` holds what was found on held-out rows (:mod:`crmnet.evaluation.calibrate`
finds it, the model's card keeps it); :func:`judge` applies it to new predictions. Arrays in, arrays
out.

Intervals are conformal (Vovk et al. 2005; Lei et al. 2018), normalised by how far the members
of an ensemble disagree: prediction ± quantile × (base + slope × spread).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from crmnet.arrays import Floats
from crmnet.sequence import N_TOKEN, Tokens, find_adapters, sequence_lengths

Expression = npt.NDArray[np.float32]
BASES = 4


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Interval(_Frozen):
    """Half the width of one medium's intervals: ``quantile × (base + slope × spread)``."""

    base: float = Field(gt=0)
    """Expected error, in the medium's unit, where the members agree."""
    slope: float = Field(ge=0)
    """Error to expect for each unit of spread between the members."""
    quantile: float = Field(ge=0)
    rows: int
    families: int
    """Held-out families that the quantile is from."""

    def half_width(self, spread: npt.ArrayLike) -> Floats:
        """Half the width at each spread."""
        return self.quantile * (self.base + self.slope * np.asarray(spread, dtype=np.float64))


class Coverage(_Frozen):
    """How often measurements of a test set lay inside their intervals."""

    n: int
    families: int
    value: float
    low: float | None
    high: float | None
    """Ends of the 95 % interval, bootstrapped by family; None for a single family."""
    width: float
    """Median width of the intervals, in the medium's unit."""
    unlike: float
    """Share of the set's rows that are marked as unlike the training data."""


class Familiar(_Frozen):
    """What held-out rows of the training data look like, and where unlike begins.

    Each limit is a quantile over held-out rows; see :func:`unlike` for the reasons it gives.
    """

    lengths: tuple[int, int]
    """Shortest and longest construct, adapters counted."""
    unknown: int
    """Most N within a sequence."""
    pairs: list[float]
    """Mean share of each of the 16 pairs of neighbouring bases, AA, AC, … TT."""
    precision: list[list[float]]
    """Inverse of their covariance, slightly shrunk towards a sphere: ``(16, 16)``."""
    composition: float
    """Largest Mahalanobis distance of a sequence's pairs from the mean."""
    spread: dict[str, float]
    """Largest spread of the members in each medium; none where there is just one view."""


class Calibration(_Frozen):
    """What a card says about trust; every part is from rows that no member was trained on."""

    level: float = Field(gt=0, lt=1)
    """Share of measurements that an interval shall hold."""
    data: dict[str, Any]
    """Name, fingerprint and rows of the held-out set."""
    intervals: dict[str, Interval]
    familiar: Familiar
    native: dict[str, list[float]] = {}
    """For each medium, the predicted expression of native promoters at evenly spaced quantiles."""
    native_data: dict[str, Any] = {}
    """Name and number of those promoters."""


class Trust(NamedTuple):
    """What :func:`judge` says of N predictions; NaN where a medium was not calibrated."""

    low: Expression
    """``(N, M)``, lower end of the interval."""
    high: Expression
    percentile: Expression | None
    """``(N, M)``, 0–100, among native promoters; None without native promoters in the card."""
    unlike: list[str]
    """For each sequence, why it is unlike the training data, joined by ``;``; else empty."""


def judge(
    calibration: Calibration,
    media: Sequence[str],
    tokens: Tokens,
    expression: npt.NDArray[np.floating[Any]],
    spread: npt.NDArray[np.floating[Any]],
) -> Trust:
    """Intervals, percentiles and flags.

    Args:
        calibration: From the model's card.
        media: Names of the M outputs.
        tokens: ``(N, L)``, prepared.
        expression: ``(N, M)``, predicted.
        spread: ``(N, M)``, standard deviation over the ensemble's views.
    """
    half = np.full(expression.shape, np.nan)
    percentile = np.full(expression.shape, np.nan)
    for m, medium in enumerate(media):
        if medium in calibration.intervals:
            half[:, m] = calibration.intervals[medium].half_width(spread[:, m])
        if medium in calibration.native:
            percentile[:, m] = percentile_of(expression[:, m], calibration.native[medium])
    spreads = {medium: spread[:, m] for m, medium in enumerate(media)}
    return Trust(
        low=(expression - half).astype(np.float32),
        high=(expression + half).astype(np.float32),
        percentile=percentile.astype(np.float32) if calibration.native else None,
        unlike=[";".join(reasons) for reasons in unlike(calibration.familiar, tokens, spreads)],
    )


def percentile_of(values: npt.ArrayLike, quantiles: Sequence[float]) -> Floats:
    """Where values lie among evenly spaced quantiles, 0–100; linear between two of them."""
    places = np.linspace(0, 100, len(quantiles))
    return np.interp(np.asarray(values, dtype=np.float64), np.asarray(quantiles), places)


def conformal_quantile(scores: npt.ArrayLike, family: npt.NDArray[Any], level: float) -> float:
    """The score that a new family's row stays below with probability ``level`` or more.

    Every family counts one, shared evenly by its rows, and the new one counts as well, at infinity.
    Where each row is its own family this is the ⌈(n + 1) level⌉-th smallest score, whose coverage
    is guaranteed for exchangeable scores whatever their distribution; with larger families the
    guarantee is approximate (Dunn, Wasserman & Ramdas 2023).

    Raises:
        ValueError: If there are too few families to promise that level.
    """
    scores = np.asarray(scores, dtype=np.float64)
    _, number, sizes = np.unique(family, return_inverse=True, return_counts=True)
    needed = (len(sizes) + 1) * level
    if needed > len(sizes):
        least = math.ceil(level / (1 - level) - 1e-9)
        raise ValueError(
            f"{len(sizes)} held-out families are too few for {level:.0%} intervals; "
            f"give at least {least}"
        )
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(1 / sizes[number[order]])
    # The sum of thirds may fall short of a whole number by a rounding.
    return float(scores[order][np.searchsorted(reached, needed - 1e-9)])


def fit_difficulty(error: Floats, spread: Floats) -> tuple[float, float]:
    """Base and slope of the absolute error as a function of the spread, neither negative.

    Least squares; where the spread says nothing about the error, or does not vary, the slope is 0
    and the base the mean error.
    """
    error = np.abs(error)
    floor = 1e-6 + 0.05 * float(error.mean())  # no interval may shrink to nothing
    variance = float(spread.var())
    if variance <= 1e-12:
        return max(float(error.mean()), floor), 0.0
    slope = float(((spread - spread.mean()) * (error - error.mean())).mean()) / variance
    base = float(error.mean()) - slope * float(spread.mean())
    if slope <= 0:
        return max(float(error.mean()), floor), 0.0
    if base < floor:  # through the floor instead
        slope = max(0.0, float(((error - floor) * spread).sum() / (spread**2).sum()))
        base = floor
    return base, slope


def fit_familiar(tokens: Tokens, spread: Mapping[str, Floats], tail: float) -> Familiar:
    """Limits that a share ``tail`` of these held-out rows pass, for each reason by itself.

    Args:
        tokens: ``(N, L)``, prepared.
        spread: Medium → ``(N,)``; spreads that are all 0 set no limit.
        tail: Such as 0.005.
    """
    lengths = sequence_lengths(tokens)
    pairs = pair_shares(tokens)
    covariance = np.cov(pairs, rowvar=False)
    shrunk = covariance + 0.01 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    mean, precision = pairs.mean(axis=0), np.linalg.inv(shrunk)
    low, high = np.quantile(lengths, [tail / 2, 1 - tail / 2])
    return Familiar(
        lengths=(int(low), int(high)),
        unknown=int(np.quantile(_unknown(tokens, lengths), 1 - tail)),
        pairs=mean.tolist(),
        precision=precision.tolist(),
        composition=float(np.quantile(_distance(pairs, mean, precision), 1 - tail)),
        spread={m: float(np.quantile(s, 1 - tail)) for m, s in spread.items() if s.any()},
    )


def unlike(familiar: Familiar, tokens: Tokens, spread: Mapping[str, Any]) -> list[list[str]]:
    """Why each row is unlike the training data.

    ``length``: shorter or longer than nearly all of them; ``N``: more unknown bases; ``adapters``:
    it does not begin and end with the reporter's adapters; ``composition``: its neighbouring
    bases pair otherwise (too rich in G + C or A + T, or repeats); ``disagreement``: the members of
    the ensemble disagree more than they do on held-out rows.
    """
    lengths = sequence_lengths(tokens)
    distance = _distance(
        pair_shares(tokens), np.asarray(familiar.pairs), np.asarray(familiar.precision)
    )
    disagreement = np.zeros(len(tokens), dtype=bool)
    for medium, limit in familiar.spread.items():
        if medium in spread:
            disagreement |= spread[medium] > limit
    reasons = {
        "length": (lengths < familiar.lengths[0]) | (lengths > familiar.lengths[1]),
        "N": _unknown(tokens, lengths) > familiar.unknown,
        "adapters": ~np.logical_and(*find_adapters(tokens, stop=lengths)),
        "composition": distance > familiar.composition,
        "disagreement": disagreement,
    }
    names = list(reasons)
    return [
        [names[i] for i in np.nonzero(row)[0]] for row in np.stack(list(reasons.values()), axis=1)
    ]


def pair_shares(tokens: Tokens) -> Floats:
    """Share of each pair of neighbouring bases among the known pairs of each row: ``(N, 16)``."""
    left, right = tokens[:, :-1], tokens[:, 1:]
    known = (left < N_TOKEN) & (right < N_TOKEN)
    pair = np.where(known, left * np.uint8(BASES) + right, np.uint8(BASES**2))
    counts = np.stack([(pair == p).sum(axis=1) for p in range(BASES**2)], axis=1)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _distance(pairs: Floats, mean: Floats, precision: Floats) -> Floats:
    away = pairs - mean
    return np.sqrt(np.einsum("np,pq,nq->n", away, precision, away))


def _unknown(tokens: Tokens, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    inside = np.arange(tokens.shape[1]) < lengths[:, None]
    return ((tokens == N_TOKEN) & inside).sum(axis=1)
