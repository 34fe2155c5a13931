"""A process that computes for the server: starts it, talks to it, and restarts it if it ends.

:class:`Child` runs in the server. The process runs ``python -m MODULE``; it reads messages
(:mod:`crmnet.serve.frames`) from its standard input and writes others to its standard output. A
process whose input closes ends, so none outlives the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable
from typing import Any

from crmnet.serve.frames import packed, receive_message

log = logging.getLogger("crmnet")

RESTART_SECONDS = (0.1, 1.0, 2.0, 5.0, 15.0)
"""Waits before a restart; the number of ends without an answer in between chooses one."""


class Child:
    """A process that is restarted whenever it ends, until :meth:`stop`.

    Args:
        module: Name of the module that the process runs.
        settings: First message to the process.
        on_message: Called with each message from the process.
        on_end: Called when the process has ended by itself.
        on_restart: Called when another one has started in its place.
    """

    def __init__(
        self,
        module: str,
        settings: dict[str, Any],
        on_message: Callable[[dict[str, Any]], None],
        on_end: Callable[[], None],
        on_restart: Callable[[], None] = lambda: None,
    ) -> None:
        self.module, self.settings = module, settings
        self.on_message, self.on_end, self.on_restart = on_message, on_end, on_restart
        self.process: asyncio.subprocess.Process | None = None
        self.watch: asyncio.Task[None] | None = None
        self.failures = 0
        self.stopped = False
        self.starting = asyncio.Lock()
        """Held while the first process starts: a second start waits for it, and so does a stop."""

    async def start(self) -> None:
        """Start the process and watch it; only the first call starts one."""
        async with self.starting:
            if self.watch is None and not self.stopped:
                await self._spawn()
                self.watch = asyncio.create_task(self._watch())

    async def _spawn(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self.module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches the server, which ends this process
        )
        self.send(self.settings)

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; one to a process that has just ended is lost."""
        if self.process is not None and self.process.stdin is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self.process.stdin.write(packed(message))

    async def _watch(self) -> None:
        while not self.stopped:
            assert self.process is not None and self.process.stdout is not None
            while (message := await receive_message(self.process.stdout)) is not None:
                self.failures = 0
                self.on_message(message)
            self.kill()
            status = await self.process.wait()
            if self.stopped:
                return
            log.warning("the process %s ended with status %s; it is restarted", self.module, status)
            self.on_end()
            await asyncio.sleep(RESTART_SECONDS[min(self.failures, len(RESTART_SECONDS) - 1)])
            self.failures += 1
            await self._spawn()
            self.on_restart()

    @property
    def is_running(self) -> bool:
        """Whether a message reaches a process; False from its end to its restart."""
        return self.process is not None and self.process.returncode is None

    def kill(self) -> None:
        """End the process at once."""
        if self.process is not None and self.is_running:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()

    async def stop(self) -> None:
        """End the process for good."""
        self.stopped = True
        async with self.starting:
            self.kill()
        if self.watch is not None:
            self.watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.watch
        if self.process is not None:
            await self.process.wait()
