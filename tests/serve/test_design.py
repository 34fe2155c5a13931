"""The models of a design that a client starts."""

import pytest

from crmnet.design.objective import Objective
from crmnet.serve.design import Designer

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
