"""Haplotypes from a file; the table and figure of expression conservation.

:func:`read_haplotypes` reads a table of haplotypes, :func:`write_conservation` writes what
``crmnet evolve conservation`` offers.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from crmnet import sequence
from crmnet.choices import Digits, PictureFormat
from crmnet.data.lines import shortened
from crmnet.data.reading import display_name
from crmnet.data.sequences import read_checked, to_number
from crmnet.design.conservation import Conservation, Haplotypes
from crmnet.figures.evolution import conservation_histogram
from crmnet.figures.style import STYLE
from crmnet.files import PathLike
from crmnet.reports.figures import save_figure
from crmnet.reports.tables import TableWriter, for_reading

log = logging.getLogger("crmnet")

TABLE, PICTURE = "conservation.tsv", "conservation"
ROLES = ("gene", "sequence", "isolates")
"""Roles in ``--column ROLE=NAME`` of a table of haplotypes."""


def read_haplotypes(
    path: PathLike, columns: Mapping[str, str] | None = None, iupac: sequence.Iupac = "error"
) -> list[Haplotypes]:
    """Haplotypes by gene, in the order in which the genes appear.

    Args:
        path: A table with one row for each haplotype of a gene; ``-`` is standard input.
        columns: Role of :data:`ROLES` → name of its column, where it is not the role. Without a
            column of isolates, each haplotype counts once, which is logged.
        iupac: ``n`` reads letters that stand for several bases as N.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If a row cannot be read, or there is no column of genes or sequences.
    """
    file, counted = display_name(path), True
    genes: dict[str, list[tuple[str, float]]] = {}
    for block in read_checked(path, ROLES, columns, ("gene", "sequence")):
        fields = block.columns
        if "gene" not in fields:
            raise ValueError(
                f"{file} has no genes; give a table with columns of gene, sequence and isolates, "
                "named with --column ROLE=NAME"
            )
        counted = "isolates" in fields
        numbers = fields.get("isolates", [b"1"] * len(block))
        rows = zip(block.lines, fields["gene"], fields["sequence"], numbers, strict=True)
        for line, gene, text, number in rows:
            if not gene.strip():
                raise ValueError(
                    f"{file}, line {line}: the row names no gene; name it or remove the row"
                )
            if iupac == "n":
                text = sequence.iupac_as_n(text)
            _check_letters(text, file, line)
            isolates = to_number(number, path, line, "isolates")
            if not (np.isfinite(isolates) and isolates > 0):
                raise ValueError(
                    f"{file}, line {line}: isolates must be above 0; got {shortened(number)}"
                )
            genes.setdefault(gene.decode(errors="replace"), []).append((text.decode(), isolates))
    if not genes:
        raise ValueError(f"{file} holds no haplotypes; add a line for each below the header")
    if not counted:
        log.info("%s has no column of isolates; each haplotype counts once", file)
    return [
        Haplotypes(gene, [text for text, _ in rows], [isolates for _, isolates in rows])
        for gene, rows in genes.items()
    ]


def _check_letters(text: bytes, file: str, line: int) -> None:
    try:
        sequence.encode([text], [f"of line {line}"])
    except ValueError as error:
        message = str(error).replace(f"sequence 'of line {line}'", "the sequence", 1)
        raise ValueError(f"{file}, line {line}: {message}") from None


def write_conservation(
    found: Conservation,
    folder: PathLike,
    *,
    picture: PictureFormat = "png",
    digits: Digits = "rounded",
) -> None:
    """Write the table and the histogram of coefficients into ``folder``."""
    folder = Path(folder)
    columns = found.columns()
    with TableWriter(folder / TABLE, list(columns)) as table:
        table.write(for_reading(columns, table.path, digits))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.6), layout="constrained")
        ax = figure.subplots()
        conservation_histogram(ax, found.ecc)
        ax.set_ylabel(f"genes (n = {np.isfinite(found.ecc).sum():,})")
        save_figure(figure, folder / f"{PICTURE}.{picture}")
