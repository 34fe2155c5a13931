"""Regression of expression on known motifs, and score tests of features on its residuals.

The functions take sequences with a response between 0 and 1, and the site strengths of the motifs
found so far. They return residuals and z-scores to :mod:`crmnet.motifs.kmers` and
:mod:`crmnet.motifs.refine`.

A logistic regression predicts the response from the strengths of these motifs and from the G + C
stratum. A score test then measures how much a k-mer or a matrix would add to the prediction. A
fragment or a variant of a motif in the regression adds nothing. Therefore sites need not be erased;
erasing them would damage overlapping sites of other motifs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Integers
from crmnet.motifs.pwm import Matrix
from crmnet.sequence import Tokens

Numbers = npt.NDArray[np.number[Any]]

SLOPE_PENALTY = 3.0
"""Penalty on the squared coefficient of a motif: the precision of a Gaussian prior."""
INTERCEPT_PENALTY = 1e-3
"""Penalty on a stratum's squared intercept, so that a solution exists for an empty stratum."""
MAX_STEPS = 8
"""Largest number of Newton steps."""


class LabelledSequences(NamedTuple):
    """Sequences with the response that the regression explains."""

    tokens: Tokens
    """``(B, L)`` inserts, without the adapters that all sequences share."""
    response: Matrix
    """``(B,)`` relative rank of expression, from 0 (lowest) to 1 (highest). Two groups have the
    values 0 and 1."""
    stratum: Integers
    """``(B,)`` class of composition, from 0."""

    def take(self, rows: Integers) -> LabelledSequences:
        """The sequences of these rows."""
        return LabelledSequences(self.tokens[rows], self.response[rows], self.stratum[rows])


class Regression(NamedTuple):
    """Coefficients of the regression, in logits."""

    intercept: Matrix
    """``(S,)`` one for each stratum."""
    slope: Matrix
    """``(K,)`` one for each feature."""


class Residuals(NamedTuple):
    """Residuals of the regression for a set of sequences."""

    residual: Matrix
    """``(B,)``; the sum is 0 in each stratum."""
    variance: Matrix
    """``(B,)`` expected squared residual."""
    stratum: Integers

    def negated(self) -> Residuals:
        """Residuals with the opposite sign: low sequences become high ones."""
        return self._replace(residual=-self.residual)

    @property
    def stratum_variance(self) -> Numbers:
        """Sum of the variances in each stratum, ``(S,)``."""
        return np.bincount(self.stratum, self.variance)

    def z_scores(self, residual_sum: Numbers, variance_sum: Numbers) -> Matrix:
        """Score-test z of features; positive for features enriched in high sequences.

        Args:
            residual_sum: ``(...)`` sum of the residuals of the sequences that have the feature.
            variance_sum: ``(..., S)`` sum of their variances in each stratum.
        """
        stratum_variance = np.maximum(self.stratum_variance, 1e-9)
        variance = (variance_sum - variance_sum**2 / stratum_variance).sum(axis=-1)
        return np.asarray(
            residual_sum / np.sqrt(np.where(variance > 1e-9, variance, np.inf)), dtype=float
        )

    def z_score(self, rows: Integers) -> float:
        """Score-test z of one feature; ``rows`` are the sequences that have it."""
        variance_sum = np.bincount(
            self.stratum[rows], self.variance[rows], len(self.stratum_variance)
        )
        return float(self.z_scores(np.asarray(self.residual[rows].sum()), variance_sum))


def fit_regression(sequences: LabelledSequences, features: Matrix) -> Regression:
    """Ridge logistic regression of the response on features ``(B, K)`` and on the strata."""
    strata = int(sequences.stratum.max(initial=0)) + 1
    design = np.hstack([np.eye(strata)[sequences.stratum], features])
    penalty = np.r_[np.full(strata, INTERCEPT_PENALTY), np.full(features.shape[1], SLOPE_PENALTY)]
    coefficients = np.zeros(design.shape[1])
    for _ in range(MAX_STEPS):
        predicted = _logistic(design @ coefficients)
        weight = predicted * (1 - predicted) + 1e-6
        gradient = design.T @ (sequences.response - predicted) - penalty * coefficients
        curvature = (design.T * weight) @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        coefficients += step
        if np.abs(step).max() < 1e-4:
            break
    return Regression(coefficients[:strata], coefficients[strata:])


def compute_residuals(
    sequences: LabelledSequences, features: Matrix, regression: Regression
) -> Residuals:
    """Residuals of these sequences; they need not be the sequences of the fit.

    ``features`` is ``(B, K)``. The variance is that of a binary response, scaled to the variance of
    the actual response, because relative ranks vary less than two groups.
    """
    stratum = sequences.stratum
    predicted = _logistic(regression.intercept[stratum] + features @ regression.slope)
    residual = sequences.response - predicted
    variance = predicted * (1 - predicted)
    stratum_variance = np.maximum(np.bincount(stratum, variance), 1e-9)
    residual -= variance * (np.bincount(stratum, residual) / stratum_variance)[stratum]
    mean = float(sequences.response.mean())
    scale = float(sequences.response.var()) / max(mean * (1 - mean), 1e-9)
    return Residuals(residual, scale * variance, stratum)


def _logistic(x: Matrix) -> Matrix:
    return 1 / (1 + np.exp(-np.clip(x, -50, 50)))
