"""The same network, rearranged to predict faster: exact up to rounding, not for training.

:func:`for_inference` takes a trained :class:`~crmnet.models.crmnet.CRMnet` and gives a module with
the same inputs and outputs. :mod:`crmnet.predict` uses it; attribution keeps to the original, whose
modules its rules know.

Attention (Vaswani et al. 2017) scores query i against key j by (W_q x_i + b_q)·(W_k x_j + b_k). The
terms that depend on i alone fall out of the softmax over j, so x_i·A x_j + u·x_j is enough, with
A = W_qᵀ W_k and u = W_kᵀ b_q; and because the weights of a row sum to one, W_v and W_o merge to one
matrix and their biases to one vector. Where heads are as wide as the model, as in the published
network, two of the four projections are gone: 27 % of all operations.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from crmnet.models.crmnet import CRMnet
from crmnet.models.layers import MultiHeadAttention, TransformerBlock


def for_inference(network: nn.Module) -> nn.Module:
    """A copy of ``network`` in evaluation mode that predicts the same, faster where it can.

    Networks other than CRMnet come back as plain copies.
    """
    network = copy.deepcopy(network).eval().requires_grad_(False)
    if isinstance(network, CRMnet):
        for module in network.modules():
            if isinstance(module, TransformerBlock) and isinstance(
                module.attend, MultiHeadAttention
            ):
                attend = module.attend
                if attend.key_dim >= attend.query.in_features:
                    module.attend = MergedAttention(attend)  # type: ignore[assignment]
    return network


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
