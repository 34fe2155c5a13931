"""A process of the server: one start, also if several ask at the same time."""

import asyncio

import pytest

from crmnet.serve.child import Child


class FakeProcess:
    """A process that runs until it is killed."""

    def __init__(self):
        self.stdin, self.stdout, self.returncode = self, asyncio.StreamReader(), None

    def write(self, content):
        pass

    def kill(self):
        self.returncode = -9
        self.stdout.feed_eof()

    async def wait(self):
        return self.returncode


@pytest.fixture
def processes(monkeypatch):
    """The processes that were started; each start takes a moment."""
    started = []

    async def create(*words, **options):
        await asyncio.sleep(0.01)
        started.append(FakeProcess())
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", create)
    return started


def child():
    return Child("module", {}, lambda message: None, lambda: None)


def test_two_starts_at_the_same_time_start_one_process(processes):
    async def test():
        one = child()
        await asyncio.gather(one.start(), one.start())
        assert len(processes) == 1 and one.process is processes[0]
        await one.stop()

    asyncio.run(test())
    assert [process.returncode for process in processes] == [-9]


def test_a_stop_during_the_start_ends_the_process(processes):
    async def test():
        one = child()
        start = asyncio.create_task(one.start())
        await asyncio.sleep(0)
        await one.stop()
        await start
        await one.start()

    asyncio.run(test())
    assert [process.returncode for process in processes] == [-9]


def test_a_process_that_ends_is_started_again_and_that_is_reported(processes, monkeypatch):
    monkeypatch.setattr("crmnet.serve.child.RESTART_SECONDS", (0.01,))
    events = []

    async def test():
        one = Child("module", {}, events.append, lambda: events.append("end"),
                    lambda: events.append(f"restart, running {one.is_running}"))  # fmt: skip
        assert not one.is_running
        await one.start()
        assert one.is_running
        processes[0].kill()
        assert not one.is_running
        while len(events) < 2:
            await asyncio.sleep(0.01)
        await one.stop()

    asyncio.run(test())
    assert events == ["end", "restart, running True"] and len(processes) == 2
