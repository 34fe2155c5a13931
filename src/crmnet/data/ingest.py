"""Ingestion: reads raw rows, validates and prepares them, and writes a data set, chunk by chunk.

:func:`ingest` takes text files of sequences and measured expression (:mod:`crmnet.data.reading`)
and returns a :class:`~crmnet.data.dataset.Dataset`, with which training and evaluation start. Every
rejected row is counted by reason and listed with its file and line. Memory does not grow with the
number of rows. The folder gets its final name only when it is complete.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from crmnet import sequence
from crmnet.data.dataset import Dataset
from crmnet.data.fast_parser import can_parse
from crmnet.data.prefetch import read_concurrently
from crmnet.data.reading import OpenText, blocks_of, open_text
from crmnet.data.rejections import RowCounts
from crmnet.data.validate import (
    AcceptedRows,
    Source,
    ValidatedRows,
    validate_block,
    validate_chunk,
)
from crmnet.data.writer import DatasetWriter, new_folder
from crmnet.files import PathLike, check_source_stays

ROLES = ("sequence", "expression", "medium", "family", "weight")
"""Roles of columns."""
Value = TypeVar("Value")


@dataclass(frozen=True)
class IngestOptions:
    """Options of :func:`ingest`."""

    media: Sequence[str] = ("complex",)
    """One name for all files, or one for each; a ``medium`` column in a file takes precedence."""
    units: Sequence[str] = ()
    """Unit of the labels: one for all files, or one for each. If empty, the unit is ``sorting bin``
    for a file whose labels are all within 0–17, else ``unknown``."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Role (sequence, expression, medium, family, weight) → column name in the files' headers."""
    flanks: sequence.Flanks = "auto"
    """Treatment of adapters; see :func:`crmnet.sequence.prepare`."""
    max_rejected: float = 0.01
    """Largest allowed fraction of rejected rows; above it, the ingestion fails."""
    cut: bool = True
    """Cut constructs that are longer than 112 bases, as in the paper; False leaves them out."""
    overwrite: bool = False
    """Replace an existing data set."""
    packed: bool = False
    """Store two bits per base (see :mod:`crmnet.data.packed`)."""
    advice: bool = True
    """Whether errors may advise --column and --max-rejected; False for a command without them."""
    pooled_media: bool = False
    """Whether a medium may be the name of a pooled output, such as ``complex+defined``. Only
    :func:`crmnet.data.opening.open_data` reads such files, for the model with that output."""
    jobs: int = 1
    """Number of threads that read and parse, in addition to the thread that writes. Several files
    are read concurrently; remaining threads parse chunks of one file. The data set does not depend
    on this number."""


def ingest(
    files: PathLike | Source | Sequence[PathLike | Source],
    destination: PathLike,
    options: IngestOptions | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Dataset:
    """Read files of measurements into one data set.

    Args:
        files: Text files, which are read according to the options, or sources with settings; ``-``
            is standard input.
        destination: Folder to create.
        options: Media, column names, flanks, tolerance; see :class:`IngestOptions`.
        progress: Called with the number of rows read so far.

    Returns:
        The data set, opened.

    Raises:
        FileExistsError: If ``destination`` exists and may not be overwritten.
        TooManyRejected: If more than ``max_rejected`` of the rows, or all of them, are rejected.
        ValueError: If a file cannot be read or holds no rows, or would be lost, or the name of a
            medium holds ``+``.
        WriteError: If another process is writing ``destination``, or the disk is full.
    """
    options = options or IngestOptions()
    for role in options.columns:
        if role not in ROLES:
            raise ValueError(
                f"the role of a column must be one of {', '.join(ROLES)}; got {role!r}"
            )
    file_list = [files] if isinstance(files, str | os.PathLike | Source) else files
    sources = _sources(file_list, options)
    for source in sources:
        check_source_stays(source.path, destination)
        if "+" in source.medium and not options.pooled_media:
            raise ValueError(_plus(source.medium))
    threads = max(1, min(options.jobs, len(sources)))
    readers = [partial(_read_file, source, options, options.jobs // threads) for source in sources]
    with (
        new_folder(destination, options.overwrite) as folder,
        DatasetWriter(folder, packed=options.packed) as writer,
        RowCounts(
            folder, [source.path for source in sources], options.max_rejected, options.advice
        ) as counts,
        closing(read_concurrently(readers, threads, folder)) as files_read,
    ):
        for source, rows_of_file in zip(sources, files_read, strict=True):
            counts.start_file(source.path)
            for accepted, rejected in rows_of_file:
                counts.add(accepted, rejected)
                if accepted is not None:
                    if not options.pooled_media:
                        _refuse_plus(accepted, source)
                    writer.append(accepted.rows, counts.source)
                progress(counts.rows_read)
        writer.finish(**counts.finish(options.flanks))
    return Dataset.open(destination)


def _refuse_plus(accepted: AcceptedRows, source: Source) -> None:
    """Refuse rows whose medium would be taken for several media."""
    for number, name in enumerate(accepted.rows.media):
        if "+" in name:
            line = accepted.lines[int(np.argmax(accepted.rows.medium == number))]
            raise ValueError(f"{source.path}, line {line}: {_plus(name)}")


def _plus(medium: str) -> str:
    return (
        f"medium {medium!r}: a + joins the media of a pooled output, so that "
        f"{medium.partition('+')[0]!r} would mean this medium too; write it without +, such as "
        f"{medium.replace('+', '-')!r}"
    )


def _one_per_file(
    files: Sequence[PathLike | Source], values: Sequence[Value], name: str
) -> list[Value]:
    """One value for each file; a single value holds for all files."""
    if len(values) == 1:
        return list(values) * len(files)
    if len(values) != len(files):
        raise ValueError(
            f"got {len(values)} {name} for {len(files)} files; give one for all, or one for each"
        )
    return list(values)


def _sources(files: Sequence[PathLike | Source], options: IngestOptions) -> list[Source]:
    """Each file with its medium, unit and column names."""
    media = _one_per_file(files, options.media, "media")
    units = _one_per_file(files, options.units or (None,), "units")
    return [
        replace(file, cut=options.cut)
        if isinstance(file, Source)
        else Source(Path(file), medium, unit, options.columns, cut=options.cut)
        for file, medium, unit in zip(files, media, units, strict=True)
    ]


def _read_file(source: Source, options: IngestOptions, threads: int) -> Iterator[ValidatedRows]:
    """Validated rows of a file, chunk by chunk; ``threads`` parse them."""
    names = source.columns_read
    with open_text(
        source.path, (*ROLES, *map(str.lower, source.only)), names, ("sequence",)
    ) as text:
        if "expression" not in text.layout.positions:
            _report_missing_expression(text, source, options.advice)
            return
        if text.layout.kind == "fasta":
            for block in blocks_of(text):
                yield validate_block(source.select_and_trim(block), source, options.flanks)
            return
        fast = source.cut and source.keeps_all and can_parse(text.layout)
        validate = partial(validate_chunk, text.layout, fast, source, options.flanks)
        if threads == 1:
            yield from map(validate, text.chunks)
            return
        with ThreadPoolExecutor(threads) as pool:
            pending: deque[Future[ValidatedRows]] = deque()
            for chunk in text.chunks:
                pending.append(pool.submit(validate, chunk))
                if len(pending) > 2 * threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()


def _report_missing_expression(text: OpenText, source: Source, advice: bool) -> None:
    """Raise ValueError if a file without expression has rows."""
    if any(len(block) for block in blocks_of(text)):
        raise ValueError(
            f"{source.path}: no column of measured expression; name the column "
            + ("with --column expression=NAME" if advice else "expression in the header")
            + (", or write >name 5.3 above each sequence" if text.layout.kind == "fasta" else "")
        )
