"""Fixtures that several test files share."""

import os
import sys

# Before torch is imported. With pytest-xdist each process of the tests has one thread; its workers
# inherit what the main process has set, so here it is replaced.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime sends usage data otherwise

import pytest
import torch

from crmnet.process import start_fast
from support import settings

start_fast()  # without searches for garbage among the objects of imported modules
torch.set_num_threads(min(int(os.environ["OMP_NUM_THREADS"]), torch.get_num_threads()))


@pytest.fixture(scope="session")
def assay(tmp_path_factory):
    """A small simulated data set with two media, families and weights."""
    from crmnet.simulation.assay import AssayOptions, simulate

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
    """A trained run of a tiny network, for all tests that need a model."""
    from crmnet.training.train import train

    run = tmp_path_factory.mktemp("small") / "run"
    train(
        settings("epochs=1"),
        assay,
        run,
    )
    return run
