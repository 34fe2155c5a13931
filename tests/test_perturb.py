"""Edits of sequences by hand, and against edits of strings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmnet.perturb import splice
from crmnet.sequence import decode, encode
from support import padded_texts, quick


def spliced(text, start, stop, new, length=12):
    tokens = encode([text.ljust(length, "N")])[0]
    bases = encode([new or "A"])[0]
    return padded_texts(splice(tokens, [start], [stop], bases, [len(new)]))[0]


def test_substitution_insertion_and_deletion_by_hand():
    assert spliced("AACCGGTT", 2, 3, "T") == "AATCGGTTNNNN"
    assert spliced("AACCGGTT", 2, 2, "TTT") == "AATTTCCGGTTN"
    assert spliced("AACCGGTT", 2, 5, "") == "AAGTTNNNNNNN"
    assert spliced("AACCGGTT", 2, 4, "T") == "AATGGTTNNNNN"
    assert spliced("AACCGGTT", 8, 8, "AC") == "AACCGGTTACNN"
    assert spliced("AACCGGTT", 0, 0, "") == "AACCGGTTNNNN"


def test_bases_beyond_the_right_end_are_lost():
    assert spliced("AACCGGTTACGT", 0, 0, "GGG") == "GGGAACCGGTTA"
    assert spliced("AACCGGTTACGT", 11, 11, "GGG") == "AACCGGTTACGG"


def test_rows_have_their_own_edits():
    tokens = encode(["AAAAAA", "CCCCCC", "GGGGGG"])[0]
    new, lengths = encode(["T", "TT"])[0], [1, 2, 0]
    new = np.vstack([new, new[:1]])
    edited = splice(tokens, [0, 2, 4], [1, 2, 5], new, lengths)
    assert decode(edited) == ["TAAAAA", "CCTTCC", "GGGGG"]


@quick
@given(st.text("ACGTN", min_size=1, max_size=20), st.data())
def test_it_equals_an_edit_of_the_string(text, data):
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, len(text)))
    new = data.draw(st.text("ACGT", max_size=6))
    expected = (text[:start] + new + text[stop:]).ljust(30, "N")
    assert spliced(text, start, stop, new, 30) == expected


def test_tokens_must_be_rows():
    with pytest.raises(ValueError, match=r"\(N, L\)"):
        splice([0, 1, 2], [0], [1], [[0]], [1])
