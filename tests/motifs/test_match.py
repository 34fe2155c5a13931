"""Motif comparison: a motif matches itself on either strand, and p-values are calibrated."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from crmnet.motifs.formats import as_meme
from crmnet.motifs.jaspar import yeast_motifs, yeast_motifs_named
from crmnet.motifs.match import call, element, element_of_bases, match
from crmnet.motifs.pwm import Motif
from crmnet.sequence import encode
from support import assert_rounded


def test_a_motif_matches_itself_reversed_and_shifted():
    (reb1,) = yeast_motifs_named(["REB1"])
    shifted = replace(reb1, counts=reb1.counts[:, 2:])
    found = match([reb1, reb1.reverse_complement, shifted], yeast_motifs())
    names = [yeast_motifs()[i].name for i in found.best()]
    assert names == ["REB1"] * 3
    best = found.best()
    rows = np.arange(3)
    assert found.strand[rows, best].tolist() == ["+", "-", "+"]
    assert found.offset[rows, best].tolist() == [0, 0, 2]
    assert found.overlap[rows, best].tolist() == [reb1.width, reb1.width, reb1.width - 2]
    assert (found.e[rows, best] < 1e-6).all()


def test_p_values_of_random_motifs_are_calibrated():
    rng = np.random.default_rng(0)
    mixed = [
        replace(m, counts=m.counts[rng.permutation(4)][:, rng.permutation(m.width)])
        for m in yeast_motifs()[:40:2]
    ]
    p = match(mixed, yeast_motifs()).p
    assert 0.07 < (p < 0.1).mean() < 0.14
    assert (p < 0.01).mean() < 0.02


def test_p_value_by_hand():
    # The target is one column, equal to the query. The database is this column and its complement:
    # one of two columns is as similar, in each of two alignments (one for each strand).
    one = Motif("A", "1", np.array([[1000.0], [0], [0], [0]]))
    found = match([one], [one])
    assert found.p[0, 0] == pytest.approx(1 - 0.5**2)
    assert found.e[0, 0] == found.p[0, 0]


def test_an_empty_database_is_an_error():
    with pytest.raises(ValueError, match="no motifs"):
        match([Motif("A", "1", np.ones((4, 1)))], [])


def of_sites(text):
    return Motif(text, text, np.eye(4)[encode([text])[0][0]].T * 50)


@pytest.mark.parametrize("text", ["AAAAAAT", "TTTTT", "AAAAAATTTT", "GAAAAAAA"])
def test_tracts_of_a_and_t_have_their_own_name_not_that_of_sfp1(text):
    motif = of_sites(text)
    assert element(motif) == element(motif.reverse_complement) == "poly-A/T"
    best = yeast_motifs()[int(match([motif], yeast_motifs()).best()[0])]
    assert call(motif, best, 0.5) == call(motif, best, 1e-9) == "poly-A/T"
    assert element_of_bases(text) == "poly-A/T"


@pytest.mark.parametrize("text", ["TATAAA", "TATATAAG", "GTATAAAA", "CTTTTATA", "ATATA"])
def test_tata_boxes_have_their_own_name_not_that_of_smp1(text):
    assert element(of_sites(text)) == "TATA box"
    assert element(of_sites(text).reverse_complement) == "TATA box"
    assert element_of_bases(text.lower()) == "TATA box"


def test_of_the_yeast_factors_only_those_of_tracts_and_tata_boxes_are_such_elements():
    named = {motif.name: element(motif) for motif in yeast_motifs() if element(motif)}
    assert named == {
        "SFP1": "poly-A/T",
        "SUM1": "poly-A/T",
        "MOT2": "TATA box",
        "SPT15": "TATA box",
    }
    assert element_of_bases("CCGGGTAAC") is None
    assert element_of_bases("NNNN") is None


def test_a_name_that_is_a_guess_ends_in_a_question_mark():
    reb1, abf1 = yeast_motifs_named(["REB1", "ABF1"])
    assert call(reb1, abf1, 9e-4) == "ABF1"
    assert call(reb1, abf1, 1e-3) == "ABF1?"


def test_a_motif_without_information_matches_nothing():
    flat = Motif("F", "F", np.full((4, 6), 5.0))
    found = match([flat], yeast_motifs())
    assert (found.p == 1).all() and (found.q == 1).all()
    assert (match([flat], [flat]).p == 1).all()
    assert call(flat, yeast_motifs()[0], 1.0) == "?"


def test_flat_columns_beside_a_site_are_not_matched_to_flat_columns():
    """Columns 4 to 9 of PPR1 are flat; six flat columns resemble them by p 2.5e-7."""
    (ppr1,) = yeast_motifs_named(["PPR1"])
    padded = Motif("P", "P", np.hstack([np.full((4, 6), 25.0), of_sites("ACGACGTG").counts]))
    assert match([padded], [ppr1, *yeast_motifs()]).p[0, 0] > 0.01


def test_equal_columns_everywhere_match_by_chance():
    half = Motif("H", "H", np.array([[5.0], [0], [0], [5]]))
    assert (match([half], [half]).p == 1).all()


def test_a_motif_that_is_too_wide_to_compare_is_refused():
    with pytest.raises(ValueError, match="W: motifs of up to 150 columns"):
        match([Motif("W", "W", np.ones((4, 151)))], yeast_motifs())


def test_match_says_what_to_call_a_motif_and_what_it_resembles(crmnet, tmp_path):
    flat = Motif("flat", "F1", np.full((4, 6), 5.0))
    (abf1,) = yeast_motifs_named(["ABF1"])
    (tmp_path / "m.meme").write_text(as_meme([abf1, replace(of_sites("AAAAAAT"), id="T1"), flat]))
    status, printed, err = crmnet("motifs", "match", tmp_path / "m.meme", "--best", 1)
    assert status == 0, err
    known, tract, nameless = (line.split("\t") for line in printed.splitlines()[1:])
    assert known[1:4] == [abf1.id, "ABF1", "ABF1"]
    assert tract[0] == "T1" and tract[2] == "poly-A/T" and tract[3] != tract[2]
    assert nameless[2] == "?" and nameless[4] == "1"
    assert "F1: less than 1 bit" in err
    status, printed, err = crmnet("motifs", "match", tmp_path / "m.meme", "--motifs",
                                  tmp_path / "m.meme", "--best", 1)  # fmt: skip
    assert status == 0 and printed.splitlines()[1].split("\t")[1] == abf1.id


def test_matches_are_rounded_for_reading_unless_full_digits_are_chosen(crmnet, tmp_path):
    (tmp_path / "m.meme").write_text(as_meme(yeast_motifs_named(["ABF1", "REB1"])))
    tables = {}
    for digits in ("rounded", "full"):
        out = tmp_path / f"{digits}.tsv"
        words = [] if digits == "rounded" else ["--digits", digits]
        status, _, err = crmnet("motifs", "match", tmp_path / "m.meme", "-o", out, *words)
        assert status == 0, err
        with out.open(newline="") as file:
            tables[digits] = list(csv.DictReader(file, delimiter="\t"))
    assert_rounded(tables["rounded"], tables["full"], significant=("p", "e", "q"))
    queries = yeast_motifs_named(["ABF1", "REB1"])
    exact = np.sort(match(queries, list(yeast_motifs())).p, axis=1, kind="stable")[:, :3]
    assert [float(row["p"]) for row in tables["full"]] == exact.ravel().tolist()
