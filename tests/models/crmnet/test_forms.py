"""Contract of CRMnet's forms: for every layer of the network, both forms compute the same."""

import dataclasses
import gc
import weakref

import pytest
import torch
from torch import nn

from crmnet.models import build
from crmnet.models.crmnet.fast_layers import FAST_LAYERS, FastLayer
from crmnet.models.crmnet.inference_form import PREPARED_LAYERS
from crmnet.models.crmnet.network import CRMnetConfig
from crmnet.models.crmnet.training_form import training_form, training_forward
from crmnet.models.inference_form import for_inference
from crmnet.models.layers import DownConv

pytestmark = pytest.mark.slow

BASE = {
    "encoder": (6, 8, 8), "decoder": (8, 6), "tail": (6, 4), "dense": (8, 6),
    "transformer_blocks": 3, "heads": 2, "key_dim": 6, "feed_forward": 6, "kernel": 5,
    "conv_dropout": 0.0, "transformer_dropout": 0.0, "dense_dropout": (0.0, 0.0),
}  # fmt: skip
STEM = {"stem": 5, "stem_kernel": 7, "stem_width": 6}
OTHER = {
    "n_media": 2,
    "length": 56,
    "stem": 4,
    "stem_kernel": {**STEM, "stem_kernel": 9},
    "stem_width": {**STEM, "stem_width": 3},
    "stem_motifs": {**STEM, "stem_motifs": True},
    "encoder": (4, 6, 10),
    "kernel": 7,
    "batch_norm": False,
    "squeeze_excitation": False,
    "se_ratio": 3,
    "recurrent": 4,
    "transformer_blocks": 2,
    "heads": 3,
    "key_dim": 8,
    "feed_forward": 5,
    "position": "additive",
    "norm": "pre",
    "attention": "sdpa",
    "decoder": (6, 4),
    "tail": (4,),
    "readout": "mean-max",
    "dense": (5, 3),
    "conv_dropout": 0.5,
    "transformer_dropout": 0.5,
    "dense_dropout": (0.5, 0.25),
}
"""Another value of each setting, or several settings that belong together."""


def made(**changes):
    """A network in double precision whose biases and running statistics are not at their start."""
    torch.manual_seed(0)
    network = build("crmnet", **{**BASE, **changes}).double()
    for name, tensor in network.state_dict().items():
        if name.endswith("bias") or "running_mean" in name:
            tensor.normal_(std=0.3)
        elif "running_var" in name:
            tensor.uniform_(0.5, 2)
    return network


def one_hot(network, n=3):
    letters = torch.randint(4, (n, network.config.length))
    return nn.functional.one_hot(letters, 4).double().transpose(1, 2)


def gradients(network):
    found = {name: p.grad for name, p in network.named_parameters()}
    network.zero_grad()
    return found


def check_forms(network):
    """Compare both forms with the network: outputs, and gradients of the training form."""
    network.eval()
    x_BCL = one_hot(network)
    expected = network(x_BCL)
    expected.square().sum().backward()
    plain = gradients(network)
    found = training_forward(network, x_BCL)
    found.square().sum().backward()
    torch.testing.assert_close(found, expected)
    for name, gradient in gradients(network).items():
        torch.testing.assert_close(gradient, plain[name], msg=lambda m, n=name: f"{n}: {m}")
    network.float()
    with torch.inference_mode():
        expected, found = network(x_BCL.float()), for_inference(network)(x_BCL.float())
        rounded = for_inference(network, dtype=torch.bfloat16)(x_BCL.float())
        trained = training_forward(network, x_BCL.float(), torch.bfloat16)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for close in (rounded, trained):
        assert close.dtype == torch.float32
        torch.testing.assert_close(close, expected, atol=0.1 * expected.abs().max().item(), rtol=0)


@pytest.mark.parametrize("setting", [field.name for field in dataclasses.fields(CRMnetConfig)])
def test_every_setting_changes_both_forms_as_it_changes_the_network(setting):
    assert setting in OTHER, f"CRMnetConfig has a new setting: give OTHER a value of {setting!r}"
    changes = OTHER[setting] if isinstance(OTHER[setting], dict) else {setting: OTHER[setting]}
    network = made(**changes)
    default = getattr(CRMnetConfig(**BASE), setting)
    assert getattr(network.config, setting) not in (default, getattr(CRMnetConfig(), setting))
    check_forms(network)


@pytest.mark.parametrize("setting", ["conv_dropout", "transformer_dropout", "dense_dropout"])
def test_dropout_acts_in_the_training_form_and_not_in_the_inference_form(setting):
    network = made(**{setting: OTHER[setting]}).train()
    x_BCL = one_hot(network)
    assert not torch.equal(training_forward(network, x_BCL), training_forward(network, x_BCL))
    fast = for_inference(network.float())
    assert torch.equal(fast(x_BCL.float()), fast(x_BCL.float()))


class Doubling(nn.Module):
    """A layer without a fast version."""

    def forward(self, x):
        return 2 * x


class SteepDown(DownConv):
    """A subclass of a layer that has a fast version."""

    def forward(self, x_BCL):
        return 3 * super().forward(x_BCL)


def double_encoder(network):
    network.encoder[0].append(Doubling())


def double_bottleneck(network):
    network.waist = nn.Sequential(network.waist, Doubling())


def double_feed_forward(network):
    network.waist.blocks[1].contract = nn.Sequential(network.waist.blocks[1].contract, Doubling())


def double_tail(network):
    network.tail.append(Doubling())


def double_gate(network):
    network.tail[0].gate = Doubling()


def another_conv(network):
    network.tail.append(nn.Conv1d(4, 4, 3, padding="same"))


def norm_in_head(network):
    network.head.insert(1, nn.BatchNorm1d(8))


def double_head(network):
    network.head.insert(1, Doubling())


def steeper(network):
    network.down[0] = SteepDown(6, 6, 5)


def another_activation(network):
    network.waist.blocks[0].relu = nn.GELU()


NEW_LAYERS = [
    double_encoder, double_bottleneck, double_feed_forward, double_tail, double_gate, double_head,
    another_conv, norm_in_head, steeper, another_activation,
]  # fmt: skip


@pytest.mark.parametrize("change", NEW_LAYERS)
def test_a_new_layer_takes_part_in_both_forms(change):
    network = made().eval()
    x_BCL = one_hot(network)
    before = network(x_BCL)
    training_forward(network, x_BCL)  # this form must not be used after the change
    change(network)
    network.double()
    assert not torch.allclose(network(x_BCL), before)
    check_forms(network)


def test_the_training_form_has_the_parameters_of_the_network_and_follows_its_mode():
    network = made(conv_dropout=0.5)
    form = training_form(network)
    assert training_form(network) is form
    assert {id(p) for p in form.parameters()} == {id(p) for p in network.parameters()}
    x_BCL = one_hot(network)
    network.train()
    assert not torch.equal(training_forward(network, x_BCL), training_forward(network, x_BCL))
    network.eval()
    assert torch.equal(training_forward(network, x_BCL), training_forward(network, x_BCL))
    network.train().waist.eval()  # one part alone is in evaluation mode
    training_forward(network, x_BCL)
    assert network.encoder[0].training and not network.waist.training


def test_a_form_does_not_keep_its_network_alive():
    network = made()
    training_form(network)
    gone = weakref.ref(network)
    del network
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("table", [FAST_LAYERS, PREPARED_LAYERS])
def test_every_replaced_type_occurs_in_a_network(table):
    networks = [made(), made(**STEM, recurrent=3)]
    types = {type(module) for network in networks for module in network.modules()}
    assert set(table) <= types


def test_prepared_tensors_are_made_once_and_outside_inference_mode():
    fast = for_inference(made().float())
    with torch.inference_mode():
        fast(one_hot(made()).float())
    layers = [module for module in fast.modules() if isinstance(module, FastLayer)]
    kept = [layer for layer in layers if layer._kept is not None]
    assert len(kept) > 20
    assert all(layer.prepared() is layer.prepared() for layer in kept)
    tensors = [part for layer in kept if isinstance(layer._kept, tuple) for part in layer._kept]
    assert not any(part.is_inference() for part in tensors if isinstance(part, torch.Tensor))
