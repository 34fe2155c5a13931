"""The plain module: the predictor's numbers, and a guest in three other libraries."""

import numpy as np
import pytest
import torch
from torch import nn

from crmnet import Predictor
from crmnet.sequence import ADAPTER_3, ADAPTER_5, decode, encode, one_hot

pytestmark = pytest.mark.slow

INSERTS = ["TTACCCGGGTCAAGTACGT" * 4 + "ACGT", "ACGTTGCAAC" * 8, "G" * 80]


def hot(texts):
    return one_hot(torch.from_numpy(encode(texts)[0]))


class CountBases(nn.Module):
    """Output 0 counts A, output 1 counts T."""

    def forward(self, x_BCL):
        return torch.stack([x_BCL[:, 0].sum(dim=1), x_BCL[:, 3].sum(dim=1)], dim=1)


@pytest.fixture
def counter():
    return Predictor(CountBases().train(), ["complex", "defined"], torch.device("cpu"))


@pytest.fixture(scope="module")
def fast():
    return Predictor.load("yeast-fast", device="cpu")


@pytest.fixture(scope="module", params=["yeast-fast", "yeast"])
def predictor(request, fast):
    return fast if request.param == "yeast-fast" else Predictor.load(request.param, device="cpu")


def test_inserts_by_hand(counter):
    flank_a, flank_t = ((ADAPTER_5 + ADAPTER_3).count(base) for base in "AT")
    both, one = counter.module(insert_only=True), counter.module("defined", insert_only=True)
    assert both(hot(["AAC", "TTT"])).tolist() == [[2 + flank_a, flank_t], [flank_a, 3 + flank_t]]
    assert one(hot(["AAC", "TTT"])).tolist() == [[flank_t], [3 + flank_t]]
    assert not one.training


def test_constructs_by_hand(counter):
    x_BCL = one_hot(torch.from_numpy(counter.prepare(["AATN"], flanks="none")))
    assert counter.module()(x_BCL).tolist() == [[2, 1]]
    assert counter.module("complex")(x_BCL).tolist() == [[2]]


@pytest.mark.parametrize("dtype", [torch.int8, torch.float64])
def test_numbers_of_other_types_are_converted(counter, dtype):
    found = counter.module(insert_only=True)(hot(["AAC"]).to(dtype))
    assert found.dtype == torch.float32


@pytest.mark.parametrize(
    ("insert_only", "shape", "message"),
    [
        (True, (1, 4, 83), r"\(B, 4, L\), L at most 82; got \(1, 4, 83\)"),
        (True, (4, 80), r"got \(4, 80\)"),
        (True, (1, 5, 80), r"got \(1, 5, 80\)"),
        (False, (1, 4, 80), r"\(B, 4, L\), L 112; got \(1, 4, 80\)"),
        (False, (4, 112), r"got \(4, 112\)"),
    ],
)
def test_other_shapes_are_refused(counter, insert_only, shape, message):
    with pytest.raises(ValueError, match=message):
        counter.module(insert_only=insert_only)(torch.zeros(shape))


def test_an_unknown_medium_lists_those_that_exist(counter):
    with pytest.raises(ValueError, match="no medium 'dream'; the model has complex and defined"):
        counter.module("dream")


@pytest.mark.parametrize("length", [80, 82, 30])
def test_the_numbers_are_those_of_predict(predictor, length):
    inserts = [insert.ljust(82, "A")[:length] for insert in INSERTS]
    expected = predictor.predict(inserts)
    with torch.inference_mode():
        found = predictor.module(insert_only=True)(hot(inserts)).numpy()
        one = predictor.module("defined", insert_only=True)(hot(inserts)).numpy()
        constructs = one_hot(torch.from_numpy(predictor.prepare(inserts)))
        whole = predictor.module()(constructs).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(one, expected[:, 1:2], atol=1e-5)
    np.testing.assert_allclose(whole, expected, atol=1e-5)


def test_gradients_reach_every_base_of_the_insert(predictor):
    x_BCL = hot(INSERTS).requires_grad_()
    predictor.module("complex", insert_only=True)(x_BCL).sum().backward()
    assert x_BCL.grad.shape == (3, 4, 80)
    assert torch.isfinite(x_BCL.grad).all() and (x_BCL.grad != 0).any(dim=1).all()


def test_what_others_do_to_the_module_leaves_the_predictor_alone(counter, predictor):
    before = predictor.predict(INSERTS)
    module = predictor.module("complex", insert_only=True).train()
    for parameter in module.parameters():
        parameter.zero_()
    np.testing.assert_array_equal(predictor.predict(INSERTS), before)
    assert not any(part.training for part in predictor.model.modules())
    assert counter.module() is not counter.model and counter.model.training


def test_tangermeme_explains_it_as_it_is(predictor):
    from tangermeme.deep_lift_shap import deep_lift_shap
    from tangermeme.ersatz import dinucleotide_shuffle

    module, x_BCL = predictor.module("complex", insert_only=True), hot(INSERTS[:1])
    references = dinucleotide_shuffle(x_BCL, n=2, random_state=0)
    # Deltas above 0.001, or 1 % of the difference, would be warnings, which are errors in tests.
    found = deep_lift_shap(module, x_BCL, references=references, device="cpu", hypothetical=True)
    assert found.shape == (1, 4, 80)
    with torch.inference_mode():
        gap = module(x_BCL)[:, 0] - module(references.flatten(0, 1)).view(1, 2).mean(dim=1)
    torch.testing.assert_close((found * x_BCL).sum(dim=(1, 2)), gap, atol=2e-3, rtol=1e-3)


def test_tangermeme_refuses_the_padding_of_a_construct(fast):
    from tangermeme.deep_lift_shap import deep_lift_shap

    x_BCL = one_hot(torch.from_numpy(fast.prepare(INSERTS[:1])))
    with pytest.raises(ValueError, match="one-hot"):
        deep_lift_shap(fast.module("complex"), x_BCL, device="cpu")


def test_every_substitution_by_tangermeme_is_that_of_predict(predictor):
    from tangermeme.saturation_mutagenesis import saturation_mutagenesis

    insert, place = INSERTS[0], 7
    before, after = saturation_mutagenesis(
        predictor.module("complex", insert_only=True), hot([insert]), device="cpu",
        start=place, end=place + 1, raw_outputs=True,
    )  # fmt: skip
    mutants = [insert[:place] + base + insert[place + 1 :] for base in "ACGT"]
    expected = predictor.predict([insert, *mutants], medium="complex")
    np.testing.assert_allclose(before.flatten(), expected[:1], atol=1e-5)
    np.testing.assert_allclose(after.flatten(), expected[1:], atol=1e-5)


def test_captum_integrates_the_gradients_of_the_model_itself(fast):
    from captum.attr import IntegratedGradients

    insert, other = hot(INSERTS[:1]), hot(INSERTS[1:2])
    found = IntegratedGradients(fast.module("complex", insert_only=True)).attribute(
        insert, other, n_steps=4, method="riemann_middle"
    )
    here, there = (one_hot(torch.from_numpy(fast.prepare([text]))) for text in INSERTS[:2])
    path = torch.cat([there + share * (here - there) for share in (1 / 8, 3 / 8, 5 / 8, 7 / 8)])
    path.requires_grad_()
    (slopes,) = torch.autograd.grad(fast.model(path)[:, 0].sum(), path)
    expected = (slopes.mean(dim=0) * (here - there)[0])[:, 17:97]
    torch.testing.assert_close(found[0].float(), expected, atol=1e-4, rtol=1e-4)


def test_ledidi_designs_towards_its_target(fast):
    from ledidi import ledidi

    module, x_BCL = fast.module("complex", insert_only=True), hot(INSERTS[:1])
    before = module(x_BCL).detach()
    designs = ledidi(
        module, x_BCL, before - 5, device="cpu", random_state=0, max_iter=20, verbose=False
    )
    assert designs.shape[1:] == (4, 80)
    # Not only for the module: by predict, too, the designs are at least half of the way down.
    texts = decode(designs.detach().argmax(dim=1).to(torch.uint8), np.full(len(designs), 80))
    assert fast.predict(texts, medium="complex").mean() < before.item() - 2.5
