"""The design process: runs one job after another, and reports its progress.

It calls the same functions as ``crmnet design``. Between two steps of a search it looks whether it
should stop; then the best designs so far are the result.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from crmnet.design.constraints import Constraint, Flanks, GcRange, MaxEdits, MaxRun
from crmnet.design.designs import Designs
from crmnet.design.judge import JUDGE, ORACLE, RANKER, Panel, choose_panel
from crmnet.design.objective import Objective
from crmnet.design.patterns import AvoidSites, KeepSite, enzyme_pattern, find_pattern
from crmnet.design.presets import preset
from crmnet.design.problem import INFEASIBLE, Problem
from crmnet.design.promoters import Rules, finish, make_problem
from crmnet.design.report import fasta, order_columns, summary_lines
from crmnet.design.run import Progress, SearchOptions, search
from crmnet.design.scorer import Scorer
from crmnet.design.starts import StartOptions, given_inserts
from crmnet.process import start_fast
from crmnet.reports.tables import table_text
from crmnet.sequence import ADAPTER_3, ADAPTER_5, decode
from crmnet.serve.answers import number
from crmnet.serve.pipe import Pipe
from crmnet.serve.threads import THREADS, SharedPredictor

log = logging.getLogger("crmnet")

FLANKS = Flanks(ADAPTER_5, ADAPTER_3)
"""What is ordered around an insert."""


class Designer:
    """Runs jobs of a server.

    Args:
        pipe: Messages from and to the server.
        settings: Name → path of the models of the server (``paths``), and ``device``.
    """

    def __init__(self, pipe: Pipe, settings: Mapping[str, Any]) -> None:
        self.pipe, self.settings = pipe, settings
        self.scorers: dict[str, Scorer] = {}
        self.stopped: set[str] = set()

    def run(self) -> None:
        """Run jobs until the server ends."""
        while True:
            message = self.pipe.receive()
            if "stop" in message:
                continue  # its job has ended
            try:
                answer = self.answer(message)
            except (ValueError, OSError, ModuleNotFoundError) as error:
                answer = {"error": {"code": "invalid", "message": str(error)}}
            except Exception as error:
                log.exception("a design failed")
                text = f"the design failed: {type(error).__name__}"
                answer = {"error": {"code": "failed", "message": text}}
            self.pipe.send({"job": message["job"], **answer})

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Run a job."""
        asked, job = message["request"], message["job"]
        objective = read_goal(asked["goal"])
        rules = read_rules(asked)
        text = asked["start"]["sequence"]
        given = None if text is None else given_inserts([text], ["start"])
        starts = StartOptions(asked["n"], seed=asked["seed"])
        options = SearchOptions(asked["method"], asked["steps"], asked["seed"])
        panel = self.panel(asked, objective)
        problem = make_problem(panel, objective, given, rules, starts)
        report = self.reporter(job, problem, time.monotonic() + message["seconds"])
        found = search(problem, options, progress=report)
        designs = finish(problem, found, panel, rules, starts)
        return {"stopped": not found.complete, "result": result_of(designs)}

    def panel(self, asked: Mapping[str, Any], objective: Objective) -> Panel:
        """The models of a job."""
        roles = {"oracle": ORACLE, "judge": JUDGE, "ranker": RANKER}
        chosen = [self.scorer(asked[role] or name) for role, name in roles.items()]
        return choose_panel(chosen[0], chosen[1], chosen[2], objective.media)

    def scorer(self, name: str) -> Scorer:
        """A model, which is opened once."""
        if name not in self.scorers:
            path = self.settings["paths"].get(name, name)
            predictor = SharedPredictor.load(path, device=self.settings["device"])
            self.scorers[name] = Scorer.of(predictor, str(predictor.name))
        return self.scorers[name]

    def reporter(self, job: str, problem: Problem, end: float) -> Callable[[Progress], None]:
        """Reports each step, and interrupts the search if the job should stop."""
        history: list[float] = []

        def report(progress: Progress) -> None:
            best = best_of(problem, progress)
            if best is not None:
                history.append(best["value"])
            state = {"step": progress.step, "steps": progress.steps, "best": best,
                     "history": history}  # fmt: skip
            self.pipe.send({"job": job, "progress": state})
            told = [message.get("stop") for message in self.pipe.waiting()]
            if job in told or time.monotonic() > end:
                raise KeyboardInterrupt  # the search then returns its best

        return report


def best_of(problem: Problem, progress: Progress) -> dict[str, Any] | None:
    """The best design so far and its value; None before one meets the rules."""
    chain = int(np.argmax(progress.fitness))
    if progress.fitness[chain] <= INFEASIBLE / 2:
        return None
    tokens, row = progress.tokens[chain : chain + 1], np.array([chain])
    assessed = problem.oracle.assess(problem.constructs(tokens, row))
    value = problem.objective.value(assessed.expression, assessed.media)[0]
    (text,) = decode(tokens, problem.starts.lengths[chain : chain + 1])
    return {"sequence": text, "value": float(value)}


def read_goal(goal: Mapping[str, Any]) -> Objective:
    """The goal of a request."""
    targets = () if goal["value"] is None else (goal["value"],)
    return Objective(goal["kind"], goal["medium"], goal["minus_medium"], targets)


def read_rules(asked: Mapping[str, Any]) -> Rules:
    """The constraints of a request."""
    rules: list[Constraint] = [KeepSite(find_pattern(name)) for name in asked["keep_motifs"]]
    rules += [AvoidSites(find_pattern(name)) for name in asked["avoid_motifs"]]
    rules += [AvoidSites(enzyme_pattern(name)) for name in asked["avoid_enzymes"]]
    low, high = asked["gc_low"], asked["gc_high"]
    if low is not None or high is not None:
        rules.append(GcRange(0.0 if low is None else low, 1.0 if high is None else high))
    if asked["max_homopolymer"] is not None:
        rules.append(MaxRun(asked["max_homopolymer"]))
    if asked["max_edits"] is not None:
        rules.append(MaxEdits(asked["max_edits"]))
    chosen = None if asked["preset"] is None else preset(asked["preset"])
    if chosen is not None:
        rules += chosen.constraints
    stem = None if chosen is None else chosen.hairpin_stem
    return Rules(tuple(rules), hairpin_stem=stem, flanks=FLANKS)


def result_of(designs: Designs) -> dict[str, Any]:
    """Designs as the API answers them, and their files."""
    inserts, judge = designs.sequences, designs.panel.judge
    judged = judge.assess(judge.predictor.prepare(inserts)).expression if inserts else ()
    starts = decode(designs.given, designs.lengths)
    rows = [
        {
            "rank": row + 1,
            "id": name,
            "sequence": inserts[row],
            "expression": _expression(designs, row),
            "oracle": float(designs.oracle[row]),
            "judge": dict(zip(judge.media, map(float, judged[row]), strict=True)),
            "gap": float(designs.gap[row]),
            "edits": int(designs.edits[row]),
            "start_sequence": starts[row],
            "constraints_met": True,
            "flags": designs.unlike[row].split(";") if designs.unlike[row] else [],
        }
        for row, name in enumerate(designs.ids)
    ]
    order = table_text(order_columns(designs, FLANKS))
    return {
        "designs": rows,
        "summary": summary_lines(designs),
        "order_tsv": order,
        "files": {
            "designs.tsv": table_text(designs.columns()),
            "order.tsv": order,
            "designs.fasta": fasta(designs),
        },
    }


def _expression(designs: Designs, row: int) -> dict[str, Any]:
    trust = designs.trust
    return {
        medium: {
            "value": float(designs.expression[row, m]),
            "low": None if trust is None else number(trust.low[row, m]),
            "high": None if trust is None else number(trust.high[row, m]),
        }
        for m, medium in enumerate(designs.media)
    }


def main() -> None:
    """Run the jobs of the server that started this process."""
    start_fast()
    THREADS.start()
    pipe = Pipe()
    Designer(pipe, pipe.receive()).run()


if __name__ == "__main__":
    main()
