"""``crmnet benchmark``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crmnet.cli.options import Device, DeviceOption


class Precision(StrEnum):
    """Choices of ``--precision``."""

    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


def benchmark(
    model: Annotated[
        str,
        typer.Argument(metavar="[MODEL-NAME]", help="A network by name: crmnet, crmnet-small, …"),
    ] = "crmnet",
    batch_size: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            help="Rows per step and device; may be repeated. Left out: 1024, 4096, 8192, 16384 on "
            "a GPU, 32 and 128 on the CPU.",
        ),
    ] = None,
    precision: Annotated[
        list[Precision] | None, typer.Option(help="May be repeated; left out, fp32.")
    ] = None,
    devices: Annotated[
        list[int] | None,
        typer.Option(
            min=1, help="GPUs, or processes that share the CPU; may be repeated; left out, 1."
        ),
    ] = None,
    device: DeviceOption = Device.auto,
    rows: Annotated[int, typer.Option(min=1, help="Rows of an epoch.")] = 30_722_376,
    steps: Annotated[int, typer.Option(min=1, help="Steps timed; their median counts.")] = 10,
    warm_up: Annotated[int, typer.Option(min=0, help="Steps before them.")] = 3,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for benchmark.md, .json and .png."),
    ] = None,
) -> None:
    """Measure this machine as Table 1 of the paper does, beside the paper's own rows.

    Seconds per step, minutes per epoch, hours for 20 epochs, sequences per second, peak memory and
    the share of the device's matrix rate in training; sequences per second in inference. Rows that
    do not fit are left blank.

    Examples: `crmnet benchmark crmnet-small --batch-size 128 -o benchmark` ·
    `crmnet benchmark --batch-size 1024 --batch-size 4096 --precision fp32 --precision bf16`
    """
    from crmnet.benchmark import BenchmarkOptions, markdown
    from crmnet.benchmark import benchmark as run_benchmark

    options = BenchmarkOptions(
        model=model,
        batch_sizes=tuple(batch_size or ()),
        precisions=tuple(one.value for one in precision or [Precision.fp32]),
        devices=tuple(devices or (1,)),
        device=device.value,
        rows=rows,
        steps=steps,
        warm_up=warm_up,
    )
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)  # now, rather than fail after an hour
    result = run_benchmark(options)
    print(markdown(result), end="")
    if output is not None:
        from crmnet.benchmark.report import write_benchmark

        write_benchmark(output, result)
        print(f"written: {output}/benchmark.md, benchmark.json, benchmark.png")
