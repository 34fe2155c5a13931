"""The convolutional network of Vaishnav et al. 2022 ("GPU-only model").

Two branches, one for each strand, without shared weights, then two convolutions and three dense
layers: one-hot ``(B, 4, 112)`` → ``(B, n_media)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from crmnet.models.context import VAISHNAV_LENGTH, as_vaishnav
from crmnet.models.layers import SameConv1d, dense_layers
from crmnet.models.reference import NetworkCard
from crmnet.models.zoo.vaishnav_transformer import CONTEXT, N_POLICY, PAPER

CARD = NetworkCard(
    paper=PAPER,
    parameters=17_168_641,
    published_parameters=17_168_641,
    context=CONTEXT + "; both strands",
    alphabet="ACGT",
    n_policy=N_POLICY,
    loss="mean squared error + 0.0001 × mean absolute weight",
    recipe="vaishnav-conv",
    notes="Some kernels are 30 × 1 on maps of height 1, so 29 of their 30 taps cover only padding. "
    "These taps have no effect and are kept for the published number of parameters.",
)


@dataclass(frozen=True)
class VaishnavConvConfig:
    """Settings of the network; the defaults are the published ones."""

    n_media: int = 1
    filters: int = 256
    kernel: int = 30
    dense: int = 256
    dropout: float = 0.2
    weight_sd: float = 0.1
    """Standard deviation of the truncated normal distribution of the initial weights."""


class VaishnavConv(nn.Module):
    """The network; :class:`VaishnavConvConfig` holds its settings (None: the defaults)."""

    def __init__(self, config: VaishnavConvConfig | None = None) -> None:
        super().__init__()
        c = config or VaishnavConvConfig()
        F = c.filters
        self.branches = nn.ModuleList(
            nn.Sequential(
                SameConv1d(4, F, c.kernel), nn.ReLU(), _TallConv(F, F, c.kernel), nn.ReLU()
            )
            for _ in range(2)
        )
        self.joint = nn.Sequential(
            _TallConv(2 * F, F, c.kernel), nn.ReLU(), _TallConv(F, F, c.kernel), nn.ReLU()
        )
        self.head = nn.Sequential(
            nn.Flatten(),
            *dense_layers(VAISHNAV_LENGTH * F, [c.dense] * 2, c.n_media, c.dropout),
        )
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                sd = c.weight_sd
                nn.init.trunc_normal_(parameter, std=sd, a=-2 * sd, b=2 * sd)

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Outputs ``(B, n_media)`` in the unit of training, from one-hot ``(B, 4, 112)``."""
        x_BCL = as_vaishnav(x_BCL)
        strands = (x_BCL, x_BCL.flip(1, 2))
        branches = [branch(x) for branch, x in zip(self.branches, strands, strict=True)]
        return self.head(self.joint(torch.cat(branches, dim=1)))


class _TallConv(nn.Module):
    """Convolution with a kernel of 30 × 1 on a map of height 1, padded to 'same'.

    Only the middle tap covers the map; all others cover padding and have no effect.
    """

    def __init__(self, channels_in: int, channels_out: int, taps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels_out, channels_in, taps))
        self.bias = nn.Parameter(torch.empty(channels_out))
        self.tap = (taps - 1) // 2

    def forward(self, x_BCL: Tensor) -> Tensor:
        return functional.conv1d(x_BCL, self.weight[:, :, self.tap : self.tap + 1], self.bias)
