"""What a model has learned of single motifs and of pairs, as tables and a figure.

Takes a model, promoters and sites' names; runs :mod:`crmnet.interpretation.marginalise` and leaves
files.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crmnet.figures.style import CYCLE, GREY, STYLE
from crmnet.interpretation.attribute import output_weights, unit_of
from crmnet.interpretation.marginalise import Effects, backgrounds, pair_effects, single_effects
from crmnet.motifs.jaspar import yeast_motifs
from crmnet.prediction.predictor import Predictor
from crmnet.reports.figures import save_figure
from crmnet.reports.tables import TableWriter
from crmnet.sequence import Tokens

BACKGROUNDS = 100
"""Shuffled promoters that every site is planted into."""
STEP = 4
"""Bases from one place, or gap, to the next."""


def site_bases(site: str) -> str:
    """The bases to plant: a yeast factor's consensus in JASPAR, or the bases as they are given.

    Raises:
        ValueError: If it is neither.
    """
    named = {motif.name.upper(): motif.consensus for motif in yeast_motifs()}
    bases = named.get(site.upper(), site.upper())
    if not bases or set(bases) - set("ACGTN"):
        raise ValueError(
            f"{site!r} is neither bases (A, C, G, T; N leaves what is there) nor a yeast factor of "
            "JASPAR, such as REB1"
        )
    return bases


def plant(
    predictor: Predictor,
    tokens: Tokens,
    sites: Sequence[str],
    folder: Path,
    *,
    media: tuple[str | None, str | None] = (None, None),
    picture: str = "png",
    seed: int = 0,
) -> None:
    """Plant each site, and each pair of them, into shuffled promoters.

    Leaves ``planted.tsv`` (change of the prediction by strand and start on the insert),
    ``pairs.tsv`` (what a pair does beyond the sum of both, by strands and gap; with two sites or
    more) and ``planted.png`` in ``folder``; all with 95 % intervals over the backgrounds.

    Args:
        predictor: The model.
        tokens: ``(B, L)`` constructs whose shuffles are the backgrounds.
        sites: Names or bases, see :func:`site_bases`.
        folder: Made if it is not there.
        media: Medium, and one to subtract.
        picture: Format of the figure: png, svg or pdf.
        seed: Of the shuffles.

    Raises:
        ValueError: If a site or a medium is not known.
    """
    bases = [site_bases(site) for site in sites]
    weights = output_weights(predictor, *media)
    grounds = backgrounds(tokens, BACKGROUNDS, seed)
    single = {
        site: single_effects(predictor, grounds, text, weights, STEP)
        for site, text in zip(sites, bases, strict=True)
    }
    pairs = {
        f"{sites[a]} and {sites[b]}": pair_effects(
            predictor, grounds, (bases[a], bases[b]), weights, range(0, 41, STEP)
        )
        for a, b in itertools.combinations(range(len(sites)), 2)
    }
    _write(folder / "planted.tsv", ("site", "strand", "start"), single)
    if pairs:
        _write(folder / "pairs.tsv", ("sites", "strands", "gap"), pairs)
    with matplotlib.rc_context(STYLE):
        figure = _page(single, pairs, unit_of(predictor, *media) or "expression")
        save_figure(figure, folder / f"planted.{picture}")


def _write(path: Path, keys: tuple[str, str, str], effects: dict[str, Effects]) -> None:
    with TableWriter(path, [*keys, "effect", "low", "high"]) as table:
        for name, found in effects.items():
            strands, places = zip(*found.where, strict=True)
            table.write(
                {
                    keys[0]: [name] * len(places),
                    keys[1]: strands,
                    keys[2]: places,
                    "effect": found.mean,
                    "low": found.low,
                    "high": found.high,
                }
            )


def _page(single: dict[str, Effects], pairs: dict[str, Effects], unit: str) -> Figure:
    lines = max(len(single), len(pairs))
    columns = 2 if pairs else 1
    figure = Figure(figsize=(5 * columns, 2.4 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False)
    texts = (
        ("start on the insert, from 0", f"effect ({unit})"),
        ("gap (bases)", f"beyond the sum ({unit})"),
    )
    for column, (effects, (x, y)) in enumerate(zip((single, pairs), texts, strict=True)):
        for row, (name, found) in enumerate(effects.items()):
            _curves(axes[row, column], name, found)
            axes[row, column].set(xlabel=x, ylabel=y)
        for ax in axes[len(effects) :, column] if effects else ():
            ax.axis("off")
    return figure


def _curves(ax: Axes, name: str, found: Effects) -> None:
    """Effect by place, one line for each strand, over the intervals."""
    strands = np.array([strand for strand, _ in found.where])
    places = np.array([place for _, place in found.where])
    for color, strand in zip(CYCLE, dict.fromkeys(strands.tolist()), strict=False):
        mine = strands == strand
        ax.plot(places[mine], found.mean[mine], color=color, label=strand, linewidth=1.3)
        ax.fill_between(places[mine], found.low[mine], found.high[mine], color=color, alpha=0.2,
                        linewidth=0)  # fmt: skip
    ax.axhline(0, color=GREY, linewidth=0.7)
    ax.set_title(name)
    ax.legend(fontsize=7, ncols=4)
