"""A genetic algorithm: each chain is a population of promoters that mutate and recombine.

Parents are the best of three members chosen at random. Two-point crossover exchanges a stretch
between parents, and each base mutates to one of the three others with a small probability. The best
member of a population stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crmnet.arrays import Booleans, Floats, Integers
from crmnet.design.problem import Problem
from crmnet.design.search.method import Arrays, anchors_of, fitness_of, sorted_state
from crmnet.sequence import N_TOKEN, Tokens


@dataclass(frozen=True)
class Genetic:
    """Settings of the genetic algorithm."""

    population: int = 60
    """Members of the population of each chain."""
    crossover: float = 0.5
    """Probability that a child has two parents."""
    mutations: float = 1.5
    """Mean number of mutated bases of a child."""
    tournament: int = 3
    """Members among which a parent is chosen."""
    steps: int = 60

    def begin(self, problem: Problem, rng: np.random.Generator) -> Arrays:
        """Mutants of the start, with 1 to 20 % of the bases exchanged, and the start."""
        tokens = np.repeat(problem.starts.tokens[:, None], self.population, axis=1)
        rate = np.linspace(0.01, 0.2, self.population)[None, :, None]
        mutants = _mutate(tokens, problem.starts.editable[:, None], rate, rng)
        mutants[:, 0] = problem.starts.tokens
        return sorted_state(mutants, fitness_of(problem, mutants, None))

    def advance(
        self, problem: Problem, state: Arrays, rng: np.random.Generator, progress: float
    ) -> Arrays:
        """The next generation."""
        tokens, fitness = state["tokens"], state["fitness"]
        editable = problem.starts.editable[:, None]
        mother, father = (
            np.take_along_axis(tokens, self._choose(fitness, rng)[:, :, None], axis=1)
            for _ in range(2)
        )
        children = _cross(mother, father, self.crossover, problem.starts.lengths, rng)
        bases = np.maximum(editable.sum(axis=2, keepdims=True), 1)
        children = _mutate(children, editable, self.mutations / bases, rng)
        children[:, 0] = tokens[:, 0]
        return sorted_state(children, fitness_of(problem, children, anchors_of(problem, state)))

    def _choose(self, fitness: Floats, rng: np.random.Generator) -> Integers:
        """Number of the winner of a tournament for each child, ``(C, P)``."""
        chains, members = fitness.shape
        entrants = rng.integers(members, size=(chains, members, self.tournament))
        # Members are sorted by fitness, so the lowest number wins.
        winners: Integers = entrants.min(axis=2)
        return winners

    def finished(self, state: Arrays, step: int) -> bool:
        """Never before all steps are done."""
        return False


def _cross(
    mother: Tokens, father: Tokens, probability: float, lengths: Integers, rng: np.random.Generator
) -> Tokens:
    """Children with a stretch of the father's bases."""
    shape = mother.shape[:2]
    cuts = np.sort(rng.random((*shape, 2)) * (lengths[:, None, None] + 1), axis=2).astype(int)
    position = np.arange(mother.shape[2])
    inside = (position >= cuts[:, :, :1]) & (position < cuts[:, :, 1:])
    both = rng.random(shape) < probability
    return np.where(inside & both[:, :, None], father, mother)


def _mutate(
    tokens: Tokens, editable: Booleans, rate: np.ndarray | float, rng: np.random.Generator
) -> Tokens:
    """Copies in which each editable base changes with a probability, to each other base alike."""
    mutated = (rng.random(tokens.shape) < rate) & editable & (tokens != N_TOKEN)
    step = rng.integers(1, N_TOKEN, size=tokens.shape, dtype=np.uint8)
    return np.where(mutated, (tokens + step) % np.uint8(N_TOKEN), tokens)
