"""The training form of CRMnet gives the outputs, gradients and statistics of the network."""

import pytest
import torch

from crmnet.models import build
from crmnet.models.crmnet.fast_layers import FastDropout
from crmnet.models.crmnet.training_form import training_forward

pytestmark = pytest.mark.slow

QUIET = {"conv_dropout": 0.0, "transformer_dropout": 0.0, "dense_dropout": (0.0, 0.0)}
SIZE = {
    "encoder": (6, 6, 8, 8), "decoder": (8, 6, 6), "tail": (6, 4), "dense": (8, 8),
    "transformer_blocks": 4, "heads": 2, "key_dim": 6, "feed_forward": 6, "n_media": 2,
}  # fmt: skip
CHANGES = [
    {},
    {"key_dim": 8},  # as wide as the model, so merged
    {"key_dim": 12, "position": "additive", "transformer_blocks": 3},
    {"position": "none", "transformer_blocks": 1, "readout": "mean"},
    {"norm": "pre", "transformer_blocks": 2},
    {"transformer_blocks": 0, "decoder": ()},
    {"stem": 5, "stem_kernel": 7, "stem_width": 6, "readout": "mean-max"},
    {"recurrent": 5, "decoder": (), "tail": (), "readout": "mean-max"},
    {"recurrent": 4, "transformer_blocks": 0},
    {"squeeze_excitation": False},
    {"batch_norm": False},
    *({"kernel": kernel} for kernel in (3, 5, 7, 9)),
]


def one_hots(n, dtype=torch.float64):
    letters = torch.randint(4, (n, 112), generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.one_hot(letters, 4).to(dtype).transpose(1, 2)


def made(dtype=torch.float64, **changes):
    torch.manual_seed(0)
    network = build("crmnet", **{**SIZE, **QUIET, **changes}).to(dtype).train()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.3)
    return network


def step(network, forward, x_BCL):
    """Output, gradients and state after one backward pass."""
    output = forward(x_BCL)
    output.square().sum().backward()
    return output.detach(), {n: p.grad for n, p in network.named_parameters()}


@pytest.mark.parametrize("changes", CHANGES)
@pytest.mark.parametrize("training", [True, False])
def test_outputs_gradients_and_statistics_equal_those_of_the_network(changes, training):
    # In double precision, so that rounding cannot hide an error.
    plain, fast = made(**changes).train(training), made(**changes).train(training)
    x_BCL = one_hots(5)
    expected, gradients = step(plain, plain, x_BCL)
    found, ours = step(fast, lambda x: training_forward(fast, x), x_BCL)
    torch.testing.assert_close(found, expected)
    for name, gradient in gradients.items():
        torch.testing.assert_close(ours[name], gradient, msg=lambda m, n=name: f"{n}: {m}")
    for name, tensor in plain.state_dict().items():
        torch.testing.assert_close(fast.state_dict()[name], tensor)


def test_float32_outputs_are_equal_and_bfloat16_outputs_close():
    network = made(torch.float32, key_dim=8).eval()
    x_BCL = one_hots(64, torch.float32)
    with torch.no_grad():
        expected = network(x_BCL)
        exact, rounded = (
            training_forward(network, x_BCL, d) for d in (torch.float32, torch.bfloat16)
        )
    torch.testing.assert_close(exact, expected, atol=1e-5, rtol=1e-5)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, expected, atol=0.05 * expected.abs().max().item(), rtol=0)


@pytest.mark.parametrize("channels_last", [False, True])
def test_dropout_keeps_the_expected_share_and_scales_it(channels_last):
    ones = torch.ones(40, 50, 8)
    ones = ones.transpose(1, 2) if channels_last else ones
    dropout = FastDropout(torch.nn.Dropout(0.25), torch.float32)
    dropped = dropout(ones)
    assert dropped.stride() == ones.stride()
    kept = dropped != 0
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.01)  # of 16,000 values
    torch.testing.assert_close(dropped[kept], torch.full_like(dropped[kept], 4 / 3))
    # Neighbours in every direction are sampled independently.
    for dim in range(3):
        pairs = kept & kept.roll(1, dim)
        assert pairs.float().mean().item() == pytest.approx(0.75**2, abs=0.015)
    assert dropout.eval()(ones) is ones


def test_other_networks_take_the_plain_call():
    network = torch.nn.Flatten()
    assert torch.equal(training_forward(network, one_hots(2)), network(one_hots(2)))
