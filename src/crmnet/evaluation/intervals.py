"""Intervals of a model from its errors on held-out rows, and how often they hold on a test set.

:mod:`crmnet.evaluation.calibrate` predicts held-out rows and stores the results in the card.
:mod:`crmnet.statistics.uncertainty` computes intervals from arrays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Floats
from crmnet.sequence import Flanks, Tokens
from crmnet.statistics.metrics import RESAMPLES, Scored, bootstrap, resamples_for
from crmnet.statistics.uncertainty import (
    Coverage,
    Expression,
    HeldOutErrors,
    InputLimits,
    Interval,
    composition_distance,
    fit_interval,
    fit_unlike_interval,
    reasons_unlike,
)


@dataclass(frozen=True)
class CalibrateOptions:
    """Settings of a calibration."""

    level: float = 0.9
    """Share of measurements that the intervals should contain."""
    tail: float = 0.005
    """Share of held-out rows that each reason may flag as unlike the training data."""
    resamples: int = RESAMPLES
    """Bootstrap resamples for the intervals of metrics and of coverage."""
    seed: int = 0
    """Seed of the division of held-out families into folds."""
    flanks: Flanks | None = None
    """Treatment of adapters in files; None means as the model's training data were read."""

    def __post_init__(self) -> None:
        for name in ("level", "tail"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be between 0 and 1, such as {getattr(CalibrateOptions, name)}; "
                    f"got {getattr(self, name)!r}"
                )


@dataclass(frozen=True)
class CalibrationRows:
    """One medium or output of a data set: measured and predicted expression, families, spread."""

    scored: Scored
    medium: str
    """Name of the model's output."""
    spread: Floats
    """``(N,)``, standard deviation over members and strands."""
    spreads: Mapping[str, Floats] = field(default_factory=dict)
    """The same for every output of the model, by which rows are flagged; empty means ``spread``."""
    predictions: Mapping[str, Expression] = field(default_factory=dict)
    """``(N,)`` predicted expression for every output of the model; empty flags no row for it."""
    distance: Floats | None = None
    """``(N,)``, distance of the composition from the training data; None if intervals do not depend
    on it."""

    def flagged(self, familiar: InputLimits, tokens: Tokens) -> npt.NDArray[np.bool_]:
        """Which rows are flagged as unlike the training data, ``(N,)``.

        Args:
            familiar: Limits of the model.
            tokens: ``(N, L)``, the rows of this medium.
        """
        spreads = self.spreads or {self.medium: self.spread}
        reasons = reasons_unlike(familiar, tokens, spreads, self.predictions)
        return np.array([bool(flags) for flags in reasons], dtype=bool)

    @property
    def error(self) -> Floats:
        """``(N,)``, absolute error of each row."""
        return np.abs(self.scored.measured - self.scored.predicted)

    @property
    def held_out(self) -> HeldOutErrors:
        """Errors with spread, family and distance, from which intervals are fitted."""
        return HeldOutErrors(self.error, self.spread, self.scored.family, self.distance)


class HeldOutSet(NamedTuple):
    """A data set of held-out rows with the predictions of its media."""

    summary: dict[str, Any]
    """Name, fingerprint and number of rows, for the card."""
    inputs: Tokens
    """``(M, L)``, all rows, which set the limits of unusual inputs."""
    tokens: Tokens
    """``(N, L)``, rows of media that the model predicts."""
    media_rows: list[CalibrationRows]
    """One entry for each output of the model, from :func:`by_output`."""


def measured_range(sets: Sequence[HeldOutSet]) -> dict[str, tuple[float, float]]:
    """Medium → lowest and highest measured value of the held-out rows."""
    measured: dict[str, list[Floats]] = {}
    for rows in (rows for held_out_set in sets for rows in held_out_set.media_rows):
        measured.setdefault(rows.medium, []).append(rows.scored.measured)
    return {
        medium: (float(np.concatenate(parts).min()), float(np.concatenate(parts).max()))
        for medium, parts in measured.items()
    }


def by_output(media_rows: Sequence[CalibrationRows]) -> list[CalibrationRows]:
    """The rows of one data set, with one entry for each output of the model.

    An output such as ``complex+defined`` serves several media. A family of the data set that was
    measured in both stays one family.
    """
    outputs: dict[str, list[CalibrationRows]] = {}
    for rows in media_rows:
        outputs.setdefault(rows.medium, []).append(rows)
    return [_joined_rows(parts) for parts in outputs.values()]


def rows_of_medium(
    sets: Sequence[HeldOutSet], medium: str, familiar: InputLimits
) -> tuple[CalibrationRows, npt.NDArray[np.bool_]]:
    """All rows of a medium, and which of them are flagged; with distances if there are two sets.

    Families of different sets stay different.
    """
    found, flagged, families = [], [], 0
    for held_out_set in sets:
        for rows in held_out_set.media_rows:
            if rows.medium == medium:
                tokens = held_out_set.tokens[rows.scored.row]
                flagged.append(rows.flagged(familiar, tokens))
                if len(sets) > 1:
                    names, number = np.unique(rows.scored.family, return_inverse=True)
                    scored = dataclasses.replace(rows.scored, family=number + families, row=None)
                    families += len(names)
                    distance = composition_distance(familiar, tokens)
                    rows = dataclasses.replace(rows, scored=scored, distance=distance)
                found.append(rows)
    return _joined_rows(found), np.concatenate(flagged)


def _joined_rows(parts: Sequence[CalibrationRows]) -> CalibrationRows:
    """The rows of several sets; rows of equal family are one family."""
    if len(parts) == 1:
        return parts[0]
    sets = [rows.scored for rows in parts]
    numbers = [scored.row for scored in sets if scored.row is not None]
    distances = [rows.distance for rows in parts if rows.distance is not None]
    return CalibrationRows(
        Scored(
            " and ".join(scored.name for scored in sets),
            np.concatenate([scored.measured for scored in sets]),
            np.concatenate([scored.predicted for scored in sets]),
            np.concatenate([scored.family for scored in sets]),
            row=np.concatenate(numbers) if len(numbers) == len(parts) else None,
        ),
        parts[0].medium,
        np.concatenate([rows.spread for rows in parts]),
        _joined_outputs([rows.spreads for rows in parts]),
        _joined_outputs([rows.predictions for rows in parts]),
        np.concatenate(distances) if len(distances) == len(parts) else None,
    )


def _joined_outputs(parts: Sequence[Mapping[str, npt.NDArray[Any]]]) -> dict[str, npt.NDArray[Any]]:
    """The values of each output, part after part."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def interval(rows: CalibrationRows, options: CalibrateOptions) -> Interval:
    """The interval of one medium; see :func:`crmnet.statistics.uncertainty.fit_interval`.

    Raises:
        ValueError: If there are too few families.
    """
    try:
        return fit_interval(rows.held_out, options.level, options.seed)
    except ValueError as error:
        raise ValueError(f"{rows.scored.name}: {error}") from None


def unlike_interval(
    rows: CalibrationRows,
    flagged: npt.NDArray[np.bool_],
    usual: Interval,
    options: CalibrateOptions,
) -> Interval | None:
    """The interval of flagged predictions of one medium; None if there are too few flagged rows.

    See :func:`crmnet.statistics.uncertainty.fit_unlike_interval`.
    """
    return fit_unlike_interval(usual, rows.held_out, flagged, options.level, options.seed)


def coverage(
    rows: CalibrationRows,
    tokens: Tokens,
    interval: Interval,
    familiar: InputLimits,
    options: CalibrateOptions,
    unlike: Interval | None = None,
) -> Coverage:
    """Share of measurements inside their intervals, with a 95 % interval resampled by family.

    A flagged row has the interval ``unlike``. If that is None, the row counts with its ordinary
    interval, although ``predict`` does not report one.
    """
    distance, flagged = composition_distance(familiar, tokens), rows.flagged(familiar, tokens)
    half = interval.half_width(rows.spread, distance)
    if unlike is not None:
        half = np.where(flagged, np.maximum(half, unlike.half_width(rows.spread, distance)), half)
    inside = (rows.error <= half).astype(np.float64)
    low, high = _share_interval(inside, rows.scored.family, options)
    return Coverage(
        n=len(inside),
        families=len(np.unique(rows.scored.family)),
        value=float(inside.mean()),
        low=low,
        high=high,
        width=float(np.median(2 * half)),
        unlike=float(flagged.mean()),
    )


def _share_interval(
    inside: Floats, family: npt.NDArray[Any], options: CalibrateOptions
) -> tuple[float | None, float | None]:
    """Ends of the 95 % interval of a share: that of the mean absolute error of 0/1 rows."""
    shares = Scored("coverage", np.zeros_like(inside), inside, family)
    estimate = bootstrap(
        shares, resamples=resamples_for(len(inside), options.resamples), seed=options.seed
    )["mae"]
    return (estimate.low, estimate.high) if np.isfinite(estimate.low) else (None, None)
