"""How much memory this process has taken, without torch, which would take some itself."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path


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
