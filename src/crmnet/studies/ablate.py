"""What each part of CRMnet is worth: the paper's Figure 4.

Trains the network under one recipe and several seeds, whole and with one thing changed, and scores
every run on the same test rows. Each run is a folder of its own, so that a study that was killed
goes on where it stopped, variant by variant.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crmnet.arrays import Floats
from crmnet.data.dataset import Dataset
from crmnet.evaluation.compare import Difference, difference
from crmnet.evaluation.score_sets import score_model
from crmnet.files import PathLike
from crmnet.models.layers import count_parameters
from crmnet.prediction.predictor import Predictor
from crmnet.runs.folder import load_run
from crmnet.runs.settings import resolve
from crmnet.statistics.metrics import (
    RESAMPLES,
    Estimate,
    Scored,
    estimate,
    point_estimates,
    resample,
    resamples_for,
)
from crmnet.training.train import train

log = logging.getLogger("crmnet")

FULL, PRETRAINED = "full", "pre-trained"
VARIANTS: Mapping[str, tuple[str, ...]] = {
    PRETRAINED: (),
    FULL: (),
    "no squeeze-excitation": ("model.squeeze_excitation=false",),
    "no transformer": ("model.transformer_blocks=0",),
    "no decoder": ("model.decoder=[]",),
    "additive position code": ("model.position=additive",),
}
"""What is changed in each. ``pre-trained`` is the full network, trained on other rows first; the
first four are the paper's."""


@dataclass(frozen=True)
class AblationOptions:
    """What is trained, how often, and with what changed in the recipe."""

    recipe: str
    overrides: tuple[str, ...] = ()
    """As for ``crmnet train --set``; they hold for every variant."""
    seeds: tuple[int, ...] = (0, 1, 2)
    variants: tuple[str, ...] = tuple(VARIANTS)

    def __post_init__(self) -> None:
        unknown = [name for name in self.variants if name not in VARIANTS]
        if unknown:
            raise ValueError(f"variant must be one of {', '.join(VARIANTS)}; got {unknown[0]!r}")
        if FULL not in self.variants:
            raise ValueError(f"the variant {FULL!r} must be among them: others are held against it")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must be different numbers, at least one; got {self.seeds}")


@dataclass(frozen=True)
class VariantResult:
    """One variant on one test set."""

    variant: str
    parameters: int
    by_seed: tuple[float, ...]
    """Pearson's r of each seed's run."""
    pearson: Estimate
    """Mean over the seeds, with its interval from resampled families."""
    against_full: Difference | None
    """Mean r minus that of the full network, paired; None for that network itself."""


@dataclass(frozen=True)
class AblationResult:
    """All variants on one test set."""

    name: str
    n: int
    families: int
    seeds: tuple[int, ...]
    variants: tuple[VariantResult, ...]


def ablate(
    options: AblationOptions,
    data: Dataset,
    tests: Sequence[Dataset],
    folder: PathLike,
    *,
    pretraining: Dataset | None = None,
    validation: Dataset | None = None,
    resamples: int = RESAMPLES,
) -> list[AblationResult]:
    """Train every variant with every seed, or go on with that, and score all of them.

    Args:
        options: Recipe, seeds, variants.
        data: Rows to train on.
        tests: Rows to score on, one result for each set and medium.
        folder: Where the runs go: ``VARIANT/seed-N``.
        pretraining: Rows that the variant ``pre-trained`` sees first, pooled into one output and
            evenly sampled; without them that variant is left out.
        validation: Rows to watch; without it a share of the families of ``data``.
        resamples: Bootstrap resamples.

    Raises:
        ValueError: If the recipe's network has no such parts, or a run in ``folder`` was started
            with other settings or data.
    """
    folder = Path(folder)
    variants = [v for v in options.variants if v != PRETRAINED or pretraining is not None]
    for number, (variant, seed) in enumerate(itertools.product(variants, options.seeds), 1):
        log.info("%d of %d: %s, seed %d", number, len(variants) * len(options.seeds), variant, seed)
        first = pretraining if variant == PRETRAINED else None
        _train_one(options, variant, seed, data, folder, first, validation)
    results = []
    for test in tests:
        scored: dict[str, list[list[Scored]]] = {
            v: [score_model(Predictor.load(run_folder(folder, v, s)), test) for s in options.seeds]
            for v in variants
        }
        for number in range(len(scored[FULL][0])):
            one_set = {v: [sets[number] for sets in runs] for v, runs in scored.items()}
            results.append(_result(one_set, options.seeds, folder, resamples))
    return results


def run_folder(folder: PathLike, variant: str, seed: int) -> Path:
    """Where a variant's run of that seed is."""
    folder = Path(folder)
    return folder / variant.replace(" ", "-") / f"seed-{seed}"


def _train_one(
    options: AblationOptions,
    variant: str,
    seed: int,
    data: Dataset,
    folder: Path,
    pretraining: Dataset | None,
    validation: Dataset | None,
) -> None:
    overrides = [*options.overrides, *VARIANTS[variant], f"train.seed={seed}"]
    settings = resolve(options.recipe, overrides)
    run, start = run_folder(folder, variant, seed), None
    if pretraining is not None:
        start = run.with_name(f"{run.name}-first")
        pooled = resolve(options.recipe, [*overrides, "train.pool_media=true",
                                          "train.even_media=true"])  # fmt: skip
        train(pooled, pretraining, start, resume=True)
    train(settings, data, run, validation=validation, start=start, resume=True)


def _result(
    scored: Mapping[str, list[Scored]], seeds: tuple[int, ...], folder: Path, resamples: int
) -> AblationResult:
    first = scored[FULL][0]
    drawn = resamples_for(len(first.measured), resamples)
    samples: dict[str, Floats] = {}
    found: list[VariantResult] = []
    for variant in (FULL, *(v for v in scored if v != FULL)):
        samples[variant] = np.mean(
            [resample(s, drawn, ranks=False)["pearson"] for s in scored[variant]], axis=0
        )
        by_seed = tuple(point_estimates(s)["pearson"] for s in scored[variant])
        mean = math.fsum(by_seed) / len(by_seed)
        against = None
        if variant != FULL:
            apart = mean - found[0].pearson.value
            against = difference(apart, samples[variant] - samples[FULL])
        network, _ = load_run(run_folder(folder, variant, seeds[0]))
        found.append(
            VariantResult(variant, sum(count_parameters(network)), by_seed,
                          estimate(mean, samples[variant]), against)
        )  # fmt: skip
    order = {variant: place for place, variant in enumerate(scored)}
    return AblationResult(
        name=first.name,
        n=len(first.measured),
        families=len(np.unique(first.family)),
        seeds=seeds,
        variants=tuple(sorted(found, key=lambda v: order[v.variant])),
    )
