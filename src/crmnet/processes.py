"""How a process of crmnet's own ends.

At the bottom of the package, beside :mod:`crmnet.files`: the command line and the benchmark both
end processes that have loaded torch.
"""

from __future__ import annotations

import atexit
import os
import sys
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
