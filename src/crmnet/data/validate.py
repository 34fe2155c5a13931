"""Decides which rows become part of a data set and why the others are rejected.

The functions take chunks of text or blocks of columns from :mod:`crmnet.data.reading`. They return
the accepted rows, prepared, and (line, reason, text) of each rejected row.
:mod:`crmnet.data.ingest` applies them to complete files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.data.fast_parser import PREPARED, UNPARSED, ParsedRows, parse_rows
from crmnet.data.lines import NOT_SELECTED, TOO_LONG, Block, Layout, LineReader
from crmnet.data.numbers import is_missing, parse_numbers
from crmnet.data.writer import EncodedRows

MAX_SEQUENCE = 10_000
"""Largest length of a sequence. A longer one would widen the token array of its whole block."""


@dataclass(frozen=True)
class Source:
    """A file and everything needed to read it."""

    path: Path
    medium: str = "complex"
    unit: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    trim: tuple[int, int] = (0, 0)
    """Number of bases to cut from the start and the end of each sequence."""
    only: Mapping[str, str] = field(default_factory=dict)
    """Column → value; rows with another value are skipped."""
    above: float | None = None
    """Rows whose label is not larger than this are skipped."""
    cut: bool = True
    """Cut constructs that are longer than 112 bases; False leaves them out."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))

    @property
    def columns_read(self) -> dict[str, str]:
        """Role → column, including the columns that rows are selected by."""
        return {**self.columns, **{name.lower(): name for name in self.only}}

    def select_and_trim(self, block: Block) -> Block:
        """The selected rows, with trimmed sequences; the others are listed as skipped."""
        if self.only or self.above is not None:
            block = self._select(block)
        if any(self.trim):
            left, right = self.trim
            block.columns["sequence"] = [
                text[left : len(text) - right] for text in block.columns["sequence"]
            ]
        return block

    @property
    def keeps_all(self) -> bool:
        """Whether :meth:`select_and_trim` changes nothing."""
        return not self.only and self.above is None and not any(self.trim)

    def _select(self, block: Block) -> Block:
        above = float("-inf") if self.above is None else self.above
        labels = _numbers(block.columns["expression"])
        keep = (labels > above) | np.isnan(labels)  # labels that are not numbers: rejected later
        for name, value in self.only.items():
            column = block.columns[name.lower()]
            keep &= np.array([text == value.encode() for text in column], dtype=bool)
        return block.select(keep, NOT_SELECTED)


@dataclass
class AcceptedRows:
    """Accepted rows of one chunk or block."""

    rows: EncodedRows
    preparation: sequence.Preparation
    original_lengths: npt.NDArray[np.int64]
    """Lengths of the sequences in the file."""
    lines: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Line number of each row; empty for rows of the fast parser."""


Rejections = list[tuple[int, str, bytes]]
ValidatedRows = tuple[AcceptedRows | None, Rejections]


def validate_chunk(
    layout: Layout,
    fast: bool,
    source: Source,
    flanks: sequence.Flanks,
    chunk: tuple[int, bytes],
) -> ValidatedRows:
    """Validate a chunk of a table.

    Args:
        layout: Of the file.
        fast: Use the fast parser, and the line reader only for the lines that it leaves unparsed.
        source: Of the rows.
        flanks: See :func:`crmnet.sequence.prepare`.
        chunk: Number of its first line, and its text.
    """
    first_line, text = chunk
    reader = LineReader(layout)
    if fast:
        parsed = parse_rows(text, first_line, layout, cut_long=flanks != "add")
        if 2 * len(parsed.unparsed) <= len(parsed.labels):
            unparsed_rows, rejected = validate_block(
                reader.read_lines(parsed.unparsed), source, flanks
            )
            return _merge(parsed, unparsed_rows, first_line, source, flanks), rejected
    return validate_block(source.select_and_trim(reader.read(text, first_line)), source, flanks)


def _merge(
    parsed: ParsedRows,
    unparsed_rows: AcceptedRows | None,
    first_line: int,
    source: Source,
    flanks: sequence.Flanks,
) -> AcceptedRows:
    """Joins rows of the fast parser with those of the line reader, in the order of the lines."""
    is_parsed = parsed.state != UNPARSED
    preparation, to_prepare = sequence.Preparation(), np.nonzero(is_parsed)[0]
    if flanks != "add":  # the fast parser has prepared these rows
        is_prepared = parsed.state == PREPARED if flanks == "auto" else is_parsed
        to_prepare = np.nonzero(is_parsed & ~is_prepared)[0]
        preparation = sequence.Preparation(
            total=int(is_prepared.sum()),
            adapters_kept=int(is_prepared.sum()) if flanks == "auto" else 0,
            cut=int((parsed.lengths[is_prepared] > sequence.LENGTH).sum()),
            with_n=int((parsed.with_n & is_prepared).sum()),
        )
    if len(to_prepare):
        prepared, prepared_counts = sequence.prepare(
            parsed.tokens[to_prepare], parsed.lengths[to_prepare], flanks
        )
        parsed.tokens[to_prepare] = prepared
        preparation += prepared_counts
    tokens, labels, lengths = parsed.tokens, parsed.labels, parsed.lengths
    accepted = is_parsed.copy()
    if unparsed_rows is not None:
        rows = unparsed_rows.lines - first_line
        tokens[rows], labels[rows] = unparsed_rows.rows.tokens, unparsed_rows.rows.labels
        lengths[rows] = unparsed_rows.original_lengths
        preparation += unparsed_rows.preparation
        accepted[rows] = True
    if not accepted.all():
        tokens, labels, lengths = tokens[accepted], labels[accepted], lengths[accepted]
    medium = np.zeros(len(labels), dtype=np.uint8)
    units = {} if source.unit is None else {source.medium: source.unit}
    encoded = EncodedRows(tokens, labels, medium, [source.medium], units=units)
    return AcceptedRows(encoded, preparation, lengths)


def validate_block(block: Block, source: Source, flanks: sequence.Flanks) -> ValidatedRows:
    """Split a block into accepted rows and (line, reason, text) of each rejected row."""
    rejected: Rejections = list(block.skipped)
    if not len(block):
        return None, rejected
    texts = block.columns["sequence"]
    too_long = np.array([len(text) > MAX_SEQUENCE for text in texts])
    tokens, lengths = sequence.letters_to_tokens(
        [b"N" if long else text for long, text in zip(too_long, texts, strict=True)]
    )
    too_long_text = f"sequence longer than {MAX_SEQUENCE:,} bases"
    if not source.cut:
        too_long |= _construct_lengths(tokens, lengths, flanks) > sequence.LENGTH
        too_long_text = TOO_LONG
    labels = _numbers(block.columns["expression"])
    weights = _numbers(block.columns["weight"]) if "weight" in block.columns else None
    bad_letter = (tokens == sequence.INVALID).any(axis=1)
    checks: list[tuple[npt.NDArray[np.bool_], str, list[bytes]]] = [
        (too_long, too_long_text, texts),
        (lengths == 0, "empty sequence", texts),
        (np.array([is_missing(text) for text in texts]), "sequence is missing", texts),
        (bad_letter, "bad letter", texts),
        (
            _missing(block.columns["expression"], labels),
            "expression is missing",
            block.columns["expression"],
        ),
        (np.isnan(labels), "expression is not a number", block.columns["expression"]),
        (np.isinf(labels), "expression is infinite", block.columns["expression"]),
    ]
    if weights is not None:
        unusable = ~(np.isfinite(weights) & (weights > 0))
        checks.append((unusable, "weight is not a positive number", block.columns["weight"]))
    acceptable = np.ones(len(block), dtype=bool)
    for failed, reason, column in checks:
        for row in np.nonzero(failed & acceptable)[0].tolist():
            message = reason
            if reason == "bad letter":
                column_number = int(np.argmax(tokens[row] == sequence.INVALID))
                text = texts[row].decode(errors="replace")
                message = f"bad letter: {sequence.describe_bad_letter(text, column_number)}"
            rejected.append((block.lines[row], message, column[row]))
        acceptable &= ~failed
    rejected.sort(key=lambda entry: entry[0])
    if not acceptable.any():
        return None, rejected
    accepted = np.nonzero(acceptable)[0]
    prepared, preparation = sequence.prepare(tokens[accepted], lengths[accepted], flanks)
    numbers, names = _pick_media(block, accepted, source.medium)
    rows = EncodedRows(
        tokens=prepared,
        labels=labels[accepted],
        medium=numbers,
        media=names,
        family=_hashes(block, accepted) if "family" in block.columns else None,
        weight=weights[accepted] if weights is not None else None,
        units={} if source.unit is None else dict.fromkeys(names, source.unit),
    )
    lines = np.array(block.lines)[accepted]
    return AcceptedRows(rows, preparation, lengths[accepted], lines), rejected


def _numbers(texts: list[bytes]) -> npt.NDArray[np.float32]:
    """The texts as numbers; NaN for a text that is not a number."""
    with np.errstate(over="ignore"):
        return parse_numbers(texts).astype(np.float32)


def _construct_lengths(
    tokens: sequence.Tokens, lengths: sequence.Lengths, flanks: sequence.Flanks
) -> npt.NDArray[np.int64]:
    """Length of each construct with its adapters, before it is cut."""
    widest = tokens.shape[1] + len(sequence.ADAPTER_5) + len(sequence.ADAPTER_3)
    return sequence.sequence_lengths(sequence.prepare(tokens, lengths, flanks, widest)[0])


def _missing(texts: list[bytes], values: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Which fields are missing; a text that is not a number is not missing."""
    missing = np.isnan(values)
    for row in np.nonzero(missing)[0].tolist():
        missing[row] = is_missing(texts[row])
    return missing


def _pick_media(
    block: Block, accepted: npt.NDArray[np.int64], medium: str
) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Index of each row's medium in a list of names, and the list."""
    if "medium" not in block.columns:
        return np.zeros(len(accepted), dtype=np.int64), [medium]
    texts = [block.columns["medium"][row] for row in accepted.tolist()]
    named = [
        medium if is_missing(text) else text.decode(errors="backslashreplace") for text in texts
    ]
    table = {name: number for number, name in enumerate(dict.fromkeys(named))}
    return np.array([table[name] for name in named], dtype=np.int64), list(table)


def _hashes(block: Block, accepted: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Hash of each row's family name; of its sequence if the row names no family."""
    names, texts = block.columns["family"], block.columns["sequence"]
    digests = [
        hashlib.blake2b(
            texts[row] if is_missing(names[row]) else names[row], digest_size=8
        ).digest()
        for row in accepted.tolist()
    ]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)
