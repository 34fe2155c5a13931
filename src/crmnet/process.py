"""This process: its peak memory, and how it ends."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from pathlib import Path
from typing import NoReturn


def end_process(status: int = 0) -> NoReturn:
    """End this process: run what is registered for the exit, flush, and leave with ``status``.

    What is left out is Python's taking apart of every object. With torch loaded that takes half a
    second; and where processes trained together, gloo's threads are still there meanwhile
    (DistributedDataParallel never lets go of its process group). The likely cause of a SIGABRT that
    was seen once, after all work was done.
    """
    atexit._run_exitfuncs()
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None is one that the caller closed
        try:
            stream.flush()
        except OSError:  # nobody reads, or the disk is full; Python ends so, too
            status = status or 120
    os._exit(status)


def peak_resident() -> int | None:
    """Most bytes of memory that this process has held at any moment; None on Windows.

    In a process that was started by another, ``ru_maxrss`` may be the other's; Linux says in
    ``VmHWM`` what is its own.
    """
    if sys.platform == "win32":
        return None
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # bytes on macOS, KiB elsewhere
