"""The paper's training regime: fine-tuning, pooled media, losses, averages, devices."""

import csv
import dataclasses
import itertools
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from crmnet.data.dataset import Dataset
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.loader import RowBatches, make_loader
from crmnet.data.media import output_of
from crmnet.data.splits import families
from crmnet.evaluation.score_sets import score_model
from crmnet.models.layers import bin_mean
from crmnet.prediction.predictor import Predictor
from crmnet.runs.folder import HISTORY, STATE, WEIGHTS, load_record
from crmnet.runs.settings import TrainSettings, resolve
from crmnet.sequence import decode
from crmnet.training.losses import row_losses, row_weights, soft_bin_loss
from crmnet.training.optimiser import learning_rate
from crmnet.training.resume import load_state
from crmnet.training.train import RunFolder, train
from support import TINY, settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def complex_only(assay, tmp_path_factory):
    """The rows of the simulated assay that were measured in complex medium."""
    folder = tmp_path_factory.mktemp("one-medium")
    here = np.asarray(assay.medium) == assay.media.index("complex")
    lines = zip(decode(assay.tokens[here]), assay.labels[here], assay.family[here], strict=True)
    (folder / "rows.tsv").write_text(
        "sequence\texpression\tfamily\n"
        + "".join(f"{text}\t{label:.9g}\t{family}\n" for text, label, family in lines)
    )
    return ingest([folder / "rows.tsv"], folder / "set", IngestOptions(media=("complex",)))


@pytest.fixture(scope="module")
def pooled(assay, tmp_path_factory):
    """A run with one output for both media."""
    run = tmp_path_factory.mktemp("pooled") / "pretrained"
    train(settings("epochs=1", "pool_media=true"), assay, run)
    return run


# -- rates ------------------------------------------------------------------------------------


def test_the_rate_of_the_released_code_is_constant_after_the_warm_up():
    s = TrainSettings(epochs=50, schedule="constant")
    assert [learning_rate(e, s) for e in (10, 11, 30, 50)] == [0.001] * 4
    assert learning_rate(5, s) == pytest.approx(0.00055)


@pytest.mark.parametrize("recipe", ["complex", "defined", "pretrain", "finetune-complex"])
def test_the_papers_recipes_have_the_papers_rates(recipe):
    s = resolve(f"paper-{recipe}").train
    assert (s.batch_size, s.loss, s.huber_delta, s.patience) == (1024, "huber", 1.0, 10)
    for epoch in range(51):
        expected = (
            0.0001 + epoch * 0.00009
            if epoch <= 10
            else 0.0001 + 0.00045 * (1 + math.cos(math.pi * (epoch - 10) / 40))
        )
        assert learning_rate(epoch, s) == pytest.approx(expected, rel=1e-12)


# -- fine-tuning and pooled media -------------------------------------------------------------


def test_an_output_may_stand_for_several_media():
    outputs = ["dream", "complex+defined"]
    assert [output_of(m, outputs) for m in ("complex", "defined", "dream")] == [1, 1, 0]
    assert output_of("complex+defined", outputs) == 1
    with pytest.raises(ValueError, match=r"no medium 'x'; the model has dream and complex.defined"):
        output_of("x", outputs)


def test_fine_tuning_starts_from_the_pre_trained_metrics(assay, complex_only, tmp_path):
    pretrained = tmp_path / "pretrained"
    # Without batch normalisation, whose statistics move at any learning rate.
    pre = settings("epochs=1", "pool_media=true", "even_media=true", "batch_norm=false")
    record = train(pre, assay, pretrained)
    assert record.media == ["complex+defined"]
    before = Predictor.load(pretrained)
    rows = score_model(before, complex_only)[0]
    # A learning rate of 0 does not change the weights, so epoch 0 stays the best.
    tuned = train(
        resolve("demo", [*training_only(), "epochs=1", "learning_rate=1e-30",
                         "start_learning_rate=1e-30", "final_learning_rate=0"],
                model=record.settings.model),
        complex_only, tmp_path / "tuned", validation=complex_only, start=pretrained,
    )  # fmt: skip
    r = np.corrcoef(rows.measured, rows.predicted)[0, 1]
    assert tuned.best.epoch == 0
    # One epoch's predictions hardly differ, so that float32 in the label's unit tells in r.
    assert tuned.best.metrics["val_r"] == pytest.approx(r, abs=1e-4)
    assert tuned.media == ["complex"]
    assert list(tuned.scale.values()) == list(record.scale.values())
    a, b = load_file(pretrained / WEIGHTS), load_file(tmp_path / "tuned" / WEIGHTS)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert tuned.data["start"]["run"] == "pretrained"


def test_fine_tuning_trains_all_weights(pooled, complex_only, tmp_path):
    model = load_record(pooled).settings.model
    train(
        resolve("demo", [*training_only(), "epochs=1"], model=model),
        complex_only, tmp_path / "tuned", start=pooled,
    )  # fmt: skip
    a = load_file(pooled / WEIGHTS)
    b = load_state(tmp_path / "tuned" / STATE)["state_dict"]
    changed = [n for n in a if not torch.equal(a[n], b[f"network.{n}"])]
    assert len(changed) > 0.9 * len(a)  # a unit that is never active learns nothing


@pytest.mark.parametrize("more", [(), ("ema=0.9", "workers=1")])
def test_an_interrupted_fine_tuning_resumes_to_the_same_weights(
    pooled, complex_only, tmp_path, monkeypatch, more
):
    changes = [*training_only(), "epochs=2", *more]
    tuning = resolve("demo", changes, model=load_record(pooled).settings.model)
    whole = train(tuning, complex_only, tmp_path / "whole", start=pooled)

    class Killed(Exception):
        pass

    def die(self, trainer, module):
        if trainer.current_epoch == 1:
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(RunFolder, "on_train_epoch_start", die)
        train(tuning, complex_only, tmp_path / "cut", start=pooled)
    resumed = train(tuning, complex_only, tmp_path / "cut", start=pooled, resume=True)
    assert resumed.best == whole.best
    a, b = (load_file(tmp_path / run / WEIGHTS) for run in ("whole", "cut"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_fine_tuning_does_not_change_between_bins_and_values(small_run, assay, tmp_path):
    model = load_record(small_run).settings.model
    bins = resolve("demo", [*training_only(), "loss=soft-bins"], model=model)
    with pytest.raises(ValueError, match=r"trained with train.loss=huber .* set train.loss=huber"):
        train(bins, assay, tmp_path / "run", start=small_run)
    assert not (tmp_path / "run").exists()


def test_fine_tuning_cannot_change_the_network():
    model = resolve("demo").model
    with pytest.raises(ValueError, match=r"model.heads=2: the run to start from determines"):
        resolve("demo", ["model.heads=2"], model=model)


def test_fine_tuning_can_change_dropout():
    model = resolve("demo", ["model.conv_dropout=0.3"]).model
    found = resolve("small", ["model.conv_dropout=0"], model=model).model
    assert found.settings == {**model.settings, "conv_dropout": 0.0}


def training_only():
    """The settings in TINY that are not of the network."""
    return [s for s in TINY if s.partition("=")[0] in TrainSettings.model_fields]


def test_a_pooled_model_is_evaluated_on_either_medium(assay, pooled):
    predictor = Predictor.load(pooled)
    assert {s.name.partition(":")[2] for s in score_model(predictor, assay)} == set(assay.media)
    a, b = (predictor.predict(["ACGT" * 20], medium=m) for m in ("complex", "defined"))
    assert a == b


def test_even_media_draw_all_of_the_smallest_and_as_many_of_the_others(assay):
    medium = np.asarray(assay.medium)
    few = np.bincount(medium).min()
    loader = make_loader(assay, 16, shuffle=True, even_media=True)
    seen = []
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        rows = np.concatenate(list(loader.sampler))
        assert np.bincount(medium[rows]).tolist() == [few, few]
        assert len(set(rows.tolist())) == 2 * few
        assert len(list(loader.sampler)) == len(loader)
        seen.append(set(rows.tolist()))
    assert seen[0] != seen[1]


def test_rows_are_sampled_by_their_probabilities():
    rows = np.arange(100, 104)
    sampler = RowBatches(rows, 1000, shuffle=True, sampling_weights=np.array([0.0, 1.0, 1.0, 2.0]))
    sampler.rows_per_class = 4000  # as an epoch of a data set that is a thousand times as large
    drawn = np.concatenate(list(sampler))
    assert len(drawn) == 4000
    share = np.bincount(drawn - 100, minlength=4) / 4000
    # Four standard deviations of a share of 4,000 draws.
    assert share == pytest.approx([0, 0.25, 0.25, 0.5], abs=4 * math.sqrt(0.25 / 4000))


def test_even_families_draw_every_family_equally_often(assay, monkeypatch, tmp_path):
    seen = {}

    def keep(data, batch_size, *, rows, sampling_weights=None, **rest):
        if sampling_weights is not None:
            seen.update(rows=rows, sampling_weights=sampling_weights)
        return make_loader(data, batch_size, rows=rows, sampling_weights=sampling_weights, **rest)

    monkeypatch.setattr("crmnet.training.train.make_loader", keep)
    train(settings("epochs=1", "even_families=1"), assay, tmp_path / "run")
    family = families(assay)[seen["rows"]]
    assert np.unique(family, return_counts=True)[1].max() > 1
    for one in np.unique(family):
        assert seen["sampling_weights"][family == one].sum() == pytest.approx(1)


# -- losses and weights -----------------------------------------------------------------------


def normal(x):
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


@pytest.mark.parametrize("label", [0.0, 3.0, 7.4, 17.0])
def test_soft_bins_are_their_closed_form(label):
    cuts = [-math.inf, *range(1, 18), math.inf]
    target = [
        normal((b - label - 0.5) / 0.5) - normal((a - label - 0.5) / 0.5)
        for a, b in itertools.pairwise(cuts)
    ]
    logits = torch.linspace(-1, 2, 18).double()
    log_p = logits - torch.logsumexp(logits, 0)
    divergence = sum(t * (math.log(t) - float(q)) for t, q in zip(target, log_p, strict=True) if t)
    found = soft_bin_loss(logits[None], torch.tensor([label], dtype=torch.float64), 0.5)
    assert float(found) == pytest.approx(divergence, abs=1e-9)


def test_the_target_of_an_integer_label_has_that_mean():
    # By symmetry: the bins around 7 get the same mass on both sides.
    logits = torch.zeros(1, 18, dtype=torch.float64, requires_grad=True)
    for _ in range(400):
        loss = soft_bin_loss(logits, torch.tensor([7.0]).double(), 0.5).sum()
        (slope,) = torch.autograd.grad(loss, logits)
        logits = (logits - 5 * slope).detach().requires_grad_()
    assert bin_mean(logits).item() == pytest.approx(7, abs=0.05)


@pytest.mark.parametrize("standardize", ["true", "false"])
def test_a_network_trained_on_bins_predicts_expression(assay, tmp_path, standardize):
    run = tmp_path / "run"
    record = train(settings("epochs=1", "loss=soft-bins", f"standardize={standardize}"), assay, run)
    predicted = Predictor.load(run).predict_tokens(assay.tokens[:40])
    assert predicted.shape == (40, 2)
    scored = score_model(Predictor.load(run), assay)
    assert {s.name.partition(":")[2] for s in scored} == set(record.media)
    assert 0 < predicted.mean() < 17


def test_labels_outside_the_bins_are_an_error(complex_only, tmp_path):
    rows = tmp_path / "rows.tsv"
    rows.write_text("".join(f"{t}\t{40 + i}\n" for i, t in enumerate(decode(complex_only.tokens))))
    data = ingest([rows], tmp_path / "set", IngestOptions(media=("complex",)))
    with pytest.raises(ValueError, match=r"outside the bins 0-17.*standardize=true"):
        train(settings("loss=soft-bins", "standardize=false"), data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_row_weights_by_hand():
    n, single = torch.tensor([1.0, 2.0, 6.0]), torch.tensor([True, False, False])

    def weights(**changes):
        return row_weights(n, single, TrainSettings(**changes)).tolist()

    assert weights() == [1, 1, 1]
    assert weights(row_weights="column") == [1, 2, 6]
    assert weights(row_weights="cells") == pytest.approx([1 / 3, 0.5, 0.75])
    assert weights(row_weights="column", singleton_weight=0.25) == [0.25, 2, 6]


def test_row_losses_by_hand():
    def losses(output, target, **changes):
        loss, predicted = row_losses(output, target, TrainSettings(**changes))
        assert predicted.shape == target.shape
        return loss.tolist(), predicted.tolist()

    output, target = torch.tensor([1.0, 5.0]), torch.tensor([1.5, 2.0])
    assert losses(output, target, loss="mse") == ([0.25, 9], [1, 5])
    assert losses(output, target, huber_delta=2.0) == ([0.125, 2 * (3 - 1)], [1, 5])
    logits = torch.full((2, 18), -50.0)
    logits[:, 4] = 50
    loss, predicted = losses(logits, torch.tensor([4.0, 9.0]), loss="soft-bins")
    assert predicted == pytest.approx([4, 4])
    assert loss[0] < loss[1]


def test_rows_of_weight_0_do_not_change_the_result(assay, tmp_path):
    # Rows of weight 0 have wrong labels, which must not change the learned weights.
    text = decode(assay.tokens)
    weights = []
    for name, nonsense in (("a", 0.0), ("b", 17.0)):
        rows = tmp_path / f"{name}.tsv"
        rows.write_text("sequence\texpression\n" + "".join(
            f"{t}\t{label if i % 2 else nonsense:.9g}\n"
            for i, (t, label) in enumerate(zip(text, assay.labels, strict=True))
        ))  # fmt: skip
        data = ingest([rows], tmp_path / name, IngestOptions(media=("complex",)))
        odd = (np.arange(len(data)) % 2).astype(np.float32)
        data = dataclasses.replace(data, weight=odd)
        train(settings("epochs=1", "row_weights=column", "standardize=false"), data,
              tmp_path / f"run-{name}", validation=data)  # fmt: skip
        weights.append(load_file(tmp_path / f"run-{name}" / WEIGHTS))
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])


def test_single_cells_can_have_less_weight(tmp_path):
    # With a factor of 0 the labels of single cells, which are integers, have no effect.
    weights = []
    for name, whole in (("low", 1), ("high", 9)):
        rows = [f"{'ACGT'[i % 4] * 40}{'ACGT'[i // 4 % 4] * 40}\t{i % 7 + 0.5}" for i in range(300)]
        rows[::3] = [row.split("\t")[0] + f"\t{whole}" for row in rows[::3]]
        (tmp_path / f"{name}.tsv").write_text("\n".join(rows) + "\n")
        data = ingest([tmp_path / f"{name}.tsv"], tmp_path / name)
        watch = ingest([tmp_path / "low.tsv"], tmp_path / f"watch-{name}")
        train(settings("epochs=1", "singleton_weight=0", "standardize=false"), data,
              tmp_path / f"run-{name}", validation=watch)  # fmt: skip
        weights.append(load_file(tmp_path / f"run-{name}" / WEIGHTS))
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])


def scaled(folder, name, offset, *media):
    rows = [f"{'ACGT'[i % 4] * 80}\t{i % 9 + offset}\t{media[i % len(media)]}" for i in range(90)]
    (folder / f"{name}.tsv").write_text("sequence\texpression\tmedium\n" + "\n".join(rows))
    return ingest([folder / f"{name}.tsv"], folder / name)


def test_media_on_different_scales_are_not_mixed_by_default(tmp_path):
    scaled(tmp_path, "bins", 0, "complex")
    scaled(tmp_path, "scores", -4, "dream")
    both = ingest([tmp_path / "bins.tsv", tmp_path / "scores.tsv"], tmp_path / "both")
    with pytest.raises(
        ValueError, match=r"different scales \(complex in sorting bin, dream in unk"
    ):
        train(settings("standardize=false"), both, tmp_path / "run")
    with pytest.raises(ValueError, match="one output for all media needs one unit"):
        train(settings("pool_media=true"), both, tmp_path / "run")
    other = scaled(tmp_path, "other", -4, "complex")
    bins = scaled(tmp_path, "bins2", 0, "complex")
    with pytest.raises(ValueError, match=r"sorting bin in .*bins2, but in unknown in .*other"):
        train(settings(), bins, tmp_path / "run", validation=other)
    assert not (tmp_path / "run").exists()


def test_weights_of_rows_need_a_column(complex_only, tmp_path):
    with pytest.raises(ValueError, match=r"has no weights; set train.row_weights=equal"):
        train(settings("row_weights=cells"), complex_only, tmp_path / "run")


def test_the_average_of_weights_follows_its_formula(assay, tmp_path, monkeypatch):
    trail = []
    from crmnet.training.module import TrainingModule

    follow = TrainingModule.on_train_batch_end

    def spy(self, *arguments):
        trail.append(self.network.head[0].weight.detach().clone())
        follow(self, *arguments)

    monkeypatch.setattr(TrainingModule, "on_train_batch_end", spy)
    train(settings("epochs=1", "ema=0.5"), assay, tmp_path / "run")
    expected = trail[0]
    for weight in trail[1:]:
        expected = 0.5 * expected + 0.5 * weight
    kept = load_file(tmp_path / "run" / WEIGHTS)["head.0.weight"]
    torch.testing.assert_close(kept, expected)
    assert not torch.equal(kept, trail[-1])


# -- devices ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "every_row"), [(37, True), (37, False), (40, False), (33, True)])
def test_processes_share_one_permutation(n, every_row):
    whole = RowBatches(np.arange(n), 8, shuffle=True, seed=3)
    shares = [
        RowBatches(np.arange(n), 4, shuffle=True, seed=3, rank=r, world_size=2, every_row=every_row)
        for r in range(2)
    ]
    batches = [list(share) for share in shares]
    assert len(batches[0]) == len(batches[1]) == len(shares[0])
    together = [np.concatenate(step) for step in zip(*batches, strict=True)]
    expected = [batch for batch in whole if every_row or len(batch) >= 2]
    assert [b.tolist() for b in together] == [b.tolist() for b in expected]


def test_half_precision_needs_a_gpu(assay, tmp_path):
    with pytest.raises(ValueError, match=r"fp16 needs a CUDA GPU"):
        train(settings("precision=fp16"), assay, tmp_path / "run")


def test_bfloat16_trains(assay, tmp_path):
    record = train(settings("epochs=1", "precision=bf16"), assay, tmp_path / "run")
    assert record.finished


PLAIN = ["dense_dropout=[0.0]", "conv_dropout=0.0", "transformer_dropout=0.0", "batch_norm=false"]


def command(data, run, *more, program=("-m", "crmnet")):
    given = dict(text.split("=", 1) for text in (*TINY, *more))  # the last value of a key counts
    arguments = [a for key, value in given.items() for a in ("--set", f"{key}={value}")]
    return [sys.executable, *program, "train", "demo", "--data", str(data),
            "-o", str(run), *arguments]  # fmt: skip


def run_quietly(arguments):
    clean = {k: v for k, v in os.environ.items() if k not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
    done = subprocess.run(arguments, env={**clean, "OMP_NUM_THREADS": "1"}, text=True,
                          capture_output=True, timeout=300, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def history(run):
    with (run / HISTORY).open() as file:
        return list(csv.DictReader(file))


RATES = {"learning_rate": 0.002, "start_learning_rate": 0.0002, "final_learning_rate": 0.00001}
DOUBLE = str(Path(__file__).with_name("train_in_double.py"))


def in_double(data, run, *more, program=(DOUBLE,)):
    """Train in double precision and return what was printed."""
    return run_quietly(command(data, run, *PLAIN, "epochs=2", *more, program=program)).stdout


@pytest.fixture(scope="module")
def one_process(assay: Dataset, tmp_path_factory):
    # 483 rows are ten steps of 48 and one of 3: 2 for one process, 1 for the other.
    run = tmp_path_factory.mktemp("one") / "run"
    rates = [f"{name}={rate}" for name, rate in RATES.items()]
    in_double(assay.path, run, *rates, "batch_size=48")
    return run


@pytest.fixture(scope="module")
def two_processes(assay: Dataset, tmp_path_factory):
    """Half of the rates, which grow with the number of devices."""
    run = tmp_path_factory.mktemp("two") / "run"
    rates = [f"{name}={rate / 2}" for name, rate in RATES.items()]
    return run, in_double(assay.path, run, *rates, "batch_size=24", "devices=2")


@pytest.fixture(scope="module")
def torchrun(assay: Dataset, tmp_path_factory):
    """The rates of one process."""
    run = tmp_path_factory.mktemp("torchrun") / "run"
    rates = [f"{name}={rate}" for name, rate in RATES.items()]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", DOUBLE]
    changes = [*rates, "batch_size=24", "devices=2", "scale_learning_rate=false"]
    return run, in_double(assay.path, run, *changes, program=launcher)


@pytest.mark.parametrize("launcher", ["plain", "torchrun"])
def test_two_processes_equal_one_with_the_same_global_batch(one_process, request, launcher):
    one = one_process
    two, printed = request.getfixturevalue({"plain": "two_processes"}.get(launcher, launcher))
    assert printed.count("run:") == 1  # one of them reports
    assert load_record(one).data["training_rows"] == 483
    a, b = load_file(one / WEIGHTS), load_file(two / WEIGHTS)
    assert a["head.0.weight"].dtype == torch.float64
    for name in a:
        torch.testing.assert_close(a[name], b[name], atol=1e-9, rtol=0, msg=name)
    for before, after in zip(history(one), history(two), strict=True):
        for metric in before.keys() - {"seconds"}:
            assert float(after[metric]) == pytest.approx(float(before[metric]), abs=1e-9)


def test_rates_grow_with_the_number_of_devices(two_processes):
    run, _ = two_processes
    assert load_record(run).settings.train.learning_rate == 0.001
    rate = float(history(run)[0]["learning_rate"])
    assert rate == pytest.approx(2 * 0.001)  # the warm-up is the first epoch
