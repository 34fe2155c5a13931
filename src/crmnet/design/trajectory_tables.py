"""The table and figure of trajectories, for the promoters of a file.

:func:`write_trajectories` takes chunks of promoters and several ways to evolve
(:class:`crmnet.design.trajectories.TrajectoryOptions`), and writes what
``crmnet evolve trajectories`` offers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from crmnet import sequence
from crmnet.arrays import Floats32
from crmnet.choices import Digits, PictureFormat
from crmnet.data.sequences import Promoters
from crmnet.design.trajectories import (
    TrajectoryOptions,
    column_names,
    evolve_promoters,
    selection_weights,
)
from crmnet.figures.evolution import trajectory_lines
from crmnet.figures.style import STYLE
from crmnet.files import PathLike
from crmnet.interpretation.attribute import unit_of
from crmnet.prediction.predictor import Predictor
from crmnet.reports.figures import save_figure
from crmnet.reports.tables import TableWriter, for_reading

TABLE, PICTURE = "trajectories.tsv", "trajectories"


class Plan(NamedTuple):
    """Ways to evolve each promoter."""

    options: Sequence[TrajectoryOptions]
    media: tuple[str | None, str | None] = (None, None)
    """Medium under selection, and for ``conflict`` the medium to subtract."""


class Evolved(NamedTuple):
    """What :func:`write_trajectories` did."""

    preparation: sequence.Preparation
    paths: Mapping[str, Mapping[str, Floats32]]
    """Mode → medium → expression ``(N, S + 1)`` of all its trajectories; NaN after the end."""


def write_trajectories(
    predictor: Predictor,
    chunks: Iterable[Promoters],
    folder: PathLike,
    plan: Plan,
    *,
    picture: PictureFormat = "png",
    digits: Digits = "rounded",
    progress: Callable[[int], None] | None = None,
) -> Evolved:
    """Evolve the promoters of a file in each way; writes a table and a figure.

    Args:
        predictor: The model.
        chunks: From :func:`crmnet.design.neighbours.read_in_chunks`.
        folder: Output folder.
        plan: Modes and media.
        picture: Format of the figure.
        digits: Digits of numbers in the table.
        progress: Called with the number of trajectories that are done.

    Raises:
        ValueError: As :func:`crmnet.design.trajectories.trajectories`.
    """
    folder, done = Path(folder), 0
    for options in plan.options:  # errors before the work
        selection_weights(predictor, options.mode, plan.media)
    preparation = sequence.Preparation()
    kept: dict[str, list[Floats32]] = {options.mode: [] for options in plan.options}
    with TableWriter(folder / TABLE, column_names(predictor.media)) as table:
        for promoters in chunks:
            preparation += promoters.preparation
            for options in plan.options:
                found = evolve_promoters(predictor, promoters, options, plan.media)
                table.write(for_reading(found.columns(), table.path, digits))
                kept[options.mode].append(found.expression)
                done += len(found.ids)
                if progress is not None:
                    progress(done)
    stacked = {mode: np.concatenate(parts) for mode, parts in kept.items()}
    paths = {
        mode: {medium: array[:, :, m] for m, medium in enumerate(predictor.media)}
        for mode, array in stacked.items()
    }
    with matplotlib.rc_context(STYLE):
        save_figure(_page(predictor, paths, plan), folder / f"{PICTURE}.{picture}")
    return Evolved(preparation, paths)


def _page(predictor: Predictor, paths: Mapping[str, Mapping[str, Floats32]], plan: Plan) -> Figure:
    """One panel for the medium under selection; with ``conflict`` one for each of both media."""
    medium, minus = plan.media
    shown = [name for name in (medium or predictor.media[0], minus) if name is not None]
    figure = Figure(figsize=(5.2 * len(shown), 3.6), layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False)[0]
    for ax, name in zip(axes, shown, strict=True):
        output = predictor.media[predictor.medium_index(name)]
        unit = unit_of(predictor, name)
        trajectory_lines(
            ax, {mode: media[output] for mode, media in paths.items()},
            f"predicted expression{f' ({unit})' if unit else ''}",
            f"{name}: median, 25–75 %",
        )  # fmt: skip
    axes[-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
