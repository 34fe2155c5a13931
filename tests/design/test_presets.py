"""Presets: numbers with sources, changed numbers, rules that follow."""

import re

import numpy as np
import pytest

from crmnet.choices import SynthesisPreset
from crmnet.design.constraints import Candidates, Flanks, MaxRun, mask
from crmnet.design.objective import Objective
from crmnet.design.presets import PRESETS, preset
from crmnet.design.problem import Problem, feasible_starts
from crmnet.design.scorer import Scorer
from toys import linear_predictor, random_starts


def test_the_names_are_those_of_the_option():
    assert PRESETS == SynthesisPreset.__args__


@pytest.mark.parametrize("name", PRESETS)
def test_every_number_has_a_source_with_a_date(name):
    chosen = preset(name)
    for limit in chosen.limits:
        assert re.search(r"github\.com/\S+ .*20\d\d-\d\d|20\d\d-\d\d", limit.source), limit
        assert limit.about
    lines = chosen.lines()
    assert len(lines) == len(chosen.limits) + len(chosen.not_checked)
    assert all(line.startswith(f"{name}: ") for line in lines)
    for limit, line in zip(chosen.limits, lines, strict=False):
        assert f"{limit.value:g}" in line and limit.source in line


def test_numbers_of_twist():
    numbers = {limit.name: limit.value for limit in preset("twist").limits}
    assert numbers == {
        "gc_low": 25, "gc_high": 65, "gc_spread": 52, "repeat": 20, "repeat_share": 15,
        "max_run": 9,
    }  # fmt: skip


def test_a_number_can_be_replaced():
    changed = preset("twist", {"max_run": 5})
    assert MaxRun(5, source="twist: run") in changed.constraints
    (limit,) = [limit for limit in changed.limits if limit.name == "max_run"]
    assert (limit.value, limit.source) == (5, "changed by --limit")
    with pytest.raises(ValueError, match="no number 'max_runs'; did you mean 'max_run'"):
        preset("twist", {"max_runs": 5})
    with pytest.raises(ValueError, match="unknown preset 'twits'; did you mean 'twist'"):
        preset("twits")


@pytest.mark.parametrize("name", PRESETS)
def test_most_random_promoters_can_be_ordered_and_bad_ones_cannot(name):
    chosen = preset(name)
    tokens = random_starts(chains=200, width=80).tokens
    sizes = np.full(200, 80)
    met = mask(chosen.constraints, Candidates(tokens, sizes, Flanks()))
    assert met.mean() > 0.7
    runs = tokens.copy()
    runs[:, 20:35] = 0
    assert not mask(chosen.constraints, Candidates(runs, sizes, Flanks())).any()
    rich = np.where(tokens < 2, np.uint8(1), np.uint8(2))
    assert not mask(chosen.constraints, Candidates(rich, sizes, Flanks())).any()


def test_an_infeasible_preset_is_an_error():
    changed = preset("twist", {"gc_low": 5, "gc_high": 10})
    task = Problem(
        random_starts(width=80), Scorer.of(linear_predictor()), Objective("maximise", "complex"),
        changed.constraints,
    )  # fmt: skip
    # The adapters alone have more G + C than 10 % of the construct.
    with pytest.raises(ValueError, match=r"no design can meet twist: G \+ C 5-10 \(order\)"):
        feasible_starts(task, 0)
