"""Archetypes of vectors that are mixtures of known corners."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from crmnet.design.archetypes import (
    STARTS,
    _mixtures,
    archetypes,
    onto_simplex,
    vectors_of_one_length,
)
from crmnet.design.evolve import evolve
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import LENGTH
from support import quick

CORNERS = np.array([[0.0, 0, 0, 0], [-1, -1, 0, 2], [-3, -1, 1, 1]])


def mixtures(n, seed=0):
    """``(n + 3, 4)``: random mixtures of the corners, and the corners."""
    weights = np.random.default_rng(seed).dirichlet(np.ones(3), n)
    return np.vstack([weights, np.eye(3)]) @ CORNERS


def constructs():
    weights = np.random.default_rng(0).normal(size=(4, LENGTH))

    class Model(nn.Module):
        def forward(self, x_BCL):
            return (x_BCL * torch.tensor(weights, dtype=torch.float32)).sum(dim=(1, 2))[:, None]

    return Predictor(Model(), ["complex"], torch.device("cpu"))


def test_the_corners_of_a_triangle_are_found_in_the_order_of_their_size():
    found = archetypes(mixtures(60), 3)
    np.testing.assert_allclose(found.vectors, CORNERS, atol=0.02)
    assert found.explained > 0.9999
    np.testing.assert_allclose(found.weights[-3:], np.eye(3), atol=0.02)
    assert found.nearest[-3:].tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.members @ mixtures(60), found.vectors, atol=1e-3)


def test_weights_are_shares():
    found = archetypes(mixtures(40) + np.random.default_rng(1).normal(0, 0.1, (43, 4)), 3)
    for shares in (found.weights, found.members):
        assert (shares >= 0).all()
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    table = found.to_table()
    assert table.columns == ["id", "archetype", "weight_1", "weight_2", "weight_3", "mds_1",
                             "mds_2"]  # fmt: skip
    assert table["id"].to_list()[:2] == ["1", "2"]


def test_the_plane_keeps_the_distances_of_vectors_in_a_plane():
    vectors = mixtures(30)
    found = archetypes(vectors, 3)
    before = np.linalg.norm(vectors[:, None] - vectors, axis=2)
    after = np.linalg.norm(found.points[:, None] - found.points, axis=2)
    np.testing.assert_allclose(before, after, atol=1e-9)


def test_the_result_is_seeded_and_the_same_for_any_order():
    vectors = mixtures(50)
    first, again = archetypes(vectors, 3, seed=2), archetypes(vectors, 3, seed=2)
    np.testing.assert_array_equal(first.weights, again.weights)
    turned = archetypes(vectors[::-1], 3, seed=5)
    np.testing.assert_allclose(first.vectors, turned.vectors, atol=0.05)
    assert STARTS > 1


def test_memory_grows_with_the_promoters_not_with_their_square():
    vectors = mixtures(1997)
    tracemalloc.start()
    archetypes(vectors, 3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2000**2 / 10


def test_one_archetype_is_the_mean_and_more_archetypes_explain_more():
    vectors = mixtures(40)
    one = archetypes(vectors, 1)
    np.testing.assert_allclose(one.vectors[0], vectors.mean(axis=0), atol=1e-3)
    np.testing.assert_array_equal(one.weights, 1)
    assert one.explained == pytest.approx(0, abs=1e-5)
    shares = [archetypes(vectors, k).explained for k in (1, 2, 3)]
    assert shares == sorted(shares)


@quick
@given(st.lists(st.lists(st.floats(-3, 3), min_size=3, max_size=3), min_size=1, max_size=5))
def test_the_nearest_point_of_the_simplex(rows):
    values = np.array(rows)
    found = onto_simplex(values)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)
    # No point of a grid on the simplex is nearer.
    steps = np.arange(0, 11) / 10
    grid = np.array([[a, b, 1 - a - b] for a in steps for b in steps if a + b <= 1 + 1e-9])
    best = ((values[:, None] - grid) ** 2).sum(axis=2).min(axis=1)
    assert (((values - found) ** 2).sum(axis=1) <= best + 1e-9).all()


def test_the_weights_of_mixtures_are_those_they_were_mixed_with():
    weights = np.random.default_rng(3).dirichlet(np.ones(3), 20)
    found = _mixtures(weights @ CORNERS, CORNERS, np.full((20, 3), 1 / 3), rounds=2000)
    np.testing.assert_allclose(found, weights, atol=1e-4)


def test_promoters_with_fewer_mutations_are_read_at_the_same_ranks():
    found = evolve(constructs(), ["ACGT", "TTTT", "AC"])
    assert found.mutants.tolist() == [12, 12, 6]
    vectors = vectors_of_one_length(found)
    assert vectors.shape == (3, 12)
    np.testing.assert_array_equal(vectors[0], np.sort(found.vectors[0, 0])[:12])
    short = found.vectors[2, 0, :6]
    assert vectors[2, 0] == short[0]
    assert vectors[2, -1] == short[-1]
    # Rank 5 of 11 lies between ranks 2 and 3 of 5: at 2 + 3/11.
    assert vectors[2, 5] == pytest.approx(short[2] + 3 / 11 * (short[3] - short[2]), abs=1e-6)
    assert archetypes(found, 2).ids == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("vectors", "k", "message"),
    [(np.zeros((5, 3)), 2, "2 archetypes need at least 2 different vectors; got 1"),
     (np.eye(3), 0, "0 archetypes need"), (np.full((3, 2), np.nan), 1, "finite numbers"),
     (np.zeros(3), 1, "finite numbers")],
)  # fmt: skip
def test_too_few_or_damaged_vectors_are_refused(vectors, k, message):
    with pytest.raises(ValueError, match=message):
        archetypes(vectors, k)


def test_a_promoter_without_a_known_base_is_refused():
    with pytest.raises(ValueError, match="'2' has no known base"):
        archetypes(evolve(constructs(), ["ACGT", "NNN"]), 1)
