"""Start, latency, throughput and memory, compared with the bare server in the same run."""

import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import anyio
import httpx
import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from benchmarks.processes import KEY, cpu_s, free_port, memory_mib, running

OURS = ["-m", "cekura_dashboards_mcp", "serve"]
BARE = ["-m", "benchmarks.bare"]
TURNS = 3
Era = Literal["auto", "legacy"]
"""The protocol of 2026-07-28, and that of 2025-11-25, which most clients speak."""
MADE: dict[str, tuple[str, dict[str, Any]]] = {
    "widget": ("get_widgets_data", {"widget_ids": [1], "points": 30}),
    "comparison": ("get_widgets_data", {"widget_ids": [1], "window": "7d", "compare_to": "previous_period"}),
    "add": ("add", {"a": 1, "b": 2}),
    "fetch": ("fetch", {}),
}
"""Calls that are measured, by name."""


_Served = tuple["subprocess.Popen[bytes]", int]


@dataclass(frozen=True)
class Row:
    """A figure of ours and of the bare server, medians with the lowest and highest, and their ratio."""

    what: str
    ours: str
    bare: str
    ratio: float


def spread(values: list[float], unit: str, digits: int = 2) -> str:
    """``median (lowest to highest) unit``."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f}) {unit}".rstrip()


async def _time_to_list(arguments: list[str]) -> float:
    server = StdioServerParameters(command=sys.executable, args=arguments, env={"CEKURA_API_KEY": KEY})
    begun = time.perf_counter()
    async with Client(server) as client:
        await client.list_tools()
        return time.perf_counter() - begun


async def _time_to_list_http(arguments: list[str], port: int) -> float:
    begun = time.perf_counter()
    with running(*arguments, port=port, CEKURA_BASE_URL="http://127.0.0.1:9"):
        async with client_of(port) as client:
            await client.list_tools()
            return time.perf_counter() - begun


async def _ours_and_bare_over_http() -> tuple[float, float]:
    ours, bare = free_port(), free_port()
    return (
        await _time_to_list_http([*OURS, "--http", f"127.0.0.1:{ours}"], ours),
        await _time_to_list_http([*BARE, str(bare)], bare),
    )


async def _ours_and_bare_over_stdio() -> tuple[float, float]:
    return await _time_to_list(OURS), await _time_to_list(BARE)


async def starts(runs: int) -> list[Row]:
    """From starting the process to the answer to the first tools/list, in turn; once is not counted."""
    rows = list[Row]()
    for name, timed in (("stdio", _ours_and_bare_over_stdio), ("HTTP", _ours_and_bare_over_http)):
        await timed()
        pairs = [await timed() for _ in range(runs)]
        ours, bare = ([pair[place] for pair in pairs] for place in (0, 1))
        ratio = statistics.median(a / b for a, b in pairs)
        rows.append(Row(f"start to tools/list, {name}", spread(ours, "s"), spread(bare, "s"), ratio))
    return rows


async def over_http(rounds: int, calls: int) -> list[Row]:
    """Latency, throughput and idle memory over HTTP, the API answering at once from a third process."""
    upstream, ours, bare = free_port(), free_port(), free_port()
    with (
        running("-m", "benchmarks.upstream", str(upstream), port=upstream),
        running(
            *OURS, "--http", f"127.0.0.1:{ours}", port=ours, CEKURA_BASE_URL=f"http://127.0.0.1:{upstream}"
        ) as mine,
        running(*BARE, str(bare), port=bare, UPSTREAM=f"http://127.0.0.1:{upstream}") as least,
    ):
        idle = memory_mib(mine.pid), memory_mib(least.pid)
        rows = [await _latency(upstream, ours, bare, rounds)]
        rows += [await _throughput(ours, bare, at_once, calls, "add") for at_once in (1, 8, 32)]
        rows.append(await _throughput(ours, bare, 32, calls, "add", "legacy"))
        rows.append(await _throughput(ours, bare, 32, calls, "add", call="comparison"))
        rows.append(await _throughput(ours, bare, 32, calls, "fetch"))
        rows += await _cpu((mine, ours), (least, bare), calls)
        if idle[0] and idle[1]:
            rows.append(Row("idle memory", f"{idle[0]:.0f} MiB", f"{idle[1]:.0f} MiB", idle[0] / idle[1]))
        return rows


async def _cpu(mine: _Served, least: _Served, calls: int) -> list[Row]:
    """Processor time of a call, the SDK's part included, beside the bare server that makes the same API requests."""
    if cpu_s(mine[0]) is None:
        return []
    taken = dict[str, list[float]]()
    for _ in range(TURNS):
        for (process, port), call in ((mine, "widget"), (least, "fetch")):
            before = cpu_s(process) or 0.0
            await _rate(port, call, 8, calls)
            taken.setdefault(call, []).append(1000 * ((cpu_s(process) or 0.0) - before) / calls)
    ours, bare = taken["widget"], taken["fetch"]
    ratio = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
    what = "processor time of a call, the bare server making the same API requests"
    return [Row(what, spread(ours, "ms", 1), spread(bare, "ms", 1), ratio)]


async def _latency(upstream: int, ours: int, bare: int, rounds: int) -> Row:
    """The time of a call without its API requests, compared with a whole call of the bare server."""
    mine, plain, least = list[float](), list[float](), list[float]()
    base = f"http://127.0.0.1:{upstream}/dashboards/widgets"
    async with httpx.AsyncClient() as http, client_of(ours) as us, client_of(bare) as them:

        async def same_requests() -> None:
            await http.get(f"{base}/1/")
            await http.post(f"{base}/bulk_data/", json={"widget_ids": [1]})

        for index in range(rounds + 20):
            taken = [
                await _timed(lambda: us.call_tool(*MADE["widget"])),
                await _timed(same_requests),
                await _timed(lambda: them.call_tool(*MADE["add"])),
            ]
            if index >= 20:  # noqa: PLR2004 - warm by then
                for values, value in zip((mine, plain, least), taken, strict=True):
                    values.append(1000 * value)
    added = [a - b for a, b in zip(mine, plain, strict=True)]
    ratio = statistics.median(added) / statistics.median(least)
    return Row("added latency of a call, HTTP", _quartiles(added), _quartiles(least), ratio)


async def health(calls: int) -> tuple[float, float]:
    """Slowest health request, in ms, while one line of that many calls is answered, and how long that took, in s."""
    upstream, ours = free_port(), free_port()
    slowest, taken = list[float](), list[float]()
    line = {"widget": {"chart_type": "line", "field": "duration"}, "window": "30d"}
    with (
        running("-m", "benchmarks.upstream", str(upstream), str(calls), port=upstream),
        running(*OURS, "--http", f"127.0.0.1:{ours}", port=ours, CEKURA_BASE_URL=f"http://127.0.0.1:{upstream}"),
    ):
        async with client_of(ours) as us, httpx.AsyncClient() as http, anyio.create_task_group() as group:

            async def ask() -> None:
                taken.append(await _timed(lambda: us.call_tool("preview_widget", line)))

            await http.get(f"http://127.0.0.1:{ours}/healthz")
            group.start_soon(ask)
            while not taken:
                slowest.append(1000 * await _timed(lambda: http.get(f"http://127.0.0.1:{ours}/healthz")))
    return max(slowest), taken[0]


def _quartiles(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.1f} ({low:.1f} to {high:.1f}) ms"


async def _timed(call: Callable[[], Awaitable[Any]]) -> float:
    begun = time.perf_counter()
    await call()
    return time.perf_counter() - begun


def client_of(port: int, era: Era = "auto") -> Client:
    """An MCP client with a key."""
    http = httpx2.AsyncClient(headers={"X-CEKURA-API-KEY": KEY}, timeout=60)
    return Client(streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http), mode=era)


async def _throughput(
    ours: int, bare: int, at_once: int, calls: int, of_bare: str, era: Era = "auto", call: str = "widget"
) -> Row:
    """Calls a second at this concurrency, alternating the servers."""
    mine, least = list[float](), list[float]()
    for _ in range(TURNS):
        mine.append(await _rate(ours, call, at_once, calls, era))
        least.append(await _rate(bare, of_bare, at_once, calls, era))
    ratio = statistics.median(a / b for a, b in zip(mine, least, strict=True))
    what = f"calls a second, {at_once} at once"
    if of_bare == "fetch":
        what += ", the bare server making the same API requests"
    if call == "comparison":
        what += ", a week against the week before"
    if era == "legacy":
        what += ", clients of 2025-11-25"
    return Row(what, spread(mine, "", 0), spread(least, "", 0), ratio)


async def _rate(port: int, call: str, at_once: int, calls: int, era: Era = "auto") -> float:
    """The load comes from separate processes, one per 8 concurrent calls, so that it is not measured too."""
    workers = max(1, at_once // 16)
    command = [
        sys.executable,
        "-m",
        "benchmarks.load",
        str(port),
        call,
        str(at_once // workers),
        str(calls // workers),
        era,
    ]
    begun_rates = list[float]()

    async def one() -> None:
        done = await anyio.run_process(command, stderr=subprocess.DEVNULL)
        begun_rates.append(float(done.stdout))

    async with anyio.create_task_group() as group:
        for _ in range(workers):
            group.start_soon(one)
    return sum(begun_rates)
