"""MEME and JASPAR files: round trips are exact; errors name file and line."""

import gzip
import io
import os
import threading

import numpy as np
import pytest
import zstandard
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
        (">frag1\nTGCATTTTTT\n", "line 2: a sequence, not a row of counts.*give a motif file"),
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


HOMER = (
    ">GATA\t1-GATA,BestGuess:GATA3(Zf)\t8.05\t-23791.5\t0\tT:17311.0(44.1%),B:1.0(0.1%)\n"
    "0.050\t0.050\t0.850\t0.050\n0.850\t0.050\t0.050\t0.050\n"
    "0.050\t0.050\t0.050\t0.850\n0.850\t0.050\t0.050\t0.050\n"
)
TRANSFAC = """VV  TRANSFAC
XX
//
AC  M00001
XX
ID  F$GATA
NA  GATA factor
P0      A      C      G      T
01      1      1     17      1      G
02     17      1      1      1      A
03      1      1      1     17      T
04     17      1      1      1      A
XX
//
"""
GATA = [[1, 17, 1, 17], [1, 1, 1, 1], [17, 1, 1, 1], [1, 1, 17, 1]]


def read_text(folder, text):
    (folder / "m").write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_motifs(folder / "m")


def test_homer_motifs_of_four_positions_are_not_transposed(tmp_path):
    (motif,) = read_text(tmp_path, HOMER)
    assert (motif.name, motif.consensus) == ("1-GATA", "GATA")
    np.testing.assert_allclose(motif.counts / 17311 * 20, GATA)


def test_homer_motifs_without_more_than_a_name_have_twenty_sites(tmp_path):
    bare = ">GATA\n" + HOMER.partition("\n")[2]
    (motif,) = read_text(tmp_path, bare)
    assert (motif.id, motif.name) == ("GATA", "GATA")
    np.testing.assert_allclose(motif.counts, GATA)
    wider, four = read_text(tmp_path, ">GATAG\tG\t1\n" + bare.partition("\n")[2] * 2 + bare)
    assert (wider.width, four.width) == (8, 4)


def test_four_rows_that_may_be_either_format_are_refused(tmp_path):
    rows = "0.7 0.1 0.1 0.1\n0.1 0.1 0.7 0.1\n0.1 0.1 0.1 0.7\n0.1 0.7 0.1 0.1\n"
    with pytest.raises(ValueError, match=r"m, line 1: .*A, C, G and T in front of the rows"):
        read_text(tmp_path, ">X x\n" + rows)


def test_jaspar_rows_without_letters_are_still_read(tmp_path):
    rows = "\n".join(" ".join(map(str, row)) for row in GATA)
    (motif,) = read_text(tmp_path, ">M1 gata\n" + rows)
    np.testing.assert_array_equal(motif.counts, GATA)


def test_transfac_by_hand(tmp_path):
    (motif,) = read_text(tmp_path, TRANSFAC)
    assert (motif.id, motif.name) == ("M00001", "GATA factor")
    np.testing.assert_array_equal(motif.counts, GATA)


@pytest.mark.parametrize("separator", [" ", "\t"])
def test_names_of_several_words_are_kept_whole(tmp_path, separator):
    text = JASPAR.replace("M1\tREB1", f"M1{separator}SWI4 SWI6 complex")
    assert read_text(tmp_path, text)[0].name == "SWI4 SWI6 complex"
    assert read_text(tmp_path, MEME.replace("REB1", "SWI4 SWI6"))[0].name == "SWI4 SWI6"
    report = MEME.replace("REB1", "MEME-1\twidth =  10  sites =  12")
    assert read_text(tmp_path, report)[0].name == "MEME-1"


def test_a_name_cannot_steer_the_terminal(tmp_path):
    assert read_text(tmp_path, JASPAR.replace("REB1", "\x1b[31mR"))[0].name == "\ufffd[31mR"


@pytest.mark.parametrize("text", [MEME, JASPAR, HOMER, TRANSFAC])
def test_files_as_programs_save_them_are_read(tmp_path, text):
    expected = [motif.counts.tolist() for motif in read_text(tmp_path, text)]
    encoded = text.encode()
    latin_1 = text.replace("REB1", "M\xfcller").replace("1-GATA", "M\xfcller").encode("latin-1")
    for data in (
        b"\xef\xbb\xbf" + encoded,
        gzip.compress(encoded),
        zstandard.compress(encoded),
        encoded.replace(b"\n", b"\r\n"),
        b"\n" * 15 + encoded,
        latin_1,
    ):
        assert [m.counts.tolist() for m in read_text(tmp_path, data)] == expected
    names = [motif.name for motif in read_text(tmp_path, latin_1)]
    assert names[0] == ("GATA factor" if text is TRANSFAC else "M\xfcller")


def test_a_motif_file_may_come_from_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(JASPAR,))
    writer.start()
    (motif,) = read_motifs(tmp_path / "pipe")
    writer.join()
    assert motif.name == "REB1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (JASPAR.replace("3 0", "nan 0"), "bad, line 2: expected numbers; got 'nan'"),
        (JASPAR.replace("3 0", "inf 0"), "bad, line 2: expected numbers; got 'inf'"),
        (JASPAR.replace("3 0", "1e400 0"), "bad, line 2: expected numbers of at most 1e"),
        (JASPAR.replace("3 0", "-3 0"), "bad, line 2: no number may be below zero"),
        (JASPAR.replace("3 0", "1_0 0"), "bad, line 2: expected numbers; got '1_0'"),
        (JASPAR + "A [ 1 2 ]\n", "bad, line 6: M1 has more than the rows"),
        (">\nA [ 1 ]\n", "bad, line 1: '>' must be followed"),
        (MEME.replace("0.75 0.25 0 0", "nan nan nan nan"), "bad, line 7: .*'nan'"),
        (MEME.replace("0.75 0.25", "1.7 -0.7"), "bad, line 7: no number may be below zero"),
        (MEME.replace("nsites= 4", "nsites= 1e308"), "bad, line 6: expected numbers of at most"),
        (MEME.replace("nsites= 4", "nsites= inf"), "bad, line 6: expected numbers; got 'inf'"),
        (MEME.replace("nsites= 4", "nsites= nan"), "bad, line 6: expected numbers; got 'nan'"),
        (MEME.replace("nsites= 4", "nsites= -4"), "bad, line 6: no number may be below zero"),
        (MEME.replace("w= 2", "w= 2.0"), "bad, line 6: w= must be a whole number"),
        (MEME.replace("w= 2", "w= x"), "bad, line 6: w= must be a whole number"),
        (MEME.replace("letter", "# sites per column: 1 2 3\nletter", 1), "bad, line 7: .*columns"),
        (MEME.replace("letter", "# sites per column: 0 0\nletter", 1), "bad, line 7: .*above 0"),
        (MEME.replace("MOTIF M1 REB1\n", ""), "bad, line 5: a MOTIF line must stand above"),
        (HOMER.replace("0.850", "0.950"), "bad, line 5: the rows of .* must add up to 1"),
        (HOMER.replace("0.050\t0.850", "0.050", 1), "bad, line 2: expected the four shares"),
        (TRANSFAC.replace("17      1      G", "x"), "bad, line 9: expected"),
        (TRANSFAC.replace(" A      C ", " C      A "), "bad, line 8: expected P0 A C G T"),
        ("\x1b[31mred", "bad, line 1: '\ufffd.31mred' starts neither"),
        ("", "bad is empty"),
        ("M\0E", "bad is not plain text"),
        (">W w\n" + "\n".join("1 " * 501 for _ in "ACGT"), "bad, line 5: w: more than 500"),
    ],
)
def test_numbers_that_are_no_counts_are_refused_with_file_and_line(tmp_path, text, message):
    (tmp_path / "bad").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_motifs(tmp_path / "bad")


def test_counts_that_are_not_finite_are_refused():
    for value in (np.nan, np.inf, 1e300):
        with pytest.raises(ValueError, match="N: counts must be numbers"):
            Motif("N", "I", np.full((4, 2), value))


def test_damaged_archives_and_large_files_are_refused_by_name(tmp_path, monkeypatch):
    whole = gzip.compress(MEME.encode() * 50)
    for data in (whole[:40], b"PK\x03\x04 a workbook"):
        (tmp_path / "bad").write_bytes(data)
        with pytest.raises(ValueError, match="bad is "):
            read_motifs(tmp_path / "bad")
    monkeypatch.setattr("crmnet.motifs.formats.MAX_BYTES", 100)
    (tmp_path / "bad").write_bytes(whole)
    with pytest.raises(ValueError, match="bad has more than"):
        read_motifs(tmp_path / "bad")


def test_a_sequence_or_a_folder_in_place_of_a_file_is_an_error_that_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="looks like bases"):
        read_motifs("ACGTACGT")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read_motifs(tmp_path)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such motif file"):
        read_motifs(tmp_path / "x")


def test_names_of_two_words_are_rejected():
    with pytest.raises(ValueError, match="single words"):
        as_meme([Motif("A B", "I", np.ones((4, 1)))])
