"""What networks of the zoo see of a construct, spelled out."""

import pytest
import torch

from crmnet.models import build
from crmnet.models.context import PLASMID_5, DreamInput, as_vaishnav, fill_n, right_aligned
from crmnet.sequence import ADAPTER_3, ADAPTER_5, encode, fit_length, one_hot
from support import SHARED, needs_shared


def construct(insert="ACGT" * 20, count=1):
    tokens = fit_length(*encode([ADAPTER_5 + insert + ADAPTER_3] * count), 112)
    return one_hot(torch.from_numpy(tokens))


def spelled(x_CL, alphabet="ACGT"):
    """Letters of a one-hot ``(4, L)``; N where the channels are equal."""
    known = x_CL.max(dim=0).values != x_CL.min(dim=0).values
    letters = [alphabet[i] for i in x_CL.argmax(dim=0)]
    return "".join(c if k else "N" for c, k in zip(letters, known, strict=True))


def test_rows_move_to_the_right_by_their_own_padding():
    x = one_hot(torch.from_numpy(fit_length(*encode(["ACG", "NANCN", "ACGTAC", "NN"]), 6)))
    assert [spelled(row) for row in right_aligned(x)] == ["NNNACG", "NNNANC", "ACGTAC", "NNNNNN"]


def test_n_is_filled_and_bases_are_not():
    x = fill_n(one_hot(torch.tensor([[0, 4]], dtype=torch.uint8)), 0.25)
    assert x[0].T.tolist() == [[1, 0, 0, 0], [0.25] * 4]


@pytest.mark.parametrize("length", [78, 80, 82])
def test_vaishnavs_networks_see_the_last_110_positions(length):
    insert = ("ACGT" * 21)[:length]
    whole = ADAPTER_5 + insert + ADAPTER_3
    seen = as_vaishnav(construct(insert))
    assert spelled(seen[0]) == whole[-110:].rjust(110, "N")
    assert (seen[0, :, : 110 - len(whole)] == 1).all() or length >= 80


@pytest.mark.parametrize("length", [48, 80, 82])
def test_the_plasmid_stands_before_the_construct_without_a_gap(length):
    insert = ("ACGT" * 21)[:length]
    seen = DreamInput()(construct(insert))
    assert seen.shape == (1, 6, 150)
    assert spelled(seen[0, :4]) == (PLASMID_5 + ADAPTER_5 + insert + ADAPTER_3)[-150:]
    assert not seen[0, 4:].any()


def test_a_row_marked_reverse_is_the_other_strand_of_all_150_positions():
    x = construct(count=2)
    marks = torch.zeros(2, 2, 112)
    marks[1, 0] = 1
    seen = DreamInput("AGCT")(torch.cat([x, marks], dim=1))
    forward, other = (spelled(row[:4], "AGCT") for row in seen)
    assert other == forward[::-1].translate(str.maketrans("ACGT", "TGCA"))
    assert seen[:, 4, 0].tolist() == [0, 1]


@needs_shared
def test_the_plasmid_is_the_challenges():
    text = (SHARED / "data" / "dream" / "plasmid.json").read_text()
    assert PLASMID_5 + ADAPTER_5 + 80 * "N" + ADAPTER_3 in text


@pytest.mark.parametrize("name", ["legnet", "dream-cnn", "dream-rnn", "dream-attn"])
def test_networks_of_bins_have_logits_and_predict_their_mean(name):
    network = build(name, n_media=2).eval()
    with torch.no_grad():
        logits, expression = network.logits(construct()), network(construct())
    assert logits.shape == (1, 2, 18)
    means = (logits.softmax(dim=2) * torch.arange(18)).sum(dim=2)
    torch.testing.assert_close(expression, means)


def test_without_bins_legnets_outputs_may_be_negative():
    torch.manual_seed(0)
    network = build("legnet", soft_bins=False, widths=(8, 4)).eval()
    with torch.no_grad():
        network.head[0].bias.fill_(-3.0)
        assert network(construct()).item() < -1


def test_vaishnavs_tall_kernels_are_their_middle_tap():
    torch.manual_seed(0)
    layer = build("vaishnav-conv", filters=3, dense=4).branches[0][2]
    x = torch.randn(2, 3, 110)
    # The same as a map one high, 14 rows of padding above and 15 below.
    tall = torch.nn.functional.pad(x.unsqueeze(2), (0, 0, 14, 15))
    expected = torch.nn.functional.conv2d(tall, layer.weight.unsqueeze(3), layer.bias).squeeze(2)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_vaishnavs_first_convolution_meets_both_strands():
    torch.manual_seed(0)
    network = build("vaishnav-transformer", strand_filters=4, channels=8).eval()
    seen = []
    network.norms[1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = construct("ACGTTGCAAACC" * 6)
    with torch.no_grad():
        network(x)
        turned = torch.nn.functional.pad(as_vaishnav(x).flip(1, 2), network.strands.ends)
        expected = torch.nn.functional.conv1d(turned, network.strands.weight).flip(2)
    # One position apart: 30 taps have no middle, and 14 of 29 paddings stand on the left.
    torch.testing.assert_close(seen[0][:, :, :-1], expected[:, :, 1:], atol=1e-5, rtol=1e-5)
