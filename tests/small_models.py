"""Small models whose predictions are known."""

import numpy as np
import torch
from torch import nn

from crmnet.prediction.predictor import Predictor


class Additive(nn.Module):
    """Sum of a weight for each base at each position, for two media; optionally squared."""

    def __init__(self, length=112, power=1, seed=0):
        super().__init__()
        weights = np.random.default_rng(seed).normal(0, 0.2, (2, 4, length))
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32))
        self.power = power

    def forward(self, x):
        sums = torch.einsum("bal,mal->bm", x, self.weights[..., : x.shape[2]])
        return sums**self.power


def additive(power=1, seed=0):
    """A predictor of :class:`Additive`, with the media a and b."""
    return Predictor(Additive(power=power, seed=seed), ["a", "b"], torch.device("cpu"))
