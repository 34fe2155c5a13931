"""Sets to score: measured and predicted expression, with the family of each row.

The functions take a model and a data set, or a table with both values from any source, and return
one :class:`~crmnet.statistics.metrics.Scored` for each set and medium. Only this module creates
such sets. Then :mod:`crmnet.statistics.metrics` scores one set, :mod:`crmnet.evaluation.align`
matches the sets of several models, and :mod:`crmnet.evaluation.calibrate` adds the spread.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Floats
from crmnet.choices import Flanks
from crmnet.data.dataset import Dataset
from crmnet.data.hashes import Hashes
from crmnet.data.homology import KmerOptions
from crmnet.data.ingest import IngestOptions
from crmnet.data.leaks import Seen, TrainingRows
from crmnet.data.lines import COLUMN_NAMES
from crmnet.data.media import output_of, output_or_none
from crmnet.data.numbers import is_missing
from crmnet.data.opening import open_data, row_ids, rows_left_out, warn_of_other_flanks
from crmnet.data.sequences import (
    NAMED,
    SequenceBlock,
    check_id,
    prepare_block,
    read_checked,
    to_number,
)
from crmnet.data.splits import FamilyRule, families, families_of, family_rule
from crmnet.evaluation.seen import log_if_not_checked, training_overlap
from crmnet.files import PathLike
from crmnet.prediction.predictor import Predictor
from crmnet.runs.folder import load_record
from crmnet.sequence import (
    LENGTH,
    N_TOKEN,
    Tokens,
    decode,
    encode,
    inserts,
    strandless_insert,
    too_long,
)
from crmnet.statistics.metrics import Scored
from crmnet.statistics.uncertainty import Expression

log = logging.getLogger("crmnet")


@dataclass(frozen=True)
class LabelledRows:
    """Rows of a data set on which models are scored, with their families and marks."""

    dataset: Dataset
    name: str
    family: Hashes
    """``(N,)``; same value, same family."""
    families_by: FamilyRule
    """What defines a family."""
    seen: Seen | None
    """Which rows occur in training data; None if no training data were given."""
    left_out: int = 0
    """Rows of the source that could not be used; the first medium that is scored reports them."""
    ids: npt.NDArray[Any] | None = None
    """``(N,)``, id of each row in its file; None if it has none."""

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        name: str | None = None,
        *,
        by: FamilyRule = "family",
        kmers: KmerOptions | None = None,
        training: Sequence[TrainingRows] = (),
        left_out: int = 0,
        ids: Sequence[str] | None = None,
    ) -> LabelledRows:
        """Find the families of the rows, and the rows that occur in training data.

        Args:
            dataset: The opened data set.
            name: Name of the set; None means that of the data set.
            by: What defines a family; see :func:`crmnet.data.splits.families`.
            kmers: Settings of ``homology``.
            training: Rows that models were trained on.
            left_out: Rows of the source that could not be used.
            ids: Id of each row.
        """
        return cls(
            dataset,
            name or dataset.name,
            families(dataset, by, kmers),
            family_rule(dataset, by),
            find_seen(dataset.tokens, training),
            left_out,
            None if ids is None else np.array(ids, dtype=object),
        )

    def set_name(self, medium: str) -> str:
        """Name of the set of one medium; see :func:`set_name`."""
        return set_name(self.name, self.dataset.media, medium)

    def sequences(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """``(len(rows),)``, the inserts of some rows as text."""
        return np.array(decode(*inserts(self.dataset.tokens[rows])), dtype=object)


class MediumScore(NamedTuple):
    """One medium of a data set, scored."""

    medium: str
    """Name in the data set."""
    output: int
    """The model's output for this medium."""
    scored: Scored


def set_name(name: str, media: Sequence[str], medium: str) -> str:
    """Name of the set of one medium: ``name``, or ``name:medium`` if a data set has several media.

    Args:
        name: Name of the data set.
        media: Its media.
        medium: One of them.
    """
    return name if len(media) == 1 else f"{name}:{medium}"


def find_seen(tokens: Tokens, training: Sequence[TrainingRows]) -> Seen | None:
    """Which constructs ``(N, L)`` occur in training data; None if there are no training data."""
    if not training:
        return None
    by_training_set = [rows.seen(tokens) for rows in training]
    return Seen(
        np.logical_or.reduce([seen.rows for seen in by_training_set]),
        " and ".join(seen.data for seen in by_training_set),
        by_training_set[0].level,
    )


def score_media(
    rows: LabelledRows, predictor: Predictor, predicted: Expression, only: str | None = None
) -> Iterator[MediumScore]:
    """Pair predictions with measurements: one entry for each medium that the model predicts.

    Args:
        rows: The rows and their families.
        predictor: The model.
        predicted: ``(N, n_media)``, its predictions for all rows.
        only: Name in the data set of the only medium to score; None means all.
    """
    data, left_out = rows.dataset, rows.left_out
    warn_of_other_flanks(data, predictor.flanks, f"the training data of {predictor.name}")
    for number, medium in enumerate(data.media):
        output = output_or_none(medium, predictor.media)
        if output is None or only not in (None, medium):
            continue
        predicted_unit = predictor.unit(medium)
        of_medium = np.nonzero(np.asarray(data.medium) == number)[0]
        scored = Scored(
            rows.set_name(medium),
            measured=np.asarray(data.labels[of_medium], dtype=np.float64),
            predicted=predicted[of_medium, output].astype(np.float64),
            family=rows.family[of_medium],
            left_out=left_out,
            row=of_medium,
            unit=data.unit_to_compare(medium, predicted_unit),
            predicted_unit=predicted_unit,
            families_by=rows.families_by,
            seen=None if rows.seen is None else rows.seen._replace(rows=rows.seen.rows[of_medium]),
            ids=None if rows.ids is None else rows.ids[of_medium],
            sequences=rows.sequences(of_medium),
        )
        yield MediumScore(medium, output, scored)
        left_out = 0


def check_media(predictor: Predictor, dataset: Dataset, medium: str | None = None) -> None:
    """Raise ValueError if the model has no output for a medium, or for one of the data set's."""
    media = dataset.media if medium is None else [medium]
    if any(output_or_none(name, predictor.media) is None for name in media):
        raise ValueError(
            f"{dataset.name} was measured in {', '.join(dataset.media)}; the model predicts "
            f"{', '.join(predictor.media)}; give a data set that holds rows of these media only"
        )


def score_model(
    predictor: Predictor,
    dataset: Dataset,
    name: str | None = None,
    *,
    medium: str | None = None,
    by: FamilyRule = "family",
    kmers: KmerOptions | None = None,
    training: TrainingRows | None = None,
    left_out: int = 0,
    ids: Sequence[str] | None = None,
) -> list[Scored]:
    """Predict a data set and pair the predictions with its labels: one set for each medium.

    Args:
        predictor: The model.
        dataset: The opened data set.
        name: Name of the set; None means that of the data set.
        medium: Score the rows of this medium only; None scores all media.
        by: What defines a family; see :func:`crmnet.data.splits.families`.
        kmers: Settings of ``homology``.
        training: Rows that the model was trained on; the sets then mark the rows seen in training.
        left_out: Rows of the source that could not be used; the first set reports them.
        ids: Id of each row.

    Raises:
        ValueError: If the data set does not have ``medium``, or the model has no output for a
            medium that is scored.
    """
    if medium is not None:
        medium = dataset.media[output_of(medium, dataset.media, dataset.name)]
    check_media(predictor, dataset, medium)
    predicted = predictor.predict_tokens(dataset.tokens)
    training_sets = [training] if training is not None else []
    if cut := dataset.manifest.get("preparation", {}).get("cut", 0):
        log.warning(
            "warning: %s: data ingest cut %s constructs at %s bases; they are scored as they were "
            "cut",
            dataset.name, f"{cut:,}", LENGTH,
        )  # fmt: skip
    if training is None:
        _warn_of_training_rows(predictor, dataset)
    rows = LabelledRows.of(
        dataset, name, by=by, kmers=kmers, training=training_sets, left_out=left_out, ids=ids
    )
    media_scores = score_media(rows, predictor, predicted, medium)
    return [score.scored for score in media_scores]


def _warn_of_training_rows(predictor: Predictor, dataset: Dataset) -> None:
    """Warn if a sample shows that the model was trained on rows of a data set.

    Members that were trained on this very data set are left out: the command warns of them.
    """
    others = [r for r in predictor.records if r.data.get("fingerprint") != dataset.fingerprint]
    overlap = training_overlap(others, dataset)
    if overlap.share:
        log.warning(
            "warning: the model was trained on %s: %s; --against TRAINING-DATA finds all of them",
            dataset.name, overlap.sentence(),
        )  # fmt: skip
    else:
        log_if_not_checked(overlap, dataset)


def data_roles(model: PathLike, predictor: Predictor) -> dict[str, str]:
    """Maps fingerprints of a model's training and validation sets to their role, as text.

    Imported weights have no fingerprints.

    Args:
        model: Run folder, packed file or name of a bundled model.
        predictor: The same model, loaded.
    """
    card = predictor.card
    records = [load_record(Path(model))] if card is None else card.members
    roles = {"validation_fingerprint": "was validated on", "fingerprint": "was trained on"}
    return {r.data[key]: role for key, role in roles.items() for r in records if key in r.data}


def score_file(
    predictor: Predictor,
    path: PathLike,
    options: IngestOptions | None = None,
    *,
    medium: str | None = None,
    by: FamilyRule = "family",
    kmers: KmerOptions | None = None,
    training: TrainingRows | None = None,
) -> list[Scored]:
    """Score a model on a data set folder, or on a text file of sequences and measurements.

    Args:
        predictor: The model.
        path: A folder made by ``data ingest``, a file that ``data ingest`` accepts, or the name of
            a public data set that has been fetched.
        options: How to read a file. None assumes that a file without a ``medium`` column was
            measured in ``medium``, or if that is None, in the model's first medium.
        medium: Score the rows of this medium only; None scores all media.
        by: What defines a family.
        kmers: Settings of ``homology``.
        training: Rows that the model was trained on; the sets then mark the rows seen in training.

    Returns:
        One set for each medium. The first set counts the rows of a file that could not be used.
        They include rows that are too long for the network, which the log names.
    """
    options = options or IngestOptions(media=(medium or predictor.media[0],), advice=False)
    options = replace(options, cut=False)
    with open_data(path, options) as dataset:
        return score_model(
            predictor, dataset, medium=medium, by=by, kmers=kmers, training=training,
            left_out=rows_left_out(path, dataset), ids=row_ids(path, dataset, options.columns),
        )  # fmt: skip


@dataclass(frozen=True)
class ScoreTable:
    """A table with measured and predicted values, as read from a file."""

    path: Path
    measured: Floats
    """``(N,)``; NaN where there is no value."""
    predicted: Floats
    family: npt.NDArray[Any]
    """``(N,)``: family column, else the first copy of the sequence (in either case, with or without
    adapters, on either strand), else a blank and the line number."""
    families_by: str
    """``family``, ``sequence`` or ``row``: which of the three the table has."""
    sequences: SequenceBlock | None
    """Its sequence column, with N in empty fields; None if the table has none."""
    ids: npt.NDArray[Any] | None = None
    """``(N,)``; None if the table has no ids."""
    flanks: Flanks = "auto"
    """How the sequences are prepared; see :func:`crmnet.sequence.prepare`."""

    @cached_property
    def tokens(self) -> Tokens | None:
        """Constructs ``(N, 112)``, an insert of N for an empty field; None without sequences.

        A longer construct is cut at its end, with a warning.

        Raises:
            ValueError: If a sequence is not DNA, naming its line.
        """
        if self.sequences is None:
            return None
        tokens, preparation = prepare_block(self.sequences, self.path, self.flanks, cut=True)
        if preparation.cut:
            _warn_of_cut(self.sequences, self.path, preparation.cut, self.flanks)
        return tokens

    def score(
        self,
        *,
        by: FamilyRule = "family",
        kmers: KmerOptions | None = None,
        training: Sequence[TrainingRows] = (),
    ) -> Scored:
        """The rows that have both values, as a set; arguments as for :func:`score_table`."""
        rows = np.nonzero(np.isfinite(self.measured) & np.isfinite(self.predicted))[0]
        family, seen = self.family, None
        if by != "family":
            family = _families_by_insert(self._needed_tokens(f"grouped by {by}"), by, kmers)
        if training:
            seen = find_seen(self._needed_tokens("matched with training rows"), training)
        return Scored(
            self.path.name.split(".")[0],
            measured=self.measured[rows],
            predicted=self.predicted[rows],
            family=family[rows],
            row=rows,
            left_out=len(self.measured) - len(rows),
            families_by=self.families_by if by == "family" else by,
            seen=None if seen is None else seen._replace(rows=seen.rows[rows]),
            ids=None if self.ids is None else self.ids[rows],
        )

    def _needed_tokens(self, purpose: str) -> Tokens:
        if self.tokens is None:
            raise ValueError(
                f"{self.path}, line 1: no sequence column found, so rows cannot be {purpose}; name "
                "the column sequence, or add one"
            )
        return self.tokens


def score_table(
    path: PathLike,
    *,
    measured: str | None = None,
    predicted: str | None = None,
    columns: Mapping[str, str] | None = None,
    by: FamilyRule = "family",
    kmers: KmerOptions | None = None,
    training: TrainingRows | None = None,
) -> Scored:
    """Pair the measured and the predicted column of a table from any source.

    Args:
        path: TSV or CSV with a header.
        measured: Name of the column of measurements; None finds the usual names.
        predicted: Likewise for the predictions.
        columns: Role (id, sequence, family) → name of the column, where it is not a usual one.
        by: What defines a family. ``family`` uses the family column. Without a family, copies of
            one insert form a family; a row without a sequence is a family of its own.
        kmers: Settings of ``homology``.
        training: Rows that the model was trained on; the set then marks the rows seen in training.

    Raises:
        ValueError: If a column is missing, or a line has too few or too many fields or a field that
            is not a number, naming the line.
    """
    table = read_score_table(
        path, measured=measured, predicted=predicted, columns=columns,
        flanks="auto" if training is None else training.flanks,
    )  # fmt: skip
    return table.score(by=by, kmers=kmers, training=[training] if training is not None else [])


def read_score_table(
    path: PathLike,
    *,
    measured: str | None = None,
    predicted: str | None = None,
    columns: Mapping[str, str] | None = None,
    flanks: Flanks = "auto",
    options: bool = True,
) -> ScoreTable:
    """Read the measured and predicted values, families and sequences of a table.

    Arguments and errors are those of :func:`score_table`. ``flanks`` is that of the rows with which
    the sequences are compared (:func:`crmnet.sequence.prepare`). ``options`` is True if the command
    has the options --measured and --predicted, so that an error may advise them.
    """
    path = Path(path)
    names = {"expression": measured, "predicted": predicted}
    given = {role: name for role, name in names.items() if name is not None}
    roles = ("id", "expression", "predicted", "family", "sequence")
    values: dict[str, list[float]] = {"expression": [], "predicted": []}
    family: list[bytes] = []
    first_copy: dict[bytes, bytes] = {}
    texts: list[bytes] = []
    ids: list[str] = []
    lines: list[int] = []
    families_by = "row"
    for block in read_checked(path, roles, {**(columns or {}), **given}, required=()):
        for role, option in (("expression", "--measured"), ("predicted", "--predicted")):
            if role not in block.columns:
                accepted = " or ".join(map(repr, COLUMN_NAMES[role][:3]))
                raise ValueError(
                    f"{path}, line 1: no {role} column found; name it {accepted}"
                    + f", or give its name with {option}" * options
                )
            values[role] += [
                math.nan if is_missing(text) else to_number(text, path, line, role)
                for text, line in zip(block.columns[role], block.lines, strict=True)
            ]
        families_by = next((r for r in ("family", "sequence") if r in block.columns), "row")
        # Fields lose their blanks, so this is never the family or the sequence of another row.
        line_numbers = [b" line %d" % line for line in block.lines]
        no_fields = [b""] * len(block)
        sequences = block.columns.get("sequence", no_fields)
        named = block.columns.get("family", no_fields)
        family += [
            given_family
            if not is_missing(given_family)
            else (text and first_copy.setdefault(strandless_insert(text), text)) or line
            for given_family, text, line in zip(named, sequences, line_numbers, strict=True)
        ]
        for name, line in zip(block.columns.get("id", []), block.lines, strict=False):
            check_id(name, path, line)
            ids.append(name.decode(errors="replace"))
        lines += block.lines
        texts += [text or b"N" for text in block.columns.get("sequence", [])]
    return ScoreTable(
        path,
        np.array(values["expression"]),
        np.array(values["predicted"]),
        np.array(family),
        families_by,
        SequenceBlock([str(n) for n in range(1, len(texts) + 1)], lines, texts) if texts else None,
        np.array(ids, dtype=object) if ids else None,
        flanks,
    )


def _warn_of_cut(sequences: SequenceBlock, path: Path, cut: int, flanks: Flanks) -> None:
    """Warn that some sequences of a table are compared only by their first bases."""
    texts = sequences.sequences
    by_length = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
    long = (row for row in by_length if too_long(*encode([texts[row]]), flanks)[0])
    lines = sorted(sequences.lines[row] for row in islice(long, NAMED))
    log.warning(
        "warning: %s: %s sequences are longer than %s bases%s and are compared by their first "
        "bases; of these the longest are in line %s",
        path, f"{cut:,}", LENGTH, "" if flanks == "none" else " with their adapters",
        ", ".join(map(str, lines)),
    )  # fmt: skip


def _families_by_insert(
    tokens: Tokens, by: FamilyRule, kmers: KmerOptions | None
) -> npt.NDArray[np.int64]:
    """Family number of each row by its insert; a row without an insert is a family of one row."""
    _, number = np.unique(families_of(tokens, by, kmers), return_inverse=True)
    has_insert = (inserts(tokens)[0] != N_TOKEN).any(axis=1)
    return np.where(has_insert, number, len(tokens) + np.arange(len(tokens)))
