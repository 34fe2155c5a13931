"""DanQ (Quang & Xie 2016) with one regression output per medium.

A convolution of wide filters, a bidirectional LSTM and one dense layer: one-hot ``(B, 4, 112)`` →
``(B, n_media)``.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from crmnet.models.context import VAISHNAV_LENGTH, as_vaishnav
from crmnet.models.layers import BiLSTM, dense_layers, initialise, motif_layers
from crmnet.models.reference import NetworkCard
from crmnet.models.zoo.vaishnav_transformer import CONTEXT, N_POLICY

CARD = NetworkCard(
    paper="Quang & Xie 2016, DanQ: a hybrid convolutional and recurrent deep neural network for "
    "quantifying the function of DNA sequences. Nucleic Acids Research 44:e107",
    parameters=5_228_411,
    published_parameters=None,
    context=CONTEXT,
    alphabet="ACGT",
    n_policy=N_POLICY,
    loss="mean squared error",
    recipe="danq",
    notes="Vaishnav et al. 2022 do not report the sizes of their adapted version. The sizes are "
    "those of the original, which has 919 outputs from 1,000 bases instead of one from 110.",
)


@dataclass(frozen=True)
class DanQConfig:
    """Settings of the network; the defaults are those of the original."""

    n_media: int = 1
    filters: int = 320
    kernel: int = 26
    pool: int = 13
    units: int = 320
    """Units of the LSTM, per direction."""
    dense: int = 925
    conv_dropout: float = 0.2
    lstm_dropout: float = 0.5


class DanQ(nn.Module):
    """The network; :class:`DanQConfig` holds its settings (None: the defaults)."""

    def __init__(self, config: DanQConfig | None = None) -> None:
        super().__init__()
        c = config or DanQConfig()
        positions = (VAISHNAV_LENGTH - c.kernel + 1) // c.pool
        self.motifs = motif_layers(c.filters, c.kernel, c.pool, c.conv_dropout)
        self.lstm = BiLSTM(c.filters, c.units)
        self.head = nn.Sequential(
            nn.Dropout(c.lstm_dropout),
            nn.Flatten(),
            *dense_layers(positions * 2 * c.units, [c.dense], c.n_media),
        )
        initialise(self)

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Outputs ``(B, n_media)`` in the unit of training, from one-hot ``(B, 4, 112)``."""
        x_BCL = self.motifs(as_vaishnav(x_BCL))
        return self.head(self.lstm(x_BCL.transpose(1, 2)))
