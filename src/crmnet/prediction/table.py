"""Prediction tables: reads the sequences of a file and gives columns, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from crmnet import sequence
from crmnet.data.dataset import BIN_UNIT, UNKNOWN_UNIT
from crmnet.data.sequences import SequenceBlock, prepare_block, read_sequences
from crmnet.files import PathLike
from crmnet.prediction.predictor import Predictor
from crmnet.statistics.uncertainty import Expression, Trust


class PredictedBlock(NamedTuple):
    """Predictions for one block of an input file."""

    ids: list[str]
    expression: Expression
    """``(N, n_media)``."""
    preparation: sequence.Preparation
    trust: Trust | None = None
    """None if the model is not calibrated."""


def predict_file(
    predictor: Predictor, path: PathLike, *, flanks: sequence.Flanks = "auto"
) -> Iterator[PredictedBlock]:
    """Predict the sequences of a file in input order; memory does not grow with the file.

    Ids are those of the file (FASTA names, an ``id`` column), else running numbers from 1.

    Raises:
        ValueError: At the first sequence that cannot be read, naming file, line and position.
    """
    for block in read_sequences(path):
        yield predict_block(predictor, path, block, flanks)


def predict_block(
    predictor: Predictor, path: PathLike, block: SequenceBlock, flanks: sequence.Flanks
) -> PredictedBlock:
    """Predict a block of the file ``path``; an error names the file and the row's line."""
    tokens, preparation = prepare_block(block, path, flanks, predictor.length)
    expression, trust = predictor.assess_tokens(tokens)
    return PredictedBlock(block.ids, expression, preparation, trust)


def column_names(predictor: Predictor, media: Sequence[str]) -> list[str]:
    """Names of the columns of a prediction table for ``media``, in order.

    ``id`` and ``expression`` (``expression_<medium>`` for several media). A calibrated model adds
    ``low`` and ``high``, ``percentile`` if its card holds native promoters, and
    ``unlike_training``. :func:`table_columns` fills them.
    """
    calibration = None if predictor.card is None else predictor.card.calibration
    kinds = ["expression"]
    if calibration is not None:
        kinds += ["low", "high", *(["percentile"] if calibration.native else [])]
    several = len(media) > 1
    names = [f"{kind}_{medium}" if several else kind for kind in kinds for medium in media]
    return ["id", *names, *(["unlike_training"] if calibration is not None else [])]


def unit_lines(predictor: Predictor, media: Sequence[str]) -> Iterator[str]:
    """One line for each expression column whose unit is known."""
    for medium, column in zip(media, column_names(predictor, media)[1:], strict=False):
        unit = predictor.unit(medium)
        if unit == BIN_UNIT:
            yield f"{column}: mean sorting bin, 0–17"
        elif unit not in (None, UNKNOWN_UNIT):
            yield f"{column}: {unit}, the unit of the training labels"


def table_columns(
    predictor: Predictor, predicted: PredictedBlock, media: Sequence[str]
) -> dict[str, Iterable[Any]]:
    """The columns of one block, by the names of :func:`column_names`."""
    indices = [predictor.medium_index(medium) for medium in media]
    trust = predicted.trust
    arrays = [predicted.expression]
    if trust is not None:
        arrays += [trust.low, trust.high, *([] if trust.percentile is None else [trust.percentile])]
    columns: list[Iterable[Any]] = [array[:, i] for array in arrays for i in indices]
    unlike = [] if trust is None else [trust.unlike]
    names = column_names(predictor, media)
    return dict(zip(names, [predicted.ids, *columns, *unlike], strict=True))
