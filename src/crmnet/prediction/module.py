"""A predictor as a plain ``nn.Module``, for libraries that work on modules.

:meth:`crmnet.prediction.predictor.Predictor.module` returns a :class:`PlainModule`. Attribution
(:mod:`crmnet.interpretation.attribute`), tangermeme, captum and ledidi use it without a wrapper.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crmnet import sequence
from crmnet.models.deeplift_form import for_deeplift


class PlainModule(nn.Module):
    """One-hot constructs or inserts ``(B, 4, L)`` → expression ``(B, M)``, in evaluation mode.

    Its layers have DeepLIFT rules (:mod:`crmnet.models.deeplift_form`), its weights are a copy, and
    gradients reach the input.
    """

    adapter_5: Tensor
    adapter_3: Tensor

    def __init__(
        self, network: nn.Module, output: int | None, length: int, *, insert_only: bool = False
    ) -> None:
        """Wrap a network.

        Args:
            network: ``(B, 4, length)`` → ``(B, n_media)``; it is not changed.
            output: Index of the only output to keep, as ``(B, 1)``; None keeps all.
            length: Number of positions of the network's input.
            insert_only: The input is inserts, all of one length; adapters and padding are added.
        """
        super().__init__()
        self.network = for_deeplift(network)
        self.outputs = slice(None) if output is None else slice(output, output + 1)
        self.length, self.insert_only = length, insert_only
        for name, adapter in (
            ("adapter_5", sequence.ADAPTER_5),
            ("adapter_3", sequence.ADAPTER_3),
        ):
            tokens = torch.from_numpy(sequence.encode([adapter])[0])
            self.register_buffer(name, sequence.one_hot(tokens), persistent=False)
        self.eval()

    def forward(self, x_BCL: Tensor) -> Tensor:
        self._check(x_BCL)
        x_BCL = x_BCL.to(self.adapter_5.dtype)
        if self.insert_only:
            B, _, insert = x_BCL.shape
            padding = x_BCL.new_zeros(B, 4, self._longest - insert)
            ends = [end.expand(B, -1, -1) for end in (self.adapter_5, self.adapter_3)]
            x_BCL = torch.cat([ends[0], x_BCL, ends[1], padding], dim=2)
        return self.network(x_BCL)[:, self.outputs]

    @property
    def _longest(self) -> int:
        """Bases of the longest insert that fits."""
        return self.length - len(sequence.ADAPTER_5) - len(sequence.ADAPTER_3)

    def _check(self, x_BCL: Tensor) -> None:
        if self.insert_only:
            fits, expected = x_BCL.shape[2:] <= (self._longest,), f"L at most {self._longest}"
        else:
            fits, expected = x_BCL.shape[2:] == (self.length,), f"L {self.length}"
        if x_BCL.ndim != 3 or x_BCL.shape[1] != 4 or not fits:
            raise ValueError(
                f"input must be one-hot (B, 4, L), {expected}; got {tuple(x_BCL.shape)}"
            )
