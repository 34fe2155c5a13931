"""How the command starts and ends, and the peak memory that a process reports."""

import functools
import os
import pstats
import subprocess
import sys

import pytest

from crmnet.process import running_elsewhere, wants_passive_threads

pytestmark = pytest.mark.slow

ENDING = """
import atexit
import os
import sys

from crmnet import cli
from crmnet.process import end_process


class Left:
    def __del__(self, write=os.write):  # modules may be gone by then
        write(1, b"finalised")


sys.left = Left()
status, way, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def work():
    atexit.register(print, "exit function")
    print("worked")
    if way == "group":
        import torch

        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{folder}/meeting", rank=0, world_size=1
        )
    sys.exit(status)


if way == "worker":
    print("worked")
    end_process(status)
cli.main = work
cli.run()
print("not reached")
"""
BUFFERED = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}


def ended(status, way, folder, **options):
    command = [sys.executable, "-c", ENDING, str(status), way, str(folder)]
    return subprocess.run(command, text=True, timeout=60, env=BUFFERED,
                          stderr=subprocess.PIPE, **options)  # fmt: skip


@pytest.mark.parametrize(
    ("way", "status", "lines"),
    [
        ("command", 0, ["worked", "exit function", "finalised"]),
        ("command", 3, ["worked", "exit function", "finalised"]),
        ("group", 3, ["worked", "exit function"]),  # gloo's threads may abort the finalisation
        ("worker", 3, ["worked"]),
    ],
)
def test_finalisation_is_skipped_only_after_a_process_group(way, status, lines, tmp_path):
    done = ended(status, way, tmp_path, stdout=subprocess.PIPE)
    assert done.returncode == status
    assert [line for line in done.stdout.splitlines() if not line.startswith("[Gloo]")] == lines


@pytest.mark.parametrize("way", ["command", "worker"])
def test_a_reader_that_has_left_is_no_failure(way, tmp_path):
    read, write = os.pipe()
    os.close(read)
    try:
        done = ended(0, way, tmp_path, stdout=write)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("way", ["command", "worker"])
def test_output_to_a_full_disk_is_a_failure(way, tmp_path):
    with open("/dev/full", "w") as full:
        done = ended(0, way, tmp_path, stdout=full)
    assert done.returncode == 120
    assert done.stderr == "crmnet: error: standard output: no space left on device\n"


def shell(line, **variables):
    """A command line of the shell, with ``crmnet`` for this package's command."""
    line = line.replace("crmnet", f"{sys.executable} -m crmnet")
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"], env={**BUFFERED, **variables},
        capture_output=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("words", ["models show yeast", "predict --help", "data list"])
def test_the_status_under_head_is_0(words):
    done = shell(f"crmnet {words} | head -n 1")
    assert done.returncode == 0
    assert done.stdout.count(b"\n") == 1
    assert not done.stderr


@functools.cache
def in_utf_8(words):
    return shell(f"crmnet {words}", PYTHONIOENCODING="utf-8")


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
@pytest.mark.parametrize("words", ["models show yeast", "evaluate --help"])
def test_every_terminal_gets_the_whole_text(words, encoding):
    expected = in_utf_8(words)
    done = shell(f"crmnet {words}", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == expected.stdout.count(b"\n") > 5


def test_ids_on_standard_output_are_utf_8_as_in_a_file(tmp_path):
    (tmp_path / "one.fa").write_text(">β≤1\nACGTACGTAC\n", encoding="utf-8")
    done = shell(f"crmnet predict yeast-fast {tmp_path}/one.fa", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode("utf-8").splitlines()[1].startswith("β≤1\t")


def test_closed_streams_are_no_failure_unless_the_answer_would_be_lost(tmp_path):
    one = tmp_path / "one.fa"
    one.write_text(">a\nACGTACGTAC\n")
    done = shell(f"crmnet predict yeast-fast {one} 2>&-")
    assert (done.returncode, done.stdout[:2]) == (0, b"id")
    done = shell(f"crmnet predict yeast-fast {one} -o {tmp_path}/out.tsv >&- 2>&-")
    assert done.returncode == 0
    assert (tmp_path / "out.tsv").read_text().startswith("id\t")
    done = shell(f"crmnet predict yeast-fast {one} >&-")
    assert done.returncode == 2
    assert done.stderr == b"crmnet: error: standard output is closed; name a file with -o\n"
    assert shell("crmnet models list >&-").returncode == 0


def test_an_error_of_the_operating_system_names_the_file_in_words(crmnet, monkeypatch):
    def fail(*_, **__):
        raise OSError(13, "Permission denied", "model.safetensors")

    monkeypatch.setattr("crmnet.prediction.predictor.Predictor.load", fail)
    status, _, err = crmnet("predict", "run", "-")
    assert (status, err) == (2, "crmnet: error: model.safetensors: permission denied\n")


def test_an_error_that_is_to_be_traced_is_a_failure():
    command = [sys.executable, "-m", "crmnet", "evaluate"]  # names neither model nor data
    done = subprocess.run(command, env={**BUFFERED, "CRMNET_DEBUG": "1"}, capture_output=True,
                          text=True, timeout=60)  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_profiler_writes_its_file(tmp_path):
    words = [sys.executable, "-m", "cProfile", "-o", "p", "-m", "crmnet", "--version"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout == "crmnet 0.2.0\n"
    profile = pstats.Stats(str(tmp_path / "p"))
    assert any(name == "_print_version" for _, _, name in profile.stats)


def test_the_command_ends_with_its_status():
    def status(*words):
        command = [sys.executable, "-m", "crmnet", *words]
        return subprocess.run(command, capture_output=True, timeout=60).returncode

    assert status("--version") == 0
    assert status("predict", "nowhere", "x") == 2


CODE = """
import sys
from crmnet.process import peak_resident
before = peak_resident()
held = bytearray(100 << 20)
held[:: 4096] = b"x" * len(held[:: 4096])
print(before, peak_resident(), "torch" in sys.modules)
"""


def test_a_process_counts_what_it_holds_and_not_what_its_parent_held():
    held = bytearray(b"x") * (300 << 20)
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    del held
    before, after, torch = done.stdout.split()
    assert 1 << 20 < int(before) < 200 << 20
    assert int(after) - int(before) >= 90 << 20
    assert torch == "False"


@pytest.mark.parametrize(
    ("environment", "running", "passive"),
    [
        ({}, 0, False),  # the machine is idle
        ({}, 1, True),  # four threads and another process on four processors
        ({"OMP_NUM_THREADS": "3"}, 1, False),
        ({"OMP_NUM_THREADS": "3"}, 2, True),
        ({"OMP_NUM_THREADS": "1"}, 9, False),  # one thread waits for nobody
        ({"OMP_WAIT_POLICY": "active"}, 9, False),  # the user decides
        ({"GOMP_SPINCOUNT": "5"}, 9, False),
    ],
)
def test_threads_sleep_on_a_busy_machine(environment, running, passive):
    assert wants_passive_threads(environment, 4, running) is passive


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_a_busy_process_is_seen():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            assert running_elsewhere() >= 1
        finally:
            busy.kill()
