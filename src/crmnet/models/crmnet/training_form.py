"""The same network, computed faster while it trains on a CPU: same weights, loss and gradients.

:func:`training_forward` takes a :class:`~crmnet.models.crmnet.network.CRMnet` and a batch and gives
what calling the network gives, up to rounding, from the network's own parameters;
:mod:`crmnet.training.train` uses it. What makes the difference:

* Activations lie channels-last, as ``(B, C, 1, L)`` for oneDNN's 2-D convolutions, which then
  reorder nothing.
* In bfloat16 weights are cast once a step and activations stay as they are; batch statistics, the
  last layer, the loss and the weights themselves are float32.
* A stride-2 convolution is one of stride 1 over pairs of positions, and a transposed one gives
  pairs of positions: channels-last, both views cost nothing.
* Query, key and value are one product; where heads are as wide as the model, their weights are
  merged as in :mod:`crmnet.models.crmnet.inference_form`, every step anew, and gradients reach all
  four.
* Dropout draws 16 random bits a value, so its rate is true to 1 in 65,536.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from crmnet.models.crmnet.network import CRMnet, with_n
from crmnet.models.crmnet.stem import MotifStem, occupancy
from crmnet.models.layers import BiLSTM, MultiHeadAttention, SqueezeExcitation, TransformerBlock


def training_forward(network: nn.Module, x_BCL: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """One-hot ``(B, 4, L)`` → outputs ``(B, n_media)``, as ``network(x_BCL)``, in its own mode.

    The fast form is CRMnet's on a CPU; another network, or device, is called as it is and takes the
    precision of the autocast around it.

    Args:
        network: Whose weights, configuration and mode are used; in training mode the running
            statistics of its batch norms move.
        x_BCL: One-hot.
        dtype: Of the arithmetic, such as ``torch.bfloat16``; None takes that of the weights.
    """
    if not isinstance(network, CRMnet) or x_BCL.device.type != "cpu":
        return network(x_BCL)
    with torch.autocast("cpu", enabled=False):  # types are chosen here one by one
        return Pass(network, dtype or network.head[-1].weight.dtype)(x_BCL)  # type: ignore[arg-type]


class Pass:
    """A forward pass in parts; :mod:`crmnet.models.crmnet.inference_form` replaces some of them."""

    def __init__(self, network: CRMnet, dtype: torch.dtype) -> None:
        self.network, self.dtype, self.training = network, dtype, network.training

    def __call__(self, x_BCL: Tensor) -> Tensor:
        net = self.network
        net.check_input(x_BCL)
        x_BCL = (with_n(x_BCL) if net.stem is None else x_BCL).to(self.dtype)
        x = x_BCL.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        if net.stem is not None:
            x = self._stem(x, net.stem)
        skips = []
        for block, down in zip(net.encoder, net.down, strict=False):
            x = self._double(x, block)
            skips.append(x)
            x = self._down(x, down.conv)
        x = self._double(x, net.encoder[-1])
        if net.recurrent is not None:
            x = self._recurrent(x, net.recurrent)
        if net.config.transformer_blocks:
            x = self._waist(x)
        for up, block in zip(net.up, net.decoder, strict=True):
            x = self._double(torch.cat([self._up(x, up.conv), skips.pop()], dim=1), block)
        for unit in net.tail:
            x = self._conv_gate(x, unit)
        return self._head(net.read_out(x.squeeze(2).transpose(1, 2)))

    def _weights(self, layer: Any) -> tuple[Tensor, Tensor]:
        return layer.weight.to(self.dtype), layer.bias.to(self.dtype)

    def _linear(self, x: Tensor, layer: Any) -> Tensor:
        return functional.linear(x, *self._weights(layer))

    # -- stem and recurrence, on (B, C, 1, L) ------------------------------------------------------

    def _stem(self, x: Tensor, stem: MotifStem) -> Tensor:
        weight, bias = self._weights(stem.mix)
        return functional.conv2d(self._occupancy(x, stem), weight.unsqueeze(2), bias)

    def _occupancy(self, x: Tensor, stem: MotifStem) -> Tensor:
        """Of every filter on one strand, then on the other: ``(B, 2F, 1, L)``."""
        weight = stem.both_strands().to(self.dtype).unsqueeze(2)
        scores = functional.conv2d(x, weight, padding=(0, weight.shape[3] // 2))
        # A row for each strand: channels-last, both lie side by side at each position.
        B, _, _, L = scores.shape
        strands = scores.permute(0, 2, 3, 1).reshape(B, L, 2, -1).permute(0, 3, 1, 2)
        found = occupancy(self._normalise(strands, stem.norm))
        return found.permute(0, 2, 3, 1).reshape(B, 1, L, -1).permute(0, 3, 1, 2)

    def _recurrent(self, x: Tensor, lstm: BiLSTM) -> Tensor:
        x_BLC = x.squeeze(2).transpose(1, 2)
        if self.dtype == torch.bfloat16:
            with torch.autocast("cpu", self.dtype):
                x_BLC = lstm(x_BLC)
        else:
            x_BLC = lstm(x_BLC)
        return x_BLC.to(self.dtype).transpose(1, 2).unsqueeze(2)

    # -- convolutions, on (B, C, 1, L) ------------------------------------------------------------

    def _double(self, x: Tensor, block: nn.Module) -> Tensor:
        for unit in block.children():
            if isinstance(unit, nn.BatchNorm1d):
                x = self._normalise(x, unit)
            elif isinstance(unit, nn.Dropout):
                x = self._dropout(x, unit.p)
            elif not isinstance(unit, nn.Identity):
                x = self._conv_gate(x, unit)
        return x

    def _conv_gate(self, x: Tensor, unit: Any) -> Tensor:
        x = self._conv(x, unit.conv)
        return x * self._gates(x, unit.gate) if isinstance(unit.gate, SqueezeExcitation) else x

    def _conv(self, x: Tensor, conv: Any) -> Tensor:
        """Convolution and ReLU."""
        weight, bias = self._weights(conv)
        padding = (0, weight.shape[2] // 2)
        return functional.conv2d(x, weight.unsqueeze(2), bias, padding=padding).relu_()

    def _gates(self, x: Tensor, gate: SqueezeExcitation) -> Tensor:
        """``(B, C, 1, 1)``."""
        hidden = self._linear(x.mean(dim=(2, 3)), gate.squeeze).relu_()
        return self._linear(hidden, gate.excite).sigmoid()[:, :, None, None]

    def _normalise(self, x: Tensor, norm: Any) -> Tensor:
        if self.training and norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
        return functional.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias,
            self.training, norm.momentum, norm.eps,
        )  # fmt: skip

    def _down(self, x: Tensor, conv: Any) -> Tensor:
        B, C, _, L = x.shape
        pairs = x.permute(0, 2, 3, 1).reshape(B, 1, L // 2, 2 * C).permute(0, 3, 1, 2)
        weight, bias = self._weights(conv)
        weight, before = _paired(weight, (conv.kernel_size[0] - 2) // 2)
        padding = max(before, weight.shape[2] - 1 - before)
        y = functional.conv2d(pairs, weight.unsqueeze(2), bias, padding=(0, padding))
        return y[..., padding - before :][..., : L // 2].relu()

    def _up(self, x: Tensor, conv: Any) -> Tensor:
        L = x.shape[3]
        weight, bias = self._weights(conv)
        weight, before = _phases(weight, conv.padding[0])
        y = functional.conv2d(x, weight.unsqueeze(2), bias.repeat(2), padding=(0, before))
        pairs = y.permute(0, 2, 3, 1)[:, :, :L]
        return pairs.view(*pairs.shape[:3], 2, -1).flatten(2, 3).permute(0, 3, 1, 2)

    # -- transformer, on (B, T, C) ----------------------------------------------------------------

    def _waist(self, x: Tensor) -> Tensor:
        waist: Any = self.network.waist
        x_BTC = x.squeeze(2).transpose(1, 2)
        if waist.position == "published":
            x_BTC = x_BTC * waist.code.to(self.dtype)
        elif waist.position == "additive":
            x_BTC = x_BTC + waist.code.to(self.dtype)
        blocks = list(waist.blocks)
        x_BTC = self._transformer(x_BTC, blocks[0])
        for first in range(1, len(blocks), 2):
            outputs = [self._transformer(x_BTC, block) for block in blocks[first : first + 2]]
            x_BTC = outputs[0] if len(outputs) == 1 else outputs[0] + outputs[1]
        return x_BTC.transpose(1, 2).unsqueeze(2)

    def _transformer(self, x_BTC: Tensor, block: TransformerBlock) -> Tensor:
        pre = block.norm == "pre"
        read_BTC = self._layer_norm(x_BTC, block.norm1) if pre else x_BTC
        x_BTC = x_BTC + self._dropout(self._attend(read_BTC, block.attend), block.dropout1.p)
        read_BTC = self._layer_norm(x_BTC, block.norm2 if pre else block.norm1)
        hidden = self._linear(self._linear(read_BTC, block.expand).relu_(), block.contract)
        hidden = self._dropout(hidden, block.dropout2.p)
        return x_BTC + hidden if pre else self._layer_norm(read_BTC + hidden, block.norm2)

    def _layer_norm(self, x: Tensor, norm: Any) -> Tensor:
        return functional.layer_norm(x, norm.normalized_shape, *self._weights(norm), norm.eps)

    def _attend(self, x_BTC: Tensor, attend: MultiHeadAttention) -> Tensor:
        if attend.key_dim >= x_BTC.shape[2]:
            return self._attend_merged(x_BTC, attend)
        layers = (attend.query, attend.key, attend.value)
        weights, biases = zip(*map(self._weights, layers), strict=True)
        together = functional.linear(x_BTC, torch.cat(weights), torch.cat(biases))
        split = together.view(*x_BTC.shape[:2], 3, attend.heads, attend.key_dim)
        query_BHTK, key_BHTK, value_BHTK = split.permute(2, 0, 3, 1, 4).contiguous().unbind(0)
        scores_BHTT = query_BHTK @ key_BHTK.transpose(2, 3) / math.sqrt(attend.key_dim)
        mixed_BHTK = torch.softmax(scores_BHTT, dim=-1) @ value_BHTK
        return self._linear(mixed_BHTK.transpose(1, 2).flatten(2), attend.output)

    def _attend_merged(self, x_BTC: Tensor, attend: MultiHeadAttention) -> Tensor:
        (B, T, C), H = x_BTC.shape, attend.heads
        (query, query_bias), (key, key_bias), (value, value_bias), (output, output_bias) = map(
            self._weights, (attend.query, attend.key, attend.value, attend.output)
        )
        query_HKC, key_HKC, value_HKC = (w.view(H, -1, C) for w in (query, key, value))
        scale = 1 / math.sqrt(attend.key_dim)
        scores_HDC = (key_HKC * scale).transpose(1, 2) @ query_HKC
        bias_HD = (query_bias.view(H, 1, -1) @ key_HKC * scale).flatten()
        # A bias on every key does nothing, but a parameter without a gradient is an error in DDP.
        bias_HD = bias_HD + 0 * key_bias.sum()
        mixed_CHD = (output.view(C, H, -1).transpose(0, 1) @ value_HKC).transpose(0, 1)
        query_BRC = functional.linear(x_BTC, scores_HDC.flatten(0, 1), bias_HD).view(B, T * H, C)
        weights_BRT = torch.softmax(query_BRC @ x_BTC.transpose(1, 2), dim=-1)
        mixed_BTR = (weights_BRT @ x_BTC).view(B, T, H * C)
        return functional.linear(mixed_BTR, mixed_CHD.flatten(1), output @ value_bias + output_bias)

    # -- readout ----------------------------------------------------------------------------------

    def _head(self, x: Tensor) -> Tensor:
        layers: Any = self.network.head
        *hidden, last = layers
        for layer in hidden:
            if isinstance(layer, nn.Linear):
                x = self._linear(x, layer)
            elif isinstance(layer, nn.Dropout):
                x = self._dropout(x, layer.p)
            else:
                x = layer(x)
        return last(x.to(last.weight.dtype))

    def _dropout(self, x: Tensor, rate: float) -> Tensor:
        if not (self.training and rate):
            return x
        draws = torch.empty((x.numel() + 3) // 4, dtype=torch.int64, device=x.device).random_(
            -(2**63), None
        )
        kept = draws.view(torch.int16)[: x.numel()] >= round(rate * 2**16) - 2**15
        scale = kept.to(x.dtype).mul_(1 / (1 - rate))
        if x.ndim == 4:  # as x lies in memory, channels last
            return x * scale.view(x.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
        return x * scale.view(x.shape)


def _paired(weight_OCK: Tensor, first: int) -> tuple[Tensor, int]:
    """A stride-2 kernel whose tap 0 lies ``first`` before the output, as one over pairs.

    Returns:
        Weight ``(O, 2C, pairs)``, channels of a pair's left position first, and how many pairs lie
        before the output's own.
    """
    outputs, C, K = weight_OCK.shape
    before = -(-first // 2)
    left = 2 * before - first
    right = (left + K) % 2
    padded = functional.pad(weight_OCK, (left, right))
    return padded.view(outputs, C, -1, 2).permute(0, 3, 1, 2).reshape(outputs, 2 * C, -1), before


def _phases(weight_COK: Tensor, crop: int) -> tuple[Tensor, int]:
    """A stride-2 transposed kernel, cropped by ``crop`` on the left, as one that gives pairs.

    Output 2m + r is the sum over d of input m − d times tap r + crop + 2d.

    Returns:
        Weight ``(2O, C, taps)``, outputs of a pair's left position first, and how many inputs
        lie before the pair's own.
    """
    C, outputs, K = weight_COK.shape
    most, least = (K - 1 - crop) // 2, -((crop + 1) // 2)  # of d, over both r
    left = crop + 2 * least  # tap of r = 0 and the least d; negative if there is none
    right = 1 + crop + 2 * most - (K - 1)
    padded = functional.pad(weight_COK, (-left, right))
    taps = padded.view(C, outputs, -1, 2).flip(2)  # rising inputs are falling d
    return taps.permute(3, 1, 0, 2).reshape(2 * outputs, C, -1), most
