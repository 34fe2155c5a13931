"""Speed, memory and disk space of ingestion, at the scale of the paper.

    python benchmarks/ingestion.py --rows 30000000 --scratch scratch -o benchmarks/results

Writes simulated rows that resemble the training files: constructs of 110 ± a few bases, 2.4 % of
5' adapters with an error, labels of 15 digits or whole bins, 0.1 % with N. The rows are written as
plain text and as gzip, and each file is ingested in a separate process. Measured are rows per
second in wall time and per CPU second, peak memory, and bytes on disk, plain and packed. The last
measurement reads the same rows from two gzip files concurrently. The scratch folder is deleted at
the end.
"""

from __future__ import annotations

import argparse
import gzip
import json
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from measuring import add_output

from crmnet.process import peak_resident
from crmnet.sequence import ADAPTER_3, ADAPTER_5

DISTINCT = 1_000_000
"""Simulated rows; the file repeats them, in gzip as one member after another."""


def write_rows(path: Path, rows: int, seed: int = 0) -> None:
    """Write text as in the training files, plain or gzip by suffix; DISTINCT rows are repeated."""
    lines = [f"{line}\n".encode() for line in simulated_lines(min(rows, DISTINCT), seed)]
    compressed = path.suffix == ".gz"
    with path.open("wb") as file:
        for count, some in ((rows // len(lines), lines), (1, lines[: rows % len(lines)])):
            part = b"".join(some)
            if compressed and some:
                part = gzip.compress(part, 6)
            for _ in range(count):
                file.write(part)


def simulated_lines(n: int, seed: int) -> Iterator[str]:
    """Lines of a construct and its label, separated by a tab."""
    rng = np.random.default_rng(seed)
    letters = np.frombuffer(b"ACGTN", dtype=np.uint8)
    table = np.empty((n, 17 + 84), dtype=np.uint8)
    table[:, :17] = np.frombuffer(ADAPTER_5.encode(), dtype=np.uint8)
    table[:, 17:] = letters[rng.integers(4, size=(n, 84), dtype=np.uint8)]
    wrong = rng.random(n) < 0.024
    table[wrong, rng.integers(17, size=wrong.sum())] = ord("A")
    unknown = rng.random(n) < 0.001
    table[unknown, rng.integers(17, 90, size=unknown.sum())] = ord("N")
    shares = {78: 0.03, 79: 0.13, 80: 0.8, 81: 0.02, 82: 0.01, 84: 0.01}
    lengths = rng.choice(list(shares), size=n, p=list(shares.values())).tolist()
    labels, whole = rng.uniform(0, 17, n).tolist(), (rng.random(n) < 0.4).tolist()
    text = table.tobytes().decode()
    for i in range(n):
        label = f"{labels[i]:.0f}" if whole[i] else f"{labels[i]:.15g}"
        yield f"{text[101 * i : 101 * i + 17 + lengths[i]]}{ADAPTER_3}\t{label}"


def ingest_here(sources: list[Path], target: Path, packed: bool, jobs: int) -> None:
    """Ingest in the measured process and print the numbers as JSON."""
    from crmnet.data.ingest import IngestOptions, ingest

    warm = target.with_name("warm.tsv")
    warm.write_text(f"{ADAPTER_5}{'ACGT' * 20}{ADAPTER_3}\t1.5\n")
    # The first ingestion compiles the parser, or loads it from the cache.
    ingest([warm], target.with_name("warm"), IngestOptions(overwrite=True))
    wall, cpu = time.perf_counter(), time.process_time()
    made = ingest(sources, target, IngestOptions(packed=packed, jobs=jobs))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        json.dumps(
            {
                "rows": len(made),
                "rows_per_second": round(len(made) / wall),
                "rows_per_cpu_second": round(len(made) / cpu),
                "peak_memory_mib": (peak_resident() or 0) // 2**20,
                "bytes": sum(file.stat().st_size for file in target.iterdir()),
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=30_000_000, help="simulated rows")
    parser.add_argument(
        "--scratch",
        type=Path,
        required=True,
        help="folder for temporary files, 7 GB for 30 M rows; it is deleted",
    )
    add_output(parser)
    parser.add_argument("--ingest", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ingest:
        target, packed, jobs, *sources = options.ingest
        ingest_here([*map(Path, sources)], Path(target), packed == "packed", int(jobs))
        return
    options.scratch.mkdir(parents=True, exist_ok=True)
    results: dict[str, object] = {"machine": platform.processor() or platform.machine()}
    for kind, packed, jobs, files in (
        ("tsv", "plain", 1, 1), ("tsv", "packed", 1, 1), ("gz", "plain", 1, 1),
        ("gz", "plain", 2, 1), ("gz", "plain", 2, 2),
    ):  # fmt: skip
        sources = [options.scratch / f"rows-{n + 1}-of-{files}.{kind}" for n in range(files)]
        for source in sources:
            if not source.exists():
                write_rows(source, options.rows // files)
        target = options.scratch / "made"
        command = [sys.executable, __file__, "--scratch", str(options.scratch), "--ingest"]
        done = subprocess.run(
            [*command, str(target), packed, str(jobs), *map(str, sources)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        name = f"{kind}, {packed}, {jobs} thread{'s' * (jobs > 1)}"
        name += f", {files} files" if files > 1 else ""
        results[name] = json.loads(done.stdout)
        print(name, done.stdout.strip(), flush=True)
        shutil.rmtree(target)
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "ingestion.json").write_text(json.dumps(results, indent=2) + "\n")
    shutil.rmtree(options.scratch)


if __name__ == "__main__":
    main()
