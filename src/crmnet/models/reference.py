"""What is known of a published network: the card beside each one of the zoo.

``crmnet models show NAME`` prints it; a test holds the numbers of parameters to the networks.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkCard:
    """One network, as published and as it stands here."""

    paper: str
    parameters: int
    """Of the network here with its defaults, for one medium, counted as its authors count."""
    published_parameters: int | None
    """What its authors' network has; None where no number is known or ours is an adaptation."""
    context: str
    """What it sees of a construct."""
    alphabet: str
    n_policy: str
    """What it sees where the base is N."""
    loss: str
    recipe: str
    """The shipped recipe with its authors' loss, optimiser and augmentation."""
    not_trained: int = 0
    """Of :attr:`parameters`: running statistics of batch norm, which Keras counts and torch does
    not."""
    notes: str = ""
    """Where it differs from what was published, and why."""
