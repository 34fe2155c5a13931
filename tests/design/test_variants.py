"""Names of variants, and the edits that they make."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmnet.design.variants import (
    Change,
    check_variant,
    edit_names,
    edits_of,
    parse_variant,
    substitutions,
    tiled_deletions,
)
from crmnet.sequence import decode, encode
from support import quick

TEXT = "AACCGGTTAC"


def applied(name, text=TEXT, room=8):
    tokens = encode([text + "N" * room])[0]
    changes = parse_variant(name)
    check_variant(changes, text, "p")
    return decode(edits_of([changes], [0], [0]).apply(tokens))[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("3C>T", "AATCGGTTAC"),
        ("3CC>GTT", "AAGTTGGTTAC"),
        ("3CCG>A", "AAAGTTAC"),
        ("4insTTT", "AACCTTTGGTTAC"),
        ("4_5insTTT", "AACCTTTGGTTAC"),
        ("0insG", "GAACCGGTTAC"),
        ("10insG", "AACCGGTTACG"),
        ("1del", "ACCGGTTAC"),
        ("3_6del", "AATTAC"),
        ("3_6delCCGG", "AATTAC"),
        ("3c>t+10c>a", "AATCGGTTAA"),
        ("10C>A+3_4del+1insG", "AGAGGTTAA"),
        ("4insA+5G>T", "AACCATGTTAC"),
    ],
)
def test_a_variant_by_hand(name, expected):
    assert applied(name) == expected


@pytest.mark.parametrize(
    ("name", "canonical"),
    [("35a>g", "35A>G"), ("35_36insacg", "35insACG"), ("35_38del", "35_38del"),
     ("35_35del", "35del"), ("7_8delAC", "7_8delAC"), ("40T>C + 35A>G", "35A>G+40T>C")],
)  # fmt: skip
def test_names_are_canonical(name, canonical):
    changes = parse_variant(name)
    assert "+".join(change.name for change in changes) == canonical
    assert parse_variant(canonical) == changes


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "is not a variant; write 35A>G, 35insACG or 35_38del"),
        ("A35G", "'A35G' is not a variant"),
        ("35A>", "'35A>' is not a variant"),
        ("35A", "between changes that occur together; quote it, because the shell takes >"),
        ("35A>N", "'35A>N' is not a variant"),
        ("35A>G+", "'' in '35A>G+' is not a variant"),
        ("35_40insA", "between two neighbouring bases, as in 35_36insA"),
        ("38_35del", "the bases of a deletion do not fit"),
        ("35_38delAC", "the bases of a deletion do not fit"),
        ("0A>G", "positions count from 1"),
        ("0del", "positions count from 1"),
        ("35A>A", "changes nothing"),
        ("3C>T+2_4del", "2_4del and 3C>T change the same bases"),
        ("3insA+3insC", "change the same bases"),
        ("3_6del+4insC", "change the same bases"),
    ],
)
def test_what_is_not_a_variant(name, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_variant(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("11A>G", "position 11 is out of range; the sequence has 10 bases"),
        ("9_12del", "position 12 is out of range"),
        ("11insA", "position 11 is out of range"),
        ("3G>T", "base 3 is C, not G; positions count from 1"),
        ("3CCT>A", "base 5 is G, not T"),
        ("3_4delCG", "base 4 is C, not G"),
    ],
)
def test_a_variant_that_does_not_fit_its_sequence(name, message):
    with pytest.raises(ValueError, match=f"of sequence p: {message}"):
        applied(name)


@quick
@given(st.text("ACGT", min_size=1, max_size=12), st.data())
def test_random_variants_equal_edits_of_the_string(text, data):
    """Several changes, written in any order, against the text edited from right to left."""
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), min_size=2, max_size=6)))
    changes, expected = [], text
    for start, stop in zip(cuts[::2], cuts[1::2], strict=False):
        new = data.draw(st.text("ACGT", max_size=4))
        if new != text[start:stop]:
            changes.append(Change(start, stop, new, text[start:stop] if new else ""))
    if not changes:
        return
    for change in reversed(changes):
        expected = expected[: change.start] + change.new + expected[change.stop :]
    name = "+".join(c.name for c in data.draw(st.permutations(changes)))
    tokens = encode([text + "N" * 30])[0]
    edits = edits_of([parse_variant(name)], [0], [0])
    assert decode(edits.apply(tokens), [len(expected)]) == [expected]
    assert edits.growth.tolist() == [len(expected) - len(text)]


def test_positions_are_those_of_the_given_sequence_in_its_construct():
    tokens = encode(["TTT" + TEXT])[0]
    edits = edits_of([parse_variant("3C>T"), parse_variant("1del+3C>T")], [0, 0], [3, 3])
    assert decode(edits.apply(np.repeat(tokens, 2, axis=0))) == ["TTTAATCGGTTAC", "TTTATCGGTTAC"]


def test_marks_of_changes_by_hand():
    """Base i is mark 2 i, the junction before it 2 i - 1."""
    names = ["3C>T", "4insTTT", "3_6del", "2del+5G>T"]
    before, after = edits_of([parse_variant(n) for n in names], [0] * 4, [0] * 4).marks()
    assert before[0, 0].tolist() == after[0, 0].tolist() == [4, 4]
    assert (before[1, 0].tolist(), after[1, 0].tolist()) == ([7, 7], [8, 12])
    assert (before[2, 0].tolist(), after[2, 0].tolist()) == ([4, 10], [3, 3])
    assert before[3].tolist() == [[2, 2], [8, 8]]
    assert after[3].tolist() == [[1, 1], [6, 6]]  # base 5 is base 4 of the variant
    assert before[0, 1, 1] < before[0, 1, 0]  # the second change of the first does not exist


def test_all_substitutions_are_ordered_by_position_and_base():
    tokens = encode(["ANGT"])[0]
    edits = substitutions(tokens, [[True, True, True, False]])
    names = edit_names(edits, tokens, [0])
    assert names == ["1A>C", "1A>G", "1A>T", "3G>A", "3G>C", "3G>T"]
    mutants = decode(edits.apply(tokens[edits.row]))
    assert mutants == ["CNGT", "GNGT", "TNGT", "ANAT", "ANCT", "ANTT"]


def test_deletions_are_tiled_and_the_last_ends_at_the_end():
    tokens = encode(["AACCGGTTACG", "ACGT" + "N" * 7])[0]
    edits = tiled_deletions([0, 0], [11, 4], 3, 3)
    assert edit_names(edits, tokens, [0, 0]) == ["1_3del", "4_6del", "7_9del", "9_11del",
                                                "1_3del", "2_4del"]  # fmt: skip
    assert decode(edits.apply(tokens[edits.row]))[3:] == ["AACCGGTT", "T", "A"]
    assert len(tiled_deletions([0], [3], 3, 1).row) == 0
    stepped = edit_names(tiled_deletions([2], [8], 4, 1), tokens, [2])
    assert stepped == ["1_4del", "2_5del", "3_6del"]
