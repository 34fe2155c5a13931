"""``crmnet data``: make data sets, from raw rows or simulated."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crmnet.cli.options import (
    ColumnOption,
    Counter,
    Flanks,
    FlanksOption,
    MaxRejectedOption,
    OverwriteOption,
    pairs,
)

WordOption = Annotated[
    int, typer.Option("--k", min=8, max=31, help="Length of the words that relatives share.")
]


def ingest(
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
    from crmnet.data.ingest import IngestOptions, rejection_summary
    from crmnet.data.ingest import ingest as run_ingest

    options = IngestOptions(
        media=medium or ["complex"],
        columns=pairs(column, "--column"),
        flanks=flanks.value,
        max_rejected=max_rejected,
        overwrite=overwrite,
    )
    with Counter("rows") as counter:
        dataset = run_ingest(files, output, options, counter)
    for line in rejection_summary(dataset.manifest):
        print(line)
    for name, found in dataset.manifest["media"].items():
        print(f"{name}: {found['rows']:,} rows, expression {found['mean']:.2f} ± {found['sd']:.2f}")
    if dataset.manifest["rejected"]:
        print(f"rows not taken are listed in {output / 'rejected.tsv'}")
    print(f"data set: {output}")


def simulate(
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
    from crmnet.simulate import AssayOptions
    from crmnet.simulate import simulate as run_simulation

    options = AssayOptions(n, seed, native_share, cells, sites)
    with Counter("promoters") as counter:
        dataset = run_simulation(options, output, overwrite=overwrite, progress=counter)
    print(f"{len(dataset):,} promoters in {', '.join(dataset.media)} medium")
    print(f"data set: {output}   truth: {output / 'truth'}")


class Kinship(StrEnum):
    """Choices of ``--by``; see :func:`crmnet.data.splits.families`."""

    sequence = "sequence"
    family = "family"
    homology = "homology"


def split(
    dataset: Annotated[Path, typer.Argument(help="Data set to divide.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Data set to train on, to make.")],
    held_out: Annotated[Path, typer.Option(help="Data set held out, to make.")],
    by: Annotated[
        Kinship,
        typer.Option(
            help="What stays together: copies of one *sequence* (either strand, any medium), rows "
            "of one given *family*, or *homology*: inserts that share a word of --k bases."
        ),
    ] = Kinship.homology,
    fraction: Annotated[float, typer.Option(help="Share of families to hold out.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Another seed holds out others.")] = 0,
    k: WordOption = 20,
    overwrite: OverwriteOption = False,
) -> None:
    """Divide a data set into one to train on and one held out; no family is on both sides.

    Both parts carry the families that were found, so that training and evaluation go by them too.

    Example: `crmnet data split my-data -o my-train --held-out my-test --by homology`
    """
    import numpy as np

    from crmnet.data.dataset import Dataset
    from crmnet.data.homology import WordOptions
    from crmnet.data.subset import split as run_split

    parts = run_split(
        Dataset.open(dataset),
        output,
        held_out,
        fraction=fraction,
        by=by.value,
        seed=seed,
        words=WordOptions(k),
        overwrite=overwrite,
    )
    for part in parts:
        assert part.family is not None
        print(f"{part.path}: {len(part):,} rows, {len(np.unique(part.family)):,} families")
