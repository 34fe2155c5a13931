"""Views of ensembles, and the spread of differences."""

import numpy as np
import pytest
import torch

from crmnet.models.ensemble import Ensemble, Member
from crmnet.prediction.predictor import Predictor
from crmnet.prediction.random_effects import RandomVariants, insert_template, random_effects
from crmnet.prediction.views import Views
from crmnet.sequence import decode
from small_models import Views as Network
from small_models import additive_predictor

TEXTS = ["TTACCCGGGTCAAGTACGT" * 4 + "ACGT", "ACGTTGCAAC" * 8]


def predictor(members, **options):
    return Predictor(Ensemble(members, **options).eval(), ["a", "b"], torch.device("cpu"))


def test_mean_and_spread_are_those_of_the_ensemble():
    """Also where members lack a medium, or see one strand."""
    networks = [Network(seed).eval() for seed in range(3)]
    members = [
        networks[0],
        Member(networks[1], [0, None], 112),
        Member(networks[2], [None, 1], 112),
    ]
    model = predictor(members, reverse_complement=True, forward_only=[0])
    tokens = model.prepare(TEXTS)
    views = model.predict_views(tokens)
    assert views.values.shape == (5, 2, 2) and views.present.sum(axis=0).tolist() == [3, 3]
    expression, spread = model.predict_with_spread(tokens)
    np.testing.assert_allclose(views.mean(), expression, atol=1e-5)
    np.testing.assert_allclose(views.spread(), spread, atol=1e-5)


def test_a_network_without_members_is_one_view():
    model = additive_predictor()
    tokens = model.prepare(TEXTS)
    views = model.predict_views(tokens)
    assert views.values.shape == (1, 2, 2) and views.present.all()
    np.testing.assert_array_equal(views.mean(), model.predict_tokens(tokens))
    assert not views.spread().any()
    with pytest.raises(ValueError, match="tokens must be"):
        model.predict_views(tokens[:, :100])


def test_the_spread_of_a_difference_is_that_of_the_views_differences():
    present = np.ones((2, 1), dtype=bool)
    one = Views(np.array([[[1.0]], [[5.0]]], dtype=np.float32), present)
    other = Views(np.array([[[2.0]], [[7.0]]], dtype=np.float32), present)
    difference = other.minus(one)
    assert difference.mean().tolist() == [[1.5]]  # 1 and 2
    assert difference.spread().tolist() == [[0.5]]
    assert one.spread().tolist() == [[2.0]]  # the views agree better about the difference
    assert one.take([0, 0]).values.shape == (2, 2, 1)


def test_random_variants_differ_in_one_base_and_are_reproducible():
    template, inside = insert_template(112)
    assert decode(template[None])[0] == "TGCATTTTTTTCACATC" + "N" * 80 + "GGTTACGGCTGTT"
    assert np.nonzero(inside)[0].tolist() == list(range(17, 97))
    seen = []

    def predict(tokens):
        seen.append(tokens)
        return tokens[:, 17:97].astype(np.float32) @ np.ones((80, 1), dtype=np.float32)

    (quantiles,) = random_effects(predict, template, inside, RandomVariants(5, 7))
    variants, references = seen
    assert len(references) == 5 and len(variants) == 35
    different = variants != np.repeat(references, 7, axis=0)
    assert (different.sum(axis=1) == 1).all() and not different[:, ~inside].any()
    assert len({row.tobytes() for row in variants}) == 35
    assert len(quantiles) == 101 and quantiles == sorted(quantiles)
    assert 1 <= quantiles[0] and quantiles[-1] <= 3  # differences of tokens
    assert random_effects(predict, template, inside, RandomVariants(5, 7)) == [quantiles]
    assert random_effects(predict, template, inside, RandomVariants(5, 7, seed=1)) != [quantiles]
