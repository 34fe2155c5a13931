"""Ids and sequences of files: one reader, the same ids, tokens and errors for every command."""

import subprocess
import sys

import numpy as np
import pytest

from crmnet.data.sequences import prepare_block, read_promoters, read_sequences
from crmnet.sequence import ADAPTER_3, ADAPTER_5, decode

pytestmark = pytest.mark.slow


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def collect(path, **options):
    blocks = list(read_sequences(path, **options))
    return [row for b in blocks for row in zip(b.ids, b.lines, b.sequences, strict=True)]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("AAC\n\nATC\n", [("1", 1, b"AAC"), ("2", 3, b"ATC")]),
        (">x one\nAA\nC\n>\nATC\n", [("x", 1, b"AAC"), ("2", 4, b"ATC")]),
        ("id,seq\nx,AAC\nid,seq\ny,ATC\n", [("x", 2, b"AAC"), ("y", 4, b"ATC")]),
        ("seq;n\nAAC;1\nATC;2\n", [("1", 2, b"AAC"), ("2", 3, b"ATC")]),
    ],
)
def test_ids_are_those_of_the_file_or_running_numbers(tmp_path, text, rows):
    assert collect(write(tmp_path / "in", text)) == rows


def test_running_numbers_continue_from_block_to_block(tmp_path, monkeypatch):
    monkeypatch.setattr("crmnet.data.reading.BLOCK_BYTES", 1000)
    blocks = list(read_sequences(write(tmp_path / "in", "ACGT\n" * 3000)))
    assert max(len(block.ids) for block in blocks) <= 201  # memory does not grow with the file
    assert [name for block in blocks for name in block.ids] == [str(n) for n in range(1, 3001)]


def test_expression_is_read_only_on_request(tmp_path):
    path = write(tmp_path / "in", "sequence,expression\nAAC,1.5\nATC,2\n")
    assert next(read_sequences(path)).expression is None
    assert next(read_sequences(path, expression=True)).expression == [b"1.5", b"2"]
    assert read_promoters(path).expression.tolist() == [1.5, 2]
    assert read_promoters(write(path, "AAC\n")).expression is None


def test_the_first_promoters(tmp_path):
    path = write(tmp_path / "in", "sequence,expression\nAAC,1.5\nATC,2\nC,3\n")
    some = read_promoters(path).first(2)
    assert (some.ids, some.expression.tolist(), len(some.tokens)) == (["1", "2"], [1.5, 2], 2)


def test_without_a_length_nothing_is_cut_and_rows_are_as_wide_as_the_longest(tmp_path, monkeypatch):
    monkeypatch.setattr("crmnet.data.reading.BLOCK_BYTES", 50)  # blocks of different widths
    sequences = ["ACGTT" * n for n in (1, 3, 30, 2, 40, 4)]
    path = write(tmp_path / "in", "\n".join(sequences))
    found = read_promoters(path, flanks="none", length=None)
    assert found.tokens.shape == (6, 200)
    assert decode(found.tokens) == sequences
    assert found.preparation.cut == 0
    whole = [ADAPTER_5 + text + ADAPTER_3 for text in sequences]
    assert decode(read_promoters(path, length=None).tokens) == whole
    assert read_promoters(path, cut=True).tokens.shape == (6, 112)
    with pytest.raises(ValueError, match=r"'3 .*line 3\)' has 150 bases, 180 with its adapters; "):
        read_promoters(path)


def test_a_block_is_prepared_as_requested(tmp_path):
    (block,) = read_sequences(write(tmp_path / "in", "aac\nATCG\n"))
    tokens, done = prepare_block(block, tmp_path / "in", "add", 40)
    assert decode(tokens) == [ADAPTER_5 + text + ADAPTER_3 for text in ("AAC", "ATCG")]
    assert (tokens.shape, done.adapters_added) == ((2, 40), 2)


FAULTS = [
    (b"AAC\nAXC\n", "sequence '2 ({file}, line 2)': letter 'X' at position 2 of 3; only A, C, G"),
    (b">a\nAC\n>\n\n", "sequence '2 ({file}, line 3)' is empty; replace or remove it"),
    (b"id,seq\na,AAC\nb\n", "{file}, line 3: 1 columns where 2 are expected; fix or remove the"),
    (b"id,seq\n", "{file} holds no sequences; add a line for each below the header"),
    (b"id,seq\na,AC\n\xe9,AC\n", "{file}, line 3: id '\N{REPLACEMENT CHARACTER}' is not UTF-8"),
]


@pytest.mark.parametrize("command", ["predict", "explain", "scan"])
@pytest.mark.parametrize(("content", "message"), FAULTS)
def test_every_command_reports_a_fault_in_the_same_words(
    crmnet, small_run, tmp_path, command, content, message
):
    file = write(tmp_path / "in", content)
    words = {
        "predict": ["predict", small_run, file],
        "explain": ["explain", small_run, file, "--medium", "complex", "-o", tmp_path / "out"],
        "scan": ["motifs", "scan", file],
    }[command]
    status, _, error = crmnet(*words)
    assert status == 2
    assert error.startswith(f"crmnet: error: {message.format(file=file)}")


def test_a_number_that_cannot_be_read_names_file_line_and_column(tmp_path):
    path = write(tmp_path / "in", "sequence,expression\nAAC,1.5\nATC,high\n")
    with pytest.raises(ValueError, match=r"in, line 3: expression 'high' is not a number"):
        read_promoters(path)


def test_standard_input_is_called_so():
    run = [sys.executable, "-m", "crmnet", "motifs", "scan", "-"]
    found = subprocess.run(run, input="ACGT\nACXT\n", capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert "sequence '2 (standard input, line 2)': letter 'X'" in found.stderr


def test_sites_are_found_without_models_or_figures(tmp_path):
    write(tmp_path / "s.fa", ">one\nGGGGGTTACCCGGTGGGG\n")
    unneeded = {"matplotlib", "crmnet.prediction.predictor", "crmnet.interpretation.explain"}
    code = (
        "import sys; from crmnet import cli\n"
        f"sys.argv = ['crmnet', 'motifs', 'scan', {str(tmp_path / 's.fa')!r}]\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        f"print({unneeded!r} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "\tREB1\t" in found.stdout
    assert found.stdout.splitlines()[-1] == "set()"


def test_a_scan_holds_no_more_than_the_sequences(tmp_path):
    """Rows used to be padded to 100,000 bases, and longer ones were cut without a word."""
    rng = np.random.default_rng(0)
    text = "".join(rng.choice(list("ACGT"), 100_010))
    path = write(tmp_path / "in", text + "TTACCCGGTAAA\n")
    found = read_promoters(path, flanks="none", length=None)
    assert found.tokens.shape == (1, 100_022)


@pytest.mark.parametrize(
    ("text", "ids", "said"),
    [
        ("gene,sequence\nREB1,AAC\nABF1,ATC\n", ["REB1", "ABF1"], "'gene'"),
        ("promoter,sequence\nREB1,AAC\nABF1,ATC\n", ["REB1", "ABF1"], "'promoter'"),
        ("note,Gene,sequence\nx,REB1,AAC\ny,ABF1,ATC\n", ["REB1", "ABF1"], "'Gene'"),
        ("gene,sequence\nREB1,AAC\nREB1,ATC\n", ["1", "2"], None),  # not unique
        ("n,sequence\n7,AAC\n8,ATC\n", ["1", "2"], None),  # numbers
        ("gene,id,sequence\nREB1,a,AAC\nABF1,b,ATC\n", ["a", "b"], None),
        ("sequence,medium\nAAC,x\nATC,y\n", ["1", "2"], None),
    ],
)
def test_a_unique_text_column_gives_the_ids_and_that_is_said(tmp_path, caplog, text, ids, said):
    caplog.set_level("INFO", "crmnet")
    rows = collect(write(tmp_path / "in.csv", text))
    assert [row[0] for row in rows] == ids
    assert (f"ids are those of the column {said}" in caplog.text) == (said is not None)


def test_columns_can_be_named(crmnet, small_run, tmp_path):
    path = write(tmp_path / "in.csv", "gene,dna,seq\nREB1,ACGGT,AAC\nREB1,ATCGG,GGC\n")
    columns = {"id": "seq", "sequence": "dna"}
    assert collect(path, columns=columns) == [("AAC", 2, b"ACGGT"), ("GGC", 3, b"ATCGG")]
    words = ["predict", small_run, path, "--column", "id=GENE", "--column"]
    status, out, error = crmnet(*words, "sequence=dna")
    assert status == 0, error
    assert [line.split("\t")[0] for line in out.splitlines()] == ["id", "REB1", "REB1"]
    for column, message in (
        ("sequence=rna", "no column 'rna'"),
        ("medium=dna", "--column takes id=, sequence="),
        ("dna", "takes ROLE=NAME"),
    ):
        status, _, error = crmnet(*words, column)
        assert status == 2 and message in error
    fasta = write(tmp_path / "in.fa", ">a\nACGT\n")
    status, _, error = crmnet("predict", small_run, fasta, "--column", "id=gene")
    assert status == 2 and "FASTA and has no columns" in error


def test_records_with_a_length_in_the_header_have_no_expression(tmp_path):
    path = write(tmp_path / "in.fa", ">YAL001C 500 bp upstream\nAAC\n>YAL063C reverse\nATC\n")
    assert read_promoters(path).expression is None
    assert read_promoters(write(path, ">a 5.5 x\nAAC\n>b 6\nATC\n")).expression.tolist() == [5.5, 6]


@pytest.mark.parametrize("missing", ["", "NA", "#N/A", "None", ".", "nan", "N/A", "null"])
def test_a_missing_measurement_leaves_the_measurements_out(tmp_path, caplog, missing):
    caplog.set_level("INFO", "crmnet")
    path = write(tmp_path / "in.csv", f"sequence,expression\nAAC,{missing}\nATC,3.1\n")
    assert read_promoters(path).expression is None
    assert "1 of 2 rows have no expression" in caplog.text
    assert "the column is ignored" in caplog.text


def test_labels_are_numbers_as_people_write_them(tmp_path):
    path = write(tmp_path / "in.csv", "sequence;expression\nAAC;5,3\nATC;-0,25\n")
    assert read_promoters(path).expression.tolist() == [5.3, -0.25]
    for text, message in (("1_0", "'1_0' is not a number"), ('"5,3"', "write it with a decimal")):
        write(path, f"sequence,expression\nAAC,{text}\n")
        with pytest.raises(ValueError, match=message):
            read_promoters(path)


def test_long_texts_are_named_and_not_printed(tmp_path):
    path = write(tmp_path / "in.csv", "sequence,expression\nAAC," + "x" * 3_000_000 + "\n")
    with pytest.raises(ValueError, match=r"line 2: expression 'x{60}… \(3,000,000 char") as error:
        read_promoters(path)
    assert len(str(error.value)) < 500
    write(path, "id," + "y" * 3_000_000 + ",x" * 1000 + "\nAAC\n")
    with pytest.raises(
        ValueError, match=r"'y{30}… .* and 990 more; .*--column sequence=NAME"
    ) as error:
        collect(path)
    assert len(str(error.value)) < 500
    write(path, "id,sequence\n" + "x" * 3_000_000 + ",AAC\n")
    with pytest.raises(ValueError, match="line 2: the id has 3,000,000 characters"):
        collect(path)


def test_iupac_letters_are_explained_or_read_as_n(crmnet, small_run, tmp_path):
    path = write(tmp_path / "in.fa", ">a\n" + "ACGGT" * 15 + "ACRyK\n")
    status, _, error = crmnet("predict", small_run, path)
    assert status == 2 and "letter 'R' at position 78" in error and "--iupac n" in error
    status, out, error = crmnet("predict", small_run, path, "--iupac", "n")
    assert status == 0 and "1 sequences contain N" in error
    write(path, ">a\n" + "ACGGT" * 15 + "ACNNN\n")
    assert crmnet("predict", small_run, path)[1] == out
    write(path, ">a\nACXGT\n")
    assert crmnet("predict", small_run, path, "--iupac", "n")[0] == 2


def test_a_sequence_in_place_of_a_file_is_explained(crmnet, small_run):
    for text in ("ACGTACGTACGT", "ACGT" * 300):
        status, _, error = crmnet("predict", small_run, text)
        assert status == 2 and "this is a sequence: write it into a file" in error
        assert len(error) < 300


@pytest.mark.parametrize("text", ["nan", "NA", "None"])
def test_a_missing_sequence_is_not_read_as_bases(crmnet, small_run, tmp_path, text):
    (tmp_path / "s.tsv").write_text(f"id\tsequence\na\t{'ACGT' * 20}\nb\t{text}\n")
    status, _, err = crmnet("predict", small_run, tmp_path / "s.tsv")
    assert status == 2 and f"line 3: the sequence of 'b' is missing ({text})" in err
    rows = "".join(f"{'ACGT' * 20}\t{n}\n" for n in range(40))
    (tmp_path / "r.tsv").write_text(f"sequence\texpression\n{rows}{text}\t1.5\n")
    status, _, err = crmnet(
        "data", "ingest", tmp_path / "r.tsv", "-o", tmp_path / "set", "--max-rejected", 0.1
    )
    assert status == 0
    assert "\t42\tsequence is missing\t" in (tmp_path / "set" / "rejected.tsv").read_text()
