"""Several files read side by side, and handed on one after the other, as if they were read so.

Takes what reads each file piece by piece and gives the pieces of the first file, of the second, and
so on. What is read before its turn waits on disk, so that memory does not grow with the files.
:mod:`crmnet.data.ingest` works so when it may take several threads.
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

from crmnet.data.validate import Taken, ValidatedRows
from crmnet.files import PathLike


def side_by_side(
    files: Sequence[Callable[[], Iterator[ValidatedRows]]], at_once: int, folder: PathLike
) -> Generator[Iterator[ValidatedRows], None, None]:
    """The pieces of each file, file by file.

    Args:
        files: Each opens a file and gives its pieces.
        at_once: Files that are read at a time, each in a thread of its own; 1 takes no thread.
        folder: Where pieces wait, in files that are removed.

    Yields:
        The pieces of one file, to be taken before those of the next. What went wrong in reading is
        raised where it would be if the files were read one after the other.
    """
    folder = Path(folder)
    if at_once <= 1:
        yield from (file() for file in files)
        return
    waiting = [_Waiting(folder / f"ahead-{number}") for number in range(len(files))]
    stop = threading.Event()
    try:
        with ThreadPoolExecutor(at_once) as pool, _set_at_the_end(stop):
            for file, room in zip(files, waiting, strict=True):
                pool.submit(room.fill, file, stop)
            for room in waiting:
                yield room.pieces()
                room.path.unlink(missing_ok=True)
    finally:
        for room in waiting:
            room.path.unlink(missing_ok=True)


@contextmanager
def _set_at_the_end(stop: threading.Event) -> Iterator[None]:
    """Tell threads to stop, however the block ends, before the pool waits for them."""
    try:
        yield
    finally:
        stop.set()


class _Waiting:
    """Pieces of one file: their arrays in a file, the rest in memory, both in order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.queue: SimpleQueue[ValidatedRows | BaseException | None] = SimpleQueue()

    def fill(self, file: Callable[[], Iterator[ValidatedRows]], stop: threading.Event) -> None:
        """Read a file to its end, or until told to stop."""
        try:
            with self.path.open("wb") as out:
                for taken, rejected in file():
                    if stop.is_set():
                        return
                    left = None if taken is None else _put(taken, out)
                    out.flush()
                    self.queue.put((left, rejected))
            self.queue.put(None)
        except BaseException as error:  # belongs to whoever takes the pieces
            self.queue.put(error)

    def pieces(self) -> Iterator[ValidatedRows]:
        """The pieces, as soon as they are there."""
        read: IO[bytes] | None = None
        try:
            while (item := self.queue.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                read = read or self.path.open("rb")
                left, rejected = item
                yield (None if left is None else _taken_back(left, read)), rejected
        finally:
            if read is not None:
                read.close()


def _put(taken: Taken, out: IO[bytes]) -> Taken:
    """Write the arrays of a piece; what is left of it."""
    rows = replace(taken.rows, **_arrays_gone(taken.rows, out))
    return replace(taken, rows=rows, **_arrays_gone(taken, out))


def _arrays_gone(part: Any, out: IO[bytes]) -> dict[str, Any]:
    gone = {}
    for name in _arrays_of(part):
        array = getattr(part, name)
        np.save(out, array, allow_pickle=False)
        gone[name] = np.empty(0, array.dtype)  # a slice would keep the whole
    return gone


def _arrays_of(part: Any) -> list[str]:
    return [f.name for f in fields(part) if isinstance(getattr(part, f.name), np.ndarray)]


def _taken_back(left: Taken, read: IO[bytes]) -> Taken:
    """A piece with its arrays, read in the order in which they were written."""
    rows = replace(left.rows, **_arrays_back(left.rows, read))
    return replace(left, rows=rows, **_arrays_back(left, read))


def _arrays_back(part: Any, read: IO[bytes]) -> dict[str, Any]:
    return {name: np.load(read, allow_pickle=False) for name in _arrays_of(part)}
