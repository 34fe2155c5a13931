"""``crmnet predict``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crmnet.cli.options import (
    BatchSizeOption,
    Counter,
    DeviceOption,
    FlanksOption,
    MediumOption,
    OverwriteOption,
    PrecisionOption,
    check_file,
    reader_may_leave,
)

if TYPE_CHECKING:
    from crmnet.prediction.sharded import ProcessRank


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
    flanks: FlanksOption = "auto",
    part_rows: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Write parts of this many rows to OUTPUT.parts and join them at the end; after an "
            "interruption, finished parts are kept. Default: no parts; 100,000 under torchrun.",
        ),
    ] = None,
    batch_size: BatchSizeOption = 256,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "fp32",
    rank: Annotated[
        str | None,
        typer.Option(
            metavar="RANK/SIZE",
            help="Number of this process, from 0, and number of processes, for launchers other "
            "than torchrun: --rank $SLURM_PROCID/$SLURM_NTASKS.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Predict the expression of each sequence, in input order.

    Writes the columns id and expression, or expression_MEDIUM for each medium if the model has
    several. A calibrated model adds low and high (ends of the interval), percentile (among native
    promoters) and unlike_training (why the input is unlike the training data; else empty).

    Examples: `crmnet predict my-run promoters.fasta -o predicted.tsv` ·
    `cat promoters.txt | crmnet predict my-run - --medium complex | head` ·
    `torchrun --nproc-per-node 8 -m crmnet predict my-run library.tsv.gz -o predicted.parquet`
    """
    from crmnet import sequence
    from crmnet.prediction.predictor import Predictor
    from crmnet.prediction.table import column_names, predict_file, table_columns, unit_lines
    from crmnet.reports.tables import TableWriter

    place = _place(part_rows, rank)
    check_file(output, [file, model], overwrite or place is not None)
    predictor = Predictor.load(model, device=device, batch_size=batch_size, precision=precision)
    wanted = [medium] if medium else predictor.media
    if place is not None:
        from crmnet.prediction.sharded import PART_ROWS, ShardedJob, predict_sharded

        job = ShardedJob(file, output, tuple(wanted), flanks, part_rows or PART_ROWS, overwrite)
        with Counter("sequences") as counter:
            done = predict_sharded(predictor, job, place, counter)
        for line in (*done.messages(predictor.length), *unit_lines(predictor, wanted)):
            print(line, file=sys.stderr)
        return
    done = sequence.Preparation()
    with (
        reader_may_leave(),
        Counter("sequences") as counter,
        TableWriter(output, column_names(predictor, wanted)) as table,
    ):
        for answered in predict_file(predictor, file, flanks=flanks):
            table.write(table_columns(predictor, answered, wanted))
            done += answered.preparation
            counter(done.total)
    for line in (*done.messages(predictor.length), *unit_lines(predictor, wanted)):
        print(line, file=sys.stderr)


def _place(part_rows: int | None, rank: str | None) -> ProcessRank | None:
    """This process among those of one job, on a GPU of its own; None to write no parts."""
    from crmnet.prediction.sharded import ProcessRank

    place = ProcessRank.from_text(rank) if rank else ProcessRank.from_environment()
    if place is None:
        return ProcessRank() if part_rows is not None else None
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(
            int(os.environ.get("LOCAL_RANK", place.rank)) % torch.cuda.device_count()
        )
    return place
