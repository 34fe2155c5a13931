"""Layers rewritten for DeepLIFT compute the same, let gradients through, and each has its rule."""

import pytest
import torch
from tangermeme.deep_lift_shap import deep_lift_shap
from torch import nn

from crmnet.models import MODELS, build
from crmnet.models.crmnet.network import ReadOut
from crmnet.models.crmnet.stem import MotifStem
from crmnet.models.deeplift_form import for_deeplift
from crmnet.models.ensemble import Ensemble
from crmnet.models.layers import (
    BiLSTM,
    BinMean,
    MultiHeadAttention,
    SqueezeExcitation,
    rectified_attention,
)
from support import WIDTHS

pytestmark = pytest.mark.slow


class Turned(nn.Module):
    """A layer that takes ``(B, L, C)``, among those that take ``(B, C, L)``."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x_BCL):
        return self.layer(x_BCL.transpose(1, 2)).flatten(1)


class OutputsOf(nn.Module):
    """What an LSTM gives at each position."""

    def __init__(self, lstm):
        super().__init__()
        self.lstm = lstm

    def forward(self, x_BLC):
        return self.lstm(x_BLC)[0]


def loud_stem():
    """A stem many of whose scores are above the cap."""
    stem = MotifStem(6, 3, 5)
    nn.init.constant_(stem.norm.bias, 2.5)
    return stem


LAYERS = {
    "gate": lambda: SqueezeExcitation(4),
    "stem": loud_stem,
    "lstm": lambda: Turned(BiLSTM(4, 5)),
    "lstm with hard gates": lambda: Turned(BiLSTM(4, 5, "hard-sigmoid")),
    "lstm with biases": lambda: Turned(
        OutputsOf(nn.LSTM(4, 5, bidirectional=True, batch_first=True))
    ),
    "attention": lambda: Turned(MultiHeadAttention(4, heads=2, key_dim=3)),
    "rectified": lambda: Turned(rectified_attention(4, heads=2, key_dim=3)),
    "mean-max": lambda: Turned(ReadOut("mean-max")),
    "mean": lambda: Turned(ReadOut("mean")),
    "soft bins": lambda: BinMean(nn.Sequential(nn.Flatten(), nn.Linear(4 * 12, 36))),
}


def one_hot(batch, length=12):
    bases = torch.randint(4, (batch, length), generator=torch.Generator().manual_seed(1))
    return nn.functional.one_hot(bases, 4).float().transpose(1, 2)


@pytest.fixture(params=LAYERS)
def layer(request):
    torch.manual_seed(0)
    return LAYERS[request.param]().eval()


def test_values_and_gradients_stay(layer):
    form = for_deeplift(layer)
    gradients = []
    for network in (layer, form):
        # No two positions alike: the gradient of a maximum is shared among ties, or not.
        x_BCL = (one_hot(3) + torch.linspace(0, 1, 144).view(3, 4, 12)).requires_grad_()
        y = network(x_BCL)
        (y * torch.arange(y.numel()).view(y.shape)).sum().backward()
        gradients.append((y.detach(), x_BCL.grad))
    torch.testing.assert_close(gradients[1], gradients[0], atol=2e-5, rtol=1e-5)


def test_deeplift_adds_up_without_further_rules(layer):
    x_BCL = one_hot(4, 12)
    read = nn.Sequential(layer, nn.Flatten(), nn.Linear(layer(x_BCL).flatten(1).shape[1], 1))
    references = one_hot(8, 12).flip(2).view(4, 2, 4, 12)
    # Warnings, which are errors in tests, come where deltas exceed 0.001 or 1 % of the difference.
    given = deep_lift_shap(
        for_deeplift(read), x_BCL, references=references, device="cpu", raw_outputs=True
    )
    with torch.no_grad():
        gap = read(x_BCL) - read(references.flatten(0, 1)).view(4, 2)
    torch.testing.assert_close(
        (given * (x_BCL[:, None] - references)).sum(dim=(2, 3)), gap, atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("name", MODELS)
def test_every_network_keeps_its_predictions(name):
    torch.manual_seed(0)
    network = Ensemble([build(name, n_media=2, **WIDTHS.get(name, {}))], reverse_complement=True)
    x_BCL = one_hot(2, 112)
    with torch.inference_mode():
        expected, found = network.eval()(x_BCL), for_deeplift(network)(x_BCL)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_network_itself_is_left_alone():
    torch.manual_seed(0)
    network = build("crmnet-small", stem=3, recurrent=2, **WIDTHS["crmnet-small"])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    form = for_deeplift(network)
    assert network.training and not form.training
    assert all(weight.requires_grad for weight in network.parameters())
    assert not any(weight.requires_grad for weight in form.parameters())
    for weight in [*form.parameters(), *form.buffers()]:
        weight.zero_()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_without_tangermeme_products_are_plain(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tangermeme.deep_lift_shap", None)
    torch.manual_seed(0)
    layer = LAYERS["attention"]()
    x_BCL = one_hot(2)
    torch.testing.assert_close(for_deeplift(layer)(x_BCL), layer(x_BCL), atol=1e-6, rtol=1e-5)
