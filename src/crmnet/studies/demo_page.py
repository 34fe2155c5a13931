"""The page of the demonstration: ``report.html`` with its data, training and accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crmnet.data.dataset import Dataset
from crmnet.evaluation.pages import INTERVALS, MEANINGS, metric_columns
from crmnet.files import PathLike
from crmnet.reports.page import bullets, command, paragraph, picture, table, write_page
from crmnet.runs.folder import load_record
from crmnet.training.report import curve_picture

REPORT = "report.html"


def write_demo_page(
    folder: PathLike, training: Dataset, summary: Mapping[str, Any], made_by: str | None = None
) -> None:
    """Write the page from the folder of a finished demonstration."""
    folder = Path(folder)
    run = folder / "run"
    best = load_record(run).best
    columns = metric_columns(summary)
    kept = f"The weights of epoch {best.epoch} are kept." if best else ""
    sections = {
        "": [
            paragraph(
                "A simulated yeast cell with 20 factors is measured by a simulated reporter assay. "
                "crmnet-small is trained on the measurements and evaluated on promoters that it "
                "has not seen. The numbers say nothing about real yeast."
            )
        ],
        "Data": [
            command(f"crmnet data simulate -n {len(training)} --seed 1 -o data/train"),
            picture(
                folder / "data" / "train_expression.png",
                f"Measured expression of {len(training):,} simulated promoters, by medium.",
                34, values=_labels(training),
            ),
        ],
        "Training": [
            command("crmnet train demo --data data/train -o run"),
            paragraph(kept),
            curve_picture(run),
        ],
        "Accuracy on unseen promoters": [
            command("crmnet evaluate run data/test_random data/test_native_like -o evaluation"),
            paragraph(INTERVALS),
            table(columns),
            picture(
                folder / "evaluation" / "scatter.png",
                "Predicted against measured expression of each test set and medium.",
                values=columns,
            ),
            bullets(MEANINGS),
        ],
        "What to try next": [
            command(
                ("crmnet predict run data/test_random/assay.tsv | head",
                 "crmnet explain run data/test_native_like/assay.tsv --medium complex -o explained",
                 "crmnet reproduce --profile demo -o reproduction")
            )
        ],
    }  # fmt: skip
    write_page(folder / REPORT, "crmnet demo", sections, made_by=made_by)


def _labels(data: Dataset) -> dict[str, list[str]]:
    media = data.manifest["media"]
    return {
        "medium": list(media),
        "rows": [f"{statistics['rows']:,}" for statistics in media.values()],
        "mean": [f"{statistics['mean']:.2f}" for statistics in media.values()],
        "sd": [f"{statistics['sd']:.2f}" for statistics in media.values()],
    }
