"""``evaluate`` gives what ``crmnet evaluate`` writes, for every way to name model and data."""

import csv
import json

import pytest
import torch
from torch import nn

from crmnet import Dataset, Predictor, evaluate
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.sequence import ADAPTER_3, ADAPTER_5
from support import write_rows

pytestmark = pytest.mark.slow


class CountGC(nn.Module):
    """``defined`` is the number of G and C, ``complex`` twice that."""

    def forward(self, x_BCL):
        gc = x_BCL[:, 1:3].sum(dim=(1, 2))
        return torch.stack([gc, 2 * gc], dim=1)


def counter(*media):
    return Predictor(CountGC(), list(media), torch.device("cpu"))


ROWS = [
    ("GGGG", 4, "defined", "x"),
    ("GGGA", 7, "complex", "x"),
    ("GGAA", 5, "defined", "y"),
    ("GAAA", 1, "complex", "y"),
    ("AAAA", 0, "defined", "z"),
    ("CCCC", 8, "complex", "z"),
]


def rows_file(path, columns=4):
    names = ["sequence", "expression", "medium", "family"]
    return write_rows(path, [row[:columns] for row in ROWS], " ".join(names[:columns]))


@pytest.fixture
def data(tmp_path):
    return ingest(
        [rows_file(tmp_path / "rows.tsv")], tmp_path / "tiny", IngestOptions(flanks="none")
    )


def test_the_numbers_by_hand(data):
    sets = evaluate(counter("defined", "complex"), data)["sets"]
    # defined: 4, 5, 0 measured and 4, 2, 0 predicted; complex: 7, 1, 8 and 6, 2, 8.
    assert list(sets) == ["tiny:defined", "tiny:complex"]
    assert sets["tiny:defined"]["mse"]["value"] == pytest.approx(9 / 3)
    assert sets["tiny:complex"]["mse"]["value"] == pytest.approx(2 / 3)
    assert sets["tiny:complex"]["mae"]["value"] == pytest.approx(2 / 3)
    assert sets["tiny:complex"]["n"] == sets["tiny:complex"]["families"] == 3


def test_one_medium_is_scored_as_among_all(data):
    predictor = counter("defined", "complex")
    every, one = evaluate(predictor, data), evaluate(predictor, data, medium="complex")
    assert one == {"sets": {"tiny:complex": every["sets"]["tiny:complex"]}}
    # A model that knows this medium alone scores the same rows, here with its other output.
    single = evaluate(
        Predictor(CountGC(), ["other", "complex"], torch.device("cpu")), data, "complex"
    )
    assert single == one
    with pytest.raises(ValueError, match="measured in defined, complex; the model predicts other"):
        evaluate(counter("other", "complex"), data)


def test_a_medium_that_is_not_there_lists_those_that_are(data):
    with pytest.raises(ValueError, match="no medium 'dream'; tiny has defined and complex"):
        evaluate(counter("defined", "complex"), data, medium="dream")


def test_a_folder_and_its_path_as_text_are_the_data_set(data, tmp_path):
    predictor = counter("defined", "complex")
    expected = evaluate(predictor, data)
    assert evaluate(predictor, data.path) == evaluate(predictor, str(data.path)) == expected
    assert evaluate(predictor, Dataset.open(str(data.path))) == expected


def test_a_file_that_names_no_medium_is_of_the_medium_given(tmp_path):
    file, predictor = rows_file(tmp_path / "plain.tsv", 2), counter("defined", "complex")
    first, second = (
        evaluate(predictor, str(file), medium)["sets"]["plain"]["mae"]["value"]
        for medium in (None, "complex")
    )
    # The adapters bring 12 G and C: `defined` predicts 16, 15, 14, 13, 12, 16 where 4, 7, 5, 1, 0,
    # 8 are measured, and `complex` twice as much.
    assert first == pytest.approx((12 + 8 + 9 + 12 + 12 + 8) / 6)
    assert second == pytest.approx((28 + 23 + 23 + 25 + 24 + 24) / 6)


def test_rows_that_are_too_long_are_left_out_counted_and_named(crmnet, small_run, tmp_path, caplog):
    """They were cut at 112 bases and scored, without a word."""
    rows = [("short", "ACGTT" * 16), ("long", "GGATC" * 17), ("longer", "GGATC" * 3000)]
    padded = f"{'N' * 40}{ADAPTER_5}{'A' * 80}{ADAPTER_3}"
    rows += [("fits", "CATGA" * 16 + "AC"), ("padded", padded), ("last", "TTGCA" * 16)]
    lines = [f"{name}\t{text}\t{n}.25" for n, (name, text) in enumerate(rows)]
    (tmp_path / "t.tsv").write_text("\n".join(["id\tsequence\texpression", *lines]) + "\n")
    words = ["--resamples", 10, "--medium", "complex", "-o", tmp_path / "e"]
    status, _, error = crmnet("evaluate", small_run, tmp_path / "t.tsv", *words)
    assert status == 0, error
    assert "t: 2 rows are longer, with adapters, than the 112 bases" in caplog.text
    assert "long (line 3), longer (line 4)" in caplog.text
    with (tmp_path / "e" / "predictions.tsv").open() as file:
        written = list(csv.DictReader(file, delimiter="\t"))
    assert [row["id"] for row in written] == ["short", "fits", "padded", "last"]
    assert [float(row["measured"]) for row in written] == [0.25, 3.25, 4.25, 5.25]
    found = json.loads((tmp_path / "e" / "metrics.json").read_text())["sets"]["t"]
    assert (found["n"], found["left_out"]) == (4, 2)


def test_a_data_set_that_was_cut_when_it_was_ingested_is_said(crmnet, small_run, tmp_path, caplog):
    lines = [f"{'ACGTC' * (15 + n)}\t{n}" for n in range(4)]
    (tmp_path / "t.tsv").write_text("\n".join(["sequence\texpression", *lines]) + "\n")
    ingest([tmp_path / "t.tsv"], tmp_path / "t")
    status, _, _ = crmnet("evaluate", small_run, tmp_path / "t", "--resamples", 10)
    assert status == 0
    assert "t: data ingest cut 2 constructs at 112 bases; they are scored as" in caplog.text


def test_ids_of_fasta_and_numbers_where_there_are_none(crmnet, small_run, tmp_path):
    texts = ["ACGTT" * 16, "GGXTC" * 16, "CATGA" * 16, "TTGCA" * 16]
    fasta = "".join(f">p{n} {n}.5\n{text}\n" for n, text in enumerate(texts))
    (tmp_path / "a.fa").write_text(fasta)
    (tmp_path / "b.tsv").write_text("".join(f"{text}\t{n}.5\n" for n, text in enumerate(texts)))
    words = ["--resamples", 10, "--max-rejected", 1, "-o", tmp_path / "e"]
    status, _, error = crmnet("evaluate", small_run, tmp_path / "a.fa", tmp_path / "b.tsv", *words)
    assert status == 0, error
    with (tmp_path / "e" / "predictions.tsv").open() as file:
        written = list(csv.DictReader(file, delimiter="\t"))
    assert [row["id"] for row in written] == ["p0", "p2", "p3", "1", "3", "4"]
    assert [row["sequence"] for row in written] == [texts[n] for n in (0, 2, 3, 0, 2, 3)]


def test_predictions_of_a_table_keep_its_ids_and_all_digits(crmnet, tmp_path):
    rows = [("x", "0.5142837977116697", "0.1"), ("y", "1", "0.30000000000000004"), ("z", "2", "3")]
    lines = ["id,measured,predicted", *(",".join(row) for row in rows)]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    words = ["--resamples", 10, "-o", tmp_path / "e"]
    status, _, error = crmnet("evaluate", "--predictions", tmp_path / "t.csv", *words)
    assert status == 0, error
    with (tmp_path / "e" / "predictions.tsv").open() as file:
        written = list(csv.DictReader(file, delimiter="\t"))
    assert [(row["id"], float(row["measured"]), float(row["predicted"])) for row in written] == [
        (name, float(measured), float(predicted)) for name, measured, predicted in rows
    ]


def test_the_command_writes_the_same(crmnet, small_run, assay, tmp_path):
    status, _, err = crmnet("evaluate", small_run, assay.path, "-o", tmp_path / "e")
    assert status == 0, err
    written = json.loads((tmp_path / "e" / "metrics.json").read_text())
    assert json.loads(json.dumps(evaluate(small_run, assay))) == written
    assert json.loads(json.dumps(evaluate(str(small_run), str(assay.path)))) == written
