"""The same network, rearranged to predict faster: exact up to rounding, not for training.

:func:`for_inference` takes a trained :class:`~crmnet.models.crmnet.network.CRMnet` and gives a
module with the same inputs and outputs. :mod:`crmnet.prediction.predictor` uses it; attribution
keeps to the original, whose modules its rules know.

Attention (Vaswani et al. 2017) scores query i against key j by (W_q x_i + b_q)·(W_k x_j + b_k). The
terms that depend on i alone fall out of the softmax over j, so x_i·A x_j + u·x_j is enough, with
A = W_qᵀ W_k and u = W_kᵀ b_q; and because the weights of a row sum to one, W_v and W_o merge to one
matrix and their biases to one vector. Where heads are as wide as the model, as in the published
network, two of the four projections are gone: 27 % of all operations.

On a CPU, :class:`CPUForm` computes the rest as :mod:`crmnet.models.crmnet.training_form` does, from
weights prepared once (a motif stem's with the norm behind them), and saves a quarter of the
operations of long convolutions. With even and odd positions z₀, z₁ of the input (shifted by the
padding), even and odd taps w₀, w₁ of the kernel, and S for one position onward, even and odd
outputs are (Karatsuba's way; Winograd 1980)

    y₀ = (w₀ + w₁) z₁ + w₀ (z₀ − z₁)      y₁ = (w₀ + w₁) z₁ − w₁ (z₁ − S z₀)

three convolutions of half the length with half the taps, where four would be written down; and
each of the three again, as long as it pays.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from crmnet.models.crmnet.network import CRMnet
from crmnet.models.crmnet.stem import MotifStem, occupancy
from crmnet.models.crmnet.training_form import Pass
from crmnet.models.layers import MultiHeadAttention, SqueezeExcitation, TransformerBlock

SLICE = 128
"""Sequences that a CPU takes at a time, so that what lies between two layers stays in its cache."""
SHORTEST_SPLIT = 28
NARROWEST_SPLIT = 64
"""Positions and channels from which a float32 convolution is split in three; smaller ones lose by
it, and bfloat16 would round the differences of inputs."""


def for_inference(
    network: nn.Module, device: torch.device | None = None, dtype: torch.dtype = torch.float32
) -> nn.Module:
    """A copy of ``network`` in evaluation mode that predicts the same, faster where it can.

    Networks other than CRMnet come back as plain copies, under autocast if they are to be rounded.

    Args:
        network: Stays as it is.
        device: Where the copy will work, and is put; None is the CPU.
        dtype: Of the arithmetic. With bfloat16 predictions are rounded, with float32 exact.
    """
    device = device or torch.device("cpu")
    network = copy.deepcopy(network).eval().requires_grad_(False).to(device)
    inner = [name for name, module in network.named_modules() if isinstance(module, CRMnet)]
    if not any(inner):
        return _form(network, device, dtype)
    for name in inner:
        network.set_submodule(name, _form(network.get_submodule(name), device, dtype))
    return network


def _form(network: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    if isinstance(network, CRMnet):
        if device.type == "cpu":
            return CPUForm(network, dtype).eval()
        for module in network.modules():
            if isinstance(module, TransformerBlock) and _mergeable(module.attend):
                module.attend = MergedAttention(module.attend)  # type: ignore[assignment]
    return network if dtype == torch.float32 else Rounded(network, device.type, dtype)


def _mergeable(attend: nn.Module) -> bool:
    return isinstance(attend, MultiHeadAttention) and attend.key_dim >= attend.query.in_features


def _splits(length: int) -> bool:
    return length >= SHORTEST_SPLIT and length % 2 == 0


class Rounded(nn.Module):
    """A network under autocast."""

    def __init__(self, network: nn.Module, device_type: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.device_type, self.dtype = network, device_type, dtype

    def forward(self, x_BCL: Tensor) -> Tensor:
        with torch.autocast(self.device_type, dtype=self.dtype):
            return self.network(x_BCL).float()


class MergedAttention(nn.Module):
    """Self-attention with query and key, and value and output, merged: ``(B, T, C)`` → the same."""

    def __init__(self, attention: MultiHeadAttention) -> None:
        super().__init__()
        H, K = attention.heads, attention.key_dim
        C = attention.query.in_features
        # In double precision, so that merging adds no rounding of its own.
        query_HKC, key_HKC, value_HKC = (
            layer.weight.detach().double().view(H, K, C)
            for layer in (attention.query, attention.key, attention.value)
        )
        output_CHK = attention.output.weight.detach().double().view(C, H, K)
        query_bias_HK = attention.query.bias.detach().double().view(H, K)
        value_bias_HK = attention.value.bias.detach().double().view(H, K)
        scores_HCD = torch.einsum("hkc,hkd->hcd", query_HKC, key_HKC) / math.sqrt(K)
        bias_HD = torch.einsum("hk,hkd->hd", query_bias_HK, key_HKC) / math.sqrt(K)
        mixed_CHD = torch.einsum("hkd,chk->chd", value_HKC, output_CHK)
        output_bias_C = torch.einsum("hk,chk->c", value_bias_HK, output_CHK)
        self.heads = H
        self.scores = _linear(scores_HCD.transpose(1, 2).reshape(H * C, C), bias_HD.flatten())
        self.output = _linear(
            mixed_CHD.flatten(1), output_bias_C + attention.output.bias.detach().double()
        )

    def forward(self, x_BTC: Tensor) -> Tensor:
        B, T, C = x_BTC.shape
        # A row for each position and head; the keys, and the values, are the inputs themselves.
        query_BRC = self.scores(x_BTC).view(B, T * self.heads, C)
        weights_BRT = torch.softmax(query_BRC @ x_BTC.transpose(1, 2), dim=-1)
        return self.output((weights_BRT @ x_BTC).view(B, T, self.heads * C))


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight = nn.Parameter(weight.float(), requires_grad=False)
    layer.bias = nn.Parameter(bias.float(), requires_grad=False)
    return layer


class CPUForm(nn.Module):
    """CRMnet for prediction on a CPU, from weights that are prepared here once."""

    def __init__(self, network: CRMnet, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self._run = _PreparedPass(network, dtype)

    def forward(self, x_BCL: Tensor) -> Tensor:
        return torch.cat([self._run(part) for part in torch.split(x_BCL, SLICE)])


class _PreparedPass(Pass):
    """A pass in evaluation mode whose weights are cast, merged and laid out beforehand."""

    def __init__(self, network: CRMnet, dtype: torch.dtype) -> None:
        super().__init__(network, dtype)
        self.ready: dict[nn.Module, Any] = {}

    def _once(self, layer: nn.Module, make: Any) -> Any:
        if layer not in self.ready:
            with torch.inference_mode(False), torch.no_grad():
                self.ready[layer] = make(layer)
        return self.ready[layer]

    def _weights(self, layer: Any) -> tuple[Tensor, Tensor]:
        return self._once(layer, super()._weights)

    def _occupancy(self, x: Tensor, stem: MotifStem) -> Tensor:
        weight, bias = self._once(stem, self._scan)
        scores = functional.conv2d(x, weight, bias, padding=(0, weight.shape[3] // 2))
        return occupancy(scores, in_place=True)

    def _scan(self, stem: MotifStem) -> tuple[Tensor, Tensor]:
        # The norm behind the filters is the same for both strands, so it is part of their weights.
        scale, shift = _affine(stem.norm)
        weight = (stem.both_strands() * scale.repeat(2)[:, None, None]).unsqueeze(2).to(self.dtype)
        return weight.contiguous(memory_format=torch.channels_last), shift.repeat(2).to(self.dtype)

    def _double(self, x: Tensor, block: Any) -> Tensor:
        for first in (0, 2):
            x, gate = self._conv(x, block[first].conv), block[first].gate
            norm = block[first + 1]
            gates = self._gates(x, gate) if isinstance(gate, SqueezeExcitation) else None
            if isinstance(norm, nn.BatchNorm1d):
                scale, shift = self._once(norm, self._columns)
                scale = scale if gates is None else gates * scale
                x = torch.addcmul(shift, x, scale)
            elif gates is not None:
                x = x * gates
        return x

    def _columns(self, norm: Any) -> tuple[Tensor, Tensor]:
        scale, shift = (part.to(self.dtype)[:, None, None] for part in _affine(norm))
        return scale, shift

    def _conv(self, x: Tensor, conv: Any) -> Tensor:
        if self.dtype != torch.float32 or x.shape[1] < NARROWEST_SPLIT or not _splits(x.shape[3]):
            return super()._conv(x, conv)
        kernel, bias = self._once(conv, lambda _: self._split(conv, x.shape[3]))
        pad = conv.kernel_size[0] // 2
        return kernel(functional.pad(x, (pad, pad)), x.shape[3], bias).relu_()

    def _split(self, conv: Any, positions: int) -> tuple[_Kernel, Tensor]:
        return _Kernel(conv.weight.double().unsqueeze(2), positions), conv.bias.to(self.dtype)

    def _attend(self, x_BTC: Tensor, attend: Any) -> Tensor:
        if not _mergeable(attend):
            return super()._attend(x_BTC, attend)
        return self._once(attend, self._merge)(x_BTC)

    def _merge(self, attend: MultiHeadAttention) -> MergedAttention:
        merged = MergedAttention(attend).to(self.dtype)
        if self.dtype == torch.float32:
            merged.scores = _Pointwise(merged.scores)  # type: ignore[assignment]
        return merged


def _affine(norm: Any) -> tuple[Tensor, Tensor]:
    """Factor and summand of each channel, ``(C,)``, in evaluation mode."""
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


class _Kernel:
    """A kernel ``(O, C, 1, K)`` as three of half its taps, and each of them so again if it pays."""

    def __init__(self, weight: Tensor, positions: int) -> None:
        self.taps = weight.shape[3]
        self.whole: Tensor | None = None
        if self.taps < 3 or not _splits(positions):
            self.whole = weight.float().contiguous(memory_format=torch.channels_last)
            return
        even, odd = weight[..., 0::2], weight[..., 1::2]
        both = even + functional.pad(odd, (0, even.shape[3] - odd.shape[3]))
        self.even, self.both, self.odd = (
            _Kernel(part, positions // 2) for part in (even, both, odd)
        )

    def __call__(self, z: Tensor, positions: int, bias: Tensor | None = None) -> Tensor:
        """``(B, C, 1, positions + K − 1)``, channels-last → ``(B, O, 1, positions)``."""
        if self.whole is not None:
            z = z.contiguous(memory_format=torch.channels_last)
            return functional.conv2d(z, self.whole, bias)
        half = positions // 2
        z0, z1 = z[..., 0::2], z[..., 1::2]
        reach, shorter = half + self.even.taps - 1, half + self.odd.taps - 1
        shared = self.both(z1[..., :reach], half, bias)
        first = self.even(z0[..., :reach] - z1[..., :reach], half)
        second = self.odd(z1[..., :shorter] - z0[..., 1 : shorter + 1], half)
        B, C, _, _ = shared.shape
        y = z.new_empty(B, 1, half, 2, C)
        pairs = y.permute(0, 4, 1, 2, 3)
        torch.add(shared, first, out=pairs[..., 0])
        torch.sub(shared, second, out=pairs[..., 1])
        return y.view(B, 1, positions, C).permute(0, 3, 1, 2)


class _Pointwise(nn.Module):
    """A linear layer on ``(B, T, C)`` as a convolution, which has the faster kernel in float32."""

    weight: Tensor
    bias: Tensor

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach()[:, :, None, None]
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", layer.bias.detach())

    def forward(self, x_BTC: Tensor) -> Tensor:
        x = x_BTC.transpose(1, 2).unsqueeze(2)
        return functional.conv2d(x, self.weight, self.bias).squeeze(2).transpose(1, 2)
