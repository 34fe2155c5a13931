"""The whole story in minutes, offline: simulate, ingest, train, evaluate, draw.

What ``crmnet demo`` and ``make demo`` run. Every step is the function behind the command of that
name; nothing is special to the demonstration but the sizes.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import NamedTuple

from crmnet.data.dataset import Dataset, is_dataset
from crmnet.evaluation.report import metric_lines, write_evaluation
from crmnet.evaluation.score_sets import score_model
from crmnet.files import PathLike
from crmnet.prediction.predictor import Predictor
from crmnet.reports.dataset_page import write_dataset_picture
from crmnet.runs.settings import resolve
from crmnet.simulation.assay import AssayOptions, read_options, simulate
from crmnet.statistics.metrics import summarise
from crmnet.training.report import write_learning_curve
from crmnet.training.train import train

log = logging.getLogger("crmnet")

PROMOTERS = 45_000
TEST_PROMOTERS = 2_000
TEST_CELLS = 100
"""Test promoters are measured in many cells, as the real test sets were."""


class DemoResult(NamedTuple):
    """Where things are, and how good the model was."""

    run: Path
    table: list[str]
    seconds: float


def demo(
    folder: PathLike, *, promoters: int = PROMOTERS, overrides: list[str] | None = None
) -> DemoResult:
    """Run the demonstration into ``folder``; what an earlier, killed one finished is kept.

    Args:
        folder: Where data, run and evaluation go.
        promoters: Simulated promoters to train on.
        overrides: Changes to the recipe ``demo``, as for ``crmnet train --set``.

    Raises:
        FileExistsError: If the folder holds something that is not a demonstration.
    """
    folder = Path(folder)
    started = time.monotonic()
    if folder.exists() and any(folder.iterdir()) and not is_dataset(folder / "data" / "train"):
        raise FileExistsError(f"{folder} is not empty; choose another folder with -o")
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
    train(resolve("demo", overrides), training, run, resume=True)
    write_learning_curve(run)
    log.info("3/4  evaluate on promoters it has not seen")
    predictor = Predictor.load(run)
    sets = [scored for test in tests for scored in score_model(predictor, test)]
    summary = summarise(sets)
    log.info("4/4  draw")
    write_evaluation(folder / "evaluation", sets, summary)
    return DemoResult(run, metric_lines(summary), time.monotonic() - started)


def _simulated(path: Path, options: AssayOptions) -> Dataset:
    if not is_dataset(path):
        return simulate(options, path)
    made_with = read_options(path)
    if made_with != options:
        raise FileExistsError(
            f"{path} was simulated with other options ({made_with}); choose another folder with -o"
        )
    return Dataset.open(path)
