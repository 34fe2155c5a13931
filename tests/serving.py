"""A server that runs in a process of its own, and a small client."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import requests

HIS3 = "TTTTATGCCTCGGTAATGATTTTCATTTTTTTTTTTCCACCTAGCGGATGACTCTTTTTTTTTCTTAGCGATTGGCATTA"
TDH3 = "GCTGAAAAAAAAGGTTGAAACCAGTTCCCTGAAATTATTCCCCTACTTGACTAATAAGTATATAAAGACGGTAGGTATTG"
FAST = {"oracle": "yeast-fast", "judge": "yeast-fast", "ranker": "yeast-fast"}
"""Models of a design that takes seconds."""


class Live:
    """A running server."""

    def __init__(self, process, url):
        self.process, self.url, self.errors = process, url, []
        self.api = f"{url}api/v1"
        self.port = int(re.search(r":(\d+)/", url)[1])
        self.reader = threading.Thread(target=self._drain, daemon=True)
        self.reader.start()

    def _drain(self):
        self.errors.extend(self.process.stderr)

    def get(self, path, **more):
        return requests.get(f"{self.api}/{path}", timeout=60, **more)

    def post(self, path, body, **more):
        return requests.post(f"{self.api}/{path}", json=body, timeout=120, **more)

    def predict(self, *sequences):
        return self.post("predict", {"promoters": [{"sequence": text} for text in sequences]})

    def raw(self, data, wait=5.0):
        """What the server answers to these bytes, until it closes the connection or is silent."""
        with self.connect() as connection:
            connection.sendall(data)
            return read_all(connection, wait)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def children(self):
        """Process ids of the processes that compute."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(path) as file:
            return [int(number) for number in file.read().split()]

    def model_process(self):
        for number in self.children():
            with open(f"/proc/{number}/cmdline") as file:
                if "crmnet.serve.worker" in file.read():
                    return number
        return None

    def until_ready(self, seconds=90):
        end = time.monotonic() + seconds
        while self.get("health").json()["state"] != "ready":
            assert time.monotonic() < end, self.errors
            time.sleep(0.1)

    def stop(self):
        """Ctrl-C; returns the exit status and the seconds that it took."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(timeout=30)
        return status, time.monotonic() - begin


def read_all(connection, wait):
    connection.settimeout(wait)
    found = b""
    try:
        while part := connection.recv(1 << 16):
            found += part
    except (TimeoutError, ConnectionError):  # it may reset the connection after its answer
        pass
    return found


@contextmanager
def running(*options):
    """A server with these options; warnings are errors in it."""
    command = [sys.executable, "-W", "error", "-m", "crmnet", "serve", "--port", "0",
               "--model", "yeast-fast", "--device", "cpu", *map(str, options)]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "CRMNET_DEBUG": "1"}, start_new_session=True,
    )  # fmt: skip
    server = None
    try:
        line = process.stdout.readline()
        found = re.search(r"http://\S+/", line)
        assert found, process.stderr.read()
        server = Live(process, found[0])
        yield server
    finally:
        process.kill()
        process.wait()
        if server is not None:
            server.reader.join()
        process.stdout.close()
        process.stderr.close()


def events(live, job):
    """(event, data) of a job until its stream ends."""
    with requests.get(f"{live.api}/jobs/{job}/events", stream=True, timeout=120) as response:
        kind = None
        for line in response.iter_lines(decode_unicode=True):
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield kind, json.loads(line.removeprefix("data: "))
