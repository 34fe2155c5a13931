"""A rescaled model predicts slope × prediction + offset, and nothing else about it changes."""

import dataclasses
import json
import logging
import shutil

import numpy as np
import pytest

from crmnet.data.dataset import Dataset
from crmnet.evaluation.calibrate import calibrate
from crmnet.evaluation.intervals import CalibrateOptions
from crmnet.evaluation.rescale import fit_lines, rescale
from crmnet.prediction.predictor import Predictor
from crmnet.runs.model_card import card_lines
from crmnet.runs.packed import PackOptions, load_card, pack, write_rescaled
from crmnet.sequence import decode, inserts
from crmnet.simulation.assay import AssayOptions, simulate
from support import write_rows

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    return simulate(AssayOptions(300, seed=6), tmp_path_factory.mktemp("held") / "held")


@pytest.fixture
def packed(small_run, tmp_path):
    path = tmp_path / "model.safetensors"
    pack([small_run], path, PackOptions(reverse_complement=True, half=True))
    return path


@pytest.fixture
def exact(packed, held_out, tmp_path):
    """The held-out promoters, with labels that equal the predictions."""
    predictor = Predictor.load(packed)
    shutil.copytree(held_out.path, tmp_path / "exact")
    predicted = predictor.predict_tokens(np.asarray(held_out.tokens))
    output = np.array([predictor.media.index(medium) for medium in held_out.media])
    labels = predicted[np.arange(len(held_out)), output[np.asarray(held_out.medium)]]
    np.save(tmp_path / "exact" / "labels.npy", labels)
    return Dataset.open(tmp_path / "exact")


def test_lines_of_measurements_on_predictions_are_found(packed, exact):
    first = np.asarray(exact.medium) == 0
    labels = np.where(first, 2 * exact.labels + 1, exact.labels)
    lines = fit_lines(Predictor.load(packed), dataclasses.replace(exact, labels=labels))
    assert lines[exact.media[0]] == pytest.approx((2, 1), abs=1e-3)
    assert lines.get(exact.media[1], (1, 0)) == pytest.approx((1, 0), abs=1e-3)


def test_the_range_of_equal_measurements_is_left_out_of_the_card(packed, held_out, tmp_path):
    """It was 0, as if all predictions were equal."""
    shutil.copytree(held_out.path, tmp_path / "equal")
    np.save(tmp_path / "equal" / "labels.npy", np.full(len(held_out), 7, dtype=np.float32))
    card = calibrate(packed, tests=[tmp_path / "equal"], options=CalibrateOptions(resamples=10))
    assert card.tests and not any("range" in test for test in card.tests.values())
    assert "predictions span" not in "\n".join(card_lines(card))


def test_predictions_follow_the_line_and_the_card_forgets_the_old_scale(packed, held_out, tmp_path):
    calibrate(packed, held_out.path, tests=[held_out.path], options=CalibrateOptions(resamples=20))
    before = Predictor.load(packed)
    first, second = before.media[:2]
    write_rescaled(packed, {first: (1.5, -2.0)}, tmp_path / "new.safetensors")
    after = Predictor.load(tmp_path / "new.safetensors")
    tokens = np.asarray(held_out.tokens)[:40]
    old, new = before.predict_tokens(tokens), after.predict_tokens(tokens)
    np.testing.assert_allclose(new[:, 0], 1.5 * old[:, 0] - 2, atol=1e-4)
    np.testing.assert_array_equal(new[:, 1], old[:, 1])
    card, old_card = after.card, before.card
    assert card.calibration is None and not card.tests and not card.coverage
    assert card.storage_error[first] == pytest.approx(1.5 * old_card.storage_error[first])
    assert card.storage_error[second] == old_card.storage_error[second]
    assert card.fingerprint != old_card.fingerprint


def test_a_better_scale_is_written_to_the_models_own_file_once(packed, exact):
    write_rescaled(packed, dict.fromkeys(load_card(packed).media, (0.5, 9.0)), packed)
    lines = rescale(packed, exact.path)
    assert [line.slope for line in lines.values()] == pytest.approx([2] * len(lines), abs=1e-3)
    predicted = Predictor.load(packed).predict_tokens(np.asarray(exact.tokens))
    first = np.asarray(exact.medium) == 0
    np.testing.assert_allclose(
        predicted[first, load_card(packed).media.index(exact.media[0])],
        exact.labels[first],
        atol=1e-3,
    )


def test_a_scale_that_is_right_is_left_alone(packed, held_out):
    with pytest.raises(ValueError, match="lowers the error of other families"):
        for _ in range(2):  # after the first fit, the best line is the identity
            rescale(packed, held_out.path)


def test_what_cannot_be_rescaled_is_an_error(held_out, small_run):
    with pytest.raises(ValueError, match="is not a packed model"):
        rescale(small_run, held_out.path)
    with pytest.raises(FileNotFoundError, match=r"absent.safetensors: no such run folder"):
        rescale("absent.safetensors", held_out.path)
    with pytest.raises(ValueError, match="is bundled and is not changed"):
        rescale("yeast", held_out.path)


@pytest.fixture
def in_unit(held_out, tmp_path):
    """The held-out rows, with another unit recorded for their labels."""

    def make(unit):
        folder = shutil.copytree(held_out.path, tmp_path / unit.replace(" ", "-"))
        manifest = json.loads((folder / "manifest.json").read_text())
        for medium in manifest["media"].values():
            medium["unit"] = unit
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    return make


def test_rows_in_another_unit_are_refused(packed, held_out, in_unit, caplog):
    """Raw counts became the scale of a model of logarithms, without a word."""
    counts = in_unit("raw counts")
    before = packed.read_bytes()
    refused = "are in the unit 'raw counts', but the model predicts the unit 'sorting bin'; give"
    for attempt in (
        lambda: rescale(packed, counts),
        lambda: calibrate(packed, counts),
        lambda: calibrate(packed, held_out.path, unlike=counts),
        lambda: calibrate(packed, differences=counts),
    ):
        with pytest.raises(ValueError, match=refused):
            attempt()
    assert packed.read_bytes() == before
    with caplog.at_level(logging.WARNING, "crmnet"):
        card = calibrate(packed, tests=[counts], options=CalibrateOptions(resamples=10))
    assert card.tests
    assert "'raw counts', but the model predicts the unit 'sorting bin'; errors" in caplog.text


def test_rows_in_an_unknown_unit_give_a_warning(packed, in_unit, caplog):
    with caplog.at_level(logging.WARNING, "crmnet"):
        calibrate(packed, in_unit("unknown"), options=CalibrateOptions(resamples=10))
    assert "are in the unit 'unknown', but the model predicts the unit 'sorting bin'" in caplog.text


def test_a_file_is_read_as_rows_of_the_first_medium_and_never_cut(packed, exact, tmp_path, caplog):
    """Its rows were taken for complex medium, and long ones were cut."""
    card = load_card(packed)
    write_rescaled(packed, dict.fromkeys(card.media, (0.5, 9.0)), packed)
    here = np.asarray(exact.medium) == exact.media.index(card.media[0])
    rows = [
        *zip(decode(*inserts(exact.tokens[here])), exact.labels[here], strict=True),
        *(("ACGTTGCA" * 20, 50.0 + n) for n in range(2)),
    ]
    file = write_rows(tmp_path / "rows.tsv", rows, "sequence expression")
    with caplog.at_level(logging.INFO, "crmnet"):
        lines = rescale(packed, file)
    assert lines.keys() == {card.media[0]}
    assert lines[card.media[0]] == pytest.approx((2, -18), abs=0.01)
    assert "longer" in caplog.text
