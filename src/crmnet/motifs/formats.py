"""Motif files in MEME's minimal format and in JASPAR's, read and written without loss of counts.

Takes files, gives :class:`crmnet.motifs.pwm.Motif` objects, and turns motifs back into text. MEME
files hold probabilities and one number of sites. Many JASPAR matrices have a different number of
sites in each column. :func:`as_meme` writes these numbers as a comment line, which other programs
skip and from which :func:`read_motifs` restores the exact counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crmnet.files import PathLike
from crmnet.motifs.pwm import UNIFORM, Motif
from crmnet.sequence import LETTERS

DEFAULT_SITES = 20
"""Number of sites of a MEME matrix without ``nsites=``; MEME assumes the same."""
COUNT_DECIMALS = 9
"""Decimals to which counts are restored."""
VERSION_LINES = 10
"""A MEME file states its version within this many lines."""
TOTALS_PREFIX = "# sites per column:"


def read_motifs(path: PathLike) -> list[Motif]:
    """The motifs of a MEME or JASPAR file, in file order.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file has another format, no motif or a broken matrix; the error names
            file and line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such motif file")
    lines = path.read_text(encoding="utf-8").splitlines()
    first_line = next((line for line in lines if line.strip()), "")
    # MEME's own report has a banner above its version.
    if any(line.startswith("MEME version") for line in lines[:VERSION_LINES]):
        motifs = _read_meme(lines, path)
    elif first_line.startswith(">"):
        motifs = _read_jaspar(lines, path)
    else:
        raise ValueError(
            f"{path}, line 1: {first_line[:40]!r} starts neither a MEME file ('MEME version 4') "
            "nor a JASPAR file ('>ID NAME')"
        )
    if not motifs:
        raise ValueError(f"{path} contains no motifs")
    return motifs


def as_meme(motifs: Sequence[Motif], background: Sequence[float] = UNIFORM) -> str:
    """The text of a MEME file (minimal format, version 4) with these motifs."""
    shares = " ".join(f"{base} {share:.6g}" for base, share in zip("ACGT", background, strict=True))
    parts = [
        "MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\n"
        f"Background letter frequencies\n{shares}\n"
    ]
    for motif in motifs:
        totals = motif.counts.sum(axis=0)
        equal_totals = np.all(totals == totals[0])
        numbers = " ".join(map(_format_number, totals))
        comment = "" if equal_totals else f"{TOTALS_PREFIX} {numbers}\n"
        rows = "\n".join(" ".join(repr(float(v)) for v in row) for row in (motif.counts / totals).T)
        parts.append(
            f"\nMOTIF {_single_word(motif.id)} {_single_word(motif.name)}\n{comment}"
            f"letter-probability matrix: alength= 4 w= {motif.width} "
            f"nsites= {_format_number(totals.max())} E= {motif.evalue!r}\n{rows}\n"
        )
    return "".join(parts)


def as_jaspar(motifs: Sequence[Motif]) -> str:
    """The text of a JASPAR file with the counts of these motifs; the format has no E-values."""
    parts = []
    for motif in motifs:
        rows = "".join(
            f"{base}  [ {' '.join(map(_format_number, row))} ]\n"
            for base, row in zip("ACGT", motif.counts, strict=True)
        )
        parts.append(f">{_single_word(motif.id)}\t{_single_word(motif.name)}\n{rows}")
    return "\n".join(parts)


def _format_number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _single_word(text: str) -> str:
    """The text itself, checked: ids and names are single words in both formats."""
    if not text or re.search(r"\s", text):
        raise ValueError(f"motif ids and names must be single words; got {text!r}")
    return text


def _read_meme(lines: Sequence[str], path: Path) -> list[Motif]:
    motifs: list[Motif] = []
    name, totals = ("", ""), None
    number = 0
    while number < len(lines):
        line = lines[number].strip()
        number += 1
        if line.startswith("ALPHABET=") and line.split("=")[1].strip().upper() != "ACGT":
            raise ValueError(f"{path}, line {number}: the alphabet must be ACGT; got {line!r}")
        if line.startswith("MOTIF"):
            fields = line.split()[1:]
            if not fields:
                raise ValueError(f"{path}, line {number}: MOTIF must be followed by a name")
            name, totals = (fields[0], fields[-1] if len(fields) == 1 else fields[1]), None
        elif line.startswith(TOTALS_PREFIX):
            totals = np.array(_numbers(line.removeprefix(TOTALS_PREFIX).split(), path, number))
        elif line.startswith("letter-probability matrix"):
            keys = dict(re.findall(r"(\w+)=\s*(\S+)", line))
            rows, number = _matrix(lines, number, path, keys.get("w"))
            fields = [keys.get("nsites", str(DEFAULT_SITES)), keys.get("E", "0")]
            sites, evalue = _numbers(fields, path, number)
            shares = np.array(rows).T
            if not np.allclose(shares.sum(axis=0), 1, atol=0.01):
                raise ValueError(f"{path}, line {number}: the rows of {name[0]} must add up to 1")
            per_column = totals if totals is not None else sites or DEFAULT_SITES
            counts = (shares * per_column).round(COUNT_DECIMALS)
            motifs.append(_motif(name[1], name[0], counts, evalue, path, number))
    return motifs


def _matrix(
    lines: Sequence[str], number: int, path: Path, width: str | None
) -> tuple[list[list[float]], int]:
    """Rows of four numbers from line index ``number`` on, and the index of the line after them."""
    rows: list[list[float]] = []
    while number < len(lines):
        fields = lines[number].split()
        if not fields and not rows:
            number += 1
            continue
        if not fields or not re.match(r"[-+.\d]", fields[0]) or fields[0].startswith("--"):
            break
        number += 1
        if len(fields) != 4:
            raise ValueError(f"{path}, line {number}: expected four numbers; got {len(fields)}")
        rows.append(_numbers(fields, path, number))
    if not rows or (width is not None and len(rows) != int(width)):
        raise ValueError(f"{path}, line {number}: the matrix has {len(rows)} rows, not w= {width}")
    return rows, number


def _read_jaspar(lines: Sequence[str], path: Path) -> list[Motif]:
    motifs: list[Motif] = []
    header: list[str] = []
    rows: list[list[float]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if line.startswith(">"):
            if header:
                raise ValueError(f"{path}, line {number}: {header[0]} has {len(rows)} rows, not 4")
            header, rows = line[1:].split(), []
            if not header:
                raise ValueError(f"{path}, line {number}: '>' must be followed by an id")
            continue
        match = re.fullmatch(r"\s*(?:([ACGTacgt])\s*)?\[?\s*([^\[\]]*?)\s*\]?\s*", line)
        base = LETTERS[len(rows)]
        if not header or match is None or (match[1] or base).upper() != base:
            raise ValueError(f"{path}, line {number}: expected a row of counts of {base}")
        rows.append(_numbers(match[2].split(), path, number))
        if len({len(row) for row in rows}) != 1:
            raise ValueError(f"{path}, line {number}: the four rows must have the same length")
        if len(rows) == 4:
            counts = np.array(rows)
            motifs.append(_motif(header[-1], header[0], counts, 0.0, path, number))
            header, rows = [], []
    if header:
        raise ValueError(f"{path} ends inside {header[0]}: {len(rows)} of 4 rows")
    return motifs


def _motif(name: str, id: str, counts: np.ndarray, evalue: float, path: Path, number: int) -> Motif:
    try:
        return Motif(name, id, counts, evalue)
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: {error}") from error


def _numbers(fields: Sequence[str], path: Path, number: int) -> list[float]:
    try:
        return [float(field) for field in fields]
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: {error}; expected numbers") from error
