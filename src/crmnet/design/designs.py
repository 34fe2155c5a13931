"""The result of a design: :class:`Designs`, its table, and how much the judge confirms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crmnet.arrays import Floats, Integers
from crmnet.design.distances import distances
from crmnet.design.judge import Panel
from crmnet.design.objective import Objective
from crmnet.design.path import Path
from crmnet.sequence import N_TOKEN, Lengths, Tokens, decode
from crmnet.statistics.uncertainty import Trust

if TYPE_CHECKING:
    import polars


class Confirmed(NamedTuple):
    """How much better than their starts the designs are, by oracle and judge."""

    oracle: float
    """Mean gain by the oracle, in the unit of expression."""
    judge: float
    """Mean gain by the judge."""

    @property
    def share(self) -> float:
        """Share of the oracle's gain that the judge confirms; NaN if there is no gain."""
        return self.judge / self.oracle if self.oracle > 0 else float("nan")


@dataclass(frozen=True, eq=False)
class Designs:
    """N designed promoters, in the order of the ranker (by target first)."""

    objective: Objective
    tokens: Tokens
    """``(N, W)`` inserts, padded with N."""
    lengths: Lengths
    starts: Tokens
    """``(N, W)`` inserts from which the designs were made, with a random base for each N."""
    given: Tokens
    """``(N, W)`` the same as they were given, with N; random starts have all bases."""
    start_ids: list[str]
    target: Floats
    """``(N,)`` value to hit; NaN for other goals."""
    score: Floats
    """``(N,)`` the ranker's score, which orders the designs."""
    oracle: Floats
    """``(N,)`` value of the objective by the oracle: expression, or difference of two media."""
    judge: Floats
    oracle_start: Floats
    """``(N,)`` the same for the starts."""
    judge_start: Floats
    media: list[str]
    """Media of the ranker."""
    expression: Floats
    """``(N, M)`` expression by the ranker."""
    trust: Trust | None
    """Intervals and percentiles of the ranker; None if it is not calibrated."""
    unlike: list[str]
    """Why the oracle finds a design unlike its training data; empty texts for usual designs."""
    rules: tuple[str, ...]
    """Labels of the constraints, all of which are met."""
    paths: list[Path]
    """Edits that lead from each start to its design."""
    history: Floats
    """``(S + 1, C)`` best score of each search after each step."""
    constructs: Tokens
    """``(N, length)`` as the oracle reads them."""
    panel: Panel
    complete: bool = True
    """False if the search was interrupted."""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of designs."""
        return len(self.tokens)

    @property
    def ids(self) -> list[str]:
        """Names of the designs: ``design_01``, ``design_02``, …."""
        digits = len(str(max(len(self), 10)))
        return [f"design_{number:0{digits}d}" for number in range(1, len(self) + 1)]

    @property
    def sequences(self) -> list[str]:
        """The inserts as text."""
        return decode(self.tokens, self.lengths)

    @property
    def edits(self) -> Integers:
        """``(N,)`` number of bases in which each design differs from its start.

        The base that replaces an N is no edit, as for ``--max-edits``.
        """
        return np.array([(path.before != N_TOKEN).sum() for path in self.paths], dtype=np.int64)

    @property
    def gap(self) -> Floats:
        """``(N,)`` value by the oracle minus value by the judge."""
        return self.oracle - self.judge

    @property
    def nearest(self) -> Integers:
        """``(N,)`` Hamming distance to the nearest other design; −1 for a single design."""
        if len(self) < 2:
            return np.full(len(self), -1)
        apart = distances(self.tokens, self.tokens)
        np.fill_diagonal(apart, self.tokens.shape[1] + 1)
        nearest: Integers = apart.min(axis=1)
        return nearest

    @property
    def confirmed(self) -> Confirmed:
        """Mean gains over the starts, by oracle and judge."""
        gains = [
            self.objective.utility(after, self.target) - self.objective.utility(before, self.target)
            for after, before in (
                (self.oracle, self.oracle_start),
                (self.judge, self.judge_start),
            )
        ]
        means = [float(gain.mean()) if len(gain) else float("nan") for gain in gains]
        return Confirmed(*means)

    def to_table(self) -> polars.DataFrame:
        """:meth:`columns` as a table."""
        import polars

        return polars.DataFrame(self.columns())

    def columns(self) -> dict[str, Any]:
        """The columns of ``designs.tsv``, with all digits."""
        columns: dict[str, Any] = {
            "rank": list(range(1, len(self) + 1)),
            "id": self.ids,
            "sequence": self.sequences,
        }
        if self.objective.targets:
            columns["target"] = self.target
        columns |= {
            "oracle": self.oracle, "judge": self.judge, "gap": self.gap, "score": self.score
        }  # fmt: skip
        for index, medium in enumerate(self.media):
            columns[f"expression_{medium}"] = self.expression[:, index]
            if self.trust is not None:
                columns[f"low_{medium}"] = self.trust.low[:, index]
                columns[f"high_{medium}"] = self.trust.high[:, index]
                if self.trust.percentile is not None:
                    columns[f"percentile_{medium}"] = self.trust.percentile[:, index]
        columns |= {
            "unlike_training": self.unlike,
            "start": self.start_ids,
            "start_oracle": self.oracle_start,
            "start_judge": self.judge_start,
            "edits": self.edits,
            "constraints_met": [f"{len(self.rules)} of {len(self.rules)}"] * len(self),
            "nearest_design": self.nearest,
        }
        return columns
