"""Writes a subset of the rows of a data set as a new data set.

The functions take an opened :class:`~crmnet.data.dataset.Dataset` and row numbers
(:mod:`crmnet.data.splits` selects them), and write data set folders. ``data split`` and
distillation use them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crmnet.data.dataset import LABELLED_BY, Dataset
from crmnet.data.hashes import Hashes
from crmnet.data.homology import KmerOptions
from crmnet.data.splits import FamilyRule, families, hold_out
from crmnet.data.writer import (
    DatasetWriter,
    EncodedRows,
    check_destination,
    new_folder,
    new_folders,
)
from crmnet.files import PathLike, check_source_stays
from crmnet.names import did_you_mean
from crmnet.sequence import Preparation, sequence_lengths

CHUNK = 1 << 16
"""Rows copied at a time."""


def copy_rows(
    dataset: Dataset,
    rows: npt.ArrayLike,
    destination: PathLike,
    *,
    family: Hashes | None = None,
    made_by: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> Dataset:
    """Write some rows of a data set, in the given order, as a new data set.

    Args:
        dataset: Source of the rows.
        rows: Row numbers.
        destination: Folder to create.
        family: Family of every row of ``dataset``; replaces the families in ``dataset``.
        made_by: Entries for the manifest, next to name and fingerprint of ``dataset``.
        overwrite: Replace an existing data set.

    Raises:
        FileExistsError: If ``destination`` exists and may not be overwritten.
        ValueError: If there are no rows.
    """
    rows = np.asarray(rows)
    _check_rows(dataset, rows, destination)
    check_source_stays(dataset.path, destination)
    with new_folder(destination, overwrite) as folder:
        _write(dataset, rows, folder, family, made_by or {})
    return Dataset.open(destination)


def _check_rows(dataset: Dataset, rows: npt.NDArray[np.int64], destination: PathLike) -> None:
    if not len(rows):
        raise ValueError(f"{dataset.path}: no rows to write to {destination}")


def _write(
    dataset: Dataset,
    rows: npt.NDArray[np.int64],
    folder: Path,
    family: Hashes | None,
    made_by: Mapping[str, Any],
) -> None:
    """Write some rows into an empty folder."""
    family = dataset.family if family is None else family
    with DatasetWriter(folder, packed=bool(dataset.manifest.get("packed"))) as writer:
        lengths = append_rows(writer, dataset, rows, family)
        teacher = {} if dataset.labelled_by is None else {LABELLED_BY: dataset.labelled_by}
        finish_derived(writer, dataset, lengths, dataset.manifest["flanks"], {**teacher, **made_by})


def append_rows(
    writer: DatasetWriter,
    dataset: Dataset,
    rows: npt.NDArray[np.int64],
    family: Hashes | None,
    *,
    weights: bool = True,
) -> Counter[int]:
    """Append some rows of a data set.

    Args:
        writer: Receives the rows.
        dataset: Source of the rows.
        rows: Row numbers.
        family: Family of every row of ``dataset``.
        weights: Write the ``weight`` column, if there is one.

    Returns:
        Length of a sequence → number of sequences, for :func:`finish_derived`.
    """
    lengths: Counter[int] = Counter()
    weight = dataset.weight if weights else None
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        tokens = np.asarray(dataset.tokens[chunk])
        writer.append(
            EncodedRows(
                tokens,
                np.asarray(dataset.labels[chunk]),
                np.asarray(dataset.medium[chunk]),
                dataset.media,
                None if family is None else np.asarray(family[chunk]),
                None if weight is None else np.asarray(weight[chunk]),
                dataset.units,
            ),
            dataset.name,
        )
        lengths.update(sequence_lengths(tokens).tolist())
    return lengths


def finish_derived(
    writer: DatasetWriter,
    origin: Dataset,
    lengths: Mapping[int, int],
    flanks: str,
    made_by: Mapping[str, Any],
) -> None:
    """Write the manifest of a data set that is derived from another, without rejected rows.

    Args:
        writer: Writer that has received all rows.
        origin: Data set with the same rows, or with the promoters from which they were derived.
        lengths: Length of a sequence → number of sequences.
        flanks: Treatment of adapters, for the manifest.
        made_by: Entries for the manifest, next to name and fingerprint of ``origin``.
    """
    writer.finish(
        flanks=flanks,
        preparation=asdict(Preparation(total=writer.rows)),
        lengths={str(n): count for n, count in sorted(lengths.items())},
        rows_read=writer.rows,
        rejected={},
        sources=[{"file": origin.name, "rows_read": len(origin), "rows_taken": writer.rows}],
        origin={"name": origin.name, "fingerprint": origin.fingerprint, **made_by},
    )


def rows_of_media(dataset: Dataset, media: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which rows have one of the given media: ``(N,)``.

    Raises:
        ValueError: If the data set has no such medium.
    """
    for medium in media:
        if medium not in dataset.media:
            hint = did_you_mean(medium, dataset.media) or f"it has {', '.join(dataset.media)}"
            raise ValueError(f"{dataset.path} has no rows of {medium!r}; {hint}")
    numbers = [dataset.media.index(medium) for medium in media]
    return np.isin(np.asarray(dataset.medium), numbers)


def only_media(dataset: Dataset, media: Sequence[str]) -> Dataset:
    """The rows of some media, in memory; name and fingerprint stay those of the data set."""
    rows = np.nonzero(rows_of_media(dataset, media))[0]
    kept = [medium for medium in dataset.media if medium in media]
    number = np.array([kept.index(m) if m in kept else 0 for m in dataset.media], dtype=np.uint8)
    of_media = {medium: dataset.manifest["media"][medium] for medium in kept}
    return replace(
        dataset,
        manifest={**dataset.manifest, "media": of_media},
        tokens=np.asarray(dataset.tokens[rows]),
        labels=np.asarray(dataset.labels)[rows],
        medium=number[np.asarray(dataset.medium)[rows]],
        family=None if dataset.family is None else np.asarray(dataset.family)[rows],
        weight=None if dataset.weight is None else np.asarray(dataset.weight)[rows],
    )


@dataclass(frozen=True)
class SplitOptions:
    """Options of :func:`split`."""

    fraction: float = 0.1
    """Expected fraction of families that are held out."""
    by: FamilyRule = "homology"
    """Rule that defines families; see :func:`crmnet.data.splits.families`."""
    seed: int = 0
    """Selects the held-out families."""
    kmers: KmerOptions = field(default_factory=KmerOptions)
    """Which k-mers count for homology."""
    overwrite: bool = False
    """Replace existing data sets."""


def split(
    dataset: Dataset,
    train: PathLike,
    held_out: PathLike | None,
    options: SplitOptions | None = None,
    *,
    keep: npt.ArrayLike | None = None,
) -> list[Dataset]:
    """Divide a data set into two without a common family; both store the families.

    Args:
        dataset: The data set to divide.
        train: Folder to create for the training set.
        held_out: Folder to create for the held-out set; None holds out nothing.
        options: How to divide.
        keep: Numbers of the rows to divide; other rows are left out. None means all.

    Returns:
        The new data sets, opened.

    Raises:
        FileExistsError: If a folder exists and may not be overwritten.
        ValueError: If ``options.by`` is ``family`` and the data set has no families, if a part
            would be empty, or if it would replace the data set or lie in the other part.
    """
    keep = None if keep is None else np.asarray(keep)
    train = Path(train)
    held_out = None if held_out is None else Path(held_out)
    options = options or SplitOptions()
    if options.by == "family" and dataset.family is None:
        raise ValueError(
            f"{dataset.path} has no families; ingest it with a family column, or split it "
            "by sequence or by homology"
        )
    if held_out is not None and train.resolve() == held_out.resolve():
        raise ValueError(f"both parts would be written to {train}; give two names")
    if held_out is not None:
        for outer, inner in ((train, held_out), (held_out, train)):
            if outer.resolve() in inner.resolve().parents:
                raise ValueError(
                    f"{inner} lies in {outer}, which is the other part; name folders beside each "
                    "other"
                )
    destinations = [train] if held_out is None else [train, held_out]
    for destination in destinations:
        check_source_stays(dataset.path, destination)
        check_destination(destination, options.overwrite)
    family = families(dataset, options.by, options.kmers)
    rows_of_part = [np.arange(len(dataset))]
    if held_out is not None:
        rows_of_part = list(hold_out(dataset, options.fraction, options.seed, family=family))
    if keep is not None:
        rows_of_part = [rows[np.isin(rows, keep)] for rows in rows_of_part]
    for rows, destination in zip(rows_of_part, destinations, strict=True):
        _check_rows(dataset, rows, destination)
    with new_folders(destinations, options.overwrite) as folders:
        for rows, folder in zip(rows_of_part, folders, strict=True):
            _write(dataset, rows, folder, family, {"split": _manifest_entry(options)})
    return [Dataset.open(destination) for destination in destinations]


def _manifest_entry(options: SplitOptions) -> dict[str, Any]:
    """The options as the manifest stores them; it calls the k-mers ``words``.

    ``overwrite`` is left out, so that the same split always has the same manifest.
    """
    entry = asdict(options)
    del entry["overwrite"]
    return {{"kmers": "words"}.get(key, key): value for key, value in entry.items()}
