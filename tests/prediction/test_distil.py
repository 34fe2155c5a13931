"""Distillation: the promoters that are made, and their labels."""

import numpy as np
import pytest

from crmnet.data.dataset import Dataset
from crmnet.data.splits import families
from crmnet.data.subset import copy_rows
from crmnet.perturb import cross, substitute
from crmnet.prediction.distil import DistilOptions, derived_promoters, distil
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import adapter_mismatches, sequence_lengths

pytestmark = pytest.mark.slow


def test_substitutions_have_the_requested_rate_and_keep_n():
    tokens = np.tile(np.array([0, 1, 2, 3, 4], dtype=np.uint8), (3, 400))
    changed = substitute(tokens, np.array([0.0, 0.25, 1.0]), np.random.default_rng(1))
    shares = (changed != tokens).sum(axis=1) / 1600
    assert shares[0] == 0 and shares[2] == 1
    assert shares[1] == pytest.approx(0.25, abs=0.04)  # 1,600 bases: sd 0.011
    assert (changed[tokens == 4] == 4).all() and changed[tokens < 4].max() < 4
    # the three other bases are equally likely
    assert np.bincount(changed[2, ::5]).tolist()[1:] == pytest.approx([133] * 3, abs=40)


def test_a_cross_is_the_left_sequence_up_to_the_cut():
    left, right = np.zeros((3, 4), np.uint8), np.ones((3, 4), np.uint8)
    crossed = cross(left, right, np.array([0, 1, 4]))
    assert crossed.tolist() == [[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]]


def test_promoters_of_the_data_set_come_first_and_derived_ones_keep_adapters_and_length(assay):
    rng = np.random.default_rng(0)
    own = np.unique(np.asarray(assay.tokens), axis=0)
    tokens, parent = derived_promoters(assay, DistilOptions(len(own) + 500), rng)
    assert len(tokens) == len(own) + 500
    assert np.array_equal(np.unique(tokens[: len(own)], axis=0), own)
    assert not any(mismatches.any() for mismatches in adapter_mismatches(tokens))
    source = np.asarray(assay.tokens)[parent]
    assert np.array_equal(sequence_lengths(tokens), sequence_lengths(source))
    # mutants differ from their parent in at most about 30 % of the 80 bases; crosses only in the
    # right part, there in three of four bases
    changed = (tokens != source)[len(own) :, 17:97]
    assert 0.1 < changed.mean() < 0.4
    assert np.array_equal(tokens[: len(own)], source[: len(own)])


def test_labels_are_the_models_predictions_in_one_of_its_media(small_run, assay, tmp_path):
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


def test_the_seed_determines_the_data_set(small_run, assay, tmp_path):
    predictor = Predictor.load(small_run)
    made = [
        distil(predictor, assay, tmp_path / str(n), DistilOptions(700, seed=seed)).fingerprint
        for n, seed in enumerate([1, 1, 2])
    ]
    assert made[0] == made[1] != made[2]


def test_a_small_number_selects_promoters_of_the_data_set(assay):
    tokens, _ = derived_promoters(assay, DistilOptions(50), np.random.default_rng(0))
    own = {row.tobytes() for row in np.asarray(assay.tokens)}
    assert len({row.tobytes() for row in tokens}) == 50
    assert {row.tobytes() for row in tokens} <= own


def test_the_source_data_set_is_not_overwritten(small_run, assay, tmp_path):
    own = copy_rows(assay, np.arange(20), tmp_path / "own")
    with pytest.raises(ValueError, match="is the input and would be lost"):
        distil(Predictor.load(small_run), own, tmp_path / "x" / ".." / "own", overwrite=True)
    assert len(Dataset.open(own.path)) == 20


def test_invalid_options_are_rejected():
    with pytest.raises(ValueError, match="promoters must be at least 1; got 0"):
        DistilOptions(0)
    with pytest.raises(ValueError, match=r"crossed must be between 0 and 1; got 1\.5"):
        DistilOptions(crossed=1.5)


def test_the_command_prints_the_next_step(crmnet, small_run, assay, tmp_path):
    out = tmp_path / "soft"
    status, printed, _ = crmnet("models", "distil", small_run, assay.path, "-n", 40, "-o", out)
    assert status == 0
    assert "40 promoters labelled" in printed and "crmnet train yeast-fast" in printed
    assert len(Dataset.open(out)) == 40
    status, _, error = crmnet("models", "distil", small_run, assay.path, "-n", 40, "-o", out)
    assert status != 0 and "--overwrite" in error
