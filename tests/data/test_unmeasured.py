"""New promoters: kinds, shares, composition."""

import numpy as np
import pytest

from crmnet.data.unmeasured import (
    NO_PARENT,
    Inserts,
    MarkovChain,
    Recipe,
    new_promoters,
)
from crmnet.perturb import delete
from crmnet.sequence import adapter_mismatches, encode, inserts


@pytest.fixture
def source():
    tokens, lengths = encode(["A" * 80, "C" * 80, "G" * 60])
    return Inserts(tokens, lengths, np.array([5, 7, 9]))


def made(source, kind, n=300, **options):
    recipe = Recipe({kind: 1}, **options)
    return new_promoters(source, n, recipe, np.random.default_rng(0))


def test_deleted_bases_are_gone_and_the_rest_moves_up():
    tokens, _ = encode(["ACGTAC", "ACGTAC", "ACGTAC"])
    edited = delete(tokens, [0, 2, 5], [1, 3, 1])
    expected, _ = encode(["CGTACN", "ACCNNN", "ACGTAN"])
    assert edited.tolist() == expected.tolist()


def test_mutants_differ_from_their_parent_by_substitutions_alone(source):
    tokens, parent = made(source, "mutants", most_exchanged=0.1)
    bases, lengths = inserts(tokens)
    assert set(parent.tolist()) == {5, 7, 9}
    assert lengths.tolist() == [60 if row == 9 else 80 for row in parent]
    letter = {5: 0, 7: 1, 9: 2}
    for row, width, insert in zip(parent, lengths, bases, strict=True):
        assert (insert[:width] == letter[row]).mean() > 0.7


def test_crosses_have_two_parents_of_the_same_length(source):
    tokens, parent = made(source, "crosses")
    bases, lengths = inserts(tokens)
    found = {tuple(np.unique(row[:n])) for row, n in zip(bases, lengths, strict=True)}
    assert found == {(0,), (1,), (2,), (0, 1)}  # the only one of 60 bases is crossed with itself
    assert all(n == 60 for n, row in zip(lengths, parent, strict=True) if row == 9)


def test_deletions_are_shorter_and_nothing_else(source):
    tokens, parent = made(source, "deletions", longest_deletion=3)
    lengths = inserts(tokens)[1]
    removed = np.where(parent == 9, 60, 80) - lengths
    assert set(removed.tolist()) == {1, 2, 3}
    assert not any(mismatches.any() for mismatches in adapter_mismatches(tokens))


def test_kinds_have_their_shares(source):
    recipe = Recipe({"random": 3, "mutants": 1})
    promoters = new_promoters(source, 4000, recipe, np.random.default_rng(1))
    share = (promoters.parent == NO_PARENT).mean()
    assert share == pytest.approx(0.75, abs=0.03)  # sd 0.007
    bases = inserts(promoters.tokens[promoters.parent == NO_PARENT])[0][:, :80]
    assert np.bincount(bases.ravel()) / bases.size == pytest.approx([0.25] * 4, abs=0.01)


def test_a_chain_learns_what_follows_what():
    tokens, _ = encode(["ACACACACACACACACACACAC", "NNNNGTGTGTGTGTGTGTNGTG"] * 500)
    chain = MarkovChain.fit(tokens, order=2)
    sampled = chain.sample(200, 40, np.random.default_rng(0))
    after = sampled[:, 1:][sampled[:, :-1] == 0]
    assert (after == 1).mean() > 0.98  # A is followed by C
    assert sampled.shape == (200, 40) and sampled.max() < 4
    assert 0.3 < (sampled[:, 0] <= 1).mean() < 0.8  # both kinds of sequence occur


def test_a_chain_of_order_0_is_the_composition():
    tokens, _ = encode(["AAAC" * 200])
    sampled = MarkovChain.fit(tokens, order=0).sample(50, 100, np.random.default_rng(0))
    assert np.bincount(sampled.ravel(), minlength=4) / 5000 == pytest.approx(
        [0.75, 0.25, 0.0, 0.0], abs=0.03
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shares": {"mutant": 1}}, "kinds of promoters are mutants.*got mutant"),
        ({"shares": {"random": -1}}, "share of random must be 0 or more; got -1"),
        ({"shares": {"random": float("nan")}}, "share of random must be 0 or more; got nan"),
        ({"shares": {"random": 0}}, "the shares of all kinds of promoters are 0"),
        ({"most_exchanged": 1.5}, "most_exchanged must be between 0 and 1; got 1.5"),
        ({"longest_deletion": 80}, "longest_deletion must be 1 to 79; got 80"),
    ],
)
def test_a_recipe_that_cannot_be_made_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**options)


def test_what_a_kind_needs_must_be_there(source):
    with pytest.raises(ValueError, match="native-like promoters need the sequences"):
        made(source, "native-like")
    empty = Inserts(source.bases[:0], source.lengths[:0], source.rows[:0])
    with pytest.raises(ValueError, match="no promoters from which crosses can be derived"):
        made(empty, "crosses")
    with pytest.raises(ValueError, match="too short for a chain of order 5"):
        MarkovChain.fit(encode(["ACGT"])[0])
