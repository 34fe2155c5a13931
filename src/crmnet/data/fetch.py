"""Downloads the files of the registry once, verifies them and keeps them in a cache.

:func:`fetch` takes a card (:mod:`crmnet.data.registry`) and returns the paths of its files;
:mod:`crmnet.data.opening` reads them from the cache. No other module of this folder uses the
network. An interrupted download resumes where it stopped. A file gets its name only when it is
complete.

    CACHE/ORIGIN/FILE         the files
    CACHE/ORIGIN/lock.json    checksums of a Zenodo record, as published by Zenodo
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pooch
import requests

from crmnet.data.dataset import read_json
from crmnet.data.registry import (
    EVERY_FILE,
    ZENODO_API,
    Checksum,
    DataCard,
    WrongChecksum,
    checksum_of,
    verify,
)
from crmnet.files import (
    PathLike,
    locked,
    make_folder,
    named_errors,
    write_atomically,
    write_text_atomically,
)

CACHE_VARIABLE = "CRMNET_DATA"
"""Environment variable for a cache folder other than the user's default."""
TIMEOUT = 30
CHUNK_BYTES = 1 << 16
"""Bytes received at a time; an interruption loses at most as many."""
RECORD_BYTES = 16 << 20
"""Largest size of the description of a Zenodo record; a longer one is refused."""
Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes received and the total bytes (0 if unknown)."""


class Offline(FileNotFoundError):
    """The requested file is not in the cache and the server does not respond."""


def cache_folder(cache: PathLike | None = None) -> Path:
    """Folder of fetched files: ``cache``, else ``CRMNET_DATA``, else the user's cache."""
    cache = None if cache is None else Path(cache)
    if cache is not None:
        return cache
    return Path(os.environ.get(CACHE_VARIABLE) or pooch.os_cache("crmnet"))


def cached(card: DataCard, cache: PathLike | None = None) -> Path | None:
    """The card's file if it has been fetched, else None; for a complete record, its folder."""
    folder = cache_folder(cache) / card.origin.name
    if card.path == EVERY_FILE:
        return (
            folder if _lock(folder) and all((folder / f).exists() for f in _lock(folder)) else None
        )
    return folder / card.file if (folder / card.file).is_file() else None


def find_in(folder: PathLike, card: DataCard) -> Path:
    """Find the card's file anywhere below ``folder`` and verify it.

    Raises:
        FileNotFoundError: If there is no file of that name.
        WrongChecksum: If none of the files of that name is the published one.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    candidates = sorted(path for path in folder.rglob(card.file) if path.is_file())
    if not candidates or card.path == EVERY_FILE:
        raise FileNotFoundError(f"{folder} has no file {card.file} ({card.name})")
    expected = checksum_of(card)
    for number, path in enumerate(candidates, 1):
        try:
            if expected is not None:
                verify(path, expected)
            return path
        except WrongChecksum:
            if number == len(candidates):
                raise
    raise AssertionError("every candidate is returned or raises")


def fetch(
    card: DataCard,
    cache: PathLike | None = None,
    *,
    folder: PathLike | None = None,
    progress: Progress = lambda name, received, total: None,
) -> list[Path]:
    """Fetch the file or files of a card into the cache.

    Args:
        card: The files to fetch.
        cache: Folder for the files; see :func:`cache_folder`.
        folder: Copy the file from below this folder instead of downloading it.
        progress: Called during the download.

    Returns:
        The files, verified. If no checksum is known (a Zenodo file copied from ``folder`` before
        its record was first read), only the name is checked.

    Raises:
        Offline: If the server does not respond.
        FileNotFoundError: If ``folder`` or the server does not have the file.
        WrongChecksum: If the file differs from the published one.
    """
    destination = cache_folder(cache) / card.origin.name
    make_folder(destination)
    if folder is not None:
        return [_copy(find_in(folder, card), destination / card.file, _expected(card, destination))]
    if card.origin.record:
        entries = _record_files(card, destination)
        return [
            _download(
                _Published(name, entry["url"], Checksum("md5", entry["md5"]), entry.get("bytes")),
                destination,
                progress,
            )
            for name, entry in entries.items()
        ]
    url = card.origin.url + card.path
    expected = checksum_of(card)
    assert expected is not None, f"{card.name} has no checksum"
    published = _Published(card.file, url, expected, card.bytes)
    return [_download(published, destination, progress)]


class _Published(NamedTuple):
    """A file on a server."""

    name: str
    url: str
    checksum: Checksum
    bytes: int | None


def _expected(card: DataCard, destination: Path) -> Checksum | None:
    entry = _lock(destination).get(card.file)
    return checksum_of(card) or (Checksum("md5", entry["md5"]) if entry else None)


def _copy(source: Path, target: Path, expected: Checksum | None) -> Path:
    if expected is not None:
        verify(source, expected)

    def write(partial: Path) -> None:
        shutil.copyfile(source, partial)

    write_atomically(target, write)
    return target


def _lock(destination: Path) -> dict[str, Any]:
    return read_json(destination / "lock.json") if (destination / "lock.json").is_file() else {}


def _record_files(card: DataCard, destination: Path) -> dict[str, Any]:
    """URL and MD5 of the card's files, from the lock file or, without one, from the Zenodo API."""
    entries = _lock(destination)
    if not entries:
        url = f"{ZENODO_API}{card.origin.record}"
        with _get(url, {}) as response:
            entries = {
                str(file["key"]): {
                    "md5": str(file["checksum"]).removeprefix("md5:"),
                    "bytes": file["size"],
                    "url": file["links"]["self"],
                }
                for file in _json(response, url)["files"]
            }
        _check_names(entries, url)
        write_text_atomically(destination / "lock.json", json.dumps(entries, indent=2) + "\n")
    _check_names(entries, destination / "lock.json")
    if card.path == EVERY_FILE:
        return entries
    if card.path not in entries:
        raise FileNotFoundError(
            f"Zenodo record {card.origin.record} has no file {card.path}; "
            f"it has {', '.join(entries)}"
        )
    return {card.path: entries[card.path]}


def _json(response: requests.Response, url: str) -> Any:
    """The JSON of a record, of which no more than RECORD_BYTES are read."""
    text = bytearray()
    for chunk in response.iter_content(CHUNK_BYTES):
        text += chunk
        if len(text) > RECORD_BYTES:
            raise ValueError(f"{url} is longer than any record; nothing was written")
    return json.loads(text)


def _check_names(names: Iterable[str], source: PathLike) -> None:
    """Refuse names that contain a path, so that no file is written outside its folder."""
    for name in names:
        if name in ("", "lock.json") or name.startswith(".") or re.search(r"[/\\:\x00-\x1f]", name):
            raise ValueError(
                f"{source} names a file {name!r}, which is not a plain file name; nothing was "
                "written"
            )


def _get(url: str, headers: Mapping[str, str]) -> requests.Response:
    """The answer, not compressed in transit: a range would count compressed bytes."""
    headers = {"Accept-Encoding": "identity", **headers}
    try:
        response = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    except requests.RequestException as error:
        raise Offline(
            f"{url} does not respond ({type(error).__name__}); connect to the network, or give a "
            "folder that contains the file with --from FOLDER"
        ) from None
    if response.status_code >= 400 and response.status_code != 416:
        response.close()
        status = f"{response.status_code} {response.reason}"
        raise FileNotFoundError(f"{url}: the server returned status {status}")
    return response


def _download(file: _Published, destination: Path, progress: Progress) -> Path:
    """Download a file unless it exists; it gets its name when it is complete and verified."""
    target = destination / file.name
    with locked(target), named_errors(target):
        if target.is_file():
            try:
                verify(target, file.checksum)
                return target
            except WrongChecksum:
                target.unlink()
        partial = destination / f".{file.name}.part"
        _resume(file, partial, lambda received, total: progress(file.name, received, total))
        try:
            verify(partial, file.checksum)
        except WrongChecksum:
            partial.unlink()
            raise WrongChecksum(f"{file.url} is not the published file; try again") from None
        partial.replace(target)
    return target


def _resume(file: _Published, partial: Path, progress: Callable[[int, int], None]) -> None:
    """Download to ``partial``; continues an earlier, interrupted download.

    Raises:
        WrongChecksum: If the server sends more bytes than the published file has.
    """
    url = file.url
    received = partial.stat().st_size if partial.exists() else 0
    with _get(url, {"Range": f"bytes={received}-"} if received else {}) as response:
        if response.status_code == 416:  # nothing is missing
            return
        if response.status_code != 206:  # the server sends the complete file again
            received = 0
        total = received + int(response.headers.get("Content-Length", 0))
        try:
            with partial.open("ab" if received else "wb") as output:
                for chunk in response.iter_content(CHUNK_BYTES):
                    received += len(chunk)
                    if file.bytes is not None and received > file.bytes:
                        partial.unlink()
                        raise WrongChecksum(
                            f"{url} sends more than the {file.bytes:,} bytes of the published "
                            "file; nothing was kept"
                        )
                    output.write(chunk)
                    progress(received, total)
        except requests.RequestException as error:
            raise Offline(
                f"{url} was interrupted after {received:,} bytes ({type(error).__name__}); run the "
                "same command again to resume"
            ) from None
