"""Answers about one promoter as tables; positions count from 1 on the insert, as in the JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crmnet.reports.tables import table_text

BASES = "ACGT"


def map_table(answer: Mapping[str, Any]) -> str:
    """One row for each single substitution; an N has none."""
    insert, effect = answer["insert"], answer["effect"]
    cells = [
        (index, row, base)
        for index, before in enumerate(insert)
        for row, base in enumerate(BASES)
        if before != base and before != "N"
    ]
    columns: dict[str, list[Any]] = {
        "variant": [f"{index + 1}{insert[index]}>{base}" for index, _, base in cells],
        "position": [index + 1 for index, _, _ in cells],
        "from": [insert[index] for index, _, _ in cells],
        "to": [base for _, _, base in cells],
    }
    for medium in answer["media"]:
        columns[f"delta_{medium}"] = [effect[medium][row][index] for index, row, _ in cells]
    return table_text(columns)


def attribution_table(answer: Mapping[str, Any]) -> str:
    """One row for each base of the insert, with the attribution of each possible base."""
    insert = answer["insert"]
    columns: dict[str, list[Any]] = {
        "position": list(range(1, len(insert) + 1)), "base": list(insert),
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
    found = [site["contribution"] for site in sites]
    for medium in found[0] or () if found else ():
        columns[f"contribution_{medium}"] = [values[medium] for values in found]
    return table_text(columns)


FORMS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "saturate": map_table, "attribute": attribution_table, "scan": site_table,
}  # fmt: skip
"""Kind of request → its table."""
