"""Planted sites from the command: tables by strand and place, pairs by gap, and the figure."""

import csv

import pytest

from crmnet.interpretation.planted import site_bases


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_a_site_is_a_factor_or_bases():
    assert "TTACCCG" in site_bases("reb1")
    assert site_bases("acNgt") == "ACNGT"
    for wrong in ("NOSUCH1", ""):
        with pytest.raises(ValueError, match="neither bases"):
            site_bases(wrong)


def test_the_command_plants_sites_and_pairs(crmnet, small_run, tmp_path):
    (tmp_path / "s.txt").write_text("ACGGTCATTA" * 8 + "\n")
    out = tmp_path / "out"
    args = ["explain", small_run, tmp_path / "s.txt", "--medium", "complex", "-o", out]
    status, said, err = crmnet(
        *args, "--method", "gradient", "--plant", "REB1", "--plant", "TATAAA"
    )
    assert status == 0, err
    assert "planted.png, pairs.tsv" in said and (out / "planted.png").stat().st_size > 10_000
    single, pairs = rows(out / "planted.tsv"), rows(out / "pairs.tsv")
    # Six bases begin at 0, 4, … 72.
    assert [r["strand"] for r in single if r["site"] == "TATAAA"] == ["+"] * 19 + ["-"] * 19
    assert [int(r["start"]) for r in single[:3]] == [0, 4, 8]
    # Four pairs of strands, eleven gaps from 0 to 40.
    assert len(pairs) == 44 and {r["sites"] for r in pairs} == {"REB1 and TATAAA"}
    for row in single + pairs:
        assert float(row["low"]) <= float(row["effect"]) <= float(row["high"])
