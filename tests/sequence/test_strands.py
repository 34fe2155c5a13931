"""Reverse complements of arrays and tensors against strings."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from crmnet.sequence import (
    ADAPTER_3,
    ADAPTER_5,
    LENGTH,
    encode,
    fit_length,
    one_hot,
    other_strand,
    reverse_complement,
    strandless_insert,
)
from support import padded, padded_texts, quick

dna = st.text("ACGT", min_size=1, max_size=LENGTH)


def reversed_and_paired(text):
    return text[::-1].translate(str.maketrans("ACGT", "TGCA"))


@given(st.lists(st.text("ACGTN", max_size=40).map("C".__add__), min_size=1, max_size=5))
@quick
def test_reverse_complement_is_the_string_turned_and_paired(sequences):
    tokens = fit_length(*encode(sequences))
    expected = [padded(reversed_and_paired(sequence.rstrip("N"))) for sequence in sequences]
    assert padded_texts(reverse_complement(tokens)) == expected


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


def test_copies_of_a_text_have_the_same_insert_on_one_strand():
    copies = ["GGATTN", "ggattn", "NAATCC", f"{ADAPTER_5}GGATTN{ADAPTER_3}", f"NN{ADAPTER_5}NAATCC"]
    assert {strandless_insert(text.encode()) for text in copies} == {b"GGATTN"}
    assert strandless_insert(b"GGATT") == b"AATCC"
