"""Letters, tokens, constructs, strands and shuffles against strings worked out by hand."""

import itertools
from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crmnet.sequence import (
    ADAPTER_3,
    ADAPTER_5,
    LENGTH,
    N_TOKEN,
    Preparation,
    adapter_mismatches,
    as_tokens,
    decode,
    encode,
    find_adapters,
    fit_length,
    given_spans,
    letters_to_tokens,
    one_hot,
    other_strand,
    prepare,
    reverse_complement,
    sequence_lengths,
    shuffle,
)

INSERT = "ACGTTGCAAC" * 8
CONSTRUCT = ADAPTER_5 + INSERT + ADAPTER_3
quick = settings(max_examples=40, deadline=None, derandomize=True)
inserts = st.text("ACGT", max_size=200)
dna = st.text("ACGT", min_size=1, max_size=LENGTH)


def padded(text, length=LENGTH):
    return text[:length].ljust(length, "N")


def texts(tokens):
    """Every position of every row, padding included."""
    return decode(tokens, np.full(len(tokens), tokens.shape[1]))


def prepared(sequence, flanks="auto", **options):
    """The whole padded row that comes out, and what was counted."""
    tokens, done = prepare(*letters_to_tokens([sequence]), flanks, **options)
    return texts(tokens)[0], done


def mutated(text, *places):
    """``text`` with another base at each of ``places``."""
    return "".join({"A": "C"}.get(b, "A") if i in places else b for i, b in enumerate(text))


def no_adapter_at(text, adapter):
    return sum(a != b for a, b in zip(text, adapter, strict=False)) > 2


def turned(text):
    return text[::-1].translate(str.maketrans("ACGT", "TGCA"))


def test_tokens_are_the_documented_numbers_and_short_rows_end_in_n():
    tokens, lengths = encode(["ACGTN", "TG"])
    assert tokens.dtype == np.uint8
    assert tokens.tolist() == [[0, 1, 2, 3, 4], [3, 2, 4, 4, 4]]
    assert lengths.tolist() == [5, 2]


def test_lower_case_and_bytes_are_the_same_sequence():
    upper, _ = encode(["ACGTN"])
    assert (encode(["acgtn"])[0] == upper).all()
    assert (encode([b"AcGtN"])[0] == upper).all()


@given(st.lists(st.text("ACGTN", min_size=1, max_size=30), max_size=5))
@quick
def test_decode_gives_back_what_was_encoded(sequences):
    assert decode(*encode(sequences)) == sequences


def test_decode_without_lengths_takes_n_at_the_end_for_padding():
    assert decode(encode(["NACNN", "NN"])[0]) == ["NAC", ""]


@pytest.mark.parametrize(
    ("sequence", "letter", "position", "remedy"),
    [
        ("ACU", "U", "3 of 3", "write T for U"),
        ("uCG", "u", "1 of 3", "write T for U"),
        ("AC-GU", "-", "3 of 5", "gaps"),
        ("A.CG", ".", "2 of 4", "gaps"),
        ("ACRG", "R", "3 of 4", "write N"),
        ("AC GT", " ", "3 of 5", "write N"),
        ("ACéG-", "é", "3 of 5", "write N"),
        ("Ä", "Ä", "1 of 1", "write N"),
        (b"ACG\xff", "\ufffd", "4 of 4", "write N"),
        (b"A\0CG", "\0", "2 of 4", "write N"),
    ],
)
def test_wrong_letter_is_named_with_position_and_remedy(sequence, letter, position, remedy):
    with pytest.raises(ValueError) as raised:
        encode([sequence])
    assert f"letter {letter!r} at position {position}; " in str(raised.value)
    assert remedy in str(raised.value)


def test_errors_name_the_first_bad_sequence_by_id_else_by_number():
    sequences = ["ACGT", "ACXT", "XCGT"]
    with pytest.raises(ValueError, match=r"^sequence number 2: letter 'X' at position 3 of 4"):
        encode(sequences)
    with pytest.raises(ValueError, match=r"^sequence 'two': letter 'X' at position 3 of 4"):
        encode(sequences, ids=["one", "two", "three"])


@pytest.mark.parametrize("sequences", [["ACGT", ""], ["A", "", "C"], [""]])
def test_empty_sequence_is_named(sequences):
    with pytest.raises(ValueError, match=rf"sequence number {sequences.index('') + 1} is empty"):
        encode(sequences)


def test_no_sequences_are_no_rows():
    tokens, done = prepare(*encode([]))
    assert tokens.shape == (0, LENGTH)
    assert done == Preparation()
    assert decode(encode([])[0]) == []


@given(st.text("ACGTN", min_size=1, max_size=200))
@quick
def test_rows_are_padded_or_cut_at_the_end_to_112(sequence):
    assert texts(fit_length(*encode([sequence]))) == [padded(sequence)]


def test_padding_overwrites_what_stands_behind_the_length():
    tokens = np.zeros((1, 6), np.uint8)
    assert texts(fit_length(tokens, np.array([2]), 4)) == ["AANN"]


def test_sequence_lengths_count_to_the_last_known_base():
    tokens, _ = encode(["ACGT", "ANGN", "NNNN", "NNNA"])
    assert sequence_lengths(tokens).tolist() == [4, 3, 0, 4]
    assert sequence_lengths(np.zeros((2, 0), np.uint8)).tolist() == [0, 0]


@pytest.mark.parametrize("width", [1, 7, 8, 9, 112])
def test_sequence_lengths_however_far_from_the_end(width):
    tokens = np.where(np.arange(width) < np.arange(width + 1)[:, None], 1, N_TOKEN).astype(np.uint8)
    assert sequence_lengths(tokens).tolist() == list(range(width + 1))
    tokens[:, : width // 2] = N_TOKEN  # N in front does not matter
    expected = [n if n > width // 2 else 0 for n in range(width + 1)]
    assert sequence_lengths(tokens).tolist() == expected


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
    assert texts(tokens) == [row for row, _ in alone]
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
    assert "WARNING" in said and "2 sequences are longer than 112" in said
    assert len(Preparation(2, 1, 1, 1, 1, 1, 1).messages()) == 6


def test_unknown_flanks_are_refused():
    with pytest.raises(ValueError, match="auto, add, none; got 'maybe'"):
        prepare(*encode(["ACGT"]), flanks="maybe")


def test_one_hot_has_channels_acgt_and_nothing_for_n():
    encoded = one_hot(torch.tensor([[0, 1, 2, 3, 4, 255]], dtype=torch.uint8))
    assert encoded.dtype == torch.float32
    assert encoded.tolist() == [torch.eye(4, 6).tolist()]


@given(st.lists(st.text("ACGTN", min_size=1, max_size=20), min_size=1, max_size=4))
@quick
def test_one_hot_sums_to_one_at_known_bases(sequences):
    encoded = one_hot(torch.from_numpy(fit_length(*encode(sequences), length=20)))
    assert encoded.shape == (len(sequences), 4, 20)
    assert encoded.sum(dim=(1, 2)).tolist() == [len(s) - s.count("N") for s in sequences]
    assert encoded.sum(dim=1).max() <= 1


@given(st.lists(st.text("ACGTN", max_size=40).map("C".__add__), min_size=1, max_size=5))
@quick
def test_reverse_complement_is_the_string_turned_and_paired(sequences):
    tokens = fit_length(*encode(sequences))
    expected = [padded(turned(sequence.rstrip("N"))) for sequence in sequences]
    assert texts(reverse_complement(tokens)) == expected


@given(st.lists(dna, min_size=1, max_size=5))
@quick
def test_reverse_complement_twice_is_nothing(sequences):
    tokens = fit_length(*encode(sequences))
    assert (reverse_complement(reverse_complement(tokens)) == tokens).all()


@given(st.lists(st.text("ACGTN", min_size=1, max_size=16), min_size=1, max_size=4))
@quick
def test_the_other_strand_of_tensors_is_that_of_arrays(sequences):
    tokens = fit_length(*encode(sequences), 16)
    expected = torch.from_numpy(reverse_complement(tokens))
    assert torch.equal(other_strand(torch.from_numpy(tokens)), expected)
    assert torch.equal(other_strand(one_hot(torch.from_numpy(tokens))), one_hot(expected))


def test_gradients_turn_with_the_strand():
    x = one_hot(torch.from_numpy(encode(["AACN"])[0])).requires_grad_()
    other_strand(x)[0, 2, 0].backward()  # GTT: its G is the C at the third base
    assert x.grad.nonzero().tolist() == [[0, 1, 2]]


def pairs(text):
    return Counter(itertools.pairwise(text))


@pytest.mark.parametrize("k", [1, 2])
@given(sequences=st.lists(st.text("ACGTN", max_size=60).map("G".__add__), min_size=1, max_size=4))
@quick
def test_shuffles_keep_length_padding_and_bases(k, sequences):
    tokens = fit_length(*encode(sequences))
    shuffled = shuffle(tokens, seed=1, k=k)
    for before, after in zip(tokens, shuffled, strict=True):
        end = len(decode(before[None])[0])
        assert (after[end:] == N_TOKEN).all()
        assert sorted(after[:end]) == sorted(before[:end])


@given(st.lists(dna, min_size=1, max_size=4))
@quick
def test_pair_shuffles_keep_pairs_and_both_ends(sequences):
    shuffled = decode(shuffle(fit_length(*encode(sequences)), seed=2, k=2))
    for before, after in zip(sequences, shuffled, strict=True):
        assert pairs(after) == pairs(before)
        assert (after[0], after[-1]) == (before[0], before[-1])


@pytest.mark.parametrize("k", [1, 2])
def test_same_seed_same_shuffle_and_another_seed_another(k):
    tokens, _ = encode([INSERT])
    kept = tokens.copy()
    assert (shuffle(tokens, 7, k) == shuffle(tokens, 7, k)).all()
    assert (shuffle(tokens, 7, k) != shuffle(tokens, 8, k)).any()
    assert (tokens == kept).all()


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("shape", [(0, LENGTH), (2, 0), (2, 1)])
def test_shuffling_nothing_gives_nothing(k, shape):
    tokens = np.full(shape, 2, np.uint8)
    assert (shuffle(tokens, 0, k) == tokens).all()


def test_other_shuffles_are_refused():
    with pytest.raises(ValueError, match="k must be 1"):
        shuffle(encode(["ACGT"])[0], 0, k=3)


def orders(text, k):
    """Every distinct order that a shuffle of ``text`` may give, by trying all."""
    everything = {"".join(order) for order in itertools.permutations(text)}
    if k == 1:
        return everything
    ends = (text[0], text[-1])
    return {o for o in everything if pairs(o) == pairs(text) and (o[0], o[-1]) == ends}


@pytest.mark.parametrize(
    ("text", "k", "number"),
    [
        ("AACGT", 1, 60),  # 5! / 2
        ("ACAGATA", 2, 6),  # 3! ways to go round C, G and T
        ("AACGACCA", 2, 12),  # 3 · 3! orders out of A and C, less the third that ends with C → C
        ("AACACAGC", 2, 9),  # 12 orders out of A, less the quarter that ends with A → A
    ],
)
def test_all_orders_come_up_about_equally(text, k, number):
    possible = orders(text, k)
    assert len(possible) == number
    draws = 500 * number
    tokens = np.repeat(encode([text])[0], draws, axis=0)
    seen = Counter(decode(shuffle(tokens, seed=3, k=k)))
    assert set(seen) == possible
    chi_square = sum((n - 500) ** 2 / 500 for n in seen.values())
    assert chi_square < number - 1 + 5 * (2 * (number - 1)) ** 0.5


@pytest.mark.parametrize("value", [1, None])
def test_what_is_no_text_is_named(value):
    with pytest.raises(ValueError, match=f"sequence number 3 is {value}, not text"):
        encode(["ACGT", b"ACGT", value])


TEXTS = ["ACGT", "GGN", "TT"]


def columns(values):
    """The same column in every form that people hold it in."""
    series = pd.Series(values, index=[5, 3, 0][: len(values)])
    return {
        "list": values,
        "tuple": tuple(values),
        "iterator": iter(values),
        "numpy": np.array(values, dtype=object),
        "pandas": series,
        "pandas index": pd.Index(values),
        "polars": pl.Series("sequence", values),
        "data frame": series.to_frame("sequence")["sequence"],
    }


@pytest.mark.parametrize("kind", columns(TEXTS))
def test_columns_of_every_kind_are_read_by_position(kind):
    tokens, lengths = encode(columns(TEXTS)[kind])
    assert decode(tokens, lengths) == TEXTS


@pytest.mark.parametrize("kind", columns(TEXTS))
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["ACGT", "ACR", "TT"], "sequence number 2: letter 'R' at position 3 of 3"),
        (["ACGT", None, "TT"], "sequence number 2 is (None|nan), not text"),
        (["ACGT", "", "TT"], "sequence number 2 is empty"),
    ],
)
def test_errors_count_by_position_whatever_the_index(kind, values, message):
    with pytest.raises(ValueError, match=message):
        encode(columns(values)[kind])


def test_ids_are_a_column_too():
    ids = columns(["a", "b"])["pandas"]
    with pytest.raises(ValueError, match="sequence 'b': letter 'X'"):
        encode(["A", "X"], ids)


def test_a_table_is_not_a_column():
    table = columns(TEXTS)["pandas"].to_frame("sequence")
    for several in (table, pl.DataFrame({"sequence": TEXTS}), {"sequence": TEXTS}):
        with pytest.raises(ValueError, match=r"got a table; write table\['sequence'\]"):
            encode(several)


def test_a_row_of_numbers_is_named_by_its_shape():
    with pytest.raises(ValueError, match=r"number 1 is an array of shape \(4,\), not text"):
        encode(np.zeros((2, 4)))


def test_tokens_may_be_lists_tensors_and_tables():
    tokens, lengths = encode(TEXTS)
    forms = [
        tokens.tolist(), torch.from_numpy(tokens), tokens.astype(np.int64),
        pd.DataFrame(tokens, index=[7, 7, 7]),
    ]  # fmt: skip
    for form in forms:
        assert as_tokens(form).dtype == np.uint8
        np.testing.assert_array_equal(as_tokens(form), tokens)
        np.testing.assert_array_equal(reverse_complement(form), reverse_complement(tokens))
        by_index = pd.Series(lengths, index=[2, 1, 0])
        assert decode(form, by_index) == TEXTS
        np.testing.assert_array_equal(prepare(form, by_index)[0], prepare(tokens, lengths)[0])
        np.testing.assert_array_equal(shuffle(form, 0), shuffle(tokens, 0))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([0, 1], r"must be \(N, L\).*\(2,\)"),
        (np.zeros((1, 4, 8)), r"must be \(N, L\).*\(1, 4, 8\)"),
        ([[0, 5]], "got other numbers"),
        ([[0, -1]], "got other numbers"),
        ([[0.5, 1.0]], "got other numbers"),
    ],
)
def test_numbers_that_are_no_tokens_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        as_tokens(wrong)


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
