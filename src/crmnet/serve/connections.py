"""Time limits of connections: a client that sends or reads too slowly is disconnected.

uvicorn limits only the time between two requests. :class:`TimedProtocol` also limits the time until
the headers of a request are complete, and the time for which a client does not read its answer. It
answers requests on too many connections with status 503, like all errors of the API.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from crmnet.serve.errors import ApiError, busy
from crmnet.serve.limits import Limits
from crmnet.serve.safety import refuse, with_headers


class TimedProtocol(H11Protocol):
    """HTTP/1.1 of uvicorn with these limits."""

    limits = Limits()
    timer: asyncio.TimerHandle | None = None
    reader: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        most = self.limits.connections
        if len(self.connections) > most:
            text = f"{most:,} connections are open already; try again in a second"
            self.app = refusing(busy(text, most))
        self._expect_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self.timer, self.reader):
            if timer is not None:
                timer.cancel()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.reader = self._later(self.limits.reading_seconds)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.reader is not None:
            self.reader.cancel()

    def _expect_headers(self) -> None:
        """Start the timer of the headers if no request is being answered, else stop it."""
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self.timer is None:
            self.timer = self._later(self.limits.header_seconds)
        elif not idle and self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _later(self, seconds: float) -> asyncio.TimerHandle:
        close: Callable[[], None] = self.transport.abort
        return self.loop.call_later(seconds, close)


def refusing(error: ApiError) -> ASGIApp:
    """An application that answers every request with this error, and closes the connection."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await refuse(error, error.body(), with_headers(send, scope["path"]))

    return answer


def timed(limits: Limits) -> type[TimedProtocol]:
    """The protocol with the limits of a server."""
    return type("TimedProtocol", (TimedProtocol,), {"limits": limits})
