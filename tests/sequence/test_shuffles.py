"""Shuffles keep what they promise, and every order is equally frequent."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmnet.sequence import (
    LENGTH,
    N_TOKEN,
    decode,
    encode,
    fit_length,
    shuffle,
)
from support import quick

INSERT = "ACGTTGCAAC" * 8
dna = st.text("ACGT", min_size=1, max_size=LENGTH)


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
