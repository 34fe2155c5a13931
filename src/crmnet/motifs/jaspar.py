"""JASPAR's matrices of yeast factors, read offline from the copy in the package pyjaspar.

:func:`yeast_motifs` returns :class:`crmnet.motifs.pwm.Motif` objects: release JASPAR2026, CORE
collection, *Saccharomyces cerevisiae* (taxon 4932). Discovery names motifs by them, logos mark
their sites, and the simulated cell (:mod:`crmnet.simulation.cell`) contains 20 of these factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import cache

import numpy as np

from crmnet.motifs.pwm import Motif

RELEASE = "JASPAR2026"
YEAST_TAXON = "4932"


@cache
def yeast_motifs() -> tuple[Motif, ...]:
    """All yeast matrices of JASPAR CORE, ordered by id; names are in upper case."""
    from pyjaspar import jaspardb

    database = jaspardb(release=RELEASE)
    with closing(database.conn):  # Python 3.13 warns of open connections
        records = database.fetch_motifs(collection="CORE", tax_group="fungi", species=[YEAST_TAXON])
    motifs = [
        Motif(m.name.upper(), m.matrix_id, np.array([m.counts[b] for b in "ACGT"], dtype=float))
        for m in records
    ]
    return tuple(sorted(motifs, key=lambda motif: motif.id))


def yeast_motifs_named(names: Sequence[str]) -> list[Motif]:
    """The matrices of these factors, in the given order; case does not matter.

    Raises:
        ValueError: If JASPAR has no yeast factor of that name.
    """
    by_name = {motif.name: motif for motif in yeast_motifs()}
    missing = [name for name in names if name.upper() not in by_name]
    if missing:
        raise ValueError(f"{RELEASE} has no yeast matrix for {', '.join(missing)}")
    return [by_name[name.upper()] for name in names]
