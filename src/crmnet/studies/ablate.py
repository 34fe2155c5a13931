"""Ablation: how much each part of CRMnet contributes to its accuracy (the paper's Figure 4).

:func:`ablate` takes a recipe, a training set and test sets. It trains the full network, and
variants with one change each, with several seeds, and evaluates every run on the same test rows.
:mod:`crmnet.studies.ablate_report` writes the results. Each run has its own folder, so an
interrupted study resumes with the run at which it stopped.
"""

from __future__ import annotations

import itertools
import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from crmnet.arrays import Floats
from crmnet.choices import FamilyRule
from crmnet.data.dataset import Dataset
from crmnet.evaluation.compare import Difference, difference_between, holm
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
    "published position code": ("model.position=published",),
}
"""Variant → changed settings. ``pre-trained`` is the full network, pre-trained on other rows. The
first four variants are those of the paper."""


@dataclass(frozen=True)
class AblationOptions:
    """Recipe, changed settings, seeds and variants of an ablation."""

    recipe: str
    overrides: tuple[str, ...] = ()
    """Changed settings of all variants, as for ``crmnet train --set``."""
    seeds: tuple[int, ...] = (0, 1, 2)
    variants: tuple[str, ...] = tuple(VARIANTS)
    own: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Further variants, which :attr:`variants` may name: name → changed settings."""
    pretraining: tuple[str, ...] = ()
    """Settings that differ in pre-training alone, such as the number of epochs."""

    def __post_init__(self) -> None:
        taken = [name for name in self.own if name in VARIANTS]
        if taken:
            raise ValueError(f"a variant is already called {taken[0]!r}; choose another name")
        odd = [name for name in self.own if not re.fullmatch(r"[^\W_][\w +.-]*", name)]
        if odd:
            raise ValueError(
                f"the name of a variant has letters, digits, spaces and + . -; got {odd[0]!r}"
            )
        folders: dict[str, str] = {}
        for name in (*VARIANTS, *self.own):
            other = folders.setdefault(_folder_name(name), name)
            if other != name:
                raise ValueError(
                    f"the variants {name!r} and {other!r} would share a folder; rename one"
                )
        unknown = [name for name in self.variants if name not in {**VARIANTS, **self.own}]
        if unknown:
            raise ValueError(f"variant must be one of {', '.join(VARIANTS)}; got {unknown[0]!r}")
        if FULL not in self.variants:
            raise ValueError(f"the variants must include {FULL!r}, with which others are compared")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must be different numbers, at least one; got {self.seeds}")

    def changes(self, variant: str) -> list[str]:
        """All settings of a variant that differ from the recipe, as for ``--set``."""
        return [*self.overrides, *{**VARIANTS, **self.own}[variant]]

    def is_full(self, variant: str) -> bool:
        """Whether a variant is the full network: the recipe does not have the part anyway."""
        full, changed = (resolve(self.recipe, self.changes(name)) for name in (FULL, variant))
        return changed == full


@dataclass(frozen=True)
class VariantResult:
    """Accuracy of one variant on one test set."""

    variant: str
    parameters: int
    by_seed: tuple[float, ...]
    """Pearson's r for each seed."""
    pearson: Estimate
    """Mean of Pearson's r over seeds, with its interval from resampled families."""
    against_full: Difference | None
    """Mean r minus that of the full network, paired; None for the full network."""
    p_corrected: float = math.nan
    """p of ``against_full`` after Holm's correction over all variants of the set; NaN for the full
    network."""


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
    by: FamilyRule = "family",
    resamples: int = RESAMPLES,
) -> list[AblationResult]:
    """Train all variants with all seeds, or resume, and evaluate every run on each test set.

    Args:
        options: Recipe, seeds, variants.
        data: Training data.
        tests: Test sets; each medium of each set gives one result.
        folder: Folder for the runs, ``VARIANT/seed-N``.
        pretraining: Data on which the variant ``pre-trained`` is trained first, with one output for
            all media, sampled evenly; None leaves out this variant.
        validation: Validation data; None holds out a share of the families of ``data``.
        by: What defines a family of test rows; see :func:`crmnet.data.splits.families`.
        resamples: Number of bootstrap resamples.

    Raises:
        ValueError: If the recipe's network does not have a changed setting, or a run in ``folder``
            was started with other settings or data.
    """
    folder = Path(folder)
    variants = [v for v in options.variants if v != PRETRAINED or pretraining is not None]
    for variant in [v for v in variants if v not in (FULL, PRETRAINED) and options.is_full(v)]:
        log.info("left out %s: recipe %s is like this", variant, options.recipe)
        variants.remove(variant)
    for number, (variant, seed) in enumerate(itertools.product(variants, options.seeds), 1):
        log.info("%d of %d: %s, seed %d", number, len(variants) * len(options.seeds), variant, seed)
        first = pretraining if variant == PRETRAINED else None
        _train_one(options, variant, seed, data, folder, first, validation)
    results = []
    for test in tests:
        scored: dict[str, list[list[Scored]]] = {
            v: [
                score_model(Predictor.load(run_folder(folder, v, s)), test, by=by)
                for s in options.seeds
            ]
            for v in variants
        }
        for number in range(len(scored[FULL][0])):
            one_set = {v: [sets[number] for sets in runs] for v, runs in scored.items()}
            results.append(_result(one_set, options.seeds, folder, resamples))
    return results


def run_folder(folder: PathLike, variant: str, seed: int) -> Path:
    """Folder of the run of a variant with a seed."""
    folder = Path(folder)
    return folder / _folder_name(variant) / f"seed-{seed}"


def _folder_name(variant: str) -> str:
    return variant.replace(" ", "-")


def _train_one(
    options: AblationOptions,
    variant: str,
    seed: int,
    data: Dataset,
    folder: Path,
    pretraining: Dataset | None,
    validation: Dataset | None,
) -> None:
    """Train one variant with one seed; ``pretraining`` is None unless it is pre-trained."""
    overrides = [*options.changes(variant), f"train.seed={seed}"]
    settings = resolve(options.recipe, overrides)
    run, start = run_folder(folder, variant, seed), None
    if pretraining is not None:
        start = run.with_name(f"{run.name}-first")
        pooled = [*options.pretraining, "train.pool_media=true", "train.even_media=true"]
        train(resolve(options.recipe, [*overrides, *pooled]), pretraining, start, resume=True)
    train(settings, data, run, validation=validation, start=start, resume=True)


def _result(
    scored: Mapping[str, list[Scored]], seeds: tuple[int, ...], folder: Path, resamples: int
) -> AblationResult:
    """Accuracy of all variants on one test set; ``scored`` maps a variant to one set per seed."""
    full_set = scored[FULL][0]
    n_resamples = resamples_for(len(full_set.measured), resamples)
    samples: dict[str, Floats] = {}
    results: list[VariantResult] = []
    for variant in (FULL, *(v for v in scored if v != FULL)):
        samples[variant] = np.mean(
            [resample(s, n_resamples, ranks=False)["pearson"] for s in scored[variant]], axis=0
        )
        by_seed = tuple(point_estimates(s)["pearson"] for s in scored[variant])
        mean = math.fsum(by_seed) / len(by_seed)
        difference_from_full = None
        if variant != FULL:
            difference_from_full = difference_between(
                mean, results[0].pearson.value, samples[variant], samples[FULL]
            )
        network, _ = load_run(run_folder(folder, variant, seeds[0]))
        results.append(
            VariantResult(variant, sum(count_parameters(network)), by_seed,
                          estimate(mean, samples[variant]), difference_from_full)
        )  # fmt: skip
    corrected = holm([v.against_full.p if v.against_full else math.nan for v in results])
    results = [replace(v, p_corrected=p) for v, p in zip(results, corrected, strict=True)]
    order = list(scored)
    return AblationResult(
        name=full_set.name,
        n=len(full_set.measured),
        families=len(np.unique(full_set.family)),
        seeds=seeds,
        variants=tuple(sorted(results, key=lambda v: order.index(v.variant))),
    )
