"""A data set on disk: tokens and labels as memory-mapped arrays, and a manifest.

:mod:`crmnet.data.ingest` writes these folders (through :mod:`crmnet.data.writer`);
:mod:`crmnet.data.loader` and the commands read them. One row is one measurement: a sequence, its
expression and the medium.

    DATASET/
      tokens.npy     (N, 112) uint8
      labels.npy     (N,) float32, in the unit of the medium
      medium.npy     (N,) uint8, index into the manifest's media
      family.npy     (N,) uint64, if the source has families
      weight.npy     (N,) float32, if the source has weights (for example numbers of cells)
      rejected.tsv   every rejected row: file, line, reason, text
      bases.npy, lengths.npy, unknown.npy   instead of tokens.npy in a packed data set
      manifest.json  counts, histograms, sources, fingerprint; written last
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crmnet.choices import Flanks
from crmnet.data.packed import PackedTokens, expand_runs
from crmnet.files import PathLike
from crmnet.sequence import TOP_BIN

FORMAT = 1
"""Version of the format, in the manifest."""
MANIFEST = "manifest.json"
"""File name of the manifest."""
BIN_UNIT, UNKNOWN_UNIT = "sorting bin", "unknown"
"""Units of labels: the mean sorting bin, 0-17, of a promoter's cells; and an unknown scale."""
LABELLED_BY = "labelled_by"
"""Key of a manifest's origin, and of a run's record: identity of the model that made all labels."""
COLUMNS: dict[str, np.dtype[Any]] = {
    "tokens": np.dtype(np.uint8),
    "labels": np.dtype(np.float32),
    "medium": np.dtype(np.uint8),
    "family": np.dtype(np.uint64),
    "weight": np.dtype(np.float32),
}
"""Column → its type on disk."""


@dataclass(frozen=True)
class Dataset:
    """An opened data set; indexing an array reads only these rows from disk."""

    path: Path
    """The folder."""
    manifest: dict[str, Any]
    """Contents of ``manifest.json``."""
    tokens: npt.NDArray[np.uint8]
    """``(N, 112)``; in a packed data set a :class:`~crmnet.data.packed.PackedTokens`."""
    labels: npt.NDArray[np.float32]
    """``(N,)``, in the unit of the medium."""
    medium: npt.NDArray[np.uint8]
    """``(N,)``, index into :attr:`media`."""
    family: npt.NDArray[np.uint64] | None
    """``(N,)``; None if the source had no families."""
    weight: npt.NDArray[np.float32] | None
    """``(N,)``; None if the source had no weights."""
    units_guessed: bool = False
    """True if no unit was stated, and units were guessed from the ranges of the labels. False for a
    data set folder, which records its units."""

    @classmethod
    def open(cls, path: PathLike) -> Dataset:
        """Open a data set folder.

        Raises:
            FileNotFoundError: If the folder does not exist.
            ValueError: If it is not a data set, or its arrays do not match the manifest.
        """
        path = Path(path)
        if not path.exists():
            raise FileNotFoundError(
                f"{path}: no such data set; create one with `crmnet data ingest`"
            )
        if not (path / MANIFEST).is_file():
            raise ValueError(
                f"{path} is not a data set (it has no {MANIFEST}); create one with "
                "`crmnet data ingest FILE -o DATASET`"
            )
        manifest = read_json(path / MANIFEST)
        if manifest.get("format") != FORMAT:
            raise ValueError(
                f"{path} has data set format {manifest.get('format')!r}; this crmnet reads "
                f"{FORMAT}: ingest the rows again"
            )
        read = _packed_column if manifest.get("packed") else _column
        columns = {name: read(path, name, manifest) for name in COLUMNS}
        return cls(path, manifest, **columns)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def media(self) -> list[str]:
        """Names of the media; ``medium`` holds indices into this list."""
        return list(self.manifest["media"])

    @property
    def units(self) -> dict[str, str]:
        """Medium → unit of its labels."""
        return {
            name: statistics.get("unit") or unit_of_range(statistics["min"], statistics["max"])
            for name, statistics in self.manifest["media"].items()
        }

    def unit_to_compare(self, medium: str, other: str | None) -> str | None:
        """Unit of a medium's labels, to compare it with another unit; None if it is unknown.

        A guessed unit shows only whether the labels can be sorting bins.
        """
        unit = self.units[medium]
        is_known = not self.units_guessed or other in (None, unit, BIN_UNIT)
        return unit if is_known else None

    def singleton(self, rows: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether the label of each of ``rows`` is an integer bin, as for a single cell.

        A single cell is in one bin, so its mean bin is an integer. Always False for labels in other
        units.
        """
        in_bins = np.array([unit == BIN_UNIT for unit in self.units.values()])
        rows = np.asarray(rows)
        labels = np.asarray(self.labels[rows])
        return (np.rint(labels) == labels) & in_bins[np.asarray(self.medium[rows])]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the rows: equal for the same rows in the same order."""
        return str(self.manifest["fingerprint"])

    @property
    def flanks_to_match(self) -> Flanks:
        """How to prepare rows that are compared with these: ``none`` if these were, else ``auto``.

        With ``auto``, rows get adapters that these rows lack, and a long one is cut at another
        base.
        """
        return "none" if self.manifest.get("flanks") == "none" else "auto"

    @property
    def labelled_by(self) -> str | None:
        """Identity of the model that predicted all labels; None if some or all were measured."""
        origin = self.manifest.get("origin", {})
        if origin.get("distil", {}).get("with_measured"):
            return None
        labelled_by: str | None = origin.get(LABELLED_BY)
        return labelled_by

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name


def unit_of_range(low: float, high: float) -> str:
    """Unit of labels from ``low`` to ``high``: ``sorting bin`` within 0-17, else ``unknown``."""
    return BIN_UNIT if low >= 0 and high <= TOP_BIN else UNKNOWN_UNIT


def read_json(path: PathLike) -> dict[str, Any]:
    """Read a JSON object from a file.

    Raises:
        ValueError: If the file is damaged; the message names it.
    """
    path = Path(path)
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(read, dict):
        raise ValueError(f"{path} is damaged: it is not a JSON object")
    return read


def is_dataset(path: PathLike) -> bool:
    """Whether ``path`` is a complete data set folder."""
    return (Path(path) / MANIFEST).is_file()


def _packed_column(path: Path, name: str, manifest: dict[str, Any]) -> Any:
    """A column of a packed data set; None if it has no such column."""
    if name == "tokens":
        bases, lengths = (_column(path, part, manifest) for part in ("bases", "lengths"))
        return PackedTokens(bases, lengths, _array(path, "unknown"))
    if name == "medium":
        return expand_runs(_array(path, "medium"))
    return _column(path, name, manifest)


def _array(path: Path, name: str) -> Any:
    """Memory map of an array file."""
    try:
        return np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path / name}.npy is damaged: {error}; ingest again") from error


def _column(path: Path, name: str, manifest: dict[str, Any]) -> Any:
    """A column of the expected length; None if the data set has no such column."""
    if name not in (*manifest["columns"], "bases", "lengths"):
        return None
    array = _array(path, name)
    if len(array) != manifest["rows"]:
        raise ValueError(
            f"{path / name}.npy has {len(array):,} rows, the manifest states {manifest['rows']:,}; "
            "the folder was changed: ingest the rows again"
        )
    return array
