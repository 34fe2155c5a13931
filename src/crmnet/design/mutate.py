"""Effects of variants of given sequences: named ones, all substitutions, tiled deletions.

:func:`mutate`, :func:`saturate` and :func:`delete_tiles` take a model and sequences and return
:class:`Mutations`. A variant and its reference are predicted in the same context: what is added
around the reference (adapters, padding) is added around the variant. An insertion or a deletion
changes the length of the construct, and the 3' adapter follows the insert. An insertion that does
not fit into the network's input pushes bases out at the 5' end of the insert, which is flagged.
:mod:`crmnet.design.epistasis` adds pairs of substitutions, :mod:`crmnet.design.vcf_effects`
variants in a genome.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.arrays import Floats32, Integers
from crmnet.data.media import output_of
from crmnet.design.effects import NUMBERS as EFFECT_NUMBERS
from crmnet.design.effects import Effects, MutateOptions, Pairs, Scorer
from crmnet.design.oracle import Constructs, Oracle
from crmnet.design.plain_model import Model
from crmnet.design.variants import (
    Change,
    Edits,
    check_variant,
    edit_names,
    edits_of,
    parse_variant,
    substitutions,
    tiled_deletions,
)
from crmnet.perturb import splice

if TYPE_CHECKING:
    import polars

CHUNK = 4096
"""Variants that are scored at a time."""
NO_VARIANTS = "there are no variants: no sequence has a base that can be changed"
NUMBERS = ("expression_reference", "expression_variant", "delta", "delta_low", "delta_high",
           "delta_percentile")  # fmt: skip
"""Columns of numbers of each medium, in order; ``_<medium>`` follows."""


@dataclass(frozen=True)
class Mutations:
    """Effects of N variants on M media."""

    media: tuple[str, ...]
    ids: list[str]
    """Id of each variant's sequence."""
    variants: list[str]
    """Names of the variants; positions count from 1 on the sequence as given."""
    context: list[str]
    """``insert``, ``construct`` or ``genome``."""
    row: Integers
    """``(N,)``, the sequence of each variant."""
    effects: Effects
    more: Mapping[str, list[Any]] = field(default_factory=dict)
    """Further columns: in a genome ``strand`` and ``windows``, over which the mean is taken."""

    def __len__(self) -> int:
        return len(self.variants)

    def of(self, medium: str) -> Floats32:
        """``(N,)``, Δ in one medium."""
        return self.effects.delta[:, output_of(medium, self.media)]

    def columns(self) -> dict[str, Any]:
        """The columns of the table, by name, with all digits."""
        effects, columns = self.effects, dict[str, Any]()
        columns |= {"id": self.ids, "variant": self.variants, "context": self.context, **self.more}
        for m, medium in enumerate(self.media):
            for name, values in zip(NUMBERS, effects[:6], strict=True):
                columns[f"{name}_{medium}"] = values[:, m]
        names = ("sites_gained", "sites_lost", "flags")
        return columns | dict(zip(names, effects[6:], strict=True))

    def to_table(self) -> polars.DataFrame:
        """The table as a data frame."""
        import polars

        return polars.DataFrame(self.columns())


def column_names(
    media: Sequence[str], more: Sequence[str] = (), numbers_too: Sequence[str] = ()
) -> list[str]:
    """Names of the columns of :meth:`Mutations.columns`, in order.

    Args:
        media: Names of the media.
        more: Columns that follow ``context``.
        numbers_too: Further numbers of each medium.
    """
    numbers = [f"{name}_{medium}" for medium in media for name in (*NUMBERS, *numbers_too)]
    return ["id", "variant", "context", *more, *numbers, "sites_gained", "sites_lost", "flags"]


def joined(parts: Iterable[Mutations]) -> Mutations:
    """All parts as one.

    Raises:
        ValueError: If there are no parts: no sequence has a variant.
    """
    found = list(parts)
    if not found:
        raise ValueError(NO_VARIANTS)
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part.effects, name) for part in found])
        for name in EFFECT_NUMBERS
    }
    for name in Effects._fields[6:]:
        columns[name] = [text for part in found for text in getattr(part.effects, name)]
    return Mutations(
        found[0].media,
        [text for part in found for text in part.ids],
        [text for part in found for text in part.variants],
        [text for part in found for text in part.context],
        np.concatenate([part.row for part in found]),
        Effects(**columns),
        {name: [value for part in found for value in part.more[name]] for name in found[0].more},
    )


def mutate(
    model: Model,
    sequences: sequence.Texts | npt.ArrayLike,
    variants: Sequence[str] | Sequence[Sequence[str]],
    *,
    medium: str | Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    flanks: sequence.Flanks = "auto",
    options: MutateOptions | None = None,
) -> Mutations:
    """Effects of named variants.

    Args:
        model: A predictor, or any module that takes one-hot ``(B, 4, L)``.
        sequences: Inserts or constructs as text, or tokens ``(B, L)``.
        variants: Variants such as ``35A>G``, ``35insACG``, ``35_38del`` or ``35A>G+40T>C``
            (:mod:`crmnet.design.variants`), each of every sequence; or a list for each sequence.
        medium: One or several of the model's media; None means all.
        ids: Names of the sequences; None numbers them from 1.
        flanks: As for :func:`crmnet.sequence.prepare`.
        options: Sites, and random variants for percentiles.

    Raises:
        ValueError: If a text is not a variant or does not fit its sequence, a sequence cannot be
            read, or the numbers of ids and sequences differ.
    """
    scorer, constructs = prepared(model, sequences, medium, ids, flanks, options)
    many = len(constructs.ids)
    if not variants or isinstance(variants, str):
        raise ValueError(f"variants must be a list of texts such as ['35A>G']; got {variants!r}")
    each = [variants] * many if isinstance(variants[0], str) else list(variants)
    if len(each) != many:
        raise ValueError(f"{len(each):,} lists of variants do not fit {many:,} sequences")
    return joined(named_blocks(scorer, constructs, each))  # type: ignore[arg-type]


def saturate(
    model: Model,
    sequences: sequence.Texts | npt.ArrayLike,
    *,
    medium: str | Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    flanks: sequence.Flanks = "auto",
    options: MutateOptions | None = None,
) -> Mutations:
    """Effects of all substitutions of the insert, by position and base: 240 for 80 bases.

    Arguments as for :func:`mutate`.
    """
    scorer, constructs = prepared(model, sequences, medium, ids, flanks, options)
    return joined(saturation_blocks(scorer, constructs))


def delete_tiles(
    model: Model,
    sequences: sequence.Texts | npt.ArrayLike,
    width: int,
    step: int | None = None,
    *,
    medium: str | Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    flanks: sequence.Flanks = "auto",
    options: MutateOptions | None = None,
) -> Mutations:
    """Effects of deletions of ``width`` bases along the insert.

    Args:
        model: As for :func:`mutate`.
        sequences: As for :func:`mutate`.
        width: Bases of each deletion.
        step: Bases from the start of a deletion to that of the next; None means ``width``. The
            last deletion ends at the last base of the insert.
        medium: As for :func:`mutate`.
        ids: As for :func:`mutate`.
        flanks: As for :func:`mutate`.
        options: As for :func:`mutate`.
    """
    scorer, constructs = prepared(model, sequences, medium, ids, flanks, options)
    blocks = list(deletion_blocks(scorer, constructs, width, step))
    if not blocks:
        raise ValueError(nothing_left(width, longest_insert(constructs)))
    return joined(blocks)


def prepared(
    model: Model,
    sequences: sequence.Texts | npt.ArrayLike,
    medium: str | Sequence[str] | None,
    ids: Sequence[str] | None,
    flanks: sequence.Flanks,
    options: MutateOptions | None,
) -> tuple[Scorer, Constructs]:
    """Scorer and constructs for arguments as of :func:`mutate`."""
    oracle = Oracle(model, [medium] if isinstance(medium, str) else medium)
    constructs = oracle.constructs(sequences, ids, flanks)
    return Scorer(oracle, options or MutateOptions(), constructs), constructs


def named_blocks(
    scorer: Scorer, constructs: Constructs, variants: Sequence[Sequence[str]]
) -> Iterator[Mutations]:
    """:func:`mutate` in blocks; ``variants`` has a list for each construct."""
    parsed, rows = [], []
    for row, texts in enumerate(variants):
        for text in texts:
            parsed.append(_changes(text, constructs, row))
            rows.append(row)
    names = ["+".join(change.name for change in changes) for changes in parsed]
    row_of = np.array(rows, dtype=np.int64)
    edits = edits_of(parsed, row_of, constructs.origin[row_of])
    yield from _blocks(scorer, constructs, edits, names)


def _changes(text: str, constructs: Constructs, row: int) -> tuple[Change, ...]:
    """The changes of a variant of one construct; an error names the sequence."""
    name = constructs.names[row]
    try:
        changes = parse_variant(text)
    except ValueError as error:
        raise ValueError(f"sequence {name!r}: {error}") from None
    check_variant(changes, constructs.given_text(row), repr(name))
    first = -int(constructs.origin[row])
    for change in changes:
        if change.start < first or change.stop - first > constructs.lengths[row]:
            raise ValueError(
                f"{change.name} of sequence {name!r} lies in the N padding outside the construct, "
                "which is not read"
            )
    return changes


def saturation_blocks(scorer: Scorer, constructs: Constructs) -> Iterator[Mutations]:
    """:func:`saturate` in blocks; the variants of one sequence are in one block."""
    longest = int((constructs.stop - constructs.start).max(initial=1))
    at_a_time = max(1, CHUNK // max(1, 3 * longest))
    for first in range(0, len(constructs.ids), at_a_time):
        rows = slice(first, first + at_a_time)
        some = constructs.take(rows)
        edits = substitutions(some.tokens, some.inside())
        for block in _blocks(scorer, some, edits):
            yield replace(block, row=block.row + first)


def deletion_blocks(
    scorer: Scorer, constructs: Constructs, width: int, step: int | None = None
) -> Iterator[Mutations]:
    """:func:`delete_tiles` in blocks; none if no insert is longer than a deletion."""
    step = width if step is None else step
    if width < 1 or step < 1:
        raise ValueError(f"width and step of deletions must be at least 1; got {width} and {step}")
    edits = tiled_deletions(constructs.start, constructs.stop, width, step)
    yield from _blocks(scorer, constructs, edits)


def longest_insert(constructs: Constructs) -> int:
    """Bases of the longest insert."""
    return int((constructs.stop - constructs.start).max(initial=0))


def nothing_left(width: int, longest: int) -> str:
    """Why inserts of at most ``longest`` bases have no deletions of ``width``, as a sentence."""
    return (
        f"deletions of {width} bases leave nothing of inserts of at most {longest}; give a smaller "
        "width"
    )


def _blocks(
    scorer: Scorer, constructs: Constructs, edits: Edits, names: list[str] | None = None
) -> Iterator[Mutations]:
    """Score edits, at most :data:`CHUNK` at a time."""
    for first in range(0, len(edits.row), CHUNK):
        part = edits.take(slice(first, first + CHUNK))
        effects = scorer.score(pairs_of(scorer.oracle, constructs, part))
        yield Mutations(
            tuple(scorer.oracle.reported),
            [constructs.ids[row] for row in part.row.tolist()],
            edit_names(part, constructs.tokens, constructs.origin) if names is None
            else names[first : first + CHUNK],
            [constructs.context[row] for row in part.row.tolist()],
            part.row,
            effects,
        )  # fmt: skip


def pairs_of(oracle: Oracle, constructs: Constructs, edits: Edits) -> Pairs:
    """References and variants of edits, in the same context.

    A variant that is longer than the model reads loses bases at the 5' end of its insert, and is
    flagged. A module that takes rows by length reads any length.

    Raises:
        ValueError: If a variant has no bases.
    """
    rows, row = np.unique(edits.row, return_inverse=True)
    references, lengths = constructs.tokens[rows], constructs.lengths[rows]
    width = references.shape[1]
    variant_lengths = lengths[row] + edits.growth
    if (variant_lengths < 1).any():
        name = constructs.names[int(edits.row[np.argmin(variant_lengths)])]
        raise ValueError(f"a variant of sequence {name!r} deletes all of its bases")
    extra = max(0, int((lengths[row] + edits.room).max(initial=0)) - width)
    if extra:
        references = np.pad(references, ((0, 0), (0, extra)), constant_values=sequence.N_TOKEN)
    pairs = Pairs(
        references, lengths, edits.apply(references[row]), variant_lengths, row, edits.marks()
    )
    if oracle.by_length or not extra:
        return pairs
    start = constructs.start[edits.row]
    return _cut(pairs, start + edits.growth_before(start), width)


def _cut(pairs: Pairs, start: Integers, width: int) -> Pairs:
    """Pairs whose variants have at most ``width`` bases: the insert loses bases at its start.

    Args:
        pairs: References and variants.
        start: ``(P,)``, first base of the insert in each variant.
        width: Bases that the model reads.
    """
    surplus = np.maximum(pairs.variant_lengths - width, 0)
    nothing = np.zeros((len(start), 0), dtype=np.uint8)
    variants = splice(pairs.variant, start, start + surplus, nothing, np.zeros_like(start))
    cut, first = surplus[:, None, None], 2 * start[:, None, None]
    marks = pairs.marks[1]
    moves = (cut > 0) & (marks >= first - 1)  # the 5' adapter does not move
    marks = np.where(moves, np.maximum(marks - 2 * cut, first), marks)
    return pairs._replace(
        reference=pairs.reference[:, :width],
        variant=variants[:, :width],
        variant_lengths=pairs.variant_lengths - surplus,
        marks=(pairs.marks[0], marks),
        flags=["distal_cut" if bases else "" for bases in surplus.tolist()],
    )
