"""Prediction of large files by one or more processes, in parts, with resume after interruption.

:func:`predict_sharded` takes a predictor and a :class:`ShardedJob` and writes one prediction table
(:mod:`crmnet.prediction.table` computes its columns); ``crmnet predict`` calls it. While a job
runs, its parts are in a folder beside the output:

    OUTPUT.parts/
      job.json                        parameters of the job, and whether the parts are joined
      part-1f0c9a2b-00000000.parquet  predictions for the first rows of the input, and so on

The name of a part contains a hash of the job, so that no other job uses the part. Every process
reads the input and predicts the parts whose number modulo the number of processes is its rank.
Existing parts are not predicted again, even if the number of processes has changed. When all parts
exist, the process of rank 0 joins them in order. Processes communicate only through this folder.
Therefore they may run on several nodes with a shared file system, under ``torchrun`` or with
``--rank``. Each process holds the lock of its rank. The lock prevents that a second process gets
the same rank, and tells rank 0 whether a missing process is still running.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crmnet import sequence
from crmnet.choices import Digits
from crmnet.data.dataset import read_json
from crmnet.data.reading import STDIN
from crmnet.data.sequences import SequenceBlock, read_sequences
from crmnet.files import (
    PathLike,
    WriteError,
    as_paths,
    check_free,
    is_locked,
    is_stream,
    locked,
    make_parent_folder,
    write_atomically,
    write_text_atomically,
)
from crmnet.prediction.predictor import Predictor
from crmnet.prediction.table import (
    Reading,
    column_names,
    predict_block,
    table_columns,
)
from crmnet.reports.tables import TableWriter, for_reading, table_kind

PART_ROWS = 100_000
"""Default number of rows in a part."""
JOB_FILE = "job.json"
POLL_SECONDS = 0.2
"""Interval at which rank 0 checks for the parts of other processes."""
ABSENT_SECONDS = 60.0
"""Time without a new part after which rank 0 stops waiting for a process that does not run."""
LOG_SECONDS = 60.0
"""Interval at which rank 0 logs which parts are missing."""

log = logging.getLogger("crmnet")


@dataclass(frozen=True)
class ProcessRank:
    """Rank of this process and number of processes."""

    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world_size:
            raise ValueError(
                f"the rank must be between 0 and the number of processes - 1; got {self.rank} of "
                f"{self.world_size}"
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ProcessRank | None:
        """RANK and WORLD_SIZE of ``torchrun``; None if this process was not started by it.

        Other programs leave variables of these names in the environment too, so they count only
        beside ``torchrun``'s own TORCHELASTIC_RUN_ID.
        """
        if not {"TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE"} <= environment.keys():
            return None
        return cls(int(environment["RANK"]), int(environment["WORLD_SIZE"]))

    @classmethod
    def from_text(cls, text: str) -> ProcessRank:
        """Rank and number of processes from a text such as ``0/8``.

        Raises:
            ValueError: If it is something else.
        """
        rank, _, size = text.partition("/")
        if not (rank.isdecimal() and size.isdecimal()):
            raise ValueError(f"--rank takes RANK/SIZE, such as 0/8; got {text!r}")
        return cls(int(rank), int(size))


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
    overwrite: bool = False
    """Replace an existing output of another job; a single process also predicts a finished job
    again."""

    def __post_init__(self) -> None:
        for name in ("input", "output"):
            object.__setattr__(self, name, Path(getattr(self, name)))
        if self.rows < 1:
            raise ValueError(f"part rows must be at least 1; got {self.rows}")
        if STDIN in (self.input, self.output):
            raise ValueError("parts need files for input and output, not -; name both")
        table_kind(self.output)
        if is_stream(self.output):
            raise ValueError(f"parts are joined to a file; {self.output} is a device or pipe")

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
    progress: Callable[[int], None] = lambda rows: None,
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
        FileExistsError: If the output of another job exists and may not be replaced.
        ValueError: If the folder contains parts of another job, or a sequence cannot be read.
        OSError: As :func:`crmnet.files.make_parent_folder`.
        WriteError: If another process has the same rank, or rank 0 waits for one that does not run.
    """
    make_parent_folder(job.output)
    parameters = _job_parameters(predictor, job)
    job.folder.mkdir(parents=True, exist_ok=True)
    title = f"{job.output} as rank {process.rank}"
    try:
        with locked(_rank_file(job, process.rank), title=title):
            return _predict_parts(predictor, job, parameters, process, progress)
    except FileExistsError:
        with suppress(OSError):  # it holds an earlier job.json
            job.folder.rmdir()
        raise


def _rank_file(job: ShardedJob, rank: int) -> Path:
    """Path for the lock of a rank; only the lock file exists, not this file."""
    return job.folder / f"rank-{rank}"


def _predict_parts(
    predictor: Predictor,
    job: ShardedJob,
    parameters: dict[str, Any],
    process: ProcessRank,
    progress: Callable[[int], None],
) -> sequence.Preparation:
    existing = _start_or_resume(job, parameters, process)
    tag = hashlib.sha256(json.dumps(parameters).encode()).hexdigest()[:8]

    def part_path(number: int) -> Path:
        return job.folder / f"part-{tag}-{number:08d}.parquet"

    if existing is None:
        log.info("%s: kept, and nothing was predicted: this job is finished", job.output)
        return sequence.Preparation()
    names = column_names(predictor, job.media, by_window=job.window is not None)
    preparation, number = sequence.Preparation(), -1
    for number, rows in enumerate(
        _in_parts(read_sequences(job.input, columns=job.columns), job.rows)
    ):
        path = part_path(number)
        if number % process.world_size != process.rank or path.name in existing:
            continue
        predicted = predict_block(predictor, job.input, rows, job.reading)
        with TableWriter(path, names) as table:
            table.write(table_columns(predictor, predicted, job.media))
        preparation += predicted.preparation
        progress(preparation.total)
    if process.rank == 0:
        paths = [part_path(n) for n in range(number + 1)]
        _wait_for(paths, job, process)
        join(paths, job.output, names, job.digits)
        _write_job(job, {**parameters, "joined": True})
        _remove_parts(job)
    return preparation


def _wait_for(paths: Sequence[Path], job: ShardedJob, process: ProcessRank) -> None:
    """Wait for the parts of the other processes, and log which ones are missing.

    Raises:
        WriteError: If a process whose parts are missing does not run.
    """
    last_progress = last_logged = time.monotonic()
    before: list[int] | None = None
    while missing := [number for number, path in enumerate(paths) if not path.exists()]:
        now = time.monotonic()
        ranks = sorted({number % process.world_size for number in missing})
        names = f"rank{'s' * (len(ranks) > 1)} {', '.join(map(str, ranks))}"
        if missing != before:
            last_progress = now
        elif now - last_progress > ABSENT_SECONDS and not any(
            is_locked(_rank_file(job, rank)) for rank in ranks
        ):
            raise WriteError(
                f"{len(missing)} parts of {job.output} are missing and no process of {names} is "
                "running; start it, or give the same command another number of processes: "
                "finished parts are kept"
            )
        if before is None or now - last_logged > LOG_SECONDS:
            last_logged = now
            log.info("waiting for %d parts of %s", len(missing), names)
        before = missing
        time.sleep(POLL_SECONDS)


def _remove_parts(job: ShardedJob) -> None:
    """Remove all parts, also of earlier jobs and those that a killed process began."""
    for pattern in ("part-*.parquet", ".part-*", f".{JOB_FILE}.*", f"..{JOB_FILE}.*"):
        for path in job.folder.glob(pattern):
            path.unlink(missing_ok=True)


def join(
    paths: Sequence[PathLike], output: PathLike, names: Sequence[str], digits: Digits = "full"
) -> None:
    """Write the tables of the parts, in order, to ``output``; one part at a time is in memory."""
    import polars

    if table_kind(output) != "parquet":
        with TableWriter(output, names) as table:
            for path in as_paths(paths):
                columns = polars.read_parquet(path, glob=False).to_dict(as_series=False)
                table.write(for_reading(columns, output, digits))
        return

    def write(partial: Path) -> None:
        parts = polars.scan_parquet(as_paths(paths), glob=False)
        parts.sink_parquet(partial, maintain_order=True)

    write_atomically(output, write)


def _start_or_resume(
    job: ShardedJob, parameters: dict[str, Any], process: ProcessRank
) -> set[str] | None:
    """Create the folder, or check that its parts belong to this job.

    With ``overwrite`` a finished job begins again, unless other processes may have just finished
    it.

    Returns:
        Names of the existing parts; None if all parts have been joined. A process that starts late
        must not mistake joined and deleted parts for missing ones. Therefore the folder is listed
        before ``job.json`` is read, and ``job.json`` is updated before parts are deleted.
    """
    existing = {path.name for path in job.folder.glob("part-*.parquet")}
    file = job.folder / JOB_FILE
    recorded = read_json(file) if file.exists() else {"joined": True}
    joined = recorded.pop("joined")
    different = [key for key in parameters if recorded.get(key) != parameters[key]]
    again = job.overwrite and process.world_size == 1
    if joined and (different or again or not job.output.exists()):
        check_free(job.output, job.overwrite)
        _write_job(job, {**parameters, "joined": False})
        return set()
    if different:
        difference = _difference(different[0], recorded, parameters)
        raise ValueError(
            f"{job.folder} contains parts of another job ({difference}); remove the folder, or "
            "choose another output"
        )
    if joined and process.rank == 0:
        _remove_parts(job)  # the process that joined them may have been killed before it did
    return None if joined else existing


def _difference(key: str, recorded: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    if key == "changed":  # a time in nanoseconds does not help the reader
        return "its input has changed since"
    if key == "calibration":
        return "the model has been calibrated since"
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
        "calibration": _calibration_hash(predictor),
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


def _calibration_hash(predictor: Predictor) -> str | None:
    """Hash of the model's calibration, which is no part of its identity; None without one."""
    if predictor.card is None or predictor.card.calibration is None:
        return None
    return hashlib.sha256(predictor.card.calibration.model_dump_json().encode()).hexdigest()


def _write_job(job: ShardedJob, content: dict[str, Any]) -> None:
    """Write ``job.json``; of processes that start together, each waits for its turn."""
    file = job.folder / JOB_FILE
    with locked(file.with_name(f"writing-{JOB_FILE}"), wait=30):
        write_text_atomically(file, json.dumps(content, indent=2) + "\n")


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
