"""Inference form of DeepATT on a CPU: the same predictions up to rounding, in half the time.

:mod:`crmnet.models.inference_form` uses :class:`DeepATTForm` for predictions.

Three things differ from :class:`~crmnet.models.zoo.deepatt.DeepATT`. The convolution reads four
channels, too few for the convolution kernels of a CPU, so it is one matrix product of all windows,
and the ReLU follows the pooling. The factor and summand of the hard sigmoid are part of the LSTM's
weights. The projections of the attention are one matrix product.

Shape suffixes as in :mod:`crmnet.models.layers`; D direction, G unit of a gate.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from crmnet.models.context import as_vaishnav
from crmnet.models.layers import HardSigmoidLSTM, MultiHeadAttention
from crmnet.models.zoo.deepatt import DeepATT

BATCH_SIZE = 256
"""Sequences per forward pass; more do not fit the cache of a CPU."""


class DeepATTForm(nn.Module):
    """DeepATT for prediction on a CPU in float32: ``(B, 4, 112)`` → ``(B, n_media)``.

    Args:
        network: The network, whose weights are copied.
    """

    def __init__(self, network: DeepATT) -> None:
        super().__init__()
        self.motifs = Motifs(network.motifs)
        lstm = network.lstm
        self.lstm = HardLSTM(lstm.lstm) if isinstance(lstm.lstm, HardSigmoidLSTM) else lstm
        self.attend = RectifiedAttention(network.attend)
        self.head = network.head

    def forward(self, x_BCL: Tensor) -> Tensor:
        parts = torch.split(x_BCL, BATCH_SIZE)
        return torch.cat([self.head(self.attend(self.lstm(self.motifs(part)))) for part in parts])


class Motifs(nn.Module):
    """Convolution, ReLU and max-pooling: one-hot ``(B, 4, 112)`` → ``(B, T, C)``.

    Args:
        layers: What :func:`~crmnet.models.layers.motif_layers` returns.
    """

    weight_KC: Tensor
    bias_C: Tensor

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        conv, pool = cast(nn.Conv1d, layers[0]), cast(nn.MaxPool1d, layers[2])
        self.kernel, self.pool = conv.kernel_size[0], int(pool.kernel_size)  # type: ignore[arg-type]
        assert conv.bias is not None
        weight_CLK = conv.weight.detach().permute(2, 1, 0)  # a window lists its bases in order
        self.register_buffer("weight_KC", weight_CLK.flatten(0, 1).contiguous())
        self.register_buffer("bias_C", conv.bias.detach())

    def forward(self, x_BCL: Tensor) -> Tensor:
        channels = x_BCL.shape[1]
        bases = as_vaishnav(x_BCL).transpose(1, 2).flatten(1)  # the channels of a base side by side
        windows = bases.unfold(1, channels * self.kernel, channels)
        windows = windows[:, : windows.shape[1] // self.pool * self.pool]
        matches = torch.addmm(self.bias_C, windows.flatten(0, 1), self.weight_KC)
        return matches.view(len(x_BCL), -1, self.pool, len(self.bias_C)).amax(2).clamp_min_(0)


class HardLSTM(nn.Module):
    """:class:`~crmnet.models.layers.HardSigmoidLSTM` after the extra input of BiLSTM."""

    input_CG: Tensor
    bias_G: Tensor
    hidden_DUG: Tensor

    def __init__(self, lstm: HardSigmoidLSTM) -> None:
        super().__init__()
        directions = ("_l0", "_l0_reverse")
        inputs = [_hard_gates(getattr(lstm, "weight_ih" + end)) for end in directions]
        hidden = [_hard_gates(getattr(lstm, "weight_hh" + end)).T for end in directions]
        self.units = hidden[0].shape[0]
        # The last input of BiLSTM is always 1, so its weight is the bias.
        half = inputs[0].new_zeros(4 * self.units)
        half[: 3 * self.units] = 0.5
        self.register_buffer("input_CG", torch.cat([w[:, :-1] for w in inputs]).T.contiguous())
        self.register_buffer("bias_G", torch.cat([w[:, -1] + half for w in inputs]))
        self.register_buffer("hidden_DUG", torch.stack(hidden))

    def forward(self, x_BTC: Tensor) -> Tensor:
        """Outputs ``(B, T, 2 U)``."""
        B, T, C = x_BTC.shape
        U = self.units
        inputs = torch.addmm(self.bias_G, x_BTC.reshape(B * T, C), self.input_CG)
        inputs_TDBG = inputs.view(B, T, 2, 4 * U).permute(1, 2, 0, 3).contiguous()
        cell_DBU = hidden_DBU = x_BTC.new_zeros(2, B, U)
        output_BTDU = x_BTC.new_empty(B, T, 2, U)
        for t in range(T):
            inputs_DBG = torch.stack([inputs_TDBG[t, 0], inputs_TDBG[T - 1 - t, 1]])
            gates_DBG = torch.baddbmm(inputs_DBG, hidden_DBU, self.hidden_DUG)
            hard_DBG = gates_DBG[..., : 3 * U].clamp_(0, 1)
            input_, forget, output = hard_DBG.chunk(3, dim=2)
            cell_DBU = torch.addcmul(forget * cell_DBU, input_, gates_DBG[..., 3 * U :].tanh_())
            hidden_DBU = output * torch.tanh(cell_DBU)
            output_BTDU[:, t, 0], output_BTDU[:, T - 1 - t, 1] = hidden_DBU
        return output_BTDU.flatten(2)


def _hard_gates(weight_GC: Tensor) -> Tensor:
    """Weights in the order input, forget, output, candidate; the first three times 0.2."""
    input_, forget, candidate, output = weight_GC.detach().chunk(4)
    return torch.cat([0.2 * input_, 0.2 * forget, 0.2 * output, candidate])


class RectifiedAttention(nn.Module):
    """:func:`~crmnet.models.layers.rectified_attention`: ``(B, T, C)`` → the same shape."""

    weight: Tensor
    bias: Tensor

    def __init__(self, attention: MultiHeadAttention) -> None:
        super().__init__()
        layers = [getattr(attention, name)[0] for name in ("query", "key", "value")]
        self.heads, self.key_dim = attention.heads, attention.key_dim
        self.register_buffer("weight", torch.cat([layer.weight for layer in layers]).detach())
        self.register_buffer("bias", torch.cat([layer.bias for layer in layers]).detach())
        self.output = attention.output

    def forward(self, x_BTC: Tensor) -> Tensor:
        B, T, _ = x_BTC.shape
        projected = functional.relu_(functional.linear(x_BTC, self.weight, self.bias))
        projected = projected.view(B, T, 3, self.heads, self.key_dim).permute(2, 0, 3, 1, 4)
        q_BHTK, k_BHTK, v_BHTK = projected.contiguous()
        scores_BHTT = (q_BHTK / math.sqrt(self.key_dim)) @ k_BHTK.transpose(2, 3)
        mixed_BHTK = torch.softmax(scores_BHTT, dim=-1) @ v_BHTK
        return self.output(mixed_BHTK.transpose(1, 2).flatten(2))
