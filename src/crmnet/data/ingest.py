"""Raw rows → data set folder: reads, judges, normalises and writes, block by block.

Takes text files of sequences and measured expression (see :mod:`crmnet.data.reading`) and gives a
:class:`~crmnet.data.dataset.Dataset`. Every row that is not taken is counted by reason and listed
with its file and line. Memory does not grow with the number of rows, and a data set appears under
its name only when it is whole.
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
from crmnet.data.fast_parser import is_plain
from crmnet.data.prefetch import side_by_side
from crmnet.data.reading import Text, careful_blocks, open_text
from crmnet.data.rejections import Account
from crmnet.data.validate import Source, ValidatedRows, judge_block, judge_piece
from crmnet.data.writer import DatasetWriter, new_folder
from crmnet.files import PathLike

ROLES = ("sequence", "expression", "medium", "family", "weight")
Value = TypeVar("Value")


@dataclass(frozen=True)
class IngestOptions:
    """What :func:`ingest` may be told beyond the files."""

    media: Sequence[str] = ("complex",)
    """One name for all files, or one for each; a ``medium`` column in a file comes first."""
    units: Sequence[str] = ()
    """Unit of the labels: one for all files, or one for each; none: told from the range of the
    labels of each file, ``sorting bin`` within 0-17, else ``unknown``."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Role (sequence, expression, medium, family, weight) → name in the files' headers."""
    flanks: sequence.Flanks = "auto"
    max_rejected: float = 0.01
    """Share of rows that may be refused before the ingestion stops."""
    overwrite: bool = False
    packed: bool = False
    """Keep two bits a base (see :mod:`crmnet.data.packed`)."""
    jobs: int = 1
    """Threads that read and parse, beside the one that writes: several files are read side by side,
    and threads left over parse pieces of each. The data set is the same whatever their number."""


def ingest(
    files: PathLike | Source | Sequence[PathLike | Source],
    destination: PathLike,
    options: IngestOptions | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Dataset:
    """Read files of measurements into one data set.

    Args:
        files: One or several text files, read as the options say, or sources, which say it
            themselves; ``-`` is standard input.
        destination: Folder to make.
        options: Media, column names, flanks, tolerance; see :class:`IngestOptions`.
        progress: Called with the number of rows read so far.

    Returns:
        The data set, opened.

    Raises:
        FileExistsError: If ``destination`` exists and may not be overwritten.
        TooManyRejected: If more than ``max_rejected`` of the rows are not usable.
        ValueError: If a file cannot be read or no row is left.
    """
    options = options or IngestOptions()
    for role in options.columns:
        if role not in ROLES:
            raise ValueError(f"a column is one of {', '.join(ROLES)}; got {role!r}")
    several = [files] if isinstance(files, str | os.PathLike | Source) else files
    sources = _sources(several, options)
    at_once = max(1, min(options.jobs, len(sources)))
    judged = [partial(_judged, source, options, options.jobs // at_once) for source in sources]
    with (
        new_folder(destination, options.overwrite) as folder,
        DatasetWriter(folder, packed=options.packed) as writer,
        Account(folder, [source.path for source in sources], options.max_rejected) as account,
        closing(side_by_side(judged, at_once, folder)) as files_read,
    ):
        for source, pieces in zip(sources, files_read, strict=True):
            account.start_file(source.path)
            for taken, rejected in pieces:
                account.add(taken, rejected)
                if taken is not None:
                    writer.append(taken.rows, account.source)
                progress(account.rows_read)
        writer.finish(**account.finish(options.flanks))
    return Dataset.open(destination)


def _for_each(files: Sequence[PathLike | Source], given: Sequence[Value], what: str) -> list[Value]:
    if len(given) == 1:
        return list(given) * len(files)
    if len(given) != len(files):
        raise ValueError(
            f"{len(given)} {what} for {len(files)} files; name one for all, or one for each"
        )
    return list(given)


def _sources(files: Sequence[PathLike | Source], options: IngestOptions) -> list[Source]:
    media = _for_each(files, options.media, "media")
    units = _for_each(files, options.units or (None,), "units")
    return [
        file if isinstance(file, Source) else Source(Path(file), medium, unit, options.columns)
        for file, medium, unit in zip(files, media, units, strict=True)
    ]


def _judged(source: Source, options: IngestOptions, jobs: int) -> Iterator[ValidatedRows]:
    """The rows of a file, piece by piece, parsed in so many threads."""
    names = source.columns_read
    with open_text(
        source.path, (*ROLES, *map(str.lower, source.only)), names, ("sequence",)
    ) as text:
        if "expression" not in text.layout.positions:
            _refuse_without_expression(text, source)
            return
        if text.layout.kind == "fasta":
            for block in careful_blocks(text):
                yield judge_block(source.asked_for(block), source, options.flanks)
            return
        plain = source.takes_all and is_plain(text.layout)
        judge = partial(judge_piece, text.layout, plain, source, options.flanks)
        if jobs == 1:
            yield from map(judge, text.pieces)
            return
        with ThreadPoolExecutor(jobs) as pool:
            waiting: deque[Future[ValidatedRows]] = deque()
            for piece in text.pieces:
                waiting.append(pool.submit(judge, piece))
                if len(waiting) > 2 * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


def _refuse_without_expression(text: Text, source: Source) -> None:
    if any(len(block) for block in careful_blocks(text)):
        raise ValueError(
            f"{source.path}: no column of measured expression; name it with "
            "--column expression=NAME"
            + (", or write >name 5.3 above each sequence" if text.layout.kind == "fasta" else "")
        )
