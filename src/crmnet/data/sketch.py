"""A small sample of the inserts of a data set, to find out later whether a set shares its rows.

A training run stores a :class:`Sketch` of its training rows in its record, so that rows of a test
set can be compared with them when the training data are not there. A sketch holds the smallest
hashes of the inserts (bottom-k; Broder 1997). Of another set, the inserts with hashes in that range
are a random sample, and each of them is a training insert exactly if the sketch has its hash. A
fine-tuned run stores the sketch of its rows beside those of the run it started from
(:func:`with_sketch`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Integers
from crmnet.data.hashes import CHUNK, insert_hashes, mix
from crmnet.data.packed import as_rows

SIZE = 4096
"""Number of hashes of a sketch. Of n training rows, a set that holds m is found with probability
1 − exp(−m × 4096 / n): m = 56 of 76,000 rows with 95 %."""
ShortHashes = npt.NDArray[np.uint32]


class Overlap(NamedTuple):
    """How many inserts of a set are also in the set of a sketch; copies count once."""

    checked: int
    """Inserts of the set whose hashes are in the range of the sketch: a random sample."""
    shared: int
    """Inserts among these that the sketch has."""

    @property
    def share(self) -> float:
        """Estimated share of the set's inserts; 0 if none could be checked."""
        return self.shared / self.checked if self.checked else 0.0


@dataclass(frozen=True)
class Sketch:
    """The smallest hashes of the inserts of a set."""

    hashes: ShortHashes
    """At most :data:`SIZE`, in rising order, all different."""

    @classmethod
    def of(cls, tokens: npt.ArrayLike, rows: Integers | None = None) -> Sketch:
        """Sketch of constructs ``(N, L)``, or of some of their rows.

        Both strands of an insert are the same insert, with any adapters.
        """
        tokens = as_rows(tokens)
        rows = np.arange(len(tokens)) if rows is None else np.asarray(rows)
        smallest = np.zeros(0, dtype=np.uint32)
        for start in range(0, len(rows), CHUNK):
            found = _short_hashes(tokens[rows[start : start + CHUNK]])
            smallest = np.union1d(smallest, found)[:SIZE]
        return cls(smallest)

    @property
    def largest(self) -> int:
        """Largest hash that the sketch covers: all hashes if it is not full."""
        return 2**32 - 1 if self.is_complete else int(self.hashes[-1])

    @property
    def is_complete(self) -> bool:
        """Whether it holds the hashes of all inserts of its set."""
        return len(self.hashes) < SIZE

    def merged(self, other: Sketch) -> Sketch:
        """Sketch of the rows of both sets together."""
        return Sketch(np.union1d(self.hashes, other.hashes)[:SIZE])

    def overlap(self, tokens: npt.ArrayLike) -> Overlap:
        """How many inserts of the constructs ``(N, L)`` are in the set of the sketch."""
        tokens = as_rows(tokens)
        parts = [
            _short_hashes(tokens[start : start + CHUNK]) for start in range(0, len(tokens), CHUNK)
        ]
        checked = np.unique(np.concatenate([part[part <= self.largest] for part in parts]))
        return Overlap(len(checked), int(np.isin(checked, self.hashes).sum()))

    def to_text(self) -> str:
        """The hashes as base64."""
        return base64.b64encode(self.hashes.astype("<u4").tobytes()).decode("ascii")

    @classmethod
    def from_text(cls, text: Any) -> Sketch:
        """The sketch that :meth:`to_text` wrote.

        Raises:
            ValueError: If the text is something else.
        """
        try:
            raw = base64.b64decode(text, validate=True)
            hashes = np.frombuffer(raw, dtype="<u4").astype(np.uint32)
        except (TypeError, ValueError, binascii.Error):
            raise ValueError("it is not a sketch of training rows") from None
        if not 0 < len(hashes) <= SIZE or (np.diff(hashes.astype(np.int64)) <= 0).any():
            raise ValueError("it is not a sketch of training rows")
        return cls(hashes)


def with_sketch(texts: Sequence[str], own: Sketch) -> list[str]:
    """Texts of sketches, with one more.

    Two sketches become one only if it is complete. A small set has few of the smallest hashes of
    both sets, so that one full sketch would hardly know it.
    """
    for number, text in enumerate(texts):
        if (merged := Sketch.from_text(text).merged(own)).is_complete:
            return [*texts[:number], merged.to_text(), *texts[number + 1 :]]
    return list(dict.fromkeys([own.to_text(), *texts]))


def sketch_texts(entry: Any) -> list[Any]:
    """The texts in an entry of a record: one text, or a list of texts; none for None."""
    return [] if entry is None else entry if isinstance(entry, list) else [entry]


def _short_hashes(tokens: npt.ArrayLike) -> ShortHashes:
    """32 bits of a hash of each insert. The smaller of two strands' hashes is mixed once more."""
    return (mix(insert_hashes(tokens)) >> np.uint64(32)).astype(np.uint32)
