"""The public data sets that crmnet knows by name: where they lie, what they hold, whose they are.

The cards stand in ``cards.toml`` beside this module. :mod:`crmnet.data.fetch` brings the files,
:mod:`crmnet.data.opening` reads them as their cards say.
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

PIECE = 1 << 20
ZENODO_API = "https://zenodo.org/api/records/"
EVERY_FILE = "*"


@dataclass(frozen=True)
class Origin:
    """Where files come from together: a repository at one commit, or a Zenodo record."""

    name: str
    licence: str
    citation: str
    url: str = ""
    """What the paths of a repository's files are appended to."""
    record: int = 0
    """Number of a Zenodo record; its API gives addresses and checksums."""


@dataclass(frozen=True)
class DataCard:
    """One public file: what it is, how to tell that a copy is whole, and how to read it."""

    name: str
    about: str
    origin: Origin
    path: str
    """Within its origin; ``*`` is every file of a Zenodo record."""
    kind: Literal["measurements", "predictions", "model", "other"]
    medium: str = "complex"
    unit: str | None = None
    rows: int | None = None
    """That ingestion takes, where that is known."""
    bytes: int | None = None
    sha256: str | None = None
    git_blob: str | None = None
    """SHA-1 of the file as git stores it, where no other checksum is known."""
    columns: Mapping[str, str] = field(default_factory=dict)
    trim: tuple[int, int] = (0, 0)
    """Bases to cut from either end of each sequence."""
    only: Mapping[str, str] = field(default_factory=dict)
    """Column → the value it must have in rows that are taken."""
    above: float | None = None
    """Labels that are taken are larger than this."""

    @property
    def file(self) -> str:
        """Name of the file."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def holds_rows(self) -> bool:
        """Whether it can be ingested."""
        return self.kind in ("measurements", "predictions")


@functools.cache
def cards() -> dict[str, DataCard]:
    """Every card by name, in the order in which they are listed."""
    text = resources.files("crmnet.data").joinpath("cards.toml").read_text(encoding="utf-8")
    raw = tomllib.loads(text)
    origins = {name: Origin(name, **found) for name, found in raw["sources"].items()}
    return {name: _card(name, dict(found), origins) for name, found in raw["cards"].items()}


def _card(name: str, found: dict[str, Any], origins: Mapping[str, Origin]) -> DataCard:
    origin = origins[found.pop("source")]
    left, right = found.pop("trim", (0, 0))
    return DataCard(name, origin=origin, trim=(left, right), **found)


def find(name: str) -> DataCard:
    """The card of that name.

    Raises:
        ValueError: If there is none; the message names similar ones.
    """
    known = cards()
    if name not in known:
        hint = did_you_mean(name, known, most=3, cutoff=0.5)
        hint += " " * bool(hint)
        raise ValueError(f"no known data set {name!r}; {hint}`crmnet data list` shows all")
    return known[name]


class WrongChecksum(ValueError):
    """A file is not, or not wholly, the published one."""


@dataclass(frozen=True)
class Checksum:
    """What a whole copy of a file must give; see :func:`verify`."""

    kind: Literal["sha256", "md5", "git_blob"]
    value: str


def checksum_of(card: DataCard) -> Checksum | None:
    """The checksum that the card itself knows."""
    if card.sha256 is not None:
        return Checksum("sha256", card.sha256)
    if card.git_blob is not None:
        return Checksum("git_blob", card.git_blob)
    return None


def verify(path: PathLike, expected: Checksum) -> None:
    """Check a file against a checksum.

    Raises:
        WrongChecksum: If it is another, naming both.
    """
    path = Path(path)
    digest = hashlib.sha1() if expected.kind == "git_blob" else hashlib.new(expected.kind)
    if expected.kind == "git_blob":
        digest.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    if digest.hexdigest() != expected.value:
        raise WrongChecksum(
            f"{path} is damaged or another version: its {expected.kind} is {digest.hexdigest()}, "
            f"that of the published file {expected.value}; remove it and fetch it again"
        )
