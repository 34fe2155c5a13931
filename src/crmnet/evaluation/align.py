"""Who takes part in a comparison, and in which rows: models and tables on the same sets.

Takes models with data sets, and tables that anybody made, and gives one :class:`Contest` for each
set and medium, which :mod:`crmnet.evaluation.compare` scores. Rows are matched by sequence; those
that training data hold are left out if asked.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crmnet.data.dataset import Dataset
from crmnet.data.hashes import Hashes, sequence_hashes
from crmnet.data.homology import WordOptions
from crmnet.data.ingest import IngestOptions
from crmnet.data.leaks import Seen, TrainingRows
from crmnet.data.media import output_of
from crmnet.data.opening import opened
from crmnet.data.splits import Kinship, families, family_rule
from crmnet.evaluation.score_sets import score_table, table_tokens
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import Tokens
from crmnet.statistics.metrics import FEWEST, Scored

log = logging.getLogger("crmnet")

_SAME = 1e-4
"""Two files hold the same measurement if it differs by less than this share of its spread."""


@dataclass(frozen=True)
class Contest:
    """What several models predicted for the rows of one set."""

    name: str
    models: Mapping[str, Scored]
    """The same rows, in the same order, for each model."""
    left_out: int = 0
    """Rows that not all of them predicted."""
    seen: int = 0
    """Rows left out because training data hold them."""
    without: str | None = None
    """Names of those training data; None where none were named."""


@dataclass(frozen=True)
class PredictionTable:
    """A file of measured and predicted values, as a model's answer on a set."""

    model: str
    set_name: str
    path: Path


@contextmanager
def all_opened(
    paths: Sequence[Path], media: Sequence[str], options: IngestOptions
) -> Iterator[list[Dataset]]:
    """Data sets as they are, and files ingested into a folder that is gone afterwards.

    Args:
        paths: Data set folders, or files of sequences and measurements.
        media: Medium of the rows of a file that names none: one for all, or one for each path.
        options: How to read files; its media are not used.
    """
    if len(media) not in (1, len(paths)):
        raise ValueError(f"{len(media)} media for {len(paths)} sets; give one, or one for each")
    media = list(media) * (len(paths) if len(media) == 1 else 1)
    with ExitStack() as stack:
        yield [
            stack.enter_context(opened(path, replace(options, media=(medium,))))
            for path, medium in zip(paths, media, strict=True)
        ]


def contests(
    predictors: Mapping[str, Predictor],
    datasets: Sequence[Dataset],
    tables: Sequence[PredictionTable] = (),
    *,
    by: Kinship = "family",
    words: WordOptions | None = None,
    without: Sequence[TrainingRows] = (),
) -> list[Contest]:
    """Bring models and tables together, set by set and medium by medium.

    A model takes part in the sets of media that it predicts. A table takes part in the set that it
    names; where no data set has that name, the first table of the name makes one.

    Args:
        predictors: Models by name.
        datasets: The rows they are compared on.
        tables: Others' answers.
        by: What makes rows relatives; see :func:`crmnet.data.splits.families`.
        words: What homology goes by.
        without: What models were trained on; rows that any of it holds are left out for all.

    Raises:
        ValueError: If a table holds other measurements than its set, or nobody takes part.
    """
    entries: dict[str, dict[str, tuple[Scored, Hashes | None]]] = {}
    for dataset in datasets:
        answers = _predicted(predictors, dataset, by, words, without)
        if twice := entries.keys() & answers.keys():
            raise ValueError(f"two sets are named {twice.pop()!r}; rename one, or compare it apart")
        entries |= answers
    for table in tables:
        there = entries.setdefault(table.set_name, {})
        if table.model in there:
            raise ValueError(f"{table.model} has two answers on {table.set_name}; name one of them")
        # The first of a set says which rows are relatives; others need not find it out again.
        own: Kinship = "family" if there else by
        there[table.model] = _read(table, own, words, without)
    together = [_together(name, models) for name, models in entries.items() if models]
    if not together:
        raise ValueError("there is nothing to compare: no model predicts a medium of the data")
    return together


def _predicted(
    predictors: Mapping[str, Predictor],
    dataset: Dataset,
    by: Kinship,
    words: WordOptions | None,
    without: Sequence[TrainingRows],
) -> dict[str, dict[str, tuple[Scored, Hashes | None]]]:
    """Every model's answers on a data set, one set for each medium."""
    names = {m: dataset.name if len(dataset.media) == 1 else f"{dataset.name}:{m}"
             for m in dataset.media}  # fmt: skip
    entries: dict[str, dict[str, tuple[Scored, Hashes | None]]] = {n: {} for n in names.values()}
    related, hashes = families(dataset, by, words), sequence_hashes(dataset.tokens)
    seen = _seen(dataset.tokens, without)
    for model, predictor in predictors.items():
        predicted = predictor.predict_tokens(dataset.tokens)
        for number, medium in enumerate(dataset.media):
            try:
                output = output_of(medium, predictor.media)
            except ValueError:
                log.info("%s does not predict %s and is left out there", model, medium)
                continue
            rows = np.nonzero(np.asarray(dataset.medium) == number)[0]
            scored = Scored(
                names[medium],
                np.asarray(dataset.labels[rows], dtype=np.float64),
                predicted[rows, output].astype(np.float64),
                related[rows],
                families_by=family_rule(dataset, by),
                seen=None if seen is None else seen._replace(rows=seen.rows[rows]),
            )
            entries[names[medium]][model] = scored, hashes[rows]
    return entries


def _seen(tokens: Tokens, without: Sequence[TrainingRows]) -> Seen | None:
    """Which rows any of the training data hold; None where none were named."""
    if not without:
        return None
    found = [training.seen(tokens) for training in without]
    rows = np.logical_or.reduce([seen.rows for seen in found])
    return Seen(rows, " and ".join(seen.data for seen in found), found[0].level)


def _read(
    table: PredictionTable, by: Kinship, words: WordOptions | None, without: Sequence[TrainingRows]
) -> tuple[Scored, Hashes | None]:
    """A table and, where it has sequences, a number for each row's."""
    scored, tokens = score_table(table.path, by=by, words=words), table_tokens(table.path)
    assert scored.row is not None
    if tokens is None:
        if without:
            raise ValueError(
                f"{table.path}, line 1: no sequence column found, so rows that {without[0].name} "
                "holds cannot be left out; name the column sequence, or add one"
            )
        return scored, None
    if (seen := _seen(tokens, without)) is not None:
        scored = replace(scored, seen=seen._replace(rows=seen.rows[scored.row]))
    return scored, sequence_hashes(tokens)[scored.row]


def _together(name: str, models: Mapping[str, tuple[Scored, Hashes | None]]) -> Contest:
    """The rows that all models have, in the order of the first."""
    places = {model: _places(scored, keys) for model, (scored, keys) in models.items()}
    leader = next(iter(models))
    sizes = {len(scored.measured) for scored, _ in models.values()}
    keyless = {keys is None for _, keys in models.values()}
    if keyless == {True} and len(sizes) > 1:
        raise ValueError(
            f"{name}: files of {', '.join(map(str, sorted(sizes)))} rows without sequences cannot "
            "be matched; add a sequence column"
        )
    if len(keyless) > 1:
        raise ValueError(
            f"{name}: some files have a sequence column and some have not; rows cannot be matched"
        )
    shared = [key for key in places[leader] if all(key in place for place in places.values())]
    if len(shared) < FEWEST:
        raise ValueError(
            f"{name}: {' and '.join(models)} have {len(shared)} rows in common; they are not "
            "predictions for the same set"
        )
    most = max(len(scored.measured) for scored, _ in models.values())
    seen = models[leader][0].seen
    unseen = shared if seen is None else [k for k in shared if not seen.rows[places[leader][k]]]
    if len(unseen) < FEWEST:
        assert seen is not None
        raise ValueError(
            f"{name}: {seen.data} holds {len(shared) - len(unseen)} of its {len(shared)} rows; "
            "what is left is too little to compare on"
        )
    taken = {}
    for model, (scored, _) in models.items():
        rows = np.array([places[model][key] for key in unseen])
        taken[model] = replace(scored.take(rows), name=name, row=None, seen=None)
    return Contest(
        name,
        _of_one_mind(name, taken, leader),
        left_out=most - len(shared),
        seen=len(shared) - len(unseen),
        without=None if seen is None else seen.data,
    )


def _of_one_mind(name: str, models: Mapping[str, Scored], leader: str) -> dict[str, Scored]:
    """The same rows with the leader's measurements and families, once theirs are seen to agree."""
    first, agreed = models[leader], {}
    for model, scored in models.items():
        apart = np.abs(scored.measured - first.measured)
        if apart.max() > _SAME * max(float(np.std(first.measured)), 1e-12):
            row = int(apart.argmax())
            raise ValueError(
                f"{name}: {model} has {scored.measured[row]:g} measured where {leader} has "
                f"{first.measured[row]:g} (row {row + 1} in common); they are not the same set"
            )
        agreed[model] = replace(
            scored, measured=first.measured, family=first.family, families_by=first.families_by
        )
    return agreed


def _places(scored: Scored, keys: Hashes | None) -> dict[Any, int]:
    """Row of each sequence; one that comes several times is numbered, as is a row without any."""
    if keys is None:
        return {place: place for place in range(len(scored.measured))}
    seen: dict[int, int] = {}
    places = {}
    for place, key in enumerate(keys.tolist()):
        seen[key] = seen.get(key, 0) + 1
        places[key, seen[key]] = place
    return places
