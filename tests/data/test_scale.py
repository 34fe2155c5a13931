"""Ingestion of millions of rows: memory, and the files that a killed process leaves."""

import os
import signal
import subprocess
import sys
import time

import pytest

from crmnet.data.dataset import Dataset, is_dataset
from crmnet.sequence import ADAPTER_3, ADAPTER_5

pytestmark = pytest.mark.slow

CEILING = 1 << 30
"""Limit of memory in bytes, for any number of rows."""

MEASURED = """
import sys
from pathlib import Path
from crmnet.data.ingest import ingest
from crmnet.process import peak_resident
print(len(ingest([Path(sys.argv[1])], Path(sys.argv[2]))), peak_resident())
"""


@pytest.fixture(scope="module")
def two_million(tmp_path_factory):
    """250 MB of rows, some of which the fast parser leaves unparsed."""
    part = "".join(
        f"{ADAPTER_5}{('ACGTTGCA' * 11)[i % 8 : i % 8 + 80 + i % 3]}{ADAPTER_3}\t{i % 1700 / 100}\n"
        for i in range(9_999)
    )
    path = tmp_path_factory.mktemp("scale") / "rows.tsv"
    path.write_bytes(f"{part}ACGU\t1\n".encode() * 200)
    yield path
    path.unlink()


def test_two_million_rows_stay_below_the_memory_ceiling(two_million, tmp_path):
    command = [sys.executable, "-c", MEASURED, str(two_million), str(tmp_path / "set")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows, peak = map(int, done.stdout.split())
    assert rows == 1_999_800
    assert peak < CEILING
    # 117 bytes per row and little else.
    assert sum(file.stat().st_size for file in (tmp_path / "set").iterdir()) < 118 * rows
    (tmp_path / "set" / "tokens.npy").unlink()


def test_a_killed_process_leaves_nothing_that_looks_like_a_data_set(two_million, tmp_path):
    command = [sys.executable, "-m", "crmnet", "data", "ingest", str(two_million), "-o"]
    running = subprocess.Popen([*command, str(tmp_path / "set")], stdout=subprocess.DEVNULL)
    half = tmp_path / ".set.partial" / "tokens.npy"
    while not (half.exists() and half.stat().st_size > 1e6):
        assert running.poll() is None, "it finished before it could be killed"
        time.sleep(0.005)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert half.exists()
    assert not is_dataset(tmp_path / "set")
    assert not is_dataset(half.parent)
    with pytest.raises(FileNotFoundError, match="no such data set"):
        Dataset.open(tmp_path / "set")
    with pytest.raises(ValueError, match="not a data set"):
        Dataset.open(half.parent)
    # The next ingestion with that name starts from the beginning.
    (tmp_path / "few.tsv").write_text("ACGT\t1\n")
    subprocess.run([*command[:-2], str(tmp_path / "few.tsv"), "-o", str(tmp_path / "set")],
                   check=True, capture_output=True)  # fmt: skip
    assert len(Dataset.open(tmp_path / "set")) == 1
    assert not half.parent.exists()
