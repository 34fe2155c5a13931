"""Export of a model for other programs, as ONNX or as a program of torch.export.

The functions take a :class:`~crmnet.prediction.predictor.Predictor`, write one file for any batch
size, and check that the file predicts the same as PyTorch. ``crmnet models export`` calls them.

The input is one-hot ``(B, 4, L)`` float32, or bytes ``(B, L)`` uint8, which the exported network
converts to one-hot. Bytes are tokens (A 0, C 1, G 2, T 3, N 4) or ASCII letters in either case, so
that ``numpy.frombuffer(text.encode(), numpy.uint8)`` converts a string. The caller adds the
adapters, and N at the end of rows shorter than L. All other bytes count as N.
"""

from __future__ import annotations

import copy
import io
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from crmnet import sequence
from crmnet.files import PathLike, make_parent_folder, write_atomically
from crmnet.prediction.predictor import Predictor

Input = Literal["onehot", "tokens"]
TOLERANCE = 1e-5
"""Largest allowed difference from PyTorch, relative for predictions above 1."""
OPSET = 20
"""Version of the ONNX operator set."""
CHECKED_BATCH_SIZES = (1, 7, 64)
"""Batch sizes with which the exported network is checked."""


class FromBytes(nn.Module):
    """A model that takes bytes ``(B, L)`` uint8, tokens or ASCII letters, instead of one-hot."""

    base: Tensor

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        table = torch.zeros(256, 4)
        for token, letter in enumerate("ACGT"):
            table[[token, ord(letter), ord(letter.lower())], token] = 1.0
        self.register_buffer("base", table)

    def forward(self, sequence_bytes: Tensor) -> Tensor:
        """Expression ``(B, n_media)``."""
        one_hot_BLC = nn.functional.embedding(sequence_bytes.to(torch.int64), self.base)
        return self.model(one_hot_BLC.transpose(1, 2))


def export_onnx(predictor: Predictor, path: PathLike, *, reads: Input = "onehot") -> float:
    """Write an ONNX file, after a check that it predicts the same as PyTorch.

    Args:
        predictor: The model.
        path: File to write.
        reads: Input of the exported network: ``onehot`` or ``tokens`` (bytes).

    Returns:
        The largest difference from PyTorch, relative for predictions above 1.

    Raises:
        ModuleNotFoundError: If onnx, onnxscript or onnxruntime is not installed.
        ValueError: If the name is ``*.pt2``, or the difference exceeds :data:`TOLERANCE`; no file
            is written then.
        OSError: As :func:`crmnet.files.make_parent_folder`.
    """
    path = Path(path)
    onnx, onnxruntime = import_onnx()
    if path.suffix == ".pt2":
        raise ValueError(
            f"*.pt2 is for programs of torch.export; name the ONNX file *.onnx; got {path}"
        )
    make_parent_folder(path)
    model, example = _exportable_network(predictor, reads)
    with _quiet():
        program = torch.onnx.export(
            model, (example,), dynamo=True, opset_version=OPSET, verbose=False,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            input_names=[reads], output_names=["expression"],
        )  # fmt: skip
    assert program is not None  # dynamo=True always returns a program
    proto = program.model_proto
    metadata = {"media": json.dumps(predictor.media), "reads": reads, "model": predictor.identity}
    onnx.helper.set_model_props(proto, metadata)
    serialised = proto.SerializeToString()
    session = onnxruntime.InferenceSession(serialised, providers=["CPUExecutionProvider"])

    def run(batch: Tensor) -> npt.NDArray[Any]:
        return np.asarray(session.run(None, {reads: batch.numpy()})[0])

    difference = _check_difference(model, run, example, "ONNX")

    def write(partial: Path) -> None:
        partial.write_bytes(serialised)

    write_atomically(path, write)
    return difference


def import_onnx() -> tuple[Any, Any]:
    """The modules onnx and onnxruntime, the latter without its telemetry.

    Raises:
        ModuleNotFoundError: If onnx, onnxscript or onnxruntime is not installed.
    """
    # Since 1.32, onnxruntime stores a device id and sends usage data unless this is set.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  (needed by torch.onnx, whose own error is unclear)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"ONNX needs {error.name}, which only this command uses: pip install 'crmnet[export]'"
        ) from error
    return onnx, onnxruntime


def export_program(predictor: Predictor, path: PathLike, *, reads: Input = "onehot") -> float:
    """Write a program of ``torch.export`` (``.pt2``), which runs without crmnet.

    Arguments as for :func:`export_onnx`.

    Returns:
        The largest difference, as :func:`export_onnx`.

    Raises:
        ValueError: If the name is not ``*.pt2``, or the difference exceeds :data:`TOLERANCE`.
        OSError: As :func:`crmnet.files.make_parent_folder`.
    """
    path = Path(path)
    if path.suffix != ".pt2":
        raise ValueError(f"name the program of torch.export *.pt2; got {path}")
    make_parent_folder(path)
    model, example = _exportable_network(predictor, reads)
    with _quiet():
        program = torch.export.export(
            model, (example,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},)
        )
    module = program.module()
    difference = _check_difference(
        model, lambda batch: module(batch).numpy(), example, "the program"
    )

    serialised = io.BytesIO()  # PyTorch ends the process if it cannot write to the disk
    torch.export.save(program, serialised)

    def write(partial: Path) -> None:
        partial.write_bytes(serialised.getbuffer())

    write_atomically(path, write)
    return difference


def _exportable_network(predictor: Predictor, reads: Input) -> tuple[nn.Module, Tensor]:
    """The network to export, on the CPU, and an example input."""
    # Not the inference form: its code branches on the device and cannot be traced.
    network = copy.deepcopy(predictor.model).cpu().eval()
    for tensor in (*network.parameters(), *network.buffers()):
        # A view of a larger array, such as the positional encoding, cannot be saved alone.
        tensor.data = tensor.detach().clone(memory_format=torch.contiguous_format)
    letters = np.random.default_rng(0).integers(
        4, size=(max(CHECKED_BATCH_SIZES), 80), dtype=np.uint8
    )
    tokens, _ = sequence.prepare(letters, np.full(len(letters), 80), "add", predictor.length)
    example = torch.from_numpy(tokens)
    if reads == "tokens":
        return FromBytes(network).eval(), example
    return network, sequence.one_hot(example)


def _check_difference(
    model: nn.Module, run: Callable[[Tensor], npt.NDArray[Any]], example: Tensor, format_name: str
) -> float:
    """Largest difference between ``run`` and the model; an error above :data:`TOLERANCE`."""
    largest = 0.0
    with torch.inference_mode():
        for size in CHECKED_BATCH_SIZES:
            expected = model(example[:size]).numpy()
            differences = np.abs(run(example[:size]) - expected) / np.maximum(1, np.abs(expected))
            largest = max(largest, float(differences.max()))
    if not largest <= TOLERANCE:
        raise ValueError(
            f"{format_name} differs from PyTorch by {largest:.2g}, more than {TOLERANCE:g}"
        )
    return largest


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress messages of the exporters about their own deprecations and progress."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
