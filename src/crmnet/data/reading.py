"""Text files as blocks of columns: FASTA, TSV, CSV, or one sequence per line; plain, gzip or zstd.

The first step of every command that is given a file, whether its rows are to be learned from
(:mod:`crmnet.data.ingest`) or predicted (:mod:`crmnet.prediction.predictor`). Nothing is judged
here but the shape of the file; line numbers travel with the rows so that later errors can name
them.
"""

from __future__ import annotations

import gzip
import io
import itertools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import zstandard

from crmnet.data.lines import (
    COLUMN_NAMES,
    Block,
    FastaReader,
    Layout,
    LineReader,
    fasta_header,
    split_fields,
)
from crmnet.files import PathLike

BLOCK_BYTES = 1 << 21
"""Text read at a time; about 17,000 rows of a promoter and its label."""

STDIN = Path("-")
_UNREAD = {b"\xfd7zX": "xz", b"BZh": "bzip2", b"PK\x03\x04": "zip"}
"""First bytes → packed in a way that is not read."""


def read_blocks(
    path: PathLike,
    roles: Sequence[str],
    names: Mapping[str, str] | None = None,
    required: Sequence[str] = ("sequence",),
) -> Iterator[Block]:
    """Read the columns that play the given roles, block by block.

    Args:
        path: The file, or ``-`` for standard input.
        roles: Which of :data:`COLUMN_NAMES` to return if they are there.
        names: Role → header name, where the file's own name is not one of the usual ones.
        required: Roles that a table must have, besides those in ``names``.

    Yields:
        Blocks whose ``columns`` hold the same roles throughout the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is empty, cut short, not text, or lacks a column that was named.
    """
    with open_text(path, roles, names or {}, required) as text:
        yield from careful_blocks(text)


@dataclass(frozen=True)
class Text:
    """An opened file: how it is laid out, and its text below the header."""

    layout: Layout
    pieces: Iterator[tuple[int, bytes]]
    """Number of the first line of each piece, and the piece, which ends with a line."""


@contextmanager
def open_text(
    path: PathLike, roles: Sequence[str], names: Mapping[str, str], required: Sequence[str]
) -> Iterator[Text]:
    """Open a file and find out how to read it; arguments and errors as in :func:`read_blocks`."""
    path = Path(path)
    with open_bytes(path) as stream:
        pieces = _pieces(stream, path)
        first = next(pieces, b"")
        layout = sniff(first, shown(path), roles, names, required)
        number = 1
        if layout.header is not None:
            header_line = _line_of_first_text(first)
            first = first.split(b"\n", header_line)[header_line]
            number = header_line + 1
        yield Text(layout, _numbered(itertools.chain([first], pieces), number))


def shown(path: PathLike) -> str:
    """What messages call a file."""
    return "standard input" if Path(path) == STDIN else str(path)


def _numbered(pieces: Iterator[bytes], number: int) -> Iterator[tuple[int, bytes]]:
    for piece in pieces:
        yield number, piece
        number += count_lines(piece)


def count_lines(piece: bytes) -> int:
    """Line ends in a piece of text; on short lines several times as fast as ``bytes.count``."""
    return int(np.count_nonzero(np.frombuffer(piece, dtype=np.uint8) == ord("\n")))


def careful_blocks(text: Text) -> Iterator[Block]:
    """The blocks of a file, every line looked at by itself."""
    fasta = text.layout.kind == "fasta"
    reader = FastaReader(text.layout) if fasta else LineReader(text.layout)
    for number, piece in text.pieces:
        yield reader.read(piece, number)
    last = reader.rest()
    if len(last):
        yield last


def open_bytes(path: PathLike) -> BinaryIO:
    """Open for reading, unpacking gzip and zstd by their first bytes, whatever the file's name."""
    path = Path(path)
    if path == STDIN:
        raw: io.BufferedReader[Any] = io.BufferedReader(io.FileIO(0, closefd=False))
    else:
        if path.is_dir():
            raise ValueError(f"{path} is a folder; name a file of sequences")
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file")
        raw = path.open("rb")
    magic = raw.peek(4)[:4]
    if magic[:2] == b"\x1f\x8b":
        unpacked = gzip.GzipFile(fileobj=raw)
        unpacked.myfileobj = raw  # type: ignore[assignment]  # closed with it
        return unpacked  # type: ignore[return-value]
    if magic == b"\x28\xb5\x2f\xfd":
        return io.BufferedReader(_ZstdFrames(raw))
    for start, packing in _UNREAD.items():
        if magic.startswith(start):
            raw.close()
            raise ValueError(
                f"{shown(path)} is packed by {packing}; unpack it first, or use gzip or zstd"
            )
    return raw


class _ZstdFrames(io.RawIOBase):
    """The text of one zstd frame after another.

    zstandard's own reader takes a file that was cut short for its end; this one refuses it.
    """

    def __init__(self, packed: BinaryIO) -> None:
        self.packed, self.rest, self.text = packed, b"", memoryview(b"")
        self.frame: Any = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self.text:
            piece = self.rest or self.packed.read(io.DEFAULT_BUFFER_SIZE)
            if not piece and self.frame is not None:
                raise EOFError("the file ends inside a zstd frame")
            if not piece:
                return 0
            frame = self.frame or zstandard.ZstdDecompressor().decompressobj()
            self.text = memoryview(frame.decompress(piece))
            self.rest, self.frame = (frame.unused_data, None) if frame.eof else (b"", frame)
        size = min(len(buffer), len(self.text))
        buffer[:size], self.text = self.text[:size], self.text[size:]
        return size

    def close(self) -> None:
        self.packed.close()
        super().close()


def _pieces(stream: BinaryIO, path: Path) -> Iterator[bytes]:
    """The text in pieces that end with a line, of Unix's kind, without a byte-order mark."""
    start = True
    while True:
        try:
            text = stream.read(BLOCK_BYTES)
            if text and not text.endswith(b"\n"):
                text += stream.readline()
        except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
            raise ValueError(
                f"{shown(path)} is damaged or cut short ({error}); fetch or pack it again"
            ) from error
        if start:
            text, start = _without_mark(text, path), False
        if not text:
            return
        if b"\n" not in text:  # the last line, or a file with the line ends of old Macs
            text = text.replace(b"\r", b"\n")
        if not text.endswith(b"\n"):
            text = text.rstrip(b"\r") + b"\n"
        yield text.replace(b"\r\n", b"\n") if b"\r" in text else text


def _without_mark(chunk: bytes, path: Path) -> bytes:
    if chunk.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in chunk[:4096]:
        raise ValueError(f"{shown(path)} is not plain text in ASCII or UTF-8; save it as UTF-8")
    return chunk.removeprefix(b"\xef\xbb\xbf")


def sniff(
    first: bytes,
    file: str,
    roles: Sequence[str],
    names: Mapping[str, str],
    required: Sequence[str],
) -> Layout:
    """Decide from the first piece of a file, as messages call it, how to read it.

    A first line with a known column name in it is a header; without one, the first column is the
    sequence and the second the expression.
    """
    line = next((line for line in first.split(b"\n") if line.strip()), b"")
    if not line:
        raise ValueError(
            f"{file} holds no rows; give FASTA, a sequence per line, or a table with a header"
        )
    if line.startswith(b">"):
        _, said = fasta_header(line)
        labels = [role for role in roles if role in said and role not in ("id", "sequence")]
        return Layout("fasta", positions=dict.fromkeys(labels, 0))
    delimiter = b"\t" if b"\t" in line else b"," if b"," in line else b";" if b";" in line else b""
    fields = tuple(split_fields(line, delimiter))
    header = [name.decode(errors="replace").strip().lower() for name in fields]
    known = {name for role in COLUMN_NAMES.values() for name in role}
    if names or any(name in known for name in header):
        return Layout("table", delimiter, fields, _positions(header, file, roles, names, required))
    if line.startswith((b"@", b"#")):
        kind = "FASTQ" if line.startswith(b"@") else "a comment"
        raise ValueError(
            f"{file}, line {_line_of_first_text(first)}: this looks like {kind}, which is not "
            "read; give FASTA, a sequence per line, or a table with a header"
        )
    if not delimiter:
        return Layout("lines", positions={"sequence": 0})
    if len(fields) == 2 and _is_dna(fields[1]) and not _is_dna(fields[0]):
        raise ValueError(
            f"{file}, line 1: without a header the sequence is taken to come first; add one, such "
            f"as 'id{delimiter.decode()}sequence'"
        )
    if len(fields) == 2:
        positions = {"sequence": 0, "expression": 1}
        return Layout("table", delimiter, None, {r: positions[r] for r in positions if r in roles})
    raise ValueError(
        f"{file}, line 1: {len(fields)} columns and no header with a known name; add a header "
        f"such as 'sequence{delimiter.decode()}expression', or name the columns"
    )


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
        wanted = (names[role].lower(),) if role in names else COLUMN_NAMES.get(role, (role,))
        for name in wanted:
            if header.count(name) > 1:
                raise ValueError(f"{file}, line 1: column {name!r} is there twice; rename one")
            if name in header:
                positions[role] = header.index(name)
                break
        else:
            if role in names or role in required:
                missing, there = " or ".join(map(repr, wanted[:3])), ", ".join(map(repr, header))
                raise ValueError(
                    f"{file}, line 1: no column {missing}; it has {there}; rename the one that "
                    "is meant"
                )
    return positions


def _line_of_first_text(piece: bytes) -> int:
    lines = piece.split(b"\n")
    return next(number for number, line in enumerate(lines, 1) if line.strip())
