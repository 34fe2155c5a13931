"""Fine-tuning from any model, on media and units that it does not have."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from crmnet.data.dataset import Dataset
from crmnet.data.writer import DatasetWriter, EncodedRows, new_folder
from crmnet.prediction.predictor import Predictor
from crmnet.runs.folder import WEIGHTS, load_record, output_tensors
from crmnet.runs.packed import pack
from crmnet.runs.settings import resolve
from crmnet.training.train import train
from support import TINY

pytestmark = pytest.mark.slow

TRAINING = ["batch_size=64", "device=cpu", "precision=fp32", "warmup_epochs=1"]
STILL = ["epochs=1", "learning_rate=1e-30", "start_learning_rate=1e-30", "final_learning_rate=0"]
"""One epoch that changes no weight, so that the weights before training are kept."""


def relabelled(dataset, folder, labels, medium, unit):
    """The rows of a data set in one medium, with other labels."""
    rows = EncodedRows(
        np.asarray(dataset.tokens), np.asarray(labels, np.float32),
        np.zeros(len(dataset), np.uint8), [medium], np.asarray(dataset.family),
        units={medium: unit},
    )  # fmt: skip
    with new_folder(folder) as path, DatasetWriter(path) as writer:
        writer.append(rows, "labels")
        writer.finish(flanks="none", rejected={}, sources=[])
    return Dataset.open(folder)


def tune(data, run, start, *changes, model=None, resume=False):
    model = model or load_record(start).settings.model
    settings = resolve("demo", [*TRAINING, "standardize=true", *STILL, *changes], model=model)
    return train(settings, data, run, validation=data, start=start, resume=resume)


@pytest.mark.parametrize("output", [0, 1])
def test_a_new_medium_starts_as_the_output_that_fits_its_labels(small_run, assay, tmp_path, output):
    predicted = Predictor.load(small_run).predict_tokens(np.asarray(assay.tokens))
    labels = 100 * predicted[:, output] - 40
    data = relabelled(assay, tmp_path / "data", labels, "wine", "per mille")
    record = tune(data, tmp_path / "tuned", small_run)
    assert record.media == ["wine"] and record.units == {"wine": "per mille"}
    assert record.best.epoch == 0 and record.best.metrics["val_r2"] > 0.9999
    tuned = Predictor.load(tmp_path / "tuned").predict_tokens(np.asarray(assay.tokens))
    np.testing.assert_allclose(tuned[:, 0], labels, rtol=1e-4, atol=0.01)


def test_a_medium_in_another_unit_is_a_new_output(small_run, assay, tmp_path):
    first, second = load_record(small_run).media
    predicted = Predictor.load(small_run).predict_tokens(np.asarray(assay.tokens))
    data = relabelled(assay, tmp_path / "data", 2 * predicted[:, 1] + 1, first, "another unit")
    record = tune(data, tmp_path / "tuned", small_run)
    assert record.media == [first] and record.units == {first: "another unit"}
    assert record.scale[first].sd == pytest.approx(
        2 * load_record(small_run).scale[second].sd, rel=1e-4
    )


def test_known_media_keep_all_outputs_and_weights(small_run, assay, tmp_path):
    record = tune(assay, tmp_path / "tuned", small_run)
    assert record.media == load_record(small_run).media
    assert record.scale == load_record(small_run).scale
    a, b = load_file(small_run / WEIGHTS), load_file(tmp_path / "tuned" / WEIGHTS)
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_labels_unlike_every_output_keep_their_own_scale(small_run, assay, tmp_path):
    labels = np.random.default_rng(0).normal(5, 2, len(assay))
    data = relabelled(assay, tmp_path / "data", labels, "noise", "unknown")
    record = tune(data, tmp_path / "tuned", small_run)
    assert record.scale["noise"].mean == pytest.approx(labels.mean(), abs=1e-3)
    assert record.scale["noise"].sd == pytest.approx(labels.std(), rel=1e-3)


def test_training_starts_from_the_first_network_of_an_ensemble(small_run, assay, tmp_path, caplog):
    caplog.set_level("INFO", "crmnet")
    other = tmp_path / "other"
    train(resolve("demo", [*TINY, "epochs=1", "seed=9"]), assay, other)
    pack([small_run, other], tmp_path / "two.safetensors")
    model = load_record(small_run).settings.model
    tune(assay, tmp_path / "tuned", tmp_path / "two.safetensors", model=model)
    assert "starting from the first of the 2 networks" in caplog.text
    a, b = load_file(small_run / WEIGHTS), load_file(tmp_path / "tuned" / WEIGHTS)
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("loss", ["huber", "soft-bins"])
def test_the_tensors_of_the_last_layer_have_the_outputs(assay, tmp_path, loss):
    settings = resolve("demo", [*TINY, "epochs=1", f"loss={loss}", "standardize=true"])
    record = train(settings, assay, tmp_path / "run")
    state = load_file(tmp_path / "run" / WEIGHTS)
    names = output_tensors(record)
    assert len(names) == 2 and {name.rsplit(".", 1)[1] for name in names} == {"weight", "bias"}
    rows = 2 * (18 if loss == "soft-bins" else 1)
    assert {state[name].shape[0] for name in names} == {rows}


def test_a_run_with_a_wrong_scale_is_rescaled(small_run, assay, tmp_path):
    """Labels of a known medium are three times as far apart as the start predicts, plus 1."""
    base = load_record(small_run)
    medium = base.media[0]
    labels = 3 * Predictor.load(small_run).predict_tokens(np.asarray(assay.tokens))[:, 0] + 1
    data = relabelled(assay, tmp_path / "data", labels, medium, base.units[medium])
    kept = tune(data, tmp_path / "kept", small_run)
    assert kept.scale == base.scale
    again = tune(data, tmp_path / "again", small_run, "refit_scale=true")
    old, new = base.scale[medium], again.scale[medium]
    assert (new.sd, new.mean) == pytest.approx((3 * old.sd, 3 * old.mean + 1), rel=1e-4)
    assert again.scale[base.media[1]] == base.scale[base.media[1]]  # no row was measured in it
    assert load_record(tmp_path / "again").scale == again.scale
    predicted = Predictor.load(tmp_path / "again").predict_tokens(np.asarray(assay.tokens))
    np.testing.assert_allclose(predicted[:, 0], labels, rtol=1e-3, atol=1e-2)


def test_a_run_killed_before_it_is_rescaled_is_rescaled_by_resume(
    small_run, assay, tmp_path, monkeypatch
):
    base = load_record(small_run)
    medium = base.media[0]
    labels = 3 * Predictor.load(small_run).predict_tokens(np.asarray(assay.tokens))[:, 0] + 1
    data = relabelled(assay, tmp_path / "data", labels, medium, base.units[medium])
    run = tmp_path / "run"

    class Killed(Exception):
        pass

    def die(*_):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("crmnet.training.train.refit_scale", die)
        tune(data, run, small_run, "refit_scale=true")
    assert not load_record(run).finished
    resumed = tune(data, run, small_run, "refit_scale=true", resume=True)
    assert resumed.finished and load_record(run) == resumed
    assert resumed.scale[medium].sd == pytest.approx(3 * base.scale[medium].sd, rel=1e-4)
