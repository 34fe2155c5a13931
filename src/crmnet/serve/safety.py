"""Checks of each request before the application reads it, and headers of each answer.

:class:`Safety` is an ASGI middleware. It checks the ``Host`` and ``Origin`` headers, so that no
other page in the browser can use the server, and the content type; it reads the body within limits
of size and time, and hands it on complete.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crmnet.serve.errors import ApiError, busy
from crmnet.serve.limits import Limits

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Content security policy: only files of this server, no inline script, no eval."""
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
JSON = "application/json"
MSGPACK = "application/msgpack"
GAME = "/predict"
"""Path of predictions of GAME, which takes MessagePack and large bodies."""


class Safety:
    """Refuses requests that are not from here, too large or too slow.

    Args:
        app: The application.
        limits: Limits of the server.
        hosts: Names that the ``Host`` header may have.
        game_form: Gives an error the form of GAME.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        hosts: Collection[str],
        game_form: Callable[[ApiError], dict[str, Any]],
    ) -> None:
        self.app, self.limits, self.hosts, self.game_form = app, limits, hosts, game_form
        self.reading = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        send = with_headers(send, scope["path"])
        headers = {name.decode("latin-1"): value.decode("latin-1")
                   for name, value in scope["headers"]}  # fmt: skip
        size = 0
        try:
            self.check_origin(headers)
            if scope["method"] in ("POST", "PUT", "PATCH"):
                check_type(headers, scope["path"])
            size = self.reserve(headers, scope["path"])
            body, extra = await self.read(scope["path"], receive, size)
            size += extra
        except ApiError as error:
            self.reading -= size
            is_game = scope["path"] == GAME
            await refuse(error, self.game_form(error) if is_game else error.body(), send)
            return
        except ClientGoneError:
            self.reading -= size
            return
        try:
            await self.app(scope, _replay(body, receive), send)
        finally:
            self.reading -= size

    def check_origin(self, headers: dict[str, str]) -> None:
        """Check that the request is meant for this server, and not sent by another page."""
        host = headers.get("host", "")
        if host_name(host) not in self.hosts:
            raise ApiError(
                400, "host", "the Host header names another server; open the address that "
                "crmnet serve printed",
            )  # fmt: skip
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            raise ApiError(403, "origin", "requests from pages of other servers are refused")

    def largest(self, path: str) -> int:
        """Bytes of the largest body of a path."""
        return self.limits.game_body_bytes if path == GAME else self.limits.body_bytes

    def reserve(self, headers: dict[str, str], path: str) -> int:
        """Count the announced size of the body among those that are read."""
        text = headers.get("content-length", "0")
        size = int(text) if text.isdecimal() and len(text) < 19 else self.largest(path) + 1
        if size > self.largest(path):
            raise _too_large(self.largest(path))
        self._count(size)
        return size

    def _count(self, size: int) -> None:
        if self.reading + size > self.limits.bodies_bytes:
            raise busy("too many large requests at a time; try again", self.limits.bodies_bytes)
        self.reading += size

    async def read(self, path: str, receive: Receive, announced: int) -> tuple[bytes, int]:
        """The body, and how much larger it is than announced."""
        seconds, parts, size, extra = self.limits.body_seconds, [], 0, 0
        try:
            async with asyncio.timeout(seconds):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGoneError
                    part = message.get("body", b"")
                    size, more = size + len(part), message.get("more_body", False)
                    if size > self.largest(path):
                        raise _too_large(self.largest(path))
                    if size > announced + extra:
                        self._count(size - announced - extra)
                        extra = size - announced
                    parts.append(part)
        except (TimeoutError, ApiError, ClientGoneError) as error:
            self.reading -= extra
            if isinstance(error, TimeoutError):
                raise ApiError(
                    408, "slow", f"the request did not arrive within {seconds:g} seconds",
                    limit=seconds,
                ) from None  # fmt: skip
            raise
        return b"".join(parts), extra


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete."""


def host_name(host: str) -> str:
    """The name in a ``Host`` header, without the port, in lower case."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    return name.lower().rstrip(".")


def check_type(headers: dict[str, str], path: str) -> None:
    """Check the content type of a body."""
    given = headers.get("content-type")
    kind = JSON if given is None and path == GAME else (given or "").partition(";")[0].strip()
    allowed = (JSON, MSGPACK) if path == GAME else (JSON,)
    if kind.lower() not in allowed:
        raise ApiError(
            415, "content_type",
            f"send {' or '.join(allowed)} and say so in the header Content-Type",
        )  # fmt: skip


def _too_large(limit: int) -> ApiError:
    return ApiError(413, "too_large", f"a request may have at most {limit:,} bytes", limit=limit)


async def refuse(error: ApiError, body: dict[str, Any], send: Send) -> None:
    """Send an error as the answer."""
    content = json.dumps(body).encode()
    headers = {"content-type": JSON, "content-length": str(len(content)), "connection": "close",
               **error.headers}  # fmt: skip
    start: dict[str, Any] = {"type": "http.response.start", "status": error.status}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({**start, "headers": raw})
    await send({"type": "http.response.body", "body": content})


def with_headers(send: Send, path: str) -> Send:
    """``send`` that adds the headers of safety; answers are kept by no cache."""
    more = dict(HEADERS)
    more["cache-control"] = "no-cache" if path.startswith("/static/") else "no-store"

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name for name, _ in message["headers"]}
            added = [(k.encode(), v.encode()) for k, v in more.items() if k.encode() not in present]
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return sending


def _replay(body: bytes, receive: Receive) -> Receive:
    """``receive`` that gives the body first, and then what the connection gives."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receiving() -> Message:
        return first.pop() if first else await receive()

    return receiving
