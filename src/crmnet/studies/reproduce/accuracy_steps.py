"""Accuracy on the test sets: scatters, models beside each other, and the tables of metrics.

Figure 2 and Supplementary Figure 1, Figure 3, Supplementary Tables 2 and 3.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from crmnet.data.dataset import Dataset
from crmnet.evaluation.align import PredictionTable, align
from crmnet.evaluation.baselines import add_baselines, fit_baselines
from crmnet.evaluation.compare import Comparison, compare
from crmnet.evaluation.compare_report import ranked, write_comparison
from crmnet.evaluation.report import write_evaluation
from crmnet.evaluation.score_sets import score_model
from crmnet.evaluation.seen import training_overlap
from crmnet.prediction.predictor import Predictor
from crmnet.reports.wording import METRIC_TITLES, with_interval
from crmnet.runs.settings import resolve
from crmnet.statistics.metrics import summarise
from crmnet.studies.reproduce.data_steps import Unavailable, find_file
from crmnet.studies.reproduce.further_tables import strata_table, top_table
from crmnet.studies.reproduce.paper import CRMNET, MEDIA, TEST_SETS, paper_value
from crmnet.studies.reproduce.place import FAMILIES, Place
from crmnet.studies.reproduce.profiles import PUBLISHED
from crmnet.studies.reproduce.results import NotRun, Number, Picture, StepResult, Table
from crmnet.studies.reproduce.training_steps import unless_data_changed
from crmnet.training.train import train

log = logging.getLogger("crmnet")

PAPER_METRICS = ("pearson", "r2", "mse", "mae")
"""The metrics of the paper."""
OURS = "CRMnet (this study)"


def scatter(medium: str, step: str) -> Callable[[Place], StepResult]:
    """The step that draws predicted against measured expression in one medium."""

    def run(place: Place) -> StepResult:
        predictor = place.predictor(f"fine-tuned-{medium}")
        tests = place.tests(medium)
        sets = [s for test in tests for s in score_model(predictor, test, by=FAMILIES)]
        summary = summarise(sets)
        folder = place.results(step)
        write_evaluation(folder, sets, summary)
        picture = Picture(
            place.relative(folder / "scatter.png"),
            f"Measured and predicted expression in {medium} medium. Colour is the density of "
            "promoters; the dashed line is perfect prediction.", _metric_columns(summary["sets"]),
        )  # fmt: skip
        numbers = [
            _number(metric, CRMNET, name, result, f"{METRIC_TITLES[metric]}, {name}")
            for name, result in summary["sets"].items() for metric in PAPER_METRICS
        ]  # fmt: skip
        missing = {
            name: "the test set is not here; see the section on data"
            for name in TEST_SETS if name.endswith(medium) and name not in summary["sets"]
        }  # fmt: skip
        return StepResult(numbers=numbers, pictures=[picture], missing=missing)

    return run


def _number(metric: str, model: str, test_set: str, result: Mapping[str, Any], name: str) -> Number:
    paper = paper_value(metric, model, test_set)
    return Number.of(
        name, result[metric], n=result["n"], digits=3,
        paper=paper.value if paper else None, paper_n=paper.n if paper else None,
    )  # fmt: skip


def _metric_columns(sets: Mapping[str, Any]) -> dict[str, list[str]]:
    return {
        "test set": list(sets),
        "n": [f"{result['n']:,}" for result in sets.values()],
        "families": [f"{result['families']:,}" for result in sets.values()],
        **{
            METRIC_TITLES[metric]: [with_interval(result[metric], 3) for result in sets.values()]
            for metric in PAPER_METRICS
        },
    }


def scatter_commands(medium: str, step: str) -> Callable[[Place], list[str]]:
    """The scatter as a command."""

    def commands(place: Place) -> list[str]:
        tests = " ".join(f"data/{kind}-{medium}" for kind in ("random", "native"))
        return [
            f"crmnet evaluate runs/fine-tuned-{medium} {tests} --by {FAMILIES} -o results/{step}"
        ]

    return commands


def compare_models(place: Place) -> StepResult:
    """All models on the same rows (Figure 3), with the trivial baselines."""
    results: list[Comparison] = []
    more: list[Table | None] = []
    notes: list[str] = []
    missing: dict[str, str] = {}
    _train_zoo(place)
    for medium in MEDIA:
        try:
            tests = place.tests(medium)
        except NotRun as error:
            missing[f"Comparison in {medium} medium"] = str(error)
            continue
        predictors = _predictors(place, medium, tests, notes)
        baselines = fit_baselines(
            place.dataset(f"train-{medium}"), max_rows=place.profile.baseline_rows
        )
        tables = _tables(place, [test.name for test in tests], missing)
        by_name = {test.name: test for test in tests}
        sets = [
            add_baselines(aligned, by_name[aligned.name], baselines)
            for aligned in align(predictors, tests, tables, by=FAMILIES)
        ]
        results += [compare(aligned) for aligned in sets]
        more += [top_table(sets), strata_table(sets, tests, place.dataset("train"), OURS)]
    if not results:
        raise NotRun("No test set is here.")
    folder = place.results("figure3")
    write_comparison(folder, results)
    pairs = [
        (r, model, vars(r.estimates[model]["pearson"])) for r in results for model in ranked(r)
    ]
    values = {
        "test set": [r.name for r, _, _ in pairs],
        "model": [model for _, model, _ in pairs],
        "Pearson r": [with_interval(estimate) for _, _, estimate in pairs],
    }
    picture = Picture(
        place.relative(folder / "compare.png"),
        "Pearson r of all models on the same rows, as in the paper's Figure 3, with trivial "
        "baselines: ridge regression on G + C, on dinucleotides and on 6-mers.", values,
    )  # fmt: skip
    numbers = [
        _number(
            "pearson", _paper_name(model), r.name, {"pearson": estimate, "n": r.n},
            f"r, {r.name}, {model}",
        )
        for r, model, estimate in pairs
    ]  # fmt: skip
    if place.profile.simulated:
        numbers = [
            n if n.name.endswith(OURS) else replace(n, paper=None, paper_n=None) for n in numbers
        ]
    return StepResult(
        sentences=notes, numbers=numbers, pictures=[picture], missing=missing,
        tables=[table for table in more if table is not None],
    )  # fmt: skip


def _paper_name(model: str) -> str:
    return CRMNET if model == OURS else model


def _train_zoo(place: Place) -> None:
    p = place.profile
    for name in p.zoo:
        more = [f"model.name={name}", *p.zoo_training.overrides]
        if place.device != "auto":
            more.append(f"train.device={place.device}")
        settings = resolve(p.zoo_training.recipe, more)
        folder = place.run(name)
        unless_data_changed(
            folder, partial(train, settings, place.dataset("train"), folder, resume=True)
        )


def _predictors(
    place: Place, medium: str, tests: Sequence[Dataset], notes: list[str]
) -> dict[str, Predictor]:
    """Models for one medium; bundled models that were trained on test rows are left out."""
    models = {OURS: place.predictor(f"fine-tuned-{medium}")}
    models |= {name: place.predictor(name) for name in place.profile.zoo}
    for name in place.profile.bundled:
        predictor = Predictor.load(name, device=place.device)
        if medium not in predictor.media:
            continue
        seen = [
            f"{test.name} ({overlap.sentence()})"
            for test in tests
            if (overlap := training_overlap(predictor.records, test)).share > 0
        ]
        if seen:
            notes.append(
                f"The bundled model {name} is left out in {medium} medium: it was trained on rows "
                f"of {', '.join(seen)}."
            )
        else:
            models[name] = predictor
    return models


def _tables(place: Place, names: Sequence[str], missing: dict[str, str]) -> list[PredictionTable]:
    """Published predictions for these test sets."""
    if place.profile.simulated:
        others = ", ".join(dict.fromkeys(m for models in PUBLISHED.values() for m in models))
        missing[f"Published predictions of {others}"] = (
            "they exist for the real test sets only; networks trained here stand beside CRMnet"
        )
        return []
    tables = []
    for name in names:
        for model, card in PUBLISHED.get(name, {}).items():
            try:
                tables.append(PredictionTable(model, name, find_file(place, card)))
            except Unavailable as error:
                missing[f"Predictions of {model} for {name}"] = str(error)
    return tables


def compare_commands(place: Place) -> list[str]:
    """Figure 3 as commands."""
    p = place.profile
    lines = [
        f"crmnet train {p.zoo_training.recipe} --set model.name={name} --data data/train "
        f"-o runs/{name}{p.zoo_training.words()}"
        for name in p.zoo
    ]
    zoo = "".join(f" runs/{name}" for name in p.zoo)
    for medium in MEDIA:
        bundled = "".join(f" {name}" for name in p.bundled)
        tests = "".join(f" --data data/{kind}-{medium}" for kind in ("random", "native"))
        published = "" if p.simulated else "".join(
            f' --predictions "{model}@{name}={card}"'
            for name, models in PUBLISHED.items() if name.endswith(medium)
            for model, card in models.items()
        )  # fmt: skip
        lines.append(
            f'crmnet compare "{OURS}=runs/fine-tuned-{medium}"{zoo}{bundled}{tests}{published} '
            f"--baselines data/train-{medium} --by {FAMILIES} -o results/figure3-{medium}"
        )
    return lines


def metric_tables(place: Place) -> StepResult:
    """All metrics of each model on each set (Supplementary Tables 2 and 3)."""
    path = place.results("figure3") / "compare.json"
    if not path.is_file():
        raise NotRun("It needs the comparison of models, which was not run.")
    sets = json.loads(path.read_text(encoding="utf-8"))["sets"]
    tables = []
    for name, result in sets.items():
        order = sorted(
            result["models"], key=lambda model: -(result["models"][model]["pearson"]["value"] or -2)
        )
        columns: dict[str, list[str]] = {"model": order}
        for metric in PAPER_METRICS:
            columns[METRIC_TITLES[metric]] = [
                with_interval(result["models"][model][metric], 3) for model in order
            ]
            papers = [paper_value(metric, _paper_name(model), name) for model in order]
            if any(papers):
                columns[f"{METRIC_TITLES[metric]}, paper"] = [
                    f"{paper.value:g} (n {paper.n:,})" if paper else "–" for paper in papers
                ]
        caption = f"{name}: n = {result['n']:,}, {result['families']:,} families"
        tables.append(Table(caption, columns))
    numbers = [
        _number(metric, CRMNET, name, {**result["models"][OURS], "n": result["n"]},
                f"{METRIC_TITLES[metric]}, {name}")
        for name, result in sets.items() for metric in PAPER_METRICS
    ]  # fmt: skip
    return StepResult(
        sentences=[
            "R², MSE and MAE compare values, not order. They differ between models also because "
            "training and test labels come from separate sorts with other scales."
        ],
        numbers=numbers, tables=tables,
    )  # fmt: skip
