"""Families by shared k-mers: connected by either strand and by chains, never by adapters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmnet.data import homology
from crmnet.data.homology import KmerOptions, homology_families, insert_kmers
from crmnet.sequence import (
    ADAPTER_3,
    ADAPTER_5,
    encode,
    fit_length,
    prepare,
    reverse_complement,
    shuffle,
)


def random_inserts(n, seed=0, length=80):
    letters = np.random.default_rng(seed).integers(4, size=(n, length), dtype=np.uint8)
    return ["".join("ACGT"[base] for base in row) for row in letters]


def constructs(inserts):
    return prepare(*encode(inserts), "add")[0]


def groups(tokens, **options):
    """Families as a set of sets of row numbers."""
    family = homology_families(tokens, KmerOptions(**options)).tolist()
    return {frozenset(np.nonzero(np.array(family) == f)[0].tolist()) for f in family}


def test_only_words_of_the_insert_count():
    (insert,) = random_inserts(1)
    words, counted = insert_kmers(constructs([insert]), KmerOptions(20))
    assert words.shape == counted.shape == (1, 112 - 20 + 1)
    # An insert of 80 has 61 k-mers; it begins after the 17 bases of the adapter.
    assert np.nonzero(counted[0])[0].tolist() == list(range(17, 17 + 61))
    bare, bare_counted = insert_kmers(encode([insert])[0], KmerOptions(20))
    assert (words[counted] == bare[bare_counted]).all()


@pytest.mark.parametrize("k", [8, 11, 20, 31])
def test_equal_letters_give_equal_words_on_either_strand(k):
    inserts = random_inserts(30, seed=1, length=60)
    complement = str.maketrans("ACGT", "TGCA")
    words, _ = insert_kmers(encode(inserts)[0], KmerOptions(k))
    expected = {}
    for row, text in enumerate(inserts):
        for start in range(60 - k + 1):
            word = text[start : start + k]
            both = min(word, word.translate(complement)[::-1])
            assert expected.setdefault(both, words[row, start]) == words[row, start]
    assert len(set(expected.values())) == len(expected)


def test_relatives_of_relatives_are_one_family():
    a, b, c, d = random_inserts(4)
    chain = [a, a[40:] + b[40:], b, c[:60] + d[:20], c, d]
    # d shares its first 20 bases with the fourth row, which connects the last three rows.
    assert groups(constructs(chain)) == {frozenset({0, 1, 2}), frozenset({3, 4, 5})}


def test_nineteen_shared_bases_are_not_twenty():
    a, b = (text.replace("G", "C") for text in random_inserts(2, seed=3))
    pairs = [a, a[:20] + "G" + b[21:]], [a, a[:19] + "G" + b[20:]]
    assert [len(groups(constructs(rows), min_triplets=1)) for rows in pairs] == [1, 2]


def test_other_strands_and_positions_are_found():
    a, b = random_inserts(2)
    turned = constructs([b[:13] + a[20:60].translate(str.maketrans("ACGT", "TGCA"))[::-1] + b[:27]])
    both = np.concatenate([constructs([a]), turned])
    assert len(groups(both)) == 1


@pytest.mark.parametrize(
    "five",
    [ADAPTER_5, ADAPTER_5.replace("TTTTTTT", "TTTTTT"), ADAPTER_5.replace("TTTTTTT", "T" * 9)],
)
def test_adapters_join_no_rows_even_with_a_deletion(five):
    # Only 16 pairs of bases can follow: many rows share the adapter and two more bases.
    tokens, _ = prepare(*encode([five + i + ADAPTER_3 for i in random_inserts(400)]), "none")
    assert len(groups(tokens)) == 400
    assert len(groups(reverse_complement(tokens))) == 400


def test_words_of_low_complexity_join_no_rows():
    runs = ["A" * 25, "T" * 30, "AT" * 14, "CAG" * 9, "A" * 12 + "T" * 14]
    rows = [text[:50] + run + text[:5] for text in random_inserts(60) for run in runs[:1]]
    rows += [text[:40] + run for text, run in zip(random_inserts(60, 9), runs * 12, strict=True)]
    assert len(groups(constructs(rows))) == 120
    assert len(groups(constructs(rows), min_triplets=1)) < 20


def test_copies_are_one_family_however_simple_or_short():
    rows = constructs(["A" * 80, "T" * 80, "C" * 80, "ACGTA", "TACGT", "ACGTT"])
    assert groups(rows) == {
        frozenset({0, 1}), frozenset({2}), frozenset({3, 4}), frozenset({5})
    }  # fmt: skip


def test_words_with_n_do_not_count():
    (a,) = random_inserts(1)
    holes = "".join("N" if i % 20 == 19 else base for i, base in enumerate(a))
    assert len(groups(constructs([a, holes]))) == 2
    fewer = "".join("N" if i % 21 == 20 else base for i, base in enumerate(a))
    assert len(groups(constructs([a, fewer]))) == 1


def test_families_do_not_depend_on_order_parts_or_chunks(monkeypatch):
    base = constructs(random_inserts(40))
    mutants = np.repeat(base, 5, axis=0)
    mutants[np.arange(200), 20 + np.arange(200) % 70] ^= 1
    expected = homology_families(mutants)
    assert len(np.unique(expected)) == 40
    order = np.random.default_rng(2).permutation(200)
    assert (homology_families(mutants[order]) == expected[order]).all()
    monkeypatch.setattr(homology, "CHUNK", 7)
    monkeypatch.setattr(homology, "KMERS_AT_ONCE", 1000)
    assert (homology_families(mutants) == expected).all()


@given(
    parents=st.lists(st.integers(0, 30), min_size=1, max_size=30),
    seed=st.integers(0, 1000),
)
@settings(max_examples=20, deadline=None, derandomize=True)
def test_any_forest_of_steps_gives_its_trees(parents, seed):
    """Row i derives from an earlier row or stands alone; families are the trees of that forest."""
    rng = np.random.default_rng(seed)
    inserts, tree = [], []
    for row, parent in enumerate(parents):
        if parent < row:
            text = list(inserts[parent])
            text[rng.integers(80)] = "ACGT"[rng.integers(4)]
            inserts.append("".join(text))
            tree.append(tree[parent])
        else:
            inserts += random_inserts(1, seed=int(rng.integers(2**31)))
            tree.append(row)
    expected = {frozenset(i for i, t in enumerate(tree) if t == root) for root in set(tree)}
    assert groups(constructs(inserts)) == expected


def test_shuffled_sequences_are_not_relatives():
    rows = fit_length(*encode(random_inserts(50)))
    assert len(groups(np.concatenate([rows, shuffle(rows, 1, k=2)]))) == 100


@pytest.mark.parametrize("k", [7, 32])
def test_other_word_lengths_are_errors(k):
    with pytest.raises(ValueError, match=f"k must be 8 to 31 bases; got {k}"):
        KmerOptions(k)
