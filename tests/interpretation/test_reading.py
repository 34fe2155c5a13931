"""explain, motifs scan and motifs discover: columns of any name, IUPAC letters on request."""

import csv

import numpy as np
import pytest

from crmnet.data.sequences import read_promoters
from crmnet.interpretation.discovery import discover_motifs
from crmnet.motifs.discover import DiscoverOptions
from crmnet.sequence import decode

pytestmark = pytest.mark.slow

SITE = "TTACCCGG"
ONE = "A" * 30 + SITE + "CA" * 21
TWO = "GC" * 25 + SITE + "T" * 22


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.fixture
def table(tmp_path):
    """A table whose recognised columns are the wrong ones."""
    path = tmp_path / "t.tsv"
    path.write_text(
        f"id\tsequence\tgene\tdna\tlevel\nx\t{'ACGT' * 20}\tone\t{ONE}\t3\n"
        f"y\t{'ACGT' * 20}\ttwo\t{TWO}\t5\n"
    )
    return path


def test_explain_reads_the_columns_that_are_named(crmnet, small_run, table, tmp_path):
    status, _, err = crmnet(
        "explain", small_run, table, "--medium", "complex", "--method", "gradient", "--draw", 0,
        "--column", "id=gene", "--column", "sequence=dna", "-o", tmp_path / "out",
    )  # fmt: skip
    assert status == 0, err
    found = rows(tmp_path / "out" / "attributions.tsv")
    assert "".join(row["base"] for row in found) == ONE + TWO
    assert {row["id"] for row in found} == {"one", "two"}


def test_scan_reads_the_columns_that_are_named(crmnet, table):
    status, out, err = crmnet("motifs", "scan", table, "--column", "sequence=dna", "--column",
                              "id=gene")  # fmt: skip
    assert status == 0, err
    assert {line.split("\t")[0] for line in out.splitlines()[1:]} == {"one", "two"}
    status, out, err = crmnet("motifs", "scan", table, "--column", "expression=level")
    assert (status, out) == (2, "") and "--column takes id= or sequence=NAME" in err


def planted(path, spoil=lambda number, sequence, level: (sequence, level), n=300):
    rng = np.random.default_rng(3)
    tokens = rng.integers(0, 4, (n, 80), dtype=np.uint8)
    lines = ["gene\tdna\tlevel\tsequence\texpression"]
    for number, text in enumerate(decode(tokens)):
        high = number < n // 3
        text = text[:30] + "TTACCCGGT" + text[39:] if high else text
        text, level = spoil(number, text, f"{8 + 3 * high + rng.normal():.3f}")
        lines.append(f"g{number}\t{text}\t{level}\t{'ACGT' * 20}\t1")
    path.write_text("\n".join(lines) + "\n")


NAMES = [word for role in ("id=gene", "sequence=dna", "expression=level")
         for word in ("--column", role)]  # fmt: skip


def test_discover_reads_the_columns_that_are_named(crmnet, tmp_path):
    planted(tmp_path / "t.tsv")
    status, _, err = crmnet("motifs", "discover", tmp_path / "t.tsv", "-n", 90, *NAMES, "-o",
                            tmp_path / "m")  # fmt: skip
    assert status == 0, err
    consensus = rows(tmp_path / "m" / "motifs.tsv")[0]["consensus"]
    assert "ACCCG" in consensus or "CGGGT" in consensus
    status, _, err = crmnet("motifs", "discover", tmp_path / "t.tsv", "-n", 90, "--column",
                            "expression=gene", "-o", tmp_path / "x")  # fmt: skip
    assert status == 2 and "line 2: expression 'g0' is not a number" in err


def test_rows_without_a_measurement_are_left_out_counted_and_named(tmp_path, caplog):
    caplog.set_level("INFO", logger="crmnet")
    missing = {0: "NA", 7: "", 40: "None", 200: ".", 250: "#N/A", 299: "NA"}

    def spoil(number, text, level):
        return text, missing.get(number, level)

    planted(tmp_path / "all.tsv", spoil)
    lines = (tmp_path / "all.tsv").read_text().splitlines()
    kept = [line for number, line in enumerate(lines, -1) if number not in missing]
    (tmp_path / "kept.tsv").write_text("\n".join(kept) + "\n")
    columns = {"id": "gene", "sequence": "dna", "expression": "level"}
    found = [
        discover_motifs(tmp_path / f"{name}.tsv", tmp_path / name, DiscoverOptions(n=90),
                        columns=columns)
        for name in ("all", "kept")
    ]  # fmt: skip
    assert found[0] == found[1]
    assert "6 of 300 rows have no expression (g0, g7, g40, g200, g250, …); they are left out" in (
        caplog.text
    )
    promoters = read_promoters(tmp_path / "all.tsv", columns=columns, only_measured=True)
    assert len(promoters.ids) == len(promoters.tokens) == len(promoters.given) == 294
    assert promoters.ids[:2] == ["g1", "g2"] and promoters.expression.shape == (294,)
    assert read_promoters(tmp_path / "all.tsv", columns=columns).expression is None


def test_a_table_without_any_measurement_is_refused(crmnet, tmp_path):
    planted(tmp_path / "t.tsv", lambda number, text, level: (text, "NA"))
    status, _, err = crmnet("motifs", "discover", tmp_path / "t.tsv", *NAMES, "-o", tmp_path / "m")
    assert status == 2 and "no expression column with a number" in err
    assert not (tmp_path / "m").exists()


def test_discover_reads_long_promoters_to_their_end(tmp_path):
    """Before, bases after the 112th were cut: a site there was never found."""

    rng = np.random.default_rng(4)

    def long(number, text, level):
        return "".join(rng.choice(list("ACGT"), 90)) + text, level

    planted(tmp_path / "t.tsv", long)
    columns = {"sequence": "dna", "expression": "level"}
    (_, first, *_) = discover_motifs(tmp_path / "t.tsv", tmp_path / "m", DiscoverOptions(n=90),
                                  columns=columns)  # fmt: skip
    assert "ACCCG" in first or "CGGGT" in first


def test_iupac_letters_are_read_as_n_on_request(crmnet, small_run, tmp_path):
    text = ONE[:70] + "RYW" + ONE[73:]
    (tmp_path / "s.fa").write_text(f">one\n{text}\n")
    words = {
        "explain": ["explain", small_run, tmp_path / "s.fa", "--medium", "complex", "--method",
                    "gradient", "--draw", 0, "-o", tmp_path / "out"],
        "scan": ["motifs", "scan", tmp_path / "s.fa"],
    }  # fmt: skip
    for name, command in words.items():
        status, _, err = crmnet(*command)
        assert status == 2 and "--iupac n" in err, name
        status, out, err = crmnet(*command, "--iupac", "n")
        assert status == 0, err
    found = rows(tmp_path / "out" / "attributions.tsv")
    assert "".join(row["base"] for row in found) == ONE[:70] + "NNN" + ONE[73:]
    (tmp_path / "n.fa").write_text(f">one\n{text.replace('RYW', 'NNN')}\n")
    assert out == crmnet("motifs", "scan", tmp_path / "n.fa")[1] and len(out.splitlines()) > 1


def test_discover_reads_iupac_letters_as_n_on_request(crmnet, tmp_path):
    planted(tmp_path / "t.tsv", lambda number, text, level: ("R" + text[1:], level))
    words = ["motifs", "discover", tmp_path / "t.tsv", "-n", 90, *NAMES, "-o", tmp_path / "m"]
    status, _, err = crmnet(*words)
    assert status == 2 and "--iupac n" in err
    status, _, err = crmnet(*words, "--iupac", "n")
    assert status == 0, err
