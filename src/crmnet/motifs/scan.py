"""Sites of motifs in sequences, with p- and q-values like FIMO.

:func:`find_sites` takes tokens and motifs, :func:`scan_file` a file and motifs. They return
:class:`Hits` for the tables of ``crmnet motifs scan`` and the tables and logos of
:mod:`crmnet.interpretation`. A score is a sum of log-odds in bits, rounded to a grid of 1/100 bit.
The p-value of a score is the fraction of random k-mers of the motif's width, under the background,
that score as high. It is exact on this grid: the distributions of the columns are convolved (Staden
1989).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Floats, Integers
from crmnet.data.reading import display_name
from crmnet.data.sequences import SequenceBlock, read_sequences
from crmnet.files import PathLike
from crmnet.motifs.pwm import UNIFORM, Matrix, Motif, scan_scores
from crmnet.sequence import (
    ADAPTER_3,
    ADAPTER_5,
    INVALID,
    N_TOKEN,
    Flanks,
    Iupac,
    Tokens,
    as_tokens,
    encode,
    find_adapters,
    iupac_as_n,
    letters_to_tokens,
)

STEPS_PER_BIT = 100
"""Grid steps in one bit."""
CHUNK_SIZE = 1 << 12
"""Positions scored at a time; with JASPAR's motifs their scores take 6 MB."""


@dataclass(frozen=True)
class ScanOptions:
    """Definition of a site."""

    p_value: float = 1e-4
    """Largest fraction of random k-mers that score as high as a hit."""
    background: tuple[float, float, float, float] = UNIFORM
    """Probabilities of A, C, G, T in random k-mers."""
    pseudocount: float = 1.0
    both_strands: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.p_value <= 1:
            raise ValueError(f"p_value must be above 0 and at most 1; got {self.p_value}")
        if not 0 < self.pseudocount < np.inf:
            raise ValueError(f"pseudocount must be a number above 0; got {self.pseudocount}")
        if min(self.background) <= 0 or abs(sum(self.background) - 1) > 1e-3:
            raise ValueError(
                "background must be four probabilities above 0 that add up to 1; "
                f"got {self.background}"
            )


class Hits(NamedTuple):
    """Sites, ordered by motif, sequence and start; one entry each."""

    row: Integers
    """Index of the sequence."""
    motif: Integers
    """Index of the motif in the given list."""
    start: Integers
    """First base, from 0."""
    end: Integers
    """One past the last base."""
    strand: npt.NDArray[np.str_]
    score: npt.NDArray[np.float64]
    """Log-odds in bits."""
    p: npt.NDArray[np.float64]
    q: npt.NDArray[np.float64]
    """Benjamini-Hochberg q-value over all positions tested with the same motif."""

    def select(self, mask: npt.ArrayLike) -> Hits:
        """The hits where ``mask`` is True."""
        mask = np.asarray(mask)
        return Hits(**{name: column[mask] for name, column in self._asdict().items()})

    def of_motif(self, motif: int) -> Hits:
        """The hits of the motif with this index."""
        return self.select(self.motif == motif)


def grid_scores(motif: Motif, options: ScanOptions) -> Integers:
    """Log-odds of each base in each column, ``(4, W)``, as integers in steps of 1/100 bit."""
    bits = motif.log_odds(options.background, options.pseudocount) / np.log(2)
    return np.rint(bits * STEPS_PER_BIT).astype(np.int64)


def p_values(scores: npt.ArrayLike, background: Sequence[float] = UNIFORM) -> tuple[int, Matrix]:
    """p-values of all possible scores of a matrix.

    Args:
        scores: ``(4, W)`` integers.
        background: Probabilities of A, C, G, T.

    Returns:
        The lowest possible score, and ``(S,)`` whose entry i is the p-value of that score plus i:
        the fraction of random k-mers that score at least as high.
    """
    scores = np.asarray(scores)
    lowest = int(scores.min(axis=0).sum())
    density = np.ones(1)
    for column in scores.T:
        steps = column - column.min()
        convolved = np.zeros(len(density) + int(steps.max()))
        for step, share in zip(steps.tolist(), background, strict=True):
            convolved[step : step + len(density)] += share * density
        density = convolved
    return lowest, np.minimum(np.cumsum(density[::-1])[::-1], 1.0)


def find_sites(
    tokens: npt.ArrayLike, motifs: Sequence[Motif], options: ScanOptions = ScanOptions()
) -> Hits:
    """All positions on either strand that score high enough; none of them covers an N.

    Args:
        tokens: ``(B, L)``.
        motifs: Motifs to search for.
        options: Threshold and background.

    Returns:
        The hits. A palindromic motif is reported on both strands, as in FIMO.
    """
    tokens = as_tokens(tokens)
    scanner = Scanner(motifs, options)
    separated = np.pad(tokens, ((0, 0), (0, 1)), constant_values=N_TOKEN)
    starts = np.arange(len(tokens)) * (tokens.shape[1] + 1)
    scanner.add(separated.ravel(), starts, starts, starts + tokens.shape[1])
    return scanner.hits()


class ScannedFile(NamedTuple):
    """Sites in the sequences of a file."""

    ids: list[str]
    hits: Hits
    """Positions are those of the sequence in the file. A site that reaches into an added adapter
    starts or ends with the sequence."""
    reaches_adapter: npt.NDArray[np.str_]
    """``5'`` or ``3'`` where a site reaches into this added adapter, else empty."""
    adapters_added: int
    """Number of sequences to which adapters were added."""
    best_p: Matrix
    """For each motif, the lowest p-value that a site can have."""


def scan_file(
    path: PathLike,
    motifs: Sequence[Motif],
    options: ScanOptions = ScanOptions(),
    flanks: Flanks = "none",
    *,
    columns: Mapping[str, str] | None = None,
    iupac: Iupac = "error",
) -> ScannedFile:
    """Sites in a file of sequences of any length and number; memory holds one block at a time.

    Args:
        path: The file, or ``-`` for standard input.
        motifs: Motifs to search for.
        options: Threshold and background.
        flanks: As in :func:`crmnet.sequence.prepare`. Sites within an added adapter are neither
            reported nor counted as tests.
        columns: As for :func:`crmnet.data.sequences.read_sequences`.
        iupac: ``n`` reads letters that stand for several bases as N.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: At the first sequence that cannot be read, naming file and line.
    """
    scanner = Scanner(motifs, options)
    ids: list[str] = []
    lengths: list[int] = []
    added = 0
    for block in read_sequences(path, columns=columns):
        if iupac == "n":
            block = block._replace(sequences=[iupac_as_n(text) for text in block.sequences])
        has_adapters = np.zeros(len(block.ids), dtype=bool)
        if flanks != "none":
            has_adapters = _get_adapters(block.sequences, flanks)
        flat, sequence_starts, block_lengths = _flatten(block, path, has_adapters)
        adapter_length = len(ADAPTER_5) * has_adapters
        scanner.add(
            flat, sequence_starts - adapter_length, sequence_starts, sequence_starts + block_lengths
        )
        ids += block.ids
        lengths += block_lengths.tolist()
        added += int(has_adapters.sum())
    hits = scanner.hits()
    stop = np.array(lengths, dtype=np.int64)[hits.row]
    reaches = np.where(hits.start < 0, "5'", np.where(hits.end > stop, "3'", ""))
    hits = hits._replace(start=np.maximum(hits.start, 0), end=np.minimum(hits.end, stop))
    return ScannedFile(ids, hits, reaches, added, scanner.best_p)


def _get_adapters(sequences: Sequence[bytes], flanks: Flanks) -> npt.NDArray[np.bool_]:
    """Which sequences get adapters, as in :func:`crmnet.sequence.prepare`."""
    if flanks == "add":
        return np.ones(len(sequences), dtype=bool)
    left, right = len(ADAPTER_5), len(ADAPTER_3)
    ends = []
    for text in sequences:
        bases = text.strip(b"Nn")
        ends.append(bases[:left].ljust(left, b"N") + bases[-right:].rjust(right, b"N"))
    tokens, _ = letters_to_tokens(ends)
    width = np.full(len(ends), left + right)
    found_5, found_3 = find_adapters(tokens, np.zeros_like(width), width)
    return ~(found_5 | found_3)


def _flatten(
    block: SequenceBlock, path: PathLike, has_adapters: npt.NDArray[np.bool_]
) -> tuple[Tokens, Integers, Integers]:
    """Tokens of all sequences with an N between any two, their first positions, their lengths."""
    lengths = np.array([len(text) for text in block.sequences], dtype=np.int64)
    texts = [
        ADAPTER_5.encode() + text + ADAPTER_3.encode() if add else text
        for text, add in zip(block.sequences, has_adapters.tolist(), strict=True)
    ]
    sizes = np.array([len(text) for text in texts], dtype=np.int64)
    starts = np.cumsum(sizes + 1) - sizes - 1
    (flat,), _ = letters_to_tokens([b"N".join(texts) + b"N"])
    bad = np.nonzero(flat == INVALID)[0][:1]
    faulty_rows = [*(np.searchsorted(starts, bad, "right") - 1), *np.nonzero(lengths == 0)[0][:1]]
    if faulty_rows:
        row = int(min(faulty_rows))
        name = f"{block.ids[row]} ({display_name(path)}, line {block.lines[row]})"
        encode([block.sequences[row]], [name])  # raises the error that all commands show
    return flat, starts + len(ADAPTER_5) * has_adapters, lengths


class Scanner:
    """Finds the sites of motifs in sequences that are added block by block.

    Memory holds all sites, and the scores of CHUNK_SIZE positions at a time. The sequences of a
    block are joined to one array of tokens, with an N between any two. No site covers an N, so no
    site extends over the end of a sequence.
    """

    def __init__(self, motifs: Sequence[Motif], options: ScanOptions = ScanOptions()) -> None:
        if not motifs:
            raise ValueError("there are no motifs to search for")
        self.options = options
        matrices = [grid_scores(motif, options) for motif in motifs]
        self.kernels = [matrix.astype(float) for matrix in matrices]
        self.tables = [p_values(matrix, options.background) for matrix in matrices]
        self.thresholds = np.array([
            lowest + np.argmax(table <= options.p_value) if table[-1] <= options.p_value else np.inf
            for lowest, table in self.tables
        ])  # fmt: skip
        self.widths = np.array([motif.width for motif in motifs])
        self.tests = np.zeros(len(motifs), dtype=np.int64)
        self.rows = 0
        self.parts: list[tuple[Integers, Integers, Integers, Integers, Floats]] = []

    @property
    def best_p(self) -> Matrix:
        """As in :class:`ScannedFile`."""
        return np.array([table[-1] for _, table in self.tables])

    def add(self, flat: Tokens, starts: Integers, first: Integers, stop: Integers) -> None:
        """Search a block of sequences.

        Args:
            flat: ``(P,)`` tokens with an N after each sequence.
            starts: First position of each sequence in ``flat``, ascending.
            first: First position of the sequence without an added adapter.
            stop: One past its last position. Windows without any position from ``first`` to
                ``stop`` are not searched.
        """
        widest = int(self.widths.max())
        padded = bool((first > starts).any())
        for begin in range(0, len(flat), CHUNK_SIZE):
            size = min(CHUNK_SIZE, len(flat) - begin)
            tokens = flat[begin : begin + size + widest - 1]
            free = _free_of_n(tokens, self.widths, size)
            if padded:
                position = begin + np.arange(size)
                sequence_of = np.searchsorted(starts, position, "right") - 1
                free &= (position + self.widths[:, None] > first[sequence_of]) & (
                    position < stop[sequence_of]
                )
            strands = 2 if self.options.both_strands else 1
            self.tests += free.sum(axis=1) * strands
            scores = scan_scores(tokens[None], self.kernels)[0, :, :strands, :size]
            is_site = (scores >= self.thresholds[:, None, None]) & free[:, None]
            motif, strand, start = np.nonzero(is_site)
            site_scores = scores[motif, strand, start].astype(np.float64)
            row = np.searchsorted(starts, begin + start, "right") - 1
            self.parts.append(
                (row + self.rows, motif, strand, begin + start - first[row], site_scores)
            )
        self.rows += len(starts)

    def hits(self) -> Hits:
        """All sites so far, with q-values over all positions so far."""
        empty = np.zeros(0, dtype=np.int64)
        parts = [(empty, empty, empty, empty, np.zeros(0)), *self.parts]
        row, motif, strand, start, score = map(np.concatenate, zip(*parts, strict=True))
        order = np.lexsort((start, row, motif))
        row, motif, strand, start, score = (
            column[order] for column in (row, motif, strand, start, score)
        )
        p = np.empty(len(row))
        q = np.empty(len(row))
        bounds = np.searchsorted(motif, np.arange(len(self.tables) + 1))
        for number, (lowest, table) in enumerate(self.tables):
            of_motif = slice(bounds[number], bounds[number + 1])
            p[of_motif] = table[score[of_motif].astype(np.int64) - lowest]
            q[of_motif] = q_values(p[of_motif], int(self.tests[number]))
        ends = start + self.widths[motif]
        signs = np.array(["+", "-"])[strand]
        return Hits(row, motif, start, ends, signs, score / STEPS_PER_BIT, p, q)


def q_values(p: npt.ArrayLike, tests: int) -> Matrix:
    """Benjamini-Hochberg q-values of the smallest p-values of ``tests`` tests, in the given order.

    If ``p`` was truncated at a threshold, these are upper bounds, exact well below the threshold.
    """
    p = np.asarray(p)
    order = np.argsort(p, kind="stable")
    raw = p[order] * tests / np.arange(1, len(p) + 1)
    q = np.empty(len(p))
    q[order] = np.minimum(np.minimum.accumulate(raw[::-1])[::-1], 1.0)
    return q


def _free_of_n(tokens: Tokens, widths: Integers, size: int) -> npt.NDArray[np.bool_]:
    """``(F, size)``: whether a motif that starts here fits into the tokens ``(P,)`` without N."""
    before = np.cumsum(np.concatenate([[0], tokens == N_TOKEN]))
    free = np.zeros((len(widths), size), dtype=bool)
    for number, width in enumerate(widths.tolist()):
        starts = min(size, len(tokens) - width + 1)
        if starts > 0:
            free[number, :starts] = before[width : width + starts] == before[:starts]
    return free
