"""DeepLIFT form of a network: the same function, built from modules with DeepLIFT rules.

DeepLIFT attaches a rule to each nonlinear module of torch (``nn.ReLU``, ``nn.GLU``, …). It treats
everything else as linear: products of two values, LSTMs, functions without a module. Attributions
through such a layer are wrong. :func:`for_deeplift` rewrites these layers with the same weights and
the same results up to rounding, so that every nonlinear step has its rule.

:mod:`crmnet.prediction.module` wraps this form, for attribution in this package and for tangermeme
and captum.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from crmnet.models.crmnet.network import ReadOut
from crmnet.models.crmnet.stem import MAX_SCORE, MotifStem
from crmnet.models.layers import (
    BinMean,
    HardSigmoidLSTM,
    MultiHeadAttention,
    SqueezeExcitation,
)
from crmnet.sequence import BINS


def for_deeplift(network: nn.Module) -> nn.Module:
    """Copy in evaluation mode, without gradients of weights, whose layers have DeepLIFT rules.

    The layers of CRMnet and of :mod:`crmnet.models.layers` are rewritten. Some networks of the zoo
    have other layers without a rule; large convergence deltas of DeepLIFT show this.
    """
    container = nn.Sequential(copy.deepcopy(network).eval().requires_grad_(False))
    for name, module in list(container.named_modules()):
        replacement = _rewritten(module)
        if replacement is not None:  # nested layers keep their names, so the loop reaches them
            container.set_submodule(name, replacement.eval())
    return container[0]


def _rewritten(layer: nn.Module) -> nn.Module | None:
    """An equivalent layer with DeepLIFT rules; None if no replacement is needed."""
    match layer:
        case SqueezeExcitation():
            return Gate(layer)
        case MotifStem():
            return Scan(layer)
        case nn.LSTM(num_layers=1, bidirectional=True, batch_first=True):
            return Recurrence(layer)
        case HardSigmoidLSTM():
            return HardRecurrence(layer)
        case MultiHeadAttention():
            return Attention(layer)
        case BinMean():
            return SoftBins(layer)
        case ReadOut(readout="mean-max"):
            return MeanAndMax()
    return None


class Gate(nn.Module):
    """:class:`~crmnet.models.layers.SqueezeExcitation`: its product with sigmoids is a GLU."""

    def __init__(self, layer: SqueezeExcitation) -> None:
        super().__init__()
        self.squeeze, self.relu, self.excite = layer.squeeze, layer.relu, layer.excite
        self.glu = nn.GLU(dim=1)

    def forward(self, x_BCL: Tensor) -> Tensor:
        gates_BC = self.excite(self.relu(self.squeeze(x_BCL.mean(dim=2))))
        return self.glu(torch.cat([x_BCL, gates_BC.unsqueeze(2).expand_as(x_BCL)], dim=1))


class Scan(nn.Module):
    """:class:`~crmnet.models.crmnet.stem.MotifStem`: its capped exponential is an ELU.

    With h = :data:`~crmnet.models.crmnet.stem.MAX_SCORE`,
    exp(min(s, h)) = exp(h) · (ELU(−ReLU(h − s)) + 1).
    """

    weight: Tensor

    def __init__(self, layer: MotifStem) -> None:
        super().__init__()
        self.register_buffer("weight", layer.both_strands())
        self.norm, self.mix = layer.norm, layer.mix
        self.relu, self.elu = nn.ReLU(), nn.ELU()

    def forward(self, x_BCL: Tensor) -> Tensor:
        scores_BFL = functional.conv1d(x_BCL, self.weight, padding="same")
        # One row for each strand, normalised together.
        scores_RFL = self.norm(scores_BFL.view(-1, len(self.weight) // 2, x_BCL.shape[2]))
        below_RFL = self.relu(MAX_SCORE - scores_RFL)
        return self.mix((math.exp(MAX_SCORE) * (self.elu(-below_RFL) + 1)).view_as(scores_BFL))


class Recurrence(nn.Module):
    """A bidirectional ``nn.LSTM``, step by step: its gates are GLUs.

    Both directions are computed together. Shape suffixes: D direction, U unit, G unit of a gate.
    """

    input_weight: Tensor
    hidden_weight: Tensor
    bias: Tensor

    def __init__(self, lstm: nn.LSTM | HardSigmoidLSTM) -> None:
        super().__init__()
        self.register_buffer("input_weight", _forget_first(lstm, "weight_ih"))
        self.register_buffer("hidden_weight", _forget_first(lstm, "weight_hh"))
        bias = torch.zeros(self.hidden_weight.shape[:2])
        if isinstance(lstm, nn.LSTM) and lstm.bias:
            bias = _forget_first(lstm, "bias_ih") + _forget_first(lstm, "bias_hh")
        self.register_buffer("bias", bias)
        self.tanh, self.glu = nn.Tanh(), nn.GLU(dim=2)

    def gated(self, values_BDU: Tensor, gates_BDU: Tensor) -> Tensor:
        """Values times the sigmoids of gates."""
        return self.glu(torch.cat([values_BDU, gates_BDU], dim=2))

    def forward(self, x_BLC: Tensor) -> tuple[Tensor, None]:
        """The outputs of ``nn.LSTM``, ``(B, L, 2 U)``, and None instead of its last state."""
        x_BLDC = torch.stack([x_BLC, x_BLC.flip(1)], dim=2)
        inputs_BLDG = torch.einsum("bldc,dgc->bldg", x_BLDC, self.input_weight) + self.bias
        U = self.hidden_weight.shape[2]
        hidden_BDU = cell_BDU = inputs_BLDG.new_zeros(len(x_BLC), 2, U)
        steps = []
        for inputs_BDG in inputs_BLDG.unbind(1):
            gates_BDG = inputs_BDG + torch.einsum("bdu,dgu->bdg", hidden_BDU, self.hidden_weight)
            forget_input, candidate = gates_BDG[..., : 2 * U], gates_BDG[..., 2 * U : 3 * U]
            values = torch.cat([cell_BDU, self.tanh(candidate)], dim=2)
            cell_BDU = self.gated(values, forget_input).view(-1, 2, 2, U).sum(2)
            hidden_BDU = self.gated(self.tanh(cell_BDU), gates_BDG[..., 3 * U :])
            steps.append(hidden_BDU)
        forward_BLU, backward_BLU = torch.stack(steps, dim=1).unbind(2)
        return torch.cat([forward_BLU, backward_BLU.flip(1)], dim=2), None


class HardRecurrence(Recurrence):
    """:class:`~crmnet.models.layers.HardSigmoidLSTM`: a gate is two ReLUs and a product."""

    def __init__(self, lstm: HardSigmoidLSTM) -> None:
        super().__init__(lstm)
        self.above_zero, self.above_one, self.multiply = nn.ReLU(), nn.ReLU(), product()

    def gated(self, values_BDU: Tensor, gates_BDU: Tensor) -> Tensor:
        """Values times the hard sigmoids of gates: clip(u, 0, 1) = ReLU(u) − ReLU(u − 1)."""
        u = 0.2 * gates_BDU + 0.5
        gates_BDU = self.above_zero(u) - self.above_one(u - 1)
        # Products of 1 × 1 matrices, for which the matrix product has a rule.
        return self.multiply(values_BDU[..., None, None], gates_BDU[..., None, None])[..., 0, 0]


def _forget_first(lstm: nn.LSTM | HardSigmoidLSTM, name: str) -> Tensor:
    """A parameter in both directions, ``(2, 4 U, …)``, with torch's first two gates exchanged.

    torch's order is input, forget, candidate, output.
    """
    directions = []
    for suffix in ("_l0", "_l0_reverse"):
        input_, forget, candidate, output = getattr(lstm, name + suffix).detach().chunk(4)
        directions.append(torch.cat([forget, input_, candidate, output]))
    return torch.stack(directions)


class Attention(nn.Module):
    """:class:`~crmnet.models.layers.MultiHeadAttention`: its matrix products are modules."""

    def __init__(self, layer: MultiHeadAttention) -> None:
        super().__init__()
        self.query, self.key, self.value = layer.query, layer.key, layer.value
        self.output, self.softmax = layer.output, nn.Softmax(dim=-1)
        self.scores, self.mix = product(), product()
        self.heads, self.scale = layer.heads, 1 / math.sqrt(layer.key_dim)

    def forward(self, x_BTC: Tensor) -> Tensor:
        q_BHTK, k_BHTK, v_BHTK = (
            projection(x_BTC).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for projection in (self.query, self.key, self.value)
        )
        weights_BHTT = self.softmax(self.scores(q_BHTK * self.scale, k_BHTK.transpose(2, 3)))
        return self.output(self.mix(weights_BHTT, v_BHTK).transpose(1, 2).flatten(2))


class Product(nn.Module):
    """A matrix product as a module."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return left @ right


def product() -> nn.Module:
    """A module that multiplies two matrices.

    tangermeme's module has a DeepLIFT rule; without tangermeme it is a module without a rule.
    """
    try:
        from tangermeme.deep_lift_shap import BilinearOp
    except ModuleNotFoundError:
        return Product()
    operation: nn.Module = BilinearOp()
    return operation


class SoftBins(nn.Module):
    """:class:`~crmnet.models.layers.BinMean`: its softmax is a module."""

    bins: Tensor

    def __init__(self, layer: BinMean) -> None:
        super().__init__()
        self.network, self.has_marks = layer.network, layer.has_marks
        self.softmax = nn.Softmax(dim=-1)
        self.register_buffer("bins", torch.arange(BINS, dtype=torch.float32))

    def forward(self, x_BCL: Tensor) -> Tensor:
        shares_BMK = self.softmax(self.network(x_BCL).unflatten(1, (-1, BINS)))
        return (shares_BMK * self.bins).sum(dim=-1)


class MeanAndMax(nn.Module):
    """:class:`~crmnet.models.crmnet.network.ReadOut` as ``mean-max``: its maximum is a pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool1d(1)

    def forward(self, x_BLC: Tensor) -> Tensor:
        self.pool.kernel_size = self.pool.stride = x_BLC.shape[1]  # all positions
        highest_BC = self.pool(x_BLC.transpose(1, 2)).squeeze(2)
        return torch.cat([x_BLC.mean(dim=1), highest_BC], dim=1)
