"""``crmnet compare``: calls :mod:`crmnet.evaluation.align`, ``compare`` and ``compare_report``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
)

if TYPE_CHECKING:
    from crmnet.choices import Flanks
    from crmnet.evaluation.align import PredictionTable
    from crmnet.prediction.predictor import Predictor


def compare(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for tables and the figure.")
    ],
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=]MODEL...",
            help="Run folders, packed files or bundled models, optionally with a name. Default "
            "name: the end of the path.",
        ),
    ] = None,
    data: Annotated[
        list[Path] | None, typer.Option(help="Data set or file to compare on; may be repeated.")
    ] = None,
    predictions: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME@SET=FILE",
            help="Table of measured and predicted values, or the name of a public one, as another "
            "model; may be repeated.",
        ),
    ] = None,
    metric: Annotated[str, typer.Option(help="Metric by which pairs are compared.")] = "pearson",
    medium: Annotated[
        list[str] | None,
        typer.Option(
            help="Medium of files without a medium column: once for all files, or once for each."
        ),
    ] = None,
    without: Annotated[
        list[Path] | None,
        typer.Option(
            help="Training data of a model (data set or file); its rows are left out. May be "
            "repeated."
        ),
    ] = None,
    baselines: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET",
            help="Training rows: also compare ridge regressions on G + C, dinucleotides and "
            "6-mers that are fitted to them.",
        ),
    ] = None,
    level: LevelOption = "near",
    by: FamilyRuleOption = "family",
    k: KmerLengthOption = 20,
    column: ColumnOption = None,
    max_rejected: MaxRejectedOption = 0.01,
    flanks: ModelFlanksOption = None,
    batch_size: BatchSizeOption = 256,
    resamples: ResamplesOption = 1000,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
) -> None:
    """Compare models on the same rows: one table and the paper's Figure 3.

    Reports every metric with its interval, and the difference of every pair of models from a paired
    bootstrap over families. SET is the name of a `--data` file without its suffix, followed by
    `:MEDIUM` if this has several media, or a new name.

    Example: `crmnet compare my-run legnet=other-run --data test.csv -o comparison
    --predictions DanQ@test=danq.csv`
    """
    if not models and not predictions:
        raise ValueError("give models to compare, or tables with --predictions NAME@SET=FILE")
    if models and not data:
        raise ValueError("give the data to compare the models on with --data")
    files = [text.partition("=")[2] for text in predictions or []]
    named = _named(models or [])
    inputs: list[str | Path | None] = [
        *named.values(), *(data or []), *files, *(without or []), baselines,
    ]  # fmt: skip
    names = [*[f"compare.{kind}" for kind in ("json", "md", "csv", "png")], "report.html"]
    check_folder(output, names, inputs, overwrite)
    from crmnet.data.dataset import Dataset
    from crmnet.data.homology import KmerOptions
    from crmnet.data.ingest import IngestOptions
    from crmnet.data.leaks import TrainingRows
    from crmnet.data.opening import check_data, flanks_like, may_lack_medium, open_all_data
    from crmnet.evaluation.align import align
    from crmnet.evaluation.baselines import with_baselines
    from crmnet.evaluation.compare import compare as run_comparison
    from crmnet.evaluation.report import assumed_medium
    from crmnet.prediction.predictor import Predictor

    if baselines is not None and not models:
        raise ValueError("--baselines needs a model and --data, whose rows are predicted")
    check_data([*(data or []), *(without or [])])
    predictors = {
        name: Predictor.load(run, device=device, batch_size=batch_size)
        for name, run in named.items()
    }
    has_files = any(may_lack_medium(path) for path in data or [])
    options = IngestOptions(
        columns=pairs(column, "--column"),
        flanks=flanks or (_common_flanks(predictors) if has_files else "auto"),
        max_rejected=max_rejected,
        cut=False,
    )
    default = next(iter(predictors.values())).media[0] if predictors else "complex"
    if predictors and not medium and has_files:
        print(assumed_medium(next(iter(predictors.values())).media), file=sys.stderr)
    like_data = flanks_like(*(data or without or []))
    like_data = options.flanks if like_data == "auto" else like_data
    tables, kmers = [_table(text) for text in predictions or []], KmerOptions(k)
    with (
        open_all_data(data or [], medium or [default], options) as datasets,
        open_all_data(
            without or [], ["complex"], IngestOptions(flanks=like_data, advice=False)
        ) as trained,
    ):
        seen = [TrainingRows.of(d, level, kmers) for d in trained]
        sets = align(predictors, datasets, tables, by=by, kmers=kmers, without=seen)
        if baselines is not None:
            sets = with_baselines(sets, datasets, Dataset.open(baselines))
    results = [run_comparison(aligned, metric, resamples=resamples) for aligned in sets]
    from crmnet.evaluation.compare_report import comparison_markdown, write_comparison
    from crmnet.evaluation.pages import write_comparison_page
    from crmnet.evaluation.report import unit_warnings

    write_comparison(output, results)
    write_comparison_page(output, results, command_line())
    for warning in unit_warnings([scored for aligned in sets for scored in aligned.by_model()]):
        print(f"warning: {warning}", file=sys.stderr)
    print(comparison_markdown(results))
    print(f"written: {output}/report.html, compare.md, compare.csv, compare.json, compare.png")


def _named(texts: list[str]) -> dict[str, str]:
    """Name → model. A model without a name gets the shortest end of its path that is unique."""
    user_names, models = [], []
    for text in texts:
        name, equals, model = text.partition("=")
        user_names.append(name if equals else "")
        models.append(model if equals else text)
    paths = [Path(model).parts or (model,) for model in models]
    longest = max(map(len, paths), default=1)
    for size in range(1, longest + 1):
        ends = [str(Path(*parts[-size:])) for parts in paths]
        names = [name or end for name, end in zip(user_names, ends, strict=True)]
        if len(set(names)) == len(names):
            return dict(zip(names, models, strict=True))
    repeated = next(name for name in names if names.count(name) > 1)
    model = models[names.index(repeated)]
    raise ValueError(f"two models are named {repeated!r}; give each its own name: NAME={model}")


def _common_flanks(predictors: Mapping[str, Predictor]) -> Flanks:
    """How the training data of all models were read; ``auto`` without models."""
    of_model = {name: predictor.flanks for name, predictor in predictors.items()}
    if len(set(of_model.values())) > 1:
        bare = [name for name, flanks in of_model.items() if flanks == "none"]
        raise ValueError(
            f"the training data of {', '.join(bare)} were read with --flanks none, those of the "
            "other models were not; give --flanks for the files of --data"
        )
    if not predictors:
        return "auto"
    return flanks_for(next(iter(predictors.values())), None)


def _table(text: str) -> PredictionTable:
    from crmnet.data.opening import is_public_dataset, public_source
    from crmnet.evaluation.align import PredictionTable

    model_at_set, equals, path = text.partition("=")
    model, at, name = model_at_set.partition("@")
    if not (model and at and name and equals and path):
        raise ValueError(f"--predictions takes NAME@SET=FILE; got {text!r}")
    file = public_source(path).path if is_public_dataset(path) else Path(path)
    return PredictionTable(model, name, file)
