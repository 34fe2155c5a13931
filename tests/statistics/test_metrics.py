"""Metrics by hand and compared with scipy; the family bootstrap compared with a plain one."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from crmnet.data.leaks import Seen
from crmnet.evaluation.report import save_metrics
from crmnet.evaluation.score_sets import score_table
from crmnet.statistics.metrics import (
    ESTIMATES,
    METRICS,
    WITHIN,
    Scored,
    WeightedRanks,
    bootstrap,
    noise_ceiling,
    resamples_for,
    score,
    summarise,
    weighted_pearson,
    within_pearson,
)
from support import SHARED, needs_shared

MEASURED = np.array([1.0, 2.0, 3.0, 4.0])


def noisy(n, seed=0):
    """n measurements and predictions with independent errors."""
    rng = np.random.default_rng(seed)
    measured = rng.normal(10, 3, n)
    return measured, measured + rng.normal(0, 2, n)


def ungrouped(measured, predicted, name="set"):
    return Scored(name, measured, predicted, np.arange(len(measured)))


# -- metrics ----------------------------------------------------------------------------------


def test_perfect_predictions():
    assert score(MEASURED, MEASURED) == pytest.approx(
        {"pearson": 1, "spearman": 1, "r2": 1, "mse": 0, "mae": 0, "mse_affine": 0}
    )


def test_reversed_predictions():
    # Errors −3, −1, 1, 3; squared deviations of the measurements: 2.25 + 0.25 + 0.25 + 2.25 = 5.
    assert score(MEASURED, MEASURED[::-1]) == pytest.approx(
        {"pearson": -1, "spearman": -1, "r2": 1 - 20 / 5, "mse": 5, "mae": 2, "mse_affine": 0}
    )


def test_scale_and_offset_reduce_r2_but_not_correlation():
    found = score(MEASURED, 2 * MEASURED + 1)  # errors 2, 3, 4, 5
    assert found == pytest.approx(
        {
            "pearson": 1,
            "spearman": 1,
            "r2": 1 - 54 / 5,
            "mse": 54 / 4,
            "mae": 14 / 4,
            "mse_affine": 0,
        }
    )


def test_one_wrong_prediction_by_hand():
    predicted = np.array([1.0, 2.0, 3.0, 8.0])  # mean 3.5, deviations −2.5, −1.5, −0.5, 4.5
    found = score(MEASURED, predicted)
    # Σdxdy = 3.75 + 0.75 − 0.25 + 6.75 = 11; Σdx² = 5; Σdy² = 6.25 + 2.25 + 0.25 + 20.25 = 29
    assert found["pearson"] == pytest.approx(11 / math.sqrt(5 * 29))
    assert found["spearman"] == pytest.approx(1)
    assert found["r2"] == pytest.approx(1 - 16 / 5)
    assert (found["mse"], found["mae"]) == pytest.approx((4, 1))
    # The best line leaves 1 − r² of the squared deviations: (5 − 11² / 29) / 4.
    assert found["mse_affine"] == pytest.approx((5 - 121 / 29) / 4)


def test_constant_values_whose_mean_is_rounded_have_no_weighted_correlation():
    """0.1 + 0.1 + 0.1 is more than 3 × 0.1; the rounding errors gave r = 0."""
    ones = np.ones(3, dtype=np.int64)
    constant, rising = np.full(3, 0.1), np.array([0.0, 1.0, 2.0])
    assert np.isnan(weighted_pearson(constant, rising, ones))
    assert np.isnan(weighted_pearson(rising, constant, ones))
    assert weighted_pearson(rising, 1 - rising, ones) == pytest.approx(-1)


def test_a_constant_prediction_of_the_mean_has_r2_zero_and_no_correlation():
    found = score(MEASURED, np.full(4, 2.5))
    assert found["r2"] == pytest.approx(0)
    assert found["mse"] == pytest.approx(1.25)
    assert math.isnan(found["pearson"]) and math.isnan(found["spearman"])


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e9 + 0.1])
def test_correlation_and_r2_of_constant_measurements_are_undefined(value):
    # Rounding errors of the mean must not count as variance.
    found = score(np.full(7, value), np.arange(7.0))
    assert [name for name in METRICS if math.isnan(found[name])] == ["pearson", "spearman", "r2"]


NUMBERS = st.lists(
    st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=3, max_size=30
).filter(lambda pairs: all(len(set(column)) > 1 for column in zip(*pairs, strict=True)))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(NUMBERS)
def test_correlations_equal_scipy_with_ties(pairs):
    measured, predicted = np.array(pairs, dtype=float).T
    found = score(measured, predicted)
    assert found["pearson"] == pytest.approx(stats.pearsonr(measured, predicted)[0], abs=1e-9)
    assert found["spearman"] == pytest.approx(stats.spearmanr(measured, predicted)[0], abs=1e-9)


def test_a_large_offset_does_not_reduce_precision():
    measured, predicted = noisy(200)
    near, far = score(measured, predicted), score(measured + 1e7, predicted + 1e7)
    assert far == pytest.approx(near, rel=1e-6)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.float16, np.float32])
def test_metrics_are_computed_in_double_precision(kind):
    """Differences of uint8 wrapped around, squares of float16 were infinite."""
    # Errors −1, 1, 0, 0, −2, and ±100 in the last two; sums of squares of float16 end at 65,504.
    measured = np.array([1, 5, 3, 9, 7, 0, 100], dtype=kind)
    predicted = np.array([2, 4, 3, 9, 9, 100, 0], dtype=kind)
    found = score(measured, predicted)
    assert found["mae"] == pytest.approx(204 / 7) and found["mse"] == pytest.approx(20_006 / 7)
    double = measured.astype(np.float64), predicted.astype(np.float64)
    assert found == score(*double)
    family = np.array([0, 0, 1, 1, 1, 2, 2])
    assert within_pearson(measured, predicted, family) == within_pearson(*double, family)
    scored, expected = (Scored("s", *values, family) for values in ((measured, predicted), double))
    assert scored.measured.dtype == scored.predicted.dtype == np.float64
    assert bootstrap(scored, resamples=20) == bootstrap(expected, resamples=20)


@pytest.mark.parametrize("n", [0, 2])
def test_too_few_rows_are_an_error(n):
    with pytest.raises(ValueError, match=rf"few: {n} rows"):
        ungrouped(np.zeros(n), np.zeros(n), "few")


# -- intervals --------------------------------------------------------------------------------

WEIGHTED = st.lists(
    st.tuples(st.integers(-3, 3), st.integers(0, 4)), min_size=1, max_size=20
).filter(lambda pairs: any(weight for _, weight in pairs))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(WEIGHTED)
def test_weighted_ranks_are_the_ranks_of_repeated_values(pairs):
    values, weight = np.array(pairs).T
    ranks = WeightedRanks(values.astype(float)).ranks(weight)
    np.testing.assert_allclose(np.repeat(ranks, weight), stats.rankdata(np.repeat(values, weight)))


def intervals_by_repetition(scored, resamples, seed):
    """The same resamples, but with the rows written out and scored one by one."""
    rng = np.random.default_rng(seed)
    names = np.unique(scored.family)
    resampled_scores = []
    for _ in range(resamples):
        sampled = rng.integers(len(names), size=len(names))
        rows = np.concatenate([np.nonzero(scored.family == names[i])[0] for i in sampled])
        resampled_scores.append(score(scored.measured[rows], scored.predicted[rows]))
    return {
        name: np.percentile([found[name] for found in resampled_scores], [2.5, 97.5])
        for name in METRICS
    }


def test_bootstrap_equals_a_plain_bootstrap_that_repeats_rows():
    measured, predicted = noisy(40)
    family = np.array(list("abbcccddddeeeeefghhiij" + "klmnopqrstuvwxyzkk"))
    scored = Scored("set", measured.round(), predicted.round(), family)  # rounded, to have ties
    found = bootstrap(scored, resamples=40, seed=7)
    for name, (low, high) in intervals_by_repetition(scored, 40, seed=7).items():
        assert (found[name].low, found[name].high) == pytest.approx((low, high), abs=1e-9)


def test_the_value_of_an_estimate_is_that_of_the_complete_set():
    measured, predicted = noisy(50)
    found = bootstrap(ungrouped(measured, predicted), resamples=20)
    values = score(measured, predicted)
    assert {name: found[name].value for name in METRICS} == values
    assert tuple(found) == ESTIMATES


def test_the_interval_of_the_mean_error_agrees_with_theory():
    measured, predicted = noisy(500)
    estimate = bootstrap(ungrouped(measured, predicted))["mse"]
    squared = (measured - predicted) ** 2
    width = 2 * 1.96 * squared.std() / np.sqrt(500)
    assert estimate.high - estimate.low == pytest.approx(width, rel=0.15)


@pytest.mark.parametrize("seed", range(3))
def test_intervals_contain_the_value_of_ordinary_data(seed):
    found = bootstrap(ungrouped(*noisy(200, seed)), resamples=200)
    for estimate in (found[name] for name in METRICS):
        assert estimate.low < estimate.value < estimate.high


def test_the_same_seed_gives_the_same_intervals():
    scored = ungrouped(*noisy(60))
    first, again, other = (bootstrap(scored, resamples=50, seed=n) for n in (1, 1, 2))
    assert all(first[name] == again[name] for name in METRICS)
    assert all(first[name] != other[name] for name in METRICS)


def copied(scored, times, family):
    return Scored("set", np.repeat(scored.measured, times), np.repeat(scored.predicted, times),
                  family)  # fmt: skip


def test_copies_within_families_do_not_change_intervals():
    once = ungrouped(*noisy(30))
    thrice = copied(once, 3, np.repeat(once.family, 3))
    alone, together = (bootstrap(s, resamples=100, seed=3) for s in (once, thrice))
    for name in METRICS:
        assert vars(together[name]) == pytest.approx(vars(alone[name]), abs=1e-9)


def test_copies_treated_as_independent_rows_make_intervals_too_narrow():
    once = ungrouped(*noisy(60))
    by_family = bootstrap(copied(once, 9, np.repeat(once.family, 9)), resamples=300)
    by_row = bootstrap(copied(once, 9, np.arange(540)), resamples=300)
    for name in METRICS:
        width = by_family[name].high - by_family[name].low
        # Nine copies each: a third of the width, up to sampling noise.
        assert (by_row[name].high - by_row[name].low) / width == pytest.approx(1 / 3, rel=0.3)


def test_names_and_order_of_families_do_not_matter():
    measured, predicted = noisy(30)
    numbers = np.repeat(np.arange(10), 3)
    by_number = Scored("set", measured, predicted, numbers)
    by_name = Scored("set", measured, predicted, np.array([f"f{n}" for n in numbers]))
    assert bootstrap(by_number, resamples=30) == bootstrap(by_name, resamples=30)


def test_undefined_metrics_have_undefined_intervals():
    found = bootstrap(ungrouped(MEASURED, np.full(4, 2.0)), resamples=50)
    for name in ("pearson", "spearman"):
        assert all(math.isnan(number) for number in vars(found[name]).values())
    assert all(math.isfinite(number) for number in vars(found["mse"]).values())


def test_resamples_without_variance_are_ignored():
    # One in nine resamples of three rows is one row three times and has no correlation.
    measured = np.array([0.1, 1 / 3, 0.77])
    found = bootstrap(ungrouped(measured, 2 * measured), resamples=200)
    for name in ("pearson", "spearman"):
        assert (found[name].low, found[name].high) == pytest.approx((1, 1))


@pytest.mark.parametrize("seed", range(10))
def test_rounding_errors_do_not_count_as_variance(seed):
    measured = np.random.default_rng(seed).random(3) * 10
    found = bootstrap(ungrouped(measured, measured + 1), resamples=200)["r2"]
    # Smallest variance above 0 of a resample: the two nearest values, one of them twice.
    spread = np.diff(np.sort(measured)).min() ** 2 * 2 / 3
    assert found.low >= 1 - 3 / spread - 1e-6


@pytest.mark.parametrize(
    ("rows", "wanted", "expected"),
    [(100, 1000, 1000), (200_000, 1000, 1000), (400_000, 1000, 500), (10**7, 1000, 200),
     (10**7, 50, 50)],
)  # fmt: skip
def test_large_sets_use_fewer_resamples(rows, wanted, expected):
    assert resamples_for(rows, wanted) == expected


# -- metrics.json -----------------------------------------------------------------------------


def reject(text):
    raise AssertionError(f"{text} is not JSON")


def saved(folder, sets, **options):
    save_metrics(folder, summarise(sets, **options))
    return json.loads((folder / "metrics.json").read_text(), parse_constant=reject)


def test_metrics_json_has_the_documented_layout(tmp_path):
    measured, predicted = noisy(30)
    scored = Scored("test", measured, predicted, np.repeat(np.arange(10), 3), left_out=2,
                    families_by="homology")  # fmt: skip
    found = saved(tmp_path, [scored, ungrouped(*noisy(20), "other")], resamples=25)
    assert list(found) == ["sets"]
    assert list(found["sets"]) == ["test", "other"]
    counts = {key: found["sets"]["test"].pop(key) for key in ("n", "families", "left_out")}
    assert counts == {"n": 30, "families": 10, "left_out": 2}
    assert found["sets"]["test"].pop("families_by") == "homology"
    assert found["sets"]["test"].pop("resamples") == 25
    assert [found["sets"]["test"].pop(key) for key in ("unit", "predicted_unit")] == [None, None]
    assert tuple(found["sets"]["test"]) == ESTIMATES
    for estimate in found["sets"]["test"].values():
        assert list(estimate) == ["value", "low", "high"]
        assert estimate["low"] <= estimate["value"] <= estimate["high"]


def test_metrics_json_contains_the_estimates(tmp_path):
    scored = ungrouped(*noisy(30))
    found = saved(tmp_path, [scored], resamples=25, seed=4)["sets"]["set"]
    for name, estimate in bootstrap(scored, resamples=25, seed=4).items():
        assert found[name] == (vars(estimate) if name in METRICS else dict.fromkeys(found[name]))


def test_rows_in_the_training_data_are_scored_separately(tmp_path):
    measured, predicted = noisy(30)
    rows = np.arange(30) % 3 == 0
    scored = Scored("test", measured, predicted, np.arange(30), seen=Seen(rows, "hq", "near"))
    found = saved(tmp_path, [scored], resamples=25)["sets"]["test"]["against"]
    assert (found["data"], found["level"]) == ("hq", "near")
    for name, part in (("seen", rows), ("unseen", ~rows)):
        alone = summarise([ungrouped(measured[part], predicted[part])], resamples=25)["sets"]["set"]
        assert found[name]["n"] == part.sum()
        assert {m: found[name][m] for m in METRICS} == {m: alone[m] for m in METRICS}


def test_few_seen_rows_are_counted_but_not_scored(tmp_path):
    scored = ungrouped(MEASURED, MEASURED + 1)
    seen = Seen(np.array([True, False, False, False]), "hq", "exact")
    found = saved(tmp_path, [replace(scored, seen=seen)], resamples=10)["sets"]["set"]["against"]
    assert found["seen"] == {"n": 1}
    assert (found["unseen"]["n"], found["unseen"]["mse"]["value"]) == (3, 1)


def test_undefined_values_are_null(tmp_path):
    found = saved(tmp_path, [ungrouped(MEASURED, np.ones(4))], resamples=10)["sets"]["set"]
    assert found["pearson"] == {"value": None, "low": None, "high": None}
    assert found["mse"]["value"] == pytest.approx((0 + 1 + 4 + 9) / 4)


def test_two_sets_with_the_same_name_are_an_error():
    with pytest.raises(ValueError, match="two sets are named 'set'"):
        summarise([ungrouped(*noisy(10)), ungrouped(*noisy(12))], resamples=10)


# -- the numbers of the publication -----------------------------------------------------------


@needs_shared
def test_published_predictions_have_the_published_accuracy():
    scored = score_table(SHARED / "data" / "evolution" / "Random_complex.csv")
    found = score(scored.measured, scored.predicted)
    assert (len(scored.measured), scored.left_out) == (2954, 0)
    assert found["pearson"] == pytest.approx(0.977582, abs=1e-6)
    assert found["r2"] == pytest.approx(0.914896, abs=1e-6)
    assert found["mse"] == pytest.approx(1.425190, abs=1e-6)
    assert found["mae"] == pytest.approx(0.893586, abs=1e-6)


@needs_shared
def test_published_predictions_of_danq_have_the_published_accuracy():
    scored = score_table(SHARED / "data" / "evolution" / "Random_test_DanQ_model.csv")
    found = score(scored.measured, scored.predicted)
    assert found["pearson"] == pytest.approx(0.963209, abs=1e-6)


@needs_shared
@pytest.mark.parametrize(
    ("file", "r"),
    [
        ("Random_test_tpu_model.csv", 0.977582),
        ("Random_test_gpu_model.csv", 0.979623),
        ("Random_test_DanQ_model.csv", 0.963209),
        ("Random_test_DeepAtt_model.csv", 0.958209),
        ("Random_test_DeepSEA_model.csv", 0.952999),
        ("Random_test_tpu_model_defined_media.csv", 0.968487),
        ("Random_test_gpu_model_defined_media.csv", 0.968470),
    ],
)
def test_published_numbers_recompute_to_six_digits(file, r):
    scored = score_table(SHARED / "data" / "evolution" / file)
    assert round(score(scored.measured, scored.predicted)["pearson"], 6) == r


# -- within families, affine fit, ceiling -----------------------------------------------------


def test_within_families_only_deviations_from_the_family_count():
    # Between the families the order is wrong, within each it is right.
    scored = Scored("set", np.array([1.0, 2, 11, 12]), np.array([101.0, 102, 1, 2]),
                    np.array([0, 0, 1, 1]))  # fmt: skip
    found = bootstrap(scored, resamples=50)
    assert found["pearson"].value < -0.9
    assert found[WITHIN].value == pytest.approx(1)


def test_within_r_is_that_of_the_deviations_written_out():
    measured, predicted = noisy(30)
    family = np.repeat(np.arange(10), 3)
    deviations = [v - np.repeat(v.reshape(10, 3).mean(axis=1), 3) for v in (measured, predicted)]
    found = bootstrap(Scored("set", measured, predicted, family), resamples=50)[WITHIN]
    assert found.value == pytest.approx(stats.pearsonr(*deviations)[0])
    assert found.low < found.value < found.high


def test_single_rows_have_no_within_r():
    assert math.isnan(bootstrap(ungrouped(*noisy(20)), resamples=20)[WITHIN].value)


def test_the_affine_fit_equals_least_squares():
    measured, predicted = noisy(50)
    slope, intercept = np.polyfit(predicted, measured, 1)
    left = np.mean((measured - slope * predicted - intercept) ** 2)
    assert score(measured, predicted)["mse_affine"] == pytest.approx(left)
    assert score(measured, 3 - 2 * predicted)["mse_affine"] == pytest.approx(left)


def test_the_affine_fit_of_constant_predictions_is_the_mean():
    assert score(MEASURED, np.ones(4))["mse_affine"] == pytest.approx(5 / 4)


def test_the_noise_ceiling_is_the_r_of_the_true_values():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 2, 20_000)
    one, two = truth + rng.normal(0, 1, (2, 20_000))
    found = noise_ceiling(ungrouped(one, two), resamples=100)
    assert found["replicates"].value == pytest.approx(4 / 5, abs=0.01)
    assert found["single"].value == pytest.approx(np.corrcoef(truth, one)[0, 1], abs=0.01)
    assert found["mean"].value == pytest.approx(np.corrcoef(truth, one + two)[0, 1], abs=0.01)
    assert found["mean"].low < found["mean"].value < found["mean"].high


def test_negatively_correlated_replicates_have_no_ceiling():
    found = noise_ceiling(ungrouped(MEASURED, MEASURED[::-1]), resamples=20)
    assert math.isnan(found["mean"].value)


def test_the_ceiling_of_independent_replicates_begins_at_0():
    """Resamples with negative r were left out, so the interval of √r was [0.099, 0.658]."""
    one, two = np.random.default_rng(2).normal(size=(2, 40))
    found = noise_ceiling(ungrouped(one, two), resamples=200)
    assert found["replicates"].low < 0 < found["replicates"].value
    for name, top in (
        ("single", math.sqrt(found["replicates"].high)),
        ("mean", math.sqrt(2 * found["replicates"].high / (1 + found["replicates"].high))),
    ):
        assert found[name].low == 0 < found[name].value
        assert found[name].high == pytest.approx(top, rel=0.01)


def test_the_command_prints_the_ceiling(crmnet, tmp_path):
    one, two = noisy(50)
    rows = "".join(f"{a}\t{b}\n" for a, b in zip(one, two, strict=True))
    (tmp_path / "twice.tsv").write_text("rep_a\trep_b\n" + rows)
    words = ["--replicates", tmp_path / "twice.tsv", "--replicate-columns", "rep_a", "rep_b"]
    status, out, _ = crmnet("evaluate", *words, "--resamples", 20)
    assert status == 0
    r = np.corrcoef(one, two)[0, 1]
    assert f"{r:.4f} [" in out and f"{math.sqrt(2 * r / (1 + r)):.4f} [" in out
    status, _, error = crmnet("evaluate", "run", *words)
    assert status == 2 and "cannot be combined" in error
