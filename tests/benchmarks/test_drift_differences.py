"""The start of a drift family, reconstructed from its three promoters."""

import csv

import numpy as np
from drift_differences import families, read_drift, start_among, start_of

from crmnet.sequence import ADAPTER_3, ADAPTER_5, decode, encode

START = "ACGT" * 20


def changed(text, *changes):
    letters = list(text)
    for position, base in changes:
        assert letters[position] != base
        letters[position] = base
    return "".join(letters)


def start(*promoters):
    found = start_of(encode(promoters)[0])
    return None if found is None else decode(found[None])[0]


ONE = changed(START, (0, "C"))
TWO = changed(START, (5, "A"), (6, "A"))
THREE = changed(START, (10, "A"), (20, "G"), (30, "T"))


def test_the_start_has_distances_1_2_and_3():
    assert start(ONE, TWO, THREE) == START
    assert start(THREE, ONE, TWO) == START


def test_two_promoters_have_no_start_and_ambiguous_ones_have_none():
    assert start(ONE, TWO) is None
    # Two promoters share a mutation: the start may have it, and one of the third promoter instead.
    assert start(ONE, changed(START, (0, "C"), (6, "A")), THREE) is None


def test_the_start_is_found_among_measured_sequences():
    others = [ONE, TWO, "TTTTTTTTCC" * 8, changed(START, (40, "C"))]
    candidates = encode([*others, START])[0]

    def found(*promoters):
        start = start_among(encode(promoters)[0], candidates)
        return None if start is None else decode(start[None])[0]

    assert found(ONE, TWO, THREE) == START
    assert found(THREE, ONE) == START
    # Also where mutations share a position, which leaves several possible starts.
    shared = changed(START, (0, "C"), (6, "A"))
    assert start(ONE, shared, THREE) is None
    assert found(ONE, shared, THREE) == START
    assert found(ONE, changed(START, (0, "G")), THREE) is None  # two distances of 1
    assert found("TTTTTTTTCC" * 8) is None


def test_families_are_promoters_that_differ_in_few_bases():
    other = "TTTTTTTTCC" * 8
    tokens = encode([ONE, other, TWO, changed(other, (0, "G")), THREE])[0]
    assert [family.tolist() for family in families(tokens)] == [[0, 2, 4], [1, 3]]


def test_rows_without_a_start_are_left_out(tmp_path):
    path = tmp_path / "delta.csv"
    promoters = [ONE, TWO, "TTTTTTTTCC" * 8, THREE]
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["", "sequence", "Measured Expression", "Predicted Expression"])
        for number, text in enumerate(promoters):
            table.writerow([number, ADAPTER_5 + text + ADAPTER_3, number / 2, -number])
    drift = read_drift(path)
    assert [text[17:-13] for text in drift.promoters] == [ONE, TWO, THREE]
    assert {text[17:-13] for text in drift.starts} == {START}
    np.testing.assert_array_equal(drift.measured, [0, 0.5, 1.5])
    np.testing.assert_array_equal(drift.published, [0, -1, -3])
    assert drift.total == 4
    assert len(set(drift.family.tolist())) == 1
