"""MEME and JASPAR files: round trips are exact; errors name file and line."""

import io

import numpy as np
import pytest
from Bio import motifs as bio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crmnet.motifs.formats import as_jaspar, as_meme, read_motifs
from crmnet.motifs.jaspar import yeast_motifs
from crmnet.motifs.pwm import Motif

MEME = """MEME version 4

ALPHABET= ACGT

MOTIF M1 REB1
letter-probability matrix: alength= 4 w= 2 nsites= 4 E= 1e-5
 0.75 0.25 0 0
 0 0 0 1
URL nowhere

MOTIF M2
letter-probability matrix: alength= 4 w= 1
 0.5 0.5 0.0 0.0"""
JASPAR = ">M1\tREB1\nA [ 3 0 ]\nC [ 1 0 ]\nG [ 0 0 ]\nT [ 0 4 ]\n"


@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
def test_meme_by_hand_including_the_last_motif(tmp_path, end):
    (tmp_path / "m").write_text(MEME + end)
    first, second = read_motifs(tmp_path / "m")
    assert (first.id, first.name, first.evalue) == ("M1", "REB1", 1e-5)
    np.testing.assert_array_equal(first.counts, [[3, 0], [1, 0], [0, 0], [0, 4]])
    assert (second.id, second.name) == ("M2", "M2")
    np.testing.assert_array_equal(second.counts, [[10], [10], [0], [0]])  # MEME's 20 sites


def test_jaspar_by_hand(tmp_path):
    (tmp_path / "m").write_text(JASPAR)
    (motif,) = read_motifs(tmp_path / "m")
    assert (motif.id, motif.name) == ("M1", "REB1")
    np.testing.assert_array_equal(motif.counts, [[3, 0], [1, 0], [0, 0], [0, 4]])


@pytest.mark.parametrize("write", [as_meme, as_jaspar])
def test_all_of_jaspar_is_read_back_exactly(tmp_path, write):
    (tmp_path / "m").write_text(write(yeast_motifs()))
    back = read_motifs(tmp_path / "m")
    assert [(m.id, m.name) for m in back] == [(m.id, m.name) for m in yeast_motifs()]
    for read, original in zip(back, yeast_motifs(), strict=True):
        np.testing.assert_array_equal(read.counts, original.counts)


COUNTS = st.integers(1, 8).flatmap(
    lambda w: arrays(np.float64, (4, w), elements=st.integers(1, 10**6).map(lambda i: i / 1000))
)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(COUNTS, st.floats(0, 1e6))
def test_any_counts_survive_both_formats(tmp_path_factory, counts, evalue):
    path = tmp_path_factory.mktemp("m") / "m"
    for write in (as_meme, as_jaspar):
        path.write_text(write([Motif("N", "I", counts, evalue)]))
        (back,) = read_motifs(path)
        np.testing.assert_allclose(back.counts, counts, rtol=0, atol=1e-9)
        assert back.evalue == (evalue if write is as_meme else 0)


def test_biopython_reads_what_we_write():
    one = yeast_motifs()[0]
    (read,) = bio.parse(io.StringIO(as_jaspar([one])), "jaspar")
    np.testing.assert_array_equal([read.counts[b] for b in "ACGT"], one.counts)
    read = bio.parse(io.StringIO(as_meme([one])), "minimal")[0]
    np.testing.assert_allclose([read.pwm[b] for b in "ACGT"], one.counts / one.counts.sum(0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", "line 1.*starts neither"),
        ("MEME version 4\n", "contains no motifs"),
        (MEME.replace("w= 2", "w= 3"), "2 rows, not w= 3"),
        (MEME.replace("0.75 0.25 0 0", "0.75 0.25 0"), "line 7: expected four numbers"),
        (MEME.replace("0.75", "0.55"), "add up to 1"),
        (MEME.replace("0.75", "0.7x"), "line 7.*0.7x"),
        (MEME.replace("= ACGT", "= ACDEFGHIKLMNPQRSTVWY"), "line 3: the alphabet"),
        (JASPAR.replace("C [ 1 0 ]\n", ""), "line 3: expected a row of counts of C"),
        (JASPAR.replace("[ 1 0 ]", "[ 1 ]"), "line 3: the four rows"),
        (JASPAR.replace("T [ 0 4 ]\n", ""), "3 of 4 rows"),
        (JASPAR.replace("3 0", "0 0").replace("1 0", "0 0"), "every column must contain counts"),
    ],
)
def test_errors_name_the_broken_file_and_line(tmp_path, text, message):
    (tmp_path / "bad").write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_motifs(tmp_path / "bad")
    assert "bad" in str(error.value)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such motif file"):
        read_motifs(tmp_path / "x")


def test_names_of_two_words_are_rejected():
    with pytest.raises(ValueError, match="single words"):
        as_meme([Motif("A B", "I", np.ones((4, 1)))])
