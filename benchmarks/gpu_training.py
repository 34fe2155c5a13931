"""Training throughput of the published network on one GPU, compared with eight A100s.

    python benchmarks/gpu_training.py -o benchmarks/results        # needs a CUDA GPU
    python benchmarks/gpu_training.py --device cpu --batch-size 8 --steps 2 --rows 100 --eager

The rows are on the device as tokens (112 bytes each). Every step samples a batch, converts it to
one-hot on the device, and runs forward pass, Huber loss, backward pass and a fused Adam step. These
are compiled into CUDA graphs unless ``--eager`` is given. There are two forms. ``plain`` is the
unchanged network, with autocast. ``form`` is
:func:`crmnet.models.crmnet.training_form.training_form`, channels-last with merged attention, which
``crmnet train`` uses on a CPU. The paper's best result on eight A100s is 76,300 sequences/s
(Table 1, fp16, batch 16,384 per device). Writes the numbers as JSON, and the profile of three steps
as text.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import statistics
import time
from collections.abc import Callable

import torch
from measuring import add_output
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from crmnet.benchmark.machine import peak_memory, reset_peak_memory, time_calls
from crmnet.benchmark.rows import PRECISIONS
from crmnet.models import build
from crmnet.models.crmnet.training_form import training_form
from crmnet.sequence import one_hot

PAPER_BEST = 76_300
"""Sequences per second of the paper's eight A100s, at their best."""
WARM_UP = 10
"""Steps before the timed ones on a GPU; one elsewhere."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[1024, 4096, 8192, 16384])
    parser.add_argument("--precision", nargs="+", default=list(PRECISIONS), choices=PRECISIONS)
    parser.add_argument("--form", nargs="+", default=["plain", "form"], choices=["plain", "form"])
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows on the device")
    parser.add_argument("--steps", type=int, default=50, help="timed steps")
    parser.add_argument("--eager", action="store_true", help="do not compile")
    add_output(parser, "folder for the JSON file and the profiles")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for form, precision, batch_size in itertools.product(
        options.form, options.precision, options.batch_size
    ):
        row, table = measure(options, form, batch_size, precision)
        rows.append(row)
        print(json.dumps(row))
        name = f"{options.device}_training_{form}_{precision}_{batch_size}.txt"
        (options.output / name).write_text(table + "\n")
    machine = {
        "device": torch.cuda.get_device_name()
        if options.device == "cuda"
        else platform.processor(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
    }
    date = time.strftime("%Y-%m-%d")
    result = json.dumps({"machine": machine, "date": date, "rows": rows}, indent=2)
    (options.output / f"{options.device}_training.json").write_text(result + "\n")


def measure(
    options: argparse.Namespace, form: str, batch_size: int, precision: str
) -> tuple[dict[str, object], str]:
    """Median of ``options.steps`` steps after a warm-up, and the profile of three more steps."""
    torch.manual_seed(0)
    device = torch.device(options.device)
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.set_float32_matmul_precision("high")
    reset_peak_memory(device)
    step = training_step(options, form, batch_size, precision)
    median = statistics.median(time_calls(step, device, WARM_UP if on_gpu else 1, options.steps))
    table = profile_of(step, on_gpu)
    peak = peak_memory(device)
    row: dict[str, object] = {
        "form": form,
        "precision": precision,
        "batch_size": batch_size,
        "seconds_per_step": median,
        "sequences_per_second": batch_size / median,
        "of_paper_best": batch_size / median / PAPER_BEST,
        "peak_memory_gib": None if peak is None else peak / 2**30,
        "compiled": not options.eager,
    }
    return row, table


def training_step(
    options: argparse.Namespace, form: str, batch_size: int, precision: str
) -> Callable[[], None]:
    """One step on rows sampled from the ``options.rows`` rows on the device."""
    device = torch.device(options.device)
    tokens = torch.randint(4, (options.rows, 112), dtype=torch.uint8, device=device)
    labels = torch.rand(options.rows, device=device) * 17
    network = build("crmnet", attention="sdpa").to(device).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    dtype = PRECISIONS[precision]
    scaler = torch.GradScaler(device.type, enabled=precision == "fp16")
    fast = training_form(network, dtype)

    def loss_of(batch: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if form == "form":
            predicted = fast(one_hot(batch))[:, 0]
        else:
            with torch.autocast(device.type, dtype, enabled=precision != "fp32"):
                predicted = network(one_hot(batch))[:, 0]
        return functional.huber_loss(predicted.float(), target)

    if not options.eager:
        loss_of = torch.compile(loss_of, mode="max-autotune")

    def step() -> None:
        rows = torch.randint(options.rows, (batch_size,), device=device)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss_of(tokens[rows], labels[rows])).backward()
        scaler.step(optimizer)
        scaler.update()

    return step


def profile_of(step: Callable[[], None], on_gpu: bool) -> str:
    """Table of the time that each operation takes in three steps."""
    activities = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * on_gpu]
    with profile(activities=activities) as profiled:
        for _ in range(3):
            step()
        if on_gpu:
            torch.cuda.synchronize()
    order = "self_cuda_time_total" if on_gpu else "self_cpu_time_total"
    return profiled.key_averages().table(sort_by=order, row_limit=30)


if __name__ == "__main__":
    main()
