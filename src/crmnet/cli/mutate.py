"""``crmnet mutate``: effects of variants, in given sequences or in a genome.

Calls :mod:`crmnet.design.mutate_file` or :mod:`crmnet.design.vcf_effects`, writes the table, and
saves figures by :mod:`crmnet.design.mutate_figures`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crmnet import choices
from crmnet.cli.options import (
    BatchSizeOption,
    Counter,
    DeviceOption,
    DigitsOption,
    IdOption,
    IupacOption,
    MediaOption,
    ModelFlanksOption,
    OverwriteOption,
    check_file,
    check_stdin_once,
    exit_on_closed_pipe,
    flanks_for,
    sequence_columns,
)

if TYPE_CHECKING:
    from crmnet.design.effects import Scorer
    from crmnet.design.mutate_file import Request
    from crmnet.design.vcf_effects import Place, VcfCounts


def _explain_flags(requested: bool) -> None:
    if requested:
        from crmnet.design.effects import FLAGS
        from crmnet.statistics.uncertainty import FLAGS as UNLIKE

        for flag, sentence in {**FLAGS, **UNLIKE}.items():
            print(f"{flag}: {sentence}")
        raise typer.Exit


def mutate(
    model: Annotated[
        str, typer.Argument(help="Run folder, packed file, or name of a bundled model.")
    ],
    file: Annotated[
        Path | None,
        typer.Argument(
            help="FASTA, TSV, CSV or one sequence per line; - is stdin. Not with --vcf."
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="TSV, or CSV or Parquet by suffix; - is stdout."),
    ] = Path("-"),
    change: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VARIANT",
            help="A variant of every sequence: '35A>G' (quoted for the shell), 35insACG (after "
            "base 35) or 35_38del; changes that occur together are joined by +. Positions count "
            "from 1 on the sequence as given. May be repeated. Default: the variants in the column "
            "*variant*.",
        ),
    ] = None,
    saturate: Annotated[
        bool, typer.Option("--saturate", help="All substitutions of the insert: 240 for 80 bases.")
    ] = False,
    deletions: Annotated[
        int | None,
        typer.Option(metavar="W", help="Deletions of W bases along the insert."),
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(help="With --deletions, bases from one deletion to the next. Default: W."),
    ] = None,
    pairs: Annotated[
        bool,
        typer.Option(
            "--pairs", help="All pairs of substitutions and their epistasis: 28,440 for 80 bases."
        ),
    ] = False,
    vcf: Annotated[
        Path | None,
        typer.Option(
            help="Variants of a genome: VCF, plain, .gz or .zst; - is stdin. Needs --genome."
        ),
    ] = None,
    genome: Annotated[
        Path | None, typer.Option(help="FASTA of the genome, plain, .gz or .zst.")
    ] = None,
    promoters: Annotated[
        Path | None,
        typer.Option(
            metavar="BED",
            help="Promoters with strand; variants outside them are counted, not predicted.",
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            metavar="WIDTH",
            help="Bases of windows around a variant, without --promoters or where a promoter is "
            "too long for the network. Default: 80.",
        ),
    ] = None,
    offsets: Annotated[
        str | None,
        typer.Option(
            help="Positions of the variant in these windows, from 1; numbers are means over the "
            "windows. Default: 15,40,65."
        ),
    ] = None,
    strand: Annotated[
        choices.Strand | None,
        typer.Option(help="Strand of the windows without --promoters. Default: +."),
    ] = None,
    medium: MediaOption = None,
    sites: Annotated[
        bool, typer.Option("--sites/--no-sites", help="Name the sites gained and lost.")
    ] = True,
    motifs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Motifs of these sites, as MEME, JASPAR, HOMER or TRANSFAC file. Default: JASPAR "
            "CORE of *S. cerevisiae*.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="PNG, SVG or PDF: heat map (--saturate), track (--deletions) or epistasis map "
            "(--pairs) of the first sequences."
        ),
    ] = None,
    matrix: Annotated[
        Path | None,
        typer.Option(metavar="NPZ", help="With --pairs, the epistasis of all pairs as matrices."),
    ] = None,
    only: IdOption = None,
    flanks: ModelFlanksOption = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=NAME",
            help="Name of a column of a table: id=, sequence= or variant=NAME. May be given again.",
        ),
    ] = None,
    iupac: IupacOption = "error",
    digits: DigitsOption = "rounded",
    batch_size: BatchSizeOption = 256,
    device: DeviceOption = "auto",
    explain_flags: Annotated[
        bool,
        typer.Option(
            "--explain-flags",
            callback=_explain_flags,
            is_eager=True,
            help="Explain each word of the column flags and exit.",
        ),
    ] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Predict the effects of variants: expression of reference and variant, and their difference.

    Writes id, variant (positions count from 1 on the sequence as given) and context; for each
    medium expression_reference, expression_variant, delta, delta_low and delta_high (interval of
    the difference) and delta_percentile (of |delta| among random substitutions); sites_gained,
    sites_lost and flags. Reference and variant always have the same context.

    Examples: `crmnet mutate yeast promoters.fasta --change '35A>G' --change 35_38del` ·
    `crmnet mutate yeast promoters.fasta --saturate --plot map.png -o effects.tsv` ·
    `crmnet mutate yeast --vcf variants.vcf.gz --genome genome.fa.gz --promoters promoters.bed`
    """
    columns = sequence_columns(column, ("id", "sequence", "variant"))
    _check_mode(
        {"--change": change, "--saturate": saturate, "--deletions": deletions, "--pairs": pairs,
         "--vcf": vcf}, file,
    )  # fmt: skip
    in_genome = {"--genome": genome, "--promoters": promoters, "--window": window,
                 "--offsets": offsets, "--strand": strand}  # fmt: skip
    _check_genome(vcf, in_genome)
    of_file = {
        "--flanks": flanks is not None,
        "--column": bool(column),
        "--iupac": iupac != "error",
    }
    if vcf is not None and (given := [name for name, is_used in of_file.items() if is_used]):
        raise ValueError(
            f"{given[0]} is for a file of sequences; leave it out: windows of a genome always have "
            "both adapters, and its IUPAC letters are read as N"
        )
    if only and file is None:
        raise ValueError("--id chooses sequences of a file; a VCF names its variants")
    _check_combinations(
        columns, change, pairs=pairs, saturate=saturate, deletions=deletions, step=step, plot=plot,
        matrix=matrix,
    )  # fmt: skip
    inputs = [model, file, vcf, genome, promoters, motifs]
    check_stdin_once([file, vcf, genome, promoters, motifs])
    for path in (output, plot, matrix):
        check_file(path, inputs, overwrite)
    _check_distinct([output, plot, matrix])
    from crmnet.data.reading import check_readable
    from crmnet.design.effects import MutateOptions, Scorer
    from crmnet.design.oracle import Oracle
    from crmnet.motifs.formats import read_motifs
    from crmnet.prediction.predictor import Predictor
    from crmnet.prediction.profile import check_picture

    if plot is not None:
        check_picture(plot)
    if matrix is not None and matrix.suffix != ".npz":
        raise ValueError(f"{matrix}: matrices are written as .npz; choose a name with this suffix")
    if file is not None:
        check_readable(file)
    predictor = Predictor.load(model, device=device, batch_size=batch_size)
    options = MutateOptions(sites, tuple(read_motifs(motifs)) if motifs else None)
    scorer = Scorer(Oracle(predictor, medium), options)
    if file is not None:
        from crmnet.design.mutate_file import Request

        request = Request(
            tuple(change or ()), saturate, deletions, step, pairs, columns,
            flanks_for(predictor, flanks), iupac, tuple(only or ()),
        )  # fmt: skip
        messages = _of_file(scorer, file, request, output, digits, plot=plot, matrix=matrix)
    else:
        messages = _of_genome(scorer, _place(predictor, in_genome), vcf, output, digits)
    for line in [*messages, *_column_notes(scorer)]:
        print(line, file=sys.stderr)


def _check_mode(modes: dict[str, Any], file: Path | None) -> None:
    """Check that the options ask for one kind of variants, and that there is an input for it."""
    given = [name for name, value in modes.items() if value]
    if len(given) > 1:
        raise ValueError(f"{given[0]} and {given[1]} are different tasks; give one of them")
    if given == ["--vcf"]:
        if file is not None:
            raise ValueError(f"--vcf takes its sequences from --genome; leave out the file {file}")
    elif file is None:
        raise ValueError("give a file of sequences, or - for standard input, or --vcf")


def _check_genome(vcf: Path | None, options: dict[str, Any]) -> None:
    given = [name for name, value in options.items() if value is not None]
    if vcf is None:
        if given:
            raise ValueError(f"{given[0]} is for variants of a genome; give --vcf as well")
        return
    if "--genome" not in given:
        raise ValueError("--vcf needs the genome on which the variants were called: --genome FASTA")
    if not {"--promoters", "--window", "--offsets"} & set(given):
        raise ValueError("give --promoters BED, or --window 80 for windows around each variant")
    if {"--promoters", "--strand"} <= set(given):
        raise ValueError("--promoters gives the strands; leave out --strand")


def _check_combinations(
    columns: dict[str, str],
    change: list[str] | None,
    *,
    pairs: bool,
    saturate: bool,
    deletions: int | None,
    step: int | None,
    plot: Path | None,
    matrix: Path | None,
) -> None:
    if step is not None and deletions is None:
        raise ValueError("--step is for --deletions; give that as well")
    if matrix is not None and not pairs:
        raise ValueError("--matrix holds the epistasis of --pairs; give that as well")
    if plot is not None and not (pairs or saturate or deletions):
        raise ValueError("--plot draws --saturate, --deletions or --pairs; give one of them")
    if "variant" in columns and (pairs or saturate or deletions or change):
        raise ValueError(
            "--column variant= names the variants; leave it out, or the other option that does"
        )


def _check_distinct(outputs: list[Path | None]) -> None:
    named = [path for path in outputs if path is not None and str(path) != "-"]
    for number, path in enumerate(named):
        if path in named[:number]:
            raise ValueError(f"{path} is named as two outputs; give each its own name")


def _place(predictor: Any, options: dict[str, Any]) -> Place:
    """The genome, its promoters, and how windows are chosen."""
    from crmnet import sequence
    from crmnet.design.genome import Genome, read_regions
    from crmnet.design.vcf_effects import Place
    from crmnet.design.windows import OFFSETS, WindowOptions

    longest = predictor.length - len(sequence.ADAPTER_5) - len(sequence.ADAPTER_3)
    offsets = _offsets(options["--offsets"]) if options["--offsets"] else OFFSETS
    width = options["--window"] or min(sequence.INSERT, longest)
    windows = WindowOptions(width, offsets, options["--strand"] or "+", longest)
    genome = Genome.read(options["--genome"])
    promoters = options["--promoters"]
    return Place(genome, read_regions(promoters, genome) if promoters else None, windows)


def _offsets(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise ValueError(f"--offsets takes positions such as 15,40,65; got {text!r}") from None


def _of_file(
    scorer: Scorer,
    file: Path,
    request: Request,
    output: Path,
    digits: choices.Digits,
    *,
    plot: Path | None,
    matrix: Path | None,
) -> list[str]:
    """Write the variants of a file's sequences; returns what to report."""
    from crmnet.design.epistasis import pair_column_names
    from crmnet.design.mutate import column_names
    from crmnet.design.mutate_file import FileCounts, file_blocks
    from crmnet.design.mutate_pictures import Pictures
    from crmnet.reports.tables import TableWriter, for_reading

    media = scorer.oracle.reported
    names = pair_column_names(media) if request.pairs else column_names(media)
    counts, total = FileCounts(), 0
    pictures = Pictures(plot, matrix, media, deletions=request.deletions is not None)
    with exit_on_closed_pipe(), Counter("variants") as counter, TableWriter(output, names) as table:
        for block in file_blocks(scorer, file, request, counts):
            columns = block.found.columns()
            table.write(for_reading(columns, output, digits))
            total += len(columns["id"])
            pictures.add(block)
            counter(total)
    predictor = scorer.oracle.predictor
    assert predictor is not None
    positions = "variant: positions count from 1 on the sequence as given"
    return [*counts.messages(predictor.length), *pictures.save(), positions]


def _of_genome(
    scorer: Scorer, place: Place, vcf: Path | None, output: Path, digits: choices.Digits
) -> list[str]:
    """Write the variants of a VCF; returns what to report."""
    from crmnet.design.mutate import column_names
    from crmnet.design.vcf_effects import MORE_COLUMNS, VcfCounts, vcf_blocks
    from crmnet.reports.tables import TableWriter, for_reading

    assert vcf is not None
    counts, rows = VcfCounts(), 0
    names = column_names(scorer.oracle.reported, MORE_COLUMNS)
    with exit_on_closed_pipe(), Counter("variants") as counter, TableWriter(output, names) as table:
        for found in vcf_blocks(scorer, vcf, place, counts):
            table.write(for_reading(found.columns(), output, digits))
            rows += len(found)
            counter(rows)
    return list(_vcf_notes(place, counts, rows))


def _vcf_notes(place: Place, counts: VcfCounts, rows: int) -> Iterator[str]:
    yield (f"{counts.records:,} records with {counts.alternatives:,} alternatives; {rows:,} rows")
    if place.promoters is not None:
        yield f"{counts.outside:,} alternatives change none of the promoters and have no row"
        if place.promoters.without_strand:
            yield (
                f"{place.promoters.without_strand:,} promoters have no strand; they are read on +"
            )
    if counts.without_sequence:
        kinds = ", ".join(f"{many:,} {kind}" for kind, many in counts.without_sequence.items())
        yield f"alternatives without a sequence, whose rows have no numbers: {kinds}"
    if names := place.genome.translated:
        shown = ", ".join(f"{name} is {contig}" for name, contig in list(names.items())[:3])
        yield f"contig names: {shown}{', …' * (len(names) > 3)}"
    yield "variant: contig, position from 1, REF and ALT as in the VCF"


def _column_notes(scorer: Scorer) -> Iterator[str]:
    """Meaning of the columns: unit, interval, percentile."""
    from crmnet.prediction.table import unit_lines

    oracle = scorer.oracle
    predictor, known = oracle.predictor, oracle.differences
    assert predictor is not None
    for line in unit_lines(predictor, oracle.reported):
        if line.startswith("expression_"):
            yield line
    yield "delta: variant minus reference"
    missing = [m for m in oracle.reported if known is None or m not in known.intervals]
    if known is not None and len(missing) < len(oracle.reported):
        yield f"delta_low, delta_high: {100 * known.level:.0f} % interval of a measured difference"
    if missing:
        where = "" if len(missing) == len(oracle.reported) else f" in {', '.join(missing)}"
        yield (
            f"delta_low, delta_high are empty{where}: the model has no intervals of differences; "
            "crmnet models calibrate adds them"
        )
    random = known.random_data if known is not None and known.random else None
    options = scorer.options.random
    many = random["promoters"] * random["variants"] if random else (
        options.promoters * options.variants
    )  # fmt: skip
    yield f"delta_percentile: of |delta| among {many:,} random substitutions of random promoters"
