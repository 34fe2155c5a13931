"""Matrices by hand, scanning compared with a plain loop, and the copy of JASPAR."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crmnet.motifs.jaspar import yeast_motifs, yeast_motifs_named
from crmnet.motifs.pwm import Motif, scan_scores
from crmnet.sequence import encode

COUNTS = np.array([[3.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 4.0]])
"""Four sites: AT three times and CT once."""


def motif():
    return Motif("TWO", "X1", COUNTS)


def test_probabilities_by_hand():
    # Four sites and one pseudocount, a quarter of it for each base: (count + 1/4) / 5.
    by_hand = [[0.65, 0.05], [0.25, 0.05], [0.05, 0.05], [0.05, 0.85]]
    np.testing.assert_allclose(motif().probabilities(), by_hand)


def test_a_larger_pseudocount_flattens_the_columns():
    by_hand = [[4 / 8, 1 / 8], [2 / 8, 1 / 8], [1 / 8, 1 / 8], [1 / 8, 5 / 8]]
    np.testing.assert_allclose(motif().probabilities(pseudocount=4), by_hand)


def test_log_odds_by_hand():
    by_hand = np.log([[2.6, 0.2], [1.0, 0.2], [0.2, 0.2], [0.2, 3.4]])
    np.testing.assert_allclose(motif().log_odds(), by_hand, atol=1e-12)


def test_log_odds_against_an_uneven_background():
    found = motif().log_odds(background=(0.4, 0.1, 0.1, 0.4))
    np.testing.assert_allclose(found[:, 0], np.log([0.65 / 0.4, 2.5, 0.5, 0.05 / 0.4]))


def test_width_and_consensus():
    assert (motif().width, motif().consensus) == (2, "AT")


@pytest.mark.parametrize(
    "counts",
    [np.ones((3, 5)), np.ones(4), np.ones((4, 0)), np.zeros((4, 2)), np.full((4, 2), -1.0)],
)
def test_counts_that_are_not_a_matrix_are_rejected(counts):
    with pytest.raises(ValueError, match="BAD"):
        Motif("BAD", "X2", counts)


def test_one_negative_count_is_rejected():
    with pytest.raises(ValueError, match="below zero"):
        Motif("BAD", "X2", np.array([[5.0], [-1.0], [0.0], [0.0]]))


def read(matrix, window):
    """Score of one window, base by base; N (4) scores 0."""
    return sum(matrix[base, i] for i, base in enumerate(window) if base < 4)


def scan_by_loop(tokens, matrices):
    scores = np.full((len(tokens), len(matrices), 2, tokens.shape[1]), -np.inf)
    for b, row in enumerate(tokens.tolist()):
        for f, matrix in enumerate(matrices):
            width = matrix.shape[1]
            for start in range(len(row) - width + 1):
                window = row[start : start + width]
                other = [3 - base if base < 4 else 4 for base in reversed(window)]
                scores[b, f, :, start] = read(matrix, window), read(matrix, other)
    return scores


# Whole numbers up to 8 add up exactly in float32.
MATRIX = st.integers(1, 6).flatmap(
    lambda w: arrays(np.float64, (4, w), elements=st.integers(-8, 8))
)
TOKENS = st.tuples(st.integers(1, 4), st.integers(1, 14)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 4))
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TOKENS, st.lists(MATRIX, min_size=1, max_size=3))
def test_scan_equals_a_plain_loop(tokens, matrices):
    scores = scan_scores(tokens, matrices)
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, scan_by_loop(tokens, matrices))


def test_scan_finds_a_site_on_either_strand():
    matrix = motif().log_odds()
    tokens, _ = encode(["GGATGG", "GGAGGG"])  # AT and AG in the middle
    forward, reverse = scan_scores(tokens, [matrix])[:, 0].transpose(1, 0, 2)
    assert forward[0].argmax() == 2
    assert forward[0, 2] == pytest.approx(np.log(2.6 * 3.4), rel=1e-6)
    assert reverse[0, 2] == pytest.approx(np.log(2.6 * 3.4), rel=1e-6)  # AT is its own complement
    assert reverse[1, 2] == pytest.approx(np.log(1.0 * 3.4), rel=1e-6)  # AG, reversed: CT
    assert forward[1, 2] == pytest.approx(np.log(2.6 * 0.2), rel=1e-6)


def test_a_sequence_of_n_scores_zero_where_the_matrix_fits():
    scores = scan_scores(np.full((1, 5), 4, dtype=np.uint8), [motif().log_odds()])
    np.testing.assert_array_equal(scores[0, 0], [[0, 0, 0, 0, -np.inf]] * 2)


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_a_matrix_wider_than_the_sequence_fits_nowhere(length):
    scores = scan_scores(np.zeros((1, length), dtype=np.uint8), [np.ones((4, 5))])
    assert np.isneginf(scores).all()


def test_scan_does_not_change_its_arguments():
    tokens, matrix = np.zeros((1, 4), dtype=np.uint8), np.ones((4, 2))
    tokens.flags.writeable = matrix.flags.writeable = False
    scan_scores(tokens, [matrix])


def test_jaspar_contains_the_factors_of_yeast_promoters():
    names = {motif.name for motif in yeast_motifs()}
    assert {"REB1", "ABF1", "RAP1", "GCN4", "MCM1", "CBF1", "GAL4", "UME6"} <= names
    assert len(yeast_motifs()) > 150


def test_jaspar_matrices_have_unique_ids_in_order():
    ids = [motif.id for motif in yeast_motifs()]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize(
    ("name", "core"),
    [("REB1", "TTACCC"), ("CBF1", "CACGTG"), ("GCN4", "TGACTC"), ("MCM1", "CC")],
)
def test_the_consensus_contains_the_known_core(name, core):
    (found,) = yeast_motifs_named([name])
    assert core in found.consensus


def test_named_motifs_keep_the_requested_order_in_any_case():
    found = yeast_motifs_named(["RAP1", "abf1", "REB1"])
    assert [motif.name for motif in found] == ["RAP1", "ABF1", "REB1"]


def test_an_unknown_factor_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="NOSUCH1") as error:
        yeast_motifs_named(["REB1", "NOSUCH1"])
    assert "REB1" not in str(error.value)
