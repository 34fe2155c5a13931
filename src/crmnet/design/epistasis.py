"""Epistasis: effects of all pairs of substitutions of a sequence, beyond those of each alone.

The epistasis of two substitutions is Δ(both) − Δ(first) − Δ(second): 0 if their effects add up. An
insert of 80 bases has 28,440 pairs of substitutions at different positions. :func:`epistasis`
returns an :class:`Epistasis` for each sequence, as matrix and as table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.arrays import Floats32, Integers
from crmnet.data.media import output_of
from crmnet.design.effects import Effects, MutateOptions, Scorer
from crmnet.design.mutate import (
    CHUNK,
    Mutations,
    column_names,
    joined,
    pairs_of,
    prepared,
    saturation_blocks,
)
from crmnet.design.oracle import Constructs
from crmnet.design.plain_model import Model
from crmnet.design.variants import Edits, edit_names, substitutions

if TYPE_CHECKING:
    import polars


@dataclass(frozen=True)
class Epistasis:
    """Pairs of the S substitutions of one sequence: P pairs at different positions."""

    singles: Mutations
    """The S substitutions, each alone."""
    first: Integers
    """``(P,)``, the substitution at the earlier position."""
    second: Integers
    """``(P,)``, the other substitution."""
    pairs: Mutations
    """The P pairs; Δ is that of both substitutions together."""
    positions: Integers
    """``(S,)``, position of each substitution on the given sequence, from 1."""

    @property
    def values(self) -> Floats32:
        """``(P, M)``, epistasis: Δ of both, minus the Δ of each."""
        single = self.singles.effects.delta
        return self.pairs.effects.delta - single[self.first] - single[self.second]

    def matrix(self, medium: str | None = None) -> Floats32:
        """``(S, S)``, symmetric; NaN for two substitutions of one position.

        Args:
            medium: One of the media; None means the first.
        """
        media = self.pairs.media
        values = self.values[:, output_of(medium, media) if medium else 0]
        many = len(self.singles)
        matrix = np.full((many, many), np.nan, dtype=np.float32)
        matrix[self.first, self.second] = matrix[self.second, self.first] = values
        return matrix

    def columns(self) -> dict[str, Any]:
        """The columns of the table: as for :class:`Mutations`, and epistasis."""
        columns, values = self.pairs.columns(), self.values
        for m, medium in enumerate(self.pairs.media):
            columns[f"epistasis_{medium}"] = values[:, m]
        return {name: columns[name] for name in pair_column_names(self.pairs.media)}

    def to_table(self) -> polars.DataFrame:
        """The table as a data frame."""
        import polars

        return polars.DataFrame(self.columns())


def pair_column_names(media: Sequence[str]) -> list[str]:
    """Names of the columns of :meth:`Epistasis.columns`."""
    return column_names(media, numbers_too=["epistasis"])


def epistasis(
    model: Model,
    sequences: sequence.Texts | npt.ArrayLike,
    *,
    medium: str | Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    flanks: sequence.Flanks = "auto",
    options: MutateOptions | None = None,
) -> list[Epistasis]:
    """Effects of all pairs of substitutions, one result for each sequence.

    Arguments as for :func:`crmnet.design.mutate.mutate`.

    Raises:
        ValueError: If a sequence cannot be read, or has fewer than two bases to change.
    """
    scorer, constructs = prepared(model, sequences, medium, ids, flanks, options)
    return list(pair_blocks(scorer, constructs))


def pair_blocks(scorer: Scorer, constructs: Constructs) -> Iterator[Epistasis]:
    """:func:`epistasis`, sequence by sequence."""
    for row in range(len(constructs.ids)):
        yield _of_one(scorer, constructs.take(slice(row, row + 1)))


def _of_one(scorer: Scorer, construct: Constructs) -> Epistasis:
    edits = substitutions(construct.tokens, construct.inside())
    first, second = np.triu_indices(len(edits.row), k=1)
    different = edits.start[first, 0] != edits.start[second, 0]
    first, second = first[different], second[different]
    if not len(first):
        raise ValueError(
            f"sequence {construct.names[0]!r} has fewer than two bases to change; give a longer one"
        )
    blocks, references = [], None
    for begin in range(0, len(first), CHUNK):
        part = slice(begin, begin + CHUNK)
        both = _together(edits, first[part], second[part])
        pairs = pairs_of(scorer.oracle, construct, both)
        references = references or scorer.reference_views(pairs)
        effects = scorer.score(pairs, references)
        blocks.append(_mutations(scorer, construct, both, effects))
    return Epistasis(
        joined(saturation_blocks(scorer, construct)), first, second, joined(blocks),
        edits.start[:, 0] - construct.origin[0] + 1,
    )  # fmt: skip


def _together(edits: Edits, first: Integers, second: Integers) -> Edits:
    """Pairs of edits; the first lies before the second."""
    pair = np.stack([first, second], axis=1)
    return Edits(
        edits.row[first], edits.start[pair, 0], edits.stop[pair, 0], edits.new[pair, 0],
        edits.size[pair, 0],
    )  # fmt: skip


def _mutations(scorer: Scorer, construct: Constructs, edits: Edits, effects: Effects) -> Mutations:
    many = len(edits.row)
    return Mutations(
        tuple(scorer.oracle.reported), construct.ids * many,
        edit_names(edits, construct.tokens, construct.origin), construct.context * many,
        edits.row, effects,
    )  # fmt: skip
