"""Trivial baselines: ridge regression of expression on the composition of the insert.

They show what part of an accuracy needs no network: G + C, dinucleotides, 6-mers. A network that is
not above the 6-mers on its own rows has learned nothing about order. Input are tokens and labels of
one medium, output are predictions. :func:`fit_baselines` and :func:`add_baselines` put them beside
the models of a comparison (:mod:`crmnet.evaluation.align`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Floats
from crmnet.data.dataset import Dataset
from crmnet.data.packed import as_rows
from crmnet.data.splits import families
from crmnet.evaluation.align import AlignedSet
from crmnet.evaluation.score_sets import set_name
from crmnet.sequence import Tokens, as_tokens, inserts, reverse_complement

log = logging.getLogger("crmnet")

BASES = 4
G, C = 2, 1
FOLDS = 5
"""Parts of the families by which the penalty is chosen."""
MAX_ROWS = 20_000
"""Largest number of rows that :func:`fit_baselines` uses; 6-mers need 17 kB for each."""
CHUNK = 4_096
"""Rows whose features are computed at a time."""
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


def _features(name: str, tokens: Tokens) -> Floats:
    """Features of one baseline, computed in chunks: counts need more memory while they are made."""
    chunks = [tokens[start : start + CHUNK] for start in range(0, max(len(tokens), 1), CHUNK)]
    return np.concatenate([FEATURES[name](chunk) for chunk in chunks])


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
        features = _features(self.name, as_tokens(tokens))
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
    features, y = _features(name, as_tokens(tokens)), np.asarray(labels, dtype=np.float64)
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
    centred, residual = features - mean, labels - offset
    if len(centred) < centred.shape[1]:  # the same weights from the smaller matrix of products
        values, vectors = np.linalg.eigh(centred @ centred.T)
        shrunk = (vectors.T @ residual)[:, None] / (
            np.maximum(values, 0)[:, None] + np.array(PENALTIES)
        )
        return mean, offset, centred.T @ (vectors @ shrunk)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    projected = vectors.T @ (centred.T @ residual)
    shrunk = projected[:, None] / (np.maximum(values, 0)[:, None] + np.array(PENALTIES))
    return mean, offset, vectors @ shrunk


def fit_baselines(
    dataset: Dataset, medium: str | None = None, *, max_rows: int = MAX_ROWS, seed: int = 0
) -> dict[str, Baseline]:
    """Fit every baseline to rows of a data set.

    Args:
        dataset: Training rows.
        medium: Use only rows of this medium; None uses all.
        max_rows: Of more rows, a random sample of this size is used.
        seed: Seed of the sample.

    Raises:
        ValueError: If the data set has no rows of the medium.
    """
    rows = np.arange(len(dataset))
    if medium is not None:
        if medium not in dataset.media:
            raise ValueError(
                f"{dataset.path} has no rows of medium {medium!r}, which the baselines need; "
                f"it has {', '.join(dataset.media)}"
            )
        rows = np.nonzero(np.asarray(dataset.medium) == dataset.media.index(medium))[0]
    if len(rows) > max_rows:
        rows = np.sort(np.random.default_rng(seed).choice(rows, max_rows, replace=False))
    tokens, labels = as_rows(dataset.tokens)[rows], np.asarray(dataset.labels)[rows]
    family = families(dataset)[rows]
    return {name: fit_baseline(name, tokens, labels, family) for name in FEATURES}


def add_baselines(
    aligned: AlignedSet, dataset: Dataset, baselines: Mapping[str, Baseline]
) -> AlignedSet:
    """The set with a model for each baseline, on the same rows.

    Args:
        aligned: A set of :func:`crmnet.evaluation.align.align` that a model predicts.
        dataset: The data set of the rows.
        baselines: Name → fitted baseline.
    """
    assert aligned.row is not None, "the rows are not those of a data set"
    first, rows, tokens = next(iter(aligned.models.values())), aligned.row, as_rows(dataset.tokens)
    models = dict(aligned.models)
    for name, baseline in baselines.items():
        models[name] = replace(first, predicted=baseline.predict(tokens[rows]))
    return replace(aligned, models=models)


def with_baselines(
    sets: Sequence[AlignedSet], datasets: Sequence[Dataset], training: Dataset
) -> list[AlignedSet]:
    """Sets of :func:`crmnet.evaluation.align.align` with baselines fitted to training rows.

    Each set gets the baselines of its medium. Sets that no model predicts stay as they are, which
    is logged: their rows are those of a table.

    Args:
        sets: The sets.
        datasets: The data sets from which they were made.
        training: Training rows in every medium that models predict.
    """
    fitted: dict[str, dict[str, Baseline]] = {}
    source = {
        set_name(dataset.name, dataset.media, medium): (dataset, medium)
        for dataset in datasets
        for medium in dataset.media
    }
    result = []
    for aligned in sets:
        if aligned.row is None:
            log.info("%s: no model predicts this set, so it is without baselines", aligned.name)
            result.append(aligned)
            continue
        dataset, medium = source[aligned.name]
        if medium not in fitted:
            fitted[medium] = fit_baselines(training, medium)
        result.append(add_baselines(aligned, dataset, fitted[medium]))
    return result
