"""Every network trains with its authors' recipe and with the common recipe, and predicts."""

import numpy as np
import pytest

from crmnet.models import MODELS, build
from crmnet.prediction.predictor import Predictor
from crmnet.runs.settings import resolve
from crmnet.training.train import train
from support import WIDTHS

pytestmark = pytest.mark.slow

QUICK = ["epochs=1", "warmup_epochs=0.3", "batch_size=512", "validation_fraction=0.2", "device=cpu"]


def narrow(name):
    return [f"model.{key}={list(value) if isinstance(value, tuple) else value}"
            for key, value in WIDTHS.get(name, {}).items()]  # fmt: skip


@pytest.mark.parametrize("own", [True, False], ids=["own", "common"])
@pytest.mark.parametrize("name", MODELS)
def test_every_network_trains_and_predicts(name, own, assay, tmp_path):
    recipe = MODELS[name].card.recipe if own else "common"
    settings = resolve(recipe, [f"model.name={name}", *QUICK, *narrow(name)])
    if own and settings.train.loss == "soft-bins":  # simulated labels exceed 0-17
        settings = resolve(recipe, [*QUICK, *narrow(name), "standardize=true"])
    record = train(settings, assay, tmp_path / "run")
    assert record.finished and record.best is not None
    predicted = Predictor.load(tmp_path / "run", device="cpu").predict(["ACGT" * 20, "TTGCA" * 16])
    assert predicted.shape == (2, 2)
    assert np.isfinite(predicted).all()


def test_any_network_can_have_soft_bins():
    network = build("deepatt", soft_bins=True, n_media=2)
    assert network.network.head[-1].out_features == 36
