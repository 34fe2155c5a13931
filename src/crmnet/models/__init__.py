"""The networks by name: one-hot ``(B, 4, L)`` in, ``(B, n_media)`` out, plain ``nn.Module``.

``MODELS`` is the table; :func:`build` makes one. A new network is one file beside these and one
line in the table; the contract tests then run on it by themselves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from crmnet.models.crmnet import network
from crmnet.models.layers import BinMean
from crmnet.models.reference import NetworkCard
from crmnet.models.zoo import (
    basenji,
    danq,
    deepatt,
    deepsea,
    dream_attn,
    dream_cnn,
    dream_rnn,
    enformer,
    legnet,
    satori,
    vaishnav_conv,
    vaishnav_transformer,
)
from crmnet.names import did_you_mean
from crmnet.sequence import BINS


@dataclass(frozen=True)
class Entry:
    """One line of the table: how to make a network, from which configuration, and its card."""

    network: type[nn.Module]
    defaults: Any
    about: str
    card: NetworkCard
    soft_bins: bool = False
    """Published with 18 outputs a medium, read as the mean bin."""
    without_bins: Mapping[str, Any] = field(default_factory=dict)
    """Settings that differ where its outputs are not bins but expression."""


MODELS: Mapping[str, Entry] = {
    "crmnet": Entry(
        network.CRMnet, network.CRMnetConfig(),
        "the published CRMnet, a U-Net with a transformer at its waist", network.CARD,
    ),
    "crmnet-small": Entry(
        network.CRMnet, network.CRMNET_SMALL, "the same architecture for CPUs", network.CARD_SMALL
    ),
    "vaishnav-transformer": Entry(
        vaishnav_transformer.VaishnavTransformer,
        vaishnav_transformer.VaishnavTransformerConfig(),
        "Vaishnav's transformer, the paper's first rival", vaishnav_transformer.CARD,
    ),
    "vaishnav-conv": Entry(
        vaishnav_conv.VaishnavConv, vaishnav_conv.VaishnavConvConfig(),
        "Vaishnav's convolutional network", vaishnav_conv.CARD,
    ),
    "deepsea": Entry(
        deepsea.DeepSEA, deepsea.DeepSEAConfig(), "convolutions and dense layers", deepsea.CARD
    ),
    "danq": Entry(danq.DanQ, danq.DanQConfig(), "convolution and LSTM", danq.CARD),
    "deepatt": Entry(
        deepatt.DeepATT, deepatt.DeepATTConfig(), "convolution, LSTM and attention", deepatt.CARD
    ),
    "legnet": Entry(
        legnet.LegNet, legnet.LegNetConfig(),
        "the winner of the DREAM challenge 2022", legnet.CARD, soft_bins=True,
        without_bins={"rectify": False},
    ),
    "dream-cnn": Entry(
        dream_cnn.DreamCNN, dream_cnn.DreamCNNConfig(),
        "convolutions of two widths and LegNet's core", dream_cnn.CARD, soft_bins=True,
    ),
    "dream-rnn": Entry(
        dream_rnn.DreamRNN, dream_rnn.DreamRNNConfig(),
        "convolutions around an LSTM", dream_rnn.CARD, soft_bins=True,
    ),
    "dream-attn": Entry(
        dream_attn.DreamAttn, dream_attn.DreamAttnConfig(),
        "LegNet's stem and Conformer blocks", dream_attn.CARD, soft_bins=True,
    ),
    "basenji": Entry(
        basenji.Basenji, basenji.BasenjiConfig(), "dilated residual tower, adapted", basenji.CARD
    ),
    "satori": Entry(
        satori.Satori, satori.SatoriConfig(),
        "convolution, LSTM and self-attention, adapted", satori.CARD,
    ),
    "enformer": Entry(
        enformer.Enformer, enformer.EnformerConfig(),
        "convolution tower and transformer, adapted and small", enformer.CARD,
    ),
}  # fmt: skip


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


def build(name: str, *, soft_bins: bool | None = None, **overrides: Any) -> nn.Module:
    """Make the named network with fresh weights, drawn from torch's global generator.

    Args:
        name: One of :data:`MODELS`.
        soft_bins: Give the network 18 outputs a medium and read them as the mean bin
            (:class:`~crmnet.models.layers.BinMean`); left out, as it was published.
        **overrides: Fields of its configuration.

    Example:
        ``build("crmnet-small", n_media=2, squeeze_excitation=False)``
    """
    config = configure(name, **overrides)
    entry = MODELS[name]
    if not (entry.soft_bins if soft_bins is None else soft_bins):
        return entry.network(dataclasses.replace(config, **entry.without_bins))
    return BinMean(entry.network(dataclasses.replace(config, n_media=BINS * config.n_media)))


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
    hint = did_you_mean(name, known)
    return f" ({hint})" if hint else ""
