"""Table 1: time and memory of training on this machine, beside all rows of the paper."""

from __future__ import annotations

from collections.abc import Sequence

from crmnet.benchmark import PAPER_ROWS, BenchmarkOptions, BenchmarkResult, TrainingRow, benchmark
from crmnet.benchmark.report import write_benchmark
from crmnet.device import choose_device
from crmnet.reports.page import NOT_RUN
from crmnet.studies.reproduce.paper import BEST_RATE, BLANK_ROWS, MEMORY_GB, ROWS
from crmnet.studies.reproduce.place import Place
from crmnet.studies.reproduce.results import Number, Picture, StepResult, Table

MIXED = ("fp16", "bf16")


def measure_cost(place: Place) -> StepResult:
    """Measure training steps of the published network, and compare them with Table 1."""
    options = _options(place)
    result = benchmark(options)
    folder = place.results("table1")
    write_benchmark(folder, result)
    best = max((row.sequences_per_s or 0.0 for row in result.training), default=0.0)
    numbers = [
        Number("largest number of sequences per second", best, paper=BEST_RATE, digits=0),
        *_memory(result.training),
        *_days(result),
    ]
    hardware = result.machine["hardware"]
    blank = [
        TrainingRow(batch, name, devices, precision, why="out of memory (paper)")
        for batch, name, devices, precision in BLANK_ROWS
    ]
    rows = [*result.training, *PAPER_ROWS, *blank]
    picture = Picture(
        place.relative(folder / "benchmark.png"),
        f"Training throughput: {hardware} on top, the paper's rows below.",
        {
            "configuration": [_name(row) for row in rows],
            "sequences/s": [_cell(row.sequences_per_s, ",.0f") for row in rows],
        },
    )
    return StepResult(
        sentences=[
            f"Steps of {options.model} on {hardware}: median of {options.steps} after "
            f"{options.warm_up} for warming up, on random sequences, without reading rows and "
            "validation. Minutes per epoch and hours of 20 epochs are extrapolated from these "
            f"steps, for {ROWS['train-complex']:,} rows.",
            "The paper's rows are as printed. It leaves four configurations blank because memory "
            "ran out. Sequences per second of its rows are batch × devices / seconds per step.",
            "The paper gives the memory over all its devices, 270.14 GB without and 142.17 GB with "
            "mixed precision. Ours is the peak of one device (on a CPU, of the process) at the "
            "batch size shown, so only the ratio compares.",
        ],
        numbers=numbers,
        tables=[Table("Table 1: here, in the paper, and blank in the paper", _table(rows))],
        pictures=[picture],
    )


def _options(place: Place) -> BenchmarkOptions:
    p = place.profile
    on_cpu = choose_device(place.device).type == "cpu"
    sizes = p.batch_sizes if on_cpu else ()
    precisions = tuple(x for x in p.precisions if not (on_cpu and x == "fp16"))
    return BenchmarkOptions(
        model=p.network, batch_sizes=sizes, precisions=precisions, device=place.device,
        steps=p.steps, warm_up=1 if on_cpu else 3,
    )  # fmt: skip


def _memory(rows: Sequence[TrainingRow]) -> list[Number]:
    """Memory with and without mixed precision at the largest batch that both precisions have."""
    measured = {(r.batch_size, r.precision): r.memory_bytes for r in rows if r.memory_bytes}
    sizes = sorted({size for size, _ in measured}, reverse=True)
    for size in sizes:
        plain = measured.get((size, "fp32"))
        mixed = next((measured[size, x] for x in MIXED if (size, x) in measured), None)
        if plain and mixed:
            ratio = MEMORY_GB["fp16"] / MEMORY_GB["fp32"]
            return [
                Number(f"peak GB without mixed precision, batch {size:,}", plain / 1e9,
                       paper=MEMORY_GB["fp32"], digits=2),
                Number(f"peak GB with mixed precision, batch {size:,}", mixed / 1e9,
                       paper=MEMORY_GB["fp16"], digits=2),
                Number("memory with mixed precision / without", mixed / plain, paper=ratio),
            ]  # fmt: skip
    return []


def _days(result: BenchmarkResult) -> list[Number]:
    hours = [row.hours for row in result.training if row.hours]
    paper = min(row.hours for row in PAPER_ROWS if row.hours)
    if not hours:
        return []
    return [Number("hours of 20 epochs, extrapolated, at best", min(hours), paper=paper, digits=1)]


def _table(rows: Sequence[TrainingRow]) -> dict[str, list[str]]:
    paper = {id(row) for row in PAPER_ROWS}
    return {
        "from": ["paper" if id(r) in paper or "paper" in (r.why or "") else "here" for r in rows],
        "local batch": [f"{r.batch_size:,}" for r in rows],
        "hardware": [r.hardware for r in rows],
        "devices": [str(r.devices) for r in rows],
        "precision": [r.precision for r in rows],
        "s/step": [_cell(r.step_s, ".4g", r.why) for r in rows],
        "min/epoch": [_cell(r.epoch_min, ",.2f", "") for r in rows],
        "h, 20 epochs": [_cell(r.hours, ",.2f", "") for r in rows],
        "sequences/s": [_cell(r.sequences_per_s, ",.0f", "") for r in rows],
        "peak GB": [_cell(r.memory_bytes and r.memory_bytes / 1e9, ".2f", "") for r in rows],
    }


def _name(row: TrainingRow) -> str:
    return f"{row.devices} × {row.hardware}, {row.precision}, batch {row.batch_size:,}"


def _cell(value: float | None, form: str, blank: str | None = NOT_RUN) -> str:
    return (blank or "") if value is None else format(value, form)


def cost_commands(place: Place) -> list[str]:
    """Table 1 as a command."""
    options = _options(place)
    sizes = "".join(f" --batch-size {size}" for size in options.batch_sizes)
    precisions = "".join(f" --precision {x}" for x in options.precisions)
    return [
        f"crmnet benchmark {options.model}{sizes}{precisions} --steps {options.steps} "
        f"--warm-up {options.warm_up} -o results/table1"
    ]
