"""The fast parser gives the rows of the line reader, and leaves all other lines to it."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crmnet.data import ingest as ingest_module
from crmnet.data import reading
from crmnet.data.dataset import Dataset
from crmnet.data.fast_parser import (
    MAX_PARSED,
    PREPARED,
    TO_PREPARE,
    UNPARSED,
    can_parse,
    parse_rows,
)
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.reading import Layout
from crmnet.data.rejections import TooManyRejected
from crmnet.sequence import ADAPTER_3, ADAPTER_5, INVALID, decode, letters_to_tokens

TWO = Layout("table", b"\t", None, {"sequence": 0, "expression": 1})


def parsed(*lines):
    return parse_rows("".join(f"{line}\n" for line in lines).encode(), 1, TWO)


def test_ordinary_lines_by_hand():
    insert = "ACGTN" * 16
    rows = parsed(f"{ADAPTER_5}{insert}{ADAPTER_3}\t1.5", "acgt\t-3", "TN\t+17")
    assert decode(rows.tokens, rows.lengths) == [ADAPTER_5 + insert + ADAPTER_3, "ACGT", "TN"]
    assert rows.labels.tolist() == [1.5, -3, 17]
    assert rows.state.tolist() == [PREPARED, TO_PREPARE, TO_PREPARE]
    assert rows.with_n.tolist() == [True, False, True]
    assert rows.unparsed == []


@pytest.mark.parametrize(
    "line",
    ["", "ACGT", "ACGT\t1\t2", "ACXT\t1", "\t1", " ACGT\t1", 'ACGT\t"1"', "ACGT\t1e3", "ACGT\t",
     "ACGT\tnan", "ACGT\t1.2.3", "ACGT\t-", "ACGT\t1 ", "A" * 113 + "\t1", "ACGT\t1\r", "AC\rGT\t1",
     "ACGT\t.", "ACGT\t1234567890123456789"],
)  # fmt: skip
def test_other_lines_are_left_unparsed_with_their_numbers(line):
    rows = parsed("ACGT\t1", line, "TT\t2")
    assert rows.unparsed == [(2, line.encode())]
    assert (rows.state == UNPARSED).tolist() == [False, True, False]


def test_long_constructs_are_cut_only_if_requested():
    insert = "ACGTG" * 17
    line = f"{ADAPTER_5}{insert}{ADAPTER_3}\t1"
    rows = parse_rows(f"{line}\n{'A' * 115}\t1\n".encode(), 1, TWO, cut_long=True)
    assert rows.state.tolist() == [PREPARED, UNPARSED]
    assert decode(rows.tokens[:1]) == [(ADAPTER_5 + insert + ADAPTER_3)[:112]]
    assert rows.lengths[0] == 115
    assert [number for number, _ in rows.unparsed] == [2]
    assert len(parsed(line).unparsed) == 1


@given(st.floats(0, 20) | st.integers(0, 10**18) | st.floats(-1e6, 1e6), st.integers(0, 17))
@example(1.00000005960464477, 17)  # half way between two numbers of 32 bits
@settings(max_examples=400, deadline=None, derandomize=True)
def test_labels_are_the_nearest_float32_or_left_unparsed(value, digits):
    text = repr(value) if digits == 0 else f"{value:.{digits}f}"
    rows = parsed(f"A\t{text}")
    if not rows.unparsed:
        expected = np.float32(float(text))
        assert rows.labels[0] == expected
        assert math.copysign(1, rows.labels[0]) == math.copysign(1, expected)


def test_almost_all_labels_with_published_precision_are_parsed():
    values = np.random.default_rng(0).uniform(0, 17, 5000)
    for digits in (6, 15, 17):
        assert len(parsed(*(f"A\t{value:.{digits}g}" for value in values)).unparsed) < 3


def test_other_columns_and_other_orders():
    layout = Layout("table", b",", (b"a",) * 4, {"sequence": 2, "expression": 1})
    rows = parse_rows(b'x,1,ACGT,y\n,2,TT,\n"q",3,G,\nx,4,C\n', 8, layout)
    assert decode(rows.tokens[:2], rows.lengths[:2]) == ["ACGT", "TT"]
    assert rows.labels[:2].tolist() == [1, 2]
    assert rows.unparsed == [(10, b'"q",3,G,'), (11, b"x,4,C")]


def test_one_column_with_both_roles_is_left_unparsed():
    layout = Layout("table", b"\t", (b"a", b"b"), {"sequence": 0, "expression": 0})
    assert len(parse_rows(b"ACGT\t1\n1\t1\n", 1, layout).unparsed) == 2


def test_headers_that_look_like_rows_are_not_supported():
    odd = Layout("table", b"\t", (b"ACGT", b"1"), {"sequence": 0, "expression": 1})
    assert can_parse(TWO)
    assert not can_parse(odd)
    with_family = {"sequence": 0, "expression": 1, "family": 2}
    assert not can_parse(Layout("table", b"\t", None, with_family))


sequences = st.one_of(
    st.text("ACGTN", min_size=0, max_size=130),
    st.text("ACGT", min_size=60, max_size=84).map(lambda s: ADAPTER_5 + s + ADAPTER_3),
    st.text("ACGT", min_size=60, max_size=84).map(lambda s: "NN" + ADAPTER_5 + s + ADAPTER_3 + "N"),
    st.text("ACGT", min_size=60, max_size=80).map(lambda s: ADAPTER_5 + s),
    st.text("ACGTn", min_size=82, max_size=130).map(lambda s: ADAPTER_5 + s + ADAPTER_3),
    st.sampled_from(["ACGU", "AC-T", "acgtn", ' "', "sequence", " ACGT ", '"ACGT"']),
)
labels = st.one_of(
    st.floats(-20, 20).map(repr), st.integers(0, 17).map(str), st.floats(0, 17, width=32).map(str),
    st.sampled_from(["", "nan", "inf", "x", "1e2", " 3 ", '"4"', "1.5\t2", "expression", "1\r"]),
)  # fmt: skip


@given(
    rows=st.lists(st.tuples(sequences, labels), max_size=25),
    header=st.booleans(),
    flanks=st.sampled_from(["auto", "add", "none"]),
    jobs=st.sampled_from([1, 3]),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_both_parsers_make_the_same_data_set(tmp_path_factory, rows, header, flanks, jobs):
    folder = tmp_path_factory.mktemp("both")
    lines = ["sequence\texpression"] * header + ["ACGT\t1", *("\t".join(row) for row in rows)]
    (folder / "rows.tsv").write_bytes("\n".join(lines).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "BLOCK_BYTES", 400)
        assert_both_parsers_agree(folder, IngestOptions(flanks=flanks, max_rejected=1, jobs=jobs))


def assert_both_parsers_agree(folder, options):
    """Ingest ``rows.tsv`` with and without the fast parser and compare all files."""
    made = {"fast": ingest([folder / "rows.tsv"], folder / "fast", options)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest_module, "can_parse", lambda _: False)
        made["slow"] = ingest([folder / "rows.tsv"], folder / "slow", options)
    assert made["fast"].manifest == made["slow"].manifest
    for name in ("tokens.npy", "labels.npy", "rejected.tsv"):
        fast, slow = ((folder / parser / name).read_bytes() for parser in ("fast", "slow"))
        assert fast == slow, name


def test_every_byte_is_the_letter_that_it_is_for_the_line_reader():
    for byte in set(range(256)) - {ord("\n"), ord("\t")}:
        rows = parse_rows(b"AC%cGT\t1\n" % byte, 1, TWO)
        expected = letters_to_tokens([b"AC%cGT" % byte])[0][0]
        if (expected == INVALID).any():
            assert rows.unparsed, byte
        else:
            assert rows.tokens[0, :5].tolist() == expected.tolist(), byte


def changed(text, *places, to=None):
    """The text with another base, or ``to``, at each place."""
    letters = list(text)
    for place in places:
        letters[place] = to or {"A": "C", "C": "A", "G": "T", "T": "G"}[letters[place]]
    return "".join(letters)


def boundary_sequences():
    """Sequences on both sides of every limit of adapters, N and lengths."""
    five, three, insert = ADAPTER_5, ADAPTER_3, "ACGTTGCA" * 10
    changes = [(), (0,), (-1,), (0, -1), (5, 6), (0, 5, -1), (1, 2, 3), (0, 1, 2, 3)]
    fives = [changed(five, *places) for places in changes]
    threes = [changed(three, *places) for places in changes]
    fives += [changed(five, *places, to="N") for places in changes]
    threes += [changed(three, *places, to="N") for places in changes]
    fives += ["", five[1:], five[:-1], f"N{five}", f"NN{five}", five.lower()]
    threes += ["", three[1:], three[:-1], f"{three}N", f"{three}NN", three.lower()]
    yield from (start + insert + end for start, end in itertools.product(fives, threes))
    for length in (0, 1, 2, 50, 81, 82, 83, 84, 110, 111, 112, 113, 120):
        middle = (insert * 2)[:length]
        yield from (five + middle + three, five + middle, middle + three, middle or "A")
        yield from (f"{five}{middle}N{three}", f"{five}N{middle}{three}", "N" * (length + 1))
    for length in (-2, -1, 0, 1):  # bases beyond the longest construct that is parsed
        yield five + "A" * (MAX_PARSED - len(five + three) + length) + three
    yield from (five[:10] + three, five[:16] + three, five + three[:-1], three + five)


@pytest.mark.parametrize("flanks", ["auto", "add", "none"])
def test_both_parsers_agree_at_every_limit(tmp_path, flanks):
    rows = [f"{text}\t{number % 18}" for number, text in enumerate(boundary_sequences())]
    (tmp_path / "rows.tsv").write_text("\n".join(rows))
    parsed_rows = parse_rows("\n".join([*rows, ""]).encode(), 1, TWO, cut_long=True)
    assert all((parsed_rows.state == state).sum() > 20 for state in (PREPARED, TO_PREPARE))
    assert len(parsed_rows.unparsed) < len(rows) / 4
    assert_both_parsers_agree(tmp_path, IngestOptions(flanks=flanks, max_rejected=1))


def test_a_file_of_mostly_quoted_lines_is_read(tmp_path):
    (tmp_path / "rows.tsv").write_text("".join(f'"ACGT"\t{i}\n' for i in range(9)) + "A\t1\n")
    assert len(ingest([tmp_path / "rows.tsv"], tmp_path / "set")) == 10


def test_threads_stop_at_too_many_bad_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_BYTES", 1 << 14)
    (tmp_path / "rows.tsv").write_text("AX\t1\nACGT\t1\n" * 60_000)
    with pytest.raises(TooManyRejected):
        ingest([tmp_path / "rows.tsv"], tmp_path / "set", IngestOptions(jobs=2))
    assert [path.name for path in tmp_path.iterdir()] == ["rows.tsv"]


FASTA = ">a 3.5 of a strain\nACGT\nAC\n>b expression=4 family=f\nTT\n>c 5\nG\n>d\nC\n"


def test_fasta_headers_hold_labels(tmp_path):
    (tmp_path / "rows.fa").write_text(FASTA)
    made = ingest(
        [tmp_path / "rows.fa"], tmp_path / "set", IngestOptions(flanks="none", max_rejected=1)
    )
    assert decode(made.tokens) == ["ACGTAC", "TT", "G"]
    assert made.labels.tolist() == [3.5, 4, 5]
    assert made.manifest["rejected"] == {"expression is missing": 1}
    (tmp_path / "named.fa").write_text(">a label=1 family=x\nACGT\n>b family=y label=2\nTT\n")
    named = ingest([tmp_path / "named.fa"], tmp_path / "named", IngestOptions(flanks="none"))
    assert named.labels.tolist() == [1, 2]
    assert len(np.unique(named.family)) == 2


def test_any_of_the_first_fasta_headers_decides_which_labels_there_are(tmp_path):
    (tmp_path / "rows.fa").write_text(
        ">a 1 cells=3\nAC\n>b 2 family=f cells=4\nGT\n>c 3 medium=defined family=f cells=5\nTT\n"
        ">d 4\nGG\n>e cells=2\nCC\n"
    )
    options = IngestOptions(flanks="none", max_rejected=1)
    made = ingest([tmp_path / "rows.fa"], tmp_path / "set", options)
    assert made.labels.tolist() == [1, 2, 3] and made.weight.tolist() == [3, 4, 5]
    assert [made.media[number] for number in made.medium] == ["complex", "complex", "defined"]
    assert made.family[0] != made.family[1] == made.family[2]
    assert made.manifest["rejected"] == {
        "weight is not a positive number": 1, "expression is missing": 1
    }  # fmt: skip
    (tmp_path / "late.fa").write_text(">a\nAC\n>b 2\nGT\n")
    late = ingest([tmp_path / "late.fa"], tmp_path / "late", options)
    assert late.labels.tolist() == [2]


def test_a_fasta_label_that_comes_too_late_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_BYTES", 20)
    (tmp_path / "rows.fa").write_text(f">a 1\n{'AC' * 20}\n>b 2 family=f\nGT\n")
    with pytest.raises(ValueError, match=r"rows\.fa, line 3: 'b' has family 'f', .* to the top"):
        ingest([tmp_path / "rows.fa"], tmp_path / "set", IngestOptions(flanks="none"))


def test_column_is_refused_for_fasta(tmp_path):
    (tmp_path / "rows.fa").write_text(">a 1 score=5\nAC\n")
    with pytest.raises(ValueError, match=r"FASTA and has no columns; .* >name expression=5\.3"):
        ingest(
            [tmp_path / "rows.fa"], tmp_path / "set", IngestOptions(columns={"expression": "score"})
        )


def test_the_block_size_does_not_change_the_data_set(tmp_path, monkeypatch):
    lines = [f"{'ACGT' * (i % 30 + 1)}\t{i}.25" for i in range(60)]
    (tmp_path / "rows.tsv").write_text("\n".join(lines))
    fingerprints = set()
    for size, jobs in itertools.product((1, 100, 1 << 20), (1, 2)):
        monkeypatch.setattr(reading, "BLOCK_BYTES", size)
        options = IngestOptions(overwrite=True, jobs=jobs)
        fingerprints.add(ingest([tmp_path / "rows.tsv"], tmp_path / "set", options).fingerprint)
    assert len(fingerprints) == 1
    assert len(Dataset.open(tmp_path / "set")) == 60
