"""Run crmnet commands in forks of this process, with limits on time and memory.

All modules of crmnet are imported once, before the first fork, so that a case takes a tenth of a
second instead of the start-up time of Python and PyTorch. Linux only.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import pkgutil
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import crmnet
from crmnet import cli
from crmnet.process import flush_output

LIMIT_S = 120
"""A command that takes longer, in seconds of wall time, hangs."""
MEMORY = 1 << 30
"""Memory that a command may take beyond that of this process, in bytes."""


@dataclass
class Ended:
    """Status, output and cost of a command that has ended."""

    status: int
    out: str
    err: str
    seconds: float
    cpu_seconds: float = 0.0

    @property
    def fault(self) -> str | None:
        """A fault that no command may have, for any input; None if there is none."""
        if self.status == -signal.SIGALRM:
            return "hang"
        if "Traceback (most recent" in self.err + self.out or "Exception ignored" in self.err:
            return "traceback"
        if self.status == 1 and "CRMNET_DEBUG" in self.err:
            return "internal error"
        if self.status < 0:
            return f"ended by signal {-self.status}"
        if self.status == 2 and "Usage: " in self.err:
            return "the drill's command line is out of date"
        if "\x1b" in self.err:
            return "escape sequence printed"
        return None


def import_all_modules() -> None:
    """Import every module of crmnet, so that the forks need not."""
    torch.set_num_threads(1)  # a fork of a process with several threads can deadlock
    for module in pkgutil.walk_packages(crmnet.__path__, "crmnet."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def run(words: Iterable[object], folder: Path, **options: Any) -> Ended:
    """Run ``crmnet WORDS`` in ``folder`` to its end; options as for :func:`start`."""
    return wait_for(start(words, folder, **options), folder)


def start(
    words: Iterable[object], folder: Path, *, setup: Callable[[], None] | None = None,
    limit: float = LIMIT_S, log: str = "log",
) -> tuple[int, float]:  # fmt: skip
    """Start ``crmnet WORDS`` in a fork.

    Args:
        words: The command line, without the program's name.
        folder: Working folder.
        setup: Called in the fork before the command.
        limit: Seconds after which the fork is ended.
        log: Name of the files beside ``folder`` that receive the output.

    Returns:
        Process id, and the time at the start.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid, time.monotonic()
    status = 70
    try:
        _prepare_fork(folder, limit, log)
        if setup is not None:
            setup()
        sys.argv = ["crmnet", *map(str, words)]
        cli.main()
        status = 0
    except SystemExit as stop:
        status = int(stop.code or 0)
    except BaseException:  # a fault of the command or of the drill; the log shows it
        traceback.print_exc()
    finally:
        os._exit(flush_output(status))


def _prepare_fork(folder: Path, limit: float, log: str) -> None:
    os.setsid()  # a kill of the group also ends processes that the command starts
    os.chdir(folder)
    for descriptor, suffix in ((1, ".out"), (2, ".err")):
        path = folder.parent / f"{log}{suffix}"
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, limit)


def wait_for(started: tuple[int, float], folder: Path, log: str = "log") -> Ended:
    """Wait for a command that :func:`start` has started."""
    pid, began = started
    _, raw, usage = os.wait4(pid, 0)
    texts = []
    for suffix in (".out", ".err"):
        path = folder.parent / f"{log}{suffix}"
        texts.append(path.read_bytes().decode("utf-8", "replace") if path.exists() else "")
    seconds = time.monotonic() - began
    status = os.waitstatus_to_exitcode(raw)
    return Ended(status, *texts, seconds, usage.ru_utime + usage.ru_stime)


def run_program(command: list[str], folder: Path, environment: dict[str, str]) -> Ended:
    """Run any program in ``folder`` to its end, with a limit on its time."""
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=LIMIT_S, cwd=folder, env=environment
        )
    except subprocess.TimeoutExpired:
        return Ended(-signal.SIGALRM, "", "", LIMIT_S)
    texts = [text.decode("utf-8", "replace") for text in (done.stdout, done.stderr)]
    return Ended(done.returncode, *texts, time.monotonic() - began)


def contents(folder: Path) -> dict[str, str]:
    """Relative path → hash of every file, and → nothing of every empty folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file():
            found[name] = hashlib.sha256(_without_times(path)).hexdigest()
        elif path.is_dir() and not any(path.iterdir()):
            found[f"{name}/"] = ""
    return found


def _without_times(path: Path) -> bytes:
    """Content of a file; of history.csv without its last column, the time of an epoch."""
    raw = path.read_bytes()
    if path.name == "history.csv":
        return b"\n".join(line.rpartition(b",")[0] for line in raw.splitlines())
    return raw
