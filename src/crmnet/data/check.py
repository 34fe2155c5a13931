"""Describes a data set: lengths, labels, adapters, bases by position, copies and families.

:func:`check` takes an opened data set and returns a :class:`Check`. ``data check`` prints it and
writes its fields to JSON; :mod:`crmnet.reports.dataset_page` draws it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from crmnet.data.dataset import BIN_UNIT, Dataset
from crmnet.data.hashes import insert_hashes
from crmnet.data.homology import KmerOptions
from crmnet.data.splits import FamilyRule, families, family_rule
from crmnet.sequence import (
    ADAPTER_MISMATCHES,
    LETTERS,
    adapter_mismatches,
    inserts,
    sequence_lengths,
)

CHUNK = 1 << 16
"""Rows read at a time."""
HOMOLOGY_ROWS = 4_000_000
"""Larger data sets get families by sequence, unless the caller requests homology."""


@dataclass(frozen=True)
class Check:
    """Result of :func:`check`; every field can be written as JSON."""

    name: str
    rows: int
    fingerprint: str
    media: dict[str, dict[str, Any]]
    """Medium → number of rows; unit, range, mean, standard deviation and histogram of the labels;
    and number of labels that are integer bins, as for a single cell."""
    construct_lengths: dict[int, int]
    """Length with adapters → number of rows."""
    insert_lengths: dict[int, int]
    """Length without adapters → number of rows."""
    adapters: dict[str, dict[str, int]]
    """``5'`` and ``3'`` → numbers of rows with an adapter that is ``exact``, ``close`` (1 or 2
    mismatches) or ``missing``."""
    composition: dict[str, list[float]]
    """Letter → its frequency at each position of the construct; N is unknown or padding."""
    copies: dict[str, int]
    """Number of distinct inserts; of rows that repeat the insert of an earlier row; and of inserts
    measured in several media."""
    families: dict[str, Any]
    """Rule that defines families; their number; rows of the largest; number of families with one
    row; size → number of families."""

    def lines(self) -> Iterator[str]:
        """The result as lines of text for the command line."""
        yield f"{self.name}: {self.rows:,} rows"
        for name, medium in self.media.items():
            yield (
                f"{name}: {medium['rows']:,} rows, expression {medium['mean']:.2f} ± "
                f"{medium['sd']:.2f}, "
                f"from {medium['min']:.2f} to {medium['max']:.2f} ({medium['unit']})"
                + (
                    f"; {medium['singletons']:,} labels are whole numbers, as for a single cell"
                    if medium["unit"] == BIN_UNIT
                    else ""
                )
            )
        usual = sum(n for length, n in self.construct_lengths.items() if 108 <= length <= 112)
        yield (
            f"lengths: {_range(self.construct_lengths)} with adapters, {usual / self.rows:.1%} of "
            f"110 ± 2; inserts {_range(self.insert_lengths)}"
        )
        for end, counts in self.adapters.items():
            yield (
                f"{end} adapter: exact in {counts['exact']:,}, within {ADAPTER_MISMATCHES} "
                f"mismatches in {counts['close']:,}, not found in {counts['missing']:,}"
            )
        yield (
            f"copies: {self.copies['distinct']:,} distinct inserts, {self.copies['repeats']:,} "
            f"rows repeat an insert, {self.copies['several_media']:,} inserts in several media"
        )
        yield (
            f"families (by {self.families['by']}): {self.families['number']:,}, the largest of "
            f"{self.families['largest']:,} rows, {self.families['alone']:,} with a single row"
        )
        if self.rows > HOMOLOGY_ROWS and self.families["by"] == "sequence":
            yield (
                f"(above {HOMOLOGY_ROWS:,} rows families are by sequence unless `--by homology` is "
                "given, whose time grows with the square of the number of rows)"
            )


def _range(lengths: dict[int, int]) -> str:
    """Shortest, longest and most frequent length, as text."""
    if not lengths:
        return "none"
    return f"{min(lengths)} to {max(lengths)}, mostly {max(lengths, key=lambda n: lengths[n])}"


def check(
    dataset: Dataset, by: FamilyRule | None = None, kmers: KmerOptions | None = None
) -> Check:
    """Describe a data set; reads one chunk of rows at a time.

    Args:
        dataset: The opened data set.
        by: Rule that defines families. None means homology, or above 4 million rows the sequence.
        kmers: Which k-mers count for homology.
    """
    constructs = np.zeros(dataset.tokens.shape[1] + 1, dtype=np.int64)
    insert_lengths = constructs.copy()
    singletons = np.zeros(len(dataset.media), dtype=np.int64)
    adapters = np.zeros((2, 3), dtype=np.int64)
    composition = np.zeros((len(LETTERS), dataset.tokens.shape[1]), dtype=np.int64)
    for start in range(0, len(dataset), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(dataset)))
        singletons += np.bincount(
            np.asarray(dataset.medium[rows])[dataset.singleton(rows)], minlength=len(singletons)
        )
        tokens = np.asarray(dataset.tokens[rows])
        constructs += np.bincount(sequence_lengths(tokens), minlength=len(constructs))
        insert_lengths += np.bincount(inserts(tokens)[1], minlength=len(insert_lengths))
        for end, mismatches in enumerate(adapter_mismatches(tokens)):
            state = np.where(mismatches == 0, 0, np.where(mismatches <= ADAPTER_MISMATCHES, 1, 2))
            adapters[end] += np.bincount(state, minlength=3)
        for letter in range(len(LETTERS)):
            composition[letter] += (tokens == letter).sum(axis=0)
    by = by or ("homology" if len(dataset) <= HOMOLOGY_ROWS else "sequence")
    states = ("exact", "close", "missing")
    return Check(
        name=dataset.name,
        rows=len(dataset),
        fingerprint=dataset.fingerprint,
        media={
            name: {**statistics, "unit": dataset.units[name], "singletons": int(n_singletons)}
            for (name, statistics), n_singletons in zip(
                dataset.manifest["media"].items(), singletons, strict=True
            )
        },
        construct_lengths=_counts(constructs),
        insert_lengths=_counts(insert_lengths),
        adapters={
            end: dict(zip(states, adapters[i].tolist(), strict=True))
            for i, end in enumerate(("5'", "3'"))
        },
        composition={
            letter: (composition[i] / len(dataset)).round(6).tolist()
            for i, letter in enumerate(LETTERS)
        },
        copies=_copies(dataset),
        families=_family_sizes(dataset, by, kmers),
    )


def _counts(histogram: Any) -> dict[int, int]:
    """Value → its count, without values that do not occur."""
    return {int(n): int(histogram[n]) for n in np.nonzero(histogram)[0]}


def _copies(dataset: Dataset) -> dict[str, int]:
    """Value of :attr:`Check.copies`."""
    _, insert = np.unique(insert_hashes(dataset.tokens), return_inverse=True)
    distinct = int(insert.max()) + 1
    medium = np.asarray(dataset.medium)
    pairs = np.unique(insert.astype(np.int64) * len(dataset.media) + medium)
    media_of_insert = np.bincount(pairs // len(dataset.media), minlength=distinct)
    return {
        "distinct": distinct,
        "repeats": len(dataset) - distinct,
        "several_media": int((media_of_insert > 1).sum()),
    }


def _family_sizes(dataset: Dataset, by: FamilyRule, kmers: KmerOptions | None) -> dict[str, Any]:
    """Value of :attr:`Check.families`."""
    _, sizes = np.unique(families(dataset, by, kmers), return_counts=True)
    return {
        "by": family_rule(dataset, by),
        "number": len(sizes),
        "largest": int(sizes.max()),
        "alone": int((sizes == 1).sum()),
        "sizes": _counts(np.bincount(sizes)),
    }
