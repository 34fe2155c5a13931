"""Jobs: queue, limits, progress, stop, and a process that ends."""

import asyncio
import json

import pytest

from crmnet.serve import jobs as module
from crmnet.serve.errors import ApiError
from crmnet.serve.jobs import Jobs
from crmnet.serve.limits import Limits

RESULT = {"designs": [], "summary": [], "order_tsv": "", "files": {"order.tsv": "name\n"}}


class FakeChild:
    """The design process as the server sees it."""

    def __init__(self, name, settings, on_message, on_end, on_restart):
        self.on_message, self.on_restart = on_message, on_restart
        self.end, self.is_running = on_end, True
        self.sent, self.killed, self.stopped = [], 0, False

    async def start(self):
        pass

    def send(self, message):
        self.sent.append(message)

    def on_end(self):
        self.is_running = False
        self.end()

    def restart(self):
        self.is_running = True
        self.on_restart()

    def kill(self):
        self.killed += 1

    async def stop(self):
        self.stopped = True


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(module, "Child", FakeChild)
    return Jobs({}, "cpu", Limits(jobs_per_client=2, jobs=3, kept_jobs=2, job_seconds=60))


def run(function):
    asyncio.run(function())


def finish(server, job, **more):
    server.child.on_message({"job": job.name, "stopped": False, "result": dict(RESULT), **more})


def test_jobs_run_one_after_another(server):
    async def test():
        first, second = [await server.start("a", {"n": number}, None) for number in (1, 2)]
        assert (first.state, second.state) == ("running", "queued")
        assert [message["request"] for message in server.child.sent] == [{"n": 1}]
        server.child.on_message({"job": first.name, "progress": {"step": 1}})
        assert first.progress == {"step": 1}
        finish(server, first)
        assert (first.state, second.state) == ("done", "running")
        assert first.files == {"order.tsv": "name\n"} and "files" not in first.result
        assert server.child.sent[-1]["seconds"] == 60

    run(test)


def test_limits_of_jobs(server):
    async def test():
        for _ in range(2):
            await server.start("a", {}, None)
        with pytest.raises(ApiError, match="2 designs") as error:
            await server.start("a", {}, None)
        assert (error.value.status, error.value.limit) == (429, 2)
        await server.start("b", {}, None)
        with pytest.raises(ApiError) as error:
            await server.start("c", {}, None)
        assert (error.value.status, error.value.limit) == (503, 3)
        assert error.value.headers["Retry-After"] == "30"
        with pytest.raises(ApiError, match="60 seconds") as error:
            await server.start("d", {}, 61)
        assert (error.value.status, error.value.limit) == (422, 60)

    run(test)


def test_a_job_that_ends_makes_place(server):
    async def test():
        jobs = [await server.start("a", {}, None) for _ in range(2)]
        finish(server, jobs[0])
        await server.start("a", {}, None)

    run(test)


def test_stopping(server):
    async def test():
        first, second = [await server.start("a", {}, None) for _ in range(2)]
        server.stop(second)
        assert second.state == "stopped" and second.result is None
        server.stop(first)
        assert first.state == "running" and server.child.sent[-1] == {"stop": first.name}
        finish(server, first, stopped=True)
        assert first.state == "stopped" and first.result is not None
        server.stop(first)
        assert first.state == "stopped" and len(server.child.sent) == 2

    run(test)


def test_a_failed_job_says_why(server):
    async def test():
        job = await server.start("a", {}, None)
        error = {"code": "invalid", "message": "no enzyme EcoRX"}
        server.child.on_message({"job": job.name, "error": error})
        assert job.state == "failed" and job.error["message"] == "no enzyme EcoRX"
        assert job.answer()["error"]["limit"] is None

    run(test)


def test_a_killed_process_fails_its_job_only(server):
    async def test():
        first, second = [await server.start("a", {}, None) for _ in range(2)]
        server.child.on_end()
        third = await server.start("b", {}, None)
        assert [job.state for job in (first, second, third)] == ["failed", "queued", "queued"]
        assert len(server.child.sent) == 1  # a message would be lost while the process restarts
        server.child.restart()
        assert [job.state for job in (second, third)] == ["running", "queued"]
        assert server.child.sent[-1]["job"] == second.name

    run(test)


def test_a_job_that_takes_too_long_is_killed(server, monkeypatch):
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.0)

    async def test():
        await server.start("a", {}, 0.05)
        await asyncio.sleep(0.2)
        assert server.child.killed == 1

    run(test)


def test_the_time_limit_of_a_job_ends_with_its_process(server, monkeypatch):
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.0)

    async def test():
        await server.start("a", {}, 0.05)
        server.child.on_end()
        assert server.timer is None
        server.child.restart()
        job = await server.start("a", {}, 60)
        await asyncio.sleep(0.1)
        assert job.state == "running" and server.child.killed == 0
        finish(server, job)
        assert server.timer is None

    run(test)


def test_old_jobs_are_forgotten(server):
    async def test():
        names = []
        for _ in range(4):
            job = await server.start("a", {}, None)
            names.append(job.name)
            finish(server, job)
        assert list(server.jobs) == names[2:]
        with pytest.raises(ApiError, match="60 minutes") as error:
            server.get(names[0])
        assert error.value.status == 404

    run(test)


def test_events_are_those_of_the_job(server):
    async def test():
        job = await server.start("a", {}, None)
        found = []

        async def listen():
            async for text in server.events(job):
                found.append(text)

        listener = asyncio.create_task(listen())
        await asyncio.sleep(0)
        server.child.on_message({"job": job.name, "progress": {"step": 1}})
        await asyncio.sleep(0.01)
        assert server.streams == 1
        finish(server, job)
        await asyncio.wait_for(listener, 1)
        kinds = [text.partition("\n")[0] for text in found]
        assert kinds == ["event: progress", "event: progress", "event: done"]
        last = json.loads(found[-1].partition("data: ")[2])
        assert last["state"] == "done" and found[-1].endswith("\n\n")
        assert server.streams == 0

    run(test)


def test_a_silent_job_shows_that_it_lives(server, monkeypatch):
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.02)

    async def test():
        job = await server.start("a", {}, None)
        stream = server.events(job)
        assert (await anext(stream)).startswith("event: progress")
        assert (await anext(stream)).startswith(":")
        await stream.aclose()
        assert server.streams == 0

    run(test)


def test_streams_end_with_the_server(server):
    async def test():
        job = await server.start("a", {}, None)
        stream = server.events(job)
        await anext(stream)
        waiting = asyncio.ensure_future(anext(stream, None))
        await asyncio.sleep(0.01)
        await server.close()
        assert await asyncio.wait_for(waiting, 1) is None
        assert server.child.stopped

    run(test)


def test_names_of_jobs_cannot_be_guessed(server):
    async def test():
        names = set()
        for _ in range(20):
            job = await server.start("a", {}, None)
            names.add(job.name)
            finish(server, job)
        assert len(names) == 20 and all(len(name) == 16 for name in names)

    run(test)
