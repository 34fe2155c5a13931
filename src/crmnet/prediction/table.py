"""Tables of predictions: sequences of a file in, columns out, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from crmnet import sequence
from crmnet.data.dataset import UNKNOWN_UNIT
from crmnet.data.lines import HARMLESS_REASONS
from crmnet.data.reading import display_name, read_blocks
from crmnet.prediction.predictor import Predictor
from crmnet.statistics.uncertainty import Expression, Trust


class Answered(NamedTuple):
    """Predictions for one block of an input file."""

    ids: list[str]
    expression: Expression
    """``(N, n_media)``."""
    preparation: sequence.Preparation
    trust: Trust | None = None


class SequenceBlock(NamedTuple):
    """Sequences of an input file that were read together."""

    ids: list[str]
    lines: list[int]
    sequences: list[bytes]


def predict_file(
    predictor: Predictor, path: Path, *, flanks: sequence.Flanks = "auto"
) -> Iterator[Answered]:
    """Predict the sequences of a file in input order; memory does not grow with the file.

    Ids are those of the file (FASTA names, an ``id`` column), else running numbers from 1.

    Raises:
        ValueError: At the first sequence that cannot be read, naming file, line and position.
    """
    for rows in read_rows(path):
        yield answer(predictor, path, rows, flanks)


def read_rows(path: Path) -> Iterator[SequenceBlock]:
    """The sequences of a file and their ids, block by block, not yet judged.

    Raises:
        ValueError: If a line cannot be split into columns, or there is no sequence at all.
    """
    count = 0
    for block in read_blocks(path, ("id", "sequence")):
        for line, reason, _ in block.skipped:
            if reason not in HARMLESS_REASONS:
                raise ValueError(f"{display_name(path)}, line {line}: {reason}")
        if not len(block):
            continue
        numbers = [str(count + n) for n in range(1, len(block) + 1)]
        count += len(block)
        ids = [i.decode() for i in block.columns["id"]] if "id" in block.columns else numbers
        yield SequenceBlock(ids, block.lines, block.columns["sequence"])
    if not count:
        raise ValueError(
            f"{display_name(path)} holds no sequences; add a line for each below the header"
        )


def answer(
    predictor: Predictor, path: Path, rows: SequenceBlock, flanks: sequence.Flanks
) -> Answered:
    """Predict rows of the file ``path``; an error names the file and the row's line."""
    file = display_name(path)
    where = [f"{name} ({file}, line {n})" for name, n in zip(rows.ids, rows.lines, strict=True)]
    tokens, lengths = sequence.encode(rows.sequences, where)
    tokens, done = sequence.prepare(tokens, lengths, flanks, predictor.length)
    expression, trust = predictor.assess_tokens(tokens)
    return Answered(rows.ids, expression, done, trust)


def column_names(predictor: Predictor, media: Sequence[str]) -> list[str]:
    """Columns of a table of predictions for ``media``, in order, as :func:`table_columns` fills.

    ``id`` and ``expression`` (``expression_<medium>`` for several); for a calibrated model then
    ``low`` and ``high``, ``percentile`` if it knows native promoters, and ``unlike_training``.
    """
    calibration = None if predictor.card is None else predictor.card.calibration
    kinds = ["expression"]
    if calibration is not None:
        kinds += ["low", "high", *(["percentile"] if calibration.native else [])]
    several = len(media) > 1
    names = [f"{kind}_{medium}" if several else kind for kind in kinds for medium in media]
    return ["id", *names, *(["unlike_training"] if calibration is not None else [])]


def unit_lines(predictor: Predictor, media: Sequence[str]) -> Iterator[str]:
    """What the columns of expression are measured in, for those whose unit is known."""
    for medium, column in zip(media, column_names(predictor, media)[1:], strict=False):
        if (unit := predictor.unit(medium)) not in (None, UNKNOWN_UNIT):
            yield f"{column} is in the unit of the training labels: {unit}"


def table_columns(
    predictor: Predictor, answered: Answered, media: Sequence[str]
) -> dict[str, Iterable[Any]]:
    """The columns of one block, by the names of :func:`column_names`."""
    indices = [predictor.medium_index(medium) for medium in media]
    trust = answered.trust
    arrays = [answered.expression]
    if trust is not None:
        arrays += [trust.low, trust.high, *([] if trust.percentile is None else [trust.percentile])]
    columns: list[Iterable[Any]] = [array[:, i] for array in arrays for i in indices]
    unlike = [] if trust is None else [trust.unlike]
    names = column_names(predictor, media)
    return dict(zip(names, [answered.ids, *columns, *unlike], strict=True))
