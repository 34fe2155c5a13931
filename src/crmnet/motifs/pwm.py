"""Position weight matrices: counts → probabilities → log-odds, and their scores along sequences.

All other motif modules use :class:`Motif` and :func:`scan_scores`. They take tokens and counts and
return arrays, without files and networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from crmnet.sequence import LETTERS, as_tokens, one_hot

Matrix = npt.NDArray[np.float64]
UNIFORM = (0.25, 0.25, 0.25, 0.25)
MAX_COUNT = 1e12
"""Largest count of a base in a column; a larger number cannot be a count of sites."""


@dataclass(frozen=True, eq=False)
class Motif:
    """A binding motif as counts of its sites."""

    name: str
    """The factor, such as REB1."""
    id: str
    """Identifier in its source, such as MA0363.3."""
    counts: Matrix
    """``(4, W)``, rows A, C, G, T."""
    evalue: float = 0.0
    """Expected number of motifs this good by chance; 0 if unknown."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", np.asarray(self.counts, dtype=float))
        if self.counts.ndim != 2 or self.counts.shape[0] != 4 or not self.counts.shape[1]:
            raise ValueError(f"{self.name}: counts must be (4, width); got {self.counts.shape}")
        with np.errstate(over="ignore"):
            finite = np.isfinite(self.counts).all() and np.isfinite(self.counts.sum(axis=0)).all()
        if not finite or self.counts.max() > MAX_COUNT:
            raise ValueError(f"{self.name}: counts must be numbers of at most {MAX_COUNT:g}")
        if (self.counts < 0).any() or (self.counts.sum(axis=0) <= 0).any():
            raise ValueError(
                f"{self.name}: every column must contain counts, and no count may be below zero"
            )

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.counts.shape[1])

    @property
    def consensus(self) -> str:
        """The most frequent base of each column."""
        return "".join(LETTERS[i] for i in self.counts.argmax(axis=0))

    def renamed(self, name: str, id: str) -> Motif:
        """The same motif under another name."""
        return replace(self, name=name, id=id)

    @property
    def reverse_complement(self) -> Motif:
        """The same motif on the other strand."""
        return replace(self, counts=self.counts[::-1, ::-1])

    @property
    def information(self) -> Matrix:
        """Information of each column in bits over a uniform background, ``(W,)``, from 0 to 2."""
        probability = self.counts / self.counts.sum(axis=0)
        return 2 + np.sum(probability * np.log2(np.where(probability > 0, probability, 1)), axis=0)

    def probabilities(self, pseudocount: float = 1.0) -> Matrix:
        """``(4, W)`` probabilities; the pseudocount is divided evenly among the four bases."""
        return (self.counts + pseudocount / 4) / (self.counts.sum(axis=0) + pseudocount)

    def log_odds(self, background: Sequence[float] = UNIFORM, pseudocount: float = 1.0) -> Matrix:
        """``(4, W)`` natural logarithms of probability divided by background."""
        return np.log(self.probabilities(pseudocount) / np.asarray(background)[:, None])


def scan_scores(tokens: npt.ArrayLike, matrices: Sequence[Matrix]) -> npt.NDArray[np.float32]:
    """Score matrices at every position on both strands.

    Args:
        tokens: ``(B, L)``.
        matrices: Each ``(4, W)``, scores of the bases A, C, G, T; widths may differ.

    Returns:
        ``(B, F, 2, L)``: score of matrix F with its left end at each position, on the forward and
        on the reverse strand. N scores 0. −inf where the matrix extends beyond the sequence.
    """
    tokens = as_tokens(tokens)
    width = max(matrix.shape[1] for matrix in matrices)
    kernels = np.zeros((len(matrices), 2, 4, width), dtype=np.float32)
    for kernel, matrix in zip(kernels, matrices, strict=True):
        kernel[0, :, : matrix.shape[1]] = matrix
        kernel[1, :, : matrix.shape[1]] = matrix[::-1, ::-1]
    length = tokens.shape[1]
    if not tokens.size:
        return np.zeros((len(tokens), len(matrices), 2, length), dtype=np.float32)
    with torch.inference_mode():
        x_BCL = functional.pad(one_hot(torch.from_numpy(np.array(tokens))), (0, width - 1))
        scanned = functional.conv1d(x_BCL, torch.from_numpy(kernels).flatten(0, 1))
    scores = scanned.numpy().reshape(len(tokens), len(matrices), 2, length)
    for number, matrix in enumerate(matrices):
        scores[:, number, :, max(0, length - matrix.shape[1] + 1) :] = -np.inf
    return scores
