"""Fast parser for ordinary tables: reads millions of rows per second directly from bytes.

:func:`parse_rows` takes a chunk of text from :mod:`crmnet.data.ingest` and parses every ordinary
line: the expected number of columns, no quotes, a sequence of ACGTN that is not too long, a label
in plain digits. It returns all other lines unparsed. :mod:`crmnet.data.validate` gives them to
:mod:`crmnet.data.lines`, so the result is the same as without this module. Letters and adapters
come from :mod:`crmnet.sequence`; the compiled code takes them as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.compiled import compiled
from crmnet.data.lines import Layout
from crmnet.data.reading import count_lines
from crmnet.sequence import Lengths, Tokens

UNPARSED, PREPARED, TO_PREPARE = 0, 1, 2
"""State of a line. UNPARSED: for :mod:`crmnet.data.lines`. PREPARED: the construct has both
adapters at its ends, so :func:`crmnet.sequence.prepare` would only cut it. TO_PREPARE: parsed, but
an adapter is missing or the sequence starts or ends with N."""

MAX_PARSED = 1000
"""Largest number of bases of a parsed construct; longer ones stay unparsed."""

_BLOCK = 16
"""Number of letters that are looked up together."""
_NEWLINE, _RETURN, _QUOTE = 10, 13, 34
"""Codes of the bytes ``\\n``, ``\\r`` and ``"``."""
_TENS = 10.0 ** np.arange(23)
"""Powers of ten that float64 holds exactly."""


class _SequenceRules(NamedTuple):
    """Letters and adapters, as arguments of compiled functions.

    numba compiles constants into the code, and its cache on disk does not notice if they change.
    """

    token_of_byte: Tokens
    adapter_5: Tokens
    adapter_3: Tokens
    mismatches: int
    n_token: np.uint8
    invalid: np.uint8


def _sequence_rules() -> _SequenceRules:
    """The letters and adapters of :mod:`crmnet.sequence`."""
    every_byte, _ = sequence.letters_to_tokens([bytes([byte]) for byte in range(256)])
    adapters = (sequence.ADAPTER_5, sequence.ADAPTER_3)
    five, three = (sequence.encode([adapter])[0][0] for adapter in adapters)
    return _SequenceRules(
        np.ascontiguousarray(every_byte[:, 0]),
        np.ascontiguousarray(five),
        np.ascontiguousarray(three),
        sequence.ADAPTER_MISMATCHES,
        np.uint8(sequence.N_TOKEN),
        np.uint8(sequence.INVALID),
    )


_RULES = _sequence_rules()


@dataclass(frozen=True)
class ParsedRows:
    """One row for each line of a chunk; the rows of unparsed lines are undefined."""

    tokens: Tokens
    """``(N, 112)``, padded with N; adapters as in the file."""
    lengths: Lengths
    """``(N,)``: length in the file, above 112 if the construct was cut."""
    labels: npt.NDArray[np.float32]
    """``(N,)``."""
    state: npt.NDArray[np.uint8]
    """``(N,)``: :data:`UNPARSED`, :data:`PREPARED` or :data:`TO_PREPARE`."""
    with_n: npt.NDArray[np.bool_]
    """``(N,)``: whether the sequence contains N."""
    unparsed: list[tuple[int, bytes]]
    """Line number and text of every unparsed line."""


def can_parse(layout: Layout) -> bool:
    """Whether :func:`parse_rows` supports files with this layout."""
    return (
        layout.kind == "table"
        and set(layout.positions) == {"sequence", "expression"}
        and (layout.header is None or not _parses_as_row(layout))
    )


def _parses_as_row(layout: Layout) -> bool:
    """Whether the header itself parses as a row; a repeated header would then become a row."""
    header = layout.delimiter.join(layout.header or ()) + b"\n"
    return not parse_rows(header, 1, layout).unparsed


def parse_rows(
    chunk: bytes, first_line: int, layout: Layout, *, cut_long: bool = False
) -> ParsedRows:
    """Parse a chunk of complete lines.

    Args:
        chunk: Text that ends with a newline.
        first_line: Line number of its first line.
        layout: Delimiter and positions of the columns.
        cut_long: Cut constructs with both adapters that are longer than 112 bases, as
            :func:`crmnet.sequence.prepare` does if it adds no adapter. Otherwise they stay
            unparsed.
    """
    text = np.frombuffer(chunk, dtype=np.uint8)
    n = count_lines(chunk)
    tokens = np.empty((n, sequence.LENGTH), dtype=np.uint8)
    lengths, starts = np.zeros(n, dtype=np.int64), np.zeros(n + 1, dtype=np.int64)
    labels = np.zeros(n, dtype=np.float32)
    state, with_n = np.zeros(n, dtype=np.uint8), np.zeros(n, dtype=np.bool_)
    _parse_lines(
        text, ord(layout.delimiter), layout.width, layout.positions["sequence"],
        layout.positions["expression"], cut_long, _RULES, tokens, lengths, labels, state, with_n,
        starts,
    )  # fmt: skip
    unparsed = [
        (first_line + row, chunk[starts[row] : starts[row + 1] - 1])
        for row in np.nonzero(state == UNPARSED)[0].tolist()
    ]
    return ParsedRows(tokens, lengths, labels, state, with_n, unparsed)


@compiled
def _parse_lines(
    text: Any, delimiter: int, width: int, sequence_column: int, label_column: int, cut_long: bool,
    rules: Any, tokens: Any, lengths: Any, labels: Any, state: Any, with_n: Any, starts: Any,
) -> None:  # fmt: skip
    """Fill the arrays line by line; ``state`` stays UNPARSED where a line could not be parsed."""
    offset, n_length = 0, tokens.shape[1]
    bases = np.empty(MAX_PARSED, dtype=np.uint8)
    for row in range(len(state)):
        starts[row] = offset
        column, ordinary, size, is_exact, label = 0, True, 0, False, np.float32(0)
        while True:
            if column == sequence_column:
                size = _read_letters(text, offset, bases, rules)
                offset += size
                ordinary &= text[offset] == delimiter or text[offset] == _NEWLINE
            elif column == label_column:
                label, is_exact, offset = _read_decimal(text, offset)
                ordinary &= text[offset] == delimiter or text[offset] == _NEWLINE
            while text[offset] != delimiter and text[offset] != _NEWLINE:
                ordinary &= text[offset] != _QUOTE and text[offset] != _RETURN
                offset += 1
            column += 1
            offset += 1
            if text[offset - 1] == _NEWLINE:
                break
        if not (ordinary and size and is_exact and column == width):
            continue
        if _is_missing(bases[:size], rules):
            continue
        complete = _has_adapters(bases[:size], rules)
        if size > n_length and not (complete and cut_long):
            continue
        for position in range(n_length):  # faster than slices when compiled
            tokens[row, position] = bases[position] if position < size else rules.n_token
        with_n[row] = _any_n(bases[:size], rules)
        lengths[row], labels[row] = size, label
        state[row] = PREPARED if complete else TO_PREPARE
    starts[len(state)] = offset


@compiled
def _read_letters(text: Any, offset: int, bases: Any, rules: Any) -> Any:
    """Fill ``bases`` with tokens up to the first byte that is not a letter; return their number."""
    size = 0
    # Blocks without a branch for each letter compile to much faster code.
    while size + _BLOCK <= len(bases) and offset + size + _BLOCK <= len(text):
        seen = np.uint8(0)
        for i in range(size, size + _BLOCK):
            token = rules.token_of_byte[text[offset + i]]
            bases[i] = token
            seen = np.uint8(seen | token)
        if seen == rules.invalid:
            break
        size += _BLOCK
    while size < len(bases) and rules.token_of_byte[text[offset + size]] != rules.invalid:
        bases[size] = rules.token_of_byte[text[offset + size]]
        size += 1
    return size


@compiled
def _is_missing(bases: Any, rules: Any) -> Any:
    """Whether the letters are those of ``NA`` or ``nan``, which stand for a missing value."""
    size = len(bases)
    return (
        size in (2, 3)
        and bases[0] == rules.n_token
        and bases[1] == rules.token_of_byte[65]  # A
        and bases[size - 1] == (rules.n_token if size == 3 else bases[1])
    )


@compiled
def _has_adapters(bases: Any, rules: Any) -> Any:
    """Whether :func:`crmnet.sequence.prepare` finds both adapters, with no N outside them."""
    size = len(bases)
    if size < len(rules.adapter_5) + len(rules.adapter_3):
        return False
    if bases[0] == rules.n_token or bases[size - 1] == rules.n_token:
        return False
    if _count_mismatches(bases[: len(rules.adapter_5)], rules.adapter_5) > rules.mismatches:
        return False
    end = bases[size - len(rules.adapter_3) :]
    return _count_mismatches(end, rules.adapter_3) <= rules.mismatches


@compiled
def _count_mismatches(bases: Any, adapter: Any) -> Any:
    count = np.uint8(0)  # one byte, like the bases, so that this compiles to vector code
    for position in range(len(adapter)):
        count = np.uint8(count + np.uint8(bases[position] != adapter[position]))
    return count


@compiled
def _any_n(bases: Any, rules: Any) -> Any:
    any_n = np.uint8(0)
    for position in range(len(bases)):
        any_n = np.uint8(any_n | np.uint8(bases[position] == rules.n_token))
    return any_n > 0


@compiled
def _read_decimal(text: Any, offset: int) -> Any:
    """Read digits with or without a point.

    Returns:
        The nearest float32; whether it is certainly the nearest; offset of the first byte after the
        number.
    """
    negative = text[offset] == 45
    if negative or text[offset] == 43:
        offset += 1
    any_digit, significant_digits, decimals, number, has_point = False, 0, 0, np.uint64(0), False
    while True:
        byte = text[offset]
        if byte == 46 and not has_point:
            has_point = True
        elif 48 <= byte <= 57:
            number = number * np.uint64(10) + np.uint64(byte - 48)
            if number > 0:  # leading zeros cost no precision
                significant_digits += 1
            decimals += has_point
            any_digit = True
        else:
            break
        offset += 1
    if not any_digit or significant_digits > 18 or decimals > 22:
        return np.float32(0), False, offset
    value = np.float64(number) / _TENS[decimals]
    single = np.float32(value)
    # Up to 15 digits the quotient is the nearest float64. With more digits its last bits may be
    # wrong, which matters only next to the boundary between two float32 numbers.
    if significant_digits > 15:
        low, high = np.float32(value * (1 - 4e-16)), np.float32(value * (1 + 4e-16))
        if low != high:
            return np.float32(0), False, offset
    return (-single if negative else single), True, offset
