"""Uncertainty of predictions: intervals, percentiles among native promoters, unusual inputs.

:func:`assess_predictions` takes tokens, predictions and the ensemble's spread, and returns interval
ends, percentiles and flags to :mod:`crmnet.prediction.predictor`. Its parameters are a
:class:`Calibration`, which :mod:`crmnet.evaluation.calibrate` fits on held-out rows and a model's
card stores.

Intervals are conformal (Vovk et al. 2005; Lei et al. 2018), normalised by an expected error, which
grows with the disagreement of the ensemble members and with the distance of the sequence's
composition from that of the training data: prediction ± quantile × (base + slope × spread +
distance_slope × distance).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from crmnet.arrays import Floats
from crmnet.sequence import N_TOKEN, Tokens, as_tokens, find_adapters, sequence_lengths

Expression = npt.NDArray[np.float32]
BASES = 4

FLAGS: Mapping[str, str] = {
    "length": "The construct is shorter or longer than nearly all of the training data.",
    "unknown": "The sequence has more unknown bases (N) than nearly all of the training data.",
    "adapters": "The construct does not start and end with the reporter's adapters, with at most "
    "two mismatches in each, as the held-out rows do.",
    "composition": "The bases or their neighbours have unusual frequencies: rich in G + C or A + "
    "T, or a repeat.",
    "disagreement": "The members of the ensemble disagree more than on nearly all held-out "
    "promoters.",
    "range": "The prediction is lower or higher than every measured value of the held-out rows, so "
    "the model extrapolates.",
}
"""Flag → one sentence on why a prediction may be less certain than its interval suggests."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Interval(_Frozen):
    """Intervals of one medium: half width = quantile × expected error (:class:`ExpectedError`)."""

    base: float = Field(gt=0)
    """Expected error, in the medium's unit, if the members agree."""
    slope: float = Field(ge=0)
    """Expected additional error for each unit of spread of the members."""
    distance_slope: float = Field(default=0.0, ge=0)
    """Expected additional error for each unit of :func:`composition_distance`."""
    quantile: float = Field(ge=0)
    rows: int
    families: int
    """Number of held-out families from which the quantile is computed."""

    def half_width(self, spread: npt.ArrayLike, distance: npt.ArrayLike = 0.0) -> Floats:
        """Half the width of the interval at each spread and distance."""
        expected = ExpectedError(self.base, self.slope, self.distance_slope)
        return self.quantile * expected.at(spread, distance)

    def width_text(self) -> str:
        """Half the width as a formula for the model card, such as ``± 1.20 + 0.50 × spread``."""
        terms = {"spread": self.slope, "distance": self.distance_slope}
        factors = [f" + {self.quantile * v:.2f} × {name}" for name, v in terms.items() if v]
        return f"± {self.quantile * self.base:.2f}{''.join(factors)}"


class ExpectedError(NamedTuple):
    """Expected absolute error of a prediction: base + slope × spread + distance_slope × distance.

    Spread is the standard deviation over members and strands; distance is that of the composition
    (:func:`composition_distance`).
    """

    base: float
    slope: float
    distance_slope: float = 0.0

    def at(self, spread: npt.ArrayLike, distance: npt.ArrayLike = 0.0) -> Floats:
        """The expected error at each spread and distance, in the medium's unit."""
        spread, distance = np.asarray(spread, np.float64), np.asarray(distance, np.float64)
        return self.base + self.slope * spread + self.distance_slope * distance


class Coverage(_Frozen):
    """Fraction of the measurements of a test set inside their intervals."""

    n: int
    families: int
    value: float
    """The fraction."""
    low: float | None
    high: float | None
    """Ends of the 95 % interval, bootstrapped by family; None for a single family, and of
    differences also for two."""
    width: float
    """Median width of the intervals, in the medium's unit."""
    unlike: float
    """Fraction of the set's rows flagged as unlike the training data."""


class InputLimits(_Frozen):
    """Limits beyond which an input is flagged as unlike the training data.

    Each limit is a quantile over held-out rows of the training data; see :func:`reasons_unlike`.
    """

    lengths: tuple[int, int]
    """Shortest and longest construct, in bases, with adapters."""
    unknown: int
    """Largest number of N within a sequence."""
    pairs: list[float]
    """Mean fraction of each of the 16 pairs of neighbouring bases, AA, AC, … TT."""
    precision: list[list[float]]
    """Inverse covariance of the fractions, slightly shrunk towards a sphere: ``(16, 16)``."""
    composition: float
    """Largest Mahalanobis distance of a sequence's fractions from the mean."""
    spread: dict[str, float]
    """Largest spread of the members in each medium; empty for one member and one strand."""
    adapters: bool = True
    """Whether a construct without both adapters is flagged; not if most held-out rows lack them."""
    measured: dict[str, tuple[float, float]] = {}
    """Lowest and highest measured value in each medium; empty if the card does not know them."""


class Calibration(_Frozen):
    """Uncertainty parameters of a model, all from rows on which no member was trained."""

    level: float = Field(gt=0, lt=1)
    """Fraction of measurements that intervals should contain."""
    data: dict[str, Any]
    """Name, fingerprint and number of rows of the held-out set."""
    intervals: dict[str, Interval]
    familiar: InputLimits
    native: dict[str, list[float]] = {}
    """Medium → evenly spaced quantiles of the predicted expression of native promoters."""
    native_data: dict[str, Any] = {}
    """Name and number of these promoters."""
    unlike_intervals: dict[str, Interval] = {}
    """Medium → interval from the held-out rows that are flagged; without it, a flagged prediction
    has no interval."""
    unlike_data: dict[str, Any] = {}
    """Name, fingerprint and number of rows of the held-out set that is unlike the training data,
    from which intervals learn to widen; empty if there was none."""


class Trust(NamedTuple):
    """Uncertainty of N predictions for M media; NaN for a medium without calibration."""

    low: Expression
    """``(N, M)``, lower end of the interval."""
    high: Expression
    """``(N, M)``, upper end of the interval."""
    percentile: Expression | None
    """``(N, M)``, percentile 0–100 among native promoters; None if the card has none."""
    unlike: list[str]
    """For each sequence the reasons why it is unlike the training data, joined by ``;``."""


def assess_predictions(
    calibration: Calibration,
    media: Sequence[str],
    tokens: npt.ArrayLike,
    expression: npt.ArrayLike,
    spread: npt.ArrayLike,
) -> Trust:
    """Intervals, percentiles and flags of predictions.

    A flagged prediction has the wider interval of the card's ``unlike_intervals``, or NaN if the
    card has none: the interval of ordinary promoters does not hold for it.

    Args:
        calibration: Parameters from the model's card.
        media: Names of the M outputs.
        tokens: ``(N, L)``, prepared.
        expression: ``(N, M)``, predicted.
        spread: ``(N, M)``, standard deviation over the ensemble's members and strands.
    """
    expression, spread = np.asarray(expression), np.asarray(spread)
    half_widths = np.full(expression.shape, np.nan)
    percentile = np.full(expression.shape, np.nan)
    reasons = reasons_unlike(
        calibration.familiar, tokens, by_medium(media, spread), by_medium(media, expression)
    )
    flagged = np.array([bool(reasons_of_row) for reasons_of_row in reasons], dtype=bool)
    distance = composition_distance(calibration.familiar, tokens)
    for m, medium in enumerate(media):
        if medium in calibration.intervals:
            usual = calibration.intervals[medium].half_width(spread[:, m], distance)
            wide = np.full(len(usual), np.nan)
            if medium in calibration.unlike_intervals:
                wider = calibration.unlike_intervals[medium].half_width(spread[:, m], distance)
                wide = np.maximum(usual, wider)
            half_widths[:, m] = np.where(flagged, wide, usual)
        if medium in calibration.native:
            percentile[:, m] = percentile_of(expression[:, m], calibration.native[medium])
    return Trust(
        low=(expression - half_widths).astype(np.float32),
        high=(expression + half_widths).astype(np.float32),
        percentile=percentile.astype(np.float32) if calibration.native else None,
        unlike=[";".join(reasons_of_row) for reasons_of_row in reasons],
    )


def joined(parts: Sequence[Trust | None]) -> Trust | None:
    """The trust of predictions that were made in parts; None if there is none."""
    present = [trust for trust in parts if trust is not None]
    if not present:
        return None
    percentile = [trust.percentile for trust in present if trust.percentile is not None]
    return Trust(
        np.concatenate([trust.low for trust in present]),
        np.concatenate([trust.high for trust in present]),
        np.concatenate(percentile) if percentile else None,
        [flags for trust in present for flags in trust.unlike],
    )


def percentile_of(values: npt.ArrayLike, quantiles: Sequence[float]) -> Floats:
    """Percentiles 0–100 of values, interpolated linearly between evenly spaced quantiles."""
    percentiles = np.linspace(0, 100, len(quantiles))
    return np.interp(np.asarray(values, dtype=np.float64), np.asarray(quantiles), percentiles)


def conformal_quantile(scores: npt.ArrayLike, family: npt.ArrayLike, level: float) -> float:
    """The score below which a row of a new family stays with probability ``level`` or more.

    Each family has weight 1, divided equally among its rows; the new family adds weight 1 at +∞. If
    each row is its own family, the result is the ⌈(n + 1) level⌉-th smallest score. Its coverage is
    then guaranteed for exchangeable scores of any distribution. For larger families the guarantee
    is approximate (Dunn, Wasserman & Ramdas 2023).

    Args:
        scores: ``(N,)`` errors divided by their expected size.
        family: ``(N,)`` family of each score.
        level: Required coverage, between 0 and 1.

    Raises:
        ValueError: If there are too few families for this level.
    """
    scores = np.asarray(scores, dtype=np.float64)
    _, number, sizes = np.unique(family, return_inverse=True, return_counts=True)
    needed = (len(sizes) + 1) * level
    if needed > len(sizes):
        raise ValueError(
            f"{len(sizes)} held-out families are too few for {level:.0%} intervals; "
            f"give at least {fewest_families(level)}"
        )
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(1 / sizes[number[order]])
    # A sum of thirds can be slightly below an integer because of rounding.
    return float(scores[order][np.searchsorted(reached, needed - 1e-9)])


FOLDS = 5
"""Folds of families in :func:`fit_interval`."""


class HeldOutErrors(NamedTuple):
    """Errors of held-out rows of one medium, and what they may depend on."""

    error: npt.ArrayLike
    """``(N,)`` absolute errors, in the medium's unit."""
    spread: npt.ArrayLike
    """``(N,)`` standard deviations over members and strands."""
    family: npt.ArrayLike
    """``(N,)``; same value, same family."""
    distance: npt.ArrayLike | None = None
    """``(N,)`` distances of the composition; None leaves the distance out of the expected error."""


def fit_interval(held_out: HeldOutErrors, level: float, seed: int = 0) -> Interval:
    """The interval of one medium, cross-conformal over families.

    The families are divided into five folds. The expected error is fitted on four folds and used to
    score the fifth, for each fold in turn; the quantile is that of all scores. So a row is never
    scored by a fit that included it, and every family is scored (Vovk 2015, Annals of Mathematics
    and AI 74:9).

    Args:
        held_out: Rows on which no member was trained.
        level: Share of measurements that the interval is to contain.
        seed: Decides the folds.

    Raises:
        ValueError: If there are fewer families than folds.
    """
    scores, family = _held_out_scores(held_out, seed)
    expected = fit_expected_error(held_out.error, held_out.spread, held_out.distance)
    return Interval(
        **expected._asdict(),
        quantile=conformal_quantile(scores, family, level),
        rows=len(scores),
        families=len(np.unique(family)),
    )


def _held_out_scores(held_out: HeldOutErrors, seed: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Errors divided by their expected size, as fitted on families of other folds; and families.

    Returns:
        ``(N,)`` scores, and ``(N,)`` numbers of families from 0.

    Raises:
        ValueError: If there are fewer families than folds.
    """
    error, spread = np.asarray(held_out.error), np.asarray(held_out.spread)
    distance = np.zeros(len(error)) if held_out.distance is None else np.asarray(held_out.distance)
    names, family = np.unique(np.asarray(held_out.family), return_inverse=True)
    if len(names) < FOLDS:
        raise ValueError(
            f"{len(names)} held-out families are too few to calibrate; give at least {FOLDS}"
        )
    fold = (np.random.default_rng(seed).permutation(len(names)) % FOLDS)[family]
    scores = np.empty(len(error))
    for in_fold in (fold == k for k in range(FOLDS)):
        expected = fit_expected_error(error[~in_fold], spread[~in_fold], distance[~in_fold])
        scores[in_fold] = error[in_fold] / expected.at(spread[in_fold], distance[in_fold])
    return scores, family


UNLIKE_FAMILIES = 20
"""Smallest number of families with flagged rows from which an interval of flagged predictions is
fitted. With 20, its coverage of new families varies by about 6 % between sets."""


def fit_unlike_interval(
    usual: Interval,
    held_out: HeldOutErrors,
    flagged: npt.ArrayLike,
    level: float,
    seed: int = 0,
) -> Interval | None:
    """The interval of flagged predictions of one medium, from the held-out rows that are flagged.

    The expected error is that of ``usual``; the quantile is that of the scores of flagged rows, but
    not below the one of ``usual``. So it is never narrower than ``usual`` at the same spread.

    Args:
        usual: Interval of the medium, from :func:`fit_interval` with the same rows.
        held_out: All held-out rows, flagged or not.
        flagged: ``(N,)``, whether a row is flagged.
        level: Share of measurements that the interval is to contain.
        seed: As for ``usual``.

    Returns:
        None if flagged rows are of fewer than :data:`UNLIKE_FAMILIES` families, or of too few for
        the level.
    """
    flagged = np.asarray(flagged, dtype=bool)
    families = len(np.unique(np.asarray(held_out.family)[flagged]))
    if families < max(UNLIKE_FAMILIES, fewest_families(level)):
        return None
    scores, family = _held_out_scores(held_out, seed)
    flagged_quantile = conformal_quantile(scores[flagged], family[flagged], level)
    return usual.model_copy(
        update={
            "quantile": max(usual.quantile, flagged_quantile),
            "rows": int(flagged.sum()),
            "families": families,
        }
    )


def fewest_families(level: float) -> int:
    """Smallest number of families from which an interval of this level can be computed."""
    return math.ceil(level / (1 - level) - 1e-9)


def fit_expected_error(
    error: npt.ArrayLike, spread: npt.ArrayLike, distance: npt.ArrayLike | None = None
) -> ExpectedError:
    """The absolute error as a linear function of spread and distance, with no negative term.

    Fitted by least squares with non-negative coefficients. If the error does not increase with the
    spread, or the spread does not vary, the slope is 0; the same holds for the distance.
    """
    from scipy.optimize import nnls  # prediction, which imports this module, does not need scipy

    error = np.abs(np.asarray(error, dtype=np.float64))
    terms = np.stack(
        [
            np.asarray(term, dtype=np.float64) * (np.asarray(term).var() > 1e-12)
            for term in (spread, np.zeros(len(error)) if distance is None else distance)
        ],
        axis=1,
    )
    min_base = 1e-6 + 0.05 * float(error.mean())  # intervals must not have width 0
    (base, *slopes), _ = nnls(np.column_stack([np.ones(len(error)), terms]), error)
    if base < min_base:  # fit the terms above the smallest allowed base
        base, (slopes, _) = min_base, nnls(terms, error - min_base)
    return ExpectedError(float(base), *map(float, slopes))


def fit_input_limits(
    tokens: npt.ArrayLike, spread: Mapping[str, npt.ArrayLike], tail: float
) -> InputLimits:
    """Limits that a fraction ``tail`` of these held-out rows exceeds, separately for each reason.

    Adapters have no such limit: a row without them is flagged unless most held-out rows lack them.

    Args:
        tokens: ``(N, L)``, prepared.
        spread: Medium → ``(N,)``; a medium whose spreads are all 0 has no limit.
        tail: Fraction of rows to flag, such as 0.005.
    """
    tokens, spreads = as_tokens(tokens), {m: np.asarray(s) for m, s in spread.items()}
    lengths = sequence_lengths(tokens)
    pairs = pair_shares(tokens)
    covariance = np.cov(pairs, rowvar=False)
    shrunk = covariance + 0.01 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    mean, precision = pairs.mean(axis=0), np.linalg.inv(shrunk)
    low, high = np.quantile(lengths, [tail / 2, 1 - tail / 2])
    return InputLimits(
        lengths=(int(low), int(high)),
        unknown=int(np.quantile(_unknown(tokens, lengths), 1 - tail)),
        pairs=mean.tolist(),
        precision=precision.tolist(),
        composition=float(np.quantile(_distance(pairs, mean, precision), 1 - tail)),
        spread={m: float(np.quantile(s, 1 - tail)) for m, s in spreads.items() if s.any()},
        adapters=bool(_lacks_adapters(tokens, lengths).mean() < 0.5),
    )


def reasons_unlike(
    familiar: InputLimits,
    tokens: npt.ArrayLike,
    spread: Mapping[str, npt.ArrayLike],
    predicted: Mapping[str, npt.ArrayLike],
) -> list[list[str]]:
    """The reasons why each row is unlike the training data; an empty list if there are none.

    The reasons are the names of :data:`FLAGS`, which explains them.

    Args:
        familiar: Limits from the model's card.
        tokens: ``(N, L)``, prepared.
        spread: Medium → ``(N,)`` standard deviation over members and strands.
        predicted: Medium → ``(N,)`` predicted expression.
    """
    tokens = as_tokens(tokens)
    lengths = sequence_lengths(tokens)
    distance = composition_distance(familiar, tokens)
    disagreement, beyond = np.zeros((2, len(tokens)), dtype=bool)
    for medium, limit in familiar.spread.items():
        if medium in spread:
            disagreement |= np.asarray(spread[medium]) > limit
    for medium, (lowest, highest) in familiar.measured.items():
        if medium in predicted:
            values = np.asarray(predicted[medium])
            beyond |= (values < lowest) | (values > highest)
    reasons = {
        "length": (lengths < familiar.lengths[0]) | (lengths > familiar.lengths[1]),
        "unknown": _unknown(tokens, lengths) > familiar.unknown,
        "adapters": familiar.adapters & _lacks_adapters(tokens, lengths),
        "composition": distance > familiar.composition,
        "disagreement": disagreement,
        "range": beyond,
    }
    names = list(reasons)
    return [
        [names[i] for i in np.nonzero(row)[0]] for row in np.stack(list(reasons.values()), axis=1)
    ]


def by_medium(media: Sequence[str], values: npt.ArrayLike) -> dict[str, npt.NDArray[Any]]:
    """Medium → its column of values ``(N, M)``."""
    return dict(zip(media, np.asarray(values).T, strict=True))


def pair_shares(tokens: npt.ArrayLike) -> Floats:
    """Fraction of each pair of neighbouring bases among the known pairs of a row: ``(N, 16)``."""
    tokens = as_tokens(tokens)
    left, right = tokens[:, :-1], tokens[:, 1:]
    is_known = (left < N_TOKEN) & (right < N_TOKEN)
    pair = np.where(is_known, left * np.uint8(BASES) + right, np.uint8(BASES**2))
    counts = np.stack([(pair == p).sum(axis=1) for p in range(BASES**2)], axis=1)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def composition_distance(familiar: InputLimits, tokens: npt.ArrayLike) -> Floats:
    """Mahalanobis distance of each row's pair fractions from those of the training data: ``(N,)``.

    Expected values for rows like the training data are 3 to 5.
    """
    return _distance(
        pair_shares(tokens), np.asarray(familiar.pairs), np.asarray(familiar.precision)
    )


def _distance(pairs: Floats, mean: Floats, precision: Floats) -> Floats:
    deviation = pairs - mean
    return np.sqrt(np.einsum("np,pq,nq->n", deviation, precision, deviation))


def _unknown(tokens: Tokens, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    inside = np.arange(tokens.shape[1]) < lengths[:, None]
    return ((tokens == N_TOKEN) & inside).sum(axis=1)


def _lacks_adapters(tokens: Tokens, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    return ~np.logical_and(*find_adapters(tokens, stop=lengths))
