"""Settings of a training run: the defaults, changed by a recipe, changed by ``--set``.

A recipe is a small TOML file that names a network and the settings that differ from the defaults.
:func:`resolve` checks all values and returns a :class:`RunSettings` with every value filled in.
:mod:`crmnet.training` trains with these settings. They are saved in ``run.json``
(:mod:`crmnet.runs.record`), from which the network can be built again.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crmnet.choices import FamilyRule, Loss, TrainingPrecision
from crmnet.device import TRAINING_NAMES
from crmnet.models import MODELS, configure
from crmnet.names import did_you_mean
from crmnet.runs.json_files import read_text

LARGEST_COUNT = 2**31 - 1
"""Largest value of a setting that is a count."""
LARGEST_RECIPE = 1_000_000
"""Largest size of a recipe, in bytes."""


class Frozen(BaseModel):
    """Base of settings and records: read-only, and unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TrainSettings(Frozen):
    """How a network is trained; the defaults are the paper's (section 2.4)."""

    epochs: int = Field(50, ge=1, le=1_000_000)
    batch_size: int = Field(1024, ge=1, le=LARGEST_COUNT)
    """Rows per step and device."""
    loss: Loss = "huber"
    """Computed in :mod:`crmnet.training.losses`. With ``soft-bins`` the network predicts a
    distribution over the bins 0–17 and is trained to match a distribution around the label (LegNet,
    DREAM 2022); the predicted expression is its mean."""
    huber_delta: float = Field(1.0, gt=0)
    """Error above which Huber's loss grows linearly, in the unit that ``standardize`` sets."""
    bin_spread: float = Field(0.5, gt=0)
    """Standard deviation, in bins, of the target distribution of ``soft-bins``."""
    row_weights: Literal["equal", "column", "cells"] = "equal"
    """Weight of a row in the loss: 1 for all, the value of its ``weight`` column, or
    n / (n + half_weight_cells) if that column holds numbers n of cells."""
    half_weight_cells: float = Field(2.0, gt=0)
    """Number of cells at which a row has half the weight of a row measured without error: the
    variance between single cells divided by the variance that the network cannot explain."""
    singleton_weight: float = Field(1.0, ge=0)
    """Factor for rows whose label is an integer sorting bin, as that of a single cell is."""
    l1: float = Field(0.0, ge=0)
    """L1 penalty: added to the loss times the mean absolute weight of the network (no biases)."""
    optimizer: Literal["adam", "adamw", "rmsprop"] = "adam"
    weight_decay: float = Field(0.0, ge=0)
    """Of the optimiser; ``adamw`` decouples it from the gradient (Loshchilov & Hutter 2019)."""
    gradient_clip: float = Field(0.0, ge=0)
    """Largest norm of the gradient of all weights together; a longer one is scaled to it. 0: any
    norm."""
    learning_rate: float = Field(0.001, gt=0)
    """Rate at the end of the warm-up; all three rates are for one device."""
    start_learning_rate: float = Field(0.0001, gt=0)
    final_learning_rate: float = Field(0.0001, ge=0)
    """Rate at the end of the last epoch, reached along a cosine."""
    lower_rate: float = Field(1.0, gt=0, le=1)
    """Factor of the rates for all layers below the dense ones (``head``), for fine-tuning."""
    freeze_stem: bool = False
    """Keep the weights of the stem (``model.stem``) as they are at the start."""
    refit_norms: bool = False
    """Before each validation, compute the averages of batch norm again from up to 4,096 training
    rows, with the weights of the moment. With few steps the running averages lag behind."""
    refit_scale: bool = False
    """After training, fit scale and offset of each output to the validation rows, if this lowers
    their cross-fitted error."""
    warmup_epochs: float = Field(10, ge=0, le=1_000_000)
    schedule: Literal["cosine", "constant", "one-cycle"] = "cosine"
    """Learning rate after the warm-up; ``constant`` is what the released code does. ``one-cycle``
    (Smith 2018) also warms up along a cosine, over at most half of the epochs, and moves Adam's
    first beta from 0.95 to 0.85 and back."""
    scale_learning_rate: bool = True
    """Multiply the learning rates by the number of devices (section 4.4)."""
    patience: int = Field(10, ge=1, le=LARGEST_COUNT)
    """Epochs without a better validation R² before training stops; the best weights are kept."""
    validation_fraction: float = Field(0.01, gt=0, lt=1)
    """Share of families held out for validation if no validation set is given."""
    validation_by: FamilyRule = "family"
    """Which rows form a family and are held out together. ``family``: rows of one family in the
    data, or of one sequence if the data have no families. ``sequence``: rows of one sequence.
    ``homology``: rows whose inserts share a k-mer."""
    reverse_complement: float = Field(0.0, ge=0, le=1)
    """Share of training rows that are reverse-complemented, sampled anew in each epoch. Networks
    with a strand channel (``legnet``, ``dream-*``) get these rows marked in it."""
    average_strands: bool = False
    """Predict the mean of both strands; a strand channel marks the reverse one."""
    mark_singletons: bool = False
    """Mark rows with an integer label, which come from one cell, in a second input channel."""
    shift: int = Field(0, ge=0, le=12)
    """Largest shift of training rows, in positions, to either side; only adapter bases are lost."""
    standardize: bool = False
    """Train on labels of mean 0 and standard deviation 1 per medium; predictions keep the unit."""
    pool_media: bool = False
    """One output for all media, as in the paper's pre-training, which did not distinguish them."""
    even_media: bool = False
    """Sample the same number of rows from each medium in every epoch."""
    even_families: float = Field(0.0, ge=0, le=1)
    """How evenly families are sampled. 0: every row once per epoch. Above 0: rows are sampled with
    a probability proportional to the size of their family (see ``validation_by``) to the power of
    minus this value, so that 1 samples all families equally often."""
    ema: float = Field(0.0, ge=0, lt=1)
    """Decay of an exponential moving average of the weights, updated after every step. Above 0, the
    averaged weights are validated and kept."""
    seed: int = Field(0, ge=0, le=LARGEST_COUNT)
    device: str = Field("auto", pattern=TRAINING_NAMES)
    """``auto``, ``cpu``, ``cuda``, ``mps``, ``tpu``, or one GPU by number, such as ``cuda:1``."""
    devices: int = Field(1, ge=1, le=1024)
    """Devices of each node (on the CPU: processes), each with its own batch."""
    nodes: int = Field(1, ge=1, le=1024)
    precision: Literal[TrainingPrecision, "auto"] = "fp32"
    """Arithmetic of the network; weights, loss and optimiser stay in fp32. ``auto`` is bf16 on
    processors with bfloat16 multiplication, else fp32."""
    workers: int = Field(0, ge=0, le=1024)
    """Processes that load batches; 0 loads them in the training process."""

    @property
    def predicts_bins(self) -> bool:
        """Whether the network predicts a distribution over bins, not one value, for each medium."""
        return self.loss == "soft-bins"


class ModelSettings(Frozen):
    """Name of a network, with every field of its configuration."""

    name: str = "crmnet"
    settings: dict[str, Any] = {}


class RunSettings(Frozen):
    """Everything that determines a training run, except the data."""

    recipe: str
    model: ModelSettings
    train: TrainSettings


def shipped_recipes() -> dict[str, str]:
    """The recipes in the package: name → one-line description."""
    folder = resources.files("crmnet") / "recipes"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return {
        file.name.removesuffix(".toml"): str(tomllib.loads(file.read_text()).get("about", ""))
        for file in files
    }


def resolve(
    recipe: str, overrides: list[str] | None = None, *, model: ModelSettings | None = None
) -> RunSettings:
    """All settings of a run, from a recipe and overrides.

    Args:
        recipe: Name of a recipe in the package, such as ``small``, or a path such as ``mine.toml``.
        overrides: ``key=value`` texts: ``train.epochs=5``, ``model.heads=4``, or just ``epochs=5``.
        model: The network of a run to start from, which replaces that of the recipe. Overrides may
            change its dropout rates, on which no weight depends.

    Raises:
        FileNotFoundError: If the recipe does not exist.
        ValueError: If a key or value is invalid; the message names it and lists the known ones.
    """
    source = _read_recipe(recipe)
    sections = _sections(source)
    if model is not None:
        sections["model"] = {"name": model.name, **model.settings}
    overridden: Overridden = {}
    for text in overrides or []:
        section, key, value = _parse_override(text)
        if section == "model" and model is not None and not key.endswith("dropout"):
            raise ValueError(
                f"--set {text}: the run to start from determines the network, except dropout"
            )
        sections[section][key] = value
        overridden[section, key] = text
    if model is None or any(section == "model" for section, _ in overridden):
        model = _model_settings(sections["model"], overridden, source)
    train = _train_settings(sections["train"], overridden, source)
    return RunSettings(recipe=source.name, model=model, train=train)


def check_overrides(
    overrides: Sequence[str] | None, reserved: Mapping[str, str] = {}, option: str = "--set"
) -> None:
    """Check the texts that a user gave as overrides of one command.

    Args:
        overrides: As for :func:`resolve`.
        reserved: Settings that the command sets, such as ``train.seed``, and what to use instead.
        option: The option that the user gave, for errors.

    Raises:
        ValueError: If a text cannot be read, two change the same setting, or one is reserved.
    """
    overridden: Overridden = {}
    for text in overrides or []:
        section, key, _ = _parse_override(text)
        if first := overridden.get((section, key)):
            raise ValueError(
                f"{option} changes {section}.{key} twice, {first} and {text}; give one"
            )
        if instead := reserved.get(f"{section}.{key}"):
            raise ValueError(f"{option} {text}: this command sets {section}.{key}; use {instead}")
        overridden[section, key] = text


def override_key(text: str) -> str:
    """Full key of a ``key=value`` text: ``train.epochs`` for ``epochs=5``.

    Raises:
        ValueError: If the text cannot be read.
    """
    section, key, _ = _parse_override(text)
    return f"{section}.{key}"


class _Recipe(NamedTuple):
    """A recipe as it was read; ``text`` is empty for one in the package."""

    values: dict[str, Any]
    name: str
    source: str
    text: str

    def location(self, section: str, key: str) -> str:
        """File and line of a setting, for an error."""
        inside = False
        for number, line in enumerate(self.text.splitlines(), 1):
            bare = line.strip()
            if bare.startswith("["):
                inside = bare.strip("[] ") == section
            elif inside and bare.partition("=")[0].strip().strip("\"'") == key:
                return f"{self.source}, line {number}"
        return self.source


Overridden = dict[tuple[str, str], str]
"""Section and key → the ``--set`` that changed it."""


def _sections(recipe: _Recipe) -> dict[str, dict[str, Any]]:
    """The sections ``model`` and ``train`` of a recipe."""
    for name, values in recipe.values.items():
        if name not in ("about", "model", "train"):
            raise ValueError(
                f"{recipe.source}: unknown section {name!r}; known: about, [model], [train]"
            )
        if name != "about" and not isinstance(values, dict):
            raise ValueError(
                f"{recipe.source}: {name} must be a section, [{name}], of settings; "
                f"got {values!r:.60}"
            )
    return {section: dict(recipe.values.get(section, {})) for section in ("model", "train")}


def _model_settings(
    values: dict[str, Any], overridden: Overridden, recipe: _Recipe
) -> ModelSettings:
    name = values.pop("name", "crmnet")
    try:
        config = configure(name, **values)
    except ValueError as error:
        message_words = str(error).partition(";")[0].replace("'", " ").split()
        faulty = next((key for key in values if key in message_words), "name")
        text = overridden.get(("model", faulty))
        place = f"--set {text}" if text else recipe.location("model", faulty)
        raise ValueError(f"{place}: {error}") from None
    return ModelSettings(name=name, settings=_jsonable(asdict(config)))


def _read_recipe(recipe: str) -> _Recipe:
    shipped = resources.files("crmnet") / "recipes" / f"{recipe}.toml"
    path = Path(recipe)
    if path.suffix != ".toml" and shipped.is_file():
        return _Recipe(tomllib.loads(shipped.read_text()), recipe, f"recipe {recipe}", "")
    if not path.is_file():
        hint = did_you_mean(recipe, shipped_recipes())
        raise FileNotFoundError(
            f"{recipe}: no such recipe; {hint}{' ' if hint else ''}shipped ones are "
            f"{', '.join(shipped_recipes())}; or give a .toml file"
        )
    text = read_text(path, LARGEST_RECIPE)
    try:
        return _Recipe(tomllib.loads(text), path.stem, str(path), text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not valid TOML: {error}") from error


def _parse_override(text: str) -> tuple[str, str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError(f"--set takes key=value, such as train.epochs=5; got {text!r}")
    section, dot, name = key.partition(".")
    if not dot:
        section, name = ("train" if key in TrainSettings.model_fields else "model"), key
    if not dot and section == "model":
        # Most settings belong to training; a typing error there should not list the network's.
        hint = did_you_mean(key, TrainSettings.model_fields, cutoff=0.8)
        network_settings = {
            field.name for entry in MODELS.values() for field in fields(entry.defaults)
        }
        if hint and key not in network_settings:
            raise ValueError(f"--set {text}: no setting {key!r}; {hint}")
    if section not in ("train", "model"):
        raise ValueError(f"--set {text}: the section must be train or model; got {section!r}")
    try:
        return section, name, tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):  # not TOML: a text without quotes
        return section, name, value


def _train_settings(
    values: dict[str, Any], overridden: Overridden, recipe: _Recipe
) -> TrainSettings:
    try:
        return TrainSettings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            names = ", ".join(TrainSettings.model_fields)
            hint = did_you_mean(key, TrainSettings.model_fields)
            hint = f" ({hint})" if hint else ""
            problem = f"no setting train.{key}{hint}; known: {names}"
        else:
            problem = f"train.{key} = {first['input']!r:.60}: {first['msg'].lower()}"
        text = overridden.get(("train", key))
        place = f"--set {text}" if text else recipe.location("train", key)
        raise ValueError(f"{place}: {problem}") from None


def _jsonable(values: dict[str, Any]) -> dict[str, Any]:
    """Tuples become lists, so that settings read from JSON compare equal."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
