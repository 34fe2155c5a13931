"""Published weights: a TensorFlow SavedModel of CRMnet → the state of our network.

Takes the ``variables/`` of what Keras' ``model.save(folder)`` wrote (the authors' file is Zenodo
record 7375243) and gives a state dictionary for :class:`crmnet.models.crmnet.network.CRMnet` at its
defaults. TensorFlow (extra ``keras``) is needed to read the file and for nothing else.

Keras names every layer by its kind and a running number (``conv1d_3``, ``dense_17``), in the order
in which the code made them. That order, kind by kind, is what identifies a tensor here: not its
place in the file, which lists the transformer blocks as T1 T3 T2 T5 T4 T7 T6 T8, nor where it hangs
in the object graph, which differs between releases of TensorFlow.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crmnet.arrays import Floats32
from crmnet.files import PathLike
from crmnet.models.crmnet.network import CRMnet, CRMnetConfig

KINDS = (
    "conv1d",
    "conv1d_transpose",
    "dense",
    "batch_normalization",
    "layer_normalization",
    "multi_head_attention",
)
IGNORED = re.compile(r"(^|/)(count|total|iteration|iter|learning_rate|decay|beta_[12]|Adam.*)($|/)")
"""Counters, metrics and the optimiser's variables, which lie beside the network in the file."""

_LAYER = re.compile(rf"({'|'.join(sorted(KINDS, key=len, reverse=True))})(?:_(\d+))?")


def read_saved_model(folder: PathLike) -> dict[str, Floats32]:
    """All variables of a SavedModel, under the full names that Keras gave them.

    Raises:
        ModuleNotFoundError: If TensorFlow is not installed; says what to install.
        FileNotFoundError: If the folder, or the variables in it, are not there.
        ValueError: If the file does not tell its variables' names.
    """
    folder = Path(folder)
    prefix = folder / "variables" / "variables"
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; unpack the SavedModel first")
    if not prefix.with_suffix(".index").is_file():
        raise FileNotFoundError(
            f"{folder} is not a SavedModel (it has no variables/variables.index)"
        )
    try:
        import tensorflow as tf
        from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "reading a SavedModel needs TensorFlow: pip install 'crmnet[keras]'"
        ) from error
    reader = tf.train.load_checkpoint(str(prefix))
    graph = TrackableObjectGraph.FromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    named = {
        attribute.full_name: np.asarray(reader.get_tensor(attribute.checkpoint_key))
        for node in graph.nodes
        for attribute in node.attributes
        if attribute.full_name and reader.has_tensor(attribute.checkpoint_key)
    }
    if not named:
        raise ValueError(f"{folder} does not name its variables; save the model again with Keras 2")
    return named


def published_state(named: Mapping[str, Floats32]) -> dict[str, Tensor]:
    """The state dictionary of the published CRMnet from its Keras variables.

    Args:
        named: Full Keras name (``ecb_1__0/dense_1/kernel``) → value.

    Raises:
        ValueError: If this is not the published network; names the tensor and the shapes.
    """
    found = _by_kind(named)
    state: dict[str, Tensor] = {}
    model_state = CRMnet(CRMnetConfig()).state_dict()
    for ours, (kind, rank, variable) in _plan():
        layers = found[kind]
        if rank >= len(layers) or variable not in layers[rank]:
            raise ValueError(
                f"not the published CRMnet: there is no {variable!r} of {kind} number {rank + 1} "
                f"(for {ours!r}); the file has {len(layers)} layers of that kind"
            )
        name, value = layers[rank][variable]
        tensor = torch.from_numpy(_to_torch(value, kind, variable).copy())
        if tensor.shape != model_state[ours].shape:
            raise ValueError(
                f"not the published CRMnet: {name!r} is {tuple(value.shape)}, which gives "
                f"{tuple(tensor.shape)} where {ours!r} is {tuple(model_state[ours].shape)}"
            )
        state[ours] = tensor
        del layers[rank][variable]
    left = [entry for layers in found.values() for layer in layers for entry in layer.values()]
    for name, value in left:
        raise ValueError(_no_place(name, value))
    for ours, value in model_state.items():
        state.setdefault(ours, value)  # batch norm's step counters, which Keras does not keep
    return state


def _no_place(name: str, value: Floats32) -> str:
    return f"not the published CRMnet: {name!r} {tuple(value.shape)} has no place in it"


Layer = dict[str, tuple[str, Floats32]]
"""Variable, such as ``query/kernel`` → its full name and value."""


def _by_kind(named: Mapping[str, Floats32]) -> dict[str, list[Layer]]:
    """Layers of each kind in the order of their running numbers."""
    layers: dict[str, dict[int, Layer]] = defaultdict(lambda: defaultdict(dict))
    for name, value in named.items():
        parts = name.removesuffix(":0").split("/")
        matches = [(i, _LAYER.fullmatch(part)) for i, part in enumerate(parts)]
        matched = [(i, match) for i, match in matches if match]
        if not matched:
            if not IGNORED.search(name):
                raise ValueError(_no_place(name, value))
            continue
        if IGNORED.search("/".join(parts[: matched[0][0]])):
            continue  # an optimiser's moments carry the name of the variable they belong to
        index, match = matched[-1]
        variable = "/".join(parts[index + 1 :])
        layers[match[1]][int(match[2] or 0)][variable] = (name, value)
    return {kind: [layers[kind][n] for n in sorted(layers[kind])] for kind in KINDS}


Place = tuple[str, tuple[str, int, str]]


def _plan() -> Iterator[Place]:
    """Our name of every tensor, and kind, rank and variable of the Keras layer it comes from."""
    counters = dict.fromkeys(KINDS, 0)

    def layer(ours: str, kind: str, variables: Mapping[str, str]) -> Iterator[Place]:
        rank = counters[kind]
        counters[kind] += 1
        for mine, theirs in variables.items():
            yield f"{ours}.{mine}", (kind, rank, theirs)

    linear = {"weight": "kernel", "bias": "bias"}
    norm = {"weight": "gamma", "bias": "beta"}
    running = {"running_mean": "moving_mean", "running_var": "moving_variance"}

    def conv_gate(ours: str) -> Iterator[Place]:
        yield from layer(f"{ours}.conv", "conv1d", linear)
        yield from layer(f"{ours}.gate.squeeze", "dense", linear)
        yield from layer(f"{ours}.gate.excite", "dense", linear)

    def double_conv(ours: str) -> Iterator[Place]:
        for half in (0, 2):
            yield from conv_gate(f"{ours}.{half}")
            yield from layer(f"{ours}.{half + 1}", "batch_normalization", {**norm, **running})

    for block in range(4):
        yield from double_conv(f"encoder.{block}")
        if block < 3:
            yield from layer(f"down.{block}.conv", "conv1d", linear)
    for block in range(8):
        ours = f"waist.blocks.{block}"
        projections = {
            f"{mine}.{p}": f"{theirs}/{k}"
            for mine, theirs in (
                ("query", "query"), ("key", "key"), ("value", "value"),
                ("output", "attention_output"),
            )
            for p, k in linear.items()
        }  # fmt: skip
        yield from layer(f"{ours}.attend", "multi_head_attention", projections)
        yield from layer(f"{ours}.expand", "dense", linear)
        yield from layer(f"{ours}.contract", "dense", linear)
        yield from layer(f"{ours}.norm1", "layer_normalization", norm)
        yield from layer(f"{ours}.norm2", "layer_normalization", norm)
    for block in range(3):
        yield from layer(f"up.{block}.conv", "conv1d_transpose", linear)
        yield from double_conv(f"decoder.{block}")
    for block in range(3):
        yield from conv_gate(f"tail.{block}")
    for number in range(5):
        yield from layer(f"head.{3 * number}", "dense", linear)


def _to_torch(value: Floats32, kind: str, variable: str) -> Any:
    """Keras' axis order → torch's."""
    if not variable.endswith("kernel"):
        return value.reshape(-1)  # biases of attention are (heads, key_dim)
    if kind in ("conv1d", "conv1d_transpose"):
        return value.transpose(2, 1, 0)  # (k, in, out) → (out, in, k); transposed: (in, out, k)
    if variable.startswith("attention_output"):
        return value.reshape(-1, value.shape[-1]).T  # (heads, key_dim, out)
    return value.reshape(value.shape[0], -1).T  # (in, …) → (out, in)
