"""Raw rows → data set folder: reads, validates, prepares and writes, chunk by chunk.

Takes text files of sequences and measured expression (see :mod:`crmnet.data.reading`) and writes a
:class:`~crmnet.data.dataset.Dataset`. Every rejected row is counted by reason and listed with its
file and line. Memory does not grow with the number of rows. The data set folder gets its name only
when it is complete.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from crmnet import sequence
from crmnet.data.dataset import Dataset
from crmnet.data.fast_parser import can_parse
from crmnet.data.prefetch import read_concurrently
from crmnet.data.reading import OpenText, blocks_of, open_text
from crmnet.data.rejections import RowCounts
from crmnet.data.validate import Source, ValidatedRows, validate_block, validate_chunk
from crmnet.data.writer import DatasetWriter, new_folder
from crmnet.files import PathLike, check_source_stays

ROLES = ("sequence", "expression", "medium", "family", "weight")
Value = TypeVar("Value")


@dataclass(frozen=True)
class IngestOptions:
    """Options of :func:`ingest`."""

    media: Sequence[str] = ("complex",)
    """One name for all files, or one for each; a ``medium`` column in a file takes precedence."""
    units: Sequence[str] = ()
    """Unit of the labels: one for all files, or one for each. Without one it follows from the range
    of each file's labels: ``sorting bin`` within 0-17, else ``unknown``."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Role (sequence, expression, medium, family, weight) → column name in the files' headers."""
    flanks: sequence.Flanks = "auto"
    max_rejected: float = 0.01
    """Largest fraction of rejected rows; above it the ingestion stops."""
    overwrite: bool = False
    packed: bool = False
    """Store two bits per base (see :mod:`crmnet.data.packed`)."""
    jobs: int = 1
    """Threads that read and parse, in addition to the one that writes. Several files are read
    concurrently; remaining threads parse chunks of the same file. The number does not change the
    data set."""


def ingest(
    files: PathLike | Source | Sequence[PathLike | Source],
    destination: PathLike,
    options: IngestOptions | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Dataset:
    """Read files of measurements into one data set.

    Args:
        files: Text files, which are read according to the options, or sources, which have their
            own settings; ``-`` is standard input.
        destination: Folder to make.
        options: Media, column names, flanks, tolerance; see :class:`IngestOptions`.
        progress: Called with the number of rows read so far.

    Returns:
        The data set, opened.

    Raises:
        FileExistsError: If ``destination`` exists and may not be overwritten.
        TooManyRejected: If more than ``max_rejected`` of the rows, or all of them, are rejected.
        ValueError: If a file cannot be read or holds no rows, or would be lost.
        WriteError: If another process is writing ``destination``, or the disk is full.
    """
    options = options or IngestOptions()
    for role in options.columns:
        if role not in ROLES:
            raise ValueError(
                f"the role of a column must be one of {', '.join(ROLES)}; got {role!r}"
            )
    several = [files] if isinstance(files, str | os.PathLike | Source) else files
    sources = _sources(several, options)
    for source in sources:
        check_source_stays(source.path, destination)
    threads = max(1, min(options.jobs, len(sources)))
    readers = [partial(_read_file, source, options, options.jobs // threads) for source in sources]
    with (
        new_folder(destination, options.overwrite) as folder,
        DatasetWriter(folder, packed=options.packed) as writer,
        RowCounts(folder, [source.path for source in sources], options.max_rejected) as counts,
        closing(read_concurrently(readers, threads, folder)) as files_read,
    ):
        for source, rows_of_file in zip(sources, files_read, strict=True):
            counts.start_file(source.path)
            for accepted, rejected in rows_of_file:
                counts.add(accepted, rejected)
                if accepted is not None:
                    writer.append(accepted.rows, counts.source)
                progress(counts.rows_read)
        writer.finish(**counts.finish(options.flanks))
    return Dataset.open(destination)


def _for_each(files: Sequence[PathLike | Source], given: Sequence[Value], what: str) -> list[Value]:
    if len(given) == 1:
        return list(given) * len(files)
    if len(given) != len(files):
        raise ValueError(
            f"got {len(given)} {what} for {len(files)} files; give one for all, or one for each"
        )
    return list(given)


def _sources(files: Sequence[PathLike | Source], options: IngestOptions) -> list[Source]:
    media = _for_each(files, options.media, "media")
    units = _for_each(files, options.units or (None,), "units")
    return [
        file if isinstance(file, Source) else Source(Path(file), medium, unit, options.columns)
        for file, medium, unit in zip(files, media, units, strict=True)
    ]


def _read_file(source: Source, options: IngestOptions, threads: int) -> Iterator[ValidatedRows]:
    """Validated rows of a file, chunk by chunk; ``threads`` parse them."""
    names = source.columns_read
    with open_text(
        source.path, (*ROLES, *map(str.lower, source.only)), names, ("sequence",)
    ) as text:
        if "expression" not in text.layout.positions:
            _report_missing_expression(text, source)
            return
        if text.layout.kind == "fasta":
            for block in blocks_of(text):
                yield validate_block(source.select_and_trim(block), source, options.flanks)
            return
        fast = source.keeps_all and can_parse(text.layout)
        validate = partial(validate_chunk, text.layout, fast, source, options.flanks)
        if threads == 1:
            yield from map(validate, text.chunks)
            return
        with ThreadPoolExecutor(threads) as pool:
            waiting: deque[Future[ValidatedRows]] = deque()
            for chunk in text.chunks:
                waiting.append(pool.submit(validate, chunk))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


def _report_missing_expression(text: OpenText, source: Source) -> None:
    if any(len(block) for block in blocks_of(text)):
        raise ValueError(
            f"{source.path}: no column of measured expression; name the column with "
            "--column expression=NAME"
            + (", or write >name 5.3 above each sequence" if text.layout.kind == "fasta" else "")
        )
