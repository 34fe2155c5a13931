"""The command line: a thin layer that reads options, calls one function, and prints what came back.

One module for each command or group of commands; the table at the end of the set-up says which is
called what. Heavy imports stay inside the commands, so that ``crmnet --help`` answers at once. Bad
input ends with exit status 2 and one line on stderr; anything else that fails, with 1.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

from crmnet.cli import (
    ablate,
    benchmark,
    bundles,
    compare,
    data,
    demo,
    evaluate,
    explain,
    models,
    motifs,
    predict,
    train,
)
from crmnet.process import end_process

Command = Callable[..., None]

COMMANDS: dict[str, Command | dict[str, Command]] = {
    "demo": demo.demo,
    "data": {
        "list": data.list_known,
        "fetch": data.fetch,
        "ingest": data.ingest,
        "simulate": data.simulate,
        "check": data.check,
        "split": data.split,
    },
    "train": train.train,
    "predict": predict.predict,
    "evaluate": evaluate.evaluate,
    "compare": compare.compare,
    "ablate": ablate.ablate,
    "explain": explain.explain,
    "motifs": {"discover": motifs.discover, "scan": motifs.scan, "match": motifs.match},
    "benchmark": benchmark.benchmark,
    "models": {
        "list": models.list_models,
        "show": models.show,
        "pack": bundles.pack,
        "calibrate": bundles.calibrate,
        "distil": bundles.distil,
        "export": bundles.export,
        "import-keras": models.import_keras,
    },
}
"""Every command, in the order in which ``crmnet --help`` shows them."""
GROUPS = {
    "data": "Fetch, make, check and divide data sets.",
    "motifs": "Binding motifs: find new ones, find their sites, name them.",
    "models": "Networks, and trained models: list, show, pack, calibrate, distil, export, import.",
}

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    help="Predict how strongly a yeast promoter is expressed, from its sequence: data, training, "
    "evaluation and prediction with CRMnet.",
)
for name, command in COMMANDS.items():
    if not isinstance(command, dict):
        app.command(name)(command)
        continue
    group = typer.Typer(no_args_is_help=True, help=GROUPS[name])
    for subname, subcommand in command.items():
        group.command(subname)(subcommand)
    app.add_typer(group, name=name)

BAD_INPUT = (
    ValueError,
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    ModuleNotFoundError,
)
"""What the caller can mend: status 2. Anything else that goes wrong is status 1."""


def run() -> NoReturn:
    """What the shell calls: :func:`main`, in a process that starts and ends as fast as it can."""
    # Of the objects that torch makes when it is loaded nearly all stay. Looking for garbage among
    # them after every 700, as Python does, takes half a second.
    gc.set_threshold(100_000, 20, 20)
    status = 0
    try:
        main()
    except SystemExit as stop:
        status = int(stop.code or 0)
    end_process(status)


def main() -> None:
    """Run a command and turn what goes wrong into one line and an exit status."""
    # Libraries tell of every font in a PDF and every node of an exported graph: warnings only.
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("crmnet").setLevel(logging.INFO)
    try:
        app(prog_name="crmnet")  # Ctrl-C ends in here with status 130
    except BAD_INPUT as error:
        _fail(error, 2)
    except Exception as error:
        _fail(error, 1)


def _fail(error: Exception, status: int) -> None:
    if os.environ.get("CRMNET_DEBUG"):
        raise error
    said = " ".join(str(error).split()) or type(error).__name__
    kind = "" if status == 2 else f"{type(error).__name__}: "
    hint = "" if status == 2 else " (CRMNET_DEBUG=1 shows where)"
    print(f"crmnet: error: {kind}{said}{hint}", file=sys.stderr)
    sys.exit(status)


def _version(asked: bool) -> None:
    if asked:
        import importlib.metadata  # an eighth of a second that --help need not wait

        print(f"crmnet {importlib.metadata.version('crmnet')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say and exit.")
    ] = False,
) -> None:
    pass
