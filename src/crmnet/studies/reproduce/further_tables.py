"""Tables that the paper lacks: top of the list, range, accuracy by similarity to training rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crmnet.data.dataset import Dataset
from crmnet.data.packed import as_rows
from crmnet.evaluation.align import AlignedSet
from crmnet.evaluation.similarity import LENGTHS, shared_length, stratum_name
from crmnet.reports.wording import with_interval
from crmnet.statistics.metrics import bootstrap
from crmnet.statistics.top import precision_at, relative_range
from crmnet.studies.reproduce.results import Table

TOP_SHARE = 20
"""The top of the list is one of this many promoters: 5 %."""
MIN_ROWS = 30
"""Fewest rows of a stratum that is scored."""
MAX_TRAINING_ROWS = 1_000_000
"""With more training rows, strata would need too much memory."""


def top_table(sets: Sequence[AlignedSet]) -> Table:
    """Precision among the highest 5 %, and range of predictions, of each model on each set."""
    columns: dict[str, list[str]] = {
        name: [] for name in ("test set", "model", "k", "precision at k", "range / measured range")
    }
    for aligned in sets:
        for model, scored in aligned.models.items():
            k = max(1, len(scored.measured) // TOP_SHARE)
            row = (
                aligned.name, model, f"{k:,}",
                f"{precision_at(scored.measured, scored.predicted, k):.3f}",
                f"{relative_range(scored.measured, scored.predicted):.3f}",
            )  # fmt: skip
            for column, value in zip(columns.values(), row, strict=True):
                column.append(value)
    caption = (
        "Top of the list: share of the k highest predictions that are among the k highest "
        "measurements (k: 5 % of the set; equal values in random order), and range of predictions "
        "between percentiles 1 and 99"
    )
    return Table(caption, columns)


def strata_table(
    sets: Sequence[AlignedSet], tests: Sequence[Dataset], training: Dataset, model: str
) -> Table | None:
    """Pearson r of a model by similarity to its training rows; None if these are too many."""
    if len(training) > MAX_TRAINING_ROWS:
        return None
    columns: dict[str, list[str]] = {
        name: [] for name in ("test set", "longest stretch shared with a training row", "N", "r")
    }
    by_name = {test.name: test for test in tests}
    for aligned in sets:
        assert aligned.row is not None, "the set was not made by align"
        tokens = as_rows(by_name[aligned.name].tokens)[aligned.row]
        length = shared_length(tokens, as_rows(training.tokens))
        for value in (*LENGTHS, 0):
            rows = np.nonzero(length == value)[0]
            r = "too few rows"
            if len(rows) >= MIN_ROWS:
                scored = aligned.models[model].take(rows)
                r = with_interval(vars(bootstrap(scored)["pearson"]), 3)
            row = (aligned.name, stratum_name(value), f"{len(rows):,}", r)
            for column, cell in zip(columns.values(), row, strict=True):
                column.append(cell)
    return Table(f"Accuracy of {model} by similarity to its training rows", columns)
