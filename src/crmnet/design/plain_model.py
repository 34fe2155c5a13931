"""Any ``nn.Module`` as a model that the functions of this folder take beside a predictor.

A module takes one-hot ``(B, 4, L)`` and returns ``(B, M)`` or ``(B,)``. Its outputs have no names,
and it does not know adapters or padding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crmnet.prediction.predictor import Predictor

Model = Predictor | nn.Module
"""What predicts: a predictor, or a module ``(B, 4, L)`` → ``(B, M)``."""


def device_of(module: nn.Module) -> torch.device:
    """Where the module's first tensor is; the CPU if it has none."""
    tensor = next((t for ts in (module.parameters(), module.buffers()) for t in ts), None)
    return torch.device("cpu") if tensor is None else tensor.device


def output_names(outputs: int) -> list[str]:
    """Names of a module's outputs: ``output``, or ``output_1``, ``output_2``, …."""
    return [f"output_{n + 1}" for n in range(outputs)] if outputs > 1 else ["output"]


class PlainOutputs(nn.Module):
    """A module as :class:`Predictor` needs it: in evaluation mode, with outputs ``(B, M)``.

    The module is not copied. Its mode is restored after each call.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x_BCL: Tensor) -> Tensor:
        training = [part for part in self.network.modules() if part.training]
        self.network.eval()
        try:
            predicted: Tensor = self.network(x_BCL)
        finally:
            for part in training:
                part.training = True
        return predicted.reshape(len(x_BCL), -1)


def as_predictor(model: Model, length: int) -> Predictor:
    """A predictor; a module becomes one for sequences of ``length`` positions.

    The outputs of a module are called ``output``, or ``output_1``, ``output_2``, … if it has
    several.
    """
    if isinstance(model, Predictor):
        return model
    network = PlainOutputs(model)
    device = device_of(model)
    with torch.inference_mode():
        outputs = network(torch.zeros(1, 4, length, device=device)).shape[1]
    return Predictor(network, output_names(outputs), device, length=length)
