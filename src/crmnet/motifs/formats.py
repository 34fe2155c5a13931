"""Motif files: MEME's minimal format and JASPAR's, read and written without loss.

MEME files hold probabilities and one number of sites. Many JASPAR matrices count a different number
of sites in each column, so those totals are written as a comment line, which other programs skip
and :func:`read_motifs` turns back into the very counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crmnet.motifs.pwm import UNIFORM, Motif
from crmnet.sequence import LETTERS

SITES = 20
"""Sites that a MEME matrix without ``nsites=`` stands for, as MEME itself assumes."""
DIGITS = 9
"""Decimals that counts survive with."""
BANNER = 10
"""Lines within which a MEME file says so."""
TOTALS = "# sites per column:"


def read_motifs(path: Path) -> list[Motif]:
    """The motifs of a MEME or JASPAR file, in file order.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is neither, holds no motif, or a matrix is broken; names file and line.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such motif file")
    lines = path.read_text(encoding="utf-8").splitlines()
    first = next((line for line in lines if line.strip()), "")
    # MEME's own report has a banner above its version.
    if any(line.startswith("MEME version") for line in lines[:BANNER]):
        motifs = _read_meme(lines, path)
    elif first.startswith(">"):
        motifs = _read_jaspar(lines, path)
    else:
        raise ValueError(
            f"{path}, line 1: {first[:40]!r} opens neither a MEME file ('MEME version 4') nor a "
            "JASPAR one ('>ID NAME')"
        )
    if not motifs:
        raise ValueError(f"{path} holds no motifs")
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
        even = np.all(totals == totals[0])
        comment = "" if even else f"{TOTALS} {' '.join(map(_number, totals))}\n"
        rows = "\n".join(" ".join(repr(float(v)) for v in row) for row in (motif.counts / totals).T)
        parts.append(
            f"\nMOTIF {_word(motif.id)} {_word(motif.name)}\n{comment}"
            f"letter-probability matrix: alength= 4 w= {motif.width} "
            f"nsites= {_number(totals.max())} E= {motif.evalue!r}\n{rows}\n"
        )
    return "".join(parts)


def as_jaspar(motifs: Sequence[Motif]) -> str:
    """The text of a JASPAR file with the counts of these motifs; E-values have no place in it."""
    parts = []
    for motif in motifs:
        rows = "".join(
            f"{base}  [ {' '.join(map(_number, row))} ]\n"
            for base, row in zip("ACGT", motif.counts, strict=True)
        )
        parts.append(f">{_word(motif.id)}\t{_word(motif.name)}\n{rows}")
    return "\n".join(parts)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _word(text: str) -> str:
    """Ids and names are single words in both formats."""
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
            words = line.split()[1:]
            if not words:
                raise ValueError(f"{path}, line {number}: MOTIF needs a name behind it")
            name, totals = (words[0], words[-1] if len(words) == 1 else words[1]), None
        elif line.startswith(TOTALS):
            totals = np.array(_numbers(line.removeprefix(TOTALS).split(), path, number))
        elif line.startswith("letter-probability matrix"):
            keys = dict(re.findall(r"(\w+)=\s*(\S+)", line))
            rows, number = _matrix(lines, number, path, keys.get("w"))
            sites = _numbers([keys.get("nsites", str(SITES)), keys.get("E", "0")], path, number)
            shares = np.array(rows).T
            if not np.allclose(shares.sum(axis=0), 1, atol=0.01):
                raise ValueError(f"{path}, line {number}: the rows of {name[0]} must add up to 1")
            counts = (shares * (totals if totals is not None else sites[0] or SITES)).round(DIGITS)
            motifs.append(_motif(name[1], name[0], counts, sites[1], path, number))
    return motifs


def _matrix(
    lines: Sequence[str], number: int, path: Path, width: str | None
) -> tuple[list[list[float]], int]:
    """Rows of four numbers from line index ``number`` on, and the index behind them."""
    rows: list[list[float]] = []
    while number < len(lines):
        words = lines[number].split()
        if not words and not rows:
            number += 1
            continue
        if not words or not re.match(r"[-+.\d]", words[0]) or words[0].startswith("--"):
            break
        number += 1
        if len(words) != 4:
            raise ValueError(f"{path}, line {number}: four numbers expected; got {len(words)}")
        rows.append(_numbers(words, path, number))
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
                raise ValueError(f"{path}, line {number}: '>' needs an id behind it")
            continue
        found = re.fullmatch(r"\s*(?:([ACGTacgt])\s*)?\[?\s*([^\[\]]*?)\s*\]?\s*", line)
        base = LETTERS[len(rows)]
        if not header or found is None or (found[1] or base).upper() != base:
            raise ValueError(f"{path}, line {number}: a row of counts of {base} expected")
        rows.append(_numbers(found[2].split(), path, number))
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


def _numbers(words: Sequence[str], path: Path, number: int) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: {error}; numbers expected") from error
