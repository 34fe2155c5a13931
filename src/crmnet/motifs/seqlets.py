"""Motifs from attributions: the stretches that a model finds important, gathered by what they say.

A *seqlet* is a stretch whose attributions add up to more than those of other places. The words that
seqlets share, and stretches the model does not care about lack, become motifs in the same way as
those of :mod:`crmnet.motifs.discover`: the groups compared are seqlets and unimportant stretches.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Integers
from crmnet.motifs.contrast import composition_strata
from crmnet.motifs.discover import DEFAULTS, DiscoveredMotif, DiscoverOptions, contrast_motifs
from crmnet.motifs.residual import Sequences
from crmnet.sequence import Tokens

CORE = 8
"""Bases whose attributions are summed."""
FLANK = 5
"""Bases around the core that a seqlet has as well."""
WIDTH = CORE + 2 * FLANK
PER_SEQUENCE = 3
"""Seqlets of either sign taken from a sequence at most."""


class Seqlets(NamedTuple):
    """Stretches of a core and its flanks."""

    row: Integers
    start: Integers
    total: npt.NDArray[np.float64]
    """Sum of the attributions of the core."""


def extract_seqlets(
    values: npt.NDArray[np.floating], sign: int, share: float = 0.05, flank: int = FLANK
) -> Seqlets:
    """The strongest stretches of one sign that do not overlap.

    Args:
        values: ``(B, L)`` attribution of each base.
        sign: +1 for what raises the prediction, −1 for what lowers it.
        share: Of all places, how many are strong.
        flank: Bases around the core.
    """
    window = np.lib.stride_tricks.sliding_window_view(values * sign, CORE, axis=1).sum(axis=2)
    inside = window[:, flank : window.shape[1] - flank].astype(float)
    limit = max(float(np.quantile(inside, 1 - share)), 0.0)
    rows, starts, totals = [], [], []
    for _ in range(PER_SEQUENCE):
        place = inside.argmax(axis=1)
        best = inside[np.arange(len(inside)), place]
        chosen = np.nonzero(best > limit)[0]
        rows.append(chosen)
        starts.append(place[chosen])
        totals.append(best[chosen] * sign)
        near = np.abs(np.arange(inside.shape[1]) - place[:, None]) < CORE
        inside[near] = -np.inf
    return Seqlets(*map(np.concatenate, (rows, starts, totals)))


def stretches(
    tokens: Tokens, values: npt.NDArray[np.floating], sign: int, seed: int, flank: int = FLANK
) -> Sequences:
    """Seqlets of one sign, with height 1, and as many unimportant stretches, with height 0."""
    width = CORE + 2 * flank
    seqlets = extract_seqlets(values, sign, flank=flank)
    quiet = _quiet_starts(values, len(seqlets.row), width, seed)
    row = np.concatenate([seqlets.row, quiet[0]])
    start = np.concatenate([seqlets.start, quiet[1]])
    pieces = tokens[row[:, None], start[:, None] + np.arange(width)]
    height = (np.arange(len(row)) < len(seqlets.row)).astype(float)
    return Sequences(pieces, height, composition_strata(pieces))


def attributed_motifs(
    tokens: Tokens,
    values: npt.NDArray[np.floating],
    options: DiscoverOptions = DEFAULTS,
) -> list[DiscoveredMotif]:
    """Motifs of seqlets, those that raise the prediction as ``high``; ids count from ``A1``.

    Args:
        tokens: ``(B, L)`` inserts.
        values: ``(B, L)`` attribution of each base, of a network that the sequences are new to or
            not: what it learned is what is found.
        options: As for the other searches; ``n`` is not used.
    """
    found: list[DiscoveredMotif] = []
    for sign, name in ((1, "high"), (-1, "low")):
        pieces = stretches(tokens, values, sign, options.seed)
        high = pieces.height == 1
        if min(int(high.sum()), int((~high).sum())) < 2 * options.fewest:
            continue
        motifs = contrast_motifs(pieces.tokens, high, options, "A")
        found += [f._replace(enriched=name) for f in motifs if f.enriched == "high"]
    found.sort(key=lambda f: f.p)
    return [
        f._replace(motif=f.motif.renamed(f.motif.name, f"A{n}")) for n, f in enumerate(found, 1)
    ]


def _quiet_starts(
    values: npt.NDArray[np.floating], many: int, width: int, seed: int
) -> tuple[Integers, Integers]:
    """Rows and starts of random stretches among the half that matters least."""
    size = np.lib.stride_tricks.sliding_window_view(np.abs(values), width, axis=1).sum(axis=2)
    row, start = np.nonzero(size <= np.median(size))
    chosen = np.random.default_rng(seed).permutation(len(row))[:many]
    return row[chosen], start[chosen]
