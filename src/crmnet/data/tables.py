"""Tables out: TSV by default, CSV or Parquet by suffix, written whole or not at all.

The last step of every command that answers with rows.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

STDOUT = Path("-")


class TableWriter:
    """Writes columns block by block; a file gets its name when the block ``with`` ends well.

    Numbers of type float32 are written with the digits that give the same float32 back.
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self.path, self.names = path, list(names)
        self.parquet = path.suffix == ".parquet"
        self.columns: dict[str, list[Any]] = {name: [] for name in names}
        self.file: IO[str] | None = None
        self.headed = False

    def __enter__(self) -> TableWriter:
        if self.path != STDOUT:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.parquet:
            self.file = sys.stdout if self.path == STDOUT else self._open()
            comma = self.path.suffix == ".csv"
            self.rows = csv.writer(self.file, delimiter="," if comma else "\t", lineterminator="\n")
        return self

    def write(self, columns: Mapping[str, Iterable[Any]]) -> None:
        """Append rows; ``columns`` must hold every named column."""
        values = [_plain(columns[name]) for name in self.names]
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
        """Not before there is something to head: an error at the start then leaves no output."""
        if not self.headed:
            self.headed = True
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
        if self.parquet:
            import polars

            polars.DataFrame(self.columns).write_parquet(self._partial())
        if self.path != STDOUT:
            self._partial().replace(self.path)

    def _open(self) -> IO[str]:
        return self._partial().open("w", newline="", encoding="utf-8")

    def _partial(self) -> Path:
        return self.path.with_name(f".{self.path.name}.partial")


def _plain(column: Iterable[Any]) -> list[Any]:
    if isinstance(column, np.ndarray):
        if column.dtype == np.float32:
            return [float(np.format_float_positional(v, trim="0")) for v in column]
        return list(column.tolist())
    return list(column)
