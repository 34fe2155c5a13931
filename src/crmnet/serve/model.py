"""The model process as the server sees it: :class:`Model` sends requests and waits for answers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

from crmnet.serve.child import Child
from crmnet.serve.errors import ApiError, busy
from crmnet.serve.limits import Limits

MODULE = "crmnet.serve.worker"


class Model:
    """Requests to the model process, at most :attr:`Limits.queue` at a time.

    Args:
        models: Paths or names of the models; the first is the default.
        device: As for :meth:`crmnet.prediction.predictor.Predictor.load`.
        limits: Limits of the server.
        batch: Largest batch; None means the default.
    """

    def __init__(
        self, models: Sequence[str], device: str, limits: Limits, batch: int | None = None
    ) -> None:
        settings = {"models": list(models), "device": device, "batch": batch}
        self.child = Child(MODULE, settings, self._on_message, self._on_end)
        self.limits = limits
        self.numbers = itertools.count(1)
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.about: dict[str, Any] = {}
        self.cards: dict[str, Any] = {}
        self.names: list[str] = []
        """Models of the server, then other bundled models, which designs can use."""
        self.state = "starting"
        self.paths: dict[str, str] = {}
        """Name → path of the models of the server."""
        self.first: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Start the process and wait until it has loaded the models.

        Raises:
            ValueError: If a model cannot be loaded.
        """
        self.first = asyncio.get_running_loop().create_future()
        await self.child.start()
        await self.first

    async def stop(self) -> None:
        """End the process."""
        await self.child.stop()
        self._fail("the server stops")

    async def call(self, kind: str, body: dict[str, Any]) -> Any:
        """The answer to a request.

        Raises:
            ApiError: If the request is invalid, or cannot be answered now.
        """
        if len(self.waiting) >= self.limits.queue:
            raise busy(
                f"{self.limits.queue} requests are waiting already; try again in a second",
                self.limits.queue,
            )
        number = next(self.numbers)
        answer = asyncio.get_running_loop().create_future()
        self.waiting[number] = answer
        self.child.send({"id": number, "kind": kind, "body": body})
        try:
            async with asyncio.timeout(self.limits.answer_seconds):
                return await answer
        except TimeoutError:
            raise busy(
                f"the model did not answer within {self.limits.answer_seconds:g} seconds",
                self.limits.answer_seconds,
                5,
            ) from None
        finally:
            if self.waiting.pop(number, None) is not None and not _is_done(answer):
                self.child.send({"cancel": number})

    def _on_message(self, message: dict[str, Any]) -> None:
        if "event" in message:
            self._on_event(message)
            return
        answer = self.waiting.get(message["id"])
        if answer is None or answer.done():
            return
        if "error" in message:
            error = message["error"]
            status = 422 if error["code"] == "invalid" else 503
            retry = None if status == 422 else 1
            answer.set_exception(
                ApiError(
                    status, error["code"], error["message"], field=error["field"], retry_after=retry
                )
            )
        else:
            answer.set_result(message["ok"])

    def _on_event(self, message: dict[str, Any]) -> None:
        assert self.first is not None
        if message["event"] == "ready":
            self.about, self.cards, self.state = message["about"], message["cards"], "ready"
            self.names = list(dict.fromkeys([*message["paths"], *message["bundled"]]))
            self.paths = message["paths"]
            if not self.first.done():
                self.first.set_result(None)
        elif not self.first.done():
            self.child.stopped = True
            self.first.set_exception(ValueError(message["message"]))

    def _on_end(self) -> None:
        self.state = "restarting"
        self._fail("the model process ended and is started again; try again in a few seconds")
        if self.first is not None and not self.first.done():
            self.child.stopped = True
            self.first.set_exception(RuntimeError("the model process ended while it started"))

    def _fail(self, message: str) -> None:
        for answer in self.waiting.values():
            if not answer.done():
                answer.set_exception(ApiError(503, "restarting", message, retry_after=3))


def _is_done(answer: asyncio.Future[Any]) -> bool:
    return answer.done() and not answer.cancelled()
