"""Addresses of a server: as printed, as browsers send them, and which are of this computer."""

import asyncio

import pytest

from crmnet.serve import app
from crmnet.serve.app import ServeOptions
from crmnet.serve.safety import host_name


class FakeSocket:
    def getsockname(self):
        return "::", 8765, 0, 0


class FakeModel:
    """A model process that starts at once."""

    def __init__(self, *_):
        self.paths = {}

    async def start(self):
        pass

    stop = start


class FakeServer:
    def __init__(self, _):
        pass

    async def serve(self, sockets):
        pass


@pytest.mark.parametrize(
    ("host", "name"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("FE80::1", "[fe80::1]"), ("My.pc", "my.pc")],
)
def test_the_address_is_one_that_browsers_open(monkeypatch, host, name):
    monkeypatch.setattr(app, "Model", FakeModel)
    monkeypatch.setattr(app, "Server", FakeServer)
    monkeypatch.setattr(app, "make_app", lambda *_: None)
    found, options = [], ServeOptions(host=host)
    asyncio.run(app.serve(options, FakeSocket(), found.append))
    assert found == [f"http://{name}:8765/"]
    assert host_name(f"{name}:8765") in options.hosts


@pytest.mark.parametrize(
    ("host", "warning"),
    [("::1", ""), ("localhost", ""), ("127.0.0.1", ""), ("::", "reaches [::]:8765 "),
     ("0.0.0.0", "reaches 0.0.0.0:8765 ")],
)  # fmt: skip
def test_only_other_addresses_than_those_of_this_computer_are_warned_of(
    crmnet, monkeypatch, host, warning
):
    monkeypatch.setattr(app, "run", lambda *_: None)
    status, _, err = crmnet("serve", "--host", host)
    assert status == 0 and warning in err and bool(err) == bool(warning)
