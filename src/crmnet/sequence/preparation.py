"""Inserts and constructs → constructs of the length of a network's input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from crmnet.choices import Flanks
from crmnet.sequence.adapters import (
    find_adapters,
    insert_span,
    known_span,
    shift_left,
    with_adapters,
)
from crmnet.sequence.assay import ADAPTER_3, ADAPTER_5, LENGTH
from crmnet.sequence.tokens import (
    N_TOKEN,
    Lengths,
    Texts,
    Tokens,
    as_list,
    as_tokens,
    encode,
    fit_length,
    letters_to_tokens,
)

WARNING = "warning: "
"""Start of a message about lost data; commands print such messages on stderr."""


@dataclass(frozen=True)
class Preparation:
    """Report of :func:`prepare`: numbers of sequences by what was done to them."""

    total: int = 0
    adapters_added: int = 0
    adapters_kept: int = 0
    one_adapter_only: int = 0
    padding_removed: int = 0
    cut: int = 0
    with_n: int = 0

    def __add__(self, other: Preparation) -> Preparation:
        counts, others = asdict(self), asdict(other)
        return Preparation(**{key: counts[key] + others[key] for key in counts})

    def messages(self, length: int = LENGTH, rows: str = "sequences") -> list[str]:
        """Sentences that describe what was done; lost bases are a warning.

        Args:
            length: Positions of the network's input.
            rows: What was counted: ``sequences``, or ``windows`` of sequences.
        """
        lines = []
        if self.adapters_added:
            lines.append(f"added adapters to {self.adapters_added:,} of {self.total:,} {rows}")
        if self.adapters_kept:
            lines.append(f"kept the adapters of {self.adapters_kept:,} of {self.total:,} {rows}")
        if self.one_adapter_only:
            lines.append(
                f"{self.one_adapter_only:,} of these have only one adapter; the other is not added"
            )
        if self.padding_removed:
            lines.append(
                f"removed N padding outside the adapters from {self.padding_removed:,} {rows}"
            )
        if self.with_n:
            lines.append(f"{self.with_n:,} {rows} contain N (unknown bases)")
        if self.cut:
            lines.append(
                f"{WARNING}{self.cut:,} {rows} are longer than {length} bases and were "
                "cut at the end"
            )
        return lines


def prepare(
    tokens: npt.ArrayLike, lengths: npt.ArrayLike, flanks: Flanks = "auto", length: int = LENGTH
) -> tuple[Tokens, Preparation]:
    """Normalise inserts and constructs; used for training rows and for every other input.

    Args:
        tokens: ``(N, W)``, from :func:`encode`.
        lengths: ``(N,)``.
        flanks: ``auto`` adds both adapters to sequences without any adapter; other sequences only
            lose N padding outside their adapters. ``add`` always adds both adapters. ``none`` never
            changes a sequence.
        length: Length of the result.

    A construct that is longer than ``length`` is cut at its end, as in the paper, and counted.
    :func:`constructs` refuses it instead.

    Returns:
        Tokens ``(N, length)`` and the :class:`Preparation`, a report of what was done.
    """
    tokens, lengths, report = _complete(tokens, lengths, flanks)
    report = replace(report, cut=int((lengths > length).sum()))
    return fit_length(tokens, lengths, length), report


def too_long(
    tokens: npt.ArrayLike, lengths: npt.ArrayLike, flanks: Flanks = "auto", length: int = LENGTH
) -> npt.NDArray[np.bool_]:
    """Which rows :func:`prepare` would cut: their construct is longer than ``length``.

    Args:
        tokens: ``(N, W)``, from :func:`encode`.
        lengths: ``(N,)``.
        flanks: As for :func:`prepare`.
        length: Positions of the network's input.

    Returns:
        ``(N,)``.
    """
    _, construct_lengths, _ = _complete(tokens, lengths, flanks)
    return construct_lengths > length


def _complete(
    tokens: npt.ArrayLike, lengths: npt.ArrayLike, flanks: Flanks
) -> tuple[Tokens, Lengths, Preparation]:
    """Complete constructs of any length, their lengths, and what was done."""
    if flanks not in get_args(Flanks):
        raise ValueError(f"flanks must be one of {', '.join(get_args(Flanks))}; got {flanks!r}")
    tokens, lengths = as_tokens(tokens), np.asarray(lengths)
    kept = np.zeros(len(tokens), dtype=bool)
    one_adapter = padded = 0
    if flanks == "auto":
        start, stop = known_span(tokens, lengths)
        has_5, has_3 = find_adapters(tokens, start, stop)
        kept = has_5 | has_3
        one_adapter = int((has_5 ^ has_3).sum())
        padded = int((kept & ((start > 0) | (stop < lengths))).sum())
        start, stop = np.where(kept, start, 0), np.where(kept, stop, lengths)
        tokens, lengths = shift_left(tokens, start), stop - start
    add = ~kept if flanks != "none" else np.zeros(len(tokens), dtype=bool)
    with_n = int(
        ((tokens == N_TOKEN) & (np.arange(tokens.shape[1]) < lengths[:, None])).any(1).sum()
    )
    if add.any():
        tokens, lengths = with_adapters(tokens, lengths, add)
    report = Preparation(
        total=len(tokens),
        adapters_added=int(add.sum()),
        adapters_kept=int(kept.sum()),
        one_adapter_only=one_adapter,
        padding_removed=padded,
        with_n=with_n,
    )
    return tokens, lengths, report


def constructs(
    sequences: Texts,
    names: Sequence[str] | None = None,
    *,
    flanks: Flanks = "auto",
    length: int = LENGTH,
    cut: bool = False,
    remedy: str | None = None,
) -> tuple[Tokens, Preparation]:
    """Tokens ``(N, length)`` of sequences with their adapters; nothing is cut without a word.

    Args:
        sequences: Inserts or constructs.
        names: Of the sequences, for errors; None means their numbers from 1.
        flanks: As for :func:`prepare`.
        length: Positions of the network's input.
        cut: Cut and count a construct that is longer, as :func:`prepare`, instead of refusing it.
        remedy: What an error about a long sequence advises; None means to give a shorter one.

    Raises:
        ValueError: If a sequence is empty, not DNA or not text, or its construct is longer than
            ``length``. The message names the sequence.
    """
    texts = as_list(sequences)
    tokens = np.full((len(texts), length), N_TOKEN, dtype=np.uint8)
    report = Preparation()
    sizes = [len(text) if isinstance(text, str | bytes) else 0 for text in texts]
    for rows in _of_similar_size(sizes):
        group = [texts[row] for row in rows]
        labels = [f"number {row + 1}" if names is None else repr(names[row]) for row in rows]
        if not cut:
            _refuse_long(group, labels, flanks, length, remedy)
        encoded, lengths = _encode_rows(group, rows, names)
        tokens[rows], group_report = prepare(encoded, lengths, flanks, length)
        report += group_report
    return tokens, report


_CELLS = 1 << 22
"""Tokens that are prepared at a time; a longer sequence is prepared alone."""


def _of_similar_size(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Rows in groups whose padded array is small, so that a long row does not pad the others."""
    group: list[int] = []
    for row in np.argsort(sizes, kind="stable").tolist():
        if group and (len(group) + 1) * sizes[row] > _CELLS:
            yield sorted(group)
            group = []
        group.append(row)
    if group:
        yield sorted(group)


def _encode_rows(
    texts: list[Any], rows: list[int], names: Sequence[str] | None
) -> tuple[Tokens, Lengths]:
    """:func:`encode`, with the rows' numbers among all sequences in errors."""
    if names is not None:
        return encode(texts, [names[row] for row in rows])
    try:
        return encode(texts)
    except ValueError:
        for row, text in zip(rows, texts, strict=True):
            _encode_one(row, text)
        raise


def _encode_one(row: int, text: Any) -> None:
    try:
        encode([text])
    except ValueError as error:
        message = str(error).replace("sequence number 1 ", f"sequence number {row + 1} ")
        message = message.replace("sequence number 1:", f"sequence number {row + 1}:")
        raise ValueError(message) from None


def _refuse_long(
    texts: list[Any], labels: list[str], flanks: Flanks, length: int, remedy: str | None
) -> None:
    """Raise ValueError at the first text whose construct is longer than ``length``."""
    adapters = len(ADAPTER_5) + len(ADAPTER_3)
    for text, label in zip(texts, labels, strict=True):
        if not isinstance(text, str | bytes) or len(text) + adapters <= length:
            continue
        letters = text.encode() if isinstance(text, str) else text
        _, _, size = insert_span(letters, flanks)
        if size > length:
            adapters_text = f", {size:,} with its adapters" if size > len(letters) else ""
            longest = length - (adapters if adapters_text else 0)
            raise ValueError(
                f"sequence {label} has {len(letters):,} bases{adapters_text}; the network reads "
                f"{length}; " + (remedy or f"give the part that counts, at most {longest} bases")
            )


def given_spans(sequences: Texts, flanks: Flanks = "auto") -> Lengths:
    """Where each given sequence lies in the construct that :func:`prepare` makes of it.

    Args:
        sequences: Inserts or constructs; their letters are not checked.
        flanks: As for :func:`prepare`.

    Returns:
        ``(N, 2)``: where its first base lies, and one past its last base. The first is the length
        of the 5' adapter if adapters are added, and below 0 if padding before a construct is
        removed; the second is larger than the construct if this is cut.
    """
    texts = as_list(sequences)
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    first = np.full(len(texts), 0 if flanks == "none" else len(ADAPTER_5))
    if flanks == "auto":
        rows = [text if isinstance(text, bytes) else text.encode() for text in texts]
        unpadded = [row.strip(b"Nn") for row in rows]
        # Both ends are enough to find the adapters, however long the sequence is.
        end = len(ADAPTER_5) + len(ADAPTER_3)
        ends = [row if len(row) <= 2 * end else row[:end] + row[-end:] for row in unpadded]
        has_5, has_3 = find_adapters(letters_to_tokens(ends)[0])
        padding = np.array([len(row) - len(row.lstrip(b"Nn")) for row in rows])
        first = np.where(has_5 | has_3, -padding, first)
    return np.stack([first, first + lengths], axis=1)
