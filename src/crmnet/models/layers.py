"""Building blocks shared by the networks: plain ``nn.Module`` on ``(B, C, L)`` arrays.

Shape suffixes: B batch, C channel, L position, T token (a position after down-sampling), H head,
K width of a head.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from crmnet.sequence import BINS

Attention = Literal["modules", "sdpa"]
Norm = Literal["post", "pre"]


def motif_layers(filters: int, kernel: int, pool: int, dropout: float) -> nn.Sequential:
    """A convolution over the bases that keeps only whole windows, its maxima, and dropout."""
    return nn.Sequential(
        nn.Conv1d(4, filters, kernel), nn.ReLU(), nn.MaxPool1d(pool), nn.Dropout(dropout)
    )


def dense_layers(
    features: int, units: Sequence[int], n_media: int, dropout: float | None = None
) -> list[nn.Module]:
    """Dense layers of so many units with ReLU, and with dropout if given, then one for each medium.

    As in Keras' models, where features ``(B, features)`` come out of a flattened map.
    """
    layers: list[nn.Module] = []
    for wide in units:
        layers += [nn.Linear(features, wide), nn.ReLU()]
        layers += [] if dropout is None else [nn.Dropout(dropout)]
        features = wide
    return [*layers, nn.Linear(features, n_media)]


class SameConv1d(nn.Conv1d):
    """Convolution that keeps the length, padded as TensorFlow's 'same': an odd one on the right."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, bias: bool = True) -> None:
        super().__init__(channels_in, channels_out, kernel, bias=bias)
        self.ends = ((kernel - 1) // 2, kernel - 1 - (kernel - 1) // 2)

    def forward(self, x_BCL: Tensor) -> Tensor:
        return super().forward(functional.pad(x_BCL, self.ends))


class BiLSTM(nn.Module):
    """Bidirectional LSTM with one bias a gate, as Keras has it: ``(B, L, C)`` → ``(B, L, 2 U)``.

    torch's own adds two biases that do the same; here the bias is the weight of a constant input.
    """

    def __init__(self, channels: int, units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels + 1, units, bias=False, batch_first=True, bidirectional=True)

    def forward(self, x_BLC: Tensor) -> Tensor:
        x_BLC = torch.cat([x_BLC, torch.ones_like(x_BLC[:, :, :1])], dim=2)
        output_BLC: Tensor = self.lstm(x_BLC)[0]
        return output_BLC


class SqueezeExcitation(nn.Module):
    """Channel gates from the mean over positions (Hu et al. 2018): ``(B, C, L)`` → the same."""

    def __init__(self, channels: int, ratio: int = 2) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // ratio)
        self.excite = nn.Linear(channels // ratio, channels)
        self.relu = nn.ReLU()
        self.sigmoid = nn.Sigmoid()

    def forward(self, x_BCL: Tensor) -> Tensor:
        gates = self.sigmoid(self.excite(self.relu(self.squeeze(x_BCL.mean(dim=2)))))
        return x_BCL * gates.unsqueeze(2)


class DownConv(nn.Module):
    """Stride-2 convolution and ReLU that halve an even length, padded as TensorFlow's 'same'.

    For an odd kernel the padding is one larger on the right (4 and 5 for kernel 11), which no
    ``padding`` argument of torch expresses.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__()
        self.padding = ((kernel - 2) // 2, kernel - 2 - (kernel - 2) // 2)
        self.conv = nn.Conv1d(channels_in, channels_out, kernel, stride=2)
        self.relu = nn.ReLU()

    def forward(self, x_BCL: Tensor) -> Tensor:
        return self.relu(self.conv(functional.pad(x_BCL, self.padding)))


class UpConv(nn.Module):
    """Stride-2 transposed convolution that doubles the length, cropped as TensorFlow's 'same'."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose1d(
            channels_in, channels_out, kernel, stride=2, padding=(kernel - 2) // 2
        )

    def forward(self, x_BCL: Tensor) -> Tensor:
        return self.conv(x_BCL)[:, :, : 2 * x_BCL.shape[2]]


class MultiHeadAttention(nn.Module):
    """Self-attention whose heads may be as wide as the model: ``(B, T, C)`` → the same.

    With ``attention="modules"`` the product and the softmax are written out with modules that
    DeepLIFT rules know; ``"sdpa"`` calls torch's fused kernel and gives the same numbers.
    """

    def __init__(
        self, channels: int, heads: int, key_dim: int, attention: Attention = "modules"
    ) -> None:
        super().__init__()
        self.heads, self.key_dim, self.attention = heads, key_dim, attention
        self.query = nn.Linear(channels, heads * key_dim)
        self.key = nn.Linear(channels, heads * key_dim)
        self.value = nn.Linear(channels, heads * key_dim)
        self.output = nn.Linear(heads * key_dim, channels)
        self.softmax = nn.Softmax(dim=-1)

    def _split(self, x_BTC: Tensor) -> Tensor:
        B, T, _ = x_BTC.shape
        return x_BTC.view(B, T, self.heads, self.key_dim).transpose(1, 2)

    def forward(self, x_BTC: Tensor) -> Tensor:
        q_BHTK = self._split(self.query(x_BTC))
        k_BHTK = self._split(self.key(x_BTC))
        v_BHTK = self._split(self.value(x_BTC))
        if self.attention == "sdpa":
            mixed_BHTK = functional.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK)
        else:
            scores_BHTT = (q_BHTK / math.sqrt(self.key_dim)) @ k_BHTK.transpose(2, 3)
            mixed_BHTK = self.softmax(scores_BHTT) @ v_BHTK
        return self.output(mixed_BHTK.transpose(1, 2).flatten(2))


def rectified_attention(channels: int, heads: int, key_dim: int) -> MultiHeadAttention:
    """Self-attention with a ReLU on queries, keys, values and output (Vaishnav et al. 2022)."""
    attention = MultiHeadAttention(channels, heads, key_dim)
    for name in ("query", "key", "value", "output"):
        setattr(attention, name, nn.Sequential(getattr(attention, name), nn.ReLU()))
    return attention


class TransformerBlock(nn.Module):
    """Transformer block: ``(B, T, C)`` → the same.

    Each of its two sums is normalised (``"post"``, Vaswani et al. 2017, as published), or what goes
    into attention and feed-forward is (``"pre"``, Xiong et al. 2020), which leaves a straight way
    through the block and learns sooner.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int,
        key_dim: int,
        feed_forward: int,
        dropout: float = 0.1,
        attention: Attention = "modules",
        norm: Norm = "post",
    ) -> None:
        super().__init__()
        self.norm = norm
        self.attend = MultiHeadAttention(channels, heads, key_dim, attention)
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.expand = nn.Linear(channels, feed_forward)
        self.contract = nn.Linear(feed_forward, channels)
        self.relu = nn.ReLU()
        self.dropout1 = nn.Dropout(dropout)
        self.dropout2 = nn.Dropout(dropout)

    def forward(self, x_BTC: Tensor) -> Tensor:
        if self.norm == "pre":
            x_BTC = x_BTC + self.dropout1(self.attend(self.norm1(x_BTC)))
            return x_BTC + self.dropout2(self._feed(self.norm2(x_BTC)))
        x_BTC = self.norm1(x_BTC + self.dropout1(self.attend(x_BTC)))
        return self.norm2(x_BTC + self.dropout2(self._feed(x_BTC)))

    def _feed(self, x_BTC: Tensor) -> Tensor:
        return self.contract(self.relu(self.expand(x_BTC)))


def sinusoids(tokens: int, channels: int) -> Tensor:
    """The position code of Vaswani et al. 2017, ``(tokens, channels)``: sines, then cosines."""
    half = torch.arange((channels + 1) // 2, dtype=torch.float32)
    rates = torch.exp(-math.log(10_000.0) * half / max(1, len(half)))
    angles = torch.arange(tokens, dtype=torch.float32)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :channels].contiguous()


class BinMean(nn.Module):
    """A network of BINS outputs a medium, read as the mean bin: ``(B, 4, L)`` → ``(B, M)``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.has_marks = has_marks(network)

    def logits(self, x_BCL: Tensor) -> Tensor:
        """``(B, M, BINS)``, before the softmax over bins."""
        return self.network(x_BCL).unflatten(1, (-1, BINS))

    def forward(self, x_BCL: Tensor) -> Tensor:
        return bin_mean(self.logits(x_BCL))


def has_marks(network: nn.Module) -> bool:
    """Whether a network also takes ``(B, 6, L)``: is_reverse and is_singleton as channels 5, 6.

    Such a network is given the forward strand in any case and turns it where is_reverse is 1.
    """
    return bool(getattr(network, "has_marks", False))


class BothStrands(nn.Module):
    """The mean over both strands of a network that has marks: ``(B, 4, L)`` → ``(B, M)``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x_BCL: Tensor) -> Tensor:
        marks_BCL = torch.zeros_like(x_BCL[:, :2])
        marks_BCL[:, 0] = 1
        return (self.network(x_BCL) + self.network(torch.cat([x_BCL, marks_BCL], dim=1))) / 2


def bin_mean(logits: Tensor) -> Tensor:
    """Mean bin under the distributions ``(..., BINS)`` of those logits."""
    bins = torch.arange(BINS, dtype=logits.dtype, device=logits.device)
    # Not as a matrix product, which autocast would round to half precision.
    return (logits.softmax(dim=-1) * bins).sum(dim=-1)


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """Trainable and not trainable values, counted as Keras does.

    BatchNorm's running mean and variance count as not trainable parameters; its batch counter,
    which Keras does not have, is left out.
    """
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    statistics = sum(b.numel() for name, b in model.named_buffers() if "running_" in name)
    return trainable, frozen + statistics


def initialise(model: nn.Module) -> None:
    """Draw the weights as the released code does: He-normal convolutions, Glorot-uniform layers.

    Keras' He-normal is a normal distribution cut at two standard deviations and widened so that
    its variance is 2 / fan-in. Biases start at zero.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            # Weight is (out, in, k); transposed (in, out, k), whose fan-in Keras takes as out · k.
            std = math.sqrt(2 / module.weight[0].numel()) / 0.87962566103423978
            nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
