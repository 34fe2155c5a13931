"""Reads variant call files (VCF), record by record, in constant memory.

Only the columns CHROM, POS, ID, REF and ALT are used. :func:`read_vcf` checks each record and
yields it with its line number; :mod:`crmnet.design.vcf_effects` predicts the effects. The file may
be plain or compressed with gzip, bgzip or zstd.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from crmnet.data.lines import shortened
from crmnet.data.reading import display_name, open_bytes, text_chunks
from crmnet.files import PathLike

COLUMNS = 5
_BASES = b"ACGTN"


class Record(NamedTuple):
    """A record of a VCF."""

    line: int
    contig: str
    position: int
    """POS: first base of REF, from 1."""
    id: str
    """Empty if the record has none."""
    ref: bytes
    alts: list[bytes]
    """Alternatives as they are written, also those without a sequence; see :func:`kind_of`."""
    file: str
    """Name of the file in messages."""

    @property
    def where(self) -> str:
        """The record for messages: file, line and position."""
        return f"{self.file}, line {self.line}: record {self.contig}:{self.position}"


def kind_of(alt: bytes) -> str:
    """``sequence``, or the flag of an alternative without one (:data:`effects.FLAGS`)."""
    if alt == b"*":
        return "spanning_deletion"
    if alt in (b".", b""):
        return "no_alternative"
    if alt.startswith(b"<"):
        return "symbolic"
    if b"[" in alt or b"]" in alt or alt.startswith(b".") or alt.endswith(b"."):
        return "breakend"
    return "sequence"


def read_vcf(path: PathLike) -> Iterator[Record]:
    """The records of a VCF, in order.

    Args:
        path: The file, or ``-`` for standard input.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If a line is not a record, or there is none.
    """
    count, file = 0, display_name(path)
    for line, text in _lines(path):
        count += 1
        yield _record(line, text, file)
    if not count:
        raise ValueError(f"{file} holds no variants; give a VCF with a record a line")


def _lines(path: PathLike) -> Iterator[tuple[int, bytes]]:
    """Number and text of each line that is not part of the header."""
    line = 0
    with open_bytes(path) as stream:
        for chunk in text_chunks(stream, Path(path)):
            if not line and chunk.startswith(b"BCF"):
                raise ValueError(
                    f"{display_name(path)} is BCF; convert it with `bcftools view -o variants.vcf`"
                )
            for text in chunk.split(b"\n")[:-1]:
                line += 1
                if text.strip() and not text.startswith(b"#"):
                    yield line, text


def _record(line: int, text: bytes, file: str) -> Record:
    fields = text.split(b"\t", COLUMNS)
    where = f"{file}, line {line}"
    if len(fields) < COLUMNS:
        raise ValueError(
            f"{where}: a record has at least {COLUMNS} columns separated by tabs (CHROM, POS, ID, "
            f"REF, ALT); got {len(fields)}"
        )
    contig, position, name, ref, alts = (field.strip() for field in fields[:COLUMNS])
    if not position.isdigit() or int(position) < 1:
        raise ValueError(f"{where}: POS must be a number from 1; got {shortened(position, 20)!r}")
    ref = ref.upper()
    _check_bases(ref, "REF", where)
    alternatives = []
    for alt in alts.split(b","):
        if kind_of(alt) == "sequence":
            alt = alt.upper()
            _check_bases(alt, "ALT", where)
        alternatives.append(alt)
    name = b"" if name == b"." else name
    contig_name = contig.decode(errors="replace")
    return Record(
        line, contig_name, int(position), name.decode(errors="replace"), ref, alternatives, file
    )


def _check_bases(bases: bytes, column: str, where: str) -> None:
    if not bases or bases.strip(_BASES):
        raise ValueError(
            f"{where}: {column} must consist of A, C, G, T and N; got {shortened(bases, 20)!r}"
        )
