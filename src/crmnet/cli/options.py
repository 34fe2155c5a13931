"""What several commands share: option types, ``KEY=VALUE`` texts, progress, and broken pipes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from crmnet import choices
from crmnet.process import discard_output

FlanksOption = Annotated[
    choices.Flanks,
    typer.Option(
        help="Adapters around the insert: *auto* adds both if neither is present, *add* always "
        "adds them, *none* never does."
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        metavar="DEVICE",
        help="*cpu*, *cuda*, *cuda:1* or *mps*; *auto* takes a GPU if there is one.",
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
        help="Letters for several bases, such as R and Y: *error* refuses them, *n* reads them "
        "as N."
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
WordOption = Annotated[
    int, typer.Option("--k", min=8, max=31, help="Length of the words that relatives share.")
]
KinshipOption = Annotated[
    choices.Kinship,
    typer.Option(
        help="Which rows are relatives, resampled together for the intervals: *family*, as given "
        "in the data (else the sequence); *sequence*, copies of one sequence; or *homology*, "
        "inserts that share a word of --k bases, such as overlapping tiles."
    ),
]
LevelOption = Annotated[
    choices.Level,
    typer.Option(
        help="What counts as shared: *exact* copies; *near*, also near-copies; or *words*, also "
        "inserts with a common word."
    ),
]
MismatchOption = Annotated[
    int, typer.Option(min=0, max=10, help="Maximum number of bases in which near-copies differ.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]


def pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """``["sequence=seq"]`` → ``{"sequence": "seq"}``."""
    pairs = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise ValueError(f"{option} takes ROLE=NAME; got {text!r}")
        pairs[key] = value
    return pairs


def sequence_columns(texts: list[str] | None) -> dict[str, str]:
    """Role → name of ``--column`` of a command that reads sequences.

    Raises:
        ValueError: If a text is not ROLE=NAME with a role that such a command reads.
    """
    named = pairs(texts, "--column")
    for role in named:
        if role not in ("id", "sequence", "expression"):
            raise ValueError(f"--column takes id=, sequence= or expression=NAME; got {role}=")
    return named


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """End with status 0 when the reader of a pipe, such as head, closes it early."""
    try:
        yield
    except BrokenPipeError:
        discard_output(sys.stdout.fileno())  # else Python reports the error again at exit
        raise typer.Exit(0) from None


class Counter:
    """Progress of work whose total is unknown: a running count on a terminal, else nothing."""

    def __init__(self, unit: str) -> None:
        self.unit, self.visible, self.last = unit, sys.stderr.isatty(), 0.0

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
