"""Find out on held-out rows how far a packed model can be trusted, and write it into its card.

Takes a packed model and data sets it was not trained on. Held-out rows of the training data give
intervals and the limits of what is familiar; test sets give metrics and the intervals' coverage;
native promoters give the scale of percentiles. :mod:`crmnet.statistics.uncertainty` has the
arithmetic.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Floats
from crmnet.data.dataset import Dataset, is_dataset
from crmnet.data.media import output_of
from crmnet.data.splits import families, hold_out
from crmnet.prediction.predictor import Predictor
from crmnet.prediction.table import predict_file
from crmnet.runs.model_card import ModelCard
from crmnet.runs.packed import check_name, is_bundled, packed_file, write_with_card
from crmnet.statistics.metrics import RESAMPLES, Scored, bootstrap, resamples_for, summarise
from crmnet.statistics.uncertainty import (
    Calibration,
    Coverage,
    InputLimits,
    Interval,
    conformal_quantile,
    fit_expected_error,
    fit_input_limits,
    reasons_unlike,
)

QUANTILES = 101
FOLDS = 5
HELD_OUT = "held-out families"
"""What a run's record calls validation rows that it took from its own training set."""


@dataclass(frozen=True)
class CalibrateOptions:
    """What is promised, and how."""

    level: float = 0.9
    """Share of measurements that the intervals shall hold."""
    tail: float = 0.005
    """Share of held-out rows that each reason may flag as unlike the training data."""
    resamples: int = RESAMPLES
    """Of the bootstrap behind the intervals of metrics and coverage."""
    seed: int = 0
    """Decides which held-out families are scored together."""

    def __post_init__(self) -> None:
        for name in ("level", "tail"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be between 0 and 1, such as {getattr(CalibrateOptions, name)}; "
                    f"got {getattr(self, name)!r}"
                )


@dataclass(frozen=True)
class CalibrationRows:
    """One medium of a data set: measured, predicted, spread; which rows are related."""

    scored: Scored
    medium: str
    """Name of the model's output."""
    spread: Floats
    rows: npt.NDArray[np.int64]

    @property
    def error(self) -> Floats:
        """Absolute error of each row."""
        return np.abs(self.scored.measured - self.scored.predicted)


def calibrate(
    model: str | Path,
    held_out: Path | None = None,
    *,
    tests: Sequence[Path] = (),
    native: Path | None = None,
    output: Path | None = None,
    overwrite: bool = False,
    options: CalibrateOptions | None = None,
) -> ModelCard:
    """Add to a packed model's card what these data say, and write the file anew.

    What is not given stays as the card has it, so the parts may be added one by one; new
    intervals drop the coverage that was measured of the old ones. A model that comes with the
    package stays as it is: its figures are computed again, and written to ``output`` if that is
    given.

    Args:
        model: A packed file, or the name of a bundled model.
        held_out: Data set of rows like those of training whose families no member has seen; of the
            training set itself, the families that every member held out are taken.
        tests: Data sets to test on; a set takes the place of one of the same name.
        native: Native promoters, as a data set or as any file that can be predicted.
        output: Packed file to write; None writes the model's own.
        overwrite: Replace an ``output`` that is there.
        options: See :class:`CalibrateOptions`.

    Raises:
        FileExistsError: If ``output`` is there and may not be overwritten.
        ValueError: If the model is not packed, no rows are unseen, there are too few families
            for the level, held-out rows lack a medium that has intervals, which would be lost, or
            native promoters come without intervals.
    """
    options = options or CalibrateOptions()
    file = packed_file(model)
    if file is None:
        raise ValueError(f"{model} is no packed model; make one with `crmnet models pack`")
    if output is not None:
        check_name(output, overwrite)
    elif not is_bundled(file):
        output = file
    predictor = Predictor.load(file)
    card = predictor.card
    assert card is not None  # a packed file has one
    if held_out is not None:
        found = _calibration(predictor, card, unseen(held_out, card), options)
        if card.calibration is not None:
            _refuse_to_lose(card.calibration, found, held_out)
            found = found.model_copy(
                update={key: getattr(card.calibration, key) for key in ("native", "native_data")}
            )
        card = card.model_copy(update={"calibration": found, "coverage": {}})
    for path in tests:
        card = _tested(predictor, card, unseen(path, card), options)
    if native is not None:
        card = _with_native(predictor, card, native)
    if output is not None:
        write_with_card(file, card, output)
    return card


def _refuse_to_lose(before: Calibration, now: Calibration, held_out: Path) -> None:
    lost = [medium for medium in before.intervals if medium not in now.intervals]
    if lost:
        raise ValueError(
            f"{held_out} has no rows of {' or '.join(lost)}, whose intervals would be lost; "
            "give held-out rows of every medium"
        )


def unseen(path: Path, card: ModelCard) -> Dataset:
    """A data set, less the rows that a member was trained on, as far as fingerprints tell.

    Of the very set that members were trained on, the families that each of them held out are left.

    Raises:
        ValueError: If none are.
    """
    dataset = Dataset.open(path)
    rows = np.arange(len(dataset))
    for number, record in enumerate(card.members, 1):
        if record.data.get("fingerprint") != dataset.fingerprint:
            continue
        train = record.settings.train
        if record.data["validation"] != HELD_OUT:
            rows = rows[:0]
        if len(rows):
            held = hold_out(dataset, train.validation_fraction, train.seed)[1]
            rows = np.intersect1d(rows, held)
        if not len(rows):
            raise ValueError(
                f"{path} holds the rows that member {number} was trained on, and none that all "
                "members held out; give rows whose families were kept out of training"
            )
    if len(rows) == len(dataset):
        return dataset
    return dataclasses.replace(
        dataset,
        tokens=dataset.tokens[rows],
        labels=dataset.labels[rows],
        medium=dataset.medium[rows],
        family=None if dataset.family is None else dataset.family[rows],
        weight=None if dataset.weight is None else dataset.weight[rows],
    )


def judged(predictor: Predictor, dataset: Dataset) -> list[CalibrationRows]:
    """Predict a data set with its spread: one entry for each of its media."""
    expression, spread = predictor.predict_with_spread(dataset.tokens)
    related = families(dataset)
    found = []
    for number, medium in enumerate(dataset.media):
        output = output_of(medium, predictor.media)
        rows = np.nonzero(np.asarray(dataset.medium) == number)[0]
        scored = Scored(
            dataset.name if len(dataset.media) == 1 else f"{dataset.name}:{medium}",
            np.asarray(dataset.labels[rows], dtype=np.float64),
            expression[rows, output].astype(np.float64),
            related[rows],
            row=rows,
        )
        spread_here = spread[rows, output].astype(np.float64)
        found.append(CalibrationRows(scored, predictor.media[output], spread_here, rows))
    return found


def _calibration(
    predictor: Predictor, card: ModelCard, dataset: Dataset, options: CalibrateOptions
) -> Calibration:
    found = judged(predictor, dataset)
    return Calibration(
        level=options.level,
        data={"name": dataset.name, "fingerprint": dataset.fingerprint, "rows": len(dataset)},
        intervals={one.medium: interval(one, options) for one in found},
        familiar=fit_input_limits(
            np.asarray(dataset.tokens), {one.medium: one.spread for one in found}, options.tail
        ),
    )


def interval(one: CalibrationRows, options: CalibrateOptions) -> Interval:
    """The interval of one medium, cross-conformal over the families.

    How error grows with spread is fitted on all families but a fifth, which is scored by it, for
    each fifth in turn; the scores of all give the quantile. No row is scored by a line that knew
    it, and no family is spent on the line alone (Vovk 2015, Annals of Mathematics and AI 74:9).
    """
    names, family = np.unique(one.scored.family, return_inverse=True)
    if len(names) < FOLDS:
        raise ValueError(
            f"{one.scored.name}: {len(names)} held-out families are too few to calibrate"
        )
    fold = (np.random.default_rng(options.seed).permutation(len(names)) % FOLDS)[family]
    scores = np.empty(len(family))
    for here in (fold == number for number in range(FOLDS)):
        base, slope = fit_expected_error(one.error[~here], one.spread[~here])
        scores[here] = one.error[here] / (base + slope * one.spread[here])
    base, slope = fit_expected_error(one.error, one.spread)
    quantile = conformal_quantile(scores, family, options.level)
    return Interval(
        base=base, slope=slope, quantile=quantile, rows=len(scores), families=len(names)
    )


def _tested(
    predictor: Predictor, card: ModelCard, dataset: Dataset, options: CalibrateOptions
) -> ModelCard:
    found = judged(predictor, dataset)
    summary = summarise(
        [one.scored for one in found], resamples=options.resamples, seed=options.seed
    )
    coverage = dict(card.coverage)
    if card.calibration is not None:
        for one in found:
            if one.medium in card.calibration.intervals:
                tokens = np.asarray(dataset.tokens[one.rows])
                coverage[one.scored.name] = covered(
                    one, tokens, card.calibration.intervals[one.medium],
                    card.calibration.familiar, options,
                )  # fmt: skip
    return card.model_copy(
        update={"tests": {**card.tests, **summary["sets"]}, "coverage": coverage}
    )


def covered(
    one: CalibrationRows,
    tokens: npt.NDArray[np.uint8],
    interval: Interval,
    familiar: InputLimits,
    options: CalibrateOptions,
) -> Coverage:
    """Share of measurements inside their intervals, its ends resampled by family."""
    half = interval.half_width(one.spread)
    inside = (one.error <= half).astype(np.float64)
    ends = _share_ends(inside, one.scored.family, options)
    flagged = reasons_unlike(familiar, tokens, {one.medium: one.spread})
    return Coverage(
        n=len(inside),
        families=len(np.unique(one.scored.family)),
        value=float(inside.mean()),
        low=ends[0],
        high=ends[1],
        width=float(np.median(2 * half)),
        unlike=sum(map(bool, flagged)) / len(flagged),
    )


def _share_ends(
    inside: Floats, family: npt.NDArray[Any], options: CalibrateOptions
) -> tuple[float | None, float | None]:
    """Ends of the 95 % interval of a share; the mean absolute error of a 0/1 row is the share."""
    shares = Scored("coverage", np.zeros_like(inside), inside, family)
    found = bootstrap(
        shares, resamples=resamples_for(len(inside), options.resamples), seed=options.seed
    )["mae"]
    return (found.low, found.high) if np.isfinite(found.low) else (None, None)


def _with_native(predictor: Predictor, card: ModelCard, native: Path) -> ModelCard:
    if card.calibration is None:
        raise ValueError(
            f"{card.name} has no intervals yet; give held-out rows first, or with them"
        )
    if is_dataset(native):
        dataset = Dataset.open(native)
        name = dataset.name
        predicted = predictor.predict_tokens(np.unique(np.asarray(dataset.tokens), axis=0))
    else:
        name = native.name
        predicted = np.concatenate([a.expression for a in predict_file(predictor, native)])
    at = np.linspace(0, 1, QUANTILES)
    quantiles = {
        medium: np.quantile(predicted[:, m].astype(np.float64), at).tolist()
        for m, medium in enumerate(predictor.media)
    }
    data = {"name": name, "rows": len(predicted)}
    calibration = card.calibration.model_copy(update={"native": quantiles, "native_data": data})
    return card.model_copy(update={"calibration": calibration})
