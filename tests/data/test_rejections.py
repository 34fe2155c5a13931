"""Which rows are accepted, which are rejected and why."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmnet.data import reading
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.rejections import TooManyRejected, rejection_summary
from crmnet.sequence import decode
from support import HEADER, ingest_rows, only_inputs, rejected_rows, write_lines


def test_every_reason_is_listed_with_file_line_and_text(tmp_path):
    bad = write_lines(
        tmp_path / "bad.tsv",
        "ACGT\t1",
        "ACUT\t1",
        "AC-T\t1",
        "\t1",
        "ACGT\tnan",
        "ACGT\thigh",
        "ACGT\t",
        "ACGT\tinf",
        "ACGT\t1e39",
        "",
        "ACGT",
        "ACGT\t1\t2",
        HEADER,
        "ACGT\t2",
    )
    good = write_lines(tmp_path / "good.tsv", "ACGT\t3", "ACXT\t1")
    dataset = ingest_rows([bad, good], tmp_path / "set")
    assert dataset.labels.tolist() == [1, 2, 3]
    letters = "only A, C, G, T and N are allowed; write N for an unknown base"
    assert rejected_rows(dataset) == [
        (
            "bad.tsv",
            3,
            "bad letter: letter 'U' at position 3 of 4; this is RNA: write T for U",
            "ACUT",
        ),
        ("bad.tsv", 4, "bad letter: letter '-' at position 3 of 4; remove alignment gaps", "AC-T"),
        ("bad.tsv", 5, "empty sequence", ""),
        ("bad.tsv", 6, "expression is missing", "nan"),
        ("bad.tsv", 7, "expression is not a number", "high"),
        ("bad.tsv", 8, "expression is missing", ""),
        ("bad.tsv", 9, "expression is infinite", "inf"),
        ("bad.tsv", 10, "expression is infinite", "1e39"),
        ("bad.tsv", 11, "blank line", ""),
        ("bad.tsv", 12, "1 columns where 2 are expected", "ACGT"),
        ("bad.tsv", 13, "3 columns where 2 are expected", "ACGT 1 2"),
        ("bad.tsv", 14, "repeated header", "sequence expression"),
        ("good.tsv", 3, f"bad letter: letter 'X' at position 3 of 4; {letters}", "ACXT"),
    ]
    assert dataset.manifest["rejected"] == {
        "bad letter": 3,
        "expression is missing": 2,
        "expression is not a number": 1,
        "expression is infinite": 2,
        "empty sequence": 1,
        "blank line": 1,
        "1 columns where 2 are expected": 1,
        "3 columns where 2 are expected": 1,
        "repeated header": 1,
    }
    assert dataset.manifest["rows_read"] == 16
    assert dataset.manifest["sources"] == [
        {"file": "bad.tsv", "rows_read": 14, "rows_taken": 2},
        {"file": "good.tsv", "rows_read": 2, "rows_taken": 1},
    ]


def test_summary_counts_accepted_and_rejected_rows(tmp_path):
    dataset = ingest_rows(
        write_lines(tmp_path / "a.tsv", "A\t1", "C\tx", "AX\t1", "X\t1"), tmp_path / "set"
    )
    assert list(rejection_summary(dataset.manifest)) == [
        "accepted 1 of 4 rows",
        "rejected 2: bad letter",
        "rejected 1: expression is not a number",
    ]


def test_a_row_with_two_faults_is_rejected_once(tmp_path):
    dataset = ingest_rows(write_lines(tmp_path / "a.tsv", "AX\tnan", "A\t1"), tmp_path / "set")
    assert [reason.split(":")[0] for _, _, reason, _ in rejected_rows(dataset)] == ["bad letter"]


def test_control_and_foreign_characters_do_not_break_the_report(tmp_path):
    file = tmp_path / "a.csv"
    file.write_bytes(b"sequence,expression\nA\rC\tG,1\n\xe9A,1\n" + b"X" * 90 + b",1\nA,1\n")
    dataset = ingest_rows(file, tmp_path / "set")
    assert [(line, text) for _, line, _, text in rejected_rows(dataset)] == [
        (2, "A C G"),
        (3, "\ufffdA"),
        (4, "X" * 60),
    ]


@pytest.mark.parametrize("n_bad", [1, 2])
def test_allowed_share_of_bad_rows(tmp_path, n_bad):
    file = write_lines(tmp_path / "a.tsv", *["ACGT\t1"] * (100 - n_bad), *["AX\t1"] * n_bad)
    if n_bad == 1:
        assert len(ingest_rows(file, tmp_path / "set", max_rejected=0.01)) == 99
        return
    with pytest.raises(TooManyRejected, match=r"2 of 100 rows .* 1.0% .*a.tsv, line 100: bad let"):
        ingest_rows(file, tmp_path / "set", max_rejected=0.01)
    assert only_inputs(tmp_path, file)


@pytest.mark.parametrize("last", [True, False])
def test_the_order_of_rows_does_not_decide(tmp_path, monkeypatch, last):
    """2 % of the first 100,000 rows are bad, and 1 % of all."""
    monkeypatch.setattr(reading, "BLOCK_BYTES", 1 << 16)
    good, mixed = "ACGT\t1\n" * 100_000, ("AX\t1\n" + "ACGT\t1\n" * 49) * 2_000
    text = good + mixed if last else mixed + good
    (tmp_path / "a.tsv").write_text(f"{HEADER}\n{text}")
    assert len(ingest_rows(tmp_path / "a.tsv", tmp_path / "set", max_rejected=0.01)) == 198_000


def test_blank_lines_and_repeated_headers_cost_nothing(tmp_path):
    file = write_lines(tmp_path / "a.tsv", "ACGT\t1", "", HEADER, "", "TT\t2", "")
    assert len(ingest_rows(file, tmp_path / "set", max_rejected=0)) == 2


def test_too_many_bad_rows_stop_a_long_file_early(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_BYTES", 1 << 16)
    rows = ["AX\t1"] * 110_000
    seen = []
    with pytest.raises(TooManyRejected, match="rows were rejected"):
        ingest(
            [write_lines(tmp_path / "a.tsv", *rows)],
            tmp_path / "set",
            IngestOptions(max_rejected=0.5),
            progress=seen.append,
        )
    assert seen[-1] < 100_000


@pytest.mark.parametrize("row", ["AX\t1", "ACGT\tnan", "ACGT", ""])
def test_files_without_an_acceptable_row_are_errors(tmp_path, row):
    file = write_lines(tmp_path / "a.tsv", row)
    with pytest.raises(TooManyRejected, match=r"all rows were rejected. First: a.tsv, line 2: "):
        ingest_rows(file, tmp_path / "set")
    assert only_inputs(tmp_path, file)


def test_weights_are_positive_numbers(tmp_path):
    bad = ["0", "-1", "nan", "inf", "1e39", "many", ""]
    rows = ["A\t1\t2.5", *(f"A\t1\t{weight}" for weight in bad), "C\t1\t10"]
    file = write_lines(tmp_path / "a.tsv", *rows, header=f"{HEADER}\tcells")
    dataset = ingest_rows(file, tmp_path / "set")
    assert dataset.weight.tolist() == [2.5, 10]
    reason = "weight is not a positive number"
    assert rejected_rows(dataset) == [
        ("a.tsv", line, reason, text) for line, text in enumerate(bad, start=3)
    ]


good_rows = st.tuples(
    # NA and nan stand for a missing sequence
    st.text("ACGTNacgtn", min_size=1, max_size=112).filter(
        lambda s: s.lower() not in ("na", "nan")
    ),
    st.floats(-20, 20, width=32).map(repr),
)


bad_rows = st.sampled_from(
    [("AXG", "1"), ("", "1"), ("ACG", "nan"), ("ACG", "-inf"), ("ACG", ""), ("ACG", "1\t1")]
)


@given(st.lists(st.tuples(st.booleans(), good_rows, bad_rows), min_size=1, max_size=40))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_exactly_the_good_rows_come_back_in_order(tmp_path_factory, plan):
    plan = [(True, ("ACGT", "1.0"), None), *plan]
    rows = [good if accepted else bad for accepted, good, bad in plan]
    folder = tmp_path_factory.mktemp("ingest")
    dataset = ingest_rows(
        write_lines(folder / "a.tsv", *("\t".join(row) for row in rows)), folder / "set"
    )
    kept = [good for accepted, good, _ in plan if accepted]
    assert decode(dataset.tokens) == [sequence.upper().rstrip("N") for sequence, _ in kept]
    assert dataset.labels.tolist() == [float(label) for _, label in kept]
    bad_lines = [line for line, (good, _, _) in enumerate(plan, start=2) if not good]
    assert [line for _, line, _, _ in rejected_rows(dataset)] == bad_lines


DAMAGED = ["1_0", "5.0\0", "\x00", "1_0.5", "0x10", "1e", "5..0", "--1", "1e1_0", "5 .0"]


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("others", [(), ("high",)])
def test_damaged_numbers_are_refused_by_both_parsers(tmp_path, quoted, others):
    """Python reads 1_0 as 10, and NumPy 5.0 before a NUL as 5."""
    good = [f"{'ACGTT' * 16}\t{n}.5" for n in range(100)]
    bad = [f"{'GGATC' * 16}\t{text}" for text in (*DAMAGED, *others)]
    lines = [f'"{line.replace(chr(9), chr(34) + chr(9))}' if quoted else line for line in good]
    (tmp_path / "f.tsv").write_text("\n".join(["sequence\texpression", *lines, *bad]) + "\n")
    dataset = ingest([tmp_path / "f.tsv"], tmp_path / "d", IngestOptions(max_rejected=1))
    assert dataset.labels.tolist() == [n + 0.5 for n in range(100)]
    found = [(line, reason) for _, line, reason, _ in rejected_rows(dataset)]
    assert found == [(102 + n, "expression is not a number") for n in range(len(bad))]


def test_a_row_with_a_nul_byte_is_refused_and_the_others_are_taken(tmp_path):
    lines = ["sequence\texpression", *(f"ACGT\t{n}" for n in range(4)), "ACGG\t5.0\0", "AC\0T\t1"]
    (tmp_path / "f.tsv").write_text("\n".join(lines) + "\n")
    dataset = ingest([tmp_path / "f.tsv"], tmp_path / "d", IngestOptions(max_rejected=1))
    assert dataset.labels.tolist() == [0, 1, 2, 3]
    assert [(line, reason[:24]) for _, line, reason, _ in rejected_rows(dataset)] == [
        (6, "expression is not a numb"), (7, "bad letter: letter '\\x00'"[:24]),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "NA", "#N/A", "None", ".", "nan", "NULL", "n/a", "<NA>"])
def test_missing_values_are_called_missing(tmp_path, text):
    lines = ["sequence\texpression\tfamily", "ACGT\t1\tx", f"ACGG\t{text}\tx"]
    (tmp_path / "f.tsv").write_text("\n".join(lines) + "\n")
    dataset = ingest([tmp_path / "f.tsv"], tmp_path / "d", IngestOptions(max_rejected=1))
    assert dataset.manifest["rejected"] == {"expression is missing": 1}
