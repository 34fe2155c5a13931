"""Archetypes of evolvability: a few extreme promoters of which all others are mixtures.

:func:`archetypes` takes evolvability vectors (:mod:`crmnet.design.evolve`) and returns K
archetypes, each a mixture of promoters, and the weights with which they reproduce every promoter.
Weights are 0 or more and add up to 1 (archetypal analysis; Cutler and Breiman 1994). The archetypes
therefore are corners of the cloud of vectors, such as a promoter that no mutation changes and one
that most mutations lower.

Vaishnav et al. (2022) use AAnet, an autoencoder with a simplex as its bottleneck. Sorted changes of
expression are smooth curves with few degrees of freedom, for which a convex problem without
settings of a network, training and their randomness is enough. The Python library ``archetypes``
solves the same problem row by row. Its exact method takes 6 s for 500 vectors, its fast methods
stop at two to three times its squared error. The solver here treats all rows at once: 0.2 s, with
a slightly smaller error than the exact method.

The plane for display is classical multidimensional scaling (MDS) of the Euclidean distances between
vectors, which equals their first two principal components.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from crmnet.arrays import Floats, Integers
from crmnet.design.evolve import Evolvability

if TYPE_CHECKING:
    import polars

STARTS = 5
"""Number of starting points of the search; the best result is taken."""
ITERATIONS = 200
"""Largest number of rounds in which archetypes and weights are improved."""
TOLERANCE = 1e-6
"""Gain of a round, as a share of the variance, below which the search ends."""
KEPT_VARIANCE = 0.9999
"""Share of the variance of the vectors that the search keeps; the rest is noise."""
MOST_MEMBERS = 200
"""Largest number of points that are tried as members of one archetype."""
WEIGHT_OF_SUM = 1e3
"""How much more than an error in a coordinate it counts that weights do not add up to 1."""


@dataclass(frozen=True)
class Archetypes:
    """K archetypes of B vectors of V numbers."""

    ids: Sequence[str]
    vectors: Floats
    """``(K, V)``, from the archetype with the smallest changes to that with the largest."""
    weights: Floats
    """``(B, K)``, share of each archetype in each promoter; rows add up to 1."""
    members: Floats
    """``(K, B)``, share of each promoter in each archetype; rows add up to 1."""
    explained: float
    """Share of the variance of the vectors that mixtures of the archetypes reproduce."""
    points: Floats
    """``(B, 2)``, the promoters on the plane of classical MDS."""
    corners: Floats
    """``(K, 2)``, the archetypes on this plane."""

    @property
    def nearest(self) -> Integers:
        """``(B,)``, index of the archetype with the largest weight."""
        return self.weights.argmax(axis=1)

    def columns(self) -> dict[str, Any]:
        """Columns of the table: one row for each promoter; archetypes count from 1."""
        return {
            "id": self.ids,
            "archetype": self.nearest + 1,
            **{f"weight_{k + 1}": weights for k, weights in enumerate(self.weights.T)},
            "mds_1": self.points[:, 0],
            "mds_2": self.points[:, 1],
        }

    def to_table(self) -> polars.DataFrame:
        """:meth:`columns` as a table."""
        import polars

        return polars.DataFrame(self.columns())


def vectors_of_one_length(found: Evolvability, medium: int = 0, width: int | None = None) -> Floats:
    """Evolvability vectors ``(B, width)`` of one medium, all with the same number of values.

    A sorted vector is a quantile function. That of a promoter with fewer or more substitutions is
    read at ``width`` evenly spaced ranks; None means the most frequent number of substitutions,
    whose vectors do not change.

    Raises:
        ValueError: If a promoter has no known base.
    """
    mutants = found.mutants
    if not len(mutants) or not mutants.all():
        name = found.ids[int(np.argmin(mutants))] if len(mutants) else ""
        raise ValueError(
            f"promoter {name!r} has no known base and so no mutations; leave it out"
            if len(mutants) else "there are no promoters; give some"
        )  # fmt: skip
    width = int(np.bincount(mutants).argmax()) if width is None else width
    vectors = found.vectors[:, medium].astype(float)
    resampled = np.empty((len(vectors), width))
    for count in np.unique(mutants).tolist():
        rows = mutants == count
        if count == width:
            resampled[rows] = vectors[rows, :count]
        else:
            at = np.linspace(0, 1, width)
            ranks = np.linspace(0, 1, count)
            resampled[rows] = [np.interp(at, ranks, row) for row in vectors[rows, :count]]
    return resampled


def archetypes(
    vectors: Evolvability | npt.ArrayLike,
    k: int = 3,
    *,
    medium: str | None = None,
    seed: int = 0,
    ids: Sequence[str] | None = None,
) -> Archetypes:
    """Archetypes of evolvability vectors.

    Args:
        vectors: An :class:`Evolvability`, or vectors ``(B, V)``.
        k: Number of archetypes.
        medium: Of an :class:`Evolvability` with several media.
        seed: Seed of the starting points.
        ids: Names of the vectors, if they are an array; None means their numbers from 1.

    Raises:
        ValueError: If there are fewer than ``k`` different vectors, or a value is not finite.
    """
    if isinstance(vectors, Evolvability):
        ids, found = vectors.ids, vectors
        array = vectors_of_one_length(found, _medium_index(found, medium))
    else:
        array = np.asarray(vectors, dtype=float)
    if array.ndim != 2 or not np.isfinite(array).all():
        raise ValueError(f"vectors must be (B, V) finite numbers; got {array.shape}")
    names = [str(n + 1) for n in range(len(array))] if ids is None else list(ids)
    if k < 1 or len(np.unique(array, axis=0)) < k:
        raise ValueError(
            f"{k} archetypes need at least {max(k, 1)} different vectors; got "
            f"{len(np.unique(array, axis=0))}"
        )
    mean = array.mean(axis=0)
    left, sizes, axes = np.linalg.svd(array - mean, full_matrices=False)
    kept = 1 + int(np.searchsorted(np.cumsum(sizes**2), KEPT_VARIANCE * (sizes**2).sum()))
    coordinates = left[:, :kept] * sizes[:kept]
    rng = np.random.default_rng(seed)
    corners, weights, members = min(
        (_search(coordinates, k, rng) for _ in range(1 if k == 1 else STARTS)),
        key=lambda result: _error(coordinates, result[1], result[0]),
    )
    curves = corners @ axes[:kept] + mean
    order = np.argsort(np.abs(curves).mean(axis=1))
    total, error = float((sizes**2).sum()), _error(array, weights, curves)
    plane = np.zeros((len(array), 2)), np.zeros((k, 2))
    for target, source in zip(plane, (coordinates, corners), strict=True):
        target[:, : min(kept, 2)] = source[:, :2]
    return Archetypes(
        names, curves[order], weights[:, order], members[order],
        1 - error / total if total else 1.0, plane[0], plane[1][order],
    )  # fmt: skip


def _medium_index(found: Evolvability, medium: str | None) -> int:
    if medium is None and len(found.media) > 1:
        raise ValueError(f"choose one of the media: {' or '.join(found.media)}")
    if medium is not None and medium not in found.media:
        raise ValueError(f"no medium {medium!r}; there is {' and '.join(found.media)}")
    return 0 if medium is None else list(found.media).index(medium)


def _error(points: Floats, weights: Floats, corners: Floats) -> float:
    """Squared error of the mixtures."""
    return float(((points - weights @ corners) ** 2).sum())


def _search(points: Floats, k: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Corners ``(K, D)``, weights ``(B, K)`` and members ``(K, B)`` from one starting point.

    In each round the weights of all points are improved for fixed corners. Then each corner in
    turn moves to the mixture of points that is best for fixed weights: the squared error as a
    function of one corner is that of its distance from one target, so the best corner is the
    projection of the target onto the convex hull of the points.
    """
    chosen = _furthest(points, k, rng)
    members = np.zeros((k, len(points)))
    members[range(k), chosen] = 1
    corners = points[chosen]
    weights = _mixtures(points, corners, np.full((len(points), k), 1 / k))
    error, variance = _error(points, weights, corners), float((points**2).sum())
    for _ in range(ITERATIONS):
        for j in range(k):
            size = float(weights[:, j] @ weights[:, j])
            if size == 0:
                continue
            others = points - weights @ corners
            target = corners[j] + weights[:, j] @ others / size
            members[j] = _hull_weights(points, target, members[j])
            corners[j] = members[j] @ points
        weights = _mixtures(points, corners, weights)
        before, error = error, _error(points, weights, corners)
        if before - error <= TOLERANCE * variance:
            break
    return corners, weights, members


def _furthest(points: Floats, k: int, rng: np.random.Generator) -> list[int]:
    """Points that are far from one another (FurthestSum; Mørup and Hansen 2012).

    A random point starts the list. The point with the largest sum of distances from the list
    follows, K times; the random point is dropped.
    """
    chosen = [int(rng.integers(len(points)))]
    distances = np.linalg.norm(points - points[chosen[0]], axis=1)
    for step in range(k):
        distances[chosen] = -np.inf
        following = int(distances.argmax())
        if step == 0:
            chosen, distances = [following], np.zeros(len(points))
        else:
            chosen.append(following)
        distances = distances + np.linalg.norm(points - points[following], axis=1)
    return chosen


def _mixtures(points: Floats, corners: Floats, weights: Floats, rounds: int = 30) -> Floats:
    """Weights ``(B, K)`` of the best mixtures of corners: accelerated projected gradient."""
    gram, target = corners @ corners.T, points @ corners.T
    step = 1 / max(float(np.linalg.eigvalsh(gram)[-1]), 1e-12)
    current, ahead, momentum = weights, weights, 1.0
    for _ in range(rounds):
        following = onto_simplex(ahead - step * (ahead @ gram - target))
        next_momentum = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = following + (momentum - 1) / next_momentum * (following - current)
        current, momentum = following, next_momentum
    return current


def onto_simplex(values: Floats) -> Floats:
    """The nearest rows that are 0 or more and add up to 1 (Duchi et al. 2008)."""
    falling = -np.sort(-values, axis=1)
    excess = np.cumsum(falling, axis=1) - 1
    count = np.arange(1, values.shape[1] + 1)
    positive = (falling - excess / count > 0).sum(axis=1)
    shift = excess[np.arange(len(values)), positive - 1] / positive
    return np.maximum(values - shift[:, None], 0)


def _hull_weights(points: Floats, target: Floats, before: Floats) -> Floats:
    """Weights ``(B,)`` of the mixture of points that is nearest to a target.

    Starts with the points of the weights ``before``. The point that lies furthest in the direction
    of the target joins them, until none lies further than the mixture itself.
    """
    scale = float(np.abs(points).max()) or 1.0
    support = np.nonzero(before)[0]
    weights = np.zeros(len(points))
    for _ in range(MOST_MEMBERS):
        matrix = np.vstack([points[support].T / scale, np.full(len(support), WEIGHT_OF_SUM)])
        found, _ = nnls(matrix, np.append(target / scale, WEIGHT_OF_SUM))
        weights[:] = 0
        weights[support] = found / found.sum()
        support = np.nonzero(weights)[0]
        mixture = weights[support] @ points[support]
        along = points @ (target - mixture)
        best = int(along.argmax())
        gain = along[best] - mixture @ (target - mixture)
        if gain <= TOLERANCE * scale**2 or weights[best] > 0:
            break
        support = np.append(support, best)
    return weights
