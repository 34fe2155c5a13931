"""Motif stem: an optional first layer of CRMnet that scans both strands for motifs.

Input is one-hot ``(B, 4, L)``, output ``(B, C, L)`` for the encoder.
:class:`~crmnet.models.crmnet.network.CRMnet` has a stem if its setting ``stem`` is above 0;
:mod:`crmnet.training.train` initialises it with known motifs if ``stem_motifs`` is True.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

MAX_SCORE = 3.0
"""Upper limit of scores before the exponential, so that one site does not outweigh all others."""


class MotifStem(nn.Module):
    """Filters on both strands, exponential, pointwise convolution: ``(B, 4, L)`` → ``(B, C, L)``.

    Each filter scores every window and, with the same weights, its reverse complement. The
    exponential converts a score to relative occupancy: for a log-odds matrix, the score is a
    binding energy. With exponential activation, first layers learn motifs (Koo & Ploenz 2021).

    Args:
        filters: Number of filters F.
        kernel: Width of a filter, in bases.
        channels: Output channels C.
    """

    def __init__(self, filters: int, kernel: int, channels: int) -> None:
        super().__init__()
        self.scan = nn.Conv1d(4, filters, kernel, padding="same", bias=False)
        self.norm = nn.BatchNorm1d(filters, eps=1e-3)
        nn.init.constant_(self.norm.bias, -0.5)  # the exponential of random scores is then about 1
        self.mix = nn.Conv1d(2 * filters, channels, 1)

    def forward(self, x_BCL: Tensor) -> Tensor:
        scores_BFL = functional.conv1d(x_BCL, self.both_strands(), padding="same")
        # One row for each strand (R = 2 B rows), normalised together.
        scores_RFL = self.norm(scores_BFL.view(-1, self.scan.out_channels, x_BCL.shape[2]))
        return self.mix(occupancy(scores_RFL).view_as(scores_BFL))

    def both_strands(self) -> Tensor:
        """The filters, then their reverse complements: ``(2F, 4, K)``."""
        return torch.cat([self.scan.weight, self.scan.weight.flip(1, 2)])

    @torch.no_grad()
    def initialise_filters(self, matrices: Sequence[npt.NDArray[np.floating]]) -> None:
        """Initialise the first filters with log-odds matrices, each in the centre of the kernel.

        Each column is centred at 0, and each filter scaled to norm √2. If a matrix is wider
        than the kernel, its window with the largest sum of squares is used.

        Args:
            matrices: Log-odds ``(4, W)``; rows A, C, G, T.

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
            centred = torch.from_numpy(matrix - matrix.mean(axis=0)).to(filter_)
            if centred.shape[1] > kernel:
                windows = centred.square().sum(dim=0).unfold(0, kernel, 1).sum(dim=1)
                centred = centred[:, int(windows.argmax()) :][:, :kernel]
            left = (kernel - centred.shape[1]) // 2
            filter_[:, left : left + centred.shape[1]] = centred * math.sqrt(2) / centred.norm()


def occupancy(scores: Tensor, *, in_place: bool = False) -> Tensor:
    """Relative occupancy: exponential of scores capped at :data:`MAX_SCORE`, in the same shape.

    Args:
        scores: Any shape.
        in_place: Overwrite ``scores``; only without gradients.
    """
    return (scores.clamp_(max=MAX_SCORE) if in_place else scores.clamp(max=MAX_SCORE)).exp_()
