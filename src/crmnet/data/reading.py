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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import zstandard

from crmnet.data.layout import detect_layout, first_text_line
from crmnet.data.lines import (
    Block,
    FastaReader,
    Layout,
    LineReader,
)
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
            header_line = first_text_line(first)
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
    check_readable(path)
    if path == STDIN:
        raw: io.BufferedReader[Any] = io.BufferedReader(io.FileIO(0, closefd=False))
    else:
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


def check_readable(path: PathLike) -> None:
    """Check the file of sequences of a command; call this before a model is loaded.

    Raises:
        FileNotFoundError: If there is no such file. The message tells if the path looks like a
            sequence, or is the name of a public data set.
        ValueError: If it is a folder.
    """
    path = Path(path)
    check_not_a_sequence(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file of sequences")
    if path != STDIN and not path.exists():
        raise FileNotFoundError(f"{path}: no such file{_advice(path)}")


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
