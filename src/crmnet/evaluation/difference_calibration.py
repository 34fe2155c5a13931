"""Fits intervals of differences on pairs of held-out rows, and measures their coverage.

:mod:`crmnet.evaluation.calibrate` calls :func:`fit_differences` with held-out rows and
:func:`with_coverage` with test sets, and writes the result into the model card.
:mod:`crmnet.statistics.differences` explains the intervals.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crmnet.arrays import Booleans, Floats
from crmnet.data.dataset import Dataset
from crmnet.data.hashes import Hashes
from crmnet.evaluation.score_sets import LabelledRows, check_media, score_media
from crmnet.prediction.predictor import Predictor
from crmnet.prediction.random_effects import IN_CARD, insert_template, random_effects
from crmnet.statistics.differences import Differences, related_pairs
from crmnet.statistics.metrics import MIN_ROWS, Scored, bootstrap, resamples_for
from crmnet.statistics.uncertainty import (
    FOLDS,
    Coverage,
    HeldOutErrors,
    InputLimits,
    by_medium,
    fewest_families,
    fit_interval,
    reasons_unlike,
)

log = logging.getLogger("crmnet")


@dataclass(frozen=True)
class RelatedRows:
    """Pairs of related rows of one medium."""

    name: str
    """Of the set: the data set, or data set and medium."""
    medium: str
    """Name of the model's output."""
    error: Floats
    """``(P,)``, absolute error of the predicted difference."""
    spread: Floats
    """``(P,)``, standard deviation of the difference over the views."""
    family: Hashes
    flagged: Booleans
    """``(P,)``, whether a row of the pair is unlike the training data."""

    @property
    def families(self) -> int:
        """Number of families with pairs."""
        return len(np.unique(self.family))


def find_related(
    predictor: Predictor, dataset: Dataset, limits: InputLimits | None = None, seed: int = 0
) -> list[RelatedRows]:
    """Pairs of related rows, and errors of their predicted differences, for each medium.

    Args:
        predictor: The model.
        dataset: Measured rows on which it was not trained.
        limits: Limits beyond which a row is flagged; None flags none.
        seed: As for :func:`crmnet.statistics.differences.related_pairs`.
    """
    check_media(predictor, dataset)
    tokens = np.asarray(dataset.tokens)
    views = predictor.predict_views(tokens)
    flagged = np.zeros(len(tokens), dtype=bool)
    if limits is not None:
        spread, expression = (by_medium(predictor.media, v) for v in (views.spread(), views.mean()))
        reasons = reasons_unlike(limits, tokens, spread, expression)
        flagged = np.array([bool(of_row) for of_row in reasons], dtype=bool)
    found = []
    for score in score_media(LabelledRows.of(dataset), predictor, views.mean()):
        scored, rows = score.scored, score.scored.row
        assert rows is not None
        pairs = related_pairs(tokens[rows], scored.family, seed=seed)
        one, other = rows[pairs[:, 0]], rows[pairs[:, 1]]
        difference = views.take(other).minus(views.take(one))
        measured = scored.measured[pairs[:, 1]] - scored.measured[pairs[:, 0]]
        error = np.abs(difference.mean()[:, score.output] - measured)
        found.append(
            RelatedRows(
                scored.name, predictor.media[score.output], error.astype(np.float64),
                difference.spread()[:, score.output].astype(np.float64),
                scored.family[pairs[:, 0]], flagged[one] | flagged[other],
            )
        )  # fmt: skip
    return found


def fit_differences(
    predictor: Predictor, dataset: Dataset, level: float, seed: int = 0
) -> Differences:
    """Intervals of differences from held-out rows, and the effects of random substitutions.

    A medium with too few families of related rows gets no interval, which is logged.

    Args:
        predictor: The model.
        dataset: Held-out rows.
        level: Share of measured differences that intervals should contain.
        seed: Decides sampled pairs and folds.
    """
    intervals = {}
    needed = max(FOLDS, fewest_families(level))
    for rows in _by_output(find_related(predictor, dataset, seed=seed)):
        if rows.families < needed:
            log.info(
                "%s: %s families have rows that differ in a few bases; %s intervals of differences "
                "need %s, so %s gets none",
                rows.name, rows.families, f"{level:.0%}", needed, rows.medium,
            )  # fmt: skip
            continue
        errors = HeldOutErrors(rows.error, rows.spread, rows.family)
        intervals[rows.medium] = fit_interval(errors, level, seed)
    return Differences(
        level=level,
        data={"name": dataset.name, "fingerprint": dataset.fingerprint, "rows": len(dataset)},
        intervals=intervals,
        random=random_quantiles(predictor),
        random_data={"promoters": IN_CARD.promoters, "variants": IN_CARD.variants,
                     "seed": IN_CARD.seed},
    )  # fmt: skip


def _by_output(media: Sequence[RelatedRows]) -> list[RelatedRows]:
    """The pairs of one data set, with one entry for each output, which may serve several media."""
    outputs: dict[str, list[RelatedRows]] = {}
    for rows in media:
        outputs.setdefault(rows.medium, []).append(rows)
    return [
        RelatedRows(
            " and ".join(rows.name for rows in parts),
            output,
            *(
                np.concatenate([getattr(rows, name) for rows in parts])
                for name in ("error", "spread", "family", "flagged")
            ),
        )
        for output, parts in outputs.items()
    ]


def random_quantiles(predictor: Predictor) -> dict[str, list[float]]:
    """Medium → quantiles of the absolute effects of random substitutions in random promoters."""
    template, inside = insert_template(predictor.length)
    effects = random_effects(predictor.predict_tokens, template, inside, IN_CARD)
    return dict(zip(predictor.media, effects, strict=True))


def with_coverage(
    differences: Differences,
    predictor: Predictor,
    dataset: Dataset,
    limits: InputLimits | None,
    resamples: int,
    seed: int = 0,
) -> Differences:
    """The same with the coverage of the pairs of a test set."""
    measured: Mapping[str, Coverage] = {
        rows.name: _coverage(differences, rows, resamples, seed)
        for rows in find_related(predictor, dataset, limits, seed)
        if rows.medium in differences.intervals and len(rows.error)
    }
    return differences.model_copy(update={"coverage": {**differences.coverage, **measured}})


def _coverage(differences: Differences, rows: RelatedRows, resamples: int, seed: int) -> Coverage:
    """Share of measured differences inside their intervals; each family has the same weight."""
    half = differences.intervals[rows.medium].half_width(rows.spread)
    names, number = np.unique(rows.family, return_inverse=True)
    counts = np.bincount(number)
    shares: dict[str, Any] = {
        key: np.bincount(number, weights=values) / counts
        for key, values in (("inside", rows.error <= half), ("flagged", rows.flagged))
    }
    low, high = _share_interval(shares["inside"], resamples, seed)
    return Coverage(
        n=len(rows.error),
        families=len(names),
        value=float(shares["inside"].mean()),
        low=low,
        high=high,
        width=float(np.median(2 * half)),
        unlike=float(shares["flagged"].mean()),
    )


def _share_interval(inside: Floats, resamples: int, seed: int) -> tuple[float | None, float | None]:
    """Ends of the 95 % interval of the mean of ``inside``, one share for each family."""
    if len(inside) < MIN_ROWS:
        return None, None
    shares = Scored("coverage", np.zeros_like(inside), inside, np.arange(len(inside)))
    estimate = bootstrap(shares, resamples=resamples_for(len(inside), resamples), seed=seed)["mae"]
    return estimate.low, estimate.high
