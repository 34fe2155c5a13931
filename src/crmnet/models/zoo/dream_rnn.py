"""DREAM-RNN: convolutions of two widths, a bidirectional LSTM, convolutions of two widths.

Source: Rafi et al., Nature Biotechnology 2025. Input and output are those of
:mod:`crmnet.models.zoo.legnet`.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from crmnet.models.context import DreamInput
from crmnet.models.reference import NetworkCard
from crmnet.models.zoo.dream_cnn import CARD as CNN_CARD
from crmnet.models.zoo.dream_cnn import PAPER, TwoWidthConv

CARD = NetworkCard(
    paper=PAPER,
    parameters=4_130_578,
    published_parameters=4_130_578,
    context=CNN_CARD.context,
    alphabet="ACGT",
    n_policy=CNN_CARD.n_policy,
    loss=CNN_CARD.loss,
    recipe="dream-rnn",
    notes="The LSTM has torch's two biases per gate, which the published number includes.",
)


@dataclass(frozen=True)
class DreamRNNConfig:
    """Settings of the network; the defaults are the published ones."""

    n_media: int = 1
    """Outputs; with soft bins :func:`crmnet.models.build` sets 18 per medium."""
    filters: int = 160
    """Filters of each convolution, before and after the LSTM."""
    units: int = 320
    """Units of the LSTM, per direction."""
    conv_dropout: float = 0.2
    dropout: float = 0.5
    """Dropout rate before the output layer."""


class DreamRNN(nn.Module):
    """The network; :class:`DreamRNNConfig` holds its settings (None: the defaults)."""

    has_marks = True

    def __init__(self, config: DreamRNNConfig | None = None) -> None:
        super().__init__()
        c = config or DreamRNNConfig()
        self.input = DreamInput()
        self.first = TwoWidthConv(6, c.filters, c.conv_dropout)
        self.lstm = nn.LSTM(2 * c.filters, c.units, batch_first=True, bidirectional=True)
        self.second = TwoWidthConv(2 * c.units, c.filters, c.conv_dropout)
        self.dropout = nn.Dropout(c.dropout)
        self.head = nn.Conv1d(2 * c.filters, c.n_media, 1)

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Outputs ``(B, n_media)`` from one-hot ``(B, 4, 112)``, or with marks ``(B, 6, 112)``."""
        x_BCL = self.first(self.input(x_BCL))
        x_BLC, _ = self.lstm(x_BCL.transpose(1, 2))
        x_BCL = self.dropout(self.second(x_BLC.transpose(1, 2)))
        return self.head(x_BCL).mean(dim=2)
