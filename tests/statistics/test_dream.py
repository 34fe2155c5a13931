"""The DREAM score computed by hand, its lists of rows, and its intervals."""

import numpy as np
import pytest

from crmnet.statistics.dream import SUBSETS, dream_score, read_subsets
from crmnet.statistics.metrics import Scored

N = 40
PAIRED = ("snv", "motif-perturbation", "motif-tiling")


def write_lists(folder, rows=N):
    for name, subset in SUBSETS.items():
        if name in PAIRED:
            text = "alt_pos,ref_pos\n" + "".join(f"{i},{i + 1}\n" for i in range(rows - 1))
            text += "0,1\n"  # listed twice
        else:
            text = ",pos\n" + "".join(f"{i},{i}\n" for i in range(0, rows, 2)) + "9,0\n"
        if subset.file:
            (folder / subset.file).write_text(text)
    return folder


def scored(seed=0, family=None):
    rng = np.random.default_rng(seed)
    measured = rng.normal(size=N)
    predicted = measured + rng.normal(size=N)
    return Scored("dream", measured, predicted, np.arange(N) if family is None else family)


def test_the_weights_add_up_to_those_of_the_challenge():
    assert sum(subset.weight for subset in SUBSETS.values()) == pytest.approx(4.65)


def test_duplicates_in_lists_are_ignored(tmp_path):
    subsets = read_subsets(write_lists(tmp_path), N)
    assert subsets["all"].tolist() == list(range(N))
    assert subsets["high"].tolist() == list(range(0, N, 2))
    assert subsets["snv"].tolist() == [[i, i + 1] for i in range(N - 1)]


def test_the_score_is_the_weighted_mean_of_its_parts(tmp_path):
    one = scored()
    found = dream_score(one, read_subsets(write_lists(tmp_path), N), resamples=50)

    def r2(measured, predicted):
        return np.corrcoef(measured, predicted)[0, 1] ** 2

    values = r2(one.measured[::2], one.predicted[::2])
    pairs = r2(np.diff(one.measured), np.diff(one.predicted))
    complete = r2(one.measured, one.predicted)
    expected = (complete + (4 * 0.3 + 0.5) * values + (1.25 + 0.3 + 0.4) * pairs) / 4.65
    assert found.pearson.value == pytest.approx(expected)
    assert found.subsets["snv"]["r2"].value == pytest.approx(pairs)
    assert found.subsets["yeast"]["n"] == 20
    for estimate in (found.pearson, found.spearman):
        assert estimate.low < estimate.value < estimate.high


def test_perfect_predictions_score_one(tmp_path):
    one = scored()
    perfect = Scored("dream", one.measured, 2 * one.measured + 1, one.family)
    found = dream_score(perfect, read_subsets(write_lists(tmp_path), N), resamples=20)
    assert (found.pearson.value, found.spearman.value) == pytest.approx((1, 1))


def test_one_family_gives_no_intervals(tmp_path):
    """They had a width of zero."""
    found = dream_score(
        scored(family=np.zeros(N)), read_subsets(write_lists(tmp_path), N), resamples=20
    )
    assert 0 < found.pearson.value < 1
    for estimate in (found.pearson, found.spearman, found.subsets["snv"]["rho"]):
        assert np.isnan([estimate.low, estimate.high]).all()


def test_a_missing_list_and_rows_beyond_the_end_are_errors(tmp_path):
    write_lists(tmp_path)
    with pytest.raises(ValueError, match="lists row 38; the predictions have 10 rows"):
        read_subsets(tmp_path, 10)
    (tmp_path / "yeast_seqs.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"yeast_seqs\.csv: no such list"):
        read_subsets(tmp_path, N)


def test_a_list_without_its_column_is_an_error(tmp_path):
    write_lists(tmp_path)
    (tmp_path / "low_exp_seqs.csv").write_text("row\n1\n")
    with pytest.raises(ValueError, match=r"low_exp_seqs\.csv, line 1: expected a column pos"):
        read_subsets(tmp_path, N)


def test_the_command_prints_and_saves_the_score(crmnet, tmp_path):
    one = scored()
    rows = "".join(f"{m},{p}\n" for m, p in zip(one.measured, one.predicted, strict=True))
    (tmp_path / "t.csv").write_text("measured,predicted\n" + rows)
    lists = tmp_path / "lists"
    lists.mkdir()
    words = ["--predictions", tmp_path / "t.csv", "--dream-subsets", write_lists(lists)]
    status, out, _ = crmnet("evaluate", *words, "--resamples", 20, "-o", tmp_path / "e")
    assert status == 0
    assert "DREAM score: Pearson 0." in out
    assert '"pearson_score"' in (tmp_path / "e" / "metrics.json").read_text()


def test_undefined_scores_are_null(crmnet, tmp_path):
    """The file held NaN, which is not JSON."""
    rows = "".join(f"{number},2.5\n" for number in range(N))
    (tmp_path / "t.csv").write_text("measured,predicted\n" + rows)
    lists = tmp_path / "lists"
    lists.mkdir()
    words = ["--predictions", tmp_path / "t.csv", "--dream-subsets", write_lists(lists)]
    status, out, error = crmnet("evaluate", *words, "--resamples", 10, "-o", tmp_path / "e")
    assert status == 0, error
    assert "DREAM score: Pearson not defined" in out
    text = (tmp_path / "e" / "metrics.json").read_text()
    assert '"value": null' in text and "NaN" not in text
