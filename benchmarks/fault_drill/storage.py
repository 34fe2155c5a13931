"""Full disks, folders that may not be written, and a read-only installation."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import crmnet
from fault_drill.material import Material, writing_commands
from fault_drill.processes import Ended, contents, run, run_program
from fault_drill.results import PartResult

CAPABILITY_VERSION = 0x20080522
"""Third version of the arguments of the system call capset."""
FILLER = "filler"


def full_disk(material: Material, scale: float, rng: Random) -> PartResult:
    """Run every writing command on a full tmpfs, or with a limit on the size of files."""
    part = PartResult("full disk")
    for name, words in writing_commands(material).items():
        with material.working_folder() as work, _full(work) as mounted:
            ended = run(words, work, setup=None if mounted else _limit_files)
            left = contents(work).keys() - {FILLER}
        hidden = sorted(path for path in left if "/." in f"/{path}")
        fault = ended.fault
        if fault is None and ended.status == 0:
            fault = "status 0"
        if fault is None and "out" not in ended.err:
            fault = "file not named"
        if fault is None and hidden:
            fault = f"left: {', '.join(hidden)}"[:80]
        kind = "full tmpfs" if mounted else "files of 400 bytes"
        part.count(name, f"{kind}: status {ended.status}", fault, ended)
    return part


@contextlib.contextmanager
def _full(folder: Path) -> Iterator[bool]:
    """Mount a full tmpfs on ``folder``; yields False if this user may not."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", folder]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        yield False
        return
    try:
        with contextlib.suppress(OSError):
            (folder / FILLER).write_bytes(b"x" * 9000)
        yield True
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _limit_files() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))


def read_only_folder(material: Material, scale: float, rng: Random) -> PartResult:
    """Run every writing command in a folder that it may not write, without a home folder."""
    part = PartResult("read-only folder")
    for name, words in writing_commands(material).items():
        with material.working_folder() as work:
            work.chmod(0o555)
            ended = run(words, work, setup=_drop_privileges)
            written = contents(work)
            work.chmod(0o755)
        last = ended.err.strip().rpartition("\n")[2]
        fault = ended.fault
        if fault is None and ended.status != 2:
            fault = f"status {ended.status}"
        if fault is None and written:
            fault = "the folder was written: the drill tests nothing"
        if fault is None and ("out" not in last or "[Errno" in last):
            fault = "not one line that names the output"
        part.count(name, f"status {ended.status}", fault, ended)
    return part


def _drop_privileges() -> None:
    """Give up root's capability to write everywhere, and have a home that cannot exist."""
    os.environ["HOME"] = "/proc/none"
    if os.geteuid() == 0:
        header, sets = struct.pack("Ii", CAPABILITY_VERSION, 0), bytes(24)
        if ctypes.CDLL(None).capset(header, sets):
            raise OSError("capset failed")


def read_only_installation(material: Material, scale: float, rng: Random) -> PartResult:
    """Run a copy of the package that may not be written, with a home that may not be written.

    Every command starts a new Python, as in a shell. Root starts it without the capability to
    write everywhere.
    """
    part = PartResult("read-only installation")
    with _read_only_copy(material) as (site, home):
        before = contents(site) | contents(home)
        for name, words in writing_commands(material).items():
            with material.working_folder() as work:
                ended = _run_installed(words, work, site, home)
                written = contents(work)
            fault = ended.fault or (f"status {ended.status}" if ended.status else None)
            if fault is None and not written:
                fault = "nothing written"
            if fault is None and contents(site) | contents(home) != before:
                fault = "the installation was written: the drill tests nothing"
            part.count(name, f"status {ended.status}", fault, ended)
    return part


@contextlib.contextmanager
def _read_only_copy(material: Material) -> Iterator[tuple[Path, Path]]:
    """Folders that may not be written: one with a copy of the package, and an empty home."""
    with material.empty_folder() as folder:
        site, home = folder / "site", folder / "home"
        source, ignored = Path(crmnet.__file__).parent, shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, site / "crmnet", ignore=ignored)
        home.mkdir()
        paths = [path for root in (site, home) for path in (root, *root.rglob("*"))]
        for path in paths:
            path.chmod(path.stat().st_mode & ~0o222)
        try:
            yield site, home
        finally:
            for path in paths:
                path.chmod(path.stat().st_mode | 0o200)


def _run_installed(words: list[object], work: Path, site: Path, home: Path) -> Ended:
    drop = ["setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search"]
    command = [*(drop if os.geteuid() == 0 else []), sys.executable, "-m", "crmnet", *words]
    environment = {key: value for key, value in os.environ.items()
                   if not key.startswith(("XDG_", "NUMBA_", "MPL"))}  # fmt: skip
    environment |= {"HOME": str(home), "PYTHONPATH": str(site)}
    return run_program(list(map(str, command)), work, environment)
