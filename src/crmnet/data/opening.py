"""Opens a data set folder, a file of rows, or a public data set.

:func:`open_data` takes the path or name that a user gives, and returns an opened data set. Every
command that reads data uses it. A public data set is read from the cache, or from a folder that
contains its file. This module downloads nothing; :mod:`crmnet.data.fetch` does.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from crmnet.data.dataset import Dataset, is_dataset
from crmnet.data.fetch import cached, find_in
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.lines import TOO_LONG
from crmnet.data.reading import STDIN, open_bytes, read_blocks
from crmnet.data.registry import DataCard, cards, find_card
from crmnet.data.rejections import rejection_summary, rejections
from crmnet.data.sequences import check_id
from crmnet.data.validate import Source
from crmnet.files import PathLike, as_paths, temporary_folder
from crmnet.sequence import LENGTH, WARNING, Flanks

log = logging.getLogger("crmnet")


def is_public_dataset(path: PathLike) -> bool:
    """Whether ``path`` is the name of a public data set and no such file exists."""
    path = Path(path)
    return str(path) in cards() and not path.exists()


def public_source(
    name: str,
    *,
    cache: PathLike | None = None,
    folder: PathLike | None = None,
    medium: str | None = None,
) -> Source:
    """File of a public data set, in the cache or in ``folder``, and the settings to read it.

    Args:
        name: Name of its card.
        cache: Cache folder; None means the default one.
        folder: Folder to search instead of the cache.
        medium: Name of its medium; None means the medium of the card.

    Raises:
        FileNotFoundError: If the cache or the folder does not hold the file.
        ValueError: If the name is unknown, or the file holds no rows.
    """
    card = find_card(name)
    if not card.holds_rows:
        raise ValueError(f"{name} ({card.about}) holds no measurements to read")
    path = find_in(folder, card) if folder is not None else cached(card, cache)
    if path is None:
        raise FileNotFoundError(
            f"{name} is not in the cache; fetch it with `crmnet data fetch {name}`, with --from "
            "FOLDER if a folder has its file"
        )
    return _source(card, path, medium)


def _source(card: DataCard, path: Path, medium: str | None) -> Source:
    """The file with the settings of its card."""
    return Source(
        path,
        medium=medium or card.medium,
        unit=card.unit,
        columns=card.columns,
        trim=card.trim,
        only=card.only,
        above=card.above,
    )


def check_data(paths: PathLike | Iterable[PathLike | None]) -> None:
    """Check that data sets, files and public data sets exist, before work begins on any of them.

    Args:
        paths: As for :func:`open_data`; None is skipped, and so is standard input.

    Raises:
        FileNotFoundError: If one is missing, or is a public data set that has not been fetched.
        ValueError: If a public data set holds no rows.
    """
    paths = [paths] if isinstance(paths, str | os.PathLike) else paths
    for path in [Path(path) for path in paths if path is not None]:
        if is_public_dataset(path):
            public_source(str(path))
        elif path != STDIN and not path.exists():
            open_bytes(path)  # raises the error, with its advice


@contextmanager
def open_data(path: PathLike, options: IngestOptions | None = None) -> Iterator[Dataset]:
    """Open a data set folder, a file of rows, or a public data set.

    A file is ingested into a temporary folder (:func:`crmnet.files.temporary_folder`), which is
    removed when the block ends.

    Args:
        path: Folder, file, or name of a public data set.
        options: How to read a file; None means the defaults.

    Raises:
        FileNotFoundError: If no folder, file or public data set has this name.
        ValueError: If it cannot be read.
    """
    path = Path(path)
    options = replace(options or IngestOptions(advice=False), pooled_media=True)
    if is_dataset(path) or path.is_dir():
        yield Dataset.open(path)
        return
    is_public = is_public_dataset(path)
    source = public_source(str(path)) if is_public else path
    with temporary_folder() as folder:
        name = str(path) if is_public else path.name.lstrip(".").split(".")[0]
        dataset = ingest([source], folder / name, options)
        for line in rejection_summary(dataset.manifest):
            prefix = WARNING if line.startswith(WARNING) else ""
            log.info("%s%s: %s", prefix, dataset.name, line.removeprefix(prefix))
        stated = options.units or (isinstance(source, Source) and source.unit)
        yield replace(dataset, units_guessed=not stated)


def flanks_like(*paths: PathLike) -> Flanks:
    """How to read files whose rows are compared with data sets: ``none`` if one was made so.

    Else ``auto``; see :attr:`crmnet.data.dataset.Dataset.flanks_to_match`.
    """
    made = {Dataset.open(path).flanks_to_match for path in paths if is_dataset(path)}
    return "none" if "none" in made else "auto"


def warn_of_other_flanks(dataset: Dataset, flanks: Flanks, others: str) -> None:
    """Warn if either a data set or the rows that it meets were read with ``--flanks none``.

    Args:
        dataset: The data set.
        flanks: How the other rows were read, ``none`` or ``auto``.
        others: What the other rows are, for the warning.
    """
    if dataset.flanks_to_match == flanks:
        return
    own, theirs = ("without", "with") if flanks == "none" else ("with", "without")
    log.warning(
        "%s%s was read %s --flanks none, %s %s it; ingest it again %s --flanks none",
        WARNING, dataset.name, own, others, theirs, theirs,
    )  # fmt: skip


def may_lack_medium(path: PathLike) -> bool:
    """Whether ``path`` is a file, whose rows may name no medium, and not a data set by name."""
    return not is_dataset(path) and not is_public_dataset(path)


def rows_left_out(path: PathLike, dataset: Dataset) -> int:
    """Number of rows of the file ``path`` that :func:`open_data` rejected or skipped.

    0 for a data set folder; its manifest counts the rows rejected at ingestion.
    """
    return 0 if is_dataset(path) else dataset.manifest["rows_read"] - len(dataset)


def row_ids(
    path: PathLike, dataset: Dataset, columns: Mapping[str, str] | None = None
) -> list[str] | None:
    """Id of each row of a data set that :func:`open_data` created from the file ``path``.

    Ids are those of the file: FASTA names or its ``id`` column, else numbers of its rows from 1.
    The log names rows that were left out because they are too long for the network.

    Args:
        path: The path passed to :func:`open_data`; the file is read once more.
        dataset: The data set that :func:`open_data` yielded.
        columns: Role → name of the file's columns.

    Returns:
        None for a data set folder, which keeps no ids, and for standard input.
    """
    path = Path(path)
    if is_dataset(path) or path == STDIN:
        return None
    source = (
        public_source(str(path)) if is_public_dataset(path) else Source(path, columns=columns or {})
    )
    rejected = {int(line): reason for _, line, reason, _ in rejections(dataset)}
    ids, long, count = [], [], 0
    for block in read_blocks(source.path, ("id", "sequence"), _only_ids(source.columns)):
        names = block.columns.get("id", [b""] * len(block))
        for line, name in zip(block.lines, names, strict=True):
            count += 1
            check_id(name, source.path, line)
            text = name.decode(errors="replace") or str(count)
            if line not in rejected:
                ids.append(text)
            elif rejected[line] == TOO_LONG:
                long.append(f"{text} (line {line:,})")
    if long:
        more = f" and {len(long) - 5:,} more" if len(long) > 5 else ""
        log.warning(
            "%s: %s rows are longer, with adapters, than the %s bases that the network reads, and "
            "are left out: %s", dataset.name, f"{len(long):,}", LENGTH, ", ".join(long[:5]) + more,
        )  # fmt: skip
    return ids if len(ids) == len(dataset) else None


def _only_ids(columns: Mapping[str, str]) -> dict[str, str]:
    return {role: name for role, name in columns.items() if role in ("id", "sequence")}


@contextmanager
def open_all_data(
    paths: PathLike | Sequence[PathLike], media: Sequence[str], options: IngestOptions
) -> Iterator[list[Dataset]]:
    """:func:`open_data` for several paths; the data sets stay open until the block ends.

    Args:
        paths: Folders, files, or names of public data sets.
        media: Medium of files without a ``medium`` column: one for all, or one for each path.
        options: How to read files; its media are not used.

    Raises:
        ValueError: If the number of media differs from the number of paths, or as for
            :func:`open_data`.
    """
    paths = as_paths(paths)
    check_data(paths)
    if len(media) not in (1, len(paths)):
        raise ValueError(f"{len(media)} media for {len(paths)} sets; give one, or one for each")
    media = list(media) * (len(paths) if len(media) == 1 else 1)
    with ExitStack() as stack:
        yield [
            stack.enter_context(open_data(path, replace(options, media=(medium,))))
            for path, medium in zip(paths, media, strict=True)
        ]
