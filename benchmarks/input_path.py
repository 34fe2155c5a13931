"""Speed of the loader on a memory-mapped data set of the paper's size.

    python benchmarks/input_path.py --rows 51339035 -o benchmarks/results

Makes the set in a temporary folder: 112 bytes per row, 5.75 GB for the paper's 51 M rows. The file
is sparse: its pages go through the page cache like all others, but take no space on the disk. Then
times shuffled batches of 1,024 rows in one process, in wall time and in CPU seconds. On a machine
with other work, use the CPU seconds. The first batch of an epoch includes the permutation of the
rows, which is timed separately.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import add_output, write_result

from crmnet.data.dataset import BIN_UNIT, Dataset
from crmnet.data.loader import DatasetRows, RowBatches


def dataset(folder: Path, rows: int) -> Dataset:
    """Data set of ``rows`` rows, with only the parts that the loader reads."""
    path = folder / "tokens.npy"
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(rows, 112))
    tokens = np.load(path, mmap_mode="r")
    tokens.reshape(-1)[::4096].max()  # reads a byte of every page, so that all are in memory
    labels = np.random.default_rng(0).random(rows, dtype=np.float32)
    manifest = {"media": {"complex": {"unit": BIN_UNIT}}}
    return Dataset(folder, manifest, tokens, labels, np.zeros(rows, np.uint8), None, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=51_339_035, help="rows of the data set")
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--batches", type=int, default=3000, help="timed batches")
    add_output(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = DatasetRows(dataset(Path(scratch), options.rows), ["complex"])
        sampler = iter(RowBatches(np.arange(options.rows), options.batch_size, shuffle=True))
        start = time.process_time()
        first = next(sampler)
        permutation = time.process_time() - start
        rows[first]
        start, used = time.perf_counter(), time.process_time()
        count = 0
        for _, batch in zip(range(options.batches), sampler, strict=False):
            count += len(rows[batch].labels)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - used
    command = (
        f"python benchmarks/input_path.py --rows {options.rows} "
        f"--batch-size {options.batch_size} --batches {options.batches}"
    )
    result = {
        "rows": options.rows,
        "batch_size": options.batch_size,
        "sequences_per_second": round(count / seconds),
        "sequences_per_cpu_second": round(count / cpu_seconds),
        "permutation_cpu_seconds_per_epoch": round(permutation, 2),
    }
    write_result(options.output, "input_path", command, **result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
