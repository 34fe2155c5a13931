"""``crmnet motifs discover``, ``scan`` and ``match``.

They call :mod:`crmnet.interpretation.discovery`, :mod:`crmnet.motifs.scan` and
:mod:`crmnet.motifs.match`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crmnet.choices import Engine
from crmnet.cli.options import (
    DigitsOption,
    FlanksOption,
    IupacOption,
    OverwriteOption,
    SequenceColumnOption,
    check_file,
    check_folder,
    sequence_columns,
)

if TYPE_CHECKING:
    from crmnet.motifs.pwm import Motif

MotifsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Motifs, as MEME, JASPAR, HOMER or TRANSFAC file, plain, .gz or .zst; - is stdin. "
        "Default: JASPAR CORE of *S. cerevisiae*.",
    ),
]
SHOWN = 5
"""Number of motifs that a message names."""


def discover(
    file: Annotated[Path, typer.Argument(help="Table with columns of sequence and expression.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for motifs and tables.")],
    n: Annotated[
        int | None,
        typer.Option(
            "-n",
            min=20,
            help="Sequences at each end of expression. Default: 2,000, or half of the families if "
            "these are fewer.",
        ),
    ] = None,
    attributions: Annotated[
        Path | None,
        typer.Option(
            help="attributions.npz of crmnet explain: also find motifs that the model uses."
        ),
    ] = None,
    engine: Annotated[
        Engine,
        typer.Option(
            help="Program that searches. *streme* and *meme*, from the MEME suite, compare high "
            "with low promoters; *modisco* searches the attributions and needs "
            "`pip install 'crmnet[modisco]'`."
        ),
    ] = "own",
    motifs: MotifsOption = None,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Compare sequences by expression only, at any composition."),
    ] = False,
    q_value: Annotated[float, typer.Option(help="False discovery rate of the motifs.")] = 0.05,
    seed: Annotated[int, typer.Option(min=0, help="Seed of held-out sequences and ties.")] = 0,
    flanks: FlanksOption = "auto",
    column: SequenceColumnOption = None,
    iupac: IupacOption = "error",
    digits: DigitsOption = "rounded",
    overwrite: OverwriteOption = False,
) -> None:
    """Find motifs that distinguish high from low promoters, and name them.

    Compares high with low promoters (ids D1, …), and searches along the complete ranking (ids R1,
    …), which confirms motifs of the first search. Both compare promoters of equal composition and
    count each family once. Writes motifs.meme, motifs.tsv and motifs.png.

    Example: `crmnet motifs discover train.tsv.gz -n 2000 -o motifs`
    """
    names = ("motifs.meme", "motifs.tsv", "motifs.png")
    check_folder(output, names, [file, attributions, motifs], overwrite)
    from crmnet.files import replacing
    from crmnet.interpretation.discovery import DiscoverySources, discover_motifs
    from crmnet.motifs.discover import DiscoverOptions

    _check_stdin_once(file, motifs)
    columns = sequence_columns(column)
    options = DiscoverOptions(n=n, match_composition=not plain, q_value=q_value, seed=seed)
    sources = DiscoverySources(attributions, _named(motifs), engine)
    with replacing(output, names):
        summary_lines = discover_motifs(
            file,
            output,
            options,
            sources,
            flanks=flanks,
            columns=columns,
            iupac=iupac,
            digits=digits,
        )
    print("\n".join(summary_lines))
    picture = ", motifs.png" * (output / "motifs.png").exists()
    print(f"written: {output}/motifs.meme, motifs.tsv{picture}")


def scan(
    file: Annotated[
        Path, typer.Argument(help="FASTA, TSV, CSV or one sequence per line; - is stdin.")
    ],
    motifs: MotifsOption = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="TSV, or CSV or Parquet by suffix; - is stdout.")
    ] = Path("-"),
    p_value: Annotated[float, typer.Option(help="Highest p-value of a site.")] = 1e-4,
    q_value: Annotated[float, typer.Option(help="Highest q-value of a site.")] = 1.0,
    flanks: FlanksOption = "none",
    column: SequenceColumnOption = None,
    iupac: IupacOption = "error",
    digits: DigitsOption = "rounded",
    overwrite: OverwriteOption = False,
) -> None:
    """Find the sites of motifs on both strands, with exact p-values and q-values.

    Sequences may be of any length, chromosomes included. Positions count from 1 on the given
    sequence, also if adapters are added; end is the last base of the site. The column
    reaches_adapter marks sites that continue in an added adapter.

    Example: `crmnet motifs scan promoters.fasta --motifs motifs.meme -o sites.tsv`
    """
    if not 0 < q_value <= 1:
        raise ValueError(f"--q-value must be above 0 and at most 1; got {q_value:g}")
    check_file(output, [file, motifs], overwrite)
    from crmnet.cli.options import exit_on_closed_pipe
    from crmnet.motifs.scan import ScanOptions, scan_file
    from crmnet.reports.sites import POSITIONS, write_sites
    from crmnet.reports.tables import table_kind

    table_kind(output)  # an unknown suffix is an error before the work, not after it
    _check_stdin_once(file, motifs)
    columns = sequence_columns(column, ("id", "sequence"))
    searched, options = _named(motifs), ScanOptions(p_value=p_value)
    try:
        ids, hits, reaches, added, best_p = scan_file(
            file, searched, options, flanks, columns=columns, iupac=iupac
        )
    except ValueError as error:
        if _holds_motifs(file):
            raise ValueError(
                f"{file} holds motifs; write crmnet motifs scan SEQUENCES --motifs {file}"
            ) from error
        raise
    _report_motifs_without_sites(
        [m.id for m, p in zip(searched, best_p, strict=True) if p > p_value], p_value
    )
    if added:
        print(f"added adapters to {added:,} of {len(ids):,} sequences", file=sys.stderr)
    print(POSITIONS, file=sys.stderr)
    is_reported = hits.q <= q_value
    more = {} if flanks == "none" else {"reaches_adapter": reaches[is_reported]}
    with exit_on_closed_pipe():
        write_sites(output, ids, searched, hits.select(is_reported), more, digits)


def match(
    file: Annotated[
        Path,
        typer.Argument(
            help="Motifs to name: MEME, JASPAR, HOMER or TRANSFAC file, plain, .gz or .zst; - is "
            "stdin."
        ),
    ],
    motifs: MotifsOption = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="TSV, or CSV or Parquet by suffix; - is stdout.")
    ] = Path("-"),
    best: Annotated[int, typer.Option(min=1, help="Matches listed per motif.")] = 3,
    digits: DigitsOption = "rounded",
    overwrite: OverwriteOption = False,
) -> None:
    """Name motifs after the nearest known ones, with p-, E- and q-values as in TOMTOM.

    The column name has the name for the motif: that of the match, with a question mark if it is
    uncertain (p of 0.001 or more), or *poly-A/T* or *TATA box*. The column target_name has the name
    of the match.

    Example: `crmnet motifs match motifs.meme --best 1`
    """
    check_file(output, [file, motifs], overwrite)
    import numpy as np

    from crmnet.cli.options import exit_on_closed_pipe
    from crmnet.motifs.formats import read_motifs
    from crmnet.motifs.match import MIN_INFORMATION, call
    from crmnet.motifs.match import match as match_motifs
    from crmnet.reports.tables import TableWriter, for_reading

    _check_stdin_once(file, motifs)
    queries, targets = read_motifs(file), _named(motifs)
    matches = match_motifs(queries, targets)
    flat = [query.id for query in queries if query.information.sum() < MIN_INFORMATION]
    if flat:
        print(f"{_first_ids(flat)}: less than {MIN_INFORMATION:g} bit of information in all "
              "columns, so no name (p 1)", file=sys.stderr)  # fmt: skip
    numbers = list(matches._fields)
    columns = ["motif", "target", "name", "target_name", *numbers]
    with exit_on_closed_pipe(), TableWriter(output, columns) as table:
        for row, query in enumerate(queries):
            order = np.argsort(matches.p[row], kind="stable")[:best]
            names = [call(query, targets[i], float(matches.p[row, i])) for i in order]
            block = {
                "motif": [query.id] * len(order),
                "target": [targets[i].id for i in order],
                "name": names,
                "target_name": [targets[i].name for i in order],
                **{key: value[row, order] for key, value in matches._asdict().items()},
            }
            table.write(for_reading(block, output, digits, ("p", "e", "q")))


def _named(path: Path | None) -> list[Motif]:
    from crmnet.motifs.formats import read_motifs
    from crmnet.motifs.jaspar import yeast_motifs

    return list(yeast_motifs()) if path is None else read_motifs(path)


def _check_stdin_once(file: Path, motifs: Path | None) -> None:
    if str(file) == str(motifs) == "-":
        raise ValueError("both files are - and stdin can be read only once; name a file for one")


def _report_motifs_without_sites(ids: list[str], p_value: float) -> None:
    """Report motifs that cannot have a site: no sequence of bases scores high enough."""
    if ids:
        print(f"{_first_ids(ids)}: too short or too weak for a site of p {p_value:g} or less; "
              "choose a larger --p-value to find any", file=sys.stderr)  # fmt: skip


def _first_ids(ids: list[str]) -> str:
    """The first few ids, and the number of the others."""
    more = f" and {len(ids) - SHOWN:,} more" if len(ids) > SHOWN else ""
    return ", ".join(ids[:SHOWN]) + more


def _holds_motifs(file: Path) -> bool:
    if not file.is_file():
        return False
    try:
        return bool(_named(file))
    except ValueError:
        return False
