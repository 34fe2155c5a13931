"""CRMnet: a 1-D U-Net with squeeze-excitation, a transformer at the bottleneck, and dense layers.

Source: Ding, Dixit, Parker & Wen 2023, Frontiers in Big Data 6:1113402, Figure 1 and section 2.3.
Input is one-hot ``(B, 4, L)``, output ``(B, n_media)``. The default configuration is the published
network, with 34,170,289 parameters of which 34,165,681 are trained; the released weights fit it
unchanged.

This module defines the only forward pass of CRMnet. :mod:`crmnet.models.crmnet.training_form` and
:mod:`crmnet.models.crmnet.inference_form` replace its layers with faster ones.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn

from crmnet.models.crmnet.stem import MotifStem
from crmnet.models.layers import (
    Attention,
    BiLSTM,
    DownConv,
    Norm,
    SqueezeExcitation,
    TransformerBlock,
    UpConv,
    initialise,
    sinusoids,
)
from crmnet.models.reference import NetworkCard

Position = Literal["published", "additive", "none"]
"""Position codes; see :attr:`CRMnetConfig.position`."""
Readout = Literal["flatten", "mean", "mean-max"]
"""Inputs of the dense layers; see :attr:`CRMnetConfig.readout`."""


@dataclass(frozen=True)
class CRMnetConfig:
    """Widths, depths and parts of the network; the defaults are the published ones.

    Raises:
        ValueError: If a setting is invalid; the message names it and its constraint.
    """

    n_media: int = 1
    """Outputs, one per medium."""
    length: int = 112
    """Positions L of the input; each down-sampling must halve them evenly."""
    stem: int = 0
    """Filters of a first layer that scans both strands with the same weights
    (:class:`~crmnet.models.crmnet.stem.MotifStem`); 0 means no such layer, as published."""
    stem_kernel: int = 15
    """Width of the stem's filters, in bases."""
    stem_width: int = 128
    """Output channels of the stem."""
    stem_motifs: bool = False
    """Initialise the first filters of the stem with JASPAR's yeast matrices."""
    encoder: tuple[int, ...] = (128, 128, 256, 256)
    """Filters of each encoder block; a down-sampling follows every block except the last."""
    kernel: int = 11
    """Width of all convolutions outside the stem, in positions."""
    batch_norm: bool = True
    """Batch norm in encoder and decoder blocks."""
    squeeze_excitation: bool = True
    """Squeeze-excitation after each convolution of encoder, decoder and tail."""
    se_ratio: int = 2
    """Ratio of the channels of a convolution to the hidden units of its squeeze-excitation."""
    recurrent: int = 0
    """Units per direction of an LSTM before the transformer; 0 means no LSTM, as published."""
    transformer_blocks: int = 8
    """Transformer blocks at the bottleneck; 0 means no transformer."""
    heads: int = 12
    """Attention heads of each transformer block."""
    key_dim: int = 256
    """Width of each head; in the published network it equals the width of the model."""
    feed_forward: int = 128
    """Hidden units of a transformer block's feed-forward layers."""
    position: Position = "published"
    """Position code: ``published`` multiplies token j by sin(j·(L−1)/T), T tokens, as the released
    code does; ``additive`` adds the sinusoids of the paper's text; ``none`` has no code."""
    norm: Norm = "post"
    """Layer norm of the transformer blocks: ``post`` normalises the residual sums, as published;
    ``pre`` normalises the inputs of attention and feed-forward, and training makes progress
    earlier (docs/experiments)."""
    attention: Attention = "modules"
    """``modules`` computes the softmax in a module, for DeepLIFT; ``sdpa`` uses torch's fused
    kernel. Both give the same numbers up to rounding."""
    decoder: tuple[int, ...] = (128, 128, 128)
    """Filters of each decoder block, deepest first; () means no decoder: the bottleneck feeds the
    tail."""
    tail: tuple[int, ...] = (128, 64, 32)
    """Filters of the convolutions between decoder and readout."""
    readout: Readout = "flatten"
    """Input of the dense layers: ``flatten`` takes every position separately, as published;
    ``mean`` takes the mean over positions, and training makes progress earlier (docs/experiments);
    ``mean-max`` takes the mean and the maximum over positions."""
    dense: tuple[int, ...] = (256, 128, 64, 32)
    """Units of the dense layers, with leaky ReLU, before the linear output layer."""
    conv_dropout: float = 0.1
    """Dropout rate after each encoder block."""
    transformer_dropout: float = 0.1
    """Dropout rate after attention and after feed-forward."""
    dense_dropout: tuple[float, ...] = field(default=(0.2, 0.2, 0.1, 0.1))
    """Dropout rate after each dense layer."""

    def __post_init__(self) -> None:
        def check(valid: bool, name: str, constraint: str) -> None:
            if not valid:
                raise ValueError(f"{name} must be {constraint}; got {getattr(self, name)!r}")

        downs = len(self.encoder) - 1
        check(self.n_media >= 1, "n_media", "at least 1")
        check(
            downs >= 0 and min(self.encoder) >= 1,
            "encoder",
            "a list of numbers of filters, each at least 1",
        )
        check(
            self.length >= 1 and self.length % 2**downs == 0,
            "length",
            f"a multiple of {2**downs}, since the encoder halves it {downs} times",
        )
        for name in ("kernel", "stem_kernel"):
            size = getattr(self, name)
            check(size >= 3 and size % 2 == 1, name, "odd and at least 3")
        check(self.stem >= 0, "stem", "0 or more")
        check(self.stem_width >= 1, "stem_width", "at least 1")
        check(self.stem > 0 or not self.stem_motifs, "stem_motifs", "false if stem is 0")
        check(self.recurrent >= 0, "recurrent", "0 or more")
        check(
            len(self.decoder) in (0, downs),
            "decoder",
            f"empty or as long as the encoder's down-samplings ({downs})",
        )
        check(self.position in ("published", "additive", "none"), "position",
              "'published', 'additive' or 'none'")  # fmt: skip
        check(self.readout in ("flatten", "mean", "mean-max"), "readout",
              "'flatten', 'mean' or 'mean-max'")  # fmt: skip
        check(self.norm in ("post", "pre"), "norm", "'post' or 'pre'")
        check(self.attention in ("modules", "sdpa"), "attention", "'modules' or 'sdpa'")
        check(len(self.dense_dropout) == len(self.dense), "dense_dropout",
              f"one rate for each of the {len(self.dense)} dense layers")  # fmt: skip
        check(self.transformer_blocks >= 0, "transformer_blocks", "0 or more")


CRMNET_SMALL = CRMnetConfig(
    encoder=(64, 64, 96, 128),
    kernel=7,
    transformer_blocks=2,
    heads=4,
    key_dim=32,
    position="additive",
    norm="pre",
    decoder=(64, 48, 48),
    tail=(48, 32),
    readout="mean",
    dense=(128, 64),
    dense_dropout=(0.1, 0.1),
)
"""The same architecture, small enough to train on two CPU cores with tens of thousands of rows.

Three settings raise its accuracy with few rows, each measured in docs/experiments: the mean over
positions, the additive position code and pre-norm transformer blocks.
"""

CARD = NetworkCard(
    paper="Ding, Dixit, Parker & Wen 2023, CRMnet: a deep learning model for predicting gene "
    "expression from large regulatory sequence datasets. Frontiers in Big Data 6:1113402",
    parameters=34_170_289,
    published_parameters=34_170_289,
    context="112 positions, padded on the right",
    alphabet="NACGT",
    n_policy="a separate channel",
    loss="Huber loss, delta 1",
    recipe="paper-complex",
    not_trained=4_608,
)
CARD_SMALL = replace(
    CARD,
    parameters=1_155_337,
    published_parameters=None,
    not_trained=2_048,
    recipe="small",
    notes="The same architecture for two CPU cores, with pre-norm transformer blocks, an additive "
    "position code and the mean over positions.",
)


class CRMnet(nn.Module):
    """The network; see :class:`CRMnetConfig` for its settings.

    Args:
        config: None means the published network.
    """

    def __init__(self, config: CRMnetConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or CRMnetConfig()
        self.n_channel = NChannel()
        self.stem = MotifStem(c.stem, c.stem_kernel, c.stem_width) if c.stem else None
        widths = (c.stem_width if c.stem else 5, *c.encoder)
        self.encoder = nn.ModuleList(
            DoubleConv(a, b, c, dropout=c.conv_dropout) for a, b in itertools.pairwise(widths)
        )
        self.down = nn.ModuleList(DownConv(w, w, c.kernel) for w in c.encoder[:-1])
        self.recurrent = BiLSTM(c.encoder[-1], c.recurrent) if c.recurrent else None
        width = 2 * c.recurrent or c.encoder[-1]
        # Weight files name the bottleneck "waist".
        self.waist = Bottleneck(c, width) if c.transformer_blocks else nn.Identity()
        skips = c.encoder[-2::-1] if c.decoder else ()
        up_widths = (width, *c.decoder)
        self.up = nn.ModuleList(UpConv(a, b, c.kernel) for a, b in itertools.pairwise(up_widths))
        self.join = Join()
        self.decoder = nn.ModuleList(
            DoubleConv(width + skip, width, c) for width, skip in zip(c.decoder, skips, strict=True)
        )
        tail = (up_widths[-1], *c.tail)
        self.tail = nn.Sequential(*(ConvGate(a, b, c) for a, b in itertools.pairwise(tail)))
        positions = c.length if c.decoder else c.length // 2 ** len(self.down)
        self.read_out = ReadOut(c.readout)
        per_channel = {"flatten": positions, "mean": 1, "mean-max": 2}[c.readout]
        self.head = _head(tail[-1] * per_channel, c)
        initialise(self)

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Expression ``(B, n_media)`` in the unit of training, from one-hot ``(B, 4, L)``.

        Raises:
            ValueError: If the input has another shape.
        """
        self.check_input(x_BCL)
        x_BCL = self.n_channel(x_BCL) if self.stem is None else self.stem(x_BCL)
        skips = []
        for block, down in zip(self.encoder, self.down, strict=False):
            x_BCL = block(x_BCL)
            skips.append(x_BCL)
            x_BCL = down(x_BCL)
        x_BCL = self.encoder[-1](x_BCL)
        if self.recurrent is not None:
            x_BCL = self.recurrent(x_BCL.transpose(1, 2)).transpose(1, 2)
        x_BCL = self.waist(x_BCL)
        for up, block in zip(self.up, self.decoder, strict=True):
            x_BCL = block(self.join(up(x_BCL), skips.pop()))
        x_BCL = self.tail(x_BCL)
        return self.head(self.read_out(x_BCL.transpose(1, 2)))

    def check_input(self, x_BCL: Tensor) -> None:
        """Raise ValueError unless the shape is ``(B, 4, L)`` with the configured length."""
        if x_BCL.ndim != 3 or x_BCL.shape[1:] != (4, self.config.length):
            raise ValueError(
                f"input must be one-hot (batch, 4, {self.config.length}); got {tuple(x_BCL.shape)}"
            )


class NChannel(nn.Module):
    """Channels N, A, C, G, T from A, C, G, T, with N = 1 − ΣACGT: ``(B, 4, L)`` → ``(B, 5, L)``."""

    def forward(self, x_BCL: Tensor) -> Tensor:
        return torch.cat([1.0 - x_BCL.sum(dim=1, keepdim=True), x_BCL], dim=1)


class Join(nn.Module):
    """Concatenates up-sampled channels and those of a skip connection, both ``(B, C, L)``."""

    def forward(self, x_BCL: Tensor, skip_BCL: Tensor) -> Tensor:
        return torch.cat([x_BCL, skip_BCL], dim=1)


class ReadOut(nn.Module):
    """Input of the dense layers, by ``CRMnetConfig.readout``: ``(B, L, C)`` → ``(B, features)``."""

    def __init__(self, readout: Readout) -> None:
        super().__init__()
        self.readout = readout

    def forward(self, x_BLC: Tensor) -> Tensor:
        if self.readout == "flatten":  # channels vary fastest, as in the published weights
            return x_BLC.flatten(1)
        mean_BC = x_BLC.mean(dim=1)
        if self.readout == "mean":
            return mean_BC
        return torch.cat([mean_BC, x_BLC.amax(dim=1)], dim=1)


class ConvGate(nn.Module):
    """Convolution, ReLU, squeeze-excitation: ``(B, C, L)`` → the same length."""

    def __init__(self, channels_in: int, channels_out: int, c: CRMnetConfig) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels_in, channels_out, c.kernel, padding="same")
        self.relu = nn.ReLU()
        self.gate = (
            SqueezeExcitation(channels_out, c.se_ratio) if c.squeeze_excitation else nn.Identity()
        )

    def forward(self, x_BCL: Tensor) -> Tensor:
        return self.gate(self.relu(self.conv(x_BCL)))


class DoubleConv(nn.Sequential):
    """Encoder or decoder block: twice (convolution, ReLU, squeeze-excitation, batch norm), dropout.

    Only encoder blocks have a dropout rate.
    """

    def __init__(
        self, channels_in: int, channels_out: int, c: CRMnetConfig, dropout: float = 0.0
    ) -> None:
        def norm() -> nn.Module:
            if not c.batch_norm:
                return nn.Identity()
            return nn.BatchNorm1d(channels_out, eps=1e-3, momentum=0.01)

        super().__init__(
            ConvGate(channels_in, channels_out, c),
            norm(),
            ConvGate(channels_out, channels_out, c),
            norm(),
            nn.Dropout(dropout),
        )


class Bottleneck(nn.Module):
    """Position code and transformer blocks T1, T2 + T3, T4 + T5, …: ``(B, C, T)`` → the same.

    Both blocks of a pair have the same input, and their outputs are summed, as in the released
    code. If the number of blocks is even, the last block has no partner.
    """

    code: Tensor

    def __init__(self, c: CRMnetConfig, width: int) -> None:
        super().__init__()
        tokens = c.length // 2 ** (len(c.encoder) - 1)
        self.position = c.position
        code = torch.zeros(0)
        if c.position == "published":
            code = torch.sin(torch.arange(tokens, dtype=torch.float64) * (c.length - 1) / tokens)
            code = code.float()[:, None]
        elif c.position == "additive":
            code = sinusoids(tokens, width)
        self.register_buffer("code", code, persistent=False)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                width,
                heads=c.heads,
                key_dim=c.key_dim,
                feed_forward=c.feed_forward,
                dropout=c.transformer_dropout,
                attention=c.attention,
                norm=c.norm,
            )
            for _ in range(c.transformer_blocks)
        )

    def forward(self, x_BCT: Tensor) -> Tensor:
        x_BTC = x_BCT.transpose(1, 2)
        if self.position == "published":
            x_BTC = x_BTC * self.code
        elif self.position == "additive":
            x_BTC = x_BTC + self.code
        x_BTC = self.blocks[0](x_BTC)
        for first in range(1, len(self.blocks), 2):
            pair = list(self.blocks)[first : first + 2]
            x_BTC = sum((block(x_BTC) for block in pair[1:]), start=pair[0](x_BTC))
        return x_BTC.transpose(1, 2)


def _head(features: int, c: CRMnetConfig) -> nn.Sequential:
    """Dense layers with leaky ReLU and dropout, then the output: ``(B, features)`` → ``(B, M)``."""
    layers: list[nn.Module] = []
    for width, rate in zip(c.dense, c.dense_dropout, strict=True):
        layers += [nn.Linear(features, width), nn.LeakyReLU(0.1), nn.Dropout(rate)]
        features = width
    return nn.Sequential(*layers, nn.Linear(features, c.n_media))
