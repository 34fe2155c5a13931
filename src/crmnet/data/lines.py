"""Lines of text as rows of fields: tables, one sequence a line, and FASTA.

Takes pieces of a file whose layout is known (:mod:`crmnet.data.reading` finds it out) and gives
blocks of columns. Nothing is judged here but the shape of a line.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

NOT_ASKED_FOR = "not asked for"
HARMLESS = ("blank line", "header repeated", NOT_ASKED_FOR)
"""Reasons why a line is no row that cost nobody a measurement or a prediction."""

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
"""Header names understood for each role, in lower case; the first that is present is taken."""


@dataclass
class Block:
    """Rows that were read together: fields by role, line numbers, and lines that are no rows."""

    lines: list[int] = field(default_factory=list)
    """Line number of each row, from 1; in FASTA the line of its header."""
    columns: dict[str, list[bytes]] = field(default_factory=dict)
    misshapen: list[tuple[int, str, bytes]] = field(default_factory=list)
    """(line number, reason, line) of each line that could not be split into the columns."""

    def __len__(self) -> int:
        return len(self.lines)

    def only(self, wanted: Sequence[bool] | npt.NDArray[np.bool_], reason: str) -> Block:
        """The rows that are wanted; the others become misshapen for ``reason``."""
        texts = self.columns["sequence"]
        refused = [
            (line, reason, text)
            for line, text, keep in zip(self.lines, texts, wanted, strict=True)
            if not keep
        ]
        return Block(
            list(itertools.compress(self.lines, wanted)),
            {role: list(itertools.compress(c, wanted)) for role, c in self.columns.items()},
            [*self.misshapen, *refused],
        )


@dataclass(frozen=True)
class Layout:
    """How the lines of one file are to be read."""

    kind: str
    """``fasta``, ``lines`` or ``table``."""
    delimiter: bytes = b""
    header: tuple[bytes, ...] | None = None
    positions: Mapping[str, int] = field(default_factory=dict)
    """Role → index of its column."""

    @property
    def width(self) -> int:
        """Columns of a table; without a header they are the sequence and the expression."""
        return len(self.header) if self.header is not None else 2


def split_fields(line: bytes, delimiter: bytes) -> list[bytes]:
    """The fields of a line, out of their quotes; the whole line where nothing divides it."""
    if not delimiter:
        return [line]
    if b'"' in line:
        text = line.decode(errors="surrogateescape")
        try:
            fields = next(csv.reader([text], delimiter=delimiter.decode()))
        except csv.Error:  # quotes gone wrong: the fields are refused with the quotes in them
            return line.split(delimiter)
        return [field.encode(errors="surrogateescape") for field in fields]
    return line.split(delimiter)


class LineReader:
    """Tables and plain lines: one row per line."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.width = layout.width if layout.delimiter else 1

    def read(self, piece: bytes, number: int) -> Block:
        """The rows of a piece that begins with line ``number``."""
        return self.read_lines(enumerate(piece.split(b"\n")[:-1], number))

    def read_lines(self, lines: Iterable[tuple[int, bytes]]) -> Block:
        """The rows of lines, each with its number."""
        block = Block(columns={role: [] for role in self.layout.positions})
        columns = [(block.columns[role], i) for role, i in self.layout.positions.items()]
        for line_number, line in lines:
            if not line.strip():
                block.misshapen.append((line_number, "blank line", line))
                continue
            fields = split_fields(line, self.layout.delimiter)
            if len(fields) != self.width:
                reason = f"{len(fields)} columns where {self.width} are expected"
                block.misshapen.append((line_number, reason, line))
            elif self.layout.header is not None and tuple(fields) == self.layout.header:
                block.misshapen.append((line_number, "header repeated", line))
            else:
                block.lines.append(line_number)
                for column, index in columns:
                    column.append(fields[index].strip())
        return block

    def rest(self) -> Block:
        """What is left after the last piece: nothing."""
        return Block()


def fasta_header(line: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Name, and what ``>name 5.3`` or ``>name expression=5.3 family=f1`` say of the sequence."""
    words = line[1:].split()
    found: dict[str, bytes] = {}
    for word in words[1:]:
        key, equals, value = word.partition(b"=")
        for role, names in COLUMN_NAMES.items():
            if equals and key.decode(errors="replace").lower() in names:
                found.setdefault(role, value)
    if len(words) > 1 and "expression" not in found and _is_number(words[1]):
        found["expression"] = words[1]
    return words[0] if words else b"", found


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


class FastaReader:
    """FASTA: sequences may run over several lines, and over several pieces."""

    def __init__(self, layout: Layout) -> None:
        self.roles = tuple(layout.positions)
        self.line, self.name, self.parts = 0, b"", list[bytes]()
        self.count = 0
        self.said: dict[str, bytes] = {}

    def read(self, piece: bytes, number: int) -> Block:
        """The sequences that end in a piece that begins with line ``number``."""
        block = self._empty()
        for line_number, line in enumerate(piece.split(b"\n")[:-1], number):
            if line.startswith(b">"):
                self._close(block)
                self.line = line_number
                self.name, self.said = fasta_header(line)
            elif line.strip() and not line.startswith(b";"):
                self.parts.append(line.strip())
        return block

    def rest(self) -> Block:
        """The last sequence, after the last piece."""
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
            block.columns["sequence"].append(b"".join(self.parts))
            for role in self.roles:
                block.columns[role].append(self.said.get(role, b""))
        self.line, self.name, self.parts = 0, b"", []
