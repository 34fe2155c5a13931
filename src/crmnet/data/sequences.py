"""Ids and sequences of a file, block by block, for every command that reads sequences.

The functions read FASTA, TSV, CSV or one sequence per line (:mod:`crmnet.data.reading`) and return
ids, line numbers and sequences, or prepared tokens, for prediction and interpretation. A line that
cannot be read is an error that names file and line. Ingestion (:mod:`crmnet.data.ingest`) counts
such lines instead.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crmnet import sequence
from crmnet.arrays import Floats, Integers
from crmnet.data.lines import HARMLESS_REASONS, Block, shortened
from crmnet.data.numbers import is_missing, parse_number
from crmnet.data.reading import display_name, read_blocks
from crmnet.files import PathLike

log = logging.getLogger("crmnet")


class SequenceBlock(NamedTuple):
    """Sequences that were read together; their letters are not checked yet."""

    ids: list[str]
    lines: list[int]
    """Line number of each sequence in its file, from 1."""
    sequences: list[bytes]
    expression: list[bytes] | None = None
    """Text of the expression column; None if it was not requested or the file has none."""
    more: Mapping[str, list[bytes]] | None = None
    """Text of further columns by role, of those that were requested and exist."""

    def take(self, rows: Sequence[int]) -> SequenceBlock:
        """The sequences of some rows."""
        return SequenceBlock(
            [self.ids[row] for row in rows],
            [self.lines[row] for row in rows],
            [self.sequences[row] for row in rows],
            None if self.expression is None else [self.expression[row] for row in rows],
            {role: [column[row] for row in rows] for role, column in (self.more or {}).items()},
        )


class Promoters(NamedTuple):
    """All sequences of a file, as tokens."""

    ids: list[str]
    tokens: sequence.Tokens
    """``(B, L)`` constructs."""
    expression: Floats | None
    """``(B,)`` measured expression; None if the file has no such column."""
    preparation: sequence.Preparation = sequence.Preparation()
    """What :func:`crmnet.sequence.prepare` did to the sequences: adapters, length."""
    given: sequence.Lengths | None = None
    """``(B, 2)`` from :func:`crmnet.sequence.given_spans`; None if the constructs were given."""

    def first(self, n: int) -> Promoters:
        """The first ``n`` promoters."""
        return self.take(np.arange(min(n, len(self.ids))))

    def take(self, rows: Integers) -> Promoters:
        """The promoters of some rows."""
        measured = None if self.expression is None else self.expression[rows]
        given = None if self.given is None else self.given[rows]
        ids = [self.ids[row] for row in rows.tolist()]
        return Promoters(ids, self.tokens[rows], measured, self.preparation, given)


def read_checked(
    path: PathLike,
    roles: Sequence[str],
    names: Mapping[str, str] | None = None,
    required: Sequence[str] = ("sequence",),
) -> Iterator[Block]:
    """:func:`crmnet.data.reading.read_blocks`, but a line that is not a row is an error.

    Raises:
        ValueError: If a line has too many or too few fields; blank lines and repeated headers are
            skipped.
    """
    for block in read_blocks(path, roles, names, required):
        for line, reason, _ in block.skipped:
            if reason not in HARMLESS_REASONS:
                raise ValueError(
                    f"{display_name(path)}, line {line}: {reason}; fix or remove the line"
                )
        yield block


MAX_ID = 1000
"""Largest number of characters of an id; a longer one comes from a damaged line."""

NAMED = 5
"""Rows that a message about several names."""

COLUMN_ROLES = ("id", "sequence", "expression")
"""Roles in ``--column ROLE=NAME`` of commands that read sequences."""


def read_sequences(
    path: PathLike,
    *,
    expression: bool = False,
    columns: Mapping[str, str] | None = None,
    more: Sequence[str] = (),
    only: Sequence[str] = (),
) -> Iterator[SequenceBlock]:
    """Read the sequences of a file and their ids, block by block.

    Ids are those of the file (FASTA names, an ``id`` column). A table without such a column gives
    those of a text column with a different value in each row, which is logged. Otherwise ids are
    running numbers from 1.

    Args:
        path: The file, or ``-`` for standard input.
        expression: Read the expression column as well, if the file has one.
        columns: Role of :data:`COLUMN_ROLES` or ``more`` → header name, where it is not an accepted
            one.
        more: Further roles to read, if the table has columns of these names.
        only: Ids of the sequences to return; none means all.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If a line is not a row, the file holds no sequences or no such column, or an id
            is too long; at the end, if no sequence has an id of ``only``.
    """
    path = Path(path)
    roles = ["id", "sequence", *["expression"] * expression, *more]
    count, missing = 0, dict.fromkeys(only)
    named = {role: name for role, name in (columns or {}).items() if role in roles}
    for block in read_checked(path, roles, named):
        if len(block):
            ids = _row_ids(block, path, count)
            count += len(block)
            fields = block.columns
            further = {role: fields[role] for role in more if role in fields}
            found = SequenceBlock(
                ids, block.lines, fields["sequence"], fields.get("expression"), further
            )
            if only:
                found = found.take([row for row, name in enumerate(ids) if name in only])
                for name in found.ids:
                    missing.pop(name, None)
            _check_present(found, path)
            if found.ids:
                yield found
    if count and missing:
        raise ValueError(
            f"{display_name(path)} has no sequence with the id {next(iter(missing))!r}; ids are "
            "FASTA names or those of the column id or --column id=NAME, else numbers from 1"
        )
    if not count:
        raise ValueError(
            f"{display_name(path)} holds no sequences; add a line for each below the header"
        )


def _check_present(block: SequenceBlock, path: Path) -> None:
    """Raise ValueError for texts such as ``NA`` and ``nan``, whose letters could pass for bases."""
    for name, line, text in zip(block.ids, block.lines, block.sequences, strict=True):
        if text and is_missing(text):
            raise ValueError(
                f"{display_name(path)}, line {line}: the sequence of {name!r} is missing "
                f"({shortened(text)}); replace or remove it"
            )


def _row_ids(block: Block, path: Path, before: int) -> list[str]:
    """Ids of the rows of a block; without an ``id`` column, numbers that follow ``before``."""
    if "id" not in block.columns:
        return [str(number) for number in range(before + 1, before + len(block) + 1)]
    ids = []
    for line, text in zip(block.lines, block.columns["id"], strict=True):
        check_id(text, path, line)
        try:
            ids.append(text.decode())
        except UnicodeDecodeError:
            raise ValueError(
                f"{display_name(path)}, line {line}: id {shortened(text)!r} is not "
                "UTF-8; save the file as UTF-8"
            ) from None
    return ids


def check_id(text: bytes, path: PathLike, line: int) -> None:
    """Raise ValueError for an id that is longer than :data:`MAX_ID`."""
    if len(text) > MAX_ID:
        raise ValueError(
            f"{display_name(path)}, line {line}: the id has {len(text):,} characters; at most "
            f"{MAX_ID:,} are read: {shortened(text, 20)}"
        )


def prepare_block(
    block: SequenceBlock,
    path: PathLike,
    flanks: sequence.Flanks = "auto",
    length: int | None = sequence.LENGTH,
    *,
    iupac: sequence.Iupac = "error",
    cut: bool = False,
    remedy: str | None = None,
) -> tuple[sequence.Tokens, sequence.Preparation]:
    """Tokens of a block of the file ``path``.

    Args:
        block: From :func:`read_sequences`.
        path: The file, for error messages.
        flanks: As for :func:`crmnet.sequence.prepare`.
        length: Positions of each row; None cuts nothing and pads to the longest row.
        iupac: ``n`` reads letters that stand for several bases as N.
        cut: Cut and count constructs that are longer than ``length``, instead of refusing them.
        remedy: What the error about a long sequence advises.

    Returns:
        Tokens ``(N, length)`` and what was done to the sequences.

    Raises:
        ValueError: At the first letter that is not A, C, G, T or N, naming id, file, line and
            position, or the first sequence that is too long.
    """
    names = block_names(block, path)
    texts = block.sequences
    if iupac == "n":
        texts = [sequence.iupac_as_n(text) for text in texts]
    if length is not None:
        return sequence.constructs(
            texts, names, flanks=flanks, length=length, cut=cut, remedy=remedy
        )
    tokens, lengths = sequence.encode(texts, names)
    adapters = len(sequence.ADAPTER_5) + len(sequence.ADAPTER_3)
    tokens, preparation = sequence.prepare(tokens, lengths, flanks, tokens.shape[1] + adapters)
    return tokens[:, : int(sequence.sequence_lengths(tokens).max(initial=0))], preparation


def prepare_windows(
    block: SequenceBlock,
    path: PathLike,
    windows: Sequence[Sequence[sequence.Stretch]],
    flanks: sequence.Flanks = "auto",
    length: int = sequence.LENGTH,
    iupac: sequence.Iupac = "error",
) -> tuple[sequence.Tokens, sequence.Lengths, sequence.Preparation]:
    """Tokens of windows of a block's sequences, and where these lie in them.

    Args:
        block: From :func:`read_sequences`.
        path: The file, for error messages.
        windows: Windows of each sequence, from :func:`crmnet.sequence.windows`.
        flanks: As for :func:`crmnet.sequence.prepare`.
        length: Positions of each row.
        iupac: As for :func:`prepare_block`.

    Returns:
        Tokens ``(N, length)``, :func:`crmnet.sequence.window_spans`, and what was done.
    """
    texts = block.sequences
    if iupac == "n":
        texts = [sequence.iupac_as_n(text) for text in texts]
    tokens, preparation = sequence.window_constructs(
        texts, windows, block_names(block, path), flanks=flanks, length=length
    )
    return tokens, sequence.window_spans(texts, windows, flanks), preparation


def block_names(block: SequenceBlock, path: PathLike) -> list[str]:
    """Names of the sequences of a block in messages: id, file and line."""
    file = display_name(path)
    return [f"{name} ({file}, line {n})" for name, n in zip(block.ids, block.lines, strict=True)]


def read_promoters(
    path: PathLike,
    *,
    flanks: sequence.Flanks = "auto",
    length: int | None = sequence.LENGTH,
    columns: Mapping[str, str] | None = None,
    iupac: sequence.Iupac = "error",
    cut: bool = False,
    window: sequence.Window | None = None,
    remedy: str | None = None,
    measured: bool = True,
    only_measured: bool = False,
    only: Sequence[str] = (),
) -> Promoters:
    """Read all sequences of a file, and their expression if every row has one.

    A missing value (an empty field, ``NA``, ``#N/A``, ``None``, ``.``; a FASTA header without a
    number) leaves the expression of the whole file out, or with ``only_measured`` the row. Either
    is logged.

    Args:
        path: The file, or ``-`` for standard input.
        flanks: As for :func:`crmnet.sequence.prepare`.
        length: As for :func:`prepare_block`.
        columns: As for :func:`read_sequences`.
        iupac: As for :func:`prepare_block`.
        cut: As for :func:`prepare_block`.
        window: The end that is read of a sequence that is too long, which is logged; see
            :func:`crmnet.sequence.windows`. None means that ``cut`` decides.
        remedy: As for :func:`prepare_block`.
        measured: Read the expression; False ignores it.
        only_measured: Leave out rows without a measurement, unless no row has one.
        only: As for :func:`read_sequences`.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: At the first sequence or number that cannot be read, naming file and line.
    """
    ids: list[str] = []
    expression: list[float] = []
    blocks, spans_of_blocks, preparation, shortened_rows = [], [], sequence.Preparation(), 0
    without_value: list[int] = []
    for block in read_sequences(path, expression=measured, columns=columns, only=only):
        if window is None or length is None:
            tokens, block_preparation = prepare_block(
                block, path, flanks, length, iupac=iupac, cut=cut, remedy=remedy
            )
            spans = sequence.given_spans(block.sequences, flanks)
        else:
            windows = [sequence.windows(text, window, flanks, length) for text in block.sequences]
            tokens, spans, block_preparation = prepare_windows(
                block, path, windows, flanks, length, iupac
            )
            shortened_rows += sum(not window_of_sequence.whole for (window_of_sequence,) in windows)
        ids += block.ids
        blocks.append(tokens)
        spans_of_blocks.append(spans)
        preparation += block_preparation
        before = len(ids) - len(block.ids)
        for row, text in enumerate(block.expression or [], before):
            if is_missing(text):
                without_value.append(row)
            else:
                expression.append(to_number(text, path, block.lines[row - before], "expression"))
    if shortened_rows:
        log.info(
            "%s: %s of %s sequences are too long for the network; of these the %s %s bases are "
            "read", display_name(path), f"{shortened_rows:,}", f"{len(ids):,}", window,
            sequence.insert_window(length or sequence.LENGTH, flanks),
        )  # fmt: skip
    promoters = Promoters(ids, _stack(blocks), None, preparation, np.concatenate(spans_of_blocks))
    if without_value and expression:
        _report_missing([ids[row] for row in without_value], len(ids), path, only_measured)
        if only_measured:
            promoters = promoters.take(np.delete(np.arange(len(ids)), without_value))
    complete = bool(expression) and len(expression) == len(promoters.ids)
    return promoters._replace(expression=np.array(expression) if complete else None)


def _report_missing(ids: Sequence[str], total: int, path: PathLike, rows_left_out: bool) -> None:
    """Log rows without a measurement, and whether these rows or all measurements are left out."""
    named = ", ".join(ids[:NAMED]) + ", …" * (len(ids) > NAMED)
    log.info(
        "%s: %s of %s rows have no expression (%s); %s", display_name(path),
        f"{len(ids):,}", f"{total:,}", named,
        "they are left out" if rows_left_out else "the column is ignored",
    )  # fmt: skip


def to_number(text: bytes, path: PathLike, line: int, role: str) -> float:
    """A field as a number; a missing or other value is a ValueError with file, line and column."""
    try:
        if is_missing(text):
            raise ValueError
        return parse_number(text)
    except ValueError:
        raise ValueError(
            f"{display_name(path)}, line {line}: {role} {shortened(text)!r} is not a "
            f"number{'; write it with a decimal point' * (b',' in text)}"
        ) from None


def _stack(blocks: Sequence[sequence.Tokens]) -> sequence.Tokens:
    """Rows of all parts, padded with N to the widest part."""
    width = max(block.shape[1] for block in blocks)
    return np.concatenate(
        [
            np.pad(block, ((0, 0), (0, width - block.shape[1])), constant_values=sequence.N_TOKEN)
            for block in blocks
        ]
    )
