"""Profiles of long sequences as bedGraph and as a picture.

:class:`Tracks` collects the windows that :func:`crmnet.prediction.table.predict_file` predicts with
``--tile``, and returns one :class:`ProfileTrack` per sequence. ``crmnet predict`` writes and draws
them with the functions below.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.files import PathLike, write_text_atomically
from crmnet.prediction.predictor import Predictor
from crmnet.prediction.table import PredictedBlock
from crmnet.statistics.uncertainty import Expression, Trust, joined

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PANELS = 12
"""Largest number of sequences in a picture."""
PICTURES = (".png", ".svg", ".pdf")


class ProfileTrack(NamedTuple):
    """The windows of one sequence."""

    name: str
    start: npt.NDArray[np.int64]
    """``(W,)``, first base of each window, from 1."""
    end: npt.NDArray[np.int64]
    expression: Expression
    """``(W, n_media)``."""
    trust: Trust | None


def is_bedgraph(path: PathLike) -> bool:
    """Whether a name has the suffix of bedGraph."""
    return Path(path).suffix.lower() in (".bedgraph", ".bg")


def check_picture(path: PathLike) -> None:
    """Raise ValueError if a picture has another suffix than :data:`PICTURES`."""
    if Path(path).suffix.lower() not in PICTURES:
        raise ValueError(f"{path}: pictures are written as {', '.join(PICTURES)}; choose one")


class Tracks:
    """Collects blocks of windows into one track per sequence."""

    def __init__(self) -> None:
        self.blocks: list[list[PredictedBlock]] = []

    def add(self, block: PredictedBlock) -> None:
        """Append the windows of one sequence, or its next windows."""
        if block.sequences:  # the first windows of a sequence count it
            self.blocks.append([])
        self.blocks[-1].append(block)

    def finished(self) -> list[ProfileTrack]:
        """The tracks, in the order of the sequences."""
        return [
            ProfileTrack(
                blocks_of_sequence[0].ids[0],
                np.concatenate(
                    [block.start for block in blocks_of_sequence if block.start is not None]
                ),
                np.concatenate(
                    [block.end for block in blocks_of_sequence if block.end is not None]
                ),
                np.concatenate([block.expression for block in blocks_of_sequence]),
                joined([block.trust for block in blocks_of_sequence]),
            )
            for blocks_of_sequence in self.blocks
        ]


def bedgraph_lines(track: ProfileTrack, values: npt.ArrayLike) -> Iterable[str]:
    """Lines of one sequence; each value covers the bases that are nearest to its window's centre.

    Positions count from 0 and the end is not included, as bedGraph has them.
    """
    name = re.sub(r"\s", "_", track.name)
    centre = (track.start - 1 + track.end) / 2
    edges = np.ceil((centre[1:] + centre[:-1]) / 2).astype(np.int64)
    starts = [int(track.start[0]) - 1, *edges.tolist()]
    ends = [*edges.tolist(), int(track.end[-1])]
    for start, end, value in zip(starts, ends, np.asarray(values).tolist(), strict=True):
        if end > start:
            yield f"{name}\t{start}\t{end}\t{value:.6g}"


def write_bedgraph(
    path: PathLike, predictor: Predictor, tracks: Sequence[ProfileTrack], media: Sequence[str]
) -> None:
    """Write one track per medium; see :func:`bedgraph_lines`."""
    lines = []
    for medium in media:
        index = predictor.medium_index(medium)
        lines.append(f'track type=bedGraph name="expression_{medium}"')
        for track in tracks:
            lines += bedgraph_lines(track, track.expression[:, index])
    write_text_atomically(path, "\n".join(lines) + "\n")


def profile_figure(
    predictor: Predictor, tracks: Sequence[ProfileTrack], media: Sequence[str]
) -> Figure:
    """One panel per sequence, for the first :data:`MOST_PANELS`; the caller sets the style."""
    from matplotlib.figure import Figure

    from crmnet.figures.profile import expression_profile
    from crmnet.figures.style import literal

    shown = tracks[:MOST_PANELS]
    figure = Figure(figsize=(7.5, 0.6 + 2.0 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    for ax, track in zip(axes, shown, strict=True):
        lines = {}
        for medium in media:
            index = predictor.medium_index(medium)
            trust = track.trust
            low = None if trust is None else trust.low[:, index]
            high = None if trust is None else trust.high[:, index]
            lines[medium] = (track.expression[:, index], low, high)
        expression_profile(
            ax, (track.start + track.end) / 2, lines, length=int(track.end[-1]), name=track.name
        )
    axes[-1].set_xlabel("position (centre of the window, from 1)")
    if len(media) > 1 or not predictor.media[1:]:
        axes[0].legend(loc="best")
    else:
        axes[0].set_ylabel(f"expression ({literal(media[0])})")
    return figure


def save_profile(
    path: PathLike, predictor: Predictor, tracks: Sequence[ProfileTrack], media: Sequence[str]
) -> None:
    """Draw :func:`profile_figure` and save it, in the format that the suffix names."""
    import matplotlib

    from crmnet.figures.style import STYLE
    from crmnet.reports.figures import save_figure

    with matplotlib.rc_context(STYLE):
        save_figure(profile_figure(predictor, tracks, media), path)
