"""The networks by name: one-hot ``(B, 4, L)`` in, ``(B, n_media)`` out, plain ``nn.Module``.

``MODELS`` is the table; :func:`build` makes one. A new network is one file beside these and one
line in the table; the contract tests then run on it by themselves.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from crmnet.models.crmnet import CRMNET_SMALL, CRMnet, CRMnetConfig


@dataclass(frozen=True)
class Entry:
    """One line of the table: how to make a network, and from which configuration."""

    network: type[nn.Module]
    defaults: Any
    about: str


MODELS: Mapping[str, Entry] = {
    "crmnet": Entry(CRMnet, CRMnetConfig(), "the published CRMnet, 34.2 M parameters"),
    "crmnet-small": Entry(CRMnet, CRMNET_SMALL, "the same architecture for CPUs, 1.3 M parameters"),
}


def configure(name: str, **overrides: Any) -> Any:
    """The named network's configuration (a frozen dataclass) with some fields replaced.

    Raises:
        ValueError: If the network, a field or a value is not known; the message lists what is.
    """
    if name not in MODELS:
        raise ValueError(
            f"model must be one of {', '.join(MODELS)}; got {name!r}{_hint(name, MODELS)}"
        )
    defaults = MODELS[name].defaults
    fields = {f.name: getattr(defaults, f.name) for f in dataclasses.fields(defaults)}
    for key, value in overrides.items():
        if key not in fields:
            raise ValueError(
                f"{name} has no setting {key!r}{_hint(key, fields)}; known: {', '.join(fields)}"
            )
        fields[key] = _like(fields[key], value, key)
    return type(defaults)(**fields)


def build(name: str, **overrides: Any) -> nn.Module:
    """Make the named network with fresh weights, drawn from torch's global generator.

    Example:
        ``build("crmnet-small", n_media=2, squeeze_excitation=False)``
    """
    config = configure(name, **overrides)
    return MODELS[name].network(config)


def _like(default: Any, value: Any, key: str) -> Any:
    """The value in the type of the default it replaces; lists from TOML and JSON become tuples."""
    wanted = type(default)
    if wanted is tuple and isinstance(value, list | tuple):
        return tuple(value)
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise ValueError(f"{key} must be {wanted.__name__}, like {default!r}; got {value!r}")
    return value


def _hint(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
