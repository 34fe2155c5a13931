"""Planted sites: edits by hand, effects on a network with known effects, the command's files."""

import csv

import numpy as np
import pytest
import torch
from torch import nn

from crmnet.interpretation.marginalise import (
    Effects,
    _page,
    backgrounds,
    check_sites,
    pair_effects,
    single_effects,
    site_bases,
)
from crmnet.perturb import plant_site
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import decode, encode, prepare

pytestmark = pytest.mark.slow


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
    assert decode(plant_site(tokens, site, 2)) == ["AACAGA"]
    assert decode(plant_site(tokens, encode(["CCG"])[0][0], 0, "-")) == ["CGGAAA"]
    assert decode(tokens) == ["AAAAAA"]
    with pytest.raises(ValueError, match="does not fit"):
        plant_site(tokens, site, 4)
    with pytest.raises(ValueError, match="strand"):
        plant_site(tokens, site, 0, "x")


def test_single_effects_by_hand():
    found = single_effects(predictor(), grounds(), "GAG", [1], step=20)
    assert found.positions == [(s, p) for s in "+-" for p in (0, 20, 40, 60)]
    # GAG brings two G, its complement CTC none.
    np.testing.assert_allclose(found.mean, [2] * 4 + [0] * 4)
    np.testing.assert_allclose(found.low, found.mean)


def test_pair_effects_are_the_difference_from_the_sum():
    plain = pair_effects(predictor(), grounds(), ("GAG", "GAG"), [1], gaps=[0, 10, 75])
    assert [w for w in plain.positions if w[0] == "++"] == [("++", 0), ("++", 10)]  # 75 has no room
    np.testing.assert_allclose(plain.mean, 0)
    both = pair_effects(predictor(), grounds(), ("GG", "CC"), [1], gaps=[5])
    # Turned round, either is the other: ++ and -- have both, +- and -+ the same one twice.
    assert [w[0] for w in both.positions] == ["++", "+-", "-+", "--"]
    np.testing.assert_allclose(both.mean, [10, 0, 0, 10])


def test_backgrounds_keep_adapters_and_composition():
    rng = np.random.default_rng(0)
    tokens = prepare(rng.integers(0, 4, (4, 80), dtype=np.uint8), np.full(4, 80), "add")[0]
    found = backgrounds(tokens, 6, 1)
    assert found.shape == (6, 112)
    assert (found[:, :17] == tokens[0, :17]).all() and (found[:, 97:] == tokens[0, 97:]).all()
    counts = {tuple(np.bincount(row, minlength=5)) for row in tokens}
    assert {tuple(np.bincount(row, minlength=5)) for row in found} <= counts


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_a_site_is_a_factor_or_bases():
    assert "TTACCCG" in site_bases("reb1")
    assert site_bases("acNgt") == "ACNGT"
    for wrong in ("NOSUCH1", ""):
        with pytest.raises(ValueError, match="neither bases"):
            site_bases(wrong)


def test_the_command_plants_sites_and_pairs(crmnet, small_run, tmp_path):
    (tmp_path / "s.txt").write_text("ACGGTCATTA" * 8 + "\n")
    out = tmp_path / "out"
    args = ["explain", small_run, tmp_path / "s.txt", "--medium", "complex", "-o", out]
    status, said, err = crmnet(
        *args, "--method", "gradient", "--plant", "REB1", "--plant", "TATAAA"
    )
    assert status == 0, err
    assert "planted.png, pairs.tsv" in said and (out / "planted.png").stat().st_size > 10_000
    single, pairs = rows(out / "planted.tsv"), rows(out / "pairs.tsv")
    # Six bases begin at 0, 4, … 72.
    assert [r["strand"] for r in single if r["site"] == "TATAAA"] == ["+"] * 19 + ["-"] * 19
    assert [int(r["start"]) for r in single[:3]] == [1, 5, 9]
    # Four pairs of strands, eleven gaps from 0 to 40.
    assert len(pairs) == 44 and {r["sites"] for r in pairs} == {"REB1 and TATAAA"}
    for row in single + pairs:
        assert float(row["low"]) <= float(row["effect"]) <= float(row["high"])


def test_each_insert_gets_the_site_at_its_own_place():
    short, bare = prepare(*encode(["A" * 60]), "add")[0], prepare(*encode(["A" * 70]), "none")[0]
    mixed = np.concatenate([short, bare])

    class Places(nn.Module):
        """Where GGGG begins in each construct, from 0; 0 without it."""

        def forward(self, x_BCL):
            return x_BCL[:, 2].unfold(1, 4, 1).prod(dim=2).argmax(dim=1)[:, None].float()

    places = Predictor(Places(), ["complex"], torch.device("cpu"))
    found = single_effects(places, mixed, "GGGG", [1], step=28)
    # The shortest insert has 60 bases; it begins at 17, and the one without adapters at 0.
    assert [p for s, p in found.positions if s == "+"] == [0, 28, 56]
    np.testing.assert_allclose(found.mean[:3], [8.5, 36.5, 64.5])


@pytest.mark.parametrize(
    ("sites", "message"),
    [
        (["ACGTTGCA" * 12], "site of 96 bases, does not fit into an insert of 80 bases"),
        (["ACGTTGCAT" * 5] * 2, "45 and 45 bases, does not fit into an insert of 80 bases"),
        (["NOSUCH1"], "neither bases"),
    ],
)
def test_sites_that_do_not_fit_are_one_error_before_any_file(
    crmnet, small_run, tmp_path, sites, message
):
    (tmp_path / "s.txt").write_text("ACGGTCATTA" * 8 + "\n")
    plants = [word for site in sites for word in ("--plant", site)]
    status, _, err = crmnet("explain", small_run, tmp_path / "s.txt", "--medium", "complex",
                            "--method", "gradient", "-o", tmp_path / "out", *plants)  # fmt: skip
    assert status == 2 and message in err and err.count("error") == 1
    assert not (tmp_path / "out").exists()
    check_sites(grounds(), ["A" * 40, "A" * 40])


def test_strands_and_the_band_have_words():
    values = np.arange(4.0)
    single = Effects([("+", 0), ("+", 4), ("-", 0), ("-", 4)], values, values - 1, values + 1)
    pair = Effects([("++", 0), ("++", 4), ("+-", 0), ("+-", 4)], values, values - 1, values + 1)
    page = _page({"REB1": single}, {"REB1 and RAP1": pair}, "bins in complex")
    words = [[text.get_text() for text in ax.get_legend().get_texts()] for ax in page.axes]
    assert words == [
        ["plus strand", "minus strand", "95 % interval"],
        ["plus, then plus", "plus, then minus", "95 % interval"],
    ]
    assert page.axes[0].get_ylabel() == "effect\n(bins in complex)"
