"""Files of the registry: downloaded once, checked, and kept in one place.

The only module that talks to the network. Takes cards (see :mod:`crmnet.data.registry`) and gives
paths. A download that breaks off goes on where it stopped; a file gets its name when it is whole.

    CACHE/ORIGIN/FILE         the files
    CACHE/ORIGIN/lock.json    checksums that a Zenodo record gave for its files
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

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
from crmnet.files import PathLike

PLACE = "CRMNET_DATA"
"""Environment variable that names another cache than the user's own."""
TIMEOUT = 30
PIECE = 1 << 16
"""Bytes asked of a connection at a time; what a break costs at most."""
Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes that are there, and all its bytes (0: not known)."""


class Offline(FileNotFoundError):
    """What is asked for is not here, and the network does not answer."""


def cache_folder(cache: PathLike | None = None) -> Path:
    """Where fetched files are kept: ``cache``, else ``CRMNET_DATA``, else the user's cache."""
    cache = None if cache is None else Path(cache)
    if cache is not None:
        return cache
    return Path(os.environ.get(PLACE) or pooch.os_cache("crmnet"))


def cached(card: DataCard, cache: PathLike | None = None) -> Path | None:
    """The file of a card if it has been fetched; of a whole record, its folder."""
    folder = cache_folder(cache) / card.origin.name
    if card.path == EVERY_FILE:
        return (
            folder if _lock(folder) and all((folder / f).exists() for f in _lock(folder)) else None
        )
    return folder / card.file if (folder / card.file).is_file() else None


def find_in(folder: PathLike, card: DataCard) -> Path:
    """The card's file somewhere below ``folder``, checked.

    Raises:
        FileNotFoundError: If no file of that name is there.
        WrongChecksum: If none of those there is the published one.
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
    raise AssertionError("a candidate is returned or refused")


def fetch(
    card: DataCard,
    cache: PathLike | None = None,
    *,
    folder: PathLike | None = None,
    progress: Progress = lambda name, done, total: None,
) -> list[Path]:
    """Bring the file, or the files, of a card into the cache.

    Args:
        card: What to fetch.
        cache: Where to keep it; see :func:`cache_folder`.
        folder: Copy from below this folder in place of downloading.
        progress: Told about the download.

    Returns:
        The files, checked. Without a checksum (a Zenodo file copied from ``folder`` before its
        record was ever read) only the name was.

    Raises:
        Offline: If the network does not answer.
        FileNotFoundError: If ``folder`` lacks the file, or the server does.
        WrongChecksum: If what came is not the published file.
    """
    place = cache_folder(cache) / card.origin.name
    place.mkdir(parents=True, exist_ok=True)
    if folder is not None:
        return [_copy(find_in(folder, card), place / card.file, _expected(card, place))]
    if card.origin.record:
        files = _record_files(card, place)
        return [
            _download(name, found["url"], Checksum("md5", found["md5"]), place, progress)
            for name, found in files.items()
        ]
    url = card.origin.url + card.path
    expected = checksum_of(card)
    assert expected is not None, f"{card.name} has no checksum"
    return [_download(card.file, url, expected, place, progress)]


def _expected(card: DataCard, place: Path) -> Checksum | None:
    found = _lock(place).get(card.file)
    return checksum_of(card) or (Checksum("md5", found["md5"]) if found else None)


def _copy(source: Path, target: Path, expected: Checksum | None) -> Path:
    if expected is not None:
        verify(source, expected)
    partial = target.with_name(f".{target.name}.copy")
    shutil.copyfile(source, partial)
    partial.replace(target)
    return target


def _lock(place: Path) -> dict[str, Any]:
    return read_json(place / "lock.json") if (place / "lock.json").is_file() else {}


def _record_files(card: DataCard, place: Path) -> dict[str, Any]:
    """Address and md5 of the card's files, from the lock file, else from the record's API."""
    known = _lock(place)
    if not known:
        url = f"{ZENODO_API}{card.origin.record}"
        with _get(url, {}) as answer:
            known = {
                found["key"]: {
                    "md5": str(found["checksum"]).removeprefix("md5:"),
                    "bytes": found["size"],
                    "url": found["links"]["self"],
                }
                for found in answer.json()["files"]
            }
        partial = place / ".lock.json.partial"
        partial.write_text(json.dumps(known, indent=2) + "\n")
        partial.replace(place / "lock.json")
    if card.path == EVERY_FILE:
        return known
    if card.path not in known:
        raise FileNotFoundError(
            f"Zenodo record {card.origin.record} has no file {card.path}; it has {', '.join(known)}"
        )
    return {card.path: known[card.path]}


def _get(url: str, headers: Mapping[str, str]) -> requests.Response:
    try:
        answer = requests.get(url, headers=dict(headers), stream=True, timeout=TIMEOUT)
    except requests.RequestException as error:
        raise Offline(
            f"{url} does not answer ({type(error).__name__}); connect to the network, or give the "
            "folder that has the file with --from FOLDER"
        ) from None
    if answer.status_code >= 400 and answer.status_code != 416:
        answer.close()
        raise FileNotFoundError(f"{url}: the server says {answer.status_code} {answer.reason}")
    return answer


def _download(name: str, url: str, expected: Checksum, place: Path, progress: Progress) -> Path:
    """Through pooch, which leaves alone a file that is there already."""
    target = place / name
    if target.is_file():
        try:
            verify(target, expected)
            return target
        except WrongChecksum:
            target.unlink()

    def bring(url: str, output: Any, _: Any) -> None:
        part = place / f".{name}.part"
        _resume(url, part, lambda done, total: progress(name, done, total))
        try:
            verify(part, expected)
        except WrongChecksum:
            part.unlink()
            raise WrongChecksum(f"{url} did not give the published file; try again") from None
        part.replace(output)

    target.parent.mkdir(parents=True, exist_ok=True)
    # git's checksum is not one of pooch's; every one has been checked before it looks.
    known = None if expected.kind == "git_blob" else f"{expected.kind}:{expected.value}"
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")
    try:
        pooch.retrieve(url, known, fname=name, path=place, downloader=bring)
    finally:
        logger.setLevel(level)
    return target


def _resume(url: str, part: Path, progress: Callable[[int, int], None]) -> None:
    """Download to ``part``, from where an earlier download of it ended."""
    done = part.stat().st_size if part.exists() else 0
    with _get(url, {"Range": f"bytes={done}-"} if done else {}) as answer:
        if answer.status_code == 416:  # nothing is missing
            return
        if answer.status_code != 206:  # the server sends all of it again
            done = 0
        total = done + int(answer.headers.get("Content-Length", 0))
        try:
            with part.open("ab" if done else "wb") as file:
                for piece in answer.iter_content(PIECE):
                    file.write(piece)
                    done += len(piece)
                    progress(done, total)
        except requests.RequestException as error:
            raise Offline(
                f"{url} broke off after {done:,} bytes ({type(error).__name__}); the same command "
                "goes on from there"
            ) from None
