"""Writes tables as TSV, CSV or Parquet, by suffix; a file appears only when it is complete.

All commands that output rows write them with :class:`TableWriter`.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from crmnet.files import STDOUT, PathLike, make_room

KINDS = {
    "": "tsv", ".tsv": "tsv", ".txt": "tsv", ".tab": "tsv", ".csv": "csv", ".parquet": "parquet",
}  # fmt: skip
"""Suffix in lower case → format."""


def table_kind(path: PathLike) -> str:
    """``tsv``, ``csv`` or ``parquet``, by suffix; ``tsv`` without a suffix and for ``-``.

    Raises:
        ValueError: If the suffix is unknown.
    """
    path = Path(path)
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise ValueError(
            f"{path}: tables are written as .tsv, .csv or .parquet, not {path.suffix}; "
            "choose a name with one of these suffixes"
        )
    return kind


class TableWriter:
    """Context manager that writes columns in blocks; the file appears when it ends without error.

    Values of type float32 are written with the digits that reproduce them exactly.

    Args:
        path: The file, or ``-`` for standard output.
        names: Of the columns, in order.

    Raises:
        ValueError: As :func:`table_kind`.
        OSError: As :func:`crmnet.files.make_room`, on entering the context.
    """

    def __init__(self, path: PathLike, names: Sequence[str]) -> None:
        self.path, self.names = Path(path), list(names)
        self.kind = table_kind(path)
        self.columns: dict[str, list[Any]] = {name: [] for name in names}
        self.file: IO[str] | None = None
        self.has_header = False

    def __enter__(self) -> TableWriter:
        make_room(self.path)
        if self.kind != "parquet":
            self.file = sys.stdout if self.path == STDOUT else self._open()
            delimiter = "," if self.kind == "csv" else "\t"
            self.rows = csv.writer(self.file, delimiter=delimiter, lineterminator="\n")
        return self

    def write(self, columns: Mapping[str, Iterable[Any]]) -> None:
        """Append rows; ``columns`` must contain every column of the table."""
        values = [_as_list(columns[name]) for name in self.names]
        lengths = [len(column) for column in values]
        if len(set(lengths)) > 1:
            raise ValueError(f"{self.path}: columns must have the same length; got {lengths}")
        if self.file is None:
            for name, column in zip(self.names, values, strict=True):
                self.columns[name].extend(column)
        else:
            self._write_header()
            self.rows.writerows(zip(*values, strict=True))

    def _write_header(self) -> None:
        """Called with the first rows, not earlier, so that an error at the start prints nothing."""
        if not self.has_header:
            self.has_header = True
            self.rows.writerow(self.names)

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        if self.file is not None and kind is None:
            self._write_header()
        if self.file is not None and self.path != STDOUT:
            self.file.close()
        elif self.file is not None:
            self.file.flush()
        if kind is not None:
            self._partial().unlink(missing_ok=True)
            return
        if self.kind == "parquet":
            import polars

            polars.DataFrame(self.columns).write_parquet(self._partial())
        if self.path != STDOUT:
            self._partial().replace(self.path)

    def _open(self) -> IO[str]:
        return self._partial().open("w", newline="", encoding="utf-8")

    def _partial(self) -> Path:
        return self.path.with_name(f".{self.path.name}.partial")


def _as_list(column: Iterable[Any]) -> list[Any]:
    if isinstance(column, np.ndarray):
        if column.dtype == np.float32:
            return [float(np.format_float_positional(v, trim="0")) for v in column]
        return list(column.tolist())
    return list(column)
