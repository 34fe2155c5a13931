"""``crmnet explain``: calls :func:`crmnet.interpretation.explain.explain`.

With ``--figure5`` and ``--plant`` it also calls :mod:`crmnet.interpretation.figure5` and
:mod:`crmnet.interpretation.marginalise`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from crmnet.choices import Digits, Method, PictureFormat, Window
from crmnet.cli.options import (
    DeviceOption,
    IdOption,
    IupacOption,
    MediumOption,
    ModelFlanksOption,
    OverwriteOption,
    SequenceColumnOption,
    check_folder,
    command_line,
    flanks_for,
    sequence_columns,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from crmnet.data.sequences import Promoters
    from crmnet.interpretation.tiles import Tiles
    from crmnet.prediction.predictor import Predictor

FORMATS = get_args(PictureFormat)
TABLES = ("sites.tsv", "figure5.tsv", "planted.tsv", "pairs.tsv")
NAMES = (
    *[f"attributions.{kind}" for kind in ("npz", "tsv", "bedgraph")],
    *TABLES,
    "report.html",
    *[f"{name}.{kind}" for name in ("logos-#", "figure5", "planted") for kind in FORMATS],
)
"""Files that the command writes; # stands for a number."""
REMEDY = (
    "pass --window last or --window first to explain one end, or --tile 20 for the mean over "
    "windows along it"
)
"""Advice about a sequence that is too long for the network."""
FIGURE5_REMEDY = "give more promoters or other motifs (--motifs FILE), or leave out --figure5"
"""Advice about promoters without a site for Figure 5."""
INCOMPLETE = 0.2
"""Largest gap, in bins, between attributions and prediction without a warning."""


def explain(
    model: Annotated[str, typer.Argument(help="Run folder, packed file, or bundled model.")],
    file: Annotated[
        Path, typer.Argument(help="FASTA, TSV, CSV or one sequence per line; - is stdin.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for tables and logos.")],
    method: Annotated[
        Method,
        typer.Option(
            help="*ism* mutates every base; *gradient* is the paper's saliency; *masked* is the "
            "saliency as the paper draws it; *integrated* is integrated gradients; *deeplift* "
            "needs `pip install 'crmnet[interpret]'`."
        ),
    ] = "ism",
    keep_composition: Annotated[
        bool,
        typer.Option(
            "--keep-composition",
            help="Keep the average effect of each base (composition); *masked* always keeps it.",
        ),
    ] = False,
    medium: MediumOption = None,
    minus: Annotated[
        str | None, typer.Option(help="Explain the difference between the medium and this one.")
    ] = None,
    motifs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Motifs for the sites and for Figure 5, as MEME, JASPAR, HOMER or TRANSFAC file, "
            "plain, .gz or .zst; - is stdin. Default: JASPAR CORE of *S. cerevisiae*. Names given "
            "by *crmnet motifs discover* are kept.",
        ),
    ] = None,
    figure5: Annotated[
        bool,
        typer.Option(
            "--figure5",
            help="Also draw the paper's Figure 5 from all rows of the file. The expression of "
            "panel G is measured if the file has it for all rows, else (and with --minus) "
            "predicted.",
        ),
    ] = False,
    plant: Annotated[
        list[str] | None,
        typer.Option(
            help="Also plant this factor's consensus (or these bases) into shuffled promoters of "
            "the file, and write the effect by position and strand. If repeated, also the effect "
            "of each pair by gap."
        ),
    ] = None,
    first: Annotated[
        int,
        typer.Option(min=1, help="Number of promoters to explain; --figure5 and --plant use all."),
    ] = 24,
    draw: Annotated[int, typer.Option(min=0, help="Number of logos to draw.")] = 24,
    page: Annotated[int, typer.Option(min=1, help="Logos per page.")] = 6,
    own_scale: Annotated[
        bool, typer.Option("--own-scale", help="Draw each logo of a page to its own scale.")
    ] = False,
    format: Annotated[PictureFormat, typer.Option(help="File format of all figures.")] = "png",
    shuffles: Annotated[
        int, typer.Option(min=1, help="Shuffled references per sequence (integrated, deeplift).")
    ] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the shuffled references.")] = 0,
    flanks: ModelFlanksOption = None,
    window: Annotated[
        Window | None,
        typer.Option(
            help="Of a sequence that is too long for the network, explain the 80 bases at this end."
        ),
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="STEP",
            help="Of a sequence that is too long for the network, explain windows of 80 bases, one "
            "every STEP bases, and write the mean of each base over the windows that contain it.",
        ),
    ] = None,
    column: SequenceColumnOption = None,
    only: IdOption = None,
    iupac: IupacOption = "error",
    digits: Annotated[
        Digits,
        typer.Option(
            help="Digits of numbers in the tables of sites, of Figure 5 and of planted sites: "
            "*rounded* to 3 decimals (p, q and beyond to 3 significant digits), or *full*. "
            "Attributions always have all digits."
        ),
    ] = "rounded",
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
) -> None:
    """Explain predictions base by base: attributions, logos over known sites, tables.

    The command explains the insert of each sequence: the bases between its adapters. Positions
    count from 1 on the given sequence, in bedGraph from 0.

    Example: `crmnet explain my-run promoters.fasta --medium complex -o explained`
    """
    columns = sequence_columns(column)
    check_folder(output, NAMES, [model, file, motifs], overwrite)
    _check_tile(tile, window, figure5, plant)
    _check_stdin_once(file, motifs, figure5)
    from crmnet.data.reading import display_name
    from crmnet.files import replacing
    from crmnet.interpretation.attribute import AttributeOptions, media_phrase, unit_of
    from crmnet.interpretation.explain import explain as run_explain
    from crmnet.interpretation.explain import labelled_motifs
    from crmnet.interpretation.logos import LogoOptions
    from crmnet.interpretation.page import write_explanation_page
    from crmnet.prediction.predictor import Predictor

    predictor = Predictor.load(model, device=device)
    reading: dict[str, Any] = {
        "flanks": flanks_for(predictor, flanks), "columns": columns, "iupac": iupac,
        "only": only or (),
    }  # fmt: skip
    explained: Promoters | Tiles
    if tile is None:
        promoters = _read(file, predictor, window, reading)
        if plant:
            from crmnet.interpretation.marginalise import check_sites

            check_sites(promoters.tokens, plant)
        if figure5:
            from crmnet.interpretation.figure5 import check_sites as check_figure5
            from crmnet.interpretation.figure5 import top_motifs

            figure5_motifs = top_motifs(motifs)
            check_figure5(promoters, figure5_motifs, FIGURE5_REMEDY)
        _report_repeated_ids(promoters.ids)
        explained, total = promoters.first(first), len(promoters.ids)
    else:
        explained, total = _read_tiles(file, predictor, tile, first, reading)
    if first < total:
        print(f"explaining the first {first:,} of {total:,} promoters; change this with --first",
              file=sys.stderr)  # fmt: skip
    options = AttributeOptions(
        method, beyond_composition=not keep_composition, shuffles=shuffles, seed=seed
    )
    named = labelled_motifs(motifs) if motifs else None
    media = (medium, minus)
    with replacing(output, NAMES):
        attribution = run_explain(
            predictor, explained, output, media=media, options=options, motifs=named,
            drawing=LogoOptions(format, page, draw, own_scale), digits=digits,
        )  # fmt: skip
        if figure5:
            from crmnet.interpretation.figure5 import figure5 as run_figure5

            run_figure5(
                predictor, promoters, output, media=media, motifs=figure5_motifs,
                picture=format, seed=seed, digits=digits,
            )  # fmt: skip
        if plant:
            from crmnet.interpretation.marginalise import plant as run_plant

            run_plant(
                predictor, promoters.tokens, plant, output, media=media, picture=format, seed=seed,
                digits=digits,
            )  # fmt: skip
    about = [
        f"model {model}, {media_phrase(predictor, *media)}; method {method}",
        f"attributions and effects in {unit_of(predictor, *media) or 'the unit of expression'}",
        f"{min(first, total):,} of {total:,} promoters of {display_name(file)}",
    ]
    # After the files of an earlier run are removed: the page shows what is in the folder.
    write_explanation_page(output, about, command_line())
    if attribution.delta is not None:
        _report_completeness(abs(attribution.delta), unit_of(predictor, *media), method)
    unit = unit_of(predictor, *media) or "the unit of expression"
    print(f"positions count from 1 on the sequences as given; attributions and effects are in "
          f"{unit}", file=sys.stderr)  # fmt: skip
    _report_files(output, format, figure5=figure5, sites=len(plant or []))


def _report_files(output: Path, format: PictureFormat, *, figure5: bool, sites: int) -> None:
    """Print the names of the files; ``sites`` is the number of planted ones."""
    from crmnet.files import outputs_in

    pages = len(outputs_in(output, [f"logos-#.{format}"]))
    logos = f", logos-1.{format}{' …' * (pages > 1)}" * (pages > 0)
    print(f"written: {output}/report.html, attributions.npz, .tsv, .bedgraph, sites.tsv{logos}")
    if figure5:
        print(f"written: {output}/figure5.{format}, figure5.tsv")
    if sites:
        pairs = ", pairs.tsv" * (sites > 1)
        print(f"written: {output}/planted.tsv, planted.{format}{pairs}")


def _check_stdin_once(file: Path, motifs: Path | None, figure5: bool) -> None:
    if str(motifs) == "-" and (str(file) == "-" or figure5):
        other = "the sequences" if str(file) == "-" else "Figure 5"
        raise ValueError(
            f"stdin can be read only once, and both the sites and {other} need it; write the "
            "motifs to a file, and name it with --motifs FILE"
        )


def _check_tile(
    tile: int | None, window: Window | None, figure5: bool, plant: list[str] | None
) -> None:
    if tile is None:
        return
    if window is not None:
        raise ValueError("--window takes one window of a sequence and --tile all; give one")
    for option, is_used in (("--figure5", figure5), ("--plant", bool(plant))):
        if is_used:
            raise ValueError(
                f"{option} needs promoters, not windows along a sequence; leave out --tile, or "
                "give --window instead"
            )


def _read(
    file: Path, predictor: Predictor, window: Window | None, reading: dict[str, Any]
) -> Promoters:
    from crmnet.data.sequences import read_promoters

    promoters = read_promoters(
        file, length=predictor.length, window=window, remedy=REMEDY, **reading
    )
    for line in promoters.preparation.messages(predictor.length):
        print(line, file=sys.stderr)
    return promoters


def _read_tiles(
    file: Path, predictor: Predictor, step: int, first: int, reading: dict[str, Any]
) -> tuple[Tiles, int]:
    from crmnet.interpretation.tiles import read_tiles
    from crmnet.sequence import insert_window

    tiles = read_tiles(file, step, first=first, length=predictor.length, **reading)
    _report_repeated_ids(tiles.promoters.ids)
    for line in tiles.promoters.preparation.messages(predictor.length, "windows"):
        print(line, file=sys.stderr)
    width = insert_window(predictor.length, reading["flanks"])
    print(f"attributions of a sequence that is too long for the network are the mean over the "
          f"windows of {width} bases, one every {step}, that contain the base "
          f"({len(tiles.row):,} windows in all)", file=sys.stderr)  # fmt: skip
    return tiles, tiles.total


def _report_repeated_ids(ids: list[str]) -> None:
    if (repeated := len(ids) - len(set(ids))) > 0:
        print(f"warning: {repeated:,} of {len(ids):,} ids repeat an earlier one; they get a number "
              "(_2, _3, …)", file=sys.stderr)  # fmt: skip


def _report_completeness(gap: npt.NDArray[np.float32], unit: str | None, method: Method) -> None:
    """Report how much the sum of attributions and composition differs from the prediction."""
    print(f"completeness: gap of at most {gap.max():.3g} {unit or 'expression'}, {gap.mean():.3g} "
          "on average", file=sys.stderr)  # fmt: skip
    if gap.max() > INCOMPLETE:
        advice = "ism" if method == "integrated" else "integrated or ism"
        print(f"warning: {method} is not exact for this network; try --method {advice}",
              file=sys.stderr)  # fmt: skip
