"""The table of motif sites, which ``crmnet explain`` and ``crmnet motifs scan`` write.

:func:`write_sites` writes the :class:`Hits` of :mod:`crmnet.motifs.scan`. In the table positions
count from 1 and ``end`` is the last base of a site. In :class:`Hits`, as in all arrays, they count
from 0 and ``end`` is one past the last base.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from crmnet.choices import Digits
from crmnet.files import PathLike
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import Hits
from crmnet.reports.tables import TableWriter, for_reading

POSITIONS = "positions count from 1 on the sequence as given; end is the last base of the site"
"""What the columns ``start`` and ``end`` mean, for messages and help texts."""
PROBABILITIES = ("p", "q", "beyond")
"""Columns of sites that are rounded as probabilities."""
BLOCK_ROWS = 10_000
"""Number of rows converted to text at a time."""


def write_sites(
    path: PathLike,
    ids: Sequence[str],
    motifs: Sequence[Motif],
    hits: Hits,
    more: Mapping[str, npt.ArrayLike] | None = None,
    digits: Digits = "rounded",
) -> None:
    """Write one row for each hit; POSITIONS states how positions are counted.

    Args:
        path: TSV, or CSV or Parquet by suffix.
        ids: Id of each sequence.
        motifs: The motifs that were searched for.
        hits: Their sites.
        more: Further columns ``(H,)`` by name, written last; numbers as float32.
        digits: Digits of numbers in text.
    """
    further = {name: np.asarray(column) for name, column in (more or {}).items()}
    names = ["id", "motif", "name", *Hits._fields[2:], *further]
    with TableWriter(path, names) as table:
        for first in range(0, len(hits.row), BLOCK_ROWS):
            block = slice(first, first + BLOCK_ROWS)
            of_hits = {name: column[block] for name, column in hits._asdict().items()}
            rows, numbers = of_hits.pop("row").tolist(), of_hits.pop("motif").tolist()
            of_hits["start"] = of_hits["start"] + 1
            columns: dict[str, Any] = {
                "id": [ids[row] for row in rows],
                "motif": [motifs[i].id for i in numbers],
                "name": [motifs[i].name for i in numbers],
                **of_hits,
            }
            for name, column in further.items():
                values = column[block]
                is_number = np.issubdtype(values.dtype, np.floating)
                columns[name] = values.astype(np.float32) if is_number else values
            table.write(for_reading(columns, path, digits, PROBABILITIES))
