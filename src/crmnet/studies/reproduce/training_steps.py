"""Pre-training, fine-tuning in each medium, and the ablation (Figure 4)."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from crmnet.evaluation.compare import ALPHA
from crmnet.files import PathLike
from crmnet.models.layers import count_parameters
from crmnet.reports.wording import with_interval
from crmnet.runs.folder import CURVE, load_run
from crmnet.runs.record import RunRecord
from crmnet.runs.settings import RunSettings, resolve
from crmnet.studies.ablate import FULL, PRETRAINED, AblationOptions, AblationResult, ablate
from crmnet.studies.ablate_report import write_ablation
from crmnet.studies.reproduce.paper import PARAMETERS, ROWS
from crmnet.studies.reproduce.place import FAMILIES, Place
from crmnet.studies.reproduce.profiles import Training
from crmnet.studies.reproduce.results import Number, Picture, StepResult, Table
from crmnet.training.report import read_history, write_learning_curve
from crmnet.training.resume import OtherData
from crmnet.training.train import train

log = logging.getLogger("crmnet")

T = TypeVar("T")
PRETRAINED_RUN = "pre-trained"
POOLED = ("train.pool_media=true", "train.even_media=true")
"""As in the paper: one output for both media, which are sampled evenly."""
ABLATED = (PRETRAINED, FULL, "no squeeze-excitation", "no transformer")
"""The four bars of the paper's Figure 4."""
BARS = {
    PRETRAINED: "pre-trained on both media, then fine-tuned",
    FULL: "trained on complex medium alone",
}


def _settings(place: Place, training: Training, *more: str) -> RunSettings:
    device = [f"train.device={place.device}"] if place.device != "auto" else []
    return resolve(training.recipe, [*training.overrides, *more, *device])


def pretrain(place: Place) -> StepResult:
    """Train one network on both media, as the paper does before fine-tuning."""
    settings = _settings(place, place.profile.pretrain, *POOLED)
    return _train(place, settings, "train", PRETRAINED_RUN)


def finetune(medium: str) -> Callable[[Place], StepResult]:
    """The step that trains all weights of the pre-trained network further on one medium."""

    def run(place: Place) -> StepResult:
        settings = _settings(place, place.profile.finetune)
        start = place.run(PRETRAINED_RUN)
        return _train(place, settings, f"train-{medium}", f"fine-tuned-{medium}", start)

    return run


def unless_data_changed(folder: PathLike, work: Callable[[], T]) -> T:
    """What ``work`` returns, which continues the runs in ``folder``.

    If one of them learned from other data (rows that were test rows of a file found later, for
    example), all are removed, and ``work`` begins anew.
    """
    try:
        return work()
    except OtherData:
        log.warning("%s was trained on other data than the study has now: it is trained anew",
                    folder)  # fmt: skip
        shutil.rmtree(folder)
        return work()


def _train(
    place: Place, settings: RunSettings, data: str, run: str, start: Path | None = None
) -> StepResult:
    folder = place.run(run)
    record = unless_data_changed(
        folder, lambda: train(settings, place.dataset(data), folder, start=start, resume=True)
    )
    write_learning_curve(folder)
    return _trained(place, record, folder, data)


def _trained(place: Place, record: RunRecord, folder: Path, data: str) -> StepResult:
    history = read_history(folder)
    seconds, epochs = sum(history["seconds"]), len(history["epoch"])
    rows, held_out = record.data["training_rows"], record.data["validation_rows"]
    best = record.best
    assert best is not None, f"{folder} is not finished"
    parameters = sum(count_parameters(load_run(folder)[0]))
    shown = ["epoch", "loss", "val_loss", "val_r", "val_r2", "seconds"]
    curve = {
        name: [f"{value:.4g}" for value in history[name]] for name in shown if name in history
    }  # fmt: skip
    numbers = [
        Number("training rows", rows, n=rows, paper=ROWS[data], digits=0),
        Number("parameters", parameters, paper=PARAMETERS, digits=0),
        Number("validation r", best.metrics["val_r"], n=held_out),
        Number("validation R²", best.metrics["val_r2"], n=held_out),
        Number("minutes of training", seconds / 60, n=rows, digits=1),
    ]
    sentences = [
        f"{record.settings.model.name}, recipe {record.settings.recipe}, seed "
        f"{record.settings.train.seed}: the weights of epoch {best.epoch} of {epochs} are "
        f"kept, the best by R² on {held_out:,} rows of held-out families."
    ]
    picture = Picture(
        place.relative(folder / CURVE),
        "Loss and accuracy after each epoch; the dashed line marks the epoch that is kept.", curve,
    )  # fmt: skip
    return StepResult(sentences=sentences, numbers=numbers, pictures=[picture])


def pretraining_commands(place: Place) -> list[str]:
    """Pre-training as a command."""
    training = place.profile.pretrain
    pooled = "".join(f" --set {text}" for text in POOLED)
    return [
        f"crmnet train {training.recipe} --data data/train -o runs/{PRETRAINED_RUN}"
        f"{training.words()}{pooled}"
    ]


def finetuning_commands(medium: str) -> Callable[[Place], list[str]]:
    """Fine-tuning as a command."""

    def commands(place: Place) -> list[str]:
        training = place.profile.finetune
        return [
            f"crmnet train {training.recipe} --from runs/{PRETRAINED_RUN} --data "
            f"data/train-{medium} -o runs/fine-tuned-{medium}{training.words()}"
        ]

    return commands


def ablation(place: Place) -> StepResult:
    """The paper's four bars of Figure 4, each with several seeds."""
    p = place.profile
    device = (f"train.device={place.device}",) if place.device != "auto" else ()
    options = AblationOptions(p.ablation.recipe, (*p.ablation.overrides, *device), p.seeds, ABLATED)
    folder = place.results("figure4")
    results = unless_data_changed(
        folder,
        lambda: ablate(
            options,
            place.dataset("train-complex"),
            place.tests("complex"),
            folder,
            pretraining=place.dataset("train"),
            by=FAMILIES,
        ),
    )
    write_ablation(folder, results)
    picture = Picture(
        place.relative(folder / "ablation.png"),
        "Accuracy of four ways to train, as in the paper's Figure 4: bars are means over seeds, "
        "dots are seeds.", _bars(results),
    )  # fmt: skip
    return StepResult(
        sentences=[
            "The paper shows this figure without numbers. In it, pre-training and fine-tuning is "
            "best, training on complex medium alone is second, and the network without "
            "squeeze-excitation or without transformer is worse, most of all on random promoters.",
            *map(order_sentence, results),
        ],
        numbers=[
            Number.of(f"r, {result.name}, {BARS.get(v.variant, v.variant)}", vars(v.pearson),
                      n=result.n, digits=4)
            for result in results for v in result.variants
        ],
        tables=[Table("Difference from training on complex medium alone", _differences(results))],
        pictures=[picture],
    )  # fmt: skip


def order_sentence(result: AblationResult) -> str:
    """The order of the variants on a set, and whether it is the paper's."""
    ranked = sorted(result.variants, key=lambda v: -v.pearson.value)
    names = [v.variant for v in ranked]
    same = names[:2] == [PRETRAINED, FULL]
    verdict = "the paper's order" if same else "not the paper's order"
    unclear = [
        v.variant for v in result.variants
        if v.against_full is not None and not v.p_corrected < ALPHA
    ]  # fmt: skip
    doubt = f" No significant difference from {FULL}: {', '.join(unclear)}." if unclear else ""
    apart = max(max(v.by_seed) - min(v.by_seed) for v in result.variants)
    return (
        f"{result.name} (n = {result.n:,}): {' > '.join(names)}; {verdict}.{doubt} The seeds of "
        f"one way to train differ by up to {apart:.3f}, which the intervals do not contain."
    )


def _bars(results: list[AblationResult]) -> dict[str, list[str]]:
    rows = [(r, v) for r in results for v in r.variants]
    return {
        "test set": [r.name for r, _ in rows],
        "variant": [v.variant for _, v in rows],
        "mean r": [f"{v.pearson.value:.4f}" for _, v in rows],
        "r of each seed": [", ".join(f"{r:.4f}" for r in v.by_seed) for _, v in rows],
        "parameters": [f"{v.parameters:,}" for _, v in rows],
    }


def _differences(results: list[AblationResult]) -> dict[str, list[str]]:
    rows = [(r, v, v.against_full) for r in results for v in r.variants if v.against_full]
    return {
        "test set": [r.name for r, _, _ in rows],
        "variant": [v.variant for _, v, _ in rows],
        "difference of mean r": [with_interval(vars(d)) for _, _, d in rows],
        "p (Holm)": [f"{v.p_corrected:.2g}" for _, v, _ in rows],
        "n": [f"{r.n:,}" for r, _, _ in rows],
    }


def ablation_commands(place: Place) -> list[str]:
    """The ablation as a command."""
    p = place.profile
    tests = "".join(f" --test data/{kind}-complex" for kind in ("random", "native"))
    return [
        f"crmnet ablate {p.ablation.recipe} --data data/train-complex --pretrain data/train{tests} "
        f"--by {FAMILIES} --seeds {len(p.seeds)} -o results/figure4{p.ablation.words()}"
        + "".join(f' --variant "{v}"' for v in ABLATED if v != FULL)
    ]
