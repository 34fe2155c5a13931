"""Data sets from the rows of others hold exactly the chosen rows."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmnet.data.dataset import Dataset
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.splits import families
from crmnet.data.subset import SplitOptions, copy_rows, only_media, rows_of_media, split
from crmnet.files import WriteError, locked


def test_rows_are_copied_unchanged(assay, tmp_path):
    rows = np.array([5, 2, 599, 2])
    copy = copy_rows(assay, rows, tmp_path / "copy", made_by={"why": "test"})
    for name in ("tokens", "labels", "family", "weight"):
        assert (getattr(copy, name) == getattr(assay, name)[rows]).all()
    assert [copy.media[m] for m in copy.medium] == [assay.media[m] for m in assay.medium[rows]]
    origin = copy.manifest["origin"]
    assert origin == {"name": "assay", "fingerprint": assay.fingerprint, "why": "test"}
    everything = copy_rows(assay, np.arange(len(assay)), tmp_path / "all")
    assert everything.fingerprint == assay.fingerprint


def test_no_rows_and_existing_names_are_errors(assay, tmp_path):
    with pytest.raises(ValueError, match="no rows to write"):
        copy_rows(assay, np.array([], int), tmp_path / "none")
    copy_rows(assay, np.arange(3), tmp_path / "there")
    with pytest.raises(FileExistsError, match="pass --overwrite"):
        copy_rows(assay, np.arange(3), tmp_path / "there")
    there = copy_rows(assay, np.arange(9), tmp_path / "there", overwrite=True)
    with pytest.raises(ValueError, match="is the input and would be lost"):
        split(there, there.path, tmp_path / "rest", SplitOptions(overwrite=True))
    assert len(Dataset.open(there.path)) == 9
    with pytest.raises(FileExistsError, match="pass --overwrite"):
        split(assay, tmp_path / "new", tmp_path / "there")
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match="give two names"):
        split(assay, tmp_path / "same", tmp_path / "same")
    for parts in (("nest", "nest/test"), ("nest/train", "nest")):
        with pytest.raises(ValueError, match=r"lies in .* beside each other"):
            split(assay, *(tmp_path / part for part in parts))
    assert not (tmp_path / "nest").exists()


@given(
    family=st.lists(st.integers(0, 12), min_size=60, max_size=60),
    by=st.sampled_from(["sequence", "family", "homology"]),
    seed=st.integers(0, 20),
)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_no_family_is_on_both_sides_and_no_row_is_lost(tmp_path_factory, family, by, seed):
    folder = tmp_path_factory.mktemp("split")
    rng = np.random.default_rng(seed)
    parents = rng.integers(4, size=(40, 80))
    inserts = parents[np.arange(60) % 40].copy()
    inserts[np.arange(60), rng.integers(80, size=60)] ^= 1
    media = ["complex", "defined"]
    lines = [
        f"{''.join('ACGT'[b] for b in insert)}\t{i}\t{media[i % 2]}\tf{family[i]}"
        for i, insert in enumerate(inserts)
    ]
    (folder / "rows.tsv").write_text("sequence\texpression\tmedium\tfamily\n" + "\n".join(lines))
    complete = ingest([folder / "rows.tsv"], folder / "complete", IngestOptions())
    train, held = split(complete, folder / "train", folder / "held", SplitOptions(0.5, by, seed))
    assert not set(train.family.tolist()) & set(held.family.tolist())
    assert not set(families(train, by)) & set(families(held, by))
    assert sorted([*train.labels.tolist(), *held.labels.tolist()]) == list(range(60))
    for part in (train, held):
        numbers = part.labels.astype(int)
        assert (part.tokens == complete.tokens[numbers]).all()
        assert (part.family == families(complete, by)[numbers]).all()


def test_split_by_family_needs_families(tmp_path):
    (tmp_path / "a.tsv").write_text("sequence\texpression\nACGT\t1\nTT\t2\n")
    plain = ingest([tmp_path / "a.tsv"], tmp_path / "set")
    with pytest.raises(ValueError, match="has no families; ingest it with a family column"):
        split(plain, tmp_path / "a", tmp_path / "b", SplitOptions(by="family"))


def test_the_command_writes_both_parts(crmnet, assay, tmp_path):
    words = ["data", "split", assay.path, "-o", tmp_path / "a", "--held-out", tmp_path / "b"]
    status, out, err = crmnet(*words, "--fraction", "0.3")
    assert status == 0, err
    first, second = (line.replace(",", "").split() for line in out.splitlines())
    assert int(first[1]) + int(second[1]) == len(assay)
    assert crmnet(*words)[0] == 2
    manifest = (tmp_path / "a" / "manifest.json").read_text()
    assert crmnet(*words, "--fraction", "0.3", "--overwrite")[0] == 0
    assert (tmp_path / "a" / "manifest.json").read_text() == manifest


def interrupted_at(monkeypatch, number):
    """Let the process be killed, as far as files go, before rename ``number``."""

    class Killed(BaseException):
        pass

    rename, calls = Path.rename, []

    def counted(path, target):
        calls.append(path)
        if len(calls) == number:
            raise Killed
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", counted)
    monkeypatch.setattr("crmnet.data.writer.shutil.rmtree", lambda *_, **__: None)
    return Killed


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_killed_split_leaves_no_new_part_beside_an_old_one(tmp_path, assay, number):
    names = [tmp_path / "train", tmp_path / "held"]
    old = [part.fingerprint for part in split(assay, *names, SplitOptions(0.3, "sequence"))]
    options = SplitOptions(0.3, "sequence", seed=1, overwrite=True)
    with pytest.MonkeyPatch.context() as patch:
        with pytest.raises(interrupted_at(patch, number)):
            split(assay, *names, options)
    there = [Dataset.open(path).fingerprint if path.exists() else None for path in names]
    assert not ({there[0]} - {None, old[0]} and there[1] == old[1])
    assert not ({there[1]} - {None, old[1]} and there[0] == old[0])
    new = [part.fingerprint for part in split(assay, *names, options)]
    expected = split(assay, tmp_path / "a", tmp_path / "b", SplitOptions(0.3, "sequence", seed=1))
    assert new == [part.fingerprint for part in expected] and set(new).isdisjoint(old)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "held", "train"]


def test_an_old_data_set_comes_back_after_a_killed_replacement(tmp_path, assay):
    out = tmp_path / "out"
    old = copy_rows(assay, [0, 1], out).fingerprint
    with pytest.MonkeyPatch.context() as patch:
        with pytest.raises(interrupted_at(patch, 2)):  # between the two renames
            copy_rows(assay, [2, 3], out, overwrite=True)
    assert not out.exists()
    with pytest.raises(FileExistsError, match="--overwrite"):
        copy_rows(assay, [2, 3], out)
    assert Dataset.open(out).fingerprint == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_a_data_set_is_written_by_one_process_at_a_time(tmp_path, assay):
    with locked(tmp_path / "out"):
        with pytest.raises(WriteError, match=r"another process is writing .*out; wait"):
            copy_rows(assay, [0], tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_linked_data_set_is_replaced_at_the_end_of_the_link(tmp_path, assay):
    copy_rows(assay, [0], tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    copy_rows(assay, [1, 2], tmp_path / "link", overwrite=True)
    assert (tmp_path / "link").is_symlink() and len(Dataset.open(tmp_path / "real")) == 2


def test_a_data_set_does_not_replace_its_own_source(assay, tmp_path):
    mine = copy_rows(assay, [0, 1], tmp_path / "mine")
    with pytest.raises(ValueError, match="is the input and would be lost"):
        copy_rows(mine, [0], tmp_path / "mine", overwrite=True)
    assert len(Dataset.open(tmp_path / "mine")) == 2


def test_rows_of_media_are_chosen_by_name(assay):
    one = assay.media[-1]
    chosen = rows_of_media(assay, [one])
    assert 0 < chosen.sum() < len(assay)
    assert {assay.media[m] for m in assay.medium[chosen]} == {one}
    assert rows_of_media(assay, assay.media).all()
    with pytest.raises(ValueError, match=f"no rows of {one + 'x'!r}; did you mean {one!r}"):
        rows_of_media(assay, [one + "x"])


def test_rows_of_some_media_in_memory(assay):
    one = assay.media[-1]
    part = only_media(assay, [one])
    rows = rows_of_media(assay, [one])
    assert part.media == [one] and (part.medium == 0).all()
    assert part.units == {one: assay.units[one]}
    for name in ("tokens", "labels", "family", "weight"):
        assert (getattr(part, name) == np.asarray(getattr(assay, name))[rows]).all()
    everything = only_media(assay, assay.media)
    assert (everything.medium == np.asarray(assay.medium)).all()
