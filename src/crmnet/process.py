"""Start and end of the process of a command, its standard streams and its peak memory.

:func:`crmnet.cli.run` calls :func:`start_fast` first and :func:`end_fast` last. Only processes that
formed a process group, in distributed training and in :mod:`crmnet.benchmark`, end through
:func:`end_process`. CPU time of ``echo SEQUENCE | crmnet predict yeast -``, median of 15 runs:

    1.64 s   with start_fast and end_fast
    1.79 s   without start_fast
    1.97 s   without end_fast
    1.58 s   if every command ended through end_process
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn, TextIO

WAIT_POLICY = "OMP_WAIT_POLICY"


def start_fast() -> None:
    """Prepare a process that is going to load torch; call this before.

    Python's garbage collector runs rarely: nearly all objects that torch creates on import stay
    alive, and by default Python searches them for garbage after every 700 new objects.

    On a busy machine the threads of OpenMP sleep while they wait for one another. By default they
    keep their processor busy for some milliseconds. That is the fastest on an idle machine, but on
    a busy one it takes time from the thread that they wait for: ``crmnet predict yeast`` of one
    promoter took 30 s instead of 3 s on two processors that other processes used.
    """
    gc.set_threshold(100_000, 20, 20)
    if wants_passive_threads(os.environ, processors(), running_elsewhere()):
        os.environ[WAIT_POLICY] = "passive"


def wants_passive_threads(environment: Mapping[str, str], available: int, running: int) -> bool:
    """Whether threads should sleep while they wait.

    Args:
        environment: Environment of the process; it may name the policy or the number of threads.
        available: Number of processors.
        running: Number of other processes that use a processor now.
    """
    if WAIT_POLICY in environment or "GOMP_SPINCOUNT" in environment:
        return False
    asked = environment.get("OMP_NUM_THREADS", "")
    threads = int(asked) if asked.isdigit() else available
    return 1 < threads and available < threads + running


def processors() -> int:
    """Number of processors on which this process may run."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def running_elsewhere() -> int:
    """Number of other threads on this machine that use a processor now; 0 if it is unknown.

    The smallest of three readings within 2 ms, so that a short-lived one does not count.
    """
    counts = []
    for pause in (0, 0.001, 0.001):
        time.sleep(pause)
        try:
            counts.append(int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) - 1)
        except (OSError, ValueError, IndexError):
            return 0
    return max(min(counts), 0)


_CLOSED: set[str] = set()
"""Names of standard streams that were closed when the process started."""


def prepare_streams() -> None:
    """Prepare the standard streams: no message fails on a poor terminal or a closed stream.

    A question mark replaces a character that the terminal cannot show. A closed stream is connected
    to the null device. Otherwise the next file that the process opens would get its descriptor, and
    messages would be written into that file.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            _CLOSED.add(name)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def standard_output() -> TextIO:
    """Standard output for data, in UTF-8, so that no character of an id is lost.

    Raises:
        ValueError: If it was closed when the process started.
    """
    if "stdout" in _CLOSED or sys.stdout is None:
        raise ValueError("standard output is closed; name a file with -o")
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.encoding.lower() != "utf-8":
        sys.stdout.reconfigure(encoding="utf-8")
    return sys.stdout


def end_fast() -> None:
    """Make the interpreter end without searching for garbage; call this as the last function.

    Python then does not finalise objects in reference cycles. Code that must run at exit therefore
    needs a ``with`` block or an exit function.
    """
    gc.freeze()


def flush_output(status: int = 0) -> int:
    """Flush stdout and stderr; returns ``status``, or 120 if one of them cannot be written.

    120 is Python's own exit status in this case. A reader that closes the pipe early, such as head,
    does not count as a failure. Output that cannot be written is dropped; otherwise Python would
    try again when the interpreter ends, and print a second error.
    """
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None: closed by the caller
        try:
            stream.flush()
        except BrokenPipeError:
            discard_output(stream.fileno())
        except OSError as error:  # the disk is full
            discard_output(stream.fileno())
            status = status or 120
            if stream is sys.stdout:
                reason = (error.strerror or "unknown").lower()
                print(f"crmnet: error: standard output: {reason}", file=sys.stderr)
    return status


def discard_output(descriptor: int) -> None:
    """Connect a file descriptor to the null device, which drops everything written to it."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


def in_process_group() -> bool:
    """Whether this process belongs to a process group of ``torch.distributed``.

    Lightning leaves the group of a distributed training in place until the process ends.
    """
    torch = sys.modules.get("torch")  # an import here would load torch for every command
    if torch is None or not torch.distributed.is_available():
        return False
    return bool(torch.distributed.is_initialized())


def end_process(status: int = 0) -> NoReturn:
    """Flush the output and end this process at once, without interpreter finalisation.

    Only processes that formed a process group need this. DistributedDataParallel keeps a reference
    to the group, so gloo's threads are still running while the interpreter ends. This is the likely
    cause of a SIGABRT that was seen once, after all work was done.
    """
    os._exit(flush_output(status))


def peak_resident() -> int | None:
    """Peak memory of this process in bytes (resident set size); None on Windows.

    On Linux this is ``VmHWM``: ``ru_maxrss`` can include the peak of the process that started this
    one.
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
