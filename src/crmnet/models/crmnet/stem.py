"""A first layer that scans both strands for motifs, in front of a network's encoder.

:class:`~crmnet.models.crmnet.network.CRMnet` has one where its configuration asks for it, and
:mod:`crmnet.training.train` lets it begin with known motifs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

HIGHEST = 3.0
"""Scores are cut here before the exponential, so that no site outweighs all others."""


class MotifStem(nn.Module):
    """Filters on both strands, their scores' exponentials, mixed: ``(B, 4, L)`` → ``(B, C, L)``.

    Each filter scores every window and, with the same weights, its other strand. The exponential
    makes of a score, which in a matrix of log-odds is a binding energy, something proportional to
    occupancy (Koo & Ploenz 2021 found that it makes first layers learn motifs).
    """

    def __init__(self, filters: int, kernel: int, channels: int) -> None:
        super().__init__()
        self.scan = nn.Conv1d(4, filters, kernel, padding="same", bias=False)
        self.norm = nn.BatchNorm1d(filters, eps=1e-3)
        nn.init.constant_(self.norm.bias, -0.5)  # the exponential of noise is then about 1
        self.mix = nn.Conv1d(2 * filters, channels, 1)

    def forward(self, x_BCL: Tensor) -> Tensor:
        scores_BFL = functional.conv1d(x_BCL, self.both_strands(), padding="same")
        # A row for each strand, which are normalised together.
        scores_RFL = self.norm(scores_BFL.view(-1, self.scan.out_channels, x_BCL.shape[2]))
        return self.mix(occupancy(scores_RFL).view_as(scores_BFL))

    def both_strands(self) -> Tensor:
        """The filters, then the same for the other strand: ``(2F, 4, K)``."""
        return torch.cat([self.scan.weight, self.scan.weight.flip(1, 2)])

    @torch.no_grad()
    def begin_with(self, matrices: Sequence[npt.NDArray[np.floating]]) -> None:
        """Let the first filters be these log-odds ``(4, W)``, each in the middle of the kernel.

        A matrix wider than the kernel gives the part that tells most.

        Raises:
            ValueError: If there are more matrices than filters.
        """
        filters, _, kernel = self.scan.weight.shape
        if len(matrices) > filters:
            raise ValueError(
                f"model.stem_motifs needs a filter for each of {len(matrices)} motifs; "
                f"got model.stem={filters} (--set model.stem={len(matrices)}, or more)"
            )
        self.scan.weight[: len(matrices)] = 0
        for filter_, matrix in zip(self.scan.weight, matrices, strict=False):
            odds = torch.from_numpy(matrix - matrix.mean(axis=0)).to(filter_)
            if odds.shape[1] > kernel:
                told = odds.square().sum(dim=0).unfold(0, kernel, 1).sum(dim=1)
                odds = odds[:, int(told.argmax()) :][:, :kernel]
            left = (kernel - odds.shape[1]) // 2
            filter_[:, left : left + odds.shape[1]] = odds * math.sqrt(2) / odds.norm()


def occupancy(scores: Tensor, *, in_place: bool = False) -> Tensor:
    """Exponential of scores, cut at :data:`HIGHEST`; in their place where no gradient is wanted."""
    return (scores.clamp_(max=HIGHEST) if in_place else scores.clamp(max=HIGHEST)).exp_()
