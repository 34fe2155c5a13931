"""Trajectories of evolution: promoters that change one base at a time.

:func:`trajectories` takes a model and promoters, and returns :class:`Trajectories`. In each step a
promoter moves to one of its neighbours, the promoters one substitution away:

    up        to the neighbour with the highest expression: strong selection, weak mutation
    down      to the neighbour with the lowest expression
    conflict  to the neighbour with the largest difference between two media
    drift     to a random neighbour: no selection
    neutral   to a random neighbour whose expression differs by less than ε from that of the start

Selection ends at an optimum, where no neighbour is better. Neutral drift ends where all neighbours
differ too much. Mutations only occur at known bases of the insert.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.arrays import AnyFloats, Booleans, Floats32, Integers
from crmnet.choices import Evolution
from crmnet.data.sequences import Promoters
from crmnet.design.evolve import EPSILON, check_epsilon
from crmnet.design.neighbours import (
    AT_ONCE,
    inserts_of,
    neighbours,
    open_promoters,
    predict_named,
)
from crmnet.design.plain_model import Model
from crmnet.design.variants import describe_change
from crmnet.interpretation.attribute import output_weights
from crmnet.interpretation.inserts import Inserts
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import N_TOKEN, Tokens

if TYPE_CHECKING:
    import polars

STEPS = {"up": 10, "down": 10, "conflict": 10, "drift": 40, "neutral": 40}
"""Default number of steps: the 10 generations and 40 rounds of Vaishnav et al. (2022)."""
SMALLEST_GAIN = 1e-5
"""Smallest gain of a step of selection; smaller ones are rounding errors of the prediction."""


@dataclass(frozen=True)
class TrajectoryOptions:
    """How promoters evolve."""

    mode: Evolution = "up"
    steps: int | None = None
    """Largest number of substitutions; None means :data:`STEPS`."""
    epsilon: float = EPSILON
    """Only for ``neutral``: difference from the start that counts as a change."""
    seed: int = 0
    """Only for ``drift`` and ``neutral``. With one seed, each promoter drifts in the same way in
    any file and in any order."""
    repeat: int = 0
    """Number of this repeat of a random mode; each gives another trajectory."""

    def __post_init__(self) -> None:
        if self.mode not in get_args(Evolution):
            raise ValueError(
                f"mode must be one of {', '.join(get_args(Evolution))}; got {self.mode!r}"
            )
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps must be at least 1; got {self.steps}")
        check_epsilon(self.epsilon)

    @property
    def most(self) -> int:
        """Largest number of substitutions."""
        return STEPS[self.mode] if self.steps is None else self.steps

    @property
    def is_random(self) -> bool:
        """Whether chance chooses the neighbour."""
        return self.mode in ("drift", "neutral")


@dataclass(frozen=True)
class Trajectories:
    """Trajectories of B promoters with at most S steps, and their expression in M media."""

    ids: Sequence[str]
    media: Sequence[str]
    options: TrajectoryOptions
    starts: Tokens
    """``(B, L)``, the promoters as the network reads them."""
    inserts: Inserts
    """Where their inserts lie."""
    position: Integers
    """``(B, S)``, position of each substitution in ``starts``, from 0; −1 after the end."""
    base: Integers
    """``(B, S)``, the new base of each substitution; −1 after the end."""
    expression: Floats32
    """``(B, S + 1, M)``, from the start on; NaN after the end."""

    @property
    def steps(self) -> Integers:
        """``(B,)``, number of substitutions."""
        return (self.position >= 0).sum(axis=1)

    def tokens(self, step: int | None = None) -> Tokens:
        """``(B, L)`` after ``step`` substitutions; None, and a step after the end, mean the end."""
        tokens = np.array(self.starts)
        for k in range(self.position.shape[1] if step is None else step):
            rows = np.nonzero(self.position[:, k] >= 0)[0]
            tokens[rows, self.position[rows, k]] = self.base[rows, k]
        return tokens

    def sequences(self, step: int | None = None) -> list[str]:
        """The inserts after ``step`` substitutions, as :meth:`tokens`."""
        return sequence.decode(self.inserts.cut_tokens(self.tokens(step)), self.inserts.lengths)

    def columns(self) -> dict[str, Any]:
        """Columns of the table: one row for each promoter and step, from step 0 on."""
        row, step = np.nonzero(~np.isnan(self.expression[:, :, 0]))
        texts = [self.sequences(k) for k in range(self.expression.shape[1])]
        pairs = list(zip(row.tolist(), step.tolist(), strict=True))
        return {
            "id": [self.ids[n] for n in row.tolist()],
            "mode": [self.options.mode] * len(row),
            "repeat": [self.options.repeat + 1] * len(row),
            "step": step,
            "change": [self.change(n, k) if k else "" for n, k in pairs],
            **{f"expression_{medium}": self.expression[row, step, m]
               for m, medium in enumerate(self.media)},
            "sequence": [texts[k][n] for n, k in pairs],
        }  # fmt: skip

    def change(self, row: int, step: int) -> str:
        """The substitution of a step, from 1, such as ``35A>G``; see :func:`describe_change`."""
        position = int(self.position[row, step - 1])
        earlier = np.nonzero(self.position[row, : step - 1] == position)[0]
        before = self.base[row, earlier[-1]] if len(earlier) else self.starts[row, position]
        number = position - int(self.inserts.origin[row]) + 1
        return describe_change(number, int(before), int(self.base[row, step - 1]))

    def to_table(self) -> polars.DataFrame:
        """:meth:`columns` as a table."""
        import polars

        return polars.DataFrame(self.columns())


def column_names(media: Sequence[str]) -> list[str]:
    """Names of the columns of a table of trajectories."""
    return ["id", "mode", "repeat", "step", "change", *[f"expression_{m}" for m in media],
            "sequence"]  # fmt: skip


def trajectories(
    model: Model,
    sequences: sequence.Texts | npt.ArrayLike,
    mode: Evolution | None = None,
    *,
    media: tuple[str | None, str | None] = (None, None),
    options: TrajectoryOptions | None = None,
    window: sequence.Window | None = None,
    ids: Sequence[str] | None = None,
) -> Trajectories:
    """Evolve promoters in steps of one substitution.

    Args:
        model: A predictor, or any module ``(B, 4, L)`` → ``(B, M)``.
        sequences: Text or tokens; see :func:`crmnet.design.neighbours.open_promoters`.
        mode: ``up``, ``down``, ``conflict``, ``drift`` or ``neutral``; None means that of the
            options.
        media: The medium under selection, and for ``conflict`` the medium to subtract. None means
            the only one of the model.
        options: Steps, ε and seed.
        window: The end that is read of a text that is too long for the network.
        ids: Names of the sequences; None means their numbers from 1.

    Raises:
        ValueError: If a sequence cannot be read, or a medium is unknown or missing.
    """
    options = options or TrajectoryOptions()
    if mode is not None:
        options = TrajectoryOptions(
            mode, options.steps, options.epsilon, options.seed, options.repeat
        )
    predictor, promoters = open_promoters(model, sequences, window=window, ids=ids)
    return evolve_promoters(predictor, promoters, options, media)


def evolve_promoters(
    predictor: Predictor,
    promoters: Promoters,
    options: TrajectoryOptions,
    media: tuple[str | None, str | None] = (None, None),
    progress: Callable[[int], None] | None = None,
) -> Trajectories:
    """:func:`trajectories` for prepared promoters.

    ``progress`` is called with the number of steps that are done, of all promoters together.
    """
    weights = selection_weights(predictor, options.mode, media)
    tokens, count = promoters.tokens.copy(), len(promoters.ids)
    inserts, inside = inserts_of(promoters)
    state = _State(predictor, promoters.ids, inside & (tokens < N_TOKEN), weights, options)
    expression = np.full((count, options.most + 1, len(predictor.media)), np.nan, np.float32)
    position = np.full((count, options.most), -1, dtype=np.int64)
    base = np.full((count, options.most), -1, dtype=np.int64)
    expression[:, 0] = predict_named(predictor, tokens, promoters.ids, np.arange(count))
    state.start = expression[:, 0] @ weights
    alive, done = np.arange(count), 0
    for step in range(options.most):
        moved, where, new, predicted = state.move(tokens, alive, expression[:, step])
        tokens[moved, where] = new
        position[moved, step], base[moved, step] = where, new
        expression[moved, step + 1] = predicted
        alive = moved
        done += len(moved)
        if progress is not None:
            progress(done)
        if not len(alive):
            break
    return Trajectories(
        promoters.ids, predictor.media, options, promoters.tokens, inserts, position, base,
        expression,
    )  # fmt: skip


def selection_weights(
    predictor: Predictor, mode: Evolution, media: tuple[str | None, str | None]
) -> Floats32:
    """Weight of each output in the value that selection raises.

    Raises:
        ValueError: If a medium is unknown or missing, or a mode other than ``conflict`` gets two.
    """
    medium, minus = media
    if mode == "conflict" and minus is None:
        raise ValueError(
            "conflict selects on the difference of two media; name the second one with --minus "
            "(from Python, media=(first, second))"
        )
    if mode != "conflict":
        minus = None
    if mode == "drift" and medium is None:
        return np.zeros(len(predictor.media), dtype=np.float32)  # nothing is selected
    sign = -1 if mode == "down" else 1
    return sign * np.array(output_weights(predictor, medium, minus), dtype=np.float32)


Moves = tuple[Integers, Integers, Integers, Floats32]
"""Rows that move, the position and new base of each, and its expression ``(K, M)``."""


class _State:
    """What one step needs: model, mutable positions, weights, and random numbers of each row."""

    def __init__(
        self,
        predictor: Predictor,
        ids: Sequence[str],
        mutable: Booleans,
        weights: Floats32,
        options: TrajectoryOptions,
    ) -> None:
        self.predictor, self.ids, self.mutable = predictor, ids, mutable
        self.weights, self.options = weights, options
        self.start: npt.NDArray[Any] = np.zeros(len(ids), dtype=np.float32)
        self.random = [
            np.random.default_rng([options.seed, options.repeat, _number(name)]) for name in ids
        ]

    def move(self, tokens: Tokens, rows: Integers, expression: Floats32) -> Moves:
        """One step of ``rows``; ``expression`` ``(B, M)`` is that before the step."""
        if not self.options.is_random:
            return self._select(tokens, rows, expression)
        return self._drift(tokens, rows)

    def _select(self, tokens: Tokens, rows: Integers, expression: Floats32) -> Moves:
        chosen = []
        for first in range(0, len(rows), AT_ONCE):
            part = rows[first : first + AT_ONCE]
            near = neighbours(tokens[part], self.mutable[part])
            predicted = predict_named(self.predictor, near.tokens, self.ids, part[near.row])
            gain = (predicted - expression[part][near.row]) @ self.weights
            best = _first_of_largest(gain, near.row, len(part))
            best = best[gain[best] > SMALLEST_GAIN]
            chosen.append((part[near.row[best]], near.position[best], near.base[best],
                           predicted[best]))  # fmt: skip
        return _stacked(chosen, len(self.predictor.media))

    def _drift(self, tokens: Tokens, rows: Integers) -> Moves:
        """One random neighbour of each row; for ``neutral`` the first acceptable in random order.

        Neighbours are tried one at a time, in a random order, until one is acceptable: each
        acceptable neighbour is equally likely.
        """
        orders = {row: self._random_order(row) for row in rows.tolist()}
        chosen, attempt = [], 0
        pending = _with_more(orders, rows, attempt)
        while len(pending):
            drawn = np.array([orders[row][attempt] for row in pending.tolist()])
            position, shift = np.divmod(drawn, 3)
            changed = tokens[pending]
            base = (changed[np.arange(len(pending)), position].astype(np.int64) + 1 + shift) % 4
            changed[np.arange(len(pending)), position] = base
            predicted = predict_named(self.predictor, changed, self.ids, pending)
            accepted = self._is_acceptable(predicted, pending)
            chosen.append((pending[accepted], position[accepted], base[accepted],
                           predicted[accepted]))  # fmt: skip
            attempt += 1
            pending = _with_more(orders, pending[~accepted], attempt)
        return _stacked(chosen, len(self.predictor.media))

    def _random_order(self, row: int) -> Integers:
        """All neighbours in random order, as 3 × position + shift of the base."""
        positions = np.nonzero(self.mutable[row])[0]
        all_neighbours = (3 * positions[:, None] + np.arange(3)).ravel()
        order: Integers = self.random[row].permutation(all_neighbours)
        return order

    def _is_acceptable(self, predicted: Floats32, rows: Integers) -> Booleans:
        if self.options.mode == "drift":
            return np.ones(len(rows), dtype=bool)
        return np.abs(predicted @ self.weights - self.start[rows]) < self.options.epsilon


def _number(name: str) -> int:
    """A number for the seed that depends only on the name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def _with_more(orders: Mapping[int, Integers], rows: Integers, attempt: int) -> Integers:
    """The rows that have a neighbour number ``attempt``, from 0."""
    return np.array([row for row in rows.tolist() if attempt < len(orders[row])], dtype=np.int64)


def _first_of_largest(values: AnyFloats, group: Integers, groups: int) -> Integers:
    """Index of the first largest value in each of the groups that occur; groups are sorted."""
    largest = np.full(groups, -np.inf)
    np.maximum.at(largest, group, values)
    is_largest = np.nonzero(values == largest[group])[0]
    _, first = np.unique(group[is_largest], return_index=True)
    return is_largest[first]


def _stacked(parts: Iterable[Moves], media: int) -> Moves:
    """Moves of all parts, in the order of rows."""
    empty = np.zeros(0, dtype=np.int64)
    parts = [(empty, empty, empty, np.zeros((0, media), np.float32)), *parts]
    rows, position, base, predicted = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(rows)
    return rows[order], position[order], base[order], predicted[order]
