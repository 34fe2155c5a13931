"""The variable bases of a designed promoter, its windows, and the ridge regression beside it."""

import gzip

import numpy as np
import pytest
from sharon2012 import (
    PENALTY,
    Designed,
    in_windows,
    read_designed,
    ridge,
    scores,
    variable_part,
    windows,
)

from crmnet.evaluation.baselines import kmer_counts
from crmnet.sequence import encode

PRIMER_5, BARCODE, PRIMER_3 = "GGGGACCAGGTGCCGTAA", "TAGGTTAGTT", "GCGATCCTAGGGCGATCA"
VARIABLE = ("ACGTTGCA" * 13)[:103]
OLIGO = PRIMER_5 + "G" + BARCODE + VARIABLE + PRIMER_3
DESCRIPTION = (
    "SetName|SetName=Poly T#Context|Name=x#Barcode|Sequence=TAGGTTAGTT,Start=122,End=131,"
    "#Primer5|Sequence=GGGGACCAGGTGCCGTAA,Start=133,End=150,"
    "#Primer3|Sequence=GCGATCCTAGGGCGATCA,Start=1,End=18,"
)


def test_the_variable_part_lies_between_barcode_and_primer():
    assert len(OLIGO) == 150
    assert variable_part(DESCRIPTION, OLIGO) == VARIABLE


def test_windows_are_evenly_spaced_and_reach_both_ends():
    assert windows(VARIABLE) == [VARIABLE[s : s + 80] for s in (0, 8, 15, 23)]
    found = in_windows([VARIABLE, "A" * 80], lambda flat: np.array([t.count("A") for t in flat]))
    assert found.shape == (2, 4)
    assert found[1].tolist() == [80] * 4


def test_only_promoters_with_both_replicates_are_read(tmp_path):
    path = tmp_path / "table.txt.gz"
    header = ["Description", "OligoSequence", "ExpressionReplicate1", "ExpressionReplicate2"]
    replicates = [("2", "8"), ("2", "NaN"), ("", "8")]
    rows = [[f'"{DESCRIPTION}"', OLIGO, *both] for both in replicates]
    path.write_bytes(gzip.compress("\r".join("\t".join(r) for r in [header, *rows]).encode()))
    designed = read_designed(path)
    assert (designed.variable, designed.total) == ([VARIABLE], 3)
    assert designed.design_set.tolist() == ["Poly T"]
    assert designed.measured.tolist() == pytest.approx([np.log(4)])


def test_the_ridge_is_that_of_all_rows_at_once(assay, monkeypatch):
    data = assay
    monkeypatch.setattr("sharon2012.CHUNK", 100)
    monkeypatch.setattr("sharon2012.K", 3)
    rows = np.nonzero(np.asarray(data.medium) == 0)[0]
    x, y = (
        kmer_counts(np.asarray(data.tokens[rows]), 3),
        np.asarray(data.labels)[rows].astype(float),
    )
    centred = x - x.mean(axis=0)
    weights = np.linalg.solve(
        centred.T @ centred + PENALTY * np.eye(64), centred.T @ (y - y.mean())
    )
    texts = ["ACGT" * 20, "TTTTA" * 16]
    expected = (kmer_counts(encode(texts)[0], 3) - x.mean(axis=0)) @ weights + y.mean()
    np.testing.assert_allclose(ridge(data, data.media[0])(texts), expected, rtol=1e-6)


def test_scores_within_sets_of_enough_promoters():
    n = 40
    measured = np.concatenate([np.arange(n), np.arange(n), [5.0]])
    values = np.concatenate([np.arange(n), -np.arange(n), [0.0]])
    sets = np.array(["up"] * n + ["down"] * n + ["small"])
    designed = Designed(["A"] * len(sets), sets, measured, len(sets))
    found = scores(designed, values, 50)
    assert {name: round(s["value"], 6) for name, s in found["within"].items()} == {
        "down": -1, "up": 1
    }  # fmt: skip
    assert found["median_within"]["value"] == pytest.approx(0)
    assert found["within"]["up"]["n"] == n
