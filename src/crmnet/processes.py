"""How a process that worked in a group ends.

At the bottom of the package, beside :mod:`crmnet.files`: training and the benchmark both start
groups of processes, and neither imports the other.
"""

from __future__ import annotations

import os
import sys

import torch


def leave_group() -> None:
    """Leave the process group, if there is one: the last thing a process of a group does.

    Waits until every process of the group is here. **In a gloo group the process ends here**, with
    exit status 0 and without Python's own shutdown; elsewhere the function returns.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return
    if torch.distributed.get_backend() != "gloo":
        torch.distributed.destroy_process_group()
        return
    torch.distributed.barrier()
    # DistributedDataParallel never lets go of its group, destroyed or not (torch 2.13): gloo's
    # threads still run when Python takes the interpreter down, and once in some hundred processes
    # that ended in SIGABRT, after all work was done.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
