"""What the motifs found so far leave unexplained, and how far a feature leans to it.

A logistic regression predicts from the strengths of the found motifs, and from the stratum of
G + C, how high each sequence stands. A word or a matrix is then judged by the score test: what it
would add to that prediction. So a fragment or a variant of a motif that is there already says
nothing new, and nothing has to be erased, which would damage the sites of others.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Integers
from crmnet.motifs.pwm import Matrix
from crmnet.sequence import Tokens

Numbers = npt.NDArray[np.number[Any]]

RIDGE = 3.0
"""Penalty on the square of a motif's coefficient: a Gaussian prior of this precision."""
FREE = 1e-3
"""The same for a stratum's intercept, so that an empty one has a solution."""
STEPS = 8
"""Newton's steps at most."""


class Sequences(NamedTuple):
    """Sequences and where they stand."""

    tokens: Tokens
    """``(B, L)`` inserts, without the adapters that all share."""
    height: Matrix
    """``(B,)`` between 0, lowest, and 1, highest; of two groups, 0 and 1."""
    stratum: Integers
    """``(B,)`` class of composition, from 0."""

    def rows(self, chosen: Integers) -> Sequences:
        """Some of the sequences."""
        return Sequences(self.tokens[chosen], self.height[chosen], self.stratum[chosen])


class Fitted(NamedTuple):
    """A regression of height."""

    intercept: Matrix
    """``(S,)`` one for each stratum."""
    slope: Matrix
    """``(K,)`` one for each feature."""


class Rest(NamedTuple):
    """What a regression leaves of some sequences' height."""

    residual: Matrix
    """``(B,)``; in each stratum the sum is 0."""
    variance: Matrix
    """``(B,)`` expected square of the residual."""
    stratum: Integers

    def turned(self) -> Rest:
        """The same of the reversed heights."""
        return self._replace(residual=-self.residual)

    @property
    def total(self) -> Numbers:
        """Variance in each stratum, ``(S,)``."""
        return np.bincount(self.stratum, self.variance)

    def z(self, lean: Numbers, spread: Numbers) -> Matrix:
        """How far features lean to the high sequences, in standard deviations.

        Args:
            lean: ``(...)`` sum of the residuals of the sequences that have the feature.
            spread: ``(..., S)`` sum of their variances, in each stratum.
        """
        total = np.maximum(self.total, 1e-9)
        variance = (spread - spread**2 / total).sum(axis=-1)
        return np.asarray(lean / np.sqrt(np.where(variance > 1e-9, variance, np.inf)), dtype=float)

    def z_of(self, hits: Integers) -> float:
        """The same of one feature, ``hits`` being the rows that have it."""
        spread = np.bincount(self.stratum[hits], self.variance[hits], len(self.total))
        return float(self.z(np.asarray(self.residual[hits].sum()), spread))


def fit(sequences: Sequences, features: Matrix) -> Fitted:
    """Ridge logistic regression of height on features ``(B, K)``, an intercept per stratum."""
    strata = int(sequences.stratum.max(initial=0)) + 1
    design = np.hstack([np.eye(strata)[sequences.stratum], features])
    penalty = np.r_[np.full(strata, FREE), np.full(features.shape[1], RIDGE)]
    slope = np.zeros(design.shape[1])
    for _ in range(STEPS):
        predicted = _logistic(design @ slope)
        weight = predicted * (1 - predicted) + 1e-6
        gradient = design.T @ (sequences.height - predicted) - penalty * slope
        curvature = (design.T * weight) @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        slope += step
        if np.abs(step).max() < 1e-4:
            break
    return Fitted(slope[:strata], slope[strata:])


def rest_of(sequences: Sequences, features: Matrix, fitted: Fitted) -> Rest:
    """What ``fitted`` leaves unexplained of sequences, of these or of others.

    The variance is that of two groups, scaled to what the heights have: ranks scatter less.
    """
    stratum = sequences.stratum
    predicted = _logistic(fitted.intercept[stratum] + features @ fitted.slope)
    residual = sequences.height - predicted
    variance = predicted * (1 - predicted)
    total = np.maximum(np.bincount(stratum, variance), 1e-9)
    residual -= variance * (np.bincount(stratum, residual) / total)[stratum]
    mean = float(sequences.height.mean())
    scale = float(sequences.height.var()) / max(mean * (1 - mean), 1e-9)
    return Rest(residual, scale * variance, stratum)


def _logistic(x: Matrix) -> Matrix:
    return 1 / (1 + np.exp(-np.clip(x, -50, 50)))
