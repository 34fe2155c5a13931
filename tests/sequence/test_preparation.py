"""Constructs, adapters and padding against strings worked out by hand."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crmnet.sequence import (
    ADAPTER_3,
    ADAPTER_5,
    LENGTH,
    Preparation,
    adapter_mismatches,
    decode,
    encode,
    find_adapters,
    given_spans,
    letters_to_tokens,
    prepare,
)
from support import padded, padded_texts, quick

INSERT = "ACGTTGCAAC" * 8
CONSTRUCT = ADAPTER_5 + INSERT + ADAPTER_3
inserts = st.text("ACGT", max_size=200)


def prepared(sequence, flanks="auto", **options):
    """The whole padded row that comes out, and what was counted."""
    tokens, done = prepare(*letters_to_tokens([sequence]), flanks, **options)
    return padded_texts(tokens)[0], done


def mutated(text, *places):
    """``text`` with another base at each of ``places``."""
    return "".join({"A": "C"}.get(b, "A") if i in places else b for i, b in enumerate(text))


def no_adapter_at(text, adapter):
    return sum(a != b for a, b in zip(text, adapter, strict=False)) > 2


def test_no_sequences_are_no_rows():
    tokens, done = prepare(*encode([]))
    assert tokens.shape == (0, LENGTH)
    assert done == Preparation()
    assert decode(encode([])[0]) == []


@given(inserts)
@quick
def test_add_sets_the_insert_between_the_adapters(insert):
    row, done = prepared(insert, "add")
    whole = ADAPTER_5 + insert + ADAPTER_3
    assert row == padded(whole)
    assert done == Preparation(total=1, adapters_added=1, cut=int(len(whole) > LENGTH))


@given(inserts)
@quick
def test_auto_adds_missing_adapters_and_leaves_present_ones(insert):
    assume(no_adapter_at(insert.ljust(17, "N"), ADAPTER_5))
    assume(no_adapter_at(insert.rjust(13, "N")[-13:], ADAPTER_3))
    whole = ADAPTER_5 + insert + ADAPTER_3
    assert prepared(insert) == prepared(insert, "add")
    assert prepared(whole)[0] == padded(whole)
    assert prepared(whole)[1].adapters_kept == 1


@given(st.text("ACGT", max_size=82))
@quick
def test_auto_done_twice_is_auto_done_once(insert):
    once, _ = prepared(insert)
    assert prepared(once)[0] == once


@given(st.text("ACGTN", max_size=200))
@quick
def test_none_never_touches_the_sequence(sequence):
    row, done = prepared(sequence, "none")
    assert row == padded(sequence)
    assert (done.adapters_added, done.adapters_kept) == (0, 0)


def test_add_adds_even_to_a_construct():
    assert prepared(CONSTRUCT, "add", length=200)[0] == padded(
        ADAPTER_5 + CONSTRUCT + ADAPTER_3, 200
    )


@pytest.mark.parametrize("places", [(0,), (16,), (3, 9), (0, 16)])
def test_adapters_with_two_mismatches_are_still_adapters(places):
    construct = mutated(ADAPTER_5, *places) + INSERT + mutated(ADAPTER_3, *(p % 13 for p in places))
    row, done = prepared(construct)
    assert row == padded(construct)
    assert done == Preparation(total=1, adapters_kept=1)


def test_three_mismatches_are_too_many():
    spoilt = mutated(ADAPTER_5, 1, 5, 9) + INSERT + mutated(ADAPTER_3, 2, 4, 6)
    row, done = prepared(spoilt, length=200)
    assert row == padded(ADAPTER_5 + spoilt + ADAPTER_3, 200)
    assert done == Preparation(total=1, adapters_added=1)


def test_adapters_are_found_at_the_ends_of_a_row_or_where_they_are_looked_for():
    insert = "AACCA" * 3
    both, one = ADAPTER_5 + insert + ADAPTER_3, "TTTTT" + ADAPTER_5[5:] + insert + ADAPTER_3
    shifted = "NNN" + both
    tokens, lengths = encode([both, one, insert, shifted])
    five, three = find_adapters(tokens)
    assert (five.tolist(), three.tolist()) == (
        [True, False, False, False],
        [True, True, False, True],
    )
    # TTTTT has three mismatches with TGCAT: G, C and A.
    assert adapter_mismatches(tokens)[0][:2].tolist() == [0, 3]
    five, three = find_adapters(tokens, np.array([0, 0, 0, 3]), lengths)
    assert (five.tolist(), three.tolist()) == (
        [True, False, False, True],
        [True, True, False, True],
    )


@pytest.mark.parametrize("one_sided", [ADAPTER_5 + INSERT, INSERT + ADAPTER_3])
def test_one_adapter_alone_is_kept_and_counted(one_sided):
    row, done = prepared(one_sided)
    assert row == padded(one_sided)
    assert done == Preparation(total=1, adapters_kept=1, one_adapter_only=1)


@pytest.mark.parametrize(("front", "back"), [(3, 0), (0, 2), (1, 1), (40, 40)])
def test_n_around_a_construct_is_removed(front, back):
    row, done = prepared("N" * front + CONSTRUCT + "N" * back)
    assert row == padded(CONSTRUCT)
    assert done == Preparation(total=1, adapters_kept=1, padding_removed=1)


def test_n_in_an_insert_stays_and_is_counted():
    row, done = prepared("N" + INSERT[:-2] + "N")
    assert row == padded(ADAPTER_5 + "N" + INSERT[:-2] + "N" + ADAPTER_3)
    assert done == Preparation(total=1, adapters_added=1, with_n=1)


@given(st.lists(st.text("ACGTN", max_size=130) | st.just("NN" + CONSTRUCT), max_size=6))
@quick
def test_each_row_is_prepared_as_if_it_were_alone(sequences):
    tokens, done = prepare(*letters_to_tokens(sequences))
    alone = [prepared(sequence) for sequence in sequences]
    assert padded_texts(tokens) == [row for row, _ in alone]
    assert done == sum((counts for _, counts in alone), Preparation())


def test_preparation_counts_by_hand():
    batch = [INSERT, "N" * 5, CONSTRUCT, "N" + CONSTRUCT, ADAPTER_5 + INSERT, "A" * 90]
    _, done = prepare(*encode(batch))
    assert done == Preparation(
        total=6,
        adapters_added=3,
        adapters_kept=3,
        one_adapter_only=1,
        padding_removed=1,
        cut=1,
        with_n=1,
    )
    assert done + done == Preparation(12, 6, 6, 2, 2, 2, 2)


def test_preparation_says_only_what_happened():
    assert Preparation(total=3).messages() == []
    (said,) = Preparation(total=3, cut=2).messages()
    assert said.startswith("warning: ") and "2 sequences are longer than 112" in said
    assert len(Preparation(2, 1, 1, 1, 1, 1, 1).messages()) == 6


def test_unknown_flanks_are_refused():
    with pytest.raises(ValueError, match="auto, add, none; got 'maybe'"):
        prepare(*encode(["ACGT"]), flanks="maybe")


@pytest.mark.parametrize(
    ("text", "flanks", "span"),
    [
        (INSERT, "auto", (17, 97)),
        (INSERT, "none", (0, 80)),
        (CONSTRUCT, "auto", (0, 110)),
        (CONSTRUCT, "add", (17, 127)),
        ("NN" + CONSTRUCT + "N", "auto", (-2, 111)),
        ("NN" + INSERT, "auto", (17, 99)),
        (INSERT + ADAPTER_3, "auto", (0, 93)),
        (ADAPTER_5 + INSERT * 9, "auto", (0, 737)),
        ("N" * 5, "auto", (17, 22)),
    ],
)
def test_the_given_sequence_lies_where_its_bases_are_in_the_construct(text, flanks, span):
    (found,) = given_spans([text], flanks).tolist()
    assert tuple(found) == span
    construct = decode(prepare(*encode([text.encode()]), flanks, 1000)[0], [1000])[0]
    assert construct[max(found[0], 0) : found[1]].rstrip("N") == (
        text[max(0, -found[0]) :].rstrip("N")
    )
