"""Several networks, and both strands, as one: their mean, and how far they disagree.

Takes networks ``(B, 4, L)`` → ``(B, n_media)`` and gives modules with the same input and output, so
that an ensemble can be attributed, exported and served like a single network.
:mod:`crmnet.prediction.predictor` makes them of packed models.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from crmnet.sequence import other_strand


class Ensemble(nn.Module):
    """The mean of networks, each read on one strand or on both: ``(B, 4, L)`` → ``(B, M)``."""

    def __init__(self, members: Sequence[nn.Module], *, reverse_complement: bool = False) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.reverse_complement = reverse_complement

    def views(self, x_BCL: Tensor) -> Tensor:
        """What each network says of each strand: ``(V, B, M)``, V networks, or twice as many."""
        strands = [x_BCL, other_strand(x_BCL)] if self.reverse_complement else [x_BCL]
        return torch.stack([member(strand) for strand in strands for member in self.members])

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Mean over the views."""
        return self.views(x_BCL).mean(dim=0)


class WithSpread(nn.Module):
    """Mean, then standard deviation, over the views of an ensemble: ``(B, 2 M)``."""

    def __init__(self, ensemble: Ensemble) -> None:
        super().__init__()
        self.ensemble = ensemble

    def forward(self, x_BCL: Tensor) -> Tensor:
        """``[mean, sd]`` side by side; one view alone has an sd of 0."""
        views = self.ensemble.views(x_BCL)
        return torch.cat([views.mean(dim=0), views.std(dim=0, correction=0)], dim=1)
