"""Contract tests of every network in MODELS, and tests of CRMnet itself."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from crmnet.models import MODELS, build, configure
from crmnet.models.crmnet.network import CRMnet, CRMnetConfig
from crmnet.models.layers import (
    DownConv,
    MultiHeadAttention,
    SqueezeExcitation,
    UpConv,
    count_parameters,
    sinusoids,
)
from crmnet.sequence import one_hot
from support import NARROW, TINY_WIDTHS

pytestmark = pytest.mark.slow


def promoters(n, seed=0):
    tokens = np.random.default_rng(seed).integers(5, size=(n, 112), dtype=np.uint8)
    return one_hot(torch.from_numpy(tokens))


@pytest.fixture(params=MODELS)
def name(request):
    return request.param


@pytest.fixture
def network(name):
    torch.manual_seed(0)
    return build(name, n_media=2, **NARROW.get(name, {}))


def test_numbers_of_parameters_equal_those_of_the_cards(name):
    card = MODELS[name].card
    with torch.device("meta"):  # no memory for values
        trained, statistics = count_parameters(build(name))
    assert trained == card.parameters - card.not_trained
    assert card.not_trained in (0, statistics)  # Keras counts all, torch none
    if card.published_parameters is None:
        assert card.notes  # explains why there is no published number
    else:
        assert card.parameters == card.published_parameters


def test_published_numbers_of_the_cards_are_those_of_the_papers():
    published = {name: entry.card.published_parameters for name, entry in MODELS.items()}
    assert {name: number for name, number in published.items() if number} == {
        "crmnet": 34_170_289,
        "vaishnav-transformer": 1_296_785,
        "vaishnav-conv": 17_168_641,
        "deepsea": 7_204_769,
        "deepatt": 84_273,
        "legnet": 1_852_846,
        "dream-cnn": 1_933_970,
        "dream-rnn": 4_130_578,
        "dream-attn": 4_539_410,
    }


def test_every_card_names_a_shipped_recipe_of_its_network(name):
    from crmnet.runs.settings import resolve

    assert resolve(MODELS[name].card.recipe).model.name == name


def test_published_network_has_the_published_parameters():
    with torch.device("meta"):
        assert count_parameters(build("crmnet")) == (34_165_681, 4_608)


def test_small_network_is_small():
    trainable, _ = count_parameters(build("crmnet-small"))
    assert 1_000_000 <= trainable <= 2_000_000


def test_output_has_one_finite_value_per_medium(network):
    output = network.eval()(promoters(3))
    assert output.shape == (3, 2)
    assert torch.isfinite(output).all()


def test_every_parameter_gets_a_gradient(name):
    # In a new network all hidden units of a gate may be 0 by chance, so that some parameter has no
    # gradient; hence up to three networks. The bias of the keys never has one: it shifts all scores
    # of a query alike, which the softmax ignores.
    always: set[str] = set()
    for seed in range(3):
        torch.manual_seed(seed)
        network = build(name, n_media=2)
        network.train()(promoters(4)).square().sum().backward()
        without = {
            n for n, p in network.named_parameters()
            if not n.endswith("attend.key.bias") and (p.grad is None or not p.grad.any())
        }  # fmt: skip
        always = always & without if seed else without
        if not always:
            return
    raise AssertionError(always)


def test_saved_weights_give_the_same_predictions(network, name, tmp_path):
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    other = build(name, n_media=2, **NARROW.get(name, {}))
    other.load_state_dict(load_file(tmp_path / "w.safetensors"))
    x = promoters(4)
    assert torch.equal(network.eval()(x), other.eval()(x))


def test_predictions_do_not_depend_on_the_batch(network):
    x = promoters(6)
    network.eval()
    with torch.no_grad():
        together, alone = network(x), torch.cat([network(x[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_other_input_shapes_are_rejected(network):
    with pytest.raises(ValueError, match=r"one-hot \(batch, 4, 112\); got \(2, 5, 112\)"):
        network(torch.zeros(2, 5, 112))
    with pytest.raises(ValueError, match="got"):
        network(torch.zeros(2, 4, 110))


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        ({"squeeze_excitation": False}, "gate."),
        ({"transformer_blocks": 0}, "waist."),
        ({"decoder": ()}, "decoder."),
    ],
)
def test_each_block_is_optional(change, gone):
    network = build("crmnet", **{**TINY_WIDTHS, **change})
    assert not [name for name, _ in network.named_parameters() if gone in name]
    assert network.eval()(promoters(2)).shape == (2, 1)


@pytest.mark.parametrize("blocks", [1, 2, 3, 5])
def test_any_number_of_transformer_blocks(blocks):
    network = build("crmnet", **{**TINY_WIDTHS, "transformer_blocks": blocks})
    network.train()(promoters(4)).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_ablating_blocks_removes_exactly_their_parameters():
    complete = sum(count_parameters(build("crmnet")))
    without = sum(count_parameters(build("crmnet", transformer_blocks=0)))
    assert complete - without == 25_777_152  # eight blocks of the published network


def test_fused_attention_gives_the_same_numbers():
    torch.manual_seed(1)
    plain, fused = MultiHeadAttention(6, 3, 5), MultiHeadAttention(6, 3, 5, "sdpa")
    fused.load_state_dict(plain.state_dict())
    x = torch.randn(2, 7, 6)
    torch.testing.assert_close(plain(x), fused(x))


def test_attention_equals_that_of_torch():
    torch.manual_seed(2)
    ours, reference = (
        MultiHeadAttention(8, 2, 4),
        torch.nn.MultiheadAttention(8, 2, batch_first=True),
    )
    with torch.no_grad():
        reference.in_proj_weight.copy_(
            torch.cat([ours.query.weight, ours.key.weight, ours.value.weight])
        )
        reference.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        reference.out_proj.load_state_dict(ours.output.state_dict())
    x = torch.randn(3, 5, 8)
    torch.testing.assert_close(ours(x), reference(x, x, x)[0], atol=1e-6, rtol=1e-5)


def test_down_convolution_pads_four_left_and_five_right():
    down = DownConv(1, 1, 11)
    with torch.no_grad():
        down.conv.weight.copy_(torch.arange(11.0).view(1, 1, 11))
        down.conv.bias.zero_()
    impulse = torch.zeros(1, 1, 12)
    impulse[0, 0, 6] = 1
    # Output j depends on inputs 2j-4 … 2j+6, so input 6 meets tap 6 + 4 - 2j.
    assert down(impulse).flatten().tolist() == [10 - 2 * j for j in range(6)]


def test_up_convolution_crops_four_left_and_five_right():
    up = UpConv(1, 1, 11)
    with torch.no_grad():
        up.conv.weight.copy_(torch.arange(11.0).view(1, 1, 11))
        up.conv.bias.zero_()
    impulse = torch.zeros(1, 1, 6)
    impulse[0, 0, 3] = 1
    # Uncropped, input 3 adds taps 0 … 10 to positions 6 … 16; then four are cropped on the left.
    expected = [0.0] * 12
    for tap in range(11):
        if 0 <= 6 + tap - 4 < 12:
            expected[6 + tap - 4] = float(tap)
    assert up(impulse).flatten().tolist() == expected


def test_squeeze_excitation_scales_each_channel_by_its_gate():
    gate = SqueezeExcitation(2, ratio=2)
    with torch.no_grad():
        gate.squeeze.weight.copy_(torch.tensor([[1.0, 0.0]]))
        gate.squeeze.bias.zero_()
        gate.excite.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        gate.excite.bias.zero_()
    x = torch.tensor([[[1.0, 3.0], [5.0, 5.0]]])  # mean of channel 0 is 2
    up, down = 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))
    expected = torch.tensor([[[up, 3 * up], [5 * down, 5 * down]]], dtype=torch.float32)
    torch.testing.assert_close(gate(x), expected)


def test_published_position_code_sets_the_first_token_to_zero():
    code = build("crmnet", **TINY_WIDTHS).waist.code
    expected = [[np.sin(j * 111 / 14)] for j in range(14)]
    np.testing.assert_allclose(code.numpy(), expected, atol=1e-6)
    assert code[0].item() == 0


def test_additive_position_code_is_that_of_vaswani():
    code = sinusoids(3, 4).numpy()
    rates = [1.0, 10_000**-0.5]
    for j in range(3):
        angles = [j * rate for rate in rates]
        np.testing.assert_allclose(code[j], [*np.sin(angles), *np.cos(angles)], atol=1e-6)


def test_outputs_of_parallel_blocks_are_summed():
    torch.manual_seed(3)
    waist = build(
        "crmnet", **{**TINY_WIDTHS, "transformer_blocks": 4, "position": "none"}
    ).waist.eval()
    x = torch.randn(2, 16, 14)
    t1, t2, t3, t4 = waist.blocks
    y = t1(x.transpose(1, 2))
    expected = t4(t2(y) + t3(y)).transpose(1, 2)
    torch.testing.assert_close(waist(x), expected)


def test_n_is_a_separate_channel():
    network = build("crmnet", **TINY_WIDTHS).eval()
    captured = []
    network.encoder[0].register_forward_pre_hook(lambda _, inputs: captured.append(inputs[0]))
    network(one_hot(torch.tensor([[4, 0, 1, 2, 3] + [4] * 107], dtype=torch.uint8)))
    torch.testing.assert_close(captured[0][0, :, :5], torch.eye(5))  # N, A, C, G, T


def test_initial_convolutions_are_he_normal_and_biases_zero():
    torch.manual_seed(0)
    network = build("crmnet", transformer_blocks=0)
    conv = network.encoder[1][2].conv  # 128 → 128, kernel 11: fan-in 1,408
    assert conv.weight.std().item() == pytest.approx(np.sqrt(2 / 1408), rel=0.01)
    assert conv.weight.abs().max().item() <= 2 * np.sqrt(2 / 1408) / 0.8796 + 1e-6
    assert not conv.bias.any()
    limit = np.sqrt(6 / (3584 + 256))
    assert network.head[0].weight.abs().max().item() <= limit


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"length": 110}, "length must be a multiple of 8"),
        ({"kernel": 10}, "kernel must be odd"),
        ({"decoder": (8,)}, "decoder must be empty or as long as"),
        ({"position": "rotary"}, "position must be"),
        ({"headz": 3}, r"no setting 'headz' \(did you mean 'heads'\?\)"),
        ({"heads": "three"}, "heads must be int"),
        ({"n_media": 0}, "n_media must be at least 1"),
    ],
)
def test_invalid_settings_are_named(overrides, message):
    with pytest.raises(ValueError, match=message):
        configure("crmnet", **overrides)


def test_an_unknown_network_name_lists_the_known_names():
    with pytest.raises(ValueError, match="crmnet-small"):
        build("crmnet-smal")


def test_lists_from_json_become_tuples():
    assert configure("crmnet", encoder=[4, 4], decoder=[4], length=112).encoder == (4, 4)


def test_config_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CRMnetConfig().heads = 3
    assert isinstance(CRMnet(CRMnetConfig(**TINY_WIDTHS)), torch.nn.Module)


# At these widths, all blocks of these networks would take too long for a test of training.
FEW_BLOCKS = {"crmnet": {"transformer_blocks": 1}, "dream-attn": {"channels": 16, "blocks": 1}}


def test_every_network_can_overfit_64_rows(name):
    torch.manual_seed(0)
    narrow = {} if name == "crmnet-small" else NARROW.get(name, {}) | FEW_BLOCKS.get(name, {})
    network = build(name, soft_bins=False, **narrow)
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    x, y = promoters(64), torch.randn(64, 1)
    rate = 1e-3 if name in ("crmnet-small", "deepatt", "dream-rnn") else 3e-3
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    for _ in range(400):
        optimiser.zero_grad()
        loss = torch.nn.functional.mse_loss(network(x), y)
        loss.backward()
        optimiser.step()
        if loss.item() < 0.02:
            break
    assert loss.item() < 0.02


@pytest.mark.parametrize("decoder", [(8,), ()])
def test_the_mean_readout_equals_a_flattened_one_with_equal_weights(decoder):
    torch.manual_seed(0)
    config = CRMnetConfig(encoder=(8, 8), decoder=decoder, tail=(4,), dense=(6,),
                          dense_dropout=(0.0,), transformer_blocks=1, heads=1, key_dim=8,
                          feed_forward=8)  # fmt: skip
    flat = CRMnet(config).eval()
    mean = CRMnet(dataclasses.replace(config, readout="mean")).eval()
    positions = 112 if decoder else 56
    state = flat.state_dict()
    state["head.0.weight"] = mean.head[0].weight.detach().repeat(1, positions) / positions
    flat.load_state_dict(state)
    weights = mean.head[0].weight.detach()
    mean.load_state_dict({**state, "head.0.weight": weights})
    x_BCL = torch.eye(4)[torch.randint(4, (5, 112))].transpose(1, 2)
    torch.testing.assert_close(mean(x_BCL), flat(x_BCL))
