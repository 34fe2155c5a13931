"""Writes a data set folder block by block: arrays, statistics, fingerprint, and the manifest last.

:mod:`crmnet.data.ingest` writes rows of text files with it, :mod:`crmnet.data.subset` rows of other
data sets; :mod:`crmnet.data.dataset` opens the folder. Memory does not grow with the number of
rows. A data set gets its name only when it is complete. A killed command leaves a hidden folder
``.NAME.partial``, which no command reads and which the next attempt removes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crmnet import sequence
from crmnet.data.dataset import (
    COLUMNS,
    FORMAT,
    MANIFEST,
    is_dataset,
    unit_of_range,
)
from crmnet.data.packed import extend_runs, pack
from crmnet.files import (
    PathLike,
    check_free,
    locked,
    make_folder,
    named_errors,
    partial_of,
    target_of,
)

HISTOGRAM_WIDTH = 0.1
MAX_MEDIA = 255


@contextmanager
def new_folder(destination: PathLike, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder; becomes ``destination`` if the block succeeds, else is removed.

    Raises:
        FileExistsError: See :func:`check_destination`.
        WriteError: If another process is writing ``destination``, or the disk is full.
    """
    with new_folders([destination], overwrite) as (folder,):
        yield folder


@contextmanager
def new_folders(destinations: Sequence[PathLike], overwrite: bool = False) -> Iterator[list[Path]]:
    """Temporary folders that become ``destinations`` together, or are removed.

    An interruption never leaves a new folder beside an old one. All old folders are renamed before
    the first new folder gets its name. The next attempt restores them, and removes the temporary
    folders of an interrupted attempt.

    Raises:
        FileExistsError: See :func:`check_destination`.
        WriteError: If another process is writing one of them, or the disk is full.
    """
    targets = [target_of(path) for path in destinations]
    for target in targets:
        check_destination(target, overwrite)
    with ExitStack() as stack:
        for target, destination in zip(targets, destinations, strict=True):
            make_folder(target.parent, target)
            stack.enter_context(locked(target, title=str(destination)))
            stack.enter_context(named_errors(destination))
            stack.callback(shutil.rmtree, partial_of(target), ignore_errors=True)
        for target in targets:
            _restore(target)
            check_destination(target, overwrite)
        partials = [partial_of(target) for target in targets]
        for partial in partials:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
        yield partials
        _replace(dict(zip(partials, targets, strict=True)))


def check_destination(destination: PathLike, overwrite: bool) -> None:
    """Check that a folder may be created or replaced.

    Raises:
        FileExistsError: If it exists and ``overwrite`` is False, or if it is not a data set.
    """
    destination = Path(destination)
    check_free(destination, overwrite)
    if destination.exists() and not is_dataset(destination):
        raise FileExistsError(f"{destination} is not a data set and is not overwritten")


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _restore(target: Path) -> None:
    """Restore the old folder of an interrupted replacement, or remove it if a new one exists."""
    old = _old(target)
    if target.exists():
        shutil.rmtree(old, ignore_errors=True)
    elif old.exists():
        old.rename(target)


def _replace(targets_of: Mapping[Path, Path]) -> None:
    """Rename complete temporary folders to their targets; existing targets are removed last."""
    for target in targets_of.values():
        if target.exists():
            target.rename(_old(target))
    for partial, target in targets_of.items():
        partial.rename(target)
    for target in targets_of.values():
        shutil.rmtree(_old(target), ignore_errors=True)


@dataclass
class EncodedRows:
    """Rows to append, as arrays of equal length."""

    tokens: sequence.Tokens
    """``(N, 112)``."""
    labels: npt.NDArray[np.float32]
    medium: npt.NDArray[np.integer[Any]]
    """Indices into ``media``, which may differ from the data set's list."""
    media: Sequence[str]
    family: npt.NDArray[np.uint64] | None = None
    weight: npt.NDArray[np.float32] | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    """Medium → unit of its labels; without one it follows from the range of the labels."""


class DatasetWriter:
    """Appends blocks of rows to the arrays in ``folder`` and computes their statistics."""

    def __init__(self, folder: PathLike, *, packed: bool = False) -> None:
        self.folder, self.packed = Path(folder), packed
        self.rows = 0
        self.runs: list[list[int]] = []
        """(medium, end) of each run of equal media, for packed data sets."""
        self.media: dict[str, _LabelStatistics] = {}
        self.sources: dict[tuple[str, str], _Source] = {}
        """(medium, source) → unit or range of its labels."""
        self.digests = {name: hashlib.sha256() for name in COLUMNS}
        self.arrays: dict[str, _ArrayFile] = {}
        self.columns: dict[str, None] = {}
        """Names of the columns, in order."""

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for array in self.arrays.values():
            array.close()

    def append(self, rows: EncodedRows, source: str) -> None:
        """Add rows; errors name ``source``.

        Raises:
            ValueError: If some blocks have a column and others do not, or there are too many media.
        """
        columns: dict[str, Any] = {
            "tokens": rows.tokens,
            "labels": rows.labels,
            "medium": self._medium_numbers(rows, source),
            "family": rows.family,
            "weight": rows.weight,
        }
        for name in COLUMNS:
            self._append(name, columns[name], source)
        self.rows += len(rows.labels)

    def _append(self, name: str, values: Any, source: str) -> None:
        if self.rows > 0 and (values is None) == (name in self.columns):
            raise ValueError(
                f"{source}: column {name!r} is in some files and not in others; "
                "give it in all or in none"
            )
        if values is None:
            return
        content = np.ascontiguousarray(values, dtype=COLUMNS[name])
        self.digests[name].update(content.data)
        self.columns[name] = None
        if self.packed and name == "tokens":
            arrays = pack(content, self.rows)
            for array, values in zip(("bases", "lengths", "unknown"), arrays, strict=True):
                self._write(array, np.asarray(values))
        elif self.packed and name == "medium":
            extend_runs(content, self.runs)
        else:
            self._write(name, content)

    def _write(self, name: str, values: npt.NDArray[Any]) -> None:
        if name not in self.arrays:
            self.arrays[name] = _ArrayFile(self.folder / f"{name}.npy", values)
        self.arrays[name].append(values)

    def _medium_numbers(self, rows: EncodedRows, source: str) -> npt.NDArray[np.uint8]:
        numbers = np.zeros(len(rows.media), dtype=np.uint8)
        counts = np.bincount(rows.medium, minlength=len(rows.media))
        for local in np.nonzero(counts)[0].tolist():
            name = rows.media[local]
            if name not in self.media:
                if len(self.media) == MAX_MEDIA:
                    raise ValueError(f"more than {MAX_MEDIA} media; check the medium column")
                self.media[name] = _LabelStatistics()
            only_one = counts[local] == len(rows.labels)
            labels = rows.labels if only_one else rows.labels[rows.medium == local]
            self.media[name].update(labels)
            self.sources.setdefault((name, source), _Source(rows.units.get(name))).update(labels)
            numbers[local] = list(self.media).index(name)
        return numbers[rows.medium]

    def finish(self, **entries: Any) -> None:
        """Write the headers of the arrays, then the manifest with additional ``entries``."""
        units = {name: self._unit(name) for name in self.media}
        if self.packed:
            self._write("medium", np.array(self.runs, dtype=np.uint32))
        for array in self.arrays.values():
            array.finish()
        manifest = {
            "format": FORMAT,
            "rows": self.rows,
            "length": sequence.LENGTH,
            "columns": list(self.columns),
            **({"packed": True} if self.packed else {}),
            "media": {
                name: {"unit": units[name], **statistics.summary()}
                for name, statistics in self.media.items()
            },
            **entries,
            "fingerprint": self._fingerprint(),
        }
        (self.folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")

    def _unit(self, medium: str) -> str:
        """The common unit of all sources of a medium."""
        sources = {
            title: source for (name, title), source in self.sources.items() if name == medium
        }
        units = {source.known_unit for source in sources.values()}
        if len(units) > 1:
            scales = "; ".join(
                f"{title} from {source.low:g} to {source.high:g} ({source.known_unit})"
                for title, source in sources.items()
            )
            raise ValueError(
                f"labels of medium {medium!r} are on different scales: {scales}; give each "
                "file its own medium with --medium, or all files one unit with --unit"
            )
        return units.pop()

    def _fingerprint(self) -> str:
        texts = [*self.media, *(digest.hexdigest() for digest in self.digests.values())]
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()


class _Source:
    """Unit of one source's labels in one medium, or their range if the unit is not given."""

    def __init__(self, unit: str | None) -> None:
        self.unit, self.low, self.high = unit, float("inf"), float("-inf")

    def update(self, labels: npt.NDArray[np.float32]) -> None:
        self.low = min(self.low, float(labels.min()))
        self.high = max(self.high, float(labels.max()))

    @property
    def known_unit(self) -> str:
        return self.unit or unit_of_range(self.low, self.high)


class _LabelStatistics:
    """Count, range, mean, standard deviation and histogram of a medium's labels, in one pass."""

    def __init__(self) -> None:
        self.n, self.total, self.squares = 0, 0.0, 0.0
        self.low, self.high = float("inf"), float("-inf")
        self.histogram: Counter[int] = Counter()

    def update(self, labels: npt.NDArray[np.float32]) -> None:
        values = labels.astype(np.float64)
        self.n += len(values)
        self.total += float(values.sum())
        self.squares += float((values**2).sum())
        self.low, self.high = min(self.low, values.min()), max(self.high, values.max())
        bins = np.clip(np.floor(values / HISTOGRAM_WIDTH), -1e6, 1e6).astype(np.int64)
        lowest = int(bins.min())
        counts = np.bincount(bins - lowest)  # at most 2 million bins, far fewer for real labels
        filled = np.nonzero(counts)[0]
        self.histogram.update(
            dict(zip((filled + lowest).tolist(), counts[filled].tolist(), strict=True))
        )

    def summary(self) -> dict[str, Any]:
        mean = self.total / self.n
        return {
            "rows": self.n,
            "mean": mean,
            "sd": max(0.0, self.squares / self.n - mean**2) ** 0.5,
            "min": float(self.low),
            "max": float(self.high),
            "histogram": {
                "width": HISTOGRAM_WIDTH,
                "bins": {str(b): c for b, c in sorted(self.histogram.items())},
            },
        }


class _ArrayFile:
    """A .npy file for appending; :meth:`finish` writes the number of rows into its header."""

    HEADER = 128

    def __init__(self, path: Path, like: npt.NDArray[Any]) -> None:
        self.dtype, self.shape = like.dtype, like.shape[1:]
        self.rows = 0
        self.file = path.open("wb")
        self.file.write(b"\0" * self.HEADER)

    def append(self, values: npt.NDArray[Any]) -> None:
        self.file.write(np.ascontiguousarray(values, dtype=self.dtype).data)
        self.rows += len(values)

    def finish(self) -> None:
        shape = (self.rows, *self.shape)
        text = f"{{'descr': '{self.dtype.str}', 'fortran_order': False, 'shape': {shape}, }}"
        padded = text.ljust(self.HEADER - 11).encode("latin-1") + b"\n"
        self.file.seek(0)
        self.file.write(b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded)

    def close(self) -> None:
        self.file.close()
