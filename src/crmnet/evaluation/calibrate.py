"""Measures the uncertainty of a packed model on held-out rows, and writes it into its card.

``crmnet models calibrate`` calls :func:`calibrate` with a packed model (:mod:`crmnet.runs.packed`)
and data on which it was not trained:

- held-out rows like the training data: prediction intervals, limits for unusual inputs, and wider
  intervals for predictions beyond these limits;
- test sets: metrics, and the coverage of the intervals;
- native promoters: the scale of percentiles.

:mod:`crmnet.statistics.uncertainty` computes intervals and limits from arrays.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Floats
from crmnet.data.dataset import Dataset, is_dataset
from crmnet.data.ingest import IngestOptions
from crmnet.data.opening import check_data, is_public_dataset, open_data, rows_left_out
from crmnet.data.splits import hold_out
from crmnet.evaluation.score_sets import LabelledRows, check_media, score_media
from crmnet.evaluation.seen import log_if_not_checked, training_overlap
from crmnet.files import PathLike, as_paths
from crmnet.prediction.predictor import Predictor
from crmnet.prediction.table import predict_file
from crmnet.runs.model_card import TRAINED_ON, TRAINED_ON_ABOUT, ModelCard
from crmnet.runs.packed import check_name, is_bundled, packed_file, write_with_card
from crmnet.sequence import Tokens
from crmnet.statistics.metrics import RESAMPLES, Scored, bootstrap, resamples_for, summarise
from crmnet.statistics.uncertainty import (
    Calibration,
    Coverage,
    Expression,
    InputLimits,
    Interval,
    fit_input_limits,
    fit_interval,
    fit_unlike_interval,
    reasons_unlike,
)

log = logging.getLogger("crmnet")

QUANTILES = 101
"""Quantiles of native promoters in the card, from 0 to 100 %."""
HELD_OUT = "held-out families"
"""Name in a run's record of validation rows that were split from its training set."""


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

    def __post_init__(self) -> None:
        for name in ("level", "tail"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be between 0 and 1, such as {getattr(CalibrateOptions, name)}; "
                    f"got {getattr(self, name)!r}"
                )


@dataclass(frozen=True)
class CalibrationRows:
    """One medium of a data set: measured and predicted expression, families, and spread."""

    scored: Scored
    medium: str
    """Name of the model's output."""
    spread: Floats
    """``(N,)``, standard deviation over members and strands."""
    spreads: Mapping[str, Floats] = field(default_factory=dict)
    """The same for every output of the model, by which rows are flagged; empty means ``spread``."""

    def flagged(self, familiar: InputLimits, tokens: Tokens) -> npt.NDArray[np.bool_]:
        """Which rows are flagged as unlike the training data, ``(N,)``.

        Args:
            familiar: Limits of the model.
            tokens: ``(N, L)``, the rows of this medium.
        """
        spreads = self.spreads or {self.medium: self.spread}
        return np.array(
            [bool(flags) for flags in reasons_unlike(familiar, tokens, spreads)], dtype=bool
        )

    @property
    def error(self) -> Floats:
        """``(N,)``, absolute error of each row."""
        return np.abs(self.scored.measured - self.scored.predicted)


def calibrate(
    model: PathLike,
    held_out: PathLike | None = None,
    *,
    tests: PathLike | Sequence[PathLike] = (),
    native: PathLike | None = None,
    output: PathLike | None = None,
    overwrite: bool = False,
    options: CalibrateOptions | None = None,
) -> ModelCard:
    """Add intervals and test results from the given data to a packed model's card, and save it.

    Parts of the card for which no data are given stay as they are, so they can be added one by one.
    New intervals remove the coverage that was measured for the old ones. A bundled model is not
    changed: its new card is returned, and written to ``output`` if that is given.

    Data are data set folders, files of rows, or names of public data sets
    (:func:`crmnet.data.opening.open_data`). A file that names no medium is read as rows of the
    model's first medium.

    Args:
        model: A packed file, or the name of a bundled model.
        held_out: Rows like the training data, from families that no member was trained on. For the
            training set itself, the families that all members held out are used.
        tests: Test sets; a set replaces an earlier set of the same name. Rows that members were
            trained on are left out. If members were trained on all rows, all are scored, and the
            card states this. It also states if another set shares rows with the training set.
        native: Native promoters, as a data set or as any file that can be predicted.
        output: Packed file to write; None writes the model's own file.
        overwrite: Replace ``output`` if it exists.
        options: See :class:`CalibrateOptions`.

    Raises:
        FileExistsError: If ``output`` exists and may not be overwritten.
        ValueError: If the model is not packed; if no rows are unseen; if held-out rows are training
            rows; if there are too few families for the level; if held-out rows lack a medium whose
            intervals would then be lost; or if native promoters are given and the card has no
            intervals.
    """
    held_out = None if held_out is None else Path(held_out)
    native = None if native is None else Path(native)
    options = options or CalibrateOptions()
    check_data([held_out, *as_paths(tests), native])
    file = packed_file(model)
    if file is None:
        raise ValueError(f"{model} is not a packed model; make one with `crmnet models pack`")
    if output is not None:
        check_name(output, overwrite)
    elif not is_bundled(file):
        output = file
    predictor = Predictor.load(file)
    card = predictor.card
    assert card is not None  # a packed file has one
    if held_out is not None:
        with open_data(held_out, _reading(predictor)) as dataset:
            rows = unseen(dataset, card)
            _refuse_training_rows(rows, card)
            calibration = _calibration(predictor, rows, options)
        if card.calibration is not None:
            _refuse_lost_intervals(card.calibration, calibration, held_out)
            calibration = calibration.model_copy(
                update={key: getattr(card.calibration, key) for key in ("native", "native_data")}
            )
        card = card.model_copy(update={"calibration": calibration, "coverage": {}})
    for path in as_paths(tests):
        with open_data(path, _reading(predictor)) as dataset:
            left_out = rows_left_out(path, dataset)
            card = _with_test(predictor, card, dataset, options, left_out)
    if native is not None:
        card = _with_native(predictor, card, native)
    if output is not None:
        write_with_card(file, card, output)
    return card


def _reading(predictor: Predictor) -> IngestOptions:
    return IngestOptions(media=(predictor.media[0],), cut=False, advice=False)


def _refuse_lost_intervals(before: Calibration, after: Calibration, held_out: Path) -> None:
    lost = [medium for medium in before.intervals if medium not in after.intervals]
    if lost:
        raise ValueError(
            f"{held_out} has no rows of {' or '.join(lost)}, whose intervals would be lost; "
            "give held-out rows of every medium"
        )


MOST_SHARED = 0.01
"""Largest estimated share of training inserts among held-out rows that give intervals."""


def _refuse_training_rows(dataset: Dataset, card: ModelCard) -> None:
    """Refuse held-out rows that hold training rows; warn if there are few."""
    overlap = training_overlap(card.members, dataset)
    if overlap.share > MOST_SHARED:
        raise ValueError(
            f"the model was trained on rows of {dataset.name}: {overlap.sentence()}; intervals "
            "would be too narrow: leave these rows out with `crmnet data split DATA -o CLEAN "
            "--without TRAINING-DATA`"
        )
    if overlap.share:
        log.warning(
            "warning: the model was trained on rows of %s: %s", dataset.name, overlap.sentence()
        )
    else:
        log_if_not_checked(overlap, dataset)


def trained_on(dataset: Dataset, card: ModelCard) -> npt.NDArray[np.bool_]:
    """Which rows any member was trained on, ``(N,)``, as far as fingerprints show it.

    The families that a member held out are found again by the rule, share and seed of its run.
    """
    trained = np.zeros(len(dataset), dtype=bool)
    for record in card.members:
        if record.data.get("fingerprint") != dataset.fingerprint:
            continue
        if record.data.get("validation") != HELD_OUT:
            trained[:] = True
            continue
        train = record.settings.train
        rows, _ = hold_out(dataset, train.validation_fraction, train.seed, by=train.validation_by)
        trained[rows] = True
    return trained


def unseen(dataset: Dataset, card: ModelCard) -> Dataset:
    """A data set without the rows that a member was trained on, as far as fingerprints show it.

    For the data set that members were trained on, only the families that each of them held out are
    kept.

    Raises:
        ValueError: If no rows are left.
    """
    trained = trained_on(dataset, card)
    if not trained.any():
        return dataset
    if trained.all():
        number = next(
            number
            for number, record in enumerate(card.members, 1)
            if record.data.get("fingerprint") == dataset.fingerprint
        )
        raise ValueError(
            f"{dataset.path} holds the rows that member {number} was trained on, and none that "
            "all members held out; give rows whose families were kept out of training"
        )
    rows = np.nonzero(~trained)[0]
    return dataclasses.replace(
        dataset,
        tokens=dataset.tokens[rows],
        labels=dataset.labels[rows],
        medium=dataset.medium[rows],
        family=None if dataset.family is None else dataset.family[rows],
        weight=None if dataset.weight is None else dataset.weight[rows],
    )


def score_with_spread(
    predictor: Predictor, dataset: Dataset, left_out: int = 0
) -> list[CalibrationRows]:
    """Predict a data set with its spread: one entry for each of its media.

    Args:
        predictor: The model, from a packed file.
        dataset: The opened data set.
        left_out: Rows of its source that could not be used.

    Raises:
        ValueError: If the model has no output for a medium of the data set.
    """
    check_media(predictor, dataset)
    expression, spread = predictor.predict_with_spread(dataset.tokens)
    rows = []
    for medium_score in score_media(
        LabelledRows.of(dataset, left_out=left_out), predictor, expression
    ):
        spread_of_rows = spread[medium_score.scored.row].astype(np.float64)
        spreads = {medium: spread_of_rows[:, m] for m, medium in enumerate(predictor.media)}
        medium = predictor.media[medium_score.output]
        rows.append(CalibrationRows(medium_score.scored, medium, spreads[medium], spreads))
    return rows


def _calibration(predictor: Predictor, dataset: Dataset, options: CalibrateOptions) -> Calibration:
    """Intervals for each medium, and limits for unusual inputs, from held-out rows."""
    media_rows = score_with_spread(predictor, dataset)
    tokens = np.asarray(dataset.tokens)
    intervals = {rows.medium: interval(rows, options) for rows in media_rows}
    familiar = fit_input_limits(
        tokens, {rows.medium: rows.spread for rows in media_rows}, options.tail
    )
    unlike = {
        rows.medium: unlike_interval(
            rows, rows.flagged(familiar, tokens[rows.scored.row]), intervals[rows.medium], options
        )
        for rows in media_rows
    }
    return Calibration(
        level=options.level,
        data={"name": dataset.name, "fingerprint": dataset.fingerprint, "rows": len(dataset)},
        intervals=intervals,
        familiar=familiar,
        unlike_intervals={medium: wide for medium, wide in unlike.items() if wide is not None},
    )


def interval(rows: CalibrationRows, options: CalibrateOptions) -> Interval:
    """The interval of one medium; see :func:`crmnet.statistics.uncertainty.fit_interval`.

    Raises:
        ValueError: If there are too few families.
    """
    scored = rows.scored
    try:
        return fit_interval(rows.error, rows.spread, scored.family, options.level, options.seed)
    except ValueError as error:
        raise ValueError(f"{scored.name}: {error}") from None


def unlike_interval(
    rows: CalibrationRows,
    flagged: npt.NDArray[np.bool_],
    usual: Interval,
    options: CalibrateOptions,
) -> Interval | None:
    """The interval of flagged predictions of one medium; None if there are too few flagged rows.

    See :func:`crmnet.statistics.uncertainty.fit_unlike_interval`.
    """
    return fit_unlike_interval(
        usual, rows.error, rows.spread, rows.scored.family, flagged, options.level, options.seed
    )


def _with_test(
    predictor: Predictor,
    card: ModelCard,
    dataset: Dataset,
    options: CalibrateOptions,
    left_out: int,
) -> ModelCard:
    """The card with the metrics of a test set and the coverage of its intervals.

    Rows that members were trained on are left out. If no other rows remain, all are scored, with a
    warning, and the card states this.
    """
    trained = int(trained_on(dataset, card).sum())
    seen = trained == len(dataset)
    if seen:
        log.warning(
            "warning: %s holds rows that the model was trained on; its results show how well they "
            "were learned, not how good the model is on others; the card says so", dataset.path
        )  # fmt: skip
    elif trained:
        log.warning(
            "%s: %s rows that the model was trained on are left out; the other %s are scored",
            dataset.path, f"{trained:,}", f"{len(dataset) - trained:,}",
        )  # fmt: skip
        dataset, left_out = unseen(dataset, card), left_out + trained
    media_rows = score_with_spread(predictor, dataset, left_out)
    summary = summarise(
        [rows.scored for rows in media_rows], resamples=options.resamples, seed=options.seed
    )
    share = 0.0 if seen else _share_trained_on(dataset, card)
    for rows in media_rows:
        n, test = len(rows.scored.measured), summary["sets"][rows.scored.name]
        if seen:
            test[TRAINED_ON] = n
        elif share:
            test[TRAINED_ON_ABOUT] = max(1, round(share * n))
    measured = dict(card.coverage)
    if card.calibration is not None:
        for rows in media_rows:
            if rows.medium in card.calibration.intervals:
                tokens = np.asarray(dataset.tokens[rows.scored.row])
                measured[rows.scored.name] = coverage(
                    rows, tokens, card.calibration.intervals[rows.medium],
                    card.calibration.familiar, options,
                    card.calibration.unlike_intervals.get(rows.medium),
                )  # fmt: skip
    return card.model_copy(
        update={"tests": {**card.tests, **summary["sets"]}, "coverage": measured}
    )


def _share_trained_on(dataset: Dataset, card: ModelCard) -> float:
    """Estimated share of a test set's inserts that a member was trained on; warns of it."""
    overlap = training_overlap(card.members, dataset)
    if overlap.share:
        log.warning(
            "warning: the model was trained on rows of %s: %s; results on these rows show how well "
            "they were learned; the card says so", dataset.name, overlap.sentence(),
        )  # fmt: skip
    else:
        log_if_not_checked(overlap, dataset)
    return overlap.share


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
    half, flagged = interval.half_width(rows.spread), rows.flagged(familiar, tokens)
    if unlike is not None:
        half = np.where(flagged, np.maximum(half, unlike.half_width(rows.spread)), half)
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


def _with_native(predictor: Predictor, card: ModelCard, native: Path) -> ModelCard:
    """The card with quantiles of the expression predicted for native promoters."""
    if card.calibration is None:
        raise ValueError(
            f"{card.name} has no intervals yet; give held-out rows first, or with them"
        )
    name, predicted = _predict_native(predictor, native)
    levels = np.linspace(0, 1, QUANTILES)
    quantiles = {
        medium: np.quantile(predicted[:, m].astype(np.float64), levels).tolist()
        for m, medium in enumerate(predictor.media)
    }
    data = {"name": name, "rows": len(predicted)}
    calibration = card.calibration.model_copy(update={"native": quantiles, "native_data": data})
    return card.model_copy(update={"calibration": calibration})


def _predict_native(predictor: Predictor, native: Path) -> tuple[str, Expression]:
    """Name, and predictions ``(N, n_media)``, of a data set or of a file without measurements."""
    if not (is_dataset(native) or is_public_dataset(native)):
        blocks = predict_file(predictor, native)
        return native.name, np.concatenate([block.expression for block in blocks])
    with open_data(native) as dataset:
        distinct = np.unique(np.asarray(dataset.tokens), axis=0)
        return dataset.name, predictor.predict_tokens(distinct)
