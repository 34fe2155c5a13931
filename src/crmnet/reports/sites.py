"""The table of motif sites, which ``crmnet explain`` and ``crmnet motifs scan`` write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crmnet.arrays import Floats
from crmnet.files import PathLike
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import Hits
from crmnet.reports.tables import TableWriter


def write_sites(
    path: PathLike,
    ids: Sequence[str],
    motifs: Sequence[Motif],
    hits: Hits,
    more: Mapping[str, Floats] | None = None,
) -> None:
    """Write one row for each hit.

    Args:
        path: TSV, or CSV or Parquet by suffix.
        ids: Id of each sequence.
        motifs: The motifs that were searched for.
        hits: Their sites.
        more: Further columns ``(H,)`` by name, written last.
    """
    columns: dict[str, Any] = {
        "id": [ids[row] for row in hits.row],
        "motif": [motifs[i].id for i in hits.motif],
        "name": [motifs[i].name for i in hits.motif],
        **{name: column for name, column in hits._asdict().items() if name not in ("row", "motif")},
    }
    for name, column in (more or {}).items():
        columns[name] = column.astype(np.float32)
    with TableWriter(path, list(columns)) as table:
        table.write(columns)
