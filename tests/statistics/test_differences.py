"""Pairs of related rows."""

import numpy as np
import pytest

from crmnet.sequence import encode
from crmnet.statistics import differences
from crmnet.statistics.differences import related_pairs

TEXTS = ["ACGTACGT", "ACGTACGA", "ACGTACGAT", "TTTTACGT", "ACGTACGT", "ACGTACGG", "GGGGGGGG"]
FAMILY = ["x", "x", "x", "x", "x", "y", "y"]


def pairs(edits):
    return related_pairs(encode(TEXTS)[0], FAMILY, edits).tolist()


def test_pairs_are_of_one_family_and_length_and_differ_in_few_bases():
    # Rows 0 and 4 are copies; row 2 is longer; row 3 differs from row 0 in three bases.
    assert pairs(1) == [[0, 1], [1, 4]]
    assert pairs(3) == [[0, 1], [0, 3], [1, 4], [3, 4]]
    assert pairs(4) == [[0, 1], [0, 3], [1, 3], [1, 4], [3, 4]]
    assert pairs(7) == [*pairs(4), [5, 6]]


def test_a_large_family_gives_a_sample_of_its_pairs(monkeypatch):
    monkeypatch.setattr(differences, "MOST_PAIRS", 6)
    texts = [f"{'A' * i}C{'A' * (9 - i)}" for i in range(10)]
    tokens = encode([*texts, "ACGT", "ACGA"])[0]
    found = related_pairs(tokens, [1] * 10 + [2] * 2)
    assert len(found) == 7 and found[-1].tolist() == [10, 11]
    assert len({tuple(pair) for pair in found.tolist()}) == 7
    np.testing.assert_array_equal(found, related_pairs(tokens, [1] * 10 + [2] * 2))
    assert (found != related_pairs(tokens, [1] * 10 + [2] * 2, seed=1)).any()


@pytest.mark.parametrize("many", [0, 1])
def test_too_few_rows_have_no_pairs(many):
    assert related_pairs(encode(["ACGT"] * many)[0], [1] * many).shape == (0, 2)
