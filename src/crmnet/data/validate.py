"""Which rows of a file are taken: columns become tokens and numbers, and what is no use is refused.

Takes pieces of text or blocks of columns (see :mod:`crmnet.data.reading`) and gives the rows that
are taken, prepared, and (line, reason, text) of those that are not. :mod:`crmnet.data.ingest` goes
through whole files with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.data.fast_parser import CAREFUL, PLAIN, PlainRows, plain_rows
from crmnet.data.lines import NOT_ASKED_FOR, Block, Layout, LineReader
from crmnet.data.writer import EncodedRows

MAX_SEQUENCE = 10_000
"""A promoter is not longer than this; one such line would cost memory for every row beside it."""


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))

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
class Taken:
    """Accepted rows of one block."""

    rows: EncodedRows
    done: sequence.Preparation
    given_lengths: npt.NDArray[np.int64]
    lines: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Line number of each row, where it was read with care."""


Rejections = list[tuple[int, str, bytes]]
ValidatedRows = tuple[Taken | None, Rejections]


def judge_piece(
    layout: Layout,
    plain: bool,
    source: Source,
    flanks: sequence.Flanks,
    piece: tuple[int, bytes],
) -> ValidatedRows:
    """Judge a piece of a table: the plain rows at once, the others one by one."""
    number, text = piece
    reader = LineReader(layout)
    if plain:
        rows = plain_rows(text, number, layout, cut=flanks != "add")
        if 2 * len(rows.careful) <= len(rows.labels):
            slow, rejected = judge_block(reader.read_lines(rows.careful), source, flanks)
            return _take_plain(rows, slow, number, source, flanks), rejected
    return judge_block(source.asked_for(reader.read(text, number)), source, flanks)


def _take_plain(
    rows: PlainRows, slow: Taken | None, number: int, source: Source, flanks: sequence.Flanks
) -> Taken:
    """Plain rows, and those read with care in their places among them."""
    done, chosen = sequence.Preparation(), np.nonzero(rows.kind != CAREFUL)[0]
    if flanks != "add":  # rows that are whole, or are to be left alone, stand there as they should
        kept = rows.kind == PLAIN if flanks == "auto" else rows.kind != CAREFUL
        chosen = np.nonzero((rows.kind != CAREFUL) & ~kept)[0]
        done = sequence.Preparation(
            total=int(kept.sum()),
            adapters_kept=int(kept.sum()) if flanks == "auto" else 0,
            cut=int((rows.lengths[kept] > sequence.LENGTH).sum()),
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
    return Taken(EncodedRows(tokens, labels, medium, [source.medium], units=units), done, lengths)


def judge_block(
    block: Block, source: Source, flanks: sequence.Flanks
) -> tuple[Taken | None, Rejections]:
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
    rows = EncodedRows(
        tokens=fitted,
        labels=labels[kept],
        medium=numbers,
        media=names,
        family=_hashes(block, kept) if "family" in block.columns else None,
        weight=weights[kept] if weights is not None else None,
        units={} if source.unit is None else dict.fromkeys(names, source.unit),
    )
    return Taken(rows, done, lengths[kept], np.array(block.lines)[kept]), rejected


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
