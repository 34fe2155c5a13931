"""Requests that are not from here, too large or too slow are refused before they are read."""

import asyncio
import json

import pytest

from crmnet.serve.errors import ApiError
from crmnet.serve.limits import Limits
from crmnet.serve.routes import check_promoters
from crmnet.serve.safety import POLICY, Safety, host_name
from crmnet.serve.schemas import Promoter

SMALL = Limits(body_bytes=100, game_body_bytes=200, bodies_bytes=250, body_seconds=0.2)
HOSTS = {"127.0.0.1", "localhost", "[::1]"}


async def echo(scope, receive, send):
    """An application that answers with the body that it got."""
    message = await receive()
    assert not message.get("more_body")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


def safety(app=echo, limits=SMALL):
    return Safety(app, limits, HOSTS, lambda error: {"error": [{"key": error.message}]})


def scope(method="POST", path="/api/v1/predict", **headers):
    named = {"host": "127.0.0.1:8765", "content_type": "application/json", **headers}
    raw = [(name.replace("_", "-").encode(), value.encode())
           for name, value in named.items() if value is not None]  # fmt: skip
    return {"type": "http", "method": method, "path": path, "headers": raw}


def ask(of_scope, *parts, app=None, end=True):
    """Status, headers and body of the answer to a request whose body comes in parts."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if end:
        messages.append({"type": "http.request", "body": b"", "more_body": False})
    sent = []

    async def receive():
        if messages:
            return messages.pop(0)
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    app = app or safety()
    asyncio.run(app(of_scope, receive, send))
    assert app.reading == 0  # whatever happened, the body is counted no more
    if not sent:
        return None
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


def error_of(answer):
    return answer[0], json.loads(answer[2])["error"]


def test_a_body_arrives_complete_with_the_headers_of_safety():
    status, headers, body = ask(scope(), b"one", b" two")
    assert (status, body) == (200, b"one two")
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"


@pytest.mark.parametrize("word", ["unsafe-inline", "unsafe-eval", "http:", "https:", "*"])
def test_the_policy_allows_no_script_but_files(word):
    assert word not in POLICY
    assert "default-src 'none'" in POLICY


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8765", "LOCALHOST:1", "[::1]:8765", "localhost."]
)
def test_names_of_this_machine_are_accepted(host):
    assert ask(scope(host=host))[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", None, "a:b:c"])
def test_another_host_is_refused(host):
    status, error = error_of(ask(scope(host=host)))
    assert status == 400 and error["code"] == "host"


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://127.0.0.1:8765", 200), ("http://127.0.0.1:80", 403), ("https://evil.example", 403),
     ("null", 403)],
)  # fmt: skip
def test_other_pages_are_refused(origin, status):
    assert ask(scope(origin=origin))[0] == status


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "", None,
                                  "application/msgpack"])  # fmt: skip
def test_a_body_of_another_type_is_refused(kind):
    status, error = error_of(ask(scope(content_type=kind)))
    assert status == 415 and "application/json" in error["message"]


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON"])
def test_a_charset_is_no_fault(kind):
    assert ask(scope(content_type=kind))[0] == 200


def test_game_takes_messagepack_and_no_type():
    for kind in ("application/msgpack", None):
        assert ask(scope(path="/predict", content_type=kind))[0] == 200


def test_an_announced_large_body_is_not_read():
    status, error = error_of(ask(scope(content_length="101"), end=False))
    assert (status, error["code"], error["limit"]) == (413, "too_large", 100)
    assert "100 bytes" in error["message"]


@pytest.mark.parametrize("length", ["-1", "x", "1" * 50, "٣"])
def test_a_nonsense_length_is_refused(length):
    named = scope()
    named["headers"].append((b"content-length", length.encode()))
    assert ask(named)[0] == 413


def test_a_body_without_a_length_is_cut_off_at_the_limit():
    assert ask(scope(), b"x" * 100)[0] == 200
    assert ask(scope(), b"x" * 60, b"x" * 41)[0] == 413
    assert ask(scope(path="/predict"), b"x" * 200)[0] == 200


def test_an_error_of_game_has_its_form():
    status, error = error_of(ask(scope(path="/predict"), b"x" * 201))
    assert status == 413 and error == [{"key": "a request may have at most 200 bytes"}]


def test_a_slow_body_is_given_up():
    status, error = error_of(ask(scope(content_length="10"), b"x", end=False))
    assert (status, error["limit"]) == (408, 0.2)


def test_bodies_of_all_requests_are_limited():
    app = safety()
    app.reading = 240
    named = scope(content_length="20")
    with pytest.raises(AssertionError):  # of the helper: the other requests are still counted
        ask(named, b"x" * 20, app=app)
    assert app.reading == 240
    with pytest.raises(ApiError) as error:
        app.reserve({"content-length": "20"}, "/api/v1/predict")
    assert (error.value.status, error.value.headers) == (503, {"Retry-After": "1"})


def test_a_client_that_leaves_gets_no_answer():
    messages = [{"type": "http.request", "body": b"x", "more_body": True},
                {"type": "http.disconnect"}]  # fmt: skip

    async def receive():
        return messages.pop(0)

    async def send(message):
        raise AssertionError("nobody is there")

    app = safety()
    asyncio.run(app(scope(), receive, send))
    assert app.reading == 0


@pytest.mark.parametrize(
    ("host", "name"),
    [("Localhost:8765", "localhost"), ("[::1]:8765", "[::1]"), ("[::1]", "[::1]"), ("a.b", "a.b"),
     ("", "")],
)  # fmt: skip
def test_the_name_of_a_host(host, name):
    assert host_name(host) == name


@pytest.mark.parametrize("name", ["queue", "body_seconds", "jobs"])
def test_a_limit_is_above_0(name):
    with pytest.raises(ValueError, match=name):
        Limits(**{name: 0})


def test_a_sequence_that_is_too_long_is_named():
    asked = [Promoter(id="short", sequence="ACGT"), Promoter(id="long", sequence="A" * 1001)]
    with pytest.raises(ApiError, match=r"at most 1,000 bases; got 1,001 in 'long'$") as error:
        check_promoters(Limits(), asked)
    assert error.value.field == "promoters[1].sequence"
    with pytest.raises(ApiError, match=r"got 1,001 in '1'$"):
        check_promoters(Limits(), [Promoter(sequence="A" * 1001)])
