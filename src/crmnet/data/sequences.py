"""Ids and sequences of a file, block by block, for every command that reads sequences.

Takes FASTA, TSV, CSV or one sequence per line (:mod:`crmnet.data.reading`) and gives ids, line
numbers and sequences, then prepared tokens. A line that cannot be read is an error that names file
and line; ingestion (:mod:`crmnet.data.ingest`) counts such lines instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crmnet import sequence
from crmnet.arrays import Floats
from crmnet.data.lines import HARMLESS_REASONS, Block
from crmnet.data.reading import display_name, read_blocks
from crmnet.files import PathLike


class SequenceBlock(NamedTuple):
    """Sequences that were read together; their letters are not checked yet."""

    ids: list[str]
    lines: list[int]
    """Line number of each sequence in its file, from 1."""
    sequences: list[bytes]
    expression: list[bytes] | None = None
    """Text of the expression column; None if it was not requested or the file has none."""


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
        measured = None if self.expression is None else self.expression[:n]
        given = None if self.given is None else self.given[:n]
        return Promoters(self.ids[:n], self.tokens[:n], measured, self.preparation, given)


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


def read_sequences(path: PathLike, *, expression: bool = False) -> Iterator[SequenceBlock]:
    """Read the sequences of a file and their ids, block by block.

    Ids are those of the file (FASTA names, an ``id`` column), else running numbers from 1.

    Args:
        path: The file, or ``-`` for standard input.
        expression: Read the expression column as well, if the file has one.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line is not a row, or the file holds no sequences.
    """
    path = Path(path)
    roles = ["id", "sequence", *["expression"] * expression]
    count = 0
    for block in read_checked(path, roles):
        if len(block):
            ids = _row_ids(block, path, count)
            count += len(block)
            columns = block.columns
            yield SequenceBlock(ids, block.lines, columns["sequence"], columns.get("expression"))
    if not count:
        raise ValueError(
            f"{display_name(path)} holds no sequences; add a line for each below the header"
        )


def _row_ids(block: Block, path: Path, before: int) -> list[str]:
    """Ids of the rows of a block; without an ``id`` column, numbers that follow ``before``."""
    if "id" not in block.columns:
        return [str(number) for number in range(before + 1, before + len(block) + 1)]
    ids = []
    for line, text in zip(block.lines, block.columns["id"], strict=True):
        try:
            ids.append(text.decode())
        except UnicodeDecodeError:
            raise ValueError(
                f"{display_name(path)}, line {line}: id {text.decode(errors='replace')!r} is not "
                "UTF-8; save the file as UTF-8"
            ) from None
    return ids


def prepare_block(
    block: SequenceBlock,
    path: PathLike,
    flanks: sequence.Flanks = "auto",
    length: int | None = sequence.LENGTH,
) -> tuple[sequence.Tokens, sequence.Preparation]:
    """Tokens of a block of the file ``path``.

    Args:
        block: From :func:`read_sequences`.
        path: The file, for error messages.
        flanks: As for :func:`crmnet.sequence.prepare`.
        length: Positions of each row; None cuts nothing and pads to the longest row.

    Returns:
        Tokens ``(N, length)`` and what was done to the sequences.

    Raises:
        ValueError: At the first letter that is not A, C, G, T or N, naming id, file, line and
            position.
    """
    file = display_name(path)
    names = [f"{name} ({file}, line {n})" for name, n in zip(block.ids, block.lines, strict=True)]
    tokens, lengths = sequence.encode(block.sequences, names)
    if length is not None:
        return sequence.prepare(tokens, lengths, flanks, length)
    adapters = len(sequence.ADAPTER_5) + len(sequence.ADAPTER_3)
    tokens, done = sequence.prepare(tokens, lengths, flanks, tokens.shape[1] + adapters)
    return tokens[:, : int(sequence.sequence_lengths(tokens).max(initial=0))], done


def read_promoters(
    path: PathLike, *, flanks: sequence.Flanks = "auto", length: int | None = sequence.LENGTH
) -> Promoters:
    """Read all sequences of a file, and their expression if the file has such a column.

    Args:
        path: The file, or ``-`` for standard input.
        flanks: As for :func:`crmnet.sequence.prepare`.
        length: As for :func:`prepare_block`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: At the first sequence or number that cannot be read, naming file and line.
    """
    ids: list[str] = []
    expression: list[float] = []
    parts, given, preparation = [], [], sequence.Preparation()
    for block in read_sequences(path, expression=True):
        tokens, done = prepare_block(block, path, flanks, length)
        ids += block.ids
        parts.append(tokens)
        given.append(sequence.given_spans(block.sequences, flanks))
        preparation += done
        for line, text in zip(block.lines, block.expression or [], strict=False):
            expression.append(to_number(text, path, line, "expression"))
    measured = np.array(expression) if len(expression) == len(ids) else None
    return Promoters(ids, _stack(parts), measured, preparation, np.concatenate(given))


def to_number(text: bytes, path: PathLike, line: int, role: str) -> float:
    """A field as a number; ValueError names file, line and column."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(
            f"{display_name(path)}, line {line}: {role} {text.decode(errors='replace')!r} is not a "
            "number"
        ) from None


def _stack(parts: Sequence[sequence.Tokens]) -> sequence.Tokens:
    """Rows of all parts, padded with N to the widest part."""
    width = max(part.shape[1] for part in parts)
    return np.concatenate(
        [
            np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=sequence.N_TOKEN)
            for part in parts
        ]
    )
