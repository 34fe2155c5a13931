"""Whether two models make the same errors: the correlation of their errors on test sets.

:mod:`crmnet.evaluation.calibrate` writes it into the card of a model. A model that judges the
designs of another is of use as far as it makes other errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from crmnet.data.dataset import Dataset
from crmnet.data.media import output_or_none
from crmnet.evaluation.intervals import CalibrateOptions, CalibrationRows
from crmnet.prediction.predictor import Predictor
from crmnet.runs.model_card import ErrorCorrelation
from crmnet.statistics.metrics import Scored, bootstrap, none_if_undefined, resamples_for


def error_correlations(
    media_rows: Sequence[CalibrationRows],
    other: Predictor,
    dataset: Dataset,
    options: CalibrateOptions,
) -> dict[str, ErrorCorrelation]:
    """Name of a set → correlation of both models' errors, for each medium that both predict.

    Args:
        media_rows: Rows of each medium with the predictions of one model.
        other: The other model.
        dataset: The data set of the rows, on which neither was trained.
        options: Number of bootstrap resamples, and seed.

    Raises:
        ValueError: If no medium of the data set is predicted by both.
    """
    found = {}
    for errors in _errors(media_rows, other, dataset):
        resamples = resamples_for(len(errors.measured), options.resamples)
        r = bootstrap(errors, resamples=resamples, seed=options.seed)["pearson"]
        found[errors.name] = ErrorCorrelation(
            n=len(errors.measured),
            families=len(np.unique(errors.family)),
            value=r.value,
            low=none_if_undefined(r.low),
            high=none_if_undefined(r.high),
        )
    if not found:
        raise ValueError(
            f"{dataset.path}: the models have no output in common for its media "
            f"{', '.join(dataset.media)}"
        )
    return found


def _errors(
    media_rows: Sequence[CalibrationRows], other: Predictor, dataset: Dataset
) -> Iterator[Scored]:
    """For each common medium a set whose two columns are the errors of the two models."""
    outputs = [output_or_none(_medium(rows, dataset), other.media) for rows in media_rows]
    common = [pair for pair in zip(media_rows, outputs, strict=True) if pair[1] is not None]
    if not common:
        return
    predicted = other.predict_tokens(np.asarray(dataset.tokens))
    for rows, output in common:
        scored = rows.scored
        theirs = predicted[scored.row, output]
        yield Scored(
            scored.name,
            scored.measured - scored.predicted,
            scored.measured - theirs,
            scored.family,
        )


def _medium(rows: CalibrationRows, dataset: Dataset) -> str:
    """The medium of the rows in the data set; an output that predicts it may serve several."""
    assert rows.scored.row is not None
    return dataset.media[int(dataset.medium[rows.scored.row[0]])]
