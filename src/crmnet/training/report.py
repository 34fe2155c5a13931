"""Draws the learning curve of a run from its history, and writes its page.

:func:`write_learning_curve` takes a run folder and writes a figure into it; ``crmnet train`` and
the studies call it after training. :func:`write_training_page` adds ``report.html``.
"""

from __future__ import annotations

import csv
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from crmnet.figures.panels import learning_curve
from crmnet.figures.style import STYLE
from crmnet.files import PathLike
from crmnet.reports.figures import save_figure
from crmnet.reports.page import bullets, folded, picture, table, write_page
from crmnet.reports.wording import METRIC_TITLES
from crmnet.runs.folder import CURVE, HISTORY, REPORT, load_record
from crmnet.runs.record import RunRecord


def read_history(run: PathLike) -> dict[str, list[float]]:
    """The values after each epoch of a run: name → values; empty if no epoch has ended."""
    with (Path(run) / HISTORY).open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else ())}


def curve_picture(run: PathLike) -> str:
    """The learning curve of a run as a part of a page, with its numbers."""
    return picture(
        Path(run) / CURVE,
        "Loss and accuracy after each epoch; the dashed line marks the epoch whose weights are "
        "kept.",
        values={
            name: [f"{value:.4g}" for value in values] for name, values in read_history(run).items()
        },
    )


def write_learning_curve(run: PathLike) -> None:
    """Write ``learning_curve.png`` into a run folder, from its ``history.csv``."""
    run = Path(run)
    history = {name: np.array(values) for name, values in read_history(run).items()}
    best = load_record(run).best
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        axes = figure.subplots(1, 2)
        learning_curve(axes[0], axes[1], history, best.epoch if best else None)
        save_figure(figure, run / CURVE)


def write_training_page(run: PathLike, made_by: str | None = None) -> None:
    """Write ``report.html`` into a run folder with a learning curve: accuracy, settings, data."""
    run = Path(run)
    record = load_record(run)
    sections = {
        "Result": [bullets(_result_lines(record)), curve_picture(run)],
        "Data": [bullets(_data_lines(record))],
        "Settings": [folded("All settings", [table(_settings(record))])],
        "Versions": [bullets(f"{name} {version}" for name, version in record.versions.items())],
    }
    title = f"Training of {record.settings.model.name}"
    write_page(run / REPORT, title, sections, made_by=made_by)


def _result_lines(record: RunRecord) -> list[str]:
    if record.best is None:
        return ["no epoch has ended"]
    rows = record.data.get("validation_rows", 0)
    values = ", ".join(f"{_title(name)} {value:.4f}" for name, value in record.best.metrics.items())
    return [
        f"kept: epoch {record.best.epoch}, the best by R² on {rows:,} validation rows",
        f"on these rows: {values}",
        "validation rows choose the epoch, so these values are optimistic; crmnet evaluate gives "
        "accuracy with intervals on other rows",
    ]


def _title(metric: str) -> str:
    """Name of a value of the history for reading: ``val_r_complex`` is Pearson r in complex."""
    if metric == "loss":
        return "loss of the training rows"
    name, _, medium = metric.removeprefix("val_").partition("_")
    title = METRIC_TITLES.get({"r": "pearson"}.get(name, name), name)
    return f"{title} in {medium}" if medium else title


def _data_lines(record: RunRecord) -> list[str]:
    data = record.data
    names = ("name", "training_rows", "fingerprint", "validation", "validation_rows", "units")
    known = data.get("units") or {}
    units = [f"{known[medium]} in {medium}" for medium in record.media if medium in known]
    shown = {**data, "units": ", ".join(units) or None}
    lines = [f"{n.replace('_', ' ')}: {shown[n]}" for n in names if shown.get(n) is not None]
    if "start" in data:
        start = data["start"]
        lines.append(f"starts from: {start['run']} (sha256 of its weights: "
                     f"{start['weights_sha256']})")  # fmt: skip
    return [f"outputs: {', '.join(record.media)}", *lines]


def _settings(record: RunRecord) -> dict[str, list[str]]:
    settings = record.settings
    rows = {
        "recipe": settings.recipe,
        **{f"model.{key}": value for key, value in settings.model.settings.items()},
        **{f"train.{key}": value for key, value in settings.train.model_dump().items()},
    }
    return {"setting": list(rows), "value": [str(value) for value in rows.values()]}
