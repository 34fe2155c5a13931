"""The application of ``crmnet serve``, and its server.

:func:`make_app` joins the API, GAME and the page; :func:`run` starts the processes, serves until
Ctrl-C, and ends them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from crmnet.names import printable
from crmnet.serve.connections import timed
from crmnet.serve.errors import ApiError
from crmnet.serve.game import make_game, refusal
from crmnet.serve.job_routes import make_jobs
from crmnet.serve.jobs import Jobs
from crmnet.serve.limits import Limits
from crmnet.serve.model import Model
from crmnet.serve.routes import PREFIX, PlainJson, make_api
from crmnet.serve.safety import Safety

STATIC = Path(__file__).parent / "static"
LOCAL = ("127.0.0.1", "localhost", "[::1]")
"""Names of this machine in a ``Host`` header."""
BACKLOG = 1024
"""Connections that may wait to be accepted."""
STOP_SECONDS = 1
"""Time for open requests to end after Ctrl-C."""


@dataclass(frozen=True)
class ServeOptions:
    """What is served, and where."""

    models: Sequence[str] = ("yeast", "yeast-fast")
    host: str = "127.0.0.1"
    port: int = 8765
    device: str = "auto"
    allowed_hosts: Sequence[str] = ()
    """Further names that the ``Host`` header may have."""
    batch: int | None = None
    """Largest batch of predictions; None means the default."""
    limits: Limits = field(default_factory=Limits)

    @property
    def hosts(self) -> set[str]:
        """Names that the ``Host`` header may have."""
        return {*LOCAL, in_url(self.host), *(name.lower() for name in self.allowed_hosts)}


def in_url(host: str) -> str:
    """A host as URLs and ``Host`` headers write it: an IPv6 address stands in brackets."""
    return f"[{host.lower()}]" if ":" in host else host.lower()


def make_app(options: ServeOptions, model: Model, jobs: Jobs) -> FastAPI:
    """The application; ``model`` answers its requests, ``jobs`` runs its designs."""
    app = FastAPI(
        title="crmnet", version="1", openapi_url=f"{PREFIX}/openapi.json", docs_url=None,
        redoc_url=None, description="Predict, explain and design yeast promoter expression.",
    )  # fmt: skip
    app.include_router(make_api(model, options.limits))
    app.include_router(make_jobs(jobs, model, options.limits))
    app.include_router(make_game(model, options.limits))
    _add_errors(app)

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(STATIC / "index.html")

    @app.get(f"{PREFIX}/docs", include_in_schema=False)
    async def documentation() -> Response:
        return FileResponse(STATIC / "api.html")

    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_middleware(
        Safety, limits=options.limits, hosts=options.hosts,
        game_form=lambda error: refusal(error, model),
    )  # fmt: skip
    return app


def _add_errors(app: FastAPI) -> None:
    """Answer every error in one form."""

    @app.exception_handler(ApiError)
    async def known(request: Request, error: ApiError) -> Response:
        return PlainJson(error.body(), error.status, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        own = _validation(error)
        return PlainJson(own.body(), own.status)

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> Response:
        own = ApiError(error.status_code, _CODES.get(error.status_code, "error"), str(error.detail))
        return PlainJson(own.body(), own.status, error.headers)


_CODES = {400: "unreadable", 404: "not_found", 405: "method"}


def _validation(error: RequestValidationError) -> ApiError:
    """The first fault of a request as one sentence."""
    first = error.errors()[0]
    parts = [part for part in first["loc"] if part != "body"]
    if first["type"] == "json_invalid":
        return ApiError(400, "unreadable", f"the body is not JSON: {first['ctx']['error']}")
    place = ""
    for part in parts:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    place = printable(place)[:100]
    message = f"{place}: {first['msg']}" if place else str(first["msg"])
    return ApiError(422, "invalid", message, field=place or None)


class Server(uvicorn.Server):
    """A server that ends on Ctrl-C and SIGTERM without an error."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle the signals until the server ends."""
        kinds = (signal.SIGINT, signal.SIGTERM)
        before = {kind: signal.signal(kind, self.handle_exit) for kind in kinds}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on an address.

    Raises:
        ValueError: If the port is in use, or the address is not one of this machine.
    """
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    # With the protocol named, asyncio sends each piece at once (TCP_NODELAY); otherwise the second
    # answer on a connection waits 40 ms for the client's system to confirm the first piece.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(BACKLOG)  # requests wait from now on, until the server answers them
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise ValueError(f"port {port} is in use; choose another with --port") from error
        raise ValueError(f"cannot listen on {in_url(host)}:{port}: {error.strerror}") from error
    return listening


def run(options: ServeOptions, on_ready: Callable[[str], None] = lambda url: None) -> None:
    """Serve until Ctrl-C.

    Args:
        options: What is served, and where.
        on_ready: Called with the address when requests are answered.

    Raises:
        ValueError: If a model cannot be loaded, or the port is in use.
    """
    with listen(options.host, options.port) as listening, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options, listening, on_ready))


async def serve(
    options: ServeOptions, listening: socket.socket, on_ready: Callable[[str], None]
) -> None:
    """Serve on a socket until the server is told to end."""
    model = Model(options.models, options.device, options.limits, options.batch)
    jobs = None
    try:
        await model.start()
        jobs = Jobs(model.paths, options.device, options.limits)
        app = make_app(options, model, jobs)
        server = Server(configuration(app, options.limits))
        port = listening.getsockname()[1]
        on_ready(f"http://{in_url(options.host)}:{port}/")
        await server.serve(sockets=[listening])
    finally:
        if jobs is not None:
            await jobs.close()
        await model.stop()


def configuration(app: Any, limits: Limits) -> uvicorn.Config:
    """Settings of the HTTP server."""
    return uvicorn.Config(
        app, http=timed(limits), loop="asyncio", ws="none", lifespan="off", log_level="warning",
        access_log=False, server_header=False, proxy_headers=False, timeout_keep_alive=15,
        timeout_graceful_shutdown=STOP_SECONDS, backlog=BACKLOG,
    )  # fmt: skip
