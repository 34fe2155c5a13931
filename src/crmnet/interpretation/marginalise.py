"""Effects of motif sites: plants sites into shuffled promoters and averages the predictions.

:func:`single_effects` plants one site at each position, on both strands. :func:`pair_effects`
plants two sites at each distance and returns their epistasis: the effect of the pair minus the sum
of the single effects. The mean over many backgrounds removes the influence of all other bases.
:func:`plant` (``crmnet explain --plant``) writes both as tables and a figure. :mod:`crmnet.perturb`
edits the sequences.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from crmnet import sequence
from crmnet.arrays import Floats
from crmnet.choices import Digits
from crmnet.figures.style import CYCLE, GREY, STYLE
from crmnet.files import PathLike
from crmnet.interpretation.attribute import (
    media_phrase,
    output_weights,
    unit_of,
)
from crmnet.interpretation.inserts import find_inserts
from crmnet.motifs.jaspar import yeast_motifs
from crmnet.perturb import plant_site
from crmnet.prediction.predictor import Predictor
from crmnet.reports.figures import save_figure
from crmnet.reports.tables import TableWriter, for_reading

BACKGROUNDS = 100
"""Shuffled promoters into which :func:`plant` plants each site."""
STEP = 4
"""Bases from one start position to the next, and from one gap to the next."""
MAX_GAP = 40
"""Largest gap between the sites of a pair, in bases."""
SUBSTITUTIONS = 24
"""Random substitutions of a complete site in :func:`site_effects`; each base is replaced equally
often by each of the three others."""
SITES_AT_ONCE = 64
Z = 1.96
"""Half the width of a 95 % interval, in standard errors."""


class Effects(NamedTuple):
    """Mean changes of the prediction over the backgrounds, with 95 % intervals.

    There is one value for each strand and position.
    """

    positions: list[tuple[str, int]]
    """Strand and start on the insert, from 0, of a single site; strands (``++``, ``+-``) and gap of
    a pair."""
    mean: Floats
    low: Floats
    high: Floats


def backgrounds(tokens: npt.ArrayLike, n: int, seed: int) -> sequence.Tokens:
    """``(n, L)`` sampled constructs, with dinucleotide shuffles of their inserts."""
    tokens = sequence.as_tokens(tokens)
    rng = np.random.default_rng(seed)
    sampled = tokens[rng.integers(len(tokens), size=n)]
    inserts = find_inserts(sampled)
    shuffled = sequence.shuffle(inserts.cut_tokens(sampled), seed, 2)
    columns, exists = inserts.columns()
    sampled[np.nonzero(exists)[0], columns[exists]] = shuffled[exists]
    return sampled


def shortest_insert(tokens: npt.ArrayLike) -> int:
    """Number of bases of the shortest insert."""
    return int(find_inserts(tokens).lengths.min())


def check_sites(tokens: npt.ArrayLike, sites: Sequence[str]) -> None:
    """Check that every site, and every pair of sites, fits into the inserts of ``tokens``.

    Raises:
        ValueError: If a site or a pair does not fit, or a site is unknown (:func:`site_bases`).
    """
    insert_length = shortest_insert(tokens)
    into = (
        f"into an insert of {insert_length} bases, the shortest in the file; give longer promoters"
    )
    widths = [len(site_bases(site)) for site in sites]
    for site, width in zip(sites, widths, strict=True):
        if width > insert_length:
            raise ValueError(f"{shown_site(site)}, a site of {width} bases, does not fit {into}")
    for (first_site, first_width), (second_site, second_width) in itertools.combinations(
        zip(sites, widths, strict=True), 2
    ):
        if first_width + second_width > insert_length:
            raise ValueError(
                f"the pair of {shown_site(first_site)} and {shown_site(second_site)}, "
                f"{first_width} and {second_width} bases, does not fit {into}, or plant the sites "
                "one at a time"
            )


def shown_site(site: str) -> str:
    """A site for messages and titles; a long one is shortened."""
    return site if len(site) <= 20 else f"{site[:17]}..."


def single_effects(
    predictor: Predictor,
    background_tokens: npt.ArrayLike,
    site: str,
    weights: Sequence[int],
    step: int = STEP,
) -> Effects:
    """Effect of one site by strand and start position.

    Args:
        predictor: The model.
        background_tokens: ``(B, L)`` from :func:`backgrounds`.
        site: Bases of the site.
        weights: Weights of the model's outputs, as in
            :func:`crmnet.interpretation.attribute.output_weights`.
        step: Bases from one position to the next.
    """
    background_tokens = sequence.as_tokens(background_tokens)
    letters = sequence.encode([site])[0][0]
    unchanged = _predict(predictor, background_tokens, weights)
    positions, changes = [], []
    insert_start, insert_length = (
        find_inserts(background_tokens).start,
        shortest_insert(background_tokens),
    )
    for strand in "+-":
        for start in range(0, insert_length - len(letters) + 1, step):
            planted = _plant_each(background_tokens, letters, insert_start + start, strand)
            positions.append((strand, start))
            changes.append(_predict(predictor, planted, weights) - unchanged)
    return _effects(positions, changes)


def pair_effects(
    predictor: Predictor,
    background_tokens: npt.ArrayLike,
    sites: tuple[str, str],
    weights: Sequence[int],
    gaps: Sequence[int] = range(0, MAX_GAP + 1, STEP),
) -> Effects:
    """Effect of two sites minus the sum of their single effects, by strands and gap.

    The pair lies in the middle of the insert; each single site has the same position as in the
    pair. Gaps that are too long for the insert are left out. Arguments are those of
    :func:`single_effects`.
    """
    background_tokens = sequence.as_tokens(background_tokens)
    first, second = (sequence.encode([site])[0][0] for site in sites)
    unchanged = _predict(predictor, background_tokens, weights)
    inserts = find_inserts(background_tokens)
    insert_length = int(inserts.lengths.min())
    positions, changes = [], []
    for strands in ("++", "+-", "-+", "--"):
        for gap in gaps:
            width = len(first) + gap + len(second)
            if width > insert_length:
                continue
            start = inserts.start + (inserts.lengths - width) // 2
            second_start = start + len(first) + gap
            with_first = _plant_each(background_tokens, first, start, strands[0])
            with_second = _plant_each(background_tokens, second, second_start, strands[1])
            with_both = _plant_each(with_first, second, second_start, strands[1])
            first_effect, second_effect, pair_effect = (
                _predict(predictor, planted, weights)
                for planted in (with_first, with_second, with_both)
            )
            positions.append((strands, gap))
            changes.append(pair_effect - first_effect - second_effect + unchanged)
    return _effects(positions, changes)


def site_effects(
    predictor: Predictor,
    tokens: npt.ArrayLike,
    sites: npt.ArrayLike,
    weights: Sequence[int],
    seed: int = 0,
) -> Floats:
    """Effect of each existing site: decrease of the prediction if all its bases are replaced.

    This is the prediction minus the mean of the predictions with SUBSTITUTIONS random substitutions
    of all bases of the site. For a site of one base this is in-silico mutagenesis.

    Args:
        predictor: The model.
        tokens: ``(B, L)`` constructs.
        sites: ``(S, 3)`` row, first position and one past the last, on the constructs.
        weights: Weights of the model's outputs.
        seed: Seed of the substitutions.

    Returns:
        ``(S,)`` in the unit of expression.
    """
    tokens, sites = sequence.as_tokens(tokens), np.asarray(sites, dtype=np.int64).reshape(-1, 3)
    distinct_sites, index_of_site = np.unique(sites, axis=0, return_inverse=True)
    changed = np.empty(len(distinct_sites))
    for first in range(0, len(distinct_sites), SITES_AT_ONCE):
        mutants = [
            _substituted(tokens[row], int(start), int(stop), seed)
            for row, start, stop in distinct_sites[first : first + SITES_AT_ONCE]
        ]
        predicted = _predict(predictor, np.concatenate(mutants), weights)
        changed[first : first + len(mutants)] = predicted.reshape(len(mutants), -1).mean(axis=1)
    unchanged = _predict(predictor, tokens, weights)
    effects: Floats = unchanged[distinct_sites[:, 0]] - changed
    return effects[index_of_site.reshape(-1)]


def _substituted(row: sequence.Tokens, start: int, stop: int, seed: int) -> sequence.Tokens:
    """Copies of a construct with other bases from ``start`` to ``stop``; N stays N."""
    rng = np.random.default_rng([seed, start, stop])
    steps = np.tile(np.arange(1, 4, dtype=np.uint8), (stop - start, SUBSTITUTIONS // 3))
    steps = rng.permuted(steps, axis=1).T
    copies = np.repeat(row[None], SUBSTITUTIONS, axis=0)
    bases = copies[:, start:stop]
    copies[:, start:stop] = np.where(bases < sequence.N_TOKEN, (bases + steps) % 4, bases)
    return copies


def _plant_each(
    tokens: sequence.Tokens, site: npt.ArrayLike, starts: sequence.Lengths, strand: str
) -> sequence.Tokens:
    """:func:`crmnet.perturb.plant_site`, with a start for each row."""
    edited = np.array(tokens)
    for start in np.unique(starts):
        rows = starts == start
        edited[rows] = plant_site(tokens[rows], site, int(start), strand)
    return edited


def _predict(predictor: Predictor, tokens: sequence.Tokens, weights: Sequence[int]) -> Floats:
    return predictor.predict_tokens(tokens).astype(float) @ np.array(weights, dtype=float)


def _effects(positions: list[tuple[str, int]], changes: list[Floats]) -> Effects:
    values = np.array(changes)
    mean = values.mean(axis=1)
    # Backgrounds are sampled independently, so the interval follows from the standard error.
    half_width = Z * values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
    return Effects(positions, mean, mean - half_width, mean + half_width)


def site_bases(site: str) -> str:
    """Bases to plant for a site: the JASPAR consensus of a yeast factor, or the bases themselves.

    Raises:
        ValueError: If ``site`` is neither.
    """
    consensus = {motif.name.upper(): motif.consensus for motif in yeast_motifs()}
    bases = consensus.get(site.upper(), site.upper())
    if not bases or set(bases) - set("ACGTN"):
        raise ValueError(
            f"{site!r} is neither bases (A, C, G, T; N keeps the base of the background) nor a "
            "yeast factor of JASPAR, such as REB1"
        )
    return bases


def plant(
    predictor: Predictor,
    tokens: npt.ArrayLike,
    sites: Sequence[str],
    folder: PathLike,
    *,
    media: tuple[str | None, str | None] = (None, None),
    picture: str = "png",
    seed: int = 0,
    digits: Digits = "rounded",
) -> None:
    """Plant each site, and each pair of sites, into shuffled promoters.

    Writes ``planted.tsv`` (effect by strand and start on the insert, from 1), ``pairs.tsv`` (effect
    of a pair minus the sum of both, by strands and gap; only for two or more sites) and
    ``planted.png`` to ``folder``, all with 95 % intervals over the backgrounds.

    Args:
        predictor: The model.
        tokens: ``(B, L)`` constructs, which are shuffled to make the backgrounds.
        sites: Names or bases; see :func:`site_bases`.
        folder: Output folder, made if it does not exist.
        media: Medium, and a medium to subtract.
        picture: Format of the figure: png, svg or pdf.
        seed: Seed of the shuffles.
        digits: Digits of numbers in the tables.

    Raises:
        ValueError: If a site or a medium is unknown, or a site or a pair does not fit into the
            shortest insert.
    """
    tokens = sequence.as_tokens(tokens)
    check_sites(tokens, sites)
    folder = Path(folder)
    bases = [site_bases(site) for site in sites]
    weights = output_weights(predictor, *media)
    background_tokens = backgrounds(tokens, BACKGROUNDS, seed)
    single = {
        site: single_effects(predictor, background_tokens, text, weights)
        for site, text in zip(sites, bases, strict=True)
    }
    pairs = {
        f"{sites[a]} and {sites[b]}": pair_effects(
            predictor, background_tokens, (bases[a], bases[b]), weights
        )
        for a, b in itertools.combinations(range(len(sites)), 2)
    }
    _write_table(folder / "planted.tsv", ("site", "strand", "start"), single, digits, 1)
    if pairs:
        _write_table(folder / "pairs.tsv", ("sites", "strands", "gap"), pairs, digits)
    with matplotlib.rc_context(STYLE):
        unit, where = unit_of(predictor, *media) or "expression", media_phrase(predictor, *media)
        figure = _page(single, pairs, f"{unit}, {where}" if media[1] else f"{unit} {where}")
        save_figure(figure, folder / f"planted.{picture}")


def _write_table(
    path: Path,
    keys: tuple[str, str, str],
    effects: Mapping[str, Effects],
    digits: Digits,
    count_from: int = 0,
) -> None:
    """One row for each site (or pair), strand and position; ``keys`` names these three columns.

    Starts count from 1 (``count_from``), gaps from 0.
    """
    with TableWriter(path, [*keys, "effect", "low", "high"]) as table:
        for name, effect in effects.items():
            strands, positions = zip(*effect.positions, strict=True)
            columns = {
                keys[0]: [name] * len(positions),
                keys[1]: strands,
                keys[2]: np.array(positions) + count_from,
                "effect": effect.mean,
                "low": effect.low,
                "high": effect.high,
            }
            table.write(for_reading(columns, path, digits))


def _page(single: Mapping[str, Effects], pairs: Mapping[str, Effects], unit: str) -> Figure:
    """Left column: one panel for each site; right column: one for each pair."""
    rows = max(len(single), len(pairs))
    columns = 2 if pairs else 1
    figure = Figure(figsize=(5 * columns, 2.9 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    labels = (
        ("start on the insert, from 1", f"effect\n({unit})"),
        ("gap between the sites (bases)", f"pair minus sum of both\n({unit})"),
    )
    for column, (effects, (x, y)) in enumerate(zip((single, pairs), labels, strict=True)):
        for row, (name, effect) in enumerate(effects.items()):
            _curves(axes[row, column], name, effect, 1 - column)
            axes[row, column].set_xlabel(x)
            axes[row, column].set_ylabel(y, parse_math=False)
        for ax in axes[len(effects) :, column] if effects else ():
            ax.axis("off")
    return figure


def _curves(ax: Axes, name: str, effect: Effects, count_from: int) -> None:
    """Effect by position: one line for each strand, with its interval as a band."""
    strands = np.array([strand for strand, _ in effect.positions])
    positions = np.array([position for _, position in effect.positions]) + count_from
    for color, strand in zip(CYCLE, dict.fromkeys(strands.tolist()), strict=False):
        shown = strands == strand
        label = strand_label(strand)
        ax.plot(positions[shown], effect.mean[shown], color=color, label=label, linewidth=1.3)
        low, high = effect.low[shown], effect.high[shown]
        ax.fill_between(positions[shown], low, high, color=color, alpha=0.2, linewidth=0)
    band = Patch(facecolor=GREY, alpha=0.4, label="95 % interval")
    ax.axhline(0, color=GREY, linewidth=0.7)
    ax.set_title(shown_site(name))
    # Below the axes, because the curves may lie anywhere in them.
    ax.legend(
        handles=[*ax.get_legend_handles_labels()[0], band], fontsize=7, ncols=3,
        loc="upper center", bbox_to_anchor=(0.5, -0.3),
    )  # fmt: skip


def strand_label(strands: str) -> str:
    """``plus strand`` for ``+``; for a pair such as ``+-`` the strands of both sites."""
    words = ["plus" if strand == "+" else "minus" for strand in strands]
    return f"{words[0]} strand" if len(words) == 1 else f"{words[0]}, then {words[1]}"
