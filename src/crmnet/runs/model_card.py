"""The card of a packed model: networks, training, test results, intervals, and what it is not for.

A :class:`ModelCard` is stored in the file of the model. Besides the weights, it is all that is
needed to build the networks and to judge them. :mod:`crmnet.runs.packed` creates it;
:mod:`crmnet.evaluation.calibrate` adds intervals and test results.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from crmnet.runs.record import RunRecord
from crmnet.sequence import ADAPTER_3, ADAPTER_5
from crmnet.statistics.uncertainty import Calibration, Coverage

FORMAT = 1

NOT_FOR = (
    "promoters outside yeast, or in another reporter than that of the training data",
    "complete native promoters: it reads about 80 bases and has no information on chromatin",
    "media without an output of the model",
    "numbers in another unit: expression has the unit of the training measurements",
)
"""Uses that no model of this assay is for; a card may add others."""


TRAINED_ON = "trained_on"
"""Key of a test: how many of its rows the model was trained on, if the test has such rows."""


class ModelCard(BaseModel):
    """Everything about a packed model except its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    name: str
    about: str = ""
    media: list[str]
    members: list[RunRecord]
    """Records of the packed runs, in order: settings, training data, best epoch."""
    reverse_complement: bool = False
    """Whether predictions are the mean of both strands."""
    storage: Literal["float32", "float16"] = "float32"
    storage_error: dict[str, float] = {}
    """Medium → largest change of a member's prediction by 16-bit storage, on random promoters."""
    fingerprint: str
    """SHA-256 of weights and settings; calibration does not change it."""
    not_for: tuple[str, ...] = NOT_FOR
    tests: dict[str, dict[str, Any]] = {}
    """Test set → its entry as in ``metrics.json``: n, families, each metric with its interval."""
    coverage: dict[str, Coverage] = {}
    """Test set → share of its measurements inside the prediction intervals."""
    calibration: Calibration | None = None


def card_lines(card: ModelCard) -> list[str]:
    """The card as lines for a terminal."""
    untested = ["  none yet; add them with crmnet models calibrate"]
    lines = [f"{card.name}: {card.about}" if card.about else card.name, ""]
    lines += _networks(card)
    lines += ["", "test results", *(_tests(card) or untested)]
    lines += ["", "intervals and flags", *_calibration(card), "", "not for"]
    return lines + [f"  {text}" for text in card.not_for]


def _networks(card: ModelCard) -> list[str]:
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
        stored += f"; changes predictions by at most {largest}"
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
            f"best epoch by {data['validation_rows']:,} rows of {data['validation']}"
        )
    return lines


def _tests(card: ModelCard) -> list[str]:
    lines = []
    for name, test in card.tests.items():
        metrics = ", ".join(
            f"{title} {_with_interval(test[metric])}"
            for metric, title in (("pearson", "r"), ("spearman", "ρ"), ("mae", "MAE"))
        )
        lines.append(f"  {name}: n {test['n']:,} in {test['families']:,} families; {metrics}")
        if test.get(TRAINED_ON):
            lines.append(
                f"    NOT A TEST: the model was trained on {test[TRAINED_ON]:,} of these rows"
            )
    return lines


def _calibration(card: ModelCard) -> list[str]:
    calibration = card.calibration
    if calibration is None:
        return ["  none yet; add them with crmnet models calibrate"]
    lines = [
        f"  {medium}: {calibration.level:.0%} intervals ± {i.quantile * i.base:.2f}"
        f"{f' + {i.quantile * i.slope:.2f} × spread' if i.slope else ''}, from {i.families:,} "
        f"held-out families of {calibration.data['name']}"
        for medium, i in calibration.intervals.items()
    ]
    for name, c in card.coverage.items():
        ends = "" if c.low is None else f" [{c.low:.1%}, {c.high:.1%}]"
        lines.append(
            f"  {name}: {c.value:.1%}{ends} of {c.n:,} measurements inside; median width "
            f"{c.width:.2f}; {c.unlike:.1%} flagged as unlike the training data"
        )
    if calibration.native:
        data = calibration.native_data
        lines.append(f"  percentiles among {data['rows']:,} native promoters of {data['name']}")
    return lines


def _with_interval(estimate: dict[str, float | None]) -> str:
    if estimate["value"] is None:
        return "not defined"
    if estimate["low"] is None or estimate["high"] is None:
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"
