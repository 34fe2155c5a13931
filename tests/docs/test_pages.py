"""Every code block of README.md and docs/ runs, and prints what the page shows (`make test-docs`).

The blocks of a page run in order, in one folder with the files of :mod:`material`. Blocks that do
not run are marked in the page (:mod:`pages`) and counted at the end. With ``WRITE_OUTPUT=1`` in the
environment, the outputs that the pages show are replaced by what is printed, not compared.
"""

import contextlib
import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import command_server
import material
import pages
import public_data
import pytest

from crmnet.files import locked

pytestmark = pytest.mark.docs

PAGES = {str(path.relative_to(pages.ROOT)): path for path in pages.page_files()}
LIMIT_S = 900
TESTED_BY_ITSELF = {
    "docs/python.md": "tests/test_docs_python.py",
    "docs/design.md": "tests/test_docs_design.py",
}
"""Pages whose Python blocks another test runs, which checks more than that they run."""


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """The folder with the files of all pages; several test processes share it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with locked(folder / "material", wait=600):
        if not (folder / "material").exists():
            material.make_material(folder / "being-made")
            (folder / "being-made").rename(folder / "material")
    return folder / "material"


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """A folder with the program ``crmnet``, which a server answers."""
    folder = tmp_path_factory.mktemp("programs")
    address = str(folder / "socket")
    command_server.write_client(folder, address)
    paths = [str(pages.ROOT / name) for name in ("tests/docs", "tests", "benchmarks", "src")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1",
                   "PYTHONUTF8": "1"}  # fmt: skip
    with public_data.serve_files(folder / "public") as url:
        command = [sys.executable, command_server.__file__, address, url]
        with subprocess.Popen(command, env=environment) as server:
            try:
                while not Path(address).exists():
                    assert server.poll() is None, "the command server did not start"
                    time.sleep(0.05)
                yield folder
            finally:
                server.terminate()


@pytest.fixture
def place(files, programs, tmp_path, monkeypatch):
    """A page's folder, as working folder, with ``crmnet`` on the path."""
    folder = tmp_path / "page"
    shutil.copytree(files, folder)
    monkeypatch.chdir(folder)
    python = Path(sys.executable).parent
    monkeypatch.setenv("PATH", os.pathsep.join([str(programs), str(python), os.environ["PATH"]]))
    monkeypatch.setenv("CRMNET_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("DOCS_PORT", free_port())
    monkeypatch.setenv("DOCS_SERVERS", str(tmp_path / "servers"))
    yield folder
    command_server.end_servers(tmp_path / "servers")


def free_port():
    """A port on which nobody listens now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def run_shell(block):
    """What a shell block prints, on both streams."""
    lines = [line for line in block.text.splitlines() if pages.why_not(line) is None]
    text = "\n".join(lines).replace("127.0.0.1:8765", f"127.0.0.1:{os.environ['DOCS_PORT']}")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT_S, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{block}: status {done.returncode}\n{done.stdout}"
    return done.stdout


def run_python(block, names):
    """What a Python block prints; ``names`` are those of the page."""
    code = compile("\n" * (block.line - 1) + block.text, block.page, "exec")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, names)
    return printed.getvalue()


def copy_package(folder, monkeypatch):
    """Copy the package to ``folder/src``, where the page changes it; ``crmnet`` runs that copy."""
    shutil.copytree(
        pages.ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__")
    )
    programs = folder / "programs"
    programs.mkdir()
    (programs / "crmnet").write_text(f'#!/bin/sh\nexec {sys.executable} -m crmnet "$@"\n')
    (programs / "crmnet").chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(programs), os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", str(folder / "src"))


def change_package(block, printed):
    """Apply a change that a page shows; the word SHA256 is the checksum that was just printed."""
    if block.target is None:
        subprocess.run(["git", "apply", "--recount", "-"], input=block.text, text=True, check=True)
        return
    path, how = block.target
    text = block.text.partition("\n")[2]
    if "SHA256" in text:
        text = text.replace("SHA256", re.search(r"\b[0-9a-f]{64}\b", printed)[0])
    with open(path, "x" if how == "new file" else "a", encoding="utf-8") as file:
        file.write(text)


def run_page(blocks):
    """Run the blocks of a page; returns the number run by language and of outputs compared."""
    ran, compared, printed, names = Counter(), 0, "", {"__name__": "page"}
    for block in blocks:
        if block.changes_code:
            change_package(block, printed)
        elif block.mark == "not run":
            printed = None
        elif block.language == "sh":
            printed = run_shell(block)
        elif block.language == "python" and block.page not in TESTED_BY_ITSELF:
            printed = run_python(block, names)
        elif block.mark == "output":
            assert printed is not None, f"{block}: the block before it does not run"
            if "WRITE_OUTPUT" in os.environ:
                pages.replace_text(block, printed)
                continue
            missing = pages.difference(block.text, printed)
            assert missing is None, f"{block}: not printed: {missing}\n{printed}"
            compared += 1
        if (block.is_code or block.changes_code) and block.mark != "not run":
            ran["changes of code" if block.changes_code else block.language] += 1
    return ran, compared


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run(page, place, record_property, monkeypatch):
    blocks = pages.read_blocks(PAGES[page])
    if any(block.changes_code for block in blocks):
        copy_package(place, monkeypatch)
    if not any("data fetch" in block.text for block in blocks):
        public_data.fill_cache(place.parent / "cache")
    ran, compared = run_page(blocks)
    left_out = Counter(block.reason for block in blocks if block.mark == "not run")
    record_property("ran", dict(ran))
    record_property("compared", compared)
    record_property("left_out", [(count, page, reason) for reason, count in left_out.items()])
