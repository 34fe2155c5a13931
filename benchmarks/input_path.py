"""How fast the loader feeds batches from a memory-mapped data set of the paper's size.

    python benchmarks/input_path.py --rows 51339035 -o benchmarks/results

Makes the set once in a temporary folder (random tokens, 112 bytes a row; 5.9 GB at the paper's
51 M rows), then times shuffled batches of 1,024 in one process, page cache warm. Making the first
batch of an epoch includes its permutation, which is timed too.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from crmnet.data.loader import RowBatches, Rows


class Arrays:
    """The part of a data set that the loader reads."""

    media = ("complex",)
    weight = None

    def __init__(self, folder: Path, rows: int) -> None:
        rng = np.random.default_rng(0)
        made = np.lib.format.open_memmap(
            folder / "tokens.npy", mode="w+", dtype=np.uint8, shape=(rows, 112)
        )
        for start in range(0, rows, 1 << 20):
            part = made[start : start + (1 << 20)]
            part[:] = rng.integers(4, size=part.shape, dtype=np.uint8)
        made.flush()
        self.tokens = np.load(folder / "tokens.npy", mmap_mode="r")
        self.labels = rng.random(rows, dtype=np.float32)
        self.medium = np.zeros(rows, dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.tokens)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=51_339_035)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--batches", type=int, default=3000)
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        arrays = Arrays(Path(scratch), options.rows)
        rows = Rows(arrays, ["complex"])  # type: ignore[arg-type]
        sampler = iter(RowBatches(np.arange(options.rows), options.batch_size, shuffle=True))
        start = time.perf_counter()
        first = next(sampler)
        permutation = time.perf_counter() - start
        rows[first]
        start = time.perf_counter()
        count = 0
        for _, batch in zip(range(options.batches), sampler, strict=False):
            count += len(rows[batch].labels)
        seconds = time.perf_counter() - start
    result = {
        "rows": options.rows,
        "batch_size": options.batch_size,
        "sequences_per_second": round(count / seconds),
        "permutation_seconds_per_epoch": round(permutation, 2),
    }
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "input_path.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
