"""A small Enformer (Avsec et al. 2021): convolutions, then attention with relative positions.

Adapted to one expression per medium from 112 positions: one-hot ``(B, 4, 112)`` → ``(B, n_media)``.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from crmnet.models.context import check_one_hot
from crmnet.models.reference import NetworkCard
from crmnet.sequence import LENGTH

CARD = NetworkCard(
    paper="Avsec et al. 2021, Effective gene expression prediction from sequence by integrating "
    "long-range interactions. Nature Methods 18:1196",
    parameters=520_321,
    published_parameters=None,
    context="all 112 positions",
    alphabet="ACGT",
    n_policy="zeros",
    loss="mean squared error of standardised labels (original: Poisson, for counts)",
    recipe="enformer",
    notes="A much smaller adaptation. The original pools 196,608 bases by a factor of 128 and "
    "predicts tracks of counts; here 112 positions are halved twice and averaged. Of the "
    "original's functions of distance it has the exponential ones, with and without sign.",
)


@dataclass(frozen=True)
class EnformerConfig:
    """Settings of the network; the default widths are our choice."""

    n_media: int = 1
    tower: tuple[int, ...] = (64, 128)
    """Filters of each stage of the convolution tower; each halves the length."""
    stem_kernel: int = 15
    kernel: int = 5
    blocks: int = 3
    heads: int = 4
    key_dim: int = 32
    distances: int = 8
    """Number of functions of the distance between two tokens; half of them depend on its sign."""
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if LENGTH % 2 ** len(self.tower):
            raise ValueError(f"tower must halve {LENGTH} positions evenly; got {self.tower!r}")
        if self.distances % 2:
            raise ValueError(f"distances must be even; got {self.distances!r}")


class Enformer(nn.Module):
    """The network; :class:`EnformerConfig` holds its settings (None: the defaults)."""

    def __init__(self, config: EnformerConfig | None = None) -> None:
        super().__init__()
        c = config or EnformerConfig()
        first, width = c.tower[0], c.tower[-1]
        tokens = LENGTH // 2 ** len(c.tower)
        stages = [nn.Conv1d(4, first, c.stem_kernel, padding="same"), _AttentionPool(first)]
        for a, b in itertools.pairwise(c.tower):
            stages += [_norm_conv(a, b, c.kernel), _AttentionPool(b)]
        self.tower = nn.Sequential(*stages)
        self.blocks = nn.Sequential(*(_Block(width, tokens, c) for _ in range(c.blocks)))
        self.head = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.Dropout(c.dropout), nn.GELU()
        )
        self.output = nn.Linear(2 * width, c.n_media)

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Outputs ``(B, n_media)`` in the unit of training, from one-hot ``(B, 4, 112)``."""
        check_one_hot(x_BCL)
        x_BTC = self.blocks(self.tower(x_BCL).transpose(1, 2))
        return self.output(self.head(x_BTC).mean(dim=1))


def _norm_conv(channels_in: int, channels_out: int, kernel: int) -> nn.Sequential:
    """Batch norm, GELU, convolution: ``(B, C, L)`` → the same length."""
    conv = nn.Conv1d(channels_in, channels_out, kernel, padding="same")
    return nn.Sequential(nn.BatchNorm1d(channels_in), nn.GELU(), conv)


class _AttentionPool(nn.Module):
    """Pointwise residual convolution, then attention pooling: ``(B, C, L)`` → ``(B, C, L/2)``.

    Each pair of positions becomes a weighted mean with learned weights.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pointwise = _norm_conv(channels, channels, 1)
        self.weigh = nn.Conv1d(channels, channels, 1, bias=False)
        nn.init.dirac_(self.weigh.weight)
        with torch.no_grad():
            self.weigh.weight *= 2  # initially close to max-pooling, as in the original

    def forward(self, x_BCL: Tensor) -> Tensor:
        x_BCL = x_BCL + self.pointwise(x_BCL)
        B, C, _ = x_BCL.shape
        pairs, scores = (y.reshape(B, C, -1, 2) for y in (x_BCL, self.weigh(x_BCL)))
        return (pairs * scores.softmax(dim=3)).sum(dim=3)


class _Block(nn.Module):
    """Pre-norm transformer block with relative positions: ``(B, T, C)`` → the same shape."""

    def __init__(self, width: int, tokens: int, c: EnformerConfig) -> None:
        super().__init__()
        self.attend = nn.Sequential(
            nn.LayerNorm(width), _RelativeAttention(width, tokens, c), nn.Dropout(c.dropout)
        )
        self.feed = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.Dropout(c.dropout),
            nn.ReLU(),
            nn.Linear(2 * width, width),
            nn.Dropout(c.dropout),
        )

    def forward(self, x_BTC: Tensor) -> Tensor:
        x_BTC = x_BTC + self.attend(x_BTC)
        return x_BTC + self.feed(x_BTC)


class _RelativeAttention(nn.Module):
    """Self-attention of Transformer-XL (Dai et al. 2019): ``(B, T, C)`` → the same shape.

    The score of query i for key j is (q_i + u)·k_j + (q_i + v)·r_{i−j}, where r is a linear map of
    :func:`distances`.
    """

    distance: Tensor

    def __init__(self, width: int, tokens: int, c: EnformerConfig) -> None:
        super().__init__()
        self.heads, self.key_dim = c.heads, c.key_dim
        inner = c.heads * c.key_dim
        self.query, self.key, self.value = (nn.Linear(width, inner, bias=False) for _ in range(3))
        self.relative = nn.Linear(c.distances, inner, bias=False)
        self.content_bias = nn.Parameter(0.02 * torch.randn(c.heads, 1, c.key_dim))
        self.distance_bias = nn.Parameter(0.02 * torch.randn(c.heads, 1, c.key_dim))
        self.output = nn.Linear(inner, width)
        self.register_buffer("distance", distances(tokens, c.distances), persistent=False)

    def _split(self, x_BTC: Tensor) -> Tensor:
        B, T, _ = x_BTC.shape
        return x_BTC.view(B, T, self.heads, self.key_dim).transpose(1, 2)

    def forward(self, x_BTC: Tensor) -> Tensor:
        q_BHTK = self._split(self.query(x_BTC)) / math.sqrt(self.key_dim)
        k_BHTK, v_BHTK = self._split(self.key(x_BTC)), self._split(self.value(x_BTC))
        r_HTTK = (
            self.relative(self.distance)
            .view(*self.distance.shape[:2], self.heads, -1)
            .permute(2, 0, 1, 3)
        )
        scores = (q_BHTK + self.content_bias) @ k_BHTK.transpose(2, 3)
        scores = scores + torch.einsum("bhik,hijk->bhij", q_BHTK + self.distance_bias, r_HTTK)
        return self.output((scores.softmax(dim=3) @ v_BHTK).transpose(1, 2).flatten(2))


def distances(tokens: int, functions: int) -> Tensor:
    """Functions of the distance i − j between tokens, ``(T, T, functions)``.

    The first half are exponentials of the absolute distance, whose half-lives are spaced
    logarithmically from 1 to T tokens. The second half are the same, times the sign of i − j.
    """
    half = functions // 2
    index = torch.arange(tokens)
    distance = (index[:, None] - index)[:, :, None].float()
    half_lives = torch.logspace(0, math.log2(tokens), half, base=2)
    decay = torch.exp2(-distance.abs() / half_lives)
    return torch.cat([decay, decay * distance.sign()], dim=2)
