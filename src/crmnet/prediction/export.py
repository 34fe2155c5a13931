"""A model for other programs: ONNX, or a program of torch.export; checked against the original.

Takes a :class:`~crmnet.prediction.predictor.Predictor` and writes one file with the batch left
free. The input is one-hot ``(B, 4, L)`` float32, or bytes ``(B, L)`` uint8 that become one-hot
inside: the tokens A 0, C 1, G 2, T 3, N 4, or the ASCII letters themselves in either case, so that
``numpy.frombuffer(text.encode(), numpy.uint8)`` is all that a string needs. Adapters are the
caller's to add, and rows shorter than L end in N. Whatever is no base counts as N.
"""

from __future__ import annotations

import copy
import json
import logging
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
from crmnet.files import make_room, write_atomically
from crmnet.prediction.predictor import Predictor

Input = Literal["onehot", "tokens"]
TOLERANCE = 1e-5
"""Largest difference from PyTorch, relative to the prediction where that is above 1."""
OPSET = 20
_CHECKED = (1, 7, 64)
"""Batch sizes that the written file is tried on."""


class FromBytes(nn.Module):
    """A model that reads bytes ``(B, L)`` uint8, tokens or ASCII letters, instead of one-hot."""

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


def export_onnx(predictor: Predictor, path: Path, *, reads: Input = "onehot") -> float:
    """Write an ONNX file, and run it to see that it predicts the same.

    Returns:
        The largest difference from PyTorch, relative where predictions are above 1.

    Raises:
        ModuleNotFoundError: If onnx, onnxscript or onnxruntime is not installed.
        ValueError: If the name is ``*.pt2``, or the difference exceeds :data:`TOLERANCE`; nothing
            is written then.
        OSError: As :func:`crmnet.files.make_room`.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  (torch.onnx needs it, and would say so less plainly)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"ONNX needs {error.name}, for this command alone: pip install 'crmnet[export]'"
        ) from error
    if path.suffix == ".pt2":
        raise ValueError(f"*.pt2 is a program of torch.export; name ONNX *.onnx; got {path}")
    make_room(path)
    model, example = _form(predictor, reads)
    with _quiet():
        program = torch.onnx.export(
            model, (example,), dynamo=True, opset_version=OPSET, verbose=False,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            input_names=[reads], output_names=["expression"],
        )  # fmt: skip
    assert program is not None  # with dynamo there always is one
    proto = program.model_proto
    about = {"media": json.dumps(predictor.media), "reads": reads, "model": predictor.identity}
    onnx.helper.set_model_props(proto, about)
    serialised = proto.SerializeToString()
    session = onnxruntime.InferenceSession(serialised, providers=["CPUExecutionProvider"])

    def run(batch: Tensor) -> npt.NDArray[Any]:
        return np.asarray(session.run(None, {reads: batch.numpy()})[0])

    difference = _difference(model, run, example, "ONNX")

    def write(partial: Path) -> None:
        partial.write_bytes(serialised)

    write_atomically(path, write)
    return difference


def export_program(predictor: Predictor, path: Path, *, reads: Input = "onehot") -> float:
    """Write a program of ``torch.export`` (``.pt2``), which runs without crmnet.

    Returns:
        The largest difference, as :func:`export_onnx` does.

    Raises:
        ValueError: If the name is not ``*.pt2``, or the difference exceeds :data:`TOLERANCE`.
        OSError: As :func:`crmnet.files.make_room`.
    """
    if path.suffix != ".pt2":
        raise ValueError(f"a program of torch.export is named *.pt2; got {path}")
    make_room(path)
    model, example = _form(predictor, reads)
    with _quiet():
        program = torch.export.export(
            model, (example,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},)
        )
    whole = program.module()
    difference = _difference(model, lambda batch: whole(batch).numpy(), example, "the program")

    def write(partial: Path) -> None:
        with partial.open("wb") as file:
            torch.export.save(program, file)

    write_atomically(path, write)
    return difference


def _form(predictor: Predictor, reads: Input) -> tuple[nn.Module, Tensor]:
    """The network to export, on the CPU, and an example of its input."""
    # Not its form for one device, which chooses as it goes and leaves nothing to trace.
    network = copy.deepcopy(predictor.model).cpu().eval()
    for tensor in (*network.parameters(), *network.buffers()):
        # A view of a larger array, such as the position code, cannot be saved by itself.
        tensor.data = tensor.detach().clone(memory_format=torch.contiguous_format)
    letters = np.random.default_rng(0).integers(4, size=(max(_CHECKED), 80), dtype=np.uint8)
    tokens, _ = sequence.prepare(letters, np.full(len(letters), 80), "add", predictor.length)
    example = torch.from_numpy(tokens)
    if reads == "tokens":
        return FromBytes(network).eval(), example
    return network, sequence.one_hot(example)


def _difference(
    model: nn.Module, run: Callable[[Tensor], npt.NDArray[Any]], example: Tensor, what: str
) -> float:
    largest = 0.0
    with torch.inference_mode():
        for size in _CHECKED:
            expected = model(example[:size]).numpy()
            away = np.abs(run(example[:size]) - expected) / np.maximum(1, np.abs(expected))
            largest = max(largest, float(away.max()))
    if not largest <= TOLERANCE:
        raise ValueError(
            f"{what} predicts otherwise than PyTorch: {largest:.2g} away, more than {TOLERANCE:g}"
        )
    return largest


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' remarks on their own deprecations and progress."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
