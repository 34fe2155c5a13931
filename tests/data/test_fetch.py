"""Downloads from a local server: complete or not at all, resumed, and verified."""

import dataclasses
import gzip
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from crmnet.data import fetch as fetch_module
from crmnet.data import registry
from crmnet.data.fetch import Offline, cached, fetch, find_in
from crmnet.data.ingest import IngestOptions
from crmnet.data.opening import open_data
from crmnet.data.registry import DataCard, Origin, WrongChecksum
from crmnet.sequence import decode, inserts

CONTENT = b"".join(
    b"%s\t%d\n" % ("".join("ACGT"[b] for b in row).encode(), i % 17)
    for i, row in enumerate(np.random.default_rng(0).integers(4, size=(3000, 80)))
)


class Files(BaseHTTPRequestHandler):
    """Serves ``server.files``; a path in ``server.broken`` ends after half of its bytes."""

    def do_GET(self):
        content = self.server.files.get(self.path)
        self.server.requests.append((self.path, self.headers.get("Range")))
        if content is None:
            self.send_error(404)
            return
        compressed = self.server.compress and "gzip" in self.headers.get("Accept-Encoding", "")
        content = gzip.compress(content, mtime=0) if compressed else content
        start = 0
        if self.server.ranges and (wanted := self.headers.get("Range")):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        if compressed:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        broken = self.path in self.server.broken
        self.server.broken.discard(self.path)
        self.wfile.write(content[start : len(content) // 2 if broken else None])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    server.files, server.requests = {"/rows.tsv": CONTENT}, []
    server.broken, server.ranges, server.compress = set(), True, False
    server.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def card_of(server, checksum="sha256", content=CONTENT, **more):
    origin = Origin("here", "none", "nobody", url=server.url)
    digest = hashlib.sha256(content)
    if checksum == "git_blob":
        digest = hashlib.sha1(b"blob %d\0" % len(content) + content)
    return DataCard("some-rows", "rows", origin, "rows.tsv", "measurements",
                **{checksum: digest.hexdigest()}, **more)  # fmt: skip


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("checksum", ["sha256", "git_blob"])
def test_a_file_is_fetched_once_and_verified(server, tmp_path, checksum):
    card, seen = card_of(server, checksum), []
    assert cached(card, tmp_path) is None
    (file,) = fetch(card, tmp_path, progress=lambda *call: seen.append(call))
    assert file.read_bytes() == CONTENT
    assert cached(card, tmp_path) == file == tmp_path / "here" / "rows.tsv"
    assert seen[-1] == ("rows.tsv", len(CONTENT), len(CONTENT))
    assert fetch(card, tmp_path) == [file]
    assert len(server.requests) == 1
    assert files_in(tmp_path) == ["rows.tsv"]


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_download_resumes(server, tmp_path, ranges):
    server.ranges = ranges
    server.broken.add("/rows.tsv")
    card = card_of(server)
    complete_chunks = len(CONTENT) // 2 // fetch_module.CHUNK_BYTES * fetch_module.CHUNK_BYTES
    with pytest.raises(
        Offline, match=rf"was interrupted after {complete_chunks:,} bytes .* to resume"
    ):
        fetch(card, tmp_path)
    assert cached(card, tmp_path) is None
    (file,) = fetch(card, tmp_path)
    assert file.read_bytes() == CONTENT
    assert server.requests[1] == ("/rows.tsv", f"bytes={complete_chunks}-")
    assert files_in(tmp_path) == ["rows.tsv"]


def test_a_server_that_compresses_in_transit_does_not_prevent_resuming(server, tmp_path):
    """The range counted bytes of the file, and the server those of the compressed file."""
    server.compress = True
    server.broken.add("/rows.tsv")
    with pytest.raises(Offline, match="to resume"):
        fetch(card_of(server), tmp_path)
    (file,) = fetch(card_of(server), tmp_path)
    assert file.read_bytes() == CONTENT


def test_a_complete_partial_file_is_used(server, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / ".rows.tsv.part").write_bytes(CONTENT)
    assert fetch(card_of(server), tmp_path)[0].read_bytes() == CONTENT


def test_other_content_is_an_error_and_is_not_kept(server, tmp_path):
    card = card_of(server, content=CONTENT + b"more")
    with pytest.raises(WrongChecksum, match="is not the published file"):
        fetch(card, tmp_path)
    assert files_in(tmp_path) == []


def test_a_damaged_file_in_the_cache_is_fetched_again(server, tmp_path):
    card = card_of(server)
    (file,) = fetch(card, tmp_path)
    file.write_bytes(CONTENT[:-1])
    assert fetch(card, tmp_path)[0].read_bytes() == CONTENT


def test_missing_files_and_networks_have_clear_errors(server, tmp_path):
    card = dataclasses.replace(card_of(server), path="nothing.tsv")
    with pytest.raises(FileNotFoundError, match="the server returned status 404"):
        fetch(card, tmp_path)
    nowhere = Origin("here", "none", "nobody", url="http://127.0.0.1:9/")  # the discard port
    with pytest.raises(Offline, match=r"rows\.tsv does not respond \(ConnectionError\); connect"):
        fetch(dataclasses.replace(card_of(server), origin=nowhere), tmp_path)
    assert files_in(tmp_path) == []


def zenodo(server, monkeypatch):
    monkeypatch.setattr(fetch_module, "ZENODO_API", f"{server.url}api/records/")
    server.files["/second.bin"] = b"second"
    listed = [
        {
            "key": name,
            "size": len(content),
            "checksum": f"md5:{hashlib.md5(content).hexdigest()}",
            "links": {"self": f"{server.url}{name}"},
        }
        for name, content in (("rows.tsv", CONTENT), ("second.bin", b"second"))
    ]
    server.files["/api/records/7"] = json.dumps({"files": listed}).encode()
    origin = Origin("zenodo-7", "none", "nobody", record=7)
    return DataCard("record", "a record", origin, "rows.tsv", "measurements")


def test_the_checksums_of_a_zenodo_record_are_read_once(server, tmp_path, monkeypatch):
    card = zenodo(server, monkeypatch)
    (file,) = fetch(card, tmp_path)
    assert file.read_bytes() == CONTENT
    lock = json.loads((tmp_path / "zenodo-7" / "lock.json").read_text())
    assert lock["rows.tsv"]["md5"] == hashlib.md5(CONTENT).hexdigest()
    everything = dataclasses.replace(card, path="*")
    assert cached(everything, tmp_path) is None
    assert [path.name for path in fetch(everything, tmp_path)] == ["rows.tsv", "second.bin"]
    assert cached(everything, tmp_path) == tmp_path / "zenodo-7"
    assert [path for path, _ in server.requests].count("/api/records/7") == 1
    server.files["/rows.tsv"] = CONTENT[::-1]
    file.unlink()
    with pytest.raises(WrongChecksum):
        fetch(card, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"7 has no file x; it has rows\.tsv, second"):
        fetch(dataclasses.replace(card, path="x"), tmp_path)


@pytest.mark.parametrize(
    "name",
    ["x/../../../evil", "/tmp/evil", "..", "", ".hidden", "lock.json", "a\\b", "C:x", "a\nb"],
)
@pytest.mark.parametrize("everything", [True, False])
def test_a_record_cannot_write_outside_its_folder(server, tmp_path, monkeypatch, name, everything):
    card = zenodo(server, monkeypatch)
    record = json.loads(server.files["/api/records/7"])
    record["files"][1]["key"] = name
    server.files["/api/records/7"] = json.dumps(record).encode()
    if everything:
        card = dataclasses.replace(card, path="*")
    with pytest.raises(ValueError, match="is not a plain file name; nothing was written"):
        fetch(card, tmp_path / "deep" / "er" / "cache")
    assert files_in(tmp_path) == []
    lock = tmp_path / "deep" / "er" / "cache" / "zenodo-7" / "lock.json"
    lock.write_text(json.dumps({name: {"md5": "0", "url": f"{server.url}second.bin"}}))
    with pytest.raises(ValueError, match=r"lock\.json names a file"):
        fetch(dataclasses.replace(card, path="*"), tmp_path / "deep" / "er" / "cache")
    assert files_in(tmp_path) == ["lock.json"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_body_longer_than_the_published_file_is_not_read_on(server, tmp_path, ranges):
    server.ranges = ranges
    server.handle_error = lambda *_: None  # the reader leaves, as it should
    server.files["/rows.tsv"] = CONTENT + bytes(50 << 20)
    seen = []
    with pytest.raises(WrongChecksum, match=rf"sends more than the {len(CONTENT):,} bytes"):
        fetch(card_of(server, bytes=len(CONTENT)), tmp_path,
              progress=lambda name, done, total: seen.append(done))  # fmt: skip
    assert max(seen) <= len(CONTENT)
    assert files_in(tmp_path) == []


def test_an_endless_record_is_not_read_on(server, tmp_path, monkeypatch):
    card = zenodo(server, monkeypatch)
    monkeypatch.setattr(fetch_module, "RECORD_BYTES", 1000)
    server.files["/api/records/7"] = b" " * 100_000
    with pytest.raises(ValueError, match="longer than any record"):
        fetch(card, tmp_path)
    assert files_in(tmp_path) == []


def test_local_files_are_copied_and_verified(server, tmp_path):
    (tmp_path / "mine" / "deep").mkdir(parents=True)
    mine = tmp_path / "mine" / "deep" / "rows.tsv"
    mine.write_bytes(CONTENT)
    card = card_of(server)
    (file,) = fetch(card, tmp_path / "cache", folder=tmp_path / "mine")
    assert file.read_bytes() == CONTENT
    assert server.requests == []
    mine.write_bytes(CONTENT[1:])
    with pytest.raises(WrongChecksum, match=r"deep/rows\.tsv is damaged or another version"):
        find_in(tmp_path / "mine", card)
    (tmp_path / "mine" / "rows.tsv").write_bytes(CONTENT)
    assert find_in(tmp_path / "mine", card) == tmp_path / "mine" / "rows.tsv"
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"has no file rows\.tsv \(some-rows\)"):
        find_in(tmp_path / "empty", card)


def test_fetch_ingest_and_check_by_name(server, crmnet, tmp_path, monkeypatch):
    card = card_of(server, rows=3000, medium="complex")
    monkeypatch.setattr(registry, "cards", lambda: {"some-rows": card})
    monkeypatch.setattr("crmnet.data.opening.cards", lambda: {"some-rows": card})
    monkeypatch.setenv("CRMNET_DATA", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    status, _, err = crmnet("data", "ingest", "some-rows", "-o", "set")
    assert (status, "crmnet data fetch some-rows" in err) == (2, True)
    status, out, err = crmnet("data", "fetch", "some-rows")
    assert status == 0, err
    assert str(tmp_path / "cache" / "here" / "rows.tsv") in out
    status, out, err = crmnet("data", "ingest", "some-rows", "-o", "set")
    assert status == 0, err
    status, out, err = crmnet("data", "check", "set", "--against", "some-rows")
    assert status == 0, err
    assert "3,000 rows have the same insert as 3,000 rows of some-rows" in out


def test_cards_select_and_trim_rows(server, tmp_path, monkeypatch):
    card = dataclasses.replace(
        card_of(server), columns={"sequence": "seq", "expression": "EL.combined"}, trim=(3, 7),
        only={"isNative": "TRUE"}, above=0.0,
    )  # fmt: skip
    insert = "ACGTTGCA" * 10
    rows = [
        f"CCC{insert}GGGGGGG\tTRUE\t5",
        f"CCC{insert}GGGGGGG\tFALSE\t6",
        f"CCC{insert}GGGGGGG\tTRUE\t0",
        f"CCC{insert}GGGGGGG\tTRUE\tNA",
        f"CCC{insert[::-1]}GGGGGGG\tTRUE\t7",
    ]
    place = tmp_path / "here" / "rows.tsv"
    place.parent.mkdir()
    place.write_text("seq\tisNative\tEL.combined\n" + "\n".join(rows) + "\n")
    monkeypatch.setattr(registry, "cards", lambda: {"some-rows": card})
    monkeypatch.setattr("crmnet.data.opening.cards", lambda: {"some-rows": card})
    monkeypatch.setenv("CRMNET_DATA", str(tmp_path))
    with open_data(Path("some-rows"), IngestOptions(max_rejected=0.5)) as dataset:
        assert decode(*inserts(dataset.tokens)) == [insert, insert[::-1]]
        assert dataset.labels.tolist() == [5, 7]
        assert dataset.manifest["rejected"] == {
            "not selected": 2, "expression is missing": 1
        }  # fmt: skip
