"""Run folders: the files that training writes and prediction reads.

    RUN/
      weights.safetensors   weights of the best epoch
      run.json              a RunRecord: how to build the network, its media, scale, data, versions
      history.csv           one row per epoch
      state.safetensors     network, optimiser and counters after the last epoch, for --resume
      learning_curve.png    loss and accuracy after each epoch
      report.html           the page of the run, from ``crmnet train``

:mod:`crmnet.training` writes them, :mod:`crmnet.runs.published` converts published weights to one,
and :mod:`crmnet.runs.packed` packs them. Weights are stored as
safetensors, settings as JSON; nothing is pickled. Weights that do not fit exactly are an error.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from crmnet.files import PathLike, write_atomically, write_text_atomically
from crmnet.models import build, configure
from crmnet.runs.json_files import parse_object, read_text, validate
from crmnet.runs.record import FORMAT, RunRecord

WEIGHTS = "weights.safetensors"
RECORD = "run.json"
HISTORY = "history.csv"
STATE = "state.safetensors"
CURVE = "learning_curve.png"
REPORT = "report.html"
RUN_FILES = (RECORD, WEIGHTS, HISTORY, STATE, CURVE, REPORT)
"""Names of all files that training writes."""
LARGEST_RECORD = 10_000_000
"""Largest size of ``run.json`` and of a card, in bytes."""
MOST_PARAMETERS = 1_000_000_000
"""Largest number of parameters of a network that is built: 4 GB."""
COMPUTING_FAILS = (
    ValueError,
    RuntimeError,
    TypeError,
    ArithmeticError,
    AssertionError,
    LookupError,
)
"""What torch raises if settings of a network do not fit together."""


def save_record(run: PathLike, record: RunRecord) -> None:
    """Write ``run.json``."""
    run = Path(run)
    write_text_atomically(run / RECORD, record.model_dump_json(indent=2) + "\n")


def save_weights(run: PathLike, network: nn.Module) -> None:
    """Write ``weights.safetensors``."""
    run = Path(run)
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    write_atomically(run / WEIGHTS, lambda path: save_file(tensors, path))


def load_record(run: PathLike) -> RunRecord:
    """Read ``run.json``.

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If it is not a run folder, or if its format is unknown to this version.
    """
    run = Path(run)
    if not run.exists():
        raise FileNotFoundError(f"{run}: no such run folder or bundled model")
    if not is_run(run):
        raise ValueError(f"{run} is not a run folder (it has no {RECORD})")
    raw = parse_object(read_text(run / RECORD, LARGEST_RECORD), str(run / RECORD))
    if raw.get("format") != FORMAT:
        raise ValueError(
            f"{run / RECORD} has format {raw.get('format')!r:.60}; this crmnet reads {FORMAT}"
        )
    return validate(RunRecord, raw, str(run / RECORD))


def build_network(record: RunRecord, seed: int = 0) -> nn.Module:
    """The network that a record describes, with initial weights from ``seed``.

    torch's global random generator is left unchanged.

    Raises:
        ValueError: If its settings do not give a network, or one of more than
            :data:`MOST_PARAMETERS`.
    """
    check_size(_outline(record))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _build(record)


def build_trainable(record: RunRecord, seed: int = 0) -> nn.Module:
    """:func:`build_network`, after a test that the network computes predictions.

    Raises:
        ValueError: As :func:`build_network`, or if the network fails in its forward pass. The
            message names the setting to change.
    """
    try:
        return _build_tested(record, seed)
    except ValueError as error:
        faulty = _faulty_settings(record)
        advice = f"; change {' or '.join(faulty)}" if faulty else ""
        raise ValueError(f"{error}{advice}") from error


def _build_tested(record: RunRecord, seed: int = 0) -> nn.Module:
    network = build_network(record, seed)
    network.eval()  # a forward pass then changes no buffer and draws no random number
    try:
        found = _predict_one(network, record)
    except COMPUTING_FAILS as error:
        first = str(error).partition("\n")[0]
        raise ValueError(f"the settings of the model do not give a network: {first}") from error
    network.train()
    if found.shape != (1, len(record.media)):
        raise ValueError(
            f"the settings of the model give {tuple(found.shape)[1:]} outputs for "
            f"{len(record.media)} media"
        )
    return network


def _faulty_settings(record: RunRecord) -> list[str]:
    """Settings of the model without which it would compute, each with value and default."""
    model = record.settings.model
    defaults = {**asdict(configure(model.name)), "n_media": len(record.media)}
    faulty = []
    for key, value in model.settings.items():
        default = list(found) if isinstance(found := defaults[key], tuple) else found
        if value == default:
            continue
        other = model.model_copy(update={"settings": {**model.settings, key: default}})
        settings = record.settings.model_copy(update={"model": other})
        try:
            _build_tested(record.model_copy(update={"settings": settings}))
        except ValueError:
            continue
        faulty.append(f"model.{key}={value} (default {default})")
    return faulty


def _build(record: RunRecord) -> nn.Module:
    name, settings = record.settings.model.name, record.settings.model.settings
    return build(name, soft_bins=record.settings.train.predicts_bins, **settings)


def _outline(record: RunRecord) -> nn.Module:
    """The network without memory for its weights: names and shapes of its tensors."""
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about layers without weights; see check_size
            return _build(record)
    except COMPUTING_FAILS as error:
        first = str(error).partition("\n")[0]
        raise ValueError(f"the settings of the model do not give a network: {first}") from error


def output_tensors(record: RunRecord) -> set[str]:
    """Names of the tensors with one row, or one row a sorting bin, for each output."""
    model = record.settings.model
    n = len(record.media)
    more = {**model.settings, "n_media": n + 1}
    wider = record.settings.model_copy(
        update={"model": model.model_copy(update={"settings": more})}
    )
    shapes, other_shapes = (
        {name: tensor.shape for name, tensor in _outline(described).state_dict().items()}
        for described in (record, record.model_copy(update={"settings": wider}))
    )
    return {name for name, shape in shapes.items() if shape != other_shapes[name]}


def check_size(network: nn.Module) -> None:
    """Check that a network has weights in all layers, and fits into memory.

    Raises:
        ValueError: If a layer is empty, or if it has more than :data:`MOST_PARAMETERS`.
    """
    for name, parameter in network.named_parameters():
        if parameter.numel() == 0:
            raise ValueError(f"the settings of the model leave nothing for layer {name!r}")
    count = sum(parameter.numel() for parameter in network.parameters())
    if count > MOST_PARAMETERS:
        raise ValueError(
            f"the network would have {count:,} parameters, more than {MOST_PARAMETERS:,}; "
            "choose smaller settings of the model"
        )


def restore(record: RunRecord, tensors: dict[str, torch.Tensor], source: PathLike) -> nn.Module:
    """The network of a record with given weights, in evaluation mode on the CPU.

    Names and shapes are compared before the network takes memory.

    Raises:
        ValueError: If the settings do not give a network, or as :func:`load_strictly`; or if the
            network cannot predict.
    """
    try:
        outline = _outline(record)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    check_tensors(outline, tensors, source)
    network = build_network(record)
    network.load_state_dict(tensors)
    network.eval()
    _check_predicts(network, record, source)
    return network


def _check_predicts(network: nn.Module, record: RunRecord, source: PathLike) -> None:
    """Check that a network gives one finite number for each medium, for a row of A."""
    try:
        prediction = _predict_one(network, record)
    except COMPUTING_FAILS as error:
        first = str(error).partition("\n")[0]
        raise ValueError(f"{source}: the network cannot predict: {first}") from error
    if prediction.shape != (1, len(record.media)) or not bool(torch.isfinite(prediction).all()):
        raise ValueError(f"{source} is damaged: its network does not predict finite numbers")


def _predict_one(network: nn.Module, record: RunRecord) -> torch.Tensor:
    """The prediction for a row of A, ``(1, n_media)``."""
    x_BCL = torch.zeros(1, 4, record.length)
    x_BCL[:, 0] = 1
    with torch.inference_mode():
        found: torch.Tensor = network(x_BCL)
    return found


def is_run(path: PathLike) -> bool:
    """Whether ``path`` is a run folder."""
    path = Path(path)
    return (path / RECORD).is_file()


def load_run(run: PathLike) -> tuple[nn.Module, RunRecord]:
    """The trained network of a run folder, in evaluation mode on the CPU, and its record.

    Raises:
        FileNotFoundError: If the folder or its weights do not exist.
        ValueError: If the weights do not fit the network, naming tensor and shapes.
    """
    run = Path(run)
    record = load_record(run)
    if not (run / WEIGHTS).is_file():
        raise FileNotFoundError(
            f"{run} has no {WEIGHTS} yet: its training has not finished an epoch"
        )
    return restore(record, load_tensors(run / WEIGHTS), run / WEIGHTS), record


def unfinished(run: PathLike) -> str:
    """Warning or error about a run whose training was not finished."""
    return (
        f"the training of {run} was not finished, so its weights and the scale of its outputs are "
        "not final; `crmnet train … --resume` continues it"
    )


def check_readable(path: PathLike) -> None:
    """Open a file, because safetensors reports every error of opening as a missing file.

    Raises:
        OSError: If it cannot be opened.
    """
    with Path(path).open("rb"):
        pass


def load_tensors(path: PathLike) -> dict[str, torch.Tensor]:
    """All tensors of a safetensors file.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is damaged.
    """
    check_readable(path)
    try:
        return load_file(path)
    except (SafetensorError, KeyError, TypeError, RuntimeError, OverflowError) as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from error


def load_strictly(network: nn.Module, tensors: dict[str, torch.Tensor], source: PathLike) -> None:
    """Load ``tensors`` into ``network``, after :func:`check_tensors`.

    Args:
        network: Receives the tensors.
        tensors: By the names of the network's state dict.
        source: What they were read from, for errors.

    Raises:
        ValueError: Naming the tensor, and the shapes if they differ.
    """
    check_tensors(network, tensors, source)
    network.load_state_dict(tensors)


def check_tensors(network: nn.Module, tensors: dict[str, torch.Tensor], source: PathLike) -> None:
    """Check that ``tensors`` are those of ``network``, all finite.

    Args:
        network: The network; it may be on torch's ``meta`` device, without memory.
        tensors: By the names of the network's state dict: none missing, none left over, all of the
            same shape, and integers where the network has integers.
        source: What they were read from, for errors.

    Raises:
        ValueError: Naming the tensor, and the shapes if they differ.
    """
    expected = network.state_dict()
    for name, value in expected.items():
        if name not in tensors:
            raise ValueError(f"{source} lacks tensor {name!r} {tuple(value.shape)}")
        if tensors[name].shape != value.shape:
            raise ValueError(
                f"{source}: tensor {name!r} is {tuple(tensors[name].shape)}, "
                f"the network needs {tuple(value.shape)}"
            )
    for name in tensors:
        if name not in expected:
            raise ValueError(f"{source} holds tensor {name!r}, which the network does not have")
    for name, value in tensors.items():
        if value.is_floating_point() != expected[name].is_floating_point() or value.is_complex():
            raise ValueError(
                f"{source}: tensor {name!r} is {value.dtype}, the network needs "
                f"{expected[name].dtype}"
            )
        if value.is_floating_point() and not bool(torch.isfinite(value.float()).all()):
            raise ValueError(f"{source} is damaged: tensor {name!r} holds NaN or infinity")
        if name.endswith("running_var") and bool((value < 0).any()):
            raise ValueError(f"{source} is damaged: tensor {name!r} is a variance below 0")
