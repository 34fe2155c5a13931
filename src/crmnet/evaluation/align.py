"""Matches the rows of several models and tables, set by set, so that they can be compared.

:func:`align` takes models with data sets (scored by :mod:`crmnet.evaluation.score_sets`), and
tables of predictions from any source. It returns one :class:`AlignedSet` for each set and medium,
which :mod:`crmnet.evaluation.compare` scores. Rows are matched by sequence. Rows of the training
data are left out if these data are given.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from crmnet.arrays import Floats, Integers
from crmnet.choices import Flanks
from crmnet.data.dataset import Dataset
from crmnet.data.hashes import Hashes, insert_hashes, sequence_hashes
from crmnet.data.homology import KmerOptions
from crmnet.data.leaks import TrainingRows
from crmnet.data.splits import FamilyRule
from crmnet.evaluation.score_sets import LabelledRows, read_score_table, score_media
from crmnet.files import PathLike
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import Tokens
from crmnet.statistics.metrics import MIN_ROWS, Scored

log = logging.getLogger("crmnet")

_TOLERANCE = 1e-4
"""Two measurements are the same if they differ by less than this share of the set's standard
deviation."""


@dataclass(frozen=True)
class AlignedSet:
    """Predictions of several models for the same rows of one set."""

    name: str
    models: Mapping[str, Scored]
    """The same rows, in the same order, for each model."""
    left_out: int = 0
    """Rows left out because not all models predicted them, or a value is missing."""
    seen: int = 0
    """Rows left out because training data hold them."""
    without: str | None = None
    """Names of those training data; None if none were given."""
    row: Integers | None = None
    """``(N,)``, number of each row in its data set; None if a table defines the set."""

    def by_model(self) -> Iterator[Scored]:
        """The sets of all models, each with the name of its model."""
        for model, scored in self.models.items():
            yield replace(scored, name=f"{self.name}, {model}")


@dataclass(frozen=True)
class PredictionTable:
    """A file of measured and predicted values, as the predictions of a model for a set."""

    model: str
    set_name: str
    path: PathLike


class _Entry(NamedTuple):
    """Predictions of one model for one set, not yet matched with those of others."""

    scored: Scored
    keys: Hashes | None
    """``(N,)``, a number for each row's sequence; None if the rows have no sequences."""
    of_table: bool = False
    """Whether rows are numbered as in a table, not as in a data set."""

    @property
    def rows_of_source(self) -> int:
        """Number of rows, also those without a value."""
        return len(self.scored.measured) + self.scored.left_out


def align(
    predictors: Mapping[str, Predictor],
    datasets: Sequence[Dataset],
    tables: Sequence[PredictionTable] = (),
    *,
    by: FamilyRule = "family",
    kmers: KmerOptions | None = None,
    without: Sequence[TrainingRows] = (),
) -> list[AlignedSet]:
    """Match the rows of models and tables, set by set and medium by medium.

    A model takes part in the sets of the media that it predicts. A table takes part in the set that
    it names; if no model predicts a set of that name, the first table of the name defines the set.

    Args:
        predictors: Models by name.
        datasets: Data sets to compare the models on.
        tables: Predictions of other models.
        by: What defines a family; see :func:`crmnet.data.splits.families`.
        kmers: Settings of ``homology``.
        without: Rows that models were trained on. A row that occurs in any of these data is left
            out for all models.

    Raises:
        ValueError: If the measurements of a table differ from those of its set, a table names a
            data set of several media without the medium, or there is nothing to compare.
    """
    sets: dict[str, dict[str, _Entry]] = {}
    sets_of: dict[str, list[str]] = {}
    flanks_of: dict[str, Flanks] = {}
    flanks_of_training: Flanks = "none" if any(t.flanks == "none" for t in without) else "auto"
    for dataset in datasets:
        entries_of_set = _score_dataset(
            predictors, LabelledRows.of(dataset, by=by, kmers=kmers, training=without)
        )
        if repeated := sets.keys() & entries_of_set.keys():
            raise ValueError(
                f"two sets are named {repeated.pop()!r}; rename one, or compare them separately"
            )
        sets |= entries_of_set
        sets_of[dataset.name] = list(entries_of_set)
        flanks_of |= dict.fromkeys(entries_of_set, dataset.flanks_to_match)
    for table in tables:
        if table.set_name in sets_of.keys() - sets.keys():
            raise ValueError(
                f"--predictions {table.model}@SET: SET must be one of "
                f"{', '.join(sets_of[table.set_name])}; got {table.set_name}, which was measured "
                "in several media"
            )
        entries = sets.setdefault(table.set_name, {})
        if table.model in entries:
            raise ValueError(
                f"{table.model} has two sets of predictions for {table.set_name}; rename one"
            )
        flanks = flanks_of.get(table.set_name, flanks_of_training)
        rows = read_score_table(table.path, flanks=flanks, options=False)
        if entries:  # the first entry of a set decides its families and the rows left out
            scored = rows.score()
        else:
            scored = rows.score(by=by, kmers=kmers, training=without)
        keys = None if rows.tokens is None else _keys(rows.tokens, flanks)[scored.row]
        entries[table.model] = _Entry(scored, keys, of_table=True)
    aligned = [_align_set(name, entries) for name, entries in sets.items() if entries]
    if not aligned:
        raise ValueError("there is nothing to compare: no model predicts a medium of the data")
    return aligned


def _score_dataset(
    predictors: Mapping[str, Predictor], rows: LabelledRows
) -> dict[str, dict[str, _Entry]]:
    """Predictions of every model for a data set: set (one for each medium) → model → entry."""
    media = rows.dataset.media
    sets: dict[str, dict[str, _Entry]] = {rows.set_name(medium): {} for medium in media}
    keys = _keys(rows.dataset.tokens, rows.dataset.flanks_to_match)
    for model, predictor in predictors.items():
        predicted = predictor.predict_tokens(rows.dataset.tokens)
        scored_media = {
            score.medium: score.scored for score in score_media(rows, predictor, predicted)
        }
        for medium in media:
            if medium in scored_media:
                entry = _Entry(scored_media[medium], keys[scored_media[medium].row])
                sets[rows.set_name(medium)][model] = entry
            else:
                log.info("%s does not predict %s and is left out there", model, medium)
    return sets


def _keys(tokens: Tokens, flanks: Flanks) -> Hashes:
    """A number for each row's sequence; adapters do not count where they were not completed."""
    return insert_hashes(tokens) if flanks == "none" else sequence_hashes(tokens)


def _align_set(name: str, entries: Mapping[str, _Entry]) -> AlignedSet:
    """The rows that are common to all models, in the order of the first model."""
    _check_matchable(name, entries)
    first_model = next(iter(entries))
    rows = {model: _rows_by_key(entry, entries[first_model]) for model, entry in entries.items()}
    shared = [
        key for key in rows[first_model] if all(key in model_rows for model_rows in rows.values())
    ]
    if len(shared) < MIN_ROWS:
        raise ValueError(
            f"{name}: {' and '.join(entries)} have {len(shared)} rows in common; they are not "
            "predictions for the same set"
        )
    most_rows = max(entry.rows_of_source for entry in entries.values())
    seen = entries[first_model].scored.seen
    unseen = shared if seen is None else [k for k in shared if not seen.rows[rows[first_model][k]]]
    if len(unseen) < MIN_ROWS:
        assert seen is not None
        raise ValueError(
            f"{name}: {seen.data} holds {len(shared) - len(unseen)} of its {len(shared)} rows; "
            f"the other {len(unseen)} are too few to compare models on"
        )
    matched = {
        model: replace(
            entry.scored.take(np.array([rows[model][key] for key in unseen])),
            name=name, row=None, seen=None,
        )
        for model, entry in entries.items()
    }  # fmt: skip
    first = entries[first_model]
    chosen = np.array([rows[first_model][key] for key in unseen])
    return AlignedSet(
        name,
        _with_measurements_of(name, matched, first_model),
        left_out=most_rows - len(shared),
        seen=len(shared) - len(unseen),
        without=None if seen is None else seen.data,
        row=None if first.of_table or first.scored.row is None else first.scored.row[chosen],
    )


def _check_matchable(name: str, entries: Mapping[str, _Entry]) -> None:
    """Rows are matched by sequence, or by position if no entry has sequences."""
    without_keys = {entry.keys is None for entry in entries.values()}
    sizes = {entry.rows_of_source for entry in entries.values()}
    if without_keys == {True} and len(sizes) > 1:
        raise ValueError(
            f"{name}: files of {', '.join(map(str, sorted(sizes)))} rows without sequences cannot "
            "be matched; add a sequence column"
        )
    if len(without_keys) > 1:
        raise ValueError(
            f"{name}: some files have a sequence column and some do not; rows cannot be matched"
        )


def _with_measurements_of(name: str, models: Mapping[str, Scored], first: str) -> dict[str, Scored]:
    """The sets with measurements and families of the first model, if all measurements agree."""
    reference, checked = models[first], {}
    for model, scored in models.items():
        difference = np.abs(scored.measured - reference.measured)
        if difference.max() > _tolerance(reference):
            row = int(difference.argmax())
            raise ValueError(
                f"{name}: {model} has {scored.measured[row]:g} measured where {first} has "
                f"{reference.measured[row]:g} (row {row + 1} in common); they are not the same set"
            )
        checked[model] = replace(
            scored,
            measured=reference.measured,
            unit=reference.unit if scored.predicted_unit is None else scored.unit,
            family=reference.family,
            families_by=reference.families_by,
        )
    return checked


def _tolerance(reference: Scored) -> float:
    return _TOLERANCE * max(float(np.std(reference.measured)), 1e-12)


def _rows_by_key(entry: _Entry, reference: _Entry) -> dict[Any, int]:
    """Key → row, in the order of the rows; without sequences the key is the row in the file.

    Otherwise a key is a sequence and a number, which tells apart several measurements of the same
    sequence in ``reference``. Measurements of one sequence are matched by their values, not by
    their order.
    """
    if entry.keys is None or reference.keys is None:
        rows_of_file = entry.scored.row
        if rows_of_file is None:
            rows_of_file = np.arange(len(entry.scored.measured))
        return {number: row for row, number in enumerate(rows_of_file.tolist())}
    reference_rows, tolerance = _repeats(reference), _tolerance(reference.scored)
    rows: dict[Any, int] = {}
    for key, own_rows in _repeats(entry).items():
        same_in_reference = reference_rows.get(key, [])
        if len(own_rows) == len(same_in_reference):
            numbers = list(range(len(own_rows)))
        else:
            numbers = _matched_values(
                entry.scored.measured[own_rows],
                reference.scored.measured[same_in_reference],
                tolerance,
            )
        rows |= {
            (key, number): row for row, number in zip(own_rows, numbers, strict=True) if number >= 0
        }
    return dict(sorted(rows.items(), key=lambda item: item[1]))


def _repeats(entry: _Entry) -> dict[int, list[int]]:
    """Rows of each sequence, sorted by their measurement."""
    assert entry.keys is not None
    rows: dict[int, list[int]] = {}
    keys = entry.keys.tolist()
    for row in np.argsort(entry.scored.measured, kind="stable").tolist():
        rows.setdefault(keys[row], []).append(row)
    return rows


def _matched_values(values: Floats, reference: Floats, tolerance: float) -> list[int]:
    """For each value, the index of the same value in ``reference``, or −1; both are sorted."""
    matches, position = [], 0
    for value in values.tolist():
        while position < len(reference) and reference[position] < value - tolerance:
            position += 1
        is_match = position < len(reference) and reference[position] <= value + tolerance
        matches.append(position if is_match else -1)
        position += is_match
    return matches
