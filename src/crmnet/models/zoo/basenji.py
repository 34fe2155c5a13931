"""A small Basenji (Kelley et al. 2018): convolutions with pooling, then dilated residual blocks.

Adapted to one expression per medium from 112 positions: one-hot ``(B, 4, 112)`` →
``(B, n_media)``.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from torch import Tensor, nn

from crmnet.models.context import check_one_hot
from crmnet.models.layers import initialise
from crmnet.models.reference import NetworkCard

CARD = NetworkCard(
    paper="Kelley et al. 2018, Sequential regulatory activity prediction across chromosomes with "
    "convolutional neural networks. Genome Research 28:739",
    parameters=420_353,
    published_parameters=None,
    context="all 112 positions",
    alphabet="ACGT",
    n_policy="zeros",
    loss="mean squared error of standardised labels (original: Poisson, for counts)",
    recipe="basenji",
    notes="An adaptation. The original pools 131,072 bases by a factor of 128 and predicts tracks "
    "of counts; here 112 positions are halved twice and averaged.",
)


@dataclass(frozen=True)
class BasenjiConfig:
    """Settings of the network; the default widths are our choice."""

    n_media: int = 1
    stem: tuple[int, ...] = (128, 128)
    """Filters of the first convolutions, each followed by max-pooling of pairs."""
    stem_kernel: int = 15
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    """Dilation of each residual block."""
    dilated_filters: int = 64
    dense: int = 256
    dropout: float = 0.1


class Basenji(nn.Module):
    """The network; :class:`BasenjiConfig` holds its settings (None: the defaults)."""

    def __init__(self, config: BasenjiConfig | None = None) -> None:
        super().__init__()
        c = config or BasenjiConfig()
        width = c.stem[-1]
        self.stem = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv1d(a, b, c.stem_kernel, padding="same", bias=False),
                    nn.BatchNorm1d(b),
                    nn.GELU(),
                    nn.MaxPool1d(2),
                )
                for a, b in itertools.pairwise((4, *c.stem))
            )
        )
        self.tower = nn.Sequential(*(_Dilated(width, d, c) for d in c.dilations))
        self.head = nn.Sequential(
            nn.Conv1d(width, c.dense, 1), nn.BatchNorm1d(c.dense), nn.GELU(), nn.Dropout(c.dropout)
        )
        self.output = nn.Linear(c.dense, c.n_media)
        initialise(self)

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Outputs ``(B, n_media)`` in the unit of training, from one-hot ``(B, 4, 112)``."""
        check_one_hot(x_BCL)
        return self.output(self.head(self.tower(self.stem(x_BCL))).mean(dim=2))


class _Dilated(nn.Module):
    """Residual block: a dilated convolution, a pointwise one, and the sum with the input."""

    def __init__(self, width: int, dilation: int, c: BasenjiConfig) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv1d(width, c.dilated_filters, 3, padding="same", dilation=dilation, bias=False),
            nn.BatchNorm1d(c.dilated_filters),
            nn.GELU(),
            nn.Conv1d(c.dilated_filters, width, 1, bias=False),
            nn.BatchNorm1d(width),
            nn.Dropout(c.dropout),
        )
        self.gelu = nn.GELU()

    def forward(self, x_BCL: Tensor) -> Tensor:
        return self.gelu(x_BCL + self.inner(x_BCL))
