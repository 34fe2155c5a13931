"""DREAM-CNN: convolutions of two widths, then the blocks of LegNet.

Source: Rafi et al., Nature Biotechnology 2025. The first block is from one team of the DREAM
challenge 2022, the core and the training are from another. Input and output are those of
:mod:`crmnet.models.zoo.legnet`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from crmnet.models.context import DreamInput
from crmnet.models.reference import NetworkCard
from crmnet.models.zoo.legnet import efficient_core, initialise_legnet

PAPER = (
    "Rafi et al. 2025, A community effort to optimize sequence-based deep learning models of gene "
    "regulation. Nature Biotechnology 43:1373"
)
CARD = NetworkCard(
    paper=PAPER,
    parameters=1_933_970,
    published_parameters=1_933_970,
    context="150 positions: bases of the plasmid, then the construct; is_reverse, is_singleton",
    alphabet="ACGT",
    n_policy="zeros, in training and prediction (the authors' predictor uses 0.25)",
    loss="Kullback-Leibler divergence over 18 bins, target spread 0.5",
    recipe="dream-cnn",
)


@dataclass(frozen=True)
class DreamCNNConfig:
    """Settings of the network; the defaults are the published ones."""

    n_media: int = 1
    """Outputs; with soft bins :func:`crmnet.models.build` sets 18 per medium."""
    filters: int = 160
    """Filters of each of the two convolutions of the first block."""
    widths: tuple[int, ...] = (128, 128, 64, 64, 64, 64)
    """Channels after each block of the core."""
    dropout: float = 0.2


class DreamCNN(nn.Module):
    """The network; :class:`DreamCNNConfig` holds its settings (None: the defaults)."""

    has_marks = True

    def __init__(self, config: DreamCNNConfig | None = None) -> None:
        super().__init__()
        c = config or DreamCNNConfig()
        self.input = DreamInput()
        self.first = TwoWidthConv(6, c.filters, c.dropout)
        self.core = efficient_core(
            (2 * c.filters, *c.widths), lambda channels, expanded: _Gate(expanded, channels // 4)
        )
        self.head = nn.Conv1d(c.widths[-1], c.n_media, 1)
        initialise_legnet(self)

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Outputs ``(B, n_media)`` from one-hot ``(B, 4, 112)``, or with marks ``(B, 6, 112)``."""
        return self.head(self.core(self.first(self.input(x_BCL)))).mean(dim=2)


class TwoWidthConv(nn.Module):
    """Convolutions of widths 9 and 15 in parallel: ``(B, C, L)`` → ``(B, 2 filters, L)``."""

    def __init__(self, channels: int, filters: int, dropout: float) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv1d(channels, filters, kernel, padding="same") for kernel in (9, 15)
        )
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BCL: Tensor) -> Tensor:
        return self.dropout(torch.cat([self.relu(conv(x_BCL)) for conv in self.convs], dim=1))


class _Gate(nn.Module):
    """Squeeze-excitation with SiLU, as in EfficientNet: ``(B, C, L)`` → the same shape."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.gates = nn.Sequential(
            nn.Linear(channels, hidden), nn.SiLU(), nn.Linear(hidden, channels), nn.Sigmoid()
        )

    def forward(self, x_BCL: Tensor) -> Tensor:
        return x_BCL * self.gates(x_BCL.mean(dim=2)).unsqueeze(2)
