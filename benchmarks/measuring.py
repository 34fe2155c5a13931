"""What the benchmark scripts share: timing in rounds, and results with machine and date."""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from crmnet.benchmark import describe_machine

RESULTS = Path("benchmarks/results")


class Seconds(NamedTuple):
    """Best time of a call, in wall time and in CPU seconds."""

    wall: float
    cpu: float


def add_scratch(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--scratch``."""
    parser.add_argument(
        "--scratch", type=Path, default=Path(tempfile.gettempdir()) / "crmnet-benchmarks",
        help="folder for predictions, with which an interrupted run continues",
    )  # fmt: skip


def add_output(parser: argparse.ArgumentParser, what: str = "folder for the JSON file") -> None:
    """Add the option ``-o``."""
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help=what)


def best_of_rounds(
    calls: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 0
) -> dict[str, Seconds]:
    """Best time of each call, in ``rounds`` rounds after ``warm_up`` untimed ones.

    All calls run in turn in every round, so that a change in the speed of the machine affects all.
    """
    best = {name: Seconds(float("inf"), float("inf")) for name in calls}
    for number in range(warm_up + rounds):
        for name, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            used = Seconds(time.perf_counter() - wall, time.process_time() - cpu)
            if number >= warm_up:
                best[name] = Seconds(*map(min, best[name], used))
    return best


def machine_and_date() -> dict[str, Any]:
    """What results say about where and when they were measured."""
    return {"machine": describe_machine(torch.device("cpu")), "date": time.strftime("%Y-%m-%d")}


def commit() -> str:
    """Short hash of the commit of this checkout, with a mark if ``src/`` has changed since."""
    git = ["git", "-C", str(Path(__file__).parents[1])]
    done = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "src"]).returncode
    return (done.stdout.strip() or "unknown") + (" with changes" if changed else "")


def write_result(folder: Path, name: str, command: str, **values: Any) -> None:
    """Write ``NAME.json`` with machine, date, command and values."""
    folder.mkdir(parents=True, exist_ok=True)
    result = {**machine_and_date(), "command": command, **values}
    (folder / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
