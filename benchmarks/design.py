"""How far designs get: high expression, separation of two media, and target values.

    python benchmarks/design.py --apart-oracle yeast-fast -o benchmarks/results

Designs from random starts, each judged by a model that was not optimised:

- high expression in one medium: the share of designs in the top 0.1 % of random promoters;
- separation of two media, in both directions: how much more the median design separates them than
  the median random promoter. Annealing with many searches is used here: few starts lead to the
  rare promoters that separate media. ``--apart-oracle`` names a model that predicts both media;
- five target values: the mean and largest distance of the judge's value from the target.

The random promoters have the same length and adapters; their predictions by the judge give the
quantiles. ``design.md`` in the output folder has the table, ``design.json`` all numbers. Small
numbers of ``--designs`` and ``--random`` make a quick trial.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from measuring import add_output, commit, write_result

from crmnet.choices import SearchMethod
from crmnet.design.designs import Designs
from crmnet.design.judge import JUDGE, ORACLE, Panel
from crmnet.design.objective import Objective
from crmnet.design.promoters import Rules, finish, load_panel, make_problem
from crmnet.design.run import SearchOptions, search
from crmnet.design.starts import StartOptions
from crmnet.sequence import INSERT, prepare

TOP = 0.999
"""Quantile of random promoters that high designs should reach."""
CHAINS_APART = 6
"""Searches for each design that separates two media."""
TARGETS = 5
"""Number of target values, evenly spaced between the 5th and the 95th percentile."""


@dataclass(frozen=True)
class Settings:
    """Sizes and search of all designs."""

    designs: int
    random: int
    method: SearchMethod
    steps: int | None
    seed: int


def random_values(
    panel: Panel, objective: Objective, settings: Settings
) -> npt.NDArray[np.floating[Any]]:
    """Values of random promoters by the judge, ``(N,)``."""
    rng = np.random.default_rng([settings.seed, 99])
    inserts = rng.integers(4, size=(settings.random, INSERT), dtype=np.uint8)
    length = panel.judge.predictor.length
    constructs, _ = prepare(inserts, np.full(len(inserts), INSERT), "add", length)
    found = panel.judge.assess(constructs)
    return objective.value(found.expression, found.media)


def run_design(
    panel: Panel, objective: Objective, settings: Settings, designs: int, chains: int | None = None
) -> Designs:
    """Design from random starts, without constraints beyond the defaults."""
    rules, starts = Rules(), StartOptions(designs, chains, seed=settings.seed)
    problem = make_problem(panel, objective, None, rules, starts)
    found = search(problem, SearchOptions(settings.method, settings.steps, settings.seed))
    return finish(problem, found, panel, rules, starts)


def high(oracle: str, judge: str, medium: str, settings: Settings) -> dict[str, Any]:
    """Designs for high expression against the top of random promoters."""
    objective = Objective("maximise", medium)
    panel = load_panel(oracle, judge, judge, objective)
    random = random_values(panel, objective, settings)
    designs = run_design(panel, objective, settings, settings.designs)
    top = float(np.quantile(random, TOP))
    return {
        "what": f"high expression in {medium}",
        "designs": len(designs),
        "judge_median": float(np.median(designs.judge)),
        "random_top": top,
        "share_in_top": float((designs.judge >= top).mean()),
        **_common(designs),
    }


def apart(oracle: str, judge: str, media: tuple[str, str], settings: Settings) -> dict[str, Any]:
    """Designs that separate two media against the median random promoter."""
    objective = Objective("separate", *media)
    panel = load_panel(oracle, judge, judge, objective)
    random = random_values(panel, objective, settings)
    annealing = replace(settings, method="annealing")
    chains = CHAINS_APART * settings.designs
    designs = run_design(panel, objective, annealing, settings.designs, chains)
    return {
        "what": f"{media[0]} minus {media[1]}",
        "designs": len(designs),
        "judge_median": float(np.median(designs.judge)),
        "random_median": float(np.median(random)),
        "beyond_random": float(np.median(designs.judge) - np.median(random)),
        "best": float(designs.judge.max()),
        "random_top": float(np.quantile(random, TOP)),
        **_common(designs),
    }


def targets(oracle: str, judge: str, medium: str, settings: Settings) -> dict[str, Any]:
    """Designs for five values between low and high random promoters."""
    plain = Objective("maximise", medium)
    random = random_values(load_panel(oracle, judge, judge, plain), plain, settings)
    values = np.round(np.quantile(random, np.linspace(0.05, 0.95, TARGETS)), 1)
    objective = Objective("target", medium, targets=tuple(values.tolist()))
    panel = load_panel(oracle, judge, judge, objective)
    designs = run_design(panel, objective, settings, settings.designs * TARGETS)
    error = np.abs(designs.judge - designs.target)
    return {
        "what": f"target values in {medium}",
        "designs": len(designs),
        "by_target": {
            f"{value:g}": {
                "designs": int((designs.target == value).sum()),
                "mean_error": float(error[designs.target == value].mean()),
                "largest_error": float(error[designs.target == value].max()),
            }
            for value in objective.targets
        },
        **_common(designs),
    }


def _common(designs: Designs) -> dict[str, Any]:
    gain = designs.confirmed
    return {
        "gap_mean": float(designs.gap.mean()),
        "gain_oracle": gain.oracle,
        "gain_judge": gain.judge,
        "flagged": sum(map(bool, designs.unlike)),
        "nearest_design": int(designs.nearest.min()),
        "shared_labels": designs.panel.shared,
        "notes": list(designs.notes),
    }


def markdown(results: dict[str, dict[str, Any]]) -> str:
    """The table of ``design.md``."""
    lines = ["| goal | designs | by the judge | random promoters | gain by oracle → judge |",
             "|---|---|---|---|---|"]  # fmt: skip
    found = results["high"]
    gain = "{gain_oracle:.2f} → {gain_judge:.2f}"
    lines.append(
        f"| {found['what']} | {found['designs']} | median {found['judge_median']:.2f}; "
        f"{found['share_in_top']:.0%} in the top 0.1 % | top 0.1 % from "
        f"{found['random_top']:.2f} | {gain.format(**found)} |"
    )
    for found in (results["apart"], results["apart_reversed"]):
        lines.append(
            f"| {found['what']} | {found['designs']} | median {found['judge_median']:.2f}, "
            f"{found['beyond_random']:.2f} beyond random; best {found['best']:.2f} | median "
            f"{found['random_median']:.2f}; top 0.1 % from {found['random_top']:.2f} | "
            f"{gain.format(**found)} |"
        )
    found = results["targets"]
    for value, row in found["by_target"].items():
        lines.append(
            f"| {value}, {found['what']} | {row['designs']} | distance from the target: mean "
            f"{row['mean_error']:.2f}, largest {row['largest_error']:.2f} | – | – |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--oracle", default=ORACLE)
    parser.add_argument("--apart-oracle", help="oracle for two media; default: that of --oracle")
    parser.add_argument("--judge", default=JUDGE)
    parser.add_argument("--media", nargs=2, default=("complex", "defined"))
    parser.add_argument("--designs", type=int, default=20, help="designs for each goal and target")
    parser.add_argument("--random", type=int, default=20_000, help="random promoters")
    parser.add_argument("--method", default="greedy")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    add_output(parser, "folder for design.md and design.json")
    options = parser.parse_args()
    settings = Settings(
        options.designs, options.random, options.method, options.steps, options.seed
    )
    oracle, judge, media = options.oracle, options.judge, tuple(options.media)
    both = options.apart_oracle or oracle
    started = time.perf_counter()
    results = {
        "high": high(oracle, judge, media[0], settings),
        "targets": targets(oracle, judge, media[0], settings),
        "apart": apart(both, judge, media, settings),
        "apart_reversed": apart(both, judge, (media[1], media[0]), settings),
    }
    command = (
        f"python benchmarks/design.py --oracle {oracle} --apart-oracle {both} --judge {judge} "
        f"--media {' '.join(media)} "
        f"--designs {settings.designs} --random {settings.random} --method {settings.method} "
        f"--seed {settings.seed}" + (f" --steps {settings.steps}" if settings.steps else "")
    )
    write_result(
        options.output, "design", command, commit=commit(),
        seconds=round(time.perf_counter() - started), **results,
    )  # fmt: skip
    (Path(options.output) / "design.md").write_text(f"`{command}`\n\n{markdown(results)}")
    print(markdown(results))


if __name__ == "__main__":
    main()
