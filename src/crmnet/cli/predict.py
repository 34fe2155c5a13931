"""``crmnet predict``."""

from __future__ import annotations

import sys
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


def predict(
    model: Annotated[
        str, typer.Argument(help="Run folder, packed file, or name of a bundled model.")
    ],
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
) -> None:
    """Predict the expression of each sequence, in input order.

    Writes the columns id and expression, or expression_<medium> for each medium of a model that
    knows several.

    Examples: `crmnet predict my-run promoters.fasta -o predicted.tsv` ·
    `cat promoters.txt | crmnet predict my-run - --medium complex | head`
    """
    from crmnet import sequence
    from crmnet.data.tables import TableWriter
    from crmnet.predict import Predictor, column_names, predict_file, table_columns

    predictor = Predictor.load(model, device=device.value, batch_size=batch_size)
    wanted = [medium] if medium else predictor.media
    done = sequence.Preparation()
    with (
        reader_may_leave(),
        Counter("sequences") as counter,
        TableWriter(output, column_names(predictor, wanted)) as table,
    ):
        for answered in predict_file(predictor, file, flanks=flanks.value):
            table.write(table_columns(predictor, answered, wanted))
            done += answered.preparation
            counter(done.total)
    for line in done.messages(predictor.length):
        print(line, file=sys.stderr)
