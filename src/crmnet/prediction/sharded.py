"""Predict very many sequences by several processes, in parts that outlive a kill.

    OUTPUT.parts/
      job.json                        what is predicted by what, and whether it is joined already
      part-1f0c9a2b-00000000.parquet  the first rows of the input, and so on

The letters in a part's name are of the job, so that no other job takes it for its own.
Every process reads the input and predicts the parts whose number falls to it; parts that are there
already are left alone, also when the number of processes has changed. The process of rank 0 joins
them in order when all are there. Processes meet in the folder alone, so that it works across nodes
that share a file system, under ``torchrun`` or whatever else sets RANK and WORLD_SIZE.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crmnet import sequence
from crmnet.data.dataset import read_json
from crmnet.data.reading import STDIN
from crmnet.data.sequences import SequenceBlock, read_sequences
from crmnet.files import make_room, write_atomically, write_text_atomically
from crmnet.prediction.predictor import Predictor
from crmnet.prediction.table import column_names, predict_block, table_columns
from crmnet.reports.tables import TableWriter, table_kind

PART_ROWS = 100_000
JOB = "job.json"
_POLL = 0.2
"""Seconds between two looks for the parts of other processes."""


@dataclass(frozen=True)
class Place:
    """Which of how many processes this one is."""

    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world:
            raise ValueError(
                f"RANK must be between 0 and WORLD_SIZE - 1; got {self.rank} of {self.world}"
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Place | None:
        """What ``torchrun`` says in RANK and WORLD_SIZE; None outside it."""
        if "RANK" not in environment or "WORLD_SIZE" not in environment:
            return None
        return cls(int(environment["RANK"]), int(environment["WORLD_SIZE"]))


@dataclass(frozen=True)
class PartsJob:
    """What is predicted, and where it goes."""

    input: Path
    output: Path
    media: tuple[str, ...]
    flanks: sequence.Flanks = "auto"
    rows: int = PART_ROWS
    """Of each part but the last."""

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise ValueError(f"part rows must be at least 1; got {self.rows}")
        if STDIN in (self.input, self.output):
            raise ValueError("parts need files for input and output, not -; name both")
        table_kind(self.output)

    @property
    def folder(self) -> Path:
        """Where the parts lie until they are joined."""
        return self.output.with_name(f"{self.output.name}.parts")


def predict_parts(
    predictor: Predictor,
    job: PartsJob,
    place: Place,
    progress: Callable[[int], None] = lambda done: None,
) -> sequence.Preparation:
    """Predict the parts that fall to this process; rank 0 then waits for the others and joins.

    Args:
        predictor: The model.
        job: The same in every process.
        place: Rank and number of processes.
        progress: Told how many rows this process has predicted.

    Returns:
        What was done to the sequences that this process predicted now.

    Raises:
        ValueError: If the folder holds parts of another job, or a sequence cannot be read.
        OSError: As :func:`crmnet.files.make_room`.
    """
    make_room(job.output)
    this = _described(predictor, job)
    there = _claim(job, this)
    tag = hashlib.sha256(json.dumps(this).encode()).hexdigest()[:8]

    def part(number: int) -> Path:
        return job.folder / f"part-{tag}-{number:08d}.parquet"

    if there is None:
        return sequence.Preparation()
    names = column_names(predictor, job.media)
    done, number = sequence.Preparation(), -1
    for number, rows in enumerate(_in_parts(read_sequences(job.input), job.rows)):
        path = part(number)
        if number % place.world != place.rank or path.name in there:
            continue
        predicted = predict_block(predictor, job.input, rows, job.flanks)
        with TableWriter(path, names) as table:
            table.write(table_columns(predictor, predicted, job.media))
        done += predicted.preparation
        progress(done.total)
    if place.rank == 0:
        paths = [part(n) for n in range(number + 1)]
        while not all(path.exists() for path in paths):
            time.sleep(_POLL)
        join(paths, job.output, names)
        _note(job, {**this, "joined": True})
        for path in paths:
            path.unlink()
    return done


def join(paths: Sequence[Path], output: Path, names: Sequence[str]) -> None:
    """The tables of the parts one after another, as ``output``; a part at a time in memory."""
    import polars

    if table_kind(output) != "parquet":
        with TableWriter(output, names) as table:
            for path in paths:
                table.write(polars.read_parquet(path).to_dict(as_series=False))
        return

    def write(partial: Path) -> None:
        polars.scan_parquet(list(paths)).sink_parquet(partial, maintain_order=True)

    write_atomically(output, write)


def _claim(job: PartsJob, this: dict[str, Any]) -> set[str] | None:
    """Make the folder, or see that what lies in it is of this very job.

    Returns:
        Names of the parts that were there at the start; None if they have been joined. A process
        that comes late must not take parts that were joined and removed for missing ones, so the
        folder is read before the note that they were joined, which is written before they go.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    there = {path.name for path in job.folder.glob("part-*.parquet")}
    before = read_json(job.folder / JOB) if (job.folder / JOB).exists() else {"joined": True}
    joined = before.pop("joined")
    different = [key for key in this if before.get(key) != this[key]]
    if joined and (different or not job.output.exists()):
        _note(job, {**this, "joined": False})
        return set()
    if different:
        raise ValueError(
            f"{job.folder} holds parts of another job ({_difference(different[0], before, this)}); "
            "remove the folder, or choose another output"
        )
    return None if joined else there


def _difference(key: str, before: Mapping[str, Any], this: Mapping[str, Any]) -> str:
    if key == "changed":  # nanoseconds tell nobody anything
        return "its input has been written anew since"
    return f"{key} was {before.get(key)!r}, is {this[key]!r}"


def _described(predictor: Predictor, job: PartsJob) -> dict[str, Any]:
    """Whatever decides what the parts hold."""
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
        "columns": column_names(predictor, job.media),
        "flanks": job.flanks,
        "rows": job.rows,
    }


def _note(job: PartsJob, content: dict[str, Any]) -> None:
    """Write ``job.json``; processes that start together write the same, by names of their own."""
    mine = job.folder / f".{JOB}.{os.uname().nodename}.{os.getpid()}"
    write_text_atomically(mine, json.dumps(content, indent=2) + "\n")
    mine.replace(job.folder / JOB)


def _in_parts(blocks: Iterator[SequenceBlock], size: int) -> Iterator[SequenceBlock]:
    """The same rows in pieces of ``size``, the last one as many as are left."""
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
