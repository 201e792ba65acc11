"""Serving many: calls a second and processor time with several workers, fairness, a soak, and how cost grows.

``python -m benchmarks.serving [PART ...]``: ``workers``, ``fair``, ``grow``, ``soak``; all but the soak without one.
"""

import json
import math
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from typing import IO, Any, NamedTuple

import anyio
import click
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from benchmarks.figures import header
from benchmarks.processes import cpu_s, free_port, memory_mib, running
from benchmarks.speed import OURS

CALLS = 960
WIDGET: tuple[str, dict[str, Any]] = ("get_widgets_data", {"widget_ids": [1], "points": 30})
BOARD: tuple[str, dict[str, Any]] = ("get_widgets_data", {"dashboard_id": 1})
OPEN = {"CEKURA_MAX_IN_FLIGHT": "2000", "CEKURA_MAX_IN_FLIGHT_PER_KEY": "2000", "CEKURA_LOG_LEVEL": "INFO"}
SOAK_S = 600
QUARTERS = 4
"""Measures of memory at the least, however slow the machine is."""


class Served(NamedTuple):
    """This server over HTTP, and what it has logged."""

    process: subprocess.Popen[bytes]
    port: int
    log: IO[bytes]


@contextmanager
def serving(*about: str, workers: int = 1, delay_s: float = 0.0, limits: Mapping[str, str] = {}) -> Generator[Served]:
    """``about``: what the API answers, as ``benchmarks.upstream`` takes it, after ``delay_s``."""
    upstream, port = free_port(), free_port()
    api = ("-m", "benchmarks.upstream", str(upstream), *about)
    ours = (*OURS, "--http", f"127.0.0.1:{port}", "--workers", str(workers))
    with (
        running(*api, port=upstream, log=subprocess.DEVNULL, DELAY_S=str(delay_s)),
        tempfile.TemporaryFile() as log,
        running(*ours, port=port, log=log, CEKURA_BASE_URL=f"http://127.0.0.1:{upstream}", **limits) as process,
    ):
        yield Served(process, port, log)


async def load(port: int, call: tuple[str, dict[str, Any]], at_once: int, calls: int, key: str) -> list[float]:
    """Seconds of each call, with concurrent clients on separate connections."""
    taken, tool = list[float](), call[0]

    async def one() -> None:
        http = httpx2.AsyncClient(headers={"X-CEKURA-API-KEY": key}, timeout=120)
        async with http, Client(streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)) as client:
            for _ in range(max(1, calls // at_once)):
                begun = time.perf_counter()
                result = await client.call_tool(tool, call[1])
                if result.is_error:
                    raise RuntimeError(str(result.content))
                taken.append(time.perf_counter() - begun)

    async with anyio.create_task_group() as group:
        for _ in range(at_once):
            group.start_soon(one)
    return taken


def shares(log: IO[bytes]) -> list[float]:
    """The part of the calls that each process answered, by the lines of the log."""
    log.seek(0)
    counts = Counter(json.loads(line)["process"] for line in log.read().splitlines() if line.startswith(b"{"))
    return sorted(count / counts.total() for count in counts.values())


async def with_workers() -> list[str]:
    """A table: workers, clients at once, calls a second, processor time of a call, the smallest share of a worker."""
    lines = header("server", "clients", "calls a second", "processor time of a call", "least share")
    for workers, at_once in product((1, 2, 4), (1, 8, 32, 128)):
        with serving(workers=workers, limits=OPEN) as served:
            await load(served.port, WIDGET, at_once, at_once, "warm")
            before, begun = cpu_s(served.process) or 0.0, time.perf_counter()
            taken = await load(served.port, WIDGET, at_once, CALLS, "key")
            seconds, used = time.perf_counter() - begun, (cpu_s(served.process) or 0.0) - before
            of_call = f"{len(taken) / seconds:.0f} | {1000 * used / len(taken):.1f} ms"
            name = f"{workers} worker{'s' * (workers > 1)}"
            lines.append(f"| {name} | {at_once} | {of_call} | {100 * shares(served.log)[0]:.0f} % |")
    return lines


async def fairness() -> list[str]:
    """The median call of a key alone, and next to a key with ten times as many clients; the API takes 0.2 s."""
    with serving(delay_s=0.2) as served:
        await load(served.port, WIDGET, 4, 8, "warm")
        alone = statistics.median(await load(served.port, WIDGET, 4, 80, "modest"))
        beside = list[float]()
        async with anyio.create_task_group() as group:
            group.start_soon(load, served.port, WIDGET, 40, 40_000, "greedy")
            await load(served.port, WIDGET, 4, 8, "modest")  # by then the greedy one has begun
            beside += await load(served.port, WIDGET, 4, 80, "modest")
            group.cancel_scope.cancel()
    median = statistics.median(beside)
    text = f"A modest key (4 clients): median {1000 * alone:.0f} ms alone, {1000 * median:.0f} ms beside a greedy one "
    return [f"{text}(40 clients), {median / alone:.2f} times."]


async def growth() -> list[str]:
    """Fitted exponents: seconds of a call by points of a line, and by widgets of a dashboard; memory by clients."""
    points = {count: await _one_line(count) for count in (10_000, 30_000, 100_000, 300_000)}
    widgets = {count: await _one_board(count) for count in (1, 3, 6, 12, 24)}
    return [
        f"Processor time of a line by its points: exponent {exponent(points):.2f}; "
        + ", ".join(f"{count:,}: {seconds:.2f} s" for count, seconds in points.items()),
        f"Processor time of a dashboard by its widgets: exponent {exponent(widgets):.2f}; "
        + ", ".join(f"{count}: {1000 * seconds:.0f} ms" for count, seconds in widgets.items()),
    ]


def exponent(measured: dict[int, float]) -> float:
    """The slope of the logarithms."""
    found = statistics.linear_regression(
        [math.log(count) for count in measured], [math.log(s) for s in measured.values()]
    )
    return found.slope


async def _one_line(count: int) -> float:
    line = ("preview_widget", {"widget": {"chart_type": "line", "field": "duration"}, "window": "30d"})
    return await _cpu_of(line, 4, str(count))


async def _one_board(widgets: int) -> float:
    return await _cpu_of(BOARD, 40, "0", str(widgets))


async def _cpu_of(call: tuple[str, dict[str, Any]], calls: int, *about: str) -> float:
    """Processor seconds of a call in a server of its own."""
    with serving(*about, limits=OPEN) as served:
        await load(served.port, call, 1, 2, "warm")
        before = cpu_s(served.process) or 0.0
        await load(served.port, call, 1, calls, "key")
        return ((cpu_s(served.process) or 0.0) - before) / calls


async def soak(seconds: int = SOAK_S, calls_a_turn: int = 160) -> list[str]:
    """Memory over minutes of load, in turns: its growth from the second quarter to the last one."""
    sizes = list[float]()
    with serving("0", "12") as served:
        end, calls = time.monotonic() + seconds, 0
        while time.monotonic() < end or len(sizes) < QUARTERS:
            key = f"key-{len(sizes) % 40}"
            calls += len(await load(served.port, WIDGET if calls % 3 else BOARD, 8, calls_a_turn, key))
            sizes.append(memory_mib(served.process.pid) or 0.0)
    quarter = len(sizes) // QUARTERS
    early, late = (statistics.median(part) for part in (sizes[quarter : 2 * quarter], sizes[-quarter:]))
    return [f"{calls} calls in {seconds} s: {early:.0f} MiB in the second quarter, {late:.0f} MiB in the last."]


PARTS = {"workers": with_workers, "fair": fairness, "grow": growth, "soak": soak}


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice([*PARTS]))
def main(parts: Sequence[str]) -> None:
    """Measure and print."""
    for part in parts or [name for name in PARTS if name != "soak"]:
        click.echo("\n".join(anyio.run(PARTS[part])) + "\n")


if __name__ == "__main__":
    main()
