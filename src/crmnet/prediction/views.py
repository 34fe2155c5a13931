"""Predictions of each view of a model, and the difference of two predictions with its spread.

A *view* is one member of an ensemble that reads one strand (:mod:`crmnet.models.ensemble`). The
effect of a variant is a difference of two predictions; its spread is the disagreement of the views
about the difference, which is usually smaller than their disagreement about either prediction.
:mod:`crmnet.design.mutate` and :mod:`crmnet.evaluation.calibrate` use both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from crmnet.arrays import Booleans, Floats, Floats32
from crmnet.models.ensemble import Ensemble


class Views(NamedTuple):
    """Predictions of N sequences for M media by each of V views."""

    values: Floats32
    """``(V, N, M)``; 0 where a view lacks a medium."""
    present: Booleans
    """``(V, M)``, whether a view has a medium."""

    def take(self, rows: npt.ArrayLike) -> Views:
        """The views of some sequences."""
        return self._replace(values=self.values[:, np.asarray(rows)])

    def minus(self, other: Views) -> Views:
        """Differences of two sets of predictions, view by view."""
        return self._replace(values=self.values - other.values)

    def mean(self) -> Floats32:
        """``(N, M)``, mean of each medium over the views that have it."""
        total = self.values.sum(axis=0, dtype=np.float64)
        return (total / self.present.sum(axis=0)).astype(np.float32)

    def spread(self) -> Floats32:
        """``(N, M)``, standard deviation of each medium over the views that have it."""
        deviation = (self.values - self.mean().astype(np.float64)) * self.present[:, None]
        variance: Floats = (deviation**2).sum(axis=0) / self.present.sum(axis=0)
        return np.sqrt(variance).astype(np.float32)


class AllViews(nn.Module):
    """The views of an ensemble side by side: ``(B, 4, L)`` → ``(B, V M)``."""

    def __init__(self, ensemble: Ensemble) -> None:
        super().__init__()
        self.ensemble = ensemble

    def forward(self, x_BCL: Tensor) -> Tensor:
        return self.ensemble.views(x_BCL).transpose(0, 1).flatten(1)


def views_of(predicted: npt.ArrayLike, network: nn.Module, outputs: int) -> Views:
    """The views in what :class:`AllViews`, or a network without members, predicts.

    Args:
        predicted: ``(N, V M)``.
        network: The ensemble, or another network, which is one view.
        outputs: Number of media M.
    """
    values = np.asarray(predicted, dtype=np.float32)
    values = values.reshape(len(values), -1, outputs).transpose(1, 0, 2)
    present = np.ones((len(values), outputs), dtype=bool)
    if isinstance(network, Ensemble) and network.present is not None:
        present = network.present[:, 0].cpu().numpy() > 0
    return Views(values, present)
