"""Averages of batch norm and scales of outputs, computed again; warnings of a finished run."""

import numpy as np
import pytest
import torch
from torch import nn

from crmnet.runs.folder import load_record
from crmnet.runs.record import BestEpoch
from crmnet.runs.settings import resolve
from crmnet.sequence import one_hot
from crmnet.statistics.scale import fit_cross_fitted
from crmnet.training.auto import choose
from crmnet.training.finish import doubts, refit_norms
from crmnet.training.optimiser import make_optimizer, make_schedule
from crmnet.training.train import train
from support import TINY, settings

pytestmark = pytest.mark.slow


def test_norms_get_the_mean_and_variance_of_the_rows():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4, momentum=0.01), nn.Dropout(0.5))
    network.train()
    tokens = torch.randint(4, (256, 10), dtype=torch.uint8)
    refit_norms(network, tokens, torch.device("cpu"))
    norm = network[1]
    x_BCL = one_hot(tokens)
    torch.testing.assert_close(norm.running_mean, x_BCL.mean(dim=(0, 2)))
    torch.testing.assert_close(norm.running_var, x_BCL.transpose(0, 1).flatten(1).var(dim=1))
    assert norm.momentum == 0.01 and network.training and norm.training


def test_a_line_is_fitted_if_it_lowers_the_error_of_other_families():
    rng = np.random.default_rng(0)
    predicted = rng.normal(size=200)
    family = np.arange(200, dtype=np.uint64) // 4
    labels = 3 * predicted + 5 + 0.1 * rng.normal(size=200)
    slope, offset = fit_cross_fitted(labels, predicted, family)
    assert (slope, offset) == (pytest.approx(3, abs=0.05), pytest.approx(5, abs=0.05))
    noisy = predicted + 0.5 * rng.normal(size=200)
    assert fit_cross_fitted(noisy, predicted, family) is None  # nothing to gain
    assert fit_cross_fitted(5 - predicted, predicted, family) is None  # the order stays
    assert fit_cross_fitted(labels[:30], predicted[:30], family[:30]) is None  # 8 families


def test_a_line_that_one_family_alone_supports_is_not_fitted():
    # One family of 100 rows is far off; all others are predicted exactly.
    predicted = np.concatenate([np.full(100, 9.0), np.linspace(0, 1, 40)])
    labels = np.concatenate([np.full(100, 30.0), np.linspace(0, 1, 40)])
    family = np.concatenate([np.zeros(100), np.arange(1, 41)]).astype(np.uint64)
    assert np.polyfit(predicted, labels, 1)[0] == pytest.approx(3.5, abs=0.3)
    fitted = fit_cross_fitted(labels, predicted, family)
    assert fitted is None


def test_norms_are_computed_again_before_each_validation(assay, tmp_path):
    lagging = train(settings("epochs=1", "refit_norms=false"), assay, tmp_path / "lagging")
    fresh = train(settings("epochs=1", "refit_norms=true"), assay, tmp_path / "fresh")
    assert fresh.best.metrics["loss"] == pytest.approx(lagging.best.metrics["loss"])  # same steps
    assert fresh.best.metrics["val_loss"] < lagging.best.metrics["val_loss"]


@pytest.mark.parametrize(
    ("best", "changes", "expected"),
    [
        ((3, 0.9, 0.80), (), 0),
        ((3, 0.9, 0.75), (), 1),
        ((3, 0.9, 0.11), ("refit_scale=true",), 0),
        ((1, 0.9, 0.80), (), 1),
        ((1, 0.9, 0.80), ("epochs=1",), 0),
        ((0, 0.9, 0.80), ("epochs=1",), 1),
    ],
)
def test_doubtful_runs_are_named(small_run, best, changes, expected):
    epoch, r, r2 = best
    record = load_record(small_run).model_copy(
        update={
            "settings": resolve("demo", list(changes)),
            "best": BestEpoch(epoch=epoch, metrics={"val_r": r, "val_r2": r2}),
        }
    )
    assert len(doubts(record)) == expected


def test_lower_layers_have_a_smaller_rate_and_a_frozen_stem_has_none(assay, tmp_path):
    chosen = settings("lower_rate=0.1", "schedule=one-cycle", "epochs=2").train
    network = nn.ModuleDict({"head": nn.Linear(2, 1), "encoder": nn.Linear(2, 2)})
    network["encoder"].bias.requires_grad_(False)
    optimizer = make_optimizer(network, chosen, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, pytest.approx(0.05)]
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 1]
    make_schedule(optimizer, chosen, 10)
    assert [group["max_lr"] for group in optimizer.param_groups] == [0.5, pytest.approx(0.05)]
    with pytest.raises(ValueError, match=r"no stem to freeze; set train.freeze_stem=false"):
        train(settings("freeze_stem=true"), assay, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("rows", [100, 500, 3_000, 10_000, 50_000])
def test_auto_chooses_more_epochs_and_a_larger_held_out_share_for_fewer_rows(rows):
    values = {choice.key: choice.value for choice in choose(rows)}
    held_out = float(values["train.validation_fraction"]) * rows
    assert held_out >= min(300, 0.2 * rows) * 0.99
    steps = int(values["train.epochs"]) * (rows - held_out) / int(values["train.batch_size"])
    assert steps >= 3_000 or values["train.epochs"] == "40"
    assert resolve("auto", [choice.override for choice in choose(rows)])


def test_choices_of_auto_follow_from_what_the_user_chose():
    chosen = {choice.key: choice for choice in choose(3_000, {"train.epochs": 4})}
    assert chosen["train.warmup_epochs"].value == "1"  # a quarter of 4
    assert "train.epochs" not in chosen and "train.batch_size" in chosen
    given = {"train.batch_size": 32, "train.validation_fraction": 0.25, "model.encoder": [8]}
    chosen = {choice.key: choice for choice in choose(8_000, given)}
    # 6,000 rows in batches of 32 are 187.5 steps an epoch, so 16 epochs are 3,000 steps.
    assert chosen["train.epochs"][1:] == ("16", "about 3,000 steps in all")
    assert chosen["train.warmup_epochs"].value == "4"
    assert chosen.keys() == {"train.epochs", "train.warmup_epochs", "model.recurrent"}


def train_auto(crmnet, assay, run, *more):
    """What the command prints; a tiny network."""
    narrow = [a for s in TINY if s.split("=")[0] in resolve("auto").model.settings
              for a in ("--set", s)]  # fmt: skip
    status, _, error = crmnet(
        "train", "auto", "--data", assay.path, "-o", run, *narrow,
        "--set", "epochs=2", "--set", "model.stem=8", "--set", "model.stem_motifs=false", *more,
    )  # fmt: skip
    assert status == 0
    return error


def test_auto_holds_out_no_rows_beside_a_validation_set(crmnet, assay, tmp_path):
    """It printed, and counted with, a held-out share that was not used."""
    error = train_auto(crmnet, assay, tmp_path / "run", "--validation", assay.path)
    assert "train.warmup_epochs=0.5" in error and "validation_fraction" not in error


def test_the_command_prints_what_auto_chose(crmnet, assay, tmp_path):
    error = train_auto(crmnet, assay, tmp_path / "run")
    assert f"auto, for {len(assay):,} rows:" in error
    assert "train.batch_size=32" in error and "train.epochs" not in error
    assert "train.warmup_epochs=0.5  (a quarter of the epochs)" in error
    assert load_record(tmp_path / "run").settings.train.epochs == 2
