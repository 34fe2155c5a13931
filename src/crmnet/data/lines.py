"""Splits lines of text into fields: tables, one sequence per line, and FASTA.

Takes chunks of a file whose layout is known (:mod:`crmnet.data.reading` detects it) and returns
blocks of columns. It checks only the number of fields in a line, not their contents.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from crmnet.data.numbers import is_number

NOT_SELECTED = "not selected"
HARMLESS_REASONS = ("blank line", "repeated header", NOT_SELECTED)
"""Reasons for skipping a line without losing data."""
TOO_LONG = "longer than the network reads"
"""Reason for leaving out a row where constructs are not cut; such rows are counted, not damaged."""

COLUMN_NAMES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "name", "sequence_id", "seq_id"),
    "sequence": ("sequence", "seq", "seq110", "promoter", "construct", "insert"),
    "expression": (
        "expression",
        "measured expression",
        "measured_expression",
        "measured",
        "el.combined",
        "true_expr",
        "meanel",
        "el",
        "label",
    ),
    "medium": ("medium", "media", "condition"),
    "family": ("family",),
    "weight": ("weight", "cells", "n_cells"),
    "predicted": ("predicted expression", "predicted_expression", "predicted", "prediction"),
}
"""Header names recognised for each role, in lower case; the first one present is used."""


ALSO_IDS = ("gene", "orf", "locus", "locus_tag", "gene_id", "probe", "accession")
"""Header names that say which of several text columns names the rows of a table without ids."""


def shortened(text: bytes | str, most: int = 60) -> str:
    """A text from a file as messages show it: readable, and not longer than ``most`` characters."""
    whole = text.decode(errors="replace") if isinstance(text, bytes) else text
    return whole if len(whole) <= most else f"{whole[:most]}… ({len(whole):,} characters)"


@dataclass
class Block:
    """Rows that were read together: fields by role, line numbers, and skipped lines."""

    lines: list[int] = field(default_factory=list)
    """Line number of each row, counted from 1; in FASTA the line of its header."""
    columns: dict[str, list[bytes]] = field(default_factory=dict)
    skipped: list[tuple[int, str, bytes]] = field(default_factory=list)
    """(line number, reason, text) of each line that is not a row."""

    def __len__(self) -> int:
        return len(self.lines)

    def select(self, keep: Sequence[bool] | npt.NDArray[np.bool_], reason: str) -> Block:
        """The rows to keep; the others are listed as skipped for ``reason``."""
        texts = self.columns["sequence"]
        skipped = [
            (line, reason, text)
            for line, text, kept in zip(self.lines, texts, keep, strict=True)
            if not kept
        ]
        return Block(
            list(itertools.compress(self.lines, keep)),
            {role: list(itertools.compress(c, keep)) for role, c in self.columns.items()},
            [*self.skipped, *skipped],
        )


@dataclass(frozen=True)
class Layout:
    """Format of one file's lines."""

    kind: str
    """``fasta``, ``lines`` or ``table``."""
    delimiter: bytes = b""
    header: tuple[bytes, ...] | None = None
    positions: Mapping[str, int] = field(default_factory=dict)
    """Role → index of its column."""
    ids_from: str | None = None
    """The column that gives the ids if none has an accepted name."""

    @property
    def width(self) -> int:
        """Number of columns of a table; without a header 2, the sequence and the expression."""
        return len(self.header) if self.header is not None else 2


def split_fields(line: bytes, delimiter: bytes) -> list[bytes]:
    """Fields of a line, without quotes; without a delimiter the line is one field."""
    if not delimiter:
        return [line]
    if b'"' in line:
        text = line.decode(errors="surrogateescape")
        try:
            fields = next(csv.reader([text], delimiter=delimiter.decode()))
        except csv.Error:  # malformed quotes: the fields keep them and are rejected later
            return line.split(delimiter)
        return [field.encode(errors="surrogateescape") for field in fields]
    return line.split(delimiter)


_NUMBERS = ("expression", "weight", "predicted")
_DECIMAL_COMMA = re.compile(rb"\s*[-+]?\d*,\d+\s*")


class LineReader:
    """Reads tables and plain lines: one row per line.

    In a table whose columns are separated by ``;`` a number may have a decimal comma.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.commas = layout.delimiter == b";"
        self.width = layout.width if layout.delimiter else 1

    def read(self, chunk: bytes, first_line: int) -> Block:
        """Rows of a chunk whose first line has number ``first_line``."""
        return self.read_lines(enumerate(chunk.split(b"\n")[:-1], first_line))

    def read_lines(self, lines: Iterable[tuple[int, bytes]]) -> Block:
        """Rows of (line number, text) pairs."""
        block = Block(columns={role: [] for role in self.layout.positions})
        columns = [(block.columns[role], i) for role, i in self.layout.positions.items()]
        for line_number, line in lines:
            if not line.strip():
                block.skipped.append((line_number, "blank line", line))
                continue
            fields = split_fields(line, self.layout.delimiter)
            if len(fields) != self.width:
                reason = f"{len(fields)} columns where {self.width} are expected"
                block.skipped.append((line_number, reason, line))
            elif self.layout.header is not None and tuple(fields) == self.layout.header:
                block.skipped.append((line_number, "repeated header", line))
            else:
                block.lines.append(line_number)
                for column, index in columns:
                    column.append(fields[index].strip())
        if self.commas:
            for role in _NUMBERS:
                if role in block.columns:
                    block.columns[role] = [_with_point(text) for text in block.columns[role]]
        return block

    def finish(self) -> Block:
        """Rows left after the last chunk: none."""
        return Block()


_UNITS_OF_LENGTH = frozenset({b"bp", b"b", b"nt", b"kb", b"base", b"bases", b"nucleotides", b"aa"})


def _with_point(text: bytes) -> bytes:
    return text.replace(b",", b".") if _DECIMAL_COMMA.fullmatch(text) else text


def parse_fasta_header(line: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Name and fields by role of ``>name 5.3`` or ``>name expression=5.3 family=f1``.

    A number with a unit of length is not an expression: ``>YAL001C 500 bp upstream``.
    """
    words = line[1:].split()
    found: dict[str, bytes] = {}
    for word in words[1:]:
        key, equals, value = word.partition(b"=")
        for role, names in COLUMN_NAMES.items():
            if equals and key.decode(errors="replace").lower() in names:
                found.setdefault(role, value)
    if len(words) > 1 and "expression" not in found and is_number(words[1]):
        if not (len(words) > 2 and words[2].lower().rstrip(b",;") in _UNITS_OF_LENGTH):
            found["expression"] = words[1]
    return words[0] if words else b"", found


MAX_RECORD = 1 << 28
"""Bases of the longest sequence of a FASTA record, in several lines; human chromosome 1 fits. A
longer one would fill the memory."""


class FastaReader:
    """Reads FASTA: a sequence may span several lines and several chunks.

    Args:
        layout: Of the file.
        file: Its name in errors.
    """

    def __init__(self, layout: Layout, file: str = "FASTA") -> None:
        self.roles, self.file = tuple(layout.positions), file
        self.line, self.name, self.sequence = 0, b"", bytearray()
        self.count = 0
        self.fields: dict[str, bytes] = {}

    def read(self, chunk: bytes, first_line: int) -> Block:
        """Sequences that end in a chunk whose first line has number ``first_line``.

        Raises:
            ValueError: If a sequence is longer than :data:`MAX_RECORD`.
        """
        block = self._empty()
        for line_number, line in enumerate(chunk.split(b"\n")[:-1], first_line):
            if line.startswith(b">"):
                self._close(block)
                self.line = line_number
                self.name, self.fields = parse_fasta_header(line)
            elif line.strip() and not line.startswith(b";"):
                self.sequence += line.strip()
                if len(self.sequence) > MAX_RECORD:
                    self._refuse_long()
        return block

    def _refuse_long(self) -> None:
        raise ValueError(
            f"{self.file}, line {self.line}: the sequence of {shortened(self.name)!r} is longer "
            f"than {MAX_RECORD:,} bases; split it into several records, or check the file"
        )

    def finish(self) -> Block:
        """The last sequence, after the last chunk."""
        block = self._empty()
        self._close(block)
        return block

    def _empty(self) -> Block:
        return Block(columns={role: [] for role in ("id", "sequence", *self.roles)})

    def _close(self, block: Block) -> None:
        if self.line:
            self.count += 1
            block.lines.append(self.line)
            block.columns["id"].append(self.name or str(self.count).encode())
            block.columns["sequence"].append(bytes(self.sequence))
            for role in self.roles:
                block.columns[role].append(self.fields.get(role, b""))
        self.line, self.name, self.sequence = 0, b"", bytearray()
