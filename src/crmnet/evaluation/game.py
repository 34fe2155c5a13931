"""An Evaluator of the Genomic API for Model Evaluation (GAME), for ``crmnet evaluate --game URL``.

:class:`Predictor` sends sequences to a server and reads its predictions. :func:`score_url` pairs
them with the measurements of a data set, as :mod:`crmnet.evaluation.score_sets` does for a model.
It also sends the reverse complement of each insert, between the same adapters;
:func:`consistency_of` compares both predictions.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import requests

from crmnet.arrays import Floats
from crmnet.data.homology import KmerOptions
from crmnet.data.ingest import IngestOptions
from crmnet.data.opening import open_data, row_ids, rows_left_out
from crmnet.data.splits import FamilyRule
from crmnet.evaluation.game_names import SPECIES, cell_type
from crmnet.evaluation.score_sets import LabelledRows
from crmnet.files import PathLike, write_text_atomically
from crmnet.names import printable
from crmnet.sequence import (
    ADAPTER_3,
    ADAPTER_5,
    Tokens,
    decode,
    find_adapters,
    inserts,
    reverse_complement,
    sequence_lengths,
)
from crmnet.statistics.metrics import ESTIMATES, Scored, summarise

TIMEOUT = (10, 600)
"""Seconds to connect, and to answer."""
LARGEST = 1 << 28
"""Bytes of the largest answer that is read."""
ROWS = 2000
"""Sequences of one request."""
EVALUATOR = "crmnet"
SUMMARY = f"evaluation_summary_{EVALUATOR}.csv"
"""File of the rows that GAME collects; tab-separated in spite of its suffix."""
COLUMNS = ("evaluator_name", "description", "predictor_name", "time_stamp", "metric", "value",
           "prediction_task(s)_data")  # fmt: skip


class Answer(NamedTuple):
    """Predictions of one request."""

    predictor: str
    values: Floats
    """``(N,)``."""


class GameScored(NamedTuple):
    """Sets scored by a Predictor of GAME, and its forward and reverse-complement predictions."""

    predictor: str
    sets: list[Scored]
    strands: list[Scored]
    """For each set the predictions of the inserts as measured values, and those of their reverse
    complements as predicted values."""


@dataclass(frozen=True)
class Predictor:
    """A Predictor of GAME.

    Args:
        url: Address of the server, such as ``http://127.0.0.1:8765``.
    """

    url: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"https?://[^/\s]+(/[^\s?#]*)?", self.url):
            raise ValueError(f"--game takes an address such as http://127.0.0.1:8765; "
                             f"got {self.url!r}")  # fmt: skip

    def predict(self, texts: Sequence[str], medium: str, flanks: tuple[str, str]) -> Answer:
        """Predictions for inserts in one medium.

        Args:
            texts: The sequences.
            medium: The medium.
            flanks: What lies before and behind each sequence.

        Raises:
            ValueError: If the server does not answer as GAME specifies.
        """
        predictor, parts = "", []
        for first in range(0, len(texts), ROWS):
            content = self._post(texts[first : first + ROWS], medium, flanks)
            predictor = _text(content, "predictor_name")
            parts.append(read_values(content, len(texts[first : first + ROWS])))
        return Answer(predictor, np.concatenate(parts))

    def _post(
        self, texts: Sequence[str], medium: str, flanks: tuple[str, str]
    ) -> Mapping[str, Any]:
        task = {"name": medium, "type": "expression", "cell_type": cell_type(medium),
                "species": SPECIES, "scale": "log"}  # fmt: skip
        names = [f"s{number}" for number in range(len(texts))]
        body: Any = {
            "readout": "point",
            "prediction_tasks": [task],
            "upstream_seq": flanks[0],
            "downstream_seq": flanks[1],
            "sequences": dict(zip(names, texts, strict=True)),
            "prediction_ranges": {name: [] for name in names},
        }
        url = f"{self.url.rstrip('/')}/predict"
        try:
            with requests.post(
                url, json=body, timeout=TIMEOUT, allow_redirects=False, stream=True
            ) as response:
                content = _limited_json(response, url)
        except requests.RequestException as error:
            raise ValueError(
                f"{url} does not answer ({type(error).__name__}); start it, or check the address"
            ) from error
        if response.status_code != 200:
            raise ValueError(f"{url} answers {response.status_code}: {_reasons(content)}")
        return content


def _limited_json(response: requests.Response, url: str) -> Mapping[str, Any]:
    content = bytearray()
    for part in response.iter_content(1 << 16):
        content += part
        if len(content) > LARGEST:
            raise ValueError(f"{url} answers with more than {LARGEST >> 20} MiB")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{url} does not answer with JSON: {type(error).__name__}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{url} does not answer with a JSON object")
    return found


def _text(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key)
    return printable(value)[:200] if isinstance(value, str) else "unknown"


def _reasons(content: Mapping[str, Any]) -> str:
    """The errors of an answer, shortened."""
    errors = content.get("error")
    if not isinstance(errors, list):
        return "without a reason"
    texts = [str(text) for entry in errors if isinstance(entry, dict) for text in entry.values()]
    return printable("; ".join(texts))[:500]


def read_values(content: Mapping[str, Any], many: int) -> Floats:
    """``(many,)`` numbers of the first task of an answer; a number, or a list of one.

    Raises:
        ValueError: If a number is missing or not finite.
    """
    try:
        predictions = content["prediction_tasks"][0]["predictions"]
        values = [predictions[f"s{number}"] for number in range(many)]
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"the Predictor's answer has no prediction {error}") from None
    numbers = [value[0] if isinstance(value, list) and len(value) == 1 else value
               for value in values]  # fmt: skip
    for number, value in enumerate(numbers):
        if type(value) not in (int, float) or not math.isfinite(value):
            shown = printable(str(value))[:50]
            raise ValueError(f"the Predictor's prediction of row {number + 1} is {shown}, which "
                             "is not a number")  # fmt: skip
    return np.array(numbers, dtype=np.float64)


def as_sent(tokens: Tokens) -> tuple[list[str], list[str], tuple[str, str]]:
    """Sequences, their reverse complements, and the flanks of both.

    Constructs that all have both adapters are sent as inserts with the adapters as flanks, so that
    only the insert is reversed; others are sent complete.
    """
    has_5, has_3 = find_adapters(tokens)
    flanks = (ADAPTER_5, ADAPTER_3)
    parts, lengths = inserts(tokens)
    if not (has_5 & has_3).all():
        flanks, parts, lengths = ("", ""), tokens, sequence_lengths(tokens)
    return decode(parts, lengths), decode(reverse_complement(parts), lengths), flanks


def score_url(
    predictor: Predictor,
    path: PathLike,
    options: IngestOptions,
    *,
    by: FamilyRule = "family",
    kmers: KmerOptions | None = None,
) -> GameScored:
    """Score a Predictor on a data set folder, a file of rows, or a public data set.

    Args:
        predictor: The Predictor.
        path: As for :func:`crmnet.data.opening.open_data`.
        options: How to read a file.
        by: What defines a family.
        kmers: Settings of ``homology``.

    Raises:
        ValueError: If the data cannot be read, or the server does not answer as specified.
    """
    with open_data(path, replace(options, cut=False)) as dataset:
        rows = LabelledRows.of(
            dataset, by=by, kmers=kmers, left_out=rows_left_out(path, dataset),
            ids=row_ids(path, dataset, options.columns),
        )  # fmt: skip
        name, sets, strands = "", [], []
        for number, medium in enumerate(dataset.media):
            here = np.nonzero(np.asarray(dataset.medium) == number)[0]
            texts, reversed_texts, flanks = as_sent(np.asarray(dataset.tokens[here]))
            name, forward = predictor.predict(texts, medium, flanks)
            _, backward = predictor.predict(reversed_texts, medium, flanks)
            scored = Scored(
                rows.set_name(medium),
                measured=np.asarray(dataset.labels[here], dtype=np.float64),
                predicted=forward,
                family=rows.family[here],
                left_out=rows.left_out if number == 0 else 0,
                row=here,
                unit=dataset.units[medium],
                families_by=rows.families_by,
                ids=None if rows.ids is None else rows.ids[here],
                sequences=rows.sequences(here),
            )
            sets.append(scored)
            strands.append(
                Scored(scored.name, forward, backward, scored.family, row=here,
                       families_by=scored.families_by)
            )  # fmt: skip
    return GameScored(name, sets, strands)


def consistency_of(strands: Sequence[Scored], resamples: int) -> dict[str, Any]:
    """Set → n, families, r and mean absolute difference of forward and reverse complement."""
    found = summarise(strands, resamples=resamples)["sets"]
    return {
        name: {key: values[key] for key in ("n", "families", "pearson", "mae")}
        for name, values in found.items()
    }


def consistency_lines(consistency: Mapping[str, Any]) -> Iterator[str]:
    """One sentence for each set."""
    from crmnet.reports.wording import with_interval

    for name, values in consistency.items():
        yield (
            f"{name}: forward and reverse complement (n {values['n']:,}): "
            f"r {with_interval(values['pearson'])}, "
            f"mean difference {with_interval(values['mae'])}"
        )


def save_game_summary(folder: PathLike, predictor: str, summary: Mapping[str, Any]) -> None:
    """Write the metrics as rows of GAME's summary: tab-separated, one row for each number."""
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = io.StringIO()
    table = csv.writer(text, delimiter="\t", lineterminator="\n")
    table.writerow(COLUMNS)
    described = {"": summary["sets"], "reverse_complement_": summary["consistency"]}
    for prefix, sets in described.items():
        for name, values in sets.items():
            for metric in ESTIMATES:
                if metric in values:
                    value = values[metric]["value"]
                    shown = "NaN" if value is None else repr(float(value))
                    about = f"{name}: n={values['n']}, families={values['families']}"
                    table.writerow([EVALUATOR, about, predictor, time, prefix + metric, shown,
                                    f"expression in {name}"])  # fmt: skip
    write_text_atomically(Path(folder) / SUMMARY, text.getvalue())
