"""Prediction tables: predicts the sequences of a file and returns columns, block by block.

``crmnet predict`` and :mod:`crmnet.prediction.sharded` write these columns. The first column is
``id``; if rows are windows, ``start`` and ``end`` follow. Each medium has ``expression_<medium>``,
and with a calibrated model also ``low_<medium>``, ``high_<medium>`` and ``percentile_<medium>``.
The last column of a calibrated model is ``unlike_training``. The columns have all digits;
:func:`crmnet.reports.tables.for_reading` rounds them for text files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.data.dataset import BIN_UNIT, UNKNOWN_UNIT
from crmnet.data.sequences import SequenceBlock, block_names, prepare_block, read_sequences
from crmnet.files import PathLike
from crmnet.prediction.predictor import WINDOWS, Assessed, NotFiniteError, Predictor
from crmnet.statistics.uncertainty import Calibration, Expression, Trust

REMEDY = (
    "pass --window last or --window first to predict one end, or --tile 10 for a profile along it"
)
"""Advice about a sequence that is too long for the network."""


@dataclass(frozen=True)
class Reading:
    """How the sequences of a file are read."""

    flanks: sequence.Flanks = "auto"
    window: sequence.Window | None = None
    """Which end of a sequence that is too long is read; None refuses such a sequence."""
    tile: int | None = None
    """Bases from window to window of a profile; None makes no profile."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Role → column name, as for :func:`crmnet.data.sequences.read_sequences`."""
    iupac: sequence.Iupac = "error"

    def __post_init__(self) -> None:
        if self.window is not None and self.tile is not None:
            raise ValueError("--window takes one window of a sequence and --tile all; give one")
        if self.tile is not None and self.tile < 1:
            raise ValueError(f"the step of --tile must be at least 1 base; got {self.tile}")

    @property
    def by_window(self) -> bool:
        """Whether rows are windows with a start and an end."""
        return self.window is not None or self.tile is not None


class PredictedBlock(NamedTuple):
    """Predictions for one block of an input file."""

    ids: list[str]
    expression: Expression
    """``(N, n_media)``."""
    preparation: sequence.Preparation
    trust: Trust | None = None
    """None if the model is not calibrated."""
    start: npt.NDArray[np.int64] | None = None
    """First base of each window in the given sequence, from 1; None if rows are not windows."""
    end: npt.NDArray[np.int64] | None = None
    """Last base of each window."""
    sequences: int = 0
    """Number of sequences of the file whose first row is in this block."""


def predict_file(
    predictor: Predictor,
    path: PathLike,
    *,
    flanks: sequence.Flanks = "auto",
    reading: Reading | None = None,
) -> Iterator[PredictedBlock]:
    """Predict the sequences of a file in input order; memory does not grow with the file.

    Ids are those of :func:`crmnet.data.sequences.read_sequences`.

    Args:
        predictor: The model.
        path: The file, or ``-``.
        flanks: As for :func:`crmnet.sequence.prepare`; not used if ``reading`` is given.
        reading: How to read the sequences; None means without windows.

    Raises:
        ValueError: At the first sequence that cannot be read or is too long for the network,
            naming file, line and position; or whose prediction is not finite.
    """
    reading = reading or Reading(flanks)
    for block in read_sequences(path, columns=reading.columns):
        if reading.tile is None:
            yield predict_block(predictor, path, block, reading)
        else:
            yield from _profiles(predictor, path, block, reading)


def predict_block(
    predictor: Predictor, path: PathLike, block: SequenceBlock, reading: Reading
) -> PredictedBlock:
    """Predict a block of the file ``path``; an error names the file and the row's line."""
    if reading.window is not None:
        windows = [
            sequence.windows(text, reading.window, reading.flanks, predictor.length)
            for text in block.sequences
        ]
        found = _predict_windows(predictor, path, block, reading, windows)
        return found._replace(sequences=len(block.ids))
    tokens, preparation = prepare_block(
        block, path, reading.flanks, predictor.length, iupac=reading.iupac, remedy=REMEDY
    )
    expression, trust = _assess(predictor, tokens, block_names(block, path))
    return PredictedBlock(block.ids, expression, preparation, trust, sequences=len(block.ids))


def _assess(predictor: Predictor, tokens: sequence.Tokens, names: Sequence[str]) -> Assessed:
    """Predict tokens; an error about a row has its name."""
    try:
        return predictor.assess_tokens(tokens)
    except NotFiniteError as error:
        raise NotFiniteError(error.row, names[error.row]) from None


def _profiles(
    predictor: Predictor, path: PathLike, block: SequenceBlock, reading: Reading
) -> Iterator[PredictedBlock]:
    """Profiles of the sequences of a block, at most :data:`WINDOWS` windows at a time."""
    assert reading.tile is not None
    for row, text in enumerate(block.sequences):
        single = SequenceBlock([block.ids[row]], [block.lines[row]], [text])
        windows = sequence.windows(text, reading.tile, reading.flanks, predictor.length)
        for first in range(0, len(windows), WINDOWS):
            windows_of_block = windows[first : first + WINDOWS]
            found = _predict_windows(predictor, path, single, reading, [windows_of_block])
            yield found._replace(sequences=int(first == 0))


def _predict_windows(
    predictor: Predictor,
    path: PathLike,
    block: SequenceBlock,
    reading: Reading,
    windows: list[list[sequence.Stretch]],
) -> PredictedBlock:
    texts = block.sequences
    if reading.iupac == "n":
        texts = [sequence.iupac_as_n(text) for text in texts]
    names = block_names(block, path)
    tokens, preparation = sequence.window_constructs(
        texts, windows, names, flanks=reading.flanks, length=predictor.length
    )
    all_windows = [window for windows_of_row in windows for window in windows_of_row]
    window_names = [
        f"{name}, bases {window.start + 1}–{window.stop}"
        for name, windows_of_row in zip(names, windows, strict=True)
        for window in windows_of_row
    ]
    expression, trust = _assess(predictor, tokens, window_names)
    ids = [
        name
        for name, windows_of_row in zip(block.ids, windows, strict=True)
        for _ in windows_of_row
    ]
    start = np.array([window.start + 1 for window in all_windows], dtype=np.int64)
    end = np.array([window.stop for window in all_windows], dtype=np.int64)
    return PredictedBlock(ids, expression, preparation, trust, start, end)


def windows_line(windows: int, sequences: int) -> str:
    """How many windows of how many sequences were predicted."""
    return (
        f"{windows:,} window{'s' * (windows != 1)} of {sequences:,} "
        f"sequence{'s' * (sequences != 1)}"
    )


def column_names(
    predictor: Predictor, media: Sequence[str], *, by_window: bool = False
) -> list[str]:
    """Names of the columns of a prediction table for ``media``, in order.

    :func:`table_columns` fills them.
    """
    calibration = None if predictor.card is None else predictor.card.calibration
    names = [f"{kind}_{medium}" for medium in media for kind in _kinds(predictor)]
    position_columns = ["start", "end"] if by_window else []
    return [
        "id",
        *position_columns,
        *names,
        *(["unlike_training"] if calibration is not None else []),
    ]


def _kinds(predictor: Predictor) -> list[str]:
    calibration = None if predictor.card is None else predictor.card.calibration
    if calibration is None:
        return ["expression"]
    return ["expression", "low", "high", *(["percentile"] if calibration.native else [])]


def unit_lines(predictor: Predictor, media: Sequence[str]) -> Iterator[str]:
    """Meaning of the columns: unit of each medium if it is known, interval, percentile, flags."""
    for medium in media:
        unit = predictor.unit(medium)
        if unit == BIN_UNIT:
            yield f"expression_{medium}: mean sorting bin, bins 0–{sequence.TOP_BIN}"
        elif unit not in (None, UNKNOWN_UNIT):
            yield f"expression_{medium}: {unit}, the unit of the training labels"
    calibration = None if predictor.card is None else predictor.card.calibration
    if calibration is None:
        return
    yield f"low, high: {100 * calibration.level:.0f} % interval of a measurement"
    if calibration.native:
        rows = calibration.native_data.get("rows")
        count = f"{rows:,} " if isinstance(rows, int) else ""
        yield f"percentile: among {count}native {sequence.INSERT}-base fragments"
    yield (
        "unlike_training: why a sequence is unlike the training data; such a prediction "
        f"{_flagged_interval(calibration, media)} (crmnet predict --explain-flags)"
    )


def _flagged_interval(calibration: Calibration, media: Sequence[str]) -> str:
    """What interval a flagged prediction has in each of ``media``."""
    with_one = [medium for medium in media if medium in calibration.unlike_intervals]
    if not with_one:
        return "has no interval"
    if len(with_one) == len(media):
        return "has a wider interval"
    return f"has a wider interval in {', '.join(with_one)}, and none in other media"


def table_columns(
    predictor: Predictor, predicted: PredictedBlock, media: Sequence[str]
) -> dict[str, Iterable[Any]]:
    """The columns of one block, by the names of :func:`column_names`, with all digits."""
    trust = predicted.trust
    arrays = [predicted.expression]
    if trust is not None:
        arrays += [trust.low, trust.high, *([] if trust.percentile is None else [trust.percentile])]
    columns: dict[str, Iterable[Any]] = {"id": predicted.ids}
    if predicted.start is not None and predicted.end is not None:
        columns |= {"start": predicted.start, "end": predicted.end}
    for medium in media:
        index = predictor.medium_index(medium)
        for kind, array in zip(_kinds(predictor), arrays, strict=True):
            columns[f"{kind}_{medium}"] = array[:, index]
    if trust is not None:
        columns["unlike_training"] = trust.unlike
    return columns
