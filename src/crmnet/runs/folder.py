"""Run folders: the files that training writes and prediction reads.

    RUN/
      weights.safetensors   weights of the best epoch
      run.json              a RunRecord: how to build the network, its media, scale, data, versions
      history.csv           one row per epoch
      state.safetensors     network, optimiser and counters after the last epoch, for --resume

:mod:`crmnet.training` writes them and :mod:`crmnet.runs.packed` packs them. Weights are stored as
safetensors, settings as JSON; nothing is pickled. Weights that do not fit exactly are an error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from crmnet.data.dataset import read_json
from crmnet.files import PathLike, remove_partials, write_atomically, write_text_atomically
from crmnet.models import build
from crmnet.models.crmnet.published import published_state, read_saved_model
from crmnet.runs.record import FORMAT, RunRecord, Scale, versions
from crmnet.runs.settings import resolve

WEIGHTS = "weights.safetensors"
RECORD = "run.json"
HISTORY = "history.csv"
STATE = "state.safetensors"


def save_record(run: PathLike, record: RunRecord) -> None:
    """Write ``run.json``."""
    run = Path(run)
    write_text_atomically(run / RECORD, record.model_dump_json(indent=2) + "\n")


def save_weights(run: PathLike, network: nn.Module) -> None:
    """Write ``weights.safetensors``."""
    run = Path(run)
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    write_atomically(run / WEIGHTS, lambda path: save_file(tensors, path))


def import_published(saved_model: PathLike, run: PathLike, medium: str) -> RunRecord:
    """Create a run folder from published weights (see :mod:`crmnet.models.crmnet.published`).

    Args:
        saved_model: The folder that Keras saved.
        run: Folder to create.
        medium: Name to give to the network's only output.

    Raises:
        FileExistsError: If ``run`` exists.
        FileNotFoundError: If ``saved_model`` is not a SavedModel.
        ModuleNotFoundError: If TensorFlow is not installed.
        ValueError: If it holds another network; names tensor and shape.
    """
    saved_model = Path(saved_model)
    run = Path(run)
    if run.exists():
        raise FileExistsError(f"{run} exists; choose another name")
    settings = resolve("paper-complex")
    network = build(settings.model.name, **settings.model.settings)
    network.load_state_dict(published_state(read_saved_model(saved_model)))
    record = RunRecord(
        settings=settings.model_copy(update={"recipe": "published weights"}),
        media=[medium],
        scale={medium: Scale()},
        data={"name": f"published weights, read from {saved_model.name}"},
        versions=versions(),
        finished=True,
    )
    run.mkdir(parents=True)
    save_weights(run, network)
    save_record(run, record)
    return record


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
    raw = read_json(run / RECORD)
    if raw.get("format") != FORMAT:
        raise ValueError(
            f"{run / RECORD} has format {raw.get('format')!r}; this crmnet reads {FORMAT}"
        )
    try:
        return RunRecord.model_validate(raw)
    except ValidationError as error:
        raise ValueError(f"{run / RECORD} is damaged: {error.errors()[0]['msg']}") from error


def build_network(record: RunRecord, seed: int = 0) -> nn.Module:
    """The network that a record describes, with initial weights from ``seed``.

    torch's global random generator is left unchanged.
    """
    name, settings = record.settings.model.name, record.settings.model.settings
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(name, soft_bins=record.settings.train.predicts_bins, **settings)


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
    network = build_network(record)
    load_strictly(network, load_tensors(run / WEIGHTS), run / WEIGHTS)
    return network.eval(), record


def load_tensors(path: PathLike) -> dict[str, torch.Tensor]:
    """All tensors of a safetensors file."""
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from error


def load_strictly(network: nn.Module, tensors: dict[str, torch.Tensor], source: PathLike) -> None:
    """Load ``tensors`` into ``network``: none missing, none left over, all of the same shape.

    Args:
        network: Receives the tensors.
        tensors: By the names of the network's state dict.
        source: PathLike

    Raises:
        ValueError: Naming the tensor, and the shapes if they differ.
    """
    wanted = network.state_dict()
    for name, value in wanted.items():
        if name not in tensors:
            raise ValueError(f"{source} lacks tensor {name!r} {tuple(value.shape)}")
        if tensors[name].shape != value.shape:
            raise ValueError(
                f"{source}: tensor {name!r} is {tuple(tensors[name].shape)}, "
                f"the network needs {tuple(value.shape)}"
            )
    for name in tensors:
        if name not in wanted:
            raise ValueError(f"{source} holds tensor {name!r}, which the network does not have")
    network.load_state_dict(tensors)


def save_state(path: PathLike, state: dict[str, Any]) -> None:
    """Write a nested structure of tensors, numbers, texts, lists and dictionaries to one file.

    This is how the state of a trainer is stored without pickling: the tensors go into a safetensors
    file, everything else into the JSON in its header.
    """
    tensors: dict[str, torch.Tensor] = {}
    structure = json.dumps(_flatten(state, tensors))
    write_atomically(path, lambda p: save_file(tensors, p, metadata={"structure": structure}))


def load_state(path: PathLike) -> dict[str, Any]:
    """Read a file that :func:`save_state` wrote."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: nothing to resume from")
    tensors = load_tensors(path)
    with safe_open(path, "pt") as file:
        structure = json.loads(file.metadata()["structure"])
    state: dict[str, Any] = _unflatten(structure, tensors)
    return state


def _flatten(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """``value`` as JSON, [kind, content]; its tensors are moved to ``tensors`` and numbered."""
    if isinstance(value, torch.Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().contiguous().clone()
        return ["tensor", name]
    if isinstance(value, dict):
        return ["dict", [[_flatten(k, tensors), _flatten(v, tensors)] for k, v in value.items()]]
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return [kind, [_flatten(item, tensors) for item in value]]
    if value is None or isinstance(value, bool | int | float | str):
        return ["plain", value]
    raise TypeError(f"a training state may not hold {type(value).__name__}: {value!r}")


def _unflatten(node: Any, tensors: dict[str, torch.Tensor]) -> Any:
    kind, content = node
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {_unflatten(k, tensors): _unflatten(v, tensors) for k, v in content}
    if kind in ("list", "tuple"):
        items = [_unflatten(item, tensors) for item in content]
        return tuple(items) if kind == "tuple" else items
    return content


def start_or_resume(run: PathLike, record: RunRecord, resume: bool, *, writes: bool) -> Path | None:
    """Create a run folder, or check that the run in it may be resumed.

    Args:
        run: The folder.
        record: Record of the run to train.
        resume: Whether the folder may already hold a run, of the same settings and data.
        writes: Whether this process writes the folder; one of all that train together does.

    Returns:
        The state file to resume from, or None to start from the beginning.

    Raises:
        FileExistsError: If the folder already holds a run and ``resume`` is False.
        ValueError: If that run has other settings or data.
    """
    run = Path(run)
    state = run / STATE if resume and (run / STATE).is_file() else None
    if not writes:  # the process that writes does the checks
        return state
    if not is_run(run):
        run.mkdir(parents=True, exist_ok=True)
        save_record(run, record)
        return None
    if not resume:
        raise FileExistsError(
            f"{run} already holds a run; continue it with --resume, or choose another name"
        )
    check_unchanged(run, record)
    remove_partials(run)
    return state


def check_unchanged(run: PathLike, record: RunRecord) -> None:
    """Check that the run in a folder has the settings and the data of ``record``.

    Data are the same if their contents are: folders may have other names now.

    Raises:
        ValueError: Naming the differences.
    """
    before = load_record(run)
    for what, old, new in (
        ("settings", before.settings.model_dump(), record.settings.model_dump()),
        ("data", *_unnamed(before.data, record.data)),
    ):
        if old != new:
            raise ValueError(
                f"{run} was started with other {what}: {_differences(old, new)}; resume it with "
                f"the same {what}, or start a new run from its weights (--from {run})"
            )


def _unnamed(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Descriptions of data, without the names of data sets and runs whose contents are the same."""
    one, other = dict(old), dict(new)
    for name, content in (("name", "fingerprint"), ("validation", "validation_fingerprint")):
        if content in one and one[content] == other.get(content):
            one.pop(name, None), other.pop(name, None)
    if {"start"} <= one.keys() & other.keys():
        one["start"], other["start"] = _unnamed_start(one["start"]), _unnamed_start(other["start"])
        if one["start"] != other["start"]:
            one["start"], other["start"] = old["start"], new["start"]
    return one, other


def _unnamed_start(start: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in start.items() if key != "run"}


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> str:
    differences = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            differences.append(_differences(a, b, f"{prefix}{key}."))
        elif a != b:
            differences.append(f"{prefix}{key} was {a!r}, is {b!r}")
    return ", ".join(filter(None, differences))
