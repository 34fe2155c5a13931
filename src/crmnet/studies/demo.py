"""The full workflow on simulated data: simulate, train, evaluate, draw.

``crmnet demo`` and ``make demo`` call this module with a folder for all outputs. Each step calls
the function of the command of the same name, with sizes for a short run.
"""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import NamedTuple

from crmnet.data.dataset import Dataset, is_dataset
from crmnet.evaluation.report import metric_lines, write_evaluation
from crmnet.evaluation.score_sets import score_model
from crmnet.files import PathLike
from crmnet.prediction.predictor import Predictor
from crmnet.reports.dataset_page import write_dataset_picture
from crmnet.reports.wording import percent
from crmnet.runs.settings import resolve
from crmnet.simulation.assay import AssayOptions, read_options, simulate
from crmnet.statistics.metrics import summarise
from crmnet.studies.demo_page import write_demo_page
from crmnet.training.report import write_learning_curve
from crmnet.training.train import train

log = logging.getLogger("crmnet")

PROMOTERS = 45_000
"""Default number of promoters to train on."""
TEST_PROMOTERS = 2_000
"""Number of promoters in each test set."""
TEST_CELLS = 100
"""Cells per test promoter, a large number as in the real test sets."""

VALIDATION_ROWS = 6
"""Smallest expected number of validation rows: three, with which epochs can be compared, in each
of the two media."""


class DemoResult(NamedTuple):
    """Run folder, lines of the table of metrics, and seconds of wall time."""

    run: Path
    table: list[str]
    seconds: float


def demo(
    folder: PathLike,
    *,
    promoters: int = PROMOTERS,
    overrides: list[str] | None = None,
    made_by: str | None = None,
) -> DemoResult:
    """Run the demonstration in ``folder``; finished steps of an interrupted one are not repeated.

    Args:
        folder: Folder for data, run and evaluation.
        promoters: Number of simulated promoters to train on, at least 200 with the recipe's
            ``validation_fraction``.
        overrides: Changes to the recipe ``demo``, as for ``crmnet train --set``.
        made_by: The command, for ``report.html``.

    Raises:
        FileExistsError: If the folder holds anything other than a demonstration with these options.
        ValueError: If there are too few promoters for a validation set, or an override is wrong.
    """
    folder = Path(folder)
    started = time.monotonic()
    if folder.exists() and not _is_demo(folder):
        raise FileExistsError(f"{folder} is not empty; choose another folder with -o")
    settings = resolve("demo", overrides)
    least = math.ceil(VALIDATION_ROWS / settings.train.validation_fraction)
    if promoters < least:
        raise ValueError(
            f"--promoters must be at least {least:,}, so that a validation set of "
            f"{percent(settings.train.validation_fraction)} can be held out; got {promoters:,}"
        )
    data = folder / "data"
    log.info("1/4  simulate a reporter assay: %s promoters, two media", f"{promoters:,}")
    training = _simulated(data / "train", AssayOptions(promoters, seed=1))
    tests = [
        _simulated(
            data / f"test_{kind}",
            AssayOptions(TEST_PROMOTERS, seed=seed, native_share=share, cells=TEST_CELLS),
        )
        for kind, seed, share in (("random", 2, 0.0), ("native_like", 3, 1.0))
    ]
    write_dataset_picture(training, data / "train_expression.png")
    log.info("2/4  train crmnet-small")
    run = folder / "run"
    train(settings, training, run, resume=True)
    write_learning_curve(run)
    log.info("3/4  evaluate on unseen promoters")
    predictor = Predictor.load(run)
    sets = [scored for test in tests for scored in score_model(predictor, test)]
    summary = summarise(sets)
    log.info("4/4  write tables and figures")
    write_evaluation(folder / "evaluation", sets, summary)
    write_demo_page(folder, training, summary, made_by)
    return DemoResult(run, metric_lines(summary), time.monotonic() - started)


def _is_demo(folder: Path) -> bool:
    """Whether a folder is empty or has a demonstration, also one killed in its first step."""
    data = folder / "data"
    if is_dataset(data / "train"):
        return True
    only_begun = data.is_dir() and all(path.name.startswith(".train.") for path in data.iterdir())
    return all(path == data and only_begun for path in folder.iterdir())


def _simulated(path: Path, options: AssayOptions) -> Dataset:
    """Simulated data set in ``path``; an existing one must have the same options."""
    if not is_dataset(path):
        return simulate(options, path)
    existing = read_options(path)
    if existing != options:
        raise FileExistsError(
            f"{path} was simulated with other options ({existing}); choose another folder with -o"
        )
    return Dataset.open(path)
