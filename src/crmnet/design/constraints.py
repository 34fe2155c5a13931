"""Rules that a designed promoter must meet, computed for many candidates at once.

A constraint is a small frozen object. Its ``violation`` takes :class:`Candidates` and returns how
far each of them is from meeting the rule, about in bases; 0 means that it is met. The search
(:mod:`crmnet.design.problem`) calls it for all candidates of a step. The tests compare each rule
with DnaChisel, which also checks the final designs (:mod:`crmnet.design.chisel`).

Rules about sites and runs count only places that hold at least one base of the insert: the adapters
cannot be changed, and the 5' adapter itself has seven T in a row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Booleans, Floats
from crmnet.design.distances import nearest_distance
from crmnet.sequence import (
    ADAPTER_3,
    ADAPTER_5,
    N_TOKEN,
    Lengths,
    Tokens,
    encode,
    sequence_lengths,
)

Region = Literal["insert", "order"]
"""Where a rule about composition applies: the insert, or everything that is ordered."""
BASES = "ACGT"
GC_WINDOW = "--gc-window"
EXACT = 1e-9
"""Tolerance of comparisons of shares of bases."""


class Candidates:
    """Candidate inserts in the sequences that will be ordered.

    Attributes:
        order: Tokens ``(N, L)``: flanks, adapters and insert, padded with N.
        start: Position of the first base of the insert.
        lengths: ``(N,)`` of the inserts.
        ends: ``(N,)``, one past the last base of each ordered sequence.
        given: ``(N, W)``, the insert from which each candidate derives; N where any base is free.
    """

    def __init__(
        self, inserts: Tokens, lengths: Lengths, flanks: Flanks, given: Tokens | None = None
    ) -> None:
        """Place the inserts ``(N, W)`` between their flanks."""
        left, right = flanks.tokens
        width = inserts.shape[1]
        self.order = np.full((len(inserts), len(left) + width + len(right)), N_TOKEN, np.uint8)
        self.order[:, : len(left)] = left
        self.order[:, len(left) : len(left) + width] = inserts
        self.start, self.lengths = len(left), lengths
        stop = self.start + lengths
        self.ends = stop + len(right)
        if (lengths == width).all():
            self.order[:, self.start + width :] = right
        else:
            rows = np.arange(len(inserts))[:, None]
            self.order[rows, stop[:, None] + np.arange(len(right))] = right
        self.given = inserts if given is None else given

    @property
    def inserts(self) -> Tokens:
        """``(N, W)``, padded with N."""
        width = self.given.shape[1]
        inside = np.arange(width) < self.lengths[:, None]
        return np.where(inside, self.order[:, self.start : self.start + width], np.uint8(N_TOKEN))

    def holds_insert(self, width: int) -> Booleans:
        """``(N, L - width + 1)``: whether a window of this width holds a base of the insert."""
        first = np.arange(max(self.order.shape[1] - width + 1, 0))
        stop = (self.start + self.lengths)[:, None]
        return (first + width > self.start) & (first < stop)

    def count_in_insert(self, found: Booleans, width: int) -> Floats:
        """``(N,)``, number of found windows of this width that hold a base of the insert."""
        total: Floats = (found & self.holds_insert(width)).sum(axis=1).astype(float)
        return total

    def in_insert(self, width: int) -> Booleans:
        """``(N, L - width + 1)``: whether a window lies completely in the insert."""
        first = np.arange(max(self.order.shape[1] - width + 1, 0))
        return (first >= self.start) & (first + width <= (self.start + self.lengths)[:, None])

    def complete(self, width: int) -> Booleans:
        """``(N, L - width + 1)``: whether a window ends within the ordered sequence."""
        first = np.arange(max(self.order.shape[1] - width + 1, 0))
        return first + width <= self.ends[:, None]


@dataclass(frozen=True)
class Flanks:
    """What surrounds an insert: the adapters of the assay, and what is ordered outside them."""

    left: str = ADAPTER_5
    right: str = ADAPTER_3
    primer_5: str = ""
    """Bases in front of ``left`` in the ordered sequence."""
    primer_3: str = ""
    """Bases behind ``right``, on the same strand."""

    @property
    def tokens(self) -> tuple[Tokens, Tokens]:
        """Tokens of everything before and behind the insert."""
        return _text(self.primer_5 + self.left), _text(self.right + self.primer_3)


def _text(bases: str) -> Tokens:
    return encode([bases])[0][0] if bases else np.zeros(0, np.uint8)


class Constraint(Protocol):
    """A rule for designs."""

    @property
    def label(self) -> str:
        """The rule as the user would give it, such as ``--gc 30-60``."""

    def violation(self, candidates: Candidates) -> Floats:
        """``(N,)``: 0 where the rule is met, else about the number of bases that break it."""


def mask(constraints: tuple[Constraint, ...], candidates: Candidates) -> Booleans:
    """``(N,)``: which candidates meet all constraints."""
    met = np.ones(len(candidates.order), dtype=bool)
    for constraint in constraints:
        met &= constraint.violation(candidates) == 0
    return met


@dataclass(frozen=True)
class GcRange:
    """Share of G + C of the insert, or of everything that is ordered."""

    low: float
    high: float
    region: Region = "insert"
    source: str = "--gc"

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.source)

    @property
    def label(self) -> str:
        """The rule as the user gives it."""
        return f"{self.source} {_percent(self.low)}-{_percent(self.high)} ({self.region})"

    def violation(self, candidates: Candidates) -> Floats:
        """Bases to exchange until the share is in the range."""
        gc = _is_gc(candidates.order)
        length = candidates.ends
        if self.region == "insert":
            gc = gc[:, candidates.start :] & candidates.in_insert(1)[:, candidates.start :]
            length = candidates.lengths
        return _beyond(gc.sum(axis=1), self.low * length, self.high * length)


@dataclass(frozen=True)
class GcWindow:
    """Share of G + C of each window of the ordered sequence."""

    width: int
    low: float
    high: float
    strict: bool = False
    """Whether the share must differ from the limits."""
    source: str = GC_WINDOW

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.source)
        if self.width < 2:
            raise ValueError(f"{self.source}: a window has at least 2 bases; got {self.width}")

    @property
    def label(self) -> str:
        """The rule as the user gives it."""
        return f"{self.source} {self.width}:{_percent(self.low)}-{_percent(self.high)}"

    def violation(self, candidates: Candidates) -> Floats:
        """Sum over the windows of the bases to exchange, divided by the width of a window."""
        counts = _window_sums(_is_gc(candidates.order), self.width)
        slack = 1e-6 if self.strict else 0.0
        beyond = _beyond(counts, self.low * self.width + slack, self.high * self.width - slack)
        total: Floats = (beyond * candidates.complete(self.width)).sum(axis=1) / self.width
        return total


@dataclass(frozen=True)
class GcEnds:
    """Share of G + C of the first and of the last bases of the ordered sequence."""

    width: int
    low: float
    high: float
    strict: bool = False
    source: str = "ends"

    @property
    def label(self) -> str:
        """The rule as a preset prints it."""
        return f"{self.source} {self.width}:{_percent(self.low)}-{_percent(self.high)}"

    def violation(self, candidates: Candidates) -> Floats:
        """Bases to exchange at both ends."""
        counts = _window_sums(_is_gc(candidates.order), self.width)
        if not counts.shape[1]:
            return np.zeros(len(candidates.order))
        last = np.maximum(candidates.ends - self.width, 0)
        ends = np.stack([counts[:, 0], np.take_along_axis(counts, last[:, None], 1)[:, 0]], axis=1)
        slack = 1e-6 if self.strict else 0.0
        low, high = self.low * self.width + slack, self.high * self.width - slack
        total: Floats = _beyond(ends, low, high).sum(axis=1)
        return total


@dataclass(frozen=True)
class GcSpread:
    """Largest minus smallest share of G + C of all windows of the ordered sequence."""

    width: int
    most: float
    source: str = "spread of G + C"

    @property
    def label(self) -> str:
        """The rule as a preset prints it."""
        return f"{self.source} {self.width}:{_percent(self.most)}"

    def violation(self, candidates: Candidates) -> Floats:
        """Bases by which the difference is too large."""
        counts = _window_sums(_is_gc(candidates.order), self.width)
        if not counts.shape[1]:
            return np.zeros(len(candidates.order))
        complete = candidates.complete(self.width)
        high = np.where(complete, counts, 0).max(axis=1)
        low = np.where(complete, counts, self.width).min(axis=1)
        return _beyond(high - low, 0, self.most * self.width)


@dataclass(frozen=True)
class MaxRun:
    """Longest run of one base on the insert, and on runs that reach into an adapter."""

    longest: int
    bases: str = BASES
    source: str = "--max-run"

    def __post_init__(self) -> None:
        if self.longest < 1:
            raise ValueError(f"{self.source} must be at least 1; got {self.longest}")

    @property
    def label(self) -> str:
        """The rule as the user gives it."""
        only = f" ({'/'.join(self.bases)})" if self.bases != BASES else ""
        return f"{self.source} {self.longest}{only}"

    def violation(self, candidates: Candidates) -> Floats:
        """Number of windows of ``longest`` + 1 equal bases that hold a base of the insert."""
        width = self.longest + 1
        found = np.zeros(candidates.holds_insert(width).shape, dtype=bool)
        for base in self.bases:
            found |= _window_sums(candidates.order == BASES.index(base), width) == width
        return candidates.count_in_insert(found, width)


@dataclass(frozen=True)
class MaxTandem:
    """Fewest successive copies of a unit that are too many, such as TCTCTC for three of TC."""

    unit: int
    copies: int
    source: str = "tandem repeats"

    @property
    def label(self) -> str:
        """The rule as a preset prints it."""
        return f"{self.source}: fewer than {self.copies} x {self.unit} bases"

    def violation(self, candidates: Candidates) -> Floats:
        """Number of places with too many copies that hold a base of the insert."""
        width, order = self.unit * self.copies, candidates.order
        known = order < N_TOKEN
        same = (order[:, self.unit :] == order[:, : -self.unit]) & known[:, self.unit :]
        found = _window_sums(same, width - self.unit) == width - self.unit
        places = found[:, : candidates.holds_insert(width).shape[1]]
        return candidates.count_in_insert(places, width)


@dataclass(frozen=True)
class NoRepeat:
    """No stretch of ``k`` bases occurs twice in the ordered sequence, on either strand."""

    k: int
    source: str = "repeats"

    @property
    def label(self) -> str:
        """The rule as a preset prints it."""
        return f"{self.source}: none of {self.k} bases or more"

    def violation(self, candidates: Candidates) -> Floats:
        """Number of stretches that occur more than once."""
        codes = np.sort(kmer_codes(candidates.order, self.k), axis=1)
        repeated = (codes[:, 1:] == codes[:, :-1]) & (codes[:, 1:] >= 0)
        total: Floats = repeated.sum(axis=1).astype(float)
        return total


@dataclass(frozen=True)
class RepeatShare:
    """Largest share of the ordered sequence that lies in repeats of ``k`` bases or more."""

    k: int
    most: float
    source: str = "bases in repeats"

    @property
    def label(self) -> str:
        """The rule as a preset prints it."""
        return f"{self.source} of {self.k} or more: at most {_percent(self.most)} %"

    def violation(self, candidates: Candidates) -> Floats:
        """Bases in repeats beyond the share."""
        codes = kmer_codes(candidates.order, self.k)
        rank = np.argsort(codes, axis=1, kind="stable")
        ordered = np.take_along_axis(codes, rank, axis=1)
        equal = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
        repeated = np.zeros(codes.shape, dtype=bool)
        flag = np.zeros(codes.shape, dtype=bool)
        flag[:, 1:] |= equal
        flag[:, :-1] |= equal
        np.put_along_axis(repeated, rank, flag, axis=1)
        covered = np.zeros(candidates.order.shape, dtype=bool)
        for offset in range(self.k):
            covered[:, offset : offset + codes.shape[1]] |= repeated
        return _beyond(covered.sum(axis=1), 0, self.most * candidates.ends)


@dataclass(frozen=True)
class MaxEdits:
    """Largest number of bases that differ from the given promoter."""

    most: int
    source: str = "--max-edits"

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError(f"{self.source} must be at least 1; got {self.most}")

    @property
    def label(self) -> str:
        """The rule as the user gives it."""
        return f"{self.source} {self.most}"

    def violation(self, candidates: Candidates) -> Floats:
        """Edits beyond the number."""
        return _beyond(edits(candidates.inserts, candidates.given), 0, self.most)


@dataclass(frozen=True, eq=False)
class AwayFrom:
    """Smallest distance to each of some inserts, as :func:`nearest_distance` counts it."""

    least: int
    references: Tokens = field(repr=False)
    """``(R, W)``, padded with N."""
    name: str
    source: str = "--distance"

    @property
    def label(self) -> str:
        """The rule as the user gives it."""
        return f"{self.source} {self.least} --away-from {self.name}"

    def violation(self, candidates: Candidates) -> Floats:
        """Bases by which the nearest reference is too near."""
        inserts, lacking = candidates.inserts, np.zeros(len(candidates.lengths))
        for length in np.unique(candidates.lengths).tolist():
            rows = candidates.lengths == length
            nearest = nearest_distance(inserts[rows, :length], self.by_size, self.least)
            lacking[rows] = np.maximum(self.least - nearest, 0)
        return lacking

    @cached_property
    def by_size(self) -> dict[int, Tokens]:
        """Length → the references of this length."""
        sizes = sequence_lengths(self.references)
        return {size: self.references[sizes == size, :size] for size in np.unique(sizes).tolist()}


def edits(inserts: Tokens, given: Tokens) -> Lengths:
    """Number of bases that differ from the given inserts ``(N, W)``; where N is given, none."""
    changed: Lengths = ((inserts != given) & (given != N_TOKEN)).sum(axis=1)
    return changed


def kmer_codes(tokens: Tokens, k: int) -> npt.NDArray[np.int64]:
    """``(N, L - k + 1)`` numbers of the k-mers, equal for both strands; −1 or less with an N.

    Each k-mer with N has a number of its own, so that none counts as repeated.
    """
    windows = max(tokens.shape[1] - k + 1, 0)
    known = _window_sums(tokens < N_TOKEN, k) == k
    strands = []
    for strand in (tokens, (3 - tokens)[:, ::-1]):
        bases = np.where(strand < N_TOKEN, strand, 0).astype(np.int64)
        code = np.zeros((len(tokens), windows), dtype=np.int64)
        for offset in range(k):
            code = (code << 2) | bases[:, offset : offset + windows]
        strands.append(code)
    codes = np.minimum(strands[0], strands[1][:, ::-1])
    return np.where(known, codes, -1 - np.arange(windows))


def _is_gc(tokens: Tokens) -> Booleans:
    return (tokens == 1) | (tokens == 2)


def _window_sums(flags: Booleans, width: int) -> npt.NDArray[np.int64]:
    """``(N, L - width + 1)`` number of True in each window."""
    if flags.shape[1] < width:
        return np.zeros((len(flags), 0), dtype=np.int64)
    total = np.cumsum(flags, axis=1, dtype=np.int64)
    sums = total[:, width - 1 :].copy()
    sums[:, 1:] -= total[:, :-width]
    return sums


def _beyond(counts: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike) -> Floats:
    """How far counts lie outside the range from ``low`` to ``high``."""
    counts = np.asarray(counts, dtype=float)
    beyond: Floats = np.maximum(np.asarray(low) - counts, 0) + np.maximum(
        counts - np.asarray(high), 0
    )
    return np.where(beyond > EXACT, beyond, 0.0)


def _check_range(low: float, high: float, source: str) -> None:
    if not 0 <= low <= high <= 1:
        raise ValueError(
            f"{source} takes two percentages, the lower one first, such as 30-60; got "
            f"{_percent(low)}-{_percent(high)}"
        )


def _percent(share: float) -> str:
    return f"{100 * share:g}"
