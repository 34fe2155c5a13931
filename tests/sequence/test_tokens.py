"""Letters, tokens and one-hot against arrays worked out by hand; forms of columns and tokens."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crmnet.sequence import (
    N_TOKEN,
    as_tokens,
    decode,
    encode,
    fit_length,
    one_hot,
    prepare,
    reverse_complement,
    sequence_lengths,
    shuffle,
)
from support import padded, padded_texts, quick


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


@given(st.text("ACGTN", min_size=1, max_size=200))
@quick
def test_rows_are_padded_or_cut_at_the_end_to_112(sequence):
    assert padded_texts(fit_length(*encode([sequence]))) == [padded(sequence)]


def test_padding_overwrites_what_stands_behind_the_length():
    tokens = np.zeros((1, 6), np.uint8)
    assert padded_texts(fit_length(tokens, np.array([2]), 4)) == ["AANN"]


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
def test_errors_count_by_position_with_any_index(kind, values, message):
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
        (np.frombuffer(b"ACGT", np.uint8)[None], "got other numbers"),
    ],
)
def test_numbers_that_are_no_tokens_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        as_tokens(wrong)
