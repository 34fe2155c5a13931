"""Planted copies are found at their level, and nothing else is found."""

import numpy as np
import pytest

from crmnet.data import leaks
from crmnet.data.dataset import Dataset
from crmnet.data.homology import KmerOptions
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.leaks import TrainingRows, copies, find_leaks
from crmnet.sequence import N_TOKEN, encode, prepare, reverse_complement
from support import SHARED, needs_shared

pytestmark = pytest.mark.slow


def inserts(n, seed=0):
    return np.random.default_rng(seed).integers(4, size=(n, 80), dtype=np.uint8)


def dataset_of(bare, flanks="add"):
    """A data set of rows (N, 80)."""
    tokens, _ = prepare(bare, np.full(len(bare), 80), flanks)
    n = len(tokens)
    return Dataset(None, {}, tokens, np.zeros(n, np.float32), np.zeros(n, np.uint8), None, None)


def rows(found):
    return np.nonzero(found.rows)[0].tolist(), np.nonzero(found.against_rows)[0].tolist()


def test_unrelated_sets_share_nothing():
    found = find_leaks(dataset_of(inserts(500)), dataset_of(inserts(300, seed=1)))
    assert not found.rows("words").any()
    assert [rows(kind) for kind in (found.exact, found.near, found.common_kmers)] == [([], [])] * 3


def test_training_rows_find_the_test_rows_seen_at_each_level():
    test, train = inserts(10, seed=1), inserts(40)
    train[5], train[6] = test[2], reverse_complement(test[7:8])[0]  # copies
    train[8] = test[4]
    train[8, [3, 50]] ^= 1  # two bases away
    train[9, :25] = test[0, :25]  # shares k-mers of 20
    rows = {"exact": [2, 7], "near": [2, 4, 7], "words": [0, 2, 4, 7]}
    tokens, others = dataset_of(train).tokens, dataset_of(test, "none").tokens
    for level, wanted in rows.items():
        found = TrainingRows(tokens, "train", level).seen(others)
        assert np.nonzero(found.rows)[0].tolist() == wanted
        assert (found.data, found.level) == ("train", level)
    assert np.nonzero(copies(tokens, others))[0].tolist() == [5, 6]
    with pytest.raises(ValueError, match="the level must be one of exact, near, words"):
        TrainingRows(tokens, "train", "nearly").seen(others)


def test_planted_copies_are_found_on_either_strand_and_without_adapters():
    test = inserts(50, seed=1)
    train = inserts(200)
    train[7], train[90] = test[4], reverse_complement(test[30:31])[0]
    for flanks in ("add", "none"):
        found = find_leaks(dataset_of(train), dataset_of(test, flanks))
        assert rows(found.exact) == ([7, 90], [4, 30])
        assert rows(found.near) == ([], [])
        assert [(e["row"], e["against_row"]) for e in found.exact.examples] == [(7, 4), (90, 30)]
        assert found.exact.examples[0]["insert"] == "".join("ACGT"[b] for b in test[4])


@pytest.mark.parametrize("most", [0, 1, 2, 3, 5])
def test_near_copies_are_found_up_to_the_number_of_mismatches(most):
    rng = np.random.default_rng(most)
    test = inserts(60, seed=1)
    train = inserts(300)
    for row in range(60):  # row i differs from test row i in i mod 7 bases
        train[row] = test[row]
        places = rng.permutation(80)[: row % 7]
        train[row, places] = (train[row, places] + rng.integers(1, 4, len(places))) % 4
    train[30:60] = reverse_complement(train[30:60])
    found = find_leaks(dataset_of(train), dataset_of(test), most)
    assert rows(found.exact)[0] == [row for row in range(60) if row % 7 == 0]
    expected = [row for row in range(60) if 1 <= row % 7 <= most]
    assert rows(found.near) == (expected, expected)
    assert [e["mismatches"] for e in found.near.examples] == [row % 7 for row in expected[:5]]


def test_the_closest_of_several_near_copies_is_shown():
    test = np.repeat(inserts(1), 3, axis=0)
    test[0, 5:8] ^= 1
    test[1, 5] ^= 1
    test[2, 5:7] ^= 1
    (example,) = find_leaks(dataset_of(inserts(1)), dataset_of(test)).near.examples
    assert (example["against_row"], example["mismatches"]) == (1, 1)


def test_shifted_parts_are_found_by_their_words():
    test, train = inserts(20, seed=1), inserts(20)
    train[3, 10:35] = test[8, 50:75]
    train[4, 10:29] = test[9, 50:69]
    train[4, 29] = (test[9, 69] + 1) % 4
    train[4, 9] = (test[9, 49] + 1) % 4
    found = find_leaks(dataset_of(train), dataset_of(test))
    assert rows(found.common_kmers) == ([3], [8])
    assert not found.rows("near").any()
    shorter = find_leaks(dataset_of(train), dataset_of(test), kmers=KmerOptions(19))
    assert rows(shorter.common_kmers) == ([3, 4], [8, 9])


def test_levels_include_those_before_them():
    test, train = inserts(20, seed=1), inserts(20)
    train[:3] = test[:3]
    train[1, 40] ^= 1
    train[2, :40] = inserts(1, seed=2)[0, :40]
    found = find_leaks(dataset_of(train), dataset_of(test))
    masks = [np.nonzero(found.rows(level))[0].tolist() for level in ("exact", "near", "words")]
    assert masks == [[0], [0, 1], [0, 1, 2]]
    with pytest.raises(ValueError, match="one of exact, near, words; got 'some'"):
        found.rows("some")
    counted = found.as_json()
    assert [counted[kind]["rows"] for kind in ("exact", "near", "words")] == [1, 1, 3]
    assert len(list(found.lines("test"))) == 3 + 5


def test_the_result_does_not_depend_on_chunks(monkeypatch):
    test, train = inserts(40, seed=1), inserts(90)
    train[:40] = test
    train[np.arange(40), np.arange(40)] ^= 1
    monkeypatch.setattr(leaks, "CHUNK", 13)
    monkeypatch.setattr(leaks, "PAIRS_AT_ONCE", 3)
    found = find_leaks(dataset_of(train), dataset_of(test))
    assert rows(found.near) == (list(range(40)), list(range(40)))


def test_sets_without_words_can_be_compared():
    tokens, _ = encode(["ACGTT", "ACGTA"])
    short = np.full((2, 80), N_TOKEN, np.uint8)
    short[:, :5] = tokens
    one = dataset_of(short[:1], "none")
    # On its other strand ACGTT is three bases away from itself.
    found = find_leaks(one, dataset_of(short, "none"), 2)
    assert (rows(found.exact), rows(found.near)) == (([0], [0]), ([0], [1]))
    assert rows(found.common_kmers) == ([], [])


def test_mismatches_have_limits():
    with pytest.raises(ValueError, match="mismatches must be 0 to 10; got 11"):
        find_leaks(dataset_of(inserts(2)), dataset_of(inserts(2)), 11)


@needs_shared
def test_real_training_rows_against_the_random_test_set(tmp_path):
    """The 540 padded rows of the test file are, without padding, rows of the training file.

    A comparison of the texts would find none of them.
    """
    folder = SHARED / "data"
    test = ingest([folder / "evolution" / "Random_complex.csv"], tmp_path / "test")
    found = {}
    for medium in ("complex", "defined", "dream"):
        files = [folder / "hq" / f"{medium}_train.tsv.gz"]
        data = ingest(files, tmp_path / medium, IngestOptions(media=(medium,)))
        found[medium] = find_leaks(data, test)
    assert {name: int(f.exact.rows.sum()) for name, f in found.items()} == {
        "complex": 540, "defined": 0, "dream": 0
    }  # fmt: skip
    assert test.manifest["preparation"]["padding_removed"] == 540
