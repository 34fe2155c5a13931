"""Parts that several commands share: options, ``KEY=VALUE`` texts, progress, and broken pipes.

Each module of :mod:`crmnet.cli` imports its options from here.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from crmnet import choices
from crmnet.files import check_outputs, outputs_in
from crmnet.process import discard_output

if TYPE_CHECKING:
    from crmnet.prediction.predictor import Predictor

FlanksOption = Annotated[
    choices.Flanks,
    typer.Option(
        help="Adapters around the insert: *auto* adds both if neither is present, *add* always "
        "adds them, *none* never does."
    ),
]
ModelFlanksOption = Annotated[
    choices.Flanks | None,
    typer.Option(
        help="Adapters around the insert in files: *auto* adds both if neither is present, *add* "
        "always adds them, *none* never does. Default: *none* if the model's training data were "
        "read with *none*, else *auto*.",
        show_default=False,
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        metavar="DEVICE",
        help="*cpu*, *cuda*, *cuda:1* or *mps*; *auto* uses a GPU if there is one.",
    ),
]
PrecisionOption = Annotated[
    choices.Precision,
    typer.Option(
        help="*bf16* computes in bfloat16: faster on processors that support it, but rounded."
    ),
]
BatchSizeOption = Annotated[int, typer.Option(min=1, help="Sequences per forward pass.")]
ResamplesOption = Annotated[int, typer.Option(min=10, help="Bootstrap resamples.")]
IdOption = Annotated[
    list[str] | None,
    typer.Option("--id", help="Only the sequence with this id; may be given again. Default: all."),
]
MediumOption = Annotated[str | None, typer.Option(help="One of the model's media.")]
MediaOption = Annotated[
    list[str] | None,
    typer.Option("--medium", help="One of the model's media; may be given again. Default: all."),
]
SequenceColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="ROLE=NAME",
        help="Name of a column of a table: id=NAME or sequence=NAME (where measurements are read, "
        "expression=NAME too). May be given again.",
    ),
]
IupacOption = Annotated[
    choices.Iupac,
    typer.Option(
        help="Letters that stand for several bases, such as R and Y: *error* refuses them, *n* "
        "reads them as N."
    ),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ROLE=NAME",
        help="Name of a column: sequence=, expression=, medium=, family= or weight=.",
    ),
]
MaxRejectedOption = Annotated[
    float, typer.Option(help="Reject the file if a larger share of its rows is unusable.")
]
KmerLengthOption = Annotated[
    int, typer.Option("--k", min=8, max=31, help="Length of the k-mers for homology, in bases.")
]
FamilyRuleOption = Annotated[
    choices.FamilyRule,
    typer.Option(
        help="Which rows form a family; intervals resample families. *family*: as given in the "
        "data, else *sequence*: copies of one sequence. *homology*: inserts that share a k-mer of "
        "--k bases, such as overlapping tiles."
    ),
]
LevelOption = Annotated[
    choices.Level,
    typer.Option(
        help="What counts as shared: *exact* copies; *near*, also near-copies; or *words*, also "
        "inserts with a common k-mer."
    ),
]
MismatchOption = Annotated[
    int, typer.Option(min=0, max=10, help="Maximum number of bases in which near-copies differ.")
]
DigitsOption = Annotated[
    choices.Digits,
    typer.Option(
        help="Digits of numbers in text tables: *rounded* to 3 decimals (p-, E-, q-values and "
        "shares to 3 significant digits), or *full*. Parquet has all digits."
    ),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]


class Command(TyperCommand):
    """A command that refuses a repeated option of one value, instead of reading the last."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of the command line.

        Raises:
            ValueError: If an option that has one value is given twice; the message names both.
        """
        if not ctx.resilient_parsing:  # of a line that the shell completes
            self._check_repeats(ctx, args)
        return super().parse_args(ctx, args)

    def _check_repeats(self, ctx: Any, args: list[str]) -> None:
        parser, single = self.make_parser(ctx), {}
        for option in self.params:
            if isinstance(option, TyperOption) and not (option.multiple or option.is_flag):
                single[option.name] = option
                parser.add_option(option, option.opts, option.name, "append", option.nargs)
        values, _, _ = parser.parse_args(list(args))
        for name, option in single.items():
            if len(repeats := values.get(name) or []) > 1:
                first, second = (_as_typed(value) for value in repeats[:2])
                raise ValueError(
                    f"{'/'.join(option.opts)} is given twice, {first} and {second}; give it once"
                )


def _as_typed(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else " ".join(value)


def check_file(
    output: Path | None, inputs: Sequence[str | Path | None], overwrite: bool = False
) -> None:
    """Check before work begins that the file ``output`` may be written and loses no input.

    Args:
        output: The file; None if nothing is written.
        inputs: Inputs of the command: paths, or names such as those of bundled models.
        overwrite: Whether the file may be replaced.

    Raises:
        OSError: If it exists, or is a folder.
        ValueError: If it is an input or a part of one.
    """
    if output is None:
        return
    if output.is_dir():
        raise IsADirectoryError(f"{output} is a folder; name a file in it, such as {output}/NAME")
    check_outputs(output, inputs, overwrite)


def check_folder(
    output: Path | None,
    names: Sequence[str],
    inputs: Sequence[str | Path | None],
    overwrite: bool = False,
) -> None:
    """As :func:`check_file`, for files that are written into the folder ``output``.

    Args:
        output: The folder, which may hold other files; None if nothing is written.
        names: Names of the files, as for :func:`crmnet.files.outputs_in`.
        inputs: As for :func:`check_file`.
        overwrite: Whether the files may be replaced.
    """
    if output is None:
        return
    if output.exists() and not output.is_dir():
        raise NotADirectoryError(f"{output} is a file; name a folder with -o")
    check_outputs(outputs_in(output, names), inputs, overwrite)


def pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """``["sequence=seq"]`` → ``{"sequence": "seq"}``."""
    named: dict[str, str] = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise ValueError(f"{option} takes ROLE=NAME; got {text!r}")
        if key in named:
            raise ValueError(f"{option} names {key} twice, {named[key]} and {value}; give it once")
        named[key] = value
    return named


def sequence_columns(
    texts: list[str] | None, roles: Sequence[str] = ("id", "sequence", "expression")
) -> dict[str, str]:
    """Role → name of ``--column`` of a command that reads these roles from a table.

    Raises:
        ValueError: If a text is not ROLE=NAME with a role that such a command reads.
    """
    named = pairs(texts, "--column")
    for role in named:
        if role not in roles:
            known = f"{'=, '.join(roles[:-1])}= or {roles[-1]}=NAME"
            raise ValueError(f"--column takes {known}; got {role}=")
    return named


def check_stdin_once(inputs: Sequence[Path | None]) -> None:
    """Check that at most one input is standard input.

    Raises:
        ValueError: If several are.
    """
    if sum(str(path) == "-" for path in inputs) > 1:
        raise ValueError("stdin can be read only once; name files for the other inputs")


def flanks_for(predictor: Predictor, flanks: choices.Flanks | None) -> choices.Flanks:
    """``--flanks``, by default as the model's training data were read.

    A line on stderr reports a default that adds no adapters.
    """
    if flanks is None and predictor.flanks == "none":
        print("no adapters are added, as for the model's training data; --flanks auto adds them",
              file=sys.stderr)  # fmt: skip
    return flanks or predictor.flanks


def command_line() -> str:
    """The command as it was typed, for the record of a report."""
    return shlex.join(["crmnet", *sys.argv[1:]])


@contextmanager
def exit_on_closed_pipe() -> Iterator[None]:
    """End with status 0 when the reader of a pipe, such as head, closes it early."""
    try:
        yield
    except BrokenPipeError:
        discard_output(sys.stdout.fileno())  # else Python reports the error again at exit
        raise typer.Exit(0) from None


class Counter:
    """Progress of work with an unknown total: shows a running count, only on a terminal."""

    def __init__(self, unit: str) -> None:
        self.unit, self.last = unit, 0.0
        self.visible = sys.stderr is not None and sys.stderr.isatty()

    def __enter__(self) -> Callable[[int], None]:
        return self._update

    def _update(self, count: int) -> None:
        now = time.monotonic()
        if self.visible and now - self.last > 0.2:
            self.last = now
            print(f"\r{count:,} {self.unit}", end="", file=sys.stderr, flush=True)

    def __exit__(self, *_: Any) -> None:
        if self.last:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
