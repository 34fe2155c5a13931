"""Counts of accepted and rejected rows by file and reason, and the list of rejected rows.

:mod:`crmnet.data.ingest` adds the rows of :mod:`crmnet.data.validate` chunk by chunk. The results
are ``rejected.tsv`` and entries of the manifest.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from crmnet import sequence
from crmnet.data.dataset import Dataset
from crmnet.data.lines import HARMLESS_REASONS, TOO_LONG
from crmnet.data.validate import AcceptedRows, Rejections
from crmnet.files import PathLike, as_paths

REJECTED = "rejected.tsv"
HOPELESS = 0.5
"""Share of rejected rows among the first 100,000 above which the rest is not read."""
MAX_TEXT = 60
"""Characters of a rejected line that ``rejected.tsv`` shows."""


class TooManyRejected(ValueError):
    """Raised when too many rows are rejected; the message counts them by reason."""


class RowCounts:
    """Counts read, accepted and rejected rows by file; writes ``rejected.tsv``.

    Args:
        folder: Folder for ``rejected.tsv``.
        files: All files to be read.
        max_rejected: Largest allowed fraction of rejected rows.
    """

    def __init__(
        self,
        folder: PathLike,
        files: Sequence[PathLike],
        max_rejected: float,
        advice: bool = True,
    ) -> None:
        paths = as_paths(files)
        self.max_rejected, self.advice = max_rejected, advice
        unique = len({path.name for path in paths}) == len(set(paths))
        self.titles = {path: path.name if unique else str(path) for path in paths}
        self.rows_read = self.rows_accepted = 0
        self.reasons: Counter[str] = Counter()
        self.first_rejected: list[str] = []
        self.sources: list[dict[str, Any]] = []
        self.lengths: Counter[int] = Counter()
        self.preparation = sequence.Preparation()
        table = Path(folder) / REJECTED
        self.report: IO[str] = table.open("w", newline="\n", encoding="utf-8")
        self.report.write("file\tline\treason\ttext\n")

    def __enter__(self) -> RowCounts:
        return self

    def __exit__(self, *_: object) -> None:
        self.report.close()

    def start_file(self, path: PathLike) -> None:
        """Count the following rows for this file."""
        self.sources.append({"file": self.titles[Path(path)], "rows_read": 0, "rows_taken": 0})

    @property
    def source(self) -> str:
        """Name of the current file."""
        return str(self.sources[-1]["file"])

    def add(self, accepted: AcceptedRows | None, rejected: Rejections) -> None:
        """Count the rows of a chunk.

        Raises:
            TooManyRejected: If most of at least 100,000 rows are rejected, and too many. A smaller
                share is compared with the limit at the end, so that the order of rows is of no
                account.
        """
        n = len(accepted.rows.labels) if accepted is not None else 0
        read = n + len(rejected)
        self.rows_read += read
        self.rows_accepted += n
        self.sources[-1]["rows_read"] += read
        self.sources[-1]["rows_taken"] += n
        if accepted is not None:
            self.preparation += accepted.preparation
            counts = np.bincount(accepted.original_lengths)
            self.lengths.update({n: int(counts[n]) for n in np.nonzero(counts)[0].tolist()})
        for line, reason, text in rejected:
            short_text = re.sub(r"[\t\r]", " ", text.decode(errors="replace"))[:MAX_TEXT]
            self.report.write(f"{self.source}\t{line}\t{reason}\t{short_text}\n")
            self.reasons[reason.split(":")[0]] += 1
            if len(self.first_rejected) < 5:
                self.first_rejected.append(f"{self.source}, line {line}: {reason}")
        if self.rows_read >= 100_000:
            self._check_rejected(max(self.max_rejected, HOPELESS))

    def _check_rejected(self, limit: float) -> None:
        """Raise :class:`TooManyRejected` if the fraction of rejected rows is above ``limit``."""
        allowed = (*HARMLESS_REASONS, TOO_LONG)
        n_rejected = sum(n for reason, n in self.reasons.items() if reason not in allowed)
        if n_rejected > limit * self.rows_read:
            raise TooManyRejected(
                f"{n_rejected:,} of {self.rows_read:,} rows were rejected, more than the "
                f"{self.max_rejected:.1%} allowed{' by --max-rejected' * self.advice}. "
                + "; ".join(f"{n:,} × {reason}" for reason, n in self.reasons.most_common())
                + ". First: "
                + "; ".join(self.first_rejected)
            )

    def finish(self, flanks: sequence.Flanks) -> dict[str, Any]:
        """Entries for the manifest.

        Raises:
            TooManyRejected: If too many rows, or all of them, were rejected.
            ValueError: If the files have no rows.
        """
        if self.rows_accepted == 0 and not self.reasons:
            raise ValueError(f"no rows in {', '.join(s['file'] for s in self.sources)}")
        self._check_rejected(self.max_rejected)
        if self.rows_accepted == 0:
            raise TooManyRejected(
                "all rows were rejected. First: " + "; ".join(self.first_rejected)
            )
        return {
            "flanks": flanks,
            "preparation": asdict(self.preparation),
            "lengths": {str(n): count for n, count in sorted(self.lengths.items())},
            "rows_read": self.rows_read,
            "rejected": dict(self.reasons.most_common()),
            "sources": self.sources,
        }


def rejection_summary(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Messages for the command line: numbers of accepted, skipped and rejected rows."""
    yield f"accepted {manifest['rows']:,} of {manifest['rows_read']:,} rows"
    for reason, count in manifest["rejected"].items():
        long_or_bad = "left out" if reason == TOO_LONG else "rejected"
        yield f"{'skipped' if reason in HARMLESS_REASONS else long_or_bad} {count:,}: {reason}"
    yield from sequence.Preparation(**manifest["preparation"]).messages()


def rejections(dataset: Dataset) -> Iterator[tuple[str, int, str, str]]:
    """File, line, reason and text of each rejected row, from ``rejected.tsv``."""
    with (dataset.path / REJECTED).open(encoding="utf-8", newline="\n") as file:
        next(file)
        for row in file:
            title, line, reason, text = row.rstrip("\n").split("\t", 3)
            yield title, int(line), reason, text
