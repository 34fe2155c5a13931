"""Atomic writing of files, and checks of output paths."""

from pathlib import Path

import pytest

from crmnet.files import make_room, write_atomically, write_text_atomically


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(partial):
        partial.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_folder_of_a_file_is_created(tmp_path):
    write_text_atomically(tmp_path / "new" / "folder" / "file", "text")
    assert (tmp_path / "new" / "folder" / "file").read_text() == "text"


def test_a_folder_is_not_replaced_by_a_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder; name a file in it"):
        write_text_atomically(tmp_path, "text")
    assert not list(tmp_path.iterdir())


def test_a_path_through_a_file_is_an_error(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(NotADirectoryError, match=r"file is a file, not a folder"):
        make_room(tmp_path / "file" / "below" / "table.tsv")


def test_standard_output_needs_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_room(Path("-"))
    assert not list(tmp_path.iterdir())
