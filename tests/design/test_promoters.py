"""``design_promoters``: diverse designs, paths, gains by hand, calibrated and plain models."""

from dataclasses import replace

import numpy as np
import polars
import pytest

from crmnet import design_promoters
from crmnet.design import promoters
from crmnet.design.chisel import Checked
from crmnet.design.constraints import Candidates, GcRange, MaxEdits, MaxRun, mask
from crmnet.design.distances import distances
from crmnet.design.objective import Objective
from crmnet.design.patterns import AvoidSites, enzyme_pattern
from crmnet.design.problem import Problem
from crmnet.design.promoters import Inspector, Ranked, Rules, choose
from crmnet.design.run import SearchOptions
from crmnet.design.scorer import Scorer
from crmnet.sequence import ADAPTER_3, ADAPTER_5, decode, encode
from crmnet.statistics.uncertainty import fit_input_limits
from toys import Linear, linear_predictor, random_starts

HIGH = Objective("maximise", "complex")
RULES = Rules((GcRange(0.3, 0.7), MaxRun(4), AvoidSites(enzyme_pattern("EcoRI"))))


@pytest.fixture(scope="module")
def designed():
    return design_promoters(
        linear_predictor(1), HIGH, judge=linear_predictor(2), ranker=linear_predictor(3), n=5,
        length=30, rules=RULES, options=SearchOptions("greedy", 8),
    )  # fmt: skip


def test_designs_meet_all_rules_and_differ(designed):
    candidates = Candidates(designed.tokens, designed.lengths, RULES.flanks)
    assert mask(RULES.constraints, candidates).all()
    apart = distances(designed.tokens, designed.tokens) + 99 * np.eye(5, dtype=int)
    assert apart.min() >= 10
    assert (designed.nearest == apart.min(axis=1)).all()
    assert designed.rules == tuple(rule.label for rule in RULES.constraints)


def test_the_path_of_edits_leads_from_the_start_to_the_design(designed):
    for number, path in enumerate(designed.paths):
        start, design = designed.starts[number], designed.tokens[number]
        np.testing.assert_array_equal(path.apply(start), design)
        assert len(path.position) == (start != design).sum() == designed.edits[number]
        assert path.value[0] == pytest.approx(designed.oracle_start[number])
        assert path.value[-1] == pytest.approx(designed.oracle[number], abs=1e-4)
        # In a linear model the most useful edits come first.
        assert (np.diff(path.value, n=2) <= 1e-4).all()
        for change, position in zip(path.changes(), path.position, strict=True):
            (old,), (new,) = (decode(row[None, [position]]) for row in (start, design))
            assert change == f"{position + 1}{old}>{new}"


def test_a_note_names_the_flags_that_follow_from_the_starts():
    note = (
        "{} designs are unlike the oracle's training data in a way that follows from their start "
        "({}); see the column unlike_training"
    )
    notes = promoters._shape_notes
    assert notes(["adapters", "", "composition;adapters"]) == [note.format(2, "adapters")]
    assert notes(["adapters;length", "length"]) == [note.format(2, "length, adapters")]
    assert notes(["composition", "", "range"]) == []


def test_values_are_those_of_the_models(designed):
    for seed, values in ((1, designed.oracle), (2, designed.judge)):
        expected = linear_predictor(seed).predict(designed.sequences)
        np.testing.assert_allclose(values, expected, rtol=1e-5)
    ranked = linear_predictor(3).predict(designed.sequences)
    np.testing.assert_allclose(designed.expression[:, 0], ranked, rtol=1e-5)
    assert (np.diff(ranked) <= 0).all()  # the ranker orders
    # One network without calibration has no penalties.
    np.testing.assert_allclose(designed.score, ranked, rtol=1e-5)
    np.testing.assert_allclose(designed.gap, designed.oracle - designed.judge)
    confirmed = designed.confirmed
    assert confirmed.oracle == pytest.approx((designed.oracle - designed.oracle_start).mean())
    assert confirmed.share == pytest.approx(
        (designed.judge - designed.judge_start).mean() / confirmed.oracle
    )


def test_the_table_has_a_row_for_each_design(designed):
    table = designed.to_table()
    assert isinstance(table, polars.DataFrame)
    assert table["id"].to_list() == [f"design_{n:02d}" for n in range(1, 6)]
    assert table["rank"].to_list() == [1, 2, 3, 4, 5]
    assert table["constraints_met"].to_list() == ["3 of 3"] * 5
    assert {"oracle", "judge", "gap", "expression_complex", "edits", "nearest_design"} <= set(
        table.columns
    )


def test_targets_share_the_designs():
    objective = Objective("target", "complex", targets=(-3.0, 3.0))
    predictor = linear_predictor(1)
    designs = design_promoters(
        predictor, objective, judge=predictor, ranker=predictor, n=5, length=30,
    )  # fmt: skip
    assert designs.target.tolist() == [-3, -3, -3, 3, 3]
    np.testing.assert_allclose(designs.oracle, designs.target, atol=0.1)
    np.testing.assert_allclose(designs.score, -np.abs(designs.oracle - designs.target), atol=1e-5)
    assert (np.diff(designs.score[:3]) <= 0).all() and designs.score[3] >= designs.score[4]
    assert {"target", "score"} <= set(designs.to_table().columns)


def test_a_given_promoter_and_few_edits():
    start = "ACGTTGCAGT" * 4
    predictor = linear_predictor(1)
    designs = design_promoters(
        predictor, HIGH, judge=predictor, ranker=predictor, starts=[start], n=3,
        rules=Rules((MaxEdits(4),), protected=(0, 1, 2)), options=SearchOptions("greedy", 30),
    )  # fmt: skip
    assert len(designs) == 3
    assert (designs.edits <= 4).all()
    assert all(text.startswith("ACG") for text in designs.sequences)
    assert distances(designs.tokens, designs.tokens)[np.triu_indices(3, 1)].min() >= 4
    tokens = design_promoters(
        predictor, HIGH, judge=predictor, ranker=predictor, starts=encode([start])[0], n=1,
    )  # fmt: skip
    assert tokens.starts.shape == (1, 40)


def test_changes_count_on_each_sequence_as_given():
    insert = "ACGTTGCAGT" * 4
    starts = [f"{ADAPTER_5}{insert}{ADAPTER_3}", insert[::-1]]
    predictor = linear_predictor(1)
    designs = design_promoters(
        predictor, HIGH, judge=predictor, ranker=predictor, starts=starts, n=2,
        chains=2, rules=Rules((MaxEdits(3),), distance=7),
    )  # fmt: skip
    assert sorted(path.first for path in designs.paths) == [1, 18]
    for name, path in zip(designs.start_ids, designs.paths, strict=True):
        for change in path.changes():
            assert starts[int(name) - 1][int(change[:-3]) - 1] == change[-3]


def test_the_base_for_an_n_is_no_edit_and_the_path_shows_the_n():
    start = "ACGTTGCAGTNNNNNNNNNNACGTTGCAGT"
    predictor = linear_predictor(1)
    designs = design_promoters(
        predictor, HIGH, judge=predictor, ranker=predictor, starts=[start], n=2,
        rules=Rules((MaxEdits(3),)), options=SearchOptions("greedy", 30),
    )  # fmt: skip
    expected = [
        sum(old not in (new, "N") for old, new in zip(start, design, strict=True))
        for design in designs.sequences
    ]
    assert designs.edits.tolist() == expected and max(expected) <= 3
    changes = [change for path in designs.paths for change in path.changes()]
    assert {change[-3] == "N" for change in changes} == {True, False}
    for change in changes:
        assert start[int(change[:-3]) - 1] == change[-3]


def test_any_module_can_be_designed_for():
    network, judge = Linear(length=24), Linear(5, length=24)
    designs = design_promoters(
        network, Objective("maximise", "output"), judge=judge, ranker=judge, n=1,
        starts=["ACGTTGCA" * 3],
    )  # fmt: skip
    assert (designs.tokens[0] == network.best(24, first=0)).all()
    assert designs.trust is None


def limits(tail=0.02):
    """Limits of a training set with few G and C."""
    rng = np.random.default_rng(0)
    tokens = rng.choice(4, p=[0.4, 0.1, 0.1, 0.4], size=(2000, 60)).astype(np.uint8)
    return fit_input_limits(tokens, {}, tail)


def scorer_with_limits():
    network = Linear(length=60)
    network.weights.data[:, 1:3] += 1.0  # G and C raise the output, far from the training set
    return Scorer(Scorer.of(network, length=60).predictor, "toy", {}, limits(), bare=True)


@pytest.mark.parametrize("unlike", [0.0, 1.0])
def test_designs_stay_within_the_measured_range(unlike):
    network = Linear(length=24)
    start = encode(["ACGTTGCA" * 3])[0]
    predictor = Scorer.of(network, length=24).predictor
    highest = float(predictor.predict_tokens(network.best(24, first=0)[None])[0, 0]) - 0.5
    known = limits().model_copy(
        update={"composition": 1e9, "measured": {"output": (-1e9, highest)}}
    )
    scorer = Scorer(predictor, "toy", {}, known, bare=True)
    designs = design_promoters(
        scorer, Objective("maximise", "output", unlike=unlike), judge=scorer, ranker=scorer, n=1,
        starts=start,
    )  # fmt: skip
    assert (designs.expression[0, 0] <= highest) == bool(unlike)


@pytest.mark.parametrize("unlike", [0.0, 1.0])
def test_the_penalty_keeps_designs_near_the_training_set(unlike):
    scorer = scorer_with_limits()
    starts = encode(["AATTATAATA" * 6, "ATTATTTAAT" * 6])[0]
    designs = design_promoters(
        scorer, Objective("maximise", "output", unlike=unlike), judge=scorer, ranker=scorer,
        starts=starts, n=2, options=SearchOptions("greedy", 20), rules=Rules(distance=1),
    )  # fmt: skip
    flagged = ["composition" in flags for flags in designs.unlike]
    assert flagged == [unlike == 0] * len(designs)
    assert len(designs) == 2


def improve(start, n):
    predictor = linear_predictor(1)
    return design_promoters(
        predictor, HIGH, judge=predictor, ranker=predictor, starts=[start], n=n, chains=24,
        rules=Rules((MaxEdits(1),), distance=1), options=SearchOptions("annealing", 100),
    )  # fmt: skip


def test_a_design_is_better_than_the_given_promoter():
    # One position is not the best: a design can only change that one.
    best = Linear(1).best(20)
    weights = Linear(1).weights[0, :, 17 + 5].detach().numpy()
    worst_first = np.argsort(weights)
    start = best.copy()
    start[5] = worst_first[1]
    (text,) = decode(start[None])
    designs = improve(text, 5)
    better = [f"{text[:5]}{'ACGT'[base]}{text[6:]}" for base in worst_first[:1:-1]]
    assert designs.sequences == better
    assert any("2 of 5 designs were found" in note for note in designs.notes)


def test_the_best_promoter_is_no_design_of_its_own():
    (text,) = decode(Linear(1).best(20)[None])
    designs = improve(text, 2)
    assert len(designs) == 0
    assert "no change within the rules improves 1 of 1 given promoters" in designs.notes
    # A base that is free is no base of the given promoter: then the best is a design.
    assert improve("N" + text[1:], 1).sequences == [text]


def test_searches_from_one_promoter_make_way_for_one_another():
    start = "ACGTTGCAGT" * 4
    predictor = linear_predictor(1)
    designs = design_promoters(
        predictor, HIGH, judge=predictor, ranker=predictor, starts=[start], n=4, chains=4,
        rules=Rules((MaxEdits(2),)), options=SearchOptions("greedy", 30),
    )  # fmt: skip
    assert designs.edits.tolist() == [2, 2, 2, 2]
    # In a linear model the first search takes the two best substitutions.
    weights = Linear(1).weights[0, :, 17:57].detach().numpy()
    gain = (weights - weights[encode([start])[0][0], np.arange(40)]).max(axis=0)
    two_best = np.sort(gain)[-2:].sum()
    gains = designs.oracle - designs.oracle_start
    assert gains[0] == pytest.approx(two_best, abs=1e-4)
    assert (gains > two_best / 2).all()


def test_too_few_designs_are_reported():
    predictor = linear_predictor(1)
    designs = design_promoters(
        predictor, HIGH, judge=predictor, ranker=predictor, n=4, length=12,
        rules=Rules(distance=12), options=SearchOptions("greedy", 3),
    )  # fmt: skip
    assert len(designs) < 4
    assert any(f"{len(designs)} of 4 designs were found" in note for note in designs.notes)


def test_choose_takes_the_best_that_differ():
    task = Problem(
        random_starts(chains=1, width=8), Scorer.of(linear_predictor()), HIGH, distance=3
    )
    texts = ["AAAAAAAA", "AAAAAAAC", "AAAAACCC", "AACCCCCC", "CCCCCCCC"]
    candidates = Ranked(encode(texts)[0], np.zeros(5, dtype=int), np.arange(5.0, 0, -1))
    chosen, chain = choose(task, candidates, 3, Inspector(task, None))
    assert decode(chosen) == ["AAAAAAAA", "AAAAACCC", "AACCCCCC"]
    assert chain.tolist() == [0, 0, 0]


@pytest.mark.parametrize(("rank", "kept"), [(0, False), (1, False), (2, True), (3, True)])
def test_a_repaired_design_is_better_than_the_given_promoter(monkeypatch, rank, kept):
    """Of the four bases at position 5, the given promoter has that of the second lowest score."""
    best = Linear(1).best(20)
    by_score = np.argsort(Linear(1).weights[0, :, 17 + 5].detach().numpy())
    given, repaired = np.stack([best, best])
    given[5], repaired[5] = by_score[1], by_score[rank]
    starts = replace(random_starts(chains=1, width=20), given=given[None])
    task = Problem(starts, Scorer.of(linear_predictor(1)), HIGH)
    (text,) = decode(repaired[None])
    monkeypatch.setattr(promoters, "is_installed", lambda: True)
    monkeypatch.setattr(promoters, "check", lambda *words, **options: Checked(text, (), 1))
    inspector = Inspector(task, None)
    found = inspector.inspect(best, 0)
    assert (found is not None, inspector.repaired, inspector.refused) == (kept, kept, not kept)
    assert not kept or (found == repaired).all()
