"""``crmnet predict``: loads a :class:`crmnet.prediction.predictor.Predictor` and writes a table.

:mod:`crmnet.prediction.table` computes the columns. With ``--part-rows``
:mod:`crmnet.prediction.sharded` writes the table, with ``--tile`` :mod:`crmnet.prediction.profile`
draws profiles.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crmnet import choices
from crmnet.cli.options import (
    BatchSizeOption,
    Counter,
    DeviceOption,
    IupacOption,
    MediaOption,
    ModelFlanksOption,
    OverwriteOption,
    PrecisionOption,
    SequenceColumnOption,
    check_file,
    exit_on_closed_pipe,
    flanks_for,
    sequence_columns,
)

if TYPE_CHECKING:
    from crmnet.prediction.predictor import Predictor
    from crmnet.prediction.profile import Tracks
    from crmnet.prediction.sharded import ProcessRank
    from crmnet.prediction.table import Reading
    from crmnet.sequence import Preparation


NOT_CALIBRATED = (
    "no interval and no percentile: the model is not calibrated (crmnet models pack, crmnet models "
    "calibrate)"
)
"""What stderr says of a model without intervals."""


def _explain_flags(requested: bool) -> None:
    if requested:
        from crmnet.statistics.uncertainty import FLAGS

        for flag, sentence in FLAGS.items():
            print(f"{flag}: {sentence}")
        raise typer.Exit


def predict(
    model: Annotated[
        str, typer.Argument(help="Run folder, packed file, or name of a bundled model.")
    ],
    file: Annotated[
        Path, typer.Argument(help="FASTA, TSV, CSV or one sequence per line; - is stdin.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="TSV, or CSV or Parquet by suffix, with --tile also bedGraph; - is stdout.",
        ),
    ] = Path("-"),
    medium: MediaOption = None,
    flanks: ModelFlanksOption = None,
    window: Annotated[
        choices.Window | None,
        typer.Option(
            help="If a sequence is too long for the network, predict the 80 bases at this end."
        ),
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="STEP",
            help="Predict windows of 80 bases, one every STEP bases, along each sequence that is "
            "too long for the network.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="With --tile, draw the profiles into this PNG, SVG or PDF."),
    ] = None,
    column: SequenceColumnOption = None,
    iupac: IupacOption = "error",
    digits: Annotated[
        choices.Digits,
        typer.Option(
            help="Digits of numbers in text: *rounded* to 3 decimals, or *full*. Parquet "
            "has all digits."
        ),
    ] = "rounded",
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
    explain_flags: Annotated[
        bool,
        typer.Option(
            "--explain-flags",
            callback=_explain_flags,
            is_eager=True,
            help="Explain each word of the column unlike_training and exit.",
        ),
    ] = False,
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

    Writes id and, for each medium, expression_MEDIUM. A calibrated model adds low_MEDIUM and
    high_MEDIUM (ends of the interval), percentile_MEDIUM (among native promoters) and
    unlike_training (why the input is unlike the training data; such a row has a wider interval or
    none). With --window and --tile, start and end of the window in the given sequence, from 1,
    follow the id.

    Examples: `crmnet predict my-run promoters.fasta -o predicted.tsv` ·
    `crmnet predict yeast chromosome.fasta --tile 10 -o profile.bedgraph --plot profile.png` ·
    `torchrun --nproc-per-node 8 -m crmnet predict my-run library.tsv.gz -o predicted.parquet`
    """
    from crmnet import sequence
    from crmnet.data.reading import check_readable
    from crmnet.prediction.predictor import Predictor
    from crmnet.prediction.profile import check_picture, is_bedgraph
    from crmnet.prediction.table import Reading, unit_lines, windows_line

    check_readable(file)
    columns = sequence_columns(column)
    for option, is_used in (("--plot", plot is not None), (".bedgraph", is_bedgraph(output))):
        if is_used and tile is None:
            raise ValueError(f"{option} shows a profile; give --tile STEP as well")
    if plot is not None:
        check_picture(plot)
        check_file(plot, [file, model], overwrite)
    process = None if tile is not None and part_rows is None else _process_rank(part_rows, rank)
    if tile is not None and process is not None:
        raise ValueError("--tile cannot be combined with --part-rows: parts hold whole sequences")
    check_file(output, [file, model], overwrite or process is not None)
    predictor = Predictor.load(model, device=device, batch_size=batch_size, precision=precision)
    reading = Reading(flanks_for(predictor, flanks), window, tile, columns, iupac)
    media = list(dict.fromkeys(medium)) if medium else predictor.media
    for name in media:
        predictor.medium_index(name)
    preparation, read = sequence.Preparation(), None
    if process is not None:
        from crmnet.prediction.sharded import PART_ROWS, ShardedJob, predict_sharded

        job = ShardedJob(
            file, output, tuple(media), reading.flanks, part_rows or PART_ROWS, window, columns,
            iupac, digits, overwrite,
        )  # fmt: skip
        with Counter("windows" if reading.by_window else "sequences") as counter:
            preparation = predict_sharded(predictor, job, process, counter)
    elif tile is not None and (plot is not None or is_bedgraph(output)):
        preparation, read = _profile(predictor, file, output, reading, media, plot, digits)
    else:
        preparation, read = _table(predictor, file, output, reading, media, digits)
    if reading.by_window:  # of parts, each sequence has one window
        print(
            windows_line(preparation.total, preparation.total if read is None else read),
            file=sys.stderr,
        )
    rows = "windows" if reading.by_window else "sequences"
    notes = _column_notes(unit_lines(predictor, media), output, by_window=reading.by_window)
    if predictor.card is None or predictor.card.calibration is None:
        notes.append(NOT_CALIBRATED)
    for line in (*preparation.messages(predictor.length, rows), *notes):
        print(line, file=sys.stderr)


def _column_notes(lines: Iterable[str], output: Path, *, by_window: bool) -> list[str]:
    """The lines that explain columns of this output, and how it counts positions."""
    from crmnet.prediction.profile import is_bedgraph

    if is_bedgraph(output):
        kept = [line for line in lines if line.startswith("expression_")]
        return [*kept, "bedGraph: positions count from 0, and the end is not included"]
    return [*lines, *["start, end: bases of the given sequence, from 1"] * by_window]


def _table(
    predictor: Predictor,
    file: Path,
    output: Path,
    reading: Reading,
    media: list[str],
    digits: choices.Digits,
    tracks: Tracks | None = None,
) -> tuple[Preparation, int]:
    """Write the table block by block; ``tracks`` collects the windows of a profile.

    Returns:
        What was done to the rows, and the number of sequences.
    """
    from crmnet import sequence
    from crmnet.prediction.table import column_names, predict_file, table_columns
    from crmnet.reports.tables import TableWriter, for_reading

    preparation, read = sequence.Preparation(), 0
    names = column_names(predictor, media, by_window=reading.by_window)
    with (
        exit_on_closed_pipe(),
        Counter("windows" if reading.by_window else "sequences") as counter,
        TableWriter(output, names) as table,
    ):
        for block in predict_file(predictor, file, reading=reading):
            columns = table_columns(predictor, block, media)
            table.write(for_reading(columns, output, digits))
            if tracks is not None:
                tracks.add(block)
            preparation, read = preparation + block.preparation, read + block.sequences
            counter(preparation.total)
    return preparation, read


def _profile(
    predictor: Predictor,
    file: Path,
    output: Path,
    reading: Reading,
    media: list[str],
    plot: Path | None,
    digits: choices.Digits,
) -> tuple[Preparation, int]:
    """Write a profile as bedGraph or table, and its picture; returns as :func:`_table`."""
    from crmnet import sequence
    from crmnet.prediction.profile import (
        MOST_PANELS,
        Tracks,
        is_bedgraph,
        save_profile,
        write_bedgraph,
    )
    from crmnet.prediction.table import predict_file

    tracks, preparation, read = Tracks(), sequence.Preparation(), 0
    if is_bedgraph(output):
        with Counter("windows") as counter:
            for block in predict_file(predictor, file, reading=reading):
                tracks.add(block)
                preparation, read = preparation + block.preparation, read + block.sequences
                counter(preparation.total)
        write_bedgraph(output, predictor, tracks.finished(), media)
    else:
        preparation, read = _table(predictor, file, output, reading, media, digits, tracks)
    if plot is not None:
        profiles = tracks.finished()
        save_profile(plot, predictor, profiles, media)
        if len(profiles) > MOST_PANELS:
            print(f"{plot} shows the first {MOST_PANELS} of {len(profiles):,} sequences",
                  file=sys.stderr)  # fmt: skip
    return preparation, read


def _process_rank(part_rows: int | None, rank: str | None) -> ProcessRank | None:
    """Rank of this process, after its GPU is selected; None if no parts are written."""
    from crmnet.prediction.sharded import ProcessRank

    process = ProcessRank.from_text(rank) if rank else ProcessRank.from_environment()
    if process is None:
        return ProcessRank() if part_rows is not None else None
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(
            int(os.environ.get("LOCAL_RANK", process.rank)) % torch.cuda.device_count()
        )
    return process
