"""DeepSEA (Zhou & Troyanskaya 2015) as Vaishnav et al. 2022 adapted it to one regression output.

Three convolutions and dense layers: one-hot ``(B, 4, 112)`` → ``(B, n_media)``.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from crmnet.models.context import VAISHNAV_LENGTH, as_vaishnav
from crmnet.models.layers import SameConv1d, dense_layers, initialise
from crmnet.models.reference import NetworkCard
from crmnet.models.zoo.vaishnav_transformer import CONTEXT, N_POLICY

CARD = NetworkCard(
    paper="Zhou & Troyanskaya 2015, Predicting effects of noncoding variants with deep "
    "learning-based sequence model. Nature Methods 12:931; adapted by Vaishnav et al. 2022",
    parameters=7_204_769,
    published_parameters=7_204_769,
    context=CONTEXT,
    alphabet="ACGT",
    n_policy=N_POLICY,
    loss="mean squared error",
    recipe="deepsea",
    notes="The original ends in one dense layer of 925 units and has dropout 0.2, 0.2 and 0.5.",
)


@dataclass(frozen=True)
class DeepSEAConfig:
    """Settings of the network; the defaults are those of the adapted version."""

    n_media: int = 1
    filters: tuple[int, ...] = (320, 480, 960)
    kernel: int = 8
    pool: int = 3
    dense: int = 64


class DeepSEA(nn.Module):
    """The network; :class:`DeepSEAConfig` holds its settings (None: the defaults)."""

    def __init__(self, config: DeepSEAConfig | None = None) -> None:
        super().__init__()
        c = config or DeepSEAConfig()
        first, second, third = c.filters
        positions = -(-VAISHNAV_LENGTH // c.pool)
        self.network = nn.Sequential(
            SameConv1d(4, first, c.kernel),
            nn.ReLU(),
            nn.MaxPool1d(c.pool, ceil_mode=True),
            SameConv1d(first, second, c.kernel),
            nn.ReLU(),
            SameConv1d(second, third, c.kernel),
            nn.ReLU(),
            nn.Flatten(),
            *dense_layers(positions * third, [c.dense] * 2, c.n_media),
        )
        initialise(self)

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Outputs ``(B, n_media)`` in the unit of training, from one-hot ``(B, 4, 112)``."""
        return self.network(as_vaishnav(x_BCL))
