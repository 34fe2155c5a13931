"""``crmnet evaluate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from crmnet.cli.options import (
    ColumnOption,
    Device,
    DeviceOption,
    Flanks,
    FlanksOption,
    MaxRejectedOption,
    pairs,
)


def evaluate(
    model: Annotated[str | None, typer.Argument(help="Run folder.")] = None,
    data: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Data sets, files of sequences and expression, or names of fetched public sets."
        ),
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Instead: a table with measured and predicted values.")
    ] = None,
    measured: Annotated[str | None, typer.Option(help="Its column of measured values.")] = None,
    predicted: Annotated[str | None, typer.Option(help="Its column of predicted values.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for metrics.json, tables and the scatter."),
    ] = None,
    medium: Annotated[str | None, typer.Option(help="Medium of a file that names none.")] = None,
    column: ColumnOption = None,
    max_rejected: MaxRejectedOption = 0.01,
    flanks: FlanksOption = Flanks.auto,
    batch_size: Annotated[int, typer.Option(min=1, help="Sequences per forward pass.")] = 256,
    resamples: Annotated[int, typer.Option(min=10, help="Bootstrap resamples.")] = 1000,
    device: DeviceOption = Device.auto,
) -> None:
    """Score a model on measured promoters, or score a table of predictions.

    Pearson's r, Spearman's ρ, R², MSE and MAE, each with a 95 % interval from a bootstrap over
    families of related sequences.

    Examples: `crmnet evaluate my-run test.csv -o evaluation` ·
    `crmnet evaluate --predictions Random_complex.csv`
    """
    if (predictions is None) == (model is None):
        raise ValueError("give either MODEL and DATA, or --predictions FILE")
    if model is not None and not data:
        raise ValueError(f"what should {model} be evaluated on? name a data set or a file")
    from crmnet.evaluate import score_file, score_table, summarise

    if predictions is not None:
        sets = [score_table(predictions, measured=measured, predicted=predicted)]
    else:
        from crmnet.data.ingest import IngestOptions
        from crmnet.predict import Predictor

        assert model is not None and data is not None
        predictor = Predictor.load(model, device=device.value, batch_size=batch_size)
        options = IngestOptions(
            media=(medium or predictor.media[0],),
            columns=pairs(column, "--column"),
            flanks=flanks.value,
            max_rejected=max_rejected,
        )
        sets = [scored for path in data for scored in score_file(predictor, path, options)]
    for scored in sets:
        if scored.left_out:
            print(f"{scored.name}: {scored.left_out:,} rows could not be used", file=sys.stderr)
    summary = summarise(sets, resamples=resamples)
    from crmnet.report import metric_lines, write_evaluation

    print("\n".join(metric_lines(summary)))
    if output is not None:
        write_evaluation(output, sets, summary)
        print(f"written: {output}/metrics.json, metrics.tsv, predictions.tsv, scatter.png")
