"""Small models whose predictions are known, for tests of variants."""

import numpy as np
import torch
from torch import nn

from crmnet.prediction.predictor import Predictor


class Additive(nn.Module):
    """Sum of a weight for each base at each position, for two media, to a power."""

    def __init__(self, power=1, length=112, seed=0):
        super().__init__()
        weights = np.random.default_rng(seed).normal(0, 0.2, (2, 4, length))
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32))
        self.power = power

    def forward(self, x):
        return torch.einsum("bal,mal->bm", x, self.weights[..., : x.shape[2]]) ** self.power


def additive_predictor(power=1):
    """A predictor of :class:`Additive`, with the media a and b."""
    return Predictor(Additive(power), ["a", "b"], torch.device("cpu"))


class Views(nn.Module):
    """A network of one view that sees every position: a random linear map with a bend."""

    def __init__(self, seed):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer("weights", torch.randn(4 * 112, 2, generator=generator) / 10)

    def forward(self, x):
        return torch.tanh(x.flatten(1) @ self.weights) * 5
