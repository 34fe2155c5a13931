"""``crmnet design``: calls :mod:`crmnet.design.promoters` and :mod:`crmnet.design.report`."""

from __future__ import annotations

import logging
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from crmnet.choices import PictureFormat, SearchMethod, SynthesisPreset
from crmnet.cli.design_options import (
    Inputs,
    all_rules,
    named_rules,
    read_objective,
    read_preset,
)
from crmnet.cli.options import (
    BatchSizeOption,
    DeviceOption,
    DigitsOption,
    FlanksOption,
    IupacOption,
    OverwriteOption,
    SequenceColumnOption,
    check_folder,
    check_stdin_once,
    command_line,
    sequence_columns,
)

if TYPE_CHECKING:
    from crmnet.design.objective import Objective
    from crmnet.design.promoters import Rules
    from crmnet.design.run import Progress
    from crmnet.design.starts import Given

log = logging.getLogger("crmnet")

NAMES = (
    "designs.tsv", "paths.tsv", "order.tsv", "designs.fasta", "designs.gb", "design.json",
    "report.html", *[f"{name}.{kind}" for name in ("judged", "search", "logos-#")
                     for kind in get_args(PictureFormat)],
)  # fmt: skip
"""Files that the command writes; # stands for a number."""
INTERRUPTED = 130
"""Exit status after Ctrl-C, as of a shell."""


def _list_presets(requested: bool) -> None:
    if requested:
        from crmnet.design.presets import PRESETS, preset

        for name in PRESETS:
            print("\n".join(preset(name).lines()))
        raise typer.Exit


def design(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the designs.")],
    maximise: Annotated[
        str | None, typer.Option(metavar="MEDIUM", help="Design high expression in this medium.")
    ] = None,
    minimise: Annotated[
        str | None, typer.Option(metavar="MEDIUM", help="Design low expression in this medium.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MEDIUM=VALUE",
            help="Design this expression in the medium. If repeated, with one medium and several "
            "values, the designs are divided evenly among the values.",
        ),
    ] = None,
    separate: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="HIGH LOW",
            help="Design high expression in the first medium and low in the second.",
        ),
    ] = None,
    designs: Annotated[int, typer.Option("-n", "--designs", help="Number of designs.")] = 20,
    start: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Promoters to start from: FASTA, TSV, CSV or one sequence per line (- is stdin), "
            "or a data set by name. Default: random bases.",
        ),
    ] = None,
    length: Annotated[int, typer.Option(help="Bases of a random start.")] = 80,
    method: Annotated[
        SearchMethod,
        typer.Option(
            help="*greedy* and *beam* try every substitution; *genetic* and *annealing* change "
            "bases at random; *gradient* is ledidi (`pip install 'crmnet[design]'`)."
        ),
    ] = "greedy",
    steps: Annotated[
        int | None, typer.Option(help="Largest number of steps. Default: by method.")
    ] = None,
    chains: Annotated[
        int | None,
        typer.Option(help="Number of searches. Default: 1.5 for each design, to choose from."),
    ] = None,
    oracle: Annotated[
        str, typer.Option(metavar="MODEL", help="Model that the search optimises.")
    ] = "yeast-taught",
    judge: Annotated[
        str, typer.Option(metavar="MODEL", help="Model that judges the designs.")
    ] = "yeast-measured",
    rank_by: Annotated[
        str, typer.Option(metavar="MODEL", help="Model that orders the designs.")
    ] = "yeast",
    uncertainty: Annotated[
        float,
        typer.Option(
            help="Weight of the penalty on uncertainty: 1 optimises the lower end of the oracle's "
            "prediction interval, 0 switches the penalty off."
        ),
    ] = 1.0,
    unlike: Annotated[
        float,
        typer.Option(
            help="Weight of the penalty on designs that are unlike the training data; 0 switches "
            "it off and keeps such designs."
        ),
    ] = 1.0,
    protect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="POSITIONS",
            help="Positions that do not change, such as 1-10,75, from 1 on the start as given.",
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MOTIF",
            help="A site that every design has: a yeast factor of JASPAR, or IUPAC letters. May "
            "be given again.",
        ),
    ] = None,
    forbid: Annotated[
        list[str] | None,
        typer.Option(metavar="MOTIF", help="A site that no design has, on either strand."),
    ] = None,
    avoid_enzyme: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A restriction enzyme that must not cut, such as EcoRI."),
    ] = None,
    gc: Annotated[
        str | None, typer.Option(metavar="LOW-HIGH", help="Range of G + C of the insert, in %.")
    ] = None,
    gc_window: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WIDTH:LOW-HIGH",
            help="Range of G + C, in %, of each window of the ordered sequence.",
        ),
    ] = None,
    max_run: Annotated[
        int | None,
        typer.Option(help="Longest run of one base on the insert and into the adapters."),
    ] = None,
    max_edits: Annotated[
        int | None, typer.Option(help="Largest number of changed bases; needs --start.")
    ] = None,
    distance: Annotated[
        int | None,
        typer.Option(
            help="Smallest number of bases in which two designs differ. Default: 10, or "
            "--max-edits if that is smaller."
        ),
    ] = None,
    away_from: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Sequences from which every design also differs by --distance: a file, a data set "
            "folder, or the name of a fetched public data set.",
        ),
    ] = None,
    preset: Annotated[
        SynthesisPreset | None,
        typer.Option(help="Limits of a vendor, or of the Salis lab's code."),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Replace a number of the preset."),
    ] = None,
    list_presets: Annotated[
        bool,
        typer.Option(
            "--list-presets",
            callback=_list_presets,
            is_eager=True,
            help="Print the numbers of all presets with their sources and exit.",
        ),
    ] = False,
    primer_5: Annotated[
        str, typer.Option(metavar="BASES", help="Bases in front of the 5' adapter in the order.")
    ] = "",
    primer_3: Annotated[
        str,
        typer.Option(
            metavar="BASES", help="Bases behind the 3' adapter in the order, on the same strand."
        ),
    ] = "",
    column: SequenceColumnOption = None,
    flanks: FlanksOption = "auto",
    iupac: IupacOption = "error",
    seed: Annotated[int, typer.Option(min=0, help="Seed of starts and search.")] = 0,
    digits: DigitsOption = "rounded",
    format: Annotated[PictureFormat, typer.Option(help="File format of the pictures.")] = "png",
    batch_size: BatchSizeOption = 256,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
) -> None:
    """Design promoters for a goal, within constraints, and let another model judge them.

    The oracle is optimised; the judge scores every design; a third model orders the table. A
    search that was interrupted continues when the same command is given again.

    Examples: `crmnet design --maximise complex --avoid-enzyme EcoRI --preset twist -o designs` ·
    `crmnet design --target complex=5 --target complex=9 --start promoters.fasta --max-edits 10
    -o designs`
    """
    objective_options = (maximise, minimise, target, separate, uncertainty, unlike)
    check_stdin_once([start, *(away_from or [])])
    unfinished = (output / "search.npz").exists() and not overwrite
    check_folder(
        output, NAMES, [start, oracle, judge, rank_by, *(away_from or [])],
        overwrite or unfinished,
    )  # fmt: skip
    settings = {
        key: [str(item) for item in value] if isinstance(value, list | tuple) else value
        for key, value in {
            "maximise": maximise, "minimise": minimise, "target": target, "separate": separate,
            "designs": designs, "start": start and str(start), "length": length, "method": method,
            "steps": steps, "chains": chains, "oracle": oracle, "judge": judge,
            "rank_by": rank_by, "uncertainty": uncertainty, "unlike": unlike, "protect": protect,
            "keep": keep, "forbid": forbid, "avoid_enzyme": avoid_enzyme, "gc": gc,
            "gc_window": gc_window, "max_run": max_run, "max_edits": max_edits,
            "distance": distance, "away_from": away_from, "preset": preset, "limit": limit,
            "primer_5": primer_5, "primer_3": primer_3, "column": column, "flanks": flanks,
            "iupac": iupac, "seed": seed,
        }.items()
    }  # fmt: skip
    from crmnet.design.inputs import Reading
    from crmnet.design.run import SearchOptions
    from crmnet.design.starts import StartOptions

    if max_edits is not None and start is None:
        raise ValueError("--max-edits counts the changes of a given promoter; name it with --start")
    objective = read_objective(*objective_options)
    start_options = StartOptions(designs, chains, length, seed)
    search_options = SearchOptions(method, steps, seed)
    named = named_rules(keep, forbid, avoid_enzyme, gc, gc_window, max_run, max_edits)
    chosen = read_preset(preset, limit)
    reading = Reading(flanks, sequence_columns(column, ("id", "sequence")), iupac)
    inputs = Inputs(start, tuple(away_from or ()), reading, protect or [])
    given = inputs.read_start()
    rules = all_rules(named, chosen, inputs, given, distance, primer_5, primer_3)
    _run(
        _Job(output, objective, given, rules, start_options, search_options, settings),
        models={"oracle": oracle, "judge": judge, "ranker": rank_by},
        opening={"device": device, "batch_size": batch_size},
        writing={"digits": digits, "form": format},
        overwrite=overwrite,
    )


@dataclass(frozen=True)
class _Job:
    """Everything but the models."""

    output: Path
    objective: Objective
    given: Given | None
    rules: Rules
    start_options: Any
    search_options: Any
    settings: dict[str, Any]


def _run(
    job: _Job,
    *,
    models: dict[str, Any],
    opening: dict[str, Any],
    writing: dict[str, Any],
    overwrite: bool,
) -> None:
    """Search, write the folder, and print what was found."""
    from crmnet.design.promoters import finish, load_panel, make_problem
    from crmnet.design.report import summary_lines, write_designs
    from crmnet.design.run import STATE, record_in, search
    from crmnet.files import locked, make_folder, replacing

    panel = load_panel(
        models["oracle"], models["judge"], models["ranker"], job.objective, **opening
    )
    make_folder(job.output)
    with locked(job.output / "design", title=str(job.output)):
        if overwrite:
            (job.output / STATE).unlink(missing_ok=True)
        problem = make_problem(panel, job.objective, job.given, job.rules, job.start_options)
        starts = zlib.crc32(problem.starts.tokens.tobytes())  # the file may have changed
        identity = {"model": panel.oracle.predictor.identity, "starts": starts}
        record = record_in(job.output, {**job.settings, **identity})
        with _Progress() as progress:
            found = search(problem, job.search_options, record=record, progress=progress)
        log.info("the search has ended; judge and ranker score the designs")
        designs = finish(problem, found, panel, job.rules, job.start_options)
        log.info("writing tables, pictures and the page")
        with replacing(job.output, NAMES):
            write_designs(
                job.output,
                designs,
                flanks=job.rules.flanks,
                settings=job.settings,
                made_by=command_line(),
                **writing,
            )
        if designs.complete:
            (job.output / STATE).unlink(missing_ok=True)
    for line in summary_lines(designs):
        print(line)
    more = "designs.gb, paths.tsv, order.tsv, report.html, pictures" if len(designs) else (
        "paths.tsv, order.tsv")  # fmt: skip
    print(f"written: {job.output}/designs.tsv, designs.fasta, {more}")
    if not designs.complete:
        print("interrupted: these are the best designs so far; the same command continues",
              file=sys.stderr)  # fmt: skip
        raise typer.Exit(INTERRUPTED)


class _Progress:
    """Shows the step on a terminal, and logs it from time to time elsewhere."""

    def __init__(self) -> None:
        self.terminal = sys.stderr is not None and sys.stderr.isatty()
        self.last = time.monotonic()

    def __enter__(self) -> _Progress:
        return self

    def __call__(self, progress: Progress) -> None:
        """Report a step."""
        from crmnet.design.run import LOG_SECONDS

        now = time.monotonic()
        text = (
            f"step {progress.step} of at most {progress.steps}, mean score (value after penalties) "
            f"{progress.best:.2f}"
        )
        if self.terminal:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
        elif now - self.last >= LOG_SECONDS:
            self.last = now
            log.info(text)

    def __exit__(self, *_: Any) -> None:
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
