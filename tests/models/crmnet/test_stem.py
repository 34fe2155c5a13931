"""The motif stem: symmetry between strands, scores by hand, initial motifs."""

import math

import numpy as np
import pytest
import torch

from crmnet.models.crmnet.network import CRMnet, CRMnetConfig
from crmnet.models.crmnet.stem import MAX_SCORE, MotifStem, occupancy
from crmnet.motifs.jaspar import yeast_motifs


def one_hot(letters):
    return torch.eye(4)[["ACGT".index(x) for x in letters]].T[None]


def test_the_reverse_complement_gives_the_mirrored_scores():
    torch.manual_seed(0)
    stem = MotifStem(6, 5, 3).eval()
    x_BCL = torch.eye(4)[torch.randint(4, (2, 30))].transpose(1, 2)
    captured = []
    stem.mix.register_forward_pre_hook(lambda _, inputs: captured.append(inputs[0]))
    stem(x_BCL)
    stem(x_BCL.flip(1, 2))
    forward, reverse = (hidden.unflatten(1, (2, 6)) for hidden in captured)
    torch.testing.assert_close(reverse, forward.flip(1, 3))


def test_a_site_on_either_strand_is_scored_by_its_log_odds():
    stem = MotifStem(1, 5, 2).eval()
    torch.nn.init.zeros_(stem.norm.bias)
    stem.norm.eps = 0.0
    odds = np.full((4, 3), -1.0)
    odds[[0, 1, 2], [0, 1, 2]] = 3.0  # A, C, G
    stem.initialise_filters([odds])
    with torch.no_grad():
        stem.mix.weight.copy_(torch.eye(2)[:, :, None])
        stem.mix.bias.zero_()
        found = stem(one_hot("TTTTACGATTTTTCGTTTTT"))[0]
    # Columns have mean 0: 3 at their base, -1 elsewhere. The filter has norm sqrt(2).
    full = 9 * math.sqrt(2) / math.sqrt(3 * (9 + 3))
    assert found[0].argmax() == 5 and found[1].argmax() == 14  # CGT: ACG on the other strand
    assert found.amax(dim=1).tolist() == pytest.approx([math.exp(full)] * 2, rel=1e-5)


def test_occupancy_is_the_exponential_of_capped_scores():
    found = occupancy(torch.tensor([-1.0, 0.0, 50.0]))
    assert found.tolist() == pytest.approx([math.exp(-1), 1.0, math.exp(MAX_SCORE)])


def test_of_a_wide_matrix_the_most_informative_window_is_used():
    stem = MotifStem(2, 3, 2)
    odds = np.zeros((4, 6))
    odds[2, 3:5] = 1.0
    odds[:, 2] = [0.1, 0, 0, 0]
    before = stem.scan.weight[1].clone()
    stem.initialise_filters([odds])
    kept = stem.scan.weight[0].argmax(dim=0).tolist()
    assert kept == [0, 2, 2]
    torch.testing.assert_close(stem.scan.weight[0].square().sum(), torch.tensor(2.0))
    torch.testing.assert_close(stem.scan.weight[1], before)


def test_too_few_filters_for_the_motifs_is_an_error_with_the_setting_to_change():
    with pytest.raises(ValueError, match=r"each of 176 motifs; got model.stem=8 .*stem=176"):
        MotifStem(8, 15, 4).initialise_filters([motif.log_odds() for motif in yeast_motifs()])


def test_parameters_include_stem_and_lstm():
    config = CRMnetConfig(
        stem=3, stem_kernel=5, stem_width=4, encoder=(4, 6), kernel=3, recurrent=2,
        transformer_blocks=0, decoder=(), tail=(), dense=(), dense_dropout=(),
        readout="mean-max", squeeze_excitation=False,
    )  # fmt: skip
    stem = 3 * 4 * 5 + 2 * 3 + (6 * 4 + 4)
    blocks = (4 * 4 * 3 + 4 + 8) * 2 + (4 * 6 * 3 + 6 + 12) + (6 * 6 * 3 + 6 + 12)
    down, lstm, head = 4 * 4 * 3 + 4, 2 * 4 * 2 * (7 + 2), 2 * 4 + 1
    network = CRMnet(config)
    assert sum(p.numel() for p in network.parameters()) == stem + blocks + down + lstm + head


@pytest.mark.parametrize(
    ("field", "value"),
    [("stem", -1), ("stem_kernel", 4), ("stem_width", 0), ("stem_motifs", True), ("recurrent", -2)],
)
def test_invalid_settings_are_named(field, value):
    with pytest.raises(ValueError, match=rf"^{field} must be .*; got {value}"):
        CRMnetConfig(**{field: value})
