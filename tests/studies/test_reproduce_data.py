"""A public file that is found only later: training rows are cleaned again, and runs begin anew."""

from dataclasses import replace

import numpy as np
import pytest

from crmnet.data.dataset import Dataset
from crmnet.data.subset import copy_rows
from crmnet.runs.folder import WEIGHTS
from crmnet.sequence import decode
from crmnet.studies.reproduce.place import Place
from crmnet.studies.reproduce.profiles import PUBLIC
from crmnet.studies.reproduce.runner import reproduce
from crmnet.studies.reproduce.training_steps import unless_data_changed
from crmnet.training.train import train
from support import settings, write_rows

SHARED_ROWS = 3
FILES = {"complex": "complex_rows.tsv", "defined": "defined_rows.tsv"}
STUDY = replace(
    PUBLIC,
    training={medium: ((name,),) for medium, name in FILES.items()},
    tests={"random-complex": ("complex_random.tsv",), "native-complex": ("complex_native.tsv",)},
)
"""A study that reads its files from a folder."""


def inserts(seed, n):
    letters = np.random.default_rng(seed).choice(list("ACGT"), size=(n, 80))
    return ["".join(row) for row in letters]


@pytest.fixture
def found(tmp_path):
    """A folder with training rows of both media, and one of two test sets."""
    folder = tmp_path / "found"
    folder.mkdir()
    for seed, name in enumerate([*FILES.values(), "complex_random.tsv"]):
        write(folder / name, inserts(seed, 20))
    return folder


def write(path, sequences):
    write_rows(path, [(s, n % 17 + 0.5) for n, s in enumerate(sequences)], "sequence expression")


def data_of(folder, name):
    return Dataset.open(folder / "data" / name)


def study(tmp_path, found):
    return reproduce(tmp_path / "study", STUDY, source=found, only=["data"], device="cpu")


def test_a_test_set_that_is_found_later_leaves_no_row_in_training(tmp_path, found):
    first = study(tmp_path, found)
    assert first.ran == ["data"]
    assert list(first.stamps["data"].result.missing) == ["Test set native-complex"]
    assert len(data_of(tmp_path / "study", "train-complex")) == 20
    write(found / "complex_native.tsv", [*inserts(0, 20)[:SHARED_ROWS], *inserts(9, 5)])

    second = study(tmp_path, found)
    assert second.ran == ["data"]
    assert not second.stamps["data"].result.missing
    folder = tmp_path / "study"
    left = decode(data_of(folder, "train-complex").tokens)
    assert len(left) == 20 - SHARED_ROWS
    assert not any(test in text for test in inserts(0, 20)[:SHARED_ROWS] for text in left)
    assert len(data_of(folder, "train")) == 40 - SHARED_ROWS

    assert study(tmp_path, found).ran == []


def test_data_that_stay_as_they_are_are_not_written_again(tmp_path, found):
    study(tmp_path, found)
    written = list((tmp_path / "study" / "data").rglob("manifest.json"))
    before = {path: path.stat().st_mtime_ns for path in written}
    assert study(tmp_path, found).ran == ["data"]  # native-complex may have come
    assert {path: path.stat().st_mtime_ns for path in written} == before
    assert len(written) == 6


@pytest.mark.slow
def test_a_run_of_other_data_begins_anew(tmp_path, assay, caplog):
    other = copy_rows(assay, np.arange(len(assay) - 60), tmp_path / "other")
    run = Place(tmp_path, STUDY).run("pre-trained")

    def continued(data):
        return unless_data_changed(run, lambda: train(settings("epochs=1"), data, run, resume=True))

    continued(assay)
    first = (run / WEIGHTS).read_bytes()
    assert continued(assay).data["fingerprint"] == assay.fingerprint
    assert (run / WEIGHTS).read_bytes() == first
    assert not caplog.records or "anew" not in caplog.text

    assert continued(other).data["fingerprint"] == other.fingerprint
    assert (run / WEIGHTS).read_bytes() != first
    assert "was trained on other data than the study has now" in caplog.text
    with pytest.raises(ValueError, match="other settings"):
        unless_data_changed(run, lambda: train(settings("epochs=2"), other, run, resume=True))
