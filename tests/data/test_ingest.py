"""Raw files to data sets: files, columns, media and families, and cleaning up."""

import gzip
import hashlib

import numpy as np
import pytest
import zstandard

from crmnet.data import reading, writer
from crmnet.data.dataset import Dataset
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.opening import open_data
from crmnet.sequence import ADAPTER_3, ADAPTER_5, decode
from support import HEADER, ingest_rows, only_inputs, rejected_rows, write_lines


def test_lost_bases_are_a_warning_on_stderr(crmnet, tmp_path):
    write_lines(tmp_path / "long.tsv", f"{'ACGT' * 40}\t1", f"{'TGCA' * 10}\t2")
    status, out, err = crmnet("data", "ingest", tmp_path / "long.tsv", "-o", tmp_path / "set")
    assert status == 0 and "longer than" not in out
    assert "warning: 1 sequences are longer than 112 bases" in err


def test_rows_come_back_as_they_were(tmp_path):
    dataset = ingest_rows(
        write_lines(tmp_path / "a.tsv", "ACGT\t1.5", "ttn\t17", "G\t-3e-1"), tmp_path / "set"
    )
    assert decode(dataset.tokens) == ["ACGT", "TT", "G"]
    assert dataset.tokens.shape == (3, 112)
    assert dataset.labels.tolist() == np.float32([1.5, 17, -0.3]).tolist()
    assert dataset.medium.tolist() == [0, 0, 0]
    assert dataset.media == ["complex"]
    assert (dataset.family, dataset.weight) == (None, None)
    assert rejected_rows(dataset) == []
    assert only_inputs(tmp_path, tmp_path / "a.tsv", tmp_path / "set")


def test_adapters_are_added_and_counted(tmp_path):
    insert = "ACGT" * 20
    file = write_lines(
        tmp_path / "a.tsv", f"{insert}\t1", f"{ADAPTER_5}{insert}{ADAPTER_3}\t2", "AN\t3"
    )
    dataset = ingest_rows(file, tmp_path / "set", flanks="auto")
    assert decode(dataset.tokens) == [
        ADAPTER_5 + insert + ADAPTER_3,
        ADAPTER_5 + insert + ADAPTER_3,
        ADAPTER_5 + "AN" + ADAPTER_3,
    ]
    done = dataset.manifest["preparation"]
    assert (done["adapters_added"], done["adapters_kept"], done["with_n"]) == (2, 1, 1)
    assert dataset.manifest["lengths"] == {"2": 1, "80": 1, "110": 1}


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
        ingest_rows(tmp_path / "file", tmp_path / "set")
    assert only_inputs(tmp_path, tmp_path / "file")


def content_of(dataset):
    return decode(dataset.tokens), dataset.labels.tolist(), dataset.fingerprint


def test_compression_line_ends_quotes_and_column_order_do_not_matter(tmp_path):
    rows = ["ACGT\t1.5", "TT\t2", "G\t3"]
    plain = write_lines(tmp_path / "plain.tsv", *rows)
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
    expected = content_of(ingest_rows(plain, tmp_path / "plain"))
    assert expected[:2] == (["ACGT", "TT", "G"], [1.5, 2, 3])
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
        assert content_of(ingest_rows(tmp_path / name, tmp_path / f"{name}-set")) == expected, name


def test_columns_can_be_named(tmp_path):
    file = write_lines(tmp_path / "a.tsv", "AC\tGT\t1\t2", header="sequence\tmine\texpression\tYFP")
    columns = {"sequence": "mine", "expression": "yfp"}
    dataset = ingest_rows(file, tmp_path / "set", columns=columns)
    assert (decode(dataset.tokens), dataset.labels.tolist()) == (["GT"], [2])


def test_each_file_may_have_its_medium(tmp_path):
    files = [
        write_lines(tmp_path / f"{i}.tsv", *[f"ACGT\t{i}"] * rows)
        for i, rows in enumerate([2, 1, 1])
    ]
    dataset = ingest_rows(files, tmp_path / "set", media=("complex", "defined", "complex"))
    assert dataset.media == ["complex", "defined"]
    assert dataset.medium.tolist() == [0, 0, 1, 0]
    with pytest.raises(ValueError, match="2 media for 3 files"):
        ingest_rows(files, tmp_path / "other", media=("complex", "defined"))
    assert not (tmp_path / "other").exists()


def test_a_medium_column_takes_precedence_over_the_files_medium(tmp_path):
    header = "sequence\texpression\tmedium"
    file = write_lines(
        tmp_path / "a.tsv", "A\t1\tdream", "C\t2\t", "G\t3\tYPD", "T\t4\tdream", header=header
    )
    dataset = ingest_rows(file, tmp_path / "set", media=("defined",))
    assert dataset.media == ["dream", "defined", "YPD"]
    assert dataset.medium.tolist() == [0, 1, 2, 0]
    assert [m["rows"] for m in dataset.manifest["media"].values()] == [2, 1, 1]


def test_media_in_other_encodings_stay_apart(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b"sequence\tlabel\tmedium\nA\t1\td\xe9f\nA\t1\td\xe8f\n")
    dataset = ingest_rows(tmp_path / "a.tsv", tmp_path / "set")
    assert dataset.medium.tolist() == [0, 1]


def test_too_many_media_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "MAX_MEDIA", 2)
    file = write_lines(
        tmp_path / "a.tsv", *["A\t1\tx", "A\t1\ty", "A\t1\tz"], header=f"{HEADER}\tmedium"
    )
    with pytest.raises(ValueError, match="more than 2 media"):
        ingest_rows(file, tmp_path / "set")
    assert only_inputs(tmp_path, file)


def test_families_are_numbers_that_depend_on_their_name_alone(tmp_path):
    header = f"{HEADER}\tfamily"
    one = ingest_rows(
        write_lines(tmp_path / "a", "A\t1\tx", "C\t1\ty", "G\t1\tx", header=header), tmp_path / "1"
    )
    two = ingest_rows(
        write_lines(tmp_path / "b", "T\t1\tz", "C\t1\ty", header=header), tmp_path / "2"
    )
    x, y, again = one.family.tolist()
    assert x == again != y
    assert two.family[1] == y
    assert y == int.from_bytes(hashlib.blake2b(b"y", digest_size=8).digest(), "little")


@pytest.mark.parametrize("column", ["family", "weight"])
@pytest.mark.parametrize("first", [True, False])
def test_a_column_in_one_file_only_is_an_error(tmp_path, column, first):
    files = [
        write_lines(tmp_path / "with.tsv", "A\t1\t3", header=f"{HEADER}\t{column}"),
        write_lines(tmp_path / "without.tsv", "A\t1"),
    ]
    files = files if first else files[::-1]
    with pytest.raises(ValueError, match=rf"^{files[1].name}: column '{column}' is in some files"):
        ingest_rows(files, tmp_path / "set")
    assert only_inputs(tmp_path, *files)


def test_failure_midway_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_BYTES", 30)
    file = write_lines(tmp_path / "a.tsv", *["ACGT\t1"] * 50)

    def interrupt(rows):
        if rows > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest([file], tmp_path / "set", progress=interrupt)
    assert only_inputs(tmp_path, file)


def test_missing_second_file_leaves_nothing(tmp_path):
    file = write_lines(tmp_path / "a.tsv", "ACGT\t1")
    with pytest.raises(FileNotFoundError, match=r"b\.tsv: no such file"):
        ingest_rows([file, tmp_path / "b.tsv"], tmp_path / "set")
    assert only_inputs(tmp_path, file)


def test_an_existing_data_set_is_replaced_only_with_overwrite_and_only_by_a_complete_one(tmp_path):
    old = ingest_rows(write_lines(tmp_path / "a.tsv", "ACGT\t1"), tmp_path / "set")
    new = write_lines(tmp_path / "b.tsv", "TT\t2", "G\t3")
    with pytest.raises(FileExistsError, match="pass --overwrite"):
        ingest_rows(new, tmp_path / "set")
    with pytest.raises(ValueError, match="holds no rows"):
        ingest_rows(
            [new, write_lines(tmp_path / "c.tsv", header="")], tmp_path / "set", overwrite=True
        )
    assert Dataset.open(tmp_path / "set").fingerprint == old.fingerprint
    assert len(ingest_rows(new, tmp_path / "set", overwrite=True)) == 2
    assert decode(Dataset.open(tmp_path / "set").tokens) == ["TT", "G"]


def test_leftovers_of_a_killed_ingestion_do_not_matter(tmp_path):
    (tmp_path / ".set.partial").mkdir()
    (tmp_path / ".set.partial" / "weight.npy").write_bytes(b"old")
    dataset = ingest_rows(write_lines(tmp_path / "a.tsv", "ACGT\t1"), tmp_path / "set")
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
    file = write_lines(tmp_path / "a.tsv", "ACGT\t1", "AX\t1", "TT\t2")
    options = IngestOptions(max_rejected=1)
    dataset = ingest([file, file], tmp_path / "deep" / "er" / "set", options, progress=seen.append)
    assert dataset.name == "set"
    assert sorted(set(seen)) == seen
    assert seen[-1] == 6


def test_a_missing_family_or_medium_is_an_empty_one(tmp_path):
    """``NA``, which R and pandas write, was one large family, and a medium."""
    rows = ["AC\t1\t\t", "GT\t2\tNA\tNA", "TT\t3\tnan\tNone", "GG\t4\tf\tdefined"]
    file = write_lines(tmp_path / "a.tsv", *rows, header=f"{HEADER}\tfamily\tmedium")
    dataset = ingest_rows(file, tmp_path / "set")
    assert len(np.unique(dataset.family)) == 4
    assert dataset.media == ["complex", "defined"] and dataset.medium.tolist() == [0, 0, 0, 1]


def test_a_plus_in_a_medium_is_refused(tmp_path):
    """``--medium YPD`` answered with the medium YPD+NaCl, as if it were a pooled output."""
    file = write_lines(
        tmp_path / "a.tsv", "AC\t1\tYPD", "GT\t2\tYPD+NaCl", header=f"{HEADER}\tmedium"
    )
    with pytest.raises(ValueError, match=r"a\.tsv, line 3: medium 'YPD\+NaCl': .* 'YPD-NaCl'"):
        ingest_rows(file, tmp_path / "set")
    with pytest.raises(ValueError, match=r"^medium 'a\+b': .*'a' would mean .*, such as 'a-b'"):
        ingest_rows(write_lines(tmp_path / "b.tsv", "AC\t1"), tmp_path / "set", media=["a+b"])
    with open_data(file) as opened:  # with a pooled output it is evaluated
        assert opened.media == ["YPD", "YPD+NaCl"]


def test_a_hidden_file_has_a_name(tmp_path):
    with open_data(write_lines(tmp_path / ".rows.tsv", "AC\t1")) as opened:
        assert opened.name == "rows" and len(opened) == 1
