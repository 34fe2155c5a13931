"""Pages of logos: the attributions of each promoter above its sites of known factors.

The functions take attributions and hits of :mod:`crmnet.motifs.scan`, select the sites that the
attributions support, and return matplotlib figures, which :mod:`crmnet.interpretation.explain`
saves. Attributions and hits have positions on the complete constructs: a site may reach from the
insert into an adapter, where attributions are 0.
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
from crmnet.interpretation.inserts import Inserts
from crmnet.motifs.match import element_of_bases
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import Hits, ScanOptions, find_sites, q_values
from crmnet.sequence import LETTERS, N_TOKEN, Tokens, reverse_complement

MAX_Q = 0.1
"""Largest q-value of a site that is drawn."""
MIN_SHARE_EXCEEDED = 0.9
"""Smallest :func:`share_exceeded` of a site that is drawn."""
MAX_SITES = 8
"""Largest number of sites below one promoter."""
MIN_AGREEMENT = 0.5
"""Smallest :class:`Agreement` ``cosine`` (either sign) of a name without a question mark."""
INTO_ADAPTER = "†"
"""Follows the name of a site that reaches into an adapter."""
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
    own_scale: bool = False
    """Whether each logo has its own scale; otherwise all logos of a page have the same scale."""

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
    """Sites to draw below the logo; their positions count from 0 at the first base drawn."""
    first: int = 1
    """Number of the first base."""


class Agreement(NamedTuple):
    """How well the matrix of each of H sites explains the attributions of its bases."""

    explained: Floats
    """``(H,)`` the part of the attributions that has the pattern of the matrix, in their unit."""
    cosine: Floats
    """``(H,)`` 1 if attributions and matrix are proportional, 0 if unrelated, −1 if opposite."""


def insert_sites(
    tokens: Tokens, inserts: Inserts, motifs: Sequence[Motif], options: ScanOptions
) -> Hits:
    """Sites in the constructs whose middle lies on the insert, by promoter and start.

    Args:
        tokens: ``(B, L)`` constructs.
        inserts: Their inserts.
        motifs: Motifs to search for.
        options: Definition of a site.

    Returns:
        The sites; q-values are over all positions with the middle on an insert.
    """
    hits = find_sites(tokens, motifs, options)
    widths = np.array([motif.width for motif in motifs])
    hits = hits.select(_middle_inside(inserts, hits.row, hits.start, hits.end))
    q = np.empty(len(hits.row))
    known_before = np.concatenate(
        [np.zeros((len(tokens), 1), int), np.cumsum(tokens != N_TOKEN, 1)], 1
    )
    rows = np.arange(len(tokens))[:, None]
    for motif in np.unique(hits.motif):
        width = int(widths[motif])
        starts = np.arange(tokens.shape[1] - width + 1)[None]
        free = known_before[:, width:] - known_before[:, : known_before.shape[1] - width] == width
        tested = free & _middle_inside(inserts, rows, starts, starts + width)
        of_motif = hits.motif == motif
        strands = 2 if options.both_strands else 1
        q[of_motif] = q_values(hits.p[of_motif], int(tested.sum()) * strands)
    return hits._replace(q=q).select(np.lexsort((hits.start, hits.row)))


def _middle_inside(
    inserts: Inserts, row: npt.ArrayLike, start: npt.ArrayLike, end: npt.ArrayLike
) -> npt.NDArray[np.bool_]:
    row, twice = np.asarray(row), np.asarray(start) + np.asarray(end)
    inside: npt.NDArray[np.bool_] = (twice >= 2 * inserts.start[row]) & (
        twice < 2 * inserts.stop[row]
    )
    return inside


def agreement(
    values: npt.ArrayLike, tokens: Tokens, motifs: Sequence[Motif], hits: Hits, observed: bool
) -> Agreement:
    """How well each site's matrix explains the attributions of its bases.

    Args:
        values: ``(B, 4, L)`` attributions of every possible base, 0 outside the insert; or only of
            the observed bases.
        tokens: ``(B, L)``.
        motifs: The motifs that were searched for.
        hits: Their sites.
        observed: ``values`` are only those of the observed bases.
    """
    table: Floats = np.asarray(values, dtype=float)
    if not observed:
        table = table - table.mean(axis=1, keepdims=True)
    forward = [motif.log_odds() for motif in motifs]
    explained, cosine = np.zeros(len(hits.row)), np.zeros(len(hits.row))
    for i in range(len(hits.row)):
        row, start, end = hits.row[i], hits.start[i], hits.end[i]
        matrix = forward[hits.motif[i]]
        matrix = matrix[::-1, ::-1] if hits.strand[i] == "-" else matrix
        matrix = matrix - matrix.mean(axis=0)
        if observed:
            matrix = matrix * (np.arange(4)[:, None] == tokens[row, start:end])
        site_values = table[row, :, start:end]
        product, size = (site_values * matrix).sum(), np.linalg.norm(matrix)
        site_matrix = matrix * site_values.any(axis=0)
        norms = np.linalg.norm(site_values) * np.linalg.norm(site_matrix)
        explained[i] = product / size if size else 0
        cosine[i] = product / norms if norms else 0
    return Agreement(explained, cosine)


def site_bases(tokens: Tokens, hits: Hits) -> list[str]:
    """The bases of each site, on its strand."""
    bases = []
    for row, start, end, strand in zip(hits.row, hits.start, hits.end, hits.strand, strict=True):
        site = tokens[row : row + 1, start:end]
        site = reverse_complement(site) if strand == "-" else site
        bases.append("".join(LETTERS[token] for token in site[0]))
    return bases


def site_name(factor: str, bases: str, certain: bool) -> str:
    """Name of a site: a tract, a TATA box, or the factor of its motif.

    Args:
        factor: Name of the motif.
        bases: Bases of the site on either strand.
        certain: Whether the attributions support this factor; otherwise it has a question mark.
    """
    if element := element_of_bases(bases):
        return element
    return factor if certain else f"{factor}?"


def site_sums(values: npt.ArrayLike, hits: Hits) -> Floats:
    """Sum of the values ``(B, L)`` over each of H sites, ``(H,)``."""
    values = np.asarray(values)
    total = _running_sums(values)
    return total[hits.row, hits.end] - total[hits.row, hits.start]


def share_exceeded(
    values: npt.ArrayLike, hits: Hits, inside: npt.NDArray[np.bool_] | None = None
) -> Floats:
    """Rank of each site among the windows of its promoter, ``(H,)`` between 0 and 1.

    This is the fraction of all windows of the site's width in the same promoter whose absolute sum
    of the values ``(B, L)`` is smaller than the site's. The column is called ``beyond`` in
    ``sites.tsv``. Only windows at positions where ``inside`` ``(B, L)`` is True are counted; None
    counts all. If no window of the width lies inside, windows that reach outside are counted.
    """
    values = np.asarray(values)
    counted = np.ones(values.shape, dtype=bool) if inside is None else inside
    covered = _running_sums(counted.astype(float))
    total, sizes = _running_sums(values), np.abs(site_sums(values, hits))
    widths = hits.end - hits.start
    share = np.empty(len(sizes))
    for width in np.unique(widths):
        all_windows = np.abs(total[:, width:] - total[:, :-width])
        n_inside = covered[:, width:] - covered[:, :-width]
        compared = n_inside == width
        has_no_window = ~compared.any(axis=1)
        compared[has_no_window] = n_inside[has_no_window] > 0
        of_width = np.nonzero(widths == width)[0]
        for chunk in np.array_split(of_width, len(of_width) // CHUNK_SIZE + 1):
            rows = hits.row[chunk]
            smaller = (all_windows[rows] < sizes[chunk, None]) & compared[rows]
            share[chunk] = smaller.sum(axis=1) / np.maximum(compared[rows].sum(axis=1), 1)
    return share


def _running_sums(values: AnyFloats) -> Floats:
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)


def supported_sites(hits: Hits, share: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Which hits have q at most MAX_Q and a :func:`share_exceeded` of at least MIN_SHARE_EXCEEDED.

    Returns:
        ``(H,)`` True for hits that may be drawn.
    """
    supported: npt.NDArray[np.bool_] = (hits.q <= MAX_Q) & (np.asarray(share) >= MIN_SHARE_EXCEEDED)
    return supported


def sites_to_draw(hits: Hits, supported: npt.ArrayLike, explained: npt.ArrayLike) -> list[int]:
    """Which hits are drawn: of sites that overlap, the one that explains the attributions best.

    A site is left out if it covers the middle of a better site of the same promoter, or if a better
    site covers its middle. At most MAX_SITES are drawn below a promoter.

    Args:
        hits: All sites.
        supported: ``(H,)`` from :func:`supported_sites`.
        explained: ``(H,)`` of :class:`Agreement`; larger absolute values are better.

    Returns:
        Numbers of the hits, the best first.
    """
    size = np.abs(np.asarray(explained))
    drawn: dict[int, list[int]] = {}
    for i in np.lexsort((hits.p, -size)).tolist():
        drawn_in_row = drawn.setdefault(int(hits.row[i]), [])
        if not np.asarray(supported)[i] or len(drawn_in_row) >= MAX_SITES:
            continue
        if not any(_covers(hits, i, j) or _covers(hits, j, i) for j in drawn_in_row):
            drawn_in_row.append(i)
    return [i for drawn_in_row in drawn.values() for i in drawn_in_row]


def _covers(hits: Hits, covering: int, covered: int) -> bool:
    """Whether a site covers the middle of another."""
    middle = (hits.start[covered] + hits.end[covered]) / 2
    return bool(hits.start[covering] <= middle <= hits.end[covering])


def logo_page(
    panels: Sequence[LogoPanel],
    unit: str | None,
    own_scale: bool = False,
    difference: bool = False,
) -> Figure:
    """Logos of several inserts, one below another, each with its sites below.

    All logos have the same scale, unless ``own_scale`` is True. The legend speaks of the predicted
    expression, or with ``difference`` of the predicted difference of two media.
    """
    strip_heights = [
        0.17 * max([0.3, *(row + 1 for row in site_rows(panel.sites))]) for panel in panels
    ]
    ratios = [height for strip in strip_heights for height in (0.75, strip)]
    # Titles and numbers of positions take 0.4 inches of each promoter.
    figure = Figure(figsize=(WIDTH, sum(ratios) + 0.4 * len(panels) + 0.45), layout="constrained")
    axes = figure.subplots(2 * len(panels), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for top, below, panel in zip(axes[::2], axes[1::2], panels, strict=True):
        logo(top, panel.values)
        number_positions(top, panel.values.shape[1], panel.first)
        top.set_title(panel.title, fontsize=8, parse_math=False)
        draw_sites(below, panel.sites)
        below.set_xlim(top.get_xlim())
    if not own_scale:
        lows, highs = zip(*(top.get_ylim() for top in axes[::2]), strict=True)
        for top in axes[::2]:
            top.set_ylim(min(lows), max(highs))
    explained = f"predicted {'difference' if difference else 'expression'}"
    legend = [f"pale letters lower the {explained}"]
    names = [site.name for panel in panels for site in panel.sites]
    if any(name.endswith(INTO_ADAPTER) for name in names):
        legend.append(f"{INTO_ADAPTER} reaches into the adapter")
    if any("?" in name for name in names):
        legend.append("? another factor may bind here")
    figure.supylabel(f"attribution ({unit or 'expression'})", fontsize=8, parse_math=False)
    figure.supxlabel("position on the sequence as given, from 1\n" + "; ".join(legend), fontsize=8)
    return figure
