"""Evaluates a model on measured promoters: the function of ``from crmnet import evaluate``.

:func:`evaluate` calls :mod:`crmnet.evaluation.score_sets`, which predicts, and then
:mod:`crmnet.statistics.metrics`, which scores. ``crmnet evaluate`` calls the same two modules and
adds tables, warnings and figures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crmnet.data.dataset import Dataset
from crmnet.evaluation.score_sets import score_file, score_model
from crmnet.files import PathLike
from crmnet.prediction.predictor import Predictor
from crmnet.statistics.metrics import summarise


def evaluate(
    model: Predictor | PathLike, data: Dataset | PathLike, medium: str | None = None
) -> dict[str, Any]:
    """Metrics of a model on a data set, each with a 95 % interval bootstrapped by family.

    Args:
        model: A predictor, a run folder, a packed file, or the name of a bundled model.
        data: An opened data set, its folder, a text file of sequences and measurements, or the
            name of a public data set that has been fetched.
        medium: Score only the rows of this medium; None scores every medium. A file without a
            ``medium`` column is assumed to be measured in ``medium``, or if that is None, in the
            model's first medium.

    Returns:
        What ``crmnet evaluate`` writes to ``metrics.json``: ``result["sets"][NAME]`` holds ``n``,
        ``families`` and, for each metric, ``value``, ``low`` and ``high``. NAME is that of the data
        set, with ``:medium`` appended if it holds several media.

    Raises:
        FileNotFoundError: If the model or data set does not exist.
        ValueError: If the model does not predict a medium of the data, or the data cannot be read.
    """
    predictor = model if isinstance(model, Predictor) else Predictor.load(model)
    if isinstance(data, Dataset):
        return summarise(score_model(predictor, data, medium=medium))
    return summarise(score_file(predictor, Path(data), medium=medium))
