"""Reference card of a network: publication, parameters, input, loss and recipe.

Each network's module defines one, :data:`crmnet.models.MODELS` lists them all, and ``crmnet models
show NAME`` prints one. A test compares the numbers of parameters with the networks.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkCard:
    """A network as published and as implemented here."""

    paper: str
    parameters: int
    """Number of parameters of the network in this package, with default settings and one medium,
    counted in the same way as by its authors."""
    published_parameters: int | None
    """Parameters of the authors' network; None if unknown, or if ours is an adaptation."""
    context: str
    """Part of the construct that is the network's input."""
    alphabet: str
    """Order of the input channels."""
    n_policy: str
    """Values of the input channels at N."""
    loss: str
    """Loss of the authors' training."""
    recipe: str
    """Shipped recipe with the authors' loss, optimiser and augmentation."""
    not_trained: int = 0
    """Number of running statistics of batch norm in :attr:`parameters`; Keras counts them, torch
    does not."""
    notes: str = ""
    """Differences from the published network, with reasons."""
