import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmnet.sequence import ADAPTER_3, ADAPTER_5, encode, fit_length, prepare
from crmnet.statistics.uncertainty import (
    Calibration,
    Interval,
    conformal_quantile,
    fit_difficulty,
    fit_familiar,
    judge,
    pair_shares,
    percentile_of,
    unlike,
)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.floats(0, 1e6), min_size=9, max_size=60), st.sampled_from([0.5, 0.8, 0.9]))
def test_single_rows_give_the_quantile_with_the_finite_sample_correction(scores, level):
    n = len(scores)
    expected = sorted(scores)[math.ceil((n + 1) * level - 1e-9) - 1]
    assert conformal_quantile(scores, np.arange(n), level) == expected


def test_coverage_of_exchangeable_scores_is_the_closed_form():
    # For n distinct exchangeable scores a new one is below the k-th with probability k / (n + 1):
    # summed over which of the n + 1 values is the new one, exactly ⌈(n + 1) level⌉ of them.
    values = np.random.default_rng(0).exponential(size=40)
    inside = [
        values[i] <= conformal_quantile(np.delete(values, i), np.arange(39), 0.9) for i in range(40)
    ]
    assert sum(inside) == math.ceil(40 * 0.9)


def test_a_family_counts_once_however_many_rows_it_has():
    scores, family = np.arange(10.0), np.arange(10)
    many = np.r_[scores, np.full(90, 0.0)], np.r_[family, np.zeros(90, int)]
    assert conformal_quantile(*many, 0.5) == conformal_quantile(scores, family, 0.5) == 5


def test_too_few_families_for_the_level_are_refused():
    assert conformal_quantile(np.arange(9.0), np.arange(9), 0.9) == 8
    with pytest.raises(ValueError, match="8 held-out families are too few for 90% intervals; "
                                         "give at least 9"):  # fmt: skip
        conformal_quantile(np.arange(8.0), np.arange(8), 0.9)


def test_difficulty_finds_a_line_and_never_a_falling_one():
    spread = np.linspace(0, 2, 50)
    base, slope = fit_difficulty(0.5 + 2 * spread, spread)
    assert (base, slope) == pytest.approx((0.5, 2))
    assert fit_difficulty(3 - spread, spread) == (pytest.approx(2), 0)
    assert fit_difficulty(spread, np.zeros(50)) == (pytest.approx(1), 0)
    base, slope = fit_difficulty(np.maximum(0, spread - 1), spread)
    assert base > 0
    assert slope > 0


def test_percentiles_are_linear_between_quantiles():
    assert percentile_of([-1, 0, 1, 3, 4, 9], [0, 2, 4]).tolist() == [0, 0, 25, 75, 100, 100]


def test_pairs_are_counted_and_unknown_ones_are_not():
    (shares,) = pair_shares(encode(["AACNGA"])[0])
    # Known pairs: AA, AC, GA.
    assert shares[[0, 1, 8]].tolist() == pytest.approx([1 / 3] * 3)
    assert shares.sum() == pytest.approx(1)


@pytest.fixture(scope="module")
def familiar():
    rng = np.random.default_rng(1)
    inserts = ["".join(rng.choice(list("ACGT"), 80)) for _ in range(1000)]
    tokens, _ = prepare(*encode(inserts), "add")
    return fit_familiar(tokens, {"complex": rng.uniform(size=1000)}, 0.005)


def random_insert(n=80, letters="ACGT"):
    return "".join(np.random.default_rng(7).choice(list(letters), n))


@pytest.mark.parametrize(
    ("insert", "spread", "reasons"),
    [
        (random_insert(), 0.5, []),
        (random_insert(), 2.0, ["disagreement"]),
        (random_insert(40), 0.5, ["length"]),
        ("N" + random_insert(79), 0.5, ["N"]),
        ("A" * 80, 0.5, ["composition"]),
        ("AT" * 40, 0.5, ["composition"]),
        (random_insert(letters="GC"), 0.5, ["composition"]),
    ],
)
def test_what_is_unlike_random_promoters_and_why(familiar, insert, spread, reasons):
    tokens, _ = prepare(*encode([insert]), "add")
    assert unlike(familiar, tokens, {"complex": np.array([spread])}) == [reasons]


def test_missing_adapters_are_a_reason(familiar):
    for text in (random_insert(110), ADAPTER_5 + random_insert(93), random_insert(97) + ADAPTER_3):
        tokens = fit_length(*encode([text]), 112)
        assert "adapters" in unlike(familiar, tokens, {})[0]


def test_about_the_promised_share_of_like_rows_is_flagged(familiar):
    rng = np.random.default_rng(2)
    inserts = ["".join(rng.choice(list("ACGT"), 80)) for _ in range(1000)]
    tokens, _ = prepare(*encode(inserts), "add")
    flagged = sum(map(bool, unlike(familiar, tokens, {})))
    assert flagged < 20  # the limit of composition is passed by 0.5 % of those it is from


def test_judge_puts_it_together(familiar):
    calibration = Calibration(
        level=0.9,
        data={},
        intervals={"complex": Interval(base=1, slope=2, quantile=1.5, rows=9, families=9)},
        familiar=familiar,
        native={"complex": [0, 10]},
    )
    tokens, _ = prepare(*encode([random_insert()]), "add")
    found = judge(calibration, ["complex", "dream"], tokens, np.array([[4.0, 1]], np.float32),
                  np.array([[0.5, 0.1]], np.float32))  # fmt: skip
    assert found.low[0, 0] == 4 - 1.5 * (1 + 2 * 0.5)
    assert found.high[0, 0] == 7
    assert found.percentile[0, 0] == 40
    assert np.isnan([found.low[0, 1], found.high[0, 1], found.percentile[0, 1]]).all()
    assert found.unlike == [""]
