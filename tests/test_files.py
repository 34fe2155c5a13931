"""Atomic writing of files, and checks of output paths."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from crmnet.files import (
    WriteError,
    check_outputs,
    is_locked,
    is_stream,
    locked,
    make_parent_folder,
    replacing,
    target_of,
    temporary_folder,
    write_atomically,
    write_text_atomically,
)
from crmnet.reports.tables import TableWriter


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
        make_parent_folder(tmp_path / "file" / "below" / "table.tsv")


def test_standard_output_needs_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_parent_folder(Path("-"))
    assert not list(tmp_path.iterdir())


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["out.tsv", "out.parquet", "out.txt"])
def test_a_pipe_is_written_into_and_stays_a_pipe(tmp_path, name):
    pipe = tmp_path / name
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    if name == "out.txt":
        write_text_atomically(pipe, "text\n")
    else:
        with TableWriter(pipe, ["id"]) as table:
            table.write({"id": ["a"]})
    reader.join(timeout=10)
    assert is_stream(pipe) and listed(tmp_path) == [name]
    (got,) = received
    assert {"out.txt": b"text\n", "out.tsv": b"id\na\n"}.get(name, got) == got
    assert name != "out.parquet" or got[:4] == got[-4:] == b"PAR1"


@pytest.mark.parametrize("target", ["old", "new"])
def test_a_link_is_followed(tmp_path, target):
    link, end = tmp_path / "link.tsv", tmp_path / "target.tsv"
    link.symlink_to("target.tsv")
    if target == "old":
        end.write_text("old")
    with TableWriter(link, ["id"]) as table:
        table.write({"id": ["a"]})
    assert link.is_symlink() and end.read_text() == "id\na\n"
    write_text_atomically(link, "text")
    assert link.is_symlink() and end.read_text() == "text"
    assert listed(tmp_path) == ["link.tsv", "target.tsv"]


def test_a_link_to_itself_is_named(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ValueError, match="loop is a link that leads back to itself"):
        target_of(tmp_path / "loop")


def test_an_open_file_is_continued_and_not_truncated(tmp_path):
    code = """
import sys
from crmnet.files import write_text_atomically
print("before", flush=True)
write_text_atomically(sys.argv[1], "text\\n")
"""
    for name in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        with (tmp_path / "out").open("w") as out:
            subprocess.run([sys.executable, "-c", code, name], stdout=out, check=True)
        assert (tmp_path / "out").read_text() == "before\ntext\n"
        assert listed(tmp_path) == ["out"]


def test_no_output_replaces_an_input(tmp_path):
    rows, folder = tmp_path / "s" / "rows.tsv", tmp_path / "s"
    folder.mkdir()
    rows.write_text("x")
    (folder / "run.json").write_text("{}")
    (tmp_path / "link").symlink_to(rows)
    for output, message in (
        (rows, "is the input and would be lost"),
        (tmp_path / "link", "is the input and would be lost"),
        (tmp_path / "other" / ".." / "s" / "rows.tsv", "is the input"),
        (folder, "holds the input .*rows.tsv, which would be lost"),
    ):
        with pytest.raises(ValueError, match=message):
            check_outputs(output, [None, "yeast", rows], overwrite=True)
    with pytest.raises(ValueError, match=r"run\.json is a part of the input"):
        check_outputs(folder / "run.json", folder, overwrite=True)
    check_outputs([folder / "new.tsv", "-"], [folder, rows])


def test_an_output_is_replaced_only_when_told(tmp_path):
    out = tmp_path / "out.tsv"
    out.write_text("old")
    with pytest.raises(FileExistsError, match="pass --overwrite"):
        check_outputs(out, [])
    check_outputs(out, [], overwrite=True)
    os.mkfifo(tmp_path / "pipe")
    check_outputs([tmp_path / "pipe", os.devnull], [])


HOLD = """
import sys, time
from crmnet.files import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_refuses_a_second_process_and_ends_with_a_killed_one(tmp_path):
    out = tmp_path / "out.tsv"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    assert is_locked(out)
    for write in (
        lambda: write_text_atomically(out, "text"),
        lambda: TableWriter(out, ["id"]).__enter__(),
    ):
        with pytest.raises(WriteError, match=r"another process is writing .*out\.tsv"):
            write()
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert not is_locked(out)
    write_text_atomically(out, "text")
    assert listed(tmp_path) == ["out.tsv"]


def test_a_lock_is_not_kept_by_a_forked_child(tmp_path):
    out = tmp_path / "out.tsv"
    with locked(out):
        child = os.fork()
        if child == 0:
            time.sleep(5)
            os._exit(0)
    try:
        with locked(out):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_waiting_for_a_lock_ends_when_it_is_free(tmp_path):
    out = tmp_path / "out.tsv"
    order = []

    def hold():
        with locked(out):
            held.set()
            time.sleep(0.1)
            order.append("first")

    held = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with locked(out, wait=10):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert listed(tmp_path) == []


FULL = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
import numpy as np
from crmnet.files import WriteError, write_text_atomically
from crmnet.reports.tables import TableWriter
try:
    if sys.argv[2] == "text":
        write_text_atomically(sys.argv[1], "x" * 100_000)
    with TableWriter(sys.argv[1], ["id"]) as table:
        for _ in range(int(sys.argv[2])):
            table.write({"id": ["a" * 1000] * 5})
except WriteError as error:
    print(error)
"""


@pytest.mark.parametrize("size", ["text", "1", "100"])
def test_a_full_disk_names_the_file_and_leaves_no_part(tmp_path, size):
    out = tmp_path / "out.tsv"
    done = subprocess.run([sys.executable, "-c", FULL, str(out), size], capture_output=True,
                          text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"{out} cannot be written: file too large; free some space, or choose another disk\n"
    )
    assert listed(tmp_path) == []


def test_replacing_removes_only_known_files_that_were_not_written(tmp_path):
    names = ("page-#.png", "table.tsv", "note+.txt")
    for name in ("page-1.png", "page-2.png", "page-30.png", "page-x.png", "page-2.pngx",
                 "table.tsv", "table_tsv", "note+.txt", "noteee.txt"):  # fmt: skip
        (tmp_path / name).write_text("same")
    (tmp_path / "page-4.png").mkdir()
    with replacing(tmp_path, names):
        write_text_atomically(tmp_path / "page-1.png", "same")
        write_text_atomically(tmp_path / "table.tsv", "same")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {
        "page-1.png", "page-x.png", "page-2.pngx", "page-4.png", "table.tsv", "table_tsv",
        "noteee.txt",
    }  # fmt: skip
    with pytest.raises(RuntimeError), replacing(tmp_path, names):
        raise RuntimeError
    assert {path.name for path in tmp_path.iterdir()} == left


def test_a_temporary_folder_is_removed_also_after_a_kill(tmp_path, monkeypatch):
    """A killed command left the rows that it had read in /tmp, for ever."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    program = (
        "import sys, time\nfrom crmnet.files import temporary_folder\n"
        "with temporary_folder() as folder:\n"
        "    (folder / 'rows').write_text('x')\n"
        "    print(folder, flush=True)\n    time.sleep(60)\n"
    )

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )  # fmt: skip
        return process, Path(process.stdout.readline().strip())

    killed, abandoned = start()
    running, in_use = start()
    try:
        assert abandoned.parent == tmp_path and abandoned.exists()
        killed.kill()
        killed.communicate()
        (tmp_path / "crmnet-temporary-link").symlink_to(Path(__file__).parent)
        with temporary_folder() as folder:
            assert folder.is_dir() and not abandoned.exists()
            assert (in_use / "rows").exists()
    finally:
        running.kill()
        running.communicate()
    with temporary_folder():
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["crmnet-temporary-link"]
    assert Path(__file__).exists()
