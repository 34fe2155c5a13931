"""The card of a packed model: what it is, its training and tests, and what it is not for.

A :class:`ModelCard` travels in the model's own file and is all that is needed, besides the weights,
to build and judge it. :mod:`crmnet.runs.packed` packs it; :mod:`crmnet.evaluation.calibrate` adds
to it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from crmnet.runs.record import RunRecord
from crmnet.sequence import ADAPTER_3, ADAPTER_5
from crmnet.statistics.uncertainty import Calibration, Coverage

FORMAT = 1

NOT_FOR = (
    "promoters outside yeast, or in another reporter than the one it was trained in",
    "whole native promoters: it reads about 80 bases and knows no chromatin around them",
    "media that it has no output for",
    "numbers in another unit: expression is that of the training measurements",
)
"""What no model of this assay is for; a card may say more."""


class ModelCard(BaseModel):
    """Everything about a packed model but its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    name: str
    about: str = ""
    media: list[str]
    members: list[RunRecord]
    """The runs that were packed, in order, with their settings and training data."""
    reverse_complement: bool = False
    """Whether the other strand is predicted too and the two are averaged."""
    storage: Literal["float32", "float16"] = "float32"
    storage_error: dict[str, float] = {}
    """Medium → largest change that storage made to a member's prediction of random promoters."""
    fingerprint: str
    """SHA-256 of weights and settings; calibrating does not change it."""
    not_for: tuple[str, ...] = NOT_FOR
    tests: dict[str, dict[str, Any]] = {}
    """Set → what ``metrics.json`` says of it: n, families, each metric with its interval."""
    coverage: dict[str, Coverage] = {}
    """Set → how often its measurements lay inside the intervals."""
    calibration: Calibration | None = None


def card_lines(card: ModelCard) -> list[str]:
    """The card as lines for a terminal."""
    lines = [f"{card.name}: {card.about}" if card.about else card.name, ""]
    lines += _what_it_is(card)
    lines += ["", "tested on"] + (_tests(card) or ["  nothing yet: crmnet models calibrate"])
    lines += ["", "intervals and flags", *_trust(card), "", "not for"]
    return lines + [f"  {text}" for text in card.not_for]


def _what_it_is(card: ModelCard) -> list[str]:
    names = sorted({record.settings.model.name for record in card.members})
    averaged = all(member.settings.train.average_strands for member in card.members)
    strands = (
        "both strands, averaged" if card.reverse_complement or averaged else "the given strand"
    )
    stored: str = card.storage
    if card.storage_error:
        largest = ", ".join(
            f"{error:.2g} ({medium})" for medium, error in card.storage_error.items()
        )
        stored += f"; moves predictions by at most {largest}"
    lines = [
        f"  networks      {len(card.members)} × {', '.join(names)}; {strands}",
        f"  media         {', '.join(card.media)}",
        f"  input         inserts of about 80 bases, or constructs {ADAPTER_5}…{ADAPTER_3}; "
        f"cut or padded to {card.members[0].settings.model.settings.get('length', 112)}",
        f"  weights       {stored}; fingerprint {card.fingerprint[:16]}",
    ]
    for number, record in enumerate(card.members, 1):
        data = record.data
        if "training_rows" not in data:
            lines.append(f"  member {number}      {data.get('name', 'unknown data')}")
            continue
        lines.append(
            f"  member {number}      recipe {record.settings.recipe}, seed "
            f"{record.settings.train.seed}: {data['training_rows']:,} rows of {data['name']}, "
            f"chosen on {data['validation_rows']:,} of {data['validation']}"
        )
    return lines


def _tests(card: ModelCard) -> list[str]:
    lines = []
    for name, found in card.tests.items():
        said = ", ".join(
            f"{title} {_with_interval(found[metric])}"
            for metric, title in (("pearson", "r"), ("spearman", "ρ"), ("mae", "MAE"))
        )
        lines.append(f"  {name}: n {found['n']:,} in {found['families']:,} families; {said}")
    return lines


def _trust(card: ModelCard) -> list[str]:
    found = card.calibration
    if found is None:
        return ["  none yet: crmnet models calibrate"]
    lines = [
        f"  {medium}: {found.level:.0%} intervals ± {i.quantile * i.base:.2f}"
        f"{f' + {i.quantile * i.slope:.2f} × spread' if i.slope else ''}, from {i.families:,} "
        f"held-out families of {found.data['name']}"
        for medium, i in found.intervals.items()
    ]
    for name, c in card.coverage.items():
        ends = "" if c.low is None else f" [{c.low:.1%}, {c.high:.1%}]"
        lines.append(
            f"  {name}: {c.value:.1%}{ends} of {c.n:,} measurements inside; median width "
            f"{c.width:.2f}; {c.unlike:.1%} flagged as unlike the training data"
        )
    if found.native:
        data = found.native_data
        lines.append(f"  percentiles among {data['rows']:,} native promoters of {data['name']}")
    return lines


def _with_interval(found: dict[str, float | None]) -> str:
    if found["value"] is None:
        return "not defined"
    if found["low"] is None or found["high"] is None:
        return f"{found['value']:.3f}"
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
