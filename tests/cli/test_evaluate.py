"""Columns of tables that ``evaluate`` scores, and options that one of its forms does not read."""

import json

import pytest

from support import write_rows

ROWS = [("ACGTT" * 16, n, n + n % 2, 9 - n, f"r{n}", n // 2) for n in range(6)]
HEADER = "insert expression predicted other name group"
ROLES = ["--column", "expression=other", "--column", "sequence=insert", "--column", "family=group"]


@pytest.fixture
def table(tmp_path):
    return write_rows(tmp_path / "t.tsv", ROWS, HEADER)


def test_a_table_is_scored_by_the_columns_that_are_named(crmnet, table, tmp_path):
    """--column was ignored: the column expression was scored."""
    words = ["evaluate", "--predictions", table, "--resamples", 10, "-o", tmp_path / "e", *ROLES]
    status, _, error = crmnet(*words)
    assert status == 0, error
    found = json.loads((tmp_path / "e" / "metrics.json").read_text())["sets"]["t"]
    # 9 8 7 6 5 4 measured, 0 2 2 4 4 6 predicted: 9 + 6 + 5 + 2 + 1 + 2 apart.
    assert found["mae"]["value"] == pytest.approx(25 / 6)
    assert (found["families"], found["families_by"]) == (3, "family")


def test_replicates_take_the_family_that_is_named(crmnet, table):
    words = ["evaluate", "--replicates", table, "--replicate-columns", "expression", "predicted"]
    status, out, _ = crmnet(*words, "--column", "family=group", "--resamples", 10)
    assert status == 0 and "6 rows with two measurements, 3 families (by family)" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--predictions", "t.tsv", "--column", "medium=name"], "--column takes id=, sequence="),
        (["--predictions", "t.tsv", "--measured", "other", "--column", "expression=predicted"],
         "--measured and --predicted name two columns, predicted and other"),
        (["--replicates", "t.tsv", "--column", "expression=other"], "--replicate-columns name two"),
    ],
)  # fmt: skip
def test_columns_that_contradict_are_refused(crmnet, table, monkeypatch, words, message):
    monkeypatch.chdir(table.parent)
    status, _, error = crmnet("evaluate", *words)
    assert status == 2 and message in error


@pytest.mark.parametrize(
    ("form", "option", "name"),
    [
        ("--replicates t.tsv", "-o e", "-o/--output cannot be combined with --replicates"),
        ("--replicates t.tsv", "--against t.tsv", "--against cannot be combined with --replicates"),
        ("run t.tsv", "--measured other", "--measured cannot be combined with MODEL"),
        ("run t.tsv", "--dream-subsets .", "--dream-subsets cannot be combined with MODEL"),
        ("--predictions t.tsv", "--medium complex", "--medium cannot be combined"),
        ("--predictions t.tsv", "--flanks auto", "--flanks cannot be combined"),
        ("--predictions t.tsv", "--max-rejected 1", "with --predictions without --against"),
        ("--game http://127.0.0.1:1 t.tsv", "--predicted other", "--predicted cannot be combined"),
    ],
)
def test_an_option_that_a_form_does_not_read_is_refused(
    crmnet, table, monkeypatch, form, option, name
):
    """They were ignored without a message."""
    monkeypatch.chdir(table.parent)
    status, out, error = crmnet("evaluate", *form.split(), *option.split())
    assert (status, out) == (2, "")
    assert name in error and "leave one out" in error
    assert not (table.parent / "e").exists()
