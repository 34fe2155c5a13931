"""Networks rearranged for prediction predict what the originals do."""

import pytest
import torch

from crmnet.models import build
from crmnet.models.inference import MergedAttention, for_inference
from crmnet.models.layers import MultiHeadAttention


def with_biases(network, seed=0):
    """Fresh networks have biases of zero and statistics of nothing; give them others."""
    torch.manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if name.endswith("bias") or "running_mean" in name:
            tensor.normal_(std=0.3)
        elif "running_var" in name:
            tensor.uniform_(0.5, 2)
    return network.eval()


@pytest.mark.parametrize(("channels", "heads", "key_dim"), [(6, 2, 6), (8, 3, 12), (5, 1, 5)])
def test_merged_attention_is_attention(channels, heads, key_dim):
    attention = with_biases(MultiHeadAttention(channels, heads, key_dim)).double()
    merged = MergedAttention(attention).double()
    x_BTC = torch.randn(3, 7, channels, dtype=torch.float64)
    # Merged weights are kept in float32.
    torch.testing.assert_close(merged(x_BTC), attention(x_BTC), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"key_dim": 128},
        {"position": "additive", "key_dim": 128},
        {"decoder": ()},
        {"transformer_blocks": 0},
        {"squeeze_excitation": False, "batch_norm": False},
    ],
)
def test_predictions_stay_the_same(changes):
    network = with_biases(build("crmnet-small", n_media=2, **changes))
    x_BCL = torch.nn.functional.one_hot(torch.randint(4, (5, 112)), 4).float().transpose(1, 2)
    with torch.inference_mode():
        expected, found = network(x_BCL), for_inference(network)(x_BCL)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_wide_heads_are_merged_and_narrow_ones_left():
    wide = for_inference(build("crmnet-small", key_dim=128))
    narrow = for_inference(build("crmnet-small"))
    assert isinstance(wide.waist.blocks[0].attend, MergedAttention)
    assert isinstance(narrow.waist.blocks[0].attend, MultiHeadAttention)


def test_the_original_is_left_as_it_was():
    network = build("crmnet-small", key_dim=128).train()
    fast = for_inference(network)
    assert network.training and all(p.requires_grad for p in network.parameters())
    assert not fast.training and not any(p.requires_grad for p in fast.parameters())
    assert isinstance(network.waist.blocks[0].attend, MultiHeadAttention)
