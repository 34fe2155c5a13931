"""DeepATT (Li et al. 2021) as Vaishnav et al. 2022 adapted it to one regression output.

A convolution, a bidirectional LSTM and self-attention with ReLU: one-hot ``(B, 4, 112)`` →
``(B, n_media)``.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from crmnet.models.context import VAISHNAV_LENGTH, as_vaishnav
from crmnet.models.layers import (
    BiLSTM,
    GateFunction,
    dense_layers,
    initialise,
    motif_layers,
    rectified_attention,
)
from crmnet.models.reference import NetworkCard
from crmnet.models.zoo.vaishnav_transformer import CONTEXT, N_POLICY

CARD = NetworkCard(
    paper="Li et al. 2021, DeepATT: a hybrid category attention neural network for identifying "
    "functional effects of DNA sequences. Briefings in Bioinformatics 22:bbaa159; adapted by "
    "Vaishnav et al. 2022",
    parameters=84_273,
    published_parameters=84_273,
    context=CONTEXT,
    alphabet="ACGT",
    n_policy=N_POLICY,
    loss="mean squared error",
    recipe="deepatt",
    notes="The gates of the LSTM are sigmoids, for which torch has a fused kernel. Those of the "
    "adapted version are hard sigmoids: gate=hard-sigmoid, which the published weights have "
    "(crmnet data fetch deepatt-vaishnav). The original ends in one dense layer of 100 units.",
)


@dataclass(frozen=True)
class DeepATTConfig:
    """Settings of the network; the defaults are those of the adapted version."""

    n_media: int = 1
    filters: int = 256
    kernel: int = 30
    pool: int = 3
    units: int = 16
    """Units of the LSTM, per direction; the attention is as wide as both directions together."""
    gate: GateFunction = "sigmoid"
    """Function of the LSTM's gates; the published weights need ``hard-sigmoid``."""
    heads: int = 16
    dense: int = 16
    dropout: float = 0.2


class DeepATT(nn.Module):
    """The network; :class:`DeepATTConfig` holds its settings (None: the defaults)."""

    def __init__(self, config: DeepATTConfig | None = None) -> None:
        super().__init__()
        c = config or DeepATTConfig()
        width = 2 * c.units
        positions = (VAISHNAV_LENGTH - c.kernel + 1) // c.pool
        self.motifs = motif_layers(c.filters, c.kernel, c.pool, c.dropout)
        self.lstm = BiLSTM(c.filters, c.units, c.gate)
        self.attend = rectified_attention(width, c.heads, width // c.heads)
        self.head = nn.Sequential(
            nn.Dropout(c.dropout),
            nn.Flatten(),
            *dense_layers(positions * width, [c.dense] * 2, c.n_media),
        )
        initialise(self)

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Outputs ``(B, n_media)`` in the unit of training, from one-hot ``(B, 4, 112)``."""
        x_BCL = self.motifs(as_vaishnav(x_BCL))
        return self.head(self.attend(self.lstm(x_BCL.transpose(1, 2))))
