"""What a step returns: numbers beside those of the paper, tables, pictures and sentences.

The steps make a :class:`StepResult`, :mod:`crmnet.studies.reproduce.stamps` keeps it as JSON, and
:mod:`crmnet.studies.reproduce.page` shows it. Values are plain: text, numbers, lists.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from crmnet.reports.wording import percent


class NotRun(Exception):
    """Raised by a step that cannot run here; the text is the reason, for the report."""


@dataclass(frozen=True)
class Number:
    """A measured number, and the paper's number of the same name."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    """95 % interval; None if there is none."""
    n: int | None = None
    """Number of rows."""
    paper: float | None = None
    paper_n: int | None = None
    digits: int = 3
    note: str = ""
    """Sentence about the difference, in place of the usual one."""

    @classmethod
    def of(cls, name: str, estimate: Mapping[str, float | None], **more: Any) -> Number:
        """From ``value``, ``low`` and ``high``; what is not finite becomes None."""
        values: dict[str, Any] = {
            key: v if (v := estimate.get(key)) is not None and math.isfinite(v) else None
            for key in ("value", "low", "high")
        }
        return cls(name, **values, **more)

    def sentence(self, simulated: bool = False) -> str:
        """How the number differs from the paper's, in plain words.

        Args:
            simulated: Whether its rows are simulated, so that only counts can be compared.
        """
        if self.value is None:
            return "It is not defined here."
        if self.paper is None:
            return "The paper gives no number."
        gap = self.value - self.paper
        if self.digits == 0 and gap:
            return self._ratio(self.value / self.paper)
        if simulated and self.n is not None:
            return "Simulated promoters: the difference from the paper has no meaning."
        if self.note:
            return self.note
        if abs(gap) < 0.5 * 10**-self.digits:
            return "Equal to the paper's, as far as it is printed."
        size = f"{abs(gap):,.{self.digits}f} {'higher' if gap > 0 else 'lower'} than in the paper"
        if self.low is None or self.high is None:
            return f"{size}; no interval."
        if self.low <= self.paper <= self.high:
            return f"{size}; the paper's value is inside our interval."
        return f"{size}; the paper's value is outside our interval."

    @staticmethod
    def _ratio(ratio: float) -> str:
        if round(ratio, 2) == 1:
            return "Nearly the paper's."
        if ratio >= 1:
            return f"{ratio:,.3g} times the paper's."
        return f"{percent(ratio)} of the paper's."


@dataclass(frozen=True)
class Table:
    """A table: caption, and columns by name."""

    caption: str
    columns: Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Picture:
    """A picture file, with its caption and the numbers it shows."""

    path: str
    """Relative to the folder of the study."""
    caption: str
    values: Mapping[str, Sequence[Any]] | None = None


@dataclass(frozen=True)
class StepResult:
    """What a step found."""

    sentences: Sequence[str] = ()
    numbers: Sequence[Number] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    """What was not run within the step, and why."""
    not_run: str | None = None
    """Reason if the complete step was not run."""

    def as_json(self) -> dict[str, Any]:
        """The result as JSON; :meth:`from_json` reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StepResult:
        """The result that :meth:`as_json` wrote.

        Raises:
            TypeError: If a name is missing or unknown.
        """
        return cls(
            sentences=values["sentences"],
            numbers=[Number(**number) for number in values["numbers"]],
            tables=[Table(**table) for table in values["tables"]],
            pictures=[Picture(**picture) for picture in values["pictures"]],
            missing=values["missing"],
            not_run=values["not_run"],
        )
