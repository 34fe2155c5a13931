"""Layers and small functions that several networks share.

Layers are plain ``nn.Module``; they take and return activations ``(B, C, L)``, or ``(B, T, C)`` in
transformers. :mod:`crmnet.models.crmnet` and :mod:`crmnet.models.zoo` build networks from them,
:mod:`crmnet.training.module` uses :class:`BinMean` for the soft-bin loss, and
:mod:`crmnet.prediction.predictor` uses :class:`BothStrands`.

Shape suffixes: B batch, C channel, L position, T token (a position after down-sampling), H head, K
width of a head or sorting bin, M medium, U unit of an LSTM.
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
"""Implementation of self-attention; see :class:`MultiHeadAttention`."""
GateFunction = Literal["sigmoid", "hard-sigmoid"]
"""Function of an LSTM's gates; the hard sigmoid is clip(0.2 x + 0.5, 0, 1)."""
Norm = Literal["post", "pre"]
"""Place of the layer norms in a transformer block; see :class:`TransformerBlock`."""


def motif_layers(filters: int, kernel: int, pool: int, dropout: float) -> nn.Sequential:
    """Convolution without padding, ReLU, max-pooling, dropout: ``(B, 4, L)`` → ``(B, C, T)``."""
    return nn.Sequential(
        nn.Conv1d(4, filters, kernel), nn.ReLU(), nn.MaxPool1d(pool), nn.Dropout(dropout)
    )


def dense_layers(
    features: int, units: Sequence[int], n_media: int, dropout: float | None = None
) -> list[nn.Module]:
    """List of dense layers with ReLU, then a linear layer: ``(B, features)`` → ``(B, n_media)``.

    Args:
        features: Inputs of the first layer.
        units: Outputs of each layer with ReLU.
        n_media: Outputs of the last layer.
        dropout: Rate after each ReLU; None means no dropout.
    """
    layers: list[nn.Module] = []
    for width in units:
        layers += [nn.Linear(features, width), nn.ReLU()]
        layers += [] if dropout is None else [nn.Dropout(dropout)]
        features = width
    return [*layers, nn.Linear(features, n_media)]


class SameConv1d(nn.Conv1d):
    """Convolution that keeps the length, padded like TensorFlow's 'same'.

    If the number of padded positions is odd, the right side gets one more.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, bias: bool = True) -> None:
        super().__init__(channels_in, channels_out, kernel, bias=bias)
        self.same_padding = ((kernel - 1) // 2, kernel - 1 - (kernel - 1) // 2)

    def forward(self, x_BCL: Tensor) -> Tensor:
        return super().forward(functional.pad(x_BCL, self.same_padding))


class BiLSTM(nn.Module):
    """Bidirectional LSTM with one bias per gate, as in Keras: ``(B, L, C)`` → ``(B, L, 2 U)``.

    torch's LSTM adds two biases per gate. Here it has none; the bias is the weight of an extra
    input that is always 1.

    Args:
        channels: Inputs per position.
        units: Outputs per position and direction.
        gate: Function of the gates; see :data:`GateFunction`.
    """

    def __init__(self, channels: int, units: int, gate: GateFunction = "sigmoid") -> None:
        super().__init__()
        lstm = nn.LSTM(channels + 1, units, bias=False, batch_first=True, bidirectional=True)
        self.lstm = lstm if gate == "sigmoid" else HardSigmoidLSTM(lstm)

    def forward(self, x_BLC: Tensor) -> Tensor:
        x_BLC = torch.cat([x_BLC, torch.ones_like(x_BLC[:, :, :1])], dim=2)
        output_BLC: Tensor = self.lstm(x_BLC)[0]
        return output_BLC


class HardSigmoidLSTM(nn.Module):
    """Bidirectional LSTM whose gates are clip(0.2 x + 0.5, 0, 1), as in early Keras.

    torch's fused LSTM has only sigmoids, so this one computes position by position, both directions
    together. Shape suffixes: D direction, U unit, G unit of a gate.

    Args:
        lstm: A bidirectional LSTM without biases, whose parameters are taken with their names.
    """

    weight_ih_l0: Tensor
    weight_ih_l0_reverse: Tensor
    weight_hh_l0: Tensor
    weight_hh_l0_reverse: Tensor

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        for name, parameter in lstm.named_parameters():
            self.register_parameter(name, parameter)

    def forward(self, x_BLC: Tensor) -> tuple[Tensor, None]:
        """Outputs ``(B, L, 2 U)``, and None in place of the last state, which is not used."""
        hidden_DUG = torch.stack([self.weight_hh_l0.T, self.weight_hh_l0_reverse.T])
        weight_GC = torch.cat([self.weight_ih_l0, self.weight_ih_l0_reverse])
        forward_BLG, backward_BLG = functional.linear(x_BLC, weight_GC).chunk(2, dim=2)
        inputs_DBLG = torch.stack([forward_BLG, backward_BLG.flip(1)])
        hidden_DBU = cell_DBU = inputs_DBLG.new_zeros(2, x_BLC.shape[0], hidden_DUG.shape[1])
        steps = []
        for inputs_DBG in inputs_DBLG.unbind(2):
            gates_DBG = torch.baddbmm(inputs_DBG, hidden_DBU, hidden_DUG)
            input_, forget, candidate, output = gates_DBG.chunk(4, dim=2)
            kept_DBU = _hard_sigmoid(forget) * cell_DBU
            cell_DBU = kept_DBU + _hard_sigmoid(input_) * torch.tanh(candidate)
            hidden_DBU = _hard_sigmoid(output) * torch.tanh(cell_DBU)
            steps.append(hidden_DBU)
        forward_BLU, backward_BLU = torch.stack(steps, dim=2).unbind(0)
        return torch.cat([forward_BLU, backward_BLU.flip(1)], dim=2), None


def _hard_sigmoid(x: Tensor) -> Tensor:
    """Keras' hard sigmoid; torch's has slope 1/6 in place of 0.2."""
    return functional.hardsigmoid(1.2 * x)


class SqueezeExcitation(nn.Module):
    """Squeeze-excitation (Hu et al. 2018): ``(B, C, L)`` → the same shape.

    Each channel is multiplied by a gate, which two dense layers compute from the means of all
    channels over positions.
    """

    def __init__(self, channels: int, ratio: int = 2) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // ratio)
        self.excite = nn.Linear(channels // ratio, channels)
        self.relu = nn.ReLU()
        self.sigmoid = nn.Sigmoid()

    def forward(self, x_BCL: Tensor) -> Tensor:
        return x_BCL * self.gates(x_BCL)

    def gates(self, x_BCL: Tensor) -> Tensor:
        """Gate of each channel, between 0 and 1: ``(B, C, 1)``."""
        hidden_BC = self.relu(self.squeeze(x_BCL.mean(dim=2)))
        return self.sigmoid(self.excite(hidden_BC)).unsqueeze(2)


class DownConv(nn.Module):
    """Stride-2 convolution and ReLU that halve an even length, padded like TensorFlow's 'same'.

    With an odd kernel the right side gets one more position of padding (kernel 11: 4 left,
    5 right). torch's ``padding`` argument cannot express this.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__()
        self.padding = ((kernel - 2) // 2, kernel - 2 - (kernel - 2) // 2)
        self.conv = nn.Conv1d(channels_in, channels_out, kernel, stride=2)
        self.relu = nn.ReLU()

    def forward(self, x_BCL: Tensor) -> Tensor:
        return self.relu(self.conv(functional.pad(x_BCL, self.padding)))


class UpConv(nn.Module):
    """Stride-2 transposed convolution that doubles the length, cropped like TensorFlow's 'same'."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose1d(
            channels_in, channels_out, kernel, stride=2, padding=(kernel - 2) // 2
        )

    def forward(self, x_BCL: Tensor) -> Tensor:
        return self.conv(x_BCL)[:, :, : 2 * x_BCL.shape[2]]


class MultiHeadAttention(nn.Module):
    """Self-attention (Vaswani et al. 2017) with any head width: ``(B, T, C)`` → the same shape.

    ``attention="modules"`` computes the softmax in a module, to which DeepLIFT can attach a rule;
    ``"sdpa"`` calls torch's fused kernel. Both give the same numbers up to rounding.
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
    """Self-attention with ReLU on queries, keys, values and output (Vaishnav et al. 2022)."""
    attention = MultiHeadAttention(channels, heads, key_dim)
    for name in ("query", "key", "value", "output"):
        setattr(attention, name, nn.Sequential(getattr(attention, name), nn.ReLU()))
    return attention


class TransformerBlock(nn.Module):
    """Transformer block: ``(B, T, C)`` → the same shape.

    ``norm="post"`` normalises after each residual sum (Vaswani et al. 2017, as in the published
    CRMnet). ``norm="pre"`` normalises the inputs of attention and feed-forward (Xiong et al. 2020);
    the residual path then has no norm, and training makes progress earlier.
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
    """Sinusoidal position code (Vaswani et al. 2017), ``(tokens, channels)``.

    The first half of the channels are sines, the second half cosines.
    """
    half = torch.arange((channels + 1) // 2, dtype=torch.float32)
    rates = torch.exp(-math.log(10_000.0) * half / max(1, len(half)))
    angles = torch.arange(tokens, dtype=torch.float32)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :channels].contiguous()


class BinMean(nn.Module):
    """Mean sorting bin from a network with one logit per bin: ``(B, 4, L)`` → ``(B, M)``.

    ``network`` has :data:`~crmnet.sequence.BINS` (18) outputs per medium.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.has_marks = has_marks(network)

    def logits(self, x_BCL: Tensor) -> Tensor:
        """Logits of the bins, before the softmax: ``(B, M, BINS)``."""
        return self.network(x_BCL).unflatten(1, (-1, BINS))

    def forward(self, x_BCL: Tensor) -> Tensor:
        return bin_mean(self.logits(x_BCL))


def has_marks(network: nn.Module) -> bool:
    """Whether a network accepts six channels: four for bases, then is_reverse and is_singleton.

    The bases of such an input are always the forward strand. The network reverse-complements rows
    with is_reverse = 1 (:class:`~crmnet.models.context.DreamInput`).
    """
    return bool(getattr(network, "has_marks", False))


class BothStrands(nn.Module):
    """Mean over both strands, for a network with :func:`has_marks`: ``(B, 4, L)`` → ``(B, M)``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x_BCL: Tensor) -> Tensor:
        return (self.network(x_BCL) + self.network(marked_reverse(x_BCL))) / 2


def marked_reverse(x_BCL: Tensor) -> Tensor:
    """Input ``(B, 6, L)`` for which a network with :func:`has_marks` reads the reverse strand."""
    marks_BCL = torch.zeros_like(x_BCL[:, :2])
    marks_BCL[:, 0] = 1
    return torch.cat([x_BCL, marks_BCL], dim=1)


def bin_mean(logits: Tensor) -> Tensor:
    """Mean bin, 0–17, of the softmax of logits: ``(..., BINS)`` → ``(...)``."""
    bins = torch.arange(BINS, dtype=logits.dtype, device=logits.device)
    # Not a matrix product, which autocast would compute in half precision.
    return (logits.softmax(dim=-1) * bins).sum(dim=-1)


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """Number of trainable and of non-trainable parameters, counted as Keras does.

    The running mean and variance of batch norm count as non-trainable. Its batch counter, which
    Keras does not have, does not count.
    """
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    statistics = sum(b.numel() for name, b in model.named_buffers() if "running_" in name)
    return trainable, frozen + statistics


def initialise(model: nn.Module) -> None:
    """Sample initial weights as CRMnet's released Keras code does, from torch's global generator.

    Convolutions are He-normal: a normal distribution truncated at two standard deviations and
    scaled to variance 2 / fan-in. Dense layers are Glorot-uniform. Biases are zero.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            # Weights are (out, in, k); transposed: (in, out, k), where Keras uses fan-in out · k.
            std = math.sqrt(2 / module.weight[0].numel()) / 0.87962566103423978
            nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
