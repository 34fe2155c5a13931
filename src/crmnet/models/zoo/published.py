"""Import of published weights: Keras HDF5 file of DeepATT → state dictionary for torch.

Reads the file that Keras' ``model.save("NAME.h5")`` wrote for DeepATT as Vaishnav et al. 2022
trained it on 30.7 million promoters in complex medium (``crmnet data fetch deepatt-vaishnav``).
:mod:`crmnet.runs.folder` writes the state into a run folder. Only reading the file needs h5py
(extra ``h5``); nothing in the file is executed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from crmnet.arrays import Floats32
from crmnet.files import PathLike
from crmnet.models.zoo.deepatt import DeepATT, DeepATTConfig

CONFIG = DeepATTConfig(gate="hard-sigmoid")
"""Settings of the published network."""
MEAN, SD = 9.358784, 3.704071
"""Expression = ``MEAN`` + ``SD`` × output: the scale of the labels of training."""
CITATION = "Vaishnav et al. 2022, Nature 603:455"
LICENCE = (
    "MIT License, copyright (c) 2021 1edv (github.com/1edv/evolution): Permission is hereby "
    "granted, free of charge, to any person obtaining a copy of this software and associated "
    'documentation files (the "Software"), to deal in the Software without restriction, including '
    "without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, "
    "and/or sell copies of the Software, and to permit persons to whom the Software is furnished "
    "to do so, subject to the following conditions: The above copyright notice and this "
    "permission notice shall be included in all copies or substantial portions of the Software. "
    'THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, '
    "INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR "
    "PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE "
    "FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR "
    "OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER "
    "DEALINGS IN THE SOFTWARE."
)
"""Of the published weights. It must stay with every copy of them, so every card repeats it."""
LARGEST_FILE = 100_000_000
"""Largest size of a file that is read, in bytes; the published one has 375,928."""


def read_keras_file(path: PathLike) -> dict[str, Floats32]:
    """Variables of a Keras HDF5 file: ``conv1d/kernel`` → value.

    Raises:
        ModuleNotFoundError: If h5py is not installed; the message names the extra to install.
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not an HDF5 file of Keras, or is larger than :data:`LARGEST_FILE`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{path} is larger than {LARGEST_FILE:,} bytes; it is another network")
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "reading a Keras HDF5 file needs h5py: pip install 'crmnet[h5]'"
        ) from error
    variables: dict[str, Floats32] = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            if item.dtype.kind != "f" or item.nbytes > LARGEST_FILE:
                raise TypeError(f"{name} holds {item.dtype}, shape {item.shape}")
            variables[_variable_name(name)] = np.asarray(item, dtype=np.float32)

    try:
        with h5py.File(path, "r") as file:
            if "model_weights" not in file:
                raise ValueError(f"{path} is not a model that Keras saved: no model_weights in it")
            file["model_weights"].visititems(keep)
    except (OSError, RuntimeError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is damaged or not an HDF5 file: {error}") from error
    return variables


def _variable_name(path: str) -> str:
    """Layer and variable from a path such as ``dense/dense/kernel:0``."""
    layer, _, _ = path.partition("/")
    inner, _, variable = path.removesuffix(":0").rpartition("/")
    direction = inner.rpartition("/")[2]
    if direction.endswith("_lstm"):
        layer = direction
    return f"{layer}/{variable.removeprefix('multi_head_attention_')}"


def deepatt_state(variables: Mapping[str, Floats32]) -> dict[str, Tensor]:
    """State dictionary of the published DeepATT (:data:`CONFIG`) from its Keras variables.

    Args:
        variables: Layer and variable, such as ``dense_1/kernel`` → value.

    Returns:
        Tensor name in this package → value, in torch's order of axes.

    Raises:
        ValueError: If the variables are not those of the published network; the message names the
            variable and the shapes.
    """
    state = DeepATT(CONFIG).state_dict()
    sources = dict(_plan())
    for tensor_name, names in sources.items():
        missing = [name for name in names if name not in variables]
        if missing:
            raise ValueError(f"not the published DeepATT: the file has no variable {missing[0]!r}")
        tensor = _to_torch([variables[name] for name in names])
        if tensor is None or tensor.shape != state[tensor_name].shape:
            shapes = ", ".join(f"{name} {variables[name].shape}" for name in names)
            raise ValueError(
                f"not the published DeepATT: {shapes} does not give {tensor_name!r} "
                f"{tuple(state[tensor_name].shape)}"
            )
        state[tensor_name] = tensor
    unused = variables.keys() - {name for names in sources.values() for name in names}
    if unused:
        raise ValueError(f"not the published DeepATT, which has no variable {min(unused)!r}")
    return state


def _plan() -> Iterator[tuple[str, list[str]]]:
    """Each tensor's name, and its Keras variables: kernel and bias of an LSTM are one tensor."""
    layers = {"motifs.0": "conv1d", "head.2": "dense", "head.4": "dense_1", "head.6": "dense_2"}
    for module, layer in layers.items():
        yield f"{module}.weight", [f"{layer}/kernel"]
        yield f"{module}.bias", [f"{layer}/bias"]
    for end, layer in {"": "forward_lstm", "_reverse": "backward_lstm"}.items():
        yield f"lstm.lstm.weight_ih_l0{end}", [f"{layer}/kernel", f"{layer}/bias"]
        yield f"lstm.lstm.weight_hh_l0{end}", [f"{layer}/recurrent_kernel"]
    for module, letter in {"query": "q", "key": "k", "value": "v", "output": "o"}.items():
        yield f"attend.{module}.0.weight", [f"multi_head_attention/W{letter}"]
        yield f"attend.{module}.0.bias", [f"multi_head_attention/b{letter}"]


def _to_torch(values: list[Floats32]) -> Tensor | None:
    """Value with its axes in torch's order; None if kernel and bias do not belong together.

    Keras has (…, in, out), torch (out, in, …). The order of an LSTM's gates is the same in both.
    """
    value = values[0]
    if len(values) == 2:  # the bias is the weight of an input that is always 1
        if value.ndim != 2 or values[1].shape != value.shape[1:]:
            return None
        value = np.concatenate([value, values[1][None]])
    return torch.from_numpy(np.ascontiguousarray(value.T))
