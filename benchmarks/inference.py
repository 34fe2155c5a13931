"""Prediction on the CPU: the plain network, eager in float32, against the forms of it.

    python benchmarks/inference.py [--model crmnet] [--batch-size 256] -o benchmarks/results

All forms are timed in turn, round after round, so that a machine whose speed changes changes it for
all; each form's figure is its best round. Differences are against the plain network's predictions
on random promoters, of a network with fresh weights whose batch statistics are those of a batch.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from crmnet.benchmark import describe_machine
from crmnet.models import build
from crmnet.models.inference import for_inference

Form = Callable[[Tensor], Tensor]


def forms(model: str) -> dict[str, Form]:
    torch.manual_seed(0)
    network = build(model)
    with torch.no_grad():  # batch statistics as of real inputs
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.momentum = None
        network.train()(_random(256))
    network.eval()
    return {"plain": network, "for_inference": for_inference(network)}


def _random(n: int) -> Tensor:
    letters = torch.randint(4, (n, 112))
    return torch.nn.functional.one_hot(letters, 4).float().transpose(1, 2).contiguous()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="crmnet")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    known = forms(options.model)
    x_BCL = _random(options.batch_size)
    seconds: dict[str, list[float]] = {name: [] for name in known}
    with torch.inference_mode():
        predicted = {name: form(x_BCL).float().numpy() for name, form in known.items()}
        for _ in range(options.rounds):
            for name, form in known.items():
                start = time.perf_counter()
                form(x_BCL)
                seconds[name].append(time.perf_counter() - start)
    plain = predicted["plain"]
    rows = {
        name: {
            "sequences_per_second": round(options.batch_size / min(times), 1),
            "times_plain": round(min(seconds["plain"]) / min(times), 3),
            "largest_difference": float(np.abs(predicted[name] - plain).max()),
            "r": float(np.corrcoef(predicted[name][:, 0], plain[:, 0])[0, 1]),
        }
        for name, times in seconds.items()
    }
    result = {
        "machine": describe_machine(torch.device("cpu")),
        "model": options.model,
        "batch_size": options.batch_size,
        "forms": rows,
    }
    options.output.mkdir(parents=True, exist_ok=True)
    name = f"inference_{options.model}.json"
    (options.output / name).write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
