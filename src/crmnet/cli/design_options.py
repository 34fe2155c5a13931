"""Options of ``crmnet design`` as objects: goal, inputs, constraints and presets."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crmnet.choices import Goal, SynthesisPreset
from crmnet.cli.options import pairs

if TYPE_CHECKING:
    from crmnet.design.constraints import Constraint
    from crmnet.design.inputs import Reading
    from crmnet.design.objective import Objective
    from crmnet.design.presets import Preset
    from crmnet.design.promoters import Rules
    from crmnet.design.starts import Given
    from crmnet.sequence import Tokens


@dataclass(frozen=True)
class Inputs:
    """Files that the design reads."""

    start: Path | None
    away_from: tuple[Path, ...]
    reading: Reading
    protect: list[str]

    def read_start(self) -> Given | None:
        """The promoters to start from; None for random starts."""
        if self.start is None:
            return None
        from crmnet.data.reading import check_not_a_sequence
        from crmnet.design.inputs import read_starts

        check_not_a_sequence(self.start)
        given, preparation = read_starts(self.start, self.reading)
        # The design adds what predict does not.
        one_only, total = preparation.one_adapter_only, preparation.total
        for line in replace(preparation, one_adapter_only=0).messages(self.reading.length):
            print(line, file=sys.stderr)
        if one_only:
            print(
                f"{one_only:,} of {total:,} sequences have only one adapter; their designs, and "
                "the values of their starts, have both",
                file=sys.stderr,
            )
        if preparation.with_n:
            print("the search chooses a base for each N of a start", file=sys.stderr)
        return given

    def read_references(self, path: Path) -> Tokens:
        """Sequences to stay away from; the columns may be those of the starts alone."""
        from crmnet.data.layout import NoColumnError
        from crmnet.design.inputs import read_references

        try:
            return read_references(path, self.reading)
        except NoColumnError:
            if self.start is None:
                raise
            return read_references(path, replace(self.reading, columns={}))


def read_objective(
    maximise: str | None,
    minimise: str | None,
    target: list[str] | None,
    separate: tuple[str, str] | None,
    uncertainty: float,
    unlike: float,
) -> Objective:
    from crmnet.design.objective import Objective

    goals: dict[Goal, Any] = {
        "maximise": maximise, "minimise": minimise, "target": target, "separate": separate,
    }  # fmt: skip
    wanted = [goal for goal, value in goals.items() if value]
    if len(wanted) != 1:
        given = f"; got {' and '.join(f'--{goal}' for goal in wanted)}" if wanted else ""
        raise ValueError(f"give one goal: --maximise, --minimise, --target or --separate{given}")
    weights: dict[str, Any] = {"uncertainty": uncertainty, "unlike": unlike}
    if separate:
        return Objective("separate", separate[0], separate[1], **weights)
    if target:
        medium, values = _targets(target)
        return Objective("target", medium, targets=values, **weights)
    return Objective(wanted[0], str(maximise or minimise), **weights)


def _targets(texts: list[str]) -> tuple[str, tuple[float, ...]]:
    """Medium and values of ``MEDIUM=VALUE`` texts."""
    media, values = [], []
    for text in texts:
        medium, equals, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            equals = ""
        if not (medium and equals):
            raise ValueError(f"--target takes MEDIUM=VALUE, such as complex=9; got {text!r}")
        media.append(medium)
        values.append(value)
    if len(set(media)) > 1:
        raise ValueError(f"--target takes values in one medium; got {' and '.join(set(media))}")
    return media[0], tuple(dict.fromkeys(values))


def _percentages(text: str, option: str) -> tuple[float, float]:
    """Shares of a text such as ``30-60``."""
    low, dash, high = text.removesuffix("%").partition("-")
    try:
        return float(low) / 100, float(high if dash else low) / 100
    except ValueError:
        raise ValueError(f"{option} takes percentages such as 30-60; got {text!r}") from None


def named_rules(
    keep: list[str] | None,
    forbid: list[str] | None,
    avoid_enzyme: list[str] | None,
    gc: str | None,
    gc_window: list[str] | None,
    max_run: int | None,
    max_edits: int | None,
) -> list[Constraint]:
    """The constraints of single options."""
    from crmnet.design.constraints import GcRange, GcWindow, MaxEdits, MaxRun
    from crmnet.design.patterns import AvoidSites, KeepSite, enzyme_pattern, find_pattern

    rules: list[Constraint] = [KeepSite(find_pattern(name)) for name in keep or []]
    rules += [AvoidSites(find_pattern(name)) for name in forbid or []]
    rules += [AvoidSites(enzyme_pattern(name), "--avoid-enzyme") for name in avoid_enzyme or []]
    if gc is not None:
        rules.append(GcRange(*_percentages(gc, "--gc")))
    for text in gc_window or []:
        width, colon, shares = text.partition(":")
        if not (colon and width.isdecimal()):
            raise ValueError(f"--gc-window takes WIDTH:LOW-HIGH, such as 20:20-80; got {text!r}")
        rules.append(GcWindow(int(width), *_percentages(shares, "--gc-window")))
    if max_run is not None:
        rules.append(MaxRun(max_run))
    if max_edits is not None:
        rules.append(MaxEdits(max_edits))
    return rules


def read_preset(name: SynthesisPreset | None, limit: list[str] | None) -> Preset | None:
    """The preset, whose numbers and sources are printed."""
    if name is None:
        if limit:
            raise ValueError("--limit replaces a number of a preset; give --preset as well")
        return None
    from crmnet.design.presets import preset

    changed = {}
    for key, text in pairs(limit, "--limit").items():
        try:
            changed[key] = float(text)
        except ValueError:
            raise ValueError(f"--limit takes NAME=NUMBER; got {key}={text}") from None
    chosen = preset(name, changed)
    for line in chosen.lines():
        print(line, file=sys.stderr)
    return chosen


def all_rules(
    named: list[Constraint],
    chosen: Preset | None,
    inputs: Inputs,
    given: Given | None,
    distance: int | None,
    primer_5: str,
    primer_3: str,
) -> Rules:
    from crmnet.design.constraints import AwayFrom, Flanks
    from crmnet.design.inputs import one_origin
    from crmnet.design.promoters import Rules
    from crmnet.design.starts import parse_positions
    from crmnet.sequence import ADAPTER_3, ADAPTER_5, N_TOKEN, encode

    if distance is not None and distance < 1:
        raise ValueError(f"--distance must be at least 1; got {distance}")
    for option, bases in (("--primer-5", primer_5), ("--primer-3", primer_3)):
        if bases and (encode([bases], [option])[0] == N_TOKEN).any():
            raise ValueError(f"{option} must have known bases; got {bases}")
    adapters = ("", "") if inputs.reading.flanks == "none" else (ADAPTER_5, ADAPTER_3)
    flanks = Flanks(*adapters, primer_5.upper(), primer_3.upper())
    constraints = [*named, *(chosen.constraints if chosen else ())]
    stem = chosen.hairpin_stem if chosen else None
    least = Rules(tuple(constraints), distance=distance).least_distance
    for path in inputs.away_from:
        constraints.append(AwayFrom(least, inputs.read_references(path), str(path)))
    protected = parse_positions(inputs.protect, one_origin(given)) if inputs.protect else ()
    return Rules(tuple(constraints), protected, distance, stem, flanks)
