"""The memory of a process is its own, and grows with what it holds."""

import subprocess
import sys

CODE = """
import sys
from crmnet.memory import peak_resident
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
