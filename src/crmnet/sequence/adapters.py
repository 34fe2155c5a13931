"""Adapters: where a sequence has them, its insert without them, and adding them."""

from __future__ import annotations

from operator import eq

import numpy as np
import numpy.typing as npt

from crmnet.choices import Flanks
from crmnet.sequence.assay import ADAPTER_3, ADAPTER_5, ADAPTER_MISMATCHES
from crmnet.sequence.tokens import (
    N_TOKEN,
    Lengths,
    Tokens,
    as_tokens,
    fit_length,
    gather,
    sequence_lengths,
    text_tokens,
)


def adapter_mismatches(
    tokens: npt.ArrayLike, start: npt.ArrayLike | None = None, stop: npt.ArrayLike | None = None
) -> tuple[Lengths, Lengths]:
    """Mismatches of each row ``(N, L)`` with the 5' adapter and with the 3' adapter, ``(N,)`` each.

    An N, or a position outside the array, counts as a mismatch.

    Args:
        tokens: Sequences.
        start: ``(N,)``, where the 5' adapter begins; None means position 0.
        stop: ``(N,)``, one past the end of the 3' adapter; None means one past the row's last base.
    """
    tokens = as_tokens(tokens)
    first = np.zeros(len(tokens), dtype=np.int64) if start is None else np.asarray(start)
    end = sequence_lengths(tokens) if stop is None else np.asarray(stop)
    return (
        mismatches_at(tokens, first, ADAPTER_5),
        mismatches_at(tokens, end - len(ADAPTER_3), ADAPTER_3),
    )


def find_adapters(
    tokens: npt.ArrayLike, start: npt.ArrayLike | None = None, stop: npt.ArrayLike | None = None
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Whether each row carries the 5' adapter, and whether it carries the 3' adapter.

    An adapter with up to :data:`ADAPTER_MISMATCHES` mismatches is recognised; arguments as for
    :func:`adapter_mismatches`.
    """
    mismatches_5, mismatches_3 = adapter_mismatches(tokens, start, stop)
    return mismatches_5 <= ADAPTER_MISMATCHES, mismatches_3 <= ADAPTER_MISMATCHES


def inserts(tokens: npt.ArrayLike) -> tuple[Tokens, Lengths]:
    """The insert of each row: its bases without recognised adapters.

    Returns:
        Tokens ``(N, L)``, padded with N, and the lengths of the inserts ``(N,)``.
    """
    tokens = as_tokens(tokens)
    lengths = sequence_lengths(tokens)
    has_5, has_3 = find_adapters(tokens, stop=lengths)
    start = np.where(has_5, len(ADAPTER_5), 0)
    stop = lengths - np.where(has_3, len(ADAPTER_3), 0)
    insert_lengths = np.maximum(stop - start, 0)
    return fit_length(shift_left(tokens, start), insert_lengths, tokens.shape[1]), insert_lengths


def known_span(tokens: Tokens, lengths: Lengths) -> tuple[Lengths, Lengths]:
    """First and one past the last position that is not N; (0, length) for rows of only N."""
    if tokens.shape[1] == 0:
        return np.zeros_like(lengths), lengths
    inside = (tokens != N_TOKEN) & (np.arange(tokens.shape[1]) < lengths[:, None])
    any_known = inside.any(axis=1)
    start = np.where(any_known, np.argmax(inside, axis=1), 0)
    stop = np.where(any_known, tokens.shape[1] - np.argmax(inside[:, ::-1], axis=1), lengths)
    return start, stop


def insert_span(text: bytes, flanks: Flanks) -> tuple[int, int, int]:
    """Start and stop of the insert in a text, and the length of its construct."""
    adapters = len(ADAPTER_5) + len(ADAPTER_3)
    if flanks != "auto":
        return 0, len(text), len(text) + adapters * (flanks == "add")
    stop = len(text.rstrip(b"Nn"))
    start = len(text) - len(text.lstrip(b"Nn"))
    if start < stop:
        has_5 = _text_mismatches(text[start:stop], ADAPTER_5) <= ADAPTER_MISMATCHES
        tail = text[max(start, stop - len(ADAPTER_3)) : stop]
        has_3 = _text_mismatches(tail, ADAPTER_3) <= ADAPTER_MISMATCHES
        if has_5 or has_3:
            return start + len(ADAPTER_5) * has_5, stop - len(ADAPTER_3) * has_3, stop - start
    return 0, len(text), len(text) + adapters


def _text_mismatches(text: bytes, adapter: str) -> int:
    """Mismatches of the first bases of a text with an adapter; a base that is missing is one."""
    return len(adapter) - sum(map(eq, text[: len(adapter)].upper(), adapter.encode()))


def mismatches_at(tokens: Tokens, start: Lengths, adapter: str) -> Lengths:
    """Mismatches of each row with an adapter that begins at ``start`` ``(N,)``."""
    if tokens.shape[1] == 0:
        return np.full(len(tokens), len(adapter), dtype=np.int64)
    window = gather(tokens, start[:, None] + np.arange(len(adapter)))
    return (window != text_tokens(adapter)).sum(axis=1)


def shift_left(tokens: Tokens, start: Lengths) -> Tokens:
    """The same rows without their first ``start`` ``(N,)`` positions; N fills the end."""
    if not start.any():
        return tokens
    return gather(tokens, start[:, None] + np.arange(tokens.shape[1]))


def with_adapters(
    tokens: Tokens, lengths: Lengths, add: npt.NDArray[np.bool_]
) -> tuple[Tokens, Lengths]:
    """Add adapters to the rows where ``add`` is true; the result is wider."""
    first, last = text_tokens(ADAPTER_5), text_tokens(ADAPTER_3)
    n, width = tokens.shape
    wide = np.full((n, width + len(first) + len(last)), N_TOKEN, dtype=np.uint8)
    wide[:, :width] = tokens
    rows = np.nonzero(add)[0]
    wide[rows, : len(first)] = first
    wide[rows, len(first) : len(first) + width] = tokens[rows]
    ends = len(first) + lengths[rows]
    wide[rows[:, None], ends[:, None] + np.arange(len(last))] = last
    return wide, lengths + add * (len(first) + len(last))
