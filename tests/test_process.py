"""The memory that a process reports, and how it ends."""

import os
import subprocess
import sys

ENDING = """
import atexit
import sys

from crmnet.process import end_process


class Left:
    def __del__(self):
        print("taken apart", file=sys.__stdout__, flush=True)


left = Left()
atexit.register(print, "tidied")
print("worked")
end_process(int(sys.argv[1]))
print("goes on")
"""


def ended(status, **options):
    command = [sys.executable, "-c", ENDING, str(status)]
    buffered = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    return subprocess.run(command, text=True, timeout=60, env=buffered,
                          stderr=subprocess.PIPE, **options)  # fmt: skip


def test_tidies_and_says_all_but_takes_nothing_apart():
    for status in (0, 3):
        done = ended(status, stdout=subprocess.PIPE)
        assert done.returncode == status
        assert done.stdout.splitlines() == ["worked", "tidied"]


def test_output_that_cannot_be_written_is_a_failure():
    read, write = os.pipe()
    os.close(read)
    try:
        done = ended(0, stdout=write)
    finally:
        os.close(write)
    assert done.returncode == 120


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
