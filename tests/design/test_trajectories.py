"""Trajectories on linear models: the known optimum in the known order, and drift step by step."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from crmnet.design.neighbours import neighbours
from crmnet.design.trajectories import STEPS, TrajectoryOptions, trajectories
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import ADAPTER_3, ADAPTER_5, LENGTH, decode
from support import quick


class Linear(nn.Module):
    """``(B, 4, L)`` → ``(B, M)``; one table ``(4, L)`` of weights for each output."""

    def __init__(self, *weights):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(np.array(weights), dtype=torch.float32))

    def forward(self, x_BCL):
        return torch.einsum("bcl,mcl->bm", x_BCL, self.weights)


# Gains at positions 1 to 4: A>G 3, A>C 1, nothing, A>T 2; A>T at position 1 gains 2.5.
LADDER = np.array([[0, 0, 0, 0], [0, 1, -1, 0], [3, 0, -1, 0], [2.5, 0, -1, 2]], dtype=float)


def constructs(*weights_of_base):
    weights = [[[w.get(base, 0.0)] * LENGTH for base in "ACGT"] for w in weights_of_base]
    media = ["complex", "defined"][: len(weights_of_base)]
    return Predictor(Linear(*weights).eval(), media, torch.device("cpu"))


def hamming(a, b):
    return sum(x != y for x, y in zip(a, b, strict=True))


def test_strong_selection_reaches_the_optimum_by_the_largest_gains():
    found = trajectories(Linear(LADDER), ["AAAA"], "up")
    assert found.to_table()["change"].to_list() == ["", "1A>G", "4A>T", "2A>C"]
    assert found.sequences() == ["GCAT"]
    assert found.expression[0, :5, 0].tolist()[:4] == [0, 3, 5, 6]
    # No neighbour of the optimum is better, so it ends before the tenth step.
    assert found.steps.tolist() == [3]
    assert np.isnan(found.expression[0, 4:]).all()


def test_selection_for_low_expression_goes_down():
    found = trajectories(Linear(LADDER), ["GCAT"], "down")
    # G>A -3, then T>A -2; A>C, A>G or A>T at position 3 and C>A at position 2 take 1 each.
    assert found.to_table()["change"].to_list() == ["", "1G>A", "4T>A", "2C>A", "3A>C"]
    assert found.expression[0, :5, 0].tolist() == [6, 3, 1, 0, -1]


def test_steps_limit_a_trajectory():
    found = trajectories(Linear(LADDER), ["AAAA"], options=TrajectoryOptions("up", steps=2))
    assert found.sequences() == ["GAAT"]
    assert found.sequences(1) == ["GAAA"]
    assert found.sequences(0) == ["AAAA"]
    assert found.position.shape == (1, 2)


def test_every_promoter_has_its_own_end():
    found = trajectories(Linear(LADDER), ["GCAT", "AAAA", "GAAT"], "up")
    assert found.steps.tolist() == [0, 3, 1]
    assert found.sequences() == ["GCAT"] * 3
    assert found.to_table()["id"].to_list() == ["1", "2", "2", "2", "2", "3", "3"]


def test_conflict_selects_on_the_difference_of_two_media():
    # G counts in both media, C only in complex, T only in defined.
    predictor = constructs({"G": 2.0, "C": 1.0}, {"G": 2.0, "T": 1.0})
    found = trajectories(predictor, ["GTA"], "conflict", media=("complex", "defined"))
    # T>C gains 2; then G>C and A>C gain 1 each, the first of them first.
    assert found.to_table()["change"].to_list() == ["", "2T>C", "1G>C", "3A>C"]
    difference = found.expression[0, :4] @ [1, -1]
    adapters = difference[0] + 1
    np.testing.assert_allclose(difference - adapters, [-1, 1, 2, 3])
    back = trajectories(predictor, ["CCC"], "conflict", media=("defined", "complex"))
    assert back.sequences() == ["TTT"]


def test_only_known_bases_of_the_insert_change():
    predictor = constructs({"G": 1.0})
    found = trajectories(predictor, [ADAPTER_5 + "ANA" + ADAPTER_3, "NNN"], "up")
    assert found.sequences() == ["GNG", "NNN"]
    # Positions count on the given sequence: the insert begins at 18.
    assert found.to_table()["change"].to_list() == ["", "18A>G", "20A>G", ""]
    drifted = trajectories(predictor, ["ANA"], "drift")
    assert {text[1] for text in drifted.to_table()["sequence"]} == {"N"}


@quick
@given(st.integers(0, 2**32), st.sampled_from(["drift", "neutral"]))
def test_drift_is_seeded_and_every_step_is_one_substitution(seed, mode):
    options = TrajectoryOptions(mode, steps=12, seed=seed)
    texts, names = ["ACGTACGTAC", "TTTTTTTTTT"], ["a", "b"]
    model = Linear(np.tile([[0.0], [0.05], [0.1], [0.3]], (1, 10)))
    found = trajectories(model, texts, options=options, ids=names)
    again = trajectories(model, texts[::-1], options=options, ids=names[::-1])
    np.testing.assert_array_equal(found.position, again.position[::-1])
    np.testing.assert_array_equal(found.base, again.base[::-1])
    table = found.to_table()
    for name in names:
        steps = table.filter(table["id"] == name)
        passed = steps["sequence"].to_list()
        assert all(hamming(a, b) == 1 for a, b in itertools.pairwise(passed))
        if mode == "drift":
            assert len(passed) == 13
        else:
            expression = steps["expression_output"].to_numpy()
            assert (np.abs(expression - expression[0]) < options.epsilon).all()


def test_seeds_and_repeats_give_other_trajectories():
    def passed(**options):
        found = trajectories(Linear(np.zeros((4, 8))), ["ACGTACGT"],
                             options=TrajectoryOptions("drift", **options))  # fmt: skip
        return found.sequences()[0]

    assert passed() == passed()
    assert len({passed(), passed(seed=1), passed(repeat=1), passed(repeat=2)}) == 4


def test_drift_reaches_every_neighbour_equally_often():
    names = [str(n) for n in range(2400)]
    found = trajectories(Linear(np.zeros((4, 4))), ["ACGT"] * 2400, ids=names,
                         options=TrajectoryOptions("drift", steps=1))  # fmt: skip
    near = neighbours(found.starts[:1], np.ones((1, 4), bool))
    texts, counts = np.unique(found.sequences(), return_counts=True)
    assert sorted(decode(near.tokens)) == texts.tolist()
    # 200 are expected of each of the 12; the standard deviation is 13.5.
    assert (np.abs(counts - 200) < 60).all()


def test_neutral_drift_ends_without_a_neutral_neighbour():
    model = Linear(np.tile([[0.0], [1.0], [2.0], [3.0]], (1, 4)))
    found = trajectories(model, ["ACGT"], "neutral")
    assert found.steps.tolist() == [0]
    assert trajectories(model, ["ACGT"], "drift").steps.tolist() == [40]
    assert STEPS["neutral"] == 40


def test_a_medium_is_chosen_where_it_matters():
    predictor = constructs({"G": 1.0}, {"C": 1.0})
    with pytest.raises(ValueError, match="choose one of the model's media"):
        trajectories(predictor, ["ACGT"], "up")
    assert trajectories(predictor, ["ACGT"], "drift").expression.shape == (1, 41, 2)
    with pytest.raises(ValueError, match="conflict selects on the difference of two media"):
        trajectories(predictor, ["ACGT"], "conflict", media=("complex", None))
    with pytest.raises(ValueError, match="one output minus itself"):
        trajectories(predictor, ["ACGT"], "conflict", media=("complex", "complex"))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"mode": "sideways"}, "mode must be one of up, down"), ({"steps": 0}, "at least 1"),
     ({"epsilon": 0.0}, "above 0")],
)  # fmt: skip
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TrajectoryOptions(**options)
