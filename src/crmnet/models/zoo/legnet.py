"""LegNet, the winner of the DREAM challenge 2022: a small EfficientNet over 150 positions.

Penzar et al., Bioinformatics 2023. Takes one-hot ``(B, 4, 112)``, with two further channels where
training marks rows (:class:`~crmnet.models.context.DreamInput`), and gives ``(B, n_media)``; the
published network has 18 outputs, one for each sorting bin.
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
    context="150 positions: the construct behind the plasmid's own bases; is_reverse, is_singleton",
    alphabet="AGCT",
    n_policy="0.25 in each channel",
    loss="Kullback-Leibler divergence over 18 bins, target spread 0.5",
    recipe="legnet",
)


@dataclass(frozen=True)
class LegNetConfig:
    """Widths of the network; the defaults are those of the paper and the challenge."""

    n_media: int = 1
    """Outputs; with soft bins the table makes 18 for each medium."""
    widths: tuple[int, ...] = (256, 128, 128, 64, 64, 64, 64)
    """Of the stem and after each block."""
    kernel: int = 7
    expansion: int = 4
    per_group: int = 2
    """Filters that share a group in the middle convolution of a block."""
    rectify: bool = True
    """SiLU on the outputs, as published for bins; expression itself may be any number."""


class LegNet(nn.Module):
    """The network; see the module's docstring and :class:`LegNetConfig`."""

    has_marks = True

    def __init__(self, config: LegNetConfig | None = None) -> None:
        super().__init__()
        c = config or LegNetConfig()
        self.input = DreamInput("AGCT", n_value=0.25)
        self.stem = conv_block(6, c.widths[0], c.kernel)
        self.core = efficient_core(
            c.widths, lambda narrow, wide: BilinearGate(wide, narrow // 4),
            kernel=c.kernel, expansion=c.expansion, per_group=c.per_group,
        )  # fmt: skip
        self.head = nn.Sequential(
            nn.Conv1d(c.widths[-1], c.n_media, 1), nn.SiLU() if c.rectify else nn.Identity()
        )
        initialise_legnet(self)

    def forward(self, x_BCL: Tensor) -> Tensor:
        """One-hot ``(B, 4, 112)`` → ``(B, n_media)``, in the unit of training."""
        return self.head(self.core(self.stem(self.input(x_BCL)))).mean(dim=2)


def conv_block(channels_in: int, channels_out: int, kernel: int, groups: int = 1) -> nn.Sequential:
    """Convolution without bias, batch norm, SiLU; the length stays."""
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
    """LegNet's blocks from each width to the next: ``(B, widths[0], L)`` → ``(B, widths[-1], L)``.

    Args:
        widths: Channels before the first block and after each.
        gate: Makes the gate of a block from its narrow and its wide number of channels.
        kernel: Of the grouped and the closing convolution.
        expansion: Wide channels over the block's outputs.
        per_group: Filters that share a group.
    """
    return nn.Sequential(
        *(
            nn.Sequential(
                _Alongside(narrow, expansion * out, gate, kernel, per_group),
                conv_block(2 * narrow, out, kernel),
            )
            for narrow, out in itertools.pairwise(widths)
        )
    )


class _Alongside(nn.Module):
    """Expand, convolve in groups, gate, project back; the input is put alongside: C → 2 C."""

    def __init__(
        self,
        narrow: int,
        wide: int,
        gate: Callable[[int, int], nn.Module],
        kernel: int,
        per_group: int,
    ) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            conv_block(narrow, wide, 1),
            conv_block(wide, wide, kernel, groups=wide // per_group),
            gate(narrow, wide),
            conv_block(wide, narrow, 1),
        )

    def forward(self, x_BCL: Tensor) -> Tensor:
        return torch.cat([x_BCL, self.inner(x_BCL)], dim=1)


class BilinearGate(nn.Module):
    """Squeeze-excitation whose hidden units also enter as products of pairs: ``(B, C, L)``."""

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
    """``(B, n)`` → ``(B, m)``: sums over products of pairs, with a tensor of low rank.

    The tensor (n, n, m) is a sum of outer products (CP decomposition), as many as keep half of
    its parameters.
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
    """Draw the weights as the authors do: by fan-out for convolutions, small for dense layers."""
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
