"""Table of networks; each is a plain ``nn.Module``, one-hot ``(B, 4, L)`` → ``(B, n_media)``.

:data:`MODELS` is the table of all networks and :func:`build` returns a new one.
:mod:`crmnet.training` trains it and :mod:`crmnet.runs` stores it. A new network needs one file in
``zoo/`` and one line in the table; the contract tests then include it automatically.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin, get_type_hints

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
    mpra_legnet,
    satori,
    vaishnav_conv,
    vaishnav_transformer,
)
from crmnet.names import did_you_mean
from crmnet.sequence import BINS

LARGEST = 65_536
"""Largest value of a setting that is a number of filters, units or positions of a kernel."""
DEEPEST = 64
"""Largest number of blocks of one kind, and of entries in a list."""
LONGEST = 1_024
"""Largest number of input positions."""


@dataclass(frozen=True)
class Entry:
    """A network in the table: class, default configuration, description and reference card."""

    network: type[nn.Module]
    """Class of the network; its only argument is a configuration."""
    defaults: Any
    """Default configuration, a frozen dataclass."""
    about: str
    """One line that ``crmnet models list`` prints."""
    card: NetworkCard
    """Publication, parameters, input, loss and recipe."""
    soft_bins: bool = False
    """Whether the published network has 18 outputs per medium, one for each sorting bin."""
    without_bins: Mapping[str, Any] = field(default_factory=dict)
    """Settings that replace the defaults if the outputs are expression instead of bins."""


MODELS: Mapping[str, Entry] = {
    "crmnet": Entry(
        network.CRMnet, network.CRMnetConfig(),
        "the published CRMnet, a U-Net with a transformer at the bottleneck", network.CARD,
    ),
    "crmnet-small": Entry(
        network.CRMnet, network.CRMNET_SMALL,
        "the architecture of CRMnet at a size for CPUs", network.CARD_SMALL,
    ),
    "vaishnav-transformer": Entry(
        vaishnav_transformer.VaishnavTransformer,
        vaishnav_transformer.VaishnavTransformerConfig(),
        "transformer of Vaishnav et al. 2022, the first baseline of the CRMnet paper",
        vaishnav_transformer.CARD,
    ),
    "vaishnav-conv": Entry(
        vaishnav_conv.VaishnavConv, vaishnav_conv.VaishnavConvConfig(),
        "convolutional network of Vaishnav et al. 2022", vaishnav_conv.CARD,
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
        "winner of the DREAM challenge 2022, a small EfficientNet", legnet.CARD, soft_bins=True,
        without_bins={"rectify": False},
    ),
    "mpra-legnet": Entry(
        mpra_legnet.MPRALegNet, mpra_legnet.MPRALegNetConfig(),
        "LegNet with pooling and one output, the best published on native mutants",
        mpra_legnet.CARD,
    ),
    "dream-cnn": Entry(
        dream_cnn.DreamCNN, dream_cnn.DreamCNNConfig(),
        "convolutions of two widths, then the blocks of LegNet", dream_cnn.CARD, soft_bins=True,
    ),
    "dream-rnn": Entry(
        dream_rnn.DreamRNN, dream_rnn.DreamRNNConfig(),
        "convolutions before and after an LSTM", dream_rnn.CARD, soft_bins=True,
    ),
    "dream-attn": Entry(
        dream_attn.DreamAttn, dream_attn.DreamAttnConfig(),
        "LegNet's stem and Conformer blocks", dream_attn.CARD, soft_bins=True,
    ),
    "basenji": Entry(
        basenji.Basenji, basenji.BasenjiConfig(),
        "dilated residual convolutions, adapted", basenji.CARD,
    ),
    "satori": Entry(
        satori.Satori, satori.SatoriConfig(),
        "convolution, LSTM and self-attention, adapted", satori.CARD,
    ),
    "enformer": Entry(
        enformer.Enformer, enformer.EnformerConfig(),
        "convolutions and transformer, adapted and small", enformer.CARD,
    ),
}  # fmt: skip


def configure(name: str, **overrides: Any) -> Any:
    """Configuration of a network with some settings replaced.

    Args:
        name: One of :data:`MODELS`.
        **overrides: Settings and their values; lists are converted to tuples.

    Returns:
        A frozen dataclass, such as :class:`~crmnet.models.crmnet.network.CRMnetConfig`.

    Raises:
        ValueError: If the name or a setting is unknown, or a value is invalid; the message lists
            the known names or states the constraint.
    """
    if not isinstance(name, str):
        raise ValueError(f"model must be the name of a network, a text; got {name!r:.60}")
    if name not in MODELS:
        raise ValueError(
            f"model must be one of {', '.join(MODELS)}; got {name!r}{_hint(name, MODELS)}"
        )
    defaults = MODELS[name].defaults
    fields = {f.name: getattr(defaults, f.name) for f in dataclasses.fields(defaults)}
    kinds = _kinds(type(defaults))
    for key, value in overrides.items():
        if key not in fields:
            raise ValueError(
                f"{name} has no setting {key!r}{_hint(key, fields)}; known: {', '.join(fields)}"
            )
        fields[key] = _checked(fields[key], value, key, kinds[key])
    return type(defaults)(**fields)


def build(name: str, *, soft_bins: bool | None = None, **overrides: Any) -> nn.Module:
    """A new network with random initial weights from torch's global generator.

    Args:
        name: One of :data:`MODELS`.
        soft_bins: Whether the network has 18 outputs per medium, whose mean bin is the prediction
            (:class:`~crmnet.models.layers.BinMean`); None means as in the published network.
        **overrides: Settings of its configuration, as in :func:`configure`.

    Returns:
        A module in training mode: one-hot ``(B, 4, L)`` → ``(B, n_media)``.

    Raises:
        ValueError: As :func:`configure`.

    Example:
        ``build("crmnet-small", n_media=2, squeeze_excitation=False)``
    """
    config = configure(name, **overrides)
    entry = MODELS[name]
    if not (entry.soft_bins if soft_bins is None else soft_bins):
        return entry.network(dataclasses.replace(config, **entry.without_bins))
    return BinMean(entry.network(dataclasses.replace(config, n_media=BINS * config.n_media)))


def _kinds(config: type) -> dict[str, type]:
    """Setting → its type; of a list, the type of its entries."""
    kinds = {}
    for key, hint in get_type_hints(config).items():
        kind = get_args(hint)[0] if get_origin(hint) is tuple else hint
        kinds[key] = kind if isinstance(kind, type) else str  # a Literal of texts
    return kinds


def _checked(default: Any, value: Any, key: str, kind: type) -> Any:
    """The value, converted to the type of the default: lists to tuples, integers to floats."""
    if not isinstance(default, tuple):
        return _checked_one(value, key, kind, default)
    if not isinstance(value, list | tuple):
        raise ValueError(f"{key} must be a list, such as {list(default)!r}; got {value!r:.60}")
    if len(value) > DEEPEST:
        raise ValueError(f"{key} must have at most {DEEPEST} entries; got {len(value):,}")
    example = default[0] if default else 0.1 if kind is float else 64
    return tuple(_checked_one(item, f"each entry of {key}", kind, example) for item in value)


def _checked_one(value: Any, key: str, kind: Any, default: Any) -> Any:
    if kind is float and type(value) is int and abs(value) <= LARGEST:
        value = float(value)
    if type(value) is not kind:
        raise ValueError(f"{key} must be {kind.__name__}, such as {default!r}; got {value!r:.60}")
    if kind is float and "dropout" in key and not 0 <= value < 1:
        raise ValueError(f"{key} must be at least 0 and less than 1; got {value!r}")
    if kind is float and not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{key} must be a finite number, 0 or more; got {value!r}")
    if kind is int:
        lowest = 0 if default == 0 or key.endswith("blocks") else 1
        highest = DEEPEST if key.endswith("blocks") else LONGEST if key == "length" else LARGEST
        if value < lowest:
            constraint = "at least 1" if lowest else "0 or more"
            raise ValueError(f"{key} must be {constraint}; got {value}")
        if value > highest:
            raise ValueError(f"{key} must be at most {highest:,}; got {value!r:.60}")
    return value


def _hint(name: str, known: Mapping[str, Any]) -> str:
    """A suggestion in parentheses, or an empty text."""
    hint = did_you_mean(name, known)
    return f" ({hint})" if hint else ""
