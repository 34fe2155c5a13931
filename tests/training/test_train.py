"""Training through its public function, with a network that trains in seconds."""

import csv
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from crmnet.data.dataset import Dataset
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.sketch import Sketch
from crmnet.data.subset import copy_rows
from crmnet.files import WriteError, locked
from crmnet.motifs.jaspar import yeast_motifs
from crmnet.prediction.predictor import Predictor
from crmnet.runs.folder import (
    HISTORY,
    STATE,
    WEIGHTS,
    build_network,
    build_trainable,
    load_record,
    save_record,
)
from crmnet.runs.record import RunRecord
from crmnet.runs.settings import TrainSettings, resolve
from crmnet.sequence import decode
from crmnet.simulation.assay import AssayOptions, simulate
from crmnet.training import train as module
from crmnet.training.optimiser import learning_rate
from crmnet.training.resume import load_state
from crmnet.training.rows import choose_data
from crmnet.training.train import Diverged, is_main_process, train
from support import TINY, settings

pytestmark = pytest.mark.slow


def test_learning_rate_is_its_closed_form():
    s = TrainSettings(epochs=20, warmup_epochs=10)
    assert learning_rate(0, s) == pytest.approx(0.0001)
    assert learning_rate(5, s) == pytest.approx(0.00055)
    assert learning_rate(10, s) == pytest.approx(0.001)
    assert learning_rate(15, s) == pytest.approx(0.00055)  # cosine is half way at half time
    assert learning_rate(20, s) == pytest.approx(0.0001)
    for epoch in range(11, 20):
        expected = 0.0001 + 0.0009 * (1 + math.cos(math.pi * (epoch - 10) / 10)) / 2
        assert learning_rate(epoch, s) == pytest.approx(expected)


def test_no_warm_up_starts_at_the_peak():
    assert learning_rate(0, TrainSettings(warmup_epochs=0)) == pytest.approx(0.001)


def test_a_run_folder_has_its_files(assay, tmp_path):
    record = train(settings("epochs=2"), assay, tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {WEIGHTS, "run.json", HISTORY, STATE}
    assert record.finished
    assert record == load_record(tmp_path / "run")
    assert record.media == assay.media == list(record.scale)
    with (tmp_path / "run" / HISTORY).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    best = max(rows, key=lambda row: float(row["val_r2"]))
    assert record.best.epoch == int(best["epoch"])
    # The history has the rate at the end of each epoch: the peak, then the final rate.
    rates = [float(row["learning_rate"]) for row in rows]
    assert rates == pytest.approx([0.002, 0.00001])


def test_a_stem_begins_with_jaspars_matrices(assay, tmp_path):
    still = ("epochs=1", "learning_rate=1e-30", "start_learning_rate=1e-30",
             "final_learning_rate=0", "stem_width=4", "stem_motifs=true")  # fmt: skip
    train(settings(*still, "stem=178"), assay, tmp_path / "run")
    filters = load_file(tmp_path / "run" / WEIGHTS)["stem.scan.weight"].numpy()
    motifs = yeast_motifs()
    narrow = [(n, m) for n, m in enumerate(motifs) if m.width <= 15]
    assert len(motifs) == 176 and len(narrow) > 150
    for number, motif in narrow:
        left = (15 - motif.width) // 2
        odds = motif.log_odds() - motif.log_odds().mean(axis=0)
        expected = np.zeros((4, 15))
        expected[:, left : left + motif.width] = odds / np.sqrt((odds**2).sum() / 2)
        np.testing.assert_allclose(filters[number], expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"each of 176 motifs; got model.stem=10 "):
        train(settings(*still, "stem=10"), assay, tmp_path / "few")
    assert not (tmp_path / "few").exists()


def test_same_seed_same_weights_other_seed_others(assay, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(settings("epochs=1", f"seed={seed}"), assay, tmp_path / name)
    a, b, c = (load_file(tmp_path / name / WEIGHTS) for name in "abc")
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not all(torch.equal(a[k], c[k]) for k in a)


def test_standardised_training_predicts_in_the_unit_of_the_labels(assay, tmp_path):
    # The same rows in another unit: y → 100 y + 7 must give predictions 100 p + 7.
    names = [assay.media[number] for number in assay.medium]
    rows, scaled = tmp_path / "rows.tsv", tmp_path / "scaled.tsv"
    for path, labels in ((rows, assay.labels), (scaled, 100 * assay.labels.astype(float) + 7)):
        lines = zip(decode(assay.tokens), labels, names, assay.family, strict=True)
        path.write_text(
            "sequence\texpression\tmedium\tfamily\n"
            + "".join(f"{text}\t{label:.9g}\t{m}\t{f}\n" for text, label, m, f in lines)
        )
    predicted = []
    for path in (rows, scaled):
        data = ingest([path], tmp_path / f"{path.stem}-data", IngestOptions())
        train(settings("epochs=1"), data, tmp_path / path.stem)
        predicted.append(Predictor.load(tmp_path / path.stem).predict_tokens(assay.tokens[:50]))
    # Rounding grows in training: 5 is a twentieth of a bin in the other unit.
    np.testing.assert_allclose(predicted[1], 100 * predicted[0] + 7, atol=5)


@pytest.fixture
def ever_worse(monkeypatch):
    """Makes the validation R² fall from epoch to epoch."""
    calls = iter(range(100))
    monkeypatch.setattr(
        "crmnet.training.module.score",
        lambda measured, predicted: {"pearson": 0.5, "r2": -next(calls)},
    )


def test_the_best_epochs_weights_are_kept(assay, tmp_path, ever_worse):
    record = train(settings("epochs=3"), assay, tmp_path / "run")
    assert record.best.epoch == 1
    kept = load_file(tmp_path / "run" / WEIGHTS)["head.0.weight"]
    state = load_state(tmp_path / "run" / STATE)
    assert not torch.equal(kept, state["state_dict"]["network.head.0.weight"])


def test_early_stopping_counts_epochs_without_improvement(assay, tmp_path, ever_worse):
    train(settings("epochs=9", "patience=2"), assay, tmp_path / "run")
    with (tmp_path / "run" / HISTORY).open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]


def test_a_run_that_had_stopped_early_trains_no_further(assay, tmp_path, ever_worse):
    """It was killed after its last epoch, before it was marked as finished."""
    run = tmp_path / "run"
    made = settings("epochs=9", "patience=2")
    record = train(made, assay, run)
    history = (run / HISTORY).read_text()
    save_record(run, record.model_copy(update={"finished": False}))
    assert train(made, assay, run, resume=True).finished
    assert (run / HISTORY).read_text() == history


def test_a_given_validation_set_is_used(assay, tmp_path):
    record = train(settings("epochs=1"), assay, tmp_path / "run", validation=assay)
    assert record.data["training_rows"] == record.data["validation_rows"] == len(assay)


def test_validation_media_are_matched_by_name(assay, tmp_path):
    # The same rows with the media in the other order, and with one medium only.
    rows = [(s, y, assay.media[m]) for s, y, m in
            zip(decode(assay.tokens), assay.labels, assay.medium, strict=True)]  # fmt: skip
    rows.sort(key=lambda row: row[2], reverse=True)
    records = []
    for name, chosen in (("both", rows), ("one", [r for r in rows if r[2] == "defined"])):
        path = tmp_path / f"{name}.tsv"
        path.write_text(
            "sequence\texpression\tmedium\n" + "".join(f"{s}\t{y:.9g}\t{m}\n" for s, y, m in chosen)
        )
        watched = ingest([path], tmp_path / name, IngestOptions())
        assert watched.media[0] == "defined"
        records.append(
            train(settings("epochs=1"), assay, tmp_path / f"run-{name}", validation=watched)
        )
    straight = train(settings("epochs=1"), assay, tmp_path / "run", validation=assay)
    found = [record.best.metrics for record in (*records, straight)]
    assert found[0]["val_r_complex"] == pytest.approx(found[2]["val_r_complex"], abs=1e-4)
    assert found[1]["val_r_defined"] == pytest.approx(found[2]["val_r_defined"], abs=1e-4)


def test_a_validation_set_of_another_medium_is_an_error(assay, tmp_path):
    (tmp_path / "x.tsv").write_text("ACGT\t1\nACGA\t2\nACGC\t3\n")
    watched = ingest([tmp_path / "x.tsv"], tmp_path / "x", IngestOptions(media=("dream",)))
    with pytest.raises(ValueError, match=r"measured in dream, the training set in"):
        train(settings("epochs=1"), assay, tmp_path / "run", validation=watched)
    assert not (tmp_path / "run").exists()


def test_two_validation_rows_are_an_error(assay, tmp_path):
    with pytest.raises(ValueError, match=r"too few to compare .* raise train.validation_fraction"):
        train(settings("epochs=1", "validation_fraction=0.004"), assay, tmp_path / "run")


def test_one_gpu_is_chosen_by_its_number(tmp_path, monkeypatch):
    class Trainer:
        def __init__(self, **options):
            self.options = options

    monkeypatch.setattr("crmnet.training.train.pl.Trainer", Trainer)
    monkeypatch.setattr("crmnet.training.train.choose_device", torch.device)
    for name, expected in (("cuda:1", [1]), ("cuda", 1), ("cpu", 1)):
        chosen = settings(f"device={name}").train
        folder = SimpleNamespace(folder=tmp_path)
        trainer = module._trainer(chosen, folder, module._check_device(chosen))
        assert trainer.options["devices"] == expected
    with pytest.raises(ValueError, match="cuda:1 is one GPU; set train"):
        module._check_device(settings("device=cuda:1", "devices=2").train)


def test_a_missing_device_is_an_error_before_any_file_is_written(assay, tmp_path):
    if torch.backends.mps.is_available():
        missing = "cuda"
    else:
        missing = "mps"
    with pytest.raises(ValueError, match=f"no device '{missing}'; use cpu or auto"):
        train(settings("epochs=1", f"device={missing}"), assay, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_training_does_not_change_the_callers_random_state(assay, tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    train(settings("epochs=1"), assay, tmp_path / "run")
    assert torch.equal(torch.rand(2), expected)


def test_a_run_is_not_overwritten(assay, tmp_path):
    train(settings("epochs=1"), assay, tmp_path / "run")
    with pytest.raises(FileExistsError, match="--resume"):
        train(settings("epochs=1"), assay, tmp_path / "run")
    before = (tmp_path / "run" / WEIGHTS).read_bytes()
    assert train(settings("epochs=1"), assay, tmp_path / "run", resume=True).finished
    assert (tmp_path / "run" / WEIGHTS).read_bytes() == before
    with pytest.raises(ValueError, match=r"other settings: train.epochs was 1, is 2"):
        train(settings("epochs=2"), assay, tmp_path / "run", resume=True)


def test_a_run_is_resumed_after_its_data_were_renamed_but_not_on_other_data(assay, tmp_path):
    data = copy_rows(assay, np.arange(300), tmp_path / "data")
    held = copy_rows(assay, np.arange(300, 400), tmp_path / "held")
    run = tmp_path / "run"
    first = train(settings("epochs=1"), data, run, validation=held)
    before = (run / WEIGHTS).read_bytes()
    for name in ("data", "held"):
        (tmp_path / name).rename(tmp_path / f"{name}-renamed")
    data, held = (Dataset.open(tmp_path / f"{name}-renamed") for name in ("data", "held"))
    again = train(settings("epochs=1"), data, run, validation=held, resume=True)
    assert again == first
    assert (run / WEIGHTS).read_bytes() == before
    other = copy_rows(assay, np.arange(1, 301), tmp_path / "other")
    with pytest.raises(ValueError, match=r"other data: fingerprint was .*, name was 'data', is"):
        train(settings("epochs=1"), other, run, validation=held, resume=True)


def test_a_second_process_may_not_train_into_the_same_run(assay, tmp_path):
    with locked(tmp_path / "run"):
        with pytest.raises(WriteError, match="another process is writing"):
            train(settings("epochs=1"), assay, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("recipe", "text", "problem"),
    [
        ("satori", "model.pool=200", r"do not give a network: .*; change model.pool=200"),
        ("deepatt", "model.pool=500", r"leave nothing for layer .*; change model.pool=500"),
        ("danq", "model.pool=200", r"leave nothing for layer .*; change model.pool=200"),
    ],
)
def test_settings_that_fail_in_the_forward_pass_are_named(assay, tmp_path, recipe, text, problem):
    """Training ended with a traceback of torch, or with the name of a layer."""
    with pytest.raises(ValueError, match=rf"{problem} \(default \d+\)$"):
        train(resolve(recipe, [text, "device=cpu"]), assay, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_test_of_the_forward_pass_changes_nothing(assay):
    record = load_record_like(assay)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        before = torch.get_rng_state()
        tested = build_trainable(record, seed=5)
        assert torch.equal(torch.get_rng_state(), before)
    plain = build_network(record, seed=5)
    assert all(module.training for module in tested.modules())
    for name, value in plain.state_dict().items():
        assert torch.equal(value, tested.state_dict()[name]), name


def load_record_like(assay):
    """The record of a run that is about to be trained."""
    chosen = choose_data(settings().train, assay)
    return RunRecord(
        settings=module._with_outputs(settings(), chosen.outputs), media=chosen.outputs,
        scale=chosen.scale, data=chosen.summary(None, None), versions={},
    )  # fmt: skip


def test_a_run_of_an_earlier_version_without_a_sketch_is_resumed(assay, tmp_path):
    run = tmp_path / "run"
    train(settings("epochs=1"), assay, run)
    record = json.loads((run / "run.json").read_text())
    assert record["data"].pop("training_sketch")
    record["finished"] = False
    (run / "run.json").write_text(json.dumps(record))
    again = train(settings("epochs=1"), assay, run, resume=True)
    assert again.finished and "training_sketch" in again.data


def test_the_sketch_of_a_fine_tuned_run_holds_the_rows_of_both(assay, small_run, tmp_path):
    other = simulate(AssayOptions(200, seed=9), tmp_path / "other")
    train(settings("epochs=1"), other, tmp_path / "run", start=small_run)
    found = Sketch.from_text(load_record(tmp_path / "run").data["training_sketch"])
    before = Sketch.from_text(load_record(small_run).data["training_sketch"])
    rows = choose_data(settings().train, other, base=load_record(small_run)).rows
    own = Sketch.of(other.tokens, rows)
    np.testing.assert_array_equal(found.hashes, before.merged(own).hashes)


def test_a_fine_tuned_run_keeps_licence_and_citation(assay, small_run, tmp_path):
    base = tmp_path / "base"
    shutil.copytree(small_run, base)
    record = load_record(base)
    terms = {"licence": "MIT", "citation": "a paper"}
    save_record(base, record.model_copy(update={"data": {**record.data, **terms}}))
    run = train(settings("epochs=1"), assay, tmp_path / "run", start=base)
    assert terms.items() <= run.data.items()


@pytest.mark.parametrize("finished", [False, True])
def test_a_resumed_run_removes_what_a_kill_left(assay, tmp_path, finished):
    run = tmp_path / "run"
    record = train(settings("epochs=1"), assay, run)
    save_record(run, record.model_copy(update={"finished": finished}))
    for name in (".weights.safetensors.partial", ".state.safetensors.lock"):
        (run / name).write_text("left")
    train(settings("epochs=1"), assay, run, resume=True)
    assert not [path.name for path in run.iterdir() if path.name.startswith(".")]


def test_a_rank_of_another_program_does_not_silence_training(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert is_main_process()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    assert not is_main_process()


def test_divergence_is_an_error(assay, tmp_path):
    made = settings("epochs=2", "loss=mse", "learning_rate=1e30", "warmup_epochs=0")
    with pytest.raises(Diverged, match=r"diverged.*learning_rate"):
        train(made, assay, tmp_path / "run")


def test_resume_after_kill_9_equals_an_uninterrupted_run(crmnet, assay, tmp_path):
    sets = [part for text in (*TINY, "epochs=5") for part in ("--set", text)]
    words = ["train", "demo", "--data", str(assay.path), *sets]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    status, _, err = crmnet(*words, "-o", whole)
    assert status == 0, err

    command = [sys.executable, "-m", "crmnet", *words, "-o", str(killed)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while _epochs(killed) < 2 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 2 <= _epochs(killed) < 5
    assert not load_record(killed).finished

    status, _, err = crmnet(*words, "-o", killed, "--resume")
    assert status == 0, err
    assert load_record(killed).finished
    a, b = load_file(whole / WEIGHTS), load_file(killed / WEIGHTS)
    assert all(torch.equal(a[name], b[name]) for name in a)
    a, b = load_file(whole / STATE), load_file(killed / STATE)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert _without_times(whole) == _without_times(killed)


def _epochs(run):
    path = run / HISTORY
    return len(path.read_text().splitlines()) - 1 if path.exists() else 0


def _without_times(run):
    with (run / HISTORY).open() as file:
        return [{**row, "seconds": None} for row in csv.DictReader(file)]
