"""What a network of the zoo sees of a construct: its own length, side of padding, N, and context.

Takes the one-hot that all networks here take, ``(B, 4, 112)`` with the construct on the left, and
gives what the authors of a network fed theirs. Runs inside the networks, so that callers need not
know.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crmnet.sequence import LENGTH

VAISHNAV_LENGTH = 110
PLASMID_LENGTH = 150
PLASMID_5 = "TCAGGGCGATGGCCCACTACGTGAACCATCACCCTAATCAAGTGCTAGCAGGAATGATGCAAAAGGTTCCCGATTCGAAC"
"""The 80 bases of the assay's plasmid in front of the 5' adapter."""


def check_one_hot(x_BCL: Tensor, marks: int = 0) -> None:
    """Refuse what is not ``(B, 4, 112)``, or has not all of a network's further channels.

    Raises:
        ValueError: Naming the shape.
    """
    if x_BCL.ndim != 3 or x_BCL.shape[1] not in (4, 4 + marks) or x_BCL.shape[2] != LENGTH:
        raise ValueError(f"input must be one-hot (batch, 4, {LENGTH}); got {tuple(x_BCL.shape)}")


def right_aligned(x_BCL: Tensor) -> Tensor:
    """Move each row so that its last base stands at the last position; padding comes in front."""
    length = x_BCL.shape[2]
    places = torch.arange(length, device=x_BCL.device)
    lengths_B = ((x_BCL != 0).any(dim=1) * (places + 1)).amax(dim=1, keepdim=True)
    # In front of a row's own start the index is negative, and modulo L it points to padding.
    source_BL = (places - (length - lengths_B)) % length
    return x_BCL.gather(2, source_BL[:, None].expand_as(x_BCL))


def fill_n(x_BCL: Tensor, value: float) -> Tensor:
    """Put ``value`` into all four channels where the base is N."""
    return x_BCL + value * (1 - x_BCL.sum(dim=1, keepdim=True))


def as_vaishnav(x_BCL: Tensor) -> Tensor:
    """``(B, 4, 110)``: the last 110 positions, padded on the left, N as four ones.

    So in the code of Vaishnav et al. 2022, for their own networks and the baselines they adapted.
    """
    check_one_hot(x_BCL)
    return fill_n(right_aligned(x_BCL)[:, :, -VAISHNAV_LENGTH:], 1.0)


class DreamInput(nn.Module):
    """The input of the DREAM 2022 winners: ``(B, 4 or 6, 112)`` → ``(B, 6, 150)``.

    The plasmid in front of the construct fills 150 positions. Channels 5 and 6 are constant along
    a row: is_reverse, 1 where the other strand is shown, and is_singleton, 1 where a training
    label comes from a single cell. They are 0 where the input has but four channels; where it has
    six, the sequence is still given as its forward strand and is turned here, context and all.
    """

    MARKS = 2
    plasmid: Tensor

    def __init__(self, alphabet: str = "ACGT", n_value: float = 0.0) -> None:
        super().__init__()
        plasmid = torch.tensor(["ACGT".index(base) for base in PLASMID_5])
        one_hot = nn.functional.one_hot(plasmid, 4).float().T
        self.register_buffer("plasmid", one_hot, persistent=False)
        self.order, self.n_value = ["ACGT".index(base) for base in alphabet], n_value

    def forward(self, x_BCL: Tensor) -> Tensor:
        check_one_hot(x_BCL, self.MARKS)
        marks_BCL = x_BCL[:, 4:, :1]
        if not marks_BCL.shape[1]:
            marks_BCL = x_BCL.new_zeros(len(x_BCL), self.MARKS, 1)
        plasmid = self.plasmid.to(x_BCL.dtype).expand(len(x_BCL), -1, -1)
        bases_BCL = right_aligned(torch.cat([plasmid, x_BCL[:, :4]], dim=2))
        bases_BCL = fill_n(bases_BCL[:, :, -PLASMID_LENGTH:], self.n_value)
        reverse = marks_BCL[:, :1]
        bases_BCL = bases_BCL * (1 - reverse) + bases_BCL.flip(1, 2) * reverse
        marks_BCL = marks_BCL.expand(-1, -1, PLASMID_LENGTH)
        return torch.cat([bases_BCL[:, self.order], marks_BCL], dim=1)
