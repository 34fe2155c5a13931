"""Splits lines of text into fields: tables, one sequence per line, and FASTA.

The readers take chunks of a file and its layout, which :mod:`crmnet.data.layout` detects, and
return blocks of columns. They check the number of fields in a line, not their contents;
:mod:`crmnet.data.validate` and :mod:`crmnet.data.sequences` do.
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
"""Reason for leaving out a long row if constructs are not cut; such a row is not damaged."""

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
"""Header names of text columns that are preferred as ids if a table has no ``id`` column."""


def shortened(text: bytes | str, max_characters: int = 60) -> str:
    """A text from a file for a message: readable, with at most ``max_characters`` characters."""
    full_text = text.decode(errors="replace") if isinstance(text, bytes) else text
    return (
        full_text
        if len(full_text) <= max_characters
        else f"{full_text[:max_characters]}… ({len(full_text):,} characters)"
    )


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
            for line, text, is_kept in zip(self.lines, texts, keep, strict=True)
            if not is_kept
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
    """The column from which ids are read if no column has an accepted name."""
    unseen: tuple[str, ...] = ()
    """Requested labels that no header of the first chunk of FASTA has."""

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
    parts = line[1:].split()
    field_of_role: dict[str, bytes] = {}
    for word in parts[1:]:
        key, equals, value = word.partition(b"=")
        for role, names in COLUMN_NAMES.items():
            if equals and key.decode(errors="replace").lower() in names:
                field_of_role.setdefault(role, value)
    if len(parts) > 1 and "expression" not in field_of_role and is_number(parts[1]):
        if not (len(parts) > 2 and parts[2].lower().rstrip(b",;") in _UNITS_OF_LENGTH):
            field_of_role["expression"] = parts[1]
    return parts[0] if parts else b"", field_of_role


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
        self.unseen = frozenset(layout.unseen)
        self.line, self.name, self.sequence = 0, b"", bytearray()
        self.count = 0
        self.fields: dict[str, bytes] = {}

    def read(self, chunk: bytes, first_line: int) -> Block:
        """Sequences that end in a chunk whose first line has number ``first_line``.

        Raises:
            ValueError: If a sequence is longer than :data:`MAX_RECORD`, or a header has the first
                label of its kind, for which earlier blocks have no column.
        """
        block = self._empty()
        for line_number, line in enumerate(chunk.split(b"\n")[:-1], first_line):
            if line.startswith(b">"):
                self._close(block)
                self.line = line_number
                self.name, self.fields = parse_fasta_header(line)
                if late := self.unseen & self.fields.keys():
                    self._refuse_late(min(late))
            elif line.strip() and not line.startswith(b";"):
                self.sequence += line.strip()
                if len(self.sequence) > MAX_RECORD:
                    self._refuse_long()
        return block

    def _refuse_late(self, role: str) -> None:
        raise ValueError(
            f"{self.file}, line {self.line}: {shortened(self.name)!r} has {role} "
            f"{shortened(self.fields[role])!r}, and no header at the start of the file has one; "
            f"move this record to the top, or leave {role} out"
        )

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
