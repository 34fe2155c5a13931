"""Names of variants, and the edits that they make: texts in, arrays of edits out.

A variant is one change or several that occur together, joined by ``+``:

    35A>G          base 35 is A and becomes G; 35AC>GTT replaces two bases by three
    35insACG       ACG is inserted after base 35; 0insACG before the first base
    35_38del       bases 35 to 38 are deleted; 35del deletes one
    35A>G+40del    both

Positions count from 1 on the sequence as it was given. :class:`Edits` holds the edits of many
variants, in positions of the constructs that the model reads. :mod:`crmnet.design.mutate` applies
them.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Integers
from crmnet.perturb import single_substitutions, splice
from crmnet.sequence import LETTERS, N_TOKEN, Tokens, as_tokens, letters_to_tokens

_CHANGE = re.compile(
    r"(?P<at>\d+)(?P<ref>[ACGTN]+)>(?P<alt>[ACGT]+)"
    r"|(?P<after>\d+)(?:_(?P<before>\d+))?INS(?P<new>[ACGT]+)"
    r"|(?P<first>\d+)(?:_(?P<last>\d+))?DEL(?P<gone>[ACGTN]*)",
    re.IGNORECASE,
)
SYNTAX = "write 35A>G, 35insACG or 35_38del, with + between changes that occur together"


class Change(NamedTuple):
    """One change of a sequence."""

    start: int
    """First replaced base, from 0."""
    stop: int
    """One past the last replaced base; equal to ``start`` for an insertion."""
    new: str
    """The new bases; empty for a deletion."""
    ref: str = ""
    """The replaced bases as the text names them; empty if it does not."""

    @property
    def name(self) -> str:
        """The change as text, with positions from 1."""
        if self.new and self.start == self.stop:
            return f"{self.start}ins{self.new}"
        if self.new:
            return f"{self.start + 1}{self.ref}>{self.new}"
        last = f"_{self.stop}" * (self.stop - self.start > 1)
        return f"{self.start + 1}{last}del{self.ref}"


def parse_variant(text: str) -> tuple[Change, ...]:
    """The changes of a variant, in the order of their positions.

    Raises:
        ValueError: If the text is not a variant, or its changes overlap.
    """
    changes = sorted(_parse_change(part, text) for part in text.strip().split("+"))
    for left, right in itertools.pairwise(changes):
        if right.start < left.stop or (left.start, left.stop) == (right.start, right.stop):
            raise ValueError(
                f"variant {text!r}: {left.name} and {right.name} change the same bases; give each "
                "base one change"
            )
    return tuple(changes)


def _parse_change(part: str, text: str) -> Change:
    match = _CHANGE.fullmatch(part.strip())
    within = "" if part.strip() == text.strip() else f" in {text!r}"
    if match is None:
        cut = re.fullmatch(r"\d+[ACGTN]+", part.strip(), re.IGNORECASE)
        hint = "; quote it, because the shell takes > as a redirection" * bool(cut)
        raise ValueError(f"{part.strip()!r}{within} is not a variant; {SYNTAX}{hint}")
    found = {key: value.upper() for key, value in match.groupdict().items() if value is not None}
    if "at" in found:
        start = int(found["at"]) - 1
        change = Change(start, start + len(found["ref"]), found["alt"], found["ref"])
    elif "after" in found:
        start = int(found["after"])
        if int(found.get("before", start + 1)) != start + 1:
            raise ValueError(
                f"{part.strip()!r}{within}: an insertion lies between two neighbouring bases, as "
                f"in {start}_{start + 1}ins{found['new']}"
            )
        change = Change(start, start, found["new"])
    else:
        start, stop = int(found["first"]) - 1, int(found.get("last", found["first"]))
        if stop <= start or len(found["gone"]) not in (0, stop - start):
            raise ValueError(
                f"{part.strip()!r}{within}: the bases of a deletion do not fit; write 35_38del or "
                "35_38delACGT"
            )
        change = Change(start, stop, "", found["gone"])
    if change.start < 0:
        raise ValueError(f"{part.strip()!r}{within}: positions count from 1")
    if change.ref and change.ref == change.new:
        raise ValueError(f"{part.strip()!r}{within} changes nothing")
    return change


def check_variant(changes: Sequence[Change], given: str, name: str) -> None:
    """Check that the changes fit the sequence ``given``, whose ``name`` an error states.

    Raises:
        ValueError: If a position is out of range, or a stated base differs from the sequence.
    """
    for change in changes:
        if change.stop > len(given):
            raise ValueError(
                f"{change.name} of sequence {name}: position {change.stop} is out of range; the "
                f"sequence has {len(given)} bases, and positions count from 1"
            )
        found = given[change.start : change.stop].upper()
        if change.ref and change.ref != found:
            offset = next(
                i for i, (a, b) in enumerate(zip(change.ref, found, strict=True)) if a != b
            )
            raise ValueError(
                f"{change.name} of sequence {name}: base {change.start + offset + 1} is "
                f"{found[offset]}, not {change.ref[offset]}; positions count from 1 on the "
                "sequence as given"
            )


@dataclass(frozen=True)
class Edits:
    """Edits of V variants, at most K each, in positions of the constructs, from 0."""

    row: Integers
    """``(V,)``, the construct that a variant changes."""
    start: Integers
    """``(V, K)``, rising; first replaced base."""
    stop: Integers
    """``(V, K)``, one past the last replaced base. An edit with ``stop`` below ``start`` does not
    exist."""
    new: Tokens
    """``(V, K, W)``, the new bases at the left end."""
    size: Integers
    """``(V, K)``, number of new bases."""

    @property
    def growth(self) -> Integers:
        """``(V,)``, how many bases longer a variant is than its construct."""
        growth: Integers = self._growth.sum(axis=1)
        return growth

    def growth_before(self, position: Integers) -> Integers:
        """``(V,)``, how many bases further right a position ``(V,)`` lies in each variant.

        Bases that are inserted at the position lie behind it.
        """
        before = np.minimum(self.stop, position[:, None]) - self.start
        added = np.where(self._exists & (self.start < position[:, None]), self.size - before, 0)
        moved: Integers = added.sum(axis=1)
        return moved

    @property
    def room(self) -> Integers:
        """``(V,)``, how many bases longer a variant is while its edits are applied."""
        room: Integers = np.maximum(self._growth, 0).sum(axis=1)
        return room

    @property
    def _growth(self) -> Integers:
        """``(V, K)``, how many bases each edit adds."""
        return np.where(self._exists, self.size - (self.stop - self.start), 0)

    @property
    def _exists(self) -> npt.NDArray[np.bool_]:
        return self.stop >= self.start

    def apply(self, references: npt.ArrayLike) -> Tokens:
        """The variants ``(V, L)`` of their constructs ``(V, L)``; the right end stays padded."""
        edited = as_tokens(references)
        for k in reversed(range(self.start.shape[1])):  # an edit moves the bases to its right only
            start, stop, size = (
                np.where(self._exists[:, k], column[:, k], 0)
                for column in (self.start, self.stop, self.size)
            )
            edited = splice(edited, start, stop, self.new[:, k], size)
        return edited

    def marks(self) -> tuple[Integers, Integers]:
        """Changed places of the constructs and of the variants, ``(V, K, 2)`` each.

        They are marks as in :mod:`crmnet.motifs.changes`.
        """
        moved = self.start + np.cumsum(self._growth, axis=1) - self._growth
        before = _marks(self.start, self.stop, self._exists)
        return before, _marks(moved, moved + self.size, self._exists)

    def take(self, rows: slice) -> Edits:
        """Some of the variants, in order."""
        names = [field.name for field in dataclasses.fields(self)]
        return Edits(**{name: getattr(self, name)[rows] for name in names})


def _marks(start: Integers, stop: Integers, exists: npt.NDArray[np.bool_]) -> Integers:
    """Marks of stretches of bases; an empty stretch marks the junction before ``start``."""
    empty = stop == start
    first = np.where(empty, 2 * start - 1, 2 * start)
    last = np.where(empty, 2 * start - 1, 2 * stop - 2)
    marks: Integers = np.stack([first, np.where(exists, last, first - 1)], axis=-1)
    return marks


def edits_of(
    variants: Sequence[Sequence[Change]], row: npt.ArrayLike, origin: npt.ArrayLike
) -> Edits:
    """The edits of parsed variants.

    Args:
        variants: V variants.
        row: ``(V,)``, the construct that each changes.
        origin: ``(V,)``, position of the given sequence's first base in its construct.
    """
    many, most = len(variants), max(map(len, variants), default=0)
    start, stop, size = (np.zeros((many, most), dtype=np.int64) for _ in range(3))
    stop -= 1
    texts = [change.new for changes in variants for change in changes]
    bases, lengths = letters_to_tokens(texts)
    new = np.full((many, most, bases.shape[1]), N_TOKEN, dtype=np.uint8)
    at = [(v, k) for v, changes in enumerate(variants) for k in range(len(changes))]
    if at:
        v, k = np.array(at).T
        flat = [change for changes in variants for change in changes]
        first = np.asarray(origin)[v]
        start[v, k] = first + [change.start for change in flat]
        stop[v, k] = first + [change.stop for change in flat]
        size[v, k], new[v, k] = lengths, bases
    return Edits(np.asarray(row), start, stop, new, size)


def substitutions(tokens: npt.ArrayLike, inside: npt.ArrayLike) -> Edits:
    """All substitutions by one of the three other bases, by construct, position and base.

    Args:
        tokens: ``(B, L)``.
        inside: ``(B, L)``, True at the bases to change; an N is not changed.
    """
    tokens = as_tokens(tokens)
    row, position, base = single_substitutions(tokens, inside)
    start = position[:, None]
    return Edits(row, start, start + 1, base.astype(np.uint8)[:, None, None], np.ones_like(start))


def tiled_deletions(start: npt.ArrayLike, stop: npt.ArrayLike, width: int, step: int) -> Edits:
    """Deletions of ``width`` bases along each insert, one every ``step`` bases, and one at its end.

    Args:
        start: ``(B,)``, first base of each insert.
        stop: ``(B,)``, one past its last base. An insert of at most ``width`` bases has none.
        width: Bases of a deletion.
        step: Bases from the start of a deletion to that of the next.
    """
    row: list[int] = []
    first: list[int] = []
    for number, (begin, end) in enumerate(zip(np.asarray(start), np.asarray(stop), strict=True)):
        last = int(end) - width
        if last > begin:
            starts = [*range(int(begin), last, step), last]
            first += starts
            row += [number] * len(starts)
    begins = np.array(first, dtype=np.int64)[:, None]
    none = np.zeros((len(row), 1, 0), dtype=np.uint8)
    return Edits(np.array(row, dtype=np.int64), begins, begins + width, none, np.zeros_like(begins))


def describe_change(position: int, reference: int, alternative: int) -> str:
    """``35A>G``; the position counts from 1 on the given sequence, the bases are tokens."""
    return f"{position}{LETTERS[reference]}>{LETTERS[alternative]}"


def edit_names(edits: Edits, references: npt.ArrayLike, origin: npt.ArrayLike) -> list[str]:
    """Names of edits that have no names yet, with positions on the given sequences.

    Args:
        edits: V variants.
        references: ``(B, L)``, the constructs.
        origin: ``(B,)``, as in :func:`edits_of`.
    """
    references, row = as_tokens(references), edits.row[:, None]
    if edits.new.shape[2] == 1 and (edits.stop - edits.start == 1).all():
        position = (edits.start - np.asarray(origin)[row] + 1).tolist()
        old = references[row, edits.start].tolist()
        rows = zip(position, old, edits.new[:, :, 0].tolist(), strict=True)
        return [
            "+".join(itertools.starmap(describe_change, zip(*changes, strict=True)))
            for changes in rows
        ]
    begin = edits.start - np.asarray(origin)[row]
    end = edits.stop - np.asarray(origin)[row]
    return [
        "+".join(Change(a, b, "").name for a, b in zip(first, last, strict=True))
        for first, last in zip(begin.tolist(), end.tolist(), strict=True)
    ]
