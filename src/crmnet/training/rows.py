"""The data of a training run: training and validation rows, network outputs, scale of the labels.

:func:`choose_data` takes settings, data sets and, for fine-tuning, the record of the run to start
from. It returns a :class:`TrainData` for :mod:`crmnet.training.train`, or raises an error if they
do not fit together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Integers
from crmnet.data.dataset import LABELLED_BY, Dataset
from crmnet.data.hashes import Hashes
from crmnet.data.media import output_of
from crmnet.data.opening import warn_of_other_flanks
from crmnet.data.sketch import Sketch, sketch_texts, with_sketch
from crmnet.data.splits import families, hold_out
from crmnet.files import PathLike
from crmnet.runs.packed import weights_file
from crmnet.runs.record import FLANKS, HELD_OUT, SKETCH, RunRecord, Scale
from crmnet.runs.settings import TrainSettings
from crmnet.sequence import TOP_BIN

SOFT_BIN_MIDDLE, SOFT_BIN_SD = TOP_BIN / 2, 3.5
"""Mean and standard deviation, in bins, of standardised labels for the loss ``soft-bins``."""


@dataclass(frozen=True)
class TrainData:
    """Training and validation rows, and names and scales of the network's outputs."""

    data: Dataset
    rows: Integers
    """Training rows: indices into ``data``."""
    validation: Dataset
    """The same as ``data`` if a share of its families is held out."""
    validation_rows: Integers
    outputs: list[str]
    """Names of the network's outputs, in order."""
    scale: dict[str, Scale]
    """Output → mean and standard deviation that convert its labels to the unit of training."""
    sampling_weights: npt.NDArray[np.floating] | None
    """Relative sampling probability of each training row; None means every row once per epoch."""

    def summary(self, base: RunRecord | None, start: PathLike | None) -> dict[str, Any]:
        """Entry ``data`` of the :class:`~crmnet.runs.record.RunRecord`.

        Args:
            base: Record of the run whose weights are fine-tuned.
            start: Folder of that run.
        """
        start = None if start is None else Path(start)
        summary = {
            "name": self.data.name,
            "fingerprint": self.data.fingerprint,
            "units": {**(base.data.get("units", {}) if base else {}), **self.data.units},
            "training_rows": len(self.rows),
            "validation": (self.validation.name if self.validation is not self.data else HELD_OUT),
            "validation_fingerprint": self.validation.fingerprint,
            "validation_rows": len(self.validation_rows),
            FLANKS: str(self.data.manifest.get("flanks", "auto")),
            SKETCH: self._sketches(base),
        }
        if start is None and self.data.labelled_by is not None:
            summary[LABELLED_BY] = self.data.labelled_by
        if start is not None:
            weights = hashlib.sha256(weights_file(start).read_bytes()).hexdigest()
            summary["start"] = {"run": start.name, "weights_sha256": weights}
        if base is not None:  # they hold for the weights made from them as well
            kept = ("licence", "citation")
            summary |= {key: base.data[key] for key in kept if key in base.data}
        return summary

    def _sketches(self, base: RunRecord | None) -> str | list[str]:
        """Sketch of the training rows, and those of the run to start from if it has any."""
        before = [] if base is None else sketch_texts(base.data.get(SKETCH))
        texts = with_sketch(before, Sketch.of(self.data.tokens, self.rows))
        return texts[0] if len(texts) == 1 else texts


def choose_data(
    settings: TrainSettings,
    data: Dataset,
    validation: Dataset | None = None,
    base: RunRecord | None = None,
) -> TrainData:
    """Choose training rows, validation rows, outputs and scales.

    Args:
        settings: Settings of the training.
        data: Training data.
        validation: Validation data; None holds out a share of the families of ``data``.
        base: Record of the run whose weights are fine-tuned.

    Raises:
        ValueError: If there are too few validation rows; if the loss, weights, media or units do
            not fit together; or if labels are all equal or outside the bins of the loss.
    """
    if base is not None:
        _check_loss(settings, base)
    family = None
    if settings.even_families or validation is None:
        family = families(data, settings.validation_by)
    if validation is not None:
        warn_of_other_flanks(validation, data.flanks_to_match, data.name)
    rows, validation, validation_rows = _split(settings, data, validation, family)
    _check_validation_size(validation, validation_rows)
    _check_weights(settings, data, rows)
    outputs = _outputs(settings, data, base)
    _check_units(settings, data, validation)
    scale = _scales(settings, data, rows, outputs, base)
    sampling_weights = None
    if settings.even_families and family is not None:
        _, number, sizes = np.unique(family[rows], return_inverse=True, return_counts=True)
        sampling_weights = sizes[number] ** -settings.even_families
    return TrainData(data, rows, validation, validation_rows, outputs, scale, sampling_weights)


def _check_loss(settings: TrainSettings, base: RunRecord) -> None:
    """Check that both networks predict bins, or that both predict values."""
    base_train = base.settings.train
    if base_train.predicts_bins != settings.predicts_bins:
        raise ValueError(
            f"the run to start from was trained with train.loss={base_train.loss} and predicts "
            f"{'bins' if base_train.predicts_bins else 'one value'} for each medium; "
            f"train.loss={settings.loss} does not fit its weights: set train.loss={base_train.loss}"
        )


def _split(
    settings: TrainSettings, data: Dataset, validation: Dataset | None, family: Hashes | None
) -> tuple[Integers, Dataset, Integers]:
    """Training rows, validation set and validation rows."""
    if validation is None:
        rows, held_out = hold_out(
            data, settings.validation_fraction, settings.seed,
            by=settings.validation_by, family=family,
        )  # fmt: skip
        return rows, data, held_out
    unknown = [medium for medium in validation.media if medium not in data.media]
    if unknown:
        raise ValueError(
            f"the validation set was measured in {', '.join(unknown)}, "
            f"the training set in {', '.join(data.media)}"
        )
    return np.arange(len(data)), validation, np.arange(len(validation))


def _check_validation_size(validation: Dataset, rows: Integers) -> None:
    """Check that at least one medium has three validation rows."""
    if np.bincount(np.asarray(validation.medium)[rows]).max() < 3:
        raise ValueError(
            f"{len(rows)} validation rows are too few to compare epochs; "
            "raise train.validation_fraction or give a validation set"
        )


def _check_weights(settings: TrainSettings, data: Dataset, rows: Integers) -> None:
    """Check that the data have the weights of the settings, and that not all of them are 0."""
    weighted = np.ones(len(rows), dtype=bool)
    if settings.row_weights != "equal":
        if data.weight is None:
            raise ValueError(f"{data.path} has no weights; set train.row_weights=equal")
        weighted = np.asarray(data.weight)[rows] > 0
    if settings.singleton_weight == 0:
        weighted &= ~data.singleton(rows)
    if not weighted.any():
        raise ValueError(
            f"{data.path}: all training rows have the weight 0, so nothing can be learned; change "
            "train.singleton_weight or train.row_weights"
        )


def _outputs(settings: TrainSettings, data: Dataset, base: RunRecord | None) -> list[str]:
    """Names of the network's outputs.

    Fine-tuning keeps the outputs of the base run if every medium of the data is one of them, in the
    same unit. Else the outputs are those of the data.
    """
    if base is None:
        return ["+".join(sorted(data.media))] if settings.pool_media else data.media
    if set(data.media) <= set(base.media) and all(
        base_output(medium, data.units, base) is not None for medium in data.media
    ):
        return base.media
    if settings.pool_media or len(data.media) == 1:
        return ["+".join(sorted(data.media))]
    return data.media


def base_output(output: str, units: Mapping[str, str], base: RunRecord) -> int | None:
    """Number of the base run's output for an output of the data.

    Args:
        output: A medium, or several joined by ``+``.
        units: Medium → unit of its labels in the data.
        base: Record of the base run.

    Returns:
        None if the base run has no such output, or has it in another unit.
    """
    try:
        number = output_of(output, base.media)
    except ValueError:
        return None
    known = base.data.get("units", {})
    pairs = [(units[m], known[m]) for m in output.split("+") if m in units and m in known]
    return number if all(unit == base_unit for unit, base_unit in pairs) else None


def _check_units(settings: TrainSettings, data: Dataset, validation: Dataset) -> None:
    """Check that labels in different units are not mixed."""
    units = data.units
    listed = ", ".join(f"{medium} in {unit}" for medium, unit in units.items())
    if len(set(units.values())) > 1 and settings.pool_media:
        raise ValueError(f"{data.path}: one output for all media needs one unit; it has {listed}")
    if len(set(units.values())) > 1 and not settings.standardize:
        raise ValueError(
            f"{data.path}: labels are on different scales ({listed}); set train.standardize=true"
        )
    for medium in units.keys() & validation.units.keys():
        if units[medium] != validation.units[medium]:
            raise ValueError(
                f"labels of medium {medium!r} are in {units[medium]} in {data.path}, but in "
                f"{validation.units[medium]} in {validation.path}; set their unit with data "
                "ingest --unit"
            )


def outputs_of_rows(data: Dataset, rows: Integers, outputs: list[str]) -> Integers:
    """Number of the output for the medium of each row: ``(N,)``."""
    numbers = np.array([output_of(medium, outputs) for medium in data.media])
    return numbers[np.asarray(data.medium)[rows]]


def _scales(
    settings: TrainSettings,
    data: Dataset,
    rows: Integers,
    outputs: list[str],
    base: RunRecord | None,
) -> dict[str, Scale]:
    """Scale of each output: that of the base run, or one computed from the training labels."""
    labels = np.asarray(data.labels)[rows]
    output = outputs_of_rows(data, rows, outputs)
    scales = {}
    for number, name in enumerate(outputs):
        own_labels = labels[output == number].astype(np.float64)
        number_in_base = None if base is None else base_output(name, data.units, base)
        if number_in_base is None and not len(own_labels):
            raise ValueError(
                f"{data.path}: no training row has medium {name!r}, all were held out; lower "
                "train.validation_fraction, or leave the medium out"
            )
        if len(own_labels) > 1 and own_labels.std() == 0 and (base or settings.standardize):
            raise ValueError(f"{data.path}: the labels of medium {name!r} are all the same")
        if base is not None and number_in_base is not None:
            scales[name] = base.scale[base.media[number_in_base]]
        elif not settings.standardize:
            scales[name] = Scale()
        elif len(own_labels) < 2:
            raise ValueError(
                f"{data.path}: medium {name!r} has only one training row; give more, or leave the "
                "medium out"
            )
        elif settings.predicts_bins:
            sd = float(own_labels.std()) / SOFT_BIN_SD
            scales[name] = Scale(mean=float(own_labels.mean()) - SOFT_BIN_MIDDLE * sd, sd=sd)
        else:
            scales[name] = Scale(mean=float(own_labels.mean()), sd=float(own_labels.std()))
        scaled = (own_labels - scales[name].mean) / scales[name].sd
        if settings.predicts_bins and not settings.standardize and len(scaled):
            if scaled.min() < -0.5 or scaled.max() > TOP_BIN + 0.5:
                raise ValueError(
                    f"{data.path}: labels of medium {name!r} range from {own_labels.min():g} to "
                    f"{own_labels.max():g}, outside the bins 0-{TOP_BIN} of the loss soft-bins; "
                    "set train.standardize=true"
                )
    return scales
