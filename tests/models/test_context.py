"""Inputs of the zoo's networks, spelled as letters."""

import pytest
import torch

from crmnet.models import build
from crmnet.models.context import (
    PLASMID_5,
    DreamInput,
    PlasmidContext,
    as_vaishnav,
    fill_n,
    right_aligned,
)
from crmnet.sequence import ADAPTER_3, ADAPTER_5, encode, fit_length, one_hot
from support import SHARED, needs_shared


def construct(insert="ACGT" * 20, count=1):
    tokens = fit_length(*encode([ADAPTER_5 + insert + ADAPTER_3] * count), 112)
    return one_hot(torch.from_numpy(tokens))


def spelled(x_CL, alphabet="ACGT"):
    """Letters of a one-hot ``(4, L)``; N where all channels are equal."""
    known = x_CL.max(dim=0).values != x_CL.min(dim=0).values
    letters = [alphabet[i] for i in x_CL.argmax(dim=0)]
    return "".join(c if k else "N" for c, k in zip(letters, known, strict=True))


def test_each_row_moves_to_the_right_by_its_padding():
    x = one_hot(torch.from_numpy(fit_length(*encode(["ACG", "NANCN", "ACGTAC", "NN"]), 6)))
    assert [spelled(row) for row in right_aligned(x)] == ["NNNACG", "NNNANC", "ACGTAC", "NNNNNN"]


def test_only_n_is_filled():
    x = fill_n(one_hot(torch.tensor([[0, 4]], dtype=torch.uint8)), 0.25)
    assert x[0].T.tolist() == [[1, 0, 0, 0], [0.25] * 4]


@pytest.mark.parametrize("length", [78, 80, 82])
def test_networks_of_vaishnav_have_the_last_110_positions_as_input(length):
    insert = ("ACGT" * 21)[:length]
    text = ADAPTER_5 + insert + ADAPTER_3
    found = as_vaishnav(construct(insert))
    assert spelled(found[0]) == text[-110:].rjust(110, "N")
    assert (found[0, :, : 110 - len(text)] == 1).all() or length >= 80


@pytest.mark.parametrize("length", [48, 80, 82])
def test_the_plasmid_precedes_the_construct_without_a_gap(length):
    insert = ("ACGT" * 21)[:length]
    found = DreamInput()(construct(insert))
    assert found.shape == (1, 6, 150)
    assert spelled(found[0, :4]) == (PLASMID_5 + ADAPTER_5 + insert + ADAPTER_3)[-150:]
    assert not found[0, 4:].any()


@pytest.mark.parametrize("length", [48, 80, 82])
def test_a_context_of_110_positions_ends_with_the_construct(length):
    insert = ("ACGT" * 21)[:length]
    found = PlasmidContext(110)(construct(insert))
    assert spelled(found[0]) == (PLASMID_5 + ADAPTER_5 + insert + ADAPTER_3)[-110:]


def test_a_row_with_is_reverse_is_the_reverse_complement_of_all_150_positions():
    x = construct(count=2)
    marks = torch.zeros(2, 2, 112)
    marks[1, 0] = 1
    found = DreamInput("AGCT")(torch.cat([x, marks], dim=1))
    forward, other = (spelled(row[:4], "AGCT") for row in found)
    assert other == forward[::-1].translate(str.maketrans("ACGT", "TGCA"))
    assert found[:, 4, 0].tolist() == [0, 1]


@needs_shared
def test_the_plasmid_is_that_of_the_challenge():
    text = (SHARED / "data" / "dream" / "plasmid.json").read_text()
    assert PLASMID_5 + ADAPTER_5 + 80 * "N" + ADAPTER_3 in text


@pytest.mark.parametrize("name", ["legnet", "dream-cnn", "dream-rnn", "dream-attn"])
def test_networks_with_soft_bins_have_logits_and_predict_the_mean_bin(name):
    network = build(name, n_media=2).eval()
    with torch.no_grad():
        logits, expression = network.logits(construct()), network(construct())
    assert logits.shape == (1, 2, 18)
    means = (logits.softmax(dim=2) * torch.arange(18)).sum(dim=2)
    torch.testing.assert_close(expression, means)


def test_without_soft_bins_outputs_of_legnet_may_be_negative():
    torch.manual_seed(0)
    network = build("legnet", soft_bins=False, widths=(8, 4)).eval()
    with torch.no_grad():
        network.head[0].bias.fill_(-3.0)
        assert network(construct()).item() < -1


def test_tall_kernels_of_vaishnav_equal_their_middle_tap():
    torch.manual_seed(0)
    layer = build("vaishnav-conv", filters=3, dense=4).branches[0][2]
    x = torch.randn(2, 3, 110)
    # A map of height 1 with 14 rows of padding above and 15 below.
    tall = torch.nn.functional.pad(x.unsqueeze(2), (0, 0, 14, 15))
    expected = torch.nn.functional.conv2d(tall, layer.weight.unsqueeze(3), layer.bias).squeeze(2)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_first_convolution_of_vaishnav_scans_both_strands():
    torch.manual_seed(0)
    network = build("vaishnav-transformer", strand_filters=4, channels=8).eval()
    captured = []
    network.norms[1].register_forward_pre_hook(lambda _, inputs: captured.append(inputs[0]))
    x = construct("ACGTTGCAAACC" * 6)
    with torch.no_grad():
        network(x)
        reverse = torch.nn.functional.pad(as_vaishnav(x).flip(1, 2), network.strands.same_padding)
        expected = torch.nn.functional.conv1d(reverse, network.strands.weight).flip(2)
    # Shifted by one position: 30 taps have no middle, so 14 of 29 padded positions are left.
    torch.testing.assert_close(captured[0][:, :, :-1], expected[:, :, 1:], atol=1e-5, rtol=1e-5)
