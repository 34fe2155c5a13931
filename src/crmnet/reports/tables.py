"""Writes tables as TSV, CSV or Parquet, by suffix; a file appears only when it is complete.

All commands that output rows write them with :class:`TableWriter`. Tables for people pass through
:func:`for_reading`, which rounds numbers. Tables that other commands read do not. On a terminal the
columns of a table are aligned.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, get_args

import numpy as np

from crmnet.choices import Digits
from crmnet.files import (
    STDOUT,
    PathLike,
    is_stream,
    locked,
    make_parent_folder,
    named_errors,
    open_stream,
    partial_of,
    target_of,
)
from crmnet.process import standard_output

KINDS = {
    "": "tsv", ".tsv": "tsv", ".txt": "tsv", ".tab": "tsv", ".csv": "csv", ".parquet": "parquet",
}  # fmt: skip
"""Suffix in lower case → format."""
DECIMALS = 3
"""Of rounded expression, effects and scores; the model's own error is about 1 bin."""
SIGNIFICANT = 3
"""Significant digits of rounded probabilities."""


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
        names: Names of the columns, in order.

    Raises:
        ValueError: As :func:`table_kind`.
        OSError: As :func:`crmnet.files.make_parent_folder`, on entering the context.
        WriteError: If another process is writing the file, or the disk is full.
    """

    def __init__(self, path: PathLike, names: Sequence[str]) -> None:
        self.path, self.names = Path(path), list(names)
        self.kind = table_kind(path)
        self.columns: dict[str, list[Any]] = {name: [] for name in names}
        self.file: IO[str] | None = None
        self.has_header = False
        self.exit = contextlib.ExitStack()

    def __enter__(self) -> TableWriter:
        make_parent_folder(self.path)
        self.stream = self.path == STDOUT or is_stream(self.path)
        self.target = self.path if self.stream else target_of(self.path)
        try:
            if not self.stream:
                self.exit.enter_context(locked(self.target, title=str(self.path)))
            if self.kind != "parquet":
                with named_errors(self.path):
                    self.file = self._open()
                self.rows = self._rows_of(self.file)
        except BaseException:
            self.exit.close()
            raise
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
            with named_errors(self.path):
                self._write_rows(zip(*values, strict=True))

    def _write_rows(self, rows: Iterable[Sequence[Any]]) -> None:
        """The first rows bring the header, so that an error at the start prints nothing."""
        header = [] if self.has_header else [self.names]
        self.has_header = True
        self.rows.writerows(itertools.chain(header, rows))

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        with self.exit, named_errors(self.path):
            try:
                self._end(complete=kind is None)
            finally:
                if not self.stream:
                    partial_of(self.target).unlink(missing_ok=True)

    def _end(self, complete: bool) -> None:
        if self.file is not None:
            if complete:
                self._write_rows([])
                self.file.flush()
            if self.path != STDOUT:
                with contextlib.suppress(*([] if complete else [OSError])):
                    self.file.close()
        if not complete:
            return
        if self.kind == "parquet":
            self._write_parquet()
        if not self.stream:
            partial_of(self.target).replace(self.target)

    def _write_parquet(self) -> None:
        import polars

        frame = polars.DataFrame(self.columns)
        if not self.stream:
            frame.write_parquet(partial_of(self.target))
            return
        with open_stream(self.path) as stream:
            content = io.BytesIO()
            frame.write_parquet(content)
            stream.write(content.getbuffer())

    def _open(self) -> IO[str]:
        """The file to write; tables are UTF-8 everywhere, on standard output too."""
        if self.path == STDOUT:
            return standard_output()
        if self.stream:
            return io.TextIOWrapper(open_stream(self.path), newline="", encoding="utf-8")
        return partial_of(self.target).open("w", newline="", encoding="utf-8")

    def _rows_of(self, file: IO[str]) -> Rows:
        if self.path == STDOUT and file.isatty():
            return AlignedRows(file)
        delimiter = "," if self.kind == "csv" else "\t"
        return csv.writer(file, delimiter=delimiter, lineterminator="\n")


class Rows(Protocol):
    """Writes rows of values as lines of text."""

    def writerows(self, rows: Iterable[Sequence[Any]], /) -> None:
        """Append rows."""


class AlignedRows:
    """Rows as columns that stand below one another, two blanks apart, as a terminal shows them.

    A column is as wide as its widest value so far.
    """

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self.widths: list[int] = []

    def writerows(self, rows: Iterable[Sequence[Any]], /) -> None:
        """Append rows; all of them have the same number of values."""
        texts = [[str(value) for value in row] for row in rows]
        if not texts:
            return
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        self.widths = list(map(max, widths, self.widths or widths))
        for row in texts:
            padded = (text.ljust(width) for text, width in zip(row, self.widths, strict=True))
            self.file.write("  ".join(padded).rstrip() + "\n")


def table_text(columns: Mapping[str, Iterable[Any]], digits: Digits = "full") -> str:
    """A table as tab-separated text, as ``crmnet`` writes it to standard output."""
    text = io.StringIO()
    rows = csv.writer(text, delimiter="\t", lineterminator="\n")
    rows.writerow(columns)
    values = for_reading(columns, STDOUT, digits).values()
    rows.writerows(zip(*map(_as_list, values), strict=True))
    return text.getvalue()


def _as_list(column: Iterable[Any]) -> list[Any]:
    if isinstance(column, np.ndarray):
        if column.dtype == np.float32:
            return [float(np.format_float_positional(v, trim="0")) for v in column]
        return list(column.tolist())
    return list(column)


def first_rows(path: PathLike, limit: int) -> dict[str, list[str]]:
    """Columns of the first rows of a TSV file that this module wrote, as text, for a page."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        names, *rows = itertools.islice(csv.reader(file, delimiter="\t"), limit + 1)
    return {name: [row[column] for row in rows] for column, name in enumerate(names)}


def for_reading(
    columns: Mapping[str, Iterable[Any]],
    path: PathLike,
    digits: Digits = "rounded",
    probabilities: Collection[str] = (),
) -> Mapping[str, Iterable[Any]]:
    """Columns as the table ``path`` shows them: rounded unless it is Parquet or has full digits.

    A missing number, NaN, is an empty field of text. Integers and text do not change.

    Args:
        columns: Values by name of column.
        path: The table.
        digits: ``rounded`` or ``full``.
        probabilities: Names of columns that are rounded to SIGNIFICANT digits: p-values, q-values,
            E-values and shares. Other columns are rounded to DECIMALS.

    Raises:
        ValueError: If ``digits`` is unknown, and as :func:`table_kind`.
    """
    if digits not in get_args(Digits):
        raise ValueError(f"digits must be one of {', '.join(get_args(Digits))}; got {digits!r}")
    if table_kind(path) == "parquet":
        return columns
    return {
        name: [
            _field(value, digits, name in probabilities) if isinstance(value, float) else value
            for value in _as_list(column)
        ]
        for name, column in columns.items()
    }


def _field(value: float, digits: Digits, is_probability: bool) -> float | str:
    if math.isnan(value):
        return ""
    if digits == "full":
        return value
    # The format z turns -0.0 into 0.0.
    return f"{value:z.{SIGNIFICANT}g}" if is_probability else f"{value:z.{DECIMALS}f}"
