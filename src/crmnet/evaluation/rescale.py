"""Brings the outputs of a packed model to the scale of measurements: ``crmnet models rescale``.

The mean over members varies less than each member, so predictions of an ensemble are too close to
their mean. A line fitted on held-out rows corrects this. :mod:`crmnet.evaluation.calibrate` then
computes intervals for the new scale.
"""

from __future__ import annotations

from collections.abc import Mapping

from crmnet.data.dataset import Dataset
from crmnet.data.opening import open_data
from crmnet.evaluation.calibrate import check_units, reading, score_with_spread
from crmnet.evaluation.intervals import by_output
from crmnet.evaluation.seen import refuse_training_rows, unseen
from crmnet.files import PathLike
from crmnet.prediction.predictor import Predictor
from crmnet.runs.model_card import check_card_file
from crmnet.runs.packed import check_name, is_bundled, require_packed, write_rescaled
from crmnet.sequence import Flanks
from crmnet.statistics.scale import Line, fit_cross_fitted


def rescale(
    model: PathLike,
    held_out: PathLike,
    *,
    output: PathLike | None = None,
    overwrite: bool = False,
    flanks: Flanks | None = None,
) -> dict[str, Line]:
    """Fit a line for each medium on held-out rows, and write the model with rescaled outputs.

    Every family has the same weight in the fit. A medium keeps its scale if the line does not lower
    the error of families outside its fit, or if the data set has no rows of it.

    Args:
        model: A packed file, or the name of a bundled model.
        held_out: Data set of families on which no member was trained, in the model's units; or a
            file of such rows, by default of the model's first medium.
        output: Packed file to write; None writes the model's own file.
        overwrite: Replace ``output`` if it exists.
        flanks: Treatment of adapters in a file; None means as in the model's training data.

    Returns:
        Medium → the line, for media that were rescaled.

    Raises:
        FileExistsError: If ``output`` exists and may not be overwritten.
        FileNotFoundError: If there is no such model.
        ValueError: If the model is not packed, it is bundled and there is no ``output``, held-out
            rows are training rows or in another unit, or no medium is rescaled.
    """
    file = require_packed(model)
    if output is None and is_bundled(file):
        raise ValueError(f"{model} is bundled and is not changed; give -o NAME.safetensors")
    if output is not None:
        check_name(output, overwrite)
    check_card_file(output or file)
    predictor = Predictor.load(file)
    with open_data(held_out, reading(predictor, flanks)) as dataset:
        check_units(predictor, held_out, dataset)
        lines = fit_lines(predictor, dataset)
    if not lines:
        raise ValueError(f"no line fitted on {held_out} lowers the error of other families of it")
    write_rescaled(file, lines, output or file)
    return dict(lines)


def fit_lines(predictor: Predictor, dataset: Dataset) -> Mapping[str, Line]:
    """Output → the line that lowers the error of families outside its fit, over all its media."""
    card = predictor.card
    assert card is not None  # a packed file has one
    rows = unseen(dataset, card)
    refuse_training_rows(rows, card)
    found = {}
    for of_output in by_output(score_with_spread(predictor, rows)):
        scored = of_output.scored
        line = fit_cross_fitted(
            scored.measured, scored.predicted, scored.family, equal_families=True
        )
        if line is not None:
            found[of_output.medium] = line
    return found
