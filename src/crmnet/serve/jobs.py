"""Designs that clients have started: queue, progress, stop, results.

The design process (:mod:`crmnet.serve.design`) runs one job at a time; it starts with the first
job. A job keeps its result for some time, so that a page can be closed and opened again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from crmnet.serve.child import Child
from crmnet.serve.errors import ApiError, busy
from crmnet.serve.limits import Limits

log = logging.getLogger("crmnet")

MODULE = "crmnet.serve.design"
GRACE_SECONDS = 120.0
"""Time that a job may take beyond its search, to load models and to judge the designs."""
HEARTBEAT_SECONDS = 15.0
"""Seconds between two signs of life in a stream of events."""
ENDED = ("done", "stopped", "failed")


@dataclass
class Job:
    """A design that a client has started."""

    client: str
    request: dict[str, Any]
    seconds: float
    """Longest search."""
    name: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: str = "queued"
    progress: dict[str, Any] = field(
        default_factory=lambda: {"step": 0, "steps": None, "best": None, "history": []}
    )
    result: dict[str, Any] | None = None
    files: dict[str, str] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    ended: float = 0.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at each change; whoever waits takes a new one (:meth:`change`)."""

    def change(self, **values: Any) -> None:
        """Change fields, and wake everyone who waits for a change."""
        for name, value in values.items():
            setattr(self, name, value)
        if self.state in ENDED and not self.ended:
            self.ended = time.monotonic()
        self.changed.set()
        self.changed = asyncio.Event()

    def answer(self) -> dict[str, Any]:
        """The job as the API answers it."""
        return {
            "job": self.name, "state": self.state, "progress": self.progress,
            "result": self.result, "error": self.error,
        }  # fmt: skip


class Jobs:
    """The jobs of a server.

    Args:
        paths: Name → path of the models of the server.
        device: As for the model process.
        limits: Limits of the server.
    """

    def __init__(self, paths: dict[str, str], device: str, limits: Limits) -> None:
        settings = {"paths": paths, "device": device}
        self.child = Child(MODULE, settings, self._on_message, self._on_end, self._next)
        self.limits = limits
        self.jobs: dict[str, Job] = {}
        self.running: Job | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.streams = 0
        self.closing = False

    @property
    def open(self) -> list[Job]:
        """Jobs that wait or run, in order."""
        return [job for job in self.jobs.values() if job.state not in ENDED]

    async def start(self, client: str, request: dict[str, Any], seconds: float | None) -> Job:
        """Add a job.

        Raises:
            ApiError: If a limit of jobs is reached.
        """
        limits = self.limits
        if seconds is not None and seconds > limits.job_seconds:
            raise ApiError(
                422, "too_long", f"a search may take at most {limits.job_seconds:g} seconds",
                limit=limits.job_seconds, field="seconds",
            )  # fmt: skip
        if sum(job.client == client for job in self.open) >= limits.jobs_per_client:
            raise ApiError(
                429, "too_many_jobs",
                f"you have {limits.jobs_per_client} designs that wait or run; stop one, or wait",
                limit=limits.jobs_per_client, retry_after=10,
            )  # fmt: skip
        if len(self.open) >= limits.jobs:
            raise busy(f"{limits.jobs} designs wait or run already", limits.jobs, 30)
        self._forget()
        job = Job(client, request, seconds or limits.job_seconds)
        self.jobs[job.name] = job
        await self.child.start()
        self._next()
        return job

    def get(self, name: str) -> Job:
        """A job by its name.

        Raises:
            ApiError: If there is none.
        """
        if name not in self.jobs:
            raise ApiError(404, "no_job", "there is no such design; finished ones are kept for "
                           f"{self.limits.kept_seconds / 60:g} minutes")  # fmt: skip
        return self.jobs[name]

    def stop(self, job: Job) -> None:
        """Stop a job; one that runs keeps its best designs."""
        if job.state == "queued":
            job.change(state="stopped")
        elif job.state == "running":
            self.child.send({"stop": job.name})

    def _forget(self) -> None:
        """Remove finished jobs that are too old or too many."""
        ended = sorted((job for job in self.jobs.values() if job.ended), key=lambda job: job.ended)
        oldest = time.monotonic() - self.limits.kept_seconds
        surplus = max(0, len(ended) + 1 - self.limits.kept_jobs)
        for number, job in enumerate(ended):
            if number < surplus or job.ended < oldest:
                del self.jobs[job.name]

    def _next(self) -> None:
        """Run the next job, if none is running; while the process restarts, jobs wait."""
        waiting = [job for job in self.jobs.values() if job.state == "queued"]
        if self.running is not None or not waiting or not self.child.is_running:
            return
        job = self.running = waiting[0]
        job.change(state="running")
        self.child.send({"job": job.name, "request": job.request, "seconds": job.seconds})
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(job.seconds + GRACE_SECONDS, self.child.kill)

    def _on_message(self, message: dict[str, Any]) -> None:
        job = self.running
        if job is None or message["job"] != job.name:
            return
        if "progress" in message:
            job.change(progress=message["progress"])
        elif "error" in message:
            self._end(job, state="failed", error={"limit": None, "field": None, **message["error"]})
        else:
            files = message["result"].pop("files")
            state = "stopped" if message["stopped"] else "done"
            self._end(job, state=state, result=message["result"], files=files)

    def _end(self, job: Job, **values: Any) -> None:
        self._release()
        job.change(**values)
        self._next()

    def _release(self) -> None:
        """No job runs any more; its time limit must not end the process of another one."""
        if self.timer is not None:
            self.timer.cancel()
        self.running, self.timer = None, None

    def _on_end(self) -> None:
        """The process was killed: its job fails, the next one waits for the new process."""
        if self.running is not None:
            text = "the process that designs ended or took too long; start the design again"
            error = {"code": "restarting", "message": text, "limit": None, "field": None}
            job = self.running
            self._release()
            job.change(state="failed", error=error)

    async def events(self, job: Job) -> AsyncIterator[str]:
        """Server-sent events of a job until it ends."""
        self.streams += 1
        try:
            while not self.closing:
                changed = job.changed
                yield _event(job)
                if job.state in ENDED:
                    return
                while not changed.is_set() and not self.closing:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(changed.wait(), HEARTBEAT_SECONDS)
                        break
                    yield ": still here\n\n"
        finally:
            self.streams -= 1

    def check_streams(self) -> None:
        """Refuse another stream of events if there are too many.

        Raises:
            ApiError: If the limit is reached.
        """
        if self.streams >= self.limits.streams:
            raise busy("too many streams of events are open", self.limits.streams, 5)

    async def close(self) -> None:
        """End the process; streams of events end."""
        self.closing = True
        for job in self.jobs.values():
            job.change()
        await self.child.stop()


def _event(job: Job) -> str:
    kind = {"done": "done", "stopped": "done", "failed": "failed"}.get(job.state, "progress")
    return f"event: {kind}\ndata: {json.dumps(job.answer(), separators=(',', ':'))}\n\n"
