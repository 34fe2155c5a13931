"""``crmnet motifs discover``, ``scan`` and ``match``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crmnet.choices import Engine
from crmnet.cli.options import FlanksOption, OverwriteOption, check_file, check_folder

DatabaseOption = Annotated[
    Path | None,
    typer.Option(help="MEME or JASPAR file. Default: JASPAR CORE of *S. cerevisiae*."),
]


def discover(
    file: Annotated[Path, typer.Argument(help="Table with columns of sequence and expression.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for motifs and tables.")],
    n: Annotated[
        int, typer.Option("-n", min=20, help="Sequences at each end of expression.")
    ] = 2000,
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
    database: DatabaseOption = None,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Take the ends of expression, without matching composition."),
    ] = False,
    q_value: Annotated[float, typer.Option(help="False discovery rate of the motifs.")] = 0.05,
    seed: Annotated[int, typer.Option(min=0, help="Seed that chooses the held-out sequences.")] = 0,
    flanks: FlanksOption = "auto",
    overwrite: OverwriteOption = False,
) -> None:
    """Find motifs that distinguish high from low promoters, and name them.

    Compares high with low promoters (D) and confirms by a search along the complete ranking (R);
    both at equal composition, with each family counted once. Writes motifs.meme, motifs.tsv and
    motifs.png.

    Example: `crmnet motifs discover train.tsv.gz -n 2000 -o motifs`
    """
    names = ("motifs.meme", "motifs.tsv", "motifs.png")
    check_folder(output, names, [file, attributions, database], overwrite)
    from crmnet.interpretation.discovery import DiscoverySources, discover_motifs
    from crmnet.motifs.discover import DiscoverOptions

    options = DiscoverOptions(n=n, match_composition=not plain, q_value=q_value, seed=seed)
    sources = DiscoverySources(attributions, _named(database), engine)
    print("\n".join(discover_motifs(file, output, options, sources, flanks=flanks)))
    print(f"written: {output}/motifs.meme, motifs.tsv, motifs.png")


def scan(
    motifs: Annotated[
        Path, typer.Argument(help="MEME or JASPAR file; - is JASPAR's yeast motifs.")
    ],
    file: Annotated[Path, typer.Argument(help="FASTA, TSV, CSV or one sequence per line.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="TSV, or CSV or Parquet by suffix; - is stdout.")
    ] = Path("-"),
    p_value: Annotated[float, typer.Option(help="Highest p-value of a site.")] = 1e-4,
    q_value: Annotated[float, typer.Option(help="Highest q-value of a site.")] = 1.0,
    flanks: FlanksOption = "none",
    overwrite: OverwriteOption = False,
) -> None:
    """Find the sites of motifs on both strands, with exact p-values and q-values.

    Positions count from 0 on the given sequence; end is one past the last base.

    Example: `crmnet motifs scan motifs.meme promoters.fasta -o sites.tsv`
    """
    check_file(output, [file, motifs], overwrite)
    from crmnet.cli.options import reader_may_leave
    from crmnet.data.sequences import read_promoters
    from crmnet.motifs.scan import ScanOptions, find_sites
    from crmnet.reports.sites import write_sites

    wanted = _named(None if str(motifs) == "-" else motifs)
    promoters = read_promoters(file, flanks=flanks, length=None)
    hits = find_sites(promoters.tokens, wanted, ScanOptions(p_value=p_value))
    with reader_may_leave():
        write_sites(output, promoters.ids, wanted, hits.select(hits.q <= q_value))


def match(
    motifs: Annotated[Path, typer.Argument(help="MEME or JASPAR file of motifs to name.")],
    database: DatabaseOption = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="TSV, or CSV or Parquet by suffix; - is stdout.")
    ] = Path("-"),
    best: Annotated[int, typer.Option(min=1, help="Matches listed per motif.")] = 3,
    overwrite: OverwriteOption = False,
) -> None:
    """Name motifs after the nearest ones of a database, with p-, E- and q-values as in TOMTOM.

    Example: `crmnet motifs match motifs.meme --best 1`
    """
    check_file(output, [motifs, database], overwrite)
    import numpy as np

    from crmnet.cli.options import reader_may_leave
    from crmnet.motifs.formats import read_motifs
    from crmnet.motifs.match import match as match_motifs
    from crmnet.reports.tables import TableWriter

    queries, targets = read_motifs(motifs), _named(database)
    found = match_motifs(queries, targets)
    columns = ["motif", "target", "name", "p", "e", "q", "offset", "strand", "overlap"]
    with reader_may_leave(), TableWriter(output, columns) as table:
        for row, query in enumerate(queries):
            order = np.argsort(found.p[row], kind="stable")[:best]
            table.write(
                {
                    "motif": [query.id] * len(order),
                    "target": [targets[i].id for i in order],
                    "name": [targets[i].name for i in order],
                    **{key: value[row, order] for key, value in found._asdict().items()},
                }
            )


def _named(path: Path | None):  # type: ignore[no-untyped-def]  # its type is a heavy import
    from crmnet.motifs.formats import read_motifs
    from crmnet.motifs.jaspar import yeast_motifs

    return list(yeast_motifs()) if path is None else read_motifs(path)
