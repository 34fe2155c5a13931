"""Fault drill: kills, damaged rows, hostile models, fuzzed inputs, racing writers, full disks.

    python benchmarks/faults.py                          all parts at full scale
    python benchmarks/faults.py --scale 0.1 --only kills rows

Prints a table, and writes JSON to benchmarks/results/faults.json (or -o) after each part. Needs no
network. A case is at fault if it ends with a traceback or an internal error (status 1 with a hint
at CRMNET_DEBUG), does not end, gives a wrong answer with status 0, refuses a good input, names no
file or line, or leaves files behind after a rerun. Linux only. The parts are in ``fault_drill/``.
"""

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before PyTorch is imported; see fault_drill.processes

from fault_drill.concurrent_writers import concurrent_writers
from fault_drill.damaged_rows import damaged_rows
from fault_drill.fuzzed_inputs import fuzzed_inputs
from fault_drill.hostile_models import hostile_models
from fault_drill.kills import kills
from fault_drill.material import Material
from fault_drill.processes import import_all_modules
from fault_drill.results import PartResult
from fault_drill.storage import full_disk, read_only_folder, read_only_installation
from fault_drill.streams import closed_streams
from measuring import commit, machine_and_date

from crmnet.files import locked, write_text_atomically

PARTS: dict[str, Callable[[Material, float, random.Random], PartResult]] = {
    "kills": kills, "rows": damaged_rows, "models": hostile_models, "fuzz": fuzzed_inputs,
    "pairs": concurrent_writers, "disk": full_disk, "readonly": read_only_folder,
    "installation": read_only_installation, "streams": closed_streams,
}  # fmt: skip


def run_part(name: str, material: Material, scale: float, seed: int) -> PartResult:
    """Run one part of the drill and print its row of the table."""
    began = time.monotonic()
    part = PARTS[name](material, scale, random.Random(f"{seed} {name}"))
    part.seconds = time.monotonic() - began
    print(part.row(), flush=True)
    return part


def store(output: Path, name: str, part: PartResult, **conditions: object) -> None:
    """Write the result of a part into the JSON file; the other parts there stay."""
    result = {
        **conditions, **machine_and_date(), "cases": part.cases, "seconds": round(part.seconds, 1),
        "faults": dict(part.faults), "outcomes": dict(part.outcomes), "examples": part.examples,
        "notes": part.notes,
    }  # fmt: skip
    output.parent.mkdir(parents=True, exist_ok=True)
    with locked(output.with_name(f"{output.name}.parts"), wait=10):
        parts = json.loads(output.read_text())["parts"] if output.exists() else {}
        text = json.dumps({"parts": {**parts, name: result}}, indent=1, sort_keys=True)
        write_text_atomically(output, text + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--scale", type=float, default=1.0, help="share of the cases")
    parser.add_argument("--seed", type=int, default=0)
    default = Path(__file__).parent / "results" / "faults.json"
    parser.add_argument("-o", "--output", type=Path, default=default, help="JSON file")
    options = parser.parse_args()
    import_all_modules()
    conditions = {"scale": options.scale, "seed": options.seed, "commit": commit()}
    print("| part | cases | faults | time |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        material = Material(Path(folder))
        for name in options.only:
            part = run_part(name, material, options.scale, options.seed)
            store(options.output, name, part, **conditions)


if __name__ == "__main__":
    main()
