"""Whether a set to score shares rows with the training rows of a model.

Takes the records of a model's members, which hold a sketch of their training rows
(:mod:`crmnet.data.sketch`), and a data set. :mod:`crmnet.evaluation.score_sets` warns of what is
found, and :mod:`crmnet.evaluation.calibrate` refuses it or writes it into the card.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from crmnet.data.dataset import Dataset
from crmnet.data.sketch import Overlap, Sketch
from crmnet.runs.record import SKETCH, RunRecord

log = logging.getLogger("crmnet")


class TrainingOverlap(NamedTuple):
    """How many inserts of a set the members of a model were trained on."""

    found: Overlap | None
    """Of the member with the largest share; None if no member could be compared."""
    unknown: int
    """Number of members whose records hold no sketch."""

    @property
    def share(self) -> float:
        """Estimated share of the set's inserts."""
        return 0.0 if self.found is None else self.found.share

    def sentence(self) -> str:
        """What was found, such as: about 43 % of its inserts (61 of 140 that were checked)."""
        assert self.found is not None
        return (
            f"about {100 * self.share:.3g} % of its inserts ({self.found.shared:,} of "
            f"{self.found.checked:,} that were checked)"
        )


def training_overlap(records: Sequence[RunRecord], dataset: Dataset) -> TrainingOverlap:
    """Compare the rows of a data set with the training rows of each member of a model.

    A member that was trained on this very data set is left out: its held-out rows are known
    exactly (:func:`crmnet.evaluation.calibrate.trained_on`).
    """
    others = [r for r in records if r.data.get("fingerprint") != dataset.fingerprint]
    sketches = [r.data[SKETCH] for r in others if SKETCH in r.data]
    found = [Sketch.from_text(text).overlap(dataset.tokens) for text in dict.fromkeys(sketches)]
    most = max(found, key=lambda overlap: overlap.share, default=None)
    return TrainingOverlap(most, len(others) - len(sketches))


def log_if_not_checked(overlap: TrainingOverlap, dataset: Dataset) -> None:
    """Log that a set was not compared with the training rows, or that none of its rows could be."""
    if overlap.unknown:
        log.info(
            "%s: not checked for rows that the model was trained on: its record was written "
            "by an earlier version or imported", dataset.name,
        )  # fmt: skip
    elif overlap.found is not None and not overlap.found.checked:
        log.info(
            "%s: not checked for rows that the model was trained on: the set is too small for the "
            "sample of training rows in the record", dataset.name,
        )  # fmt: skip
