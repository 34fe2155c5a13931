"""Raw files to data sets: which rows are accepted, which are rejected and why, and cleaning up."""

import gzip
import hashlib
import json

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from crmnet.data import reading, writer
from crmnet.data.dataset import Dataset, is_dataset
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.rejections import TooManyRejected, rejection_summary
from crmnet.sequence import ADAPTER_3, ADAPTER_5, decode

HEADER = "sequence\texpression"


def write(path, *rows, header=HEADER, end="\n"):
    lines = [header, *rows] if header else rows
    path.write_bytes((end.join(lines) + end).encode())
    return path


def take(files, destination, **options):
    """Ingest; by default without adapters and with any number of rejected rows."""
    files = files if isinstance(files, list) else [files]
    return ingest(
        files, destination, IngestOptions(**{"flanks": "none", "max_rejected": 1, **options})
    )


def rejected(dataset):
    """(file, line, reason, text) of every rejected row."""
    with (dataset.path / "rejected.tsv").open(newline="", encoding="utf-8") as file:
        header, *rows = (line.rstrip("\n").split("\t") for line in file)
    assert header == ["file", "line", "reason", "text"]
    return [(file, int(line), reason, text) for file, line, reason, text in rows]


def only_inputs(folder, *inputs):
    return sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in inputs)


def test_rows_come_back_as_they_were(tmp_path):
    dataset = take(write(tmp_path / "a.tsv", "ACGT\t1.5", "ttn\t17", "G\t-3e-1"), tmp_path / "set")
    assert decode(dataset.tokens) == ["ACGT", "TT", "G"]
    assert dataset.tokens.shape == (3, 112)
    assert dataset.labels.tolist() == np.float32([1.5, 17, -0.3]).tolist()
    assert dataset.medium.tolist() == [0, 0, 0]
    assert dataset.media == ["complex"]
    assert (dataset.family, dataset.weight) == (None, None)
    assert rejected(dataset) == []
    assert only_inputs(tmp_path, tmp_path / "a.tsv", tmp_path / "set")


def test_arrays_are_plain_npy_files_kept_on_disk(tmp_path):
    dataset = take(write(tmp_path / "a.tsv", "ACGT\t1", "TT\t2"), tmp_path / "set")
    assert isinstance(dataset.tokens, np.memmap)
    for name in ("tokens", "labels", "medium"):
        loaded = np.load(tmp_path / "set" / f"{name}.npy", allow_pickle=False)
        assert loaded.dtype == getattr(dataset, name).dtype
        assert (loaded == getattr(dataset, name)).all()


def test_adapters_are_added_and_counted(tmp_path):
    insert = "ACGT" * 20
    file = write(tmp_path / "a.tsv", f"{insert}\t1", f"{ADAPTER_5}{insert}{ADAPTER_3}\t2", "AN\t3")
    dataset = take(file, tmp_path / "set", flanks="auto")
    assert decode(dataset.tokens) == [
        ADAPTER_5 + insert + ADAPTER_3,
        ADAPTER_5 + insert + ADAPTER_3,
        ADAPTER_5 + "AN" + ADAPTER_3,
    ]
    done = dataset.manifest["preparation"]
    assert (done["adapters_added"], done["adapters_kept"], done["with_n"]) == (2, 1, 1)
    assert dataset.manifest["lengths"] == {"2": 1, "80": 1, "110": 1}


def test_every_reason_is_listed_with_file_line_and_text(tmp_path):
    bad = write(
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
    good = write(tmp_path / "good.tsv", "ACGT\t3", "ACXT\t1")
    dataset = take([bad, good], tmp_path / "set")
    assert dataset.labels.tolist() == [1, 2, 3]
    letters = "only A, C, G, T and N are allowed; write N for an unknown base"
    assert rejected(dataset) == [
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
    dataset = take(write(tmp_path / "a.tsv", "A\t1", "C\tx", "AX\t1", "X\t1"), tmp_path / "set")
    assert list(rejection_summary(dataset.manifest)) == [
        "accepted 1 of 4 rows",
        "rejected 2: bad letter",
        "rejected 1: expression is not a number",
    ]


def test_a_row_with_two_faults_is_rejected_once(tmp_path):
    dataset = take(write(tmp_path / "a.tsv", "AX\tnan", "A\t1"), tmp_path / "set")
    assert [reason.split(":")[0] for _, _, reason, _ in rejected(dataset)] == ["bad letter"]


def test_control_and_foreign_characters_do_not_break_the_report(tmp_path):
    file = tmp_path / "a.csv"
    file.write_bytes(b"sequence,expression\nA\rC\tG,1\n\xe9A,1\n" + b"X" * 90 + b",1\nA,1\n")
    dataset = take(file, tmp_path / "set")
    assert [(line, text) for _, line, _, text in rejected(dataset)] == [
        (2, "A C G"),
        (3, "\ufffdA"),
        (4, "X" * 60),
    ]


@pytest.mark.parametrize("n_bad", [1, 2])
def test_allowed_share_of_bad_rows(tmp_path, n_bad):
    file = write(tmp_path / "a.tsv", *["ACGT\t1"] * (100 - n_bad), *["AX\t1"] * n_bad)
    if n_bad == 1:
        assert len(take(file, tmp_path / "set", max_rejected=0.01)) == 99
        return
    with pytest.raises(TooManyRejected, match=r"2 of 100 rows .* 1.0% .*a.tsv, line 100: bad let"):
        take(file, tmp_path / "set", max_rejected=0.01)
    assert only_inputs(tmp_path, file)


def test_blank_lines_and_repeated_headers_cost_nothing(tmp_path):
    file = write(tmp_path / "a.tsv", "ACGT\t1", "", HEADER, "", "TT\t2", "")
    assert len(take(file, tmp_path / "set", max_rejected=0)) == 2


def test_too_many_bad_rows_stop_a_long_file_early(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_BYTES", 1 << 16)
    rows = ["AX\t1"] * 110_000
    seen = []
    with pytest.raises(TooManyRejected, match="rows were rejected"):
        ingest(
            [write(tmp_path / "a.tsv", *rows)],
            tmp_path / "set",
            IngestOptions(max_rejected=0.5),
            progress=seen.append,
        )
    assert seen[-1] < 100_000


@pytest.mark.parametrize("row", ["AX\t1", "ACGT\tnan", "ACGT", ""])
def test_files_without_an_acceptable_row_are_errors(tmp_path, row):
    file = write(tmp_path / "a.tsv", row)
    with pytest.raises(TooManyRejected, match=r"all rows were rejected. First: a.tsv, line 2: "):
        take(file, tmp_path / "set")
    assert only_inputs(tmp_path, file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no rows"),
        (b"sequence\texpression\n", "no rows in file"),
        (b"sequence\texpression", "no rows in file"),
        (gzip.compress(b"sequence\texpression\nACGT\t1\n", mtime=0)[:-9], "damaged or truncated"),
        (zstandard.compress(b"sequence\texpression\nACGT\t1\n")[:-2], "damaged or truncated"),
        ("sequence\texpression\nACGT\t1\n".encode("utf-16"), "not plain text"),
        (b"id\texpression\na\t1\n", "no column 'sequence'"),
        (b"id\tsequence\na\tACGT\n", "no column of measured expression"),
        (b">a\nACGT\n", "no column of measured expression"),
        (b"ACGT\nTT\n", "no column of measured expression"),
    ],
)
def test_unreadable_files_are_named_and_leave_nothing(tmp_path, content, message):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        take(tmp_path / "file", tmp_path / "set")
    assert only_inputs(tmp_path, tmp_path / "file")


def content_of(dataset):
    return decode(dataset.tokens), dataset.labels.tolist(), dataset.fingerprint


def test_compression_line_ends_quotes_and_column_order_do_not_matter(tmp_path):
    rows = ["ACGT\t1.5", "TT\t2", "G\t3"]
    plain = write(tmp_path / "plain.tsv", *rows)
    text = plain.read_bytes()
    others = {
        "crlf.tsv": text.replace(b"\n", b"\r\n"),
        "bom.tsv": b"\xef\xbb\xbf" + text,
        "open.tsv": text.rstrip(b"\n"),
        "compressed.gz": gzip.compress(text),
        "compressed.zst": zstandard.compress(text),
        "comma.csv": text.replace(b"\t", b","),
        "quoted.csv": b'"sequence","note","expression"\n"ACGT","a, b",1.5\n"TT","","2"\nG,,3\n',
        "order.tsv": b"El\tx\tSeq\n1.5\t\tACGT\n2\t\tTT\n3\t\tG\n",
        "headerless.tsv": text.split(b"\n", 1)[1],
    }
    expected = content_of(take(plain, tmp_path / "plain"))
    assert expected[:2] == (["ACGT", "TT", "G"], [1.5, 2, 3])
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
        assert content_of(take(tmp_path / name, tmp_path / f"{name}-set")) == expected, name


def test_columns_can_be_named(tmp_path):
    file = write(tmp_path / "a.tsv", "AC\tGT\t1\t2", header="sequence\tmine\texpression\tYFP")
    columns = {"sequence": "mine", "expression": "yfp"}
    dataset = take(file, tmp_path / "set", columns=columns)
    assert (decode(dataset.tokens), dataset.labels.tolist()) == (["GT"], [2])


def test_fingerprint_does_not_depend_on_blocks_but_on_every_label(tmp_path, monkeypatch):
    rows = [f"{'ACGT'[i % 4] * (i + 1)}\t{i}\tfamily{i % 3}\t{i + 1}" for i in range(20)]
    header = "sequence\texpression\tfamily\tweight"
    file = write(tmp_path / "a.tsv", *rows, header=header)
    whole = take(file, tmp_path / "whole")
    other = write(
        tmp_path / "b.tsv", *rows[:-1], rows[-1].replace("\t19\t", "\t18\t"), header=header
    )
    assert take(other, tmp_path / "other").fingerprint != whole.fingerprint
    turned = write(tmp_path / "c.tsv", *rows[::-1], header=header)
    assert take(turned, tmp_path / "turned").fingerprint != whole.fingerprint
    monkeypatch.setattr(reading, "BLOCK_BYTES", 9)
    in_pieces = take(file, tmp_path / "pieces")
    assert in_pieces.fingerprint == whole.fingerprint
    for name in ("tokens", "labels", "medium", "family", "weight"):
        assert (getattr(in_pieces, name) == getattr(whole, name)).all()
        assert (tmp_path / "pieces" / f"{name}.npy").read_bytes() == (
            tmp_path / "whole" / f"{name}.npy"
        ).read_bytes()


def test_fingerprint_depends_on_the_medium_name(tmp_path):
    file = write(tmp_path / "a.tsv", "ACGT\t1")
    one = take(file, tmp_path / "one", media=("complex",))
    assert one.fingerprint != take(file, tmp_path / "two", media=("defined",)).fingerprint


def test_each_file_may_have_its_medium(tmp_path):
    files = [
        write(tmp_path / f"{i}.tsv", *[f"ACGT\t{i}"] * rows) for i, rows in enumerate([2, 1, 1])
    ]
    dataset = take(files, tmp_path / "set", media=("complex", "defined", "complex"))
    assert dataset.media == ["complex", "defined"]
    assert dataset.medium.tolist() == [0, 0, 1, 0]
    with pytest.raises(ValueError, match="2 media for 3 files"):
        take(files, tmp_path / "other", media=("complex", "defined"))
    assert not (tmp_path / "other").exists()


def test_a_medium_column_takes_precedence_over_the_files_medium(tmp_path):
    header = "sequence\texpression\tmedium"
    file = write(
        tmp_path / "a.tsv", "A\t1\tdream", "C\t2\t", "G\t3\tYPD", "T\t4\tdream", header=header
    )
    dataset = take(file, tmp_path / "set", media=("defined",))
    assert dataset.media == ["dream", "defined", "YPD"]
    assert dataset.medium.tolist() == [0, 1, 2, 0]
    assert [m["rows"] for m in dataset.manifest["media"].values()] == [2, 1, 1]


def test_media_in_other_encodings_stay_apart(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b"sequence\tlabel\tmedium\nA\t1\td\xe9f\nA\t1\td\xe8f\n")
    dataset = take(tmp_path / "a.tsv", tmp_path / "set")
    assert dataset.medium.tolist() == [0, 1]


def test_too_many_media_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "MAX_MEDIA", 2)
    file = write(tmp_path / "a.tsv", *["A\t1\tx", "A\t1\ty", "A\t1\tz"], header=f"{HEADER}\tmedium")
    with pytest.raises(ValueError, match="more than 2 media"):
        take(file, tmp_path / "set")
    assert only_inputs(tmp_path, file)


def test_families_are_numbers_that_depend_on_their_name_alone(tmp_path):
    header = f"{HEADER}\tfamily"
    one = take(
        write(tmp_path / "a", "A\t1\tx", "C\t1\ty", "G\t1\tx", header=header), tmp_path / "1"
    )
    two = take(write(tmp_path / "b", "T\t1\tz", "C\t1\ty", header=header), tmp_path / "2")
    x, y, again = one.family.tolist()
    assert x == again != y
    assert two.family[1] == y
    assert y == int.from_bytes(hashlib.blake2b(b"y", digest_size=8).digest(), "little")


def test_weights_are_positive_numbers(tmp_path):
    bad = ["0", "-1", "nan", "inf", "1e39", "many", ""]
    rows = ["A\t1\t2.5", *(f"A\t1\t{weight}" for weight in bad), "C\t1\t10"]
    file = write(tmp_path / "a.tsv", *rows, header=f"{HEADER}\tcells")
    dataset = take(file, tmp_path / "set")
    assert dataset.weight.tolist() == [2.5, 10]
    reason = "weight is not a positive number"
    assert rejected(dataset) == [
        ("a.tsv", line, reason, text) for line, text in enumerate(bad, start=3)
    ]


@pytest.mark.parametrize("column", ["family", "weight"])
@pytest.mark.parametrize("first", [True, False])
def test_a_column_in_one_file_only_is_an_error(tmp_path, column, first):
    files = [
        write(tmp_path / "with.tsv", "A\t1\t3", header=f"{HEADER}\t{column}"),
        write(tmp_path / "without.tsv", "A\t1"),
    ]
    files = files if first else files[::-1]
    with pytest.raises(ValueError, match=rf"^{files[1].name}: column '{column}' is in some files"):
        take(files, tmp_path / "set")
    assert only_inputs(tmp_path, *files)


def test_manifest_counts_by_hand(tmp_path):
    rows = ["A\t1.05", "AC\t1.07", "AC\t2.55", "ACG\t-0.05", "A\tx"]
    dataset = take(write(tmp_path / "a.tsv", *rows), tmp_path / "set")
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert manifest == dataset.manifest
    assert (manifest["rows"], manifest["rows_read"]) == (4, 5)
    assert manifest["columns"] == ["tokens", "labels", "medium"]
    assert manifest["lengths"] == {"1": 1, "2": 2, "3": 1}
    statistics = manifest["media"]["complex"]
    assert statistics["rows"] == 4
    assert statistics["histogram"] == {"width": 0.1, "bins": {"-1": 1, "10": 2, "25": 1}}
    assert statistics["mean"] == pytest.approx((1.05 + 1.07 + 2.55 - 0.05) / 4, abs=1e-6)
    assert statistics["sd"] == pytest.approx(np.std([1.05, 1.07, 2.55, -0.05]), abs=1e-6)
    assert (statistics["min"], statistics["max"]) == (np.float32(-0.05), np.float32(2.55))


def test_histogram_loses_no_row_however_far_out(tmp_path):
    labels = ["1e9", "2e9", "3e38", "-1e9", "-2e9", "0"]
    file = write(tmp_path / "a.tsv", *[f"A\t{label}" for label in labels])
    bins = take(file, tmp_path / "set").manifest["media"]["complex"]["histogram"]["bins"]
    assert bins == {"-1000000": 2, "0": 1, "1000000": 3}


def test_failure_midway_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_BYTES", 30)
    file = write(tmp_path / "a.tsv", *["ACGT\t1"] * 50)

    def interrupt(rows):
        if rows > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest([file], tmp_path / "set", progress=interrupt)
    assert only_inputs(tmp_path, file)


def test_missing_second_file_leaves_nothing(tmp_path):
    file = write(tmp_path / "a.tsv", "ACGT\t1")
    with pytest.raises(FileNotFoundError, match=r"b\.tsv: no such file"):
        take([file, tmp_path / "b.tsv"], tmp_path / "set")
    assert only_inputs(tmp_path, file)


def test_an_existing_data_set_is_replaced_only_with_overwrite_and_only_by_a_complete_one(tmp_path):
    old = take(write(tmp_path / "a.tsv", "ACGT\t1"), tmp_path / "set")
    new = write(tmp_path / "b.tsv", "TT\t2", "G\t3")
    with pytest.raises(FileExistsError, match="pass --overwrite"):
        take(new, tmp_path / "set")
    with pytest.raises(ValueError, match="holds no rows"):
        take([new, write(tmp_path / "c.tsv", header="")], tmp_path / "set", overwrite=True)
    assert Dataset.open(tmp_path / "set").fingerprint == old.fingerprint
    assert len(take(new, tmp_path / "set", overwrite=True)) == 2
    assert decode(Dataset.open(tmp_path / "set").tokens) == ["TT", "G"]


def test_leftovers_of_a_killed_ingestion_do_not_matter(tmp_path):
    (tmp_path / ".set.partial").mkdir()
    (tmp_path / ".set.partial" / "weight.npy").write_bytes(b"old")
    dataset = take(write(tmp_path / "a.tsv", "ACGT\t1"), tmp_path / "set")
    assert sorted(path.name for path in dataset.path.iterdir()) == [
        "labels.npy",
        "manifest.json",
        "medium.npy",
        "rejected.tsv",
        "tokens.npy",
    ]
    assert not (tmp_path / ".set.partial").exists()


def test_folders_are_made_and_progress_counts_rows_read(tmp_path):
    seen = []
    file = write(tmp_path / "a.tsv", "ACGT\t1", "AX\t1", "TT\t2")
    options = IngestOptions(max_rejected=1)
    dataset = ingest([file, file], tmp_path / "deep" / "er" / "set", options, progress=seen.append)
    assert dataset.name == "set"
    assert sorted(set(seen)) == seen
    assert seen[-1] == 6


def test_opening_something_else_than_a_data_set_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such data set"):
        Dataset.open(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="not a data set"):
        Dataset.open(tmp_path)
    assert not is_dataset(tmp_path)


def test_opening_a_changed_data_set_is_an_error(tmp_path):
    dataset = take(write(tmp_path / "a.tsv", "ACGT\t1", "A\t2"), tmp_path / "set")
    assert is_dataset(dataset.path)
    np.save(dataset.path / "labels.npy", np.zeros(3, np.float32))
    with pytest.raises(ValueError, match=r"labels\.npy has 3 rows, the manifest states 2"):
        Dataset.open(dataset.path)
    manifest = {**dataset.manifest, "format": 0}
    (dataset.path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="has data set format 0"):
        Dataset.open(dataset.path)


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
    dataset = take(write(folder / "a.tsv", *("\t".join(row) for row in rows)), folder / "set")
    kept = [good for accepted, good, _ in plan if accepted]
    assert decode(dataset.tokens) == [sequence.upper().rstrip("N") for sequence, _ in kept]
    assert dataset.labels.tolist() == [float(label) for _, label in kept]
    bad_lines = [line for line, (good, _, _) in enumerate(plan, start=2) if not good]
    assert [line for _, line, _, _ in rejected(dataset)] == bad_lines


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
    found = [(line, reason) for _, line, reason, _ in rejected(dataset)]
    assert found == [(102 + n, "expression is not a number") for n in range(len(bad))]


def test_a_row_with_a_nul_byte_is_refused_and_the_others_are_taken(tmp_path):
    lines = ["sequence\texpression", *(f"ACGT\t{n}" for n in range(4)), "ACGG\t5.0\0", "AC\0T\t1"]
    (tmp_path / "f.tsv").write_text("\n".join(lines) + "\n")
    dataset = ingest([tmp_path / "f.tsv"], tmp_path / "d", IngestOptions(max_rejected=1))
    assert dataset.labels.tolist() == [0, 1, 2, 3]
    assert [(line, reason[:24]) for _, line, reason, _ in rejected(dataset)] == [
        (6, "expression is not a numb"), (7, "bad letter: letter '\\x00'"[:24]),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "NA", "#N/A", "None", ".", "nan", "NULL", "n/a", "<NA>"])
def test_missing_values_are_called_missing(tmp_path, text):
    lines = ["sequence\texpression\tfamily", "ACGT\t1\tx", f"ACGG\t{text}\tx"]
    (tmp_path / "f.tsv").write_text("\n".join(lines) + "\n")
    dataset = ingest([tmp_path / "f.tsv"], tmp_path / "d", IngestOptions(max_rejected=1))
    assert dataset.manifest["rejected"] == {"expression is missing": 1}
