"""Fitness, feasible starts, contradictions between rules."""

from dataclasses import replace

import numpy as np
import pytest

from crmnet.design.constraints import AwayFrom, Flanks, GcRange, GcWindow, MaxEdits, MaxRun
from crmnet.design.objective import Objective, distance_penalty
from crmnet.design.patterns import AvoidSites, KeepSite, enzyme_pattern, iupac_pattern
from crmnet.design.problem import (
    INFEASIBLE,
    Problem,
    check_distance,
    check_length,
    check_windows,
    feasible_starts,
)
from crmnet.design.scorer import Assessment, Scorer, held_out_member
from crmnet.design.starts import (
    StartOptions,
    given_inserts,
    make_starts,
    parse_positions,
)
from crmnet.sequence import ADAPTER_3, ADAPTER_5, encode
from toys import linear_predictor, random_starts

MAXIMISE = Objective("maximise", "complex")


def problem(rules, starts=None, **more):
    starts = random_starts() if starts is None else starts
    return Problem(starts, Scorer.of(linear_predictor()), MAXIMISE, tuple(rules), **more)


def from_text(text, n=4, protected=()):
    return make_starts(
        given_inserts([text]), StartOptions(n, chains=n), MAXIMISE, protected, Flanks()
    )


def test_fitness_is_the_score_or_far_below():
    task = problem([MaxRun(3)])
    tokens = np.stack([encode(["ACGT" * 6])[0][0], encode(["ACGT" * 5 + "TTTT"])[0][0]])
    fitness = task.fitness(tokens, np.array([0, 1]))
    assert fitness[0] == pytest.approx(task.values(task.oracle, tokens[:1], np.array([0]))[0])
    assert fitness[1] == INFEASIBLE - 2


def test_starts_move_to_the_nearest_sequence_that_meets_the_rules():
    text = "ACGTTGCA" * 2 + "GAATTC" + "AC"
    task = problem([AvoidSites(enzyme_pattern("EcoRI"))], from_text(text))
    moved = feasible_starts(task, 0)
    assert (moved.violation(moved.starts.tokens, np.arange(4)) == 0).all()
    assert ((moved.starts.tokens != task.starts.tokens).sum(axis=1) == 1).all()
    np.testing.assert_array_equal(moved.starts.given, task.starts.given)


ECORI = AvoidSites(enzyme_pattern("EcoRI"), "--avoid-enzyme")
KEEP = KeepSite(iupac_pattern("GAATTC"))
CONTRADICTIONS = {
    "keep and avoid": (
        [GcRange(0.3, 0.7), KEEP, ECORI],
        "--keep GAATTC and --avoid-enzyme EcoRI .* contradict each other",
    ),
    "two ranges": (
        [GcRange(0.7, 0.8), MaxRun(6), GcRange(0.2, 0.3)],
        r"--gc 70-80 \(insert\) and --gc 20-30 \(insert\) contradict each other",
    ),
    "insert and order": (
        [GcRange(0.9, 1.0), GcRange(0.1, 0.3, "order", "twist: G + C")],
        r"--gc 90-100 \(insert\) and twist: G \+ C 10-30 \(order\) contradict",
    ),
    "run and word": (
        [MaxRun(3), KeepSite(iupac_pattern("AAAAA"))],
        "--max-run 3 and --keep AAAAA contradict each other",
    ),
    "alone": (
        [KeepSite(iupac_pattern("A" * 30))],
        "no design can meet --keep A{30}; leave it out or relax it",
    ),
}


@pytest.mark.parametrize(("rules", "message"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_contradictions_name_the_two_rules(rules, message):
    with pytest.raises(ValueError, match=message):
        feasible_starts(problem(rules), 0)


def test_a_protected_site_contradicts_the_rule_that_forbids_it():
    starts = from_text("ACGTTGCA" * 2 + "GAATTC" + "AC", protected=tuple(range(16, 22)))
    with pytest.raises(ValueError, match=r"--protect and --avoid-enzyme EcoRI .* contradict"):
        feasible_starts(problem([GcRange(0.2, 0.8), ECORI], starts), 0)


def test_too_few_edits_contradict_a_distance():
    text = "ACGTTGCA" * 3
    starts = from_text(text)
    near = AwayFrom(8, encode([text])[0], "natives.fa")
    message = "--max-edits 3 and --distance 8 --away-from natives.fa contradict each other"
    with pytest.raises(ValueError, match=message):
        feasible_starts(problem([MaxEdits(3), near], starts), 0)
    task = problem([MaxEdits(3)], starts, distance=8)
    with pytest.raises(ValueError, match="--max-edits 3 and --distance 8 contradict each other"):
        check_distance(task, 4)
    check_distance(task, 1)
    check_distance(problem([MaxEdits(4)], starts, distance=8), 4)
    protected = from_text(text, protected=tuple(range(20)))
    with pytest.raises(ValueError, match=r"--protect and --distance 8 .* only 4 bases may change"):
        check_distance(problem([], protected, distance=8), 4)


def test_short_inserts_cannot_differ_by_a_distance():
    starts = random_starts(width=8)
    check_distance(problem([], starts, distance=8), 4)
    message = "^inserts of 8 bases cannot differ in --distance 10 bases; give a smaller --distance"
    with pytest.raises(ValueError, match=message):
        check_distance(problem([], starts, distance=10), 4)


def test_candidates_of_later_chains_keep_their_distance():
    starts = random_starts(chains=3, width=10)
    task = problem([], starts, distance=6)
    anchors = encode(["ACGTACGTAC", "ACGTACGTTT", "TTTTTTTTTT"])[0]
    same = np.repeat(anchors[:1], 3, axis=0)
    # Distances to the designs of chains 0 and 1: 0 and 2; a chain ignores itself and later ones.
    assert task.violation(same, np.arange(3), anchors).tolist() == [0, 6, 6 + 4]


def test_inserts_that_are_too_long_are_an_error():
    check_length(np.array([82]), Flanks(), 112)
    with pytest.raises(ValueError, match=r"inserts of 83 bases .* at most 82 bases"):
        check_length(np.array([80, 83]), Flanks(), 112)


def test_a_window_that_is_wider_than_the_order_is_an_error():
    sizes, flanks = np.array([30, 24]), Flanks(primer_5="GGTC")  # 24 + 30 + 4 are ordered
    check_windows([GcWindow(58, 0.2, 0.8)], sizes, flanks)
    with pytest.raises(ValueError, match="--gc-window 59:20-80: what is ordered has 58 bases"):
        check_windows([GcWindow(59, 0.2, 0.8)], sizes, flanks)
    check_windows([GcWindow(100, 0.2, 0.8, source="salis: G + C")], sizes, flanks)


def test_given_starts_lose_their_adapters_and_keep_their_numbers():
    insert = "ACGTTGCA" * 5
    given = given_inserts([insert, ADAPTER_5 + insert + ADAPTER_3])
    assert given.first.tolist() == [1, 18]
    assert (given.inserts[0] == given.inserts[1]).all()
    assert given.lengths.tolist() == [40, 40]


def test_more_chains_than_starts_use_each_start_equally_often():
    texts = ["ACGTTGCA" * 3, "TTGCAACG" * 3]
    starts = make_starts(given_inserts(texts), StartOptions(4, 5), MAXIMISE, (), Flanks())
    assert starts.ids == ["1", "2", "1", "2", "1"]
    many = given_inserts([text[i:] + text[:i] for text in texts for i in range(6)])
    chosen = make_starts(many, StartOptions(2, 3), MAXIMISE, (), Flanks())
    assert len(set(chosen.ids)) == 3


def test_an_n_is_free_and_no_edit():
    starts = from_text("ACGTNNCA" * 3)
    assert (starts.tokens < 4).all()
    assert (starts.given == 4).sum() == 24
    task = problem([MaxEdits(1)], starts)
    other = starts.tokens.copy()
    other[:, 4] = (other[:, 4] + 1) % 4
    assert (task.violation(other, np.arange(4)) == 0).all()
    with pytest.raises(ValueError, match="base 5 of 1 is N; only a known base"):
        from_text("ACGTNNCA" * 3, protected=(4,))
    with pytest.raises(ValueError, match="position 30 is not in the insert of 1, which has 24"):
        from_text("ACGTACCA" * 3, protected=(29,))


def test_errors_about_positions_count_on_the_sequence_as_given():
    """The insert has 24 bases and begins at base 18 of the construct."""
    construct = ADAPTER_5 + "ACGTNNCA" * 3 + ADAPTER_3
    with pytest.raises(ValueError, match="base 22 of 1 is N"):
        from_text(construct, protected=parse_positions(["22"], first=18))
    message = "position 4 is not in the insert of 1, which has 24 bases and begins at position 18"
    with pytest.raises(ValueError, match=message):
        from_text(construct, protected=parse_positions(["4"], first=18))


@pytest.mark.parametrize(
    ("texts", "expected"), [(["1-3,7"], (0, 1, 2, 6)), (["2", "1"], (0, 1)), ([" 4 - 5 "], (3, 4))]
)
def test_positions(texts, expected):
    assert parse_positions(texts) == expected
    assert parse_positions(["18-19"], first=18) == (0, 1)


@pytest.mark.parametrize("text", ["", "0", "3-1", "a", "1;2", "1-", "99999"])
def test_positions_that_are_none(text):
    with pytest.raises(ValueError, match="--protect takes positions and ranges from 1"):
        parse_positions([text])


def test_targets_are_divided_among_the_chains():
    objective = Objective("target", "complex", targets=(2.0, 5.0, 9.0))
    starts = make_starts(None, StartOptions(4, 7), objective, (), Flanks())
    assert starts.target.tolist() == [2, 5, 9, 2, 5, 9, 2]


@pytest.mark.parametrize(
    ("starts", "targets"), [(1, 3), (2, 2), (2, 3), (3, 2), (4, 2), (4, 6), (6, 4), (7, 3)]
)
def test_every_start_gets_every_target_once_in_as_many_searches_as_pairs(starts, targets):
    texts = ["ACGTTGCA"[i:] + "ACGTTGCA"[:i] for i in range(starts)]
    objective = Objective("target", "complex", targets=tuple(map(float, range(targets))))
    pairs = starts * targets
    made = make_starts(given_inserts(texts), StartOptions(1, 2 * pairs), objective, (), Flanks())
    found = list(zip(made.ids, made.target.tolist(), strict=True))
    assert len(set(found[:pairs])) == len(set(found[pairs:])) == pairs
    counts = [sum(target == value for _, target in found) for value in objective.targets]
    assert counts == [2 * starts] * targets


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"designs": 0}, "number of designs must be at least 1; got 0"),
        ({"designs": 5, "chains": 4}, "chains must be at least 5, the number of designs; got 4"),
        ({"length": 0}, "length of a start must be at least 1; got 0"),
    ],
)
def test_start_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        StartOptions(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"goal": "best"}, "goal must be one of maximise, minimise, target, separate"),
        ({"goal": "separate"}, "separate, and no other goal, needs a second medium"),
        ({"goal": "separate", "minus": "complex"}, "two different media can be separated"),
        ({"goal": "target"}, "target, and no other goal, needs values to hit"),
        ({"goal": "maximise", "unlike": -1.0}, "weights of penalties must be at least 0"),
        ({"goal": "target", "targets": (float("nan"),)}, "must be finite numbers"),
    ],
)
def test_objectives_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        Objective(**{"medium": "complex", **options})


def test_scores_by_hand():
    assessment = Assessment(
        ["complex", "defined"], np.array([[5.0, 2.0], [7.0, 6.0]]), np.array([[3.0, 4.0]] * 2),
        np.array([0.5, 1.1]),
    )  # fmt: skip
    none = np.full(2, np.nan)
    high = Objective("maximise", "complex", uncertainty=1, unlike=10)
    # The penalty is 0 below 90 % of the limit, 1 at the limit and 2 at 110 %.
    np.testing.assert_allclose(distance_penalty([0.5, 0.9, 1.0, 1.1]), [0, 0, 1, 2], atol=1e-9)
    np.testing.assert_allclose(high.score(assessment, none), [5 - 3, 7 - 3 - 20])
    low = replace(high, goal="minimise", unlike=0.0)
    np.testing.assert_allclose(low.score(assessment, none), [-5 - 3, -7 - 3])
    apart = Objective("separate", "complex", "defined", uncertainty=0.5, unlike=0)
    np.testing.assert_allclose(apart.score(assessment, none), [3 - 2.5, 1 - 2.5])
    hit = Objective("target", "complex", targets=(6.0,), uncertainty=0, unlike=0)
    np.testing.assert_allclose(hit.score(assessment, np.array([6.0, 6.0])), [-1, -1])


def test_the_spread_of_an_ensemble_is_a_penalty():
    scorer = Scorer.of(linear_predictor(members=3))
    tokens = np.random.default_rng(0).integers(4, size=(5, 112), dtype=np.uint8)
    assessment = scorer.assess(tokens)
    _, spread = scorer.predictor.predict_with_spread(tokens)
    np.testing.assert_allclose(assessment.half_width, 1.645 * spread, rtol=1e-6)
    assert scorer.knows_uncertainty("complex")
    assert not Scorer.of(linear_predictor()).knows_uncertainty("complex")
    assert (assessment.unfamiliarity == 0).all()


def test_a_held_out_member_judges():
    scorer = Scorer.of(linear_predictor(members=3), "toy")
    rest, member = held_out_member(scorer, ["complex"])
    tokens = np.random.default_rng(0).integers(4, size=(5, 112), dtype=np.uint8)
    values = [s.assess(tokens).expression[:, 0] for s in (scorer, rest, member)]
    np.testing.assert_allclose(values[0], (2 * values[1] + values[2]) / 3, rtol=1e-5)
    assert rest.name == "toy without member 3"
    with pytest.raises(ValueError, match="toy has 1 network for complex, so no member can be held"):
        held_out_member(Scorer.of(linear_predictor(), "toy"), ["complex"])
