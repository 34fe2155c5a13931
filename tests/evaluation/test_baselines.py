"""Baselines find the linear law that made the labels, and count k-mers as by hand."""

import logging

import numpy as np
import pytest
import torch

from crmnet.data.ingest import ingest
from crmnet.evaluation import baselines
from crmnet.evaluation.align import PredictionTable, align
from crmnet.evaluation.baselines import (
    FEATURES,
    PENALTIES,
    fit_baseline,
    fit_baselines,
    kmer_counts,
    with_baselines,
)
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import encode, prepare
from support import write_rows


def constructs(inserts):
    return prepare(*encode(inserts), "add")[0]


def random_inserts(n, seed=0):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("ACGT"), 80)) for _ in range(n)]


def test_kmers_are_counted_on_both_strands_of_the_insert_alone():
    counts = kmer_counts(constructs(["A" * 79 + "C"]), 2)[0]
    word = {"AA": 0, "AC": 0 + 4 * 1, "GT": 2 + 4 * 3, "TT": 3 + 4 * 3}
    assert [counts[word[pair]] for pair in ("AA", "AC", "GT", "TT")] == [78, 1, 1, 78]
    assert counts.sum() == 158
    with_n = kmer_counts(constructs(["A" * 40 + "N" + "A" * 39]), 2)[0]
    assert with_n.sum() == with_n[0] + with_n[15] == 2 * 77


def test_a_kmer_and_its_reverse_complement_share_a_column():
    assert [FEATURES[n](constructs(["ACGT" * 20])).shape[1] for n in FEATURES] == [1, 10, 2080]


@pytest.mark.parametrize("name", ["G + C", "dinucleotides"])
def test_a_linear_law_is_found(name):
    tokens = constructs(random_inserts(400))
    features = FEATURES[name](tokens)
    rng = np.random.default_rng(1)
    law = rng.normal(size=features.shape[1])
    labels = 5 + (features - features.mean(axis=0)) @ law
    fitted = fit_baseline(name, tokens, labels, np.arange(400))
    new = constructs(random_inserts(100, seed=2))
    expected = 5 + (FEATURES[name](new) - features.mean(axis=0)) @ law
    np.testing.assert_allclose(fitted.predict(new), expected, atol=0.05 * expected.std())


def test_noise_asks_for_a_large_penalty():
    tokens = constructs(random_inserts(300))
    labels = np.random.default_rng(3).normal(size=300)
    assert fit_baseline("dinucleotides", tokens, labels, np.arange(300)).penalty >= 1e3


def test_few_rows_give_the_weights_of_the_normal_equations():
    rng = np.random.default_rng(4)
    features, labels = rng.normal(size=(6, 9)), rng.normal(size=6)
    mean, offset, weights = baselines._ridge(features, labels)
    centred = features - features.mean(axis=0)
    for penalty, column in zip(PENALTIES, weights.T, strict=True):
        expected = np.linalg.solve(
            centred.T @ centred + penalty * np.eye(9), centred.T @ (labels - labels.mean())
        )
        np.testing.assert_allclose(column, expected, atol=1e-10)
    np.testing.assert_allclose(mean, features.mean(axis=0))
    assert offset == pytest.approx(labels.mean())


@pytest.mark.slow
def test_baselines_stand_beside_models_on_the_same_rows(assay, small_run):
    predictor = Predictor.load(small_run)
    sets = align({"mine": predictor}, [assay])
    for aligned in with_baselines(sets, [assay], assay):
        medium = aligned.name.rpartition(":")[2]
        assert list(aligned.models) == ["mine", "G + C", "dinucleotides", "6-mers"]
        rows = np.nonzero(np.asarray(assay.medium) == assay.media.index(medium))[0]
        np.testing.assert_array_equal(aligned.row, rows)
        fitted = fit_baselines(assay, medium)["G + C"]
        shown = aligned.models["G + C"]
        np.testing.assert_array_equal(shown.predicted, fitted.predict(assay.tokens[rows]))
        np.testing.assert_array_equal(shown.measured, aligned.models["mine"].measured)


@pytest.mark.slow
def test_a_sample_of_many_rows_is_the_same_each_time(assay):
    once, again = (fit_baselines(assay, "complex", max_rows=50) for _ in range(2))
    assert once["G + C"].weights == again["G + C"].weights
    assert once["G + C"].weights != fit_baselines(assay, "complex")["G + C"].weights
    with pytest.raises(ValueError, match="no rows of medium 'dream'"):
        fit_baselines(assay, "dream")


class CountGC(torch.nn.Module):
    def forward(self, x_BCL):
        return x_BCL[:, 1:3].sum(dim=(1, 2))[:, None]


def test_a_set_that_only_a_table_predicts_is_without_baselines(tmp_path, caplog):
    """Rows of the table were taken for rows of the data set: another order, and more rows."""
    inserts = random_inserts(8)
    rows = [(insert, n, "complex" if n < 4 else "defined") for n, insert in enumerate(inserts)]
    file = write_rows(tmp_path / "rows.tsv", rows, "sequence expression medium")
    dataset = ingest([file], tmp_path / "t")
    table = [(insert, n, n) for n, insert in reversed([*enumerate(inserts[4:], 4)])]
    table += [("ACGTT" * 16, n, n) for n in range(9)]
    write_rows(tmp_path / "theirs.tsv", table, "sequence expression predicted")
    predictor = Predictor(CountGC(), ["complex"], torch.device("cpu"))
    tables = [PredictionTable("theirs", "t:defined", tmp_path / "theirs.tsv")]
    by_name = {one.name: one for one in align({"mine": predictor}, [dataset], tables)}
    assert by_name["t:complex"].row.tolist() == [0, 1, 2, 3]
    assert by_name["t:defined"].row is None
    caplog.set_level(logging.INFO, "crmnet")
    ours, theirs = with_baselines([*by_name.values()], [dataset], dataset)
    assert list(ours.models) == ["mine", *FEATURES]
    assert list(theirs.models) == ["theirs"]
    assert "t:defined: no model predicts this set, so it is without baselines" in caplog.text
