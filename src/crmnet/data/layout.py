"""Detects how a file of rows is laid out: its kind, delimiter, header and columns.

:mod:`crmnet.data.reading` opens a file and calls :func:`detect_layout` with its first chunk; the
readers of :mod:`crmnet.data.lines` then split the rest of the text accordingly.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from crmnet.data.lines import (
    ALSO_IDS,
    COLUMN_NAMES,
    Layout,
    parse_fasta_header,
    shortened,
    split_fields,
)
from crmnet.data.numbers import is_missing, is_number

log = logging.getLogger("crmnet")


class NoColumnError(ValueError):
    """A file has no columns, or lacks one that the caller names."""


def detect_layout(
    first: bytes,
    file: str,
    roles: Sequence[str],
    names: Mapping[str, str],
    required: Sequence[str],
    delimiter: bytes = b"",
) -> Layout:
    """Detect the layout of a file from its first chunk.

    A first line that holds a known column name is a header. Without a header the first column is
    the sequence and the second the expression. FASTA has labels in its headers, and no columns that
    ``names`` could name. ``file`` is the file's name in messages;
    ``delimiter`` is empty unless the file names it. If ids are requested and no column has an
    accepted name, ids are read from a text column with a different value in each row
    (``Layout.ids_from``).
    """
    line = next((line for line in first.split(b"\n") if line.strip()), b"")
    if line.startswith(b";"):  # comments before the first record of FASTA
        below = (text for text in first.split(b"\n") if text.strip() and not text.startswith(b";"))
        record = next(below, b"")
        line = record if record.startswith(b">") else line
    if not line:
        raise ValueError(
            f"{file} holds no rows; give FASTA, a sequence per line, or a table with a header"
        )
    if line.startswith(b">"):
        if names:
            labels_of = "; labels are in its headers, such as >name expression=5.3"
            raise NoColumnError(
                f"{file} is FASTA and has no columns; name none, or give a table"
                + labels_of * ("expression" in roles)
            )
        return _fasta_layout(first, [role for role in roles if role not in ("id", "sequence")])
    delimiter = delimiter or _delimiter_of(line, names)
    if delimiter == b" " and b"  " in b" " + line:
        raise ValueError(
            f"{file}, line {first_text_line(first)}: columns are separated by several spaces; "
            r"write the table with tabs, in R with write.table(…, sep = '\t', row.names = FALSE)"
        )
    fields = tuple(split_fields(line, delimiter))
    fields = _with_row_names(fields, first, delimiter)
    header = [name.decode(errors="replace").strip().lower() for name in fields]
    known = {name for role in COLUMN_NAMES.values() for name in role}
    if names or any(name in known for name in header):
        positions = _positions(header, file, roles, names, required)
        layout = Layout("table", delimiter, fields, positions)
        return _with_ids(layout, first) if "id" in roles and "id" not in positions else layout
    if line.startswith((b"@", b"#")):
        kind = "FASTQ" if line.startswith(b"@") else "a comment"
        raise ValueError(
            f"{file}, line {first_text_line(first)}: this looks like {kind}, which is not "
            "supported; give FASTA, a sequence per line, or a table with a header"
        )
    if not delimiter:
        return Layout("lines", positions={"sequence": 0})
    if len(fields) == 2 and _is_dna(fields[1]) and not _is_dna(fields[0]):
        raise ValueError(
            f"{file}, line 1: without a header the first column must be the sequence; add a header "
            f"such as 'id{delimiter.decode()}sequence'"
        )
    if len(fields) == 2 and (delimiter != b" " or _is_dna(fields[0])):
        positions = {"sequence": 0, "expression": 1}
        return Layout("table", delimiter, None, {r: positions[r] for r in positions if r in roles})
    raise ValueError(
        f"{file}, line 1: {len(fields)} columns and no header with a known column name; add one "
        f"such as 'sequence{delimiter.decode()}expression', or name them with "
        "--column sequence=NAME"
    )


def _fasta_layout(first: bytes, labels: Sequence[str]) -> Layout:
    """The layout of FASTA: it has the labels that any header of its first chunk has."""
    found: set[str] = set()
    for line in first.split(b"\n") if labels else ():
        if line.startswith(b">") and len(found) < len(labels):
            found.update(role for role in parse_fasta_header(line)[1] if role in labels)
    return Layout(
        "fasta",
        positions={role: 0 for role in labels if role in found},
        unseen=tuple(role for role in labels if role not in found),
    )


def _delimiter_of(line: bytes, names: Mapping[str, str]) -> bytes:
    """The delimiter of a line: a tab, else a comma, or ``;`` where commas are in the numbers.

    Without these, it is a space if the line is the header of a table that R wrote, with quotes or
    a column name, or a sequence and a number.
    """
    if b"\t" in line:
        return b"\t"
    if not any(mark in line for mark in (b",", b";")):
        return b" " if b" " in line.strip() and _has_columns(line, names) else b""
    if b";" in line and b"," in line:
        known = {name.encode() for role in COLUMN_NAMES.values() for name in role}
        columns = [field.strip(b' "').lower() for field in line.split(b";")]
        commas = [field.strip(b' "').lower() for field in line.split(b",")]
        sequence_first = _is_dna(columns[0]) and not _is_dna(commas[0])
        if sequence_first or len(known & set(columns)) > len(known & set(commas)):
            return b";"
    return b"," if b"," in line else b";" if b";" in line else b""


def _has_columns(line: bytes, names: Mapping[str, str]) -> bool:
    """Whether the fields of a line that are separated by spaces are columns."""
    fields = line.split()
    column_names = {name for role in COLUMN_NAMES.values() for name in role}
    column_names |= {name.lower() for name in names.values()}
    if any(word.strip(b'"').decode(errors="replace").lower() in column_names for word in fields):
        return True
    if all(len(word) > 1 and word.startswith(b'"') and word.endswith(b'"') for word in fields):
        return True
    return len(fields) == 2 and _is_dna(fields[0]) and is_number(fields[1])


_SAMPLE = 2000
"""Number of first rows that are examined to find a column of ids."""


def _with_ids(layout: Layout, first: bytes) -> Layout:
    """The layout with a text column as ids, if one differs in each of the first rows."""
    assert layout.header is not None
    names = [name.decode(errors="replace").strip() for name in layout.header]
    below = first.split(b"\n")[first_text_line(first) :][: _SAMPLE + 1]
    rows = [split_fields(line, layout.delimiter) for line in below if line.strip()]
    rows = [row for row in rows if len(row) == len(names)]
    used = set(layout.positions.values())
    other_names = {
        name
        for role, names_of_role in COLUMN_NAMES.items()
        if role not in ("id", "sequence")
        for name in names_of_role
    }
    candidates = [
        index
        for index, name in enumerate(names)
        if index not in used
        and name
        and name.lower() not in other_names
        and _names_rows([row[index].strip() for row in rows])
    ]
    if not candidates:
        return layout
    order = [*ALSO_IDS, *COLUMN_NAMES["sequence"]]
    best = min(
        candidates,
        key=lambda i: order.index(names[i].lower()) if names[i].lower() in order else len(order),
    )
    return replace(layout, positions={**layout.positions, "id": best}, ids_from=names[best])


def _names_rows(values: list[bytes]) -> bool:
    """Whether values can be ids: none is missing, all differ, none is a number or a sequence."""
    if not values or len(set(values)) < len(values) or any(map(is_missing, values)):
        return False
    if all(not value.upper().strip(b"ACGTN") for value in values):
        return False
    return not any(_is_dna(value) or is_number(value) for value in values)


def _with_row_names(fields: tuple[bytes, ...], first: bytes, delimiter: bytes) -> tuple[bytes, ...]:
    """The header of an R table, which does not name the column of row names.

    Row names are ids, unless they are only numbers or the table has ids.
    """
    start = first_text_line(first)
    below = [line for line in first.split(b"\n")[start : start + 20] if line.strip()]
    rows = [split_fields(line, delimiter) for line in below] if delimiter else []
    if not rows or any(len(row) != len(fields) + 1 for row in rows):
        return fields
    if not any(row[-1].strip() for row in rows):  # lines that end in a delimiter
        return fields
    named = {name.decode(errors="replace").strip().lower() for name in fields}
    ids = named.isdisjoint(COLUMN_NAMES["id"]) and not all(row[0].isdigit() for row in rows)
    return (b"id" if ids else b"row.names", *fields)


def _is_dna(field: bytes) -> bool:
    return len(field) > 4 and not field.upper().strip(b"ACGTN")


def _positions(
    header: list[str],
    file: str,
    roles: Sequence[str],
    names: Mapping[str, str],
    required: Sequence[str],
) -> dict[str, int]:
    positions = {}
    for role in roles:
        accepted = (names[role].lower(),) if role in names else COLUMN_NAMES.get(role, (role,))
        for name in accepted:
            if header.count(name) > 1:
                raise ValueError(f"{file}, line 1: column {name!r} occurs twice; rename one")
            if name in header:
                positions[role] = header.index(name)
                break
        else:
            if role in names or role in required:
                named = names.get(role)
                missing = repr(named) if named else " or ".join(map(repr, accepted[:3]))
                remedy = (
                    "give one of these names" if named else f"name it with --column {role}=NAME"
                )
                present = ", ".join(repr(shortened(name, 30)) for name in header[:12])
                present += f" and {len(header) - 12:,} more" * (len(header) > 12)
                raise NoColumnError(
                    f"{file}, line 1: no column {missing}; the columns are {present}; {remedy}"
                )
    return positions


def first_text_line(chunk: bytes) -> int:
    """Number of the first line that is not blank, from 1."""
    lines = chunk.split(b"\n")
    return next(number for number, line in enumerate(lines, 1) if line.strip())
