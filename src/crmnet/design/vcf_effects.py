"""Effects of the variants of a VCF in a genome, block by block, in constant memory.

:func:`vcf_blocks` takes records (:mod:`crmnet.design.vcf`), a genome and promoters
(:mod:`crmnet.design.genome`), predicts each alternative in each promoter that it changes, or in
windows around it (:mod:`crmnet.design.windows`), and yields rows of the table of ``crmnet mutate``.
An alternative without a sequence gets a row without numbers and with a flag.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from crmnet import sequence
from crmnet.arrays import Integers
from crmnet.design.effects import NUMBERS, Effects, MutateOptions, Pairs, Scorer
from crmnet.design.genome import Genome, Region, Regions, read_regions
from crmnet.design.mutate import Mutations, joined
from crmnet.design.oracle import Oracle
from crmnet.design.vcf import Record, kind_of, read_vcf
from crmnet.design.windows import (
    EditedWindow,
    SmallChange,
    WindowOptions,
    edited,
    marks_of,
    trimmed,
    windows_around,
)
from crmnet.files import PathLike
from crmnet.prediction.predictor import Predictor

BLOCK = 2048
"""Windows that are predicted together."""
MORE_COLUMNS = ("strand", "windows")
"""Columns that rows of a genome have beside those of :class:`Mutations`."""


@dataclass
class VcfCounts:
    """What happened to the records of a VCF."""

    records: int = 0
    alternatives: int = 0
    outside: int = 0
    """Alternatives that change no promoter."""
    without_sequence: dict[str, int] = field(default_factory=dict)
    """Flag → number of alternatives that have rows, but no sequence to predict."""


@dataclass(frozen=True)
class Place:
    """Where variants are predicted: the genome, its promoters, and how windows are chosen."""

    genome: Genome
    promoters: Regions | None
    """None means windows around each variant, anywhere."""
    options: WindowOptions

    def bounds(self, contig: str, change: SmallChange) -> list[Region]:
        """Promoters that a change concerns; without promoters the contig, once for each strand."""
        if self.promoters is not None:
            return self.promoters.changed_by(contig, change.start, change.stop)
        strands = "+-" if self.options.strand == "both" else self.options.strand
        return [Region(contig, 0, len(self.genome[contig]), strand, "") for strand in strands]


class Row(NamedTuple):
    """A row of the table, and the windows in which it is predicted."""

    id: str
    variant: str
    strand: str
    windows: list[EditedWindow]
    """Empty for an alternative without a sequence."""
    flag: str


def vcf_blocks(
    scorer: Scorer, path: PathLike, place: Place, counts: VcfCounts
) -> Iterator[Mutations]:
    """Effects of all alternatives of a VCF.

    Args:
        scorer: The model and what is reported.
        path: The VCF.
        place: Genome, promoters, windows.
        counts: Updated while the blocks are read.

    Raises:
        ValueError: If a line is not a record, its contig is not in the genome, or its REF is not
            what the genome has; the message names the record.
    """
    rows = _rows(path, place, counts)
    while block := list(_until(rows, BLOCK)):
        yield _score(scorer, block)


def mutate_vcf(
    model: Predictor,
    vcf: PathLike,
    genome: PathLike,
    promoters: PathLike | None = None,
    *,
    medium: str | Sequence[str] | None = None,
    windows: WindowOptions | None = None,
    options: MutateOptions | None = None,
) -> Mutations:
    """Effects of the variants of a VCF; :func:`vcf_blocks` yields those of a large file in blocks.

    Args:
        model: A predictor; a module is made one by ``Predictor(module.eval(), names, device)``.
        vcf: The variants.
        genome: FASTA file of the genome on which they were called.
        promoters: BED file; None takes windows around each variant.
        medium: One or several of the model's media; None means all.
        windows: Width, offsets and strand of windows.
        options: Sites, and random variants for percentiles.

    Raises:
        ValueError: As :func:`vcf_blocks`, or if no variant changes a promoter, or the model is not
            a predictor.
    """
    if not isinstance(model, Predictor):
        raise ValueError(
            "the windows of a genome are read with adapters, so model must be a Predictor; got "
            f"{type(model).__name__}; wrap a module in Predictor(module.eval(), names_of_outputs, "
            "device)"
        )
    scorer = Scorer(
        Oracle(model, [medium] if isinstance(medium, str) else medium), options or MutateOptions()
    )
    contigs = Genome.read(genome)
    regions = None if promoters is None else read_regions(promoters, contigs)
    place = Place(contigs, regions, windows or WindowOptions())
    return joined(vcf_blocks(scorer, vcf, place, VcfCounts()))


def _until(rows: Iterator[Row], windows: int) -> Iterator[Row]:
    """Rows until they have this many windows."""
    total = 0
    for row in rows:
        yield row
        total += max(1, len(row.windows))
        if total >= windows:
            return


def _rows(path: PathLike, place: Place, counts: VcfCounts) -> Iterator[Row]:
    for record in read_vcf(path):
        counts.records += 1
        where = record.where
        contig = place.genome.contig(record.contig, where)
        _check_reference(record, place.genome, contig, where)
        for alt in record.alts:
            counts.alternatives += 1
            rows = list(_rows_of(record, alt, contig, place, where))
            counts.outside += not rows
            if rows and kind_of(alt) != "sequence":
                kind = kind_of(alt)
                counts.without_sequence[kind] = counts.without_sequence.get(kind, 0) + 1
            yield from rows


def _check_reference(record: Record, genome: Genome, contig: str, where: str) -> None:
    """Check REF against the genome; an N of the genome fits every base."""
    start = record.position - 1
    found = genome[contig][start : start + len(record.ref)]
    if len(found) < len(record.ref):
        raise ValueError(
            f"{where} lies beyond the end of {contig}, which has {len(genome[contig]):,} bases"
        )
    if found == record.ref:
        return
    for offset, (stated, own) in enumerate(zip(record.ref, found, strict=True)):
        if stated != own and own != ord("N"):
            raise ValueError(
                f"{where}: REF has {chr(stated)} at base {record.position + offset:,} of {contig}, "
                f"where {genome.name} has {chr(own)}; give the genome that the variants were "
                "called on"
            )


def _rows_of(record: Record, alt: bytes, contig: str, place: Place, where: str) -> Iterator[Row]:
    """A row for each promoter that an alternative changes; without promoters one row."""
    name = f"{record.contig}:{record.position}{record.ref.decode()}>{alt.decode(errors='replace')}"
    start = record.position - 1
    kind = kind_of(alt)
    if kind != "sequence":
        change = SmallChange(start, start + len(record.ref), b"")
    elif (change := trimmed(start, record.ref, alt)).new == b"" and change.start == change.stop:
        raise ValueError(f"{where}: REF and ALT are both {record.ref.decode()}")
    regions = place.bounds(contig, change)
    if place.promoters is None:
        id_ = record.id or f"{record.contig}:{record.position}"
        strand = place.options.strand
        yield _row(id_, name, strand, kind, _windows(place, contig, change, regions, kind))
        return
    for region in regions:
        windows = _windows(place, contig, change, [region], kind)
        yield _row(region.name, name, region.strand, kind, windows)


def _windows(
    place: Place, contig: str, change: SmallChange, regions: Iterable[Region], kind: str
) -> list[EditedWindow]:
    if kind != "sequence":
        return []
    bases = place.genome[contig]
    return [
        edited(bases, window, change)
        for region in regions
        for window in windows_around(change, region, place.options)
    ]


def _row(id_: str, variant: str, strand: str, kind: str, windows: list[EditedWindow]) -> Row:
    return Row(id_, variant, strand, windows, "" if kind == "sequence" else kind)


def _score(scorer: Scorer, rows: list[Row]) -> Mutations:
    """Predict the rows of a block; rows without windows have no numbers."""
    media = tuple(scorer.oracle.reported)
    predicted = [number for number, row in enumerate(rows) if row.windows]
    effects = _without_numbers(rows, len(media))
    if predicted:
        found = scorer.score(_pairs(scorer, [rows[number] for number in predicted]))
        for name in NUMBERS:
            getattr(effects, name)[predicted] = getattr(found, name)
        for name in ("gained", "lost", "flags"):
            texts = getattr(effects, name)
            for number, text in zip(predicted, getattr(found, name), strict=True):
                texts[number] = text
    more: dict[str, list[Any]] = {
        "strand": [row.strand for row in rows],
        "windows": [len(row.windows) for row in rows],
    }
    return Mutations(
        media,
        [row.id for row in rows],
        [row.variant for row in rows],
        ["genome"] * len(rows),
        np.arange(len(rows)),
        effects,
        more,
    )


def _without_numbers(rows: list[Row], media: int) -> Effects:
    numbers: dict[str, Any] = {
        name: np.full((len(rows), media), np.nan, dtype=np.float32) for name in NUMBERS
    }
    names = [[""] * len(rows) for _ in ("gained", "lost")]
    return Effects(**numbers, gained=names[0], lost=names[1], flags=[row.flag for row in rows])


def _pairs(scorer: Scorer, rows: list[Row]) -> Pairs:
    """References and variants of all windows as constructs; equal references occur once."""
    windows = [window for row in rows for window in row.windows]
    references = list(dict.fromkeys(window.reference for window in windows))
    number = {text: index for index, text in enumerate(references)}
    predictor = scorer.oracle.predictor
    length = sequence.LENGTH if predictor is None else predictor.length
    reference, _ = sequence.constructs(references, flanks="add", length=length)
    variant, _ = sequence.constructs([w.variant for w in windows], flanks="add", length=length)
    adapters = len(sequence.ADAPTER_5) + len(sequence.ADAPTER_3)
    counts = [len(row.windows) for row in rows]
    return Pairs(
        reference,
        _lengths(references, adapters),
        variant,
        _lengths([window.variant for window in windows], adapters),
        np.array([number[window.reference] for window in windows]),
        (
            _marks([window.reference_change for window in windows]),
            _marks([window.variant_change for window in windows]),
        ),
        [window.flag for window in windows],
        np.repeat(np.arange(len(rows)), counts),
        hides_adapters=True,
    )


def _marks(changes: list[tuple[int, int]]) -> Integers:
    return np.array(marks_of(changes, len(sequence.ADAPTER_5)), dtype=np.int64)[:, None]


def _lengths(texts: list[bytes], more: int) -> Integers:
    return np.array(list(map(len, texts)), dtype=np.int64) + more
