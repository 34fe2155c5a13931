"""Answers about one promoter as tables; positions count from 1 on the sequence as given.

The commands count in the same way. The arrays of the JSON hold the insert alone, and its sites
count on the insert; ``position_of_insert`` says where the insert begins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crmnet.reports.tables import table_text

BASES = "ACGT"


def map_table(answer: Mapping[str, Any]) -> str:
    """One row for each single substitution; an N has none."""
    insert, effect, first = answer["insert"], answer["effect"], _first(answer)
    cells = [
        (index, row, base)
        for index, before in enumerate(insert)
        for row, base in enumerate(BASES)
        if before != base and before != "N"
    ]
    columns: dict[str, list[Any]] = {
        "variant": [f"{index + first}{insert[index]}>{base}" for index, _, base in cells],
        "position": [index + first for index, _, _ in cells],
        "from": [insert[index] for index, _, _ in cells],
        "to": [base for _, _, base in cells],
    }
    for medium in answer["media"]:
        columns[f"delta_{medium}"] = [effect[medium][row][index] for index, row, _ in cells]
    return table_text(columns)


def attribution_table(answer: Mapping[str, Any]) -> str:
    """One row for each base of the insert, with the attribution of each possible base."""
    insert, first = answer["insert"], _first(answer)
    columns: dict[str, list[Any]] = {
        "position": list(range(first, first + len(insert))), "base": list(insert),
    }  # fmt: skip
    for medium in answer["media"]:
        values = answer["values"][medium]
        columns[f"attribution_{medium}"] = [
            values[BASES.index(base)][index] if base in BASES else 0.0
            for index, base in enumerate(insert)
        ]
        columns |= {f"{base}_{medium}": values[row] for row, base in enumerate(BASES)}
    return table_text(columns)


def site_table(answer: Mapping[str, Any]) -> str:
    """One row for each site."""
    sites = answer["sites"]
    names = ["name", "matrix_id", "start", "end", "strand", "score", "p_value"]
    columns: dict[str, list[Any]] = {name: [site[name] for site in sites] for name in names}
    for end in ("start", "end"):
        columns[end] = [place + _first(answer) - 1 for place in columns[end]]
    found = [site["contribution"] for site in sites]
    for medium in found[0] or () if found else ():
        columns[f"contribution_{medium}"] = [values[medium] for values in found]
    return table_text(columns)


def _first(answer: Mapping[str, Any]) -> int:
    """Position of the first base of the insert."""
    return int(answer["position_of_insert"]["start"])


FORMS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "saturate": map_table, "attribute": attribution_table, "scan": site_table,
}  # fmt: skip
"""Kind of request → its table."""
