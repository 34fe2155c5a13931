"""Figures of ``crmnet mutate``: takes effects, arranges the panels of one file and saves it.

:mod:`crmnet.figures.mutations` draws the panels, each with one sequence in one medium.
:mod:`crmnet.design.mutate_pictures` chooses the sequences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from crmnet.arrays import Floats32, Integers
from crmnet.design.epistasis import Epistasis
from crmnet.design.mutate import Mutations
from crmnet.design.oracle import Constructs
from crmnet.design.variants import parse_variant
from crmnet.figures.mutations import colour_limit, deletion_track, epistasis_map, substitution_map
from crmnet.figures.style import STYLE
from crmnet.files import PathLike
from crmnet.reports.figures import save_figure
from crmnet.sequence import N_TOKEN, Tokens

TITLE_ID = 30
"""Largest number of letters of an id in a title."""


Part = tuple[Constructs, Mutations]
"""Sequences, and effects of their variants."""


def save_substitution_maps(path: PathLike, parts: Sequence[Part]) -> None:
    """Save a heat map for each sequence and medium.

    Args:
        path: PNG, SVG or PDF, by suffix.
        parts: Sequences, and effects of all their substitutions.
    """
    panels = [panel for part in parts for panel in _substitution_panels(*part)]
    # All panels of one medium have one scale; media may have different units.
    media = {panel.medium for panel in panels}
    limits = {m: colour_limit(*(p.delta for p in panels if p.medium == m)) for m in media}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 0.3 + 1.25 * len(panels)), layout="constrained")
        axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for ax, panel in zip(axes, panels, strict=True):
            image = substitution_map(
                ax, panel.delta, panel.bases, panel.first, limit=limits[panel.medium],
                title=panel.title,
            )  # fmt: skip
            bar = figure.colorbar(image, ax=ax, pad=0.01, aspect=8)
            bar.ax.set_title("Δ", fontsize=8)
        axes[-1].set_xlabel("position on the given sequence")
        save_figure(figure, path)


class SubstitutionPanel(NamedTuple):
    """One sequence in one medium."""

    delta: Floats32
    """``(4, L)``; NaN at the bases of the sequence."""
    bases: Tokens
    first: int
    """Position of the first base, from 1."""
    medium: str
    title: str


def _substitution_panels(constructs: Constructs, found: Mutations) -> Iterator[SubstitutionPanel]:
    for row in range(len(constructs.ids)):
        own = np.nonzero(found.row == row)[0]
        start, stop = int(constructs.start[row]), int(constructs.stop[row])
        bases = constructs.tokens[row, start:stop]
        first = start - int(constructs.origin[row]) + 1
        position, base = np.nonzero((np.arange(4) != bases[:, None]) & (bases < N_TOKEN)[:, None])
        for m, medium in enumerate(found.media):
            delta = np.full((4, len(bases)), np.nan, dtype=np.float32)
            delta[base, position] = found.effects.delta[own, m]
            yield SubstitutionPanel(delta, bases, first, medium, _title(found, own, m))


def _title(found: Mutations, own: Integers, m: int) -> str:
    """Id, medium and predicted expression of a sequence."""
    if not len(own):
        return "no base to change"
    expression = float(found.effects.reference[own[0], m])
    return f"{found.ids[own[0]][:TITLE_ID]}, {found.media[m]}: expression {expression:.2f}"


def save_deletion_tracks(path: PathLike, parts: Sequence[Part]) -> None:
    """Save a track of deletions for each sequence and medium that has any."""
    tracks = [(found, row) for _, found in parts for row in np.unique(found.row).tolist()]
    media = parts[0][1].media
    many = len(tracks) * len(media)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.4 + 1.5 * many), layout="constrained")
        axes = figure.subplots(many, 1, squeeze=False)[:, 0]
        for number, ax in enumerate(axes):
            (found, row), m = tracks[number // len(media)], number % len(media)
            own = np.nonzero(found.row == row)[0]
            changes = [parse_variant(found.variants[i])[0] for i in own.tolist()]
            start, end = [c.start + 1 for c in changes], [c.stop for c in changes]
            deletion_track(ax, start, end, found.effects.delta[own, m], title=_title(found, own, m))
            ax.set_ylabel("Δ")
        axes[-1].set_xlabel("deleted bases of the given sequence")
        save_figure(figure, path)


def save_epistasis_maps(path: PathLike, found: Sequence[Epistasis]) -> None:
    """Save a map for each sequence and medium: at two positions, the pair of largest epistasis."""
    media = found[0].pairs.media
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6 * len(media), 4.0 * len(found)), layout="constrained")
        grid = figure.subplots(len(found), len(media), squeeze=False)
        for axes, one in zip(grid, found, strict=True):
            for ax, medium in zip(axes, media, strict=True):
                values, first = by_position(one, medium)
                name = one.singles.ids[0][:TITLE_ID]
                image = epistasis_map(
                    ax, values, first, limit=colour_limit(values), title=f"{name}, {medium}"
                )
                figure.colorbar(image, ax=ax, shrink=0.8, pad=0.02).set_label("epistasis")
        save_figure(figure, path)


def by_position(found: Epistasis, medium: str) -> tuple[Floats32, int]:
    """Largest epistasis, with its sign, of each pair of positions, and the first position.

    Returns:
        ``(L, L)``, symmetric; NaN on the diagonal and at bases that are not changed.
    """
    values = found.values[:, found.pairs.media.index(medium)]
    first = int(found.positions.min())
    many = int(found.positions.max()) - first + 1
    at = found.positions[found.first] - first, found.positions[found.second] - first
    order = np.argsort(np.abs(values), kind="stable")  # the largest is written last
    matrix = np.full((many, many), np.nan, dtype=np.float32)
    matrix[at[0][order], at[1][order]] = values[order]
    matrix[at[1][order], at[0][order]] = values[order]
    return matrix, first
