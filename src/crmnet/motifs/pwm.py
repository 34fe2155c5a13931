"""Position weight matrices: counts → probabilities → log-odds, and scores along sequences.

Takes tokens, gives arrays; knows no model and no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from crmnet.sequence import LETTERS, Tokens, one_hot

Matrix = npt.NDArray[np.float64]
UNIFORM = (0.25, 0.25, 0.25, 0.25)


@dataclass(frozen=True, eq=False)
class Motif:
    """A binding motif as counted sites."""

    name: str
    """The factor, such as REB1."""
    id: str
    """Where it is from, such as MA0363.3."""
    counts: Matrix
    """``(4, W)``, rows A, C, G, T."""
    evalue: float = 0.0
    """How many motifs as good chance alone would give; 0 where nobody said."""

    def __post_init__(self) -> None:
        if self.counts.ndim != 2 or self.counts.shape[0] != 4 or not self.counts.shape[1]:
            raise ValueError(f"{self.name}: counts must be (4, width); got {self.counts.shape}")
        if (self.counts < 0).any() or (self.counts.sum(axis=0) <= 0).any():
            raise ValueError(f"{self.name}: every column needs counts, and none below zero")

    @property
    def width(self) -> int:
        return int(self.counts.shape[1])

    @property
    def consensus(self) -> str:
        """The most frequent base of each column."""
        return "".join(LETTERS[i] for i in self.counts.argmax(axis=0))

    def renamed(self, name: str, id: str) -> Motif:
        """The same motif under another name."""
        return replace(self, name=name, id=id)

    @property
    def reversed(self) -> Motif:
        """The same motif read on the other strand."""
        return replace(self, counts=self.counts[::-1, ::-1])

    @property
    def information(self) -> Matrix:
        """Bits in each column over even odds, ``(W,)``, between 0 and 2."""
        share = self.counts / self.counts.sum(axis=0)
        return 2 + np.sum(share * np.log2(np.where(share > 0, share, 1)), axis=0)

    def probabilities(self, pseudocount: float = 1.0) -> Matrix:
        """``(4, W)``; the pseudocount is spread evenly over the bases of each column."""
        return (self.counts + pseudocount / 4) / (self.counts.sum(axis=0) + pseudocount)

    def log_odds(self, background: Sequence[float] = UNIFORM, pseudocount: float = 1.0) -> Matrix:
        """``(4, W)`` natural logarithms of probability over background."""
        return np.log(self.probabilities(pseudocount) / np.asarray(background)[:, None])


def scan(tokens: Tokens, matrices: Sequence[Matrix]) -> npt.NDArray[np.float32]:
    """Score matrices at every start on both strands.

    Args:
        tokens: ``(B, L)``.
        matrices: Each ``(4, W)``, scores of the bases A, C, G, T; widths may differ.

    Returns:
        ``(B, F, 2, L)``: score of matrix F with its left end at each position, read forward and
        as the reverse complement. N counts 0. Where a matrix would run over the end: −inf.
    """
    width = max(matrix.shape[1] for matrix in matrices)
    kernels = np.zeros((len(matrices), 2, 4, width), dtype=np.float32)
    for kernel, matrix in zip(kernels, matrices, strict=True):
        kernel[0, :, : matrix.shape[1]] = matrix
        kernel[1, :, : matrix.shape[1]] = matrix[::-1, ::-1]
    length = tokens.shape[1]
    with torch.inference_mode():
        x_BCL = functional.pad(one_hot(torch.from_numpy(np.array(tokens))), (0, width - 1))
        scored = functional.conv1d(x_BCL, torch.from_numpy(kernels).flatten(0, 1))
    scores = scored.numpy().reshape(len(tokens), len(matrices), 2, length)
    for number, matrix in enumerate(matrices):
        scores[:, number, :, max(0, length - matrix.shape[1] + 1) :] = -np.inf
    return scores
