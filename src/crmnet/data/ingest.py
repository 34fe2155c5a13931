"""Raw rows → data set folder: reads, judges, normalises and writes, block by block.

Takes text files of sequences and measured expression (see :mod:`crmnet.data.reading`) and gives a
:class:`~crmnet.data.dataset.Dataset`. Every row that is not taken is counted by reason and listed
with its file and line. Memory does not grow with the number of rows, and a data set appears under
its name only when it is whole.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.data.dataset import COLUMNS, FORMAT, MANIFEST, Dataset, is_dataset
from crmnet.data.reading import HARMLESS, Block, read_blocks

ROLES = ("sequence", "expression", "medium", "family", "weight")
HISTOGRAM_WIDTH = 0.1
MAX_MEDIA = 255
MAX_SEQUENCE = 10_000
"""A promoter is not longer than this; one such line would cost memory for every row beside it."""
SHOWN_TEXT = 60


class TooManyRejected(ValueError):
    """More rows were refused than the caller allows; says how many and shows the first."""


@dataclass(frozen=True)
class IngestOptions:
    """What :func:`ingest` may be told beyond the files."""

    media: Sequence[str] = ("complex",)
    """One name for all files, or one for each; a ``medium`` column in a file comes first."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Role (sequence, expression, medium, family, weight) → name in the files' headers."""
    flanks: sequence.Flanks = "auto"
    max_rejected: float = 0.01
    """Share of rows that may be refused before the ingestion stops."""
    overwrite: bool = False


@dataclass
class _Rows:
    """Accepted rows of one block."""

    tokens: sequence.Tokens
    labels: npt.NDArray[np.float32]
    medium: list[str]
    family: npt.NDArray[np.uint64] | None
    weight: npt.NDArray[np.float32] | None
    done: sequence.Preparation
    given_lengths: npt.NDArray[np.int64]


def ingest(
    files: Sequence[Path],
    destination: Path,
    options: IngestOptions | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Dataset:
    """Read files of measurements into one data set.

    Args:
        files: Text files; ``-`` is standard input.
        destination: Folder to make.
        options: Media, column names, flanks, tolerance; see :class:`IngestOptions`.
        progress: Called with the number of rows read so far.

    Returns:
        The data set, opened.

    Raises:
        FileExistsError: If ``destination`` exists and may not be overwritten.
        TooManyRejected: If more than ``max_rejected`` of the rows are not usable.
        ValueError: If a file cannot be read or no row is left.
    """
    options = options or IngestOptions()
    for role in options.columns:
        if role not in ROLES:
            raise ValueError(f"a column is one of {', '.join(ROLES)}; got {role!r}")
    media = _media_of_files(files, options.media)
    check_destination(destination, options.overwrite)
    partial = destination.with_name(f".{destination.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with _Writer(partial, files, options.max_rejected) as writer:
            for path, medium in zip(files, media, strict=True):
                writer.start_file(path)
                for block in read_blocks(path, ROLES, options.columns):
                    _require_expression(block, path)
                    writer.write(*_judge(block, medium, options.flanks))
                    progress(writer.rows_read)
            writer.finish(options)
        replace_folder(partial, destination)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Dataset.open(destination)


def check_destination(destination: Path, overwrite: bool) -> None:
    """Refuse a folder that is there and must not be, or must not be replaced.

    Raises:
        FileExistsError: If it exists and ``overwrite`` is not asked for, or is no data set.
    """
    if not destination.exists():
        return
    if not overwrite:
        raise FileExistsError(f"{destination} exists; choose another name or pass --overwrite")
    if not is_dataset(destination):
        raise FileExistsError(f"{destination} is not a data set, and so is not overwritten")


def replace_folder(made: Path, destination: Path) -> None:
    """Put a finished folder in the place of ``destination``; the old one goes last."""
    if not destination.exists():
        made.rename(destination)
        return
    old = destination.with_name(f".{destination.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    destination.rename(old)
    made.rename(destination)
    shutil.rmtree(old)


def _media_of_files(files: Sequence[Path], media: Sequence[str]) -> list[str]:
    if len(media) == 1:
        return list(media) * len(files)
    if len(media) != len(files):
        raise ValueError(
            f"{len(media)} media for {len(files)} files; name one medium for all, or one for each"
        )
    return list(media)


def _require_expression(block: Block, path: Path) -> None:
    if len(block) and "expression" not in block.columns:
        raise ValueError(
            f"{path}: no column of measured expression; name it with --column expression=NAME"
        )


Rejections = list[tuple[int, str, bytes]]


def _judge(block: Block, medium: str, flanks: sequence.Flanks) -> tuple[_Rows | None, Rejections]:
    """Split a block into the rows that are taken and (line, reason, text) of those that are not."""
    rejected: Rejections = list(block.misshapen)
    if not len(block):
        return None, rejected
    texts = block.columns["sequence"]
    too_long = np.array([len(text) > MAX_SEQUENCE for text in texts])
    tokens, lengths = sequence.letters_to_tokens(
        [b"N" if long else text for long, text in zip(too_long, texts, strict=True)]
    )
    labels = _numbers(block.columns["expression"])
    weights = _numbers(block.columns["weight"]) if "weight" in block.columns else None
    bad_letter = (tokens == sequence.INVALID).any(axis=1)
    judgements: list[tuple[npt.NDArray[np.bool_], str, list[bytes]]] = [
        (too_long, f"sequence of more than {MAX_SEQUENCE:,} bases", texts),
        (lengths == 0, "empty sequence", texts),
        (bad_letter, "bad letter", texts),
        (np.isnan(labels), "expression is not a number", block.columns["expression"]),
        (np.isinf(labels), "expression is infinite", block.columns["expression"]),
    ]
    if weights is not None:
        unusable = ~(np.isfinite(weights) & (weights > 0))
        judgements.append((unusable, "weight is not a positive number", block.columns["weight"]))
    keep = np.ones(len(block), dtype=bool)
    for refused, reason, column in judgements:
        for row in np.nonzero(refused & keep)[0].tolist():
            said = reason
            if reason == "bad letter":
                column_number = int(np.argmax(tokens[row] == sequence.INVALID))
                text = texts[row].decode(errors="replace")
                said = f"bad letter: {sequence.describe_bad_letter(text, column_number)}"
            rejected.append((block.lines[row], said, column[row]))
        keep &= ~refused
    rejected.sort(key=lambda entry: entry[0])
    if not keep.any():
        return None, rejected
    kept = np.nonzero(keep)[0]
    fitted, done = sequence.prepare(tokens[kept], lengths[kept], flanks)
    rows = _Rows(
        tokens=fitted,
        labels=labels[kept],
        medium=_pick_media(block, kept, medium),
        family=_hashes(block, kept) if "family" in block.columns else None,
        weight=weights[kept] if weights is not None else None,
        done=done,
        given_lengths=lengths[kept],
    )
    return rows, rejected


def _numbers(texts: list[bytes]) -> npt.NDArray[np.float32]:
    """The texts as numbers; NaN where a text is none."""
    try:
        values = np.array(texts, dtype="S").astype(np.float64)
    except ValueError:
        values = np.array([_number(text) for text in texts])
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _number(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _pick_media(block: Block, kept: npt.NDArray[np.int64], medium: str) -> list[str]:
    if "medium" not in block.columns:
        return [medium] * len(kept)
    return [
        block.columns["medium"][row].decode(errors="backslashreplace") or medium
        for row in kept.tolist()
    ]


def _hashes(block: Block, kept: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Families as numbers that do not depend on which others there are; unnamed, the sequence's."""
    names, texts = block.columns["family"], block.columns["sequence"]
    digests = [
        hashlib.blake2b(names[row] or texts[row], digest_size=8).digest() for row in kept.tolist()
    ]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


class _Writer:
    """Appends accepted rows to the arrays and keeps the account."""

    def __init__(self, folder: Path, files: Sequence[Path], max_rejected: float) -> None:
        self.folder, self.max_rejected = folder, max_rejected
        unique = len({path.name for path in files}) == len(set(files))
        self.titles = {path: path.name if unique else str(path) for path in files}
        self.rows_read = self.rows = 0
        self.reasons: Counter[str] = Counter()
        self.first_rejected: list[str] = []
        self.sources: list[dict[str, Any]] = []
        self.media: dict[str, _LabelStatistics] = {}
        self.lengths: Counter[int] = Counter()
        self.done = sequence.Preparation()
        self.digests = {name: hashlib.sha256() for name in COLUMNS}
        self.arrays: dict[str, _ArrayFile] = {}
        self.report: IO[str] = (folder / "rejected.tsv").open("w", newline="\n", encoding="utf-8")
        self.report.write("file\tline\treason\ttext\n")

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.report.close()
        for array in self.arrays.values():
            array.close()

    def start_file(self, path: Path) -> None:
        self.sources.append({"file": self.titles[path], "rows_read": 0, "rows_taken": 0})

    def write(self, rows: _Rows | None, rejected: Rejections) -> None:
        taken = len(rows.labels) if rows is not None else 0
        self._account(rejected, taken)
        if rows is None:
            return
        columns: dict[str, Any] = {
            "tokens": rows.tokens,
            "labels": rows.labels,
            "medium": self._medium_numbers(rows),
            "family": rows.family,
            "weight": rows.weight,
        }
        for name in COLUMNS:
            self._append(name, columns[name])
        self.rows += taken
        self.done += rows.done
        self.lengths.update(rows.given_lengths.tolist())

    def _append(self, name: str, values: Any) -> None:
        if self.rows > 0 and (values is None) == (name in self.arrays):
            raise ValueError(
                f"{self.sources[-1]['file']}: column {name!r} is in some files and not in others; "
                "give it in all or in none"
            )
        if values is None:
            return
        if name not in self.arrays:
            self.arrays[name] = _ArrayFile(self.folder / f"{name}.npy", name)
        self.arrays[name].append(values)
        self.digests[name].update(np.ascontiguousarray(values).tobytes())

    def _medium_numbers(self, rows: _Rows) -> npt.NDArray[np.uint8]:
        names = np.array(rows.medium)
        numbers = np.zeros(len(names), dtype=np.uint8)
        for name in dict.fromkeys(rows.medium):
            if name not in self.media:
                if len(self.media) == MAX_MEDIA:
                    raise ValueError(f"more than {MAX_MEDIA} media; is the medium column right?")
                self.media[name] = _LabelStatistics()
            here = names == name
            self.media[name].update(rows.labels[here])
            numbers[here] = list(self.media).index(name)
        return numbers

    def _account(self, rejected: Rejections, taken: int) -> None:
        source = self.sources[-1]
        read = taken + len(rejected)
        self.rows_read += read
        source["rows_read"] += read
        source["rows_taken"] += taken
        for line, reason, text in rejected:
            shown = re.sub(r"[\t\r]", " ", text.decode(errors="replace"))[:SHOWN_TEXT]
            self.report.write(f"{source['file']}\t{line}\t{reason}\t{shown}\n")
            self.reasons[reason.split(":")[0]] += 1
            if len(self.first_rejected) < 5:
                self.first_rejected.append(f"{source['file']}, line {line}: {reason}")
        if self.rows_read >= 100_000:
            self._check_rejected()

    def _check_rejected(self) -> None:
        bad = sum(n for reason, n in self.reasons.items() if reason not in HARMLESS)
        if bad > self.max_rejected * self.rows_read:
            raise TooManyRejected(
                f"{bad:,} of {self.rows_read:,} rows cannot be used, more than the "
                f"{self.max_rejected:.1%} allowed by --max-rejected. "
                + "; ".join(f"{n:,} × {reason}" for reason, n in self.reasons.most_common())
                + ". First: "
                + "; ".join(self.first_rejected)
            )

    def finish(self, options: IngestOptions) -> None:
        if self.rows == 0 and not self.reasons:
            raise ValueError(f"no rows in {', '.join(s['file'] for s in self.sources)}")
        self._check_rejected()
        if self.rows == 0:
            raise TooManyRejected("no row can be used. First: " + "; ".join(self.first_rejected))
        for array in self.arrays.values():
            array.finish()
        manifest = {
            "format": FORMAT,
            "rows": self.rows,
            "length": sequence.LENGTH,
            "columns": list(self.arrays),
            "media": {name: statistics.summary() for name, statistics in self.media.items()},
            "flanks": options.flanks,
            "preparation": asdict(self.done),
            "lengths": {str(n): count for n, count in sorted(self.lengths.items())},
            "rows_read": self.rows_read,
            "rejected": dict(self.reasons.most_common()),
            "sources": self.sources,
            "fingerprint": self._fingerprint(),
        }
        (self.folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")

    def _fingerprint(self) -> str:
        parts = [*self.media, *(digest.hexdigest() for digest in self.digests.values())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class _LabelStatistics:
    """Count, range, mean, spread and histogram of one medium's labels, in one pass."""

    def __init__(self) -> None:
        self.n, self.total, self.squares = 0, 0.0, 0.0
        self.low, self.high = float("inf"), float("-inf")
        self.histogram: Counter[int] = Counter()

    def update(self, labels: npt.NDArray[np.float32]) -> None:
        values = labels.astype(np.float64)
        self.n += len(values)
        self.total += float(values.sum())
        self.squares += float((values**2).sum())
        self.low, self.high = min(self.low, values.min()), max(self.high, values.max())
        bins = np.clip(np.floor(values / HISTOGRAM_WIDTH), -1e6, 1e6)
        numbers, counts = np.unique(bins, return_counts=True)
        self.histogram.update({int(b): int(c) for b, c in zip(numbers, counts, strict=True)})

    def summary(self) -> dict[str, Any]:
        mean = self.total / self.n
        return {
            "rows": self.n,
            "mean": mean,
            "sd": max(0.0, self.squares / self.n - mean**2) ** 0.5,
            "min": float(self.low),
            "max": float(self.high),
            "histogram": {
                "width": HISTOGRAM_WIDTH,
                "bins": {str(b): c for b, c in sorted(self.histogram.items())},
            },
        }


class _ArrayFile:
    """A .npy file that is appended to; its header gets the true number of rows at the end."""

    HEADER = 128

    def __init__(self, path: Path, name: str) -> None:
        self.dtype: np.dtype[Any] = COLUMNS[name]
        self.shape: tuple[int, ...] = (sequence.LENGTH,) if name == "tokens" else ()
        self.rows = 0
        self.file = path.open("wb")
        self.file.write(b"\0" * self.HEADER)

    def append(self, values: npt.NDArray[Any]) -> None:
        self.file.write(np.ascontiguousarray(values, dtype=self.dtype).tobytes())
        self.rows += len(values)

    def finish(self) -> None:
        shape = (self.rows, *self.shape)
        text = f"{{'descr': '{self.dtype.str}', 'fortran_order': False, 'shape': {shape}, }}"
        padded = text.ljust(self.HEADER - 11).encode("latin-1") + b"\n"
        self.file.seek(0)
        self.file.write(b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded)

    def close(self) -> None:
        self.file.close()


def rejection_summary(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Sentences about what was read, taken and refused, for the command line."""
    taken, read = manifest["rows"], manifest["rows_read"]
    yield f"{taken:,} of {read:,} rows taken"
    for reason, count in manifest["rejected"].items():
        yield f"{count:,} not taken: {reason}"
    yield from sequence.Preparation(**manifest["preparation"]).messages()
