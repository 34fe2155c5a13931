"""The code blocks of README.md and docs/, and the marks that say how each is tested.

A mark is an HTML comment in the line before the block:

    <!-- not run: REASON -->      the block is counted and not run
    <!-- output -->               the text block is what the block before it prints; the lines are
                                  compared, numbers to their last digit but one
    <!-- not compared: REASON --> the text block is output that differs between runs or machines

``<!-- no block of this page is run: REASON -->`` in a page is the first mark for all of its blocks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"(?:^<!-- ([^\n]*?) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ALL = re.compile(r"^<!-- no block of this page is run: (.*?) -->$", re.MULTILINE)
CODE = ("sh", "python")


@dataclass(frozen=True)
class Block:
    """One block of code or output."""

    page: str
    line: int
    """Line of the first line of code, from 1."""
    language: str
    text: str
    mark: str
    """``not run``, ``output``, ``not compared`` or empty."""
    reason: str

    @property
    def is_code(self) -> bool:
        """Whether it can be run."""
        return self.language in CODE

    def __str__(self) -> str:
        return f"{self.page}, line {self.line}"


def page_files() -> list[Path]:
    """README.md and all pages of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def read_blocks(path: Path) -> list[Block]:
    """The blocks of a page in order; those without a language or of another one are left out."""
    text, name = path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))
    every = ALL.search(text)
    found = []
    for match in BLOCK.finditer(text):
        mark, _, reason = (match[1] or "").partition(": ")
        if every and match[2] in CODE:
            mark, reason = "not run", every[1]
        if match[2] in (*CODE, "text"):
            line = text.count("\n", 0, match.start(3)) + 1
            found.append(Block(name, line, match[2], match[3], mark, reason))
    return found


NUMBER = re.compile(r"[-−+]?\d[\d,]*(?:\.\d+)?")


def difference(shown: str, printed: str) -> str | None:
    """The first line of ``shown`` that ``printed`` lacks; None if all are there, in order.

    Blanks count once. A line ``…`` stands for any lines. Numbers with decimals may differ by two
    in the last digit, because processors round differently.
    """
    rest = iter(printed.splitlines())
    for line in filter(str.strip, shown.splitlines()):
        if line.strip() != "…" and not any(_same_line(line, other) for other in rest):
            return line
    return None


def _same_line(shown: str, printed: str) -> bool:
    first, second = ("".join(NUMBER.split(text)).split() for text in (shown, printed))
    if first != second:
        return False
    numbers = [NUMBER.findall(text) for text in (shown, printed)]
    return len(numbers[0]) == len(numbers[1]) and all(map(_same_number, *numbers))


def _same_number(shown: str, printed: str) -> bool:
    if shown == printed:
        return True
    decimals = len(shown.partition(".")[2])
    if not decimals:
        return False
    values = [float(text.replace("−", "-").replace(",", "")) for text in (shown, printed)]
    return abs(values[0] - values[1]) < 2.5 * 10**-decimals
