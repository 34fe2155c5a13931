"""Runs a search step by step; saves its state, so that a killed search continues where it was.

:func:`search` takes a problem and a method, and returns a :class:`Found`: the best design of each
chain and all designs of the last step. The state file is written in one step, and holds the
settings of the search: a search continues only with the same settings. The random numbers of each
step depend on the seed and the number of the step alone. A search that was killed and continued
therefore ends with the same designs as one that ran without interruption.
"""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crmnet.arrays import Floats, Integers
from crmnet.choices import SearchMethod
from crmnet.design.problem import INFEASIBLE, Problem
from crmnet.design.search import METHODS, Arrays
from crmnet.files import PathLike, read_npz, write_atomically
from crmnet.names import did_you_mean
from crmnet.sequence import Tokens

log = logging.getLogger("crmnet")

STATE = "search.npz"
"""Name of the state file in the result folder."""
SAVE_SECONDS = 5.0
"""Seconds between two writes of the state."""
ARCHIVE = ("best", "best_fitness", "history")
"""Arrays of the state that do not belong to the method."""
LOG_SECONDS = 30.0
"""Seconds between two log lines, where there is no terminal."""


@dataclass(frozen=True)
class SearchOptions:
    """Method, number of steps and seed of a search."""

    method: SearchMethod = "greedy"
    steps: int | None = None
    """Largest number of steps; None means the method's default."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            hint = did_you_mean(self.method, METHODS) or f"methods are {', '.join(METHODS)}"
            raise ValueError(f"unknown method {self.method!r}; {hint}")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps must be at least 1; got {self.steps}")


class Progress(NamedTuple):
    """Where a search is after a step."""

    step: int
    steps: int
    best: float
    """Mean of the best scores of the chains."""
    tokens: Tokens
    """``(C, W)``, the best design of each chain so far."""
    fitness: Floats
    """``(C,)`` its fitness."""


class Found(NamedTuple):
    """Result of a search."""

    best: Tokens
    """``(C, W)``, the best design of each chain in any step."""
    fitness: Floats
    """``(C,)`` its fitness."""
    pool: Tokens
    """``(K, W)`` all designs of the last step."""
    pool_chain: Integers
    """``(K,)`` the chain of each."""
    history: Floats
    """``(S + 1, C)`` best score of each chain after each step; NaN before one meets the rules."""
    complete: bool
    """False if the search was interrupted."""


@dataclass
class Record:
    """The state file of a search; without a path nothing is saved."""

    path: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    saved: float = 0.0

    def load(self) -> tuple[int, Arrays] | None:
        """Step and arrays of an interrupted search; None if there is none.

        Raises:
            ValueError: If the file belongs to a search with other settings, or is damaged.
        """
        if self.path is None or not self.path.exists():
            return None
        try:
            arrays = read_npz(self.path)
            before = json.loads(str(arrays.pop("settings")))
            step = int(arrays.pop("step"))
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(
                f"{self.path} is damaged ({error}); remove it, or pass --overwrite"
            ) from error
        for key, value in json.loads(json.dumps(dict(self.settings))).items():
            if before.get(key) != value:
                raise ValueError(
                    f"{self.path.parent} holds an unfinished search with another {key} "
                    f"({_short(before.get(key))}, now {_short(value)}); choose another folder, or "
                    "pass --overwrite"
                )
        log.info("continues the search in %s after step %d", self.path.parent, step)
        return step, arrays

    def save(self, step: int, arrays: Arrays, *, force: bool = False) -> None:
        """Write the state if the last write is some seconds ago."""
        now = time.monotonic()
        if self.path is None or (not force and now - self.saved < SAVE_SECONDS):
            return
        content = io.BytesIO()
        about = {"settings": np.array(json.dumps(dict(self.settings))), "step": np.array(step)}
        np.savez(content, allow_pickle=False, **about, **arrays)
        write_atomically(self.path, lambda partial: _write(partial, content))
        self.saved = time.monotonic()


def _write(path: Path, content: io.BytesIO) -> None:
    path.write_bytes(content.getbuffer())


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def record_in(folder: PathLike | None, settings: Mapping[str, Any]) -> Record:
    """The record of the search in a result folder."""
    return Record(None if folder is None else Path(folder) / STATE, settings)


def search(
    problem: Problem,
    options: SearchOptions,
    *,
    record: Record | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Found:
    """Search for designs of all chains.

    Args:
        problem: Its starts meet all constraints (:func:`crmnet.design.problem.feasible_starts`).
        options: Method, steps and seed.
        record: Where the state is saved and from where an interrupted search continues.
        progress: Called after each step.

    Returns:
        What was found; after KeyboardInterrupt the best so far, with ``complete`` False.
    """
    method, record = METHODS[options.method], record or Record()
    steps = options.steps or method.steps or problem.starts.chains
    loaded = record.load()
    step, state = loaded or (0, _first_state(problem, options))
    try:
        while step < steps and not method.finished(_own(state), step):
            rng = np.random.default_rng([options.seed, 2, step + 1])
            new = method.advance(problem, _own(state), rng, step / steps)
            step, state = step + 1, _with_archive(state, new)
            record.save(step, state)
            best, fitness = state["best"], state["best_fitness"]
            progress(Progress(step, steps, _mean_score(fitness), best, fitness))
        complete = True
    except KeyboardInterrupt:
        complete = False
    record.save(step, state, force=True)
    return _found(state, complete)


def _first_state(problem: Problem, options: SearchOptions) -> Arrays:
    rng = np.random.default_rng([options.seed, 1])
    state = METHODS[options.method].begin(problem, rng)
    empty = {
        "best": state["tokens"][:, 0],
        "best_fitness": np.full(problem.starts.chains, -np.inf),
        "history": np.zeros((0, problem.starts.chains)),
    }
    return _with_archive(empty, state)


def _own(state: Arrays) -> Arrays:
    """The arrays of the method, without the archive."""
    return {key: value for key, value in state.items() if key not in ARCHIVE}


def _with_archive(before: Arrays, new: Arrays) -> Arrays:
    """The new state, with the best design of each chain so far and the history of scores."""
    best, fitness, history = (before[key] for key in ARCHIVE)
    better = new["fitness"][:, 0] > fitness
    fitness = np.where(better, new["fitness"][:, 0], fitness)
    scores = np.where(fitness > INFEASIBLE / 2, fitness, np.nan)
    return {
        **new,
        "best": np.where(better[:, None], new["tokens"][:, 0], best),
        "best_fitness": fitness,
        "history": np.concatenate([history, scores[None]]),
    }


def _mean_score(fitness: Floats) -> float:
    met = fitness[fitness > INFEASIBLE / 2]
    return float(met.mean()) if len(met) else float("nan")


def _found(state: Arrays, complete: bool) -> Found:
    tokens = state["tokens"]
    chain = np.repeat(np.arange(len(tokens)), tokens.shape[1])
    return Found(
        state["best"], state["best_fitness"], tokens.reshape(-1, tokens.shape[2]), chain,
        state["history"], complete,
    )  # fmt: skip
