"""The inference form of CRMnet predicts what the network predicts."""

import pytest
import torch

from crmnet.models import build
from crmnet.models.crmnet.inference_form import CPUForm, MergedAttention
from crmnet.models.inference_form import for_inference
from crmnet.models.layers import BinMean, MultiHeadAttention


def with_biases(network, seed=0):
    """Give a new network, whose biases are 0 and whose statistics are untrained, random ones."""
    torch.manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if name.endswith("bias") or "running_mean" in name:
            tensor.normal_(std=0.3)
        elif "running_var" in name:
            tensor.uniform_(0.5, 2)
    return network.eval()


@pytest.mark.parametrize(("channels", "heads", "key_dim"), [(6, 2, 6), (8, 3, 12), (5, 1, 5)])
def test_merged_attention_equals_attention(channels, heads, key_dim):
    attention = with_biases(MultiHeadAttention(channels, heads, key_dim)).double()
    merged = MergedAttention(attention).double()
    x_BTC = torch.randn(3, 7, channels, dtype=torch.float64)
    # Merged weights are stored in float32.
    torch.testing.assert_close(merged(x_BTC), attention(x_BTC), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"key_dim": 128},
        {"position": "additive", "key_dim": 128},
        {"decoder": ()},
        {"transformer_blocks": 0},
        {"stem": 5, "stem_kernel": 7, "stem_width": 6, "recurrent": 4, "transformer_blocks": 0},
        {"squeeze_excitation": False, "batch_norm": False},
        {"squeeze_excitation": False},
        {"encoder": (64, 64, 64, 64), "decoder": (64, 8, 8)},  # wide enough for split convolutions
        {"encoder": (64, 64, 64, 64), "decoder": (64, 8, 8), "kernel": 5},
        {"encoder": (64, 64, 64, 64), "decoder": (64, 8, 8), "kernel": 11},
    ],
)
def test_predictions_equal_those_of_the_network(changes):
    network = with_biases(build("crmnet-small", n_media=2, **changes))
    x_BCL = torch.nn.functional.one_hot(torch.randint(4, (5, 112)), 4).float().transpose(1, 2)
    with torch.inference_mode():
        expected, found = network(x_BCL), for_inference(network)(x_BCL)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_on_a_gpu_wide_heads_are_merged_and_narrow_ones_kept():
    gpu = torch.device("meta")  # stands for any device except the CPU
    wide = for_inference(build("crmnet-small", key_dim=128), gpu)
    narrow = for_inference(build("crmnet-small"), gpu)
    assert isinstance(wide.waist.blocks[0].attend, MergedAttention)
    assert isinstance(narrow.waist.blocks[0].attend, MultiHeadAttention)


def test_the_original_network_is_not_changed():
    network = build("crmnet-small", key_dim=128).train()
    fast = for_inference(network)
    assert network.training and all(p.requires_grad for p in network.parameters())
    assert not fast.training and not any(p.requires_grad for p in fast.parameters())
    assert isinstance(network.waist.blocks[0].attend, MultiHeadAttention)


def test_a_crmnet_inside_another_module_is_replaced():
    network = with_biases(BinMean(build("crmnet-small", n_media=18)))
    fast = for_inference(network)
    assert isinstance(fast.network, CPUForm)
    x_BCL = torch.eye(4)[torch.randint(4, (3, 112))].transpose(1, 2)
    with torch.inference_mode():
        torch.testing.assert_close(fast(x_BCL), network(x_BCL), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "make", [lambda: build("crmnet-small"), lambda: torch.nn.Conv1d(4, 2, 112)]
)
def test_bfloat16_predictions_are_close_and_returned_in_float32(make):
    network = with_biases(make())
    x_BCL = torch.eye(4)[torch.randint(4, (20, 112))].transpose(1, 2)
    with torch.inference_mode():
        expected, found = network(x_BCL), for_inference(network, dtype=torch.bfloat16)(x_BCL)
    assert found.dtype == torch.float32
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, atol=0.05 * expected.abs().max().item(), rtol=0)


def test_slices_are_concatenated_in_order(monkeypatch):
    network = with_biases(build("crmnet-small"))
    x_BCL = torch.eye(4)[torch.randint(4, (7, 112))].transpose(1, 2)
    fast = for_inference(network)
    monkeypatch.setattr("crmnet.models.crmnet.inference_form.CPU_BATCH_SIZE", 3)
    with torch.inference_mode():
        torch.testing.assert_close(fast(x_BCL), network(x_BCL), atol=1e-5, rtol=1e-5)


def test_other_input_shapes_are_rejected():
    with pytest.raises(ValueError, match="one-hot"):
        for_inference(build("crmnet-small"))(torch.zeros(2, 5, 112))
