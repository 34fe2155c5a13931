"""The settings of a run: defaults ← recipe ← ``--set``, checked, and to and from JSON.

A recipe is a small TOML file that names a network and only what differs from the defaults. What
comes out is a :class:`RunSettings` in which every value stands, and the :class:`RunRecord` that is
saved beside the weights and is all that is needed to load them.
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict, fields
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crmnet.models import MODELS, configure
from crmnet.names import did_you_mean


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainSettings(Frozen):
    """How a network is trained; the defaults are the paper's (section 2.4)."""

    epochs: int = Field(50, ge=1)
    batch_size: int = Field(1024, ge=1)
    """Rows per step and device."""
    loss: Literal["huber", "mse", "soft-bins"] = "huber"
    """``soft-bins``: the network gives a distribution over the bins 0–17 and is trained to match
    one that is spread around the label (LegNet, DREAM 2022); predictions are its mean."""
    huber_delta: float = Field(1.0, gt=0)
    """Error, in the unit the network is trained in, above which Huber's loss grows linearly."""
    bin_spread: float = Field(0.5, gt=0)
    """Standard deviation, in bins, of the target of ``soft-bins``."""
    row_weights: Literal["equal", "column", "cells"] = "equal"
    """What a row counts in the loss: the same for all, its ``weight`` as it stands, or
    n / (n + half_weight_cells), for weights that are numbers n of cells."""
    half_weight_cells: float = Field(2.0, gt=0)
    """Cells of a row that counts half as much as one measured without error: the variance between
    single cells over the variance that the network leaves unexplained."""
    singleton_weight: float = Field(1.0, ge=0)
    """Factor for rows whose label is a whole sorting bin, as that of a single cell."""
    l1: float = Field(0.0, ge=0)
    """Added to the loss: this times the mean size of the network's weights (biases aside)."""
    optimizer: Literal["adam", "adamw", "rmsprop"] = "adam"
    weight_decay: float = Field(0.0, ge=0)
    """Of the optimiser; ``adamw`` takes it apart from the gradient (Loshchilov & Hutter 2019)."""
    learning_rate: float = Field(0.001, gt=0)
    """Reached at the end of the warm-up; all three rates are for one device."""
    start_learning_rate: float = Field(0.0001, gt=0)
    final_learning_rate: float = Field(0.0001, ge=0)
    """Reached at the end of the last epoch, along a cosine."""
    warmup_epochs: float = Field(10, ge=0)
    schedule: Literal["cosine", "constant", "one-cycle"] = "cosine"
    """What follows the warm-up; ``constant`` is what the released code does. ``one-cycle`` (Smith
    2018) warms up along a cosine too, over half of the epochs at most, and moves Adam's first beta
    from 0.95 to 0.85 and back."""
    scale_learning_rate: bool = True
    """Multiply the rates by the number of devices (section 4.4)."""
    patience: int = Field(10, ge=1)
    """Epochs without a better validation R² before training stops; the best weights are kept."""
    validation_fraction: float = Field(0.01, gt=0, lt=1)
    """Share of families held out where no validation set is given."""
    validation_by: Literal["family", "sequence", "homology"] = "family"
    """What makes rows relatives that are held out together: the family given with them (their
    sequence where none was), their sequence alone, or shared words of their inserts."""
    reverse_complement: float = Field(0.0, ge=0, le=1)
    """Share of training rows that are shown as their other strand, anew in each epoch; a network
    with a channel for it (``legnet``, ``dream-*``) is told which."""
    average_strands: bool = False
    """Predict the mean over both strands, told apart by such a channel or read one by one."""
    mark_singletons: bool = False
    """Tell such a network which training labels are whole numbers, that is, come from one cell."""
    shift: int = Field(0, ge=0, le=12)
    """Positions by which training rows are moved at most, either way; only adapter falls off."""
    standardize: bool = False
    """Train on labels of mean 0 and standard deviation 1 per medium; predictions are put back."""
    pool_media: bool = False
    """One output for all media, as in the paper's pre-training, which did not tell them apart."""
    even_media: bool = False
    """Draw equally many rows of each medium in every epoch."""
    even_families: float = Field(0.0, ge=0, le=1)
    """How evenly families are drawn: 0 shows every row once an epoch; above, rows are drawn at
    random, each with a chance proportional to the size of its family (as ``validation_by`` finds
    them) to the power of minus this, so that 1 draws all families equally often."""
    ema: float = Field(0.0, ge=0, lt=1)
    """Share of the old in an exponential moving average of the weights, taken after every step;
    above 0 the average is what is validated and kept."""
    seed: int = Field(0, ge=0)
    device: Literal["auto", "cpu", "cuda", "mps", "tpu"] = "auto"
    devices: int = Field(1, ge=1)
    """Devices (on the CPU: processes) of each node, each with a batch of its own."""
    nodes: int = Field(1, ge=1)
    precision: Literal["fp32", "bf16", "fp16", "auto"] = "fp32"
    """Of the network's arithmetic; weights, loss and optimiser stay in fp32. ``auto`` is bf16 where
    the processor multiplies such numbers itself, else fp32."""
    workers: int = Field(0, ge=0)
    """Processes that gather batches; 0 gathers them in the training process."""


class ModelSettings(Frozen):
    """Which network, with every field of its configuration."""

    name: str = "crmnet"
    settings: dict[str, Any] = {}


class RunSettings(Frozen):
    """Everything that decides a training run but the data."""

    recipe: str
    model: ModelSettings
    train: TrainSettings


def shipped_recipes() -> dict[str, str]:
    """Names of the recipes that come with the package, and what each says of itself."""
    folder = resources.files("crmnet") / "recipes"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return {
        file.name.removesuffix(".toml"): str(tomllib.loads(file.read_text()).get("about", ""))
        for file in files
    }


def resolve(
    recipe: str, overrides: list[str] | None = None, *, model: ModelSettings | None = None
) -> RunSettings:
    """Settings of a recipe, given by file or by the name of a shipped one.

    Args:
        recipe: ``small``, or a path such as ``mine.toml``.
        overrides: ``key=value`` texts; ``train.epochs=5``, ``model.heads=4``, or just ``epochs=5``.
        model: The network of a run to start from; it takes the place of the recipe's.

    Raises:
        FileNotFoundError: If there is no such recipe.
        ValueError: If a key or value is not understood; the message names it and what is known.
    """
    raw, name = _read_recipe(recipe)
    sections = {"model": dict(raw.pop("model", {})), "train": dict(raw.pop("train", {}))}
    raw.pop("about", None)
    if raw:
        raise ValueError(
            f"recipe {name}: unknown section {next(iter(raw))!r}; known: about, [model], [train]"
        )
    for text in overrides or []:
        section, key, value = _parse_override(text)
        if section == "model" and model is not None:
            raise ValueError(f"--set {text}: the network is that of the run to start from")
        sections[section][key] = value
    if model is None:
        model_name = sections["model"].pop("name", "crmnet")
        config = configure(model_name, **sections["model"])
        model = ModelSettings(name=model_name, settings=_jsonable(asdict(config)))
    return RunSettings(recipe=name, model=model, train=_checked(sections["train"], name))


def _read_recipe(recipe: str) -> tuple[dict[str, Any], str]:
    shipped = resources.files("crmnet") / "recipes" / f"{recipe}.toml"
    path = Path(recipe)
    if path.suffix != ".toml" and shipped.is_file():
        return tomllib.loads(shipped.read_text()), recipe
    if not path.is_file():
        raise FileNotFoundError(
            f"{recipe}: no such recipe; shipped ones are {', '.join(shipped_recipes())}, "
            "or name a .toml file"
        )
    try:
        return tomllib.loads(path.read_text()), path.stem
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: not valid TOML: {error}") from error


def _parse_override(text: str) -> tuple[str, str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError(f"--set takes key=value, such as train.epochs=5; got {text!r}")
    section, dot, rest = key.partition(".")
    if not dot:
        section, rest = ("train" if key in TrainSettings.model_fields else "model"), key
    if not dot and section == "model":
        # Most settings are of training, and a slip there should not list the network's.
        hint = did_you_mean(key, TrainSettings.model_fields, cutoff=0.8)
        known = {field.name for entry in MODELS.values() for field in fields(entry.defaults)}
        if hint and key not in known:
            raise ValueError(f"--set {text}: no setting {key!r}; {hint}")
    if section not in ("train", "model"):
        raise ValueError(f"--set {text}: the section must be train or model; got {section!r}")
    try:
        return section, rest, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return section, rest, value


def _checked(values: dict[str, Any], recipe: str) -> TrainSettings:
    try:
        return TrainSettings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = ", ".join(TrainSettings.model_fields)
            hint = did_you_mean(key, TrainSettings.model_fields)
            hint = f" ({hint})" if hint else ""
            raise ValueError(
                f"recipe {recipe}: no setting train.{key}{hint}; known: {known}"
            ) from None
        raise ValueError(
            f"recipe {recipe}: train.{key} = {first['input']!r}: {first['msg'].lower()}"
        ) from None


def _jsonable(values: dict[str, Any]) -> dict[str, Any]:
    """Tuples as lists, so that settings compare equal after a trip through JSON."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
