"""Training form of CRMnet: faster training steps on a CPU, equal up to rounding.

:func:`training_forward` takes a network and a batch and returns the outputs of ``network(x)``;
gradients reach the network's own parameters. :mod:`crmnet.training.module` calls it in every step.
For a CRMnet on a CPU it runs the network's forward pass with the layers of
:mod:`crmnet.models.crmnet.fast_layers`. Reasons for the speed:

* Activations are channels-last, so oneDNN's convolutions need no reordering.
* In bfloat16, weights are cast once per step and activations stay bfloat16. Batch statistics, the
  last layer, the loss and the weights themselves are float32.
* Convolutions of stride 2 become convolutions of stride 1 over pairs of positions.
* Query, key and value are one product. Where heads are at least as wide as the model, their
  matrices are merged in every step, as in :mod:`crmnet.models.crmnet.inference_form`.
* Dropout uses 16 random bits per value.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from crmnet.models.crmnet.fast_layers import FAST_LAYERS, replace_layers
from crmnet.models.crmnet.network import CRMnet


def training_forward(network: nn.Module, x_BCL: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Outputs of ``network`` for a batch, in the network's current mode.

    A CRMnet on a CPU computes in its training form and ignores the caller's autocast. In all other
    cases this is the plain call ``network(x_BCL)``.

    Args:
        network: Any network. In training mode its running statistics are updated.
        x_BCL: One-hot ``(B, 4, L)``.
        dtype: Of the arithmetic, such as ``torch.bfloat16``; None means the dtype of the weights.

    Returns:
        ``(B, n_media)``, in the unit of training and the dtype of the weights.

    Raises:
        ValueError: If the input has another shape.
    """
    if not isinstance(network, CRMnet) or x_BCL.device.type != "cpu":
        return network(x_BCL)
    with torch.autocast("cpu", enabled=False):  # the fast layers cast their inputs
        return training_form(network, dtype)(x_BCL)


def training_form(network: CRMnet, dtype: torch.dtype | None = None) -> nn.Module:
    """Copy of ``network`` with fast layers and the same parameters, in its current mode.

    Calls return the same object until a module, a mode or the dtype changes.

    Args:
        network: Is not changed.
        dtype: As in :func:`training_forward`.

    Returns:
        A module with the same input and output; its gradients reach the parameters of ``network``.
    """
    last: Any = network.head[-1]
    dtype = dtype or last.weight.dtype
    _, *descendants = network.modules()
    state = [dtype, network.training, *((module, module.training) for module in descendants)]
    cached = _FORMS.get(network)
    if cached is None or cached[0] != state:
        cached = _FORMS[network] = (state, replace_layers(network, dtype, FAST_LAYERS))
    return cached[1]


_FORMS: WeakKeyDictionary[nn.Module, tuple[list[Any], nn.Module]] = WeakKeyDictionary()
"""Network → its state when the form was made, and the form. Neither refers to the network."""
