"""Motifs from attributions: k-mers that are enriched where a model attributes most.

:func:`attributed_motifs` takes inserts and the attribution of each base
(:mod:`crmnet.interpretation.attribute`). It returns motifs as :mod:`crmnet.motifs.discover` does,
to :mod:`crmnet.interpretation.discovery`. A *seqlet* is a window whose attributions have a larger
sum than those of other windows. Motifs are discovered by comparing seqlets with windows of low
importance. Windows that cover an N, such as the padding of a shorter insert, are neither.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Booleans, Integers
from crmnet.motifs.contrast import composition_strata
from crmnet.motifs.discover import DEFAULTS, DiscoveredMotif, DiscoverOptions, contrast_motifs
from crmnet.motifs.residual import LabelledSequences
from crmnet.sequence import N_TOKEN, Tokens, as_tokens

CORE = 8
"""Number of bases whose attributions are summed."""
FLANK = 5
"""Bases that a seqlet has on either side of its core."""
WIDTH = CORE + 2 * FLANK
MAX_PER_SEQUENCE = 3
"""Largest number of seqlets of either sign from one sequence."""


class Seqlets(NamedTuple):
    """Seqlets, one entry each; the flanks are included."""

    row: Integers
    start: Integers
    """First base of the left flank."""
    total: npt.NDArray[np.float64]
    """Sum of the attributions of the core."""


def extract_seqlets(
    values: npt.ArrayLike,
    sign: int,
    share: float = 0.05,
    flank: int = FLANK,
    tokens: npt.ArrayLike | None = None,
) -> Seqlets:
    """The strongest windows of one sign, with cores that do not overlap.

    Args:
        values: ``(B, L)`` attribution of each base.
        sign: +1 for windows that raise the prediction, −1 for those that lower it.
        share: Fraction of all windows that counts as strong.
        flank: Bases on either side of the core.
        tokens: ``(B, L)`` inserts: windows that cover an N do not count. None means no N.
    """
    values = np.asarray(values)
    tokens = np.zeros(values.shape, np.uint8) if tokens is None else as_tokens(tokens)
    is_known = _windows_without_n(tokens, CORE + 2 * flank)
    if not is_known.any():
        none = np.zeros(0, dtype=np.int64)
        return Seqlets(none, none, none.astype(float))
    window = np.lib.stride_tricks.sliding_window_view(values * sign, CORE, axis=1).sum(axis=2)
    candidates = window[:, flank : window.shape[1] - flank].astype(float)
    limit = max(float(np.quantile(candidates[is_known], 1 - share)), 0.0)
    candidates[~is_known] = -np.inf
    rows, starts, totals = [], [], []
    for _ in range(MAX_PER_SEQUENCE):
        best_start = candidates.argmax(axis=1)
        best_sum = candidates[np.arange(len(candidates)), best_start]
        strong = np.nonzero(best_sum > limit)[0]
        rows.append(strong)
        starts.append(best_start[strong])
        totals.append(best_sum[strong] * sign)
        overlapping = np.abs(np.arange(candidates.shape[1]) - best_start[:, None]) < CORE
        candidates[overlapping] = -np.inf
    return Seqlets(*map(np.concatenate, (rows, starts, totals)))


def seqlets_and_background(
    tokens: npt.ArrayLike, values: npt.ArrayLike, sign: int, seed: int, flank: int = FLANK
) -> LabelledSequences:
    """Seqlets of one sign (response 1) and as many windows of low importance (response 0)."""
    tokens, values = as_tokens(tokens), np.asarray(values)
    width = CORE + 2 * flank
    seqlets = extract_seqlets(values, sign, flank=flank, tokens=tokens)
    background = _background_starts(tokens, values, len(seqlets.row), width, seed)
    row = np.concatenate([seqlets.row, background[0]])
    start = np.concatenate([seqlets.start, background[1]])
    windows = tokens[row[:, None], start[:, None] + np.arange(width)]
    response = (np.arange(len(row)) < len(seqlets.row)).astype(float)
    return LabelledSequences(windows, response, composition_strata(windows))


def attributed_motifs(
    tokens: npt.ArrayLike,
    values: npt.ArrayLike,
    options: DiscoverOptions = DEFAULTS,
) -> list[DiscoveredMotif]:
    """Motifs of seqlets; ``high`` are those that raise the prediction; ids count from ``A1``.

    Args:
        tokens: ``(B, L)`` inserts.
        values: ``(B, L)`` attribution of each base. The network may have been trained on these
            sequences: the motifs describe what it has learned.
        options: Settings of the search; ``n`` is not used.
    """
    tokens, values = as_tokens(tokens), np.asarray(values)
    discovered: list[DiscoveredMotif] = []
    for sign, name in ((1, "high"), (-1, "low")):
        windows = seqlets_and_background(tokens, values, sign, options.seed)
        high = windows.response == 1
        if min(int(high.sum()), int((~high).sum())) < 2 * options.min_sequences:
            continue
        motifs = contrast_motifs(windows.tokens, high, options, "A")
        discovered += [
            entry._replace(enriched=name) for entry in motifs if entry.enriched == "high"
        ]
    discovered.sort(key=lambda entry: entry.p)
    return [
        entry._replace(motif=entry.motif.renamed(entry.motif.name, f"A{n}"))
        for n, entry in enumerate(discovered, 1)
    ]


def _background_starts(
    tokens: Tokens, values: npt.NDArray[np.floating], n: int, width: int, seed: int
) -> tuple[Integers, Integers]:
    """Rows and starts of ``n`` random windows from the half with the least ``|attribution|``."""
    row, start = np.nonzero(_windows_without_n(tokens, width))
    if not n:
        return row[:0], start[:0]
    importance = np.lib.stride_tricks.sliding_window_view(np.abs(values), width, axis=1).sum(axis=2)
    total = importance[row, start]
    weakest = np.nonzero(total <= np.median(total))[0]
    sampled = np.random.default_rng(seed).permutation(len(weakest))[:n]
    return row[weakest[sampled]], start[weakest[sampled]]


def _windows_without_n(tokens: Tokens, width: int) -> Booleans:
    """``(B, L - width + 1)`` True at the start of a window without N; no column if L < width."""
    n_before = np.cumsum(np.pad(tokens == N_TOKEN, ((0, 0), (1, 0))), axis=1)
    return n_before[:, width:] == n_before[:, :-width]
