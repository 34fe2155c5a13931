"""A genome, its promoters, and the names of its contigs.

:class:`Genome` is read from FASTA, promoters (:class:`Region`) from BED. A name such as
``chromosome4`` finds the contig ``chrIV``: names may differ by ``chr``, by Roman or Arabic numbers,
and by the accessions of the yeast reference. :mod:`crmnet.design.vcf_effects` takes windows from
both. Positions count from 0 and ends are not included, as in BED.
"""

from __future__ import annotations

import bisect
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crmnet.data.lines import shortened
from crmnet.data.reading import display_name, open_bytes, text_chunks
from crmnet.data.sequences import block_names, read_sequences
from crmnet.files import PathLike
from crmnet.names import did_you_mean
from crmnet.sequence import INVALID, describe_bad_letter, iupac_as_n, letters_to_tokens

_COMPLEMENT = bytes.maketrans(b"ACGTN", b"TGCAN")
_PREFIX = re.compile(r"^(?:chromosome|chrom|chr)?[ _.\-]*(?:0+(?=.))?", re.IGNORECASE)
_ROMAN = {"i": 1, "v": 5, "x": 10}
_MITOCHONDRION = ("m", "mt", "mito", "mitochondrion", "mtdna")
_ACCESSION = re.compile(r"nc_00(\d{4})(?:\.\d+)?")
_FIRST_ACCESSION, _MITOCHONDRIAL_ACCESSION = 1133, 1224
"""Numbers of NC_001133, chromosome I of the yeast reference, and of its mitochondrial genome."""


class Region(NamedTuple):
    """A stretch of a contig, such as a promoter."""

    contig: str
    start: int
    stop: int
    """One past the last base."""
    strand: str
    """``+`` or ``-``: the strand whose 3' end lies next to the gene."""
    name: str


class Genome:
    """Contigs by name, in upper case; letters for several bases are N.

    Args:
        contigs: Name → bases.
        name: Of the file, for errors.
    """

    def __init__(self, contigs: Mapping[str, bytes], name: str = "the genome") -> None:
        self.contigs, self.name = dict(contigs), name
        self._found: dict[str, str] = {}
        by_key: dict[str, list[str]] = defaultdict(list)
        for contig in self.contigs:
            for key in _keys(contig):
                by_key[key].append(contig)
        self._by_key = {key: names[0] for key, names in by_key.items() if len(set(names)) == 1}

    @classmethod
    def read(cls, path: PathLike) -> Genome:
        """Read a genome from FASTA, plain or compressed; it stays in memory, a byte a base.

        Raises:
            FileNotFoundError: If the file does not exist.
            ValueError: If a contig occurs twice, is empty or holds other letters than DNA.
        """
        contigs: dict[str, bytes] = {}
        for block in read_sequences(path):
            names = block_names(block, path)
            for contig, text, name in zip(block.ids, block.sequences, names, strict=True):
                if contig in contigs:
                    raise ValueError(f"{name}: the contig occurs twice; remove one")
                contigs[contig] = _checked(text, name)
        return cls(contigs, display_name(path))

    def contig(self, name: str, where: str) -> str:
        """The contig that ``name`` stands for.

        Args:
            name: As another file writes it.
            where: The record that names it, for the error.

        Raises:
            ValueError: If the genome has no such contig.
        """
        if name in self.contigs:
            return name
        if name not in self._found:
            match = next((self._by_key[key] for key in _keys(name) if key in self._by_key), None)
            if match is None:
                shown = ", ".join(list(self.contigs)[:20]) + ", …" * (len(self.contigs) > 20)
                hint = did_you_mean(name, list(self.contigs))
                raise ValueError(
                    f"{where}: contig {name!r} is not in {self.name}, which has {shown}"
                    + (f"; {hint}" if hint else "")
                )
            self._found[name] = match
        return self._found[name]

    @property
    def translated(self) -> Mapping[str, str]:
        """Names that differ from those of the genome → contigs, as they were looked up."""
        return self._found

    def __getitem__(self, contig: str) -> bytes:
        return self.contigs[contig]


def _checked(text: bytes, name: str) -> bytes:
    """A contig in upper case, with N for letters of several bases."""
    bases = iupac_as_n(text).upper()
    if not bases:
        raise ValueError(f"{name} is empty; remove it")
    bad = np.nonzero(letters_to_tokens([bases])[0][0] == INVALID)[0]
    if len(bad):
        raise ValueError(
            f"{name}: {describe_bad_letter(text.decode(errors='replace'), int(bad[0]))}"
        )
    return bases


@cache
def _keys(name: str) -> tuple[str, ...]:
    """Names under which a contig can be found, most exact first: without ``chr``, by number."""
    bare = (_PREFIX.sub("", name) or name).lower()
    keys = [f"name {bare}"]
    accession = _ACCESSION.search(name.lower())
    if bare in _MITOCHONDRION:
        keys.append("mitochondrion")
    elif accession:
        number = int(accession[1])
        if number == _MITOCHONDRIAL_ACCESSION:
            keys.append("mitochondrion")
        keys.append(f"number {number - _FIRST_ACCESSION + 1}")
    elif bare.isdigit():
        keys.append(f"number {int(bare)}")
    elif number := _roman(bare):
        keys.append(f"number {number}")
    return tuple(keys)


def _roman(text: str) -> int:
    """Value of a Roman number up to 39; 0 if the text is not one."""
    if not text or not re.fullmatch(r"x{0,3}(?:ix|iv|v?i{0,3})", text):
        return 0
    values = [_ROMAN[letter] for letter in text]
    following = [*values[1:], 0]
    return sum(-v if v < after else v for v, after in zip(values, following, strict=True))


def reverse_complement(bases: bytes) -> bytes:
    """The other strand of upper-case bases."""
    return bases.translate(_COMPLEMENT)[::-1]


class Regions:
    """Promoters, found by position.

    Args:
        regions: The promoters.
        without_strand: How many of them have a strand that was not given.
    """

    def __init__(self, regions: Sequence[Region], without_strand: int = 0) -> None:
        self.regions, self.without_strand = list(regions), without_strand
        by_contig: dict[str, list[Region]] = defaultdict(list)
        for region in sorted(self.regions):
            by_contig[region.contig].append(region)
        self._by_contig = dict(by_contig)
        self._starts = {contig: [r.start for r in own] for contig, own in by_contig.items()}
        self._longest = {
            contig: max(r.stop - r.start for r in own) for contig, own in by_contig.items()
        }

    def changed_by(self, contig: str, start: int, stop: int) -> list[Region]:
        """Regions with a base in ``start`` to ``stop``.

        If the two are equal, bases are inserted before ``start``: regions with bases on both sides.
        """
        if contig not in self._by_contig:
            return []
        starts = self._starts[contig]
        last = bisect.bisect_left(starts, max(stop, start))
        first = bisect.bisect_left(starts, start - self._longest[contig])
        return [region for region in self._by_contig[contig][first:last] if region.stop > start]


def read_regions(path: PathLike, genome: Genome) -> Regions:
    """Read promoters from BED: contig, start from 0, end, and if present name, score and strand.

    A region without a strand is on ``+``; one without a name is called ``contig:first-last``, from
    1.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If a line is not a region of the genome, or there are none.
    """
    regions, without_strand = [], 0
    for line, fields in _bed_lines(path):
        regions.append(_region(fields, f"{display_name(path)}, line {line}", genome))
        without_strand += len(fields) < 6 or fields[5] not in ("+", "-")
    if not regions:
        raise ValueError(f"{display_name(path)} holds no regions; give a line for each promoter")
    return Regions(regions, without_strand)


def _bed_lines(path: PathLike) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of each region."""
    line = 0
    with open_bytes(path) as stream:
        for chunk in text_chunks(stream, Path(path)):
            for text in chunk.split(b"\n")[:-1]:
                line += 1
                words = text.split(b"\t") if b"\t" in text else text.split()
                if not words or not text.strip() or text.startswith((b"#", b"track", b"browser")):
                    continue
                yield line, [word.decode(errors="replace").strip() for word in words]


def _region(fields: Sequence[str], where: str, genome: Genome) -> Region:
    if len(fields) < 3:
        raise ValueError(
            f"{where}: a region has at least 3 columns (contig, start, end); got {len(fields)}"
        )
    try:
        start, stop = int(fields[1]), int(fields[2])
    except ValueError:
        raise ValueError(
            f"{where}: start and end must be numbers; got {shortened(fields[1], 20)!r} and "
            f"{shortened(fields[2], 20)!r}"
        ) from None
    contig = genome.contig(fields[0], where)
    length = len(genome[contig])
    if not 0 <= start < stop <= length:
        raise ValueError(
            f"{where}: {start} to {stop} is not a region of {contig}, which has {length:,} bases; "
            "start counts from 0 and lies before the end"
        )
    strand = fields[5] if len(fields) > 5 else "+"
    if strand not in ("+", "-", "."):
        raise ValueError(f"{where}: strand must be +, - or a dot; got {shortened(strand, 20)!r}")
    name = fields[3] if len(fields) > 3 and fields[3] not in ("", ".") else ""
    return Region(
        contig, start, stop, "-" if strand == "-" else "+", name or f"{contig}:{start + 1}-{stop}"
    )
