"""The interface of a search method, and functions that several methods share."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Floats, Integers
from crmnet.design.problem import Problem
from crmnet.sequence import Tokens

Arrays = dict[str, npt.NDArray[Any]]
"""State of a search: ``tokens`` ``(C, P, W)``, ``fitness`` ``(C, P)``, and what a method adds."""


class Method(Protocol):
    """A search method."""

    @property
    def steps(self) -> int:
        """Default number of steps."""

    def begin(self, problem: Problem, rng: np.random.Generator) -> Arrays:
        """State before the first step."""

    def advance(
        self, problem: Problem, state: Arrays, rng: np.random.Generator, progress: float
    ) -> Arrays:
        """State after one more step.

        Args:
            problem: What to solve.
            state: State after the last step; it is not changed.
            rng: Random numbers of this step.
            progress: Share of the steps that are done, from 0 to below 1.
        """

    def finished(self, state: Arrays, step: int) -> bool:
        """Whether no further step can change anything."""


def flat(tokens: Tokens) -> tuple[Tokens, Integers]:
    """``(C, P, W)`` as ``(C × P, W)``, and the chain of each row."""
    chains, rows, width = tokens.shape
    return tokens.reshape(-1, width), np.repeat(np.arange(chains), rows)


def fitness_of(problem: Problem, tokens: Tokens, anchors: Tokens | None) -> Floats:
    """Fitness ``(C, P)`` of inserts ``(C, P, W)``."""
    rows, chain = flat(tokens)
    return problem.fitness(rows, chain, anchors).reshape(tokens.shape[:2])


def sorted_state(tokens: Tokens, fitness: Floats) -> Arrays:
    """State with the best designs of each chain first."""
    order = np.argsort(-fitness, axis=1, kind="stable")
    return {
        "tokens": np.take_along_axis(tokens, order[:, :, None], axis=1),
        "fitness": np.take_along_axis(fitness, order, axis=1),
    }


def anchors_of(problem: Problem, state: Arrays) -> Tokens | None:
    """The present best design of each chain, if designs must differ."""
    best: Tokens = state["tokens"][:, 0]
    return best if problem.distance > 0 else None
