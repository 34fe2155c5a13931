"""Paired comparisons: coverage on simulated families, tables and figure."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from crmnet.evaluation.align import AlignedSet, PredictionTable, align
from crmnet.evaluation.compare import compare, compare_two, difference, difference_between, holm
from crmnet.evaluation.compare_report import (
    comparison_markdown,
    comparison_page,
    ranked,
    write_comparison,
)
from crmnet.statistics.metrics import Scored
from support import SHARED, needs_shared

pytestmark = pytest.mark.slow


def two_models(seed, families=60, size=8, better=0.0):
    """Measurements of related rows and two models that err in the family as well as in the row.

    Both models have the same expected mean squared error; ``better`` is taken off the errors of
    the first.
    """
    rng = np.random.default_rng(seed)
    family = np.repeat(np.arange(families), size)
    measured = rng.normal(0, 2, families)[family] + rng.normal(0, 0.5, len(family))
    errors = [
        (1 - share) * (rng.normal(0, 1, families)[family] + rng.normal(0, 0.3, len(family)))
        for share in (better, 0.0)
    ]
    return measured, measured + errors[0], measured + errors[1], family


def pair_of(seed, by_family=True, **options):
    measured, a, b, family = two_models(seed, **options)
    related = family if by_family else np.arange(len(family))
    return Scored("s", measured, a, related), Scored("s", measured, b, related)


@pytest.mark.parametrize("metric", ["pearson", "mse"])
def test_the_family_bootstrap_covers_and_the_row_bootstrap_does_not(metric):
    # Two models of equal worth: 95 of 100 intervals should hold a difference of 0.
    covered = {True: 0, False: 0}
    for seed in range(200):
        for by_family in covered:
            found = compare_two(*pair_of(seed, by_family), metric, resamples=200, seed=seed)
            covered[by_family] += found.low <= 0 <= found.high
    assert 180 <= covered[True] <= 198  # 190 expected, ± 3.1 each standard deviation
    assert covered[False] < 130  # rows of a family taken for independent: far too narrow


def test_p_values_of_equal_models_are_uniform_by_family_and_too_small_by_row():
    p = {b: [compare_two(*pair_of(s, b), resamples=200, seed=s).p for s in range(100)]
         for b in (True, False)}  # fmt: skip
    assert stats.kstest(p[True], "uniform").pvalue > 0.01
    assert np.mean(np.array(p[False]) < 0.05) > 0.3


def test_a_better_model_differs_significantly():
    found = compare_two(*pair_of(0, better=0.5))
    assert found.value > 0 and found.low > 0
    assert found.p < 0.01


def test_pairing_makes_shared_errors_cancel():
    measured, a, _, family = two_models(1)
    slightly = a + np.random.default_rng(2).normal(0, 0.05, len(a))
    paired = compare_two(Scored("s", measured, a, family), Scored("s", measured, slightly, family))
    apart = compare_two(*pair_of(1))
    assert paired.high - paired.low < (apart.high - apart.low) / 3


def test_a_difference_has_its_percentiles_and_normal_p_by_hand():
    samples = np.arange(-50.0, 151.0)  # standard deviation √(201 · 202 / 12)
    found = difference(50.0, samples)
    assert (found.low, found.high) == pytest.approx((-45, 145))
    z = 50 / math.sqrt(201 * 202 / 12)
    assert found.p == pytest.approx(2 * stats.norm.sf(z))


@pytest.mark.parametrize("samples", [[], [math.nan], [0.3], [0.3, math.nan]])
def test_a_difference_with_fewer_than_two_resamples_has_no_p(samples):
    """One gave p = 0."""
    assert math.isnan(difference(0.5, samples).p)


def test_models_with_equal_predictions_do_not_differ():
    one, _ = pair_of(3)
    found = compare_two(one, one)
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


@pytest.mark.parametrize("metric", ["pearson", "spearman", "mse_affine", "within_pearson"])
def test_a_model_does_not_differ_from_itself_on_another_scale(metric):
    """Rounding errors of 4e-16 were a significant difference in one set of five."""
    for seed in range(20):
        measured, q, _, family = two_models(seed, families=20, size=3)
        scored = {n: Scored(n, measured, p, family) for n, p in (("q", q), ("s", 0.3 * q + 1.7))}
        for names in (("q", "s"), ("s", "q")):
            models = {name: scored[name] for name in names}
            result = compare(AlignedSet("set", models), metric, resamples=50)
            assert result.best == names[0] and tuple(ranked(result)) == names
            (pair,) = result.pairs
            assert vars(pair.difference) == {"value": 0, "low": 0, "high": 0, "p": 1}


def test_a_small_difference_of_small_metrics_is_one():
    """Errors of 1e-12 and 3e-12 bins: only the size of the metric tells them from rounding."""
    found = difference_between(1e-12, 3e-12, [1e-12, 2e-12], [3e-12, 5e-12])
    assert found.value == pytest.approx(-2e-12) and found.low < found.high < 0


def test_a_difference_that_is_not_defined_is_not_zero():
    nan = math.nan
    assert math.isnan(difference_between(nan, 0.5, [nan, nan], [0.4, 0.5]).value)
    assert difference_between(0.5, 0.5, [0.4, nan, 0.6], [0.4, nan, 0.6]).p == 1


def test_other_rows_cannot_be_paired():
    a, _ = pair_of(0)
    b, _ = pair_of(1)
    with pytest.raises(ValueError, match="not the same rows"):
        compare_two(a, b)


def test_holms_correction_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    corrected = holm([math.nan, 0.02])
    assert math.isnan(corrected[0]) and corrected[1] == 0.02


def aligned(seed=0):
    measured, good, bad, family = two_models(seed, better=0.6)
    twin = good + np.random.default_rng(9).normal(0, 0.01, len(good))
    predictions = {"bad": bad, "good": good, "twin": twin}
    return AlignedSet(
        "set", {n: Scored("set", measured, p, family) for n, p in predictions.items()}
    )


def test_a_comparison_finds_the_best_and_the_models_that_are_not_worse():
    result = compare(aligned(), resamples=200)
    assert ranked(result)[-1] == "bad"
    assert {result.best, *ranked(result)[:2]} == {"good", "twin"}
    assert result.significantly_worse("bad")
    assert not result.significantly_worse("good") and not result.significantly_worse("twin")
    assert len(result.pairs) == 3
    there, back = result.against("good", "bad"), result.against("bad", "good")
    assert there.difference.value == -back.difference.value > 0
    assert there.difference.low == -back.difference.high


def test_the_lowest_error_ranks_first():
    result = compare(aligned(), "mse", resamples=100)
    assert ranked(result)[-1] == "bad" and result.best != "bad"


def test_a_model_without_a_value_is_never_the_best():
    """The first model was the best if its metric was not defined."""
    measured, good, _, family = two_models(0, better=0.6)
    predictions = {"constant": np.ones_like(good), "good": good}
    models = {n: Scored("set", measured, p, family) for n, p in predictions.items()}
    result = compare(AlignedSet("set", models), resamples=50)
    assert result.best == "good" and ranked(result) == ["good", "constant"]
    rows = [line for line in comparison_markdown([result]).splitlines() if "constant" in line]
    assert rows[0].split(" | ")[-2] == "–" and "nan" not in rows[0]
    none = compare(AlignedSet("set", {"constant": models["constant"]}), resamples=50)
    assert none.best is None
    comparison_page([result, none])  # a set without any value has an empty panel


def test_an_unknown_metric_lists_the_known():
    with pytest.raises(ValueError, match="metric must be one of pearson"):
        compare(aligned(), "r")


def test_the_files_of_a_comparison(tmp_path):
    results = [compare(aligned(), resamples=50)]
    write_comparison(tmp_path, results)
    assert {p.name for p in tmp_path.iterdir()} == {
        "compare.json", "compare.md", "compare.csv", "compare.png",
    }  # fmt: skip
    found = json.loads((tmp_path / "compare.json").read_text())["sets"]["set"]
    assert (found["n"], found["families"], len(found["pairs"])) == (480, 60, 3)
    assert list(found["models"]) == ["bad", "good", "twin"]
    text = comparison_markdown(results)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 5 and "r within families" in lines[0]
    assert lines[2].split(" | ")[-2] == "best"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give models to compare"),
        (["run"], "with --data"),
        (["--predictions", "a=b.csv"], "takes NAME@SET=FILE"),
    ],
)
def test_wrong_usage_is_reported(crmnet, tmp_path, words, said):
    status, _, error = crmnet("compare", *words, "-o", tmp_path / "c")
    assert status == 2
    assert said in error


def test_runs_of_the_same_folder_name_are_both_compared(crmnet, small_run, assay, tmp_path):
    """The second run replaced the first, without a word."""
    for folder in "ab":
        shutil.copytree(small_run, tmp_path / folder / "run")
    runs = [tmp_path / folder / "run" for folder in "ab"]
    words = ["--data", assay.path, "--resamples", 10, "-o", tmp_path / "c"]
    status, _, error = crmnet("compare", *runs, *words)
    assert status == 0, error
    found = json.loads((tmp_path / "c" / "compare.json").read_text())["sets"]["assay:complex"]
    assert list(found["models"]) == [str(Path(folder, "run")) for folder in "ab"]
    for repeated in ([runs[0], runs[0]], [f"x={runs[0]}", f"x={runs[1]}"]):
        status, _, error = crmnet("compare", *repeated, *words)
        assert status == 2 and "two models are named" in error and "NAME=" in error


@needs_shared
def test_published_predictions_can_be_compared():
    folder = SHARED / "data" / "evolution"
    files = {"transformer": "tpu", "conv": "gpu", "DanQ": "DanQ", "DeepATT": "DeepAtt",
             "DeepSEA": "DeepSEA"}  # fmt: skip
    tables = [
        PredictionTable(n, "random", folder / f"Random_test_{f}_model.csv")
        for n, f in files.items()
    ]
    (found,) = align({}, [], tables)
    result = compare(found, resamples=200)
    assert (result.n, result.left_out) == (2954, 0)
    assert ranked(result) == ["conv", "transformer", "DanQ", "DeepATT", "DeepSEA"]
    assert [m for m in files if result.significantly_worse(m)] == ["DanQ", "DeepATT", "DeepSEA"]
