"""Tables are written completely or not at all, and their numbers are read back exactly."""

import csv
import io
import sys
from pathlib import Path

import numpy as np
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmnet.files import STDOUT
from crmnet.reports.tables import TableWriter, for_reading, table_kind

NAMES = ("id", "expression")


def write(path, *blocks, names=NAMES):
    with TableWriter(path, names) as table:
        for block in blocks:
            table.write(block)
    return path


def files(folder):
    return sorted(path.name for path in folder.iterdir())


BLOCKS = (
    {"id": ["a", "b"], "expression": np.array([1.5, 2], np.float32)},
    {"id": [], "expression": np.array([], np.float32)},
    {"id": ["c"], "expression": np.array([-0.1], np.float32)},
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.tsv", "id\texpression\na\t1.5\nb\t2.0\nc\t-0.1\n"),
        ("t", "id\texpression\na\t1.5\nb\t2.0\nc\t-0.1\n"),
        ("t.csv", "id,expression\na,1.5\nb,2.0\nc,-0.1\n"),
    ],
)
def test_text_tables_by_suffix(tmp_path, name, text):
    assert write(tmp_path / name, *BLOCKS).read_bytes() == text.encode()
    assert files(tmp_path) == [name]


def test_parquet_by_suffix(tmp_path):
    table = polars.read_parquet(write(tmp_path / "t.parquet", *BLOCKS))
    assert table.columns == ["id", "expression"]
    assert table.rows() == [("a", 1.5), ("b", 2.0), ("c", -0.1)]
    assert files(tmp_path) == ["t.parquet"]


def test_dash_is_standard_output(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(STDOUT, *BLOCKS)
    assert capsys.readouterr().out == "id\texpression\na\t1.5\nb\t2.0\nc\t-0.1\n"
    print("still open")
    assert files(tmp_path) == []


def test_columns_are_written_in_order_and_others_left_out(tmp_path):
    write(tmp_path / "t.tsv", {"x": [3], "expression": [2], "id": [1]})
    assert (tmp_path / "t.tsv").read_text() == "id\texpression\n1\t2\n"


def test_no_rows_are_a_header(tmp_path):
    assert write(tmp_path / "t.tsv").read_text() == "id\texpression\n"
    assert polars.read_parquet(write(tmp_path / "t.parquet")).shape == (0, 2)


@pytest.mark.parametrize("name", ["t.tsv", "t.csv"])
def test_awkward_ids_survive(tmp_path, name):
    ids = ["a b", 'say "x"', "tab\there", "comma, there", "two\nlines", "é≤", ""]
    path = write(tmp_path / name, {"id": ids, "expression": range(7)})
    delimiter = "," if name.endswith("csv") else "\t"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter=delimiter))
    assert [row[0] for row in rows[1:]] == ids


@given(st.lists(st.floats(width=32), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_float32_is_read_back_exactly(tmp_path_factory, values):
    values = np.array(values, np.float32)
    folder = tmp_path_factory.mktemp("tables")
    block = {"x": values}
    with write(folder / "t.csv", block, names=["x"]).open(newline="") as file:
        texts = [row[0] for row in csv.reader(file)][1:]
    np.testing.assert_array_equal(np.array([float(text) for text in texts], np.float32), values)
    binary = polars.read_parquet(write(folder / "t.parquet", block, names=["x"]))["x"]
    np.testing.assert_array_equal(binary.to_numpy().astype(np.float32), values)


def test_float32_is_written_with_no_more_digits_than_it_has(tmp_path):
    values = np.array([0.1, 1 / 3, 11.7], np.float32)
    write(tmp_path / "t.tsv", {"x": values, "y": [0.1, 1 / 3, 11.7]}, names=["x", "y"])
    rows = (tmp_path / "t.tsv").read_text().splitlines()
    assert rows[1:] == ["0.1\t0.1", "0.33333334\t0.3333333333333333", "11.7\t11.7"]


@pytest.mark.parametrize("name", ["t.tsv", "t.csv", "t.parquet"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_no_file(tmp_path, name, error):
    with pytest.raises(error), TableWriter(tmp_path / name, NAMES) as table:
        table.write(BLOCKS[0])
        raise error
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["t.tsv", "t.csv", "t.parquet"])
def test_the_old_table_stays_until_the_new_one_is_complete(tmp_path, name):
    old = write(tmp_path / name, BLOCKS[0]).read_bytes()
    with pytest.raises(RuntimeError), TableWriter(tmp_path / name, NAMES) as table:
        table.write(BLOCKS[2])
        assert (tmp_path / name).read_bytes() == old
        raise RuntimeError
    assert (tmp_path / name).read_bytes() == old
    assert write(tmp_path / name, BLOCKS[2]).read_bytes() != old
    assert files(tmp_path) == [name]


@pytest.mark.parametrize("name", ["t.tsv", "t.parquet"])
def test_uneven_or_missing_columns_are_errors_and_leave_no_file(tmp_path, name):
    with pytest.raises(ValueError, match=r"same length; got \[2, 1\]"):
        write(tmp_path / name, {"id": ["a", "b"], "expression": [1.0]})
    with pytest.raises(KeyError, match="expression"):
        write(tmp_path / name, {"id": ["a"]})
    assert files(tmp_path) == []


def test_folders_are_created(tmp_path):
    path = write(tmp_path / "deep" / "er" / "t.tsv", *BLOCKS)
    assert polars.read_csv(io.BytesIO(path.read_bytes()), separator="\t").shape == (3, 2)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("-", "tsv"), ("a", "tsv"), ("a.txt", "tsv"), ("a.CSV", "csv"), ("a.b.parquet", "parquet")],
)
def test_the_suffix_determines_the_format(name, kind):
    assert table_kind(Path(name)) == kind


@pytest.mark.parametrize("name", ["a.xlsx", "a.tsv.gz"])
def test_other_suffixes_are_errors(tmp_path, name):
    with pytest.raises(ValueError, match=r"a\..* written as .tsv, .csv or .parquet, not"):
        write(tmp_path / name)
    assert not files(tmp_path)


def test_a_folder_in_place_of_the_table_is_an_error(tmp_path):
    with pytest.raises(IsADirectoryError, match="name a file in it"):
        write(tmp_path)
    assert not files(tmp_path)


NUMBERS = [
    0.0,
    -0.0,
    float("nan"),
    1e-300,
    -1.23456,
    0.00123456,
    2 / 3,
    0.99999,
    12.3456,
    1234.5678,
]
THREE_DECIMALS = (
    ["0.000", "0.000", "", "0.000", "-1.235", "0.001", "0.667", "1.000", "12.346", "1234.568"]
)  # fmt: skip
THREE_SIGNIFICANT = (
    ["0", "0", "", "1e-300", "-1.23", "0.00123", "0.667", "1", "12.3", "1.23e+03"]
)  # fmt: skip


@pytest.mark.parametrize("values", [NUMBERS, np.array(NUMBERS)], ids=["list", "array"])
def test_numbers_for_reading_have_three_decimals_and_probabilities_three_digits(values):
    columns = {
        "effect": values, "p": values, "n": np.arange(10), "id": list("abcdefghij"),
        "flag": np.arange(10) > 4, "small": np.array([0.1, -1e-7] * 5, np.float32),
    }  # fmt: skip
    shown = for_reading(columns, "t.tsv", "rounded", ("p",))
    assert list(shown) == list(columns)
    assert shown["effect"] == THREE_DECIMALS and shown["p"] == THREE_SIGNIFICANT
    assert shown["n"] == list(range(10)) and shown["id"] == list("abcdefghij")
    assert shown["flag"] == [False] * 5 + [True] * 5 and shown["small"] == ["0.100", "0.000"] * 5


def test_full_digits_and_parquet_are_not_rounded():
    values = np.array([1 / 3, 1e-300, np.nan])
    columns = {"effect": values, "p": values, "single": values.astype(np.float32)}
    shown = for_reading(columns, "t.csv", "full", ("p",))
    assert shown["effect"] == shown["p"] == [1 / 3, 1e-300, ""]
    assert shown["single"] == [0.33333334, 0, ""]
    for digits in ("rounded", "full"):
        assert for_reading(columns, "t.parquet", digits, ("p",)) is columns
    with pytest.raises(ValueError, match="digits must be one of rounded, full; got 'few'"):
        for_reading(columns, "t.csv", "few")


def test_values_for_reading_may_be_missing_first_and_words_may_follow(tmp_path):
    shown = for_reading({"x": [float("nan"), 1, 0.5, "-"], "e": [np.float64(2.5e-7)] * 4},
                        tmp_path / "t.tsv", probabilities=("e",))  # fmt: skip
    assert shown == {"x": ["", 1, "0.500", "-"], "e": ["2.5e-07"] * 4}


def test_columns_are_aligned_on_a_terminal_and_only_there(tmp_path, monkeypatch):
    """As wide as the widest value so far: the second block widens the first column."""
    terminal, pipe = io.StringIO(), io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    for stream in (terminal, pipe):
        monkeypatch.setattr(sys, "stdout", stream)
        with TableWriter("-", ["id", "expression", "flags"]) as table:
            table.write({"id": ["p", "promoter"], "expression": [1.5, ""], "flags": ["", "n"]})
            table.write({"id": [], "expression": [], "flags": []})
            table.write({"id": ["promoter_2"], "expression": [2], "flags": ["gc"]})
    assert terminal.getvalue() == (
        "id        expression  flags\n"
        "p         1.5\n"
        "promoter              n\n"
        "promoter_2  2           gc\n"
    )
    assert pipe.getvalue() == "id\texpression\tflags\np\t1.5\t\npromoter\t\tn\npromoter_2\t2\tgc\n"


def test_no_rows_are_a_header_on_a_terminal_too(monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    with TableWriter("-", ["id", "expression"]):
        pass
    assert terminal.getvalue() == "id  expression\n"
