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
from crmnet.data.lines import Layout
from crmnet.data.reading import count_lines
from crmnet.sequence import Lengths, Tokens

CAREFUL, PLAIN, BARE = 0, 1, 2
"""What is known of a line: it needs care; it carries both adapters; it carries not both of them,
or ends in N, and so needs :func:`crmnet.sequence.prepare`."""

_NEWLINE, _RETURN, _QUOTE, _N = 10, 13, 34, 78
_TOGETHER = sequence.LENGTH // 2
"""Letters looked up together, which compiles to instructions on many bytes at once."""
_LETTERS = np.full(256, sequence.INVALID, dtype=np.uint8)
for _token, _letter in enumerate(sequence.LETTERS):
    _LETTERS[[ord(_letter), ord(_letter.lower())]] = _token
_UPPER = np.uint8(0xDF)
"""Bits of a letter without that of its case."""
_ADAPTERS = tuple(
    np.frombuffer(adapter.encode(), dtype=np.uint8)
    for adapter in (sequence.ADAPTER_5, sequence.ADAPTER_3)
)
_TENS = 10.0 ** np.arange(23)
MAX_CUT = 1000
"""Bases of a construct that is cut here; longer ones are looked at with care."""


@dataclass(frozen=True)
class PlainRows:
    """A row for every line of a piece; those of lines that need care are left to be filled in."""

    tokens: Tokens
    """``(N, 112)``, N behind the end of each sequence; adapters as they stand in the file."""
    lengths: Lengths
    """As in the file; longer than 112 where a construct was cut."""
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


def plain_rows(piece: bytes, number: int, layout: Layout, *, cut: bool = False) -> PlainRows:
    """Parse a piece of whole lines.

    Args:
        piece: Text that ends with a line.
        number: Number of its first line.
        layout: Delimiter and positions of the columns.
        cut: Whether constructs with both adapters that are too long lose their end here, as
            :func:`crmnet.sequence.prepare` does it where no adapter is to be added.
    """
    text = np.frombuffer(piece, dtype=np.uint8)
    n = count_lines(piece)
    tokens = np.empty((n, sequence.LENGTH), dtype=np.uint8)
    lengths, starts = np.zeros(n, dtype=np.int64), np.zeros(n + 1, dtype=np.int64)
    labels = np.zeros(n, dtype=np.float32)
    kind, with_n = np.zeros(n, dtype=np.uint8), np.zeros(n, dtype=np.bool_)
    _parse(
        text, ord(layout.delimiter), layout.width, layout.positions["sequence"],
        layout.positions["expression"], cut, tokens, lengths, labels, kind, with_n, starts,
    )  # fmt: skip
    careful = [
        (number + row, piece[starts[row] : starts[row + 1] - 1])
        for row in np.nonzero(kind == CAREFUL)[0].tolist()
    ]
    return PlainRows(tokens, lengths, labels, kind, with_n, careful)


@numba.njit(nogil=True, cache=True)
def _parse(
    text: Any, delimiter: int, width: int, sequence_column: int, label_column: int, cut: bool,
    tokens: Any, lengths: Any, labels: Any, kind: Any, with_n: Any, starts: Any,
) -> None:  # fmt: skip
    """Fill the arrays, a line at a time; ``kind`` says which lines could be parsed."""
    place = 0
    for row in range(len(kind)):
        starts[row] = place
        column, simple, known = 0, True, False
        size, begin, label = 0, 0, np.float32(0)
        while True:
            first = place
            if column == sequence_column:
                begin = place
                place += _read_letters(text, place, tokens[row])
                # An adapter may follow on what the row has no room for.
                while cut and place < begin + MAX_CUT and _LETTERS[text[place]] != sequence.INVALID:
                    place += 1
                size = place - begin
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
        letters = text[begin : begin + size]
        whole = _has_adapters(letters)
        if size > tokens.shape[1] and not whole:
            continue
        tokens[row, size:] = sequence.N_TOKEN
        with_n[row] = _any_n(letters)
        lengths[row], labels[row] = size, label
        kind[row] = PLAIN if whole else BARE
    starts[len(kind)] = place


@numba.njit(nogil=True, cache=True)
def _read_letters(text: Any, place: int, row: Any) -> Any:
    """Fill a row with tokens until it is full or a byte is no letter; how many there are.

    What stands behind them is not defined.
    """
    size = 0
    while size + _TOGETHER <= len(row) and place + size + _TOGETHER <= len(text):
        letters = text[place + size : place + size + _TOGETHER]
        tokens = row[size : size + _TOGETHER]
        if _look_up(letters, tokens):
            while row[size] != sequence.INVALID:
                size += 1
            return size
        size += _TOGETHER
    while size < len(row) and _LETTERS[text[place + size]] != sequence.INVALID:
        row[size] = _LETTERS[text[place + size]]
        size += 1
    return size


@numba.njit(nogil=True, cache=True)
def _look_up(letters: Any, tokens: Any) -> Any:
    """The tokens of as many letters; whether one is INVALID.

    Arithmetic in place of a table, on single bytes throughout: of A, C, G and T in ASCII, the bits
    1 and 2 are 00, 10, 11 and 01.
    """
    one, two, three = np.uint8(1), np.uint8(2), np.uint8(3)
    seen = np.uint8(0)
    for i in range(len(letters)):
        upper = np.uint8(letters[i] & _UPPER)
        token = np.uint8(np.uint8(np.uint8(upper >> one) ^ np.uint8(upper >> two)) & three)
        base = (upper == 65) | (upper == 67) | (upper == 71) | (upper == 84)
        if not base:
            token = np.uint8(sequence.N_TOKEN if upper == _N else sequence.INVALID)
        tokens[i] = token
        seen = np.uint8(seen | token)
    return seen == sequence.INVALID


@numba.njit(nogil=True, cache=True)
def _any_n(letters: Any) -> Any:
    found = np.uint8(0)
    for i in range(len(letters)):
        found = np.uint8(found | np.uint8(np.uint8(letters[i] & _UPPER) == _N))
    return found > 0


@numba.njit(nogil=True, cache=True)
def _has_adapters(letters: Any) -> Any:
    """Whether both adapters stand at the ends, as :func:`crmnet.sequence.prepare` sees it."""
    five, three = _ADAPTERS
    size = len(letters)
    if size < len(five) + len(three):
        return False
    if letters[0] & _UPPER == _N or letters[size - 1] & _UPPER == _N:
        return False
    start, end = letters[: len(five)], letters[size - len(three) :]
    at_5 = at_3 = 0
    for position in range(len(five)):
        at_5 += start[position] & _UPPER != five[position]
    for position in range(len(three)):
        at_3 += end[position] & _UPPER != three[position]
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
