"""The command line: a thin layer that reads options, calls one function, and prints what came back.

Heavy imports stay inside the commands, so that ``crmnet --help`` answers at once. Bad input ends
with exit status 2 and one line on stderr; anything else that fails, with 1.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    help="Predict how strongly a yeast promoter is expressed, from its sequence: data, training, "
    "evaluation and prediction with CRMnet.",
)
data_app = typer.Typer(no_args_is_help=True, help="Make data sets: from raw rows, or simulated.")
app.add_typer(data_app, name="data")
models_app = typer.Typer(no_args_is_help=True, help="Networks and their weights.")
app.add_typer(models_app, name="models")


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


FlanksOption = Annotated[
    Flanks,
    typer.Option(
        help="Adapters around the insert: *auto* adds them where they are missing, *add* always, "
        "*none* never."
    ),
]
DeviceOption = Annotated[Device, typer.Option(help="Where to compute; *auto* takes a GPU if any.")]
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
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


BAD_INPUT = (
    ValueError,
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    ModuleNotFoundError,
)
"""What the caller can mend: status 2. Anything else that goes wrong is status 1."""


def main() -> None:
    """Run a command and turn what goes wrong into one line and an exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        app(prog_name="crmnet")  # Ctrl-C ends in here with status 130
    except BAD_INPUT as error:
        _fail(error, 2)
    except Exception as error:
        _fail(error, 1)


def _fail(error: Exception, status: int) -> None:
    if os.environ.get("CRMNET_DEBUG"):
        raise error
    said = " ".join(str(error).split()) or type(error).__name__
    kind = "" if status == 2 else f"{type(error).__name__}: "
    hint = "" if status == 2 else " (CRMNET_DEBUG=1 shows where)"
    print(f"crmnet: error: {kind}{said}{hint}", file=sys.stderr)
    sys.exit(status)


def _version(asked: bool) -> None:
    if asked:
        import importlib.metadata  # an eighth of a second that --help need not wait

        print(f"crmnet {importlib.metadata.version('crmnet')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to make.")] = Path(
        "crmnet-demo"
    ),
    promoters: Annotated[int, typer.Option(help="Simulated promoters to train on.")] = 45_000,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe, as for train."),
    ] = None,
) -> None:
    """Watch the whole story in minutes, offline: simulate, train, evaluate, draw.

    A simulated yeast cell with 20 factors is measured as a real reporter assay would measure it;
    crmnet-small learns from it and is tested on promoters it has not seen.

    Example: `crmnet demo -o crmnet-demo`
    """
    from crmnet.demo import demo as run_demo

    result = run_demo(output, promoters=promoters, overrides=settings)
    print("\n".join(["", *result.table, ""]))
    print(f"done in {result.seconds / 60:.1f} minutes; look at")
    for path in ("evaluation/scatter.png", "run/learning_curve.png", "data/train_expression.png"):
        print(f"  {output / path}")
    print("three commands worth typing next:")
    print(f"  crmnet predict {result.run} {output}/data/test_random/assay.tsv | head")
    print(f"  crmnet evaluate {result.run} {output}/data/test_native_like -o evaluation")
    print("  crmnet data ingest YOUR_ROWS.tsv -o my-data && "
          "crmnet train small --data my-data -o my-run")  # fmt: skip


@data_app.command("ingest")
def data_ingest(
    files: Annotated[
        list[Path],
        typer.Argument(help="TSV, CSV or two columns of text, plain, .gz or .zst; - is stdin."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Data set folder to make.")],
    medium: Annotated[
        list[str] | None,
        typer.Option(help="Medium of the files: once for all, or once for each, in order."),
    ] = None,
    column: ColumnOption = None,
    flanks: FlanksOption = Flanks.auto,
    max_rejected: MaxRejectedOption = 0.01,
    overwrite: OverwriteOption = False,
) -> None:
    """Turn raw rows of sequence and expression into a data set.

    Columns are found by the header's names, in any order; without a header the first is the
    sequence and the second the expression. Every row that is not taken is counted by reason and
    listed with file and line in rejected.tsv.

    Examples: `crmnet data ingest rows.tsv.gz -o my-data` ·
    `crmnet data ingest ypd.csv sc.csv --medium complex --medium defined -o both`
    """
    from crmnet.data.ingest import IngestOptions, ingest, rejection_summary

    options = IngestOptions(
        media=medium or ["complex"],
        columns=_pairs(column, "--column"),
        flanks=flanks.value,
        max_rejected=max_rejected,
        overwrite=overwrite,
    )
    with _Counter("rows") as counter:
        dataset = ingest(files, output, options, counter)
    for line in rejection_summary(dataset.manifest):
        print(line)
    for name, found in dataset.manifest["media"].items():
        print(f"{name}: {found['rows']:,} rows, expression {found['mean']:.2f} ± {found['sd']:.2f}")
    if dataset.manifest["rejected"]:
        print(f"rows not taken are listed in {output / 'rejected.tsv'}")
    print(f"data set: {output}")


@data_app.command("simulate")
def data_simulate(
    output: Annotated[Path, typer.Option("-o", "--output", help="Data set folder to make.")],
    n: Annotated[int, typer.Option("-n", help="Promoters.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Same seed, same assay.")] = 0,
    native_share: Annotated[
        float, typer.Option(help="Share of native-like promoters: AT-rich families of mutants.")
    ] = 0.2,
    cells: Annotated[
        int | None, typer.Option(help="Cells per promoter; left out, few for most, many for some.")
    ] = None,
    sites: Annotated[float, typer.Option(help="Mean number of sites set into a promoter.")] = 1.0,
    overwrite: OverwriteOption = False,
) -> None:
    """Simulate a reporter assay whose truth is known.

    Random and native-like promoters, sites of 20 yeast factors (JASPAR), expression from a
    thermodynamic model in two media, sorted into bins 0–17 with the noise of few cells. The true
    sites and their effects are written to OUTPUT/truth.

    Example: `crmnet data simulate -n 20000 --seed 1 -o simulated`
    """
    from crmnet.simulate import AssayOptions, simulate

    options = AssayOptions(n, seed, native_share, cells, sites)
    with _Counter("promoters") as counter:
        dataset = simulate(options, output, overwrite=overwrite, progress=counter)
    print(f"{len(dataset):,} promoters in {', '.join(dataset.media)} medium")
    print(f"data set: {output}   truth: {output / 'truth'}")


@app.command()
def train(
    recipe: Annotated[
        str,
        typer.Argument(help="A shipped recipe (demo, small, paper-complex, …) or a .toml file."),
    ],
    data: Annotated[Path, typer.Option(help="Data set to train on.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Run folder to make.")],
    validation: Annotated[
        Path | None,
        typer.Option(help="Data set to watch; left out, some families of the data are held out."),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", metavar="RUN", help="Start from the weights of another run."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting, e.g. train.epochs=5 or model.heads=2.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was killed.")
    ] = False,
) -> None:
    """Train a network and leave a run folder.

    After every epoch the folder holds the best weights so far, the history, and all that
    `--resume` needs to end with the same weights as a run that was never killed.

    Examples: `crmnet train small --data my-data -o my-run --set train.epochs=5` ·
    `crmnet train paper-finetune-complex --from pretrained --data complex -o complex-run` ·
    `torchrun --nproc-per-node 8 -m crmnet train paper-complex --data D -o R --set devices=8`
    """
    from crmnet.checkpoint import load_record
    from crmnet.data.dataset import Dataset
    from crmnet.run import resolve

    model = load_record(start).settings.model if start else None
    resolved = resolve(recipe, settings, model=model)
    rows = Dataset.open(data)
    watched = Dataset.open(validation) if validation else None
    from crmnet.report import write_learning_curve
    from crmnet.train import is_main_process
    from crmnet.train import train as run_training

    record = run_training(resolved, rows, output, validation=watched, start=start, resume=resume)
    if not is_main_process():
        return
    write_learning_curve(output)
    if record.best:
        rows, where = record.data["validation_rows"], record.data["validation"]
        epoch = f"epoch {record.best.epoch}" if record.best.epoch else f"the weights of {start}"
        print(f"kept {epoch}, the best by R² on {rows:,} rows ({where})")
    print(f"run: {output}   for accuracy with intervals: crmnet evaluate {output} DATA")


@app.command()
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

    predictor = Predictor.load(model, device=device.value, batch_size=batch_size)
    wanted = [medium] if medium else predictor.media
    indices = [predictor.medium_index(name) for name in wanted]
    names = ["expression"] if len(wanted) == 1 else [f"expression_{name}" for name in wanted]
    done = sequence.Preparation()
    with (
        _reader_may_leave(),
        _Counter("sequences") as counter,
        TableWriter(output, ["id", *names]) as table,
    ):
        for answered in predict_file(predictor, file, flanks=flanks.value):
            columns = dict(zip(names, answered.expression[:, indices].T, strict=True))
            table.write({"id": answered.ids, **columns})
            done += answered.preparation
            counter(done.total)
    for line in done.messages(predictor.length):
        print(line, file=sys.stderr)


@app.command()
def evaluate(
    model: Annotated[str | None, typer.Argument(help="Run folder.")] = None,
    data: Annotated[
        list[Path] | None, typer.Argument(help="Data sets, or files of sequences and expression.")
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
            columns=_pairs(column, "--column"),
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


class Precision(StrEnum):
    """Choices of ``--precision``."""

    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


@app.command()
def benchmark(
    model: Annotated[
        str,
        typer.Argument(metavar="[MODEL-NAME]", help="A network by name: crmnet, crmnet-small, …"),
    ] = "crmnet",
    batch_size: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            help="Rows per step and device; may be repeated. Left out: 1024, 4096, 8192, 16384 on "
            "a GPU, 32 and 128 on the CPU.",
        ),
    ] = None,
    precision: Annotated[
        list[Precision] | None, typer.Option(help="May be repeated; left out, fp32.")
    ] = None,
    devices: Annotated[
        list[int] | None,
        typer.Option(
            min=1, help="GPUs, or processes that share the CPU; may be repeated; left out, 1."
        ),
    ] = None,
    device: DeviceOption = Device.auto,
    rows: Annotated[int, typer.Option(min=1, help="Rows of an epoch.")] = 30_722_376,
    steps: Annotated[int, typer.Option(min=1, help="Steps timed; their median counts.")] = 10,
    warm_up: Annotated[int, typer.Option(min=0, help="Steps before them.")] = 3,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for benchmark.md, .json and .png."),
    ] = None,
) -> None:
    """Measure this machine as Table 1 of the paper does, beside the paper's own rows.

    Seconds per step, minutes per epoch, hours for 20 epochs, sequences per second, peak memory and
    the share of the device's matrix rate in training; sequences per second in inference. Rows that
    do not fit are left blank.

    Examples: `crmnet benchmark crmnet-small --batch-size 128 -o benchmark` ·
    `crmnet benchmark --batch-size 1024 --batch-size 4096 --precision fp32 --precision bf16`
    """
    from crmnet.benchmark import BenchmarkOptions, markdown
    from crmnet.benchmark import benchmark as run_benchmark

    options = BenchmarkOptions(
        model=model,
        batch_sizes=tuple(batch_size or ()),
        precisions=tuple(one.value for one in precision or [Precision.fp32]),
        devices=tuple(devices or (1,)),
        device=device.value,
        rows=rows,
        steps=steps,
        warm_up=warm_up,
    )
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)  # now, rather than fail after an hour
    result = run_benchmark(options)
    print(markdown(result), end="")
    if output is not None:
        from crmnet.report import write_benchmark

        write_benchmark(output, result)
        print(f"written: {output}/benchmark.md, benchmark.json, benchmark.png")


@models_app.command("import-keras")
def models_import_keras(
    saved_model: Annotated[Path, typer.Argument(help="Folder of the unpacked SavedModel.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Run folder to make.")],
    medium: Annotated[str, typer.Option(help="Medium the weights were trained on.")] = "complex",
) -> None:
    """Turn published CRMnet weights (a TensorFlow SavedModel) into a run folder.

    Needs TensorFlow, for this command alone: `pip install 'crmnet[keras]'`. Only the folder's
    variables/ are read. The authors' weights are Zenodo record 7375243.

    Example: `crmnet models import-keras crmnet_model -o published`
    """
    from crmnet.checkpoint import import_published

    import_published(saved_model, output, medium)
    print(f"run: {output}   next: crmnet predict {output} promoters.fasta")


def _pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """``["sequence=seq"]`` → ``{"sequence": "seq"}``."""
    pairs = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise ValueError(f"{option} takes ROLE=NAME; got {text!r}")
        pairs[key] = value
    return pairs


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """End well when the reader of a pipe, such as head, has seen enough."""
    try:
        yield
    except BrokenPipeError:
        # Python would try to flush, and complain, once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


class _Counter:
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
