"""``crmnet train``: resolves the settings and calls :func:`crmnet.training.train.train`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crmnet.cli.options import command_line
from crmnet.files import check_source_stays

if TYPE_CHECKING:
    from crmnet.data.dataset import Dataset
    from crmnet.runs.settings import RunSettings

CHECKED_ROWS = 5_000_000
"""Maximum number of training rows in which copies of validation rows are searched (30 s)."""


def train(
    recipe: Annotated[
        str,
        typer.Argument(help="Name of a recipe (auto, finetune, small, …), or a .toml file."),
    ],
    data: Annotated[Path, typer.Option(help="Data set to train on.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Run folder to create.")],
    validation: Annotated[
        Path | None,
        typer.Option(help="Validation set. Default: families held out from --data."),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Start from the weights of a run, or of the first network of a packed or bundled "
            "model (fine-tuning).",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting, e.g. train.epochs=5 or model.heads=2.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted run.")] = False,
) -> None:
    """Train a network and write a run folder.

    After every epoch the folder contains the best weights so far, the history, and the state from
    which `--resume` continues. A resumed run ends with the same weights as an uninterrupted one.

    Examples: `crmnet train auto --data my-data -o my-run` ·
    `crmnet train finetune --from yeast --data my-data -o my-yeast` ·
    `crmnet train small --data my-data -o my-run --set train.epochs=5` ·
    `crmnet train paper-finetune-complex --from pretrained --data complex -o complex-run` ·
    `torchrun --nproc-per-node 8 -m crmnet train paper-complex --data D -o R --set devices=8`
    """
    from crmnet.data.dataset import Dataset
    from crmnet.runs.packed import start_record
    from crmnet.runs.settings import check_overrides, resolve

    check_overrides(settings)
    if start is not None:
        check_source_stays(start, output)
    model = start_record(start).settings.model if start else None
    resolved = resolve(recipe, settings, model=model)
    if recipe == "finetune" and start is None:
        raise ValueError(
            "recipe finetune needs a model to start from: --from yeast, a run or a packed file; to "
            "train from the beginning, use the recipe auto"
        )
    training_set = Dataset.open(data)
    if recipe == "auto":
        chosen = _choose(training_set, settings, resolved, start, validation)
        resolved = resolve(recipe, [*chosen, *(settings or [])], model=model)
    validation_set = Dataset.open(validation) if validation else None
    from crmnet.training.report import write_learning_curve, write_training_page
    from crmnet.training.resume import check_new_run
    from crmnet.training.train import is_main_process
    from crmnet.training.train import train as run_training

    if is_main_process():
        check_new_run(output, [data, validation, start])
        if validation_set is not None:
            warn_of_copies(training_set, validation_set)
    record = run_training(
        resolved, training_set, output, validation=validation_set, start=start, resume=resume
    )
    if not is_main_process():
        return
    write_learning_curve(output)
    write_training_page(output, command_line())
    if record.best:
        rows, name = record.data["validation_rows"], record.data["validation"]
        weights = f"epoch {record.best.epoch}" if record.best.epoch else f"the weights of {start}"
        print(f"kept {weights}, the best by R² on {rows:,} validation rows ({name})")
    print(
        f"run: {output}   next, accuracy with intervals on rows that you held out before "
        f"(crmnet data split): crmnet evaluate {output} HELD_OUT --against {data}"
    )


def _choose(
    data: Dataset,
    settings: list[str] | None,
    resolved: RunSettings,
    start: Path | None,
    validation: Path | None,
) -> list[str]:
    """Settings of the recipe ``auto`` for this data set, which are printed with their reasons."""
    from crmnet.runs.settings import override_key
    from crmnet.training.auto import choose

    known = {
        **{f"train.{key}": value for key, value in resolved.train.model_dump().items()},
        **{f"model.{key}": value for key, value in resolved.model.settings.items()},
    }
    given = {key: known.get(key) for key in map(override_key, settings or [])}
    if validation is not None:
        given["train.validation_fraction"] = 0.0
    choices = [
        choice
        for choice in choose(len(data), given)
        if not (start and choice.key.startswith("model."))
    ]
    print(f"auto, for {len(data):,} rows:", file=sys.stderr)
    for choice in choices:
        print(f"  {choice.override}  ({choice.reason})", file=sys.stderr)
    return [choice.override for choice in choices]


def warn_of_copies(training: Dataset, validation: Dataset) -> None:
    """Warn if rows of the validation set are copies of training rows."""
    from crmnet.data.leaks import copies

    if len(training) > CHECKED_ROWS:
        return
    if shared := int(copies(validation.tokens, training.tokens).sum()):
        print(
            f"warning: {shared:,} of {len(validation):,} validation rows have the insert of a "
            "training row, so validation scores are optimistic; to leave such training rows out: "
            f"crmnet data split {training.path} --without {validation.path} -o CLEAN",
            file=sys.stderr,
        )
