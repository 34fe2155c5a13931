"""Predict with packed models whose card, tensors or bytes have been changed."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import torch
from safetensors.torch import save_file

from crmnet.runs.folder import load_tensors
from crmnet.runs.packed import CARD
from fault_drill.corruption import mutated, scrambled
from fault_drill.material import Material, predictions
from fault_drill.processes import Ended, run
from fault_drill.results import PartResult

MODELS = 150
KINDS = ("card", "card", "tensor", "extra tensor", "bytes")
SECONDS = 2
"""Processor time in which a hostile model must be refused."""


def hostile_models(material: Material, scale: float, rng: random.Random) -> PartResult:
    """Change models in turn in each of KINDS."""
    part = PartResult("hostile models")
    unchanged = predictions(
        run(["predict", material.packed, material.promoters], material.data).out
    )
    for number in range(max(len(KINDS), round(MODELS * scale))):
        kind = KINDS[number % len(KINDS)]
        with material.empty_folder() as folder:
            model = folder / "m.safetensors"
            _write_changed(material, model, kind, rng)
            ended = run(["predict", model, material.promoters], folder)
        fault = fault_of_model(ended, "m.safetensors")
        if ended.status == 0 and predictions(ended.out) != unchanged:
            fault = "wrong prediction"
        part.count(f"{kind} {number}", f"status {ended.status}", fault, ended)
    return part


def _write_changed(material: Material, model: Path, kind: str, rng: random.Random) -> None:
    if kind == "bytes":
        model.write_bytes(scrambled(material.packed.read_bytes(), rng))
        return
    tensors = load_tensors(material.packed)
    card = json.loads(material.packed.with_suffix(".json").read_text())
    if kind == "card":
        card = mutated(card, rng)
    elif kind == "tensor":
        name = rng.choice(sorted(tensors))
        value = tensors[name]
        others = [value.double() * math.nan, torch.zeros(3), value.int(), value.bool()]
        tensors[name] = rng.choice(others)
    else:
        tensors[rng.choice(["extra", "0.extra", "9.x", "\x1b[31m"])] = torch.zeros(2)
    save_file(tensors, model, metadata={CARD: json.dumps(card)})


def fault_of_model(ended: Ended, name: str) -> str | None:
    """Fault of a command that met a hostile model: it must refuse it, soon and in one line."""
    if ended.fault or ended.status == 0:
        return ended.fault
    if ended.cpu_seconds > SECONDS:
        return f"takes more than {SECONDS} s"
    if name not in ended.err:
        return "file not named"
    return "more than one line" if ended.err.strip().count("\n") else None
