"""Inference form of a network: faster predictions, equal up to rounding. Not for training.

:func:`for_inference` takes a trained network and returns a module with the same input and output.
:mod:`crmnet.prediction.predictor` uses it for predictions. Attribution uses the original network,
for whose modules DeepLIFT has rules.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from crmnet.models.crmnet.inference_form import CPUForm, merge_attention
from crmnet.models.crmnet.network import CRMnet
from crmnet.models.zoo.deepatt import DeepATT
from crmnet.models.zoo.deepatt_form import DeepATTForm


def for_inference(
    network: nn.Module, device: torch.device | None = None, dtype: torch.dtype = torch.float32
) -> nn.Module:
    """Copy of ``network`` in evaluation mode with the same predictions, faster where possible.

    A CRMnet, also inside another module, is replaced by its inference form, and so is a DeepATT on
    a CPU in float32. Other networks are copied, and run under autocast if ``dtype`` is not float32.

    Args:
        network: The network; it is not changed.
        device: Device of the copy; None means the CPU.
        dtype: Dtype of the arithmetic. Predictions are equal up to rounding in float32 and have
            about 3 correct digits in bfloat16.

    Returns:
        A module with the same input and output. The output is float32.
    """
    device = device or torch.device("cpu")
    network = copy.deepcopy(network).eval().requires_grad_(False).to(device)
    names = [
        name for name, module in network.named_modules() if isinstance(module, (CRMnet, DeepATT))
    ]
    if not any(names):
        return _form(network, device, dtype)
    for name in names:
        network.set_submodule(name, _form(network.get_submodule(name), device, dtype))
    return network


def _form(network: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """Inference form of a network; under autocast if it has none and the dtype is not float32."""
    on_cpu = device.type == "cpu"
    if isinstance(network, CRMnet):
        if on_cpu:
            return CPUForm(network, dtype).eval()
        network = merge_attention(network)
    elif isinstance(network, DeepATT) and on_cpu and dtype == torch.float32:
        return DeepATTForm(network).eval()
    return network if dtype == torch.float32 else UnderAutocast(network, device.type, dtype)


class UnderAutocast(nn.Module):
    """A network under autocast: ``(B, 4, L)`` → ``(B, n_media)`` float32."""

    def __init__(self, network: nn.Module, device_type: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.device_type, self.dtype = network, device_type, dtype

    def forward(self, x_BCL: Tensor) -> Tensor:
        with torch.autocast(self.device_type, dtype=self.dtype):
            return self.network(x_BCL).float()
