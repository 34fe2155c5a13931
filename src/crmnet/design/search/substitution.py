"""Greedy and beam substitution: try every single substitution, keep the best designs.

Each step evaluates all single substitutions of the present designs of a chain. The best ones at
different positions are then also tried together, two, four, eight … at a time, which saves steps.
Greedy search keeps one design, beam search several different ones. A chain ends when nothing
improves it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crmnet.arrays import Booleans, Floats, Integers
from crmnet.design.distances import distances
from crmnet.design.neighbours import Neighbours, neighbours
from crmnet.design.problem import INFEASIBLE, Problem
from crmnet.design.search.method import Arrays, anchors_of, fitness_of, flat, sorted_state
from crmnet.sequence import Tokens

TOGETHER = (2, 3, 4, 6, 8, 12, 16, 24)
"""Numbers of improving substitutions that are tried together."""


@dataclass(frozen=True)
class Substitution:
    """Substitution with a beam of ``width`` designs; a width of 1 is greedy."""

    width: int = 1
    steps: int = 30
    min_gain: float = 0.005
    """A chain ends when its best design improves by less; each edit has to gain as much."""

    def begin(self, problem: Problem, rng: np.random.Generator) -> Arrays:
        """All designs of a chain are its start."""
        tokens = problem.starts.tokens[:, None]
        state = sorted_state(tokens, fitness_of(problem, tokens, None))
        return {
            "tokens": np.repeat(state["tokens"], self.width, axis=1),
            "fitness": np.repeat(state["fitness"], self.width, axis=1),
            "active": np.ones(len(tokens), dtype=bool),
        }

    def advance(
        self, problem: Problem, state: Arrays, rng: np.random.Generator, progress: float
    ) -> Arrays:
        """Replace the designs of each chain by the best among themselves and all neighbours."""
        anchors = anchors_of(problem, state)
        chains = np.nonzero(state["active"])[0]
        own, owner = flat(state["tokens"][chains])
        own_fitness = _present_fitness(problem, own, chains[owner], anchors, state, chains)
        editable = problem.starts.editable[chains[owner]]
        nearby = neighbours(own, editable)
        changed, row = nearby.tokens, nearby.row
        found = problem.fitness(changed, chains[owner[row]], anchors)
        # Chains that are too near to one another must not all choose the same way out.
        found += np.where(found <= INFEASIBLE, 1e-3 * rng.random(len(found)), 0)
        joint, joint_row = _together(own, nearby, found - own_fitness[row])
        joint_fitness = problem.fitness(joint, chains[owner[joint_row]], anchors)
        pool = np.concatenate([own, changed, joint])
        fitness = np.concatenate([own_fitness, found, joint_fitness])
        of_chain = np.concatenate([owner, owner[row], owner[joint_row]])
        changes = (joint != own[joint_row]).sum(axis=1)
        # Of designs that are about as good, the one with fewer edits.
        cost = np.concatenate([np.zeros(len(own) + len(changed)), self.min_gain * (changes - 1)])
        tokens, best = state["tokens"].copy(), state["fitness"].copy()
        active = state["active"].copy()
        for number, chain in enumerate(chains.tolist()):
            members = np.nonzero(of_chain == number)[0]
            kept = _best_distinct(pool[members], fitness[members] - cost[members], self.width)
            new = pool[members][kept]
            gained = fitness[members][kept[0]] - best[chain, 0]
            active[chain] = gained > self.min_gain
            tokens[chain], best[chain] = new, fitness[members][kept]
        if anchors is not None:
            everyone = np.arange(len(tokens))
            active |= problem.violation(tokens[:, 0], everyone, tokens[:, 0]) > 0
            active |= _freed(problem, anchors, tokens[:, 0])
        return {"tokens": tokens, "fitness": best, "active": active}

    def finished(self, state: Arrays, step: int) -> bool:
        """Whether no chain changed in the last step."""
        return not state["active"].any()


def _freed(problem: Problem, before: Tokens, after: Tokens) -> Booleans:
    """``(C,)``: which chains gained room, because an earlier chain that was near them changed.

    What was too near to the earlier chain before may be far enough now.
    """
    changed = (before != after).any(axis=1)
    earlier = np.arange(len(before)) < np.arange(len(before))[:, None]
    near = distances(before, before) <= problem.distance
    found: Booleans = (near & earlier & changed).any(axis=1)
    return found


def _present_fitness(
    problem: Problem,
    own: Tokens,
    chain: Integers,
    anchors: Tokens | None,
    state: Arrays,
    chains: Integers,
) -> Floats:
    """Fitness of the present designs; it is new only if distances to other chains count."""
    if anchors is None:
        old: Floats = state["fitness"][chains].reshape(-1)
        return old
    return problem.fitness(own, chain, anchors)


def _together(own: Tokens, nearby: Neighbours, gain: Floats) -> tuple[Tokens, Integers]:
    """The best improving substitutions of each design at different positions, several at once."""
    changed, row, position = nearby.tokens, nearby.row, nearby.position
    order = np.lexsort((-gain, row))
    order = order[gain[order] > 0]
    keys = row[order] * own.shape[1] + position[order]
    _, first = np.unique(keys, return_index=True)  # the best substitution at each position
    order = order[np.sort(first)]
    rank = np.arange(len(order)) - np.searchsorted(row[order], row[order], side="left")
    joint, rows = [], []
    for many in TOGETHER:
        used = order[rank < many]
        enough = np.bincount(row[used], minlength=len(own)) == many
        edited = own.copy()
        edited[row[used], position[used]] = changed[used, position[used]]
        joint.append(edited[enough])
        rows.append(np.nonzero(enough)[0])
    return np.concatenate(joint), np.concatenate(rows)


def _best_distinct(tokens: Tokens, fitness: Floats, width: int) -> Integers:
    """Numbers of the best ``width`` different designs; fewer are filled with the best one."""
    order = np.argsort(-fitness, kind="stable")
    _, first = np.unique(tokens[order], axis=0, return_index=True)
    kept = order[np.sort(first)[:width]]
    return np.concatenate([kept, np.repeat(kept[:1], width - len(kept))])
