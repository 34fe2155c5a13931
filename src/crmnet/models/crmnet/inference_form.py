"""Inference form of CRMnet: faster predictions, equal up to rounding. Not for training.

:mod:`crmnet.models.inference_form` uses :class:`CPUForm` on a CPU and :func:`merge_attention` on
other devices.

**Merged attention.** Attention (Vaswani et al. 2017) scores query i against key j by
(W_q x_i + b_q)·(W_k x_j + b_k). Terms that depend on i alone cancel in the softmax over j, so the
score x_i·A x_j + u·x_j gives the same weights, with A = W_qᵀ W_k and u = W_kᵀ b_q. Because the
weights of a row sum to 1, W_v and W_o merge into one matrix and their biases into one vector. Where
heads are as wide as the model, as in the published network, two of the four projections disappear:
27 % of all operations.

**Split convolutions.** On a CPU, long float32 convolutions need a quarter fewer operations. With
even and odd positions z₀, z₁ of the padded input, even and odd taps w₀, w₁ of the kernel, and S a
shift by one position, the even and odd outputs are (Karatsuba's method; Winograd 1980)

    y₀ = (w₀ + w₁) z₁ + w₀ (z₀ − z₁)      y₁ = (w₀ + w₁) z₁ − w₁ (z₁ − S z₀)

These are three convolutions of half the length with half the taps; the direct formula has four.
Each of the three is split again if that is faster.

**Prepared weights.** On a CPU the other layers are those of :mod:`crmnet.models.crmnet.fast_layers`
with weights that are cast and merged once. A batch norm becomes one factor and one summand per
channel; the batch norm of a motif stem becomes part of its filters.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from crmnet.models.crmnet.fast_layers import (
    FAST_LAYERS,
    FastConv,
    FastLayer,
    FastStem,
    Replacements,
    as_image,
    fast_attention,
    fast_conv_gate,
    mergeable,
    merged_attention,
    replace_layers,
    tensors_to_keep,
    with_children,
)
from crmnet.models.crmnet.network import ConvGate, CRMnet, DoubleConv
from crmnet.models.crmnet.stem import MotifStem, occupancy
from crmnet.models.layers import MultiHeadAttention, SqueezeExcitation

CPU_BATCH_SIZE = 128
"""Sequences per forward pass on a CPU; more do not fit its cache."""
MIN_SPLIT_POSITIONS = 28
"""Smallest number of positions at which splitting makes float32 convolutions faster."""
MIN_SPLIT_CHANNELS = 64
"""Smallest number of input channels at which splitting makes float32 convolutions faster. bfloat16
convolutions are not split, because bfloat16 would round the differences of inputs."""


class CPUForm(nn.Module):
    """CRMnet for prediction on a CPU: ``(B, 4, L)`` → ``(B, n_media)`` float32."""

    def __init__(self, network: CRMnet, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.network = replace_layers(network, dtype, PREPARED_LAYERS)
        for module in self.network.modules():
            if isinstance(module, FastLayer):
                module.keep = True

    def forward(self, x_BCL: Tensor) -> Tensor:
        return torch.cat([self.network(part) for part in torch.split(x_BCL, CPU_BATCH_SIZE)])


def merge_attention(network: CRMnet) -> CRMnet:
    """``network``, changed: with merged attention where that is possible."""
    for name, module in list(network.named_modules()):
        if type(module) is MultiHeadAttention and mergeable(module):
            network.set_submodule(name, MergedAttention(module))
    return network


# -- attention -------------------------------------------------------------------------------------


class MergedAttention(nn.Module):
    """Self-attention with query and key merged, and value and output, on ``(B, T, C)``."""

    def __init__(self, attention: MultiHeadAttention) -> None:
        super().__init__()
        H, K = attention.heads, attention.key_dim
        C = attention.query.in_features
        # In double precision, so that merging adds no rounding error.
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
        self.scores = _linear(scores_HCD.transpose(1, 2).reshape(H * C, C), bias_HD.flatten())
        self.output = _linear(
            mixed_CHD.flatten(1), output_bias_C + attention.output.bias.detach().double()
        )

    def forward(self, x_BTC: Tensor) -> Tensor:
        return merged_attention(x_BTC, self.scores, self.output)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """Linear layer with these weights, in float32 and without gradients."""
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight = nn.Parameter(weight.float(), requires_grad=False)
    layer.bias = nn.Parameter(bias.float(), requires_grad=False)
    return layer


def _prepared_attention(attend: MultiHeadAttention, dtype: torch.dtype) -> nn.Module:
    return (_PreparedAttention if mergeable(attend) else fast_attention)(attend, dtype)


class _PreparedAttention(FastLayer):
    """Merged attention, in the dtype."""

    def prepare(self) -> MergedAttention:
        merged = MergedAttention(self.layer).to(self.dtype)
        if self.dtype == torch.float32:
            merged.scores = _Pointwise(merged.scores)  # type: ignore[assignment]
        return merged

    def forward(self, x_BTC: Tensor) -> Tensor:
        return self.prepared()(x_BTC)


class _Pointwise(nn.Module):
    """Linear layer on ``(B, T, C)`` as a convolution, which has the faster kernel in float32."""

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


# -- batch norm as part of its neighbours ----------------------------------------------------------


def _affine(norm: Any) -> tuple[Tensor, Tensor]:
    """Factor and summand of each channel, ``(C,)``, in evaluation mode."""
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


class _FoldedStem(FastStem):
    """Motif stem whose norm, the same for both strands, is part of the filters."""

    def prepare(self) -> tuple[Tensor, ...]:
        stem = self.layer
        scale, shift = _affine(stem.norm)
        scan = (stem.both_strands() * scale.repeat(2)[:, None, None]).unsqueeze(2).to(self.dtype)
        scan = scan.contiguous(memory_format=torch.channels_last)
        weight, bias = self.cast(stem.mix)
        return scan, shift.repeat(2).to(self.dtype), weight.unsqueeze(2), bias

    def forward(self, x_BCL: Tensor) -> Tensor:
        scan, shift, weight, bias = self.prepared()
        x = as_image(x_BCL, self.dtype)
        scores = functional.conv2d(x, scan, shift, padding=(0, scan.shape[3] // 2))
        return functional.conv2d(occupancy(scores, in_place=True), weight, bias).squeeze(2)


class _Affine(FastLayer):
    """Batch norm in evaluation mode, on ``(B, C, L)``, after multiplication by factors if given."""

    def prepare(self) -> tuple[Tensor, Tensor]:
        scale, shift = (part.to(self.dtype)[:, None] for part in _affine(self.layer))
        return scale, shift

    def forward(self, x_BCL: Tensor, factors_BC1: Tensor | None = None) -> Tensor:
        scale, shift = self.prepared()
        scale = scale if factors_BC1 is None else factors_BC1 * scale
        return torch.addcmul(shift, x_BCL, scale)


class _GateAndNorm(nn.Module):
    """Squeeze-excitation and the batch norm after it in one step, on ``(B, C, L)``."""

    def __init__(self, gate: SqueezeExcitation, norm: _Affine) -> None:
        super().__init__()
        self.gate, self.norm = gate, norm

    def forward(self, x_BCL: Tensor) -> Tensor:
        return self.norm(x_BCL, self.gate.gates(x_BCL))


def _gates_with_norms(block: DoubleConv, dtype: torch.dtype) -> nn.Module:
    """Copy of the block whose batch norms, with the gates before them, are :class:`_Affine`."""
    children: dict[str, nn.Module] = {}
    for first in (0, 2):
        unit, norm = block[first], block[first + 1]
        if not isinstance(norm, nn.BatchNorm1d):
            continue
        affine = _Affine(norm, dtype)
        children[str(first + 1)] = affine
        if isinstance(unit.gate, SqueezeExcitation):
            children[str(first)] = with_children(unit, {"gate": nn.Identity()})
            children[str(first + 1)] = _GateAndNorm(unit.gate, affine)
    return with_children(block, children)


# -- split convolutions ----------------------------------------------------------------------------


def _is_split(length: int) -> bool:
    """Whether a convolution over this many positions is split."""
    return length >= MIN_SPLIT_POSITIONS and length % 2 == 0


class _SplitConv(FastLayer):
    """Convolution and ReLU in float32, with a split kernel for lengths at which that is faster."""

    def __init__(self, layer: nn.Conv1d, dtype: torch.dtype) -> None:
        super().__init__(layer, dtype)
        self.direct = FastConv(layer, dtype)
        self.kernels: dict[int, _Kernel] = {}
        """By number of positions, which is the same in all calls of one network."""

    def forward(self, x_BCL: Tensor) -> Tensor:
        positions = x_BCL.shape[2]
        if not _is_split(positions):
            return self.direct(x_BCL)
        if positions not in self.kernels:
            weight = self.layer.weight.double().unsqueeze(2)
            with tensors_to_keep():
                self.kernels[positions] = _Kernel(weight, positions)
        pad = self.layer.kernel_size[0] // 2
        x = functional.pad(x_BCL.unsqueeze(2), (pad, pad))
        return self.kernels[positions](x, positions, self.layer.bias).relu_().squeeze(2)


def _prepared_conv(layer: nn.Conv1d, dtype: torch.dtype) -> FastLayer:
    split = dtype == torch.float32 and layer.in_channels >= MIN_SPLIT_CHANNELS
    return (_SplitConv if split else FastConv)(layer, dtype)


class _Kernel:
    """Kernel ``(O, C, 1, K)``, split into three of half its taps if that is faster, recursively."""

    def __init__(self, weight: Tensor, positions: int) -> None:
        self.taps = weight.shape[3]
        self.direct: Tensor | None = None
        if self.taps < 3 or not _is_split(positions):
            self.direct = weight.float().contiguous(memory_format=torch.channels_last)
            return
        even, odd = weight[..., 0::2], weight[..., 1::2]
        both = even + functional.pad(odd, (0, even.shape[3] - odd.shape[3]))
        self.even, self.both, self.odd = (
            _Kernel(part, positions // 2) for part in (even, both, odd)
        )

    def __call__(self, z: Tensor, positions: int, bias: Tensor | None = None) -> Tensor:
        """``(B, C, 1, positions + K − 1)``, channels-last → ``(B, O, 1, positions)``."""
        if self.direct is not None:
            z = z.contiguous(memory_format=torch.channels_last)
            return functional.conv2d(z, self.direct, bias)
        half = positions // 2
        z0, z1 = z[..., 0::2], z[..., 1::2]
        even_reach, odd_reach = half + self.even.taps - 1, half + self.odd.taps - 1
        shared = self.both(z1[..., :even_reach], half, bias)
        first = self.even(z0[..., :even_reach] - z1[..., :even_reach], half)
        second = self.odd(z1[..., :odd_reach] - z0[..., 1 : odd_reach + 1], half)
        B, C, _, _ = shared.shape
        y = z.new_empty(B, 1, half, 2, C)
        pairs = y.permute(0, 4, 1, 2, 3)
        torch.add(shared, first, out=pairs[..., 0])
        torch.sub(shared, second, out=pairs[..., 1])
        return y.view(B, 1, positions, C).permute(0, 3, 1, 2)


PREPARED_LAYERS: Replacements = {
    **FAST_LAYERS,
    MotifStem: _FoldedStem,
    DoubleConv: _gates_with_norms,
    ConvGate: lambda unit, dtype: fast_conv_gate(unit, dtype, _prepared_conv),
    MultiHeadAttention: _prepared_attention,
}
"""Replacements of the inference form on a CPU."""
