"""Paired comparisons: coverage on simulated families, matching of rows, tables and figure."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from conftest import SHARED, needs_shared
from crmnet.compare import (
    Contest,
    Table,
    all_opened,
    compare,
    compare_two,
    contests,
    difference,
    holm,
)
from crmnet.comparison import comparison_markdown, ranked, write_comparison
from crmnet.data.homology import WordOptions
from crmnet.data.ingest import IngestOptions
from crmnet.data.leaks import TrainingRows
from crmnet.evaluate import Scored
from crmnet.predict import Predictor
from crmnet.sequence import encode, prepare


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


def test_a_better_model_is_told_apart():
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


def test_models_that_answer_alike_do_not_differ():
    one, _ = pair_of(3)
    found = compare_two(one, one)
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


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


def contest(seed=0):
    measured, good, bad, family = two_models(seed, better=0.6)
    twin = good + np.random.default_rng(9).normal(0, 0.01, len(good))
    predictions = {"bad": bad, "good": good, "twin": twin}
    return Contest("set", {n: Scored("set", measured, p, family) for n, p in predictions.items()})


def test_a_contest_finds_the_best_and_who_is_no_worse():
    result = compare(contest(), resamples=200)
    assert ranked(result)[-1] == "bad"
    assert {result.best, *ranked(result)[:2]} == {"good", "twin"}
    assert result.told_apart("bad")
    assert not result.told_apart("good") and not result.told_apart("twin")
    assert len(result.pairs) == 3
    there, back = result.against("good", "bad"), result.against("bad", "good")
    assert there.difference.value == -back.difference.value > 0
    assert there.difference.low == -back.difference.high


def test_errors_rank_from_below():
    result = compare(contest(), "mse", resamples=100)
    assert ranked(result)[-1] == "bad" and result.best != "bad"


def test_an_unknown_metric_lists_the_known():
    with pytest.raises(ValueError, match="metric must be one of pearson"):
        compare(contest(), "r")


def test_the_files_of_a_comparison(tmp_path):
    results = [compare(contest(), resamples=50)]
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


# -- who takes part ---------------------------------------------------------------------------

INSERTS = ["ACGT" * 20, "TTGCA" * 16, "GGATC" * 16, "CATTC" * 16, "AGGTA" * 16]


def table(path, order, shift=0.0, name="predicted"):
    rows = [f"{INSERTS[i]},{i},{i + shift + i % 2}\n" for i in order]
    path.write_text(f"sequence,measured,{name}\n" + "".join(rows))
    return path


def test_tables_are_matched_by_sequence(tmp_path):
    tables = [
        Table("a", "s", table(tmp_path / "a.csv", [0, 1, 2, 3, 4])),
        Table("b", "s", table(tmp_path / "b.csv", [4, 2, 0, 3], shift=0.5)),
    ]
    (found,) = contests({}, [], tables)
    assert found.left_out == 1
    assert found.models["b"].measured.tolist() == [0, 2, 3, 4]
    assert found.models["b"].predicted.tolist() == [0.5, 2.5, 4.5, 4.5]


def test_relatives_by_homology_are_those_of_the_first_for_all(tmp_path, crmnet):
    tiles = [INSERTS[0][:40] + INSERTS[1][:40], INSERTS[1][:40] + INSERTS[2][:40], *INSERTS[3:]]
    for model in "ab":
        rows = "".join(f"{s},{i},{i + i % 2}\n" for i, s in enumerate(tiles))
        (tmp_path / f"{model}.csv").write_text(f"sequence,measured,predicted\n{rows}")
    tables = [Table(model, "s", tmp_path / f"{model}.csv") for model in "ab"]
    (found,) = contests({}, [], tables, by="homology", words=WordOptions(20, min_triplets=1))
    assert {s.families_by for s in found.models.values()} == {"homology"}
    assert [len(set(s.family.tolist())) for s in found.models.values()] == [3, 3]
    result = compare(found, resamples=20)
    assert (result.families, result.families_by) == (3, "homology")
    words = [f"--predictions={model}@s={tmp_path / model}.csv" for model in "ab"]
    status, out, _ = crmnet("compare", *words, "--resamples", 10, "-o", tmp_path / "c")
    assert status == 0
    assert "n = 4, 4 families (by sequence); 95 % intervals from 10 resamples" in out


def test_rows_that_training_data_hold_are_left_out_for_all(tmp_path, crmnet):
    files = [table(tmp_path / f"{m}.csv", order) for m, order in (("a", range(5)), ("b", range(4)))]
    tables = [Table(file.stem, "s", file) for file in files]
    (tmp_path / "trained.tsv").write_text(f"sequence\texpression\n{INSERTS[1]}\t3\n")
    with all_opened([tmp_path / "trained.tsv"], ["complex"], IngestOptions()) as (trained,):
        training = TrainingRows(trained.tokens, trained.name)
        (found,) = contests({}, [], tables, without=[training])
    assert (found.left_out, found.seen, found.without) == (1, 1, "trained")
    assert all(s.measured.tolist() == [0, 2, 3] for s in found.models.values())
    words = [f"--predictions={file.stem}@s={file}" for file in files]
    words += ["--without", tmp_path / "trained.tsv", "--resamples", 10, "-o", tmp_path / "c"]
    status, out, _ = crmnet("compare", *words)
    assert status == 0
    assert "1 rows left out that not all models have, 1 rows left out that trained holds" in out
    found = json.loads((tmp_path / "c" / "compare.json").read_text())["sets"]["s"]
    assert found["without"] == {"data": "trained", "rows": 1}


def test_what_training_data_hold_cannot_be_left_out_unseen(tmp_path):
    training = TrainingRows(prepare(*encode(INSERTS[:3]))[0], "trained")
    tables = [Table("a", "s", table(tmp_path / "a.csv", range(5)))]
    with pytest.raises(ValueError, match="s: trained holds 3 of its 5 rows; what is left"):
        contests({}, [], tables, without=[training])
    (tmp_path / "b.csv").write_text("measured,predicted\n1,1\n2,2\n3,3\n")
    with pytest.raises(ValueError, match=r"b\.csv, line 1: no sequence column"):
        contests({}, [], [Table("b", "s", tmp_path / "b.csv")], without=[training])


def test_repeated_sequences_are_matched_in_turn(tmp_path):
    order = [0, 0, 1, 2, 0]
    tables = [Table(m, "s", table(tmp_path / f"{m}.csv", order)) for m in "ab"]
    (found,) = contests({}, [], tables)
    assert len(found.models["a"].measured) == 5


def test_tables_of_other_measurements_are_refused(tmp_path):
    other = table(tmp_path / "b.csv", [0, 1, 2, 3])
    other.write_text(other.read_text().replace(",3,", ",7,"))
    tables = [Table("a", "s", table(tmp_path / "a.csv", [0, 1, 2, 3])), Table("b", "s", other)]
    with pytest.raises(ValueError, match="b has 7 measured where a has 3"):
        contests({}, [], tables)


def test_tables_without_sequences_must_be_as_long(tmp_path):
    (tmp_path / "a.csv").write_text("measured,predicted\n1,1\n2,2\n3,3\n4,5\n")
    (tmp_path / "b.csv").write_text("measured,predicted\n1,1\n2,2\n3,3\n")
    pair = [Table("a", "s", tmp_path / "a.csv"), Table("b", "s", tmp_path / "b.csv")]
    with pytest.raises(ValueError, match="files of 3, 4 rows without sequences"):
        contests({}, [], pair)
    mixed = [pair[0], Table("c", "s", table(tmp_path / "c.csv", [0, 1, 2]))]
    with pytest.raises(ValueError, match="some files have a sequence column and some have not"):
        contests({}, [], mixed)


def test_nothing_to_compare_is_an_error():
    with pytest.raises(ValueError, match="nothing to compare"):
        contests({}, [])


def test_runs_and_tables_meet_on_a_file(small_run, tmp_path, crmnet):
    measured = "".join(f"{s}\t{i}\n" for i, s in enumerate(INSERTS))
    (tmp_path / "s.tsv").write_text("sequence\texpression\n" + measured)
    answers = table(tmp_path / "a.csv", [3, 1, 0, 2, 4])
    predictor = Predictor.load(small_run, device="cpu")
    with all_opened([tmp_path / "s.tsv"], ["complex"], IngestOptions()) as datasets:
        (found,) = contests({"run": predictor}, datasets, [Table("table", "s", answers)])
    np.testing.assert_allclose(
        found.models["run"].predicted, predictor.predict(INSERTS, medium="complex"), rtol=1e-5
    )
    assert found.models["table"].measured.tolist() == [0, 1, 2, 3, 4]
    status, out, _ = crmnet(
        "compare", f"mine={small_run}", "--data", tmp_path / "s.tsv", "--medium", "complex",
        "--predictions", f"theirs@s={answers}", "--resamples", 20, "-o", tmp_path / "c",
    )  # fmt: skip
    assert status == 0
    assert "| mine |" in out and "| theirs |" in out
    assert (tmp_path / "c" / "compare.png").is_file()


def test_two_sets_of_one_name_are_refused(small_run, assay):
    predictor = Predictor.load(small_run, device="cpu")
    with pytest.raises(ValueError, match="two sets are named 'assay:"):
        contests({"run": predictor}, [assay, assay])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name the models to compare"),
        (["run"], "with --data"),
        (["--predictions", "a=b.csv"], "takes NAME@SET=FILE"),
    ],
)
def test_bad_use_is_said(crmnet, tmp_path, words, said):
    status, _, error = crmnet("compare", *words, "-o", tmp_path / "c")
    assert status == 2
    assert said in error


@needs_shared
def test_published_predictions_take_part_like_any_other():
    folder = SHARED / "data" / "evolution"
    files = {"transformer": "tpu", "conv": "gpu", "DanQ": "DanQ", "DeepATT": "DeepAtt",
             "DeepSEA": "DeepSEA"}  # fmt: skip
    tables = [Table(n, "random", folder / f"Random_test_{f}_model.csv") for n, f in files.items()]
    (found,) = contests({}, [], tables)
    result = compare(found, resamples=200)
    assert (result.n, result.left_out) == (2954, 0)
    assert ranked(result) == ["conv", "transformer", "DanQ", "DeepATT", "DeepSEA"]
    assert [m for m in files if result.told_apart(m)] == ["DanQ", "DeepATT", "DeepSEA"]
