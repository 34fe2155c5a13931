"""The pages of ``evaluate`` and ``compare``: ``report.html`` beside their tables and pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crmnet.evaluation.compare import Comparison
from crmnet.evaluation.compare_report import ranked
from crmnet.evaluation.report import (
    family_lines,
    leak_lines,
    parts_to_show,
    unit_warnings,
    unseen_lines,
)
from crmnet.files import PathLike
from crmnet.reports.page import bullets, paragraph, picture, table, write_page
from crmnet.reports.wording import METRIC_TITLES, json_values, with_interval
from crmnet.statistics.metrics import ESTIMATES, METRICS, WITHIN, Scored

REPORT = "report.html"
INTERVALS = (
    "Brackets hold 95 % intervals. They come from a bootstrap over families of related promoters."
)
MEANINGS = (
    "Pearson r: correlation of predicted and measured expression; 1 is perfect.",
    "Spearman ρ: the same for ranks.",
    "R²: share of the variance of the measurements that the predictions explain.",
    "MSE, MAE: mean squared and mean absolute error, in the unit of expression.",
    "MSE fitted: MSE after a straight line is fitted, for test labels on another scale.",
    "r within families: correlation after the mean of each family is subtracted.",
)
"""What the metrics mean."""


def write_evaluation_page(
    folder: PathLike,
    sets: Sequence[Scored],
    summary: Mapping[str, Any],
    made_by: str | None = None,
) -> None:
    """Write ``report.html`` of an evaluation, from its folder with ``scatter.png``."""
    folder = Path(folder)
    columns = metric_columns(summary)
    warnings = [*leak_lines(summary), *unit_warnings(sets)]
    sections = {
        "Accuracy": [
            paragraph(INTERVALS),
            table(columns),
            bullets([*family_lines(summary), *unseen_lines(summary)]),
            *[bullets(f"Warning: {line}" for line in warnings)] * bool(warnings),
        ],
        "Predicted and measured expression": [
            picture(
                folder / "scatter.png",
                "Each point is a promoter; colour is the density of points. The dashed line is "
                "perfect prediction.",
                alt=_scatter_text(summary), values=columns,
            )
        ],
        "What the metrics mean": [bullets(MEANINGS)],
        "Files": [
            bullets(
                ("metrics.json and metrics.tsv: all metrics", "predictions.tsv: each promoter",
                 "scatter.png: the picture")
            )
        ],
    }  # fmt: skip
    write_page(folder / REPORT, "Evaluation", sections, made_by=made_by)


def metric_columns(summary: Mapping[str, Any]) -> dict[str, list[Any]]:
    """One row for each set, and for its rows that occur in training data and that do not."""
    sets = summary["sets"]
    parts = [part for name, result in sets.items() for part in parts_to_show(name, result)]
    has_families = any(result[WITHIN]["value"] is not None for result in sets.values())
    return {
        "test set": [name.strip() for name, _ in parts],
        "N": [f"{result['n']:,}" for _, result in parts],
        "families": [
            f"{result['families']:,}" if "families" in result else "" for _, result in parts
        ],
        **{
            METRIC_TITLES[metric]: [
                with_interval(result[metric]) if metric in result else "too few rows"
                for _, result in parts
            ]
            for metric in (ESTIMATES if has_families else METRICS)
        },
    }


def _scatter_text(summary: Mapping[str, Any]) -> str:
    parts = [
        f"{name}: {result['n']:,} promoters, Pearson r {with_interval(result['pearson'], 3)}"
        for name, result in summary["sets"].items()
    ]
    return f"Scatter of predicted against measured expression. {'; '.join(parts)}."


def write_comparison_page(
    folder: PathLike, results: Sequence[Comparison], made_by: str | None = None
) -> None:
    """Write ``report.html`` of a comparison, from its folder with ``compare.png``."""
    folder = Path(folder)
    first = results[0]
    values = {
        "test set": [r.name for r in results for _ in r.estimates],
        "model": [model for r in results for model in ranked(r)],
        METRIC_TITLES[first.metric]: [
            with_interval(json_values(vars(r.estimates[model][r.metric])))
            for r in results
            for model in ranked(r)
        ],
    }
    sections: dict[str, list[str]] = {
        "Models side by side": [
            paragraph(
                f"{INTERVALS} All models are scored on the same rows. Differences come from a "
                "paired bootstrap; p has Holm's correction over all pairs of a set."
            ),
            picture(
                folder / "compare.png",
                f"{METRIC_TITLES[first.metric]} of each model on each set, best on top. Blue: the "
                "best model, and those without a significant difference from it.",
                alt=_bars_text(results), values=values,
            ),
        ]
    }  # fmt: skip
    for result in results:
        sections[result.name] = [paragraph(_set_line(result)), table(_comparison_columns(result))]
    sections["What the metrics mean"] = [bullets(MEANINGS)]
    sections["Files"] = [
        bullets(("compare.json, compare.csv and compare.md: all numbers and pairs",
                 "compare.png: the picture"))
    ]  # fmt: skip
    write_page(folder / REPORT, "Comparison of models", sections, made_by=made_by)


def _set_line(result: Comparison) -> str:
    left_out = (
        f"; {result.left_out:,} rows are left out because not all models have them"
        if result.left_out else ""
    )  # fmt: skip
    if result.without is not None:
        left_out += f"; {result.seen:,} rows are left out because {result.without} holds them"
    return f"N = {result.n:,} promoters in {result.families:,} families{left_out}."


def _bars_text(results: Sequence[Comparison]) -> str:
    parts = [f"on {r.name}, {r.best} is best of {len(r.estimates)}" for r in results]
    return f"Bars of {METRIC_TITLES[results[0].metric]}: {'; '.join(parts)}."


def _comparison_columns(result: Comparison) -> dict[str, list[Any]]:
    models = ranked(result)
    has_families = any(math.isfinite(e[WITHIN].value) for e in result.estimates.values())
    columns: dict[str, list[Any]] = {"model": models}
    for metric in ESTIMATES if has_families else METRICS:
        columns[METRIC_TITLES[metric]] = [
            with_interval(json_values(vars(result.estimates[model][metric])), 3) for model in models
        ]
    pairs = [result.against(model, result.best) for model in models]
    columns["difference from best"] = [
        with_interval(json_values(vars(pair.difference))) if pair else "best" for pair in pairs
    ]
    columns["p"] = [f"{pair.p_corrected:.2g}" if pair else "" for pair in pairs]
    return columns
