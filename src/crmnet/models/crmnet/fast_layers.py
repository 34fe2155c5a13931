"""Fast CPU versions of CRMnet's layers, for the training form and the inference form.

A form is a copy of a :class:`~crmnet.models.crmnet.network.CRMnet` in which :func:`replace_layers`
has replaced layers. The forward pass and the parameters are those of the network: a fast layer
reads the parameters of the layer that it replaces. Layers without a fast version are kept.

A fast layer has the same input and output shapes as the layer that it replaces, but activations
``(B, C, L)`` are channels-last in memory: the channels of a position are adjacent. oneDNN's 2-D
convolutions read this layout without reordering, as a view ``(B, C, 1, L)``. Each form computes in
one dtype, except for batch statistics, which are float32.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from crmnet.models.crmnet.network import Bottleneck, ConvGate, CRMnet, Join, NChannel
from crmnet.models.crmnet.stem import MotifStem, occupancy
from crmnet.models.layers import BiLSTM, DownConv, MultiHeadAttention, UpConv

Replacements = Mapping[type[nn.Module], Callable[[Any, torch.dtype], nn.Module]]
"""Type of a layer → function that makes the replacement from the layer and a dtype."""


def replace_layers(network: CRMnet, dtype: torch.dtype, replacements: Replacements) -> CRMnet:
    """Copy of ``network`` with replaced layers and the same parameters.

    Layers are replaced if their exact type is in ``replacements``; subclasses, which may compute
    something else, are kept. The last layer computes in the dtype of its weights, all others in
    ``dtype``.

    Args:
        network: The network; it is not changed.
        dtype: Dtype of the arithmetic.
        replacements: Applied to each module, outermost first, and then to the children of the
            result unless it is a :class:`FastLayer`.
    """

    def replaced(module: nn.Module) -> nn.Module:
        make = replacements.get(type(module))
        children = dict(module.named_children())
        if make is None and not children and any(True for _ in module.parameters()):
            make = InDtype  # a layer without a replacement
        if make is not None:
            module = make(module, dtype)
        if isinstance(module, FastLayer):
            return module
        return with_children(module, {name: replaced(m) for name, m in module.named_children()})

    form: Any = replaced(network)
    last: Any = network.head[-1]
    form.head[-1] = FastLinear(last, last.weight.dtype)
    return form


def with_children(module: nn.Module, children: Mapping[str, nn.Module]) -> Any:
    """Copy of ``module`` that shares parameters and buffers and has other child modules."""
    module_copy = copy.copy(module)
    module_copy._modules = {**module._modules, **children}
    return module_copy


def as_image(x_BCL: Tensor, dtype: torch.dtype) -> Tensor:
    """``(B, C, L)`` → ``(B, C, 1, L)``, channels-last and in ``dtype``."""
    return x_BCL.to(dtype).unsqueeze(2).contiguous(memory_format=torch.channels_last)


class FastLayer(nn.Module):
    """Base of all fast layers: the replaced layer and a dtype.

    ``forward`` uses tensors that :meth:`prepare` computes from the layer's parameters: in every
    call, so that gradients reach the parameters, or only once if ``keep`` is True.
    """

    keep = False

    def __init__(self, layer: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer: Any = layer
        self.dtype = dtype
        self._kept: Any = None

    def prepare(self) -> Any:
        """Tensors for ``forward``; here weight and bias, in the dtype."""
        return self.cast(self.layer)

    def prepared(self) -> Any:
        """Result of :meth:`prepare`; if ``keep`` is True, the result of its first call."""
        if not self.keep:
            return self.prepare()
        if self._kept is None:
            with tensors_to_keep():
                self._kept = self.prepare()
        return self._kept

    def cast(self, layer: Any) -> tuple[Tensor, Tensor]:
        """Weight and bias of a layer, in the dtype."""
        return layer.weight.to(self.dtype), layer.bias.to(self.dtype)


@contextmanager
def tensors_to_keep() -> Iterator[None]:
    """Context without gradients, also in inference mode; autograd accepts its tensors later."""
    with torch.inference_mode(False), torch.no_grad():
        yield


class InDtype(FastLayer):
    """The original layer, with input and output in the dtype."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            return self.layer(x).to(self.dtype)


# -- first layers, from (B, 4, L) of any dtype and layout ------------------------------------------


class FastNChannel(FastLayer):
    """Channels N, A, C, G, T: ``(B, 4, L)`` → ``(B, 5, L)``."""

    def forward(self, x_BCL: Tensor) -> Tensor:
        return as_image(self.layer(x_BCL), self.dtype).squeeze(2)


class FastStem(FastLayer):
    """Motif stem: ``(B, 4, L)`` → ``(B, C, L)``."""

    def prepare(self) -> tuple[Tensor, ...]:
        stem = self.layer
        weight, bias = self.cast(stem.mix)
        return stem.both_strands().to(self.dtype).unsqueeze(2), weight.unsqueeze(2), bias

    def forward(self, x_BCL: Tensor) -> Tensor:
        scan, weight, bias = self.prepared()
        x = as_image(x_BCL, self.dtype)
        scores = functional.conv2d(x, scan, padding=(0, scan.shape[3] // 2))
        # One row for each strand, normalised together. In memory, the scores of both strands are
        # adjacent at each position.
        B, _, _, L = scores.shape
        rows = scores.permute(0, 2, 3, 1).reshape(B, L, 2, -1).permute(0, 3, 1, 2)
        occupied = occupancy(_batch_norm(rows, self.layer.norm))
        occupied = occupied.permute(0, 2, 3, 1).reshape(B, 1, L, -1).permute(0, 3, 1, 2)
        return functional.conv2d(occupied, weight, bias).squeeze(2)


# -- convolutions, on (B, C, L) --------------------------------------------------------------------


class FastConv(FastLayer):
    """Convolution of stride 1 that keeps the length, then ReLU in place."""

    def forward(self, x_BCL: Tensor) -> Tensor:
        weight, bias = self.prepared()
        x = x_BCL.unsqueeze(2)
        padding = (0, weight.shape[2] // 2)
        return functional.conv2d(x, weight.unsqueeze(2), bias, padding=padding).relu_().squeeze(2)


def fast_conv_gate(
    unit: ConvGate, dtype: torch.dtype, conv: Callable[..., FastLayer] = FastConv
) -> nn.Module:
    """Copy of the unit with a fast convolution, which includes the ReLU."""
    return with_children(unit, {"conv": conv(unit.conv, dtype), "relu": nn.Identity()})


class FastBatchNorm(FastLayer):
    """Batch norm with float32 statistics, also of bfloat16 activations."""

    def forward(self, x_BCL: Tensor) -> Tensor:
        return _batch_norm(x_BCL.unsqueeze(2), self.layer).squeeze(2)


def _batch_norm(x: Tensor, norm: Any) -> Tensor:
    """Batch norm of ``(B, C, 1, L)``; in training mode it updates the running statistics."""
    if norm.training and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    return functional.batch_norm(
        x, norm.running_mean, norm.running_var, norm.weight, norm.bias,
        norm.training, norm.momentum, norm.eps,
    )  # fmt: skip


class FastDown(FastLayer):
    """Stride-2 convolution as one of stride 1 over pairs of positions, then ReLU."""

    def prepare(self) -> tuple[Tensor, Tensor, int]:
        conv = self.layer.conv
        weight, bias = self.cast(conv)
        weight, n_before = _over_pairs(weight, (conv.kernel_size[0] - 2) // 2)
        return weight.unsqueeze(2), bias, n_before

    def forward(self, x_BCL: Tensor) -> Tensor:
        weight, bias, n_before = self.prepared()
        B, C, L = x_BCL.shape
        # In memory, both positions of a pair are adjacent, so this is a view.
        pairs = x_BCL.transpose(1, 2).reshape(B, 1, L // 2, 2 * C).permute(0, 3, 1, 2)
        padding = max(n_before, weight.shape[3] - 1 - n_before)
        y = functional.conv2d(pairs, weight, bias, padding=(0, padding))
        return y.squeeze(2)[..., padding - n_before :][..., : L // 2].relu()


class FastUp(FastLayer):
    """Stride-2 transposed convolution as one of stride 1 with pairs of positions as output."""

    def prepare(self) -> tuple[Tensor, Tensor, int]:
        conv = self.layer.conv
        weight, bias = self.cast(conv)
        weight, n_before = _to_pairs(weight, conv.padding[0])
        return weight.unsqueeze(2), bias.repeat(2), n_before

    def forward(self, x_BCL: Tensor) -> Tensor:
        weight, bias, n_before = self.prepared()
        y = functional.conv2d(x_BCL.unsqueeze(2), weight, bias, padding=(0, n_before))
        pairs_BLC = y.squeeze(2).transpose(1, 2)[:, : x_BCL.shape[2]]
        pairs_BLRC = pairs_BLC.view(*pairs_BLC.shape[:2], 2, -1)
        return pairs_BLRC.flatten(1, 2).transpose(1, 2)


class FastJoin(FastLayer):
    """Concatenation of channels with a channels-last result."""

    def forward(self, x_BCL: Tensor, skip_BCL: Tensor) -> Tensor:
        return torch.cat([x_BCL.unsqueeze(2), skip_BCL.unsqueeze(2)], dim=1).squeeze(2)


def _over_pairs(weight_OCK: Tensor, first: int) -> tuple[Tensor, int]:
    """Kernel over pairs of positions that is equivalent to a stride-2 kernel.

    Args:
        weight_OCK: The stride-2 kernel.
        first: Distance from its tap 0 to the position of the output.

    Returns:
        Weight ``(O, 2C, pairs)``, channels of a pair's left position first, and the number of pairs
        before the pair of the output.
    """
    outputs, C, K = weight_OCK.shape
    n_before = -(-first // 2)
    left = 2 * n_before - first
    right = (left + K) % 2
    padded = functional.pad(weight_OCK, (left, right))
    return padded.view(outputs, C, -1, 2).permute(0, 3, 1, 2).reshape(outputs, 2 * C, -1), n_before


def _to_pairs(weight_COK: Tensor, crop: int) -> tuple[Tensor, int]:
    """Kernel with pairs of positions as output, equivalent to a stride-2 transposed kernel.

    Output 2m + r is the sum over d of input m − d times tap r + crop + 2d.

    Args:
        weight_COK: The transposed kernel.
        crop: Positions that are cropped on the left.

    Returns:
        Weight ``(2O, C, taps)``, outputs of a pair's left position first, and the number of inputs
        before the input at the position of the pair.
    """
    C, outputs, K = weight_COK.shape
    max_d, min_d = (K - 1 - crop) // 2, -((crop + 1) // 2)  # of d, over both r
    left = crop + 2 * min_d  # tap for r = 0 and the smallest d; negative if there is none
    right = 1 + crop + 2 * max_d - (K - 1)
    padded = functional.pad(weight_COK, (-left, right))
    taps = padded.view(C, outputs, -1, 2).flip(2)  # inputs in rising order have falling d
    return taps.permute(3, 1, 0, 2).reshape(2 * outputs, C, -1), max_d


# -- transformer and dense layers, on (..., C) -----------------------------------------------------


class FastLinear(FastLayer):
    """Linear layer in the dtype; the input may have another one."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x.to(self.dtype), *self.prepared())


class FastLayerNorm(FastLayer):
    """Layer norm in the dtype."""

    def forward(self, x: Tensor) -> Tensor:
        norm = self.layer
        weight, bias = self.prepared()
        return functional.layer_norm(x, norm.normalized_shape, weight, bias, norm.eps)


def fast_bottleneck(bottleneck: Bottleneck, dtype: torch.dtype) -> nn.Module:
    """Copy of the bottleneck with its position code in the dtype."""
    new = with_children(bottleneck, {})
    new._buffers = {**bottleneck._buffers, "code": bottleneck.code.to(dtype)}
    return new


class FastAttention(FastLayer):
    """Self-attention with one matrix product for query, key and value, on ``(B, T, C)``."""

    def prepare(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        attend = self.layer
        layers = (attend.query, attend.key, attend.value)
        weights, biases = zip(*map(self.cast, layers), strict=True)
        return torch.cat(weights), torch.cat(biases), *self.cast(attend.output)

    def forward(self, x_BTC: Tensor) -> Tensor:
        weight, bias, output, output_bias = self.prepared()
        heads, key_dim = self.layer.heads, self.layer.key_dim
        projected = functional.linear(x_BTC, weight, bias)
        split = projected.view(*x_BTC.shape[:2], 3, heads, key_dim)
        query_BHTK, key_BHTK, value_BHTK = split.permute(2, 0, 3, 1, 4).contiguous().unbind(0)
        scores_BHTT = query_BHTK @ key_BHTK.transpose(2, 3) / math.sqrt(key_dim)
        mixed_BHTK = torch.softmax(scores_BHTT, dim=-1) @ value_BHTK
        return functional.linear(mixed_BHTK.transpose(1, 2).flatten(2), output, output_bias)


class FastMergedAttention(FastLayer):
    """Self-attention with merged matrices, on ``(B, T, C)``.

    :mod:`crmnet.models.crmnet.inference_form` has the equations. Gradients reach the four original
    matrices.
    """

    def prepare(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        attend = self.layer
        H, C = attend.heads, attend.query.in_features
        (query, query_bias), (key, key_bias), (value, value_bias), (output, output_bias) = map(
            self.cast, (attend.query, attend.key, attend.value, attend.output)
        )
        query_HKC, key_HKC, value_HKC = (w.view(H, -1, C) for w in (query, key, value))
        scale = 1 / math.sqrt(attend.key_dim)
        scores_HDC = (key_HKC * scale).transpose(1, 2) @ query_HKC
        bias_HD = (query_bias.view(H, 1, -1) @ key_HKC * scale).flatten()
        # The bias of the keys has no effect, but DDP rejects parameters without a gradient.
        bias_HD = bias_HD + 0 * key_bias.sum()
        mixed_CHD = (output.view(C, H, -1).transpose(0, 1) @ value_HKC).transpose(0, 1)
        return (
            scores_HDC.flatten(0, 1), bias_HD,
            mixed_CHD.flatten(1), output @ value_bias + output_bias,
        )  # fmt: skip

    def forward(self, x_BTC: Tensor) -> Tensor:
        scores, scores_bias, output, output_bias = self.prepared()
        return merged_attention(
            x_BTC,
            lambda x: functional.linear(x, scores, scores_bias),
            lambda x: functional.linear(x, output, output_bias),
        )


def merged_attention(
    x_BTC: Tensor, scores: Callable[[Tensor], Tensor], output: Callable[[Tensor], Tensor]
) -> Tensor:
    """Self-attention with the inputs as keys and values: ``(B, T, C)`` → the same shape.

    Args:
        x_BTC: Inputs.
        scores: Inputs ``(B, T, C)`` → queries of all H heads ``(B, T, H C)``.
        output: Weighted means of all heads ``(B, T, H C)`` → ``(B, T, C)``.
    """
    B, T, C = x_BTC.shape
    # One row for each position and head.
    query_BRC = scores(x_BTC).view(B, -1, C)
    weights_BRT = torch.softmax(query_BRC @ x_BTC.transpose(1, 2), dim=-1)
    return output((weights_BRT @ x_BTC).view(B, T, -1))


def mergeable(attend: MultiHeadAttention) -> bool:
    """Whether merging saves operations: the heads are at least as wide as the model."""
    return attend.key_dim >= attend.query.in_features


def fast_attention(attend: MultiHeadAttention, dtype: torch.dtype) -> FastLayer:
    """The faster of the two fast versions of self-attention."""
    return (FastMergedAttention if mergeable(attend) else FastAttention)(attend, dtype)


# -- dropout ---------------------------------------------------------------------------------------


class FastDropout(FastLayer):
    """Dropout with 16 random bits per value, so its rate is a multiple of 1/65,536."""

    def forward(self, x: Tensor) -> Tensor:
        rate = self.layer.p
        if not (self.layer.training and rate):
            return x
        bits = torch.empty((x.numel() + 3) // 4, dtype=torch.int64, device=x.device).random_(
            -(2**63), None
        )
        keep_mask = bits.view(torch.int16)[: x.numel()] >= round(rate * 2**16) - 2**15
        scale = keep_mask.to(x.dtype).mul_(1 / (1 - rate))
        if x.ndim > 2 and x.stride(1) < x.stride(-1):  # channels-last, so lay out scale likewise
            return x * scale.view(x.transpose(1, -1).shape).transpose(1, -1)
        return x * scale.view(x.shape)


FAST_LAYERS: Replacements = {
    NChannel: FastNChannel,
    MotifStem: FastStem,
    ConvGate: fast_conv_gate,
    nn.BatchNorm1d: FastBatchNorm,
    DownConv: FastDown,
    UpConv: FastUp,
    Join: FastJoin,
    BiLSTM: InDtype,
    Bottleneck: fast_bottleneck,
    MultiHeadAttention: fast_attention,
    nn.LayerNorm: FastLayerNorm,
    nn.Linear: FastLinear,
    nn.Dropout: FastDropout,
}
"""Replacements of the training form; the inference form changes some of them."""
