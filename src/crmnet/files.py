"""Atomic writing of files, locks, and checks of output paths before work begins.

All code that writes files uses this module. The errors name the path and the remedy.

Three rules hold for every output. An output never replaces an input (:func:`check_outputs`). A
device, pipe or socket is written into and never replaced, and a link is followed. One process at a
time writes a path (:func:`locked`); the lock ends with the process, however it ends.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:  # Windows has no flock: there, nothing is locked
    fcntl = None  # type: ignore[assignment]

PathLike = str | os.PathLike[str]
"""What functions take as a path: text, or an object such as :class:`pathlib.Path`."""
STDOUT = Path("-")
OWN_FILES = ("*.npy", "*.safetensors", "run.json", "history.csv", "manifest.json", "rejected.tsv")
"""Names of the files of run folders and data sets."""
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a full disk, a full quota and a file that is too large."""


class WriteError(OSError):
    """An output cannot be written: the disk is full, or another process is writing it."""


def as_paths(paths: PathLike | Iterable[PathLike]) -> list[Path]:
    """One path or several, as a list."""
    if isinstance(paths, str | os.PathLike):
        return [Path(paths)]
    return [Path(path) for path in paths]


def make_parent_folder(path: PathLike) -> None:
    """Create the folder for the file ``path``; standard output and streams need none.

    Raises:
        IsADirectoryError: If ``path`` is a folder.
        NotADirectoryError: If a part of the path is a file.
        PermissionError: If the folder cannot be created or is not writable.
    """
    if Path(path) == STDOUT or is_stream(path):
        return
    path = target_of(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it, such as {path / 'NAME'}")
    for above in path.parents:
        if above.exists() and not above.is_dir():
            raise NotADirectoryError(f"{path} cannot be written: {above} is a file, not a folder")
    make_folder(path.parent, path)


def make_folder(folder: PathLike, output: PathLike | None = None) -> None:
    """Create a folder into which files will be written.

    Args:
        folder: The folder.
        output: What is to be written there, to be named in errors; None means the folder.

    Raises:
        NotADirectoryError: If it, or a part of its path, is a file.
        PermissionError: If it cannot be created or is not writable.
    """
    folder = Path(folder)
    name = "" if output is None else f"{output} cannot be written: "
    for parent in (folder, *folder.parents):
        if parent.exists() and not parent.is_dir():
            raise NotADirectoryError(f"{folder} cannot be a folder: {parent} is a file")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PermissionError(
            f"{name}{folder} cannot be created ({error.strerror}); choose another folder"
        ) from error
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{name}{folder} is not writable; choose another folder")


def target_of(path: PathLike) -> Path:
    """The file that is written if ``path`` is a link to it, also if it does not exist yet.

    Raises:
        ValueError: If a link leads back to itself.
    """
    path = Path(path)
    if not path.is_symlink():
        return path
    try:
        target = path.resolve()
    except (OSError, RuntimeError):  # before Python 3.13, which returns a link instead
        target = path
    if target.is_symlink():
        raise ValueError(f"{path} is a link that leads back to itself; remove it")
    return target


def read_npz(path: PathLike) -> dict[str, Any]:
    """All arrays of an ``.npz`` file by name.

    Raises:
        OSError: If the file cannot be opened.
        ValueError: If it is damaged, or another file.
    """
    import numpy as np

    try:
        # NumPy does not close a damaged file that it opened.
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return dict(file)
    except (EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(str(error)) from error


def is_stream(path: PathLike) -> bool:
    """Whether ``path`` is a device, pipe or socket, or names an open file such as /dev/stdout."""
    if _descriptor(path) is not None:
        return True
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def open_stream(path: PathLike) -> BinaryIO:
    """Open what :func:`is_stream` names, for writing; an open file is continued, not truncated."""
    descriptor = _descriptor(path)
    if descriptor is None:
        return Path(path).open("wb")
    return os.fdopen(os.dup(descriptor), "wb")


def _descriptor(path: PathLike) -> int | None:
    """Number of the open file that /dev/stdout, /dev/fd/N or /proc/self/fd/N names."""
    match = re.fullmatch(r"/dev/(stdout|stderr)|/(?:dev|proc/self)/fd/(\d+)", str(path))
    if match is None or not os.path.exists(path):
        return None
    return {"stdout": 1, "stderr": 2}.get(match[1] or "", int(match[2] or 0))


def check_free(path: PathLike, overwrite: bool) -> None:
    """Check that ``path`` does not exist, or that it may be overwritten.

    Standard output and streams are never replaced and so are always free.

    Raises:
        FileExistsError: If ``path`` exists and ``overwrite`` is False.
    """
    path = Path(path)
    if path.exists() and not overwrite and path != STDOUT and not is_stream(path):
        raise FileExistsError(f"{path} exists; choose another name or pass --overwrite")


def check_outputs(
    outputs: PathLike | Iterable[PathLike],
    inputs: PathLike | Iterable[PathLike | None],
    overwrite: bool = False,
) -> None:
    """Check, before work begins, that writing ``outputs`` loses nothing.

    Args:
        outputs: Files to write, and folders to replace as a whole.
        inputs: Files and folders that are read; None, and a name without a file, are ignored.
        overwrite: Whether existing outputs may be replaced. An input is not replaced in any case.

    Raises:
        FileExistsError: If an output exists and ``overwrite`` is False.
        IsADirectoryError: As :func:`make_parent_folder`.
        NotADirectoryError: As :func:`make_parent_folder`.
        ValueError: If an output is an input, holds an input, or is a part of an input.
    """
    outputs = as_paths(outputs)
    all_inputs = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    sources = [Path(path) for path in all_inputs if path is not None]
    for output in outputs:
        if output != STDOUT and not is_stream(output):
            for source in sources:
                check_source_stays(source, output)
    for output in outputs:
        check_free(output, overwrite)


def outputs_in(folder: PathLike, names: Iterable[str]) -> list[Path]:
    """Paths in a folder that have one of the names, in which ``#`` stands for a whole number."""
    folder = Path(folder)
    patterns = [re.escape(name).replace(r"\#", r"\d+") for name in names]
    known = re.compile("|".join(patterns) or r"(?!)")
    return [path for path in sorted(folder.glob("*")) if known.fullmatch(path.name)]


@contextmanager
def replacing(folder: PathLike, names: Iterable[str]) -> Iterator[None]:
    """Remove what an earlier run left in a folder and the block did not write again.

    Nothing is removed if the block fails. Files with other names stay.

    Args:
        folder: The folder that the block writes into.
        names: Names of the command's files, as for :func:`outputs_in`.
    """
    before = {path: _version(path) for path in outputs_in(folder, names) if path.is_file()}
    yield
    for path, version in before.items():
        if path.is_file() and not is_stream(path) and _version(path) == version:
            path.unlink()


def _version(path: Path) -> tuple[int, int, int]:
    """Differs after :func:`write_atomically`, which makes a new file."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def check_source_stays(source: PathLike, destination: PathLike) -> None:
    """Check that writing ``destination`` does not replace its own input, ``source``.

    Raises:
        ValueError: If both are the same file or folder, if ``destination`` is a folder that holds
            ``source``, or if it is a file of the run or data set ``source``.
    """
    source, destination = Path(source), Path(destination)
    if not source.exists() or is_stream(destination):
        return
    target, origin = destination.resolve(), source.resolve()  # a/../b is b, also before a exists
    if target.exists() and target.samefile(source):
        raise ValueError(f"{destination} is the input and would be lost; choose another name")
    if target in origin.parents and target.is_dir():
        raise ValueError(
            f"{destination} holds the input {source}, which would be lost; choose another name"
        )
    if target.exists() and target.parent == origin and _is_own_file(target.name):
        raise ValueError(
            f"{destination} is a part of the input {source} and would be lost; choose another name"
        )


def _is_own_file(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in OWN_FILES)


_HELD: set[int] = set()
"""Descriptors of the locks of this process."""


@contextmanager
def locked(path: PathLike, *, wait: float = 0.0, title: str | None = None) -> Iterator[None]:
    """Hold the lock of the output ``path``, ``.NAME.lock`` beside it, while the block runs.

    The operating system releases the lock when the process ends, also if it is killed. A file
    system without locks is written without one.

    Args:
        path: The output; its folder exists.
        wait: Seconds to wait for another process to release the lock.
        title: Name of the output in the error; None means ``path``.

    Raises:
        WriteError: If another process holds the lock.
    """
    path = Path(path)
    lock = path.with_name(f".{path.name}.lock")
    descriptor = _take(lock, wait)
    if descriptor is None:
        raise WriteError(
            f"another process is writing {title or path}; wait until it ends, or choose another "
            "name"
        )
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        release(descriptor)


def is_locked(path: PathLike) -> bool:
    """Whether a process holds the lock of the output ``path``."""
    path = Path(path)
    lock = path.with_name(f".{path.name}.lock")
    if not lock.exists():
        return False
    descriptor = _take(lock, 0.0)
    if descriptor is None:
        return True
    lock.unlink(missing_ok=True)
    release(descriptor)
    return False


def release(descriptor: int) -> None:
    """Close the descriptor of a lock."""
    _HELD.discard(descriptor)
    os.close(descriptor)


def _take(lock: Path, wait: float) -> int | None:
    """Descriptor of the lock file, locked; None if another process holds it."""
    deadline = time.monotonic() + wait
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        _HELD.add(descriptor)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            release(descriptor)
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.02)
            continue
        except OSError:  # this file system has no locks
            return descriptor
        try:  # the former holder may have removed the file before we locked it
            if os.path.samestat(os.fstat(descriptor), lock.stat()):
                return descriptor
        except FileNotFoundError:
            pass
        release(descriptor)


def _forget_locks() -> None:
    """A forked child must not keep the locks of its parent, which may be killed before it."""
    for descriptor in list(_HELD):
        release(descriptor)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)


@contextmanager
def named_errors(path: PathLike) -> Iterator[None]:
    """Turn the error of a full disk, which names no file, into one that names ``path``.

    Raises:
        WriteError: If the disk, or the user's share of it, is full.
    """
    try:
        yield
    except Exception as error:
        full = isinstance(error, OSError) and error.errno in NO_SPACE
        if isinstance(error, WriteError) or not (full or "No space left" in str(error)):
            raise
        name = "standard output" if Path(path) == STDOUT else path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else ""
        raise WriteError(
            f"{name} cannot be written: {(reason or 'No space left on device').lower()}; free "
            "some space, or choose another disk"
        ) from error


def partial_of(path: PathLike) -> Path:
    """The hidden name under which an output is written until it is complete."""
    path = Path(path)
    return path.with_name(f".{path.name}.partial")


def remove_partials(folder: PathLike) -> None:
    """Remove temporary files of killed processes; the caller holds the folder's lock."""
    for pattern in (".*.partial", ".*.lock"):
        for path in Path(folder).glob(pattern):
            if path.is_file():
                path.unlink(missing_ok=True)


def write_atomically(path: PathLike, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file, then rename it to ``path`` in one step.

    At every moment, also if the process is killed, ``path`` is the old file or the new one. A
    device, pipe or socket receives the bytes of the complete temporary file.

    Raises:
        OSError: As :func:`make_parent_folder`.
        WriteError: If the disk is full, or another process is writing ``path``.
    """
    path = Path(path)
    if is_stream(path):
        _write_into(path, write)
        return
    make_parent_folder(path)
    path = target_of(path)
    partial = partial_of(path)
    with locked(path), named_errors(path):
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


_TEMPORARY = "crmnet-temporary-"
"""Start of the names of temporary folders."""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """An empty folder that is removed when the block ends.

    If the process is killed, the folder stays until the next call. It removes all folders of this
    user whose processes have ended, which their locks show.
    """
    place = Path(tempfile.gettempdir())
    folder = place / f"{_TEMPORARY}{uuid.uuid4().hex}"
    with locked(folder):  # before the folder exists, so that no other process removes it
        if is_locked(folder):  # else this file system has no locks
            _remove_abandoned(place)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(place: Path) -> None:
    """Remove the temporary folders of processes that were killed, and their locks."""
    for found in [*place.glob(f"{_TEMPORARY}*"), *place.glob(f".{_TEMPORARY}*.lock")]:
        folder = place / found.name.removeprefix(".").removesuffix(".lock")
        with suppress(OSError):  # of another user, or another process has just removed it
            if found.is_symlink() or found.stat().st_uid != _user():
                continue
            with locked(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


def _write_into(path: Path, write: Callable[[Path], None]) -> None:
    with temporary_folder() as folder:
        complete_file = folder / "made"
        write(complete_file)
        with complete_file.open("rb") as content, named_errors(path), open_stream(path) as stream:
            shutil.copyfileobj(content, stream)


def write_text_atomically(path: PathLike, text: str) -> None:
    """Write ``text`` to the file ``path`` in one step, as UTF-8."""

    def write(partial: Path) -> None:
        partial.write_text(text, encoding="utf-8")

    write_atomically(path, write)
