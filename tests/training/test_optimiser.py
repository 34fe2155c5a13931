"""Optimisers, the one-cycle schedule, the weight penalty, and marks in training batches."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from crmnet.data.loader import Batch
from crmnet.prediction.predictor import Predictor
from crmnet.runs.folder import STATE, WEIGHTS, load_run
from crmnet.runs.record import Scale
from crmnet.runs.settings import TrainSettings, resolve
from crmnet.sequence import one_hot, reverse_complement
from crmnet.training.losses import mean_absolute_weight
from crmnet.training.module import TrainingModule
from crmnet.training.optimiser import make_optimizer, make_schedule
from crmnet.training.train import RunFolder, train
from support import settings

pytestmark = pytest.mark.slow


def tiny_legnet(*more):
    """Settings of a network with marks that trains in a second."""
    quick = ["model.widths=[8,4]", "batch_size=128", "validation_fraction=0.2", "device=cpu"]
    return resolve("legnet", [*quick, "standardize=true", "mark_singletons=false", *more])


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", "Adam"), ("adamw", "AdamW"), ("rmsprop", "RMSprop")]
)
def test_optimisers_by_name(name, kind):
    network = nn.Linear(2, 1)
    made = make_optimizer(network, TrainSettings(optimizer=name, weight_decay=0.1), 0.01)
    assert type(made).__name__ == kind
    assert (made.defaults["lr"], made.defaults["weight_decay"]) == (0.01, 0.1)


def test_one_step_of_rmsprop_by_hand():
    # Gradient 2, mean square 0.1 · 4: the step is 0.01 · 2 / √0.4.
    network = nn.Linear(1, 1, bias=False)
    nn.init.ones_(network.weight)
    made = make_optimizer(network, TrainSettings(optimizer="rmsprop"), 0.01)
    (2 * network.weight).sum().backward()
    made.step()
    assert network.weight.item() == pytest.approx(1 - 0.02 / math.sqrt(0.4), abs=1e-6)


def test_one_cycle_rises_and_falls_along_cosines():
    s = TrainSettings(epochs=10, schedule="one-cycle", warmup_epochs=3, learning_rate=0.5,
                      start_learning_rate=0.02, final_learning_rate=0.001)  # fmt: skip
    optimizer = make_optimizer(nn.Linear(1, 1), s, 0.5)
    schedule = make_schedule(optimizer, s, steps_per_epoch=10)
    rates, betas = [], []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        betas.append(optimizer.param_groups[0]["betas"][0])
        optimizer.step()
        schedule.step()
    # 30 of 100 steps rise; torch counts the first as 0 and the last as 99.
    assert rates[0] == pytest.approx(0.02)
    assert rates[29] == max(rates) == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.001)
    assert rates[64] == pytest.approx((0.5 + 0.001) / 2)  # half way down
    assert (betas[0], betas[29], betas[99]) == pytest.approx((0.95, 0.85, 0.95))


def test_the_mean_absolute_weight_by_hand():
    network = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1), nn.Linear(1, 1))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0, -2.0]]))
        network[2].weight.fill_(6.0)
    assert mean_absolute_weight(network).item() == pytest.approx(3)  # (1 + 2 + 6) / 3


def module(**changes):
    s = tiny_legnet(*(f"{key}={value}" for key, value in changes.items()))
    from crmnet.models import build

    network = build("legnet", widths=(8, 4))
    return TrainingModule(network, s.train, {"complex": Scale()}, steps_per_epoch=1)


def batch_of(labels):
    n = len(labels)
    tokens = torch.randint(4, (n, 112), dtype=torch.uint8)
    labels = torch.tensor(labels)
    medium, weight = torch.zeros(n, dtype=torch.long), torch.ones(n)
    return Batch(tokens, labels, medium, weight, labels == labels.round())


@pytest.mark.parametrize(("share", "strand"), [("0.0", 0), ("1.0", 1)])
def test_strand_and_singletons_are_marked_for_a_network_with_marks(share, strand):
    batch = batch_of([3.0, 3.5, 0.0])
    shown = module(reverse_complement=share, mark_singletons="true")._augmented(batch)
    assert shown.shape == (3, 6, 112)
    assert torch.equal(shown[:, :4].argmax(dim=1).to(torch.uint8), batch.tokens)  # forward
    assert (shown[:, 4] == strand).all()
    assert shown[:, 5, 0].tolist() == [1, 0, 1]


def test_singletons_are_not_marked_by_default():
    shown = module(reverse_complement="0.0")._augmented(batch_of([3.0, 4.0]))
    assert not shown[:, 4:].any()


def test_a_batch_without_weight_has_loss_0_and_no_gradient(monkeypatch):
    """Its mean loss was 0 / 0, and one such batch set all weights of the network to NaN."""
    trained, logged = module(singleton_weight="0"), []
    monkeypatch.setattr(trained, "log", lambda name, value, **_: logged.append(value.item()))
    loss = trained.training_step(batch_of([3.0, 4.0]), 0)
    loss.backward()
    assert (loss.item(), logged) == (0, [0])
    assert all((p.grad == 0).all() for p in trained.parameters() if p.grad is not None)
    assert any(p.grad is not None for p in trained.parameters())


def test_marks_for_a_network_without_them_are_an_error(assay, tmp_path):
    with pytest.raises(ValueError, match="no channel for singletons"):
        train(settings("mark_singletons=true"), assay, tmp_path / "run")


def test_any_network_can_average_both_strands(assay, tmp_path):
    train(settings("epochs=1", "average_strands=true"), assay, tmp_path / "run")
    predictor = Predictor.load(tmp_path / "run")
    turned = reverse_complement(assay.tokens[:20])
    forward, backward = (
        predictor.predict_tokens(assay.tokens[:20]),
        predictor.predict_tokens(turned),
    )
    np.testing.assert_allclose(forward, backward, atol=1e-5)
    network, record = load_run(tmp_path / "run")
    first = record.scale[record.media[0]]
    with torch.inference_mode():
        each = [network.eval()(one_hot(torch.from_numpy(np.array(t))))[:, 0]
                for t in (assay.tokens[:20], turned)]  # fmt: skip
    mean = (each[0] + each[1]).numpy() / 2 * first.sd + first.mean
    np.testing.assert_allclose(forward[:, 0], mean, atol=1e-5)


def test_one_cycle_with_marks_resumes_to_the_same_and_predicts_both_strands(
    assay, tmp_path, monkeypatch
):
    s = tiny_legnet("epochs=2", "warmup_epochs=1")
    train(s, assay, tmp_path / "whole")

    class Stopped(Exception):
        pass

    ended = RunFolder.on_train_epoch_end

    def stop(self, *args):
        ended(self, *args)
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "on_train_epoch_end", stop)
        with pytest.raises(Stopped):
            train(s, assay, tmp_path / "killed")
    train(s, assay, tmp_path / "killed", resume=True)
    for file in (WEIGHTS, STATE):
        a, b = load_file(tmp_path / "whole" / file), load_file(tmp_path / "killed" / file)
        assert all(torch.equal(a[key], b[key]) for key in a)

    predictor = Predictor.load(tmp_path / "whole", device="cpu")
    x_BCL = torch.eye(4)[torch.randint(4, (5, 112))].transpose(1, 2).contiguous()
    network = predictor.model.network.network
    marks = torch.zeros(5, 2, 112)
    marks[:, 0] = 1
    with torch.no_grad():
        both = (network(x_BCL) + network(torch.cat([x_BCL, marks], dim=1))) / 2
        torch.testing.assert_close(predictor.model.network(x_BCL), both)


@pytest.mark.parametrize("epochs", [1, 2, 3])
@pytest.mark.parametrize("steps_per_epoch", [1, 2, 3])
def test_one_cycle_has_a_peak_in_the_shortest_runs(epochs, steps_per_epoch):
    chosen = TrainSettings(schedule="one-cycle", epochs=epochs, warmup_epochs=3)
    optimizer = make_optimizer(nn.Linear(1, 1), chosen, chosen.learning_rate)
    schedule = make_schedule(optimizer, chosen, steps_per_epoch)
    rates = []
    for _ in range(epochs * steps_per_epoch):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert max(rates) <= chosen.learning_rate * (1 + 1e-9)
    assert rates[-1] <= max(rates)
    assert all(map(math.isfinite, rates))


@pytest.mark.parametrize("clip", [0.0, 0.01])
def test_gradients_are_scaled_to_the_largest_norm(assay, tmp_path, monkeypatch, clip):
    norms = []
    step = torch.optim.Adam.step

    def measured(self, *args, **kwargs):
        result = step(self, *args, **kwargs)  # runs Lightning's closure: backward pass, clipping
        gradients = [p.grad.norm() for group in self.param_groups for p in group["params"]]
        norms.append(torch.stack(gradients).norm().item())
        return result

    monkeypatch.setattr(torch.optim.Adam, "step", measured)
    train(settings("epochs=1", f"gradient_clip={clip}"), assay, tmp_path / "run")
    assert (max(norms) <= 0.01 * 1.001) == bool(clip)
