"""Files of an ablation: tables, and a figure like the paper's Figure 4.

:func:`write_ablation` takes the results of :mod:`crmnet.studies.ablate` and writes a folder;
``crmnet ablate`` calls it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from crmnet.evaluation.compare import ALPHA
from crmnet.figures.panels import interval_bars
from crmnet.figures.style import BACKGROUND, COLOUR_NAMES, INK, OTHER_MODELS, STYLE, literal
from crmnet.files import PathLike, write_text_atomically
from crmnet.reports.figures import save_figure
from crmnet.reports.wording import json_values, markdown_row, with_interval
from crmnet.statistics.metrics import none_if_undefined
from crmnet.studies.ablate import AblationResult


def write_ablation(folder: PathLike, results: Sequence[AblationResult]) -> None:
    """Write ``ablation.json``, ``ablation.md`` and ``ablation.png`` (Figure 4)."""
    folder = Path(folder)
    content = {"sets": [_json(asdict(result)) for result in results]}
    write_text_atomically(folder / "ablation.json", json.dumps(content, indent=2) + "\n")
    write_text_atomically(folder / "ablation.md", ablation_markdown(results))
    with matplotlib.rc_context(STYLE):
        save_figure(ablation_page(results), folder / "ablation.png")


def _json(value: Any) -> Any:
    """The same value with None (null in JSON) instead of NaN and infinite numbers."""
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return none_if_undefined(value) if isinstance(value, float) else value


def ablation_markdown(results: Sequence[AblationResult]) -> str:
    """One Markdown table per test set: parameters, r of each seed, mean r, difference from full."""
    blocks = []
    for result in results:
        lines = [
            f"## {result.name}\n",
            f"n = {result.n:,}, {result.families:,} families, {len(result.seeds)} seeds\n",
            markdown_row(["variant", "parameters", "r of each seed", "mean r", "minus full", "p"]),
            markdown_row(["---"] * 6),
        ]
        for v in result.variants:
            comparison_cells = ["", ""]
            if v.against_full is not None:
                comparison_cells = [
                    with_interval(json_values(vars(v.against_full))),
                    f"{v.p_corrected:.2g}",
                ]
            seeds = ", ".join(f"{r:.4f}" for r in v.by_seed)
            mean = with_interval(json_values(vars(v.pearson)))
            lines.append(
                markdown_row([v.variant, f"{v.parameters:,}", seeds, mean, *comparison_cells])
            )
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + (
        "\n\nIntervals and p-values resample families of the test set, the same for all variants. "
        "p has Holm's correction over all variants of a set. "
        "They do not contain the variation from training run to training run, which the column of "
        "seeds shows: believe a difference only if it is also larger than that.\n"
    )


def ablation_page(results: Sequence[AblationResult]) -> Figure:
    """The paper's Figure 4: bars for the mean over seeds, with intervals, and dots for seeds."""
    rows = max(len(result.variants) for result in results)
    figure = Figure(figsize=(5.2 * len(results), 1.1 + 0.3 * rows), layout="constrained")
    axes = figure.subplots(1, len(results), squeeze=False)[0]
    for ax, result in zip(axes, results, strict=True):
        variants = result.variants
        interval_bars(
            ax,
            [v.variant for v in variants],
            np.array([v.pearson.value for v in variants]),
            np.array([[min(v.pearson.low, *v.by_seed), max(v.pearson.high, *v.by_seed)]
                      for v in variants]),
            np.array([v.against_full is None or not v.p_corrected < ALPHA
                      or v.against_full.value > 0 for v in variants]),
            "Pearson r, mean of seeds",
        )  # fmt: skip
        for row, v in enumerate(variants):
            ax.scatter(v.by_seed, [row] * len(v.by_seed), s=9, color=BACKGROUND, edgecolor=INK,
                       linewidth=0.7, zorder=5)  # fmt: skip
        ax.set_title(f"{literal(result.name)}  (n = {result.n:,})")
    figure.supxlabel(
        "dots: seeds; lines: 95 % interval, or range of seeds if wider; "
        f"{COLOUR_NAMES[OTHER_MODELS]}: worse than full (Holm, p < 0.05)",
        fontsize=7,
    )
    return figure
