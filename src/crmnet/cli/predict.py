"""``crmnet predict``."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crmnet.cli.options import (
    Counter,
    Device,
    DeviceOption,
    Flanks,
    FlanksOption,
    MediumOption,
    reader_may_leave,
)


class Precision(StrEnum):
    """Choices of ``--precision``; see :meth:`crmnet.predict.Predictor.load`."""

    fp32 = "fp32"
    bf16 = "bf16"


def predict(
    model: Annotated[str, typer.Argument(help="Run folder.")],
    file: Annotated[
        Path, typer.Argument(help="FASTA, TSV, CSV or one sequence per line; - is stdin.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="TSV, or CSV or Parquet by suffix; - is stdout.")
    ] = Path("-"),
    medium: MediumOption = None,
    flanks: FlanksOption = Flanks.auto,
    batch_size: Annotated[int, typer.Option(min=1, help="Sequences per forward pass.")] = 256,
    device: DeviceOption = Device.auto,
    precision: Annotated[
        Precision,
        typer.Option(help="*bf16* computes in bfloat16: faster on processors that can, rounded."),
    ] = Precision.fp32,
) -> None:
    """Predict the expression of each sequence, in input order.

    Writes the columns id and expression, or expression_<medium> for each medium of a model that
    knows several.

    Examples: `crmnet predict my-run promoters.fasta -o predicted.tsv` ·
    `cat promoters.txt | crmnet predict my-run - --medium complex | head`
    """
    from crmnet import sequence
    from crmnet.data.tables import TableWriter
    from crmnet.predict import Predictor, predict_file

    predictor = Predictor.load(
        model, device=device.value, batch_size=batch_size, precision=precision.value
    )
    wanted = [medium] if medium else predictor.media
    indices = [predictor.medium_index(name) for name in wanted]
    names = ["expression"] if len(wanted) == 1 else [f"expression_{name}" for name in wanted]
    done = sequence.Preparation()
    with (
        reader_may_leave(),
        Counter("sequences") as counter,
        TableWriter(output, ["id", *names]) as table,
    ):
        for answered in predict_file(predictor, file, flanks=flanks.value):
            columns = dict(zip(names, answered.expression[:, indices].T, strict=True))
            table.write({"id": answered.ids, **columns})
            done += answered.preparation
            counter(done.total)
    for line in done.messages(predictor.length):
        print(line, file=sys.stderr)
