"""Files that come whole or not at all, and only where a file can be.

Whatever writes a file asks here: what cannot be written is refused before work begins, in words
that name the remedy.
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
    """Make the folder that the file ``path`` is to lie in; ``-``, standard output, needs none.

    Raises:
        IsADirectoryError: If ``path`` is a folder itself.
        NotADirectoryError: If it would have to lie below a file.
        PermissionError: If its folder cannot be made or written to.
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
            f"{path} cannot be written: {path.parent} cannot be made ({error.strerror}); "
            "choose another folder"
        ) from error
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"{path} cannot be written: {path.parent} is not writable")


def check_free(path: PathLike, overwrite: bool) -> None:
    """Refuse a name that is taken, unless what is there may be replaced.

    Raises:
        FileExistsError: If ``path`` exists and ``overwrite`` is not asked for.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name or pass --overwrite")


def check_source_stays(source: PathLike, destination: PathLike) -> None:
    """Refuse to write a file or folder in the place of the one that it is made of.

    Raises:
        ValueError: If the two are one.
    """
    source, destination = Path(source), Path(destination)
    place = destination.resolve()  # a/../b is b, also before a is made
    if source.exists() and place.exists() and place.samefile(source):
        raise ValueError(f"{destination} is the input and would be lost; choose another name")


def write_atomically(path: PathLike, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file, then put it in the place of ``path`` in one step.

    Whoever looks, or is killed, at any moment finds the old file or the new one.

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
        partial.chmod(mode)  # safetensors writes files that only their owner can read
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text_atomically(path: PathLike, text: str) -> None:
    """Put ``text`` in the place of the file ``path`` in one step."""

    def write(partial: Path) -> None:
        partial.write_text(text)

    write_atomically(path, write)
