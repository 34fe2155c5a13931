"""Short words that high sequences have and low ones lack: where a motif search begins.

Words are read on both strands, and counted once in a sequence however often it has them. Besides
6-, 7- and 8-letter words there are pairs of triplets with a gap, as many factors bind in pairs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Booleans
from crmnet.motifs.pwm import Matrix
from crmnet.motifs.residual import Rest
from crmnet.sequence import N_TOKEN, Tokens

PATTERNS: tuple[tuple[int, ...], ...] = (
    *(tuple(range(k)) for k in (6, 7, 8)),
    *((0, 1, 2, 3 + gap, 4 + gap, 5 + gap) for gap in range(2, 12)),
)
"""Places of a word's letters; each is its own mirror image."""
SURE = 0.9
"""Share of the word's own letter in a column of the matrix that a search starts from."""
FLANK = 4
"""Free columns on either side of a word, for the matrix to grow into."""

Occurrences = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
"""Rows, and codes of the words in them, a row's repeats left out."""


class Word(NamedTuple):
    """A word and how far it leans."""

    letters: tuple[int, ...]
    """Tokens, N in a gap."""
    z: float
    """Above 0 to the high sequences, below 0 to the low ones."""
    pattern: int
    """Which of PATTERNS it is of."""
    code: int
    """Its number among the words of that pattern."""

    def matrix(self) -> Matrix:
        """``(4, W)`` probabilities to start from, with free columns around it."""
        shares = np.full((4, len(self.letters) + 2 * FLANK), 0.25)
        for place, token in enumerate(self.letters, FLANK):
            if token != N_TOKEN:
                shares[:, place] = (1 - SURE) / 3
                shares[token, place] = SURE
        return shares


class Words:
    """All words of some sequences, found once."""

    def __init__(self, tokens: Tokens, fewest: int) -> None:
        """Words of ``(B, L)``; those in fewer than ``fewest`` sequences are no candidates."""
        self.rows = len(tokens)
        self.found = [_occurrences(tokens, offsets) for offsets in PATTERNS]
        self.usable = [
            np.bincount(code, minlength=4 ** len(offsets)) >= fewest
            for offsets, (_, code) in zip(PATTERNS, self.found, strict=True)
        ]

    def best(self, rest: Rest) -> Word | None:
        """The word that leans most either way and was not taken before; it is taken now."""
        best: Word | None = None
        strata = len(rest.total)
        for number, (offsets, (row, code)) in enumerate(zip(PATTERNS, self.found, strict=True)):
            usable = np.nonzero(self.usable[number])[0]
            if not len(usable):
                continue
            many = 4 ** len(offsets)
            lean = np.bincount(code, rest.residual[row], many)[usable]
            cell = code.astype(np.int64) * strata + rest.stratum[row]
            spread = np.bincount(cell, rest.variance[row], many * strata).reshape(many, strata)
            z = rest.z(lean, spread[usable])
            found = int(np.abs(z).argmax())
            if best is None or abs(z[found]) > abs(best.z):
                letters = _letters(int(usable[found]), offsets)
                best = Word(letters, float(z[found]), number, int(usable[found]))
        if best is not None:
            self.usable[best.pattern][best.code] = False
        return best

    def having(self, word: Word) -> Booleans:
        """Which sequences have a word, ``(B,)``."""
        row, code = self.found[word.pattern]
        having = np.zeros(self.rows, dtype=bool)
        having[row[code == word.code]] = True
        return having


def _occurrences(tokens: Tokens, offsets: tuple[int, ...]) -> Occurrences:
    places = tokens.shape[1] - offsets[-1]
    if places < 1:
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    forward = np.zeros((len(tokens), places), dtype=np.int32)
    reverse = np.zeros_like(forward)
    known = np.ones(forward.shape, dtype=bool)
    for number, offset in enumerate(offsets):
        letter = tokens[:, offset : offset + places].astype(np.int32)
        known &= letter < N_TOKEN
        forward += letter << (2 * number)
        reverse += (3 - letter) << (2 * (len(offsets) - 1 - number))
    code = np.sort(np.where(known, np.minimum(forward, reverse), -1), axis=1)
    new = code >= 0
    new[:, 1:] &= code[:, 1:] != code[:, :-1]
    row, place = np.nonzero(new)
    return row.astype(np.int32), code[row, place]


def _letters(code: int, offsets: tuple[int, ...]) -> tuple[int, ...]:
    letters = [N_TOKEN] * (offsets[-1] + 1)
    for number, offset in enumerate(offsets):
        letters[offset] = (code >> (2 * number)) & 3
    return tuple(letters)
