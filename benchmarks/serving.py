"""Serving many: calls a second and processor time with several workers, fairness, a soak, and how cost grows.

``python -m benchmarks.serving [PART ...]``: ``workers``, ``fair``, ``grow``, ``soak``; all but the soak without one.
"""

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import anyio
import click
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from benchmarks.processes import cpu_s, free_port, memory_mib, wait_for
from benchmarks.speed import BARE, OURS

CALLS = 960
WIDGET: tuple[str, dict[str, Any]] = ("get_widgets_data", {"widget_ids": [1], "points": 30})
BOARD: tuple[str, dict[str, Any]] = ("get_widgets_data", {"dashboard_id": 1})
OPEN = {"CEKURA_MAX_IN_FLIGHT": "2000", "CEKURA_MAX_IN_FLIGHT_PER_KEY": "2000", "CEKURA_LOG_LEVEL": "INFO"}
SOAK_S = 600
QUARTERS = 4
"""Measures of memory at the least, however slow the machine is."""


@contextmanager
def running(log: IO[bytes], *arguments: str, port: int, **environment: str) -> Generator[subprocess.Popen[bytes]]:
    """A Python process that listens on a port, its standard error in a file."""
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), **environment}
    process = subprocess.Popen([sys.executable, *arguments], env=env, stderr=log)  # noqa: S603 - our own modules
    try:
        wait_for(port)
        yield process
    finally:
        process.terminate()
        process.wait(15)


def family_cpu_s(process: subprocess.Popen[bytes]) -> float:
    """Processor time of a process and its children."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
    ticks = 0.0
    for number in [process.pid, *map(int, children)]:
        fields = Path(f"/proc/{number}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / 100


async def load(port: int, call: tuple[str, dict[str, Any]], at_once: int, calls: int, key: str) -> list[float]:
    """Seconds of each call, so many clients at once, each with a connection of its own."""
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
    lines = [
        "| server | clients | calls a second | processor time of a call | least share |",
        "| --- | --- | --- | --- | --- |",
    ]
    upstream = free_port()
    with tempfile.TemporaryFile() as log, running(log, "-m", "benchmarks.upstream", str(upstream), port=upstream):
        base = f"http://127.0.0.1:{upstream}"
        for name, call in (("bare", ("add", {"a": 1, "b": 2})), ("bare, same requests", ("fetch", dict[str, Any]()))):
            for at_once in (1, 8, 32, 128):
                port = free_port()
                with (
                    tempfile.TemporaryFile() as out,
                    running(out, *BARE, str(port), port=port, UPSTREAM=base) as process,
                ):
                    lines.append(await _measured(name, process, port, call, at_once, None))
        for workers in (1, 2, 4):
            for at_once in (1, 8, 32, 128):
                port = free_port()
                command = [*OURS, "--http", f"127.0.0.1:{port}", "--workers", str(workers)]
                with (
                    tempfile.TemporaryFile() as out,
                    running(out, *command, port=port, CEKURA_BASE_URL=base, **OPEN) as process,
                ):
                    lines.append(await _measured(f"{workers} worker(s)", process, port, WIDGET, at_once, out))
    return lines


async def _measured(
    name: str,
    process: subprocess.Popen[bytes],
    port: int,
    call: tuple[str, dict[str, Any]],
    at_once: int,
    log: IO[bytes] | None,
) -> str:
    await load(port, call, at_once, at_once, "warm")
    before, begun = family_cpu_s(process), time.perf_counter()
    taken = await load(port, call, at_once, CALLS, "key")
    seconds, used = time.perf_counter() - begun, family_cpu_s(process) - before
    share = f"{100 * shares(log)[0]:.0f} %" if log else ""
    return f"| {name} | {at_once} | {len(taken) / seconds:.0f} | {1000 * used / len(taken):.1f} ms | {share} |"


async def fairness() -> list[str]:
    """A modest key's median call alone, and beside a greedy one with ten times as many clients; the API takes 0.2 s."""
    upstream, port = free_port(), free_port()
    with (
        tempfile.TemporaryFile() as log,
        running(log, "-m", "benchmarks.upstream", str(upstream), port=upstream, DELAY_S="0.2"),
        tempfile.TemporaryFile() as out,
        running(out, *OURS, "--http", f"127.0.0.1:{port}", port=port, CEKURA_BASE_URL=f"http://127.0.0.1:{upstream}"),
    ):
        await load(port, WIDGET, 4, 8, "warm")
        alone = statistics.median(await load(port, WIDGET, 4, 80, "modest"))
        beside = list[float]()
        async with anyio.create_task_group() as group:
            group.start_soon(load, port, WIDGET, 40, 40_000, "greedy")
            await load(port, WIDGET, 4, 8, "modest")  # by then the greedy one has begun
            beside += await load(port, WIDGET, 4, 80, "modest")
            group.cancel_scope.cancel()
    median = statistics.median(beside)
    told = f"A modest key (4 clients): median {1000 * alone:.0f} ms alone, {1000 * median:.0f} ms beside a greedy one "
    return [f"{told}(40 clients), {median / alone:.2f} times."]


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
    upstream, port = free_port(), free_port()
    with (
        tempfile.TemporaryFile() as log,
        running(log, "-m", "benchmarks.upstream", str(upstream), *about, port=upstream),
        tempfile.TemporaryFile() as out,
        running(
            out, *OURS, "--http", f"127.0.0.1:{port}", port=port, CEKURA_BASE_URL=f"http://127.0.0.1:{upstream}", **OPEN
        ) as process,
    ):
        await load(port, call, 1, 2, "warm")
        before = cpu_s(process) or 0.0
        await load(port, call, 1, calls, "key")
        return ((cpu_s(process) or 0.0) - before) / calls


async def soak(seconds: int = SOAK_S, calls_a_turn: int = 160) -> list[str]:
    """Memory over minutes of load, in turns: its growth from the second quarter to the last one."""
    upstream, port = free_port(), free_port()
    seen = list[float]()
    with (
        tempfile.TemporaryFile() as log,
        running(log, "-m", "benchmarks.upstream", str(upstream), "0", "12", port=upstream),
        tempfile.TemporaryFile() as out,
        running(
            out, *OURS, "--http", f"127.0.0.1:{port}", port=port, CEKURA_BASE_URL=f"http://127.0.0.1:{upstream}"
        ) as process,
    ):
        end, calls = time.monotonic() + seconds, 0
        while time.monotonic() < end or len(seen) < QUARTERS:
            calls += len(await load(port, WIDGET if calls % 3 else BOARD, 8, calls_a_turn, f"key-{len(seen) % 40}"))
            seen.append(memory_mib(process) or 0.0)
    quarter = len(seen) // QUARTERS
    early, late = (statistics.median(part) for part in (seen[quarter : 2 * quarter], seen[-quarter:]))
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
