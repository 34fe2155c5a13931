"""Scrambled tables, FASTA files, motif files and records, and odd values of settings."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path

from crmnet.runs.folder import RECORD
from fault_drill.corruption import HOSTILE_VALUES, mutated, scrambled
from fault_drill.hostile_models import fault_of_model
from fault_drill.material import MOTIF, Material, labelled, predictions, table
from fault_drill.processes import Ended, run
from fault_drill.results import PartResult

INPUTS = 5_000
KINDS = ("sequences", "sequences", "motifs", "run.json", "settings")
MOTIFS = {
    "MEME": b"MEME version 4\n\nALPHABET= ACGT\n\nMOTIF A a\nletter-probability matrix: alength= 4 "
    b"w= 3\n0.7 0.1 0.1 0.1\n0.1 0.7 0.1 0.1\n0.1 0.1 0.1 0.7\n",
    "JASPAR": MOTIF.encode(),
    "HOMER": b">ACG\ta\t6.5\n0.7\t0.1\t0.1\t0.1\n0.1\t0.7\t0.1\t0.1\n0.1\t0.1\t0.1\t0.7\n",
    "TRANSFAC": b"AC M1\nID a\nP0 A C G T\n01 7 1 1 1 A\n02 1 7 1 1 C\n03 1 1 1 7 T\nXX\n//\n",
}


def fuzzed_inputs(material: Material, scale: float, rng: random.Random) -> PartResult:
    """Give commands inputs in turn of each of KINDS."""
    part = PartResult("fuzzed inputs")
    make = {"sequences": _sequences, "motifs": _motifs, "run.json": _record, "settings": _settings}
    unchanged = predictions(
        run(["predict", material.packed, material.promoters], material.data).out
    )
    for number in range(max(len(KINDS), round(INPUTS * scale))):
        kind = KINDS[number % len(KINDS)]
        with material.empty_folder() as folder:
            words = make[kind](material, folder, rng)
            ended = run(words, folder)
            fault = _fault(kind, ended)
            if fault is None and kind == "sequences" and ended.status == 0:
                raw = Path(str(words[-1])).read_bytes()
                fault = _wrong_row(material, raw, predictions(ended.out), unchanged)
        part.count(f"{kind} {number}", f"{kind}: status {ended.status}", fault, ended)
    return part


def _sequences(material: Material, folder: Path, rng: random.Random) -> list[object]:
    inserts = material.inserts[:5]
    fasta = "".join(f">p{n}\n{s}\n" for n, s in enumerate(inserts))
    valid = rng.choice([table(inserts), labelled(inserts), fasta])
    file = folder / rng.choice(["in.tsv", "in.fa", "in.csv", "in.txt"])
    file.write_bytes(scrambled(valid.encode(), rng))
    return ["predict", material.packed, file]


def _motifs(material: Material, folder: Path, rng: random.Random) -> list[object]:
    file = folder / "motifs"
    file.write_bytes(scrambled(rng.choice(list(MOTIFS.values())), rng))
    scan: list[object] = ["motifs", "scan", material.promoters, "--motifs", file]
    return rng.choice([["motifs", "match", file], scan])


def _record(material: Material, folder: Path, rng: random.Random) -> list[object]:
    shutil.copytree(material.random_run, folder / "run")
    record = json.loads((material.random_run / RECORD).read_text())
    raw = json.dumps(mutated(record, rng)).encode("utf-8", "surrogatepass")
    (folder / "run" / RECORD).write_bytes(scrambled(raw, rng) if rng.random() < 0.3 else raw)
    return ["predict", folder / "run", material.promoters]


def _settings(material: Material, folder: Path, rng: random.Random) -> list[object]:
    settings = json.loads((material.random_run / RECORD).read_text())["settings"]
    keys = [f"train.{key}" for key in settings["train"]]
    keys += [f"model.{key}" for key in settings["model"]["settings"]]
    odd = [*map(str, HOSTILE_VALUES), "nan", "[", "1e999", "{a=1}", "[1,[2]]"]
    value = rng.choice(odd).encode("ascii", "replace").decode()
    none, out = folder / "none", folder / "out"
    return ["train", "demo", "--data", none, "-o", out, "--set", f"{rng.choice(keys)}={value}"]


def _fault(kind: str, ended: Ended) -> str | None:
    if ended.fault:
        return ended.fault
    if ended.status == 0 and kind in ("sequences", "run.json"):
        fields = [f for row in predictions(ended.out).values() for f in row]
        if any(f.strip().lower() in ("nan", "inf", "-inf") for f in fields):
            return "not a number with status 0"
    if ended.status == 0 and kind == "motifs" and "Warning" in ended.err:
        return "a warning of a library with status 0"
    if ended.status == 2 and kind == "run.json":
        return fault_of_model(ended, "run")
    if ended.status == 2 and kind == "motifs" and "motifs" not in ended.err:
        return "file not named"
    if ended.status == 2 and kind == "sequences" and "in." not in ended.err:
        return "file not named"
    return None


def _wrong_row(
    material: Material, raw: bytes, found: dict[str, list[str]], unchanged: dict[str, list[str]]
) -> str | None:
    """Check the predictions of the rows and records of a scrambled file that stayed intact."""
    for number, insert in enumerate(material.inserts[:5], 1):
        name = f"p{number}"
        row = rf"(^|\n)({name}\t{insert}(\n|$)|>{name}\n{insert}(\n>|\n?$))".encode()
        if raw.count(name.encode()) != 1 or not re.search(row, raw):
            continue
        if name not in found:
            return "intact row lost"
        if found[name] != unchanged[name]:
            return "wrong prediction of an intact row"
    return None
