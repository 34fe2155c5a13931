"""``evaluate`` gives what ``crmnet evaluate`` writes, for every way to name model and data."""

import json

import pytest
import torch
from torch import nn

from crmnet import Dataset, Predictor, evaluate
from crmnet.data.ingest import IngestOptions, ingest


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
    lines = ["\t".join(map(str, row[:columns])) for row in [names, *ROWS]]
    path.write_text("\n".join(lines) + "\n")
    return path


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
    with pytest.raises(ValueError, match="must be one of defined, complex; got 'dream'"):
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


def test_the_command_writes_the_same(crmnet, small_run, assay, tmp_path):
    status, _, err = crmnet("evaluate", small_run, assay.path, "-o", tmp_path / "e")
    assert status == 0, err
    written = json.loads((tmp_path / "e" / "metrics.json").read_text())
    assert json.loads(json.dumps(evaluate(small_run, assay))) == written
    assert json.loads(json.dumps(evaluate(str(small_run), str(assay.path)))) == written
