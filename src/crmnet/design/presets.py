"""Limits of DNA synthesis as sets of constraints, each number with its source and date.

:func:`preset` returns the rules of a vendor's preset. A number can be replaced by name. The numbers
are those that public issues and code quote from the vendors' pages; the vendors' own checkers may
use others. An 80-base insert with adapters is a product for oligo pools.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crmnet.design.constraints import (
    Constraint,
    GcEnds,
    GcRange,
    GcSpread,
    GcWindow,
    MaxRun,
    MaxTandem,
    NoRepeat,
    RepeatShare,
)
from crmnet.names import did_you_mean

TWIST_DENSITY = "github.com/Edinburgh-Genome-Foundry/DnaChisel issue 77, 2024-04-12"
TWIST_RULES = "github.com/Adibvafa/CodonTransformer issue 7, 2024-09-18"
IDT_RULES = "github.com/jvrana/DASi-DNA-Design, sequence_complexity.py, as read 2026-11"
IDT_LENGTHS = "github.com/SynBioDex/SBOL-utilities pull 212, 2023-05-24"
SALIS = "github.com/ayaanhossain/nrpcalc, synthesis.py (MIT), as read 2026-11"


@dataclass(frozen=True)
class Limit:
    """One number of a preset."""

    name: str
    value: float
    source: str
    about: str


@dataclass(frozen=True)
class Preset:
    """The rules of a preset, its numbers, and what it does not check."""

    name: str
    limits: tuple[Limit, ...]
    constraints: tuple[Constraint, ...]
    hairpin_stem: int | None
    """Bases of the shortest hairpin stem that is refused; None allows all. DnaChisel checks it."""
    not_checked: tuple[str, ...]

    def lines(self) -> list[str]:
        """The numbers with their sources, and the rules that are not checked, for a terminal."""
        width = max(len(limit.name) for limit in self.limits)
        return [
            *(f"{self.name}: {limit.name.ljust(width)}  {limit.value:g}  {limit.about} "
              f"[{limit.source}]" for limit in self.limits),
            *(f"{self.name}: not checked: {rule}" for rule in self.not_checked),
        ]  # fmt: skip


_LIMITS: dict[str, tuple[Limit, ...]] = {
    "twist": (
        Limit("gc_low", 25, TWIST_RULES, "% G + C of the ordered sequence, at least"),
        Limit("gc_high", 65, TWIST_RULES, "% G + C of the ordered sequence, at most"),
        Limit("gc_spread", 52, TWIST_RULES, "points between the windows of 50 bases, at most"),
        Limit("repeat", 20, TWIST_RULES, "bases of a repeat that is refused"),
        Limit("repeat_share", 15, TWIST_DENSITY, "% of bases in repeats of 9 or more, at most"),
        Limit("max_run", 9, TWIST_DENSITY, "equal bases in a row, at most"),
    ),
    "idt": (
        Limit("gc_low", 25, IDT_RULES, "% G + C of the ordered sequence, at least"),
        Limit("gc_high", 75, IDT_RULES, "% G + C of the ordered sequence, at most"),
        Limit("max_run_at", 9, IDT_RULES, "A or T in a row, at most"),
        Limit("max_run_gc", 5, IDT_RULES, "G or C in a row, at most"),
        Limit("repeat", 15, IDT_RULES, "bases of a repeat that is refused"),
    ),
    "salis": (
        Limit("gc20_low", 15, SALIS, "% G + C of each window of 20 bases, more than"),
        Limit("gc20_high", 90, SALIS, "% G + C of each window of 20 bases, less than"),
        Limit("gc100_low", 28, SALIS, "% G + C of each window of 100 bases, more than"),
        Limit("gc100_high", 76, SALIS, "% G + C of each window of 100 bases, less than"),
        Limit("ends_low", 24, SALIS, "% G + C of the first and last 30 bases, more than"),
        Limit("ends_high", 76, SALIS, "% G + C of the first and last 30 bases, less than"),
        Limit("max_run_at", 12, SALIS, "A or T in a row, at most"),
        Limit("max_run_gc", 8, SALIS, "G or C in a row, at most"),
        Limit("tri_units", 6, SALIS, "copies in a row of three bases that are refused"),
        Limit("di_units", 10, SALIS, "copies in a row of two bases that are refused"),
        Limit("hairpin_stem", 11, SALIS, "bases of a hairpin stem that is refused"),
    ),
}
PRESETS = tuple(_LIMITS)
"""Names of the presets."""

_NOT_CHECKED = {
    "twist": ("repeats with a melting temperature of 60 °C or more",),
    "idt": (
        f"the complexity score, which IDT computes from 125 bases on [{IDT_LENGTHS}]",
        "hairpins, for which no number is known",
    ),
    "salis": (
        "mismatches in a hairpin stem (2 in 11 bases rich in G + C, 3 in 17): DnaChisel finds "
        "stems without mismatches",
        "melting temperature of windows (36–73 °C), which the source checks above 500 bases only",
    ),
}


def preset(name: str, changed: Mapping[str, float] | None = None) -> Preset:
    """The rules of a preset.

    Args:
        name: One of :data:`PRESETS`.
        changed: Numbers that replace those of the preset, by name.

    Raises:
        ValueError: If the preset or a name of a number is unknown.
    """
    if name not in _LIMITS:
        hint = did_you_mean(name, PRESETS) or f"presets are {', '.join(PRESETS)}"
        raise ValueError(f"unknown preset {name!r}; {hint}")
    changed = dict(changed or {})
    names = [limit.name for limit in _LIMITS[name]]
    for key in changed:
        if key not in names:
            hint = did_you_mean(key, names) or f"its numbers are {', '.join(names)}"
            raise ValueError(f"preset {name} has no number {key!r}; {hint}")
    limits = tuple(
        Limit(limit.name, changed[limit.name], "changed by --limit", limit.about)
        if limit.name in changed
        else limit
        for limit in _LIMITS[name]
    )
    numbers = {limit.name: limit.value for limit in limits}
    stem = numbers.get("hairpin_stem")
    return Preset(
        name, limits, _rules(name, numbers), None if stem is None else int(stem), _NOT_CHECKED[name]
    )


def _rules(name: str, number: Mapping[str, float]) -> tuple[Constraint, ...]:
    def share(key: str) -> float:
        return number[key] / 100

    def count(key: str) -> int:
        return int(number[key])

    if name == "salis":
        return (
            GcWindow(20, share("gc20_low"), share("gc20_high"), True, "salis: G + C"),
            GcWindow(100, share("gc100_low"), share("gc100_high"), True, "salis: G + C"),
            GcEnds(30, share("ends_low"), share("ends_high"), True, "salis: ends"),
            MaxRun(count("max_run_at"), "AT", "salis: run"),
            MaxRun(count("max_run_gc"), "CG", "salis: run"),
            MaxTandem(3, count("tri_units"), "salis: tandem repeats"),
            MaxTandem(2, count("di_units"), "salis: tandem repeats"),
        )
    composition = GcRange(share("gc_low"), share("gc_high"), "order", f"{name}: G + C")
    if name == "twist":
        return (
            composition,
            GcSpread(50, share("gc_spread"), "twist: spread of G + C"),
            NoRepeat(count("repeat"), "twist: repeats"),
            RepeatShare(9, share("repeat_share"), "twist: bases in repeats"),
            MaxRun(count("max_run"), source="twist: run"),
        )
    return (
        composition,
        MaxRun(count("max_run_at"), "AT", "idt: run"),
        MaxRun(count("max_run_gc"), "CG", "idt: run"),
        NoRepeat(count("repeat"), "idt: repeats"),
    )
