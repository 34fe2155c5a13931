"""Promoters one substitution away, and the model that predicts them.

:func:`open_promoters` takes a :class:`Predictor` or any module ``(B, 4, L)`` → ``(B, M)``, and text
or tokens, and returns a predictor and the promoters as tokens. :func:`neighbours` lists all single
substitutions. :mod:`crmnet.design.evolve`, :mod:`crmnet.design.trajectories` and
:mod:`crmnet.design.conservation` predict with them. Wild type and neighbours always have the same
adapters and padding.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.arrays import Booleans, Floats32, Integers
from crmnet.data.sequences import (
    Promoters,
    SequenceBlock,
    prepare_block,
    prepare_windows,
    read_sequences,
)
from crmnet.design.plain_model import Model, as_predictor
from crmnet.files import PathLike
from crmnet.interpretation.inserts import Inserts, find_inserts
from crmnet.perturb import single_substitutions
from crmnet.prediction.predictor import NotFiniteError, Predictor
from crmnet.sequence import Tokens

AT_ONCE = 64
"""Promoters whose neighbours are in memory at a time; 80 bases have 240 neighbours."""
REMEDY = "pass --window last or --window first to read one end"
"""Advice about a sequence that is too long for the network."""
SECONDS = 30
"""Seconds between two lines of progress in a log."""


class Neighbours(NamedTuple):
    """All single substitutions of B sequences, in the order of row, position and base."""

    tokens: Tokens
    """``(K, L)``."""
    row: Integers
    """``(K,)``, the sequence that was changed."""
    position: Integers
    """``(K,)``, where it was changed, from 0."""
    base: Integers
    """``(K,)``, the new base; for each position in the order A, C, G, T, without the old one."""


def neighbours(tokens: npt.ArrayLike, inside: npt.ArrayLike) -> Neighbours:
    """All single substitutions of sequences.

    An N has no neighbours: its base is not known, so no substitution of it is.

    Args:
        tokens: ``(B, L)``.
        inside: ``(B, L)``, True at the positions that may change.
    """
    tokens = sequence.as_tokens(tokens)
    row, position, base = single_substitutions(tokens, inside)
    changed = tokens[row]
    changed[np.arange(len(row)), position] = base
    return Neighbours(changed, row, position, base)


def open_promoters(
    model: Model,
    sequences: sequence.Texts | npt.ArrayLike,
    *,
    window: sequence.Window | None = None,
    ids: Sequence[str] | None = None,
) -> tuple[Predictor, Promoters]:
    """A predictor, and sequences as it reads them.

    Args:
        model: A predictor, or a module ``(B, 4, L)`` → ``(B, M)``.
        sequences: Inserts or constructs as text, as :meth:`Predictor.predict` takes them, or tokens
            ``(B, L)``. A module gets texts as they are, and they must have one length.
        window: The end that is read of a text that is too long for the network of a predictor.
        ids: Names of the sequences; None means their numbers from 1.

    Raises:
        ValueError: If a sequence cannot be read or is too long, or the numbers of ids and sequences
            differ.
    """
    given = None
    if np.ndim(cast(npt.ArrayLike, sequences)) > 1:
        tokens = sequence.as_tokens(cast(npt.ArrayLike, sequences))
        predictor = as_predictor(model, tokens.shape[1])
    elif isinstance(model, Predictor):
        texts = sequence.as_list(cast(sequence.Texts, sequences))
        predictor, tokens = model, model.prepare(texts, window=window)
        parts = [sequence.windows(text, window or "first", "auto", model.length) for text in texts]
        given = sequence.window_spans(texts, parts)
    else:
        tokens, lengths = sequence.encode(cast(sequence.Texts, sequences))
        if len(set(lengths.tolist())) > 1:
            raise ValueError(
                f"a module takes sequences of one length; got {lengths.min()} to {lengths.max()} "
                "bases; group them by length, or pass a Predictor"
            )
        predictor = as_predictor(model, tokens.shape[1])
    names = [str(n + 1) for n in range(len(tokens))] if ids is None else list(map(str, ids))
    if len(names) != len(tokens):
        raise ValueError(f"{len(names)} ids for {len(tokens)} sequences; give one for each")
    return predictor, Promoters(names, tokens, None, given=given)


def inserts_of(promoters: Promoters) -> tuple[Inserts, Booleans]:
    """Where the inserts lie, and ``(B, L)`` True at their positions."""
    inserts = find_inserts(promoters.tokens, promoters.given)
    return inserts, inserts.inside(promoters.tokens.shape[1])


@dataclass(frozen=True)
class Reading:
    """How the promoters of a file are read."""

    flanks: sequence.Flanks = "auto"
    window: sequence.Window | None = None
    """The end that is read of a sequence that is too long; None refuses such a sequence."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Role → column name, as for :func:`crmnet.data.sequences.read_sequences`."""
    iupac: sequence.Iupac = "error"


def read_in_chunks(
    predictor: Predictor, path: PathLike, reading: Reading, at_once: int = AT_ONCE
) -> Iterator[Promoters]:
    """The promoters of a file, at most ``at_once`` at a time; memory does not grow with the file.

    Raises:
        ValueError: At the first sequence that cannot be read or is too long, naming file and line.
    """
    for block in read_sequences(path, columns=reading.columns):
        for first in range(0, len(block.ids), at_once):
            part = slice(first, first + at_once)
            few = SequenceBlock(block.ids[part], block.lines[part], block.sequences[part])
            yield _prepared(predictor, path, few, reading)


def _prepared(
    predictor: Predictor, path: PathLike, block: SequenceBlock, reading: Reading
) -> Promoters:
    if reading.window is None:
        tokens, preparation = prepare_block(
            block, path, reading.flanks, predictor.length, iupac=reading.iupac, remedy=REMEDY
        )
        given = sequence.given_spans(block.sequences, reading.flanks)
    else:
        windows = [
            sequence.windows(text, reading.window, reading.flanks, predictor.length)
            for text in block.sequences
        ]
        tokens, given, preparation = prepare_windows(
            block, path, windows, reading.flanks, predictor.length, reading.iupac
        )
    return Promoters(block.ids, tokens, None, preparation, given)


class Progress:
    """Logs how far a long job is, one line every :data:`SECONDS` seconds."""

    def __init__(self, log: logging.Logger, unit: str) -> None:
        self.log, self.unit = log, unit
        self.start = self.last = time.monotonic()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if now - self.last >= SECONDS:
            self.last = now
            rate = done / (now - self.start)
            self.log.info("%s %s, %.3g per second", f"{done:,}", self.unit, rate)


def predict_named(
    predictor: Predictor, tokens: Tokens, names: Sequence[str], row: npt.ArrayLike
) -> Floats32:
    """Predictions ``(K, M)``; an error names the sequence that a row of tokens comes from.

    Args:
        predictor: The model.
        tokens: ``(K, L)``.
        names: Names of the B sequences.
        row: ``(K,)``, index of the sequence of each row.

    Raises:
        NotFiniteError: If a prediction is NaN or infinite.
    """
    try:
        return predictor.predict_tokens(tokens)
    except NotFiniteError as error:
        number = int(np.asarray(row)[error.row])
        raise NotFiniteError(error.row, f"{names[number]!r} or a neighbour of it") from None
