"""``design_promoters``: designs promoters for a goal, with constraints, a judge and a ranking.

:func:`design_promoters` takes models, an objective and starts, and returns :class:`Designs`. The
search (:mod:`crmnet.design.run`) optimises the oracle. :func:`choose` takes the best designs that
the oracle does not flag as unlike its training data and that differ from one another. The judge
scores them, and the ranker orders them. ``crmnet design`` writes the result as files
(:mod:`crmnet.design.report`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch import nn

from crmnet.arrays import Booleans, Floats, Integers
from crmnet.design.chisel import check, is_installed, require, specifications
from crmnet.design.constraints import Constraint, Flanks, MaxEdits
from crmnet.design.designs import Designs
from crmnet.design.distances import distances
from crmnet.design.judge import JUDGE, ORACLE, RANKER, Model, Panel, choose_panel, open_scorer
from crmnet.design.objective import Objective
from crmnet.design.path import edit_paths
from crmnet.design.patterns import AvoidSites, check_fixed
from crmnet.design.problem import (
    Problem,
    check_distance,
    check_length,
    check_windows,
    feasible_starts,
)
from crmnet.design.run import Found, Progress, Record, SearchOptions, search
from crmnet.design.scorer import Scorer
from crmnet.design.starts import Given, StartOptions, given_inserts, make_starts
from crmnet.sequence import INSERT, N_TOKEN, Texts, Tokens, decode, encode

log = logging.getLogger("crmnet")

DISTANCE = 10
"""Default smallest number of bases in which two designs differ."""
SHAPE_FLAGS = ("length", "unknown", "adapters")
"""Flags that no search can change: they follow from the start."""
NOT_IMPROVED = "no change within the rules improves {} of {} given promoters"


@dataclass(frozen=True)
class Rules:
    """Constraints of a design, and what is ordered around the insert."""

    constraints: tuple[Constraint, ...] = ()
    protected: tuple[int, ...] = ()
    """Positions of the insert, from 0, that keep the start's base."""
    distance: int | None = None
    """Smallest Hamming distance between two designs, and to the inserts of ``away_from``. None
    means :data:`DISTANCE`, or the largest number of edits if that is smaller."""
    hairpin_stem: int | None = None
    """Bases of the shortest hairpin stem that is refused; needs DnaChisel."""
    flanks: Flanks = field(default_factory=Flanks)

    @property
    def least_distance(self) -> int:
        """The distance between designs that holds."""
        if self.distance is not None:
            return self.distance
        allowed = [rule.most for rule in self.constraints if isinstance(rule, MaxEdits)]
        return min([DISTANCE, *allowed])


NO_RULES = Rules()
DEFAULT_SEARCH = SearchOptions()


def design_promoters(
    oracle: Model,
    objective: Objective,
    *,
    judge: Model = JUDGE,
    ranker: Model = RANKER,
    starts: Texts | npt.ArrayLike | None = None,
    n: int = 20,
    rules: Rules = NO_RULES,
    options: SearchOptions = DEFAULT_SEARCH,
    chains: int | None = None,
    length: int = INSERT,
    record: Record | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Designs:
    """Design promoters.

    Args:
        oracle: The model that is optimised: a predictor, which reads inserts with their adapters;
            a module ``(B, 4, L)``, which reads inserts alone, all of one length; or what
            :meth:`Predictor.load` takes.
        objective: What the designs are to reach.
        judge: The model that judges the designs.
        ranker: The model that orders them and predicts every medium.
        starts: Promoters to start from, as text or as tokens ``(S, L)``; None means random ones.
        n: Number of designs.
        rules: Constraints.
        options: Method, steps and seed of the search.
        chains: Number of searches; None means 1.5 for each design.
        length: Bases of a random start.
        record: State file of the search.
        progress: Called after each step.

    Returns:
        The designs, in the order of the ranker; fewer than ``n`` if not enough were found, which
        ``notes`` says.

    Raises:
        ValueError: If a model lacks a medium, starts are too long, or constraints cannot be met;
            names the two that contradict each other.
    """
    given = None
    if starts is not None:
        given = given_inserts(starts, whole=isinstance(oracle, nn.Module))
        length = given.inserts.shape[1]
    start_options = StartOptions(n, chains, length, options.seed)
    panel = load_panel(oracle, judge, ranker, objective, length=length)
    problem = make_problem(panel, objective, given, rules, start_options)
    found = search(problem, options, record=record, progress=progress)
    return finish(problem, found, panel, rules, start_options)


def load_panel(
    oracle: Model = ORACLE,
    judge: Model = JUDGE,
    ranker: Model = RANKER,
    objective: Objective | None = None,
    **opening: object,
) -> Panel:
    """Open the models; ``opening`` is passed to :func:`crmnet.design.judge.open_scorer`."""
    scorers = [
        open_scorer(model, role, **opening)  # type: ignore[arg-type]
        for model, role in ((oracle, "oracle"), (judge, "judge"), (ranker, "ranker"))
    ]
    return choose_panel(scorers[0], scorers[1], scorers[2], objective.media if objective else ())


def make_problem(
    panel: Panel,
    objective: Objective,
    given: Given | None,
    rules: Rules,
    start_options: StartOptions,
) -> Problem:
    """The problem of a design, whose starts meet all constraints.

    Raises:
        ValueError: As :func:`design_promoters`.
    """
    if start_options.designs < (targets := len(objective.targets)):
        raise ValueError(
            f"{targets} values of --target need a design each; got -n {start_options.designs}, "
            f"give -n {targets} or more"
        )
    if rules.hairpin_stem is not None:
        require("a rule on hairpins")
    flanks = rules.flanks
    check_fixed(
        [rule for rule in rules.constraints if isinstance(rule, AvoidSites)],
        [flanks.primer_5 + flanks.left, flanks.right + flanks.primer_3],
    )
    begin = make_starts(given, start_options, objective, rules.protected, flanks)
    if not panel.oracle.bare:
        check_length(begin.lengths, flanks, panel.oracle.predictor.length)
    check_windows(rules.constraints, begin.lengths, flanks)
    problem = Problem(
        begin, panel.oracle, objective, rules.constraints, flanks, rules.least_distance
    )
    check_distance(problem, start_options.designs)
    return feasible_starts(problem, start_options.seed)


def finish(
    problem: Problem, found: Found, panel: Panel, rules: Rules, start_options: StartOptions
) -> Designs:
    """Choose, check, judge and rank the designs of a search.

    A design of a given promoter is better than it, by the oracle: the unchanged promoter is none.
    """
    notes = [*panel.notes]
    candidates = _improvements(problem, _candidates(problem, found))
    notes += _unimproved_notes(problem, candidates)
    inspector = Inspector(problem, rules.hairpin_stem)
    tokens, chain = choose(problem, candidates, start_options.designs, inspector)
    notes += inspector.notes
    if len(tokens) < start_options.designs:
        notes.append(
            f"{len(tokens)} of {start_options.designs} designs were found that meet all rules, are "
            f"like the training data and differ in at least {problem.distance} bases; give more "
            "starts, --chains or --steps, or relax a rule"
        )
    return _judged(problem, panel, tokens, chain, found, notes)


class Ranked(NamedTuple):
    """Different candidates, the best first."""

    tokens: Tokens
    """``(K, W)``."""
    chain: Integers
    score: Floats

    def select(self, keep: Booleans) -> Ranked:
        """Some of the candidates."""
        return Ranked(self.tokens[keep], self.chain[keep], self.score[keep])


def _candidates(problem: Problem, found: Found) -> Ranked:
    """The designs of a search that meet all rules and are like the training data."""
    tokens = np.concatenate([found.best, found.pool])
    chain = np.concatenate([np.arange(len(found.best)), found.pool_chain])
    _, first = np.unique(tokens, axis=0, return_index=True)
    tokens, chain = tokens[first], chain[first]
    score = _score_of_usable(problem, tokens, chain)
    order = np.argsort(-score, kind="stable")
    ranked = Ranked(tokens[order], chain[order], score[order])
    return ranked.select(np.isfinite(ranked.score))


def _improvements(problem: Problem, candidates: Ranked) -> Ranked:
    """The candidates with a better score than the given promoter of their chain."""
    return candidates.select(candidates.score > _score_of_given(problem)[candidates.chain])


def _score_of_given(problem: Problem) -> Floats:
    """``(C,)`` score that a design of each chain has to exceed.

    −inf for a chain without a given promoter, or whose promoter violates a rule or holds an N.
    """
    given = problem.starts.given
    whole = problem.starts.known
    score = np.full(len(given), -np.inf)
    score[whole] = _score_of_usable(problem, given[whole], whole)
    return score


def _unimproved_notes(problem: Problem, candidates: Ranked) -> list[str]:
    """A note on given promoters of which no candidate is left."""
    starts = problem.starts
    ids = {starts.ids[chain] for chain in starts.known.tolist()}
    without = ids - {starts.ids[chain] for chain in candidates.chain.tolist()}
    return [NOT_IMPROVED.format(len(without), len(ids))] if without else []


def _score_of_usable(problem: Problem, tokens: Tokens, chain: Integers) -> Floats:
    """``(N,)`` score; −inf if a rule is violated, or the oracle finds the design unfamiliar."""
    score = np.full(len(tokens), -np.inf)
    met = np.nonzero(problem.violation(tokens, chain) == 0)[0]
    if len(met):
        assessment = problem.oracle.assess(problem.constructs(tokens[met], chain[met]))
        score[met] = problem.objective.score(assessment, problem.starts.target[chain[met]])
        score[met[problem.is_flagged(assessment)]] = -np.inf
    return score


class Inspector:
    """DnaChisel's check of one candidate after another, with a repair if it is necessary."""

    def __init__(self, problem: Problem, stem: int | None) -> None:
        """Inspect designs of ``problem``, with a limit on hairpin stems if ``stem`` is given."""
        self.problem, self.stem = problem, stem
        self.installed = is_installed()
        self.rules: dict[int, list[tuple[str, Any]]] = {}
        self.repaired = self.refused = 0

    def inspect(self, insert: Tokens, chain: int) -> Tokens | None:
        """The insert ``(W,)``, repaired if it was necessary; None if it cannot be used."""
        if not self.installed:
            return insert
        starts = self.problem.starts
        length = int(starts.lengths[chain])
        if length not in self.rules:
            self.rules[length] = specifications(
                self.problem.constraints, self.problem.flanks, length, self.stem
            )
        fixed = np.nonzero(~starts.editable[chain, :length])[0].tolist()
        (text,) = decode(insert[None, :length])
        result = check(text, self.problem.flanks, self.rules[length], keep=fixed)
        if not result.failed and not result.repaired:
            return insert
        changed = insert.copy()
        changed[:length] = encode([result.insert])[0][0]
        (score,) = _score_of_usable(self.problem, changed[None], np.array([chain]))
        usable = not result.failed and bool(score > self.score_of_given[chain])
        self.repaired, self.refused = self.repaired + usable, self.refused + (not usable)
        return changed if usable else None

    @cached_property
    def score_of_given(self) -> Floats:
        """``(C,)``, what a repaired design has to exceed."""
        return _score_of_given(self.problem)

    @property
    def notes(self) -> list[str]:
        """What was repaired and refused, or that nothing was checked."""
        if not self.installed:
            return ["crmnet checked the rules; DnaChisel, which is not installed, would check them "
                    "a second time: pip install 'crmnet[design]'"]  # fmt: skip
        lines = []
        if self.repaired:
            lines.append(f"DnaChisel repaired {self.repaired} of the designs")
        if self.refused:
            lines.append(f"DnaChisel refused {self.refused} candidates that it could not repair")
        return lines


def choose(
    problem: Problem, candidates: Ranked, designs: int, inspector: Inspector
) -> tuple[Tokens, Integers]:
    """The best candidates of each target that pass the inspection and differ enough.

    Returns:
        ``(N, W)`` inserts, at most ``designs``, divided evenly among the targets, and the chain of
        each.
    """
    target = problem.starts.target[candidates.chain]
    targets = problem.objective.targets or (np.nan,)
    chosen = np.zeros((0, candidates.tokens.shape[1]), dtype=np.uint8)
    chains: list[int] = []
    for number, value in enumerate(targets):
        wanted = designs // len(targets) + (number < designs % len(targets))
        of_target = np.isnan(target) if np.isnan(value) else target == value
        before = len(chains)
        for row in np.nonzero(of_target)[0].tolist():
            if len(chains) - before == wanted:
                break
            chain = int(candidates.chain[row])
            if not _differs(candidates.tokens[row], chosen, problem.distance):
                continue
            insert = inspector.inspect(candidates.tokens[row], chain)
            if insert is not None and _differs(insert, chosen, problem.distance):
                chosen = np.concatenate([chosen, insert[None]])
                chains.append(chain)
    return chosen, np.array(chains, dtype=np.int64)


def _differs(insert: Tokens, others: Tokens, least: int) -> bool:
    """Whether an insert ``(W,)`` differs from all others in at least ``least`` bases."""
    return not len(others) or bool(distances(insert[None], others).min() >= max(least, 1))


def _judged(
    problem: Problem,
    panel: Panel,
    tokens: Tokens,
    chain: Integers,
    found: Found,
    notes: list[str],
) -> Designs:
    """The chosen designs with the values of all models, in the order of the ranker."""
    objective, target = problem.objective, problem.starts.target[chain]
    score = np.empty(0)
    if len(tokens):
        ranked = panel.ranker.assess(_constructs(problem, panel.ranker, tokens, chain))
        score = objective.score(ranked, target)
        order = np.lexsort((-score, np.nan_to_num(target)))
        tokens, chain, target, score = tokens[order], chain[order], target[order], score[order]
    given = problem.starts.given[chain]
    begun = np.where(given != N_TOKEN, given, problem.starts.tokens[chain])
    given = np.where((given == N_TOKEN).all(axis=1, keepdims=True), begun, given)
    constructs = _constructs(problem, panel.ranker, tokens, chain)
    expression = panel.ranker.assess(constructs)
    trust = panel.ranker.trust(constructs) if len(tokens) else None
    read_by_oracle = problem.constructs(tokens, chain)
    unlike = problem.oracle.flags(read_by_oracle)
    values = {
        (scorer, what): _values(problem, model, inserts, chain)
        for scorer, model in (("oracle", panel.oracle), ("judge", panel.judge))
        for what, inserts in (("design", tokens), ("start", begun))
    }
    return Designs(
        objective=objective,
        tokens=tokens,
        lengths=problem.starts.lengths[chain],
        starts=begun,
        given=given,
        start_ids=[problem.starts.ids[number] for number in chain.tolist()],
        target=target,
        score=score,
        oracle=values["oracle", "design"],
        judge=values["judge", "design"],
        oracle_start=values["oracle", "start"],
        judge_start=values["judge", "start"],
        media=panel.ranker.media,
        expression=expression.expression,
        trust=trust,
        unlike=unlike,
        rules=tuple(rule.label for rule in problem.constraints),
        paths=edit_paths(problem, tokens, chain, begun, given),
        history=found.history,
        constructs=read_by_oracle,
        complete=found.complete,
        notes=(*notes, *_shape_notes(unlike)),
        panel=panel,
    )


def _shape_notes(unlike: Sequence[str]) -> list[str]:
    """A note on flags that follow from the starts, such as an unusual length."""
    found = [set(flags.split(";")) & set(SHAPE_FLAGS) for flags in unlike]
    if not any(found):
        return []
    names = ", ".join(flag for flag in SHAPE_FLAGS if any(flag in flags for flags in found))
    return [
        f"{sum(map(bool, found))} designs are unlike the oracle's training data in a way that "
        f"follows from their start ({names}); see the column unlike_training"
    ]


def _constructs(problem: Problem, scorer: Scorer, tokens: Tokens, chain: Integers) -> Tokens:
    return replace(problem, oracle=scorer).constructs(tokens, chain)


def _values(problem: Problem, scorer: Scorer, tokens: Tokens, chain: Integers) -> Floats:
    if not len(tokens):
        return np.zeros(0)
    return replace(problem, oracle=scorer).values(scorer, tokens, chain)
