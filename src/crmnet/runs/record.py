"""``run.json``, the record of a run: settings, media, units, data, versions and best epoch.

The record and the weights are all that is needed to build the network and use it. Training creates
it from the settings (:mod:`crmnet.runs.settings`); :mod:`crmnet.runs.folder` reads and writes it.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable
from typing import Any, Self

from pydantic import Field, model_validator

from crmnet.choices import Flanks
from crmnet.data.dataset import LABELLED_BY
from crmnet.data.sketch import Sketch, sketch_texts
from crmnet.names import is_control
from crmnet.runs.settings import Frozen, RunSettings
from crmnet.sequence import LENGTH

FORMAT = 1
HELD_OUT = "held-out families"
"""Entry ``validation`` of ``data`` if the validation rows were split from the training set."""
SKETCH = "training_sketch"
"""Key of ``data``: a sketch of the inserts of the training rows (:mod:`crmnet.data.sketch`), or a
list of sketches, for a fine-tuned run."""
FLANKS = "flanks"
"""Key of ``data``: how adapters of the training set were treated, as in its manifest."""


class Scale(Frozen):
    """Label = network output × sd + mean."""

    mean: float = 0.0
    sd: float = Field(default=1.0, gt=0)


class BestEpoch(Frozen):
    """The epoch whose weights are kept, and its metrics on the validation rows."""

    epoch: int = Field(ge=0)
    metrics: dict[str, float]


class RunRecord(Frozen):
    """Contents of ``run.json``: network, settings, data, and the state of the training."""

    format: int = FORMAT
    settings: RunSettings
    media: list[str]
    """Names of the network's outputs, in order; ``complex+defined`` is one output for two media."""
    scale: dict[str, Scale]
    """Output → unit in which the network was trained."""
    data: dict[str, Any]
    """Training and validation data: names, fingerprints, units and numbers of rows, treatment of
    adapters, a sketch of the training rows, and the run to start from, if any; see
    :meth:`crmnet.training.rows.TrainData.summary`."""
    versions: dict[str, str]
    best: BestEpoch | None = None
    """None before the first epoch ends."""
    finished: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        check_outputs(self.media)
        for medium in self.media:
            if medium not in self.scale:
                raise ValueError(f"scale has no entry for the output {medium!r}")
        _check_data(self.data)
        return self

    @property
    def length(self) -> int:
        """Positions that the network reads."""
        length: int = self.settings.model.settings.get("length", LENGTH)
        return length

    @property
    def units(self) -> dict[str, str]:
        """Output → unit of its labels; outputs whose unit is unknown are left out."""
        unit_of_medium = self.data.get("units", {})
        units_of_output = {
            output: {
                unit_of_medium[medium]
                for medium in (output, *output.split("+"))
                if medium in unit_of_medium
            }
            for output in self.media
        }
        return {
            output: distinct.pop()
            for output, distinct in units_of_output.items()
            if len(distinct) == 1
        }


def flanks_of(records: Iterable[RunRecord]) -> Flanks:
    """How to read sequences for these runs: ``none`` if all training sets were read so.

    Else ``auto``: it also fits sets that were read with ``add``, and runs that do not record it.
    """
    found = {record.data.get(FLANKS) for record in records}
    return "none" if found == {"none"} else "auto"


def check_outputs(media: list[str]) -> None:
    """Check names of outputs.

    Raises:
        ValueError: If there is none, or if one is empty, not printable or given twice.
    """
    if not media:
        raise ValueError("media names no output")
    for medium in media:
        if not medium.strip() or any(map(is_control, medium)):
            raise ValueError(f"media holds a name that is not printable: {medium!a:.60}")
        if media.count(medium) > 1:
            raise ValueError(f"media names {medium!r} twice")


_TEXTS = ("name", "fingerprint", "validation", "validation_fingerprint", "licence", "citation",
          LABELLED_BY, FLANKS)  # fmt: skip
_COUNTS = ("training_rows", "validation_rows")


def _check_data(data: dict[str, Any]) -> None:
    """Check the values of ``data`` that are used."""
    for key in _TEXTS:
        if not isinstance(data.get(key, ""), str):
            raise ValueError(f"data.{key} must be a text; got {data[key]!r:.60}")
    for key in _COUNTS:
        if type(data.get(key, 0)) is not int or data.get(key, 0) < 0:
            raise ValueError(f"data.{key} must be a number of rows; got {data[key]!r:.60}")
    if SKETCH in data:
        try:
            for text in sketch_texts(data[SKETCH]) or [None]:
                Sketch.from_text(text)
        except ValueError as error:
            raise ValueError(f"data.{SKETCH}: {error}") from None
    if "training_rows" in data:
        for key in ("name", "validation", "validation_rows"):
            if key not in data:
                raise ValueError(f"data lacks {key}")
    for key in ("units", "start"):
        values = data.get(key, {})
        if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
            raise ValueError(f"data.{key} must name texts; got {values!r:.60}")


def versions() -> dict[str, str]:
    """Versions of Python, this package, and the libraries that numerical results depend on."""
    version_of = {"python": platform.python_version(), "platform": platform.platform()}
    for package in ("crmnet", "torch", "lightning", "numpy"):
        version_of[package] = importlib.metadata.version(package)
    return version_of
