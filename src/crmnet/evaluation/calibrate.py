"""Measures the uncertainty of a packed model on held-out rows, and writes it into its card.

``crmnet models calibrate`` calls :func:`calibrate` with a packed model (:mod:`crmnet.runs.packed`)
and data on which it was not trained:

- held-out rows like the training data: prediction intervals, limits for unusual inputs, and wider
  intervals for predictions beyond these limits;
- held-out rows unlike the training data: intervals that widen with the distance from it;
- pairs of related held-out rows: intervals of differences
  (:mod:`crmnet.evaluation.difference_calibration`);
- test sets: metrics, and the coverage of the intervals;
- native promoters: the scale of percentiles.

:mod:`crmnet.evaluation.intervals` fits intervals to the errors of held-out rows.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from crmnet.data.dataset import UNKNOWN_UNIT, Dataset, is_dataset
from crmnet.data.ingest import IngestOptions
from crmnet.data.media import output_or_none
from crmnet.data.opening import (
    check_data,
    is_public_dataset,
    may_lack_medium,
    open_data,
    rows_left_out,
)
from crmnet.data.subset import only_media
from crmnet.evaluation.difference_calibration import fit_differences, with_coverage
from crmnet.evaluation.error_correlation import error_correlations
from crmnet.evaluation.intervals import (
    CalibrateOptions,
    CalibrationRows,
    HeldOutSet,
    by_output,
    coverage,
    interval,
    measured_range,
    rows_of_medium,
    unlike_interval,
)
from crmnet.evaluation.score_sets import LabelledRows, check_media, score_media
from crmnet.evaluation.seen import (
    log_if_not_checked,
    refuse_training_rows,
    trained_on,
    training_overlap,
    unseen,
)
from crmnet.files import PathLike, as_paths
from crmnet.prediction.predictor import Predictor
from crmnet.prediction.random_effects import QUANTILES
from crmnet.prediction.table import predict_file
from crmnet.runs.model_card import (
    RANGE,
    SLOPE,
    TRAINED_ON,
    TRAINED_ON_ABOUT,
    ErrorCorrelation,
    ModelCard,
    check_card_file,
)
from crmnet.runs.packed import check_name, is_bundled, require_packed, write_with_card
from crmnet.sequence import Flanks
from crmnet.statistics.metrics import Scored, summarise
from crmnet.statistics.scale import fit_line
from crmnet.statistics.top import relative_range
from crmnet.statistics.uncertainty import Calibration, Expression, by_medium, fit_input_limits

log = logging.getLogger("crmnet")


def calibrate(
    model: PathLike,
    held_out: PathLike | None = None,
    *,
    unlike: PathLike | None = None,
    tests: PathLike | Sequence[PathLike] = (),
    beside: PathLike | None = None,
    native: PathLike | None = None,
    differences: PathLike | None = None,
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
            training set itself, the families that all members held out are used. Rows of media
            that the model does not predict only set the limits of unusual inputs.
        unlike: Held-out rows unlike the training data, such as native promoters. With them, the
            intervals widen with the distance of a sequence's composition from ``held_out``.
        tests: Test sets; a set replaces an earlier set of the same name. Rows that members were
            trained on are left out. If members were trained on all rows, all are scored, and the
            card states this. It also states if another set shares rows with the training set.
        beside: Another model. The card gets the correlation of both models' errors on the test
            sets (:mod:`crmnet.evaluation.error_correlation`).
        native: Native promoters, as a data set or as any file that can be predicted.
        differences: Rows like ``held_out`` from which only the intervals of differences are fitted;
            None takes ``held_out``.
        output: Packed file to write; None writes the model's own file.
        overwrite: Replace ``output`` if it exists.
        options: See :class:`CalibrateOptions`.

    Raises:
        FileExistsError: If ``output`` exists and may not be overwritten.
        FileNotFoundError: If there is no such model.
        ValueError: If the model is not packed; if no rows are unseen; if held-out rows are training
            rows, or in another unit than the model predicts; if there are too few families for the
            level; if held-out rows lack a medium whose intervals would then be lost; or if native
            promoters are given and the card has no intervals.
    """
    held_out = None if held_out is None else Path(held_out)
    unlike = None if unlike is None else Path(unlike)
    if unlike is not None and held_out is None:
        raise ValueError(f"{unlike} widens the intervals of held-out rows; give these as well")
    native = None if native is None else Path(native)
    options = options or CalibrateOptions()
    differences = held_out if differences is None else Path(differences)
    check_data([held_out, unlike, *as_paths(tests), native, differences])
    file = require_packed(model)
    if output is not None:
        check_name(output, overwrite)
    elif not is_bundled(file):
        output = file
        check_card_file(output)
    predictor = Predictor.load(file)
    other = None if beside is None else (Path(beside).stem, Predictor.load(beside))
    card = predictor.card
    assert card is not None  # a packed file has one
    if held_out is not None:
        calibration = _calibration(predictor, card, held_out, unlike, options)
        if card.calibration is not None:
            _refuse_lost_intervals(card.calibration, calibration, held_out)
            calibration = calibration.model_copy(
                update={key: getattr(card.calibration, key) for key in ("native", "native_data")}
            )
        card = card.model_copy(update={"calibration": calibration, "coverage": {}})
    if differences is not None:
        checked = differences == held_out
        card = _with_differences(predictor, card, differences, options, checked=checked)
    for path in as_paths(tests):
        with open_data(path, reading(predictor, options.flanks)) as dataset:
            check_units(predictor, path, dataset, refuse=False)
            left_out = rows_left_out(path, dataset)
            card = _with_test(predictor, card, dataset, options, left_out, other)
    if native is not None:
        card = _with_native(predictor, card, native, options.flanks)
    if output is not None:
        write_with_card(file, card, output)
    return card


def _with_error_correlations(
    card: ModelCard, other: str, found: Mapping[str, ErrorCorrelation]
) -> ModelCard:
    before = card.error_correlations.get(other, {})
    correlations = {**card.error_correlations, other: {**before, **found}}
    return card.model_copy(update={"error_correlations": correlations})


def _with_differences(
    predictor: Predictor,
    card: ModelCard,
    path: Path,
    options: CalibrateOptions,
    *,
    checked: bool,
) -> ModelCard:
    """The card with intervals of differences from rows at ``path``; the rest stays as it is.

    ``checked`` states that they hold no training rows.
    """
    with open_data(path, reading(predictor, options.flanks)) as dataset:
        check_units(predictor, path, dataset)
        rows = unseen(dataset, card)
        if not checked:
            refuse_training_rows(rows, card)
        known = _predicted_rows(predictor, rows)
        fitted = fit_differences(predictor, known, options.level, options.seed)
    return card.model_copy(update={"differences": fitted})


def reading(predictor: Predictor, flanks: Flanks | None = None) -> IngestOptions:
    """How a file of rows is read: as rows of the model's first medium, none of them cut.

    Adapters are treated as in the model's training data if ``flanks`` is None.
    """
    return IngestOptions(
        media=(predictor.media[0],), flanks=flanks or predictor.flanks, cut=False, advice=False
    )


def check_units(
    predictor: Predictor, path: PathLike, dataset: Dataset, *, refuse: bool = True
) -> None:
    """Check that labels and predictions are in one unit, where both are known.

    Args:
        predictor: The model.
        path: The data set folder, public data set or file. A file states no unit, so it passes.
        dataset: The same, opened.
        refuse: Raise an error if units differ; False warns instead. A unit recorded as unknown
            only gives a warning.

    Raises:
        ValueError: If labels are in another unit than the model predicts.
    """
    if may_lack_medium(path):
        return
    for medium, unit in dataset.units.items():
        if output_or_none(medium, predictor.media) is None:
            continue
        predicted = predictor.unit(medium)
        if None in (unit, predicted) or unit == predicted:
            continue
        message = (
            f"{path}: labels of medium {medium!r} are in the unit {unit!r}, but the model predicts "
            f"the unit {predicted!r}"
        )
        if refuse and UNKNOWN_UNIT not in (unit, predicted):
            raise ValueError(
                f"{message}; give rows in that unit, or, if it is theirs, set it with data ingest "
                "--unit"
            )
        log.warning("warning: %s; errors and intervals compare different scales", message)


def _refuse_lost_intervals(before: Calibration, after: Calibration, held_out: Path) -> None:
    lost = [medium for medium in before.intervals if medium not in after.intervals]
    if lost:
        raise ValueError(
            f"{held_out} has no rows of {' or '.join(lost)}, whose intervals would be lost; "
            "give held-out rows of every medium"
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
        row = medium_score.scored.row
        spreads = by_medium(predictor.media, spread[row].astype(np.float64))
        medium = predictor.media[medium_score.output]
        rows.append(
            CalibrationRows(
                medium_score.scored, medium, spreads[medium], spreads,
                by_medium(predictor.media, expression[row]),
            )
        )  # fmt: skip
    return rows


def _calibration(
    predictor: Predictor,
    card: ModelCard,
    held_out: Path,
    unlike: Path | None,
    options: CalibrateOptions,
) -> Calibration:
    """Intervals for each medium, and limits for unusual inputs, from held-out rows."""
    like, *others = [
        _held_out_set(predictor, card, path, options.flanks)
        for path in (held_out, unlike)
        if path is not None
    ]
    sets = [like, *others]
    familiar = fit_input_limits(
        like.inputs, {rows.medium: rows.spread for rows in like.media_rows}, options.tail
    ).model_copy(update={"measured": measured_range(sets)})
    intervals, unlike_intervals = {}, {}
    for medium in (rows.medium for rows in like.media_rows):
        rows, flagged = rows_of_medium(sets, medium, familiar)
        intervals[medium] = interval(rows, options)
        wide = unlike_interval(rows, flagged, intervals[medium], options)
        if wide is not None:
            unlike_intervals[medium] = wide
    return Calibration(
        level=options.level,
        data=like.summary,
        intervals=intervals,
        familiar=familiar,
        unlike_intervals=unlike_intervals,
        unlike_data={} if unlike is None else sets[1].summary,
    )


def _held_out_set(
    predictor: Predictor, card: ModelCard, path: Path, flanks: Flanks | None
) -> HeldOutSet:
    """The rows of a data set on which no member was trained, predicted.

    Rows of media that the model does not predict only show what its inputs look like.
    """
    with open_data(path, reading(predictor, flanks)) as dataset:
        check_units(predictor, path, dataset)
        rows = unseen(dataset, card)
        refuse_training_rows(rows, card)
        summary = {"name": rows.name, "fingerprint": rows.fingerprint, "rows": len(rows)}
        predicted = _predicted_rows(predictor, rows)
        if len(predicted) < len(rows):
            log.info(
                "%s: %s rows of media that the model does not predict only set the limits of "
                "unusual inputs", rows.name, f"{len(rows) - len(predicted):,}",
            )  # fmt: skip
        return HeldOutSet(
            summary,
            np.asarray(rows.tokens),
            np.asarray(predicted.tokens),
            by_output(score_with_spread(predictor, predicted)),
        )


def _predicted_rows(predictor: Predictor, dataset: Dataset) -> Dataset:
    """The rows of media that the model predicts; all rows if there are none, for the error."""
    known = [
        medium for medium in dataset.media if output_or_none(medium, predictor.media) is not None
    ]
    return only_media(dataset, known) if 0 < len(known) < len(dataset.media) else dataset


def _with_test(
    predictor: Predictor,
    card: ModelCard,
    dataset: Dataset,
    options: CalibrateOptions,
    left_out: int,
    other: tuple[str, Predictor] | None = None,
) -> ModelCard:
    """The card with the metrics of a test set and the coverage of its intervals.

    With another model and its name, also with the correlation of both models' errors. Rows that
    members were trained on are left out. If no other rows remain, all are scored, with a warning,
    and the card states this.
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
        test.update(_scale(rows.scored))
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
    of_pairs = card.differences
    if of_pairs is not None:
        limits = None if card.calibration is None else card.calibration.familiar
        of_pairs = with_coverage(of_pairs, predictor, dataset, limits, options.resamples)
    tests = {**card.tests, **summary["sets"]}
    card = card.model_copy(update={"tests": tests, "coverage": measured, "differences": of_pairs})
    if other is None:
        return card
    name, model = other
    rows_of_both = unseen(dataset, card) if seen else dataset  # an error if all were trained on
    found = error_correlations(media_rows, model, rows_of_both, options)
    return _with_error_correlations(card, name, found)


def _scale(scored: Scored) -> dict[str, float]:
    """Slope of measured on predicted values, and ratio of their ranges, for the card.

    A ratio that is not defined, because all measurements are equal, is left out.
    """
    values = {
        SLOPE: fit_line(scored.predicted, scored.measured).slope,
        RANGE: relative_range(scored.measured, scored.predicted),
    }
    return {key: value for key, value in values.items() if math.isfinite(value)}


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


def _with_native(
    predictor: Predictor, card: ModelCard, native: Path, flanks: Flanks | None
) -> ModelCard:
    """The card with quantiles of the expression predicted for native promoters."""
    if card.calibration is None:
        raise ValueError(
            f"{card.name} has no intervals yet; give held-out rows first, or with them"
        )
    name, predicted = _predict_native(predictor, native, flanks or predictor.flanks)
    levels = np.linspace(0, 1, QUANTILES)
    quantiles = {
        medium: np.quantile(predicted[:, m].astype(np.float64), levels).tolist()
        for m, medium in enumerate(predictor.media)
    }
    data = {"name": name, "rows": len(predicted)}
    calibration = card.calibration.model_copy(update={"native": quantiles, "native_data": data})
    return card.model_copy(update={"calibration": calibration})


def _predict_native(predictor: Predictor, native: Path, flanks: Flanks) -> tuple[str, Expression]:
    """Name, and predictions ``(N, n_media)``, of a data set or of a file without measurements."""
    if not (is_dataset(native) or is_public_dataset(native)):
        blocks = predict_file(predictor, native, flanks=flanks)
        return native.name, np.concatenate([block.expression for block in blocks])
    with open_data(native, IngestOptions(flanks=flanks, advice=False)) as dataset:
        distinct = np.unique(np.asarray(dataset.tokens), axis=0)
        return dataset.name, predictor.predict_tokens(distinct)
