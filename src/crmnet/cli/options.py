"""What several commands share: option types, ``KEY=VALUE`` texts, progress, and pipes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any

import typer


class Flanks(StrEnum):
    """Choices of ``--flanks``; see :func:`crmnet.sequence.prepare`."""

    auto = "auto"
    add = "add"
    none = "none"


class Device(StrEnum):
    """Choices of ``--device``."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class Precision(StrEnum):
    """Choices of ``--precision``; see :meth:`crmnet.prediction.predictor.Predictor.load`."""

    fp32 = "fp32"
    bf16 = "bf16"


class Kinship(StrEnum):
    """Choices of ``--by``; see :func:`crmnet.data.splits.families`."""

    sequence = "sequence"
    family = "family"
    homology = "homology"


class Level(StrEnum):
    """Choices of ``--level``; see :class:`crmnet.data.leaks.Leaks`."""

    exact = "exact"
    near = "near"
    words = "words"


FlanksOption = Annotated[
    Flanks,
    typer.Option(
        help="Adapters around the insert: *auto* adds both where neither is there, *add* always, "
        "*none* never."
    ),
]
DeviceOption = Annotated[Device, typer.Option(help="Where to compute; *auto* takes a GPU if any.")]
PrecisionOption = Annotated[
    Precision,
    typer.Option(help="*bf16* computes in bfloat16: faster on processors that can, rounded."),
]
BatchSizeOption = Annotated[int, typer.Option(min=1, help="Sequences per forward pass.")]
ResamplesOption = Annotated[int, typer.Option(min=10, help="Bootstrap resamples.")]
MediumOption = Annotated[str | None, typer.Option(help="One of the model's media.")]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ROLE=NAME",
        help="Name of a column: sequence=, expression=, medium=, family= or weight=.",
    ),
]
MaxRejectedOption = Annotated[
    float, typer.Option(help="Share of unusable rows above which the file is refused.")
]
WordOption = Annotated[
    int, typer.Option("--k", min=8, max=31, help="Length of the words that relatives share.")
]
KinshipOption = Annotated[
    Kinship,
    typer.Option(
        help="Which rows are relatives, drawn together for the intervals: those of one *family* as "
        "given (else of one sequence), copies of one *sequence*, or *homology*: inserts that share "
        "a word of --k bases, such as overlapping tiles."
    ),
]
LevelOption = Annotated[
    Level,
    typer.Option(
        help="What counts as shared: *exact* copies, *near* ones too, or *words* of inserts too."
    ),
]
MismatchOption = Annotated[
    int, typer.Option(min=0, max=10, help="Bases in which near-copies may differ.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


def pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """``["sequence=seq"]`` → ``{"sequence": "seq"}``."""
    pairs = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise ValueError(f"{option} takes ROLE=NAME; got {text!r}")
        pairs[key] = value
    return pairs


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """End well when the reader of a pipe, such as head, has seen enough."""
    try:
        yield
    except BrokenPipeError:
        # Python would try to flush, and complain, once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


class Counter:
    """Progress of work whose end is not known: a running number on a terminal, else silence."""

    def __init__(self, what: str) -> None:
        self.what, self.shown, self.last = what, sys.stderr.isatty(), 0.0

    def __enter__(self) -> Callable[[int], None]:
        return self._update

    def _update(self, count: int) -> None:
        now = time.monotonic()
        if self.shown and now - self.last > 0.2:
            self.last = now
            print(f"\r{count:,} {self.what}", end="", file=sys.stderr, flush=True)

    def __exit__(self, *_: Any) -> None:
        if self.last:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
