"""Import of published weights: TensorFlow SavedModel of CRMnet → state dictionary for torch.

Reads the ``variables/`` folder that Keras' ``model.save(folder)`` writes (the authors' file is
Zenodo record 7375243) and returns the state of a :class:`crmnet.models.crmnet.network.CRMnet` with
default settings. :mod:`crmnet.runs.folder` writes it into a run folder. Only reading the file needs
TensorFlow (extra ``keras``).

Keras names each layer by its kind and a running number (``conv1d_3``, ``dense_17``), in the order
in which the code creates the layers. Tensors are identified by this order within each kind. The
order in the file is different (the transformer blocks are T1 T3 T2 T5 T4 T7 T6 T8), and the object
graph differs between releases of TensorFlow.
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
"""Names of variables that are not part of the network: counters, metrics, optimiser state."""

_LAYER = re.compile(rf"({'|'.join(sorted(KINDS, key=len, reverse=True))})(?:_(\d+))?")


def read_saved_model(folder: PathLike) -> dict[str, Floats32]:
    """Variables of a SavedModel by their full Keras names.

    Args:
        folder: Folder of the SavedModel, unpacked.

    Returns:
        Full Keras name, such as ``ecb_1__0/dense_1/kernel`` → value.

    Raises:
        ModuleNotFoundError: If TensorFlow is not installed; the message names the extra to install.
        FileNotFoundError: If the folder or its ``variables`` do not exist.
        ValueError: If the file has no variable names.
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
    """State dictionary of the published CRMnet from its Keras variables.

    Args:
        named: Full Keras name, such as ``ecb_1__0/dense_1/kernel`` → value.

    Returns:
        Tensor name in this package → value, in torch's order of axes. Step counters of batch norm,
        which Keras does not have, are 0.

    Raises:
        ValueError: If the variables are not those of the published network; the message names the
            tensor and the shapes.
    """
    layers_by_kind = _by_kind(named)
    state: dict[str, Tensor] = {}
    model_state = CRMnet(CRMnetConfig()).state_dict()
    for tensor_name, (kind, rank, variable) in _plan():
        layers = layers_by_kind[kind]
        if rank >= len(layers) or variable not in layers[rank]:
            raise ValueError(
                f"not the published CRMnet: {kind} number {rank + 1} has no {variable!r} "
                f"(for {tensor_name!r}); the file has {len(layers)} layers of this kind"
            )
        name, value = layers[rank][variable]
        tensor = torch.from_numpy(_to_torch(value, kind, variable).copy())
        if tensor.shape != model_state[tensor_name].shape:
            raise ValueError(
                f"not the published CRMnet: {name!r} has shape {tuple(value.shape)}, which gives "
                f"{tuple(tensor.shape)}; {tensor_name!r} has "
                f"{tuple(model_state[tensor_name].shape)}"
            )
        state[tensor_name] = tensor
        del layers[rank][variable]
    unused = [
        entry for layers in layers_by_kind.values() for layer in layers for entry in layer.values()
    ]
    for name, value in unused:
        raise ValueError(_no_tensor(name, value))
    for tensor_name, value in model_state.items():
        state.setdefault(tensor_name, value)  # only step counters of batch norm are missing
    return state


def _no_tensor(name: str, value: Floats32) -> str:
    """Error message for a variable that the network does not have."""
    return f"not the published CRMnet, which has no tensor for {name!r} {tuple(value.shape)}"


Layer = dict[str, tuple[str, Floats32]]
"""Variable of a layer, such as ``query/kernel`` → its full name and its value."""


def _by_kind(named: Mapping[str, Floats32]) -> dict[str, list[Layer]]:
    """Layers of each kind, sorted by running number."""
    layers: dict[str, dict[int, Layer]] = defaultdict(lambda: defaultdict(dict))
    for name, value in named.items():
        components = name.removesuffix(":0").split("/")
        matches = [(i, _LAYER.fullmatch(component)) for i, component in enumerate(components)]
        matched = [(i, match) for i, match in matches if match]
        if not matched:
            if not IGNORED.search(name):
                raise ValueError(_no_tensor(name, value))
            continue
        if IGNORED.search("/".join(components[: matched[0][0]])):
            continue  # the optimiser's moments are named after their variable
        index, match = matched[-1]
        variable = "/".join(components[index + 1 :])
        layers[match[1]][int(match[2] or 0)][variable] = (name, value)
    return {kind: [layers[kind][n] for n in sorted(layers[kind])] for kind in KINDS}


TensorSource = tuple[str, int, str]
"""Keras layer of a tensor: its kind, its rank among layers of this kind, and the variable."""


def _plan() -> Iterator[tuple[str, TensorSource]]:
    """Each tensor's name and :data:`TensorSource`, in the order in which Keras creates them."""
    counters = dict.fromkeys(KINDS, 0)

    def layer(
        module: str, kind: str, variables: Mapping[str, str]
    ) -> Iterator[tuple[str, TensorSource]]:
        rank = counters[kind]
        counters[kind] += 1
        for variable_name, keras_name in variables.items():
            yield f"{module}.{variable_name}", (kind, rank, keras_name)

    linear = {"weight": "kernel", "bias": "bias"}
    norm = {"weight": "gamma", "bias": "beta"}
    running = {"running_mean": "moving_mean", "running_var": "moving_variance"}

    def conv_gate(module: str) -> Iterator[tuple[str, TensorSource]]:
        yield from layer(f"{module}.conv", "conv1d", linear)
        yield from layer(f"{module}.gate.squeeze", "dense", linear)
        yield from layer(f"{module}.gate.excite", "dense", linear)

    def double_conv(module: str) -> Iterator[tuple[str, TensorSource]]:
        for half in (0, 2):
            yield from conv_gate(f"{module}.{half}")
            yield from layer(f"{module}.{half + 1}", "batch_normalization", {**norm, **running})

    for block in range(4):
        yield from double_conv(f"encoder.{block}")
        if block < 3:
            yield from layer(f"down.{block}.conv", "conv1d", linear)
    for block in range(8):
        module = f"waist.blocks.{block}"
        projections = {
            f"{projection}.{p}": f"{keras_name}/{k}"
            for projection, keras_name in (
                ("query", "query"), ("key", "key"), ("value", "value"),
                ("output", "attention_output"),
            )
            for p, k in linear.items()
        }  # fmt: skip
        yield from layer(f"{module}.attend", "multi_head_attention", projections)
        yield from layer(f"{module}.expand", "dense", linear)
        yield from layer(f"{module}.contract", "dense", linear)
        yield from layer(f"{module}.norm1", "layer_normalization", norm)
        yield from layer(f"{module}.norm2", "layer_normalization", norm)
    for block in range(3):
        yield from layer(f"up.{block}.conv", "conv1d_transpose", linear)
        yield from double_conv(f"decoder.{block}")
    for block in range(3):
        yield from conv_gate(f"tail.{block}")
    for number in range(5):
        yield from layer(f"head.{3 * number}", "dense", linear)


def _to_torch(value: Floats32, kind: str, variable: str) -> Any:
    """Value with its axes in torch's order."""
    if not variable.endswith("kernel"):
        return value.reshape(-1)  # biases of attention are (heads, key_dim)
    if kind in ("conv1d", "conv1d_transpose"):
        return value.transpose(2, 1, 0)  # (k, in, out) → (out, in, k); transposed: (in, out, k)
    if variable.startswith("attention_output"):
        return value.reshape(-1, value.shape[-1]).T  # (heads, key_dim, out)
    return value.reshape(value.shape[0], -1).T  # (in, …) → (out, in)
