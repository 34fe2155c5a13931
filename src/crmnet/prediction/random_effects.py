"""Effects of random single substitutions in random promoters: what a usual effect is.

The percentile of a variant's effect (:mod:`crmnet.design.mutate`) is its rank among them. A model
card stores their quantiles (:mod:`crmnet.evaluation.calibrate`); for another model they are
computed from a seed when they are needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.arrays import Floats32, Integers
from crmnet.sequence import Tokens

QUANTILES = 101
"""Evenly spaced quantiles that describe a distribution, from 0 to 100 %."""


@dataclass(frozen=True)
class RandomVariants:
    """How many random promoters, and how many variants of each."""

    promoters: int = 60
    variants: int = 12
    """Substitutions of each promoter, each predicted alone; none occurs twice."""
    seed: int = 0


AT_RUN = RandomVariants()
"""Random variants for a model without such a card: 780 predictions, 3 seconds with ``yeast``."""
IN_CARD = RandomVariants(promoters=400, variants=15)
"""Random variants of the distribution in a model card."""


def insert_template(length: int) -> tuple[Tokens, npt.NDArray[np.bool_]]:
    """A construct of the assay ``(length,)`` with an unknown insert, and where its insert lies."""
    width = sequence.insert_window(length)
    (tokens,), _ = sequence.constructs(["N" * width], flanks="add", length=length)
    start = len(sequence.ADAPTER_5)
    positions = np.arange(length)
    return tokens, (positions >= start) & (positions < start + width)


def random_effects(
    predict: Callable[[Tokens], Floats32],
    template: Tokens,
    inside: npt.NDArray[np.bool_],
    options: RandomVariants = AT_RUN,
) -> list[list[float]]:
    """Quantiles of the absolute effects of random substitutions, for each output of a model.

    Args:
        predict: Tokens ``(N, L)`` → predictions ``(N, M)``.
        template: ``(L,)``, the sequence around the random bases.
        inside: ``(L,)``, True at the positions of the random bases.
        options: Numbers of promoters and variants, and the seed.

    Returns:
        M lists of :data:`QUANTILES` numbers in rising order.
    """
    rng = np.random.default_rng(options.seed)
    positions: Integers = np.nonzero(inside)[0]
    references = np.repeat(template[None], options.promoters, axis=0)
    references[:, positions] = rng.integers(0, 4, (options.promoters, len(positions)))
    many = min(options.variants, 3 * len(positions))
    choices = np.stack([
        rng.choice(3 * len(positions), many, replace=False) for _ in range(options.promoters)
    ])  # fmt: skip
    row = np.repeat(np.arange(options.promoters), many)
    position, shift = positions[choices.ravel() // 3], choices.ravel() % 3 + 1
    variants = references[row]
    at = (np.arange(len(row)), position)
    variants[at] = (variants[at] + shift) % 4
    effects = np.abs(predict(variants).astype(np.float64) - predict(references)[row])
    levels = np.linspace(0, 1, QUANTILES)
    return [np.quantile(column, levels).tolist() for column in effects.T]
