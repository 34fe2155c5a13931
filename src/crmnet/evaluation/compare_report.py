"""Table and figure of a comparison of models (Figure 3 of the paper).

:func:`write_comparison` writes the results of :mod:`crmnet.evaluation.compare` as Markdown, CSV,
JSON and PNG, for ``crmnet compare``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from crmnet.evaluation.compare import LOW_IS_GOOD, Comparison
from crmnet.figures.panels import interval_bars
from crmnet.figures.style import BEST_MODELS, COLOUR_NAMES, STYLE, literal
from crmnet.files import PathLike, write_text_atomically
from crmnet.reports.figures import save_figure
from crmnet.reports.tables import TableWriter
from crmnet.reports.wording import METRIC_TITLES, json_values, markdown_row, with_interval
from crmnet.statistics.metrics import ESTIMATES, METRICS, WITHIN, none_if_undefined


def write_comparison(folder: PathLike, results: Sequence[Comparison]) -> None:
    """Write ``compare.json``, ``compare.csv``, ``compare.md`` and ``compare.png`` (Figure 3)."""
    folder = Path(folder)
    write_text_atomically(
        folder / "compare.json", json.dumps(comparison_json(results), indent=2) + "\n"
    )
    write_text_atomically(folder / "compare.md", comparison_markdown(results))
    columns = ["set", "n", "families", "model", "metric", "value", "low", "high"]
    with TableWriter(folder / "compare.csv", columns) as table:
        for result in results:
            rows = [
                (result.name, result.n, result.families, model, name, *vars(estimate).values())
                for model, estimates in result.estimates.items()
                for name, estimate in estimates.items()
            ]
            table.write(dict(zip(columns, zip(*rows, strict=True), strict=True)))
    with matplotlib.rc_context(STYLE):
        save_figure(comparison_page(results), folder / "compare.png")


def comparison_json(results: Sequence[Comparison]) -> dict[str, Any]:
    """Sets → models → metrics, and every pair; undefined values are null."""
    return {
        "sets": {
            r.name: {
                "n": r.n,
                "families": r.families,
                "families_by": r.families_by,
                "left_out": r.left_out,
                "without": None if r.without is None else {"data": r.without, "rows": r.seen},
                "resamples": r.resamples,
                "models": {
                    model: {name: json_values(vars(value)) for name, value in estimates.items()}
                    for model, estimates in r.estimates.items()
                },
                "pairs": [
                    {"a": p.a, "b": p.b, "metric": r.metric, **json_values(vars(p.difference)),
                     "p_corrected": none_if_undefined(p.p_corrected)}
                    for p in r.pairs
                ],
            }
            for r in results
        }
    }  # fmt: skip


def comparison_markdown(results: Sequence[Comparison]) -> str:
    """One table for each set, best model first: metrics, and difference from the best model."""
    blocks = []
    for r in results:
        has_families = any(math.isfinite(e[WITHIN].value) for e in r.estimates.values())
        metrics = ESTIMATES if has_families else METRICS
        titles = [METRIC_TITLES[m] for m in metrics]
        header = ["model", *titles, f"{METRIC_TITLES[r.metric]}: difference from best", "p"]
        omitted = f", {r.left_out:,} rows left out that not all models have" if r.left_out else ""
        if r.without is not None:
            omitted += f", {r.seen:,} rows left out that {r.without} holds"
        lines = [
            f"## {r.name}\n",
            f"n = {r.n:,}, {r.families:,} families{_family_rule(r)}{omitted}; 95 % intervals from "
            f"{r.resamples:,} resamples of families\n",
            markdown_row(header),
            markdown_row(["---"] * len(header)),
        ]
        for model in ranked(r):
            cells = [with_interval(json_values(vars(r.estimates[model][m]))) for m in metrics]
            pair = r.against(model, r.best)
            difference_cells = ["best" if model == r.best else "–", ""]
            if pair is not None and math.isfinite(pair.difference.value):
                difference_cells = [
                    with_interval(json_values(vars(pair.difference))),
                    f"{pair.p_corrected:.2g}",
                ]
            lines.append(markdown_row([model, *cells, *difference_cells]))
        blocks.append("\n".join(lines))
    note = "p is two-sided, from a paired bootstrap over families, with Holm's correction over all "
    return "\n\n".join(blocks) + f"\n\n{note}pairs of a set.\n"


def _family_rule(result: Comparison) -> str:
    """What defines a family, in brackets; empty if unknown."""
    by = result.families_by
    if by is None:
        return ""
    return " (one for each row)" if by == "row" else f" (by {by})"


def ranked(result: Comparison) -> list[str]:
    """The models of a comparison, best first."""
    sign, best = 1 if result.metric in LOW_IS_GOOD else -1, result.best

    def rank(model: str) -> tuple[bool, float]:
        value = result.estimates[model][result.metric].value
        return model != best, sign * value if math.isfinite(value) else math.inf

    return sorted(result.estimates, key=rank)


def comparison_page(results: Sequence[Comparison]) -> Figure:
    """The paper's Figure 3: one panel for each set; models not significantly worse in blue."""
    rows = max(len(r.estimates) for r in results)
    columns = min(2, len(results))
    high = -(-len(results) // columns)
    figure = Figure(figsize=(5.2 * columns, (1.1 + 0.26 * rows) * high), layout="constrained")
    axes = figure.subplots(high, columns, squeeze=False)
    for ax, r in zip(axes.flat, results, strict=False):
        models = ranked(r)
        estimates = [r.estimates[model][r.metric] for model in models]
        interval_bars(
            ax,
            models,
            np.array([e.value for e in estimates]),
            np.array([[e.low, e.high] for e in estimates]),
            np.array([not r.significantly_worse(model) for model in models]),
            f"{METRIC_TITLES[r.metric]}, 95 % interval",
        )
        ax.set_ylim(rows - 0.4, -0.6)  # equally thick bars in every panel
        ax.set_title(f"{literal(r.name)}  (n = {r.n:,})")
    for ax in axes.flat[len(results) :]:
        ax.set_visible(False)
    figure.supxlabel(
        f"{COLOUR_NAMES[BEST_MODELS]}: the best model, and models not significantly different "
        "from it "
        "(paired bootstrap, Holm, p < 0.05)",
        fontsize=7,
    )
    return figure
