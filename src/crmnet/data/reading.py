"""Reads text files as blocks of columns: FASTA, TSV, CSV or one sequence per line.

Files may be plain, gzip or zstd. Every command that reads rows from a file starts with this module:
:mod:`crmnet.data.ingest` reads training data, :mod:`crmnet.data.sequences` sequences to predict.
This module checks only the format of the file. Each row keeps its line number, so that later errors
can name it.
"""

from __future__ import annotations

import gzip
import io
import itertools
import logging
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import zstandard

from crmnet.data.lines import (
    ALSO_IDS,
    COLUMN_NAMES,
    Block,
    FastaReader,
    Layout,
    LineReader,
    parse_fasta_header,
    shortened,
    split_fields,
)
from crmnet.data.numbers import is_missing, is_number
from crmnet.files import PathLike

log = logging.getLogger("crmnet")

BLOCK_BYTES = 1 << 21
"""Bytes of text read at a time; about 17,000 rows of a promoter and its label."""

MAX_LINE = 1 << 26
"""Bytes of the longest line that is read; a longer one is not a row and would fill the memory."""

STDIN = Path("-")
_UNSUPPORTED = {b"\xfd7zX": "xz", b"BZh": "bzip2", b"PK\x03\x04": "zip"}
"""First bytes of a file → its compression, which is not supported."""
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"
_SEPARATOR_LINE = re.compile(rb'\s*"?sep=(.)"?\s*', re.IGNORECASE)
"""The line that Excel writes before the header to name the delimiter."""


def read_blocks(
    path: PathLike,
    roles: Sequence[str],
    names: Mapping[str, str] | None = None,
    required: Sequence[str] = ("sequence",),
) -> Iterator[Block]:
    """Read the columns with the given roles, block by block.

    Args:
        path: The file, or ``-`` for standard input.
        roles: Which roles of :data:`COLUMN_NAMES` to return if the file has them.
        names: Role → header name, if it is not one of the recognised names.
        required: Roles that a table must have, in addition to those in ``names``.

    Yields:
        Blocks; ``columns`` holds the same roles in each of them.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is empty, truncated, not text, or lacks a named column.
    """
    with open_text(path, roles, names or {}, required) as text:
        if text.layout.ids_from:
            log.info("%s: no column is called id; ids are those of the column %r",
                     display_name(path), text.layout.ids_from)  # fmt: skip
        yield from blocks_of(text)


@dataclass(frozen=True)
class OpenText:
    """An opened file: its layout and its text below the header."""

    file: str
    """Its name in messages."""
    layout: Layout
    chunks: Iterator[tuple[int, bytes]]
    """Chunks of complete lines, each with the line number of its first line."""


@contextmanager
def open_text(
    path: PathLike, roles: Sequence[str], names: Mapping[str, str], required: Sequence[str]
) -> Iterator[OpenText]:
    """Open a file and detect its layout; arguments and errors as in :func:`read_blocks`."""
    path = Path(path)
    with open_bytes(path) as stream:
        chunks = text_chunks(stream, path)
        first, delimiter = _without_separator_line(next(chunks, b""))
        layout = detect_layout(first, display_name(path), roles, names, required, delimiter)
        first_line = 1
        if layout.header is not None:
            header_line = _first_text_line(first)
            first = first.split(b"\n", header_line)[header_line]
            first_line = header_line + 1
        yield OpenText(
            display_name(path),
            layout,
            _with_line_numbers(itertools.chain([first], chunks), first_line),
        )


def _without_separator_line(chunk: bytes) -> tuple[bytes, bytes]:
    """The first chunk with ``sep=;`` replaced by an empty line, and the delimiter it names."""
    first_line, _, below = chunk.partition(b"\n")
    separator = _SEPARATOR_LINE.fullmatch(first_line)
    return (b"\n" + below, separator[1]) if separator else (chunk, b"")


def display_name(path: PathLike) -> str:
    """Name of a file in messages."""
    return "standard input" if Path(path) == STDIN else str(path)


def _with_line_numbers(chunks: Iterator[bytes], first_line: int) -> Iterator[tuple[int, bytes]]:
    for chunk in chunks:
        yield first_line, chunk
        first_line += count_lines(chunk)


def count_lines(chunk: bytes) -> int:
    """Number of newlines; with short lines several times as fast as ``bytes.count``."""
    return int(np.count_nonzero(np.frombuffer(chunk, dtype=np.uint8) == ord("\n")))


def blocks_of(text: OpenText) -> Iterator[Block]:
    """Read an opened file line by line; yields its blocks."""
    fasta = text.layout.kind == "fasta"
    reader = FastaReader(text.layout, text.file) if fasta else LineReader(text.layout)
    for first_line, chunk in text.chunks:
        yield reader.read(chunk, first_line)
    last_block = reader.finish()
    if len(last_block):
        yield last_block


def _advice(path: Path) -> str:
    """What to do if ``path`` is the name of a public data set; else an empty text."""
    from crmnet.data.registry import cards

    if str(path) not in cards():
        return ""
    return (
        f"; {path} is the name of a public data set, and here the path of its file is needed: "
        f"`crmnet data fetch {path}` prints it"
    )


def open_bytes(path: PathLike) -> BinaryIO:
    """Open for reading; gzip and zstd are detected by their first bytes, not by the file name."""
    path = Path(path)
    check_not_a_sequence(path)
    if path == STDIN:
        raw: io.BufferedReader[Any] = io.BufferedReader(io.FileIO(0, closefd=False))
    else:
        if path.is_dir():
            raise ValueError(f"{path} is a folder; name a file of sequences")
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file{_advice(path)}")
        raw = path.open("rb")
    magic = raw.peek(4)[:4]
    if magic == _OLD_EXCEL or (magic == b"PK\x03\x04" and _is_workbook(path, raw.peek(4))):
        raw.close()
        raise ValueError(
            f"{display_name(path)} is an Excel workbook; save the sheet as CSV or as text with tabs"
        )
    if magic[:2] == b"\x1f\x8b":
        plain = gzip.GzipFile(fileobj=raw)
        plain.myfileobj = raw  # type: ignore[assignment]  # closed with it
        return plain  # type: ignore[return-value]
    if magic == b"\x28\xb5\x2f\xfd":
        return io.BufferedReader(_ZstdFrames(raw))
    for start, compression in _UNSUPPORTED.items():
        if magic.startswith(start):
            raw.close()
            raise ValueError(
                f"{display_name(path)} is compressed with {compression}; decompress it first, or "
                "use gzip or zstd"
            )
    return raw


def check_not_a_sequence(path: PathLike) -> None:
    """Raise FileNotFoundError if a sequence was typed where a file is expected."""
    text = str(path)
    if (
        len(text) >= 8
        and not text.upper().strip("ACGTUN")
        and (len(text) > 200 or not Path(path).exists())
    ):
        short = text if len(text) <= 24 else f"{text[:20]}…"
        raise FileNotFoundError(
            f"{short}: no such file; this is a sequence: write it into a file, or pipe it in and "
            f"name - as the file (echo {short} | crmnet …)"
        )


def _is_workbook(path: Path, start: bytes) -> bool:
    return path.suffix.lower() in (".xlsx", ".xlsm") or b"[Content_Types].xml" in start


class _ZstdFrames(io.RawIOBase):
    """Decompresses one zstd frame after another.

    The reader of zstandard treats a truncated file as complete; this one raises EOFError.
    """

    def __init__(self, compressed: BinaryIO) -> None:
        self.compressed, self.rest, self.text = compressed, b"", memoryview(b"")
        self.frame: Any = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self.text:
            data = self.rest or self.compressed.read(io.DEFAULT_BUFFER_SIZE)
            if not data and self.frame is not None:
                raise EOFError("the file ends inside a zstd frame")
            if not data:
                return 0
            frame = self.frame or zstandard.ZstdDecompressor().decompressobj()
            self.text = memoryview(frame.decompress(data))
            self.rest, self.frame = (frame.unused_data, None) if frame.eof else (b"", frame)
        size = min(len(buffer), len(self.text))
        buffer[:size], self.text = self.text[:size], self.text[size:]
        return size

    def close(self) -> None:
        self.compressed.close()
        super().close()


def text_chunks(stream: BinaryIO, path: PathLike) -> Iterator[bytes]:
    """Chunks of complete lines that end in LF, without a byte-order mark.

    Args:
        stream: From :func:`open_bytes`.
        path: The file, for errors.

    Raises:
        ValueError: If the file is damaged, not text, or has a line longer than :data:`MAX_LINE`.
    """
    at_start, unfinished, only_cr, lines = True, b"", False, 0
    while True:
        try:
            text = stream.read(BLOCK_BYTES)
            if at_start:
                text, at_start = _without_byte_order_mark(text, path), False
                only_cr = _ends_lines_with_cr(text)
            if text and not only_cr and not text.endswith(b"\n"):
                text += stream.readline(MAX_LINE + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
            raise ValueError(
                f"{display_name(path)} is damaged or truncated ({error}); download or compress it "
                "again"
            ) from error
        at_end = not text
        if only_cr:  # classic Mac OS
            text = unfinished + text
            complete = len(text) if at_end else text.rfind(b"\r") + 1
            text, unfinished = text[:complete], text[complete:]
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if len(text) > MAX_LINE or len(unfinished) > MAX_LINE:
            number = lines + 1 + text.count(b"\n")
            raise ValueError(
                f"{display_name(path)}, line {number}: the line is longer than "
                f"{MAX_LINE >> 20} MB; break the sequence into lines (FASTA), or check the file"
            )
        if not text and at_end:
            return
        if text:
            if not text.endswith(b"\n"):
                text = text.rstrip(b"\r") + b"\n"
            lines += count_lines(text)
            yield text.replace(b"\r\n", b"\n") if b"\r" in text else text


def _ends_lines_with_cr(text: bytes) -> bool:
    """Whether most lines end in CR alone; a newline at the end of the file does not matter."""
    if b"\r" not in text:
        return False
    text = text.removesuffix(b"\r")  # its LF may be in the next block
    alone = text.count(b"\r") - text.count(b"\r\n")
    return alone > text.count(b"\n")


def _without_byte_order_mark(chunk: bytes, path: PathLike) -> bytes:
    sample = chunk[:4096]
    # A NUL in the first line, or many NULs, mean another encoding; a single one is a damaged row.
    foreign = b"\0" in sample.partition(b"\n")[0] or sample.count(b"\0") > len(sample) // 8
    if chunk.startswith((b"\xff\xfe", b"\xfe\xff")) or foreign:
        raise ValueError(
            f"{display_name(path)} is not plain text in ASCII or UTF-8; save it as UTF-8"
        )
    return chunk.removeprefix(b"\xef\xbb\xbf")


def detect_layout(
    first: bytes,
    file: str,
    roles: Sequence[str],
    names: Mapping[str, str],
    required: Sequence[str],
    delimiter: bytes = b"",
) -> Layout:
    """Detect the layout of a file from its first chunk.

    A first line that holds a known column name is a header. Without a header the first column is
    the sequence and the second the expression. ``file`` is the file's name in messages;
    ``delimiter`` is empty unless the file names it. If ids are requested and no column has an
    accepted name, ids are read from a text column with a different value in each row
    (``Layout.ids_from``).
    """
    line = next((line for line in first.split(b"\n") if line.strip()), b"")
    if line.startswith(b";"):  # comments before the first record of FASTA
        below = (text for text in first.split(b"\n") if text.strip() and not text.startswith(b";"))
        record = next(below, b"")
        line = record if record.startswith(b">") else line
    if not line:
        raise ValueError(
            f"{file} holds no rows; give FASTA, a sequence per line, or a table with a header"
        )
    if line.startswith(b">"):
        if names and "id" in roles:
            raise ValueError(f"{file} is FASTA and has no columns; name none, or give a table")
        _, fields_found = parse_fasta_header(line)
        labels = [r for r in roles if r in fields_found and r not in ("id", "sequence")]
        return Layout("fasta", positions=dict.fromkeys(labels, 0))
    delimiter = delimiter or _delimiter_of(line, names)
    if delimiter == b" " and b"  " in b" " + line:
        raise ValueError(
            f"{file}, line {_first_text_line(first)}: columns are separated by several spaces; "
            r"write the table with tabs, in R with write.table(…, sep = '\t', row.names = FALSE)"
        )
    fields = tuple(split_fields(line, delimiter))
    fields = _with_row_names(fields, first, delimiter)
    header = [name.decode(errors="replace").strip().lower() for name in fields]
    known = {name for role in COLUMN_NAMES.values() for name in role}
    if names or any(name in known for name in header):
        positions = _positions(header, file, roles, names, required)
        layout = Layout("table", delimiter, fields, positions)
        return _with_ids(layout, first) if "id" in roles and "id" not in positions else layout
    if line.startswith((b"@", b"#")):
        kind = "FASTQ" if line.startswith(b"@") else "a comment"
        raise ValueError(
            f"{file}, line {_first_text_line(first)}: this looks like {kind}, which is not "
            "supported; give FASTA, a sequence per line, or a table with a header"
        )
    if not delimiter:
        return Layout("lines", positions={"sequence": 0})
    if len(fields) == 2 and _is_dna(fields[1]) and not _is_dna(fields[0]):
        raise ValueError(
            f"{file}, line 1: without a header the first column must be the sequence; add a header "
            f"such as 'id{delimiter.decode()}sequence'"
        )
    if len(fields) == 2 and (delimiter != b" " or _is_dna(fields[0])):
        positions = {"sequence": 0, "expression": 1}
        return Layout("table", delimiter, None, {r: positions[r] for r in positions if r in roles})
    raise ValueError(
        f"{file}, line 1: {len(fields)} columns and no header with a known column name; add one "
        f"such as 'sequence{delimiter.decode()}expression', or name them with "
        "--column sequence=NAME"
    )


def _delimiter_of(line: bytes, names: Mapping[str, str]) -> bytes:
    """The delimiter of a line: a tab, else a comma, or ``;`` where commas are in the numbers.

    Without these, it is a space if the line is the header of a table that R wrote, with quotes or
    a column name, or a sequence and a number.
    """
    if b"\t" in line:
        return b"\t"
    if not any(mark in line for mark in (b",", b";")):
        return b" " if b" " in line.strip() and _has_columns(line, names) else b""
    if b";" in line and b"," in line:
        known = {name.encode() for role in COLUMN_NAMES.values() for name in role}
        columns = [field.strip(b' "').lower() for field in line.split(b";")]
        commas = [field.strip(b' "').lower() for field in line.split(b",")]
        sequence_first = _is_dna(columns[0]) and not _is_dna(commas[0])
        if sequence_first or len(known & set(columns)) > len(known & set(commas)):
            return b";"
    return b"," if b"," in line else b";" if b";" in line else b""


def _has_columns(line: bytes, names: Mapping[str, str]) -> bool:
    """Whether the fields of a line that are separated by spaces are columns."""
    fields = line.split()
    column_names = {name for role in COLUMN_NAMES.values() for name in role}
    column_names |= {name.lower() for name in names.values()}
    if any(word.strip(b'"').decode(errors="replace").lower() in column_names for word in fields):
        return True
    if all(len(word) > 1 and word.startswith(b'"') and word.endswith(b'"') for word in fields):
        return True
    return len(fields) == 2 and _is_dna(fields[0]) and is_number(fields[1])


_SAMPLE = 2000
"""Number of first rows that are examined to find a column of ids."""


def _with_ids(layout: Layout, first: bytes) -> Layout:
    """The layout with a text column as ids, if one differs in each of the first rows."""
    assert layout.header is not None
    names = [name.decode(errors="replace").strip() for name in layout.header]
    below = first.split(b"\n")[_first_text_line(first) :][: _SAMPLE + 1]
    rows = [split_fields(line, layout.delimiter) for line in below if line.strip()]
    rows = [row for row in rows if len(row) == len(names)]
    used = set(layout.positions.values())
    other_names = {
        name
        for role, names_of_role in COLUMN_NAMES.items()
        if role not in ("id", "sequence")
        for name in names_of_role
    }
    candidates = [
        index
        for index, name in enumerate(names)
        if index not in used
        and name
        and name.lower() not in other_names
        and _names_rows([row[index].strip() for row in rows])
    ]
    if not candidates:
        return layout
    order = [*ALSO_IDS, *COLUMN_NAMES["sequence"]]
    best = min(
        candidates,
        key=lambda i: order.index(names[i].lower()) if names[i].lower() in order else len(order),
    )
    return replace(layout, positions={**layout.positions, "id": best}, ids_from=names[best])


def _names_rows(values: list[bytes]) -> bool:
    """Whether values can be ids: none is missing, all differ, none is a number or a sequence."""
    if not values or len(set(values)) < len(values) or any(map(is_missing, values)):
        return False
    if all(not value.upper().strip(b"ACGTN") for value in values):
        return False
    return not any(_is_dna(value) or is_number(value) for value in values)


def _with_row_names(fields: tuple[bytes, ...], first: bytes, delimiter: bytes) -> tuple[bytes, ...]:
    """The header of an R table, which does not name the column of row names.

    Row names are ids, unless they are only numbers or the table has ids.
    """
    start = _first_text_line(first)
    below = [line for line in first.split(b"\n")[start : start + 20] if line.strip()]
    rows = [split_fields(line, delimiter) for line in below] if delimiter else []
    if not rows or any(len(row) != len(fields) + 1 for row in rows):
        return fields
    if not any(row[-1].strip() for row in rows):  # lines that end in a delimiter
        return fields
    named = {name.decode(errors="replace").strip().lower() for name in fields}
    ids = named.isdisjoint(COLUMN_NAMES["id"]) and not all(row[0].isdigit() for row in rows)
    return (b"id" if ids else b"row.names", *fields)


def _is_dna(field: bytes) -> bool:
    return len(field) > 4 and not field.upper().strip(b"ACGTN")


def _positions(
    header: list[str],
    file: str,
    roles: Sequence[str],
    names: Mapping[str, str],
    required: Sequence[str],
) -> dict[str, int]:
    positions = {}
    for role in roles:
        accepted = (names[role].lower(),) if role in names else COLUMN_NAMES.get(role, (role,))
        for name in accepted:
            if header.count(name) > 1:
                raise ValueError(f"{file}, line 1: column {name!r} occurs twice; rename one")
            if name in header:
                positions[role] = header.index(name)
                break
        else:
            if role in names or role in required:
                named = names.get(role)
                missing = repr(named) if named else " or ".join(map(repr, accepted[:3]))
                remedy = (
                    "give one of these names" if named else f"name it with --column {role}=NAME"
                )
                present = ", ".join(repr(shortened(name, 30)) for name in header[:12])
                present += f" and {len(header) - 12:,} more" * (len(header) > 12)
                raise ValueError(
                    f"{file}, line 1: no column {missing}; the columns are {present}; {remedy}"
                )
    return positions


def _first_text_line(chunk: bytes) -> int:
    lines = chunk.split(b"\n")
    return next(number for number, line in enumerate(lines, 1) if line.strip())
