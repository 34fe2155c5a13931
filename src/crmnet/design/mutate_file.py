"""Effects of variants of the sequences of a file, block by block.

``crmnet mutate`` calls :func:`file_blocks` and writes what it yields. :class:`Request` states which
variants are meant: named ones, those of a column, all substitutions, deletions, or pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from crmnet import sequence
from crmnet.data.layout import NoColumnError
from crmnet.data.sequences import SequenceBlock, block_names, prepare_block, read_sequences
from crmnet.design.effects import Scorer
from crmnet.design.epistasis import Epistasis, pair_blocks
from crmnet.design.mutate import (
    NO_VARIANTS,
    Mutations,
    deletion_blocks,
    longest_insert,
    named_blocks,
    nothing_left,
    saturation_blocks,
)
from crmnet.design.oracle import REMEDY, Constructs, located
from crmnet.design.variants import parse_variant
from crmnet.files import PathLike

COLUMN = "variant"
"""Name of the column of variants, unless another is given."""


@dataclass(frozen=True)
class Request:
    """Variants of each sequence of a file; without any of them, those of a column."""

    changes: tuple[str, ...] = ()
    """Variants, each of every sequence."""
    saturate: bool = False
    deletions: int | None = None
    """Bases of each deletion."""
    step: int | None = None
    """Bases from deletion to deletion; None means the bases of a deletion."""
    pairs: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    """Role → name of a column; the roles are ``id``, ``sequence`` and ``variant``."""
    flanks: sequence.Flanks = "auto"
    iupac: sequence.Iupac = "error"
    only: tuple[str, ...] = ()
    """Ids of the sequences to change; none means all."""

    def __post_init__(self) -> None:
        for text in self.changes:
            parse_variant(text)
        for name, value in (("--deletions", self.deletions), ("--step", self.step)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1 base; got {value}")

    @property
    def from_column(self) -> bool:
        """Whether the file names the variants."""
        return not (self.changes or self.saturate or self.deletions or self.pairs)


class FileBlock(NamedTuple):
    """Variants of some sequences of a file."""

    constructs: Constructs
    found: Mutations | Epistasis
    """Effects; rows of several blocks may belong to the same constructs."""


@dataclass
class FileCounts:
    """What :func:`file_blocks` has read so far."""

    preparation: sequence.Preparation = field(default_factory=sequence.Preparation)
    """What was done to the sequences."""
    without: int = 0
    """Sequences without any variant: with only N, or not longer than a deletion."""

    def messages(self, length: int) -> list[str]:
        """The counts in words, for a network that reads ``length`` positions."""
        lines = self.preparation.messages(length)
        if self.without:
            lines.append(
                f"{self.without:,} of {self.preparation.total:,} sequences have no such variants, "
                "so no row"
            )
        return lines


def file_blocks(
    scorer: Scorer, path: PathLike, request: Request, counts: FileCounts
) -> Iterator[FileBlock]:
    """Effects of the requested variants, in the order of the file.

    Args:
        scorer: The model.
        path: The file.
        request: The variants.
        counts: Is filled.

    Raises:
        ValueError: If a sequence or variant cannot be read or does not fit, naming file and line,
            or if no sequence has a variant.
    """
    names = dict(request.columns)
    if request.from_column:
        names.setdefault(COLUMN, COLUMN)
    predictor = scorer.oracle.predictor
    length = sequence.LENGTH if predictor is None else predictor.length
    more, longest = [COLUMN] if request.from_column else [], 0
    blocks = read_sequences(path, columns=names, more=more, only=request.only)
    for block in _named(blocks, request):
        tokens, preparation = prepare_block(
            block, path, request.flanks, length, iupac=request.iupac, remedy=REMEDY
        )
        spans = sequence.given_spans(block.sequences, request.flanks)
        constructs = located(tokens, spans, block.ids, block_names(block, path))
        counts.preparation += preparation
        counts.without += _without(constructs, request)
        for found in _found(scorer, constructs, request, block):
            yield FileBlock(constructs, found)
        longest = max(longest, longest_insert(constructs))
    if counts.without == counts.preparation.total:
        width = request.deletions
        raise ValueError(nothing_left(width, longest) if width else NO_VARIANTS)


def _without(constructs: Constructs, request: Request) -> int:
    """Number of constructs that have none of the requested variants."""
    if request.deletions:
        return int((constructs.stop - constructs.start <= request.deletions).sum())
    if not request.saturate:
        return 0
    known = constructs.inside() & (constructs.tokens != sequence.N_TOKEN)
    return int((~known.any(axis=1)).sum())


def _named(blocks: Iterator[SequenceBlock], request: Request) -> Iterator[SequenceBlock]:
    """The blocks; a file without variants, for which no option names any, is an error."""
    try:
        yield from blocks
    except NoColumnError as error:
        if not request.from_column or COLUMN in request.columns:
            raise
        raise ValueError(
            "no variants: give --change, --saturate, --deletions or --pairs, or a table "
            f"with a column {COLUMN!r} ({error})"
        ) from None


def _found(
    scorer: Scorer, constructs: Constructs, request: Request, block: SequenceBlock
) -> Iterator[Mutations | Epistasis]:
    if request.pairs:
        yield from pair_blocks(scorer, constructs)
    elif request.saturate:
        yield from saturation_blocks(scorer, constructs)
    elif request.deletions:
        yield from deletion_blocks(scorer, constructs, request.deletions, request.step)
    elif request.changes:
        yield from named_blocks(scorer, constructs, [request.changes] * len(constructs.ids))
    else:
        assert block.more is not None
        texts = [text.decode(errors="replace") for text in block.more[COLUMN]]
        yield from named_blocks(scorer, constructs, [[text] for text in texts])
