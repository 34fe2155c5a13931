"""MPRA-LegNet: LegNet with pooling and one output, the best published network on native mutants.

Source: Agarwal et al. 2025 for human enhancers; the MPRA-MNIST collection trains it on the yeast
promoters of Vaishnav et al. 2022. One-hot ``(B, 4, 112)`` → ``(B, n_media)``.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from crmnet.models.context import VAISHNAV_LENGTH, PlasmidContext, check_one_hot
from crmnet.models.reference import NetworkCard
from crmnet.models.zoo.legnet import ConcatBlock, conv_block, initialise_legnet

CARD = NetworkCard(
    paper="Agarwal et al. 2025, Massively parallel characterization of transcriptional regulatory "
    "elements. Nature 639:411; on yeast promoters as in MPRA-MNIST (autosome-ru)",
    parameters=1_322_465,
    published_parameters=None,
    context="110 positions: the construct, and bases of the plasmid in front of a shorter one",
    alphabet="ACGT",
    n_policy="0 in each channel",
    loss="mean squared error",
    recipe="mpra-legnet",
    notes="Its authors report 1.3 million parameters. They train one epoch over 90 % of the 31 "
    "million promoters in complex medium.",
)


@dataclass(frozen=True)
class MPRALegNetConfig:
    """Settings of the network; the defaults are those of its authors for yeast promoters."""

    n_media: int = 1
    stem: int = 64
    """Filters of the first convolution."""
    stem_kernel: int = 11
    widths: tuple[int, ...] = (80, 96, 112, 128)
    """Channels after each block; each block halves the length."""
    kernel: int = 9
    expansion: int = 4
    """Ratio of a block's expanded channels to its input channels."""
    pool: int = 2


class MPRALegNet(nn.Module):
    """The network; :class:`MPRALegNetConfig` holds its settings (None: the defaults)."""

    def __init__(self, config: MPRALegNetConfig | None = None) -> None:
        super().__init__()
        c = config or MPRALegNetConfig()
        self.input = PlasmidContext(VAISHNAV_LENGTH)
        self.stem = conv_block(4, c.stem, c.stem_kernel)
        blocks: list[nn.Module] = []
        channels = c.stem
        for width in c.widths:
            expanded = c.expansion * channels
            blocks += [
                ConcatBlock(channels, expanded, Gate, c.kernel, per_group=1),
                conv_block(2 * channels, width, c.kernel),
                nn.MaxPool1d(c.pool),
            ]
            channels = width
        self.core = nn.Sequential(*blocks)
        hidden = 2 * channels
        self.widen = nn.Sequential(nn.BatchNorm1d(channels), nn.Conv1d(channels, hidden, 1))
        self.head = nn.Sequential(
            nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden), nn.SiLU(),
            nn.Linear(hidden, c.n_media),
        )  # fmt: skip
        initialise_legnet(self)

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Outputs ``(B, n_media)`` from one-hot ``(B, 4, 112)``."""
        check_one_hot(x_BCL)
        return self.head(self.widen(self.core(self.stem(self.input(x_BCL)))).mean(dim=2))


class Gate(nn.Module):
    """Squeeze-excitation with SiLU, on the expanded channels of a block: ``(B, C, L)``."""

    def __init__(self, channels: int, expanded: int) -> None:
        super().__init__()
        self.excite = nn.Sequential(
            nn.Linear(expanded, channels), nn.SiLU(), nn.Linear(channels, expanded), nn.Sigmoid()
        )

    def forward(self, x_BCL: Tensor) -> Tensor:
        return x_BCL * self.excite(x_BCL.mean(dim=2)).unsqueeze(2)
