"""Closed standard streams, a terminal without UTF-8, a reader that leaves early."""

from __future__ import annotations

import os
import random
import sys

from fault_drill.material import Material
from fault_drill.processes import Ended, run_program
from fault_drill.results import PartResult

ENDINGS = {
    "stdout closed": ">&-", "stderr closed": "2>&- >/dev/null", "stdin closed": "<&-",
    "all closed": "<&- >&- 2>&-", "reader leaves": "| head -n 1", "ASCII": "| cat",
}  # fmt: skip
MUST_END_WELL = ("stderr closed", "stdin closed", "reader leaves", "ASCII")


def closed_streams(material: Material, scale: float, rng: random.Random) -> PartResult:
    """Run four commands with each of ENDINGS, in a shell."""
    part = PartResult("closed streams")
    commands = {
        "predict": f"predict {material.packed} {material.promoters}",
        "motifs scan": f"motifs scan {material.promoters}",
        "models show": "models show yeast",
        "data list": "data list",
    }
    cases = [(command, ending) for command in commands for ending in ENDINGS]
    if scale < 1:
        cases = rng.sample(cases, max(2, round(len(cases) * scale)))
    for command, ending in cases:
        ended = _in_shell(material, commands[command], ending)
        fault = ended.fault
        if fault is None and ended.status and ending in MUST_END_WELL:
            fault = f"status {ended.status}"
        part.count(f"{command}, {ending}", f"{ending}: status {ended.status}", fault, ended)
    return part


def _in_shell(material: Material, words: str, ending: str) -> Ended:
    status = 'exit "${PIPESTATUS[0]}"'
    line = f"{sys.executable} -m crmnet {words} {ENDINGS[ending]}; {status}"
    encoding = "ascii" if ending == "ASCII" else "utf-8"
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    return run_program(["bash", "-c", line], material.folder, environment)
