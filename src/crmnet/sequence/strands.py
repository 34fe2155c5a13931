"""The other strand of arrays, of tensors and of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from crmnet.sequence.adapters import insert_span
from crmnet.sequence.tokens import N_TOKEN, Tokens, as_tokens, gather, sequence_lengths

if TYPE_CHECKING:
    import torch

_COMPLEMENT = np.array([3, 2, 1, 0, 4], dtype=np.uint8)
_COMPLEMENT_OF_LETTER = bytes.maketrans(b"ACGT", b"TGCA")


def reverse_complement(tokens: npt.ArrayLike) -> Tokens:
    """Reverse complement of each row ``(N, L)``; padding stays at the end."""
    tokens = as_tokens(tokens)
    lengths = sequence_lengths(tokens)
    columns = lengths[:, None] - 1 - np.arange(tokens.shape[1])
    return _COMPLEMENT[gather(tokens, columns)]


def strandless_insert(text: bytes) -> bytes:
    """The insert of a sequence in upper case, on the strand that is first in the alphabet.

    All copies of a sequence give the same: in either case, with or without adapters, on either
    strand. Letters are not checked, and nothing is cut.
    """
    start, stop, _ = insert_span(text, "auto")
    insert = text[start:stop].upper()
    return min(insert, insert.translate(_COMPLEMENT_OF_LETTER)[::-1])


def other_strand(x: torch.Tensor) -> torch.Tensor:
    """Reverse complement of tensors, on their device and differentiable.

    Takes tokens ``(B, L)`` or one-hot ``(B, 4, L)`` and returns the same form; padding stays at the
    end.
    """
    import torch

    positions = torch.arange(x.shape[-1], device=x.device)
    known = x != N_TOKEN if x.ndim == 2 else x.detach().sum(dim=1) > 0
    lengths = (known * (positions + 1)).amax(dim=1, keepdim=True)
    # After the end of a row the index is negative; modulo L it points to padding again.
    source = (lengths - 1 - positions) % x.shape[-1]
    if x.ndim == 2:
        backwards = x.gather(1, source)
        return torch.where(backwards < N_TOKEN, N_TOKEN - 1 - backwards, backwards)
    # Reversing the channels A C G T gives T G C A, their complements.
    return x.flip(1).gather(2, source.unsqueeze(1).expand_as(x))
