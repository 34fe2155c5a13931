"""``crmnet evaluate``: scores sets (:mod:`crmnet.evaluation.score_sets`) and prints metrics."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crmnet.cli.options import (
    BatchSizeOption,
    ColumnOption,
    DeviceOption,
    FamilyRuleOption,
    KmerLengthOption,
    LevelOption,
    MaxRejectedOption,
    ModelFlanksOption,
    OverwriteOption,
    ResamplesOption,
    check_folder,
    command_line,
    flanks_for,
    pairs,
    sequence_columns,
)

if TYPE_CHECKING:
    from crmnet.data.dataset import Dataset
    from crmnet.data.ingest import IngestOptions
    from crmnet.statistics.metrics import Scored

NOT_READ: Mapping[str, tuple[str, ...]] = {
    "MODEL": ("measured", "predicted", "dream", "replicate_columns"),
    "--predictions": ("replicate_columns", "medium", "flanks", "batch_size", "device"),
    "--replicates": (
        "measured", "predicted", "dream", "output", "overwrite", "against", "level", "medium",
        "flanks", "max_rejected", "batch_size", "device",
    ),
    "--game": (
        "predictions", "replicates", "against", "level", "measured", "predicted", "dream",
        "replicate_columns", "batch_size", "device",
    ),
}  # fmt: skip
"""Form of the command → parameters that it does not read; such an option is refused."""


def evaluate(
    ctx: typer.Context,
    model: Annotated[
        str | None, typer.Argument(help="Run folder, packed file, or bundled model.")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Data sets, files of sequence and expression, or names of fetched public sets."
        ),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Evaluate this table of measured and predicted values, not a model."),
    ] = None,
    measured: Annotated[
        str | None, typer.Option(help="Column of measured values in that table.")
    ] = None,
    predicted: Annotated[
        str | None, typer.Option(help="Column of predicted values in that table.")
    ] = None,
    dream: Annotated[
        Path | None,
        typer.Option(
            "--dream-subsets",
            help="Folder with the lists of rows of the DREAM 2022 challenge; adds its score. Needs "
            "--predictions for its test set.",
        ),
    ] = None,
    game: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Evaluate the model that a server offers by the Genomic API for Model Evaluation "
            "(GAME), such as crmnet serve; all arguments are then data. Also compares the "
            "predictions of each insert and of its reverse complement.",
        ),
    ] = None,
    replicates: Annotated[
        Path | None,
        typer.Option(help="Table with two measurements per row: print only the noise ceiling."),
    ] = None,
    replicate_columns: Annotated[
        tuple[str, str], typer.Option(help="The two columns of that table.")
    ] = (
        "replicate_1",
        "replicate_2",
    ),
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Folder for report.html, metrics.json, tables, the scatter plot."
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            help="Training data of the model (data set or file). The rows that it contains and all "
            "others are also scored separately."
        ),
    ] = None,
    level: LevelOption = "near",
    by: FamilyRuleOption = "family",
    k: KmerLengthOption = 20,
    medium: Annotated[str | None, typer.Option(help="Medium of files without one.")] = None,
    column: ColumnOption = None,
    max_rejected: MaxRejectedOption = 0.01,
    flanks: ModelFlanksOption = None,
    batch_size: BatchSizeOption = 256,
    resamples: ResamplesOption = 1000,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
) -> None:
    """Evaluate a model on measured promoters, or evaluate a table of predictions.

    Reports Pearson's r, Spearman's ρ, R², MSE, MAE, MSE after an affine fit, and r within families,
    each with a 95 % interval from a bootstrap over families of related sequences (`--by`).

    Examples: `crmnet evaluate my-run test.csv -o evaluation` ·
    `crmnet evaluate my-run native.tsv --by homology` ·
    `crmnet evaluate my-run test.csv --against my-data` ·
    `crmnet evaluate --predictions Random_complex.csv` ·
    `crmnet evaluate --game http://127.0.0.1:8765 native-complex -o evaluation`
    """
    if game is not None:
        model, data = None, [*([Path(model)] if model else []), *(data or [])]
    _refuse_unread(ctx, _form(model, data, predictions, replicates, game), against)
    names = ["metrics.json", "metrics.tsv", "predictions.tsv", "scatter.png", "report.html"]
    if game is not None:
        names.append("evaluation_summary_crmnet.csv")
    inputs = [model, *(data or []), predictions, dream, replicates, against]
    check_folder(output, names, inputs, overwrite)
    from crmnet.data.homology import KmerOptions
    from crmnet.data.ingest import IngestOptions
    from crmnet.data.leaks import TrainingRows
    from crmnet.data.opening import check_data, flanks_like, may_lack_medium, open_data
    from crmnet.evaluation.report import assumed_medium
    from crmnet.evaluation.score_sets import data_roles, score_file, score_table
    from crmnet.prediction.predictor import Predictor
    from crmnet.statistics.metrics import summarise

    check_data([*(data or []), against])
    set_options: dict[str, Any] = {"by": by, "kmers": KmerOptions(k)}
    if replicates is not None:
        named = _table_columns(column, *replicate_columns, "--replicate-columns")
        replicate_pairs = score_table(replicates, **named, **set_options)
        _print_ceiling(replicate_pairs, resamples)
        return
    if game is not None and data is not None:
        options = IngestOptions(
            media=(medium or "complex",), columns=pairs(column, "--column"),
            flanks=flanks or "auto", max_rejected=max_rejected, advice=False,
        )  # fmt: skip
        _evaluate_game(game, data, options, set_options, resamples, output)
        return
    training_set: Dataset | None = None
    predictor, like_data = None, flanks or flanks_like(*(data or []))
    if model is not None:
        predictor = Predictor.load(model, device=device, batch_size=batch_size)
        if any(may_lack_medium(path) for path in data or []):
            flanks = flanks_for(predictor, flanks)
            like_data = flanks if like_data == "auto" else like_data
    with ExitStack() as stack:
        if against is not None:
            reading = IngestOptions(flanks=like_data, max_rejected=max_rejected, advice=False)
            training_set = stack.enter_context(open_data(against, reading))
            set_options["training"] = TrainingRows.of(training_set, level, KmerOptions(k))
        if predictions is not None:
            named = _table_columns(column, measured, predicted, "--measured and --predicted")
            sets = [score_table(predictions, **named, **set_options)]
        else:
            assert model is not None and data is not None and predictor is not None
            options = IngestOptions(
                media=(medium or predictor.media[0],),
                columns=pairs(column, "--column"),
                flanks=flanks or predictor.flanks,
                max_rejected=max_rejected,
            )
            if medium is None and any(may_lack_medium(path) for path in data):
                print(assumed_medium(predictor.media), file=sys.stderr)
            sets = [s for path in data for s in score_file(predictor, path, options, **set_options)]
            _warn_about_training_data(data_roles(model, predictor), data, training_set)
    for scored in sets:
        if scored.left_out:
            print(f"{scored.name}: {scored.left_out:,} unusable rows are left out", file=sys.stderr)
    summary = summarise(sets, resamples=resamples)
    _print_summary(sets, summary)
    if dream is not None:
        summary["dream"] = _scored_as_challenge(sets[0], dream, resamples)
    if output is not None:
        from crmnet.evaluation.pages import write_evaluation_page
        from crmnet.evaluation.report import write_evaluation

        write_evaluation(output, sets, summary)
        write_evaluation_page(output, sets, summary, command_line())
        print(f"written: {output}/report.html, metrics.json, metrics.tsv, predictions.tsv, "
              "scatter.png")  # fmt: skip


def _form(
    model: str | None,
    data: list[Path] | None,
    predictions: Path | None,
    replicates: Path | None,
    game: str | None,
) -> str:
    """What is evaluated, a key of :data:`NOT_READ`."""
    if game is not None or (model is not None and predictions is None and replicates is None):
        if not data:
            what = "the server" if model is None else model
            raise ValueError(f"nothing to evaluate {what} on; name a data set or a file")
        return "MODEL" if game is None else "--game"
    if replicates is not None:
        if model is not None or predictions is not None:
            raise ValueError("--replicates cannot be combined with MODEL or --predictions")
        return "--replicates"
    if predictions is None or model is not None:
        raise ValueError("give either MODEL and DATA, or --predictions FILE")
    return "--predictions"


def _refuse_unread(ctx: typer.Context, form: str, against: Path | None) -> None:
    """Refuse an option of the command line that this form of the command would ignore."""
    unread = NOT_READ[form]
    if form == "--predictions" and against is None:
        form, unread = f"{form} without --against", (*unread, "max_rejected", "level")
    for option in ctx.command.params:
        source = ctx.get_parameter_source(str(option.name))
        if option.name in unread and source is not None and source.name == "COMMANDLINE":
            name = "/".join(option.opts)
            raise ValueError(f"{name} cannot be combined with {form}; leave one out")


def _table_columns(
    texts: list[str] | None, measured: str | None, predicted: str | None, options: str
) -> dict[str, Any]:
    """Names of the columns of a table, for ``score_table``; ``options`` name the values too."""
    columns = sequence_columns(texts, ("id", "sequence", "family", "expression", "predicted"))
    for role, name in (("expression", measured), ("predicted", predicted)):
        if name is not None and columns.get(role, name) != name:
            raise ValueError(
                f"--column {role}={columns[role]} and {options} name two columns, {columns[role]} "
                f"and {name}; leave one out"
            )
    return {"measured": measured, "predicted": predicted, "columns": columns}


def _evaluate_game(
    url: str,
    data: list[Path],
    options: IngestOptions,
    set_options: dict[str, Any],
    resamples: int,
    output: Path | None,
) -> None:
    """Score a server by GAME, print the metrics, and write them."""
    from crmnet.evaluation.game import (
        Predictor,
        consistency_lines,
        consistency_of,
        save_game_summary,
        score_url,
    )
    from crmnet.statistics.metrics import summarise

    scored = [score_url(Predictor(url), path, options, **set_options) for path in data]
    sets = [one for part in scored for one in part.sets]
    summary = summarise(sets, resamples=resamples)
    strands = [one for part in scored for one in part.strands]
    summary["consistency"] = consistency_of(strands, resamples)
    summary["predictor"] = scored[0].predictor
    print(f"predictor: {scored[0].predictor}")
    _print_summary(sets, summary)
    print("\n".join(consistency_lines(summary["consistency"])))
    if output is not None:
        from crmnet.evaluation.pages import write_evaluation_page
        from crmnet.evaluation.report import write_evaluation

        write_evaluation(output, sets, summary)
        write_evaluation_page(output, sets, summary, command_line())
        save_game_summary(output, scored[0].predictor, summary)
        print(f"written: {output}/report.html, metrics.json, metrics.tsv, predictions.tsv, "
              "scatter.png, evaluation_summary_crmnet.csv")  # fmt: skip


def _print_summary(sets: list[Scored], summary: dict[str, Any]) -> None:
    from crmnet.evaluation.report import (
        family_lines,
        leak_lines,
        metric_lines,
        unit_warnings,
        unseen_lines,
    )

    print("\n".join([*metric_lines(summary), *family_lines(summary), *unseen_lines(summary)]))
    for warning in [*leak_lines(summary), *unit_warnings(sets)]:
        print(f"warning: {warning}", file=sys.stderr)


def _warn_about_training_data(
    role_of_data: dict[str, str], data: list[Path], against: Dataset | None
) -> None:
    """Warn if a test set is training data, or if the data of ``--against`` are not."""
    from crmnet.data.dataset import Dataset, is_dataset

    for path in filter(is_dataset, data):
        role = role_of_data.get(Dataset.open(path).fingerprint)
        if role is not None:
            print(f"warning: {path} is the data set that the model {role}", file=sys.stderr)
    if against is not None and against.fingerprint not in role_of_data:
        named = f"other training data than {against.name}" if role_of_data else "no training data"
        print(
            f"note: the model's record names {named}; shared rows are searched in "
            f"{against.name} only",
            file=sys.stderr,
        )


def _print_ceiling(scored: Scored, resamples: int) -> None:
    import numpy as np

    from crmnet.reports.wording import with_interval
    from crmnet.statistics.metrics import noise_ceiling

    ceiling = noise_ceiling(scored, resamples=resamples)
    families, by = len(np.unique(scored.family)), scored.families_by
    print(
        f"{scored.name}: {len(scored.measured):,} rows with two measurements, {families:,} "
        f"families (by {by})"
    )
    for name, text in (
        ("replicates", "r between the replicates"),
        ("single", "ceiling of r with one replicate"),
        ("mean", "ceiling of r with their mean"),
    ):
        print(f"  {text:34}{with_interval(vars(ceiling[name]))}")


def _scored_as_challenge(scored: Scored, folder: Path, resamples: int) -> dict[str, Any]:
    """Print the DREAM score; return its entry in metrics.json."""
    from crmnet.reports.wording import json_values, with_interval
    from crmnet.statistics.dream import dream_score, read_subsets

    if scored.left_out:
        raise ValueError(
            f"{scored.left_out:,} rows have no value; the DREAM score needs the complete test set"
        )
    dream = dream_score(scored, read_subsets(folder, len(scored.measured)), resamples=resamples)
    print(f"\nDREAM score: Pearson {with_interval(vars(dream.pearson))}, "
          f"Spearman {with_interval(vars(dream.spearman))}")  # fmt: skip
    for name, subset in dream.subsets.items():
        r2, rho = with_interval(vars(subset["r2"])), with_interval(vars(subset["rho"]))
        print(f"  {name:20}{subset['n']:>8,}  weight {subset['weight']:<5} r² {r2}  ρ {rho}")
    return {
        "pearson_score": json_values(vars(dream.pearson)),
        "spearman_score": json_values(vars(dream.spearman)),
        "subsets": {
            name: {**subset, **{key: json_values(vars(subset[key])) for key in ("r2", "rho")}}
            for name, subset in dream.subsets.items()
        },
    }
