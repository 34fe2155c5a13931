"""What a model has learned of a motif by itself: sites planted into shuffled promoters.

:func:`single_effects` plants one site at every place and strand; :func:`pair_effects` two at every
distance, and gives what the pair does beyond the sum of both: epistasis. Everything else in a
promoter averages out over the backgrounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crmnet import sequence
from crmnet.arrays import Floats
from crmnet.interpretation.attribute import INSERT
from crmnet.perturb import put
from crmnet.prediction.predictor import Predictor


class Effects(NamedTuple):
    """Mean change of the prediction over the backgrounds, with 95 % intervals; one entry each."""

    where: list[tuple[str, int]]
    """Strand and start on the insert of a single site; strands (``++``, ``+-``) and gap of a
    pair."""
    mean: Floats
    low: Floats
    high: Floats


def backgrounds(tokens: sequence.Tokens, many: int, seed: int) -> sequence.Tokens:
    """``(many, L)`` constructs with the inserts' neighbouring pairs of bases, shuffled."""
    rng = np.random.default_rng(seed)
    chosen = np.array(tokens[rng.integers(len(tokens), size=many)])
    chosen[:, INSERT] = sequence.shuffle(chosen[:, INSERT], seed, 2)
    return chosen


def single_effects(
    predictor: Predictor,
    grounds: sequence.Tokens,
    site: str,
    weights: Sequence[int],
    step: int = 4,
) -> Effects:
    """Effect of one site by strand and place.

    Args:
        predictor: The model.
        grounds: ``(B, L)`` from :func:`backgrounds`.
        site: Its bases.
        weights: Weights of the model's outputs, as in
            :func:`crmnet.interpretation.attribute.output_weights`.
        step: Bases from one position to the next.
    """
    letters = sequence.encode([site])[0][0]
    without = _predicted(predictor, grounds, weights)
    where, changes = [], []
    for strand in "+-":
        for start in range(0, INSERT.stop - INSERT.start - len(letters) + 1, step):
            planted = put(grounds, letters, INSERT.start + start, strand)
            where.append((strand, start))
            changes.append(_predicted(predictor, planted, weights) - without)
    return _effects(where, changes)


def pair_effects(
    predictor: Predictor,
    grounds: sequence.Tokens,
    sites: tuple[str, str],
    weights: Sequence[int],
    gaps: Sequence[int] = range(0, 41, 4),
) -> Effects:
    """What two sites do beyond the sum of each alone, by the gap between them and strands.

    The pair is centred in the insert; each alone stands where it stands in the pair.
    """
    first, second = (sequence.encode([site])[0][0] for site in sites)
    without = _predicted(predictor, grounds, weights)
    room = INSERT.stop - INSERT.start
    where, changes = [], []
    for strands in ("++", "+-", "-+", "--"):
        for gap in gaps:
            width = len(first) + gap + len(second)
            if width > room:
                continue
            start = INSERT.start + (room - width) // 2
            behind = start + len(first) + gap
            one = put(grounds, first, start, strands[0])
            other = put(grounds, second, behind, strands[1])
            both = put(one, second, behind, strands[1])
            one_alone, other_alone, together = (
                _predicted(predictor, planted, weights) for planted in (one, other, both)
            )
            where.append((strands, gap))
            changes.append(together - one_alone - other_alone + without)
    return _effects(where, changes)


def _predicted(predictor: Predictor, tokens: sequence.Tokens, weights: Sequence[int]) -> Floats:
    return predictor.predict_tokens(tokens).astype(float) @ np.array(weights, dtype=float)


def _effects(where: list[tuple[str, int]], changes: list[Floats]) -> Effects:
    values = np.array(changes)
    mean = values.mean(axis=1)
    # Backgrounds are drawn independently: the mean's own spread gives the interval.
    half = 1.96 * values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
    return Effects(where, mean, mean - half, mean + half)
