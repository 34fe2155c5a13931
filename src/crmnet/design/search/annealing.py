"""Simulated annealing: random substitutions, of which worse ones are accepted less and less often.

Each chain has several replicas. A replica proposes one substitution per step; a loss of d is
accepted with probability exp(−d / T). The temperature T falls exponentially.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crmnet.arrays import Floats
from crmnet.design.problem import INFEASIBLE, Problem
from crmnet.design.search.method import Arrays, anchors_of, fitness_of, flat, sorted_state
from crmnet.sequence import N_TOKEN, Tokens


@dataclass(frozen=True)
class Annealing:
    """Settings of simulated annealing."""

    replicas: int = 8
    """Independent walks of each chain."""
    hottest: float = 0.5
    """Temperature of the first step, in units of expression."""
    coldest: float = 0.01
    """Temperature of the last step."""
    steps: int = 400

    def begin(self, problem: Problem, rng: np.random.Generator) -> Arrays:
        """All replicas are the start."""
        tokens = np.repeat(problem.starts.tokens[:, None], self.replicas, axis=1)
        fitness = np.repeat(fitness_of(problem, tokens[:, :1], None), self.replicas, axis=1)
        return {"tokens": tokens, "fitness": fitness}

    def advance(
        self, problem: Problem, state: Arrays, rng: np.random.Generator, progress: float
    ) -> Arrays:
        """Propose and accept or reject one substitution for each replica."""
        tokens, anchors = state["tokens"], anchors_of(problem, state)
        fitness = state["fitness"]
        if anchors is not None:  # the designs of other chains have moved
            violation = problem.violation(*flat(tokens), anchors).reshape(fitness.shape)
            fitness = np.where(violation > 0, INFEASIBLE - violation, fitness)
        proposed = _substitute_one(tokens, problem.starts.editable, rng)
        found = fitness_of(problem, proposed, anchors)
        temperature = self.hottest * (self.coldest / self.hottest) ** progress
        loss: Floats = np.maximum(fitness - found, 0)
        accepted = rng.random(loss.shape) < np.exp(-np.minimum(loss / temperature, 700))
        return sorted_state(
            np.where(accepted[:, :, None], proposed, tokens), np.where(accepted, found, fitness)
        )

    def finished(self, state: Arrays, step: int) -> bool:
        """Never before all steps are done."""
        return False


def _substitute_one(tokens: Tokens, editable: np.ndarray, rng: np.random.Generator) -> Tokens:
    """Copies ``(C, P, W)`` with one random editable base exchanged."""
    chains, replicas, _ = tokens.shape
    draw = np.where(editable[:, None], rng.random(tokens.shape), -1.0)
    position = draw.argmax(axis=2)[:, :, None]
    step = rng.integers(1, N_TOKEN, size=(chains, replicas, 1), dtype=np.uint8)
    old = np.take_along_axis(tokens, position, axis=2)
    movable = np.asarray(editable.any(axis=1))[:, None, None]
    changed = np.where(movable, (old + step) % np.uint8(N_TOKEN), old)
    proposed = tokens.copy()
    np.put_along_axis(proposed, position, changed.astype(np.uint8), axis=2)
    return proposed
