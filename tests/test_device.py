"""Devices by every name that torch takes, and one clear line for those that are not there."""

import pytest
import torch

from crmnet.device import choose_device


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu"), torch.device("cpu", 0), "cpu:0"])
def test_the_cpu_by_every_name(device):
    assert choose_device(device).type == "cpu"


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:1", torch.device("cuda", 1)])
def test_gpus_are_passed_on_as_named(two_gpus, device):
    assert choose_device(device) == torch.device(device)


def test_auto_takes_the_fastest_that_is_there(two_gpus):
    assert choose_device("auto") == choose_device() == torch.device("cuda")


def test_a_gpu_beyond_the_last_lists_those_that_are_there(two_gpus):
    with pytest.raises(
        ValueError, match=r"no device 'cuda:2', only cuda:0, cuda:1; use cpu or auto"
    ):
        choose_device("cuda:2")


def test_a_device_that_computes_nothing_is_not_there():
    with pytest.raises(ValueError, match="no device 'meta'; use cpu or auto"):
        choose_device("meta")


@pytest.mark.parametrize("device", ["gpu", "", None, 1.5])
def test_what_torch_does_not_know_is_named(device):
    with pytest.raises(ValueError, match=f"such as cpu, cuda, cuda:1 or mps; got {device!r}"):
        choose_device(device)
