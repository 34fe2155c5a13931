"""Time prediction on the CPU: the plain network (eager float32) and the form of `predict`.

    python benchmarks/inference.py [--model crmnet] [--batch-size 256] -o benchmarks/results
    python benchmarks/inference.py --run published -o benchmarks/results

All forms run in turn, round after round, so that a change in the speed of the machine affects all
of them. The result of a form is its best round, in wall time and in CPU seconds. On a machine with
other work, use the CPU seconds and set OMP_NUM_THREADS=1. Differences are from the predictions of
the plain network on random promoters. The network comes from a run folder, or it has fresh weights
and the batch statistics of one random batch.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from measuring import add_output, best_of_rounds, write_result
from torch import Tensor

from crmnet.models import build
from crmnet.models.inference_form import for_inference
from crmnet.runs.folder import load_run

Form = Callable[[Tensor], Tensor]


def forms(network: torch.nn.Module) -> dict[str, Form]:
    """The compared forms of a network, by name."""
    rounded = for_inference(network, dtype=torch.bfloat16)
    return {"plain": network, "predict fp32": for_inference(network), "predict bf16": rounded}


def fresh(model: str) -> torch.nn.Module:
    """Network with fresh weights, in evaluation mode."""
    torch.manual_seed(0)
    network = build(model)
    with torch.no_grad():  # realistic batch statistics
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.momentum = None
        network.train()(_random(256))
    return network.eval()


def _random(n: int) -> Tensor:
    letters = torch.randint(4, (n, 112))
    return torch.nn.functional.one_hot(letters, 4).float().transpose(1, 2).contiguous()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="crmnet", help="network with fresh weights")
    parser.add_argument("--run", type=Path, help="run folder; its network replaces --model")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds")
    add_output(parser)
    options = parser.parse_args()
    network = load_run(options.run)[0].eval() if options.run else fresh(options.model)
    name_of_network = options.run.name if options.run else options.model
    compared = forms(network)
    x_BCL = _random(options.batch_size)
    with torch.inference_mode():
        predicted = {name: form(x_BCL).float().numpy() for name, form in compared.items()}
        calls = {name: partial(form, x_BCL) for name, form in compared.items()}
        best = best_of_rounds(calls, options.rounds)
    plain, plain_best = predicted["plain"], best["plain"]
    rows = {
        name: {
            "sequences_per_second": round(options.batch_size / seconds.wall, 1),
            "sequences_per_cpu_second": round(options.batch_size / seconds.cpu, 1),
            "times_plain": round(plain_best.wall / seconds.wall, 2),
            "times_plain_cpu": round(plain_best.cpu / seconds.cpu, 2),
            "largest_difference": float(np.abs(predicted[name] - plain).max()),
            "r": float(np.corrcoef(predicted[name][:, 0], plain[:, 0])[0, 1]),
        }
        for name, seconds in best.items()
    }
    command = (
        f"python benchmarks/inference.py {'--run' if options.run else '--model'} "
        f"{name_of_network} --batch-size {options.batch_size} --rounds {options.rounds}"
    )
    write_result(options.output, f"inference_{name_of_network}", command, forms=rows)
    print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
