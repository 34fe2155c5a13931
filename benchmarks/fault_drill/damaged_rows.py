"""Damage one row of a table for ``predict``, or of a file for ``data ingest``."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from pathlib import Path

from crmnet.data.dataset import Dataset
from crmnet.sequence import decode
from fault_drill.material import Material, labelled, predictions, table
from fault_drill.processes import Ended, run
from fault_drill.results import PartResult

ROWS = 1_000
Damage = Callable[[str, random.Random], bytes]
"""Makes the bytes of a damaged sequence from a sequence."""
DAMAGES: dict[str, tuple[Damage, bool | None]] = {
    "lower case": (lambda s, r: s.lower().encode(), True),
    "blanks around": (lambda s, r: f"  {s} ".encode(), True),
    "quoted": (lambda s, r: f'"{s}"'.encode(), True),
    "carriage return": (lambda s, r: f"{s}\r".encode(), True),
    "letter X": (lambda s, r: replaced(s, r, "X"), False),
    "letter U": (lambda s, r: replaced(s, r, "U"), False),
    "IUPAC letter": (lambda s, r: replaced(s, r, r.choice("RYSWKMBDHV")), False),
    "gap": (lambda s, r: replaced(s, r, "-"), False),
    "dot": (lambda s, r: replaced(s, r, "."), False),
    "asterisk": (lambda s, r: replaced(s, r, "*"), False),
    "digit": (lambda s, r: replaced(s, r, "7"), False),
    "blank inside": (lambda s, r: replaced(s, r, "A A"), False),
    "zero byte": (lambda s, r: replaced(s, r, "\0"), False),
    "escape": (lambda s, r: replaced(s, r, "\x1b[31m"), False),
    "accent": (lambda s, r: replaced(s, r, "Ä"), False),
    "Latin-1": (lambda s, r: replaced(s, r, "Ä", "latin-1"), False),
    "broken UTF-8": (lambda s, r: s[:9].encode() + b"\xff\xfe" + s[9:].encode(), False),
    "Greek A": (lambda s, r: replaced(s, r, "Α"), False),
    "full-width A": (lambda s, r: replaced(s, r, "Ａ"), False),
    "no-break space": (lambda s, r: replaced(s, r, "\xa0"), False),
    "zero-width space": (lambda s, r: replaced(s, r, "\u200b"), False),
    "empty": (lambda s, r: b"", False),
    "only blanks": (lambda s, r: b"   ", False),
    "nan": (lambda s, r: b"nan", False),
    "number": (lambda s, r: b"12.5", False),
    "missing quote": (lambda s, r: f'"{s}'.encode(), None),
    "extra field": (lambda s, r: f"{s}\tA\tB".encode(), None),
    "semicolon": (lambda s, r: s.replace("A", ";", 1).encode(), False),
    "question mark": (lambda s, r: replaced(s, r, "?"), False),
    "too long": (lambda s, r: (s * 3000).encode(), False),
}
"""Kind of damage → how to make it, and whether the row can be read (None: it may be refused)."""


def replaced(text: str, rng: random.Random, letter: str, encoding: str = "utf-8") -> bytes:
    """Text with the letter at a random position replaced by ``letter``."""
    place = rng.randrange(len(text))
    return (text[:place] + letter + text[place + 1 :]).encode(encoding)


def damaged_rows(material: Material, scale: float, rng: random.Random) -> PartResult:
    """Damage every kind of row equally often, half of them for each command."""
    part = PartResult("damaged rows")
    undamaged = predictions(
        run(["predict", material.packed, material.promoters], material.data).out
    )
    per_kind = max(1, math.ceil(ROWS / len(DAMAGES) / 2 * scale))
    for kind in DAMAGES:
        for _ in range(per_kind):
            with material.empty_folder() as folder:
                part.count(*_damaged_predict(material, folder, kind, undamaged, rng))
                part.count(*_damaged_ingest(material, folder, kind, rng))
    return part


def _damaged_predict(
    material: Material, folder: Path, kind: str, undamaged: dict[str, list[str]], rng: random.Random
) -> tuple[str, str, str | None, Ended]:
    damage, readable = DAMAGES[kind]
    lines = [line.encode() for line in table(material.inserts[:20]).splitlines()]
    number = rng.randrange(1, len(lines))
    lines[number] = f"p{number}\t".encode() + damage(material.inserts[number - 1], rng)
    (folder / "in.tsv").write_bytes(b"\n".join(lines) + b"\n")
    ended = run(["predict", material.packed, folder / "in.tsv"], folder)
    fault = ended.fault
    if fault is None and ended.status == 0:
        if readable is False:
            fault = "bad row accepted"
        elif predictions(ended.out) != undamaged:
            fault = "wrong prediction"
    elif fault is None and readable:
        fault = "good row refused"
    elif fault is None and not re.search(rf"\bline {number + 1}\b|\bp{number}\b", ended.err):
        fault = "line not named"
    return f"predict, {kind}", f"predict: status {ended.status}", fault, ended


def _damaged_ingest(
    material: Material, folder: Path, kind: str, rng: random.Random
) -> tuple[str, str, str | None, Ended]:
    damage, readable = DAMAGES[kind]
    lines = [line.encode() for line in labelled(material.inserts).splitlines()]
    number = rng.randrange(1, len(lines))
    label = lines[number].rpartition(b"\t")[2]
    lines[number] = damage(material.inserts[number], rng) + b"\t" + label
    (folder / "rows.tsv").write_bytes(b"\n".join(lines) + b"\n")
    words = ["data", "ingest", folder / "rows.tsv", "-o", folder / "out", "--max-rejected", "0.5"]
    ended = run(words, folder)
    listed = folder / "out" / "rejected.tsv"
    texts = ended.err + (listed.read_text() if listed.exists() else "")
    named = re.search(rf"\bline {number + 1}\b|\t{number + 1}\t", texts) is not None
    fault = ended.fault
    if fault is None and ended.status == 0:
        fault = _wrong_rows(material, folder / "out", number, named, readable)
    elif fault is None and readable:
        fault = "good row refused"
    elif fault is None and not named:
        fault = "line not named"
    return f"ingest, {kind}", f"ingest: status {ended.status}", fault, ended


def _wrong_rows(
    material: Material, folder: Path, number: int, named: bool, readable: bool | None
) -> str | None:
    """Compare a data set with the rows from which it was made, of which one was damaged."""
    data = Dataset.open(folder)
    labels = (float(label) for label in data.labels[:])
    found = sorted(zip((text[17:97] for text in decode(data.tokens[:])), labels, strict=True))
    rows = [line.split("\t") for line in labelled(material.inserts).splitlines()]
    right = [(sequence, float(label)) for sequence, label in rows]
    if readable or (readable is None and not named):
        return None if found == sorted(right) else "wrong rows"
    if not named:
        return "bad row accepted or not listed"
    del right[number]
    return None if found == sorted(right) else "wrong rows"
