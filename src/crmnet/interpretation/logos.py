"""Pages of logos: the attributions of each promoter above its sites of known factors.

Takes attributions and hits of :mod:`crmnet.motifs.scan`, selects the sites that the attributions
support, gives matplotlib figures; :mod:`crmnet.interpretation.explain` saves them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from crmnet.arrays import AnyFloats, Floats
from crmnet.choices import PictureFormat
from crmnet.figures.logo import Site, draw_sites, logo, number_positions, site_rows
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import Hits

MAX_Q = 0.1
"""Largest q-value of a site that is drawn."""
MIN_SHARE_EXCEEDED = 0.9
"""Smallest :func:`share_exceeded` of a site that is drawn."""
MAX_SITES = 8
"""Largest number of sites below one promoter."""
WIDTH = 7.2
"""Width of a page in inches: two columns of a journal."""
FORMATS = get_args(PictureFormat)


@dataclass(frozen=True)
class LogoOptions:
    """Format and number of logos."""

    format: str = "png"
    per_page: int = 6
    """Promoters on a page; six fill a printed page."""
    max_logos: int = 24
    """Largest number of promoters that are drawn; the others appear only in the tables."""

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ValueError(f"format must be one of {', '.join(FORMATS)}; got {self.format!r}")
        if self.per_page < 1 or self.max_logos < 0:
            raise ValueError(
                "per_page must be at least 1 and max_logos at least 0; "
                f"got {self.per_page} and {self.max_logos}"
            )


DEFAULT_LOGOS = LogoOptions()
CHUNK_SIZE = 100_000
"""Number of sites that are compared at once with all positions of their promoters."""


class LogoPanel(NamedTuple):
    """One promoter on a page."""

    title: str
    values: AnyFloats
    """``(4, L)`` attributions of the insert."""
    sites: list[Site]
    """Sites to draw below the logo."""


def site_sums(values: npt.ArrayLike, hits: Hits) -> Floats:
    """Sum of the values ``(B, L)`` over each of H sites, ``(H,)``."""
    values = np.asarray(values)
    total = _running_sums(values)
    return total[hits.row, hits.end] - total[hits.row, hits.start]


def share_exceeded(values: npt.ArrayLike, hits: Hits) -> Floats:
    """How strongly each site stands out in its promoter, ``(H,)`` between 0 and 1.

    This is the fraction of all windows of the site's width in the same promoter whose absolute sum
    of the values ``(B, L)`` is smaller than the site's. The column is called ``beyond`` in
    ``sites.tsv``.
    """
    values = np.asarray(values)
    total, sizes = _running_sums(values), np.abs(site_sums(values, hits))
    widths = hits.end - hits.start
    share = np.empty(len(sizes))
    for width in np.unique(widths):
        all_windows = np.abs(total[:, width:] - total[:, :-width])
        of_width = np.nonzero(widths == width)[0]
        for chunk in np.array_split(of_width, len(of_width) // CHUNK_SIZE + 1):
            share[chunk] = (all_windows[hits.row[chunk]] < sizes[chunk, None]).mean(axis=1)
    return share


def _running_sums(values: AnyFloats) -> Floats:
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)


def supported_sites(hits: Hits, share: npt.ArrayLike) -> Hits:
    """Hits with q at most MAX_Q whose :func:`share_exceeded` is at least MIN_SHARE_EXCEEDED."""
    share = np.asarray(share)
    return hits.select((hits.q <= MAX_Q) & (share >= MIN_SHARE_EXCEEDED))


def named_sites(motifs: Sequence[Motif], hits: Hits, row: int) -> list[Site]:
    """Hits of one sequence, smallest p first, without those whose middle lies on an earlier hit."""
    rows = np.nonzero(hits.row == row)[0]
    sites: list[Site] = []
    for i in rows[np.argsort(hits.p[rows], kind="stable")]:
        start, end = int(hits.start[i]), int(hits.end[i])
        middle = (start + end) / 2
        if all(not site.start <= middle <= site.end for site in sites) and len(sites) < MAX_SITES:
            sites.append(Site(motifs[hits.motif[i]].name, start, end, str(hits.strand[i])))
    return sites


def logo_page(panels: Sequence[LogoPanel], unit: str | None) -> Figure:
    """Logos of several inserts, one below another, each with its sites below."""
    strip_heights = [
        0.17 * max([0.3, *(row + 1 for row in site_rows(panel.sites))]) for panel in panels
    ]
    ratios = [height for strip in strip_heights for height in (0.75, strip)]
    # Titles and numbers of positions take 0.4 inches of each promoter.
    figure = Figure(figsize=(WIDTH, sum(ratios) + 0.4 * len(panels) + 0.3), layout="constrained")
    axes = figure.subplots(2 * len(panels), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for top, below, panel in zip(axes[::2], axes[1::2], panels, strict=True):
        logo(top, panel.values)
        number_positions(top, panel.values.shape[1])
        top.set_title(panel.title, fontsize=8)
        draw_sites(below, panel.sites)
        below.set_xlim(top.get_xlim())
    figure.supylabel(f"attribution ({unit or 'expression'})", fontsize=8)
    figure.supxlabel("position on the insert, from 0", fontsize=8)
    return figure
