"""Planted sites: edits by hand, and a network whose answer to them is known."""

import numpy as np
import pytest
import torch
from torch import nn

from crmnet.interpretation.marginalise import backgrounds, pair_effects, single_effects
from crmnet.perturb import put
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import decode, encode, prepare


class Counts(nn.Module):
    """1 for every G; and, beyond that, 10 if there are both GG and CC."""

    def forward(self, x_BCL):
        insert = x_BCL[:, :, 17:97]
        pair = insert[:, :, 1:] * insert[:, :, :-1]
        both = (pair[:, 2].sum(1) > 0) & (pair[:, 1].sum(1) > 0)
        return (insert[:, 2].sum(1) + 10.0 * both)[:, None]


def predictor():
    return Predictor(Counts(), ["complex"], torch.device("cpu"))


def grounds(text="A"):
    return prepare(*encode([text * 80] * 3), "add")[0][:, :]


def test_put_by_hand():
    tokens = encode(["AAAAAA"])[0]
    site = encode(["CNG"])[0][0]
    assert decode(put(tokens, site, 2)) == ["AACAGA"]
    assert decode(put(tokens, encode(["CCG"])[0][0], 0, "-")) == ["CGGAAA"]
    assert decode(tokens) == ["AAAAAA"]
    with pytest.raises(ValueError, match="does not fit"):
        put(tokens, site, 4)
    with pytest.raises(ValueError, match="strand"):
        put(tokens, site, 0, "x")


def test_single_effects_by_hand():
    found = single_effects(predictor(), grounds(), "GAG", [1], step=20)
    assert found.where == [(s, p) for s in "+-" for p in (0, 20, 40, 60)]
    # GAG brings two G, its complement CTC none.
    np.testing.assert_allclose(found.mean, [2] * 4 + [0] * 4)
    np.testing.assert_allclose(found.low, found.mean)


def test_pair_effects_are_what_is_beyond_the_sum():
    plain = pair_effects(predictor(), grounds(), ("GAG", "GAG"), [1], gaps=[0, 10, 75])
    assert [w for w in plain.where if w[0] == "++"] == [("++", 0), ("++", 10)]  # 75 has no room
    np.testing.assert_allclose(plain.mean, 0)
    both = pair_effects(predictor(), grounds(), ("GG", "CC"), [1], gaps=[5])
    # Turned round, either is the other: ++ and -- have both, +- and -+ the same one twice.
    assert [w[0] for w in both.where] == ["++", "+-", "-+", "--"]
    np.testing.assert_allclose(both.mean, [10, 0, 0, 10])


def test_backgrounds_keep_adapters_and_composition():
    rng = np.random.default_rng(0)
    tokens = prepare(rng.integers(0, 4, (4, 80), dtype=np.uint8), np.full(4, 80), "add")[0]
    found = backgrounds(tokens, 6, 1)
    assert found.shape == (6, 112)
    assert (found[:, :17] == tokens[0, :17]).all() and (found[:, 97:] == tokens[0, 97:]).all()
    counts = {tuple(np.bincount(row, minlength=5)) for row in tokens}
    assert {tuple(np.bincount(row, minlength=5)) for row in found} <= counts
