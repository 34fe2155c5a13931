"""``crmnet data``: fetch, make, check and divide data sets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from crmnet.cli.options import (
    ColumnOption,
    Counter,
    Flanks,
    FlanksOption,
    Kinship,
    Level,
    LevelOption,
    MaxRejectedOption,
    MismatchOption,
    OverwriteOption,
    WordOption,
    pairs,
)

FromOption = Annotated[
    Path | None,
    typer.Option("--from", metavar="FOLDER", help="Folder that has the files of public data sets."),
]
CacheOption = Annotated[
    Path | None,
    typer.Option(help="Where fetched files are kept; left out, $CRMNET_DATA or the user's cache."),
]


def ingest(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="TSV, CSV or two columns of text, plain, .gz or .zst (- is stdin), or names of "
            "public data sets (`crmnet data list`)."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Data set folder to make.")],
    medium: Annotated[
        list[str] | None,
        typer.Option(
            help="Medium of rows that name none: once for all files, or once for each, in order; "
            "left out, *complex*."
        ),
    ] = None,
    unit: Annotated[
        list[str] | None,
        typer.Option(
            help="Unit of the labels, once for all files or once for each; left out, *sorting bin* "
            "if all labels of a file lie within 0-17, else *unknown*."
        ),
    ] = None,
    column: ColumnOption = None,
    flanks: FlanksOption = Flanks.auto,
    max_rejected: MaxRejectedOption = 0.01,
    folder: FromOption = None,
    cache: CacheOption = None,
    jobs: Annotated[
        int,
        typer.Option(min=1, help="Threads that read and parse, beside the one that writes."),
    ] = 1,
    packed: Annotated[
        bool, typer.Option("--packed", help="Keep two bits a base: a quarter of the size on disk.")
    ] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Turn raw rows of sequence and expression into a data set.

    Columns are found by the header's names, in any order; without a header the first is the
    sequence and the second the expression. Every row that is not taken is counted by reason and
    listed with file and line in rejected.tsv. Public data sets bring medium, unit and columns.

    Examples: `crmnet data ingest rows.tsv.gz -o my-data` ·
    `crmnet data ingest random-complex --from downloads -o test` ·
    `crmnet data ingest ypd.csv sc.csv --medium complex --medium defined -o both`
    """
    from crmnet.data.ingest import IngestOptions
    from crmnet.data.ingest import ingest as run_ingest
    from crmnet.data.opening import is_known, public_source
    from crmnet.data.rejections import rejection_summary

    options = IngestOptions(
        media=medium or ["complex"],
        units=unit or (),
        columns=pairs(column, "--column"),
        flanks=flanks.value,
        max_rejected=max_rejected,
        overwrite=overwrite,
        packed=packed,
        jobs=jobs,
    )
    sources = [
        public_source(str(file), cache=cache, folder=folder) if is_known(file) else file
        for file in files
    ]
    with Counter("rows") as counter:
        dataset = run_ingest(sources, output, options, counter)
    for line in rejection_summary(dataset.manifest):
        print(line)
    for name, found in dataset.manifest["media"].items():
        print(
            f"{name}: {found['rows']:,} rows, expression {found['mean']:.2f} ± {found['sd']:.2f} "
            f"({found['unit']})"
        )
    if not medium and not any(is_known(file) for file in files) and dataset.media == ["complex"]:
        print(
            "rows that name no medium are taken as complex (--medium says otherwise)",
            file=sys.stderr,
        )
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
    from crmnet.simulation.assay import AssayOptions
    from crmnet.simulation.assay import simulate as run_simulation

    options = AssayOptions(n, seed, native_share, cells, sites)
    with Counter("promoters") as counter:
        dataset = run_simulation(options, output, overwrite=overwrite, progress=counter)
    print(f"{len(dataset):,} promoters in {', '.join(dataset.media)} medium")
    print(f"data set: {output}   truth: {output / 'truth'}")


def split(
    dataset: Annotated[Path, typer.Argument(help="Data set to divide.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Data set to train on, to make.")],
    held_out: Annotated[Path | None, typer.Option(help="Data set held out, to make.")] = None,
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
    without: Annotated[
        list[Path] | None,
        typer.Option(help="Leave out rows that this data set or file shares; can be repeated."),
    ] = None,
    level: LevelOption = Level.near,
    mismatches: MismatchOption = 3,
    overwrite: OverwriteOption = False,
) -> None:
    """Divide a data set into one to train on and one held out; no family is on both sides.

    Both parts carry the families that were found, so that training and evaluation go by them too.
    Without `--held-out` nothing is held out: with `--without` all rows that a test set does not
    share are kept.

    Examples: `crmnet data split my-data -o my-train --held-out my-test --by homology` ·
    `crmnet data split my-data -o my-train --without Random_complex.csv --level words`
    """
    if held_out is None and not without:
        raise ValueError("name what to divide off: --held-out DATASET, or --without DATASET")
    import numpy as np

    from crmnet.data.dataset import Dataset
    from crmnet.data.homology import WordOptions
    from crmnet.data.leaks import find_leaks
    from crmnet.data.opening import opened
    from crmnet.data.subset import SplitOptions
    from crmnet.data.subset import split as run_split

    rows, words = Dataset.open(dataset), WordOptions(k)
    keep = np.ones(len(rows), dtype=bool)
    for path in without or []:
        with opened(path) as others:
            leaking = find_leaks(rows, others, mismatches, words).rows(level.value)
        print(f"{leaking.sum():,} rows are shared with {path} ({level.value}) and left out")
        keep &= ~leaking
    options = SplitOptions(fraction, by.value, seed, words, overwrite)
    parts = run_split(rows, output, held_out, options, keep=np.nonzero(keep)[0])
    for part in parts:
        assert part.family is not None
        print(f"{part.path}: {len(part):,} rows, {len(np.unique(part.family)):,} families")


def check(
    dataset: Annotated[Path, typer.Argument(help="Data set, or a file that could be one.")],
    against: Annotated[
        Path | None, typer.Option(help="Data set or file that it must share nothing with.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for check.json and check.png.")
    ] = None,
    by: Annotated[
        Kinship | None,
        typer.Option(
            help="What makes a family; left out, *homology*, above 4 million rows *sequence*."
        ),
    ] = None,
    k: WordOption = 20,
    mismatches: MismatchOption = 3,
    fail_on_leak: Annotated[
        bool, typer.Option("--fail-on-leak", help="End with status 1 if rows are shared.")
    ] = False,
    level: LevelOption = Level.near,
    medium: Annotated[str, typer.Option(help="Medium of files that name none.")] = "complex",
    column: ColumnOption = None,
    max_rejected: MaxRejectedOption = 0.01,
) -> None:
    """Look into a data set, and for what it shares with another.

    Lengths, labels, adapters, bases by position, copies, families; and with `--against` the
    inserts that both hold, on either strand: the same, a few bases apart, or with a word of `--k`
    bases in common.

    Examples: `crmnet data check my-data -o checked` ·
    `crmnet data check my-train --against my-test --fail-on-leak`
    """
    if fail_on_leak and against is None:
        raise ValueError("--fail-on-leak needs --against DATASET")
    from crmnet.data.check import check as run_check
    from crmnet.data.homology import WordOptions
    from crmnet.data.ingest import IngestOptions
    from crmnet.data.leaks import find_leaks
    from crmnet.data.opening import opened

    options = IngestOptions(
        media=(medium,), columns=pairs(column, "--column"), max_rejected=max_rejected
    )
    words = WordOptions(k)
    leaks = None
    with opened(dataset, options) as rows:
        checked = run_check(rows, by.value if by else None, words)
        print("\n".join(checked.lines()))
        if against is not None:
            with opened(against, options) as others:
                leaks = find_leaks(rows, others, mismatches, words)
                print("\n".join(leaks.lines(others.name)))
    if output is not None:
        from crmnet.reports.dataset_page import write_check

        write_check(output, checked, leaks)
        print(f"written: {output}/check.json, check.png")
    if fail_on_leak and leaks is not None and leaks.rows(level.value).any():
        print(f"leak: {dataset} shares rows with {against}", file=sys.stderr)
        raise typer.Exit(1)


def list_known(cache: CacheOption = None) -> None:
    """List the public data sets that can be fetched, ingested and evaluated by name.

    Example: `crmnet data list`
    """
    from crmnet.data.fetch import cache_folder, cached
    from crmnet.data.registry import cards

    head = ("name", "rows", "medium", "size", "licence", "cached", "what it is, and its source")
    rows = [head]
    for card in cards().values():
        rows.append(
            (
                card.name,
                f"{card.rows:,}" if card.rows else "",
                card.medium if card.holds_rows else card.kind,
                size_text(card.bytes),
                card.origin.licence,
                "yes" if cached(card, cache) else "no",
                f"{card.about} [{card.origin.citation}]",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    print(f"cache: {cache_folder(cache)}")


def size_text(size: int | None) -> str:
    """Bytes as a person writes them; nothing where the size is not known."""
    if size is None:
        return ""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


def fetch(
    names: Annotated[list[str], typer.Argument(help="Names of `crmnet data list`.")],
    cache: CacheOption = None,
    folder: FromOption = None,
) -> None:
    """Download public data sets, check them, and keep them for use by name.

    A download that broke off goes on where it stopped. Checksums are those of the card, or, for
    Zenodo, of the record itself, which are kept in lock.json beside the files. Only this command
    uses the network.

    Examples: `crmnet data fetch random-complex native-complex` ·
    `crmnet data fetch complex-train --cache /data/crmnet`
    """
    from crmnet.data.fetch import fetch as run_fetch
    from crmnet.data.registry import find

    for card in [find(name) for name in names]:
        with Counter("bytes") as counter:
            files = run_fetch(
                card, cache, folder=folder, progress=lambda _name, done, _total: counter(done)
            )
        for file in files:
            print(f"{card.name}: {file} ({size_text(file.stat().st_size)})")
        print(f"    {card.origin.citation}; licence: {card.origin.licence}")
