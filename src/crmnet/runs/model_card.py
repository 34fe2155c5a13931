"""The card of a packed model: networks, training, test results, intervals and unsuitable uses.

A :class:`ModelCard` is stored in the file of the model. Card and weights are all that is needed to
build the networks and to judge them. :mod:`crmnet.runs.packed` creates the card from the records of
the runs (:mod:`crmnet.runs.record`). :mod:`crmnet.evaluation.calibrate` adds intervals and test
results; prediction reads them, and ``crmnet models show`` prints the card.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from crmnet.files import PathLike
from crmnet.runs.folder import LARGEST_RECORD
from crmnet.runs.json_files import check_values, parse_object, read_text
from crmnet.runs.record import RunRecord, check_outputs, flanks_of
from crmnet.sequence import ADAPTER_3, ADAPTER_5
from crmnet.statistics.differences import Differences
from crmnet.statistics.uncertainty import (
    UNLIKE_FAMILIES,
    Calibration,
    Coverage,
    fewest_families,
)

FORMAT = 1
CARD_KEYS = {"format", "members", "fingerprint"}
"""Keys by which a file is recognised as a card, of any version."""
SHOWN = {"pearson": "r", "spearman": "ρ", "mae": "MAE"}
"""Metrics of a test that the card shows, with their titles."""
PAIRS = 16
"""Pairs of neighbouring bases."""

NOT_FOR = (
    "promoters outside yeast, or in another reporter than that of the training data",
    "complete native promoters: it reads about 80 bases and has no information on chromatin",
    "media without an output of the model",
    "numbers in another unit: expression has the unit of the training measurements",
)
"""Uses for which no model of this assay is suitable; a card may add others."""

TRAINED_ON = "trained_on"
"""Key of a test result: the number of test rows that the model was trained on, if there are any."""

TRAINED_ON_ABOUT = "trained_on_about"
"""The same, estimated from a sample of the rows (:mod:`crmnet.evaluation.seen`)."""


SLOPE = "slope"
"""Key of a test result: slope of measured on predicted values; 1 on the right scale."""
RANGE = "range"
"""Key of a test result: range of the predictions over that of the measurements, each from the 1st
to the 99th percentile."""


class ErrorCorrelation(BaseModel):
    """Pearson correlation of two models' errors on a test set, with its interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    families: int
    value: float
    low: float | None
    high: float | None


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
    forward_only: tuple[int, ...] = ()
    """Numbers of the members, from 0, that predict the given strand alone nevertheless, because
    they were not trained on reverse complements."""
    only: dict[int, tuple[str, ...]] = {}
    """Number of a member, from 0 → the media that it predicts, if these are not all of its own."""
    storage: Literal["float32", "float16"] = "float32"
    storage_error: dict[str, float] = {}
    """Medium → largest change of a member's prediction by 16-bit storage, on random promoters."""
    fingerprint: str
    """SHA-256 of weights and settings; calibration does not change it."""
    not_for: tuple[str, ...] = NOT_FOR
    notes: tuple[str, ...] = ()
    """What users should know: one or a few plain sentences each."""
    tests: dict[str, dict[str, Any]] = {}
    """Test set → its entry as in ``metrics.json``: n, families, each metric with its interval; and
    :data:`SLOPE` and, unless all measurements are equal, :data:`RANGE`."""
    error_correlations: dict[str, dict[str, ErrorCorrelation]] = {}
    """Another model → test set → correlation of the errors of both models."""
    coverage: dict[str, Coverage] = {}
    """Test set → share of its measurements inside the prediction intervals."""
    calibration: Calibration | None = None
    differences: Differences | None = None
    """Uncertainty of differences of predictions, such as effects of variants."""

    @property
    def length(self) -> int:
        """Positions of the input: those of the member that reads the fewest."""
        return min(record.length for record in self.members)

    @property
    def units(self) -> dict[str, str]:
        """Medium → unit of its predictions; media whose unit is unknown are left out."""
        known = {m: unit for record in self.members for m, unit in record.units.items()}
        return {medium: known[medium] for medium in self.media if medium in known}

    def media_of(self, number: int) -> list[str]:
        """Media of the model that a member predicts; members are numbered from 0."""
        own = self.only.get(number, self.members[number].media)
        return [medium for medium in self.media if medium in own]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.members:
            raise ValueError("members names no network")
        check_outputs(self.media)
        for medium in self.media:
            if not any(medium in self.media_of(n) for n in range(len(self.members))):
                raise ValueError(f"no member predicts {medium!r}, one of the media")
        for number, record in enumerate(self.members):
            if not self.media_of(number):
                raise ValueError(f"member {number + 1} predicts none of the media")
            if not set(self.only.get(number, ())) <= set(record.media):
                raise ValueError(f"only: member {number + 1} does not predict all of these media")
        if not set(self.forward_only) <= set(range(len(self.members))):
            raise ValueError(
                f"forward_only names a member that does not exist: {self.forward_only}"
            )
        if not set(self.only) <= set(range(len(self.members))):
            raise ValueError(f"only names a member that does not exist: {list(self.only)}")
        for text in (self.name, self.about, *self.not_for, *self.notes):
            check_values(text, "name, about, not_for or notes")
        for name, test in self.tests.items():
            _check_test(name, test)
        if self.calibration is not None:
            _check_calibration(self.calibration, self.media)
        if self.differences is not None:
            _check_differences(self.differences, self.media)
        return self


def check_card_file(path: PathLike) -> None:
    """Check that the card of the packed model ``path``, ``NAME.json``, replaces nothing else.

    Raises:
        FileExistsError: If that file exists and is not a card.
    """
    file = Path(path).with_suffix(".json")
    if not file.exists():
        return
    try:
        is_card = parse_object(read_text(file, LARGEST_RECORD), str(file)).keys() >= CARD_KEYS
    except (ValueError, OSError):
        is_card = False
    if not is_card:
        raise FileExistsError(
            f"{file} exists and is not the card of a model; the card would replace it: rename it, "
            "or choose another name for the model"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_test(name: str, test: Mapping[str, Any]) -> None:
    """Check the values of a test that the card shows."""
    for count in ("n", "families"):
        if type(test.get(count)) is not int:
            raise ValueError(f"tests.{name}.{count} must be a number of rows or families")
    for metric in SHOWN:
        estimate = test.get(metric)
        if not isinstance(estimate, Mapping) or not all(
            key in estimate and (estimate[key] is None or _is_number(estimate[key]))
            for key in ("value", "low", "high")
        ):
            raise ValueError(f"tests.{name}.{metric} must hold value, low and high")
    for key in (SLOPE, RANGE):
        if not _is_number(test.get(key, 1.0)):
            raise ValueError(f"tests.{name}.{key} must be a number")


def _check_calibration(calibration: Calibration, media: list[str]) -> None:
    """Check sizes and names in a calibration."""
    for entry, of_media in (
        ("intervals", calibration.intervals),
        ("unlike_intervals", calibration.unlike_intervals),
        ("native", calibration.native),
        ("familiar.spread", calibration.familiar.spread),
    ):
        if unknown := of_media.keys() - set(media):
            raise ValueError(f"calibration.{entry} names {min(unknown)!r}, which is not an output")
    if not isinstance(calibration.data.get("name"), str):
        raise ValueError("calibration.data.name must be a text")
    if calibration.native and not (
        type(calibration.native_data.get("rows")) is int
        and isinstance(calibration.native_data.get("name"), str)
    ):
        raise ValueError("calibration.native_data must hold name and rows")
    for medium, quantiles in calibration.native.items():
        if not quantiles or sorted(quantiles) != quantiles:
            raise ValueError(f"calibration.native.{medium} must be quantiles in rising order")
    familiar = calibration.familiar
    sizes = {len(familiar.pairs), len(familiar.precision), *map(len, familiar.precision)}
    if sizes != {PAIRS}:
        raise ValueError(
            f"calibration.familiar must have {PAIRS} pairs, and precision {PAIRS} rows of {PAIRS}"
        )


def _check_differences(differences: Differences, media: list[str]) -> None:
    """Check names and sizes in the uncertainty of differences."""
    for entry, of_media in (("intervals", differences.intervals), ("random", differences.random)):
        if unknown := of_media.keys() - set(media):
            raise ValueError(f"differences.{entry} names {min(unknown)!r}, which is not an output")
    if not isinstance(differences.data.get("name"), str):
        raise ValueError("differences.data.name must be a text")
    for medium, quantiles in differences.random.items():
        if not quantiles or sorted(quantiles) != quantiles or quantiles[0] < 0:
            raise ValueError(
                f"differences.random.{medium} must be quantiles of at least 0 in rising order"
            )
    if differences.random and not {"promoters", "variants"} <= differences.random_data.keys():
        raise ValueError("differences.random_data must hold promoters and variants")


def card_lines(card: ModelCard) -> list[str]:
    """The card as lines for a terminal."""
    untested = ["  none yet; add them with crmnet models calibrate"]
    lines = [f"{card.name}: {card.about}" if card.about else card.name, ""]
    lines += _networks(card)
    lines += ["", "test results", *(_tests(card) or untested)]
    lines += ["", "intervals and flags", *_calibration(card)]
    if card.differences is not None:
        lines += ["", "differences, as of variants", *_differences(card.differences)]
    if card.notes:
        lines += ["", "notes", *(f"  {text}" for text in card.notes)]
    return [*lines, "", "not for", *(f"  {text}" for text in card.not_for)]


def _networks(card: ModelCard) -> list[str]:
    counts = Counter(record.settings.model.name for record in card.members)
    networks = ", ".join(f"{count} × {name}" for name, count in sorted(counts.items()))
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
        f"  networks      {networks}; {strands}",
        f"  media         {', '.join(card.media)}",
        f"  input         {_input(card)}",
        f"  weights       {stored}; fingerprint {card.fingerprint[:16]}",
    ]
    for number, record in enumerate(card.members):
        lines.append(f"  member {number + 1}      {_origin(record)}")
        if record.media != card.media or number in card.only:
            lines.append(f"    predicts {', '.join(card.media_of(number))}")
        if number in card.forward_only:
            lines.append("    the given strand alone")
        if not record.finished:
            lines.append("    its training was interrupted; these are its best weights until then")
        if "licence" in record.data:
            title = record.data["licence"].partition(":")[0]
            lines.append(f"    {title}; its text is in the card (--json)")
        if "citation" in record.data:
            lines.append(f"    {record.data['citation']}")
    return lines


def _input(card: ModelCard) -> str:
    if flanks_of(card.members) == "none" or (
        card.calibration is not None and not card.calibration.familiar.adapters
    ):
        return (
            "sequences as in the training data, to which no adapters are added (--flanks none); "
            f"at most {card.length} bases"
        )
    return (
        f"inserts of about 80 bases, or constructs {ADAPTER_5}…{ADAPTER_3}; at most {card.length} "
        "bases with adapters"
    )


def _origin(record: RunRecord) -> str:
    """Where a member's weights come from, in one line."""
    data = record.data
    if "training_rows" not in data:
        return str(data.get("name", "unknown data"))
    return (
        f"recipe {record.settings.recipe}, seed {record.settings.train.seed}: "
        f"{data['training_rows']:,} rows of {data['name']}, best epoch by "
        f"{data['validation_rows']:,} rows of {data['validation']}"
    )


def _tests(card: ModelCard) -> list[str]:
    lines = []
    for name, test in card.tests.items():
        metrics = ", ".join(
            f"{title} {_with_interval(test[metric])}" for metric, title in SHOWN.items()
        )
        lines.append(f"  {name}: n {test['n']:,} in {test['families']:,} families; {metrics}")
        if SLOPE in test and RANGE in test:
            lines.append(
                f"    slope of measured on predicted {test[SLOPE]:.2f}; predictions span "
                f"{test[RANGE]:.0%} of the range of the measurements"
            )
        if test.get(TRAINED_ON):
            lines.append(
                f"    NOT A TEST: the model was trained on {test[TRAINED_ON]:,} of these rows"
            )
        elif test.get(TRAINED_ON_ABOUT):
            lines.append(
                "    NOT A CLEAN TEST: the model was trained on about "
                f"{test[TRAINED_ON_ABOUT]:,} of these rows"
            )
    for other, sets in card.error_correlations.items():
        for name, found in sets.items():
            r = _with_interval(found.model_dump())
            lines.append(
                f"  {name}: errors correlate with those of {other}: r {r}, n {found.n:,} in "
                f"{found.families:,} families"
            )
    return lines


def _calibration(card: ModelCard) -> list[str]:
    calibration = card.calibration
    if calibration is None:
        return ["  none yet; add them with crmnet models calibrate"]
    lines = []
    for medium, usual in calibration.intervals.items():
        lines.append(
            f"  {medium}: {calibration.level:.0%} intervals {usual.width_text()}, from "
            f"{usual.families:,} held-out families of {calibration.data['name']}"
        )
        wide = calibration.unlike_intervals.get(medium)
        lines.append(
            f"  {medium}, flagged: no interval; it needs flagged rows of at least "
            f"{max(UNLIKE_FAMILIES, fewest_families(calibration.level))} held-out families"
            if wide is None
            else f"  {medium}, flagged: {wide.width_text()}, from {wide.rows:,} flagged rows of "
            f"{wide.families:,} families"
        )
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


def _differences(known: Differences) -> list[str]:
    lines = [
        f"  {medium}: {known.level:.0%} intervals {interval.width_text()}, from "
        f"{interval.rows:,} pairs of {interval.families:,} held-out families of "
        f"{known.data['name']}"
        for medium, interval in known.intervals.items()
    ]
    for name, c in known.coverage.items():
        ends = "" if c.low is None else f" [{c.low:.1%}, {c.high:.1%}]"
        lines.append(
            f"  {name}: {c.value:.1%}{ends} of the differences of {c.n:,} pairs in {c.families:,} "
            f"families inside; median width {c.width:.2f}"
        )
    if known.random:
        many = known.random_data["promoters"] * known.random_data["variants"]
        lines.append(f"  percentiles among {many:,} random substitutions of random promoters")
    return lines or ["  no intervals: the held-out rows have too few related pairs"]


def _with_interval(estimate: dict[str, float | None]) -> str:
    if estimate["value"] is None:
        return "not defined"
    if estimate["low"] is None or estimate["high"] is None:
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"
