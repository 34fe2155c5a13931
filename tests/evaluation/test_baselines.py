"""Baselines find the linear law that made the labels, and count k-mers as by hand."""

import numpy as np
import pytest

from crmnet.evaluation.baselines import FEATURES, fit_baseline, kmer_counts
from crmnet.sequence import encode, prepare


def constructs(inserts):
    return prepare(*encode(inserts), "add")[0]


def random_inserts(n, seed=0):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("ACGT"), 80)) for _ in range(n)]


def test_kmers_are_counted_on_both_strands_of_the_insert_alone():
    counts = kmer_counts(constructs(["A" * 79 + "C"]), 2)[0]
    word = {"AA": 0, "AC": 0 + 4 * 1, "GT": 2 + 4 * 3, "TT": 3 + 4 * 3}
    assert [counts[word[pair]] for pair in ("AA", "AC", "GT", "TT")] == [78, 1, 1, 78]
    assert counts.sum() == 158
    with_n = kmer_counts(constructs(["A" * 40 + "N" + "A" * 39]), 2)[0]
    assert with_n.sum() == with_n[0] + with_n[15] == 2 * 77


def test_a_kmer_and_its_reverse_complement_share_a_column():
    assert [FEATURES[n](constructs(["ACGT" * 20])).shape[1] for n in FEATURES] == [1, 10, 2080]


@pytest.mark.parametrize("name", ["G + C", "dinucleotides"])
def test_a_linear_law_is_found(name):
    tokens = constructs(random_inserts(400))
    features = FEATURES[name](tokens)
    rng = np.random.default_rng(1)
    law = rng.normal(size=features.shape[1])
    labels = 5 + (features - features.mean(axis=0)) @ law
    fitted = fit_baseline(name, tokens, labels, np.arange(400))
    new = constructs(random_inserts(100, seed=2))
    expected = 5 + (FEATURES[name](new) - features.mean(axis=0)) @ law
    np.testing.assert_allclose(fitted.predict(new), expected, atol=0.05 * expected.std())


def test_noise_asks_for_a_large_penalty():
    tokens = constructs(random_inserts(300))
    labels = np.random.default_rng(3).normal(size=300)
    assert fit_baseline("dinucleotides", tokens, labels, np.arange(300)).penalty >= 1e3
