"""Registry of public data sets: source, content, licence and citation of each.

:func:`find_card` takes a name and returns a card from ``cards.toml``, next to this module.
:mod:`crmnet.data.fetch` downloads the files; :mod:`crmnet.data.opening` reads them with the
settings of their cards.
"""

from __future__ import annotations

import functools
import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from crmnet.files import PathLike
from crmnet.names import did_you_mean

CHUNK_BYTES = 1 << 20
"""Bytes of a file read at a time."""
ZENODO_API = "https://zenodo.org/api/records/"
EVERY_FILE = "*"
"""Path of a card that means all files of its Zenodo record."""


@dataclass(frozen=True)
class Origin:
    """Common source of several files: a repository at one commit, or a Zenodo record."""

    name: str
    licence: str
    citation: str
    url: str = ""
    """Base URL of a repository's files."""
    record: int = 0
    """Number of a Zenodo record, 0 if none; Zenodo's API gives URLs and checksums of its files."""


@dataclass(frozen=True)
class DataCard:
    """One public file: description, checksum and how to read it."""

    name: str
    about: str
    """One line that ``crmnet data list`` prints."""
    origin: Origin
    path: str
    """Path within its origin; ``*`` means all files of a Zenodo record."""
    kind: Literal["measurements", "predictions", "model", "other"]
    medium: str = "complex"
    unit: str | None = None
    """Unit of the labels; None means that it follows from their range."""
    rows: int | None = None
    """Number of rows that ingestion accepts, if known."""
    bytes: int | None = None
    """Size of the file, if known."""
    sha256: str | None = None
    git_blob: str | None = None
    """SHA-1 of the file's git blob, if no other checksum is known."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Role → column name, where the file's header has other names."""
    trim: tuple[int, int] = (0, 0)
    """Number of bases to remove from the start and from the end of each sequence."""
    only: Mapping[str, str] = field(default_factory=dict)
    """Column → value; rows with another value are skipped."""
    above: float | None = None
    """Rows with a label up to this value are skipped."""

    @property
    def file(self) -> str:
        """Name of the file, without folders."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def holds_rows(self) -> bool:
        """Whether it can be ingested."""
        return self.kind in ("measurements", "predictions")


@functools.cache
def cards() -> dict[str, DataCard]:
    """All cards by name, in the order of ``cards.toml``."""
    text = resources.files("crmnet.data").joinpath("cards.toml").read_text(encoding="utf-8")
    raw = tomllib.loads(text)
    origins = {name: Origin(name, **entry) for name, entry in raw["sources"].items()}
    return {name: _card(name, dict(entry), origins) for name, entry in raw["cards"].items()}


def _card(name: str, entry: dict[str, Any], origins: Mapping[str, Origin]) -> DataCard:
    """A card from its table in ``cards.toml``."""
    origin = origins[entry.pop("source")]
    left, right = entry.pop("trim", (0, 0))
    return DataCard(name, origin=origin, trim=(left, right), **entry)


def find_card(name: str) -> DataCard:
    """The card with the given name.

    Raises:
        ValueError: If the name is unknown; the message suggests similar names.
    """
    known = cards()
    if name not in known:
        hint = did_you_mean(name, known, max_suggestions=3, cutoff=0.5)
        hint += " " * bool(hint)
        raise ValueError(f"unknown data set {name!r}; {hint}`crmnet data list` shows all")
    return known[name]


class WrongChecksum(ValueError):
    """Raised when a file differs from the published one."""


@dataclass(frozen=True)
class Checksum:
    """Expected checksum of a file; see :func:`verify`."""

    kind: Literal["sha256", "md5", "git_blob"]
    value: str


def checksum_of(card: DataCard) -> Checksum | None:
    """The checksum in a card; None if it has none."""
    if card.sha256 is not None:
        return Checksum("sha256", card.sha256)
    if card.git_blob is not None:
        return Checksum("git_blob", card.git_blob)
    return None


def verify(path: PathLike, expected: Checksum) -> None:
    """Compare a file with a checksum.

    Raises:
        WrongChecksum: If the checksums differ; the message shows both.
    """
    path = Path(path)
    digest = hashlib.sha1() if expected.kind == "git_blob" else hashlib.new(expected.kind)
    if expected.kind == "git_blob":
        digest.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest() != expected.value:
        raise WrongChecksum(
            f"{path} is damaged or another version: its {expected.kind} is {digest.hexdigest()}, "
            f"but the published file has {expected.value}; delete it and fetch it again"
        )
