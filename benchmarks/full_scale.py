"""The paper's number of rows through ingestion and the input path of the training.

    python benchmarks/full_scale.py --scratch scratch -o benchmarks/results
    python benchmarks/full_scale.py --rows 200000 --scratch scratch -o OUT --steps 1 --step-rows 4

Writes 51,339,035 simulated rows as text (6 GB), ingests them, and reads one complete epoch of
shuffled batches as training does. Then it times training steps of the published network in each
precision, and extrapolates the time of one epoch from them: an extrapolation, not a measurement.
The scratch folder is kept if the script is interrupted, and deleted at the end.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path

import numpy as np
from ingestion import write_rows
from measuring import add_output, write_result

from crmnet.benchmark import BenchmarkOptions, benchmark
from crmnet.data.dataset import Dataset
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.loader import DatasetRows, RowBatches
from crmnet.studies.reproduce.paper import BEST_RATE, ROWS

PRECISIONS = ("fp32", "bf16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS["train"], help="simulated rows")
    parser.add_argument("--scratch", type=Path, required=True, help="folder for 12 GB")
    parser.add_argument("--batch-size", type=int, default=1024, help="of reading")
    parser.add_argument("--step-rows", type=int, default=1024, help="batch of a training step")
    parser.add_argument("--jobs", type=int, default=2, help="threads that read and parse")
    parser.add_argument("--steps", type=int, default=5, help="timed training steps; 0: none")
    parser.add_argument("--device", default="auto")
    add_output(parser)
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    data, ingestion = ingested(options)
    reading = read_epoch(data, options.batch_size)
    steps = training_steps(options, len(data)) if options.steps else {}
    command = (
        f"python benchmarks/full_scale.py --rows {options.rows} --batch-size {options.batch_size} "
        f"--step-rows {options.step_rows} --jobs {options.jobs} --steps {options.steps} "
        "--scratch SCRATCH"
    )
    found = {"ingestion": ingestion, "reading": reading, "epoch_extrapolated": steps}
    write_result(options.output, "full_scale", command, **found)
    print(found)
    shutil.rmtree(options.scratch)


def ingested(options: argparse.Namespace) -> tuple[Dataset, dict[str, float]]:
    """The rows as a data set, and the rate at which they were ingested."""
    text, target = options.scratch / "rows.tsv", options.scratch / "rows"
    timing = options.scratch / "seconds.json"  # for a call that continues an interrupted one
    if not timing.is_file():
        write_rows(text, options.rows)
        start = time.perf_counter()
        ingest([text], target, IngestOptions(jobs=options.jobs, overwrite=True))
        timing.write_text(json.dumps(time.perf_counter() - start))
        text.unlink()
    seconds = json.loads(timing.read_text())
    data = Dataset.open(target)
    size = sum(file.stat().st_size for file in target.iterdir())
    return data, {
        "rows": len(data), "seconds": seconds, "rows_per_second": len(data) / seconds,
        "bytes_on_disk": size,
    }  # fmt: skip


def read_epoch(data: Dataset, batch_size: int) -> dict[str, float]:
    """Read each row once in shuffled batches, as an epoch of training does."""
    rows = DatasetRows(data, data.media)
    start, cpu, count = time.perf_counter(), time.process_time(), 0
    for batch in RowBatches(np.arange(len(data)), batch_size, shuffle=True):
        count += len(rows[batch].labels)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    return {
        "rows": count, "seconds": seconds, "sequences_per_second": count / seconds,
        "sequences_per_cpu_second": count / cpu_seconds,
    }  # fmt: skip


def training_steps(options: argparse.Namespace, rows: int) -> dict[str, dict[str, float | None]]:
    """Time of an epoch in each precision, extrapolated from the median of some steps."""
    settings = BenchmarkOptions(
        batch_sizes=(options.step_rows,), precisions=PRECISIONS, steps=options.steps,
        device=options.device, rows=rows, warm_up=1,
    )  # fmt: skip
    result = benchmark(settings)
    return {
        row.precision: {
            "seconds_per_step": row.step_s,
            "hours_per_epoch": None if row.epoch_min is None else row.epoch_min / 60,
            "sequences_per_second": row.sequences_per_s,
            "of_paper_best": row.sequences_per_s and row.sequences_per_s / BEST_RATE,
        }
        for row in result.training
    }


if __name__ == "__main__":
    main()
