"""``crmnet design``: calls :mod:`crmnet.design.promoters` and :mod:`crmnet.design.report`."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from crmnet.choices import Goal, PictureFormat, SearchMethod, SynthesisPreset
from crmnet.cli.options import (
    BatchSizeOption,
    DeviceOption,
    DigitsOption,
    FlanksOption,
    IupacOption,
    OverwriteOption,
    SequenceColumnOption,
    check_folder,
    pairs,
    sequence_columns,
)

if TYPE_CHECKING:
    from crmnet.design.constraints import Constraint
    from crmnet.design.inputs import Reading
    from crmnet.design.objective import Objective
    from crmnet.design.presets import Preset
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
            "primer_5": primer_5, "primer_3": primer_3, "flanks": flanks, "seed": seed,
        }.items()
    }  # fmt: skip
    from crmnet.design.inputs import Reading
    from crmnet.design.run import SearchOptions
    from crmnet.design.starts import StartOptions

    if max_edits is not None and start is None:
        raise ValueError("--max-edits counts the changes of a given promoter; name it with --start")
    objective = _objective(*objective_options)
    start_options = StartOptions(designs, chains, length, seed)
    search_options = SearchOptions(method, steps, seed)
    named = _named_rules(keep, forbid, avoid_enzyme, gc, gc_window, max_run, max_edits)
    chosen = _preset(preset, limit)
    reading = Reading(flanks, sequence_columns(column, ("id", "sequence")), iupac)
    inputs = _Inputs(start, tuple(away_from or ()), reading, protect or [])
    given = inputs.read_start()
    rules = _rules(named, chosen, inputs, given, distance, primer_5, primer_3)
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


@dataclass(frozen=True)
class _Inputs:
    """Files that the design reads."""

    start: Path | None
    away_from: tuple[Path, ...]
    reading: Reading
    protect: list[str]

    def read_start(self) -> Given | None:
        """The promoters to start from; None for random starts."""
        if self.start is None:
            return None
        from crmnet.data.reading import check_not_a_sequence
        from crmnet.design.inputs import read_starts

        check_not_a_sequence(self.start)
        given, preparation = read_starts(self.start, self.reading)
        for line in preparation.messages(self.reading.length):
            print(line, file=sys.stderr)
        if preparation.with_n:
            print("the search chooses a base for each N of a start", file=sys.stderr)
        return given


def _objective(
    maximise: str | None,
    minimise: str | None,
    target: list[str] | None,
    separate: tuple[str, str] | None,
    uncertainty: float,
    unlike: float,
) -> Objective:
    from crmnet.design.objective import Objective

    goals: dict[Goal, Any] = {
        "maximise": maximise, "minimise": minimise, "target": target, "separate": separate,
    }  # fmt: skip
    wanted = [goal for goal, value in goals.items() if value]
    if len(wanted) != 1:
        given = f"; got {' and '.join(f'--{goal}' for goal in wanted)}" if wanted else ""
        raise ValueError(f"give one goal: --maximise, --minimise, --target or --separate{given}")
    weights: dict[str, Any] = {"uncertainty": uncertainty, "unlike": unlike}
    if separate:
        return Objective("separate", separate[0], separate[1], **weights)
    if target:
        medium, values = _targets(target)
        return Objective("target", medium, targets=values, **weights)
    return Objective(wanted[0], str(maximise or minimise), **weights)


def _targets(texts: list[str]) -> tuple[str, tuple[float, ...]]:
    """Medium and values of ``MEDIUM=VALUE`` texts."""
    media, values = [], []
    for text in texts:
        medium, equals, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            equals = ""
        if not (medium and equals):
            raise ValueError(f"--target takes MEDIUM=VALUE, such as complex=9; got {text!r}")
        media.append(medium)
        values.append(value)
    if len(set(media)) > 1:
        raise ValueError(f"--target takes values in one medium; got {' and '.join(set(media))}")
    return media[0], tuple(dict.fromkeys(values))


def _percentages(text: str, option: str) -> tuple[float, float]:
    """Shares of a text such as ``30-60``."""
    low, dash, high = text.removesuffix("%").partition("-")
    try:
        return float(low) / 100, float(high if dash else low) / 100
    except ValueError:
        raise ValueError(f"{option} takes percentages such as 30-60; got {text!r}") from None


def _named_rules(
    keep: list[str] | None,
    forbid: list[str] | None,
    avoid_enzyme: list[str] | None,
    gc: str | None,
    gc_window: list[str] | None,
    max_run: int | None,
    max_edits: int | None,
) -> list[Constraint]:
    """The constraints of single options."""
    from crmnet.design.constraints import GcRange, GcWindow, MaxEdits, MaxRun
    from crmnet.design.patterns import AvoidSites, KeepSite, enzyme_pattern, find_pattern

    rules: list[Constraint] = [KeepSite(find_pattern(name)) for name in keep or []]
    rules += [AvoidSites(find_pattern(name)) for name in forbid or []]
    rules += [AvoidSites(enzyme_pattern(name), "--avoid-enzyme") for name in avoid_enzyme or []]
    if gc is not None:
        rules.append(GcRange(*_percentages(gc, "--gc")))
    for text in gc_window or []:
        width, colon, shares = text.partition(":")
        if not (colon and width.isdecimal()):
            raise ValueError(f"--gc-window takes WIDTH:LOW-HIGH, such as 20:20-80; got {text!r}")
        rules.append(GcWindow(int(width), *_percentages(shares, "--gc-window")))
    if max_run is not None:
        rules.append(MaxRun(max_run))
    if max_edits is not None:
        rules.append(MaxEdits(max_edits))
    return rules


def _preset(name: SynthesisPreset | None, limit: list[str] | None) -> Preset | None:
    """The preset, whose numbers and sources are printed."""
    if name is None:
        if limit:
            raise ValueError("--limit replaces a number of a preset; give --preset as well")
        return None
    from crmnet.design.presets import preset

    changed = {}
    for key, text in pairs(limit, "--limit").items():
        try:
            changed[key] = float(text)
        except ValueError:
            raise ValueError(f"--limit takes NAME=NUMBER; got {key}={text}") from None
    chosen = preset(name, changed)
    for line in chosen.lines():
        print(line, file=sys.stderr)
    return chosen


def _rules(
    named: list[Constraint],
    chosen: Preset | None,
    inputs: _Inputs,
    given: Given | None,
    distance: int | None,
    primer_5: str,
    primer_3: str,
) -> Rules:
    from crmnet.design.constraints import AwayFrom, Flanks
    from crmnet.design.inputs import one_origin, read_references
    from crmnet.design.promoters import Rules
    from crmnet.design.starts import parse_positions
    from crmnet.sequence import ADAPTER_3, ADAPTER_5, decode, encode

    if distance is not None and distance < 1:
        raise ValueError(f"--distance must be at least 1; got {distance}")
    for option, bases in (("--primer-5", primer_5), ("--primer-3", primer_3)):
        if bases and "N" in decode(encode([bases], [option])[0])[0]:
            raise ValueError(f"{option} must have known bases; got {bases}")
    adapters = ("", "") if inputs.reading.flanks == "none" else (ADAPTER_5, ADAPTER_3)
    flanks = Flanks(*adapters, primer_5.upper(), primer_3.upper())
    constraints = [*named, *(chosen.constraints if chosen else ())]
    stem = chosen.hairpin_stem if chosen else None
    least = Rules(tuple(constraints), distance=distance).least_distance
    for path in inputs.away_from:
        constraints.append(AwayFrom(least, read_references(path), str(path)))
    protected = parse_positions(inputs.protect, one_origin(given)) if inputs.protect else ()
    return Rules(tuple(constraints), protected, distance, stem, flanks)


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
        identity = {"model": panel.oracle.predictor.identity}
        record = record_in(job.output, {**job.settings, **identity})
        with _Progress() as progress:
            found = search(problem, job.search_options, record=record, progress=progress)
        designs = finish(problem, found, panel, job.rules, job.start_options)
        with replacing(job.output, NAMES):
            write_designs(
                job.output, designs, flanks=job.rules.flanks, settings=job.settings, **writing
            )
        if designs.complete:
            (job.output / STATE).unlink(missing_ok=True)
    for line in summary_lines(designs):
        print(line)
    print(f"written: {job.output}/designs.tsv, designs.fasta, designs.gb, paths.tsv, order.tsv, "
          "report.html, pictures")  # fmt: skip
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
        text = f"step {progress.step} of at most {progress.steps}, mean score {progress.best:.2f}"
        if self.terminal:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
        elif now - self.last >= LOG_SECONDS:
            self.last = now
            log.info(text)

    def __exit__(self, *_: Any) -> None:
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
