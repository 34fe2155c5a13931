"""``crmnet evolve robustness``, ``trajectories``, ``conservation`` and ``archetypes``.

They call :mod:`crmnet.design.evolve_tables`, :mod:`crmnet.design.trajectories`,
:mod:`crmnet.design.conservation` and :mod:`crmnet.design.archetypes`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from crmnet import choices
from crmnet.cli.options import (
    BatchSizeOption,
    Counter,
    DeviceOption,
    DigitsOption,
    IupacOption,
    MediaOption,
    MediumOption,
    ModelFlanksOption,
    OverwriteOption,
    PrecisionOption,
    SequenceColumnOption,
    check_file,
    check_folder,
    exit_on_closed_pipe,
    flanks_for,
    sequence_columns,
)

if TYPE_CHECKING:
    from crmnet.design.archetype_tables import Found
    from crmnet.design.conservation import Conservation
    from crmnet.design.evolve_tables import Summary
    from crmnet.design.trajectory_tables import Evolved
    from crmnet.prediction.predictor import Predictor

ModelArgument = Annotated[
    str, typer.Argument(help="Run folder, packed file, or name of a bundled model.")
]
FileArgument = Annotated[
    Path, typer.Argument(help="FASTA, TSV, CSV or one sequence per line; - is stdin.")
]
EpsilonOption = Annotated[
    float,
    typer.Option(
        "--epsilon",
        help="Smallest change of expression that counts, in the unit of the medium. The default "
        "is that of Vaishnav et al. 2022, in sorting bins.",
    ),
]
EPSILON = 0.1616  # crmnet.design.evolve.EPSILON, whose module would load torch for --help
WindowOption = Annotated[
    choices.Window | None,
    typer.Option(help="If a sequence is too long for the network, read the 80 bases at this end."),
]


def robustness(
    model: ModelArgument,
    file: FileArgument,
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", help="Summary as TSV, or CSV or Parquet by suffix; - is stdout."
        ),
    ] = Path("-"),
    changes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write the change by each substitution, in the order of position and new "
            "base A, C, G, T.",
        ),
    ] = None,
    vectors: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write evolvability vectors: the changes of each promoter in rising order.",
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw robustness into this PNG, SVG or PDF.")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Summary of other promoters, from this command and the same model: adds the "
            "percentile of robustness among them.",
        ),
    ] = None,
    epsilon: EpsilonOption = EPSILON,
    medium: MediaOption = None,
    flanks: ModelFlanksOption = None,
    window: WindowOption = None,
    column: SequenceColumnOption = None,
    iupac: IupacOption = "error",
    digits: DigitsOption = "rounded",
    batch_size: BatchSizeOption = 256,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "fp32",
    overwrite: OverwriteOption = False,
) -> None:
    """Predict all single substitutions of each promoter: evolvability and mutational robustness.

    Robustness is the share of substitutions that change expression by less than epsilon. Only the
    insert mutates, and an N does not: an insert of 80 known bases has 240 substitutions. Positions
    count from 1 on the given sequence.

    Example: `crmnet evolve robustness yeast-fast promoters.fasta -o robustness.tsv`
    """
    from crmnet.data.reading import check_not_a_sequence
    from crmnet.design.evolve import check_epsilon
    from crmnet.design.evolve_tables import Outputs, read_robustness, write_robustness
    from crmnet.design.neighbours import Reading, read_in_chunks
    from crmnet.prediction.predictor import Predictor
    from crmnet.prediction.profile import check_picture
    from crmnet.reports.tables import table_kind
    from crmnet.sequence import ADAPTER_3, ADAPTER_5

    check_not_a_sequence(file)
    check_epsilon(epsilon)
    columns = sequence_columns(column, ("id", "sequence"))
    _check_outputs([output, changes, vectors, plot], [file, model, reference], overwrite)
    for table in (output, changes, vectors):
        table_kind(table or output)
    if plot is not None:
        check_picture(plot)
    predictor = Predictor.load(model, device=device, batch_size=batch_size, precision=precision)
    reading = Reading(flanks_for(predictor, flanks), window, columns, iupac)
    media = _media(predictor, medium)
    others = None if reference is None else read_robustness(reference, media, epsilon)
    adapters = 0 if reading.flanks == "none" else len(ADAPTER_5) + len(ADAPTER_3)
    with exit_on_closed_pipe(), _progress("promoters") as progress:
        summary = write_robustness(
            predictor, read_in_chunks(predictor, file, reading),
            Outputs(output, changes, vectors, digits), media, epsilon,
            reference=others, longest=predictor.length - adapters, progress=progress,
        )  # fmt: skip
    if plot is not None:
        from crmnet.design.evolve_tables import save_robustness

        save_robustness(plot, summary, media, epsilon)
    for line in (*summary.preparation.messages(predictor.length),
                 *_robustness_lines(predictor, summary, media, epsilon)):  # fmt: skip
        print(line, file=sys.stderr)


def trajectories(
    model: ModelArgument,
    file: FileArgument,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the table and the figure.")
    ],
    mode: Annotated[
        list[str] | None,  # typer takes no list of a Literal
        typer.Option(
            metavar="MODE",
            help="*up* and *down*: strong selection, weak mutation, to the neighbour with the "
            "highest or lowest expression. *conflict*: to the largest difference of --medium and "
            "--minus. *drift*: to a random neighbour. *neutral*: to a random neighbour whose "
            "expression differs by less than epsilon from that of the start. May be given again. "
            "Default: up, down and drift.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="Largest number of substitutions. Default: 10; 40 for drift and neutral."
        ),
    ] = None,
    repeats: Annotated[
        int, typer.Option(min=1, help="Trajectories of each promoter by drift and neutral.")
    ] = 1,
    medium: MediumOption = None,
    minus: Annotated[
        str | None, typer.Option(help="For *conflict*, the medium to subtract.")
    ] = None,
    epsilon: EpsilonOption = EPSILON,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random neighbours.")] = 0,
    format: Annotated[
        choices.PictureFormat, typer.Option(help="File format of the figure.")
    ] = "png",
    flanks: ModelFlanksOption = None,
    window: WindowOption = None,
    column: SequenceColumnOption = None,
    iupac: IupacOption = "error",
    digits: DigitsOption = "rounded",
    batch_size: BatchSizeOption = 256,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "fp32",
    overwrite: OverwriteOption = False,
) -> None:
    """Let promoters evolve, one substitution at a time.

    Writes trajectories.tsv, with expression in all media and the insert after each step, and a
    figure. Positions count from 1 on the given sequence. Selection ends at an optimum.

    Example: `crmnet evolve trajectories yeast-fast promoters.fasta --medium complex -o evolved`
    """
    from crmnet.data.reading import check_not_a_sequence
    from crmnet.design.neighbours import Reading, read_in_chunks
    from crmnet.design.trajectories import TrajectoryOptions
    from crmnet.design.trajectory_tables import PICTURE, TABLE, Plan, write_trajectories
    from crmnet.files import replacing
    from crmnet.prediction.predictor import Predictor

    check_not_a_sequence(file)
    columns = sequence_columns(column, ("id", "sequence"))
    names = (TABLE, *[f"{PICTURE}.{kind}" for kind in get_args(choices.PictureFormat)])
    check_folder(output, names, [file, model], overwrite)
    modes = dict.fromkeys(mode or ("up", "down", "drift"))
    if minus is not None and "conflict" not in modes:
        raise ValueError("--minus is the second medium of conflict; add --mode conflict")
    options = [
        TrajectoryOptions(cast(choices.Evolution, name), steps, epsilon, seed, repeat)
        for name in modes
        for repeat in range(repeats if name in ("drift", "neutral") else 1)
    ]
    predictor = Predictor.load(model, device=device, batch_size=batch_size, precision=precision)
    reading = Reading(flanks_for(predictor, flanks), window, columns, iupac)
    with replacing(output, names), _progress("trajectories") as progress:
        evolved = write_trajectories(
            predictor, read_in_chunks(predictor, file, reading), output,
            Plan(options, (medium, minus)), picture=format, digits=digits, progress=progress,
        )  # fmt: skip
    for line in (*evolved.preparation.messages(predictor.length),
                 *_trajectory_lines(predictor, evolved, medium, minus)):  # fmt: skip
        print(line, file=sys.stderr)
    if "neutral" in modes:
        for line in _unit_warnings(predictor, [medium or predictor.media[0]], epsilon):
            print(line, file=sys.stderr)
    print(f"written: {output}/{TABLE}, {PICTURE}.{format}")


def conservation(
    model: ModelArgument,
    file: Annotated[
        Path,
        typer.Argument(
            help="TSV or CSV with a row for each haplotype of a gene's promoter; - is stdin."
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the table and the figure.")
    ],
    medium: MediumOption = None,
    simulations: Annotated[
        int,
        typer.Option(
            min=1, help="Sets of random mutants, of which the mean is taken. The paper uses 1."
        ),
    ] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random mutants.")] = 0,
    format: Annotated[
        choices.PictureFormat, typer.Option(help="File format of the figure.")
    ] = "png",
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=NAME",
            help="Name of a column: gene=NAME, sequence=NAME or isolates=NAME, the number of "
            "individuals with the haplotype. May be given again.",
        ),
    ] = None,
    iupac: IupacOption = "error",
    digits: DigitsOption = "rounded",
    batch_size: BatchSizeOption = 256,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "fp32",
    overwrite: OverwriteOption = False,
) -> None:
    """Compute the expression conservation coefficient (ECC) of genes from their haplotypes.

    Compares how much expression varies between individuals with how much it would vary if as many
    mutations were random. ECC > 0: expression is kept (stabilising selection); ECC < 0: it varies
    more. Writes conservation.tsv and a figure.

    Example: `crmnet evolve conservation yeast-fast haplotypes.tsv --medium complex
    --column gene=proName --column sequence=ortho_seq --column isolates=num_isolates -o ecc`
    """
    from crmnet.data.reading import check_not_a_sequence
    from crmnet.design.conservation import conservation as run_conservation
    from crmnet.design.conservation_tables import (
        PICTURE,
        ROLES,
        TABLE,
        read_haplotypes,
        write_conservation,
    )
    from crmnet.files import replacing
    from crmnet.prediction.predictor import Predictor

    check_not_a_sequence(file)
    columns = sequence_columns(column, ROLES)
    names = (TABLE, *[f"{PICTURE}.{kind}" for kind in get_args(choices.PictureFormat)])
    check_folder(output, names, [file, model], overwrite)
    predictor = Predictor.load(model, device=device, batch_size=batch_size, precision=precision)
    haplotypes = read_haplotypes(file, columns, iupac)
    with replacing(output, names), _progress("genes") as progress:
        found = run_conservation(
            predictor, haplotypes, medium=medium, simulations=simulations, seed=seed,
            progress=progress,
        )  # fmt: skip
        write_conservation(found, output, picture=format, digits=digits)
    for line in _conservation_lines(found):
        print(line, file=sys.stderr)
    print(f"written: {output}/{TABLE}, {PICTURE}.{format}")


def _conservation_lines(found: Conservation) -> Iterator[str]:
    import numpy as np

    ecc = found.ecc[np.isfinite(found.ecc)]
    yield f"{found.haplotypes.sum():,} haplotypes of {len(found.genes):,} genes"
    if left_out := int(found.left_out.sum()):
        yield f"{left_out:,} haplotypes have another length than the consensus and are left out"
    if undefined := len(found.genes) - len(ecc):
        yield f"{undefined:,} genes have no coefficient: their predicted expression does not vary"
    if len(ecc):
        yield (f"ECC > 0 (stabilising selection) in {(ecc > 0).sum():,} of {len(ecc):,} genes; "
               f"median {np.median(ecc):.3f}, null {found.null.mean():.3f}")  # fmt: skip


def _trajectory_lines(
    predictor: Predictor, evolved: Evolved, medium: str | None, minus: str | None
) -> Iterator[str]:
    """Median expression at the start and at the end of each mode, and the median of the steps."""
    import numpy as np

    yield "only inserts mutate; positions count from 1 on the sequences as given"
    shown = [name for name in (medium or predictor.media[0], minus) if name is not None]
    for mode, paths in evolved.paths.items():
        for name in shown:
            array = paths[predictor.media[predictor.medium_index(name)]]
            steps = (~np.isnan(array)).sum(axis=1) - 1
            end = array[np.arange(len(array)), steps]
            yield (f"{mode}: {len(array):,} trajectories, median {np.median(steps):g} steps; "
                   f"{name} from {np.median(array[:, 0]):.2f} to {np.median(end):.2f}"
                   " (medians)")  # fmt: skip


def archetypes(
    model: ModelArgument,
    file: FileArgument,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the tables and the figure.")
    ],
    k: Annotated[int, typer.Option("-k", min=1, max=20, help="Number of archetypes.")] = 3,
    medium: MediumOption = None,
    epsilon: EpsilonOption = EPSILON,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the starting points of the search.")
    ] = 0,
    format: Annotated[
        choices.PictureFormat, typer.Option(help="File format of the figure.")
    ] = "png",
    flanks: ModelFlanksOption = None,
    window: WindowOption = None,
    column: SequenceColumnOption = None,
    iupac: IupacOption = "error",
    digits: DigitsOption = "rounded",
    batch_size: BatchSizeOption = 256,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "fp32",
    overwrite: OverwriteOption = False,
) -> None:
    """Find archetypes of evolvability: extreme promoters of which the others are mixtures.

    Writes archetypes.tsv (weights of the archetypes, and a position on a plane, for each promoter),
    archetype_vectors.tsv (the sorted changes of expression of each archetype) and a figure.
    Archetype 1 has the smallest changes.

    Example: `crmnet evolve archetypes yeast-fast promoters.fasta --medium complex -o archetypes`
    """
    from crmnet.data.reading import check_not_a_sequence
    from crmnet.design.archetype_tables import (
        PICTURE,
        TABLE,
        VECTORS,
        ArchetypeOptions,
        write_archetypes,
    )
    from crmnet.design.evolve import check_epsilon
    from crmnet.design.neighbours import Reading, read_in_chunks
    from crmnet.files import replacing
    from crmnet.prediction.predictor import Predictor

    check_not_a_sequence(file)
    check_epsilon(epsilon)
    columns = sequence_columns(column, ("id", "sequence"))
    names = (TABLE, VECTORS, *[f"{PICTURE}.{kind}" for kind in get_args(choices.PictureFormat)])
    check_folder(output, names, [file, model], overwrite)
    predictor = Predictor.load(model, device=device, batch_size=batch_size, precision=precision)
    reading = Reading(flanks_for(predictor, flanks), window, columns, iupac)
    with replacing(output, names), _progress("promoters") as progress:
        found = write_archetypes(
            predictor, read_in_chunks(predictor, file, reading), output,
            ArchetypeOptions(medium, k, epsilon, seed), picture=format, digits=digits,
            progress=progress,
        )  # fmt: skip
    for line in (*found.preparation.messages(predictor.length), *_archetype_lines(found)):
        print(line, file=sys.stderr)
    print(f"written: {output}/{TABLE}, {VECTORS}, {PICTURE}.{format}")


def _archetype_lines(found: Found) -> Iterator[str]:
    result = found.archetypes
    k = len(result.vectors)
    yield (f"{k} archetype{'s' * (k > 1)} explain {100 * result.explained:.1f} % of the variance "
           f"of {len(result.ids):,} evolvability vectors")  # fmt: skip
    if found.left_out:
        yield f"{found.left_out:,} promoters have no known base and are left out"


def _robustness_lines(
    predictor: Predictor, summary: Summary, media: list[str], epsilon: float
) -> Iterator[str]:
    import numpy as np

    yield "only inserts mutate; positions count from 1 on the sequences as given"
    yield f"robustness: share of substitutions that change expression by less than {epsilon:g}"
    for m, medium in enumerate(media):
        known = summary.robustness[:, m][np.isfinite(summary.robustness[:, m])]
        if len(known):
            low, middle, high = np.percentile(known, [5, 50, 95])
            yield (f"{medium}: median robustness {middle:.3f}, 5–95 % {low:.3f} to {high:.3f}, "
                   f"{len(known):,} promoters")  # fmt: skip
    yield from _unit_warnings(predictor, media, epsilon)


def _unit_warnings(predictor: Predictor, media: list[str], epsilon: float) -> Iterator[str]:
    """The default ε is in sorting bins, and says nothing in another unit."""
    from crmnet.data.dataset import BIN_UNIT, UNKNOWN_UNIT

    for medium in media:
        unit = predictor.unit(medium)
        if unit not in (None, UNKNOWN_UNIT, BIN_UNIT) and epsilon == EPSILON:
            yield (f"warning: the default epsilon is in sorting bins, and {medium} is in {unit}; "
                   "choose one for this unit with --epsilon")  # fmt: skip


def _media(predictor: Predictor, medium: list[str] | None) -> list[str]:
    media = list(dict.fromkeys(medium)) if medium else list(predictor.media)
    for name in media:
        predictor.medium_index(name)
    return media


def _check_outputs(
    outputs: list[Path | None], inputs: list[str | Path | None], overwrite: bool
) -> None:
    """Check every output file, and that no two are the same."""
    given = [output for output in outputs if output is not None]
    for output in given:
        check_file(output, inputs, overwrite)
        if given.count(output) > 1:
            raise ValueError(f"{output} is named for two outputs; choose another name for one")


@contextmanager
def _progress(unit: str) -> Iterator[Callable[[int], None]]:
    """A running count on a terminal, and lines of a log elsewhere."""
    from crmnet.design.neighbours import Progress

    with Counter(unit) as counter:
        log = Progress(logging.getLogger("crmnet"), unit)
        yield counter if sys.stderr is not None and sys.stderr.isatty() else log
