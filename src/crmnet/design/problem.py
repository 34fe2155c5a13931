"""The task that a search method sees: starts, what may change, and the fitness of candidates.

A *chain* is one search from one start; :class:`Problem` holds all chains and evaluates candidates
of any of them in large batches. The fitness of a candidate is the score of the objective if it
meets all constraints. Otherwise it is far below every score, and lower the more is violated, so
that each method reaches the constraints first and then stays within them. Only candidates that meet
all constraints cost a prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from crmnet.arrays import Booleans, Floats, Integers
from crmnet.design.constraints import (
    GC_WINDOW,
    Candidates,
    Constraint,
    Flanks,
    GcWindow,
    MaxEdits,
)
from crmnet.design.distances import distances
from crmnet.design.neighbours import neighbours
from crmnet.design.objective import Objective
from crmnet.design.scorer import ROWS, Assessment, Scorer
from crmnet.sequence import N_TOKEN, Lengths, Tokens

INFEASIBLE = -1e6
"""Fitness of a candidate that violates a constraint, before the violation is subtracted."""
FLAGGED = 10.0
"""Violation of a flagged candidate at the limit of the training distribution."""
DESCENT_STEPS = 200
"""Largest number of substitutions with which a start reaches the constraints."""
PROTECTION = "--protect"


@dataclass(frozen=True)
class Starts:
    """Where the chains begin."""

    tokens: Tokens
    """``(C, W)`` inserts, padded with N."""
    lengths: Lengths
    """``(C,)``."""
    given: Tokens
    """``(C, W)`` as the user gave them; N where any base is free."""
    editable: Booleans
    """``(C, W)``: which positions may change."""
    target: Floats
    """``(C,)`` value to hit; NaN for other goals."""
    ids: list[str]
    first: Integers
    """``(C,)`` number, from 1, of the insert's first base on the sequence as given."""

    @property
    def chains(self) -> int:
        """Number of chains."""
        return len(self.tokens)

    @property
    def known(self) -> Integers:
        """The chains whose start was given with every base."""
        outside = np.arange(self.given.shape[1]) >= self.lengths[:, None]
        return np.nonzero((outside | (self.given != N_TOKEN)).all(axis=1))[0]

    def take(self, chains: Integers) -> Starts:
        """The starts of some chains."""
        return Starts(
            self.tokens[chains], self.lengths[chains], self.given[chains], self.editable[chains],
            self.target[chains], [self.ids[chain] for chain in chains.tolist()],
            self.first[chains],
        )  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """Starts, constraints and objective of a design."""

    starts: Starts
    oracle: Scorer
    objective: Objective
    constraints: tuple[Constraint, ...] = ()
    flanks: Flanks = field(default_factory=Flanks)
    distance: int = 0
    """Smallest Hamming distance between designs."""

    def candidates(self, tokens: Tokens, chain: Integers) -> Candidates:
        """The inserts ``(N, W)`` of some chains, in what is ordered."""
        return Candidates(tokens, self.starts.lengths[chain], self.flanks, self.starts.given[chain])

    def constructs(self, tokens: Tokens, chain: Integers) -> Tokens:
        """What the oracle reads: constructs ``(N, length)``, or the inserts of a bare model."""
        if self.oracle.bare:
            return tokens
        bare = replace(self.flanks, primer_5="", primer_3="")
        order = Candidates(tokens, self.starts.lengths[chain], bare).order
        length = self.oracle.predictor.length
        wide = np.full((len(order), length), N_TOKEN, dtype=np.uint8)
        wide[:, : order.shape[1]] = order[:, :length]
        return wide

    def violation(self, tokens: Tokens, chain: Integers, anchors: Tokens | None = None) -> Floats:
        """``(N,)`` sum of all violations.

        Args:
            tokens: ``(N, W)`` inserts.
            chain: ``(N,)`` chain of each.
            anchors: ``(C, W)`` present design of each chain; each candidate keeps its distance from
                those of the chains before its own. None means that distances do not count.
        """
        total = np.zeros(len(tokens))
        for first in range(0, len(tokens), ROWS):
            rows = slice(first, first + ROWS)
            candidates = self.candidates(tokens[rows], chain[rows])
            for constraint in self.constraints:
                total[rows] += constraint.violation(candidates)
            if anchors is not None and self.distance > 0:
                total[rows] += self._too_near(tokens[rows], chain[rows], anchors)
        return total

    def _too_near(self, tokens: Tokens, chain: Integers, anchors: Tokens) -> Floats:
        """``(N,)`` bases by which candidates are too near to designs of earlier chains."""
        lacking = np.maximum(self.distance - distances(tokens, anchors), 0)
        earlier = np.arange(len(anchors)) < chain[:, None]
        total: Floats = (lacking * earlier).sum(axis=1).astype(float)
        return total

    def fitness(self, tokens: Tokens, chain: Integers, anchors: Tokens | None = None) -> Floats:
        """``(N,)``: the score, or INFEASIBLE minus the violation.

        A candidate that the oracle calls unlike its training data counts as a violation.
        """
        violation = self.violation(tokens, chain, anchors)
        found = INFEASIBLE - violation
        met = np.nonzero(violation == 0)[0]
        for first in range(0, len(met), ROWS):
            rows = met[first : first + ROWS]
            assessment = self.oracle.assess(self.constructs(tokens[rows], chain[rows]))
            score = self.objective.score(assessment, self.starts.target[chain[rows]])
            found[rows] = np.where(
                self.is_flagged(assessment),
                INFEASIBLE - FLAGGED * assessment.unfamiliarity,
                score,
            )
        return found

    def is_flagged(self, assessment: Assessment) -> Booleans:
        """``(N,)``: which candidates the oracle calls unlike its training data, if that counts."""
        return (assessment.unfamiliarity > 1) & (self.objective.unlike > 0)

    def values(self, scorer: Scorer, tokens: Tokens, chain: Integers) -> Floats:
        """``(N,)`` values of the objective by a model."""
        assessment = scorer.assess(self.constructs(tokens, chain))
        return self.objective.value(assessment.expression, assessment.media)

    def take(self, chains: Integers) -> Problem:
        """The same problem with only some chains."""
        return replace(self, starts=self.starts.take(chains))


def feasible_starts(problem: Problem, seed: int) -> Problem:
    """The problem with starts that meet all constraints, each near the given one.

    A start that violates one moves by the substitutions that lower the violation most.

    Raises:
        ValueError: If a start does not reach the constraints; the message names the contradiction.
    """
    tokens, stuck = descend(problem, np.random.default_rng([seed, 0]))
    if len(stuck):
        raise ValueError(contradiction(problem.take(stuck[:4]), seed))
    return replace(problem, starts=replace(problem.starts, tokens=tokens))


def descend(problem: Problem, rng: np.random.Generator) -> tuple[Tokens, Integers]:
    """Inserts near the starts with less violation, and the chains that violate something still.

    Each step makes the substitution that lowers the violation of a chain most.
    """
    tokens = problem.starts.tokens.copy()
    chains = np.arange(len(tokens))
    violation = problem.violation(tokens, chains)
    for _ in range(DESCENT_STEPS):
        active = chains[violation > 0]
        if not len(active):
            break
        nearby = neighbours(tokens[active], problem.starts.editable[active])
        changed, row = nearby.tokens, nearby.row
        if not len(row):
            break
        found = problem.violation(changed, active[row])
        best = _best_of_each(found + 1e-6 * rng.random(len(found)), row, len(active))
        # An equal violation is accepted, because two rules may need two substitutions together.
        better = best[found[best] <= violation[active[row[best]]]]
        if not len(better):
            break
        tokens[active[row[better]]] = changed[better]
        violation[active[row[better]]] = found[better]
    return tokens, chains[violation > 0]


def _best_of_each(cost: Floats, row: Integers, rows: int) -> Integers:
    """Number of the candidate with the lowest cost of each row that has candidates."""
    order = np.lexsort((cost, row))
    first = np.searchsorted(row[order], np.arange(rows))
    has_any = (first < len(row)) & (row[order][np.minimum(first, len(row) - 1)] == np.arange(rows))
    best: Integers = order[first[has_any]]
    return best


def contradiction(problem: Problem, seed: int) -> str:
    """Which rule cannot be met, or which two contradict each other, as a sentence."""

    def solvable(rules: Sequence[Constraint], protected: bool = True) -> bool:
        starts = problem.starts
        if not protected:
            everywhere = np.arange(starts.tokens.shape[1]) < starts.lengths[:, None]
            starts = replace(starts, editable=everywhere)
        tried = replace(problem, constraints=tuple(rules), starts=starts)
        return not len(descend(tried, np.random.default_rng([seed, 1]))[1])

    rules = problem.constraints
    remedy = "leave one out or relax it"
    for rule in rules:
        if solvable([rule]):
            continue
        if solvable([rule], protected=False):
            return f"{PROTECTION} and {rule.label} contradict each other; {remedy}"
        return f"no design can meet {rule.label}; leave it out or relax it"
    for number, first in enumerate(rules):
        for second in rules[number + 1 :]:
            if not solvable([first, second]):
                return f"{first.label} and {second.label} contradict each other; {remedy}"
    listed = "; ".join(rule.label for rule in rules)
    return f"no design was found that meets all constraints together ({listed}); relax one"


def check_distance(problem: Problem, designs: int) -> None:
    """Check that designs can differ as much as they must.

    Raises:
        ValueError: If too many designs come from one start, within too few edits.
    """
    allowed = [rule.most for rule in problem.constraints if isinstance(rule, MaxEdits)]
    starts, editable = problem.starts, problem.starts.editable.sum(axis=1)
    _, kind, copies = np.unique(starts.given, axis=0, return_inverse=True, return_counts=True)
    shared = copies[kind.reshape(-1)] > 1
    if designs < 2 or not shared.any() or problem.distance < 1:
        return
    if allowed and 2 * min(allowed) < problem.distance:
        raise ValueError(
            f"--max-edits {min(allowed)} and --distance {problem.distance} contradict each other: "
            f"two designs from one start differ in at most {2 * min(allowed)} bases; relax one, or "
            "give more starts"
        )
    if (bases := int(starts.lengths[shared].min())) < problem.distance:
        raise ValueError(
            f"inserts of {bases} bases cannot differ in --distance {problem.distance} bases; give "
            "a smaller --distance, or longer starts"
        )
    if (free := int(editable[shared].min())) < problem.distance:
        raise ValueError(
            f"{PROTECTION} and --distance {problem.distance} contradict each other: only {free} "
            "bases may change; relax one, or give more starts"
        )


def check_windows(constraints: Sequence[Constraint], lengths: Lengths, flanks: Flanks) -> None:
    """Check that the windows of ``--gc-window`` fit into what is ordered.

    Raises:
        ValueError: If one is wider than the shortest order, in which nothing would be checked.
    """
    left, right = flanks.tokens
    shortest = int(lengths.min()) + len(left) + len(right)
    for rule in constraints:
        if isinstance(rule, GcWindow) and rule.source == GC_WINDOW and rule.width > shortest:
            raise ValueError(
                f"{rule.label}: what is ordered has {shortest} bases; give a window of at most as "
                "many"
            )


def check_length(lengths: Lengths, flanks: Flanks, length: int) -> None:
    """Check that inserts fit into the network.

    Raises:
        ValueError: If the construct of one is longer than the network's input.
    """
    longest = length - len(flanks.left) - len(flanks.right)
    if len(lengths) and (most := int(lengths.max())) > longest:
        raise ValueError(
            f"inserts of {most} bases are too long: the network reads {length} bases with the "
            f"adapters; give inserts of at most {longest} bases"
        )
