"""Fault drill: kills, damaged rows, hostile models, fuzzed inputs, racing writers, full disks.

    python benchmarks/faults.py                          all parts at full scale
    python benchmarks/faults.py --scale 0.1 --only kills rows

Prints a table, and writes JSON to benchmarks/results/faults.json (or -o). Needs no network. Each
case runs in a fork of this process, so that crmnet is imported once, with a limit on time and
memory. A case is at fault if it ends with a traceback or an internal error (status 1 with a hint at
CRMNET_DEBUG), does not end, gives a wrong answer with status 0, refuses a good input, blames no
file or line, or leaves files behind after a rerun. Linux only.
"""

import argparse
import contextlib
import csv
import hashlib
import importlib
import json
import math
import os
import pkgutil
import platform
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # a fork must not copy a process with several threads

import torch
from safetensors.torch import save_file

import crmnet
from crmnet import cli
from crmnet.data.dataset import Dataset
from crmnet.process import flush_output
from crmnet.runs.folder import RECORD, WEIGHTS, build_network, load_tensors
from crmnet.runs.packed import CARD, pack
from crmnet.runs.record import RunRecord, Scale, versions
from crmnet.runs.settings import resolve
from crmnet.sequence import decode
from crmnet.simulation.assay import AssayOptions, simulate
from crmnet.training.train import train

LIMIT_S = 60
"""Longest time of a case, in seconds; longer is a hang."""
HOSTILE_S = 2
MEMORY = 1 << 30
"""Memory of a case beyond that of this process, in bytes."""
EXAMPLES = 30
"""Most faults of a part that are stored as examples."""
TINY = [
    "encoder=[8,8]", "decoder=[8]", "tail=[4]", "dense=[16]", "dense_dropout=[0.1]",
    "transformer_blocks=1", "heads=1", "key_dim=8", "feed_forward=8", "batch_size=64",
    "validation_fraction=0.2", "device=cpu", "epochs=2",
]  # fmt: skip
SET = [word for text in TINY for word in ("--set", text)]


@dataclass
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def fault(self) -> str | None:
        """What no command may do, whatever its input."""
        if self.status == -signal.SIGALRM:
            return "hang"
        if "Traceback (most recent" in self.err or "Traceback (most recent" in self.out:
            return "traceback"
        if self.status == 1 and "CRMNET_DEBUG" in self.err:
            return "internal error"
        if self.status < 0:
            return f"signal {-self.status}"
        if self.status == 2 and "Usage: " in self.err:
            return "the drill's command line is out of date"
        if "\x1b" in self.err:
            return "escape sequence printed"
        return None


@dataclass
class Part:
    """Counts of one part of the drill."""

    name: str
    cases: int = 0
    seconds: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def count(self, case: str, outcome: str, fault: str | None, ended: Ended | None = None) -> None:
        """Count a case, with its fault if it has one."""
        self.cases += 1
        self.outcomes[outcome] += 1
        if fault is None:
            return
        self.kinds[fault] += 1
        if len(self.examples) < EXAMPLES:
            tail = re.sub(r"/\S*?/tmp\w+/", "", ended.err.strip())[-300:] if ended else ""
            self.examples.append({"case": case, "fault": fault, "message": tail})


class Place:
    """A folder with what the cases need: data, a run, a packed model, a file of promoters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.promoters, self.rows = folder / "promoters.tsv", folder / "rows.tsv"
        dataset = simulate(AssayOptions(300, seed=1), self.data)
        self.inserts = [text[17:97] for text in decode(dataset.tokens[:60])]
        self.promoters.write_text(table(self.inserts[:20]))
        self.rows.write_text(labelled(self.inserts))
        self.tiny_model()

    @cached_property
    def run(self) -> Path:
        """A trained run."""
        train(resolve("demo", TINY), Dataset.open(self.data), self.folder / "run")
        return self.folder / "run"

    def tiny_model(self) -> None:
        """A run with random weights that is loaded in milliseconds, and its packed file."""
        self.small_run, self.small = self.folder / "small", self.folder / "small.safetensors"
        record = RunRecord(
            settings=resolve("small", TINY), media=["complex"], scale={"complex": Scale()},
            data={}, versions=versions(),
        )  # fmt: skip
        self.small_run.mkdir()
        (self.small_run / RECORD).write_text(record.model_dump_json())
        save_file(dict(build_network(record).state_dict()), self.small_run / WEIGHTS)
        pack([self.small_run], self.small)

    @contextlib.contextmanager
    def fresh(self) -> Iterator[Path]:
        """An empty folder, removed afterwards."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            yield Path(folder)


def table(inserts: Iterable[str]) -> str:
    """A table of ids and sequences."""
    return "".join(["id\tsequence\n", *(f"p{n}\t{s}\n" for n, s in enumerate(inserts, 1))])


def labelled(inserts: Iterable[str]) -> str:
    """Rows of sequence and expression."""
    return "".join(f"{s}\t{3 + n % 10}.5\n" for n, s in enumerate(inserts))


def begin(
    words: Iterable[object], folder: Path, *, setup: Callable[[], None] | None = None,
    limit: float = LIMIT_S, tag: str = "",
) -> tuple[int, float]:  # fmt: skip
    """Start ``crmnet WORDS`` in a fork; returns its process id and the time of its start."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid, time.monotonic()
    status = 70
    try:
        os.setsid()
        os.chdir(folder)
        logs = folder.parent / f"log{tag}"
        for descriptor, name in ((1, ".out"), (2, ".err")):
            opened = os.open(f"{logs}{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            os.dup2(opened, descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, limit)
        if setup is not None:
            setup()
        sys.argv = ["crmnet", *map(str, words)]
        cli.main()
        status = 0
    except SystemExit as stop:
        status = int(stop.code or 0)
    except BaseException:  # a fault of the command or of the drill: it shows in the log
        import traceback

        traceback.print_exc()
    finally:
        os._exit(flush_output(status))


def end(pid: int, started: float, folder: Path, tag: str = "") -> Ended:
    """Wait for a command."""
    _, raw = os.waitpid(pid, 0)
    texts = []
    for name in (".out", ".err"):
        log = Path(f"{folder.parent / 'log'}{tag}{name}")
        texts.append(log.read_bytes().decode("utf-8", "replace") if log.exists() else "")
    return Ended(os.waitstatus_to_exitcode(raw), *texts, time.monotonic() - started)


def run(words: Iterable[object], folder: Path, **options: Any) -> Ended:
    """Run ``crmnet WORDS`` in a fork to its end."""
    pid, started = begin(words, folder, **options)
    return end(pid, started, folder)


def tree(folder: Path) -> dict[str, str]:
    """Relative path → hash of every file; hashes leave out times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            raw = path.read_bytes()
            if path.name == "history.csv":  # its last column is the time of an epoch
                raw = b"\n".join(line.rpartition(b",")[0] for line in raw.splitlines())
            found[str(path.relative_to(folder))] = hashlib.sha256(raw).hexdigest()
        elif path.is_dir() and not any(path.iterdir()):
            found[f"{path.relative_to(folder)}/"] = ""
    return found


def writers(place: Place) -> dict[str, list[object]]:
    """Commands that write, by name; each writes only into its working folder."""
    data, model, promoters = place.data, place.run, place.promoters
    return {
        "simulate": ["data", "simulate", "-n", 300, "-o", "out"],
        "ingest": ["data", "ingest", place.rows, "-o", "out"],
        "ingest-packed": ["data", "ingest", place.rows, "-o", "out", "--packed"],
        "split": ["data", "split", data, "-o", "out/train", "--held-out", "out/test"],
        "train": ["train", "demo", "--data", data, "-o", "out", *SET],
        "predict": ["predict", model, promoters, "-o", "out.tsv"],
        "predict-parquet": ["predict", model, promoters, "-o", "out.parquet"],
        "predict-parts": ["predict", model, promoters, "-o", "out.tsv", "--part-rows", 3],
        "evaluate": ["evaluate", model, data, "-o", "out"],
        "explain": ["explain", model, promoters, "-o", "out", "--first", 2, "--medium", "complex"],
        "scan": ["motifs", "scan", promoters, "-o", "out.tsv"],
        "pack": ["models", "pack", model, "-o", "out.safetensors"],
        "distil": ["models", "distil", model, data, "-o", "out", "-n", 200],
    }


def kills(place: Place, scale: float, rng: random.Random) -> Part:
    """Kill a writing command at a random moment; rerun it; compare with an undisturbed run."""
    part = Part("kills")
    usable = {}
    for name, words in writers(place).items():
        trees, longest = [], 0.0
        for _ in range(2):
            with place.fresh() as folder:
                work = folder / "work"
                work.mkdir()
                ended = run(words, work)
                trees.append(tree(work))
                longest = max(longest, ended.seconds)
        if ended.status:
            part.count(f"{name}, undisturbed", "not usable", f"status {ended.status}", ended)
            continue
        stable = {k: v for k, v in trees[0].items() if trees[1].get(k) == v}
        usable[name] = (words, stable, set(trees[0]), longest)
    total = max(len(usable), round(208 * scale))
    for number in range(total):
        name = list(usable)[number % len(usable)]
        words, stable, names, longest = usable[name]
        with place.fresh() as folder:
            work = folder / "work"
            work.mkdir()
            delay = rng.uniform(0, longest)
            pid, started = begin(words, work)
            time.sleep(delay)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
                os.kill(pid, signal.SIGKILL)
            killed = end(pid, started, work)
            left = sorted(set(tree(work)) - names)
            again = run([*words, "--resume"] if name == "train" else words, work)
            if again.status == 2 and "--overwrite" in again.err:
                again = run([*words, "--overwrite"], work)
            after = tree(work)
            fault = again.fault
            if fault is None and again.status:
                fault = f"rerun ends with status {again.status}"
            if fault is None and {k: after.get(k) for k in stable} != stable:
                fault = "rerun differs from an undisturbed run"
            if fault is None and (extra := sorted(set(after) - names)):
                fault = f"left after the rerun: {', '.join(extra)[:80]}"
            state = "ended before the kill" if killed.status == 0 else "killed"
            state += ", temporary files until the rerun" if left else ""
            part.count(f"{name}, killed after {delay:.3f} s", state, fault, again)
    return part


Damage = Callable[[str, random.Random], bytes]
DAMAGES: dict[str, tuple[Damage, bool | None]] = {
    "lower case": (lambda s, r: s.lower().encode(), True),
    "blanks around": (lambda s, r: f"  {s} ".encode(), True),
    "quoted": (lambda s, r: f'"{s}"'.encode(), True),
    "carriage return": (lambda s, r: f"{s}\r".encode(), True),
    "letter X": (lambda s, r: at(s, r, "X"), False),
    "letter U": (lambda s, r: at(s, r, "U"), False),
    "IUPAC letter": (lambda s, r: at(s, r, r.choice("RYSWKMBDHV")), False),
    "gap": (lambda s, r: at(s, r, "-"), False),
    "dot": (lambda s, r: at(s, r, "."), False),
    "asterisk": (lambda s, r: at(s, r, "*"), False),
    "digit": (lambda s, r: at(s, r, "7"), False),
    "blank inside": (lambda s, r: at(s, r, "A A"), False),
    "zero byte": (lambda s, r: at(s, r, "\0"), False),
    "escape": (lambda s, r: at(s, r, "\x1b[31m"), False),
    "accent": (lambda s, r: at(s, r, "Ä"), False),
    "Latin-1": (lambda s, r: at(s, r, "Ä", "latin-1"), False),
    "broken UTF-8": (lambda s, r: s[:9].encode() + b"\xff\xfe" + s[9:].encode(), False),
    "Greek A": (lambda s, r: at(s, r, "Α"), False),
    "full-width A": (lambda s, r: at(s, r, "Ａ"), False),
    "no-break space": (lambda s, r: at(s, r, "\xa0"), False),
    "zero-width space": (lambda s, r: at(s, r, "\u200b"), False),
    "empty": (lambda s, r: b"", False),
    "only blanks": (lambda s, r: b"   ", False),
    "nan": (lambda s, r: b"nan", False),
    "number": (lambda s, r: b"12.5", False),
    "missing quote": (lambda s, r: f'"{s}'.encode(), None),
    "extra field": (lambda s, r: f"{s}\tA\tB".encode(), None),
    "semicolon": (lambda s, r: s.replace("A", ";", 1).encode(), False),
    "question mark": (lambda s, r: at(s, r, "?"), False),
    "too long": (lambda s, r: (s * 3000).encode(), False),
}
"""Kind of damage → how to make it, and whether the row can be read (None: it may be refused)."""


def at(text: str, rng: random.Random, letter: str, encoding: str = "utf-8") -> bytes:
    """Text with a letter at a random position."""
    place = rng.randrange(len(text))
    return (text[:place] + letter + text[place + 1 :]).encode(encoding)


def predictions(text: str) -> dict[str, list[str]]:
    """Id → the other fields of a table of predictions."""
    return {row[0]: row[1:] for row in csv.reader(text.splitlines()[1:], delimiter="\t") if row}


def rows(place: Place, scale: float, rng: random.Random) -> Part:
    """Damage one row of a table for predict, or of a file for ingest."""
    part = Part("damaged rows")
    reference = predictions(run(["predict", place.small, place.promoters], place.data).out)
    per_kind = max(1, round(1000 / len(DAMAGES) / 2 * scale + 0.2))
    for kind, (damage, readable) in DAMAGES.items():
        for _ in range(per_kind):
            with place.fresh() as folder:
                part.count(*_damaged_predict(place, folder, kind, damage, readable, reference, rng))
                part.count(*_damaged_ingest(place, folder, kind, damage, readable, rng))
    return part


def _damaged_predict(
    place: Place, folder: Path, kind: str, damage: Damage, readable: bool | None,
    reference: dict[str, list[str]], rng: random.Random,
) -> tuple[str, str, str | None, Ended]:  # fmt: skip
    lines = [line.encode() for line in table(place.inserts[:20]).splitlines()]
    number = rng.randrange(1, len(lines))
    lines[number] = f"p{number}\t".encode() + damage(place.inserts[number - 1], rng)
    (folder / "in.tsv").write_bytes(b"\n".join(lines) + b"\n")
    ended = run(["predict", place.small, folder / "in.tsv"], folder)
    fault = ended.fault
    if fault is None and ended.status == 0:
        found = predictions(ended.out)
        if readable is not False:
            fault = None if found == reference else "wrong prediction"
        else:
            fault = "bad row accepted"
    elif fault is None and readable:
        fault = "good row refused"
    elif fault is None and f"line {number + 1}" not in ended.err and f"p{number}" not in ended.err:
        fault = "line not named"
    return f"predict, {kind}", f"predict: status {ended.status}", fault, ended


def _damaged_ingest(
    place: Place, folder: Path, kind: str, damage: Damage, readable: bool | None, rng: random.Random
) -> tuple[str, str, str | None, Ended]:
    lines = [line.encode() for line in labelled(place.inserts).splitlines()]
    number = rng.randrange(1, len(lines))
    lines[number] = damage(place.inserts[number], rng) + b"\t4.5"
    (folder / "rows.tsv").write_bytes(b"\n".join(lines) + b"\n")
    ended = run(
        ["data", "ingest", folder / "rows.tsv", "-o", folder / "out", "--max-rejected", "0.5"],
        folder,
    )
    fault = ended.fault
    listed = folder / "out" / "rejected.tsv"
    texts = ended.err + (listed.read_text() if listed.exists() else "")
    named = f"line {number + 1}" in texts or f"\t{number + 1}\t" in texts
    if fault is None and ended.status == 0:
        data = Dataset.open(folder / "out")
        kept = [text[17:97] for text in decode(data.tokens[:])]
        others = [s for n, s in enumerate(place.inserts) if n != number]
        if readable or (readable is None and not named):
            fault = None if sorted(kept) == sorted(place.inserts) else "wrong rows"
        elif not named:
            fault = "bad row accepted or not listed"
        elif sorted(kept) != sorted(others):
            fault = "wrong rows"
    elif fault is None and readable:
        fault = "good row refused"
    elif fault is None and not named:
        fault = "line not named"
    return f"ingest, {kind}", f"ingest: status {ended.status}", fault, ended


HOSTILE: list[Any] = [
    None, True, -1, 0, 1, 7, 10**9, 10**30, 1.5, math.nan, math.inf, "", "x", "\x1b[31mred",
    "\ud800", [], [1], [[1]], {}, {"a": 1}, "9" * 5000, [0] * 5000, "../../etc/passwd",
]  # fmt: skip


def mutated(values: Any, rng: random.Random) -> Any:
    """A copy of nested values with one changed, removed or added."""
    copy = json.loads(json.dumps(values))
    node = copy
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = rng.choice(keys)
        inner = node[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.85:
            node = inner
            continue
        how = rng.random()
        if how < 0.1:
            del node[key]
        elif how < 0.15 and isinstance(node, dict):
            node["surprise"] = rng.choice(HOSTILE)
        else:
            node[key] = rng.choice(HOSTILE)
        return copy


def scrambled(raw: bytes, rng: random.Random) -> bytes:
    """Bytes with some replaced, removed, repeated or cut off."""
    data = bytearray(raw)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        if not data:
            break
        place, how = rng.randrange(len(data)), rng.randrange(6)
        if how == 0:
            data[place] = rng.randrange(256)
        elif how == 1:
            del data[place : place + rng.randrange(1, 30)]
        elif how == 2:
            data[place:place] = data[place : place + rng.randrange(1, 50)]
        elif how == 3:
            data[place:place] = rng.choice([b"\t", b"\n", b"\r", b"\0", b'"', b">", b",", b"\xff"])
        elif how == 4:
            data[place:place] = rng.choice([b"nan", b"inf", b"1e999", b"-1", b"1_0", b"9" * 400])
        else:
            del data[place:]
    return bytes(data)


def hostile(place: Place, scale: float, rng: random.Random) -> Part:
    """Damaged and hostile models: cards, tensors, headers and bytes."""
    part = Part("hostile models")
    reference = predictions(run(["predict", place.small, place.promoters], place.data).out)
    tensors = load_tensors(place.small)
    card = json.loads(place.small.with_suffix(".json").read_text())
    for number in range(max(5, round(150 * scale))):
        with place.fresh() as folder:
            model, changed, how = folder / "m.safetensors", dict(tensors), number % 5
            if how < 2:
                save_file(tensors, model, metadata={CARD: json.dumps(mutated(card, rng))})
            elif how == 2:
                name = rng.choice(sorted(tensors))
                value = changed[name]
                changed[name] = rng.choice(
                    [value.double() * math.nan, torch.zeros(3), value.int(), value.bool()]
                )
                save_file(changed, model, metadata={CARD: json.dumps(card)})
            elif how == 3:
                changed[rng.choice(["extra", "0.extra", "9.x", "\x1b[31m"])] = torch.zeros(2)
                save_file(changed, model, metadata={CARD: json.dumps(card)})
            else:
                model.write_bytes(scrambled(place.small.read_bytes(), rng))
            ended = run(["predict", model, place.promoters], folder, limit=20)
            fault = _fault_of_model(ended, "m.safetensors", folder)
            if ended.status == 0 and predictions(ended.out) != reference:
                fault = "wrong prediction"
            part.count(f"{('card', 'card', 'tensor', 'extra', 'bytes')[how]} {number}",
                       f"status {ended.status}", fault, ended)  # fmt: skip
    return part


def _fault_of_model(ended: Ended, name: str, folder: Path) -> str | None:
    if ended.fault or ended.status == 0:
        return ended.fault
    if ended.seconds > HOSTILE_S:
        return f"takes more than {HOSTILE_S} s"
    if name not in ended.err:
        return "file not named"
    return "more than one line" if ended.err.strip().count("\n") else None


def fuzz(place: Place, scale: float, rng: random.Random) -> Part:
    """Scrambled inputs of predict, motif files, run.json and settings."""
    part = Part("fuzzed inputs")
    valid = [table(place.inserts[:5]).encode(), labelled(place.inserts[:5]).encode(),
             "".join(f">p{n}\n{s}\n" for n, s in enumerate(place.inserts[:5])).encode(),
             ]  # fmt: skip
    motif = (
        b"MEME version 4\n\nALPHABET= ACGT\n\nMOTIF A a\nletter-probability matrix: alength= 4 "
        b"w= 3\n0.7 0.1 0.1 0.1\n0.1 0.7 0.1 0.1\n0.1 0.1 0.1 0.7\n"
    )
    jaspar = b">M1 a\nA [ 3 4 0 ]\nC [ 3 0 0 ]\nG [ 0 0 9 ]\nT [ 4 6 1 ]\n"
    record = json.loads((place.small_run / RECORD).read_text())
    settings = [f"{section}.{key}" for section in ("train", "model") for key in
                (record["settings"]["train"] if section == "train"
                 else record["settings"]["model"]["settings"])]  # fmt: skip
    for number in range(max(8, round(5000 * scale))):
        kind = ("predict", "predict", "motifs", "run.json", "settings")[number % 5]
        with place.fresh() as folder:
            if kind == "predict":
                file = folder / rng.choice(["in.tsv", "in.fa", "in.csv", "in.txt"])
                file.write_bytes(scrambled(rng.choice(valid), rng))
                words: list[object] = ["predict", place.small, file]
            elif kind == "motifs":
                file = folder / "m.meme"
                file.write_bytes(scrambled(rng.choice([motif, jaspar]), rng))
                words = ["motifs", "match", file]
            elif kind == "run.json":
                shutil.copytree(place.small_run, folder / "run")
                text = json.dumps(mutated(record, rng))
                raw = text.encode("utf-8", "surrogatepass")
                (folder / "run" / RECORD).write_bytes(
                    scrambled(raw, rng) if rng.random() < 0.3 else raw
                )
                words = ["predict", folder / "run", place.promoters]
            else:
                value = rng.choice([*map(str, HOSTILE), "nan", "[", "1e999", "{a=1}", "[1,[2]]"])
                value = value.encode("ascii", "replace").decode()
                words = ["train", "demo", "--data", folder / "none", "-o", folder / "out",
                         "--set", f"{rng.choice(settings)}={value}"]  # fmt: skip
            ended = run(words, folder, limit=20)
            fault = ended.fault
            if fault is None and ended.status == 0 and kind in ("predict", "run.json"):
                fields = [f for row in predictions(ended.out).values() for f in row]
                if any(f.strip().lower() in ("nan", "inf", "-inf") for f in fields):
                    fault = "not a number with status 0"
            if fault is None and ended.status == 2 and kind == "run.json":
                fault = _fault_of_model(ended, "run", folder)
            part.count(f"{kind} {number}", f"{kind}: status {ended.status}", fault, ended)
    return part


def pairs(place: Place, scale: float, rng: random.Random) -> Part:
    """Two processes write one output at the same time, from different inputs."""
    part = Part("pairs of writers")
    names = ("a.tsv", "b.tsv")
    (place.folder / "a.tsv").write_text(table(place.inserts[:20]))
    (place.folder / "b.tsv").write_text(table(place.inserts[20:40]))
    (place.folder / "la.tsv").write_text(labelled(place.inserts[:30]))
    (place.folder / "lb.tsv").write_text(labelled(place.inserts[30:]))
    commands: dict[str, Callable[[str], list[object]]] = {
        "predict": lambda n: ["predict", place.small, place.folder / n, "-o", "out.tsv"],
        "predict-parts": lambda n: ["predict", place.small, place.folder / n, "-o", "out.tsv",
                                    "--part-rows", 2],
        "ingest": lambda n: ["data", "ingest", place.folder / f"l{n}", "-o", "out"],
        "scan": lambda n: ["motifs", "scan", place.folder / n, "-o", "out.tsv"],
        "simulate": lambda n: ["data", "simulate", "-n", 100, "--seed", int(n == "a.tsv"),
                               "-o", "out"],
    }  # fmt: skip
    for number in range(max(len(commands), round(20 * scale))):
        name = list(commands)[number % len(commands)]
        alone = []
        for which in names:
            with place.fresh() as folder:
                (folder / "work").mkdir()
                run(commands[name](which), folder / "work")
                alone.append(tree(folder / "work"))
        with place.fresh() as folder:
            work = folder / "work"
            work.mkdir()
            started = [begin(commands[name](which), work, tag=str(n))
                       for n, which in enumerate(names)]  # fmt: skip
            both = [end(*one, work, str(n)) for n, one in enumerate(started)]
            found = tree(work)
        fault = both[0].fault or both[1].fault
        if fault is None and all(ended.status for ended in both):
            fault = "both refused"
        if fault is None and any(ended.status not in (0, 2) for ended in both):
            fault = "another status than 0 and 2"
        if fault is None and found not in alone:
            fault = "mixed or left-over files"
        state = "both wrote, one after the other" if both[0].status == both[1].status else "one"
        part.count(f"{name} {number}", state, fault, max(both, key=lambda e: e.status))
    return part


def disk(place: Place, scale: float, rng: random.Random) -> Part:
    """A disk that is full: a limit on the size of files, and a small tmpfs if root may mount it."""
    part = Part("full disk")
    for name, words in writers(place).items():
        with place.fresh() as folder:
            work = folder / "work"
            work.mkdir()
            mounted = (
                os.geteuid() == 0
                and not subprocess.run(
                    ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", work], capture_output=True
                ).returncode
            )

            if mounted:
                with contextlib.suppress(OSError):
                    (work / "filler").write_bytes(b"x" * 9000)

            def limit() -> None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))

            try:
                ended = run(words, work, setup=None if mounted else limit)
                left = sorted(tree(work).keys() - {"filler"})
            finally:
                if mounted:
                    subprocess.run(["umount", "-l", work], check=True)
            fault = ended.fault
            if fault is None and ended.status == 0:
                fault = "status 0"
            if fault is None and "out" not in ended.err:
                fault = "file not named"
            if fault is None and (hidden := [n for n in left if "/." in f"/{n}"]):
                fault = f"left: {', '.join(hidden)[:80]}"
            state = "full tmpfs" if mounted else "files of 400 bytes"
            part.count(name, f"{state}: status {ended.status}", fault, ended)
    return part


def readonly(place: Place, scale: float, rng: random.Random) -> Part:
    """A folder that may not be written, and a home folder that does not exist."""
    part = Part("read-only")
    if os.geteuid() == 0:
        os.chmod(place.folder, 0o755)
        reachable = all(p.stat().st_mode & 0o005 == 0o005 for p in place.folder.parents)
        if not reachable:
            return part

    def unprivileged() -> None:
        os.environ["HOME"] = "/nonexistent"
        if os.geteuid() == 0:
            os.setgid(65534)
            os.setuid(65534)

    for name, words in writers(place).items():
        with place.fresh() as folder:
            folder.chmod(0o755)
            work = folder / "work"
            work.mkdir()
            work.chmod(0o555)
            ended = run(words, work, setup=unprivileged)
            work.chmod(0o755)
            fault = ended.fault
            if "No module named" in ended.err:
                part.count(name, "not tested: this Python cannot be read by others", None)
                continue
            if fault is None and ended.status != 2:
                fault = f"status {ended.status}"
            last = ended.err.strip().rpartition("\n")[2]
            if fault is None and ("out" not in last or "[Errno" in last):
                fault = "not one line that names the output"
            part.count(name, f"status {ended.status}", fault, ended)
    return part


def streams(place: Place, scale: float, rng: random.Random) -> Part:
    """Closed standard streams, a terminal without UTF-8, a reader that leaves."""
    part = Part("closed streams")
    commands = {
        "predict": f"predict {place.small} {place.promoters}",
        "scan": f"motifs scan {place.promoters}",
        "models show": "models show yeast",
        "data list": "data list",
    }
    endings = {
        "stdout closed": ">&-", "stderr closed": "2>&- >/dev/null", "stdin closed": "<&-",
        "all closed": "<&- >&- 2>&-", "reader leaves": "| head -n 1", "ASCII": "| cat",
    }  # fmt: skip
    chosen = [(c, e) for c in commands for e in endings]
    if scale < 1:
        chosen = rng.sample(chosen, max(2, round(len(chosen) * scale)))
    for command, ending in chosen:
        encoding = "ascii" if ending == "ASCII" else "utf-8"
        line = f"{sys.executable} -m crmnet {commands[command]} {endings[ending]}; " + (
            'exit "${PIPESTATUS[0]}"'
        )
        start = time.monotonic()
        try:
            done = subprocess.run(
                ["bash", "-c", line], capture_output=True, timeout=LIMIT_S, cwd=place.folder,
                env={**os.environ, "PYTHONIOENCODING": encoding},
            )  # fmt: skip
            texts = [text.decode("utf-8", "replace") for text in (done.stdout, done.stderr)]
            ended = Ended(done.returncode, *texts, time.monotonic() - start)
        except subprocess.TimeoutExpired:
            ended = Ended(-signal.SIGALRM, "", "", LIMIT_S)
        fault = ended.fault
        if fault is None and "Exception ignored" in ended.err:
            fault = "traceback"
        if fault is None and ended.status and ending in ("reader leaves", "ASCII", "stdin closed"):
            fault = f"status {ended.status}"
        part.count(f"{command}, {ending}", f"{ending}: status {ended.status}", fault, ended)
    return part


PARTS: dict[str, Callable[[Place, float, random.Random], Part]] = {
    "kills": kills, "rows": rows, "models": hostile, "fuzz": fuzz, "pairs": pairs, "disk": disk,
    "readonly": readonly, "streams": streams,
}  # fmt: skip


def drill(only: Iterable[str], scale: float, seed: int, folder: Path) -> dict[str, Part]:
    """Run parts of the drill in ``folder``, which must be empty."""
    torch.set_num_threads(1)
    for module in pkgutil.walk_packages(crmnet.__path__, "crmnet."):  # once, before all forks
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    place, found = Place(folder), {}
    for name in only:
        start = time.monotonic()
        found[name] = PARTS[name](place, scale, random.Random(f"{seed} {name}"))
        found[name].seconds = time.monotonic() - start
        print(row_of(found[name]), flush=True)
    return found


def row_of(part: Part) -> str:
    """One row of the table, in Markdown."""
    faults = ", ".join(f"{n} {kind}" for kind, n in part.kinds.most_common()) or "none"
    return f"| {part.name} | {part.cases:,} | {faults} | {part.seconds:.0f} s |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--scale", type=float, default=1.0, help="share of the cases")
    parser.add_argument("--seed", type=int, default=0)
    default = Path(__file__).parent / "results" / "faults.json"
    parser.add_argument("-o", "--output", type=Path, default=default, help="JSON file")
    options = parser.parse_args()
    print("| part | cases | faults | time |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        found = drill(options.only, options.scale, options.seed, Path(folder))
    parts = json.loads(options.output.read_text())["parts"] if options.output.exists() else {}
    for name, part in found.items():  # parts that were not run keep their earlier result
        parts[name] = {
            "scale": options.scale, "seed": options.seed, "cases": part.cases,
            "seconds": round(part.seconds, 1), "faults": dict(part.kinds),
            "outcomes": dict(part.outcomes), "examples": part.examples,
            "machine": f"{platform.machine()}, {os.cpu_count()} CPU", **versions(),
        }  # fmt: skip
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"parts": parts}, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
