"""Short words that one group of sequences has and the other lacks: where a motif search begins.

Words are read on both strands, and counted once in a sequence however often it has them. Besides
6-, 7- and 8-letter words there are pairs of triplets with a gap, as many factors bind in pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from crmnet.motifs.contrast import Contrast, Integers, stratified_z
from crmnet.motifs.pwm import Matrix
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


class Word(NamedTuple):
    """A word and how far it leans to the top group."""

    letters: tuple[int, ...]
    """Tokens, N in a gap."""
    z: float

    def matrix(self) -> Matrix:
        """``(4, W)`` probabilities to start from, with free columns around it."""
        shares = np.full((4, len(self.letters) + 2 * FLANK), 0.25)
        for place, token in enumerate(self.letters, FLANK):
            if token != N_TOKEN:
                shares[:, place] = (1 - SURE) / 3
                shares[token, place] = SURE
        return shares


def best_word(contrast: Contrast, fewest: int) -> Word | None:
    """The word that leans most to the top group, of those in at least ``fewest`` sequences."""
    cells, sizes = contrast.cell, contrast.sizes
    best: Word | None = None
    for offsets, (row, code) in zip(PATTERNS, _occurrences(contrast.tokens), strict=True):
        many = 4 ** len(offsets)
        count = np.bincount(code * sizes.size + cells[row], minlength=many * sizes.size)
        hits = count.reshape(many, *sizes.shape)
        usable = np.nonzero(hits.sum(axis=(1, 2)) >= fewest)[0]
        if not len(usable):
            continue
        z = stratified_z(hits[usable], sizes)
        found = int(z.argmax())
        if best is None or z[found] > best.z:
            best = Word(_letters(int(usable[found]), offsets), float(z[found]))
    return best


def _occurrences(tokens: Tokens) -> Iterator[tuple[Integers, Integers]]:
    """For each pattern: rows and codes of the words in them, a row's repeats left out."""
    for offsets in PATTERNS:
        places = tokens.shape[1] - offsets[-1]
        if places < 1:
            yield np.zeros(0, np.int64), np.zeros(0, np.int64)
            continue
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
        yield row, code[row, place].astype(np.int64)


def _letters(code: int, offsets: tuple[int, ...]) -> tuple[int, ...]:
    letters = [N_TOKEN] * (offsets[-1] + 1)
    for number, offset in enumerate(offsets):
        letters[offset] = (code >> (2 * number)) & 3
    return tuple(letters)
