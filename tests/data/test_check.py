"""The description of a data set, compared with counts by hand."""

import json

import pytest

from crmnet.data.check import check
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.sequence import ADAPTER_3, ADAPTER_5

INSERT = "GATTACACCGGTTAACCATG" * 4


def made(folder, rows, header="sequence\texpression\tmedium", **options):
    (folder / "rows.tsv").write_text("\n".join([header, *rows]) + "\n")
    return ingest([folder / "rows.tsv"], folder / "set", IngestOptions(**options))


@pytest.fixture
def small(tmp_path):
    near_5 = "A" + ADAPTER_5[1:]
    other = "C" + INSERT[1:-1]
    rows = [
        f"{ADAPTER_5}{INSERT}{ADAPTER_3}\t3\tcomplex",
        f"{near_5}{INSERT}{ADAPTER_3}\t3.5\tdefined",
        f"{ADAPTER_5}{other}{ADAPTER_3}\t17\tcomplex",
        f"{ADAPTER_5}{'AC' * 40}CCCCCCCCCCCCC\t4.5\tcomplex",
    ]
    return made(tmp_path, rows)


def test_all_counts_by_hand(small):
    found = check(small)
    assert (found.rows, found.name) == (4, "set")
    assert found.construct_lengths == {109: 1, 110: 3}
    assert found.insert_lengths == {79: 1, 80: 2, 93: 1}
    assert found.adapters == {
        "5'": {"exact": 3, "close": 1, "missing": 0},
        "3'": {"exact": 3, "close": 0, "missing": 1},
    }
    assert {letter: shares[0] for letter, shares in found.composition.items()} == {
        "A": 0.25, "C": 0, "G": 0, "T": 0.75, "N": 0
    }  # fmt: skip
    assert found.composition["N"][109:] == [0.25, 1, 1]
    assert found.copies == {"distinct": 3, "repeats": 1, "several_media": 1}
    assert found.families == {
        "by": "homology", "number": 2, "largest": 3, "alone": 1, "sizes": {1: 1, 3: 1}
    }  # fmt: skip
    assert check(small, by="sequence").families["number"] == 3
    assert check(small, by="family").families["by"] == "sequence"
    assert {name: found["singletons"] for name, found in found.media.items()} == {
        "complex": 2, "defined": 0
    }  # fmt: skip


def test_the_result_as_sentences(small):
    text = "\n".join(check(small).lines())
    assert "complex: 3 rows, expression 8.17 ± 6.28, from 3.00 to 17.00 (sorting bin); 2 " in text
    assert "109 to 110, mostly 110 with adapters, 100.0% of 110 ± 2" in text
    assert "3' adapter: exact in 3, within 2 mismatches in 0, not found in 1" in text
    assert "families (by homology): 2, the largest of 3 rows, 1 with a single row" in text


def test_too_many_rows_for_homology_are_reported(small, monkeypatch):
    assert not any("above" in line for line in check(small).lines())
    monkeypatch.setattr("crmnet.data.check.HOMOLOGY_ROWS", 3)
    found = check(small)
    assert found.families["by"] == "sequence"
    *_, families, why = found.lines()
    assert "families (by sequence)" in families
    assert why.startswith("(above 3 rows families are by sequence unless `--by homology`")
    assert not any("above" in line for line in check(small, "homology").lines())


def test_the_command_writes_json_and_a_figure(crmnet, small, tmp_path):
    status, out, err = crmnet("data", "check", small.path, "-o", tmp_path / "checked")
    assert status == 0, err
    found = json.loads((tmp_path / "checked" / "check.json").read_text())
    assert (found["rows"], found["leaks"]) == (4, None)
    assert (tmp_path / "checked" / "check.png").stat().st_size > 20_000
    assert "set: 4 rows" in out


def test_leaks_determine_the_exit_status(crmnet, small, tmp_path):
    other = tmp_path / "other.tsv"
    other.write_text(f"{'GATC' * 20}\t1\n{'ATTGC' * 16}\t2\n")
    against = ("data", "check", small.path, "--fail-on-leak", "--against")
    assert crmnet(*against, other)[0] == 0
    other.write_text(f"{'GATC' * 20}\t1\n{INSERT}\t2\n")
    status, out, err = crmnet(*against, other, "-o", tmp_path / "checked")
    assert status == 1
    assert "2 rows have the same insert as 1 rows of other" in out
    assert "shares rows with" in err
    assert json.loads((tmp_path / "checked" / "check.json").read_text())["leaks"]["exact"] == {
        "rows": 2, "against_rows": 1, "examples": [
            {"row": 0, "against_row": 1, "insert": INSERT},
            {"row": 1, "against_row": 1, "insert": INSERT},
        ]
    }  # fmt: skip
    assert crmnet("data", "check", small.path, "--against", other)[0] == 0
    assert crmnet("data", "check", small.path, "--fail-on-leak")[0] == 2


def test_a_missing_data_set_is_reported_before_the_work(crmnet, small, tmp_path):
    """The check of the first set was printed before the second turned out to be missing."""
    status, out, err = crmnet("data", "check", small.path, "--against", tmp_path / "none.tsv")
    assert (status, out) == (2, "") and "none.tsv: no such file" in err
    status, out, err = crmnet(
        "data", "split", small.path, "-o", tmp_path / "s", "--without", small.path,
        "--without", "none",
    )  # fmt: skip
    assert (status, out) == (2, "") and "none: no such file" in err


def test_split_leaves_out_rows_shared_with_a_test_set(crmnet, small, tmp_path):
    other = tmp_path / "other.tsv"
    other.write_text(f"{INSERT}\t2\n")
    words = ("data", "split", small.path, "-o", tmp_path / "clean")
    status, out, err = crmnet(*words, "--without", other)
    assert status == 0, err
    assert "left out 2 rows shared with" in out
    assert "2 rows, 2 families" in out
    status, out, _ = crmnet(*words, "--without", other, "--level", "words", "--overwrite")
    assert "1 rows, 1 families" in out
    assert crmnet(*words)[0] == 2


def test_files_are_compared_as_the_data_set_was_read(crmnet, tmp_path):
    """With adapters, which --flanks none does not add, the file's rows were cut at base 95."""
    long = "".join("ACGT"[(i * i * 7919 >> 3) % 4] for i in range(112))
    bare = made(tmp_path, [f"{long}\t3", f"{INSERT}\t4"], "sequence\texpression", flanks="none")
    file = tmp_path / "rows.tsv"
    for pair in ([bare.path, "--against", file], [file, "--against", bare.path]):
        status, out, err = crmnet("data", "check", *pair, "--fail-on-leak")
        assert status == 1, err
        assert "2 rows have the same insert as 2 rows" in out
    status, out, err = crmnet(
        "data", "split", bare.path, "-o", tmp_path / "clean", "--without", file,
        "--held-out", tmp_path / "test", "--level", "exact",
    )  # fmt: skip
    assert "left out 2 rows shared" in out


def test_units_are_given_or_follow_from_the_range(tmp_path):
    assert made(tmp_path, ["ACGT\t0\t", "ACGT\t17\tother"]).units == {
        "complex": "sorting bin", "other": "sorting bin"
    }  # fmt: skip
    assert made(tmp_path, ["ACGT\t-0.1\t"], overwrite=True).units == {"complex": "unknown"}
    named = made(tmp_path, ["ACGT\t-0.1\t"], overwrite=True, units=["MAUDE score"])
    assert named.units == {"complex": "MAUDE score"}


def test_scales_are_not_mixed_within_a_medium(tmp_path):
    (tmp_path / "a.tsv").write_text("ACGT\t3\nTT\t4\n")
    (tmp_path / "b.tsv").write_text("ACGT\t-3\nTT\t4\n")
    files = [tmp_path / "a.tsv", tmp_path / "b.tsv"]
    message = r"'complex' are on different scales: a.tsv from 3 to 4 \(sorting bin\); b.tsv from -3"
    with pytest.raises(ValueError, match=message):
        ingest(files, tmp_path / "set")
    assert not (tmp_path / "set").exists()
    both = ingest(files, tmp_path / "set", IngestOptions(units=["score"]))
    assert both.units == {"complex": "score"}
    apart = ingest(files, tmp_path / "apart", IngestOptions(media=["complex", "dream"]))
    assert apart.units == {"complex": "sorting bin", "dream": "unknown"}
