"""Let two processes write one output at the same time, from different inputs."""

from __future__ import annotations

import random
from collections.abc import Callable

from fault_drill.material import Material, labelled, table
from fault_drill.processes import Ended, contents, run, start, wait_for
from fault_drill.results import PartResult

PAIRS = 20
Commands = dict[str, Callable[[str], list[object]]]
"""Name of a command → function that makes its words for writer ``a`` or ``b``."""


def concurrent_writers(material: Material, scale: float, rng: random.Random) -> PartResult:
    """Start both writers at once; the output must be complete and of one of them."""
    part = PartResult("pairs of writers")
    commands = _commands(material)
    for number in range(max(len(commands), round(PAIRS * scale))):
        name = list(commands)[number % len(commands)]
        alone = [_written_alone(material, commands[name](writer)) for writer in "ab"]
        with material.working_folder() as work:
            started = [start(commands[name](writer), work, log=writer) for writer in "ab"]
            both = [wait_for(s, work, writer) for s, writer in zip(started, "ab", strict=True)]
            fault = _fault(both, contents(work), alone)
        same = both[0].status == both[1].status
        outcome = "both wrote, one after the other" if same else "one wrote, one refused"
        part.count(f"{name} {number}", outcome, fault, max(both, key=lambda ended: ended.status))
    return part


def _commands(material: Material) -> Commands:
    for writer, half in (("a", slice(0, 30)), ("b", slice(30, 60))):
        (material.folder / f"{writer}.tsv").write_text(table(material.inserts[half]))
        (material.folder / f"{writer}_rows.tsv").write_text(labelled(material.inserts[half]))
    file, model = material.folder, material.packed
    to_file, to_folder = ["-o", "out.tsv"], ["-o", "out"]
    return {
        "predict": lambda w: ["predict", model, file / f"{w}.tsv", *to_file],
        "predict --part-rows": lambda w: ["predict", model, file / f"{w}.tsv", *to_file,
                                          "--part-rows", 2],
        "data ingest": lambda w: ["data", "ingest", file / f"{w}_rows.tsv", *to_folder],
        "motifs scan": lambda w: ["motifs", "scan", file / f"{w}.tsv", *to_file],
        "data simulate": lambda w: ["data", "simulate", "-n", 100, "--seed", int(w == "b"),
                                    *to_folder],
    }  # fmt: skip


def _written_alone(material: Material, words: list[object]) -> dict[str, str]:
    with material.working_folder() as work:
        run(words, work)
        return contents(work)


def _fault(both: list[Ended], found: dict[str, str], alone: list[dict[str, str]]) -> str | None:
    if fault := both[0].fault or both[1].fault:
        return fault
    statuses = {ended.status for ended in both}
    if statuses - {0, 2}:
        return "another status than 0 and 2"
    if statuses == {2}:
        return "both refused"
    return None if found in alone else "mixed files, or files left"
