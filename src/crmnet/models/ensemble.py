"""Ensembles: mean and standard deviation of predictions over several networks and both strands.

Members are networks ``(B, 4, L)`` → ``(B, M)`` with M media. An :class:`Ensemble` has the same
input and output as one network, so attribution and export treat it like one network.
:mod:`crmnet.prediction.predictor` creates one from the networks of a model.

A *view* is the prediction of one network for one strand. Networks that lack a medium, or read more
positions, become members through :class:`Member`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from crmnet.models.layers import BothStrands, has_marks, marked_reverse
from crmnet.sequence import other_strand


class Member(nn.Module):
    """A network with the outputs of an ensemble: ``(B, 4, L)`` → ``(B, M)``, 0 where it has none.

    Args:
        network: ``(B, 4, length)`` → its own outputs.
        columns: For each medium of the ensemble, the output of the network; None if it lacks one.
        length: Positions that the network reads, at least those of the ensemble. The input is
            padded at its right end, where one-hot is all zeros.
    """

    columns: Tensor

    def __init__(self, network: nn.Module, columns: Sequence[int | None], length: int) -> None:
        super().__init__()
        self.network, self.length, self.own_columns = network, length, tuple(columns)
        # Index -1 is the column of zeros that forward() appends.
        numbers = [-1 if column is None else column for column in columns]
        self.register_buffer("columns", torch.tensor(numbers), persistent=False)

    @property
    def has_marks(self) -> bool:
        """Whether the network has a strand channel: :func:`crmnet.models.layers.has_marks`."""
        return has_marks(self.network)

    def forward(self, x_BCL: Tensor) -> Tensor:
        output = self.network(functional.pad(x_BCL, (0, self.length - x_BCL.shape[2])))
        return functional.pad(output, (0, 1))[:, self.columns]


class Ensemble(nn.Module):
    """Mean over networks, and over both strands if requested: ``(B, 4, L)`` → ``(B, M)``.

    The mean of a medium is that of the networks that have it; see :class:`Member`.

    Args:
        members: Networks ``(B, 4, L)`` → ``(B, M)``.
        reverse_complement: Average over both strands. A network with
            :func:`~crmnet.models.layers.has_marks` gets the forward strand and the mark.
        forward_only: Numbers of the members, from 0, that see only the given strand.
    """

    present: Tensor | None

    def __init__(
        self,
        members: Sequence[nn.Module],
        *,
        reverse_complement: bool = False,
        forward_only: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.reverse_complement, self.forward_only = reverse_complement, tuple(forward_only)
        self.register_buffer("present", self._present(), persistent=False)

    def with_members(self, members: Sequence[nn.Module]) -> Ensemble:
        """The same ensemble of other forms of its members."""
        return Ensemble(
            members, reverse_complement=self.reverse_complement, forward_only=self.forward_only
        )

    @property
    def n_views(self) -> int:
        """Number of networks, plus those that also predict the reverse strand."""
        return len(self.members) + len(self._on_both_strands())

    def _on_both_strands(self) -> list[nn.Module]:
        """The members that also predict the reverse strand."""
        if not self.reverse_complement:
            return []
        return [m for number, m in enumerate(self.members) if number not in self.forward_only]

    def _present(self) -> Tensor | None:
        """``(V, 1, M)``: 1 where a view has a medium, else 0; None if all views have all media."""
        views = [*self.members, *self._on_both_strands()]
        known = {id(view): view.own_columns for view in views if isinstance(view, Member)}
        if all(None not in columns for columns in known.values()):
            return None
        width = len(next(iter(known.values())))
        flags = [[c is not None for c in known.get(id(view), range(width))] for view in views]
        return torch.tensor(flags, dtype=torch.float32)[:, None]

    def views(self, x_BCL: Tensor) -> Tensor:
        """Predictions of each network for each strand, ``(V, B, M)``; 0 for a medium it lacks.

        V is :attr:`n_views`.
        """
        views = [member(x_BCL) for member in self.members]
        if both := self._on_both_strands():
            other_BCL = other_strand(x_BCL)
            # A network with marks would treat the reverse complement as a forward construct.
            views += [
                member(marked_reverse(x_BCL) if has_marks(member) else other_BCL) for member in both
            ]
        return torch.stack(views)

    def mean(self, views_VBM: Tensor) -> Tensor:
        """Mean of each medium over the views that have it, ``(B, M)``."""
        if self.present is None:
            return views_VBM.mean(dim=0)
        return views_VBM.sum(dim=0) / self.present.sum(dim=0)

    def spread(self, views_VBM: Tensor) -> Tensor:
        """Standard deviation of each medium over the views that have it, ``(B, M)``."""
        if self.present is None:
            return views_VBM.std(dim=0, correction=0)
        deviation = (views_VBM - self.mean(views_VBM)) * self.present
        return (deviation.square().sum(dim=0) / self.present.sum(dim=0)).sqrt()

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Mean over the views, ``(B, M)``."""
        return self.mean(self.views(x_BCL))


class WithSpread(nn.Module):
    """Mean and standard deviation over the views of an ensemble: ``(B, 4, L)`` → ``(B, 2 M)``."""

    def __init__(self, ensemble: Ensemble) -> None:
        super().__init__()
        self.ensemble = ensemble

    def forward(self, x_BCL: Tensor) -> Tensor:
        """M means, then M standard deviations; the latter are 0 if there is only one view."""
        views = self.ensemble.views(x_BCL)
        return torch.cat([self.ensemble.mean(views), self.ensemble.spread(views)], dim=1)


def on_both_strands(network: nn.Module) -> nn.Module:
    """The mean over both strands; uses the network's strand channel if it has one."""
    if has_marks(network):
        return BothStrands(network)
    return Ensemble([network], reverse_complement=True)
