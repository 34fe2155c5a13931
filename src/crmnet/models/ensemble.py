"""Ensembles: mean and standard deviation of predictions over several networks and both strands.

Takes networks ``(B, 4, L)`` → ``(B, M)``, M media. An :class:`Ensemble` has the same input and
output as one network, so attribution and export treat it like one network.
:mod:`crmnet.prediction.predictor` makes one from each packed model.

A *view* is the prediction of one network for one strand.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from crmnet.models.layers import has_marks, marked_reverse
from crmnet.sequence import other_strand


class Ensemble(nn.Module):
    """Mean over networks, and over both strands if requested: ``(B, 4, L)`` → ``(B, M)``.

    Args:
        members: Networks ``(B, 4, L)`` → ``(B, M)``.
        reverse_complement: Average over both strands. A network with
            :func:`~crmnet.models.layers.has_marks` gets the forward strand and the mark.
    """

    def __init__(self, members: Sequence[nn.Module], *, reverse_complement: bool = False) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.reverse_complement = reverse_complement

    def views(self, x_BCL: Tensor) -> Tensor:
        """Predictions of each network for each strand, ``(V, B, M)``.

        V is the number of networks, or twice that number with ``reverse_complement``.
        """
        views = [member(x_BCL) for member in self.members]
        if self.reverse_complement:
            other_BCL = other_strand(x_BCL)
            # A network with marks would take the reverse complement for a forward construct.
            views += [
                member(marked_reverse(x_BCL) if has_marks(member) else other_BCL)
                for member in self.members
            ]
        return torch.stack(views)

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Mean over the views, ``(B, M)``."""
        return self.views(x_BCL).mean(dim=0)


class WithSpread(nn.Module):
    """Mean and standard deviation over the views of an ensemble: ``(B, 4, L)`` → ``(B, 2 M)``."""

    def __init__(self, ensemble: Ensemble) -> None:
        super().__init__()
        self.ensemble = ensemble

    def forward(self, x_BCL: Tensor) -> Tensor:
        """M means, then M standard deviations; the latter are 0 if there is only one view."""
        views = self.ensemble.views(x_BCL)
        return torch.cat([views.mean(dim=0), views.std(dim=0, correction=0)], dim=1)
