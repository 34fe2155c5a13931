"""Raw rows → data set folder: reads, judges, normalises and writes, block by block.

Takes text files of sequences and measured expression (see :mod:`crmnet.data.reading`) and gives a
:class:`~crmnet.data.dataset.Dataset`. Every row that is not taken is counted by reason and listed
with its file and line. Memory does not grow with the number of rows, and a data set appears under
its name only when it is whole.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.data.dataset import Dataset
from crmnet.data.plain import CAREFUL, PLAIN, PlainRows, is_plain, plain_rows
from crmnet.data.reading import (
    HARMLESS,
    NOT_ASKED_FOR,
    Block,
    Layout,
    LineReader,
    Text,
    careful_blocks,
    open_text,
)
from crmnet.data.writer import DatasetWriter, Rows, new_folder

ROLES = ("sequence", "expression", "medium", "family", "weight")
MAX_SEQUENCE = 10_000
"""A promoter is not longer than this; one such line would cost memory for every row beside it."""
SHOWN_TEXT = 60


Value = TypeVar("Value")


class TooManyRejected(ValueError):
    """More rows were refused than the caller allows; says how many and shows the first."""


@dataclass(frozen=True)
class IngestOptions:
    """What :func:`ingest` may be told beyond the files."""

    media: Sequence[str] = ("complex",)
    """One name for all files, or one for each; a ``medium`` column in a file comes first."""
    units: Sequence[str] = ()
    """Unit of the labels: one for all files, or one for each; none: told from the range of the
    labels of each file, ``sorting bin`` within 0-17, else ``unknown``."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Role (sequence, expression, medium, family, weight) → name in the files' headers."""
    flanks: sequence.Flanks = "auto"
    max_rejected: float = 0.01
    """Share of rows that may be refused before the ingestion stops."""
    overwrite: bool = False
    packed: bool = False
    """Keep two bits a base (see :mod:`crmnet.data.packed`)."""
    jobs: int = 1
    """Threads that parse, beside the one that reads and writes."""


@dataclass(frozen=True)
class Source:
    """A file with all that is to be known to read it."""

    path: Path
    medium: str = "complex"
    unit: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    trim: tuple[int, int] = (0, 0)
    """Bases to cut from either end of each sequence."""
    only: Mapping[str, str] = field(default_factory=dict)
    """Column → the value it must have in rows that are taken."""
    above: float | None = None
    """Labels that are taken are larger than this."""

    @property
    def columns_read(self) -> dict[str, str]:
        """Role → column, those that rows are chosen by among them."""
        return {**self.columns, **{name.lower(): name for name in self.only}}

    def asked_for(self, block: Block) -> Block:
        """The rows that are to be taken, trimmed; the others are among the misshapen."""
        if self.only or self.above is not None:
            block = self._chosen(block)
        if any(self.trim):
            left, right = self.trim
            block.columns["sequence"] = [
                text[left : len(text) - right] for text in block.columns["sequence"]
            ]
        return block

    @property
    def takes_all(self) -> bool:
        """Whether every row is taken as it stands."""
        return not self.only and self.above is None and not any(self.trim)

    def _chosen(self, block: Block) -> Block:
        above = float("-inf") if self.above is None else self.above
        labels = _numbers(block.columns["expression"])
        wanted = (labels > above) | np.isnan(labels)  # what is no number is refused later
        for name, value in self.only.items():
            column = block.columns[name.lower()]
            wanted &= np.array([text == value.encode() for text in column], dtype=bool)
        return block.only(wanted, NOT_ASKED_FOR)


@dataclass
class _Taken:
    """Accepted rows of one block."""

    rows: Rows
    done: sequence.Preparation
    given_lengths: npt.NDArray[np.int64]
    lines: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Line number of each row, where it was read with care."""


def ingest(
    files: Sequence[Path | Source],
    destination: Path,
    options: IngestOptions | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Dataset:
    """Read files of measurements into one data set.

    Args:
        files: Text files, read as the options say, or sources, which say it themselves; ``-`` is
            standard input.
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
    sources = _sources(files, options)
    with (
        new_folder(destination, options.overwrite) as folder,
        DatasetWriter(folder, packed=options.packed) as writer,
        _Account(folder, [source.path for source in sources], options.max_rejected) as account,
    ):
        for source in sources:
            account.start_file(source.path)
            for taken, rejected in _judged(source, options):
                account.add(taken, rejected)
                if taken is not None:
                    writer.append(taken.rows, account.source)
                progress(account.rows_read)
        writer.finish(**account.finish(options.flanks))
    return Dataset.open(destination)


def _for_each(files: Sequence[Path | Source], given: Sequence[Value], what: str) -> list[Value]:
    if len(given) == 1:
        return list(given) * len(files)
    if len(given) != len(files):
        raise ValueError(
            f"{len(given)} {what} for {len(files)} files; name one for all, or one for each"
        )
    return list(given)


def _sources(files: Sequence[Path | Source], options: IngestOptions) -> list[Source]:
    media = _for_each(files, options.media, "media")
    units = _for_each(files, options.units or (None,), "units")
    return [
        file if isinstance(file, Source) else Source(file, medium, unit, options.columns)
        for file, medium, unit in zip(files, media, units, strict=True)
    ]


Rejections = list[tuple[int, str, bytes]]
Judged = tuple["_Taken | None", Rejections]


def _judged(source: Source, options: IngestOptions) -> Iterator[Judged]:
    """The rows of a file, piece by piece, in as many threads as are asked for."""
    names = source.columns_read
    with open_text(
        source.path, (*ROLES, *map(str.lower, source.only)), names, ("sequence",)
    ) as text:
        if "expression" not in text.layout.positions:
            _refuse_without_expression(text, source)
            return
        if text.layout.kind == "fasta":
            for block in careful_blocks(text):
                yield _judge(source.asked_for(block), source, options.flanks)
            return
        plain = source.takes_all and is_plain(text.layout)
        judge = partial(_judge_piece, text.layout, plain, source, options.flanks)
        if options.jobs == 1:
            yield from map(judge, text.pieces)
            return
        with ThreadPoolExecutor(options.jobs) as pool:
            waiting: deque[Future[Judged]] = deque()
            for piece in text.pieces:
                waiting.append(pool.submit(judge, piece))
                if len(waiting) > 2 * options.jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


def _refuse_without_expression(text: Text, source: Source) -> None:
    if any(len(block) for block in careful_blocks(text)):
        raise ValueError(
            f"{source.path}: no column of measured expression; name it with "
            "--column expression=NAME"
            + (", or write >name 5.3 above each sequence" if text.layout.kind == "fasta" else "")
        )


def _judge_piece(
    layout: Layout,
    plain: bool,
    source: Source,
    flanks: sequence.Flanks,
    piece: tuple[int, bytes],
) -> Judged:
    """Judge a piece of a table: the plain rows at once, the others one by one."""
    number, text = piece
    reader = LineReader(layout)
    if plain:
        rows = plain_rows(text, number, layout)
        if 2 * len(rows.careful) <= len(rows.labels):
            slow, rejected = _judge(reader.read_lines(rows.careful), source, flanks)
            return _take_plain(rows, slow, number, source, flanks), rejected
    return _judge(source.asked_for(reader.read(text, number)), source, flanks)


def _take_plain(
    rows: PlainRows, slow: _Taken | None, number: int, source: Source, flanks: sequence.Flanks
) -> _Taken:
    """Plain rows, and those read with care in their places among them."""
    done, chosen = sequence.Preparation(), np.nonzero(rows.kind != CAREFUL)[0]
    if flanks != "add":  # rows that are whole, or are to be left alone, stand there as they should
        kept = rows.kind == PLAIN if flanks == "auto" else rows.kind != CAREFUL
        chosen = np.nonzero((rows.kind != CAREFUL) & ~kept)[0]
        done = sequence.Preparation(
            total=int(kept.sum()),
            adapters_kept=int(kept.sum()) if flanks == "auto" else 0,
            with_n=int((rows.with_n & kept).sum()),
        )
    if len(chosen):
        fitted, more = sequence.prepare(rows.tokens[chosen], rows.lengths[chosen], flanks)
        rows.tokens[chosen] = fitted
        done += more
    tokens, labels, lengths = rows.tokens, rows.labels, rows.lengths
    if slow is not None:
        place = slow.lines - number
        tokens[place], labels[place] = slow.rows.tokens, slow.rows.labels
        lengths[place] = slow.given_lengths
        done += slow.done
    refused = len(rows.careful) - (len(slow.lines) if slow is not None else 0)
    if refused:
        taken = rows.kind != CAREFUL
        if slow is not None:
            taken[place] = True
        tokens, labels, lengths = tokens[taken], labels[taken], lengths[taken]
    medium = np.zeros(len(labels), dtype=np.uint8)
    units = {} if source.unit is None else {source.medium: source.unit}
    return _Taken(Rows(tokens, labels, medium, [source.medium], units=units), done, lengths)


def _judge(
    block: Block, source: Source, flanks: sequence.Flanks
) -> tuple[_Taken | None, Rejections]:
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
    numbers, names = _pick_media(block, kept, source.medium)
    rows = Rows(
        tokens=fitted,
        labels=labels[kept],
        medium=numbers,
        media=names,
        family=_hashes(block, kept) if "family" in block.columns else None,
        weight=weights[kept] if weights is not None else None,
        units={} if source.unit is None else dict.fromkeys(names, source.unit),
    )
    return _Taken(rows, done, lengths[kept], np.array(block.lines)[kept]), rejected


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


def _pick_media(
    block: Block, kept: npt.NDArray[np.int64], medium: str
) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Number of each row's medium in a list of names, and the list."""
    if "medium" not in block.columns:
        return np.zeros(len(kept), dtype=np.int64), [medium]
    named = [
        block.columns["medium"][row].decode(errors="backslashreplace") or medium
        for row in kept.tolist()
    ]
    table = {name: number for number, name in enumerate(dict.fromkeys(named))}
    return np.array([table[name] for name in named], dtype=np.int64), list(table)


def _hashes(block: Block, kept: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Families as numbers that do not depend on which others there are; unnamed, the sequence's."""
    names, texts = block.columns["family"], block.columns["sequence"]
    digests = [
        hashlib.blake2b(names[row] or texts[row], digest_size=8).digest() for row in kept.tolist()
    ]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


class _Account:
    """What was read, taken and refused, file by file; lists the refused in ``rejected.tsv``."""

    def __init__(self, folder: Path, files: Sequence[Path], max_rejected: float) -> None:
        self.max_rejected = max_rejected
        unique = len({path.name for path in files}) == len(set(files))
        self.titles = {path: path.name if unique else str(path) for path in files}
        self.rows_read = self.rows_taken = 0
        self.reasons: Counter[str] = Counter()
        self.first_rejected: list[str] = []
        self.sources: list[dict[str, Any]] = []
        self.lengths: Counter[int] = Counter()
        self.done = sequence.Preparation()
        self.report: IO[str] = (folder / "rejected.tsv").open("w", newline="\n", encoding="utf-8")
        self.report.write("file\tline\treason\ttext\n")

    def __enter__(self) -> _Account:
        return self

    def __exit__(self, *_: object) -> None:
        self.report.close()

    def start_file(self, path: Path) -> None:
        self.sources.append({"file": self.titles[path], "rows_read": 0, "rows_taken": 0})

    @property
    def source(self) -> str:
        return str(self.sources[-1]["file"])

    def add(self, taken: _Taken | None, rejected: Rejections) -> None:
        n = len(taken.rows.labels) if taken is not None else 0
        read = n + len(rejected)
        self.rows_read += read
        self.rows_taken += n
        self.sources[-1]["rows_read"] += read
        self.sources[-1]["rows_taken"] += n
        if taken is not None:
            self.done += taken.done
            counts = np.bincount(taken.given_lengths)
            self.lengths.update({n: int(counts[n]) for n in np.nonzero(counts)[0].tolist()})
        for line, reason, text in rejected:
            shown = re.sub(r"[\t\r]", " ", text.decode(errors="replace"))[:SHOWN_TEXT]
            self.report.write(f"{self.source}\t{line}\t{reason}\t{shown}\n")
            self.reasons[reason.split(":")[0]] += 1
            if len(self.first_rejected) < 5:
                self.first_rejected.append(f"{self.source}, line {line}: {reason}")
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

    def finish(self, flanks: sequence.Flanks) -> dict[str, Any]:
        """What the manifest says of the reading; refuses too many refusals, and no rows."""
        if self.rows_taken == 0 and not self.reasons:
            raise ValueError(f"no rows in {', '.join(s['file'] for s in self.sources)}")
        self._check_rejected()
        if self.rows_taken == 0:
            raise TooManyRejected("no row can be used. First: " + "; ".join(self.first_rejected))
        return {
            "flanks": flanks,
            "preparation": asdict(self.done),
            "lengths": {str(n): count for n, count in sorted(self.lengths.items())},
            "rows_read": self.rows_read,
            "rejected": dict(self.reasons.most_common()),
            "sources": self.sources,
        }


def rejection_summary(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Sentences about what was read, taken and refused, for the command line."""
    taken, read = manifest["rows"], manifest["rows_read"]
    yield f"{taken:,} of {read:,} rows taken"
    for reason, count in manifest["rejected"].items():
        yield f"{count:,} not taken: {reason}"
    yield from sequence.Preparation(**manifest["preparation"]).messages()
