"""DREAM-Attn: LegNet's stem, a learned position code and four Conformer blocks.

Source: Rafi et al., Nature Biotechnology 2025; Conformer: Gulati et al. 2020. Input and output are
those of :mod:`crmnet.models.zoo.legnet`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from crmnet.models.context import PLASMID_LENGTH, DreamInput
from crmnet.models.layers import MultiHeadAttention
from crmnet.models.reference import NetworkCard
from crmnet.models.zoo.dream_cnn import CARD as CNN_CARD
from crmnet.models.zoo.dream_cnn import PAPER
from crmnet.models.zoo.legnet import conv_block

CARD = NetworkCard(
    paper=PAPER,
    parameters=4_539_410,
    published_parameters=4_539_410,
    context=CNN_CARD.context,
    alphabet="ACGT",
    n_policy=CNN_CARD.n_policy,
    loss=CNN_CARD.loss,
    recipe="dream-attn",
    notes="The positions of norms and biases are our interpretation of the paper: a norm before "
    "each of a block's four parts and a bias on the pointwise convolution give the published "
    "number of parameters.",
)


@dataclass(frozen=True)
class DreamAttnConfig:
    """Settings of the network; the defaults are the published ones."""

    n_media: int = 1
    """Outputs; with soft bins :func:`crmnet.models.build` sets 18 per medium."""
    channels: int = 256
    blocks: int = 4
    heads: int = 4
    kernel: int = 15
    """Width of a block's depthwise convolution."""
    dropout: float = 0.1


class DreamAttn(nn.Module):
    """The network; :class:`DreamAttnConfig` holds its settings (None: the defaults)."""

    has_marks = True

    def __init__(self, config: DreamAttnConfig | None = None) -> None:
        super().__init__()
        c = config or DreamAttnConfig()
        self.input = DreamInput()
        self.stem = conv_block(6, c.channels, 7)
        self.positions = nn.Parameter(0.02 * torch.randn(PLASMID_LENGTH, c.channels))
        self.blocks = nn.Sequential(*(_Conformer(c) for _ in range(c.blocks)))
        self.head = nn.Linear(c.channels, c.n_media)

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Outputs ``(B, n_media)`` from one-hot ``(B, 4, 112)``, or with marks ``(B, 6, 112)``."""
        x_BLC = self.stem(self.input(x_BCL)).transpose(1, 2)
        # The mean, then a linear layer, equals a linear layer at each position, then the mean.
        return self.head(self.blocks(x_BLC + self.positions).mean(dim=1))


class _Conformer(nn.Module):
    """Conformer block: feed-forward, convolution, attention, feed-forward, on ``(B, L, C)``.

    Each part is added to its input; the outputs of the feed-forward parts are halved.
    """

    def __init__(self, c: DreamAttnConfig) -> None:
        super().__init__()
        self.before = _SwiGLU(c.channels, 4 * c.channels, c.dropout)
        self.convolve = _Convolution(c)
        self.norm = nn.LayerNorm(c.channels)
        self.attend = MultiHeadAttention(c.channels, c.heads, c.channels // c.heads)
        self.dropout = nn.Dropout(c.dropout)
        self.after = _SwiGLU(c.channels, 4 * c.channels, c.dropout)

    def forward(self, x_BLC: Tensor) -> Tensor:
        x_BLC = x_BLC + self.before(x_BLC) / 2
        x_BLC = x_BLC + self.convolve(x_BLC)
        x_BLC = x_BLC + self.dropout(self.attend(self.norm(x_BLC)))
        return x_BLC + self.after(x_BLC) / 2


class _SwiGLU(nn.Module):
    """Layer norm, then a feed-forward layer in which half of the units gate the others.

    Source: Shazeer 2020.
    """

    def __init__(self, channels: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, hidden, bias=False)
        self.contract = nn.Linear(hidden // 2, channels, bias=False)
        self.silu = nn.SiLU()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BLC: Tensor) -> Tensor:
        gate, value = self.expand(self.norm(x_BLC)).chunk(2, dim=-1)
        return self.dropout(self.contract(self.silu(gate) * value))


class _Convolution(nn.Module):
    """Layer norm, depthwise and pointwise convolution, ReLU, dropout, on ``(B, L, C)``."""

    def __init__(self, c: DreamAttnConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(c.channels)
        self.depthwise = nn.Conv1d(
            c.channels, c.channels, c.kernel, padding="same", groups=c.channels, bias=False
        )
        self.pointwise = nn.Conv1d(c.channels, c.channels, 1)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(c.dropout)

    def forward(self, x_BLC: Tensor) -> Tensor:
        x_BCL = self.pointwise(self.depthwise(self.norm(x_BLC).transpose(1, 2)))
        return self.dropout(self.relu(x_BCL)).transpose(1, 2)
