"""Sets to score: measured expression beside predicted, and which rows are relatives.

Takes a model and a data set, or a table that anybody made and that holds both, and gives one
:class:`~crmnet.statistics.metrics.Scored` for each set and medium. :mod:`crmnet.statistics.metrics`
scores them alone, :mod:`crmnet.evaluation.compare` several models' together.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crmnet.data.dataset import Dataset, is_dataset
from crmnet.data.homology import WordOptions
from crmnet.data.ingest import IngestOptions
from crmnet.data.leaks import TrainingRows
from crmnet.data.lines import HARMLESS_REASONS, Block
from crmnet.data.media import output_of
from crmnet.data.opening import opened
from crmnet.data.reading import read_blocks
from crmnet.data.splits import Kinship, families, families_of, family_rule
from crmnet.prediction.predictor import Predictor
from crmnet.runs.folder import load_record
from crmnet.sequence import N_TOKEN, Tokens, encode, inserts, prepare
from crmnet.statistics.metrics import Scored


def score_model(
    predictor: Predictor,
    dataset: Dataset,
    name: str | None = None,
    *,
    by: Kinship = "family",
    words: WordOptions | None = None,
    training: TrainingRows | None = None,
) -> list[Scored]:
    """Predict a data set and pair the predictions with its labels, one set for each medium.

    Args:
        predictor: The model.
        dataset: The opened data set.
        name: Of the set; left out, that of the data set.
        by: What makes rows relatives; see :func:`crmnet.data.splits.families`.
        words: What homology goes by.
        training: What the model was trained on, to tell the rows that it has seen.

    Raises:
        ValueError: If the model has no output for a medium of the data set.
    """
    try:
        outputs = [output_of(medium, predictor.media) for medium in dataset.media]
    except ValueError:
        raise ValueError(
            f"{dataset.name} was measured in {', '.join(dataset.media)}; the model predicts "
            f"{', '.join(predictor.media)}: evaluate it on rows of those media"
        ) from None
    predicted = predictor.predict_tokens(dataset.tokens)
    related = families(dataset, by, words)
    seen = None if training is None else training.seen(dataset.tokens)
    title = name or dataset.name
    sets = []
    for number, (medium, output) in enumerate(zip(dataset.media, outputs, strict=True)):
        rows = np.asarray(dataset.medium) == number
        sets.append(
            Scored(
                title if len(dataset.media) == 1 else f"{title}:{medium}",
                np.asarray(dataset.labels[rows], dtype=np.float64),
                predicted[rows, output].astype(np.float64),
                related[rows],
                row=np.nonzero(rows)[0],
                unit=dataset.units[medium],
                predicted_unit=predictor.unit(medium),
                families_by=family_rule(dataset, by),
                seen=None if seen is None else seen._replace(rows=seen.rows[rows]),
            )
        )
    return sets


def known_data(model: str | Path, predictor: Predictor) -> dict[str, str]:
    """What records say of the data sets that a model has met: fingerprint → the use of it.

    Args:
        model: Run folder, packed file or name of a bundled model.
        predictor: The same, loaded.
    """
    card = predictor.card
    records = [load_record(Path(model))] if card is None else card.members
    watched = {r.data["validation_fingerprint"]: "was watched on in training" for r in records}
    return watched | {r.data["fingerprint"]: "was trained on" for r in records}


def score_file(
    predictor: Predictor,
    path: Path,
    options: IngestOptions | None = None,
    *,
    by: Kinship = "family",
    words: WordOptions | None = None,
    training: TrainingRows | None = None,
) -> list[Scored]:
    """Score a model on a data set folder, or on a text file of sequences and measurements.

    Args:
        predictor: The model.
        path: A folder made by ``data ingest``, a file that it would take, or the name of a public
            data set that has been fetched.
        options: How to read a file; left out, a file that names no medium is of the model's first.
        by: What makes rows relatives.
        words: What homology goes by.
        training: What the model was trained on, to tell the rows that it has seen.

    Returns:
        One set for each medium; the first says how many rows of a file could not be used.
    """
    options = options or IngestOptions(media=(predictor.media[0],))
    with opened(path, options) as dataset:
        first, *others = score_model(predictor, dataset, by=by, words=words, training=training)
        unusable = 0 if is_dataset(path) else dataset.manifest["rows_read"] - len(dataset)
        return [dataclasses.replace(first, left_out=unusable), *others]


def score_table(
    path: Path,
    *,
    measured: str | None = None,
    predicted: str | None = None,
    by: Kinship = "family",
    words: WordOptions | None = None,
    training: TrainingRows | None = None,
) -> Scored:
    """Pair the measured and the predicted column of a table, whoever made it.

    Args:
        path: TSV or CSV with a header.
        measured: Name of the column of measurements; usual names are found without it.
        predicted: Likewise for the predictions.
        by: What makes rows relatives. ``family`` goes by the family column, where a row names none
            by the text of its sequence, and without that takes each row for its own family.
        words: What homology goes by.
        training: What the model was trained on, to tell the rows that it has seen.

    Raises:
        ValueError: If a column is not there, or a line has too few or too many fields or holds a
            text that is no number, naming the line.
    """
    names = {"expression": measured, "predicted": predicted}
    given = {role: name for role, name in names.items() if name is not None}
    roles = ("expression", "predicted", "family", "sequence")
    columns: dict[str, list[float]] = {"expression": [], "predicted": []}
    related: list[bytes] = []
    told: str = "row"
    for block in read_blocks(path, roles, given, required=()):
        for line, reason, _ in block.skipped:
            if reason not in HARMLESS_REASONS:
                raise ValueError(f"{path}, line {line}: {reason}; mend or remove the line")
        for role, option in (("expression", "--measured"), ("predicted", "--predicted")):
            if role not in block.columns:
                raise ValueError(f"{path}, line 1: no {role} column found; name it with {option}")
            columns[role] += [
                _number(text, path, line, role)
                for text, line in zip(block.columns[role], block.lines, strict=True)
            ]
        related += _given_relatives(block)
        told = next((role for role in ("family", "sequence") if role in block.columns), "row")
    pairs = np.array([columns["expression"], columns["predicted"]])
    rows = np.nonzero(np.isfinite(pairs).all(axis=0))[0]
    family = np.array(related) if by == "family" else _found_relatives(path, by, words)
    seen = None if training is None else training.seen(_needed_tokens(path, "looked for"))
    return Scored(
        path.name.split(".")[0],
        measured=pairs[0, rows],
        predicted=pairs[1, rows],
        family=family[rows],
        row=rows,
        left_out=pairs.shape[1] - len(rows),
        families_by=told if by == "family" else by,
        seen=None if seen is None else seen._replace(rows=seen.rows[rows]),
    )


def _given_relatives(block: Block) -> list[bytes]:
    """Family of each row of a table: the named one, else its sequence's, else its own."""
    own = [str(line).encode() for line in block.lines]
    sequences = block.columns.get("sequence", own)
    named = block.columns.get("family", sequences)
    return [
        family or text or line for family, text, line in zip(named, sequences, own, strict=True)
    ]


def _found_relatives(path: Path, by: Kinship, words: WordOptions | None) -> npt.NDArray[Any]:
    """Family of each row of a table by its insert; a row without one is its own family."""
    tokens = _needed_tokens(path, f"grouped by {by}")
    _, number = np.unique(families_of(tokens, by, words), return_inverse=True)
    known = (inserts(tokens)[0] != N_TOKEN).any(axis=1)
    return np.where(known, number, len(tokens) + np.arange(len(tokens)))


def _needed_tokens(path: Path, purpose: str) -> Tokens:
    tokens = table_tokens(path)
    if tokens is None:
        raise ValueError(
            f"{path}, line 1: no sequence column found, so rows cannot be {purpose}; name the "
            "column sequence, or add one"
        )
    return tokens


def table_tokens(path: Path) -> Tokens | None:
    """Constructs ``(N, 112)`` of a table's sequence column, as data sets hold them.

    Returns:
        One row for each row of the table, an insert of N for one without a sequence; None if the
        table has no such column.

    Raises:
        ValueError: If a sequence is no DNA, naming its line.
    """
    texts: list[bytes] = []
    where: list[str] = []
    for block in read_blocks(path, ("sequence",), required=()):
        texts += [text or b"N" for text in block.columns.get("sequence", [])]
        where += [f"{path}, line {line}" for line in block.lines]
    if not texts:
        return None
    return prepare(*encode(texts, where), "auto")[0]


def _number(text: bytes, path: Path, line: int, role: str) -> float:
    if not text:
        return math.nan
    try:
        return float(text)
    except ValueError:
        raise ValueError(
            f"{path}, line {line}: {role} {text.decode(errors='replace')!r} is not a number"
        ) from None
