"""Held-out families are complete, and do not depend on the order of the rows."""

import itertools

import numpy as np
import pytest

from crmnet.data import hashes
from crmnet.data.dataset import Dataset
from crmnet.data.hashes import insert_hashes, sequence_hashes
from crmnet.data.splits import families, hold_out
from crmnet.sequence import encode, fit_length, prepare, reverse_complement


def dataset_of(tokens, family=None, path="somewhere"):
    n = len(tokens)
    medium = np.zeros(n, np.uint8)
    return Dataset(path, {}, tokens, np.zeros(n, np.float32), medium, family, None)


def random_tokens(n, seed=0):
    return np.random.default_rng(seed).integers(4, size=(n, 112), dtype=np.uint8)


def rows_of(dataset, numbers):
    return {row.tobytes() for row in dataset.tokens[numbers]}


def test_every_pair_of_strands_has_its_own_hash():
    six_mers = ["".join(bases) for bases in itertools.product("ACGT", repeat=6)]
    tokens = fit_length(*encode(six_mers))
    numbers = sequence_hashes(tokens)
    assert (numbers == sequence_hashes(reverse_complement(tokens))).all()
    # 4³ of the 4⁶ equal their reverse complement; the others form pairs.
    assert len(np.unique(numbers)) == (4**6 + 4**3) // 2


def test_sequences_that_differ_only_in_length_have_different_hashes():
    tokens = fit_length(*encode(["A" * n for n in range(1, 113)]))
    assert len(np.unique(sequence_hashes(tokens))) == 112


def test_hashes_do_not_depend_on_the_chunks(monkeypatch):
    tokens = random_tokens(50)
    whole = sequence_hashes(tokens)
    monkeypatch.setattr(hashes, "CHUNK", 7)
    assert (sequence_hashes(tokens) == whole).all()


def test_given_families_take_precedence_over_sequences():
    family = np.array([5, 5, 6], np.uint64)
    assert (families(dataset_of(random_tokens(3), family)) == family).all()
    assert len(set(families(dataset_of(random_tokens(3))).tolist())) == 3


def test_split_uses_every_row_once_in_ascending_order():
    train, held = hold_out(dataset_of(random_tokens(500)), 0.3)
    assert sorted([*train, *held]) == list(range(500))
    assert (np.diff(train) > 0).all() and (np.diff(held) > 0).all()


@pytest.mark.parametrize("fraction", [0.02, 0.25, 0.9])
def test_share_held_out_is_about_the_fraction(fraction):
    n = 10_000
    train, held = hold_out(
        dataset_of(np.zeros((n, 112), np.uint8), np.arange(n, dtype=np.uint64)), fraction
    )
    assert abs(len(held) - fraction * n) < 4 * (n * fraction * (1 - fraction)) ** 0.5
    assert len(train) + len(held) == n


@pytest.mark.parametrize("seed", range(5))
def test_no_family_is_on_both_sides(seed):
    family = np.random.default_rng(seed).integers(200, size=2000).astype(np.uint64)
    train, held = hold_out(dataset_of(random_tokens(2000), family), 0.5, seed)
    assert not set(family[train]) & set(family[held])
    assert set(family[train]) | set(family[held]) == set(family)


def test_both_strands_and_repeats_of_a_sequence_stay_together():
    one = random_tokens(300)
    dataset = dataset_of(np.concatenate([one, reverse_complement(one), one]))
    dataset.medium[600:] = 1
    train, held = hold_out(dataset, 0.5)
    assert len(held) % 3 == 0
    assert set(held % 300) == {row for row in held if row < 300}
    assert not set(train % 300) & set(held % 300)


def test_split_does_not_depend_on_the_order_of_rows():
    tokens = random_tokens(400)
    order = np.random.default_rng(1).permutation(400)
    straight, mixed = dataset_of(tokens), dataset_of(tokens[order])
    for one, other in zip(hold_out(straight, 0.3), hold_out(mixed, 0.3), strict=True):
        assert rows_of(straight, one) == rows_of(mixed, other)


def test_split_does_not_depend_on_other_rows():
    some, all_rows = dataset_of(random_tokens(400)[:150]), dataset_of(random_tokens(400))
    _, held_of_some = hold_out(some, 0.3)
    _, held_of_all = hold_out(all_rows, 0.3)
    assert held_of_some.tolist() == [row for row in held_of_all if row < 150]


def test_larger_share_holds_out_the_same_rows_and_more():
    dataset = dataset_of(random_tokens(400))
    assert set(hold_out(dataset, 0.1)[1]) < set(hold_out(dataset, 0.4)[1])


def test_the_seed_determines_the_split():
    dataset = dataset_of(random_tokens(400))
    first, again, other = (hold_out(dataset, 0.3, seed)[1].tolist() for seed in (3, 3, 4))
    assert first == again
    # Independent halves would share 0.3 · 0.3 of 400 rows; equal ones 0.3.
    assert len(set(first) & set(other)) < 72


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_invalid_fractions_are_errors(fraction):
    with pytest.raises(ValueError, match=rf"between 0 and 1; got {fraction}"):
        hold_out(dataset_of(random_tokens(10)), fraction)


def test_a_split_can_be_split_again_with_the_same_seed():
    """The first selection holds all or none of their families; the second one divides them."""
    tokens = random_tokens(400)
    kept, held = hold_out(dataset_of(tokens), 0.3)
    for rows, fraction in ((kept, 0.1), (held, 0.5)):
        _, second = hold_out(dataset_of(tokens[rows]), fraction)
        assert len(second) == pytest.approx(fraction * len(rows), abs=4 * len(rows) ** 0.5 / 2)
        assert len(second) > 0


def test_one_family_cannot_be_split():
    dataset = dataset_of(random_tokens(10), np.zeros(10, np.uint64), path="single")
    with pytest.raises(
        ValueError, match="single: the 10 rows have too few families to hold out 50%"
    ):
        hold_out(dataset, 0.5)


def test_a_primer_that_joins_all_rows_is_named():
    tokens = random_tokens(30)
    tokens[:, 20:42] = tokens[0, 20:42]
    with pytest.raises(ValueError, match=r"30 of them are one family.* primer.* by sequence"):
        hold_out(dataset_of(tokens, path="single"), 0.5, by="homology")


def test_adapters_and_strand_do_not_change_the_hash_of_an_insert():
    insert = random_tokens(20)[:, :80]
    forms = [
        prepare(strand, np.full(20, 80), flanks)[0]
        for strand in (insert, reverse_complement(insert))
        for flanks in ("add", "none")
    ]
    numbers = [insert_hashes(form) for form in forms]
    assert len(np.unique(numbers[0])) == 20
    assert all((other == numbers[0]).all() for other in numbers)


def test_rows_are_held_out_by_homology_if_requested():
    tokens = np.repeat(random_tokens(50), 6, axis=0)
    tokens[np.arange(300), np.arange(300) % 112] ^= 1
    by_sequence, by_homology = (
        hold_out(dataset_of(tokens), 0.4, by=by)[1] for by in ("sequence", "homology")
    )
    assert len(set(by_homology // 6)) * 6 == len(by_homology)
    assert len(set(by_sequence // 6)) * 6 > len(by_sequence)


def test_unknown_relations_are_errors():
    with pytest.raises(ValueError, match="must be by family, sequence, homology; got 'name'"):
        families(dataset_of(random_tokens(3)), "name")
