"""Fine-tuning: the weights of a trained network as the start of a training run.

:mod:`crmnet.training.train` calls these functions before it trains. The data may have other media
than the trained network, in any unit: a new output begins as the output of the trained network that
fits its labels best, rescaled to their unit.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import nn

from crmnet.arrays import Floats, Integers
from crmnet.files import PathLike
from crmnet.runs.folder import check_tensors, output_tensors
from crmnet.runs.packed import load_model
from crmnet.runs.record import RunRecord, Scale
from crmnet.statistics.scale import fit_line
from crmnet.training.finish import network_outputs
from crmnet.training.rows import TrainData, base_output, outputs_of_rows

log = logging.getLogger("crmnet")

FITTED_ROWS = 4096
"""Training rows with which outputs of the trained network are compared."""
LOWEST_R = 0.2
"""Lowest correlation at which a new output takes its scale from predictions of the old one."""


class Start(NamedTuple):
    """The network to start from."""

    model: Path
    network: nn.Module
    record: RunRecord


def open_start(model: PathLike) -> Start:
    """The network of a run, or the first network of a packed or bundled model.

    Raises:
        FileNotFoundError: If the model does not exist.
        ValueError: If it is damaged.
    """
    loaded = load_model(model)
    if len(loaded.networks) > 1:
        log.info("starting from the first of the %s networks of %s", len(loaded.networks), model)
    return Start(Path(model), loaded.networks[0], loaded.records[0])


def with_fitted_outputs(train_data: TrainData, start: Start) -> tuple[TrainData, list[int]]:
    """Match the outputs of a run with those of the network to start from.

    Returns:
        The data, with scales for new outputs; and for each output the number of the output of the
        trained network from which it starts.
    """
    columns, scale = [], dict(train_data.scale)
    for number, output in enumerate(train_data.outputs):
        known = base_output(output, train_data.data.units, start.record)
        if known is None:
            known, scale[output] = _best_fit(train_data, start, number)
            log.info(
                "%s in this unit is not among the outputs of %s: it starts as %s, with a new scale",
                output, start.model, start.record.media[known],
            )  # fmt: skip
        columns.append(known)
    return replace(train_data, scale=scale), columns


def _best_fit(train_data: TrainData, start: Start, output: int) -> tuple[int, Scale]:
    """The output of the trained network with the highest r to the labels, and its new scale."""
    rows = _rows_of(train_data, output)
    labels = np.asarray(train_data.data.labels)[rows].astype(np.float64)
    predicted = network_outputs(start.network, np.array(train_data.data.tokens[rows]))
    r = [_correlation(column, labels) for column in predicted.T]
    best = int(np.argmax(r))
    if r[best] < LOWEST_R:
        return best, train_data.scale[train_data.outputs[output]]
    slope, offset = fit_line(predicted[:, best], labels)
    return best, Scale(mean=offset, sd=slope)


def _rows_of(train_data: TrainData, output: int) -> Integers:
    """Up to :data:`FITTED_ROWS` training rows of an output, evenly spaced."""
    number = outputs_of_rows(train_data.data, train_data.rows, train_data.outputs)
    rows = train_data.rows[number == output]
    return rows[:: -(-len(rows) // FITTED_ROWS)]


def _correlation(a: Floats, b: Floats) -> float:
    """Pearson's r; 0 if one of them is constant."""
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def load_start(network: nn.Module, start: Start, columns: list[int]) -> None:
    """Copy the weights of the trained network; each output gets those of the given one.

    Args:
        network: Receives the weights; the same network with another number of outputs.
        start: The trained network.
        columns: For each output of ``network``, the output of the trained network.

    Raises:
        ValueError: If the networks differ in more than their outputs; names tensor and shapes.
    """
    n_old = len(start.record.media)
    last_layer = output_tensors(start.record)
    chosen = {
        name: value.unflatten(0, (n_old, -1))[columns].flatten(0, 1)
        if name in last_layer
        else value
        for name, value in start.network.state_dict().items()
    }
    check_tensors(network, chosen, start.model)
    network.load_state_dict(chosen)
