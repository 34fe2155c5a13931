"""Statistics of a network that a few rows determine: averages of batch norm, scale of the outputs.

:mod:`crmnet.training.module` computes the averages before each validation, and
:mod:`crmnet.training.train` the scale after the last epoch. With few training rows both matter:
running averages lag behind the weights, and early stopping leaves predictions in too small a range.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from crmnet.arrays import Floats
from crmnet.data.hashes import Hashes
from crmnet.data.splits import families_of
from crmnet.models.ensemble import on_both_strands
from crmnet.runs.record import RunRecord, Scale
from crmnet.sequence import Tokens, one_hot, reverse_complement
from crmnet.statistics.scale import fit_cross_fitted
from crmnet.training.rows import TrainData, outputs_of_rows

log = logging.getLogger("crmnet")

NORM_ROWS = 4096
"""Training rows from which averages of batch norm are computed."""
SCALE_ROWS = 20_000
"""Validation rows to which the scale is fitted."""
BATCH = 256
GAP = 0.05
"""Smallest difference of r² and R² that is worth a warning."""


def norm_tokens(train_data: TrainData, both_strands: bool) -> Tensor:
    """Up to :data:`NORM_ROWS` training rows, evenly spaced; every second one may be reversed."""
    rows = train_data.rows[:: -(-len(train_data.rows) // NORM_ROWS)]
    tokens = np.array(train_data.data.tokens[np.sort(rows)])
    if both_strands:
        tokens[1::2] = reverse_complement(tokens[1::2])
    return torch.from_numpy(tokens)


def refit_norms(network: nn.Module, tokens: Tensor, device: torch.device) -> None:
    """Set the averages of every batch norm to those of the given rows, without dropout.

    Args:
        network: Its norms change, in place.
        tokens: ``(N, L)``.
        device: Of the network.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    was_training = network.training
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
        norm.train()
    with torch.no_grad():
        for part in _batches(tokens):
            if len(part) > 1:
                network(one_hot(part.to(device)))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.train(was_training)


def _batches(tokens: Tensor) -> Iterator[Tensor]:
    for start in range(0, len(tokens), BATCH):
        yield tokens[start : start + BATCH]


def network_outputs(network: nn.Module, tokens: Tokens) -> Floats:
    """Outputs of a network on the CPU, in evaluation mode and in its own unit: ``(N, M)``."""
    with torch.inference_mode():
        parts = [network(one_hot(part)) for part in _batches(torch.from_numpy(tokens))]
    outputs: Floats = torch.cat(parts).double().numpy()
    return outputs


def refit_scale(network: nn.Module, record: RunRecord, train_data: TrainData) -> RunRecord:
    """The record with scales that fit the validation rows, where this helps.

    Scale and offset of an output are fitted by least squares. They are used if the error of rows
    whose families (by homology) took no part in the fit is smaller with them than without.

    Args:
        network: The trained network, in evaluation mode on the CPU.
        record: Its record.
        train_data: Whose validation rows are used.
    """
    scales = dict(record.scale)
    for output, labels, predicted, family in _validation(network, record, train_data):
        fitted = fit_cross_fitted(labels, predicted, family)
        if fitted is None:
            continue
        slope, offset = fitted
        old = scales[output]
        scales[output] = Scale(mean=offset + slope * old.mean, sd=slope * old.sd)
        log.info("%s: predictions rescaled to %.3f x %+.3f", output, slope, offset)
    return record.model_copy(update={"scale": scales})


def _validation(
    network: nn.Module, record: RunRecord, train_data: TrainData
) -> Iterator[tuple[str, Floats, Floats, Hashes]]:
    """Output, labels, predictions ``(N,)`` in its unit, and families of its validation rows."""
    data, rows = train_data.validation, train_data.validation_rows
    rows = rows[:: -(-len(rows) // SCALE_ROWS)]
    form = on_both_strands(network) if record.settings.train.average_strands else network
    tokens = np.array(data.tokens[rows])
    predicted = network_outputs(form, tokens)
    family = families_of(tokens, "homology")
    labels = np.asarray(data.labels)[rows].astype(np.float64)
    outputs = outputs_of_rows(data, rows, record.media)
    for number, output in enumerate(record.media):
        of_output = outputs == number
        if of_output.sum() >= 3:
            scale = record.scale[output]
            values = predicted[:, number] * scale.sd + scale.mean
            yield output, labels[of_output], values[of_output], family[of_output]


def doubts(record: RunRecord) -> list[str]:
    """Warnings about a finished run: predictions off their scale, or training that never helped.

    With ``refit_scale`` there is none about the scale: the metrics are those before it was fitted.
    """
    best, s = record.best, record.settings.train
    if best is None:
        return []
    warnings = []
    r_squared, r2 = best.metrics["val_r"] ** 2, best.metrics["val_r2"]
    if not s.refit_scale and r_squared - r2 > GAP:
        warnings.append(
            f"R² {r2:.2f} of the validation rows is far below r² {r_squared:.2f}: predictions have "
            "the right order but a wrong scale; set train.refit_norms=true and "
            "train.refit_scale=true, or use the recipe auto"
        )
    if best.epoch == 0:
        warnings.append(
            "no epoch was better than the model that training started from: its weights are kept, "
            "only scale and offset of its outputs may have changed; lower train.learning_rate, or "
            "give more rows"
        )
    if best.epoch == 1 and s.epochs > 1:
        warnings.append(
            "the first epoch was the best, so the later ones taught nothing: lower "
            "train.learning_rate, or give more rows"
        )
    return warnings
