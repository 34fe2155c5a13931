"""Motif files of MEME, JASPAR, HOMER and TRANSFAC; MEME and JASPAR are also written.

:func:`read_motifs` takes a file and returns :class:`crmnet.motifs.pwm.Motif` objects for scanning,
naming and discovery; :func:`as_meme` and :func:`as_jaspar` return the text of a file. MEME files
hold probabilities and one number of sites. Many JASPAR matrices have a different number of sites in
each column. :func:`as_meme` writes these numbers as a comment line, which other programs skip.
:func:`read_motifs` restores the exact counts from it.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import zstandard

from crmnet.data.reading import STDIN, display_name, open_bytes
from crmnet.files import PathLike
from crmnet.motifs.pwm import MAX_COUNT, UNIFORM, Motif
from crmnet.sequence import LETTERS

DEFAULT_SITES = 20
"""Number of sites of a MEME matrix without ``nsites=``; MEME assumes the same."""
COUNT_DECIMALS = 9
"""Decimals to which counts are restored."""
MAX_BYTES = 100_000_000
"""Largest size of a motif file, unpacked; all of JASPAR has 2 MB."""
MAX_COLUMNS = 500
"""Largest width of a motif."""
FORMATS = (
    "MEME file ('MEME version 4') nor one of JASPAR ('>ID NAME'), HOMER ('>CONSENSUS NAME "
    "THRESHOLD', with tabs) or TRANSFAC ('P0 A C G T')"
)
_NUMBER = r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?"
_NUMBER_START = r"[-+.\d]|nan|inf|NaN|Inf"
TOTALS_PREFIX = "# sites per column:"


def read_motifs(path: PathLike) -> list[Motif]:
    """The motifs of a MEME, JASPAR, HOMER or TRANSFAC file, in file order.

    Files may be plain, gzip or zstd, in UTF-8 or Latin-1. A HOMER matrix, and a TRANSFAC matrix of
    shares, has the number of sites that its header states, else DEFAULT_SITES.

    Args:
        path: The file, or ``-`` for standard input.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file has another format, no motif or a broken matrix; the error names
            file and line.
    """
    path = Path(path)
    file = display_name(path)
    lines = _read_lines(path)
    first = next((n for n, line in enumerate(lines) if line.strip()), 0)
    start = lines[first] if lines else ""
    # MEME's own report has a banner above its version, other programs have comments.
    if any(line.startswith("MEME version") for line in lines):
        motifs = _read_meme(lines, file)
    elif start.startswith(">"):
        motifs = _read_records(lines, file)
    elif any(re.match(r"P[0O]\s", line) for line in lines):
        motifs = _read_transfac(lines, file)
    elif not start:
        raise ValueError(f"{file} is empty; name a file of motifs")
    else:
        raise ValueError(
            f"{file}, line {first + 1}: {_printable(start[:40])!r} starts neither a {FORMATS}"
        )
    if not motifs:
        raise ValueError(f"{file} contains no motifs")
    return motifs


def _read_lines(path: Path) -> list[str]:
    """The lines of a text file; Latin-1 if it is not UTF-8."""
    file = display_name(path)
    if path != STDIN and not path.exists():
        if re.fullmatch("[ACGTNacgtn]{6,}", str(path)):
            raise FileNotFoundError(
                f"{path}: no such motif file; this looks like bases: write them into a file, and "
                "name a file of motifs here"
            )
        raise FileNotFoundError(f"{path}: no such motif file")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file of motifs")
    try:
        with open_bytes(path) as stream:
            text = stream.read(MAX_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise ValueError(f"{file} is damaged or truncated ({error})") from error
    if len(text) > MAX_BYTES:
        raise ValueError(
            f"{file} has more than {MAX_BYTES / 1e6:.0f} MB, too much for motifs; name a file of "
            "motifs"
        )
    if text.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in text:
        raise ValueError(f"{file} is not plain text; save it as UTF-8")
    text = text.removeprefix(b"\xef\xbb\xbf")
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        decoded = text.decode("latin-1")
    return re.split("\r\n|\n|\r", decoded)


def _printable(text: str) -> str:
    """The text in one line, without characters that would act on a terminal."""
    text = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def as_meme(motifs: Sequence[Motif], background: Sequence[float] = UNIFORM) -> str:
    """The text of a MEME file (minimal format, version 4) with these motifs."""
    shares = " ".join(f"{base} {share:.6g}" for base, share in zip("ACGT", background, strict=True))
    sections = [
        "MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\n"
        f"Background letter frequencies\n{shares}\n"
    ]
    for motif in motifs:
        totals = motif.counts.sum(axis=0)
        equal_totals = np.all(totals == totals[0])
        numbers = " ".join(map(_format_number, totals))
        comment = "" if equal_totals else f"{TOTALS_PREFIX} {numbers}\n"
        rows = "\n".join(" ".join(repr(float(v)) for v in row) for row in (motif.counts / totals).T)
        sections.append(
            f"\nMOTIF {_single_word(motif.id)} {_single_word(motif.name)}\n{comment}"
            f"letter-probability matrix: alength= 4 w= {motif.width} "
            f"nsites= {_format_number(totals.max())} E= {motif.evalue!r}\n{rows}\n"
        )
    return "".join(sections)


def as_jaspar(motifs: Sequence[Motif]) -> str:
    """The text of a JASPAR file with the counts of these motifs; the format has no E-values."""
    records = []
    for motif in motifs:
        rows = "".join(
            f"{base}  [ {' '.join(map(_format_number, row))} ]\n"
            for base, row in zip("ACGT", motif.counts, strict=True)
        )
        records.append(f">{_single_word(motif.id)}\t{_single_word(motif.name)}\n{rows}")
    return "\n".join(records)


def _format_number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _single_word(text: str) -> str:
    """The text, after a check that it is a single word, as ids and names are in both formats."""
    if not text or re.search(r"\s", text):
        raise ValueError(f"motif ids and names must be single words; got {text!r}")
    return text


def _read_meme(lines: Sequence[str], file: str) -> list[Motif]:
    motifs: list[Motif] = []
    names: tuple[str, str] | None = None
    totals: list[float] | None = None
    number = 0
    while number < len(lines):
        line = lines[number].strip()
        number += 1
        if line.startswith("ALPHABET=") and line.split("=")[1].strip().upper() != "ACGT":
            raise ValueError(f"{file}, line {number}: the alphabet must be ACGT; got {line!r}")
        if re.match(r"MOTIF(\s|$)", line):
            id, _, name = _printable(re.sub(r"\s(width|w)\s*=.*", "", line[5:])).partition(" ")
            if not id:
                raise ValueError(f"{file}, line {number}: MOTIF must be followed by a name")
            names, totals = (id, name or id), None
        elif line.startswith(TOTALS_PREFIX):
            totals = _numbers(line.removeprefix(TOTALS_PREFIX).split(), file, number)
        elif line.startswith("letter-probability matrix"):
            if names is None:
                raise ValueError(f"{file}, line {number}: a MOTIF line must stand above the matrix")
            keys = dict(re.findall(r"(\w+)=\s*(\S+)", line))
            (evalue,) = _numbers([keys.get("E", "0")], file, number, highest=np.inf)
            (sites,) = _numbers([keys.get("nsites", "0")], file, number, lowest=0)
            first, (rows, number) = number, _matrix(lines, number, file, keys.get("w"))
            totals = totals or [sites or DEFAULT_SITES] * len(rows)
            if len(totals) != len(rows) or min(totals) <= 0:
                raise ValueError(
                    f"{file}, line {first}: {names[0]} has {len(rows)} columns, and as many "
                    f"numbers of sites above 0 are expected; got {totals}"
                )
            motifs.append(_of_shares(names, rows, totals, file, number, evalue))
    return motifs


def _of_shares(
    names: tuple[str, str],
    rows: Sequence[Sequence[float]],
    totals: Sequence[float],
    file: str,
    number: int,
    evalue: float = 0.0,
) -> Motif:
    """A motif of id and name from one row of four shares for each position, and sites."""
    shares = np.array(rows).T
    if not np.allclose(shares.sum(axis=0), 1, atol=0.01):
        raise ValueError(f"{file}, line {number}: the rows of {names[0]} must add up to 1")
    counts = (shares * np.array(totals)).round(COUNT_DECIMALS)
    return _motif(names, counts, file, number, evalue)


def _matrix(
    lines: Sequence[str], number: int, file: str, width: str | None
) -> tuple[list[list[float]], int]:
    """Rows of four numbers from line index ``number`` on, and the index of the line after them."""
    if width is not None and not re.fullmatch("[0-9]{1,9}", width):
        raise ValueError(f"{file}, line {number}: w= must be a whole number; got {width!r}")
    header, rows = number, list[list[float]]()
    while number < len(lines):
        fields = lines[number].split()
        if not fields and not rows:
            number += 1
            continue
        if not fields or fields[0].startswith("--") or not re.match(_NUMBER_START, fields[0]):
            break
        number += 1
        if len(fields) != 4:
            raise ValueError(f"{file}, line {number}: expected four numbers; got {len(fields)}")
        rows.append(_numbers(fields, file, number, lowest=0))
    if not rows or (width is not None and len(rows) != int(width)):
        expected = f"w= {width}" if width else "one for each position"
        raise ValueError(f"{file}, line {header}: the matrix has {len(rows)} rows, not {expected}")
    return rows, number


def _read_records(lines: Sequence[str], file: str) -> list[Motif]:
    """The motifs of a file of records that start with ``>``: those of JASPAR and of HOMER."""
    starts = [number for number, line in enumerate(lines) if line.startswith(">")]
    motifs = []
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        body = [(number + 1, lines[number]) for number in range(start + 1, end)]
        body = [(number, line) for number, line in body if line.strip()]
        header = lines[start][1:]
        is_homer = _is_homer(header, [line for _, line in body], f"{file}, line {start + 1}")
        read = _homer_record if is_homer else _jaspar_record
        motifs.append(read(header, body, file, start + 1))
    return motifs


def _is_homer(header: str, body: Sequence[str], place: str) -> bool:
    """Whether a record has one row of four shares for each position, as in HOMER.

    A record of JASPAR has four rows, for A, C, G and T. Its columns add up to equal numbers, or its
    rows start with these letters.
    """
    fields = header.split("\t")
    if len(fields) >= 3 and re.fullmatch(r"\s*[-+.\deE]+\s*", fields[2]):
        return True  # >CONSENSUS, name and threshold
    try:
        rows = [[float(field) for field in line.split()] for line in body]
    except ValueError:
        return False  # letters or brackets, or an error that names its line later
    if not rows or any(len(row) != 4 for row in rows):
        return False
    matrix = np.array(rows)
    by_row, by_column = (np.allclose(matrix.sum(axis=axis), 1, atol=0.01) for axis in (1, 0))
    if len(rows) == 4 and by_row and by_column and not np.array_equal(matrix, matrix.T):
        raise ValueError(
            f"{place}: four rows of four shares may be those of A, C, G and T or those of four "
            "positions; write A, C, G and T in front of the rows, or HOMER's header of name and "
            "threshold above them"
        )
    return bool(by_row and (len(rows) != 4 or not by_column))


def _homer_record(header: str, body: Sequence[tuple[int, str]], file: str, number: int) -> Motif:
    fields = [_printable(field) for field in header.split("\t")]
    consensus = fields[0].split(" ")[0]
    full_name = fields[1] if len(fields) > 1 else ""
    # GATA3(GATA)/iTreg-Gata3-ChIP-Seq(GSE20898)/Homer is a motif of GATA3.
    name = re.split(r"[(/,]", full_name)[0].strip() or consensus
    if not consensus:
        raise ValueError(f"{file}, line {number}: '>' must be followed by a consensus and a name")
    rows = []
    for number, line in body:
        values = line.split()
        if len(values) != 4:
            raise ValueError(
                f"{file}, line {number}: expected the four shares of a position, as HOMER writes "
                f"them; got {len(values)} fields"
            )
        rows.append(_numbers(values, file, number, lowest=0))
    if not rows:
        raise ValueError(f"{file}, line {number}: {consensus} has no rows")
    target_sites = re.search(r"\bT:([0-9]+(?:\.[0-9]+)?)\(", header)
    sites = float(target_sites[1]) if target_sites else 0.0
    names = full_name.replace(" ", "_") or consensus, name
    return _of_shares(names, rows, [sites or DEFAULT_SITES] * len(rows), file, number)


def _jaspar_record(header: str, body: Sequence[tuple[int, str]], file: str, number: int) -> Motif:
    id, _, name = _printable(header).partition(" ")
    if not id:
        raise ValueError(f"{file}, line {number}: '>' must be followed by an id")
    rows: list[list[float]] = []
    for number, line in body:
        match = re.fullmatch(r"\s*(?:([ACGTacgt])\s*[|:]?\s*)?\[?\s*([^\[\]]*?)\s*\]?\s*", line)
        if len(rows) == 4:
            raise ValueError(f"{file}, line {number}: {id} has more than the rows A, C, G and T")
        base = LETTERS[len(rows)]
        if re.fullmatch(r"[A-Za-z]{2,}", line.strip()):
            raise ValueError(
                f"{file}, line {number}: a sequence, not a row of counts of {base}; give a motif "
                "file (MEME, JASPAR, HOMER or TRANSFAC)"
            )
        if match is None or (match[1] or base).upper() != base:
            raise ValueError(f"{file}, line {number}: expected a row of counts of {base}")
        rows.append(_numbers(match[2].split(), file, number, lowest=0))
        if len({len(row) for row in rows}) != 1:
            raise ValueError(f"{file}, line {number}: the four rows must have the same length")
    if len(rows) < 4:
        raise ValueError(f"{file}, line {number}: {id} has {len(rows)} of 4 rows")
    return _motif((id, name or id), np.array(rows), file, number)


def _read_transfac(lines: Sequence[str], file: str) -> list[Motif]:
    """The motifs of a file in TRANSFAC's format: fields of two letters, a matrix below ``P0``."""
    motifs: list[Motif] = []
    fields: dict[str, str] = {}
    rows: list[list[float]] | None = None
    header = last = 0
    for number, line in enumerate([*lines, "//"], 1):
        key, text = line[:2], _printable(line[2:])
        if key == "//":
            if rows is not None:
                motifs.append(_transfac_motif(fields, rows, file, header, last))
            fields, rows = {}, None
        elif key in ("P0", "PO"):
            if rows is not None:
                raise ValueError(f"{file}, line {number}: '//' must stand between two motifs")
            if text.upper().split()[:4] != ["A", "C", "G", "T"]:
                raise ValueError(f"{file}, line {number}: expected {key} A C G T; got {line!r}")
            rows, header, last = [], number, number
        elif rows is not None and re.match(r"\d+\s", line):
            values = line.split()[1:5]  # the consensus may follow
            if len(values) != 4:
                raise ValueError(f"{file}, line {number}: expected the four counts of a position")
            rows.append(_numbers(values, file, number, lowest=0))
            last = number
        elif re.fullmatch("[A-Z]{2}", key) and text:
            fields.setdefault(key, text)
    return motifs


def _transfac_motif(
    fields: dict[str, str], rows: list[list[float]], file: str, header: int, last: int
) -> Motif:
    if not rows:
        raise ValueError(f"{file}, line {header}: no rows of counts follow")
    id = fields.get("AC") or fields.get("ID") or fields.get("NA") or f"line{header}"
    name = fields.get("NA") or fields.get("ID") or id
    names = id.replace(" ", "_"), name
    if np.allclose(np.sum(rows, axis=1), 1, atol=0.01):
        return _of_shares(names, rows, [DEFAULT_SITES] * len(rows), file, last)
    return _motif(names, np.array(rows).T, file, last)


def _motif(
    names: tuple[str, str], counts: np.ndarray, file: str, number: int, evalue: float = 0.0
) -> Motif:
    """The motif of this id and name; ``number`` is the last line of its matrix."""
    id, name = names
    try:
        if counts.ndim == 2 and counts.shape[1] > MAX_COLUMNS:
            raise ValueError(f"{name}: more than {MAX_COLUMNS} columns")
        return Motif(name, id, counts, evalue)
    except ValueError as error:
        raise ValueError(f"{file}, line {number}: {error}") from error


def _numbers(
    fields: Sequence[str],
    file: str,
    number: int,
    lowest: float = -np.inf,
    highest: float = MAX_COUNT,
) -> list[float]:
    """The fields as finite numbers from ``lowest`` to ``highest``."""
    values = []
    for field in fields:
        if not re.fullmatch(_NUMBER, field):
            raise ValueError(f"{file}, line {number}: expected numbers; got {_printable(field)!r}")
        value = float(field)
        if not np.isfinite(value) or value > highest:
            raise ValueError(
                f"{file}, line {number}: expected numbers of at most {highest:g}; got {field}"
            )
        if value < lowest:
            raise ValueError(f"{file}, line {number}: no number may be below zero; got {field}")
        values.append(value)
    return values
