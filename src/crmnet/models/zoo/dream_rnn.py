"""DREAM-RNN: convolutions of two widths, a bidirectional LSTM, and such convolutions again.

Rafi et al., Nature Biotechnology 2025. Input and output as those of
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
    notes="The LSTM has torch's two biases a gate, as the published count does.",
)


@dataclass(frozen=True)
class DreamRNNConfig:
    """Widths of the network; the defaults are the published ones."""

    n_media: int = 1
    """Outputs; with soft bins the table makes 18 for each medium."""
    filters: int = 160
    """Of each of the two convolutions, in front of the LSTM and behind it."""
    units: int = 320
    """Of the LSTM, each way."""
    conv_dropout: float = 0.2
    dropout: float = 0.5
    """Before the head."""


class DreamRNN(nn.Module):
    """The network; see the module's docstring and :class:`DreamRNNConfig`."""

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
        """One-hot ``(B, 4, 112)`` → ``(B, n_media)``, in the unit of training."""
        x_BCL = self.first(self.input(x_BCL))
        x_BLC, _ = self.lstm(x_BCL.transpose(1, 2))
        x_BCL = self.dropout(self.second(x_BLC.transpose(1, 2)))
        return self.head(x_BCL).mean(dim=2)
