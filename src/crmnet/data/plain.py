"""The common plain case of a table, parsed straight from its bytes: millions of rows a second.

Takes a piece of text and gives the rows that need no thought: the right number of columns, no
quotes, a sequence of ACGTN that is not too long, a label in plain digits. Every other line is
handed back for :mod:`crmnet.data.reading` to read with care, so that both ways together give what
careful reading alone would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.data.reading import Layout
from crmnet.sequence import Lengths, Tokens

CAREFUL, PLAIN, BARE = 0, 1, 2
"""What is known of a line: it needs care; it carries both adapters; it carries not both of them,
or ends in N, and so needs :func:`crmnet.sequence.prepare`."""

_NEWLINE, _RETURN, _QUOTE = 10, 13, 34
_LETTERS = np.full(256, sequence.INVALID, dtype=np.uint8)
for _token, _letter in enumerate(sequence.LETTERS):
    _LETTERS[[ord(_letter), ord(_letter.lower())]] = _token
_ADAPTERS = tuple(
    sequence.encode([adapter])[0][0] for adapter in (sequence.ADAPTER_5, sequence.ADAPTER_3)
)
_TENS = 10.0 ** np.arange(23)


@dataclass(frozen=True)
class PlainRows:
    """A row for every line of a piece; those of lines that need care are left to be filled in."""

    tokens: Tokens
    """``(N, 112)``, N behind the end of each sequence; adapters as they stand in the file."""
    lengths: Lengths
    labels: npt.NDArray[np.float32]
    kind: npt.NDArray[np.uint8]
    """``(N,)``; one of :data:`CAREFUL`, :data:`PLAIN`, :data:`BARE`."""
    with_n: npt.NDArray[np.bool_]
    careful: list[tuple[int, bytes]]
    """Number and text of every line that needs care."""


def is_plain(layout: Layout) -> bool:
    """Whether a file is laid out so that :func:`plain_rows` can read it."""
    return (
        layout.kind == "table"
        and set(layout.positions) == {"sequence", "expression"}
        and (layout.header is None or not _reads_as_row(layout))
    )


def _reads_as_row(layout: Layout) -> bool:
    """Whether the header could pass for a row, so that a repeated one would be taken for one."""
    header = layout.delimiter.join(layout.header or ()) + b"\n"
    return not plain_rows(header, 1, layout).careful


def plain_rows(piece: bytes, number: int, layout: Layout) -> PlainRows:
    """Parse a piece of whole lines.

    Args:
        piece: Text that ends with a line.
        number: Number of its first line.
        layout: Delimiter and positions of the columns.
    """
    text = np.frombuffer(piece, dtype=np.uint8)
    n = int(np.count_nonzero(text == _NEWLINE))
    tokens = np.empty((n, sequence.LENGTH), dtype=np.uint8)
    lengths, starts = np.zeros(n, dtype=np.int64), np.zeros(n + 1, dtype=np.int64)
    labels = np.zeros(n, dtype=np.float32)
    kind, with_n = np.zeros(n, dtype=np.uint8), np.zeros(n, dtype=np.bool_)
    _parse(
        text, ord(layout.delimiter), layout.width, layout.positions["sequence"],
        layout.positions["expression"], tokens, lengths, labels, kind, with_n, starts,
    )  # fmt: skip
    careful = [
        (number + row, piece[starts[row] : starts[row + 1] - 1])
        for row in np.nonzero(kind == CAREFUL)[0].tolist()
    ]
    return PlainRows(tokens, lengths, labels, kind, with_n, careful)


@numba.njit(nogil=True, cache=True)
def _parse(
    text: Any, delimiter: int, width: int, sequence_column: int, label_column: int,
    tokens: Any, lengths: Any, labels: Any, kind: Any, with_n: Any, starts: Any,
) -> None:  # fmt: skip
    """Fill the arrays, a line at a time; ``kind`` says which lines could be parsed."""
    place = 0
    for row in range(len(kind)):
        starts[row] = place
        column, simple, known = 0, True, False
        size, seen, label = 0, 0, np.float32(0)
        while True:
            first = place
            if column == sequence_column:
                while size < tokens.shape[1]:
                    token = _LETTERS[text[place]]
                    if token == sequence.INVALID:
                        break
                    tokens[row, size] = token
                    seen |= token
                    size += 1
                    place += 1
                simple &= text[place] == delimiter or text[place] == _NEWLINE
            while text[place] != delimiter and text[place] != _NEWLINE:
                simple &= text[place] != _QUOTE and text[place] != _RETURN
                place += 1
            if column == label_column:
                label, known = _decimal(text, first, place)
            column += 1
            place += 1
            if text[place - 1] == _NEWLINE:
                break
        if not (simple and known and size and column == width):
            continue
        tokens[row, size:] = sequence.N_TOKEN
        lengths[row], labels[row] = size, label
        with_n[row] = seen >= sequence.N_TOKEN
        kind[row] = PLAIN if _has_adapters(tokens[row], size) else BARE
    starts[len(kind)] = place


@numba.njit(nogil=True, cache=True)
def _has_adapters(tokens: Any, size: int) -> Any:
    """Whether both adapters stand at the ends, as :func:`crmnet.sequence.prepare` sees it."""
    five, three = _ADAPTERS
    if size < len(five) + len(three):
        return False
    if tokens[0] == sequence.N_TOKEN or tokens[size - 1] == sequence.N_TOKEN:
        return False
    at_5 = at_3 = 0
    for position in range(len(five)):
        at_5 += tokens[position] != five[position]
    for position in range(len(three)):
        at_3 += tokens[size - len(three) + position] != three[position]
    return at_5 <= sequence.ADAPTER_MISMATCHES and at_3 <= sequence.ADAPTER_MISMATCHES


@numba.njit(nogil=True, cache=True)
def _decimal(text: Any, start: int, stop: int) -> Any:
    """Digits with or without a point as (float32, whether that is surely the nearest one)."""
    place = start
    negative = place < stop and text[place] == 45
    if negative or (place < stop and text[place] == 43):
        place += 1
    some, digits, decimals, number, point = False, 0, 0, np.uint64(0), False
    while place < stop:
        byte = text[place]
        if byte == 46 and not point:
            point = True
        elif 48 <= byte <= 57:
            number = number * np.uint64(10) + np.uint64(byte - 48)
            if number > 0:  # zeros in front cost no precision
                digits += 1
            decimals += point
            some = True
        else:
            return np.float32(0), False
        place += 1
    if not some or digits > 18 or decimals > 22:
        return np.float32(0), False
    value = np.float64(number) / _TENS[decimals]
    single = np.float32(value)
    # Up to 15 digits the quotient is the nearest float64. Beyond, it may be off by its last bits,
    # which matters only where the next float32 begins.
    if digits > 15:
        low, high = np.float32(value * (1 - 4e-16)), np.float32(value * (1 + 4e-16))
        if low != high:
            return np.float32(0), False
    return (-single if negative else single), True
