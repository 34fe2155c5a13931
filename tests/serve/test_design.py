"""The models of a design that a client starts."""

import pytest

from crmnet import design_promoters
from crmnet.design.constraints import MaxEdits
from crmnet.design.objective import Objective
from crmnet.design.promoters import Rules
from crmnet.design.run import SearchOptions
from crmnet.serve.design import Designer, result_of
from toys import linear_predictor

ROLES = {"oracle": None, "judge": None, "ranker": None}


@pytest.fixture(scope="module")
def designer():
    return Designer(None, {"paths": {}, "device": "cpu"})


@pytest.mark.parametrize(
    ("medium", "oracle", "expected"),
    [
        ("complex", None, ("yeast-taught", "yeast-measured", "yeast")),
        ("defined", "yeast-fast", ("yeast-fast", "yeast-measured", "yeast")),
        ("dream", "yeast-fast", ("yeast-fast", "yeast-measured", "yeast")),
    ],
)
def test_the_default_judge_neither_searches_nor_ranks(designer, medium, oracle, expected):
    panel = designer.panel(ROLES | {"oracle": oracle}, Objective("maximise", medium))
    assert (panel.oracle.name, panel.judge.name, panel.ranker.name) == expected
    assert panel.judge.knows([medium])


def test_a_start_is_answered_as_given_with_its_n():
    start = "ACGTTGCAGTNNNNNNACGTTGCAGT"
    predictor = linear_predictor(1)
    designs = design_promoters(
        predictor, Objective("maximise", "complex"), judge=predictor, ranker=predictor,
        starts=[start], n=2, rules=Rules((MaxEdits(2),)), options=SearchOptions("greedy", 30),
    )  # fmt: skip
    for row in result_of(designs)["designs"]:
        assert row["start_sequence"] == start
        changed = [old for old, new in zip(start, row["sequence"], strict=True) if old != new]
        assert changed.count("N") == 6
        assert len(changed) - 6 == row["edits"] == 2
