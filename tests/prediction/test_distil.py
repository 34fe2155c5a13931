"""Distillation: the promoters that are made, and their labels."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from crmnet.data.dataset import Dataset
from crmnet.data.leaks import share_kmers
from crmnet.data.packed import PackedTokens, pack
from crmnet.data.splits import families
from crmnet.data.subset import copy_rows
from crmnet.data.unmeasured import Recipe
from crmnet.perturb import cross, substitute
from crmnet.prediction.distil import DistilOptions, _promoters, distil
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import (
    ADAPTER_3,
    ADAPTER_5,
    adapter_mismatches,
    encode,
    fit_length,
    sequence_lengths,
)
from crmnet.training.rows import choose_data
from support import settings

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


def promoters_of(dataset, options, **more):
    """All promoters that would be labelled: tokens and parents."""
    rng = np.random.default_rng(options.seed)
    parts = _promoters(dataset, options, rng, more.get("native"), more.get("without", ()))
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def test_promoters_of_the_data_set_come_first_and_derived_ones_keep_adapters_and_length(assay):
    own = np.unique(np.asarray(assay.tokens), axis=0)
    tokens, parent = promoters_of(assay, DistilOptions(len(own) + 500))
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


def test_a_packed_data_set_is_unpacked_only_once(assay, monkeypatch):
    """All rows were unpacked for each chunk of promoters."""
    unpacked = []
    monkeypatch.setattr("crmnet.prediction.distil.CHUNK", 100)
    monkeypatch.setattr(
        PackedTokens, "__array__", lambda self, *_, **__: unpacked.append(len(self)) or self[:]
    )
    packed = dataclasses.replace(assay, tokens=PackedTokens(*pack(assay.tokens)))
    tokens, _ = promoters_of(packed, DistilOptions(300))
    assert unpacked == [len(assay)]  # to find the distinct ones
    np.testing.assert_array_equal(tokens, promoters_of(assay, DistilOptions(300))[0])


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


def test_a_run_records_whose_labels_it_learned(small_run, assay, tmp_path):
    """A designer must know whether oracle and judge share labels."""
    predictor = Predictor.load(small_run)
    made = distil(predictor, assay, tmp_path / "soft", DistilOptions(300))
    part = copy_rows(made, np.arange(200), tmp_path / "part")
    assert made.labelled_by == part.labelled_by == predictor.identity
    options = settings("epochs=1", "validation_by=sequence").train
    assert choose_data(options, part).summary(None, None)["labelled_by"] == predictor.identity
    mixed = DistilOptions(300, with_measured=True)
    assert distil(predictor, assay, tmp_path / "mixed", mixed).labelled_by is None
    assert assay.labelled_by is None
    assert "labelled_by" not in choose_data(options, assay).summary(None, None)


def test_the_seed_determines_the_data_set(small_run, assay, tmp_path):
    predictor = Predictor.load(small_run)
    made = [
        distil(predictor, assay, tmp_path / str(n), DistilOptions(700, seed=seed)).fingerprint
        for n, seed in enumerate([1, 1, 2])
    ]
    assert made[0] == made[1] != made[2]


def test_a_small_number_selects_promoters_of_the_data_set(assay):
    tokens, _ = promoters_of(assay, DistilOptions(50))
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


def test_the_command_prints_the_next_step(crmnet, small_run, assay, tmp_path):
    out = tmp_path / "soft"
    status, printed, _ = crmnet("models", "distil", small_run, assay.path, "-n", 40, "-o", out)
    assert status == 0
    assert "40 promoters labelled" in printed and "crmnet train yeast-fast" in printed
    assert len(Dataset.open(out)) == 40
    status, _, error = crmnet("models", "distil", small_run, assay.path, "-n", 40, "-o", out)
    assert status != 0 and "--overwrite" in error


def test_measured_rows_stand_in_front_of_the_labelled_ones(small_run, assay, tmp_path, caplog):
    caplog.set_level("INFO", "crmnet")
    one = Predictor.load(small_run)
    options = DistilOptions(300, label_own=False, with_measured=True, seed=1)
    made = distil(one, assay, tmp_path / "both", options)
    n = len(assay)
    assert len(made) == n + 300
    assert np.array_equal(made.tokens[:n], assay.tokens) and made.media == assay.media
    assert np.array_equal(made.labels[:n], assay.labels)
    assert np.array_equal(families(made)[:n], families(assay))
    assert assay.weight is not None and made.weight is None
    assert "the weights of rows are left out" in caplog.text


def test_labels_of_one_medium_get_another_name(small_run, assay, tmp_path):
    predictor = Predictor.load(small_run)
    with pytest.raises(ValueError, match="only the labels of a model with one medium"):
        distil(predictor, assay, tmp_path / "x", DistilOptions(10, medium="teacher"))
    assert not (tmp_path / "x").exists()


def test_new_promoters_share_no_20_mer_with_the_sets_to_leave_out(assay):
    recipe = Recipe({"mutants": 1}, most_exchanged=0.02)  # most mutants share one with their parent
    options = DistilOptions(200, label_own=False, recipe=recipe)
    half = np.asarray(assay.tokens)[: len(assay) // 2]
    tokens, _ = promoters_of(assay, options, without=[half])
    assert len(tokens) == 200
    assert not share_kmers(tokens, half).any()
    assert share_kmers(promoters_of(assay, options)[0], half).any()
    with pytest.raises(ValueError, match="all of 1,000 new promoters share a 20-mer"):
        promoters_of(assay, options, without=[np.asarray(assay.tokens)])


def test_promoters_without_a_parent_are_families_of_their_own(small_run, assay, tmp_path):
    recipe = Recipe({"random": 1, "mutants": 1})
    options = DistilOptions(400, label_own=False, recipe=recipe, seed=2)
    made = distil(Predictor.load(small_run), assay, tmp_path / "mixed", options)
    known = np.isin(families(made), families(assay))
    assert 150 < known.sum() < 250
    assert len(np.unique(families(made)[~known])) == (~known).sum()


def test_the_command_takes_kinds_of_promoters_and_checks_them(crmnet, small_run, assay, tmp_path):
    command = ["models", "distil", small_run, assay.path, "-n", 30, "--no-own"]
    native = tmp_path / "native.txt"
    native.write_text("\n".join(["ACGTTGCATTTTTTTAAAAAGGC" * 4] * 3))
    out = tmp_path / "mixed"
    status, printed, _ = crmnet(
        *command, "--mix", "random=1", "--mix", "native-like=2", "--native-like", native,
        "--without", native, "--with-measured", "-o", out,
    )  # fmt: skip
    assert status == 0 and f"beside {len(assay):,} measured rows" in printed
    assert len(Dataset.open(out)) == len(assay) + 30
    for mix, message in [
        ("native-like=1", "native-like promoters need the sequences of native ones"),
        ("mutant=1", "kinds of promoters are mutants, crosses"),
        ("random=many", "--mix random=many: 'many' is not a number"),
    ]:
        status, _, error = crmnet(*command, "--mix", mix, "-o", tmp_path / "no")
        assert status == 2 and message in error
        assert not (tmp_path / "no").exists()


def of_rows(*texts):
    tokens = fit_length(*encode(texts), 112)
    n = len(tokens)
    return Dataset(
        Path("rows"), {}, tokens, np.zeros(n, np.float32), np.zeros(n, np.uint8), None, None
    )


@pytest.mark.parametrize("kind", ["mutants", "crosses", "random"])
def test_promoters_of_a_data_set_without_adapters_have_none(kind, caplog):
    """They got adapters and were then cut."""
    bare = of_rows("AC" * 56, "GT" * 56)
    options = DistilOptions(20, label_own=False, recipe=Recipe({kind: 1}))
    tokens, _ = promoters_of(bare, options)
    assert set(sequence_lengths(tokens).tolist()) == {80 if kind == "random" else 112}
    assert (np.array(adapter_mismatches(tokens)) > 2).all()
    assert not caplog.text


def test_promoters_that_are_cut_are_a_warning(caplog):
    long = of_rows(ADAPTER_5 + "AC" * 45, ADAPTER_5 + "AC" * 30 + ADAPTER_3)
    options = DistilOptions(20, label_own=False, recipe=Recipe({"mutants": 1}))
    tokens, _ = promoters_of(long, options)
    assert set(sequence_lengths(tokens).tolist()) == {90, 112}
    assert "warning: rows: 1 sequences are longer than 112 bases with adapters" in caplog.text
