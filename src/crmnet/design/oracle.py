"""A model as the effects of variants need it: sequences → constructs → predictions of each view.

:class:`Oracle` wraps a :class:`~crmnet.prediction.predictor.Predictor`, or any module that takes
one-hot ``(B, 4, L)``. A predictor gets complete constructs with adapters and padding. A module gets
the one-hot of the bases that are given and nothing else; it has one view and no uncertainty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from crmnet import sequence
from crmnet.arrays import Booleans, Floats32, Integers
from crmnet.design.plain_model import Model, PlainOutputs, device_of, output_names
from crmnet.interpretation.inserts import find_inserts
from crmnet.prediction.predictor import BATCH_SIZE, Predictor
from crmnet.prediction.random_effects import (
    AT_RUN,
    RandomVariants,
    insert_template,
    random_effects,
)
from crmnet.prediction.views import Views
from crmnet.sequence import Tokens
from crmnet.statistics.differences import Differences
from crmnet.statistics.uncertainty import InputLimits

REMEDY = "give the 80 bases that the assay would read, or a genome with --vcf and --genome"
"""Advice about a sequence that is too long for the network."""


class Constructs(NamedTuple):
    """Sequences as a model reads them, and where the given bases and the inserts lie in them."""

    tokens: Tokens
    """``(B, L)``, padded with N at the end."""
    lengths: Integers
    """``(B,)``, positions of each row without the padding."""
    origin: Integers
    """``(B,)``, position of the first base that was given; below 0 if padding was removed."""
    given: Integers
    """``(B,)``, number of bases that were given."""
    start: Integers
    """``(B,)``, first position of the insert."""
    stop: Integers
    """``(B,)``, one past its last position."""
    ids: list[str]
    names: list[str]
    """Names of the sequences in errors, such as ``p1 (promoters.tsv, line 3)``."""
    context: list[str]
    """``insert`` if adapters were added around the given bases, else ``construct``."""

    def inside(self) -> Booleans:
        """``(B, L)``, True at the positions of the inserts."""
        positions = np.arange(self.tokens.shape[1])
        return (positions >= self.start[:, None]) & (positions < self.stop[:, None])

    def given_text(self, row: int) -> str:
        """The given bases of a row; N where padding was removed."""
        (text,) = sequence.decode(self.tokens[row : row + 1], [self.tokens.shape[1]])
        origin, end = int(self.origin[row]), int(self.origin[row] + self.given[row])
        return ("N" * -origin + text[max(origin, 0) : end]).ljust(int(self.given[row]), "N")

    def take(self, rows: slice) -> Constructs:
        """Some of the constructs, in order."""
        return self._replace(**{name: column[rows] for name, column in self._asdict().items()})


def located(
    tokens: Tokens, spans: npt.ArrayLike, ids: Sequence[str], names: Sequence[str] | None = None
) -> Constructs:
    """Constructs of sequences that were given as text.

    Args:
        tokens: ``(B, L)``, prepared.
        spans: ``(B, 2)`` from :func:`crmnet.sequence.given_spans`.
        ids: Names of the sequences.
        names: Of the sequences in errors; None means ``ids``.
    """
    spans = np.asarray(spans)
    inserts = find_inserts(tokens, spans)
    ends = sequence.sequence_lengths(tokens)
    # An N at the end is a base, unless a 3' adapter shows that it is padding.
    open_ended = ~sequence.find_adapters(tokens)[1]
    ends = np.where(open_ended, np.maximum(ends, np.minimum(spans[:, 1], tokens.shape[1])), ends)
    context = ["insert" if first > 0 else "construct" for first in spans[:, 0].tolist()]
    return Constructs(
        tokens, ends, spans[:, 0], spans[:, 1] - spans[:, 0], inserts.start, inserts.stop,
        list(ids), list(ids if names is None else names), context,
    )  # fmt: skip


class Oracle:
    """Predictions of each view for some media of a model.

    Args:
        model: The predictor or module.
        media: Names of outputs to report, in this order; None reports all. A module's outputs have
            no names, so it takes None.
    """

    def __init__(self, model: Model, media: Sequence[str] | None = None) -> None:
        self.model = model
        self.media: list[str] = []
        """Names of all outputs; those of a module are known after its first prediction."""
        self.chosen: list[int] | None = None
        """Indices of the outputs to report; None means all."""
        self.by_length = False
        """Whether a module gets rows without their padding, one length at a time."""
        if isinstance(model, Predictor):
            self.media = list(model.media)
            if media:
                self.chosen = [model.medium_index(medium) for medium in dict.fromkeys(media)]
        elif media is not None:
            raise ValueError("a module's outputs have no names; leave out medium")

    def report(self, values: Floats32) -> Floats32:
        """The reported columns of ``(N, M)``."""
        return values if self.chosen is None else values[:, self.chosen]

    @property
    def reported(self) -> list[str]:
        """Names of the reported outputs, in the order of :meth:`report`."""
        return self.media if self.chosen is None else [self.media[m] for m in self.chosen]

    @property
    def predictor(self) -> Predictor | None:
        """The model, if it is a predictor."""
        return self.model if isinstance(self.model, Predictor) else None

    @property
    def differences(self) -> Differences | None:
        """What the model card knows about differences; None without a card that holds."""
        predictor = self.predictor
        if predictor is None or predictor.card is None or predictor.changed:
            return None
        return predictor.card.differences

    @property
    def stored_quantiles(self) -> dict[str, list[float]] | None:
        """:meth:`random_quantiles` of the model card; None if it lacks those of a medium."""
        stored = self.differences
        if stored is None or not set(self.media) <= set(stored.random):
            return None
        return {medium: stored.random[medium] for medium in self.media}

    @property
    def limits(self) -> InputLimits | None:
        """Limits beyond which an input is unlike the training data; None if not calibrated."""
        predictor = self.predictor
        if predictor is None or predictor.card is None or predictor.changed:
            return None
        calibration = predictor.card.calibration
        return None if calibration is None else calibration.familiar

    def constructs(
        self,
        sequences: sequence.Texts | npt.ArrayLike,
        ids: Sequence[str] | None = None,
        flanks: sequence.Flanks = "auto",
    ) -> Constructs:
        """Sequences as the model reads them.

        Args:
            sequences: Texts; or tokens ``(B, L)``, which a predictor takes from
                :meth:`Predictor.prepare`, and a module with padding that it understands.
            ids: Names of the sequences; None numbers them from 1.
            flanks: As for :func:`crmnet.sequence.prepare`; a module's sequences get no adapters.

        Raises:
            ValueError: If a sequence is not DNA, or is too long for the predictor, or the numbers
                of ids and sequences differ.
        """
        is_text = np.ndim(cast(npt.ArrayLike, sequences)) < 2
        self.by_length = is_text and self.predictor is None
        if not is_text:
            tokens = sequence.as_tokens(cast(npt.ArrayLike, sequences))
            lengths = sequence.sequence_lengths(tokens)
            spans = np.stack([np.zeros_like(lengths), lengths], axis=1)
            return self._located(tokens, spans, _numbered(ids, len(tokens)))
        texts = sequence.as_list(cast(sequence.Texts, sequences))
        names = _numbered(ids, len(texts))
        if self.predictor is None:
            tokens, lengths = sequence.encode(texts, ids)
            spans = np.stack([np.zeros_like(lengths), lengths], axis=1)
            return self._located(tokens, spans, names)
        tokens, _ = sequence.constructs(
            texts, ids, flanks=flanks, length=self.predictor.length, remedy=REMEDY
        )
        return located(tokens, sequence.given_spans(texts, flanks), names)

    def _located(self, tokens: Tokens, spans: Integers, ids: list[str]) -> Constructs:
        if self.predictor is not None:
            return located(tokens, spans, ids)
        lengths = spans[:, 1]
        return Constructs(
            tokens, lengths, spans[:, 0], lengths, np.zeros_like(lengths), lengths, ids, ids,
            ["construct"] * len(tokens),
        )  # fmt: skip

    def views(self, tokens: Tokens, lengths: Integers | None = None) -> Views:
        """Predictions ``(V, B, M)`` of tokens ``(B, L)``.

        Args:
            tokens: Constructs.
            lengths: ``(B,)``, positions without padding, for a module that takes rows
                :attr:`by_length`; None means all positions.
        """
        if self.predictor is not None:
            return self.predictor.predict_views(tokens)
        values = self._module_outputs(tokens, lengths)
        if not self.media:
            self.media = output_names(values.shape[1])
        return Views(values[None], np.ones((1, values.shape[1]), dtype=bool))

    def _module_outputs(self, tokens: Tokens, lengths: Integers | None) -> Floats32:
        """Outputs ``(B, M)`` of the module, in evaluation mode."""
        module = cast(nn.Module, self.model)
        sizes = np.full(len(tokens), tokens.shape[1])
        if self.by_length and lengths is not None:
            sizes = lengths
        order = np.argsort(sizes, kind="stable")
        parts, device, plain = [], device_of(module), PlainOutputs(module)
        with torch.inference_mode():
            for rows in _batches(order, sizes):
                batch = np.ascontiguousarray(tokens[rows, : int(sizes[rows[0]])])
                x_BCL = sequence.one_hot(torch.from_numpy(batch).to(device))
                parts.append(plain(x_BCL).float().cpu().numpy())
        values = np.concatenate(parts) if parts else np.zeros((0, 1), dtype=np.float32)
        unsorted = np.empty_like(values)
        unsorted[order] = values
        return unsorted

    def random_quantiles(
        self, like: Constructs | None = None, options: RandomVariants = AT_RUN
    ) -> dict[str, list[float]]:
        """Medium → quantiles of the absolute effects of random substitutions.

        They come from the model card, or are computed as ``options`` say.

        Args:
            like: Constructs of which the first gives a module the length of random sequences.
            options: Number of random promoters and variants, and seed.
        """
        if (stored := self.stored_quantiles) is not None:
            return stored
        if self.predictor is not None:
            template, inside = insert_template(self.predictor.length)
        else:
            assert like is not None
            width = int(like.lengths[0]) if self.by_length else like.tokens.shape[1]
            template = like.tokens[0, :width].copy()
            inside = np.arange(width) < like.lengths[0]
        quantiles = random_effects(
            lambda tokens: self.views(tokens).mean(), template, inside, options
        )
        return dict(zip(self.media, quantiles, strict=True))


def _numbered(ids: Sequence[str] | None, many: int) -> list[str]:
    names = [str(number) for number in range(1, many + 1)] if ids is None else list(ids)
    if len(names) != many:
        raise ValueError(f"{len(names)} ids for {many} sequences; give one for each")
    return names


def _batches(order: Integers, sizes: Integers) -> list[Integers]:
    """Rows of one size in batches, in the given order."""
    changes = np.nonzero(np.diff(sizes[order]))[0] + 1
    return [
        rows[first : first + BATCH_SIZE]
        for rows in np.split(order, changes)
        for first in range(0, len(rows), BATCH_SIZE)
    ]
