"""LegNet, winner of the DREAM challenge 2022: a small EfficientNet over 150 positions.

Source: Penzar et al., Bioinformatics 2023. Input is one-hot ``(B, 4, 112)``, in training with two
more channels, the marks (:class:`~crmnet.models.context.DreamInput`). Output is ``(B, n_media)``;
the published network has 18 outputs, one per sorting bin.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from crmnet.models.context import DreamInput
from crmnet.models.reference import NetworkCard

CARD = NetworkCard(
    paper="Penzar et al. 2023, LegNet: a best-in-class deep learning model for short DNA "
    "regulatory regions. Bioinformatics 39:btad457",
    parameters=1_852_846,
    published_parameters=1_852_846,
    context="150 positions: bases of the plasmid, then the construct; is_reverse, is_singleton",
    alphabet="AGCT",
    n_policy="0.25 in each channel",
    loss="Kullback-Leibler divergence over 18 bins, target spread 0.5",
    recipe="legnet",
)


@dataclass(frozen=True)
class LegNetConfig:
    """Settings of the network; the defaults are those of the paper and the challenge."""

    n_media: int = 1
    """Outputs; with soft bins :func:`crmnet.models.build` sets 18 per medium."""
    widths: tuple[int, ...] = (256, 128, 128, 64, 64, 64, 64)
    """Channels of the stem and after each block."""
    kernel: int = 7
    expansion: int = 4
    """Ratio of a block's expanded channels to its output channels."""
    per_group: int = 2
    """Filters per group in the grouped convolution of a block."""
    rectify: bool = True
    """SiLU on the outputs, as published for bins; False for expression, which may be negative."""


class LegNet(nn.Module):
    """The network; :class:`LegNetConfig` holds its settings (None: the defaults)."""

    has_marks = True

    def __init__(self, config: LegNetConfig | None = None) -> None:
        super().__init__()
        c = config or LegNetConfig()
        self.input = DreamInput("AGCT", n_value=0.25)
        self.stem = conv_block(6, c.widths[0], c.kernel)
        self.core = efficient_core(
            c.widths, lambda channels, expanded: BilinearGate(expanded, channels // 4),
            kernel=c.kernel, expansion=c.expansion, per_group=c.per_group,
        )  # fmt: skip
        self.head = nn.Sequential(
            nn.Conv1d(c.widths[-1], c.n_media, 1), nn.SiLU() if c.rectify else nn.Identity()
        )
        initialise_legnet(self)

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Outputs ``(B, n_media)`` from one-hot ``(B, 4, 112)``, or with marks ``(B, 6, 112)``."""
        return self.head(self.core(self.stem(self.input(x_BCL)))).mean(dim=2)


def conv_block(channels_in: int, channels_out: int, kernel: int, groups: int = 1) -> nn.Sequential:
    """Convolution without bias, batch norm, SiLU: ``(B, C, L)`` → the same length."""
    conv = nn.Conv1d(channels_in, channels_out, kernel, padding="same", groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm1d(channels_out), nn.SiLU())


def efficient_core(
    widths: tuple[int, ...],
    gate: Callable[[int, int], nn.Module],
    *,
    kernel: int = 7,
    expansion: int = 4,
    per_group: int = 2,
) -> nn.Sequential:
    """Blocks of LegNet in sequence: ``(B, widths[0], L)`` → ``(B, widths[-1], L)``.

    Args:
        widths: Channels before the first block and after each block.
        gate: Number of input channels, number of expanded channels → gate of a block.
        kernel: Width of the grouped convolution and of the last one of a block.
        expansion: Ratio of a block's expanded channels to its output channels.
        per_group: Filters per group of the grouped convolution.
    """
    return nn.Sequential(
        *(
            nn.Sequential(
                ConcatBlock(channels_in, expansion * channels_out, gate, kernel, per_group),
                conv_block(2 * channels_in, channels_out, kernel),
            )
            for channels_in, channels_out in itertools.pairwise(widths)
        )
    )


class ConcatBlock(nn.Module):
    """Expansion, grouped convolution, gate and projection, concatenated with the input.

    ``(B, C, L)`` → ``(B, 2 C, L)``: the channels of the input, then those of the projection.
    """

    def __init__(
        self,
        channels: int,
        expanded: int,
        gate: Callable[[int, int], nn.Module],
        kernel: int,
        per_group: int,
    ) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            conv_block(channels, expanded, 1),
            conv_block(expanded, expanded, kernel, groups=expanded // per_group),
            gate(channels, expanded),
            conv_block(expanded, channels, 1),
        )

    def forward(self, x_BCL: Tensor) -> Tensor:
        return torch.cat([x_BCL, self.inner(x_BCL)], dim=1)


class BilinearGate(nn.Module):
    """Squeeze-excitation that also uses products of pairs of hidden units, on ``(B, C, L)``."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(
            nn.Linear(channels, hidden), nn.SiLU(), nn.Linear(hidden, hidden)
        )
        self.pairs = _LowRankPairs(hidden, hidden // 2)
        self.excite = nn.Sequential(
            nn.SiLU(), nn.Linear(hidden + hidden // 2, channels), nn.Sigmoid()
        )

    def forward(self, x_BCL: Tensor) -> Tensor:
        hidden = self.squeeze(x_BCL.mean(dim=2))
        gates = self.excite(torch.cat([hidden, self.pairs(hidden)], dim=1))
        return x_BCL * gates.unsqueeze(2)


class _LowRankPairs(nn.Module):
    """Bilinear layer of low rank, ``(B, n)`` → ``(B, m)``: weighted sums of products of pairs.

    Its weight ``(n, n, m)`` is a sum of outer products (CP decomposition). Their number, the rank,
    is such that the layer has about ``share`` of the parameters of a full weight.
    """

    def __init__(self, n: int, m: int, share: float = 0.5) -> None:
        super().__init__()
        rank = max(1, round(share * n * n * m / (2 * n + m)))
        self.scale = nn.Parameter(torch.ones(rank))
        self.left = nn.Parameter(torch.randn(n, rank) / math.sqrt(n))
        self.right = nn.Parameter(torch.randn(n, rank) / math.sqrt(n))
        self.out = nn.Parameter(torch.randn(m, rank) / math.sqrt(rank))
        self.bias = nn.Parameter(torch.zeros(m))

    def forward(self, x: Tensor) -> Tensor:
        return (self.scale * (x @ self.left) * (x @ self.right)) @ self.out.T + self.bias


def initialise_legnet(network: nn.Module) -> None:
    """Sample initial weights as the authors do, from torch's global generator.

    Weights are normal, with variance 2 / fan-out for convolutions and standard deviation 0.001 for
    dense layers. Biases are zero.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv1d):
            nn.init.normal_(
                module.weight, std=math.sqrt(2 / (module.kernel_size[0] * module.out_channels))
            )
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.001)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
