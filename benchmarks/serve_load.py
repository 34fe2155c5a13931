"""Load test of crmnet serve, on the loopback of this machine.

    python benchmarks/serve_load.py                            all parts: about 15 minutes
    python benchmarks/serve_load.py --minutes 0.2 --seconds 5  a short try

Each client sends one promoter after another over one connection and waits for each answer. Prints
throughput and latency (p50, p95) with 1, 16, 64 and 200 clients; the throughput with 16 clients
with and without batches (``--batch-size 1``); the time of a promoter's full view (prediction, map,
sites, logo); and the memory of all processes under the load of 16 clients. Writes JSON to
benchmarks/results/serve_load.json (or -o). Run it on an idle machine. Linux only.
"""

import argparse
import asyncio
import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from measuring import commit, machine_and_date

CLIENTS = (1, 16, 64, 200)
TWICE = 16
"""Clients with which batches are compared with single predictions."""
RESULT = Path(__file__).parent / "results" / "serve_load.json"


@contextmanager
def server(model: str, *options: str) -> Iterator[tuple[int, int]]:
    """A server: its port and the id of its process."""
    command = [sys.executable, "-m", "crmnet", "serve", "--model", model, "--port", "0",
               "--device", "cpu", *options]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r":(\d+)/", process.stdout.readline())
        if found is None:
            raise RuntimeError("the server did not start")
        yield int(found[1]), process.pid
    finally:
        process.terminate()
        process.wait()


async def post(
    port: int, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], path: str, body: Any
) -> tuple[int, bytes]:
    """Status and content of an answer, over an open connection."""
    reader, writer = streams
    content = json.dumps(body).encode()
    writer.write(
        f"POST /api/v1/{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json"
        f"\r\nContent-Length: {len(content)}\r\n\r\n".encode()
        + content
    )
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    size = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
    assert size is not None
    return int(head.split(" ", 2)[1]), await reader.readexactly(int(size[1]))


def promoter(rng: random.Random) -> str:
    """Random bases."""
    return "".join(rng.choices("ACGT", k=80))


async def client(port: int, end: float, seed: int) -> list[float]:
    """Latencies of the requests of one client until ``end``."""
    rng, found = random.Random(seed), []
    streams = await asyncio.open_connection("127.0.0.1", port)
    while (begin := time.monotonic()) < end:
        body = {"promoters": [{"sequence": promoter(rng)}]}
        status, _ = await post(port, streams, "predict", body)
        if status != 200:
            raise RuntimeError(f"the server answered {status}")
        found.append(time.monotonic() - begin)
    streams[1].close()
    return found


async def load(port: int, clients: int, seconds: float) -> dict[str, float]:
    """Throughput and latency with this number of clients."""
    begin = time.monotonic()
    parts = await asyncio.gather(
        *(client(port, begin + seconds, number) for number in range(clients))
    )
    took = time.monotonic() - begin
    latencies = np.array([one for part in parts for one in part])
    p50, p95 = np.quantile(latencies, [0.5, 0.95]) * 1000
    return {"clients": clients, "requests": len(latencies), "per_second": len(latencies) / took,
            "p50_ms": float(p50), "p95_ms": float(p95)}  # fmt: skip


async def full_view(port: int, repeats: int) -> dict[str, float]:
    """Median time until each part of a new promoter's view is there, all asked for at once."""
    rng, rows = random.Random(1), []
    for _ in range(repeats):
        text = promoter(rng)
        bodies = {"predict": {"promoters": [{"sequence": text}]}} | {
            path: {"sequence": text} for path in ("saturate", "attribute", "scan")
        }
        streams = [await asyncio.open_connection("127.0.0.1", port) for _ in bodies]
        begin = time.monotonic()

        async def timed(path: str, pair: Any, body: Any, begin: float = begin) -> float:
            await post(port, pair, path, body)
            return time.monotonic() - begin

        pairs = zip(bodies.items(), streams, strict=True)
        rows.append(
            await asyncio.gather(*(timed(path, pair, body) for (path, body), pair in pairs))
        )
        for _, writer in streams:
            writer.close()
    medians = np.median(np.array(rows), axis=0)
    return dict(zip(bodies, medians.tolist(), strict=True))


def memory(process: int) -> float:
    """Resident memory of a process and its children, in MB."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    kilobytes = 0
    for number in [str(process), *children]:
        status = Path(f"/proc/{number}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        kilobytes += int(found[1]) if found else 0
    return kilobytes / 1000


async def memory_under_load(port: int, process: int, seconds: float) -> dict[str, Any]:
    """Memory at twenty times under the load of 16 clients."""
    end = time.monotonic() + seconds
    clients = asyncio.gather(*(client(port, end, number) for number in range(TWICE)))
    found = []
    for _ in range(20):
        await asyncio.sleep(seconds / 21)
        found.append(round(memory(process), 1))
    await clients
    return {"seconds": seconds, "mb": found, "growth_mb": round(found[-1] - found[4], 1)}


def measure(model: str, seconds: float, minutes: float) -> dict[str, Any]:
    """All parts for one model."""
    with server(model, "--batch-size", "1") as (port, _):
        asyncio.run(load(port, 1, min(seconds, 2)))  # first use of everything
        single = asyncio.run(load(port, TWICE, seconds))
    with server(model) as (port, process):
        asyncio.run(load(port, TWICE, min(seconds, 2)))
        rows = [asyncio.run(load(port, clients, seconds)) for clients in CLIENTS]
        view = asyncio.run(full_view(port, 5))
        long = asyncio.run(memory_under_load(port, process, 60 * minutes))
    batched = next(row for row in rows if row["clients"] == TWICE)
    gain = batched["per_second"] / single["per_second"]
    return {"load": rows, "one_by_one": single, "gain": gain, "full_view_seconds": view,
            "memory": long}  # fmt: skip


def lines(model: str, found: dict[str, Any]) -> Iterator[str]:
    """The result as text."""
    yield f"{model}\n{'clients':>8}{'requests/s':>12}{'p50 ms':>10}{'p95 ms':>10}"
    for row in found["load"]:
        yield (f"{row['clients']:>8}{row['per_second']:>12.1f}{row['p50_ms']:>10.1f}"
               f"{row['p95_ms']:>10.1f}")  # fmt: skip
    single = found["one_by_one"]["per_second"]
    yield f"batches: {found['gain']:.1f} × the throughput of single predictions ({single:.1f}/s)"
    parts = (f"{path} {took:.2f} s" for path, took in found["full_view_seconds"].items())
    yield f"full view: {', '.join(parts)}"
    memory = found["memory"]
    yield (f"memory: {memory['mb'][0]} MB, after {memory['seconds']:.0f} s {memory['mb'][-1]} MB "
           f"(growth after a quarter of the time: {memory['growth_mb']} MB)")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", default=["yeast-fast", "yeast"])
    parser.add_argument("--seconds", type=float, default=20, help="per number of clients")
    parser.add_argument("--minutes", type=float, default=10, help="for memory, of the first model")
    parser.add_argument("-o", "--output", type=Path, default=RESULT)
    options = parser.parse_args()
    result: dict[str, Any] = {**machine_and_date(), "commit": commit(), "models": {}}
    minutes = options.minutes
    for model in options.models:
        result["models"][model] = measure(model, options.seconds, minutes)
        print("\n".join(lines(model, result["models"][model])), flush=True)
        minutes = min(minutes, 0.5)
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
