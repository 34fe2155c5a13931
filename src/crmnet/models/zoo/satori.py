"""A SATORI network (Ullah & Ben-Hur 2021): convolution, bidirectional LSTM, self-attention.

The original derives cooperativity between filters from the attention. Adapted to one expression per
medium from 112 positions: one-hot ``(B, 4, 112)`` → ``(B, n_media)``.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from crmnet.models.context import check_one_hot
from crmnet.models.layers import MultiHeadAttention, initialise
from crmnet.models.reference import NetworkCard

CARD = NetworkCard(
    paper="Ullah & Ben-Hur 2021, A self-attention model for inferring cooperativity between "
    "regulatory features. Nucleic Acids Research 49:e77",
    parameters=381_841,
    published_parameters=None,
    context="all 112 positions",
    alphabet="ACGT",
    n_policy="zeros",
    loss="mean squared error of standardised labels (the original classifies)",
    recipe="satori",
    notes="An adaptation. The original classifies longer sequences and pools more positions.",
)


@dataclass(frozen=True)
class SatoriConfig:
    """Settings of the network; the default widths are our choice."""

    n_media: int = 1
    filters: int = 200
    kernel: int = 13
    pool: int = 4
    units: int = 100
    """Units of the LSTM, per direction."""
    heads: int = 4
    key_dim: int = 32
    dense: int = 128
    dropout: float = 0.2


class Satori(nn.Module):
    """The network; :class:`SatoriConfig` holds its settings (None: the defaults)."""

    def __init__(self, config: SatoriConfig | None = None) -> None:
        super().__init__()
        c = config or SatoriConfig()
        width = 2 * c.units
        self.motifs = nn.Sequential(
            nn.Conv1d(4, c.filters, c.kernel, padding="same"),
            nn.BatchNorm1d(c.filters),
            nn.ReLU(),
            nn.MaxPool1d(c.pool),
            nn.Dropout(c.dropout),
        )
        self.lstm = nn.LSTM(c.filters, c.units, batch_first=True, bidirectional=True)
        self.attend = MultiHeadAttention(width, c.heads, c.key_dim)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Sequential(
            nn.Linear(width, c.dense),
            nn.ReLU(),
            nn.Dropout(c.dropout),
            nn.Linear(c.dense, c.n_media),
        )
        initialise(self)

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Outputs ``(B, n_media)`` in the unit of training, from one-hot ``(B, 4, 112)``."""
        check_one_hot(x_BCL)
        x_BLC, _ = self.lstm(self.motifs(x_BCL).transpose(1, 2))
        return self.head(self.norm(x_BLC + self.attend(x_BLC)).mean(dim=1))
