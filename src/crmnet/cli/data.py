"""``crmnet data``: fetch, create, check, split and merge data sets; calls :mod:`crmnet.data`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from crmnet.choices import FamilyRule
from crmnet.cli.options import (
    ColumnOption,
    Counter,
    FlanksOption,
    KmerLengthOption,
    LevelOption,
    MaxRejectedOption,
    MismatchOption,
    OverwriteOption,
    check_folder,
    pairs,
)
from crmnet.files import check_outputs

FromOption = Annotated[
    Path | None,
    typer.Option("--from", metavar="FOLDER", help="Folder with the files of public data sets."),
]
CacheOption = Annotated[
    Path | None,
    typer.Option(help="Folder of fetched files. Default: $CRMNET_DATA, else the user's cache."),
]


def ingest(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="TSV, CSV or two columns of text, plain, .gz or .zst (- is stdin), or names of "
            "public data sets (see `crmnet data list`)."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Data set folder to create.")],
    medium: Annotated[
        list[str] | None,
        typer.Option(
            help="Medium of rows without one: once for all files, or once for each file, in order. "
            "Default: *complex*."
        ),
    ] = None,
    unit: Annotated[
        list[str] | None,
        typer.Option(
            help="Unit of the labels: once for all files, or once for each file, in order. "
            "Default: *sorting bin* if all labels of a file are within 0-17, else *unknown*."
        ),
    ] = None,
    column: ColumnOption = None,
    flanks: FlanksOption = "auto",
    max_rejected: MaxRejectedOption = 0.01,
    folder: FromOption = None,
    cache: CacheOption = None,
    jobs: Annotated[
        int,
        typer.Option(min=1, help="Threads that read and parse, besides the writing thread."),
    ] = 1,
    packed: Annotated[
        bool,
        typer.Option("--packed", help="Store two bits per base: a quarter of the size on disk."),
    ] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Convert raw rows of sequence and expression to a data set.

    Columns are found by their names in the header, in any order. Without a header, the first column
    is the sequence and the second the expression. Rejected rows are counted by reason and listed
    with file and line in rejected.tsv. Public data sets need no medium, unit or columns.

    Examples: `crmnet data ingest rows.tsv.gz -o my-data` ·
    `crmnet data ingest random-complex --from downloads -o test` ·
    `crmnet data ingest ypd.csv sc.csv --medium complex --medium defined -o both`
    """
    from crmnet.data.ingest import IngestOptions
    from crmnet.data.ingest import ingest as run_ingest
    from crmnet.data.opening import is_public_dataset, public_source
    from crmnet.data.rejections import rejection_summary
    from crmnet.sequence import WARNING

    options = IngestOptions(
        media=medium or ["complex"],
        units=unit or (),
        columns=pairs(column, "--column"),
        flanks=flanks,
        max_rejected=max_rejected,
        overwrite=overwrite,
        packed=packed,
        jobs=jobs,
    )
    sources = [
        public_source(str(file), cache=cache, folder=folder) if is_public_dataset(file) else file
        for file in files
    ]
    with Counter("rows") as counter:
        dataset = run_ingest(sources, output, options, counter)
    for line in rejection_summary(dataset.manifest):
        print(line, file=sys.stderr if line.startswith(WARNING) else sys.stdout)
    for name, labels in dataset.manifest["media"].items():
        print(
            f"{name}: {labels['rows']:,} rows, expression {labels['mean']:.2f} ± "
            f"{labels['sd']:.2f} ({_unit_words(labels)})"
        )
    if (
        not medium
        and not any(is_public_dataset(file) for file in files)
        and dataset.media == ["complex"]
    ):
        print(
            "rows without a medium get the medium complex; --medium sets another one",
            file=sys.stderr,
        )
    if dataset.manifest["rejected"]:
        print(f"rejected rows are listed in {output / 'rejected.tsv'}")
    print(
        f"data set: {output}   next, to keep rows for a test: crmnet data split {output} "
        "-o TRAINING --held-out TEST"
    )


def simulate(
    output: Annotated[Path, typer.Option("-o", "--output", help="Data set folder to create.")],
    n: Annotated[int, typer.Option("-n", help="Number of promoters.")] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same assay.")] = 0,
    native_share: Annotated[
        float, typer.Option(help="Share of native-like promoters: AT-rich families of mutants.")
    ] = 0.2,
    cells: Annotated[
        int | None,
        typer.Option(help="Cells per promoter. Default: few for most promoters, many for some."),
    ] = None,
    sites: Annotated[float, typer.Option(help="Mean number of sites planted per promoter.")] = 1.0,
    overwrite: OverwriteOption = False,
) -> None:
    """Simulate a reporter assay with known truth.

    Random and native-like promoters carry sites of 20 yeast factors (JASPAR). A thermodynamic model
    gives their expression in two media; cells are sorted into bins 0–17, with the noise of small
    numbers of cells. The true sites and their effects are written to OUTPUT/truth.

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
    dataset: Annotated[Path, typer.Argument(help="Data set to split.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Training set to create.")],
    held_out: Annotated[Path | None, typer.Option(help="Held-out set to create.")] = None,
    by: Annotated[
        FamilyRule,
        typer.Option(
            help="Which rows stay together: copies of one *sequence* (either strand, any medium), "
            "rows of one *family* in the data, or by *homology*, rows whose inserts share a k-mer "
            "of --k bases."
        ),
    ] = "homology",
    fraction: Annotated[float, typer.Option(help="Share of families to hold out.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Seed that chooses the held-out families.")] = 0,
    k: KmerLengthOption = 20,
    without: Annotated[
        list[Path] | None,
        typer.Option(help="Leave out rows shared with this data set or file; may be repeated."),
    ] = None,
    level: LevelOption = "near",
    mismatches: MismatchOption = 3,
    medium: Annotated[
        list[str] | None, typer.Option(help="Keep only rows of this medium; may be repeated.")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Split a data set into a training set and a held-out set; no family is in both.

    Both parts store the families, so that training and evaluation use them too. Without
    `--held-out` no rows are held out: `--without` then keeps all rows that are not shared with a
    test set, and `--medium` all rows of some media.

    Examples: `crmnet data split my-data -o my-train --held-out my-test --by homology` ·
    `crmnet data split my-data -o my-train --without Random_complex.csv --level words`
    """
    if held_out is None and not without and not medium:
        raise ValueError(
            "nothing to split off; give --held-out DATASET, --without DATASET or --medium NAME"
        )
    check_outputs([output, *filter(None, [held_out])], [dataset, *(without or [])], overwrite)
    import numpy as np

    from crmnet.data.dataset import Dataset
    from crmnet.data.homology import KmerOptions
    from crmnet.data.ingest import IngestOptions
    from crmnet.data.leaks import find_leaks
    from crmnet.data.opening import check_data, flanks_like, open_data
    from crmnet.data.subset import SplitOptions, rows_of_media
    from crmnet.data.subset import split as run_split

    check_data(without or [])

    rows, kmers = Dataset.open(dataset), KmerOptions(k)
    keep = rows_of_media(rows, medium) if medium else np.ones(len(rows), dtype=bool)
    reading = IngestOptions(flanks=flanks_like(dataset), advice=False)
    for path in without or []:
        with open_data(path, reading) as other_set:
            leaking = find_leaks(rows, other_set, mismatches, kmers).rows(level)
        print(f"left out {leaking.sum():,} rows shared with {path} ({level})")
        keep &= ~leaking
    options = SplitOptions(fraction, by, seed, kmers, overwrite)
    datasets = run_split(rows, output, held_out, options, keep=np.nonzero(keep)[0])
    for part_set in datasets:
        assert part_set.family is not None
        print(
            f"{part_set.path}: {len(part_set):,} rows, {len(np.unique(part_set.family)):,} families"
        )


def merge(
    datasets: Annotated[list[Path], typer.Argument(help="Data sets to join, in order.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Data set folder to create.")],
    overwrite: OverwriteOption = False,
) -> None:
    """Join all rows of several data sets in one. Families of one name become one family.

    Example: `crmnet data merge held-out-1 held-out-2 -o calibration`
    """
    if len(datasets) < 2:
        raise ValueError("there is nothing to merge; give at least two data sets")
    check_outputs([output], list(datasets), overwrite)
    from crmnet.data.dataset import Dataset
    from crmnet.data.merge import merge as run_merge

    merged = run_merge([Dataset.open(path) for path in datasets], output, overwrite=overwrite)
    print(f"{merged.path}: {len(merged):,} rows of {len(datasets)} data sets")


def check(
    dataset: Annotated[
        Path, typer.Argument(help="Data set, or a file of sequence and expression.")
    ],
    against: Annotated[
        Path | None, typer.Option(help="Data set or file with which it must share no rows.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for check.json and check.png.")
    ] = None,
    by: Annotated[
        FamilyRule | None,
        typer.Option(
            help="How families are defined. Default: *homology*, above 4 million rows *sequence*."
        ),
    ] = None,
    k: KmerLengthOption = 20,
    mismatches: MismatchOption = 3,
    fail_on_leak: Annotated[
        bool, typer.Option("--fail-on-leak", help="Exit with status 1 if rows are shared.")
    ] = False,
    level: LevelOption = "near",
    medium: Annotated[str, typer.Option(help="Medium of files without one.")] = "complex",
    column: ColumnOption = None,
    max_rejected: MaxRejectedOption = 0.01,
    overwrite: OverwriteOption = False,
) -> None:
    """Check a data set, and find rows that it shares with another one.

    Reports lengths, labels, adapters, bases by position, copies and families. With `--against`, it
    also reports the inserts that both contain on either strand: identical, with a few different
    bases, or with a common k-mer of `--k` bases.

    Examples: `crmnet data check my-data -o checked` ·
    `crmnet data check my-train --against my-test --fail-on-leak`
    """
    if fail_on_leak and against is None:
        raise ValueError("--fail-on-leak needs --against DATASET")
    check_folder(output, ("check.json", "check.png"), [dataset, against], overwrite)
    from crmnet.data.check import check as run_check
    from crmnet.data.homology import KmerOptions
    from crmnet.data.ingest import IngestOptions
    from crmnet.data.leaks import find_leaks
    from crmnet.data.opening import check_data, flanks_like, open_data

    check_data([dataset, against])
    options = IngestOptions(
        media=(medium,), columns=pairs(column, "--column"), max_rejected=max_rejected,
        flanks=flanks_like(dataset, *filter(None, [against])),
    )  # fmt: skip
    kmers = KmerOptions(k)
    leaks = None
    with open_data(dataset, options) as rows:
        checked = run_check(rows, by, kmers)
        print("\n".join(checked.lines()))
        if against is not None:
            with open_data(against, options) as other_set:
                leaks = find_leaks(rows, other_set, mismatches, kmers)
                print("\n".join(leaks.lines(other_set.name)))
    if output is not None:
        from crmnet.reports.dataset_page import write_check

        write_check(output, checked, leaks)
        print(f"written: {output}/check.json, check.png")
    if fail_on_leak and leaks is not None and leaks.rows(level).any():
        print(f"leak: {dataset} shares rows with {against}", file=sys.stderr)
        raise typer.Exit(1)


def list_known(cache: CacheOption = None) -> None:
    """List the public data sets that can be fetched, ingested and evaluated on by name.

    Example: `crmnet data list`
    """
    from crmnet.data.fetch import cache_folder, cached
    from crmnet.data.registry import cards
    from crmnet.reports.tables import AlignedRows

    head = ("name", "rows", "medium", "size", "licence", "cached", "content and source")
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
    AlignedRows(sys.stdout).writerows(rows)
    print(f"cache: {cache_folder(cache)}")


def _unit_words(labels: Mapping[str, Any]) -> str:
    """The unit of a medium, or why it is unknown and how to state it."""
    from crmnet.data.dataset import BIN_UNIT, UNKNOWN_UNIT
    from crmnet.sequence import TOP_BIN

    low, high = labels["min"], labels["max"]
    if labels["unit"] != UNKNOWN_UNIT:
        return str(labels["unit"])
    return (
        f"values from {low:.2f} to {high:.2f} are not all within bins 0–{TOP_BIN}, so the unit is "
        f"unknown; --unit '{BIN_UNIT}' or another name states it"
    )


def size_text(size: int | None) -> str:
    """A size such as ``1.2 MB``; empty if unknown."""
    if size is None:
        return ""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


def fetch(
    names: Annotated[list[str], typer.Argument(help="Names from `crmnet data list`.")],
    cache: CacheOption = None,
    folder: FromOption = None,
) -> None:
    """Download public data sets, verify them, and cache them for use by name.

    An interrupted download resumes. Checksums come from the data set's card or, for Zenodo, from
    the record, and are kept in lock.json next to the files. Only this command uses the network.

    Examples: `crmnet data fetch random-complex native-complex` ·
    `crmnet data fetch complex-train --cache /data/crmnet`
    """
    from crmnet.data.fetch import fetch as run_fetch
    from crmnet.data.registry import find_card

    for card in [find_card(name) for name in names]:
        with Counter("bytes") as counter:
            files = run_fetch(
                card,
                cache,
                folder=folder,
                progress=lambda _name, received, _total: counter(received),
            )
        for file in files:
            print(f"{card.name}: {file} ({size_text(file.stat().st_size)})")
        print(f"    {card.origin.citation}; licence: {card.origin.licence}")
