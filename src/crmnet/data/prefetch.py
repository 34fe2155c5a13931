"""Reads several files concurrently and yields their rows in file order.

:func:`read_concurrently` takes one reader per file and yields the rows of the first file, then of
the second, and so on. Rows that are read early wait on disk, so memory does not grow with the
files. :mod:`crmnet.data.ingest` uses it if it has several threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

import numpy as np

from crmnet.data.validate import AcceptedRows, ValidatedRows
from crmnet.files import PathLike

Reader = Callable[[], Iterator[ValidatedRows]]
"""Opens a file and yields its rows."""


def read_concurrently(
    readers: Sequence[Reader], threads: int, folder: PathLike
) -> Generator[Iterator[ValidatedRows], None, None]:
    """Read files concurrently; yields the rows of one file after another.

    Args:
        readers: One for each file.
        threads: Number of files that are read at the same time; 1 reads without extra threads.
        folder: Folder for temporary files of waiting rows, which are removed.

    Yields:
        An iterator over the rows of one file, which must be consumed before the next. Errors are
        raised at the same rows as without threads.
    """
    folder = Path(folder)
    if threads <= 1:
        yield from (reader() for reader in readers)
        return
    waiting = [_WaitingRows(folder / f"prefetch-{number}") for number in range(len(readers))]
    stop = threading.Event()
    try:
        with ThreadPoolExecutor(threads) as pool, _set_on_exit(stop):
            for reader, rows in zip(readers, waiting, strict=True):
                pool.submit(rows.fill, reader, stop)
            for rows in waiting:
                yield rows.drain()
                rows.path.unlink(missing_ok=True)
    finally:
        for rows in waiting:
            rows.path.unlink(missing_ok=True)


@contextmanager
def _set_on_exit(stop: threading.Event) -> Iterator[None]:
    """Set the event when the block ends or fails, before the pool waits for its threads."""
    try:
        yield
    finally:
        stop.set()


class _WaitingRows:
    """A queue of one file's rows: arrays in a temporary file, everything else in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.queue: SimpleQueue[ValidatedRows | BaseException | None] = SimpleQueue()

    def fill(self, reader: Reader, stop: threading.Event) -> None:
        """Read a file to its end, or until ``stop`` is set."""
        try:
            with self.path.open("wb") as file:
                for accepted, rejected in reader():
                    if stop.is_set():
                        return
                    stripped = None if accepted is None else _store(accepted, file)
                    file.flush()
                    self.queue.put((stripped, rejected))
            self.queue.put(None)
        except BaseException as error:  # raised again in the thread that drains the queue
            self.queue.put(error)

    def drain(self) -> Iterator[ValidatedRows]:
        """The rows, as soon as they are available."""
        file: IO[bytes] | None = None
        try:
            while (entry := self.queue.get()) is not None:
                if isinstance(entry, BaseException):
                    raise entry
                file = file or self.path.open("rb")
                stripped, rejected = entry
                yield (None if stripped is None else _restore(stripped, file)), rejected
        finally:
            if file is not None:
                file.close()


def _store(accepted: AcceptedRows, file: IO[bytes]) -> AcceptedRows:
    """Write the arrays of accepted rows to ``file``; returns the rows with empty arrays."""
    rows = replace(accepted.rows, **_write_arrays(accepted.rows, file))
    return replace(accepted, rows=rows, **_write_arrays(accepted, file))


def _write_arrays(record: Any, file: IO[bytes]) -> dict[str, Any]:
    """Write all array fields of a dataclass; returns name → empty array."""
    empty = {}
    for name in _names_of_arrays(record):
        array = getattr(record, name)
        np.save(file, array, allow_pickle=False)
        empty[name] = np.empty(0, array.dtype)  # a slice would keep the array in memory
    return empty


def _names_of_arrays(record: Any) -> list[str]:
    return [f.name for f in fields(record) if isinstance(getattr(record, f.name), np.ndarray)]


def _restore(stripped: AcceptedRows, file: IO[bytes]) -> AcceptedRows:
    """Accepted rows with their arrays, read in the order in which :func:`_store` wrote them."""
    rows = replace(stripped.rows, **_read_arrays(stripped.rows, file))
    return replace(stripped, rows=rows, **_read_arrays(stripped, file))


def _read_arrays(record: Any, file: IO[bytes]) -> dict[str, Any]:
    return {name: np.load(file, allow_pickle=False) for name in _names_of_arrays(record)}
