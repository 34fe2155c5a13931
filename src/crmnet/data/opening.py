"""Data by what a user calls them: a data set folder, a file of rows, or the name of a public set.

Used by every command that takes data. Public sets are read from the cache, or from a folder that
has the file; nothing is downloaded here.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crmnet.data.dataset import Dataset, is_dataset
from crmnet.data.fetch import cached, find_in
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.registry import DataCard, cards, find
from crmnet.data.rejections import rejection_summary
from crmnet.data.validate import Source

log = logging.getLogger("crmnet")


def is_known(path: Path) -> bool:
    """Whether ``path`` is no file but the name of a public data set."""
    return str(path) in cards() and not path.exists()


def public_source(
    name: str, *, cache: Path | None = None, folder: Path | None = None, medium: str | None = None
) -> Source:
    """How to read a public data set that has been fetched, or lies below ``folder``.

    Args:
        name: Of its card.
        cache: Another cache than the usual one.
        folder: Where to look in place of the cache.
        medium: Another name for its medium.

    Raises:
        FileNotFoundError: If the file is in neither.
        ValueError: If there is no such card, or it holds no rows.
    """
    card = find(name)
    if not card.holds_rows:
        raise ValueError(f"{name} ({card.about}) holds no measurements to read")
    path = find_in(folder, card) if folder is not None else cached(card, cache)
    if path is None:
        raise FileNotFoundError(
            f"{name} is not in the cache; `crmnet data fetch {name}` brings it, with --from "
            "FOLDER out of a folder that has its file"
        )
    return _source(card, path, medium)


def _source(card: DataCard, path: Path, medium: str | None) -> Source:
    return Source(
        path,
        medium=medium or card.medium,
        unit=card.unit,
        columns=card.columns,
        trim=card.trim,
        only=card.only,
        above=card.above,
    )


@contextmanager
def opened(path: Path, options: IngestOptions | None = None) -> Iterator[Dataset]:
    """A data set to read from: the folder ``path``, the rows of that file, or a public set.

    A file is ingested into a temporary folder, which goes when the block ends.

    Raises:
        FileNotFoundError: If there is nothing of that name.
        ValueError: If it cannot be read.
    """
    if is_dataset(path) or path.is_dir():
        yield Dataset.open(path)
        return
    known = is_known(path)
    source = public_source(str(path)) if known else path
    with tempfile.TemporaryDirectory() as folder:
        name = str(path) if known else path.name.split(".")[0]
        dataset = ingest([source], Path(folder) / name, options)
        for line in rejection_summary(dataset.manifest):
            log.info("%s: %s", dataset.name, line)
        yield dataset
