"""The transformer of Vaishnav et al. 2022 ("TPU model"), as used in their web application.

A convolution shared by both strands, a convolution over both strands' channels, two attention
blocks with ReLU throughout, and a bidirectional LSTM: one-hot ``(B, 4, 112)`` → ``(B, n_media)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from crmnet.models.context import VAISHNAV_LENGTH, as_vaishnav
from crmnet.models.layers import (
    BiLSTM,
    SameConv1d,
    TransformerBlock,
    dense_layers,
    initialise,
    rectified_attention,
)
from crmnet.models.reference import NetworkCard

PAPER = (
    "Vaishnav et al. 2022, The evolution, evolvability and engineering of gene regulatory DNA. "
    "Nature 603:455"
)
CONTEXT = "the last 110 positions, padded on the left"
N_POLICY = "1 in each channel (to a filter, N is all four bases at once)"
CARD = NetworkCard(
    paper=PAPER,
    parameters=1_296_785,
    published_parameters=1_296_785,
    context=CONTEXT,
    alphabet="ACGT",
    n_policy=N_POLICY,
    loss="mean squared error of standardised labels",
    recipe="vaishnav-transformer",
    not_trained=1_280,
    notes="The authors' notebook also has a wider setting (conv_hidden 128, dropout 0.2). This is "
    "the setting of the weights that they distribute.",
)


@dataclass(frozen=True)
class VaishnavTransformerConfig:
    """Settings of the network; the defaults are those of the authors' distributed weights."""

    n_media: int = 1
    strand_filters: int = 256
    """Filters of the convolution that both strands share."""
    channels: int = 64
    kernel: int = 30
    blocks: int = 2
    heads: int = 8
    units: int = 8
    """Units of the LSTM, per direction."""
    dense: int = 64
    dropout: float = 0.05


class VaishnavTransformer(nn.Module):
    """The network; :class:`VaishnavTransformerConfig` holds its settings (None: the defaults)."""

    def __init__(self, config: VaishnavTransformerConfig | None = None) -> None:
        super().__init__()
        c = config or VaishnavTransformerConfig()
        self.strands = SameConv1d(4, c.strand_filters, c.kernel, bias=False)
        self.norms = nn.ModuleList(keras_norm(c.strand_filters) for _ in range(2))
        # The paper's 2-D kernel of 2 strands × 30 positions equals a 1-D kernel over both strands'
        # channels.
        self.pair = _conv(2 * c.strand_filters, c)
        self.auxiliary = _conv(c.channels, c)
        self.blocks = nn.Sequential(*(_block(c) for _ in range(c.blocks)))
        self.lstm = BiLSTM(c.channels, c.units)
        self.relu = nn.ReLU()
        self.head = nn.Sequential(
            nn.Dropout(c.dropout),
            nn.Flatten(),
            *dense_layers(VAISHNAV_LENGTH * 2 * c.units, [c.dense] * 2, c.n_media, c.dropout),
        )
        initialise(self)

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Outputs ``(B, n_media)`` in the unit of training, from one-hot ``(B, 4, 112)``."""
        x_BCL = as_vaishnav(x_BCL)
        # A reverse-complemented filter on the sequence equals the filter on the other strand.
        reverse_strand = nn.functional.pad(x_BCL, self.strands.same_padding)
        reverse_strand = nn.functional.conv1d(reverse_strand, self.strands.weight.flip(1, 2))
        both = (self.strands(x_BCL), reverse_strand)
        x_BCL = torch.cat(
            [self.relu(norm(y)) for norm, y in zip(self.norms, both, strict=True)], dim=1
        )
        x_BLC = self.auxiliary(self.pair(x_BCL)).transpose(1, 2)
        return self.head(self.lstm(self.blocks(x_BLC)))


def keras_norm(channels: int) -> nn.BatchNorm1d:
    """Batch norm with Keras' default epsilon and momentum."""
    return nn.BatchNorm1d(channels, eps=1e-3, momentum=0.01)


def _conv(channels_in: int, c: VaishnavTransformerConfig) -> nn.Sequential:
    """Convolution without bias, batch norm, ReLU: ``(B, C, L)`` → the same length."""
    conv = SameConv1d(channels_in, c.channels, c.kernel, bias=False)
    return nn.Sequential(conv, keras_norm(c.channels), nn.ReLU())


def _block(c: VaishnavTransformerConfig) -> TransformerBlock:
    """Post-norm transformer block with rectified attention, without dropout."""
    block = TransformerBlock(
        c.channels, heads=c.heads, key_dim=c.channels // c.heads, feed_forward=c.heads, dropout=0.0
    )
    block.attend = rectified_attention(c.channels, c.heads, c.channels // c.heads)
    return block
