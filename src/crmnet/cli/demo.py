"""``crmnet demo``: calls :func:`crmnet.studies.demo.demo` and prints what to try next."""

from __future__ import annotations

import sys
from pathlib import Path
from shutil import which
from typing import Annotated

import typer

from crmnet.cli.options import command_line


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to create.")] = Path(
        "crmnet-demo"
    ),
    promoters: Annotated[
        int, typer.Option(help="Simulated promoters to train on, at least 200.")
    ] = 45_000,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, as for train."),
    ] = None,
) -> None:
    """Run the full workflow on simulated data, offline, in minutes.

    Simulates a yeast cell with 20 factors and a reporter assay of it, trains crmnet-small on the
    measurements, evaluates it on promoters that it has not seen, and draws figures.

    Example: `crmnet demo -o crmnet-demo`
    """
    from crmnet.runs.settings import check_overrides
    from crmnet.studies.demo import demo as run_demo

    check_overrides(settings)
    result = run_demo(output, promoters=promoters, overrides=settings, made_by=command_line())
    print("\n".join(["", *result.table, ""]))
    print(f"done in {result.seconds / 60:.1f} minutes; see")
    for path in (
        "report.html",
        "evaluation/scatter.png",
        "run/learning_curve.png",
        "data/train_expression.png",
    ):
        print(f"  {output / path}")
    program = "crmnet" if which("crmnet") else sys.argv[0]
    print("three commands to try next:")
    print(f"  {program} predict {result.run} {output}/data/test_random/assay.tsv | head")
    print(f"  {program} evaluate {result.run} {output}/data/test_native_like -o evaluation")
    print(f"  {program} data ingest YOUR_ROWS.tsv -o my-data && "
          f"{program} train small --data my-data -o my-run")  # fmt: skip
