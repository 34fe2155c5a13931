"""``crmnet reproduce``: calls :func:`crmnet.studies.reproduce.runner.reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crmnet.cli.options import DeviceOption, command_line

if TYPE_CHECKING:
    from crmnet.studies.reproduce.place import Place


def reproduce(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder of the study, created or continued.")
    ] = Path("crmnet-reproduction"),
    profile: Annotated[
        str,
        typer.Option(
            metavar="[demo|public|full]",
            help="*demo*: simulated data. *public*: small public data sets and bundled models. "
            "*full*: the paper's 51 million rows and its network, for a GPU.",
        ),
    ] = "demo",
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FOLDER",
            help="Folder with the files of public data sets. Default: fetch them.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STEP",
            help="Run this step and what it needs, such as *figure5*; may be repeated. --dry-run "
            "lists the steps.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print steps, commands, expected time and disk; run none."),
    ] = False,
    device: DeviceOption = "auto",
) -> None:
    """Reproduce the paper, figure by figure and table by table, as one report.

    Each step states the paper's number beside ours, with N, interval and command, and says *not
    run* where something was not run. A command that was stopped resumes when it is run again.

    Examples: `crmnet reproduce --profile demo -o reproduction` ·
    `crmnet reproduce --profile public --only figure5 -o public` ·
    `crmnet reproduce --profile full --dry-run`
    """
    from crmnet.studies.reproduce.place import Place
    from crmnet.studies.reproduce.profiles import find_profile

    found = find_profile(profile)
    if dry_run:
        _print_plan(Place(output, found, source, device), only or [])
        return
    from crmnet.studies.reproduce.runner import reproduce as run_study

    study = run_study(
        output, found, source=source, only=only or [], device=device, made_by=command_line()
    )
    for name, stamp in study.stamps.items():
        reason = stamp.result.not_run
        state = f"not run: {reason}" if reason else f"{stamp.seconds / 60:.1f} minutes"
        print(f"{name:22} {state}")
    print(f"written: {study.report}")


def _print_plan(place: Place, only: list[str]) -> None:
    """Print each step with its commands and its expected cost."""
    from crmnet.studies.reproduce.runner import plan

    minutes = megabytes = 0.0
    print(f"profile {place.profile.name}, expected on {place.profile.hardware}")
    print(f"commands run in {place.folder}; nothing is run now")
    for planned in plan(place, only):
        step, cost = planned.step, planned.cost
        minutes, megabytes = minutes + cost.minutes, megabytes + cost.megabytes
        print(f"\n{step.name}: {'; '.join(step.items)}")
        print(f"  {_time(cost.minutes)}, {_disk(cost.megabytes)}")
        for line in planned.commands:
            print(f"  {line}")
    print(f"\nin all: {_time(minutes)}, {_disk(megabytes)}")


def _time(minutes: float) -> str:
    if minutes < 1:
        return "less than a minute"
    if minutes < 1.5:
        return "1 minute"
    return f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.0f} hours"


def _disk(megabytes: float) -> str:
    return f"{megabytes:.0f} MB" if megabytes < 1_000 else f"{megabytes / 1000:.0f} GB"
