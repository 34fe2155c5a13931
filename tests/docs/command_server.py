"""Runs ``crmnet`` commands in forks of one process, so that each starts at once.

    python command_server.py SOCKET URL

A small program named ``crmnet`` (:func:`write_client`) sends its words, folder, environment and
standard streams to the socket, and ends with the status of the command. Importing torch once for
all blocks saves several minutes. Public data sets come from the server at ``URL``
(:mod:`public_data`). Commands that would take long run in a smaller form (:mod:`smaller`).
The examples of a page are alternatives with the same names, so an output that exists is replaced.
"""

from __future__ import annotations

import array
import itertools
import json
import os
import select
import shutil
import signal
import socket
import sys
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
    if (pid := os.fork()) == 0:
        connection.close()
        os._exit(_run(*json.loads(request), streams))
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(pid)
    if connection in select.select([connection, ended], [], [])[0]:  # the client has gone
        os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    connection.send(str(status).encode())
    os._exit(0)


def _run(words: list[str], folder: str, environment: dict[str, str], streams: list[int]) -> int:
    from smaller import smaller

    from crmnet import cli
    from crmnet.process import flush_output

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    remove_outputs(words)
    sys.argv = ["crmnet", *smaller(words)]
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
    from fault_drill.processes import import_all_modules

    import_all_modules()
    public_data.point_cards_to(sys.argv[2])
    serve(sys.argv[1])
