"""Prediction of large files by one or more processes, in parts, with resume after interruption.

Takes a predictor and a :class:`ShardedJob`, writes one prediction table; called by ``crmnet
predict``. While a job runs, its parts are in a folder beside the output:

    OUTPUT.parts/
      job.json                        parameters of the job, and whether the parts are joined
      part-1f0c9a2b-00000000.parquet  predictions for the first rows of the input, and so on

The letters in the name of a part are a hash of the job, so that another job does not use it. Every
process reads the input and predicts the parts whose number modulo WORLD_SIZE is its RANK. Existing
parts are not predicted again, even if the number of processes has changed. When all parts exist,
the process of rank 0 joins them in order. Processes communicate only through this folder. Therefore
they may run on several nodes with a shared file system, under ``torchrun`` or any launcher that
sets RANK and WORLD_SIZE.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crmnet import sequence
from crmnet.choices import Digits
from crmnet.data.dataset import read_json
from crmnet.data.reading import STDIN
from crmnet.data.sequences import SequenceBlock, read_sequences
from crmnet.files import PathLike, as_paths, make_room, write_atomically, write_text_atomically
from crmnet.prediction.predictor import Predictor
from crmnet.prediction.table import (
    Reading,
    column_names,
    for_reading,
    predict_block,
    table_columns,
)
from crmnet.reports.tables import TableWriter, table_kind

PART_ROWS = 100_000
"""Default number of rows in a part."""
JOB_FILE = "job.json"
POLL_SECONDS = 0.2
"""Interval at which rank 0 checks for the parts of other processes."""


@dataclass(frozen=True)
class ProcessRank:
    """Rank of this process and number of processes."""

    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world_size:
            raise ValueError(
                f"RANK must be between 0 and WORLD_SIZE - 1; got {self.rank} of {self.world_size}"
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ProcessRank | None:
        """The values of RANK and WORLD_SIZE, as set by ``torchrun``; None if they are not set."""
        if "RANK" not in environment or "WORLD_SIZE" not in environment:
            return None
        return cls(int(environment["RANK"]), int(environment["WORLD_SIZE"]))


@dataclass(frozen=True)
class ShardedJob:
    """Input, output and settings of a prediction in parts."""

    input: Path
    output: Path
    media: tuple[str, ...]
    flanks: sequence.Flanks = "auto"
    rows: int = PART_ROWS
    """Number of rows in each part except the last."""
    window: sequence.Window | None = None
    """As for :class:`crmnet.prediction.table.Reading`, like ``columns`` and ``iupac``."""
    columns: Mapping[str, str] = field(default_factory=dict)
    iupac: sequence.Iupac = "error"
    digits: Digits = "rounded"
    """Of the joined table; the parts have all digits."""

    def __post_init__(self) -> None:
        for name in ("input", "output"):
            object.__setattr__(self, name, Path(getattr(self, name)))
        if self.rows < 1:
            raise ValueError(f"part rows must be at least 1; got {self.rows}")
        if STDIN in (self.input, self.output):
            raise ValueError("parts need files for input and output, not -; name both")
        table_kind(self.output)

    @property
    def reading(self) -> Reading:
        """How the sequences are read."""
        return Reading(self.flanks, self.window, None, self.columns, self.iupac)

    @property
    def folder(self) -> Path:
        """Folder of the parts until they are joined."""
        return self.output.with_name(f"{self.output.name}.parts")


def predict_sharded(
    predictor: Predictor,
    job: ShardedJob,
    process: ProcessRank,
    progress: Callable[[int], None] = lambda done: None,
) -> sequence.Preparation:
    """Predict the parts of this process; rank 0 then waits for the others and joins all parts.

    Args:
        predictor: The model.
        job: The job, the same in every process.
        process: Rank of this process and number of processes.
        progress: Called with the number of rows that this process has predicted.

    Returns:
        Counts of adapters added and other changes to the sequences predicted in this call.

    Raises:
        ValueError: If the folder contains parts of another job, or a sequence cannot be read.
        OSError: As :func:`crmnet.files.make_room`.
    """
    make_room(job.output)
    parameters = _job_parameters(predictor, job)
    existing = _start_or_resume(job, parameters)
    tag = hashlib.sha256(json.dumps(parameters).encode()).hexdigest()[:8]

    def part(number: int) -> Path:
        return job.folder / f"part-{tag}-{number:08d}.parquet"

    if existing is None:
        return sequence.Preparation()
    names = column_names(predictor, job.media, by_window=job.window is not None)
    done, number = sequence.Preparation(), -1
    for number, rows in enumerate(
        _in_parts(read_sequences(job.input, columns=job.columns), job.rows)
    ):
        path = part(number)
        if number % process.world_size != process.rank or path.name in existing:
            continue
        predicted = predict_block(predictor, job.input, rows, job.reading)
        with TableWriter(path, names) as table:
            table.write(table_columns(predictor, predicted, job.media))
        done += predicted.preparation
        progress(done.total)
    if process.rank == 0:
        paths = [part(n) for n in range(number + 1)]
        while not all(path.exists() for path in paths):
            time.sleep(POLL_SECONDS)
        join(paths, job.output, names, job.digits)
        _write_job(job, {**parameters, "joined": True})
        for path in paths:
            path.unlink()
    return done


def join(
    paths: Sequence[PathLike], output: PathLike, names: Sequence[str], digits: Digits = "full"
) -> None:
    """Write the tables of the parts, in order, to ``output``; one part at a time is in memory."""
    import polars

    if table_kind(output) != "parquet":
        with TableWriter(output, names) as table:
            for path in as_paths(paths):
                columns = polars.read_parquet(path).to_dict(as_series=False)
                table.write(for_reading(columns, output, digits))
        return

    def write(partial: Path) -> None:
        polars.scan_parquet(as_paths(paths)).sink_parquet(partial, maintain_order=True)

    write_atomically(output, write)


def _start_or_resume(job: ShardedJob, parameters: dict[str, Any]) -> set[str] | None:
    """Create the folder, or check that its parts belong to this job.

    Returns:
        Names of the existing parts; None if all parts have been joined. A process that starts late
        must not mistake joined and deleted parts for missing ones. Therefore the folder is listed
        before ``job.json`` is read, and ``job.json`` is updated before parts are deleted.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    existing = {path.name for path in job.folder.glob("part-*.parquet")}
    file = job.folder / JOB_FILE
    recorded = read_json(file) if file.exists() else {"joined": True}
    joined = recorded.pop("joined")
    different = [key for key in parameters if recorded.get(key) != parameters[key]]
    if joined and (different or not job.output.exists()):
        _write_job(job, {**parameters, "joined": False})
        return set()
    if different:
        difference = _difference(different[0], recorded, parameters)
        raise ValueError(
            f"{job.folder} contains parts of another job ({difference}); remove the folder, or "
            "choose another output"
        )
    return None if joined else existing


def _difference(key: str, recorded: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    if key == "changed":  # a time in nanoseconds does not help the reader
        return "its input has changed since"
    return f"{key} was {recorded.get(key)!r}, now it is {parameters[key]!r}"


def _job_parameters(predictor: Predictor, job: ShardedJob) -> dict[str, Any]:
    """All parameters that determine the contents of the parts."""
    if not job.input.exists():
        raise FileNotFoundError(f"{job.input}: no such file")
    source = job.input.stat()
    return {
        "input": job.input.name,
        "bytes": source.st_size,
        "changed": source.st_mtime_ns,
        "model": predictor.identity,
        "precision": predictor.precision,
        "media": list(job.media),
        "columns": column_names(predictor, job.media, by_window=job.window is not None),
        "flanks": job.flanks,
        "rows": job.rows,
        "window": job.window,
        "named": dict(job.columns),
        "iupac": job.iupac,
        "digits": job.digits,
    }


def _write_job(job: ShardedJob, content: dict[str, Any]) -> None:
    """Write ``job.json``; processes that start together write the same through separate files."""
    temporary = job.folder / f".{JOB_FILE}.{os.uname().nodename}.{os.getpid()}"
    write_text_atomically(temporary, json.dumps(content, indent=2) + "\n")
    temporary.replace(job.folder / JOB_FILE)


def _in_parts(blocks: Iterator[SequenceBlock], size: int) -> Iterator[SequenceBlock]:
    """The same rows in blocks of ``size`` rows; the last block has the remaining rows."""
    ids: list[str] = []
    lines: list[int] = []
    sequences: list[bytes] = []
    for block in blocks:
        ids += block.ids
        lines += block.lines
        sequences += block.sequences
        while len(ids) >= size:
            yield SequenceBlock(ids[:size], lines[:size], sequences[:size])
            ids, lines, sequences = ids[size:], lines[size:], sequences[size:]
    if ids:
        yield SequenceBlock(ids, lines, sequences)
