"""``crmnet models pack / calibrate / distil / export``: prepare trained models for other users.

The commands call :mod:`crmnet.runs.packed`, :mod:`crmnet.evaluation.calibrate`,
:mod:`crmnet.prediction.distil` and :mod:`crmnet.prediction.export`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from crmnet.cli.options import (
    Counter,
    ModelFlanksOption,
    OverwriteOption,
    PrecisionOption,
    ResamplesOption,
    SequenceColumnOption,
    check_file,
    pairs,
    sequence_columns,
)
from crmnet.files import check_outputs

ModelArgument = Annotated[str, typer.Argument(help="Packed file, or name of a bundled model.")]


def pack(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; several become an ensemble.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="NAME.safetensors to write.")],
    about: Annotated[str, typer.Option(help="One line on what the model is.")] = "",
    reverse_complement: Annotated[
        bool,
        typer.Option(
            "--reverse-complement",
            help="Average both strands at prediction. Runs that saw only one in training, beside "
            "others that saw both, predict one.",
        ),
    ] = False,
    medium: Annotated[
        list[str] | None,
        typer.Option(help="Output of the model; may be repeated. Default: all of all runs."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RUN=MEDIUM",
            help="A run takes part in this medium alone, though it predicts others; may be "
            "repeated.",
        ),
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Store matrices in 16 bits; the card states the error.")
    ] = False,
    max_mb: Annotated[
        float | None, typer.Option(help="Fail if the file is larger than this many megabytes.")
    ] = None,
    unfinished: Annotated[
        bool,
        typer.Option(
            "--unfinished", help="Take runs whose training was interrupted, too; the card says so."
        ),
    ] = False,
    note: Annotated[
        list[str] | None,
        typer.Option(help="A note for the model card, in plain sentences; may be repeated."),
    ] = None,
    not_for: Annotated[
        list[str] | None,
        typer.Option(help="Another unsuitable use, for the model card; may be repeated."),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Pack one or several runs into one file to share; its model card is also written beside it.

    Runs may differ in network and media: the prediction of a medium is the mean over the runs that
    have it.

    Examples: `crmnet models pack my-run -o my-model.safetensors` ·
    `crmnet models pack run-1 run-2 run-3 -o yeast.safetensors --half --max-mb 12`
    """
    _check_packed(output, runs, overwrite)
    from crmnet.runs.packed import PackOptions
    from crmnet.runs.packed import pack as run_pack

    options = PackOptions(
        about, reverse_complement, tuple(medium or ()), _media_of_runs(only or ()), half, max_mb,
        tuple(not_for or ()), tuple(note or ()), unfinished,
    )  # fmt: skip
    card = run_pack(runs, output, options, overwrite=overwrite)
    size = output.stat().st_size / 1e6
    packed = "1 run" if len(card.members) == 1 else f"{len(card.members)} runs"
    print(f"packed {packed} into {output}, {size:.2f} MB")
    for name, error in card.storage_error.items():
        print(f"16 bits change a member's prediction by at most {error:.2g} ({name})")
    for number in card.forward_only:
        print(f"{runs[number]} was not trained on reverse complements: it predicts one strand")
    print(f"next: crmnet models calibrate {output} HELD_OUT")


def _media_of_runs(texts: Sequence[str]) -> dict[Path, tuple[str, ...]]:
    """The media of each run in texts ``RUN=MEDIUM``."""
    media: dict[Path, tuple[str, ...]] = {}
    for text in texts:
        run, equals, medium = text.rpartition("=")
        if not equals or not run or not medium:
            raise ValueError(f"--only takes RUN=MEDIUM, such as my-run=complex; got {text!r}")
        media[Path(run)] = (*media.get(Path(run), ()), medium)
    return media


def _check_packed(output: Path, inputs: Sequence[str | Path | None], overwrite: bool) -> None:
    """Check the packed file to write, and the copy of its card beside it."""
    for file in (output, output.with_suffix(".json")):
        check_file(file, inputs, overwrite)


def calibrate(
    model: ModelArgument,
    held_out: Annotated[
        Path | None, typer.Argument(help="Data set of families on which no member was trained.")
    ] = None,
    unlike: Annotated[
        Path | None,
        typer.Option(
            help="Other held-out rows, unlike the training data, such as native promoters: "
            "intervals widen with the distance from HELD_OUT."
        ),
    ] = None,
    test: Annotated[
        list[Path] | None,
        typer.Option(help="Test set for metrics and coverage; may be repeated."),
    ] = None,
    beside: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Another model: how much its errors on the test sets correlate with this one's.",
        ),
    ] = None,
    native: Annotated[
        Path | None, typer.Option(help="Native promoters: a data set or any file of sequences.")
    ] = None,
    differences: Annotated[
        Path | None,
        typer.Option(
            help="Held-out data set from which only the intervals of differences, as of variants, "
            "are fitted. Default: HELD_OUT."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="NAME.safetensors to write. Default: the model's own file."
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    flanks: ModelFlanksOption = None,
    level: Annotated[
        float, typer.Option(help="Share of measurements that the intervals should cover.")
    ] = 0.9,
    resamples: ResamplesOption = 1000,
) -> None:
    """Add intervals, flags, percentiles and test results to a packed model's card.

    Intervals are conformal: they come from held-out families and are scaled by the disagreement of
    the members. Intervals of differences, for *crmnet mutate*, come from pairs of related held-out
    rows. Bundled models are not changed: their numbers are recomputed and printed.

    Examples: `crmnet models calibrate my-model.safetensors held-out --test random --native native`
    · `crmnet models calibrate yeast --test my-promoters -o yeast-here.safetensors`
    """
    from crmnet.evaluation.calibrate import calibrate as run_calibration
    from crmnet.evaluation.intervals import CalibrateOptions
    from crmnet.runs.model_card import card_lines
    from crmnet.runs.packed import is_bundled

    if held_out is None and not test and native is None and differences is None:
        raise ValueError(
            "there is nothing to calibrate; give a held-out data set, --test, --native or "
            "--differences"
        )
    if output is not None and output.resolve() != Path(model).resolve():
        inputs = [model, held_out, unlike, *(test or []), native, differences]
        _check_packed(output, inputs, overwrite)
    options = CalibrateOptions(level=level, resamples=resamples, flanks=flanks)
    card = run_calibration(
        model, held_out, unlike=unlike, tests=test or [], beside=beside, native=native,
        differences=differences,
        output=output, overwrite=overwrite, options=options,
    )  # fmt: skip
    print("\n".join(card_lines(card)))
    if output is None and is_bundled(model):
        message = f"nothing written: {model} is bundled; -o NAME.safetensors saves this card"
    else:
        message = f"written: {output or model}"
    print(message, file=sys.stderr)


def rescale(
    model: ModelArgument,
    held_out: Annotated[
        Path,
        typer.Argument(
            help="Data set or file of families on which no member was trained, in the model's "
            "units."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="NAME.safetensors to write. Default: the model's own file."
        ),
    ] = None,
    flanks: ModelFlanksOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Bring a packed model's outputs to the scale of held-out measurements.

    For each medium a line is fitted in which every family has the same weight. It is used if it
    lowers the error of families outside the fit. Intervals and test results of the old scale are
    removed.

    Example: `crmnet models rescale my-model.safetensors held-out`
    """
    if output is not None and output.resolve() != Path(model).resolve():
        _check_packed(output, [model, held_out], overwrite)
    from crmnet.evaluation.rescale import rescale as run_rescale

    lines = run_rescale(model, held_out, output=output, overwrite=overwrite, flanks=flanks)
    for medium, line in lines.items():
        print(f"{medium}: predictions × {line.slope:.3f} {line.offset:+.3f}")
    print(f"next: crmnet models calibrate {output or model} HELD_OUT")


def export(
    model: Annotated[str, typer.Argument(help="Run folder, packed file, or bundled model.")],
    onnx: Annotated[bool, typer.Option("--onnx", help="Write ONNX.")] = False,
    torch_export: Annotated[
        bool, typer.Option("--torch-export", help="Write a torch.export program.")
    ] = False,
    tokens: Annotated[
        bool,
        typer.Option("--tokens", help="Input is bytes (tokens 0–4 or ASCII letters), not one-hot."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File. Default: the model's name, .onnx or .pt2."),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Export a model for other programs, and check that its predictions are the same.

    The batch size is variable. The input is one-hot (batch, 4, 112) float32, channels A C G T, or
    with --tokens (batch, 112) uint8. ONNX needs `pip install 'crmnet[export]'`.

    Example: `crmnet models export my-run --onnx -o my-model.onnx`
    """
    if onnx == torch_export:
        raise ValueError("choose one of --onnx and --torch-export")
    from crmnet.prediction.export import export_onnx, export_program
    from crmnet.prediction.predictor import Predictor

    write, suffix = (export_onnx, ".onnx") if onnx else (export_program, ".pt2")
    output = output or Path(Path(model).name.removesuffix(".safetensors") + suffix)
    check_file(output, [model], overwrite)
    predictor = Predictor.load(model, device="cpu")
    difference = write(predictor, output, reads="tokens" if tokens else "onehot")
    print(f"written: {output}; predictions differ by at most {difference:.1g} from PyTorch")


def distil(
    model: Annotated[str, typer.Argument(help="Run folder, packed file, or bundled model.")],
    data: Annotated[
        Path, typer.Argument(help="Data set whose promoters, and variants of them, are labelled.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Data set folder to create.")],
    promoters: Annotated[
        int, typer.Option("-n", "--promoters", help="Number of labelled promoters.")
    ] = 200_000,
    mix: Annotated[
        list[str] | None,
        typer.Option(
            help="Share of a kind of new promoters, KIND=SHARE: mutants, crosses, deletions, "
            "random, native-like; may be repeated. Default: mutants=1, crosses=1."
        ),
    ] = None,
    own: Annotated[
        bool,
        typer.Option("--own/--no-own", help="Label the promoters of DATA first, each once."),
    ] = True,
    native_like: Annotated[
        Path | None,
        typer.Option(
            "--native-like", help="Sequences whose composition native-like promoters have."
        ),
    ] = None,
    column: SequenceColumnOption = None,
    without: Annotated[
        list[Path] | None,
        typer.Option(help="Data set or file with which new promoters share no 20-mer; repeatable."),
    ] = None,
    medium: Annotated[
        str | None, typer.Option(help="Name of the labels' medium. Default: as in the model.")
    ] = None,
    with_measured: Annotated[
        bool, typer.Option("--with-measured", help="Write the measured rows of DATA as well.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the new promoters.")] = 0,
    precision: PrecisionOption = "fp32",
    overwrite: OverwriteOption = False,
) -> None:
    """Create a training set from a model's predictions, for another network to learn from.

    The data set's own promoters come first, then mutants and crosses of them, or other kinds of
    promoters (`--mix`). Each is labelled in one of the model's media. Use training rows only, never
    rows on which a model will be tested.

    Examples: `crmnet models distil yeast my-data -n 200000 -o soft`, then
    `crmnet train yeast-fast --data soft -o student` ·
    `crmnet models distil deepatt my-data --no-own --mix random=2 --mix mutants=1 --medium teacher
    --with-measured -o taught`
    """
    check_outputs(
        [output], [model, data, *filter(None, [native_like]), *(without or [])], overwrite
    )
    from crmnet.data.dataset import Dataset
    from crmnet.data.sequences import read_promoters
    from crmnet.data.unmeasured import MarkovChain, Recipe
    from crmnet.prediction.distil import DistilOptions
    from crmnet.prediction.distil import distil as run_distil
    from crmnet.prediction.predictor import Predictor

    shares = _shares(mix or [])
    if native_like is None and "native-like" in shares:
        raise ValueError(
            "native-like promoters need the sequences of native ones: --native-like FILE"
        )
    if native_like is not None and "native-like" not in shares:
        raise ValueError("--native-like FILE has no effect without --mix native-like=SHARE")
    recipe = Recipe(shares) if shares else Recipe()
    options = DistilOptions(promoters, own, recipe, medium, with_measured, seed)
    chain = None
    if native_like is not None:
        columns = sequence_columns(column)
        native = read_promoters(
            native_like, flanks="none", length=None, columns=columns, measured=False
        )
        chain = MarkovChain.fit(native.tokens)
    predictor = Predictor.load(model, precision=precision)
    with ExitStack() as stack, Counter("labelled promoters") as counter:
        others = [_constructs(path, stack) for path in without or []]
        dataset = run_distil(
            predictor, Dataset.open(data), output, options, native=chain, without=others,
            overwrite=overwrite, progress=counter,
        )  # fmt: skip
    beside = f", beside {len(dataset) - promoters:,} measured rows" if with_measured else ""
    print(f"data set: {output}, {promoters:,} promoters labelled by {model}{beside}")
    print(f"next: crmnet train {'yeast' if with_measured else 'yeast-fast'} --data {output} -o RUN")


def _shares(mix: list[str]) -> dict[Any, float]:
    """Kind → share from ``KIND=SHARE`` texts."""
    shares = {}
    for kind, text in pairs(mix, "--mix").items():
        try:
            shares[kind] = float(text)
        except ValueError:
            raise ValueError(f"--mix {kind}={text}: {text!r} is not a number") from None
    return shares


def _constructs(path: Path, stack: ExitStack) -> Any:
    """Constructs of a data set, a public data set (open within ``stack``), or a file."""
    from crmnet.data.dataset import is_dataset
    from crmnet.data.opening import is_public_dataset, open_data
    from crmnet.data.sequences import read_promoters

    if is_dataset(path) or is_public_dataset(path):
        return stack.enter_context(open_data(path)).tokens
    return read_promoters(path, length=None, measured=False).tokens
