"""A server and a browser for the tests of the page. `make test-page` runs them.

The browser is the system's Chromium, headless. A page fails its test if it logs an error or sends
a request to another host. Chromium also logs each answer 422; that is how the server refuses wrong
input, so it is not an error of the page.
"""

import os
import re
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 375, "height": 800}}
PATIENCE = 180_000
"""Milliseconds to wait for what a page shows; a busy machine is slow."""


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Address of a running `crmnet serve`."""
    log = tmp_path_factory.mktemp("server") / "log"
    command = [sys.executable, "-m", "crmnet", "serve", "--model", "yeast-fast", "--port", "0"]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ.copy()
        ) as process,
    ):
        line = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert address, log.read_text()
        yield address.group()
        process.terminate()


@pytest.fixture(scope="session")
def browser():
    """Chromium, with an empty profile for each context."""
    with sync_playwright() as playwright:
        with playwright.chromium.launch(
            executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE
        ) as chromium:
            yield chromium


@pytest.fixture
def visit(server, browser):
    """Open the page in a new profile: visit(size, colours, fragment)."""
    expect.set_options(timeout=PATIENCE)
    contexts, problems = [], []

    def open_page(size="desktop", colours="light", fragment=""):
        context = browser.new_context(
            viewport=SIZES[size], color_scheme=colours, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda line: problems.extend(errors(line)))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: problems.extend(foreign(request.url)))
        page.goto(f"{server}/{fragment}")
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def errors(line):
    """The text of a line of the console that reports an error."""
    refused = "responded with a status of 422" in line.text
    return [line.text] if line.type == "error" and not refused else []


def foreign(url):
    """The address, unless it is of this server or of the page itself."""
    parts = urlsplit(url)
    here = parts.hostname == "127.0.0.1" or parts.scheme in ("data", "blob")
    return [] if here else [url]


@pytest.fixture(params=[(size, colours) for size in SIZES for colours in ("light", "dark")],
                ids="-".join)  # fmt: skip
def page(request, visit):
    """The page in each size and in light and dark."""
    return visit(*request.param)
