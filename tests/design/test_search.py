"""Search methods: each reaches the known best sequence, stays within rules, and repeats itself."""

import numpy as np
import pytest

from crmnet.design.constraints import GcRange, MaxRun
from crmnet.design.distances import distances
from crmnet.design.neighbours import neighbours
from crmnet.design.objective import Objective
from crmnet.design.patterns import AvoidSites, KeepSite, find_pattern, iupac_pattern
from crmnet.design.problem import INFEASIBLE, Problem, feasible_starts
from crmnet.design.run import SearchOptions, search
from crmnet.design.scorer import Scorer
from crmnet.design.search import METHODS
from crmnet.sequence import decode
from toys import Linear, linear_predictor, random_starts

RULES = (
    GcRange(0.4, 0.5),
    MaxRun(3),
    AvoidSites(iupac_pattern("GATC")),
    KeepSite(find_pattern("TATAWA")),
)


def problem(goal="maximise", rules=(), distance=0, **more):
    predictor = linear_predictor()
    return Problem(
        random_starts(**more), Scorer.of(predictor),
        Objective(goal, "complex", targets=(1.0,) if goal == "target" else ()), rules,
        distance=distance,
    )  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_each_method_reaches_the_best_sequence(method):
    task = problem()
    network = task.oracle.predictor.model
    found = search(task, SearchOptions(method, 200 if method == "genetic" else None))
    best = network.best(24)
    assert decode(best[None]) in [decode(found.best[i : i + 1]) for i in range(4)]
    value = float(task.values(task.oracle, best[None], np.array([0]))[0])
    assert found.fitness.max() == pytest.approx(value, abs=1e-4)
    # Genetic and annealing may miss the last bases of some chains.
    assert (found.fitness > 0.95 * value).all()
    assert found.complete
    assert (np.diff(found.history, axis=0) >= 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_each_method_stays_within_the_rules(method):
    task = feasible_starts(problem(rules=RULES), 0)
    begin = task.fitness(task.starts.tokens, np.arange(4))
    found = search(task, SearchOptions(method, 20))
    assert (task.violation(found.best, np.arange(4)) == 0).all()
    assert (found.fitness >= begin).all()
    assert found.fitness.mean() > begin.mean() + 1


@pytest.mark.parametrize("goal", ["minimise", "target"])
def test_other_goals(goal):
    task = problem(goal, targets=[1.0] if goal == "target" else None)
    found = search(task, SearchOptions("greedy"))
    value = task.values(task.oracle, found.best, np.arange(4))
    if goal == "target":
        np.testing.assert_allclose(value, 1.0, atol=0.05)
    else:
        weights = task.oracle.predictor.model.weights[0, :, 17:41]
        worst = weights.detach().argmin(dim=0).numpy().astype(np.uint8)
        assert (found.best == worst).all()


def test_two_media_are_separated_as_far_as_possible():
    predictor = linear_predictor(media=("complex", "defined"))
    objective = Objective("separate", "complex", "defined")
    task = Problem(random_starts(), Scorer.of(predictor), objective)
    found = search(task, SearchOptions("greedy"))
    weights = predictor.model.weights.detach()
    best = (weights[0] - weights[1])[:, 17:41].argmax(dim=0).numpy().astype(np.uint8)
    assert (found.best == best).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_designs_and_another_does_not_have_to(method):
    task = problem()
    first, second = (search(task, SearchOptions(method, 5, seed=3)) for _ in range(2))
    np.testing.assert_array_equal(first.best, second.best)
    np.testing.assert_array_equal(first.history, second.history)


@pytest.mark.parametrize("method", ["greedy", "beam", "genetic", "annealing", "gradient"])
def test_designs_from_one_start_move_apart(method):
    starts = random_starts(chains=1)
    task = problem(distance=8)
    task = Problem(starts.take(np.zeros(4, dtype=int)), task.oracle, task.objective, distance=8)
    found = search(task, SearchOptions(method, 60))
    pool = np.concatenate([found.best, found.pool])
    fitness = task.fitness(pool, np.concatenate([np.arange(4), found.pool_chain]))
    far = [pool[np.argmax(fitness)]]
    for row in np.argsort(-fitness):
        if (
            fitness[row] > INFEASIBLE / 2
            and distances(pool[row : row + 1], np.array(far)).min() >= 8
        ):
            far.append(pool[row])
    assert len(far) >= 4


def test_neighbours_are_all_single_substitutions():
    tokens = np.array([[0, 1, 4], [2, 3, 0]], dtype=np.uint8)
    editable = np.array([[True, False, True], [True, True, True]])
    changed, row, _, _ = neighbours(tokens, editable)
    assert decode(changed[row == 0], [3] * 3) == ["CCN", "GCN", "TCN"]  # an N is not changed
    assert sorted(decode(changed[row == 1])) == sorted(
        ["ATA", "CTA", "TTA", "GAA", "GCA", "GGA", "GTC", "GTG", "GTT"]
    )


def test_positions_that_may_not_change_do_not():
    task = problem()
    task.starts.editable[:, 5:20] = False
    for method in METHODS:
        found = search(task, SearchOptions(method, 4))
        np.testing.assert_array_equal(found.best[:, 5:20], task.starts.tokens[:, 5:20])
        pool = found.pool[:, 5:20]
        np.testing.assert_array_equal(pool, task.starts.tokens[found.pool_chain, 5:20])


def test_a_method_and_its_steps_are_checked():
    with pytest.raises(ValueError, match="unknown method 'greddy'; did you mean 'greedy'"):
        SearchOptions("greddy")
    with pytest.raises(ValueError, match="steps must be at least 1; got 0"):
        SearchOptions(steps=0)


def test_a_module_reads_bare_inserts():
    network = Linear(length=24)
    task = Problem(random_starts(), Scorer.of(network, length=24), Objective("maximise", "output"))
    found = search(task, SearchOptions("greedy"))
    assert (found.best == network.best(24, first=0)).all()
