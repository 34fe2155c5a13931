"""Public data sets from a local server: their cards, with simulated rows in place of the files."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from crmnet.data import registry

FILES = {
    name: registry.find_card(name)
    for name in ("random-complex", "native-complex", "sswm-complex", "drift-complex",
                 "drift-delta-complex", "drift-delta-defined", "deepatt-vaishnav")
}  # fmt: skip
"""Data sets that the pages fetch; files that crmnet only passes on hold rows as well."""


def content(name: str) -> bytes:
    """A table with the columns of the published one."""
    random = np.random.default_rng(sorted(FILES).index(name))
    lines = [",sequence,Measured Expression,Predicted Expression"]
    for number, row in enumerate(random.integers(4, size=(60, 80))):
        insert = "".join("ACGT"[base] for base in row)
        measured = random.uniform(1, 16)
        lines.append(f"{number},TGCATTTTTTTCACATC{insert}GGTTACGGCTGTT,{measured},{measured + 1}")
    return "\n".join(lines).encode() + b"\n"


def fill_cache(folder: Path) -> None:
    """Write all files as if they had been fetched."""
    for name, card in FILES.items():
        path = folder / card.origin.name / card.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(name))


def point_cards_to(url: str) -> None:
    """Replace the cards' addresses and checksums by those of the local files, in this process."""
    known = registry.cards()
    for name, card in FILES.items():
        data = content(name)
        known[name] = dataclasses.replace(
            card, origin=dataclasses.replace(card.origin, url=url), path=card.file, bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(), git_blob=None, rows=None,
        )  # fmt: skip


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve_files(folder: Path) -> Iterator[str]:
    """Serve the files from ``folder``; yields the URL."""
    folder.mkdir()
    for name, card in FILES.items():
        (folder / card.file).write_bytes(content(name))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
