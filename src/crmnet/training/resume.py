"""Resuming an interrupted run: the state after the last epoch, and whether it may be continued.

:mod:`crmnet.training.callbacks` saves the state after every epoch. :mod:`crmnet.training.train`
calls :func:`start_or_resume` before it trains. :mod:`crmnet.runs.folder` describes the other files
of a run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from crmnet.files import PathLike, outputs_in, remove_partials, write_atomically
from crmnet.runs.folder import (
    RUN_FILES,
    STATE,
    is_run,
    load_record,
    load_tensors,
    save_record,
)
from crmnet.runs.record import FLANKS, SKETCH, RunRecord


class OtherData(ValueError):
    """Raised if a run was started with other data than those to resume it with."""


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
    try:
        with safe_open(path, "pt") as file:
            structure = json.loads(file.metadata()["structure"])
        state: dict[str, Any] = _unflatten(structure, tensors)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: it does not hold a state of training") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path} is damaged: it does not hold a state of training")
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


def check_new_run(run: PathLike, inputs: Iterable[PathLike | None]) -> None:
    """Check that a run may be written into a folder that holds none yet.

    Args:
        run: The folder; it may hold other files.
        inputs: Data sets and the model to start from; None is ignored.

    Raises:
        FileExistsError: If a file exists that training would write.
        ValueError: If the folder is one of the inputs.
    """
    run = Path(run)
    if not run.is_dir() or is_run(run):
        return
    for source in inputs:
        if source is not None and Path(source).exists() and run.samefile(source):
            raise ValueError(f"{run} is the input {source}; choose another folder for the run")
    for path in outputs_in(run, RUN_FILES):
        raise FileExistsError(
            f"{path} exists, and {run} is not a run; choose another folder for the run"
        )


def start_or_resume(run: PathLike, record: RunRecord, resume: bool, *, writes: bool) -> Path | None:
    """Create a run folder, or check that the run in it may be resumed.

    Args:
        run: The folder.
        record: Record of the run to train.
        resume: Whether the folder may already hold a run, of the same settings and data.
        writes: Whether this process writes the folder; of several processes only rank 0 does.

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

    Data are the same if their contents are the same; names of folders may differ.

    Raises:
        OtherData: If the settings are the same and the data are not, naming the differences.
        ValueError: If the settings differ, naming the differences.
    """
    before = load_record(run)
    for kind, error, old, new in (
        ("settings", ValueError, before.settings.model_dump(), record.settings.model_dump()),
        ("data", OtherData, *_unnamed(before.data, record.data)),
    ):
        if old != new:
            raise error(
                f"{run} was started with other {kind}: {_differences(old, new)}; resume it with "
                f"the same {kind}, or start a new run from its weights (--from {run})"
            )


def _unnamed(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Descriptions of data, without the names of data sets and runs whose contents are the same.

    The sketch of the training rows and the treatment of adapters are left out: fingerprints and
    settings determine the rows, and records of earlier versions have neither.
    """
    old_data, new_data = dict(old), dict(new)
    for key in (SKETCH, FLANKS):
        old_data.pop(key, None), new_data.pop(key, None)
    for name, content in (("name", "fingerprint"), ("validation", "validation_fingerprint")):
        if content in old_data and old_data[content] == new_data.get(content):
            old_data.pop(name, None), new_data.pop(name, None)
    if {"start"} <= old_data.keys() & new_data.keys():
        old_data["start"], new_data["start"] = (
            _unnamed_start(old_data["start"]),
            _unnamed_start(new_data["start"]),
        )
        if old_data["start"] != new_data["start"]:
            old_data["start"], new_data["start"] = old["start"], new["start"]
    return old_data, new_data


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
