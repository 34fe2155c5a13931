"""Trivial baselines: ridge regression of expression on the composition of the insert.

They show what part of an accuracy needs no network: G + C, dinucleotides, 6-mers. A network that is
not above the 6-mers on its own rows has learned nothing about order. Input are tokens and labels of
one medium, output are predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Floats
from crmnet.sequence import Tokens, as_tokens, inserts, reverse_complement

BASES = 4
G, C = 2, 1
FOLDS = 5
"""Parts of the families by which the penalty is chosen."""
PENALTIES = tuple(10.0**k for k in range(-1, 6))
"""Penalties that are tried."""


def kmer_counts(tokens: npt.ArrayLike, k: int) -> Floats:
    """Counts of each k-mer on both strands of the insert, ``(N, 4**k)``.

    A k-mer and its reverse complement have equal counts. k-mers with N are not counted.
    """
    insert = inserts(as_tokens(tokens))[0]
    found = np.zeros((len(insert), BASES**k), dtype=np.float32)
    rows = np.arange(len(insert))[:, None]
    for strand in (insert, reverse_complement(insert)):
        windows = np.lib.stride_tricks.sliding_window_view(strand.astype(np.int64), k, axis=1)
        is_known = (windows < BASES).all(axis=2)
        words = np.where(is_known, windows @ (BASES ** np.arange(k)), 0)
        np.add.at(found, (np.broadcast_to(rows, words.shape), words), is_known)
    return found.astype(np.float64)


def _canonical_counts(tokens: Tokens, k: int) -> Floats:
    """As :func:`kmer_counts`, with one column for a k-mer and its reverse complement."""
    words = np.arange(BASES**k)
    letters = words[:, None] // BASES ** np.arange(k) % BASES
    reverse = (3 - letters)[:, ::-1] @ (BASES ** np.arange(k))
    return kmer_counts(tokens, k)[:, words <= reverse]


def _gc_percent(tokens: Tokens) -> Floats:
    single = kmer_counts(tokens, 1)
    return (100 * single[:, [C, G]].sum(axis=1) / np.maximum(single.sum(axis=1), 1))[:, None]


FEATURES: Mapping[str, Callable[[Tokens], Floats]] = {
    "G + C": _gc_percent,
    "dinucleotides": lambda tokens: _canonical_counts(tokens, 2),
    "6-mers": lambda tokens: _canonical_counts(tokens, 6),
}
"""Baseline → its features of constructs ``(N, L)``: ``(N, F)``."""


class Baseline(NamedTuple):
    """A fitted ridge regression."""

    name: str
    mean: Floats
    """``(F,)``, mean of the features."""
    weights: Floats
    """``(F,)``."""
    offset: float
    penalty: float
    """The penalty with the smallest squared error on families outside the fit."""

    def predict(self, tokens: npt.ArrayLike) -> Floats:
        """Expression of constructs ``(N, L)``, in the unit of the labels: ``(N,)``."""
        features = FEATURES[self.name](as_tokens(tokens))
        prediction: Floats = (features - self.mean) @ self.weights + self.offset
        return prediction


def fit_baseline(
    name: str, tokens: npt.ArrayLike, labels: npt.ArrayLike, family: npt.ArrayLike
) -> Baseline:
    """Fit a baseline of :data:`FEATURES` to rows of one medium.

    Args:
        name: Name of the baseline.
        tokens: ``(N, L)``, constructs.
        labels: ``(N,)``.
        family: ``(N,)``; families are divided into parts to choose the penalty.
    """
    features, y = FEATURES[name](as_tokens(tokens)), np.asarray(labels, dtype=np.float64)
    fold = np.unique(np.asarray(family), return_inverse=True)[1] % FOLDS
    errors = np.zeros(len(PENALTIES))
    for part in range(FOLDS):
        inside, outside = fold != part, fold == part
        if inside.any() and outside.any():
            mean, offset, weights = _ridge(features[inside], y[inside])
            predicted = (features[outside] - mean) @ weights + offset
            errors += np.square(predicted - y[outside, None]).sum(axis=0)
    best = int(np.argmin(errors))
    mean, offset, weights = _ridge(features, y)
    return Baseline(name, mean, weights[:, best], offset, PENALTIES[best])


def _ridge(features: Floats, labels: Floats) -> tuple[Floats, float, Floats]:
    """Mean of the features, mean label, and weights ``(F, P)``, one column for each penalty."""
    mean, offset = features.mean(axis=0), float(labels.mean())
    centred = features - mean
    values, vectors = np.linalg.eigh(centred.T @ centred)
    projected = vectors.T @ (centred.T @ (labels - offset))
    shrunk = projected[:, None] / (np.maximum(values, 0)[:, None] + np.array(PENALTIES))
    return mean, offset, vectors @ shrunk
