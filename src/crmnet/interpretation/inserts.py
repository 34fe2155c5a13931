"""Positions of each promoter's insert, in its construct and in the sequence that the user gave.

:func:`find_inserts` takes prepared tokens and returns :class:`Inserts`. Attributions, logos and
planted sites use it, because inserts differ in length and adapters may be missing. Indices count
from 0, as in Python; tables and figures count from 1 (:meth:`Inserts.numbers`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.sequence import Lengths, Tokens


class Inserts(NamedTuple):
    """Positions of the inserts of B constructs, in the constructs and in the given sequences."""

    start: Lengths
    """``(B,)`` first position of the insert in the construct."""
    stop: Lengths
    """``(B,)`` one past the last position of the insert in the construct."""
    origin: Lengths
    """``(B,)``: position in the construct at which the given sequence begins; below 0 if its start
    was left out."""

    @property
    def lengths(self) -> Lengths:
        """Number of positions of each insert, ``(B,)``."""
        return self.stop - self.start

    def inside(self, length: int) -> npt.NDArray[np.bool_]:
        """``(B, length)`` True at the positions of the insert."""
        positions = np.arange(length)
        return (positions >= self.start[:, None]) & (positions < self.stop[:, None])

    def columns(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Positions of the inserts in their constructs, and which of them exist, ``(B, W)``."""
        offsets = np.arange(int(self.lengths.max(initial=0)))
        exists = offsets < self.lengths[:, None]
        return np.where(exists, self.start[:, None] + offsets, 0), exists

    def cut(self, values: npt.ArrayLike, fill: float = 0) -> npt.NDArray[Any]:
        """The inserts of ``(B, L)`` or ``(B, 4, L)``, aligned at their first base.

        Returns:
            ``(B, W)`` or ``(B, 4, W)``, W being the longest insert; shorter ones end in ``fill``.
        """
        values = np.asarray(values)
        columns, exists = self.columns()
        if values.ndim == 3:
            columns, exists = columns[:, None], exists[:, None]
        aligned = np.take_along_axis(values, columns, axis=-1)
        return np.where(exists, aligned, values.dtype.type(fill))

    def cut_tokens(self, tokens: npt.ArrayLike) -> Tokens:
        """The inserts of tokens ``(B, L)``, padded with N: ``(B, W)``."""
        inserts: Tokens = self.cut(sequence.as_tokens(tokens), sequence.N_TOKEN)
        return inserts

    def numbers(self, row: int) -> npt.NDArray[np.int64]:
        """Positions of the bases of one insert on the given sequence, counted from 1."""
        return np.arange(self.start[row], self.stop[row]) - self.origin[row] + 1

    def take(self, rows: npt.ArrayLike) -> Inserts:
        """The inserts of some rows."""
        return Inserts(*(column[np.asarray(rows)] for column in self))


def find_inserts(tokens: npt.ArrayLike, given: npt.ArrayLike | None = None) -> Inserts:
    """The insert of each construct: the bases between its recognised adapters.

    Args:
        tokens: ``(B, L)`` constructs.
        given: ``(B, 2)``, start and end of each given sequence in its construct, from
            :func:`crmnet.sequence.given_spans`; None if the user gave complete constructs.
    """
    tokens = sequence.as_tokens(tokens)
    found_5, found_3 = sequence.find_adapters(tokens)
    start = np.where(found_5, len(sequence.ADAPTER_5), 0)
    stop = sequence.sequence_lengths(tokens)
    origin = np.zeros(len(tokens), dtype=np.int64)
    if given is not None:
        origin, end = np.asarray(given).T
        start = np.maximum(start, origin)
        # An N at the end, and a base before an adapter that was cut, belong to the insert.
        stop = np.where(found_3, stop, np.minimum(end, tokens.shape[1]))
    stop = stop - np.where(found_3, len(sequence.ADAPTER_3), 0)
    return Inserts(start, np.maximum(start, stop), origin)
