"""The code blocks of README.md and docs/, and the marks that say how each is tested.

A mark is an HTML comment in the line before the block:

    <!-- not run: REASON -->      the block is counted and not run
    <!-- output -->               the text block is what the block before it prints; the lines are
                                  compared, numbers to their last digit but one
    <!-- not compared: REASON --> the text block is output that differs between runs or machines

``<!-- no block of this page is run: REASON -->`` in a page is the first mark for all of its blocks.

Lines of :data:`NEVER_RUN` do not run, with or without a mark. A page about changes of the code
shows them: blocks ``diff``, and blocks that begin with ``# src/PATH: new file`` or ``# src/PATH: at
the end``. They are applied to a copy of the package.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"(?:^<!-- ([^\n]*?) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ALL = re.compile(r"^<!-- no block of this page is run: (.*?) -->$", re.MULTILINE)
NEVER_RUN = {
    r"(pip install|make|git clone|\. \.venv)\b": "installs the package, or runs all checks",
    r"(docker|apptainer) ": "needs a container program",
    r"python (benchmarks/|-m pytest)": "needs a clone, and minutes to days",
}
"""Pattern of the start of a line → why such a line of a shell block does not run."""
CODE = ("sh", "python")
CHANGES = ("diff", "toml")
TARGET = re.compile(r"# (src/\S+): (new file|at the end)\n")


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

    @property
    def target(self) -> tuple[str, str] | None:
        """Path of the file that it is part of, and how; None for any other block."""
        match = TARGET.match(self.text)
        return (match[1], match[2]) if match else None

    @property
    def changes_code(self) -> bool:
        """Whether it is a change of the package."""
        return self.language == "diff" or self.target is not None

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
        if not mark and match[2] == "sh" and all(map(why_not, match[3].splitlines())):
            mark, reason = "not run", why_not(match[3]) or ""
        if match[2] in (*CODE, *CHANGES, "text"):
            line = text.count("\n", 0, match.start(3)) + 1
            found.append(Block(name, line, match[2], match[3], mark, reason))
    return found


def why_not(line: str) -> str | None:
    """Why a line of a shell block does not run; None if it does."""
    return next((why for pattern, why in NEVER_RUN.items() if re.match(pattern, line)), None)


def replace_text(block: Block, printed: str) -> None:
    """Write what was printed into the page, tables with aligned columns."""
    path = ROOT / block.page
    marked = "<!-- output -->\n```text\n{}```\n"
    old = path.read_text(encoding="utf-8")
    new = old.replace(marked.format(block.text), marked.format(aligned(printed)), 1)
    path.write_text(new, encoding="utf-8")


def aligned(printed: str) -> str:
    """The lines with columns aligned where they are separated by tabs."""
    rows = [line.split("\t") for line in printed.splitlines()]
    table = [row for row in rows if len(row) > 1]
    widths = [max(map(len, column)) for column in itertools.zip_longest(*table, fillvalue="")]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        if len(row) > 1 else row[0]
        for row in rows
    ]  # fmt: skip
    return "".join(f"{line}\n" for line in lines)


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
