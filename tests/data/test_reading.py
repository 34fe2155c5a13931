"""Files of every supported format, and damaged ones, are read block by block."""

import bz2
import gzip
import io
import lzma
import os
import tracemalloc
import zipfile

import pytest
import zstandard

from crmnet.data import lines as lines_module
from crmnet.data import reading
from crmnet.data.reading import STDIN, open_bytes, read_blocks

ROLES = ("id", "sequence", "expression")


def collect(path, roles=ROLES, names=None):
    """Line numbers, columns and skipped lines of the complete file."""
    lines, columns, skipped = [], {}, []
    for block in read_blocks(path, roles, names):
        lines += block.lines
        skipped += block.skipped
        for role, values in block.columns.items():
            columns.setdefault(role, []).extend(value.decode() for value in values)
    return lines, columns, skipped


def read(folder, content, **options):
    path = folder / "file"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return collect(path, **options)


def zstd(content):
    return zstandard.ZstdCompressor().compress(content)


def noisy_rows(n):
    """Rows that compress badly, so that cuts and flipped bits hit their data."""
    letters = "ACGT"
    rows = ("".join(letters[(i * i * 7919 >> j) % 4] for j in range(24)) for i in range(n))
    return "".join(f"{row}\t{i}\n" for i, row in enumerate(rows)).encode()


def test_plain_lines(tmp_path):
    assert read(tmp_path, "ACGT\n  TT \nG") == ([1, 2, 3], {"sequence": ["ACGT", "TT", "G"]}, [])


def test_fasta_joins_lines_and_numbers_the_headers(tmp_path):
    text = ">one of many\nAC\nGT\n\n; a remark\n>two\n>\nTT\n"
    lines, columns, skipped = read(tmp_path, text)
    assert lines == [1, 6, 7]
    assert columns == {"id": ["one", "two", "3"], "sequence": ["ACGT", "", "TT"]}
    assert skipped == []


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_tables_are_read_by_column_name_in_any_order(tmp_path, delimiter):
    rows = [["Expression", "other", "SEQ", "name"], ["1.5", "x", "ACGT", "a"], ["2", "y", "TT", ""]]
    text = "\n".join(delimiter.join(row) for row in rows) + "\n"
    lines, columns, _ = read(tmp_path, text)
    assert lines == [2, 3]
    assert columns == {"id": ["a", ""], "sequence": ["ACGT", "TT"], "expression": ["1.5", "2"]}


def test_two_columns_without_header_are_sequence_and_expression(tmp_path):
    lines, columns, _ = read(tmp_path, "ACGT\t1\nTT\t2\n")
    assert lines == [1, 2]
    assert columns == {"sequence": ["ACGT", "TT"], "expression": ["1", "2"]}


def test_a_header_may_begin_with_a_hash(tmp_path):
    lines, columns, _ = read(tmp_path, "#n\tsequence\n1\tACGT\n")
    assert (lines, columns) == ([2], {"sequence": ["ACGT"]})


def test_three_columns_without_header_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"file, line 1: 3 columns and no header"):
        read(tmp_path, "ACGT\t1\tx\n")


@pytest.mark.parametrize("delimiter", ["\t", ",", ";", " "])
def test_row_names_that_r_writes_without_a_header_are_ids(tmp_path, delimiter):
    """Every row was rejected: 3 columns where 2 are expected."""
    table = '"sequence" "expression"\n"p1" "ACGT" 1.5\n"p2" "GGTT" NA\n'.replace(" ", delimiter)
    (tmp_path / "t").write_text(table)
    (block,) = read_blocks(tmp_path / "t", ("id", "sequence", "expression"))
    assert block.columns == {
        "id": [b"p1", b"p2"], "sequence": [b"ACGT", b"GGTT"], "expression": [b"1.5", b"NA"],
    }  # fmt: skip
    named = '"id" "sequence"\n"1" "p1" "ACGT"\n'.replace(" ", delimiter)
    (tmp_path / "named").write_text(named)
    (block,) = read_blocks(tmp_path / "named", ("id", "sequence"))
    assert block.columns == {"id": [b"p1"], "sequence": [b"ACGT"]}
    numbers = '"sequence" "expression"\n"1" "ACGT" 1.5\n'.replace(" ", delimiter)
    (tmp_path / "numbers").write_text(numbers)
    (block,) = read_blocks(tmp_path / "numbers", ("id", "sequence", "expression"))
    assert block.columns == {"sequence": [b"ACGT"], "expression": [b"1.5"]}


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("gene sequence expression\nYAL1 ACGTA 5.3\n",
         {"id": [b"YAL1"], "sequence": [b"ACGTA"], "expression": [b"5.3"]}),
        ('"gene" "x y" "sequence"\n"a b" 1 "ACGTA"\n', {"id": [b"a b"], "sequence": [b"ACGTA"]}),
        ("ACGTA 5.3\nTTGCA NA\n",
         {"sequence": [b"ACGTA", b"TTGCA"], "expression": [b"5.3", b"NA"]}),
    ],
)  # fmt: skip
def test_tables_that_r_writes_with_spaces_are_read(tmp_path, text, columns):
    """Each line was taken for a sequence, header included."""
    (tmp_path / "t").write_text(text)
    (block,) = read_blocks(tmp_path / "t", ("id", "sequence", "expression"))
    assert block.columns == columns and not block.skipped


def test_tables_with_spaces_that_cannot_be_read_are_called_so(tmp_path):
    with pytest.raises(ValueError, match=r"file, line 1: columns are separated by several spaces;"):
        read(tmp_path, "   sequence expression\n1    ACGTA       5.30\n")
    with pytest.raises(ValueError, match="2 columns and no header with a known column name"):
        read(tmp_path, '"x" "y"\n"ACGTA" 5.3\n')
    (tmp_path / "named").write_text('"x" "y"\n"1" "ACGTA" 5.3\n')
    (block,) = read_blocks(tmp_path / "named", ("sequence",), {"sequence": "x"})
    assert block.columns == {"sequence": [b"ACGTA"]}
    _, columns, _ = read(tmp_path, "ACGT ACGT\n")  # letters with a space are a line, as before
    assert columns == {"sequence": ["ACGT ACGT"]}


def test_lines_that_end_in_a_delimiter_have_no_row_names(tmp_path):
    (tmp_path / "t").write_text("sequence\texpression\nACGT\t1\t\nGGTT\t2\t\n")
    (block,) = read_blocks(tmp_path / "t", ("sequence", "expression"))
    assert [reason for _, reason, _ in block.skipped] == ["3 columns where 2 are expected"] * 2


def test_quoted_csv(tmp_path):
    text = 'id,sequence,expression\n"a, b ""c""","ACGT",1\nd,TT,"2"\n'
    _, columns, _ = read(tmp_path, text)
    assert columns["id"] == ['a, b "c"', "d"]
    assert columns["sequence"] == ["ACGT", "TT"]
    assert columns["expression"] == ["1", "2"]


@pytest.mark.parametrize("damaged", ['"ACGT",1\rx', '"' + "A" * 140_000 + '",1'])
def test_quotes_that_cannot_be_read_do_not_stop_the_file(tmp_path, damaged):
    lines, columns, _ = read(tmp_path, f"sequence,expression\n{damaged}\nTT,2\n")
    assert lines == [2, 3]
    assert columns["sequence"][0].startswith('"')
    assert columns["sequence"][1] == "TT"


def test_given_column_names_take_precedence(tmp_path):
    text = "sequence\tmine\texpression\nAC\tGT\t1\n"
    _, columns, _ = read(tmp_path, text, names={"sequence": "Mine"})
    assert columns == {"sequence": ["GT"], "expression": ["1"]}


def test_only_requested_roles_are_read(tmp_path):
    assert set(read(tmp_path, "sequence\texpression\nAC\t1\n", roles=("sequence",))[1]) == {
        "sequence"
    }


@pytest.mark.parametrize(
    ("text", "names", "message"),
    [
        (
            "id\texpression\na\t1\n",
            {},
            "no column 'sequence' or .*; the columns are 'id', 'expression'; "
            "name it with --column sequence=NAME",
        ),
        (
            "sequence\tx\nAC\t1\n",
            {"expression": "Y"},
            "no column 'Y'; the columns are 'sequence', 'x'; give one of these names",
        ),
        ("sequence\tsequence\nAC\tAC\n", {}, "column 'sequence' occurs twice"),
    ],
)
def test_header_errors_name_the_file_and_the_columns(tmp_path, text, names, message):
    with pytest.raises(ValueError, match=rf"file, line 1: {message}"):
        read(tmp_path, text, names=names)


def test_the_name_of_a_public_set_is_recognised_where_a_path_is_needed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"public data set.*`crmnet data fetch random-com"):
        open_bytes("random-complex")
    with pytest.raises(FileNotFoundError, match=r"random-komplex: no such file$"):
        open_bytes("random-komplex")


def test_skipped_lines_have_a_reason_and_a_number(tmp_path):
    text = "\nsequence\texpression\nAC\t1\n\nAC\nAC\t1\t2\nsequence\texpression\nGT\t2"
    lines, columns, skipped = read(tmp_path, text)
    assert lines == [3, 8]
    assert columns["sequence"] == ["AC", "GT"]
    assert skipped == [
        (4, "blank line", b""),
        (5, "1 columns where 2 are expected", b"AC"),
        (6, "3 columns where 2 are expected", b"AC\t1\t2"),
        (7, "repeated header", b"sequence\texpression"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "sequence\texpression\nACGT\t1\n\nTT\t2\nG\n",
        "ACGT,1\nTT,2\n",
        ">a\nACGT\nAC\n>b\nTT\n",
        "ACGT\nTT",
    ],
)
def test_line_ends_byte_order_mark_compression_and_last_line_do_not_matter(tmp_path, text):
    plain = text.encode()
    expected = read(tmp_path, plain)
    assert read(tmp_path, plain.rstrip(b"\n")) == expected
    assert read(tmp_path, plain.replace(b"\n", b"\r\n")) == expected
    assert read(tmp_path, plain.replace(b"\n", b"\r\n").rstrip(b"\n")) == expected
    assert read(tmp_path, plain.replace(b"\n", b"\r")) == expected
    assert read(tmp_path, b"\xef\xbb\xbf" + plain) == expected
    for compress in (gzip.compress, zstd):
        assert read(tmp_path, compress(plain)) == expected
        assert read(tmp_path, compress(plain[:7]) + compress(plain[7:])) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"@read\nACGT\n+\nIIII\n", "file, line 1: this looks like FASTQ, which is not supported"),
        (b"\n# my library\nACGT\n", "file, line 2: this looks like a comment"),
        (
            b"p1\tACGTT\n",
            r"file, line 1: .* the first column must be the sequence; add .*id\tsequence",
        ),
        (
            bz2.compress(b"ACGT\n"),
            "file is compressed with bzip2; decompress it first, or use gzip or zstd",
        ),
        (lzma.compress(b"ACGT\n"), "file is compressed with xz"),
        (b"PK\x03\x04rest", "file is compressed with zip"),
    ],
)
def test_unsupported_formats_are_named(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, content)


@pytest.mark.parametrize("size", [3, 7, 16, 1000])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "text",
    ["sequence\texpression\nACGT\t1\n\nTT\t2\nG\nC\t3", ">a\nACGT\nAC\n>b\n\nTT\n", "ACGT\nTT\nG"],
)
def test_block_size_does_not_matter(tmp_path, monkeypatch, size, end, text):
    content = text.replace("\n", end)
    whole = read(tmp_path, content)
    monkeypatch.setattr(reading, "BLOCK_BYTES", size)
    assert read(tmp_path, content) == whole
    assert read(tmp_path, zstd(content.encode())) == whole


def test_file_is_read_a_block_at_a_time(monkeypatch, tmp_path):
    stream = io.BytesIO(b"ACGT\n" * 1000)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 50)
    monkeypatch.setattr(reading, "open_bytes", lambda path: stream)
    blocks = read_blocks(tmp_path / "any", ROLES)
    for number, block in enumerate(blocks, 1):
        assert len(block) == 10
        assert stream.tell() <= 50 * number
    assert number == 100
    assert stream.closed


@pytest.mark.parametrize(
    "content", [b"", b"\n\n  \n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0), zstd(b"")]
)
def test_files_without_rows_are_errors(tmp_path, content):
    with pytest.raises(ValueError, match="file holds no rows"):
        read(tmp_path, content)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_errors(tmp_path, encoding):
    with pytest.raises(ValueError, match=r"file is not plain text.*save it as UTF-8"):
        read(tmp_path, "sequence\texpression\nACGT\t1\n".encode(encoding))


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
@pytest.mark.parametrize("kept", [0.01, 0.1, 0.5, 0.9, 0.999])
def test_truncated_compressed_files_are_errors(tmp_path, compress, kept):
    content = compress(noisy_rows(500))
    with pytest.raises(ValueError, match="file is damaged or truncated"):
        read(tmp_path, content[: max(4, int(kept * len(content)))])


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
def test_a_truncated_second_member_is_an_error(tmp_path, compress):
    with pytest.raises(ValueError, match="file is damaged or truncated"):
        read(tmp_path, compress(b"ACGT\t1\n") + compress(noisy_rows(500))[:-3])


def test_compressed_files_with_wrong_bytes_are_errors(tmp_path):
    for compress, place in ((gzip.compress, -6), (zstd, 6)):
        content = bytearray(compress(noisy_rows(500)))
        content[place] ^= 0xFF
        with pytest.raises(ValueError, match="file is damaged or truncated"):
            read(tmp_path, bytes(content))


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstd])
def test_files_are_closed_even_when_reading_stops_early(tmp_path, compress):
    path = tmp_path / "file"
    path.write_bytes(compress(b"ACGT\n"))
    with reading.open_bytes(path) as stream:
        opened = os.listdir("/dev/fd")
        assert stream.read(2) == b"AC"
    assert len(os.listdir("/dev/fd")) == len(opened) - 1


def test_missing_files_and_folders_have_different_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        collect(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="is a folder"):
        collect(tmp_path)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstd])
def test_dash_is_standard_input(tmp_path, compress):
    (tmp_path / "file").write_bytes(compress(b"ACGT\nTT\n"))
    kept, given = os.dup(0), os.open(tmp_path / "file", os.O_RDONLY)
    try:
        os.dup2(given, 0)
        assert collect(STDIN)[1] == {"sequence": ["ACGT", "TT"]}
        os.fstat(0)  # still open
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(given)


@pytest.mark.parametrize(
    "text",
    [
        ";comment by me\n;and more\n>a\nACGTA\n;inside\n>b\nTTGCA\n",
        "\n;comment\n\n>a\nACGTA\n>b\nTTGCA\n",
        ">a\rACGTA\r>b\rTTGCA\n",  # classic Mac OS, with one newline at the end
        ">a\rACGTA\r>b\rTTGCA",
        "sep=;\nid;sequence\na;ACGTA\nb;TTGCA\n",
        'SEP=,\r\nid,sequence\r\na,ACGTA\r\nb,"TTGCA"\r\n',
    ],
)
@pytest.mark.parametrize("size", [60, 1 << 21])
def test_comments_separator_lines_and_old_line_ends(tmp_path, monkeypatch, text, size):
    monkeypatch.setattr(
        reading, "BLOCK_BYTES", max(size, len(text) if "sep" in text.lower() else 0)
    )
    _, columns, skipped = read(tmp_path, text)
    assert (columns["id"], columns["sequence"]) == (["a", "b"], ["ACGTA", "TTGCA"])
    assert {reason for _, reason, *_ in skipped} <= {"blank line"}


def test_a_separator_line_keeps_the_line_numbers(tmp_path):
    lines, columns, _ = read(tmp_path, "sep=;\nsequence;expression\nACGTA;5,3\nTTGCA;6\n")
    assert lines == [3, 4]
    assert columns["expression"] == ["5.3", "6"]


def test_decimal_commas_without_a_header(tmp_path):
    _, columns, _ = read(tmp_path, "ACGTA;6,0\nTTGCA;7\n")
    assert columns == {"sequence": ["ACGTA", "TTGCA"], "expression": ["6.0", "7"]}


@pytest.mark.parametrize("text", ["A" * 3000 + "\n", "ACGT\n" + "A" * 3000, "A\rA\r" + "A" * 3000])
def test_a_line_that_would_fill_the_memory_is_named(tmp_path, monkeypatch, text):
    monkeypatch.setattr(reading, "MAX_LINE", 1000)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 100)
    with pytest.raises(ValueError, match=r"file, line \d: the line is longer than"):
        read(tmp_path, text)


def test_a_record_that_would_fill_the_memory_is_named(tmp_path, monkeypatch):
    """Lines had a limit, but a record of many lines had none."""
    monkeypatch.setattr(lines_module, "MAX_RECORD", 1000)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 100)
    whole = ">short\nACGT\n>chrX\n" + f"{'A' * 50}\n" * 20
    _, columns, _ = read(tmp_path, whole)
    assert [len(text) for text in columns["sequence"]] == [4, 1000]
    with pytest.raises(
        ValueError, match=r"file, line 3: the sequence of 'chrX' is longer than 1,000 bases; split"
    ):
        read(tmp_path, whole + "A\n")


def test_a_wrapped_record_takes_memory_of_its_own_size(tmp_path):
    """Each line was kept as an object, which takes 40 bytes for one base."""
    reader = lines_module.FastaReader(lines_module.Layout("fasta"))
    chunk = b"A\n" * 100_000
    reader.read(b">x\n", 1)
    tracemalloc.start()
    for n in range(20):
        reader.read(chunk, 2 + n)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(reader.finish().columns["sequence"][0]) == 2_000_000
    assert most < 30_000_000


def test_a_workbook_is_called_so(tmp_path):
    with zipfile.ZipFile(tmp_path / "in.xlsx", "w") as book:
        book.writestr("[Content_Types].xml", "<x/>")
    for name in ("in.xlsx", "in.csv"):
        (tmp_path / name).write_bytes((tmp_path / "in.xlsx").read_bytes())
        with pytest.raises(ValueError, match="is an Excel workbook; save the sheet as CSV"):
            list(read_blocks(tmp_path / name, ROLES))
    (tmp_path / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(20))
    with pytest.raises(ValueError, match="is an Excel workbook"):
        list(read_blocks(tmp_path / "old.xls", ROLES))
