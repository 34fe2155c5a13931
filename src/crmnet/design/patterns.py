"""Sites that a design must have or must not have: motifs, IUPAC patterns, restriction enzymes.

:func:`find_pattern` takes the name of a yeast factor in JASPAR or a pattern in IUPAC letters,
:func:`enzyme_pattern` the name of a restriction enzyme, whose site comes from Biopython's table,
which DnaChisel reads as well. :class:`AvoidSites` and :class:`KeepSite` are constraints
(:mod:`crmnet.design.constraints`) about these patterns, on both strands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Booleans, Floats, Integers
from crmnet.design.constraints import Candidates
from crmnet.motifs.jaspar import yeast_motifs
from crmnet.motifs.pwm import Motif
from crmnet.motifs.scan import STEPS_PER_BIT, ScanOptions, grid_scores, p_values
from crmnet.names import did_you_mean
from crmnet.sequence import Tokens

SITE = ScanOptions()
"""Definition of a site of a JASPAR motif: p at most 1e-4, as for ``crmnet motifs scan``."""
BITS_PER_BASE = 2
_BLOCKED = -1_000_000
"""Score of N: no site covers one."""


@dataclass(frozen=True, eq=False)
class Pattern:
    """What counts as a site: the sum of the scores of its bases reaches a threshold."""

    name: str
    scores: npt.NDArray[np.int64] = field(repr=False)
    """``(4, W)`` of the bases A, C, G, T."""
    threshold: int
    per_base: int = 1
    """Score that one wrong base costs, about."""
    bases: str = ""
    """The pattern in IUPAC letters; empty for a motif."""

    @property
    def width(self) -> int:
        """Number of bases of a site."""
        return int(self.scores.shape[1])

    def deficits(self, tokens: Tokens) -> Integers:
        """``(2, N, L - W + 1)``: what each window on either strand lacks; 0 or less at a site."""
        strands = (self.scores, self.scores[::-1, ::-1])
        return np.stack([self.threshold - _window_scores(tokens, matrix) for matrix in strands])


def _window_scores(tokens: Tokens, matrix: Integers) -> Integers:
    """``(N, L - W + 1)`` score of each window."""
    width = matrix.shape[1]
    windows = max(tokens.shape[1] - width + 1, 0)
    table = np.concatenate([matrix, np.full((1, width), _BLOCKED)]).astype(np.int32)
    total = np.zeros((len(tokens), windows), dtype=np.int32)
    for offset in range(width):
        total += table[:, offset][tokens[:, offset : offset + windows]]
    return total.astype(np.int64)


@dataclass(frozen=True, eq=False)
class AvoidSites:
    """No site of the pattern holds a base of the insert, on either strand."""

    pattern: Pattern
    source: str = "--forbid"

    @property
    def label(self) -> str:
        """The rule as the user gives it."""
        shown = f" ({self.pattern.bases})" * (self.source == "--avoid-enzyme")
        return f"{self.source} {self.pattern.name}{shown}"

    def violation(self, candidates: Candidates) -> Floats:
        """Number of windows that are a site on either strand."""
        sites: Booleans = np.any(self.pattern.deficits(candidates.order) <= 0, axis=0)
        return candidates.count_in_insert(sites, self.pattern.width)


@dataclass(frozen=True, eq=False)
class KeepSite:
    """At least one site of the pattern lies in the insert, on either strand."""

    pattern: Pattern
    source: str = "--keep"

    @property
    def label(self) -> str:
        """The rule as the user gives it."""
        return f"{self.source} {self.pattern.name}"

    def violation(self, candidates: Candidates) -> Floats:
        """Bases that the best window lacks."""
        lacks = self.pattern.deficits(candidates.order).min(axis=0)
        inside = candidates.in_insert(self.pattern.width)
        if not inside.shape[1]:
            return np.full(len(inside), float(self.pattern.width))
        worst = self.pattern.width * self.pattern.per_base
        best = np.where(inside, np.clip(lacks, 0, worst), worst).min(axis=1)
        nearest: Floats = best / self.pattern.per_base
        return nearest


def find_pattern(name: str) -> Pattern:
    """The pattern of a yeast factor (name or id in JASPAR), or of IUPAC letters.

    Raises:
        ValueError: If ``name`` is neither; names similar factors.
    """
    motifs = {key: motif for motif in yeast_motifs() for key in (motif.name, motif.id)}
    if name.upper() in motifs:
        return motif_pattern(motifs[name.upper()])
    if name and set(name.upper()) <= _iupac().keys():
        return iupac_pattern(name.upper())
    hint = did_you_mean(name.upper(), motifs) or "such as REB1, MA0363.3 or TATAWAWR"
    raise ValueError(
        f"{name!r} is neither a yeast factor of JASPAR nor a pattern of IUPAC letters; {hint}"
    )


def motif_pattern(motif: Motif) -> Pattern:
    """Sites of a motif have a p-value of at most 1e-4; of a weak motif, only its best sites."""
    scores = grid_scores(motif, SITE)
    lowest, table = p_values(scores, SITE.background)
    reached = np.nonzero(table <= max(SITE.p_value, table[-1] * (1 + 1e-9)))[0]
    return Pattern(motif.name, scores, lowest + int(reached[0]), BITS_PER_BASE * STEPS_PER_BIT)


def iupac_pattern(bases: str, name: str | None = None) -> Pattern:
    """The pattern of IUPAC letters; every letter must match."""
    allowed = [[int(base in _iupac()[letter]) - 1 for letter in bases] for base in "ACGT"]
    return Pattern(name or bases, np.array(allowed, dtype=np.int64), 0, bases=bases)


def enzyme_pattern(name: str) -> Pattern:
    """The site of a restriction enzyme; upper and lower case are the same.

    Raises:
        ValueError: If the enzyme is unknown, with similar names; or if it has several sites.
    """
    sites = enzyme_sites()
    known = {enzyme.lower(): enzyme for enzyme in sites}
    enzyme = known.get(name.lower())
    if enzyme is None:
        hint = did_you_mean(name, sites, max_suggestions=3) or "give a name such as EcoRI or BsaI"
        raise ValueError(f"{name!r} is not the name of a restriction enzyme; {hint}")
    alternatives = sites[enzyme].split("|")
    if len(alternatives) > 1:
        each = " ".join(f"--forbid {site}" for site in alternatives)
        raise ValueError(f"{enzyme} has several sites; give each of them instead: {each}")
    return iupac_pattern(sites[enzyme], enzyme)


@cache
def enzyme_sites() -> dict[str, str]:
    """Restriction enzyme → its site in IUPAC letters, from REBASE as Biopython ships it.

    Alternative sites of an enzyme are separated by ``|``.
    """
    from Bio.Restriction.Restriction_Dictionary import rest_dict

    return {name: str(entry["site"]) for name, entry in rest_dict.items() if entry["site"]}


@cache
def _iupac() -> dict[str, str]:
    from Bio.Data.IUPACData import ambiguous_dna_values

    return {letter: bases for letter, bases in ambiguous_dna_values.items() if letter != "X"}


def check_fixed(patterns: Sequence[AvoidSites], fixed: Sequence[str]) -> None:
    """Check that no forbidden site lies in the fixed bases around the insert.

    Args:
        patterns: The rules.
        fixed: Bases in front of the insert, and behind it.

    Raises:
        ValueError: If a site lies there: no design can meet the rule.
    """
    from crmnet.sequence import encode

    for rule in patterns:
        for bases in fixed:
            if len(bases) < rule.pattern.width:
                continue
            if (rule.pattern.deficits(encode([bases])[0]) <= 0).any():
                raise ValueError(
                    f"{rule.label}: the fixed bases {bases}, outside the insert, have such a site, "
                    "so no design can avoid it; leave the rule out, or change the primers"
                )
