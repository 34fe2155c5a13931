"""CRMnet: a 1-D U-Net with squeeze-excitation, a transformer at its waist and an MLP on top.

Ding, Dixit, Parker & Wen, Frontiers in Big Data 2023, Figure 1 and section 2.3. Takes one-hot
``(B, 4, L)`` and gives ``(B, n_media)``. The defaults are the published network: 34,170,289
parameters, of which 34,165,681 are trained, and the released weights fit it as they are.
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
Readout = Literal["flatten", "mean", "mean-max"]


@dataclass(frozen=True)
class CRMnetConfig:
    """Every width, depth and block of the network; the defaults are the published ones."""

    n_media: int = 1
    """Outputs: one for each medium."""
    length: int = 112
    """Positions of the input; each of the encoder's down-samplings must halve it evenly."""
    stem: int = 0
    """Filters of a layer in front of the encoder that scans both strands with the same weights
    (:class:`~crmnet.models.crmnet.stem.MotifStem`); 0 leaves it out, as published."""
    stem_kernel: int = 15
    stem_width: int = 128
    """Channels that the stem hands to the encoder."""
    stem_motifs: bool = False
    """Begin training with JASPAR's yeast matrices as the first of the stem's filters."""
    encoder: tuple[int, ...] = (128, 128, 256, 256)
    """Filters of each encoder block; every block but the last is followed by a down-sampling."""
    kernel: int = 11
    batch_norm: bool = True
    squeeze_excitation: bool = True
    se_ratio: int = 2
    recurrent: int = 0
    """Units each way of an LSTM at the waist, in front of the transformer; 0 leaves it out."""
    transformer_blocks: int = 8
    """0 leaves the transformer out."""
    heads: int = 12
    key_dim: int = 256
    """Width of each head, which in the published network equals the width of the model."""
    feed_forward: int = 128
    position: Position = "published"
    """``published``: token j times sin(j·(L−1)/T), as the released code does; ``additive``: the
    sinusoids that the paper's text describes are added; ``none``."""
    norm: Norm = "post"
    """Where the transformer blocks normalise: ``post``, their sums, as published; ``pre``, what
    goes into attention and feed-forward, which starts to learn sooner (docs/experiments)."""
    attention: Attention = "modules"
    decoder: tuple[int, ...] = (128, 128, 128)
    """Filters of each decoder block, deepest first; () goes from the waist to the tail."""
    tail: tuple[int, ...] = (128, 64, 32)
    """Filters of the convolutions before the readout."""
    readout: Readout = "flatten"
    """What the dense layers see: ``flatten``, every position by itself, as published; ``mean``, the
    mean over positions, which starts to learn sooner (docs/experiments); ``mean-max``, the maximum
    beside the mean."""
    dense: tuple[int, ...] = (256, 128, 64, 32)
    conv_dropout: float = 0.1
    transformer_dropout: float = 0.1
    dense_dropout: tuple[float, ...] = field(default=(0.2, 0.2, 0.1, 0.1))

    def __post_init__(self) -> None:
        def check(fine: bool, name: str, constraint: str) -> None:
            if not fine:
                raise ValueError(f"{name} must be {constraint}; got {getattr(self, name)!r}")

        downs = len(self.encoder) - 1
        check(self.n_media >= 1, "n_media", "at least 1")
        check(downs >= 0 and min(self.encoder) >= 1, "encoder", "a list of numbers of filters")
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
        check(self.stem > 0 or not self.stem_motifs, "stem_motifs", "false where there is no stem")
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
"""The same architecture at a size that two CPU cores can train on tens of thousands of rows.

The mean over positions, the added position code and the straight way through the transformer are
what made it learn much from few rows; each is measured in docs/experiments.
"""

CARD = NetworkCard(
    paper="Ding, Dixit, Parker & Wen 2023, CRMnet: a deep learning model for predicting gene "
    "expression from large regulatory sequence datasets. Frontiers in Big Data 6:1113402",
    parameters=34_170_289,
    published_parameters=34_170_289,
    context="112 positions, padded on the right",
    alphabet="NACGT",
    n_policy="a channel of its own",
    loss="Huber's, delta 1",
    recipe="paper-complex",
    not_trained=4_608,
)
CARD_SMALL = replace(
    CARD,
    parameters=1_155_337,
    published_parameters=None,
    not_trained=2_048,
    recipe="small",
    notes="The same wiring for two CPU cores; it reads the mean over positions.",
)


class CRMnet(nn.Module):
    """The network; see the module's docstring and :class:`CRMnetConfig`."""

    def __init__(self, config: CRMnetConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or CRMnetConfig()
        self.stem = MotifStem(c.stem, c.stem_kernel, c.stem_width) if c.stem else None
        widths = (c.stem_width if c.stem else 5, *c.encoder)
        self.encoder = nn.ModuleList(
            _DoubleConv(a, b, c, dropout=c.conv_dropout) for a, b in itertools.pairwise(widths)
        )
        self.down = nn.ModuleList(DownConv(w, w, c.kernel) for w in c.encoder[:-1])
        self.recurrent = BiLSTM(c.encoder[-1], c.recurrent) if c.recurrent else None
        width = 2 * c.recurrent or c.encoder[-1]
        self.waist = _Waist(c, width) if c.transformer_blocks else nn.Identity()
        skips = c.encoder[-2::-1] if c.decoder else ()
        above = (width, *c.decoder)
        self.up = nn.ModuleList(UpConv(a, b, c.kernel) for a, b in itertools.pairwise(above))
        self.decoder = nn.ModuleList(
            _DoubleConv(width + skip, width, c)
            for width, skip in zip(c.decoder, skips, strict=True)
        )
        tail = (above[-1], *c.tail)
        self.tail = nn.Sequential(*(_ConvGate(a, b, c) for a, b in itertools.pairwise(tail)))
        positions = c.length if c.decoder else c.length // 2 ** len(self.down)
        self.read_out = ReadOut(c.readout)
        seen = {"flatten": positions, "mean": 1, "mean-max": 2}[c.readout]
        self.head = _head(tail[-1] * seen, c)
        initialise(self)

    def forward(self, x_BCL: Tensor) -> Tensor:
        """One-hot ``(B, 4, L)`` → expression ``(B, n_media)``, in the unit of training."""
        self.check_input(x_BCL)
        x_BCL = with_n(x_BCL) if self.stem is None else self.stem(x_BCL)
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
            x_BCL = block(torch.cat([up(x_BCL), skips.pop()], dim=1))
        x_BCL = self.tail(x_BCL)
        return self.head(self.read_out(x_BCL.transpose(1, 2)))

    def check_input(self, x_BCL: Tensor) -> None:
        """ValueError if this is not a batch that the network takes."""
        if x_BCL.ndim != 3 or x_BCL.shape[1:] != (4, self.config.length):
            raise ValueError(
                f"input must be one-hot (batch, 4, {self.config.length}); got {tuple(x_BCL.shape)}"
            )


def with_n(x_BCL: Tensor) -> Tensor:
    """``(B, 4, L)`` → ``(B, 5, L)``: N as a channel of its own, in front of A, C, G, T."""
    return torch.cat([1.0 - x_BCL.sum(dim=1, keepdim=True), x_BCL], dim=1)


class ReadOut(nn.Module):
    """What the dense layers see of ``(B, L, C)``: ``(B, features)``."""

    def __init__(self, readout: Readout) -> None:
        super().__init__()
        self.readout = readout

    def forward(self, x_BLC: Tensor) -> Tensor:
        if self.readout == "flatten":  # the channel runs fastest, as the published weights expect
            return x_BLC.flatten(1)
        mean_BC = x_BLC.mean(dim=1)
        if self.readout == "mean":
            return mean_BC
        return torch.cat([mean_BC, x_BLC.amax(dim=1)], dim=1)


class _ConvGate(nn.Module):
    """Convolution, ReLU, squeeze-excitation."""

    def __init__(self, channels_in: int, channels_out: int, c: CRMnetConfig) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels_in, channels_out, c.kernel, padding="same")
        self.relu = nn.ReLU()
        self.gate = (
            SqueezeExcitation(channels_out, c.se_ratio) if c.squeeze_excitation else nn.Identity()
        )

    def forward(self, x_BCL: Tensor) -> Tensor:
        return self.gate(self.relu(self.conv(x_BCL)))


class _DoubleConv(nn.Sequential):
    """Twice (convolution, ReLU, squeeze-excitation, batch norm), then dropout in the encoder."""

    def __init__(
        self, channels_in: int, channels_out: int, c: CRMnetConfig, dropout: float = 0.0
    ) -> None:
        def norm() -> nn.Module:
            if not c.batch_norm:
                return nn.Identity()
            return nn.BatchNorm1d(channels_out, eps=1e-3, momentum=0.01)

        super().__init__(
            _ConvGate(channels_in, channels_out, c),
            norm(),
            _ConvGate(channels_out, channels_out, c),
            norm(),
            nn.Dropout(dropout),
        )


class _Waist(nn.Module):
    """Position code and transformer blocks, wired T1, T2 + T3, T4 + T5, …, last.

    Both members of a pair read the same input and their outputs are summed, as in the released
    code. A block left over at the end stands alone.
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
    layers: list[nn.Module] = []
    for width, rate in zip(c.dense, c.dense_dropout, strict=True):
        layers += [nn.Linear(features, width), nn.LeakyReLU(0.1), nn.Dropout(rate)]
        features = width
    return nn.Sequential(*layers, nn.Linear(features, c.n_media))
