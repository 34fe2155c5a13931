"""Windows of a genome around a variant, as the inserts that the model reads.

:func:`windows_around` chooses the windows, :func:`edited` writes a variant into one of them. The
window is read on the strand of its promoter: its last base lies next to the gene. Reference and
variant have the same length and end at the same base next to the gene: a deletion takes bases of
the genome in at the other (distal) end, and an insertion pushes bases out there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

from crmnet.choices import Strand
from crmnet.design.genome import Region, reverse_complement

OFFSETS = (15, 40, 65)
"""Positions of a variant in its windows, from 1."""


@dataclass(frozen=True)
class WindowOptions:
    """Windows where a promoter does not fit into the network, or no promoters are given."""

    width: int = 80
    """Bases of a window."""
    offsets: tuple[int, ...] = OFFSETS
    """Position of the first changed base in each window, from 1, on the strand of the window; of
    an insertion, the base after it."""
    strand: Strand = "+"
    """Strand of the windows, without promoters; ``both`` takes windows of both."""
    longest: int = 82
    """Bases of the longest insert that the network reads."""

    def __post_init__(self) -> None:
        if not 2 <= self.width <= self.longest:
            raise ValueError(
                f"a window must have 2 to {self.longest} bases, which the network reads beside the "
                f"adapters; got {self.width}"
            )
        if not self.offsets:
            raise ValueError("offsets names no position; write 15,40,65")
        for offset in self.offsets:
            if not 1 <= offset <= self.width:
                raise ValueError(
                    f"an offset must be a position in the window, 1 to {self.width}; got {offset}"
                )
        if self.strand not in get_args(Strand):
            raise ValueError(f"strand must be +, - or both; got {self.strand!r}")


class Window(NamedTuple):
    """A stretch of a contig that is read as an insert."""

    start: int
    stop: int
    strand: str


class SmallChange(NamedTuple):
    """A change of a contig without bases that stay the same at its ends."""

    start: int
    """First replaced base, from 0."""
    stop: int
    new: bytes


class EditedWindow(NamedTuple):
    """Reference and variant of one window, on the strand of the window."""

    reference: bytes
    variant: bytes
    reference_change: tuple[int, int]
    """First changed base, and one past the last, in the reference from 0; equal for an
    insertion."""
    variant_change: tuple[int, int]
    """The same in the variant; equal for a deletion."""
    flag: str
    """A word of :data:`crmnet.design.effects.FLAGS`, or empty."""


def trimmed(position: int, ref: bytes, alt: bytes) -> SmallChange:
    """A record's change without the bases that REF and ALT share at their ends.

    Args:
        position: Position of REF's first base, from 0.
        ref: REF.
        alt: One ALT.
    """
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while ref and alt and ref[0] == alt[0]:
        position, ref, alt = position + 1, ref[1:], alt[1:]
    return SmallChange(position, position + len(ref), alt)


def windows_around(change: SmallChange, bounds: Region, options: WindowOptions) -> list[Window]:
    """The windows in which a change is predicted, without repeats.

    Args:
        change: The change.
        bounds: The promoter, or a complete contig. If it fits into the network it is the window;
            else windows have the change at each of the offsets, and are moved into the bounds.
        options: Width, offsets; the strand is that of ``bounds``.
    """
    if bounds.stop - bounds.start <= options.longest:
        return [Window(bounds.start, bounds.stop, bounds.strand)]
    windows = []
    for offset in options.offsets:
        if bounds.strand == "+":
            start = change.start - (offset - 1)
        else:
            start = change.stop - 1 + offset - options.width  # read from the right
        if change.start == change.stop:  # bases are inserted between two bases of the window
            start = min(max(start, change.start + 1 - options.width), change.start - 1)
        start = min(max(start, bounds.start), bounds.stop - options.width)
        windows.append(Window(start, start + options.width, bounds.strand))
    return list(dict.fromkeys(windows))


def edited(contig: bytes, window: Window, change: SmallChange) -> EditedWindow:
    """Write a change into a window.

    Args:
        contig: Bases of the contig.
        window: The window; the change has a base in it, or inserts between two of its bases.
        change: The change.
    """
    forward = window.strand == "+"
    make = _edit_forward if forward else _edit_reverse
    variant, at, flag = make(contig, window, change)
    reference = contig[window.start : window.stop]
    width = len(reference)
    first = max(change.start - window.start, 0)
    before = (first, max(first, min(change.stop - window.start, width)))
    if forward:
        return EditedWindow(reference, variant, before, at, flag)
    return EditedWindow(
        reverse_complement(reference), reverse_complement(variant),
        (width - before[1], width - before[0]), (len(variant) - at[1], len(variant) - at[0]), flag,
    )  # fmt: skip


def _edit_forward(
    contig: bytes, window: Window, change: SmallChange
) -> tuple[bytes, tuple[int, int], str]:
    """Variant of a window whose right end is fixed, where its new bases lie, and a flag."""
    width = window.stop - window.start
    right = contig[change.stop : window.stop]
    beyond = change.stop > window.stop
    # Of a change that goes on in the gene, old and new bases are compared from the left.
    new = change.new[: window.stop - change.start] if beyond else change.new
    missing = width - len(new) - len(right)
    left = contig[max(0, change.start - missing) : change.start] if missing > 0 else b""
    text = (left + new + right)[-width:]
    end = len(text) - len(right)
    return text, (max(0, end - len(new)), end), _flag(beyond, len(text) < width)


def _edit_reverse(
    contig: bytes, window: Window, change: SmallChange
) -> tuple[bytes, tuple[int, int], str]:
    """Variant of a window whose left end is fixed, where its new bases lie, and a flag."""
    width = window.stop - window.start
    left = contig[window.start : change.start] if change.start > window.start else b""
    beyond = change.start < window.start
    new = change.new[-(change.stop - window.start) :] if beyond else change.new
    missing = width - len(new) - len(left)
    right = contig[change.stop : change.stop + missing] if missing > 0 else b""
    text = (left + new + right)[:width]
    at = (len(left), min(len(left) + len(new), len(text)))
    return text, at, _flag(beyond, len(text) < width)


def _flag(beyond: bool, short: bool) -> str:
    return ";".join(["beyond_window"] * beyond + ["contig_end"] * short)


def marks_of(changes: Sequence[tuple[int, int]], shift: int) -> list[tuple[int, int]]:
    """Marks of changed places (:mod:`crmnet.motifs.changes`), ``shift`` bases further right."""
    return [
        (2 * (a + shift) - 1, 2 * (a + shift) - 1) if a == b
        else (2 * (a + shift), 2 * (b + shift) - 2)
        for a, b in changes
    ]  # fmt: skip
