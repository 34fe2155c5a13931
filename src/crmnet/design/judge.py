"""The models of a design: one optimises (oracle), another judges, a third ranks.

A search finds what its oracle overestimates. Another model, which was not optimised, therefore
judges every design; the less training data both share, the more its agreement means.
:func:`choose_panel` takes open models and finds out what they share. If one of them lacks a medium
of the goal, one member of another model's ensemble is held out and judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from crmnet.data.dataset import LABELLED_BY
from crmnet.data.sketch import SIZE, Sketch, sketch_texts
from crmnet.design.scorer import Scorer, held_out_member, members_for
from crmnet.device import Device
from crmnet.files import PathLike
from crmnet.prediction.predictor import BATCH_SIZE, Predictor
from crmnet.reports.wording import percent
from crmnet.runs.model_card import ErrorCorrelation
from crmnet.runs.packed import bundled
from crmnet.runs.record import SKETCH, RunRecord
from crmnet.sequence import INSERT

ORACLE = "yeast-taught"
"""Default model that the search optimises: it learned from another model's predictions."""
JUDGE = "yeast-measured"
"""Default model that judges the designs: it learned from measurements."""
RANKER = "yeast"
"""Default model whose predictions order the designs in the table."""

Model = Predictor | nn.Module | Scorer | PathLike


@dataclass(frozen=True)
class Panel:
    """The models of a design, and what is known about their independence."""

    oracle: Scorer
    judge: Scorer
    ranker: Scorer
    shared: str
    """One sentence on the training labels that oracle and judge share."""
    notes: tuple[str, ...] = ()


def open_scorer(
    model: Model,
    role: str,
    *,
    length: int = INSERT,
    device: Device = "auto",
    batch_size: int = BATCH_SIZE,
) -> Scorer:
    """Open a model, or wrap one that is open; a module reads inserts of ``length`` bases.

    Raises:
        FileNotFoundError: If the model does not exist; names the option that gives another one.
    """
    if isinstance(model, Predictor | nn.Module | Scorer):
        return Scorer.of(model, length=length)
    try:
        predictor = Predictor.load(model, device=device, batch_size=batch_size)
    except FileNotFoundError as error:
        if model not in (ORACLE, JUDGE, RANKER) or model in bundled():
            raise
        names = ", ".join(bundled())
        raise FileNotFoundError(
            f"{model}, the default {role}, is not one of the bundled models ({names}); name a "
            f"model with --{'rank-by' if role == 'ranker' else role}"
        ) from error
    return Scorer.of(predictor, str(predictor.name))


def choose_panel(oracle: Scorer, judge: Scorer, ranker: Scorer, media: Sequence[str]) -> Panel:
    """The panel for a goal in these media.

    If one of oracle and judge lacks a medium, one member of the other's ensemble is held out; if
    that is a single network, one member of the ranker.

    Raises:
        ValueError: If neither oracle nor judge knows all media, or no member can be held out.
    """
    notes = []
    shared = shared_labels(oracle, judge)
    if not (oracle.knows(media) and judge.knows(media)):
        whole = next((scorer for scorer in (oracle, judge) if scorer.knows(media)), None)
        if whole is None:
            raise ValueError(
                f"neither {oracle.name} ({', '.join(oracle.media)}) nor {judge.name} "
                f"({', '.join(judge.media)}) predicts {' and '.join(media)}; name other models "
                "with --oracle and --judge"
            )
        lacking = judge if whole is oracle else oracle
        unknown = " and ".join(m for m in media if not lacking.knows([m])) or " and ".join(media)
        if members_for(whole, media) < 2 <= members_for(ranker, media):
            whole = ranker
        if members_for(whole, media) < 2:
            role = "judge" if lacking is judge else "oracle"
            raise ValueError(
                f"{lacking.name} ({', '.join(lacking.media)}) does not predict {unknown}, and "
                f"{whole.name} has 1 network for {' and '.join(media)}, so no member can be held "
                f"out as a judge; name another {role} with --{role}"
            )
        oracle, judge = held_out_member(whole, media)
        notes.append(
            f"{lacking.name} does not predict {unknown}: {oracle.name} optimises and {judge.name}, "
            "which is held out, judges"
        )
        shared = (
            "oracle and judge are members of one ensemble and share its training labels, up to "
            "the rows that each holds out"
        )
    notes += _error_correlations(oracle, judge)
    if not ranker.knows(media):
        notes.append(f"{ranker.name} does not predict the media of the goal; the judge ranks")
        ranker = judge
    if not any(oracle.knows_uncertainty(medium) for medium in media):
        notes.append(
            f"{oracle.name} has the same uncertainty for every promoter, so the penalty on "
            "uncertainty does not change the designs"
        )
    if oracle.familiar is None:
        notes.append(
            f"{oracle.name} is not calibrated: it cannot tell which designs are unlike its "
            "training data"
        )
    return Panel(oracle, judge, ranker, shared, tuple(notes))


def _error_correlations(oracle: Scorer, judge: Scorer) -> list[str]:
    """How the errors of oracle and judge correlate on test sets, by the models' cards."""
    for one, other in ((oracle, judge), (judge, oracle)):
        card = one.predictor.card
        found = card.error_correlations.get(other.name, {}) if card else {}
        if found:  # the other card has the same numbers
            return [
                f"errors of {one.name} and {other.name} on {name} correlate with r {_r(value)} "
                f"(n {value.n:,} in {value.families:,} families)"
                for name, value in found.items()
            ]
    return []


def _r(found: ErrorCorrelation) -> str:
    ends = "" if found.low is None else f" [{found.low:.2f}, {found.high:.2f}]"
    return f"{found.value:.2f}{ends}"


def shared_labels(oracle: Scorer, judge: Scorer) -> str:
    """Which training labels two models share, by what their records hold, in one sentence."""
    if oracle.predictor is judge.predictor or oracle.predictor.identity == judge.predictor.identity:
        return "oracle and judge are the same model: the judge only repeats the oracle"
    of_oracle, of_judge = _data(oracle), _data(judge)
    if not of_oracle or not of_judge:
        return "which training labels oracle and judge share is unknown: a model has no record"
    for one, other, pupil, teacher in (
        (of_oracle, judge, "oracle", "judge"),
        (of_judge, oracle, "judge", "oracle"),
    ):
        if any(_teacher(data) == other.predictor.identity for data in one):
            return f"the {pupil} learned from the {teacher}'s predictions: they share all labels"
    common = {_source(data) for data in of_oracle} & {_source(data) for data in of_judge} - {None}
    if common:
        names = sorted({str(d.get("name")) for d in of_oracle if _source(d) in common})
        return f"oracle and judge share training labels: both learned from {', '.join(names)}"
    taught = [role for role, data in (("oracle", of_oracle), ("judge", of_judge))
              if all(_teacher(d) for d in data)]  # fmt: skip
    if len(taught) == 1:
        measured = "judge" if taught[0] == "oracle" else "oracle"
        return (
            f"oracle and judge share no label: those of the {taught[0]} are predictions of another "
            f"model, those of the {measured} are not"
        )
    return _by_inserts(of_oracle, of_judge)


def _data(scorer: Scorer) -> list[dict[str, Any]]:
    """Entries on the training data of the members that have one."""
    records: Sequence[RunRecord] = scorer.predictor.records
    return [record.data for record in records if "fingerprint" in record.data]


def _teacher(data: dict[str, Any]) -> str | None:
    teacher = data.get(LABELLED_BY)
    return teacher if isinstance(teacher, str) else None


def _source(data: dict[str, Any]) -> str | None:
    fingerprint = data.get("fingerprint")
    return fingerprint if isinstance(fingerprint, str) else None


def _by_inserts(of_oracle: list[dict[str, Any]], of_judge: list[dict[str, Any]]) -> str:
    """The share of common training inserts, from the sketches in the records."""
    sketches = [
        [Sketch.from_text(text) for d in data for text in sketch_texts(d.get(SKETCH))]
        for data in (of_oracle, of_judge)
    ]
    unknown = (
        "oracle and judge learned from different data sets; whether these share rows is unknown: "
        "their records do not say"
    )
    if not all(sketches):
        return unknown
    one, other = (_merged(group) for group in sketches)
    limit = min(one.largest, other.largest)
    first, second = (np.unique(s.hashes[s.hashes <= limit]) for s in (one, other))
    shared = len(np.intersect1d(first, second))
    if not len(first) or not len(second):
        return unknown
    share = shared / min(len(first), len(second))
    if shared == 0:
        return (
            f"oracle and judge share no training promoter, as far as a sample of {SIZE:,} of each "
            "shows"
        )
    return (
        f"oracle and judge share about {percent(share)} of the promoters of the smaller training "
        "set; whether their labels are the same is unknown"
    )


def _merged(sketches: Sequence[Sketch]) -> Sketch:
    total = sketches[0]
    for sketch in sketches[1:]:
        total = total.merged(sketch)
    return total
