"""What a data set folder contains: arrays, manifest, fingerprint."""

import json

import numpy as np
import pytest

from crmnet.data import reading
from crmnet.data.dataset import Dataset, is_dataset
from support import ingest_rows, write_lines


def test_arrays_are_plain_npy_files_kept_on_disk(tmp_path):
    dataset = ingest_rows(write_lines(tmp_path / "a.tsv", "ACGT\t1", "TT\t2"), tmp_path / "set")
    assert isinstance(dataset.tokens, np.memmap)
    for name in ("tokens", "labels", "medium"):
        loaded = np.load(tmp_path / "set" / f"{name}.npy", allow_pickle=False)
        assert loaded.dtype == getattr(dataset, name).dtype
        assert (loaded == getattr(dataset, name)).all()


def test_fingerprint_does_not_depend_on_blocks_but_on_every_label(tmp_path, monkeypatch):
    rows = [f"{'ACGT'[i % 4] * (i + 1)}\t{i}\tfamily{i % 3}\t{i + 1}" for i in range(20)]
    header = "sequence\texpression\tfamily\tweight"
    file = write_lines(tmp_path / "a.tsv", *rows, header=header)
    whole = ingest_rows(file, tmp_path / "whole")
    other = write_lines(
        tmp_path / "b.tsv", *rows[:-1], rows[-1].replace("\t19\t", "\t18\t"), header=header
    )
    assert ingest_rows(other, tmp_path / "other").fingerprint != whole.fingerprint
    turned = write_lines(tmp_path / "c.tsv", *rows[::-1], header=header)
    assert ingest_rows(turned, tmp_path / "turned").fingerprint != whole.fingerprint
    monkeypatch.setattr(reading, "BLOCK_BYTES", 9)
    in_pieces = ingest_rows(file, tmp_path / "pieces")
    assert in_pieces.fingerprint == whole.fingerprint
    for name in ("tokens", "labels", "medium", "family", "weight"):
        assert (getattr(in_pieces, name) == getattr(whole, name)).all()
        assert (tmp_path / "pieces" / f"{name}.npy").read_bytes() == (
            tmp_path / "whole" / f"{name}.npy"
        ).read_bytes()


def test_fingerprint_depends_on_the_medium_name(tmp_path):
    file = write_lines(tmp_path / "a.tsv", "ACGT\t1")
    one = ingest_rows(file, tmp_path / "one", media=("complex",))
    assert one.fingerprint != ingest_rows(file, tmp_path / "two", media=("defined",)).fingerprint


def test_manifest_counts_by_hand(tmp_path):
    rows = ["A\t1.05", "AC\t1.07", "AC\t2.55", "ACG\t-0.05", "A\tx"]
    dataset = ingest_rows(write_lines(tmp_path / "a.tsv", *rows), tmp_path / "set")
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
    file = write_lines(tmp_path / "a.tsv", *[f"A\t{label}" for label in labels])
    bins = ingest_rows(file, tmp_path / "set").manifest["media"]["complex"]["histogram"]["bins"]
    assert bins == {"-1000000": 2, "0": 1, "1000000": 3}


def test_opening_something_else_than_a_data_set_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such data set"):
        Dataset.open(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="not a data set"):
        Dataset.open(tmp_path)
    assert not is_dataset(tmp_path)


def test_opening_a_changed_data_set_is_an_error(tmp_path):
    dataset = ingest_rows(write_lines(tmp_path / "a.tsv", "ACGT\t1", "A\t2"), tmp_path / "set")
    assert is_dataset(dataset.path)
    np.save(dataset.path / "labels.npy", np.zeros(3, np.float32))
    with pytest.raises(ValueError, match=r"labels\.npy has 3 rows, the manifest states 2"):
        Dataset.open(dataset.path)
    manifest = {**dataset.manifest, "format": 0}
    (dataset.path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="has data set format 0"):
        Dataset.open(dataset.path)
