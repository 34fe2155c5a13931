"""DnaChisel as the second opinion on final designs: it checks them, and repairs what it can.

The functions take designs as text in everything that is ordered, and the same constraints as the
search (:mod:`crmnet.design.constraints`). DnaChisel is an extra, ``pip install 'crmnet[design]'``;
it alone finds hairpins. Rules that it cannot express, such as a distance to other designs, are
checked by crmnet only.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

from crmnet.design.constraints import (
    Constraint,
    Flanks,
    GcEnds,
    GcRange,
    GcWindow,
    MaxRun,
    MaxTandem,
    NoRepeat,
)
from crmnet.design.patterns import AvoidSites

HAIRPIN_WINDOW = 110
"""Bases in which the other half of a hairpin is searched: a complete construct."""


class Checked(NamedTuple):
    """A design after DnaChisel has seen it."""

    insert: str
    """The design, repaired if it was necessary and possible."""
    failed: tuple[str, ...]
    """Labels of the rules that it breaks still."""
    repaired: int
    """Number of bases that the repair changed."""


def is_installed() -> bool:
    """Whether DnaChisel can be imported."""
    return find_spec("dnachisel") is not None


def require(rule: str) -> None:
    """Raise ModuleNotFoundError if DnaChisel, which ``rule`` needs, is not installed."""
    if not is_installed():
        raise ModuleNotFoundError(
            f"{rule} needs DnaChisel, which is not installed: pip install 'crmnet[design]'"
        )


def specifications(
    constraints: Sequence[Constraint], flanks: Flanks, length: int, stem: int | None = None
) -> list[tuple[str, Any]]:
    """Label and DnaChisel specification of each rule that DnaChisel can express.

    Args:
        constraints: The rules of the search.
        flanks: What surrounds the insert.
        length: Bases of the insert.
        stem: Bases of the shortest hairpin stem that is refused; None allows all.
    """
    left, right = (len(bases) for bases in flanks.tokens)
    span = (left, left + length)
    total = left + length + right
    found = [
        (constraint.label, specification)
        for constraint in constraints
        for specification in _of(constraint, span, total)
    ]
    if stem is not None:
        import dnachisel

        found.append((f"hairpin stems shorter than {stem}",
                      dnachisel.AvoidHairpins(stem, HAIRPIN_WINDOW)))  # fmt: skip
    return found


def _of(constraint: Constraint, span: tuple[int, int], total: int) -> list[Any]:
    """DnaChisel's specifications for a rule; none if it has no such rule."""
    import dnachisel as chisel

    def around(width: int) -> tuple[int, int]:
        return max(0, span[0] - width + 1), min(total, span[1] + width - 1)

    if isinstance(constraint, GcRange):
        where = span if constraint.region == "insert" else (0, total)
        return [chisel.EnforceGCContent(constraint.low, constraint.high, location=where)]
    if isinstance(constraint, GcWindow) and constraint.width <= total:
        return [chisel.EnforceGCContent(constraint.low, constraint.high, window=constraint.width)]
    if isinstance(constraint, GcEnds):
        return [chisel.EnforceTerminalGCContent(constraint.width, constraint.low, constraint.high)]
    if isinstance(constraint, MaxRun):
        width = constraint.longest + 1
        place = (*around(width), 1)
        return [
            chisel.AvoidPattern(chisel.HomopolymerPattern(base, width), location=place)
            for base in constraint.bases
        ]
    if isinstance(constraint, MaxTandem):
        pattern = chisel.RepeatedKmerPattern(constraint.copies, constraint.unit)
        return [chisel.AvoidPattern(pattern, location=around(constraint.unit * constraint.copies))]
    if isinstance(constraint, NoRepeat) and constraint.k <= total:
        return [chisel.UniquifyAllKmers(constraint.k)]
    if isinstance(constraint, AvoidSites) and constraint.pattern.bases:
        pattern = chisel.DnaNotationPattern(constraint.pattern.bases)
        return [chisel.AvoidPattern(pattern, location=around(constraint.pattern.width))]
    return []


def check(
    insert: str,
    flanks: Flanks,
    rules: Sequence[tuple[str, Any]],
    *,
    keep: Sequence[int] = (),
    repair: bool = True,
    seed: int = 0,
) -> Checked:
    """Check a design, and repair it if it breaks a rule.

    Args:
        insert: The design.
        flanks: What surrounds it; the repair does not change it.
        rules: From :func:`specifications`.
        keep: Positions of the insert, from 0, that the repair does not change.
        repair: Whether to try a repair.
        seed: Seed of the repair.
    """
    import dnachisel as chisel
    import numpy as np

    left, right = flanks.primer_5 + flanks.left, flanks.right + flanks.primer_3
    text = left + insert + right
    failed = _failed(text, rules)
    if not failed or not repair:
        return Checked(insert, failed, 0)
    fixed = [*range(len(left)), *(len(left) + position for position in keep),
             *range(len(left) + len(insert), len(text))]  # fmt: skip
    constraints = [rule for _, rule in rules]
    if fixed:
        constraints.append(chisel.AvoidChanges(indices=fixed))
    problem = chisel.DnaOptimizationProblem(text, constraints, logger=None)
    state = np.random.get_state()  # DnaChisel takes its random numbers from NumPy's global state
    np.random.seed(seed)
    try:
        problem.resolve_constraints()
    except chisel.NoSolutionError:
        return Checked(insert, failed, 0)
    finally:
        np.random.set_state(state)
    repaired = str(problem.sequence)[len(left) : len(left) + len(insert)]
    changes = sum(a != b for a, b in zip(insert, repaired, strict=True))
    return Checked(repaired, _failed(str(problem.sequence), rules), changes)


def _failed(text: str, rules: Sequence[tuple[str, Any]]) -> tuple[str, ...]:
    import dnachisel as chisel

    failed = []
    for label, rule in rules:
        problem = chisel.DnaOptimizationProblem(text, [rule], logger=None)
        if not problem.all_constraints_pass():
            failed.append(label)
    return tuple(dict.fromkeys(failed))
