"""Whether a set to score shares rows with the training rows of a model.

Takes the records of a model's members, which hold a sketch of their training rows
(:mod:`crmnet.data.sketch`), and a data set. :mod:`crmnet.evaluation.score_sets` warns of what is
found, and :mod:`crmnet.evaluation.calibrate` refuses it or writes it into the card.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crmnet.data.dataset import Dataset
from crmnet.data.sketch import Overlap, Sketch, sketch_texts
from crmnet.data.splits import hold_out
from crmnet.runs.model_card import ModelCard
from crmnet.runs.record import HELD_OUT, SKETCH, RunRecord

log = logging.getLogger("crmnet")


class TrainingOverlap(NamedTuple):
    """How many inserts of a set the members of a model were trained on."""

    found: Overlap | None
    """Of the sketch with the largest share; None if no member has one."""
    unknown: int
    """Number of members whose training rows are not known: their records hold no sketch."""
    members: int
    """Number of members."""
    too_small: bool
    """Whether a sketch could not be compared, because no insert of the set is in its range."""

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

    These include the rows of the runs that a member was fine-tuned from. A member without a sketch
    is known exactly (:func:`trained_on`) if it was trained on this very data set alone.
    """
    sketches = {
        text: Sketch.from_text(text)
        for record in records
        for text in sketch_texts(record.data.get(SKETCH))
    }
    found = [sketch.overlap(dataset.tokens) for sketch in sketches.values()]
    unknown = [
        r
        for r in records
        if SKETCH not in r.data
        and ("start" in r.data or r.data.get("fingerprint") != dataset.fingerprint)
    ]
    return TrainingOverlap(
        max(found, key=lambda overlap: (overlap.share, overlap.checked), default=None),
        len(unknown),
        len(records),
        not all(overlap.checked for overlap in found),
    )


def log_if_not_checked(overlap: TrainingOverlap, dataset: Dataset) -> None:
    """Log that a set could not be compared with all training rows of a model."""
    if overlap.unknown:
        part = f"a part of the model ({overlap.unknown} of {overlap.members} networks)"
        log.info(
            "%s: not checked for rows that %s was trained on, because its record holds no sample "
            "of them; crmnet models show says what it learned from", dataset.name,
            part if overlap.unknown < overlap.members else "the model",
        )  # fmt: skip
    elif overlap.found is not None and overlap.too_small:
        log.info(
            "%s: too small to be compared with the sample of %s training rows in the model's "
            "record", dataset.name, "some" if overlap.found.checked else "the",
        )  # fmt: skip


def trained_on(dataset: Dataset, card: ModelCard) -> npt.NDArray[np.bool_]:
    """Which rows any member was trained on, ``(N,)``, as far as fingerprints show it.

    The families that a member held out are found again by the rule, share and seed of its run.
    """
    trained = np.zeros(len(dataset), dtype=bool)
    for record in card.members:
        if record.data.get("fingerprint") != dataset.fingerprint:
            continue
        if record.data.get("validation") != HELD_OUT:
            trained[:] = True
            continue
        train = record.settings.train
        rows, _ = hold_out(dataset, train.validation_fraction, train.seed, by=train.validation_by)
        trained[rows] = True
    return trained


def unseen(dataset: Dataset, card: ModelCard) -> Dataset:
    """A data set without the rows that a member was trained on, as far as fingerprints show it.

    For the data set that members were trained on, only the families that each of them held out are
    kept.

    Raises:
        ValueError: If no rows are left.
    """
    trained = trained_on(dataset, card)
    if not trained.any():
        return dataset
    if trained.all():
        number = next(
            number
            for number, record in enumerate(card.members, 1)
            if record.data.get("fingerprint") == dataset.fingerprint
        )
        raise ValueError(
            f"{dataset.path} holds the rows that member {number} was trained on, and none that "
            "all members held out; give rows whose families were kept out of training"
        )
    rows = np.nonzero(~trained)[0]
    return dataclasses.replace(
        dataset,
        tokens=dataset.tokens[rows],
        labels=dataset.labels[rows],
        medium=dataset.medium[rows],
        family=None if dataset.family is None else dataset.family[rows],
        weight=None if dataset.weight is None else dataset.weight[rows],
    )


MOST_SHARED = 0.01
"""Largest estimated share of training inserts among held-out rows that give intervals."""


def refuse_training_rows(dataset: Dataset, card: ModelCard) -> None:
    """Refuse held-out rows that hold training rows; warn if there are few.

    Args:
        dataset: The rows that :func:`unseen` left.
        card: Card of the model.
    """
    overlap = training_overlap(card.members, dataset)
    if overlap.share > MOST_SHARED:
        if any(record.data.get("fingerprint") == dataset.fingerprint for record in card.members):
            remedy = "give rows that all runs of the model, also those it started from, held out"
        else:
            remedy = (
                "leave these rows out with `crmnet data split DATA -o CLEAN --without "
                "TRAINING-DATA`"
            )
        raise ValueError(
            f"the model was trained on rows of {dataset.name}: {overlap.sentence()}; intervals "
            f"would be too narrow: {remedy}"
        )
    if overlap.share:
        log.warning(
            "warning: the model was trained on rows of %s: %s", dataset.name, overlap.sentence()
        )
    else:
        log_if_not_checked(overlap, dataset)
