"""The path from a start to its design: one edit at a time, the most useful first.

A search may change a base several times. The path has each changed base once; of the edits that are
left, the next one is that after which the oracle's value is best. It shows which edits matter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crmnet.arrays import Floats, Integers
from crmnet.design.problem import Problem
from crmnet.design.variants import describe_change
from crmnet.sequence import Tokens


class Path(NamedTuple):
    """Edits of one design, in order."""

    position: Integers
    """``(E,)`` positions on the insert, from 0."""
    before: Tokens
    """``(E,)`` bases of the start, as it was given: N where it had an N."""
    after: Tokens
    """``(E,)`` bases of the design."""
    value: Floats
    """``(E + 1,)`` value of the oracle before the first edit, and after each."""
    first: int
    """Number, from 1, of the insert's first base on the sequence as given."""

    def changes(self) -> list[str]:
        """The edits as ``35A>G``, positions from 1 on the sequence as given."""
        return [
            describe_change(position + self.first, old, new)
            for position, old, new in zip(self.position, self.before, self.after, strict=True)
        ]

    def apply(self, insert: Tokens) -> Tokens:
        """The insert ``(W,)`` with all edits."""
        edited = insert.copy()
        edited[self.position] = self.after
        return edited


def edit_paths(
    problem: Problem, designs: Tokens, chain: Integers, begun: Tokens, given: Tokens
) -> list[Path]:
    """The path of each design; all designs advance by one edit at a time, in one batch.

    Args:
        problem: Its oracle and objective order the edits.
        designs: ``(D, W)``.
        chain: ``(D,)``.
        begun: ``(D, W)``, start of each design.
        given: ``(D, W)``, the same with the N of the given promoters, for which ``begun`` has
            random bases.
    """
    present = begun.copy()
    order: list[list[int]] = [[] for _ in designs]
    values: list[list[float]] = [[value] for value in _values(problem, present, chain)]
    for _ in range(designs.shape[1] if len(designs) else 0):
        row, position = np.nonzero(present != designs)
        if not len(row):
            break
        tried = present[row]
        tried[np.arange(len(row)), position] = designs[row, position]
        value = _values(problem, tried, chain[row])
        utility = problem.objective.utility(value, problem.starts.target[chain[row]])
        best = np.lexsort((position, -utility, row))
        best = best[np.unique(row[best], return_index=True)[1]]
        present[row[best]] = tried[best]
        for number in best.tolist():
            order[row[number]].append(int(position[number]))
            values[row[number]].append(float(value[number]))
    return [
        Path(
            np.array(where, dtype=np.int64), given[d][where], designs[d][where], np.array(value),
            int(problem.starts.first[chain[d]]),
        )
        for d, (where, value) in enumerate(zip(order, values, strict=True))
    ]  # fmt: skip


def _values(problem: Problem, tokens: Tokens, chain: Integers) -> list[float] | Floats:
    if not len(tokens):
        return []
    return problem.values(problem.oracle, tokens, chain)
