"""Kill a writing command, run it again, and compare the result with an undisturbed run."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fault_drill.material import Material, writing_commands
from fault_drill.processes import Ended, contents, run, start, wait_for
from fault_drill.results import PartResult

KILLS = 220
ATTEMPTS = 6
"""How often a command that ended before its kill is started again, to be killed earlier."""


@dataclass
class Undisturbed:
    """A command, and what it writes when nothing disturbs it."""

    words: list[object]
    same: dict[str, str]
    """Files that two undisturbed runs write alike, with their hashes."""
    names: set[str]
    """All files, also those that contain the time or a duration."""
    seconds: float
    changes: int
    """How often the names of the files in the folder change while the command runs."""


def kills(material: Material, scale: float, rng: random.Random) -> PartResult:
    """Kill every writing command, half of the time when the files in its folder have changed."""
    part = PartResult("kills")
    commands: dict[str, Undisturbed] = {}
    for name, words in writing_commands(material).items():
        undisturbed, ended = _undisturbed(material, words)
        if undisturbed is None:
            part.count(f"{name}, undisturbed", "not usable", f"status {ended.status}", ended)
        else:
            commands[name] = undisturbed
            if different := undisturbed.names - set(undisturbed.same):
                part.notes[f"{name}: files not compared"] = sorted(different)
    for name in itertools.islice(_in_turn(commands), max(len(commands), round(KILLS * scale))):
        _kill_once(material, part, name, commands[name], rng)
    return part


def _in_turn(commands: dict[str, Undisturbed]) -> Iterator[str]:
    """Names of the commands in turn, for ever; slow commands come every third time."""
    typical = statistics.median(command.seconds for command in commands.values())
    for number in itertools.count():
        for name, command in commands.items():
            if number % 3 == 0 or command.seconds < 4 * typical:
                yield name


def _undisturbed(material: Material, words: list[object]) -> tuple[Undisturbed | None, Ended]:
    results: list[dict[str, str]] = []
    seconds, changes = [], []
    for _ in range(2):
        with material.working_folder() as work:
            started = start(words, work)
            seen = _count_changes(started[0], work)
            ended = wait_for(started, work)
            results.append(contents(work))
            seconds.append(ended.seconds)
            changes.append(seen)
    if ended.status or ended.fault:
        return None, ended
    first, second = results
    same = {name: value for name, value in first.items() if second.get(name) == value}
    return Undisturbed(words, same, set(first), min(seconds), min(changes)), ended


def _kill_once(
    material: Material, part: PartResult, name: str, command: Undisturbed, rng: random.Random
) -> None:
    for attempt in range(ATTEMPTS):
        with material.working_folder() as work:
            started = start(command.words, work)
            when = _wait_for_moment(started[0], command, work, attempt, rng)
            _kill(started[0])
            killed = wait_for(started, work)
            if killed.status != -signal.SIGKILL and attempt < ATTEMPTS - 1:
                continue
            left = set(contents(work)) - command.names
            again, fault = _rerun(name, command, work)
            state = "killed" if killed.status == -signal.SIGKILL else "ended before the kill"
            state += ", temporary files until the rerun" if left else ""
            part.count(f"{name}, killed at {when}", state, fault, again)
            return


def _wait_for_moment(
    pid: int, command: Undisturbed, work: Path, attempt: int, rng: random.Random
) -> str:
    """Wait until the command is to be killed, in later attempts less long; returns when that is."""
    if command.changes and rng.random() < 0.5:
        change = 1 + rng.randrange(max(1, round(command.changes * 0.7**attempt)))
        _count_changes(pid, work, until=change)
        time.sleep(rng.choice([0, 0, rng.uniform(0, 0.01)]))
        return f"change {change} of {command.changes}"
    delay = rng.uniform(0, command.seconds * 0.8**attempt)
    time.sleep(delay)
    return f"{delay:.3f} s"


def _kill(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


def _rerun(name: str, command: Undisturbed, work: Path) -> tuple[Ended, str | None]:
    """Run the same command again; returns how it ended, and the fault if there is one."""
    words = [*command.words, "--resume"] if name == "train" else command.words
    again = run(words, work)
    if again.status == 2 and "--overwrite" in again.err:
        again = run([*words, "--overwrite"], work)
    after = contents(work)
    if again.fault or again.status:
        return again, again.fault or f"rerun ends with status {again.status}"
    different = [path for path, value in command.same.items() if after.get(path) != value]
    if different or (missing := command.names - set(after)):
        paths = ", ".join(different or sorted(missing))
        return again, f"rerun differs from an undisturbed run: {paths}"[:120]
    if extra := sorted(set(after) - command.names):
        return again, f"left after the rerun: {', '.join(extra)}"[:120]
    return again, None


def _count_changes(pid: int, work: Path, until: int | None = None) -> int:
    """How often the names of files in ``work`` change before the process ends, up to ``until``."""
    names: set[str] = set()
    changes = 0
    while changes != until:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        now = _names(work)
        changes += now != names
        names = now
        if ended:
            break
        time.sleep(0.001)
    return changes


def _names(folder: Path) -> set[str]:
    found = set()
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            found.add(entry.path)
            if entry.is_dir(follow_symlinks=False):
                found |= _names(Path(entry.path))
    return found
