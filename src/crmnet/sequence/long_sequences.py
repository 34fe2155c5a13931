"""Sequences that are longer than a network's input: their windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

import numpy as np

from crmnet.arrays import is_whole
from crmnet.choices import Flanks, Window
from crmnet.sequence.adapters import insert_span
from crmnet.sequence.assay import ADAPTER_3, ADAPTER_5, INSERT, LENGTH
from crmnet.sequence.preparation import Preparation, constructs, given_spans
from crmnet.sequence.tokens import N_TOKEN, Lengths, Texts, Tokens, as_list


class Stretch(NamedTuple):
    """Part of a sequence that a network reads; positions as slices of the given text."""

    start: int
    stop: int
    whole: bool
    """The complete sequence fits; otherwise adapters are added to the stretch."""


def insert_window(length: int = LENGTH, flanks: Flanks = "auto") -> int:
    """Bases of a window of a longer sequence: an insert, or with ``none`` the network's input."""
    adapters = 0 if flanks == "none" else len(ADAPTER_5) + len(ADAPTER_3)
    return max(1, length if flanks == "none" else min(INSERT, length - adapters))


def windows(
    text: str | bytes, window: Window | int, flanks: Flanks = "auto", length: int = LENGTH
) -> list[Stretch]:
    """The windows of a sequence that is longer than a network's input.

    A window has :data:`INSERT` bases and gets both adapters; with ``flanks="none"`` it has
    ``length`` bases and gets none. Adapters that the sequence has, and N padding outside them, are
    not part of a window. A sequence that fits is one window, complete.

    Args:
        text: The sequence.
        window: ``first`` or ``last`` for one window at that end; a number for windows that start
            at every so many bases, and one that ends at the last base.
        flanks: As for :func:`prepare`.
        length: Positions of the network's input.

    Raises:
        ValueError: If the step is not a whole number of at least 1, or ``window`` is unknown.
    """
    if window not in get_args(Window) and not (is_whole(window) and window >= 1):
        raise ValueError(
            f"a window is first, last or a step: a whole number, at least 1 base; got {window!r}"
        )
    letters = text.encode() if isinstance(text, str) else text
    start, stop, size = insert_span(letters, flanks)
    if size <= length:
        return [Stretch(0, len(letters), True)]
    width = insert_window(length, flanks)
    last = max(start, stop - width)
    if is_whole(window):
        starts = [*range(start, last, window), last]
    else:
        starts = [start if window == "first" else last]
    return [Stretch(s, min(s + width, stop), False) for s in starts]


def window_constructs(
    sequences: Sequence[str | bytes],
    parts: Sequence[Sequence[Stretch]],
    names: Sequence[str] | None = None,
    *,
    flanks: Flanks = "auto",
    length: int = LENGTH,
) -> tuple[Tokens, Preparation]:
    """Tokens ``(N, length)`` of the windows of sequences, one row a window, in order.

    Args:
        sequences: The sequences.
        parts: Windows of each sequence, from :func:`windows`.
        names: Of the sequences, for errors; None means their numbers from 1.
        flanks: As for :func:`prepare`.
        length: Positions of the network's input.

    Raises:
        ValueError: As :func:`constructs`. A position in it counts from the start of the window.
    """
    flat = [(number, part) for number, stretches in enumerate(parts) for part in stretches]
    tokens = np.full((len(flat), length), N_TOKEN, dtype=np.uint8)
    report = Preparation()
    names = [str(number + 1) for number in range(len(sequences))] if names is None else names
    for whole in (True, False):
        rows = [row for row, (_, part) in enumerate(flat) if part.whole == whole]
        selected = [flat[row] for row in rows]
        if whole:
            texts: list[Any] = [sequences[number] for number, _ in selected]
            labels = [names[number] for number, _ in selected]
        else:
            texts = [sequences[number][part.start : part.stop] for number, part in selected]
            labels = [f"{names[number]}, bases {p.start + 1}–{p.stop}" for number, p in selected]
        if rows:
            add: Flanks = flanks if whole or flanks == "none" else "add"
            tokens[rows], group_report = constructs(texts, labels, flanks=add, length=length)
            report += group_report
    return tokens, report


def window_spans(
    sequences: Texts, parts: Sequence[Sequence[Stretch]], flanks: Flanks = "auto"
) -> Lengths:
    """:func:`given_spans` of the windows of sequences, in the order of :func:`window_constructs`.

    Args:
        sequences: The sequences.
        parts: Windows of each sequence, from :func:`windows`.
        flanks: As for :func:`prepare`.

    Returns:
        ``(N, 2)``: where the first base of the complete sequence lies on the window's construct,
        below 0 if the window begins later, and one past its last base.
    """
    texts = as_list(sequences)
    complete = given_spans(texts, flanks)
    left = 0 if flanks == "none" else len(ADAPTER_5)
    spans = [
        tuple(complete[row]) if part.whole else (left - part.start, left - part.start + len(text))
        for row, (text, own) in enumerate(zip(texts, parts, strict=True))
        for part in own
    ]
    return np.array(spans, dtype=np.int64).reshape(-1, 2)
