"""Files and data sets from which designs start or stay away."""

import numpy as np
import pytest

from crmnet.data.ingest import ingest
from crmnet.design.inputs import Reading, one_origin, read_references, read_starts
from crmnet.sequence import ADAPTER_3, ADAPTER_5, decode, inserts

INSERT = "ACGTTGCA" * 10


def texts(tokens):
    return sorted(decode(tokens))


def test_starts_of_a_file(tmp_path):
    path = tmp_path / "starts.csv"
    path.write_text(f"name,dna\none,{INSERT}\ntwo,{ADAPTER_5}{INSERT[:60]}{ADAPTER_3}\n")
    reading = Reading(columns={"id": "name", "sequence": "dna"})
    given, preparation = read_starts(path, reading)
    assert given.ids == ["one", "two"]
    assert decode(given.inserts, given.lengths) == [INSERT, INSERT[:60]]
    assert given.first.tolist() == [1, 18]
    assert (preparation.adapters_added, preparation.adapters_kept) == (1, 1)
    with pytest.raises(ValueError, match="some begin with an adapter and others with their insert"):
        one_origin(given)
    assert one_origin(None) == 1


def test_starts_without_adapters_are_taken_as_they_are(tmp_path):
    path = tmp_path / "starts.txt"
    path.write_text(f"{ADAPTER_5}{INSERT[:20]}\n")
    given, _ = read_starts(path, Reading("none"))
    assert decode(given.inserts) == [ADAPTER_5 + INSERT[:20]]
    assert given.first.tolist() == [1]


def test_starts_and_references_of_a_data_set(assay):
    expected = np.unique(inserts(np.asarray(assay.tokens))[0], axis=0)
    given, preparation = read_starts(assay.path, Reading())
    assert len(given.ids) == preparation.total
    found = read_references(assay.path, Reading())
    assert texts(found) == texts(expected)


def test_starts_of_a_data_set_have_the_numbers_of_their_rows(tmp_path):
    rows = [INSERT[1:] + "A", INSERT, INSERT[1:] + "A", "A" * 80]
    table = tmp_path / "rows.tsv"
    table.write_text("sequence\texpression\n" + "".join(f"{text}\t5\n" for text in rows))
    given, preparation = read_starts(ingest(table, tmp_path / "set").path, Reading())
    assert given.ids == ["1", "2", "4"] and preparation.total == 3
    assert decode(given.inserts) == [rows[0], rows[1], rows[3]]


def test_positions_count_on_the_inserts_of_a_data_set(tmp_path):
    table = tmp_path / "rows.tsv"
    rows = [ADAPTER_5 + INSERT + ADAPTER_3, INSERT[:60]]
    table.write_text("sequence\texpression\n" + "".join(f"{text}\t5\n" for text in rows))
    path = ingest(table, tmp_path / "set").path
    given, _ = read_starts(path, Reading())
    assert decode(given.inserts, given.lengths) == [INSERT, INSERT[:60]]
    assert given.first.tolist() == [1, 1] and one_origin(given) == 1
    whole, _ = read_starts(path, Reading("none"))
    constructs = [ADAPTER_5 + text + ADAPTER_3 for text in (INSERT, INSERT[:60])]
    assert decode(whole.inserts, whole.lengths) == constructs
    assert whole.first.tolist() == [1, 1]


def test_long_references_are_read_in_windows(tmp_path):
    path = tmp_path / "genome.fasta"
    chromosome = "".join(np.random.default_rng(0).choice(list("ACGT"), 300))
    path.write_text(f">chr\n{chromosome}\n>short\n{INSERT[:50]}\n>again\n{INSERT[:50]}\n")
    windows = [chromosome[i : i + 80] for i in range(221)]
    assert texts(read_references(path, Reading())) == sorted([*windows, INSERT[:50]])


def test_references_are_read_as_the_starts_are(tmp_path):
    path = tmp_path / "natives.csv"
    construct = ADAPTER_5 + INSERT[:60] + ADAPTER_3
    path.write_text(f"name,old,dna\none,{INSERT},{construct}\ntwo,{INSERT},R{INSERT[:50]}\n")
    columns = {"id": "name", "sequence": "dna"}
    assert texts(read_references(path, Reading(columns=columns, iupac="n"))) == sorted(
        [INSERT[:60], "N" + INSERT[:50]]
    )
    whole = read_references(path, Reading("none", columns, "n"))
    assert texts(whole) == sorted([construct, "N" + INSERT[:50]])


def test_complete_long_references_are_read_in_windows_of_the_input(tmp_path):
    path = tmp_path / "long.txt"
    path.write_text(f"{INSERT}{INSERT[:34]}\n")
    windows = [(INSERT + INSERT[:34])[i : i + 112] for i in range(3)]
    assert texts(read_references(path, Reading("none"))) == sorted(windows)


def test_a_missing_file_is_named(tmp_path):
    for read in (read_references, read_starts):
        with pytest.raises(FileNotFoundError, match=r"absent\.fa"):
            read(tmp_path / "absent.fa", Reading())
