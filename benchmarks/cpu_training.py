"""Time a training step on the CPU: the plain network (eager float32) and the form of `train`.

    python benchmarks/cpu_training.py --model crmnet --batch-size 128 -o benchmarks/results

A step is forward pass, Huber loss, backward pass and fused Adam on random rows. ``plain`` calls the
unchanged network (with autocast in bf16). ``train`` calls
:func:`crmnet.models.crmnet.training_form.training_forward`. All forms run in turn, round after
round. The result of a form is its best round, in wall time and in CPU seconds. On a machine with
other work, use the CPU seconds and set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import torch
from measuring import add_output, best_of_rounds, write_result
from torch.nn import functional

from crmnet.models import build
from crmnet.models.crmnet.training_form import training_forward
from crmnet.sequence import one_hot

FORMS = {
    "plain fp32": (False, torch.float32),
    "train fp32": (True, torch.float32),
    "plain bf16": (False, torch.bfloat16),
    "train bf16": (True, torch.bfloat16),
}


def make_step(model: str, batch_size: int, fast: bool, dtype: torch.dtype) -> Callable[[], None]:
    """Function that runs one training step; ``fast`` selects the form of `train`."""
    torch.manual_seed(0)
    tokens = torch.randint(4, (batch_size, 112), dtype=torch.uint8)
    labels = 17 * torch.rand(batch_size)
    network = build(model).train()
    optimizer = torch.optim.Adam(network.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        if fast:
            predicted = training_forward(network, one_hot(tokens), dtype)
        else:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
                predicted = network(one_hot(tokens))
        functional.huber_loss(predicted[:, 0].float(), labels).backward()
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="crmnet", help="network to train")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds, after a warm-up round")
    add_output(parser)
    options = parser.parse_args()
    steps = {name: make_step(options.model, options.batch_size, *f) for name, f in FORMS.items()}
    best = best_of_rounds(steps, options.rounds, warm_up=1)
    plain = best["plain fp32"]
    rows = {
        name: {
            "seconds": round(seconds.wall, 4),
            "cpu_seconds": round(seconds.cpu, 4),
            "times_plain": round(plain.wall / seconds.wall, 2),
            "times_plain_cpu": round(plain.cpu / seconds.cpu, 2),
        }
        for name, seconds in best.items()
    }
    command = (
        f"python benchmarks/cpu_training.py --model {options.model} "
        f"--batch-size {options.batch_size} --rounds {options.rounds}"
    )
    write_result(options.output, f"cpu_training_{options.model}", command, forms=rows)
    print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
