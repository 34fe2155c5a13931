"""``crmnet train``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from crmnet.data.dataset import Dataset

CHECKED_ROWS = 5_000_000
"""Training rows up to which copies of validation rows are looked for: half a minute's work."""


def train(
    recipe: Annotated[
        str,
        typer.Argument(help="A shipped recipe (demo, small, paper-complex, …) or a .toml file."),
    ],
    data: Annotated[Path, typer.Option(help="Data set to train on.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Run folder to make.")],
    validation: Annotated[
        Path | None,
        typer.Option(help="Data set to watch; left out, some families of the data are held out."),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", metavar="RUN", help="Start from the weights of another run."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting, e.g. train.epochs=5 or model.heads=2.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was killed.")
    ] = False,
) -> None:
    """Train a network and leave a run folder.

    After every epoch the folder holds the best weights so far, the history, and all that
    `--resume` needs to end with the same weights as a run that was never killed.

    Examples: `crmnet train small --data my-data -o my-run --set train.epochs=5` ·
    `crmnet train paper-finetune-complex --from pretrained --data complex -o complex-run` ·
    `torchrun --nproc-per-node 8 -m crmnet train paper-complex --data D -o R --set devices=8`
    """
    from crmnet.data.dataset import Dataset
    from crmnet.runs.folder import load_record
    from crmnet.runs.settings import resolve

    model = load_record(start).settings.model if start else None
    resolved = resolve(recipe, settings, model=model)
    rows = Dataset.open(data)
    watched = Dataset.open(validation) if validation else None
    from crmnet.training.report import write_learning_curve
    from crmnet.training.train import is_main_process
    from crmnet.training.train import train as run_training

    if watched is not None and is_main_process():
        warn_of_copies(rows, watched)
    record = run_training(resolved, rows, output, validation=watched, start=start, resume=resume)
    if not is_main_process():
        return
    write_learning_curve(output)
    if record.best:
        rows, where = record.data["validation_rows"], record.data["validation"]
        epoch = f"epoch {record.best.epoch}" if record.best.epoch else f"the weights of {start}"
        print(f"kept {epoch}, the best by R² on {rows:,} rows ({where})")
    print(
        f"run: {output}   for accuracy with intervals, on rows it has not seen: "
        f"crmnet evaluate {output} DATA --against {data}"
    )


def warn_of_copies(rows: Dataset, watched: Dataset) -> None:
    """Say how many of the rows that choose the best epoch are trained on as well."""
    from crmnet.data.leaks import copies

    if len(rows) > CHECKED_ROWS:
        return
    if shared := int(copies(watched.tokens, rows.tokens).sum()):
        print(
            f"warning: {shared:,} of {len(watched):,} validation rows have an insert that is "
            f"trained on too, so validation flatters; `crmnet data split {rows.path} "
            f"--without {watched.path} -o CLEAN` leaves such rows out",
            file=sys.stderr,
        )
