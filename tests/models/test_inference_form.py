"""The inference form of networks that are not a CRMnet."""

import pytest
import torch
from torch.nn.functional import one_hot

from crmnet.models import build
from crmnet.models.inference_form import UnderAutocast, for_inference
from crmnet.models.zoo.deepatt_form import DeepATTForm


def inputs(rows=5, unknown=7):
    """Random inserts in a construct of 110 bases, some with N, one shorter."""
    torch.manual_seed(1)
    x_BCL = one_hot(torch.randint(4, (rows, 112)), 4).float().transpose(1, 2)
    x_BCL[:, :, 110:] = 0
    x_BCL[1, :, unknown] = 0
    x_BCL[2, :, 90:] = 0
    return x_BCL


@pytest.mark.parametrize(
    "changes", [{}, {"gate": "hard-sigmoid"}, {"n_media": 3, "pool": 4, "gate": "hard-sigmoid"}]
)
def test_deepatt_predicts_the_same_in_its_form(changes, monkeypatch):
    monkeypatch.setattr("crmnet.models.zoo.deepatt_form.BATCH_SIZE", 2)
    torch.manual_seed(0)
    network = build("deepatt", **changes).eval()
    for parameter in network.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.1)  # biases are 0 in a new network
    form = for_inference(network)
    assert isinstance(form, DeepATTForm)
    with torch.inference_mode():
        torch.testing.assert_close(form(inputs()), network(inputs()), atol=1e-5, rtol=1e-5)


def test_deepatt_in_bfloat16_or_on_a_gpu_stays_as_it_is():
    network = build("deepatt")
    assert isinstance(for_inference(network, dtype=torch.bfloat16), UnderAutocast)
    assert type(for_inference(network, torch.device("meta"))) is type(network)
