"""Files and messages of an evaluation: metrics, tables, and the scatter plot of Figure 2.

``crmnet evaluate`` calls these functions with the scored sets (:mod:`crmnet.evaluation.score_sets`)
and their summary (:func:`crmnet.statistics.metrics.summarise`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from crmnet.arrays import Floats
from crmnet.data.dataset import UNKNOWN_UNIT
from crmnet.figures.panels import annotate_metrics, density_scatter
from crmnet.figures.style import STYLE, literal
from crmnet.files import PathLike, write_text_atomically
from crmnet.reports.figures import save_figure
from crmnet.reports.tables import TableWriter
from crmnet.reports.wording import METRIC_TITLES, with_interval
from crmnet.statistics.metrics import ESTIMATES, METRICS, WITHIN, Scored


def write_evaluation(folder: PathLike, sets: Sequence[Scored], summary: Mapping[str, Any]) -> None:
    """Write ``metrics.json``, ``metrics.tsv``, ``predictions.tsv`` and ``scatter.png``."""
    folder = Path(folder)
    save_metrics(folder, summary)
    _write_metric_table(folder / "metrics.tsv", summary)
    columns = ["set", "id", "row", "family", "measured", "predicted"]
    marked = any(scored.seen is not None for scored in sets)
    columns += ["seen"] * marked
    columns += ["sequence"] * any(scored.sequences is not None for scored in sets)
    with TableWriter(folder / "predictions.tsv", columns) as table:
        for scored in sets:
            rows = np.arange(len(scored.measured)) if scored.row is None else scored.row
            table.write(
                {
                    "set": [scored.name] * len(scored.measured),
                    "id": rows + 1 if scored.ids is None else scored.ids,
                    "row": rows,
                    "family": [
                        family.decode(errors="replace") if isinstance(family, bytes) else family
                        for family in scored.family.tolist()
                    ],
                    "measured": _all_digits(scored.measured),
                    "predicted": _all_digits(scored.predicted),
                    "seen": _seen_column(scored),
                    "sequence": [""] * len(rows) if scored.sequences is None else scored.sequences,
                }
            )
    with matplotlib.rc_context(STYLE):
        save_figure(scatter_page(sets, summary), folder / "scatter.png")


def _all_digits(values: Floats) -> npt.NDArray[np.floating]:
    """Values as float32 if no value changes, so that they are written with few digits."""
    single = values.astype(np.float32)
    return single if np.array_equal(single, values, equal_nan=True) else values


def save_metrics(folder: PathLike, summary: Mapping[str, Any]) -> None:
    """Write ``metrics.json``."""
    folder = Path(folder)
    write_text_atomically(folder / "metrics.json", json.dumps(dict(summary), indent=2) + "\n")


def _seen_column(scored: Scored) -> npt.NDArray[np.int64]:
    """1 if the training data hold the row, else 0."""
    rows = scored.seen.rows if scored.seen is not None else np.zeros(len(scored.measured))
    return rows.astype(np.int64)


def _write_metric_table(path: Path, summary: Mapping[str, Any]) -> None:
    columns = ["set", "n", "families", "unit", "metric", "value", "low", "high"]
    with TableWriter(path, columns) as table:
        for set_name, result in summary["sets"].items():
            rows = [
                (
                    name if subset is result else f"{set_name}, {name.strip()}",
                    subset["n"],
                    subset["families"],
                    result["unit"] or "",
                    metric,
                    *subset[metric].values(),
                )
                for name, subset in with_parts(set_name, result)
                for metric in ESTIMATES
                if metric in subset
            ]
            table.write(dict(zip(columns, zip(*rows, strict=True), strict=True)))


def metric_lines(summary: Mapping[str, Any]) -> list[str]:
    """The metrics with their intervals, as a plain-text table for the terminal."""
    sets = summary["sets"]
    has_families = any(result[WITHIN]["value"] is not None for result in sets.values())
    subsets = [part for name, result in sets.items() for part in parts_to_show(name, result)]
    metrics = ESTIMATES if has_families else METRICS
    units = any(result.get("unit") for result in sets.values())
    rows = [["set", "n", *["unit"] * units, *(METRIC_TITLES[metric] for metric in metrics)]]
    for name, result in subsets:
        unit = [result.get("unit") or ""] * units
        values = [with_interval(result[m]) if m in result else "too few rows" for m in metrics]
        rows.append([name, f"{result['n']:,}", *unit, *values])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number == 1 else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def with_parts(name: str, result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """A set; if its rows were compared with training data, also its unseen and its seen rows."""
    against = result.get("against")
    if against is None:
        return [(name, result)]
    data = against["data"]
    subsets = (f"  not in {data}", against["unseen"]), (f"  in {data}", against["seen"])
    return [(name, result), *subsets]


def parts_to_show(name: str, result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """As :func:`with_parts`, but the set alone if the training data hold none of its rows."""
    seen = result.get("against", {}).get("seen", {"n": 0})["n"]
    return with_parts(name, result) if seen else [(name, result)]


def unseen_lines(summary: Mapping[str, Any]) -> list[str]:
    """One sentence for each set that shares no row with the training data."""
    return [
        f"{name}: {result['against']['data']} holds none of its {result['n']:,} rows"
        for name, result in summary["sets"].items()
        if "against" in result and not result["against"]["seen"]["n"]
    ]


def leak_lines(summary: Mapping[str, Any]) -> list[str]:
    """One sentence for each set that shares rows with the training data."""
    lines = []
    for name, result in summary["sets"].items():
        against = result.get("against")
        if against and against["seen"]["n"]:
            match = {
                "exact": "with the same insert",
                "near": "with the same insert or one a few bases away",
                "words": "with the same insert, one a few bases away, or one that shares a k-mer",
            }[against["level"]]
            lines.append(
                f"{name}: {against['data']} holds {against['seen']['n']:,} of its {result['n']:,} "
                f"rows ({match}); only the other {against['unseen']['n']:,} show how good the "
                "model is on promoters that it has not seen"
            )
    return lines


def family_lines(summary: Mapping[str, Any]) -> list[str]:
    """One sentence for each definition of a family, with the sets and their numbers of families."""
    sets_by_rule: dict[str, list[str]] = {}
    for name, result in summary["sets"].items():
        if (by := result["families_by"]) is not None:
            counts = f"{result['families']:,} families of {result['n']:,} rows"
            sets_by_rule.setdefault(by, []).append(f"{name} ({counts})")
    units = {by: f"families by {by}" for by in sets_by_rule} | {"row": "rows, taken as unrelated"}
    return [
        f"intervals resample {units[by]}: {', '.join(sets)}" for by, sets in sets_by_rule.items()
    ]


def assumed_medium(media: Sequence[str]) -> str:
    """Which of a model's media is assumed for rows of files that name none, as a sentence."""
    first, *others = media
    choice = (
        f"--medium sets another one ({', '.join(media)})"
        if others
        else ("the only medium of the model")
    )
    return f"rows of files without a medium are scored as {first}{'; ' if others else ', '}{choice}"


def unit_warnings(sets: Sequence[Scored]) -> list[str]:
    """One sentence for each set that was measured in another unit than the model predicts."""
    return [
        f"{scored.name}: measured in {_unit_text(scored.unit)}, "
        f"predicted in {_unit_text(scored.predicted_unit)}; r and ρ are comparable, R², MSE and "
        "MAE are not: see MSE fitted"
        for scored in sets
        if scored.units_differ
    ]


def _unit_text(unit: str | None) -> str:
    return "an unknown unit" if unit == UNKNOWN_UNIT else f"the unit {unit!r}"


def scatter_page(sets: Sequence[Scored], summary: Mapping[str, Any]) -> Figure:
    """One density scatter plot for each set, as in the paper's Figure 2."""
    columns = len(sets) if len(sets) < 4 else 2 if len(sets) == 4 else 3
    rows = -(-len(sets) // columns)
    figure = Figure(figsize=(3.9 * columns, 4.1 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax, scored in zip(axes.flat, sets, strict=False):
        result = summary["sets"][scored.name]
        density_scatter(ax, scored.measured, scored.predicted)
        ax.set_title(f"{literal(scored.name)}  (n = {result['n']:,})")
        annotate_metrics(
            ax,
            [f"{METRIC_TITLES[m]} {with_interval(result[m], 3)}" for m in ("pearson", "r2", "mse")],
        )
    for ax in axes.flat[len(sets) :]:
        ax.set_visible(False)
    return figure
