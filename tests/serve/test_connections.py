"""Connections: slow clients are disconnected, and too many are refused."""

import asyncio
import json
import re
import socket

import uvicorn
from uvicorn.server import ServerState

from crmnet.serve.app import Server, configuration, listen
from crmnet.serve.connections import timed
from crmnet.serve.limits import Limits
from crmnet.serve.safety import POLICY


def test_slow_headers_are_given_up():
    class Transport:
        aborted = False

        def abort(self):
            self.aborted = True

        def get_extra_info(self, name):
            return None

        def set_write_buffer_limits(self, **limits):
            pass

    async def test():
        limits = Limits(header_seconds=0.05, reading_seconds=0.05)
        config = uvicorn.Config(lambda: None, http=timed(limits), ws="none", lifespan="off")
        for slow in ("headers", "reading"):
            protocol = timed(limits)(config, ServerState(), {})
            transport = Transport()
            protocol.connection_made(transport)
            if slow == "headers":
                protocol.data_received(b"GET / HT")
            else:
                protocol.timer.cancel()
                protocol.pause_writing()
                protocol.resume_writing()
                await asyncio.sleep(0.1)
                assert not transport.aborted
                protocol.pause_writing()
            await asyncio.sleep(0.15)
            assert transport.aborted

    asyncio.run(test())


def test_too_many_connections_are_refused_with_retry_after():
    async def hello(scope, receive, send):
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-length", b"0")]})  # fmt: skip
        await send({"type": "http.response.body", "body": b""})

    async def answer(port):
        streams = await asyncio.open_connection("127.0.0.1", port)
        streams[1].write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        head = (await streams[0].readuntil(b"\r\n\r\n")).decode().lower()
        size = int(re.search(r"content-length: (\d+)", head)[1])
        return streams, head, await streams[0].readexactly(size)

    async def test():
        server = Server(configuration(hello, Limits(connections=2)))
        with listen("127.0.0.1", 0) as listening:
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            opened = [await answer(listening.getsockname()[1]) for _ in range(3)]
            assert ["200" in head.split("\r\n")[0] for _, head, _ in opened] == [True, True, False]
            (reader, _), head, body = opened[2]
            assert head.startswith("http/1.1 503") and "retry-after: 1" in head
            assert POLICY in head and json.loads(body)["error"]["limit"] == 2
            assert await reader.read() == b""  # closed
            opened[0][0][1].close()
            await asyncio.sleep(0.05)
            again = await answer(listening.getsockname()[1])
            assert again[1].startswith("http/1.1 200")
            for streams in (opened[1][0], opened[2][0], again[0]):
                streams[1].close()
            server.should_exit = True
            await serving

    asyncio.run(test())


def test_answers_are_sent_at_once():
    """asyncio sets TCP_NODELAY for connections of a socket whose protocol is named."""
    with listen("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP
