"""Models whose best sequences are known, for the tests of designs."""

import numpy as np
import torch
from torch import nn

from crmnet.design.problem import Starts
from crmnet.models.ensemble import Ensemble
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import N_TOKEN


class Linear(nn.Module):
    """The sum of a weight for each base at each position, one output per medium."""

    def __init__(self, seed=0, media=1, length=112, first=0, stop=None):
        super().__init__()
        weights = torch.randn(media, 4, length, generator=torch.Generator().manual_seed(seed))
        weights[:, :, :first] = 0
        if stop is not None:
            weights[:, :, stop:] = 0
        self.weights = nn.Parameter(weights)

    def forward(self, x_BCL):
        return torch.einsum("bcl,mcl->bm", x_BCL, self.weights[:, :, : x_BCL.shape[2]])

    def best(self, width, first=17, medium=0):
        """The insert with the largest sum."""
        own = self.weights[medium, :, first : first + width].detach()
        return own.argmax(dim=0).numpy().astype(np.uint8)


def linear_predictor(seed=0, media=("complex",), members=1):
    """A predictor of one linear network, or of an ensemble."""
    networks = [Linear(seed + number, len(media)) for number in range(members)]
    model = networks[0] if members == 1 else Ensemble(networks)
    return Predictor(model.eval(), list(media), torch.device("cpu"))


def random_starts(chains=4, width=24, seed=0, targets=None):
    """Random starts, all of whose positions may change."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(4, size=(chains, width), dtype=np.uint8)
    return Starts(
        tokens, np.full(chains, width), np.full((chains, width), N_TOKEN, np.uint8),
        np.ones((chains, width), bool),
        np.full(chains, np.nan) if targets is None else np.resize(targets, chains),
        [f"random {number + 1}" for number in range(chains)], np.ones(chains, np.int64),
    )  # fmt: skip
