"""Atomic writing of files, and checks of output paths before work begins.

All code that writes files uses this module. The errors name the path and the remedy.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

PathLike = str | os.PathLike[str]
"""What functions take as a path: text, or an object such as :class:`pathlib.Path`."""
STDOUT = Path("-")


def as_paths(paths: PathLike | Iterable[PathLike]) -> list[Path]:
    """One path or several, as a list."""
    if isinstance(paths, str | os.PathLike):
        return [Path(paths)]
    return [Path(path) for path in paths]


def make_room(path: PathLike) -> None:
    """Create the folder for the file ``path``; ``-``, standard output, needs none.

    Raises:
        IsADirectoryError: If ``path`` is a folder.
        NotADirectoryError: If a part of the path is a file.
        PermissionError: If the folder cannot be created or is not writable.
    """
    path = Path(path)
    if path == STDOUT:
        return
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it, such as {path / 'NAME'}")
    for above in path.parents:
        if above.exists() and not above.is_dir():
            raise NotADirectoryError(f"{path} cannot be written: {above} is a file, not a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PermissionError(
            f"{path} cannot be written: {path.parent} cannot be created ({error.strerror}); "
            "choose another folder"
        ) from error
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"{path} cannot be written: {path.parent} is not writable")


def check_free(path: PathLike, overwrite: bool) -> None:
    """Check that ``path`` does not exist, or that it may be overwritten.

    Raises:
        FileExistsError: If ``path`` exists and ``overwrite`` is False.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name or pass --overwrite")


def check_source_stays(source: PathLike, destination: PathLike) -> None:
    """Check that writing ``destination`` does not replace its own input, ``source``.

    Raises:
        ValueError: If both are the same file or folder.
    """
    source, destination = Path(source), Path(destination)
    target = destination.resolve()  # a/../b is b, also before a exists
    if source.exists() and target.exists() and target.samefile(source):
        raise ValueError(f"{destination} is the input and would be lost; choose another name")


def write_atomically(path: PathLike, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file, then rename it to ``path`` in one step.

    At every moment, also if the process is killed, ``path`` is the old file or the new one.

    Raises:
        OSError: As :func:`make_room`.
    """
    path = Path(path)
    make_room(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.touch()
        mode = partial.stat().st_mode
        write(partial)
        partial.chmod(mode)  # safetensors makes files readable for their owner only
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text_atomically(path: PathLike, text: str) -> None:
    """Write ``text`` to the file ``path`` in one step."""

    def write(partial: Path) -> None:
        partial.write_text(text)

    write_atomically(path, write)
