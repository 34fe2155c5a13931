"""How a process that worked in a group ends."""

import subprocess
import sys

from crmnet.processes import leave_group

MEMBER = """
import atexit, sys, time
import torch
from crmnet.processes import leave_group

rank, folder = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group(
    "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
)
atexit.register(lambda: print("python shuts down"))
print("waits" if rank else "works", end="")  # unflushed
if rank == 0:
    time.sleep(1)
    open(f"{folder}/worked", "w").close()
leave_group()
print("goes on")
"""


def test_without_a_group_nothing_happens():
    assert leave_group() is None


def test_members_wait_and_end_well_without_pythons_shutdown(tmp_path):
    members = [
        subprocess.Popen([sys.executable, "-c", MEMBER, str(rank), str(tmp_path)], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for rank in range(2)
    ]  # fmt: skip
    waiting, _ = members[1].communicate(timeout=120)
    assert (tmp_path / "worked").exists()
    working, _ = members[0].communicate(timeout=120)
    assert [member.returncode for member in members] == [0, 0]
    assert [said.splitlines()[-1] for said in (working, waiting)] == ["works", "waits"]
