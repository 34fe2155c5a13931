"""The other end of :mod:`crmnet.serve.child`: messages of a process that computes.

:class:`Pipe` reads messages in a thread, so that a process which computes can look for new ones at
any time. Whatever else the process prints goes to standard error.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from typing import Any, BinaryIO

from crmnet.serve.frames import packed, read_message


class Pipe:
    """Messages from and to the server, on the standard streams of this process."""

    def __init__(self) -> None:
        self.output: BinaryIO = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self.messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while (message := read_message(sys.stdin.buffer)) is not None:
            self.messages.put(message)
        os._exit(0)  # the server has ended

    def receive(self) -> Any:
        """The next message; waits for it."""
        return self.messages.get()

    def waiting(self) -> list[Any]:
        """All messages that have arrived."""
        found = []
        while not self.messages.empty():
            found.append(self.messages.get())
        return found

    def send(self, message: dict[str, Any]) -> None:
        """Send a message to the server."""
        try:
            self.output.write(packed(message))
            self.output.flush()
        except BrokenPipeError:
            os._exit(0)
