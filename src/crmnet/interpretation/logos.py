"""Pages of logos: each promoter's attributions over the sites of known factors that matter.

Takes attributions and hits of :mod:`crmnet.motifs`, gives matplotlib figures;
:mod:`crmnet.interpretation.explain` saves them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

import numpy as np
from matplotlib.figure import Figure

from crmnet.arrays import AnyFloats, Floats
from crmnet.choices import PictureFormat
from crmnet.figures.logo import Site, logo, number_positions, sites_under, stacked
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import Hits

SURE = 0.1
"""Highest q of a site that is drawn."""
BEYOND = 0.9
"""Share of places of its width whose attributions such a site must exceed."""
MOST = 8
"""Sites drawn under a promoter."""
WIDTH = 7.2
"""Inches; two columns of a journal."""
FORMATS = get_args(PictureFormat)


@dataclass(frozen=True)
class Drawing:
    """How pictures are made."""

    format: str = "png"
    page: int = 6
    """Promoters on a page; six fill a printed one."""
    most: int = 24
    """Promoters drawn; the others are in the tables alone."""

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ValueError(f"format must be one of {', '.join(FORMATS)}; got {self.format!r}")
        if self.page < 1 or self.most < 0:
            raise ValueError(
                f"page must be at least 1 and most at least 0; got {self.page} and {self.most}"
            )


DRAWING = Drawing()
CHUNK = 100_000
"""Sites compared at once with all places of their promoters."""


class Shown(NamedTuple):
    """One promoter of a page."""

    title: str
    values: AnyFloats
    """``(4, L)`` attributions of the insert."""
    sites: list[Site]


def sums_over(along: AnyFloats, hits: Hits) -> Floats:
    """The sum of ``(B, L)`` over each site, ``(H,)``."""
    total = _running(along)
    return total[hits.row, hits.end] - total[hits.row, hits.start]


def share_beyond(along: AnyFloats, hits: Hits) -> Floats:
    """How each site stands out from chance, ``(H,)`` between 0 and 1.

    The share of all places of its width in the same promoter whose sum over ``(B, L)`` is nearer
    to zero than the site's.
    """
    total, sums, widths = _running(along), np.abs(sums_over(along, hits)), hits.end - hits.start
    share = np.empty(len(sums))
    for width in np.unique(widths):
        anywhere = np.abs(total[:, width:] - total[:, :-width])
        mine = np.nonzero(widths == width)[0]
        for some in np.array_split(mine, len(mine) // CHUNK + 1):
            share[some] = (anywhere[hits.row[some]] < sums[some, None]).mean(axis=1)
    return share


def _running(along: AnyFloats) -> Floats:
    return np.concatenate([np.zeros((len(along), 1)), np.cumsum(along, axis=1)], axis=1)


def that_matter(hits: Hits, share: Floats) -> Hits:
    """The hits that are sure (q at most SURE) and stand out (share at least BEYOND)."""
    return hits.where((hits.q <= SURE) & (share >= BEYOND))


def named_sites(motifs: Sequence[Motif], hits: Hits, row: int) -> list[Site]:
    """The surest hits of one sequence that do not lie on surer ones."""
    mine = np.nonzero(hits.row == row)[0]
    chosen: list[Site] = []
    for i in mine[np.argsort(hits.p[mine], kind="stable")]:
        start, end = int(hits.start[i]), int(hits.end[i])
        middle = (start + end) / 2
        if all(not site.start <= middle <= site.end for site in chosen) and len(chosen) < MOST:
            chosen.append(Site(motifs[hits.motif[i]].name, start, end, str(hits.strand[i])))
    return chosen


def logo_page(shown: Sequence[Shown], unit: str | None) -> Figure:
    """Logos of some promoters' inserts, one under another, each over its sites."""
    strips = [0.17 * max([0.3, *(row + 1 for row in stacked(one.sites))]) for one in shown]
    ratios = [height for strip in strips for height in (0.75, strip)]
    # Titles and numbers of positions take 0.4 inches of each promoter.
    figure = Figure(figsize=(WIDTH, sum(ratios) + 0.4 * len(shown) + 0.3), layout="constrained")
    axes = figure.subplots(2 * len(shown), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for top, under, one in zip(axes[::2], axes[1::2], shown, strict=True):
        logo(top, one.values)
        number_positions(top, one.values.shape[1])
        top.set_title(one.title, fontsize=8)
        sites_under(under, one.sites)
        under.set_xlim(top.get_xlim())
    figure.supylabel(f"attribution ({unit or 'expression'})", fontsize=8)
    figure.supxlabel("position on the insert, from 0", fontsize=8)
    return figure
