"""Counts of the cases and faults of one part of the drill."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from fault_drill.processes import Ended

EXAMPLES = 30
"""Largest number of faults of a part that are stored with their messages."""


@dataclass
class PartResult:
    """Cases of one part of the drill, with their outcomes and faults."""

    name: str
    cases: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    def count(self, case: str, outcome: str, fault: str | None, ended: Ended | None = None) -> None:
        """Count a case, with its fault if it has one."""
        self.cases += 1
        self.outcomes[outcome] += 1
        if fault is None:
            return
        self.faults[fault] += 1
        if len(self.examples) < EXAMPLES:
            text = ended.err.strip() or ended.out.strip() if ended else ""
            message = re.sub(r"/\S*?/tmp\w+/", "", text)[-300:]
            self.examples.append({"case": case, "fault": fault, "message": message})

    def row(self) -> str:
        """One row of the table of results, in Markdown."""
        faults = ", ".join(f"{n} {kind}" for kind, n in self.faults.most_common()) or "none"
        return f"| {self.name} | {self.cases:,} | {faults} | {self.seconds:.0f} s |"
