"""``crmnet benchmark``: calls :func:`crmnet.benchmark.benchmark` and writes its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crmnet.cli.options import DeviceOption, OverwriteOption, check_folder
from crmnet.files import make_folder


def benchmark(
    model: Annotated[
        str,
        typer.Argument(metavar="[MODEL-NAME]", help="Name of a network: crmnet, crmnet-small, …"),
    ] = "crmnet",
    batch_size: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            help="Rows per step and device; may be repeated. Default: 1024, 4096, 8192 and 16384 "
            "on a GPU, 32 and 128 on a CPU.",
        ),
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[fp32|bf16|fp16]", help="Arithmetic; may be repeated. Default: fp32."
        ),
    ] = None,
    devices: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            help="Number of GPUs, or of processes that share the CPU; may be repeated. Default: 1.",
        ),
    ] = None,
    device: DeviceOption = "auto",
    rows: Annotated[int, typer.Option(min=1, help="Rows per epoch.")] = 30_722_376,
    steps: Annotated[int, typer.Option(min=1, help="Timed steps; the median is reported.")] = 10,
    warm_up: Annotated[int, typer.Option(min=0, help="Untimed steps before them.")] = 3,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for benchmark.md, .json and .png."),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Benchmark training and inference on this machine, next to Table 1 of the paper.

    Training: seconds per step, minutes per epoch, hours for 20 epochs, sequences per second, peak
    memory, and the share of the device's matrix rate. Inference: sequences per second. A row stays
    blank if it does not fit into memory or the device cannot compute it.

    Examples: `crmnet benchmark crmnet-small --batch-size 128 -o benchmark` ·
    `crmnet benchmark --batch-size 1024 --batch-size 4096 --precision fp32 --precision bf16`
    """
    from crmnet.benchmark import BenchmarkOptions, markdown
    from crmnet.benchmark import benchmark as run_benchmark

    options = BenchmarkOptions(
        model=model,
        batch_sizes=tuple(batch_size or ()),
        precisions=tuple(precision or ["fp32"]),
        devices=tuple(devices or (1,)),
        device=device,
        rows=rows,
        steps=steps,
        warm_up=warm_up,
    )
    if output is not None:
        check_folder(output, [f"benchmark.{kind}" for kind in ("md", "json", "png")], [], overwrite)
        make_folder(output)  # fail now rather than after an hour
    result = run_benchmark(options)
    print(markdown(result), end="")
    if output is not None:
        from crmnet.benchmark.report import write_benchmark

        write_benchmark(output, result)
        print(f"written: {output}/benchmark.md, benchmark.json, benchmark.png")
