"""Every code block of README.md and docs/ runs, and prints what the page shows (`make test-docs`).

The blocks of a page run in order, in one folder with the files of :mod:`material`. Blocks that do
not run are marked in the page (:mod:`pages`) and counted at the end.
"""

import contextlib
import io
import os
import shutil
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
LIMIT_S = 240
TESTED_BY_ITSELF = {"docs/python.md": "tests/test_docs_python.py"}
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
        server = subprocess.Popen(command, env=environment)
        while not Path(address).exists():
            assert server.poll() is None, "the command server did not start"
            time.sleep(0.05)
        yield folder
        server.terminate()
        server.wait()


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
    return folder


def run_shell(block):
    """What a shell block prints, on both streams."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text], stdin=subprocess.DEVNULL,
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


def run_page(blocks):
    """Run the blocks of a page; returns the number run by language and of outputs compared."""
    ran, compared, printed, names = Counter(), 0, "", {"__name__": "page"}
    for block in blocks:
        if block.mark == "not run":
            printed = None
        elif block.language == "sh":
            printed = run_shell(block)
        elif block.language == "python" and block.page not in TESTED_BY_ITSELF:
            printed = run_python(block, names)
        elif block.mark == "output":
            assert printed is not None, f"{block}: the block before it does not run"
            missing = pages.difference(block.text, printed)
            assert missing is None, f"{block}: not printed: {missing}\n{printed}"
            compared += 1
        ran[block.language] += block.is_code and block.mark != "not run"
    return ran, compared


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run(page, place, record_property):
    blocks = pages.read_blocks(PAGES[page])
    if not any("data fetch" in block.text for block in blocks):
        public_data.fill_cache(place.parent / "cache")
    ran, compared = run_page(blocks)
    left_out = Counter(block.reason for block in blocks if block.mark == "not run")
    record_property("ran", dict(ran))
    record_property("compared", compared)
    record_property("left_out", [(count, page, reason) for reason, count in left_out.items()])
