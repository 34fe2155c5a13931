"""Converts the common input to the input of each published network of the zoo.

The common input is one-hot ``(B, 4, 112)`` with the construct on the left and padding on the right.
Published networks differ in length, padding, values at N and context. The networks of
:mod:`crmnet.models.zoo` call these functions in their forward pass, so callers give the same input
to all networks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crmnet.sequence import LENGTH

VAISHNAV_LENGTH = 110
"""Positions of the input of Vaishnav et al. 2022."""
PLASMID_LENGTH = 150
"""Positions of the input of the DREAM networks: bases of the plasmid, then the construct."""
PLASMID_5 = "TCAGGGCGATGGCCCACTACGTGAACCATCACCCTAATCAAGTGCTAGCAGGAATGATGCAAAAGGTTCCCGATTCGAAC"
"""The 80 bases of the assay's plasmid upstream of the 5' adapter."""


def check_one_hot(x_BCL: Tensor, marks: int = 0) -> None:
    """Check that an input has the shape ``(B, 4, 112)`` or ``(B, 4 + marks, 112)``.

    Args:
        x_BCL: The input.
        marks: Number of optional extra channels; see :class:`DreamInput`.

    Raises:
        ValueError: If it has another shape; the message names it.
    """
    if x_BCL.ndim != 3 or x_BCL.shape[1] not in (4, 4 + marks) or x_BCL.shape[2] != LENGTH:
        raise ValueError(f"input must be one-hot (batch, 4, {LENGTH}); got {tuple(x_BCL.shape)}")


def right_aligned(x_BCL: Tensor) -> Tensor:
    """Move the padding of each row to the left: the last base is at the last position.

    At padding all channels are 0. ``(B, C, L)`` → the same shape.
    """
    length = x_BCL.shape[2]
    positions = torch.arange(length, device=x_BCL.device)
    lengths_B = ((x_BCL != 0).any(dim=1) * (positions + 1)).amax(dim=1, keepdim=True)
    # Left of a row's first base the index is negative; modulo L it points to padding.
    source_BL = (positions - (length - lengths_B)) % length
    return x_BCL.gather(2, source_BL[:, None].expand_as(x_BCL))


def fill_n(x_BCL: Tensor, value: float) -> Tensor:
    """Set all four channels of ``(B, 4, L)`` to ``value`` at N, where one-hot is all zeros."""
    return x_BCL + value * (1 - x_BCL.sum(dim=1, keepdim=True))


def as_vaishnav(x_BCL: Tensor) -> Tensor:
    """The last 110 positions, padded on the left, with N as four ones.

    Vaishnav et al. 2022 use this input for their own networks and for the baselines they adapted.

    Args:
        x_BCL: One-hot ``(B, 4, 112)``.

    Returns:
        ``(B, 4, 110)``.

    Raises:
        ValueError: If the input has another shape.
    """
    check_one_hot(x_BCL)
    return fill_n(right_aligned(x_BCL)[:, :, -VAISHNAV_LENGTH:], 1.0)


class PlasmidContext(nn.Module):
    """The last ``length`` bases of plasmid and construct: ``(B, 4, 112)`` → ``(B, 4, length)``.

    Bases of the assay's plasmid fill the positions upstream of the construct.
    """

    plasmid: Tensor

    def __init__(self, length: int) -> None:
        super().__init__()
        plasmid = torch.tensor(["ACGT".index(base) for base in PLASMID_5])
        one_hot = nn.functional.one_hot(plasmid, 4).float().T
        self.register_buffer("plasmid", one_hot, persistent=False)
        self.length = length

    def forward(self, x_BCL: Tensor) -> Tensor:
        plasmid = self.plasmid.to(x_BCL.dtype).expand(x_BCL.shape[0], -1, -1)
        return right_aligned(torch.cat([plasmid, x_BCL], dim=2))[:, :, -self.length :]


class DreamInput(nn.Module):
    """Input of the DREAM 2022 winners: ``(B, 4 or 6, 112)`` → ``(B, 6, 150)``.

    Bases of the plasmid fill the positions upstream of the construct, 150 positions in total. Two
    channels, the *marks*, are constant along a row: is_reverse is 1 for the reverse complement, and
    is_singleton is 1 if a training label comes from a single cell. Both are 0 if the input has only
    four channels. The bases of the input are always the forward strand. This module
    reverse-complements rows with is_reverse = 1, including the plasmid.

    Args:
        alphabet: Order of the four channels of bases.
        n_value: Value of these channels at N.
    """

    MARKS = 2
    """Number of marks."""

    def __init__(self, alphabet: str = "ACGT", n_value: float = 0.0) -> None:
        super().__init__()
        self.context = PlasmidContext(PLASMID_LENGTH)
        self.order, self.n_value = ["ACGT".index(base) for base in alphabet], n_value

    def forward(self, x_BCL: Tensor) -> Tensor:
        check_one_hot(x_BCL, self.MARKS)
        marks_BCL = x_BCL[:, 4:, :1]
        if not marks_BCL.shape[1]:
            marks_BCL = x_BCL.new_zeros(x_BCL.shape[0], self.MARKS, 1)
        bases_BCL = fill_n(self.context(x_BCL[:, :4]), self.n_value)
        reverse = marks_BCL[:, :1]
        bases_BCL = bases_BCL * (1 - reverse) + bases_BCL.flip(1, 2) * reverse
        marks_BCL = marks_BCL.expand(-1, -1, PLASMID_LENGTH)
        return torch.cat([bases_BCL[:, self.order], marks_BCL], dim=1)
