"""Attributions of networks with known answers, the paper's filter, shapes of all methods."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from crmnet import sequence
from crmnet.interpretation.attribute import (
    METHODS,
    AttributeOptions,
    attribute,
    mutagenesis,
    output_weights,
    paper_mask,
    randomised,
    references,
    unit_of,
)
from crmnet.models import MODELS, build
from crmnet.models.crmnet.network import CRMnet, CRMnetConfig
from crmnet.models.layers import MultiHeadAttention, SqueezeExcitation
from crmnet.prediction.predictor import Predictor
from support import WIDTHS

pytestmark = pytest.mark.slow

WEIGHT = torch.randn(2, 4, 112, generator=torch.Generator().manual_seed(0))
INSIDE = (np.arange(112) >= 17) & (np.arange(112) < 97)
"""Positions of an insert of 80 bases after the 5' adapter of 17."""


class Linear(nn.Module):
    """The sum of one weight for each base at each position."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(WEIGHT.clone())

    def forward(self, x_BCL):
        return torch.einsum("bcl,mcl->bm", x_BCL, self.weight)


def linear():
    return Predictor(Linear().eval(), ["complex", "defined"], torch.device("cpu"), 64)


def tokens(n=3, seed=0):
    inserts = np.random.default_rng(seed).integers(0, 4, (n, 80), dtype=np.uint8)
    return sequence.prepare(inserts, np.full(n, 80), "add")[0]


def observed(values, seqs):
    """Entries of the observed bases, (B, L); 0 for N."""
    padded = np.concatenate([values, np.zeros_like(values[:, :1])], axis=1)
    return np.take_along_axis(padded, seqs[:, None].astype(int), axis=1)[:, 0]


def test_gradient_of_a_linear_network_is_its_weights():
    seqs = tokens()
    found = attribute(
        linear(),
        seqs,
        medium="defined",
        options=AttributeOptions("gradient", beyond_composition=False),
    )
    expected = observed(np.repeat(WEIGHT[1].numpy()[None], 3, 0), seqs) * INSIDE
    np.testing.assert_allclose(observed(found.values, seqs), expected, rtol=1e-6)
    assert found.delta is None


def test_mutagenesis_of_a_linear_network_is_the_difference_of_weights():
    seqs = tokens(1)
    changes = mutagenesis(linear(), seqs, [1, -1])
    weight = (WEIGHT[0] - WEIGHT[1]).numpy()
    expected = (weight - observed(weight[None], seqs)) * INSIDE
    np.testing.assert_allclose(changes[0], expected, atol=2e-5)
    # The attribution is the prediction minus the mean over the three other bases.
    found = attribute(
        linear(),
        seqs,
        medium="complex",
        minus="defined",
        options=AttributeOptions(beyond_composition=False),
    )
    np.testing.assert_allclose(found.values.sum(axis=1)[0], -expected.sum(axis=0) / 3, atol=2e-5)


def test_only_the_insert_is_mutated(monkeypatch):
    predictor, calls = linear(), []
    predict = predictor.predict_tokens
    monkeypatch.setattr(predictor, "predict_tokens", lambda t: calls.append(t) or predict(t))
    seqs = tokens(2)
    seqs[1, 17:20] = sequence.N_TOKEN
    mutagenesis(predictor, seqs, [1, 0])
    # Three mutants of each known base, and the promoter itself.
    assert [len(t) for t in calls] == [240 + 1, 231 + 1]
    assert all((t[:, ~INSIDE] == seqs[0, ~INSIDE]).all() for t in calls)


@pytest.mark.parametrize("method", ["gradient", "ism"])
@pytest.mark.parametrize("name", MODELS)
def test_every_network_can_be_attributed(name, method):
    torch.manual_seed(0)
    network = build(name, n_media=2, **WIDTHS.get(name, {})).eval()
    predictor = Predictor(network, ["complex", "defined"], torch.device("cpu"))
    seqs = tokens(2)
    seqs[:, 17 + 6 : 97] = sequence.N_TOKEN  # six bases have 18 mutants
    options = AttributeOptions(method)
    found = attribute(predictor, seqs, medium="complex", minus="defined", options=options)
    assert found.values.shape == (2, 4, 112) and found.values.dtype == np.float32
    assert np.isfinite(found.values).all() and found.values.any()
    assert not found.values[np.arange(4)[:, None] != seqs[:, None]].any()
    assert not found.values[:, :, ~INSIDE].any()


@pytest.mark.parametrize("method", ["integrated", "deeplift"])
def test_attributions_of_a_linear_network_are_complete(method):
    seqs = tokens()
    options = AttributeOptions(method, beyond_composition=False, shuffles=4, steps=3)
    found = attribute(linear(), seqs, medium="complex", options=options)
    np.testing.assert_allclose(found.delta, 0, atol=1e-4)
    weight = np.repeat(WEIGHT[:1].numpy(), 3, 0)
    others = [observed(weight, references(seqs, options)[:, r]) for r in range(4)]
    expected = observed(weight, seqs) - np.mean(others, axis=0)
    np.testing.assert_allclose(found.values.sum(axis=1), expected * (seqs < 4), atol=1e-5)


class SiteAndComposition(nn.Module):
    """The sum of a worth for each base of the insert, and 1 for T at ten positions."""

    worth = torch.tensor([0.5, -1.0, 2.0, 0.25])

    def forward(self, x_BCL):
        insert = x_BCL[:, :, 17:97]
        return (insert.sum(dim=2) @ self.worth + insert[:, 3, 30:40].sum(dim=1))[:, None]


@pytest.mark.parametrize("method", ["ism", "gradient", "integrated", "deeplift"])
def test_composition_is_removed_and_sites_remain(method):
    predictor = Predictor(SiteAndComposition(), ["complex"], torch.device("cpu"), 64)
    seqs = tokens(3)
    seqs[0, 17 + 30 : 17 + 40] = 3
    seqs[1, 20:25] = sequence.N_TOKEN
    found = attribute(predictor, seqs, options=AttributeOptions(method, shuffles=3))
    along = found.values.sum(axis=1)[:, 17:97]
    # At the site, T is worth 3/4 more than the mean of all bases and the others 1/4 less.
    # Mutagenesis compares with the three other bases: 1 more, 1/3 less.
    up, down = (1, -1 / 3) if method == "ism" else (0.75, -0.25)
    letters = seqs[:, 17:97]
    expected = np.zeros(letters.shape)
    expected[:, 30:40] = np.where(letters[:, 30:40] == 3, up, down)
    np.testing.assert_allclose(along, expected, atol=1e-4)


class Gated(nn.Module):
    """Squeeze-excitation and self-attention of the bases, then the mean."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.gate = SqueezeExcitation(4)
        self.attend = MultiHeadAttention(4, heads=2, key_dim=3)
        self.read = nn.Linear(4, 1)

    def forward(self, x_BCL):
        return self.read(self.attend(20 * self.gate(x_BCL).transpose(1, 2)).mean(dim=1))


def test_deeplift_has_a_rule_for_gates_and_attention():
    predictor = Predictor(Gated().eval(), ["complex"], torch.device("cpu"), 64)
    seqs = tokens(2)
    found = attribute(predictor, seqs, options=AttributeOptions("deeplift", shuffles=3))
    np.testing.assert_allclose(found.delta, 0, atol=1e-3)  # 1.1 without these rules


@pytest.mark.parametrize(
    ("part", "gap"),  # without these rules 0.013, 3e-5, 0.016
    [
        ({"stem": 6, "stem_width": 5}, 1e-6),
        ({"recurrent": 6}, 1e-6),
        ({"readout": "mean-max"}, 1e-3),  # a kink between two points is assigned to one side
    ],
    ids=["stem", "recurrent", "mean-max"],
)
def test_deeplift_is_complete_for_each_part_of_crmnet(part, gap):
    torch.manual_seed(0)
    network = CRMnet(CRMnetConfig(**{
        "encoder": (8, 12), "kernel": 5, "transformer_blocks": 0, "decoder": (), "tail": (),
        "dense": (8,), "dense_dropout": (0.0,), "readout": "mean", **part,
    })).eval()  # fmt: skip
    predictor = Predictor(network, ["complex"], torch.device("cpu"), 64)
    found = attribute(predictor, tokens(2), options=AttributeOptions("deeplift", shuffles=3))
    np.testing.assert_allclose(found.delta, 0, atol=gap)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_on_a_trained_network(method, small_run):
    predictor, seqs = Predictor.load(small_run, device="cpu"), tokens(2)
    found = attribute(
        predictor, seqs, medium="complex", minus="defined",
        options=AttributeOptions(method, shuffles=2, steps=20),
    )  # fmt: skip
    assert found.values.shape == (2, 4, 112) and found.values.dtype == np.float32
    assert np.isfinite(found.values).all()
    assert not found.values[(np.arange(4)[:, None] != seqs[:, None])].any()
    assert not found.values[:, :, ~INSIDE].any()
    if found.delta is not None:
        assert (np.abs(found.delta) < (0.15 if method == "integrated" else 0.02)).all()
    again = attribute(
        predictor, seqs, medium="complex", minus="defined",
        options=AttributeOptions(method, shuffles=2, steps=20),
    )  # fmt: skip
    np.testing.assert_array_equal(found.values, again.values)


def test_the_papers_filter_by_hand():
    seqs = tokens(1)
    values = np.zeros((1, 4, 112), dtype=np.float32)
    along = np.zeros(112, dtype=np.float32)
    along[[0, 20, 30, 40, 100]] = [9, 3, 0.05, -5, 3]  # adapter, kept, too small, negative, adapter
    values[0, 0] = along
    kept = paper_mask(values, seqs)[0].sum(axis=0)
    assert np.nonzero(kept)[0].tolist() == [20]
    along[:] = 0.2
    along[50] = 0.5
    values[0, 0] = along * (seqs[0] < 4)
    # The mean is slightly above 0.2: only larger values remain.
    assert np.nonzero(paper_mask(values, seqs)[0].sum(axis=0))[0].tolist() == [50]


def test_references_keep_adapters_and_dinucleotides():
    seqs = tokens(2)
    others = references(seqs, AttributeOptions(shuffles=3))
    assert others.shape == (2, 3, 112)
    outside = np.r_[0:17, 97:112]
    assert (others[:, :, outside] == seqs[:, None, outside]).all()
    pairs = lambda row: np.bincount(4 * row[:-1] + row[1:], minlength=16).tolist()  # noqa: E731
    assert pairs(others[0, 0, 17:97].astype(int)) == pairs(seqs[0, 17:97].astype(int))


def test_references_depend_on_neither_order_nor_length_of_the_other_sequences():
    """Before, one random stream shuffled all rows, so that the server gave other values."""
    seqs, options = tokens(4), AttributeOptions("integrated", shuffles=3, steps=2)
    short = np.full(112, 4, dtype=np.uint8)
    short[:90] = np.r_[seqs[0, :57], seqs[0, 77:110]]
    seqs[3] = short
    together, reverse = references(seqs, options), references(seqs[::-1], options)
    np.testing.assert_array_equal(together, reverse[::-1])
    for row in range(4):
        np.testing.assert_array_equal(references(seqs[row : row + 1], options)[0], together[row])
    assert (references(seqs, dataclasses.replace(options, seed=1)) != together).any()
    assert (together[0, 0] != together[0, 1]).any()
    values = attribute(linear(), seqs, medium="complex", options=options).values
    alone = attribute(linear(), seqs[2:3], medium="complex", options=options).values
    np.testing.assert_allclose(alone[0], values[2], atol=1e-5)


def test_randomised_weights_are_the_same_numbers_in_another_order():
    one, other = linear(), randomised(linear())
    a, b = one.model.weight.detach().flatten(), other.model.weight.detach().flatten()
    assert not torch.equal(a, b) and torch.equal(a.sort()[0], b.sort()[0])


@pytest.mark.parametrize(
    ("medium", "minus", "message"),
    [(None, None, "choose one of"), ("wine", None, "no medium 'wine'; the model has"),
     ("complex", "complex", "nothing to explain")],
)  # fmt: skip
def test_invalid_media_are_rejected(medium, minus, message):
    with pytest.raises(ValueError, match=message):
        output_weights(linear(), medium, minus)


def test_the_unit_is_that_of_the_medium():
    predictor = linear()
    assert unit_of(predictor, "complex") is None
    predictor.units = {"complex": "sorting bin", "defined": "MAUDE score"}
    assert unit_of(predictor, "complex") == unit_of(predictor, None) == "bins"
    assert unit_of(predictor, "defined") == "MAUDE score"
    assert unit_of(predictor, "complex", "defined") is None


@pytest.mark.parametrize("wrong", [{"method": "guess"}, {"shuffles": 0}, {"steps": 0}])
def test_invalid_options_are_rejected(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AttributeOptions(**wrong)


def test_sequences_may_be_text():
    insert = "ACGTTGCAAC" * 8
    forms = [insert, sequence.ADAPTER_5 + insert + sequence.ADAPTER_3]
    seqs = sequence.prepare(*sequence.encode(forms))[0]
    expected = attribute(linear(), seqs, medium="complex").values
    assert expected.any()
    for texts in (forms, tuple(forms), np.array(forms), pd.Series(forms, index=[1, 0])):
        found = attribute(linear(), texts, medium="complex", method="ism").values
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(
        attribute(linear(), seqs.tolist(), medium="complex").values, expected
    )
    with pytest.raises(ValueError, match=r"write \[sequence\]"):
        attribute(linear(), insert, medium="complex")
    with pytest.raises(ValueError, match=r"tokens must be \(N, L\).*\(1, 4, 112\)"):
        attribute(linear(), sequence.one_hot(torch.from_numpy(seqs[:1])), medium="complex")


@pytest.mark.parametrize("method", METHODS)
def test_the_method_by_name_is_that_of_the_options(method):
    seqs = tokens(1)
    by_name = attribute(
        linear(), seqs, medium="complex", method=method, options=AttributeOptions(shuffles=2)
    )
    by_options = attribute(
        linear(), seqs, medium="complex", options=AttributeOptions(method, shuffles=2)
    )
    np.testing.assert_array_equal(by_name.values, by_options.values)


def test_an_unknown_method_lists_those_that_exist():
    with pytest.raises(ValueError, match=f"must be one of {', '.join(METHODS)}; got 'saliency'"):
        attribute(linear(), ["ACGT"], medium="complex", method="saliency")


INSERT_FORMS = {
    "60 bases": ("ACGTTGCAAC" * 6, "auto", (17, 77)),
    "95 bases": ("ACGTT" * 19, "auto", (17, 112)),
    "90 bases, N at the end": ("ACGTT" * 17 + "ACGNN", "auto", (17, 107)),
    "construct": (sequence.ADAPTER_5 + "ACGTT" * 15 + sequence.ADAPTER_3, "auto", (17, 92)),
    "only 3' adapter": ("ACGTT" * 16 + sequence.ADAPTER_3, "auto", (0, 80)),
    "only 5' adapter": (sequence.ADAPTER_5 + "ACGTT" * 16, "auto", (17, 97)),
    "no adapters": ("ACGTT" * 16, "none", (0, 80)),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("form", INSERT_FORMS)
def test_the_insert_of_each_row_is_explained_and_nothing_else(form, method):
    text, flanks, (start, stop) = INSERT_FORMS[form]
    seqs = sequence.prepare(*sequence.encode([text]), flanks)[0]
    given = sequence.given_spans([text], flanks)
    options = AttributeOptions(method, beyond_composition=False, shuffles=2, steps=2)
    found = attribute(linear(), seqs, medium="complex", options=options, given=given)
    assert (found.inserts.start[0], found.inserts.stop[0]) == (start, stop)
    outside = np.r_[0:start, stop:112]
    assert not found.values[:, :, outside].any()
    if method == "ism":
        expected = -mutagenesis(linear(), seqs, [1, 0], found.inserts.inside(112)).sum(axis=1) / 3
        np.testing.assert_allclose(found.values.sum(axis=1), expected, atol=1e-5)
        assert (expected[0, start:stop] != 0).sum() == stop - start - text.count("N")
    if method in ("integrated", "deeplift"):
        np.testing.assert_allclose(found.delta, 0, atol=1e-4)


def test_mutagenesis_equals_predictions_of_mutants_made_by_hand(small_run):
    predictor = Predictor.load(small_run, device="cpu")
    texts = ["ACGTTGCAAC" * 6, "ACGTT" * 16 + sequence.ADAPTER_3]
    changes = mutagenesis(predictor, predictor.prepare(texts), [1, 0])
    for row, (text, first) in enumerate(zip(texts, (17, 0), strict=True)):
        for place in (0, 31, 59):
            for base, letter in enumerate("ACGT"):
                mutant = text[:place] + letter + text[place + 1 :]
                one, other = predictor.predict([mutant, text], medium=predictor.media[0])
                assert changes[row, base, first + place] == pytest.approx(one - other, abs=1e-5)
    assert not changes[0, :, 77:].any() and not changes[1, :, 80:].any()
