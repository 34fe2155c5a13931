"""Distillation: which promoters are made, and that a model labels them."""

import numpy as np
import pytest

from crmnet.data.dataset import Dataset
from crmnet.data.splits import families
from crmnet.data.subset import copy_rows
from crmnet.perturb import cross, substitute
from crmnet.prediction.distil import DistilOptions, distil, relatives
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import adapter_mismatches, sequence_lengths


def test_substitutes_exchange_as_many_bases_as_asked_and_never_n():
    tokens = np.tile(np.array([0, 1, 2, 3, 4], dtype=np.uint8), (3, 400))
    changed = substitute(tokens, np.array([0.0, 0.25, 1.0]), np.random.default_rng(1))
    shares = (changed != tokens).sum(axis=1) / 1600
    assert shares[0] == 0 and shares[2] == 1
    assert shares[1] == pytest.approx(0.25, abs=0.04)  # 1,600 draws: sd 0.011
    assert (changed[tokens == 4] == 4).all() and changed[tokens < 4].max() < 4
    # each of the three other bases is as likely
    assert np.bincount(changed[2, ::5]).tolist()[1:] == pytest.approx([133] * 3, abs=40)


def test_crossing_takes_the_left_up_to_the_cut():
    left, right = np.zeros((3, 4), np.uint8), np.ones((3, 4), np.uint8)
    crossed = cross(left, right, np.array([0, 1, 4]))
    assert crossed.tolist() == [[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]]


def test_own_promoters_come_first_and_relatives_keep_adapters_and_length(assay):
    rng = np.random.default_rng(0)
    own = np.unique(np.asarray(assay.tokens), axis=0)
    tokens, parent = relatives(assay, DistilOptions(len(own) + 500), rng)
    assert len(tokens) == len(own) + 500
    assert np.array_equal(np.unique(tokens[: len(own)], axis=0), own)
    assert not any(mismatches.any() for mismatches in adapter_mismatches(tokens))
    source = np.asarray(assay.tokens)[parent]
    assert np.array_equal(sequence_lengths(tokens), sequence_lengths(source))
    # mutants differ from their parent in at most about 30 % of the 80 bases; crosses in the right
    # part alone, and there in three of four
    changed = (tokens != source)[len(own) :, 17:97]
    assert 0.1 < changed.mean() < 0.4
    assert np.array_equal(tokens[: len(own)], source[: len(own)])


def test_labels_are_the_models_predictions_in_a_medium_of_its_own(small_run, assay, tmp_path):
    predictor = Predictor.load(small_run)
    made = distil(predictor, assay, tmp_path / "soft", DistilOptions(1000, seed=3))
    assert made.media == predictor.media and len(made) == 1000
    predicted = predictor.predict_tokens(np.asarray(made.tokens))
    expected = np.take_along_axis(predicted, np.asarray(made.medium)[:, None].astype(int), axis=1)
    np.testing.assert_allclose(made.labels, expected[:, 0], rtol=1e-5, atol=1e-5)
    assert np.bincount(made.medium).tolist() == pytest.approx([500, 500], abs=80)
    assert set(families(made).tolist()) <= set(families(assay).tolist())
    assert made.units == predictor.units
    assert made.manifest["origin"]["labelled_by"] == predictor.identity


def test_the_same_seed_makes_the_same_set_and_another_another(small_run, assay, tmp_path):
    predictor = Predictor.load(small_run)
    made = [
        distil(predictor, assay, tmp_path / str(n), DistilOptions(700, seed=seed)).fingerprint
        for n, seed in enumerate([1, 1, 2])
    ]
    assert made[0] == made[1] != made[2]


def test_fewer_than_there_are_takes_some_of_its_own(assay):
    tokens, _ = relatives(assay, DistilOptions(50), np.random.default_rng(0))
    own = {row.tobytes() for row in np.asarray(assay.tokens)}
    assert len({row.tobytes() for row in tokens}) == 50
    assert {row.tobytes() for row in tokens} <= own


def test_a_data_set_is_not_lost_to_its_own_predictions(small_run, assay, tmp_path):
    own = copy_rows(assay, np.arange(20), tmp_path / "own")
    with pytest.raises(ValueError, match="is the input and would be lost"):
        distil(Predictor.load(small_run), own, tmp_path / "x" / ".." / "own", overwrite=True)
    assert len(Dataset.open(own.path)) == 20


def test_senseless_options_are_refused():
    with pytest.raises(ValueError, match="promoters must be at least 1; got 0"):
        DistilOptions(0)
    with pytest.raises(ValueError, match=r"crossed must be between 0 and 1; got 1\.5"):
        DistilOptions(crossed=1.5)


def test_the_command_says_what_comes_next(crmnet, small_run, assay, tmp_path):
    out = tmp_path / "soft"
    status, said, _ = crmnet("models", "distil", small_run, assay.path, "-n", 40, "-o", out)
    assert status == 0
    assert "40 promoters labelled" in said and "crmnet train yeast-fast" in said
    assert len(Dataset.open(out)) == 40
    status, _, error = crmnet("models", "distil", small_run, assay.path, "-n", 40, "-o", out)
    assert status != 0 and "--overwrite" in error
