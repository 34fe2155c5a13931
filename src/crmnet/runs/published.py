"""Converts published Keras weights to a run folder, which every command reads like other runs.

:mod:`crmnet.models.crmnet.published` reads the authors' CRMnet (a SavedModel folder),
:mod:`crmnet.models.zoo.published` DeepATT (an HDF5 file). ``crmnet models import-keras`` calls
:func:`import_published`.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from crmnet.data.dataset import BIN_UNIT
from crmnet.files import PathLike
from crmnet.models import build
from crmnet.models.crmnet.published import published_state, read_saved_model
from crmnet.models.zoo.published import (
    CITATION,
    CONFIG,
    LICENCE,
    MEAN,
    SD,
    deepatt_state,
    read_keras_file,
)
from crmnet.runs.folder import load_strictly, save_record, save_weights
from crmnet.runs.record import RunRecord, Scale, versions
from crmnet.runs.settings import RunSettings, resolve


def import_published(saved_model: PathLike, run: PathLike, medium: str) -> RunRecord:
    """Create a run folder from published weights.

    Args:
        saved_model: The folder that Keras saved (CRMnet), or its HDF5 file (DeepATT).
        run: Folder to create.
        medium: Name to give to the network's only output.

    Returns:
        The record of the run. Its scale converts outputs to sorting bins.

    Raises:
        FileExistsError: If ``run`` exists.
        FileNotFoundError: If ``saved_model`` does not exist, or is a folder without a SavedModel.
        ModuleNotFoundError: If TensorFlow (for a SavedModel) or h5py (for a file) is not installed.
        ValueError: If it holds another network; names tensor and shape.
    """
    saved_model, run = Path(saved_model), Path(run)
    if run.exists():
        raise FileExistsError(f"{run} exists; choose another name")
    read = _read_deepatt if saved_model.is_file() else _read_crmnet
    settings, state, scale, origin = read(saved_model)
    network = build(settings.model.name, **settings.model.settings)
    load_strictly(network, state, saved_model)
    record = RunRecord(
        settings=settings.model_copy(update={"recipe": "published weights"}),
        media=[medium],
        scale={medium: scale},
        data={
            "name": f"published weights, read from {saved_model.name}",
            "units": {medium: BIN_UNIT},
            **origin,
        },
        versions=versions(),
        finished=True,
    )
    run.mkdir(parents=True)
    save_weights(run, network)
    save_record(run, record)
    return record


Weights = tuple[RunSettings, dict[str, Tensor], Scale, dict[str, str]]
"""Settings of the network, its state, the scale of its output, and what the record says of it."""


def _read_crmnet(folder: Path) -> Weights:
    origin = {"citation": "Ding et al. 2023, Front. Big Data 6:1113402"}
    return resolve("paper-complex"), published_state(read_saved_model(folder)), Scale(), origin


def _read_deepatt(file: Path) -> Weights:
    settings = resolve("deepatt", [f"model.{key}={value}" for key, value in asdict(CONFIG).items()])
    origin = {"citation": CITATION, "licence": LICENCE}
    return settings, deepatt_state(read_keras_file(file)), Scale(mean=MEAN, sd=SD), origin
