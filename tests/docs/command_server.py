"""Runs ``crmnet`` commands in forks of one process, so that each starts at once.

    python command_server.py SOCKET URL

A small program named ``crmnet`` (:func:`write_client`) sends its words, folder, environment and
standard streams to the socket, and ends with the status of the command. Importing torch once for
all blocks saves several minutes. Public data sets come from the server at ``URL``
(:mod:`public_data`). Commands that would take long run in a smaller form (:mod:`smaller`).
The examples of a page are alternatives with the same names, so an output that exists is replaced.
``crmnet serve`` returns when the server answers; it runs until the next, or the end of the page.
"""

from __future__ import annotations

import array
import contextlib
import itertools
import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

CLIENT = """\
#!{python} -SE
import array, json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.connect({address!r})
    request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    streams = array.array("i", [0, 1, 2])
    server.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    sys.exit(int(server.recv(16) or 70))
"""
REQUEST_BYTES = 1 << 17
OUTPUTS = ("-o", "--output", "--held-out", "--plot", "--matrix")


def write_client(folder: Path, address: str) -> None:
    """Write the program ``crmnet`` that talks to the server at ``address``."""
    program = folder / "crmnet"
    program.write_text(CLIENT.format(python=sys.executable, address=address))
    program.chmod(0o755)


def serve(address: str) -> None:
    """Answer requests until the process is ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forks leave no zombies
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen(16)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _answer(connection)
            connection.close()


def _answer(connection: socket.socket) -> None:
    """Run the requested command in another fork and send its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size = array.array("i").itemsize
    request, rights, *_ = connection.recvmsg(REQUEST_BYTES, socket.CMSG_SPACE(3 * size))
    streams = array.array("i", rights[0][2])
    words, folder, environment = json.loads(request)
    if words[:1] == ["serve"] and "--help" not in words:
        for stream in streams:
            os.close(stream)  # a server that kept them open would hold up the reader of the output
        connection.send(str(_start_server(words, folder, environment)).encode())
        os._exit(0)
    if (pid := os.fork()) == 0:
        connection.close()
        os._exit(_run(words, folder, environment, streams))
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(pid)
    if connection in select.select([connection, ended], [], [])[0]:  # the client has gone
        os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    connection.send(str(status).encode())
    os._exit(0)


def _run(words: list[str], folder: str, environment: dict[str, str], streams: list[int]) -> int:
    import smaller

    from crmnet import cli
    from crmnet.process import flush_output

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    remove_outputs(words)
    sys.argv = ["crmnet", *smaller.smaller(words)]
    status = 0
    try:
        cli.main()
    except SystemExit as stop:
        status = int(stop.code or 0)
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        status = 70
    if status == 1 and "--fail-on-leak" in words:
        status = 0  # the examples have leaks
    return flush_output(status)


def _start_server(words: list[str], folder: str, environment: dict[str, str]) -> int:
    """Start ``crmnet serve`` and wait until it answers; its process id goes into a file."""
    started = Path(environment["DOCS_SERVERS"])
    end_servers(started)
    if (pid := os.fork()) == 0:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        os._exit(_run(words, folder, environment, [null, null, null]))
    started.write_text(str(pid))
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", int(environment["DOCS_PORT"])), 1).close()
            return 0
        time.sleep(0.05)
    return 70


def end_servers(started: Path) -> None:
    """End the server whose process id is in the file, if there is one."""
    if started.exists():
        with contextlib.suppress(ProcessLookupError):
            pid = int(started.read_text())
            for number in (*[signal.SIGTERM] * 100, signal.SIGKILL):
                os.killpg(pid, number)
                time.sleep(0.05)
        started.unlink()


def remove_outputs(words: list[str]) -> None:
    """Remove what the command is going to write, unless it reads or continues it."""
    if {"--resume", "--overwrite"} & set(words):
        return
    for option, path in itertools.pairwise(words):
        if option in OUTPUTS and words[1:].count(path) == 1 and Path(path).exists():
            if Path(path).is_dir():
                shutil.rmtree(path)
            elif Path(path).is_file():
                Path(path).unlink()


if __name__ == "__main__":
    import public_data
    import smaller
    from fault_drill.processes import import_all_modules

    import_all_modules()
    smaller.shrink_profiles()
    public_data.point_cards_to(sys.argv[2])
    serve(sys.argv[1])
