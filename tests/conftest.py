"""What several test files share: few threads, and where the real data lie if they are there."""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")  # before torch is imported

import pytest
import torch

torch.set_num_threads(min(2, torch.get_num_threads()))

SHARED = Path(__file__).parents[2] / "shared"
"""Published data beside the checkout; they are not part of the project."""

needs_shared = pytest.mark.skipif(
    not (SHARED / "data" / "evolution").is_dir(),
    reason=f"the published data are not in {SHARED / 'data' / 'evolution'}",
)


TINY = [
    "encoder=[8,8]", "decoder=[8]", "tail=[4]", "dense=[16]", "dense_dropout=[0.1]",
    "transformer_blocks=1", "heads=1", "key_dim=8", "feed_forward=8",
    "batch_size=64", "validation_fraction=0.2", "device=cpu", "learning_rate=0.002",
    "final_learning_rate=0.00001", "warmup_epochs=1", "optimizer=adam", "weight_decay=0.0",
    "schedule=cosine", "precision=fp32",
]  # fmt: skip


def settings(*more):
    """Settings of a network small enough for seconds."""
    from crmnet.run import resolve

    return resolve("demo", [*TINY, *more])


@pytest.fixture(scope="session")
def assay(tmp_path_factory):
    """A small simulated data set with two media, families and weights."""
    from crmnet.simulate import AssayOptions, simulate

    return simulate(AssayOptions(600, seed=5), tmp_path_factory.mktemp("assay") / "assay")


@pytest.fixture
def crmnet(monkeypatch, capfd):
    """Run a command line; returns status, stdout, stderr."""

    from crmnet import cli

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["crmnet", *map(str, words)])
        try:
            cli.main()
            status = 0
        except SystemExit as stop:
            status = stop.code or 0
        return status, *capfd.readouterr()

    return run


@pytest.fixture(scope="session")
def small_run(assay, tmp_path_factory):
    """A trained run of a tiny network, for whatever needs a model."""
    from crmnet.train import train

    run = tmp_path_factory.mktemp("small") / "run"
    train(
        settings("epochs=1"),
        assay,
        run,
    )
    return run
