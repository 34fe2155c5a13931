"""The tables and figure of archetypes, for the promoters of a file.

:func:`write_archetypes` takes chunks of promoters and writes what ``crmnet evolve archetypes``
offers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from crmnet import sequence
from crmnet.choices import Digits, PictureFormat
from crmnet.data.sequences import Promoters
from crmnet.design.archetypes import Archetypes, archetypes
from crmnet.design.evolve import EPSILON, Evolvability, evolve_chunk, joined
from crmnet.figures.evolution import archetype_curves, archetype_map
from crmnet.figures.style import STYLE
from crmnet.files import PathLike
from crmnet.interpretation.attribute import media_phrase, output_weights, unit_of
from crmnet.prediction.predictor import Predictor
from crmnet.reports.figures import save_figure
from crmnet.reports.tables import TableWriter, for_reading

TABLE, VECTORS, PICTURE = "archetypes.tsv", "archetype_vectors.tsv", "archetypes"


class ArchetypeOptions(NamedTuple):
    """What is computed."""

    medium: str | None = None
    """None if the model has one output."""
    k: int = 3
    epsilon: float = EPSILON
    """For the column of robustness."""
    seed: int = 0


class Found(NamedTuple):
    """What :func:`write_archetypes` did."""

    preparation: sequence.Preparation
    evolvability: Evolvability
    archetypes: Archetypes
    left_out: int
    """Promoters without a known base."""


def write_archetypes(
    predictor: Predictor,
    chunks: Iterable[Promoters],
    folder: PathLike,
    options: ArchetypeOptions,
    *,
    picture: PictureFormat = "png",
    digits: Digits = "rounded",
    progress: Callable[[int], None] | None = None,
) -> Found:
    """Find the archetypes of the promoters of a file; writes two tables and a figure.

    The evolvability vectors of all promoters are in memory: 1 kB for each.

    Args:
        predictor: The model.
        chunks: From :func:`crmnet.design.neighbours.read_in_chunks`.
        folder: Output folder.
        options: Medium, number of archetypes, ε and seed.
        picture: Format of the figure.
        digits: Digits of numbers in the tables.
        progress: Called with the number of promoters that are done.

    Raises:
        ValueError: If the medium is unknown or missing, or there are too few promoters.
    """
    output_weights(predictor, options.medium)
    medium = options.medium or predictor.media[0]
    preparation, parts, done, left_out = sequence.Preparation(), [], 0, 0
    for promoters in chunks:
        preparation += promoters.preparation
        part = evolve_chunk(predictor, promoters, [medium], options.epsilon)
        known = np.nonzero(part.mutants)[0]
        left_out += len(part.ids) - len(known)
        if len(known):
            parts.append(part.take(known))
        done += len(part.ids)
        if progress is not None:
            progress(done)
    if not parts:
        raise ValueError("no promoter has a known base; give promoters without N")
    evolvability = joined(parts)
    found = archetypes(evolvability, options.k, seed=options.seed)
    folder = Path(folder)
    _write_tables(folder, evolvability, found, medium, digits)
    with matplotlib.rc_context(STYLE):
        unit = unit_of(predictor, medium) or "expression"
        figure = _page(evolvability, found, f"{unit} {media_phrase(predictor, medium)}")
        save_figure(figure, folder / f"{PICTURE}.{picture}")
    return Found(preparation, evolvability, found, left_out)


def _write_tables(
    folder: Path, evolvability: Evolvability, found: Archetypes, medium: str, digits: Digits
) -> None:
    columns = found.columns() | {
        f"expression_{medium}": evolvability.expression[:, 0],
        f"robustness_{medium}": evolvability.robustness[:, 0],
    }
    with TableWriter(folder / TABLE, list(columns)) as table:
        table.write(for_reading(columns, table.path, digits))
    ranks = {"rank": np.arange(1, found.vectors.shape[1] + 1)}
    curves = {f"archetype_{k + 1}": curve for k, curve in enumerate(found.vectors)}
    with TableWriter(folder / VECTORS, [*ranks, *curves]) as table:
        table.write(for_reading(ranks | curves, table.path, digits))


def _page(evolvability: Evolvability, found: Archetypes, unit: str) -> Figure:
    """The vectors of the archetypes, and the promoters by expression and by robustness."""
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    archetype_curves(left, found.vectors, unit)
    for ax, values, label in (
        (middle, evolvability.expression[:, 0], f"predicted expression ({unit})"),
        (right, evolvability.robustness[:, 0], f"robustness (ε {evolvability.epsilon:g})"),
    ):
        archetype_map(ax, found.points, found.corners, values, label)
    middle.set_title(f"Promoters (n = {len(found.ids):,})")
    return figure
