"""A merged data set holds all rows of its sources, in order."""

import numpy as np
import pytest

from crmnet.data.dataset import Dataset
from crmnet.data.merge import merge
from crmnet.data.subset import copy_rows
from support import ingest_rows, write_rows


@pytest.fixture
def parts(assay, tmp_path):
    return [
        copy_rows(assay, np.arange(200), tmp_path / "a"),
        copy_rows(assay, np.arange(200, 600), tmp_path / "b"),
    ]


def test_merging_the_parts_of_a_data_set_gives_it_back(assay, parts, tmp_path):
    merged = merge(parts, tmp_path / "both")
    assert merged.media == assay.media
    assert merged.units == assay.units
    for name in ("tokens", "labels", "medium", "family", "weight"):
        assert (np.asarray(getattr(merged, name)) == np.asarray(getattr(assay, name))[:600]).all()
    assert [source["rows_taken"] for source in merged.manifest["sources"]] == [200, 400]
    assert merged.manifest["merged"][1] == {"name": "b", "fingerprint": parts[1].fingerprint}


def test_media_are_matched_by_name(assay, tmp_path):
    first, second = np.unique(np.asarray(assay.medium))[:2]
    of_first = copy_rows(assay, np.nonzero(assay.medium == first)[0][:5], tmp_path / "first")
    of_second = copy_rows(assay, np.nonzero(assay.medium == second)[0][:7], tmp_path / "second")
    merged = merge([of_second, of_first], tmp_path / "both")
    names = [merged.media[m] for m in merged.medium]
    assert names == [assay.media[second]] * 7 + [assay.media[first]] * 5


def test_sets_of_different_flanks_are_merged_with_a_warning(tmp_path, caplog):
    path = write_rows(tmp_path / "rows.tsv", [("ACGTA" * 16, 1)], "sequence expression")
    bare, completed, third, added = (
        ingest_rows(path, tmp_path / name, flanks=flanks)
        for name, flanks in (
            ("bare", "none"),
            ("completed", "auto"),
            ("third", "auto"),
            ("added", "add"),
        )
    )
    assert merge([completed, third], tmp_path / "same").manifest["flanks"] == "auto"
    assert merge([completed, added], tmp_path / "all").manifest["flanks"] == "mixed"
    assert not caplog.text
    assert merge([bare, completed], tmp_path / "both").manifest["flanks"] == "mixed"
    assert "were made with different --flanks (bare: none, completed: auto)" in caplog.text


def test_bad_merges_are_errors_and_leave_nothing(parts, tmp_path):
    a, b = parts
    with pytest.raises(ValueError, match="is given twice"):
        merge([a, a], tmp_path / "twice")
    without_families = Dataset(a.path, a.manifest, a.tokens, a.labels, a.medium, None, a.weight)
    with pytest.raises(ValueError, match="has no families, other data sets have"):
        merge([without_families, b], tmp_path / "mixed")
    with pytest.raises(ValueError, match="is the input and would be lost"):
        merge(parts, b.path, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["a", "b"]


def test_weights_that_only_some_sets_have_are_left_out_with_a_warning(parts, tmp_path, caplog):
    a, b = parts
    merge([a, b], tmp_path / "both")
    assert not caplog.text
    bare = Dataset(b.path, b.manifest, b.tokens, b.labels, b.medium, b.family, None)
    assert merge([a, bare], tmp_path / "mixed").weight is None
    assert f"warning: the weights of rows are left out: {b.path} has none" in caplog.text
