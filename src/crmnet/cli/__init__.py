"""The command line: reads options, calls one function, prints the result.

Each command or group of commands has its own module; :data:`COMMANDS` maps names to functions.
Heavy imports stay inside the functions, so that ``crmnet --help`` answers at once. Bad input ends
with exit status 2 and one line on stderr, any other failure with status 1.
"""

from __future__ import annotations

import atexit
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
    design,
    evaluate,
    evolve,
    explain,
    models,
    motifs,
    mutate,
    options,
    predict,
    reproduce,
    serve,
    train,
)
from crmnet.files import WriteError
from crmnet.names import printable
from crmnet.process import (
    end_fast,
    end_process,
    flush_output,
    in_process_group,
    prepare_streams,
    start_fast,
)

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
        "merge": data.merge,
    },
    "train": train.train,
    "predict": predict.predict,
    "evaluate": evaluate.evaluate,
    "compare": compare.compare,
    "ablate": ablate.ablate,
    "explain": explain.explain,
    "motifs": {"discover": motifs.discover, "scan": motifs.scan, "match": motifs.match},
    "mutate": mutate.mutate,
    "design": design.design,
    "evolve": {
        "robustness": evolve.robustness,
        "trajectories": evolve.trajectories,
        "conservation": evolve.conservation,
        "archetypes": evolve.archetypes,
    },
    "serve": serve.serve,
    "benchmark": benchmark.benchmark,
    "reproduce": reproduce.reproduce,
    "models": {
        "list": models.list_models,
        "show": models.show,
        "pack": bundles.pack,
        "rescale": bundles.rescale,
        "calibrate": bundles.calibrate,
        "distil": bundles.distil,
        "export": bundles.export,
        "import-keras": models.import_keras,
    },
}
"""All commands, in the order in which ``crmnet --help`` lists them."""
GROUPS = {
    "data": "Fetch, create, check, split and merge data sets.",
    "motifs": "Binding motifs: discover new ones, find their sites, name them.",
    "evolve": "How promoters evolve: robustness, trajectories, conservation, archetypes.",
    "models": "Networks and trained models: list, show, pack, calibrate, distil, export, import.",
}

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    help="Predict how strongly a yeast promoter is expressed, from its sequence. Prepare data, "
    "train, evaluate, predict and explain with CRMnet.",
)
for name, command in COMMANDS.items():
    if not isinstance(command, dict):
        app.command(name, cls=options.Command)(command)
        continue
    group = typer.Typer(no_args_is_help=True, help=GROUPS[name])
    for subname, subcommand in command.items():
        group.command(subname, cls=options.Command)(subcommand)
    app.add_typer(group, name=name)

BAD_INPUT = (
    ValueError,
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    ModuleNotFoundError,
    WriteError,
)
"""Errors that the user can fix: exit status 2. All others are exit status 1."""


def run() -> NoReturn:
    """Entry point of the shell command: :func:`main` in a process that starts and ends fast."""
    start_fast()
    prepare_streams()
    status, grouped = 1, False

    def end() -> None:  # registered first, so it runs after all other exit functions
        if grouped:
            end_process(status)
        end_fast()

    atexit.register(end)
    try:
        main()
        status = 0
    except SystemExit as stop:
        # The command line library ends with 1 when the reader of a pipe, such as head, has left.
        status = 0 if isinstance(stop.__context__, BrokenPipeError) else int(stop.code or 0)
    finally:
        grouped = in_process_group()
    status = flush_output(status)
    sys.exit(status)


def main() -> None:
    """Run a command; an error becomes one line on stderr and an exit status."""
    # Libraries log every font in a PDF and every node of an exported graph: only their warnings.
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
    message = printable(" ".join(_text(error).split())) or type(error).__name__
    kind = "" if status == 2 else f"{type(error).__name__}: "
    hint = "" if status == 2 else " (set CRMNET_DEBUG=1 for the traceback)"
    print(f"crmnet: error: {kind}{message}{hint}", file=sys.stderr)
    sys.exit(status)


def _text(error: Exception) -> str:
    """The error's text; an error of the operating system says file and reason, without a number."""
    if not (isinstance(error, OSError) and error.errno and error.strerror):
        return str(error)
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return ": ".join([*names, error.strerror.lower()])


def _print_version(requested: bool) -> None:
    if requested:
        import importlib.metadata  # takes 0.12 s, which --help does not have to wait for

        print(f"crmnet {importlib.metadata.version('crmnet')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    pass
