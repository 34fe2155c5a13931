"""Attributions of sequences that are longer than the network: the mean over windows along them.

Takes a file of sequences, gives :class:`Tiles`: its windows as constructs, and the sequences onto
which their attributions are averaged. :mod:`crmnet.interpretation.explain` writes the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.arrays import Integers
from crmnet.data.reading import display_name
from crmnet.data.sequences import Promoters, SequenceBlock, prepare_windows, read_sequences
from crmnet.files import PathLike
from crmnet.interpretation.attribute import Attribution, Attributions
from crmnet.interpretation.inserts import Inserts

LONGEST = 20_000
"""Bases of the longest sequence; sites and tables of a longer one take too much memory."""


class Tiles(NamedTuple):
    """Sequences of any length, and their windows as constructs."""

    promoters: Promoters
    """The sequences. Tokens are the sequence itself, or its construct if that is one window."""
    windows: Promoters
    """One row a window; ids are those of the sequences."""
    row: Integers
    """``(W,)`` sequence of each window."""
    total: int
    """Number of sequences in the file."""

    def shift(self) -> Integers:
        """``(W,)`` what to add to a position on a window to get that on its sequence."""
        assert self.promoters.given is not None and self.windows.given is not None
        shift: Integers = self.promoters.given[self.row, 0] - self.windows.given[:, 0]
        return shift

    def average(self, found: Attribution) -> Attribution:
        """Mean over the windows whose insert contains the base.

        Args:
            found: Attributions of the windows.

        Returns:
            Attributions of the sequences; ``delta`` is the largest error of their windows.
        """
        assert self.promoters.given is not None
        shift = self.shift()
        start, stop = found.inserts.start + shift, found.inserts.stop + shift
        many = len(self.promoters.ids)
        first = np.full(many, np.iinfo(np.int64).max)
        last = np.zeros(many, dtype=np.int64)
        np.minimum.at(first, self.row, start)
        np.maximum.at(last, self.row, stop)
        inserts = Inserts(first, last, self.promoters.given[:, 0])
        delta = None
        if found.delta is not None:
            delta = np.zeros(many, dtype=np.float32)
            for row, error in zip(self.row.tolist(), found.delta.tolist(), strict=True):
                delta[row] = max(delta[row], error, key=abs)
        hypothetical = found.hypothetical
        return Attribution(
            self._mean(found.values, found.inserts),
            delta,
            None if hypothetical is None else self._mean(hypothetical, found.inserts),
            inserts,
        )

    def _mean(self, values: Attributions, inserts: Inserts) -> Attributions:
        shape = (len(self.promoters.ids), 4, self.promoters.tokens.shape[1])
        sums, counts = np.zeros(shape), np.zeros((shape[0], 1, shape[2]))
        places = zip(self.row, inserts.start, inserts.stop, self.shift(), strict=True)
        for window, (row, start, stop, shift) in enumerate(places):
            sums[row, :, start + shift : stop + shift] += values[window, :, start:stop]
            counts[row, :, start + shift : stop + shift] += 1
        return (sums / np.maximum(counts, 1)).astype(np.float32)

    def on_windows(self, inserts: Inserts, places: npt.ArrayLike) -> Integers:
        """Each place on the window that holds the most of it, near the middle.

        Args:
            inserts: Inserts of the windows.
            places: ``(S, 3)`` sequence, first position and one past the last.

        Returns:
            ``(S, 3)`` window, first position and one past the last; the part on its insert.
        """
        shift = self.shift()
        moved = []
        for row, start, stop in np.asarray(places, dtype=np.int64).reshape(-1, 3):
            own = np.nonzero(self.row == row)[0]
            first = np.maximum(start - shift[own], inserts.start[own])
            last = np.minimum(stop - shift[own], inserts.stop[own])
            off_centre = np.abs(first + last - inserts.start[own] - inserts.stop[own])
            best = np.lexsort((off_centre, first - last))[0]
            moved.append((own[best], first[best], last[best]))
        return np.array(moved, dtype=np.int64).reshape(-1, 3)


def read_tiles(
    path: PathLike,
    step: int,
    *,
    first: int | None = None,
    flanks: sequence.Flanks = "auto",
    length: int = sequence.LENGTH,
    columns: Mapping[str, str] | None = None,
    iupac: sequence.Iupac = "error",
    only: Sequence[str] = (),
) -> Tiles:
    """Windows along the sequences of a file; a sequence that fits is one window.

    Args:
        path: The file, or ``-`` for standard input.
        step: Bases from the start of a window to that of the next.
        first: Number of sequences to read; None means all.
        flanks: As for :func:`crmnet.sequence.windows`.
        length: Positions of the network's input.
        columns: As for :func:`crmnet.data.sequences.read_sequences`.
        iupac: ``n`` reads letters that stand for several bases as N.
        only: As for :func:`crmnet.data.sequences.read_sequences`.

    Raises:
        ValueError: If the step is larger than a window, a sequence cannot be read, or it is longer
            than :data:`LONGEST`.
    """
    widest = sequence.insert_window(length, flanks)
    if not 1 <= step <= widest:
        raise ValueError(
            f"the step of --tile must be from 1 to {widest}, the bases of a window, so that every "
            f"base is in a window; got {step}"
        )
    ids: list[str] = []
    long, windows, spans, rows, given = [], [], [], [], []
    done, total = sequence.Preparation(), 0
    for block in read_sequences(path, columns=columns, only=only):
        for row, text in enumerate(block.sequences):
            total += 1
            if first is not None and total > first:
                continue
            one = SequenceBlock([block.ids[row]], [block.lines[row]], [text])
            _check_length(one, path)
            parts = sequence.windows(text, step, flanks, length)
            tokens, span, own_done = prepare_windows(one, path, [parts], flanks, length, iupac)
            if parts[0].whole:
                long.append(tokens[0])
                given.append(span[0])
            else:
                letters = sequence.iupac_as_n(text) if iupac == "n" else text
                long.append(sequence.encode([letters])[0][0])
                given.append(np.array([0, len(text)]))
            rows += [len(ids)] * len(parts)
            ids += one.ids
            windows.append(tokens)
            spans.append(span)
            done += own_done
    width = max(len(tokens) for tokens in long)
    constructs = np.full((len(long), width), sequence.N_TOKEN, dtype=np.uint8)
    for row, tokens in enumerate(long):
        constructs[row, : len(tokens)] = tokens
    of_windows = Promoters(
        [ids[row] for row in rows], np.concatenate(windows), None, done, np.concatenate(spans)
    )
    promoters = Promoters(ids, constructs, None, done, np.stack(given))
    return Tiles(promoters, of_windows, np.array(rows), total)


def _check_length(one: SequenceBlock, path: PathLike) -> None:
    if len(one.sequences[0]) > LONGEST:
        raise ValueError(
            f"sequence {one.ids[0]!r} ({display_name(path)}, line {one.lines[0]}) has "
            f"{len(one.sequences[0]):,} bases; --tile of explain reads at most {LONGEST:,}, so "
            "give the part that counts"
        )
