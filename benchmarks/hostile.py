"""Hostile requests and API responses to a server over HTTP, while a client works and must get right answers.

``python -m benchmarks.hostile``: 1,000 random and 100 directed requests; a test sends fewer. The server lets through
less than usual, so that little does for an answer that is too large once it is unpacked.
"""

import contextlib
import json
import math
import random
import re
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent
from pydantic import SecretStr

from benchmarks.processes import memory_mib

KEY = "benchmark"
MOST_BYTES, UNPACKED_BYTES = 2 * 2**20, 32 * 2**20
TIMEOUT_S = 10
COMPRESSED, TRICKLING = 13, 216
"""A dashboard and a widget, about which the API answers so; the client asks for neither."""
AT_ONCE = 8
HELD_EACH, TRICKLE_S = 4, 0.2
"""Connections kept open in each way, and the pause between pieces sent on one."""
PATIENCE_S = 30
PAUSE_S = 0.5
"""Between two rounds of questions of a client that works beside the attack."""
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of plain HTTP: each would otherwise load every certificate authority, 10 ms of processor time."""
Json = dict[str, Any]
DAY = timedelta(days=1)
TOOLS = [
    "get_widgets_data",
    "preview_widget",
    "explain_change",
    "update_widget",
    "bulk_edit_dashboard",
    "list_calls",
    "nothing",
]
VERSIONS = ["2026-07-28", "2025-11-25", "2024-11-05", "1999-01-01", ""]


def questions() -> list[tuple[str, Json]]:
    """The client's questions, on a past day, so that the right answers do not change."""
    today = datetime.now(UTC).date()
    over = f"{today - 2 * DAY}/{today - DAY}"
    return [
        ("get_widgets_data", {"widget_ids": [203, 205], "window": over}),
        ("list_calls", {"widget_id": 203, "window": over}),
        ("look_up", {"kind": "agents"}),
        ("preview_widget", {"widget": {"chart_type": "pie", "field": "durration"}}),
    ]


def called(tool: str, arguments: Any) -> Json:
    """A call as an old client sends it."""
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}


def nested(depth: int) -> Any:
    """Filters inside each other."""
    found: Json = {"field": "topic", "op": "eq", "value": "x"}
    for _ in range(depth):
        found = {"operator": "and", "conditions": [found]}
    return found


def directed() -> list[bytes]:
    """Bodies that each attack in one way."""
    many = {f"argument {i}": i for i in range(30_000)}
    names = [f"name {i}" for i in range(60_000)]
    calls = [
        called("get_widgets_data", many),
        called("get_widgets_data", {"widget_ids": names}),
        called("get_widgets_data", {"widget_ids": json.dumps(names[:9_000])}),
        called("get_widgets_data", {"dashboard_id": 11, "filters": nested(30)}),
        called("get_widgets_data", {"dashboard_id": 11, "filters": nested(400)}),
        called("preview_widget", {"widget": {"metadata": [[i] * 40 for i in range(4000)]}}),
        called("update_widget", {"widget_id": 203, "changes": {"name": "x" * 300_000}}),
        called("bulk_edit_dashboard", {"dashboard_id": 11, "delete": [*range(30_000)]}),
        called("list_dashboards", {"search": "\\u0000" * 40_000}),
        called("explain_change", {"widget_id": 203, "by": ["topic"] * 20_000}),
        called("list_calls", {"label": "(" * 200_000}),
        called("get_dashboard", {"dashboard_id": COMPRESSED}),
        called("get_widgets_data", {"widget_ids": [TRICKLING]}),
        called("preview_widget", {"widget": {"filters": {"field": "topic", "op": "regex", "value": "(a*)*b" * 5_000}}}),
    ]
    bodies = [json.dumps(call).encode() for call in calls]
    raw = [
        b"[" * 100_000, b'{"a":' * 100_000, b'"' + b"x" * 900_000, b"\xff\xfe" * 1000, b"", b"null", b"[]",
        b"[" + bodies[0][:99] + b"]", b'{"jsonrpc": "2.0", "id": 1e400, "method": "ping"}', b'{"jsonrpc": "1.0"}',
        b"x" * 3_000_000, b'{"id": ' + b"9" * 100_000 + b"}",
        json.dumps([called("list_dashboards", {})] * 500).encode(),
    ]  # fmt: skip
    return [*bodies, *raw]


class Attacker:
    """Sends hostile requests one after another, and ignores the responses."""

    def __init__(self, url: str, seed: int) -> None:
        self._url, self._chance = url, random.Random(seed)  # noqa: S311 - no secret
        self._host, self._port = urlsplit(url).hostname or "", urlsplit(url).port or 80

    def _any(self, depth: int = 0) -> Any:
        kind = self._chance.randrange(9 if depth < 4 else 5)  # noqa: PLR2004 - a table of kinds
        simple = [None, True, self._chance.randint(-(2**70), 2**70), self._chance.random() * 1e308, self._text()]
        if kind < len(simple):
            return simple[kind]
        count = self._chance.randrange(5)
        if kind % 2:
            return [self._any(depth + 1) for _ in range(count)]
        return {self._text(): self._any(depth + 1) for _ in range(count)}

    def _text(self) -> str:
        known = [
            "dashboard_id",
            "widget_ids",
            "filters",
            "widget",
            "window",
            "7d",
            "field",
            "op",
            "id",
            "203",
            "\u202e\n",
            "x" * 999,
        ]
        return self._chance.choice(known)

    def _random_body(self) -> bytes:
        body = json.dumps(called(self._chance.choice(TOOLS), self._any())).encode()
        spoil = self._chance.randrange(4)
        if spoil == 1:
            place = self._chance.randrange(len(body))
            body = body[:place] + self._chance.randbytes(3) + body[place:]
        return self._chance.randbytes(200) if spoil == 2 else body  # noqa: PLR2004 - a kind of spoiling

    async def random_request(self, http: httpx.AsyncClient) -> None:
        if self._chance.random() < 0.2:  # noqa: PLR2004 - now and then
            await self._half_a_request()
            return
        headers = {
            "Content-Type": self._chance.choice(["application/json", "text/plain", "application/json; charset=x"]),
            "Accept": self._chance.choice(["application/json, text/event-stream", "*/*", "text/html"]),
            "MCP-Protocol-Version": self._chance.choice(VERSIONS),
            "Mcp-Session-Id": self._chance.choice(["", "a" * 500]),
            "Mcp-Method": self._chance.choice(["", "tools/call", "ping"]),
        }
        method = self._chance.choice(["POST", "POST", "POST", "GET", "PUT", "DELETE", "OPTIONS"])
        path = self._chance.choice(["/mcp", "/mcp", "/mcp", "/mcp/", "/", "/healthz", "/../mcp"])
        await self._sent(http, method, path, headers, self._random_body())

    async def directed_request(self, http: httpx.AsyncClient, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        await self._sent(http, "POST", "/mcp", headers, body)

    async def _sent(
        self, http: httpx.AsyncClient, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> None:
        try:
            await http.request(method, self._url + path, headers=headers, content=body)
        except httpx.TransportError:
            return  # the server may hang up on what is not HTTP any more

    async def _half_a_request(self) -> None:
        """Bytes that begin like a request and end in the middle."""
        try:
            async with await anyio.connect_tcp(self._host, self._port) as stream:
                text = f"POST /mcp HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nContent-Length: 99\r\n\r\n"
                await stream.send(text.encode()[: self._chance.randrange(1, len(text))])
        except OSError:
            return


@dataclass(frozen=True)
class Held:
    """A way to hold a connection: what is sent, piece by piece, after which it stays, reading nothing, or leaves."""

    pieces: list[bytes]
    leaves: bool = False


def ways_to_hold(host: str, key: str) -> list[Held]:
    """A stream, an idle connection, unread answers, a head and a body that trickle in, a caller who leaves."""

    def request(method: str, path: str, body: bytes = b"") -> bytes:
        headers = [
            f"Host: {host}", f"X-CEKURA-API-KEY: {key}", "Content-Type: application/json",
            "Accept: application/json, text/event-stream", f"Content-Length: {len(body)}",
        ]  # fmt: skip
        return "\r\n".join([f"{method} {path} HTTP/1.1", *headers, "", ""]).encode() + body

    listed = {"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {"_meta": {"progressToken": 1}}}
    call = json.dumps(called("list_dashboards", {})).encode()
    head, _, body = request("POST", "/mcp", call).partition(b"\r\n\r\n")
    return [
        Held([request("GET", "/mcp")]),
        Held([request("GET", "/healthz")]),
        Held([request("POST", "/mcp", json.dumps(listed).encode())] * 8),
        Held([bytes([byte]) for byte in head]),
        Held([head + b"\r\n\r\n", *(bytes([byte]) for byte in body)]),
        Held([request("POST", "/mcp", call)], leaves=True),
    ]


@asynccontextmanager
async def held_connections(url: str) -> AsyncGenerator[None]:
    """Hold ``HELD_EACH`` connections in each way, over and over when the server hangs up."""
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 80

    async def hold(way: Held) -> None:
        while True:
            with contextlib.suppress(OSError, anyio.BrokenResourceError):
                async with await anyio.connect_tcp(host, port) as stream:
                    for piece in way.pieces:
                        await stream.send(piece)
                        await anyio.sleep(TRICKLE_S)
                    await anyio.sleep(TRICKLE_S if way.leaves else math.inf)

    async with anyio.create_task_group() as group:
        for number in range(HELD_EACH):
            for way in ways_to_hold(f"{host}:{port}", f"held-{number}"):
                group.start_soon(hold, way)
        yield
        group.cancel_scope.cancel()


@dataclass
class Outcome:
    """``wrong``: answers of the client that were not as before the attack; ``health_ms``: of each health request."""

    answers: int = 0
    wrong: list[str] = field(default_factory=list[str])
    health_ms: list[float] = field(default_factory=list[float])
    memory_mib: list[float] = field(default_factory=list[float])
    seconds: float = 0.0


@asynccontextmanager
async def _process(*arguments: str) -> AsyncGenerator[tuple[int, str]]:
    """A process of Python with these arguments: its number, and the address that it says it serves."""
    command = [sys.executable, "-m", *arguments]
    async with await anyio.open_process(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            said, found = b"", None
            while process.stderr and found is None:
                said += await process.stderr.receive()
                found = re.search(rb"(http://127\.0\.0\.1:\d+)[./]", said)
            yield process.pid, found[1].decode() if found else ""
        finally:
            process.kill()


@asynccontextmanager
async def a_server() -> AsyncGenerator[tuple[int, str]]:
    """A server over HTTP on a sandbox of which some answers are hostile: its number and its address."""
    async with _process("cekura_dashboards_mcp", "sandbox", "--port", "0", "--key", KEY) as (_, api):
        async with httpx.AsyncClient(base_url=api) as http:
            for fault in (
                {"kind": "compressed", "value": str(UNPACKED_BYTES), "path": f"/dashboards/dashboards/{COMPRESSED}/"},
                {"kind": "trickling", "value": "3600", "path": f"/dashboards/widgets/{TRICKLING}/"},
            ):
                await http.post("/sandbox/faults/", json={**fault, "times": None})
        async with _process("benchmarks.hostile", api) as found:
            yield found


def serve(api: str) -> None:
    """Serve until stopped, on a free port."""
    from cekura_dashboards import Settings  # noqa: PLC0415 - of the server's process alone, as all of these
    from cekura_dashboards.api.transport import HttpTransport  # noqa: PLC0415
    from cekura_dashboards_mcp.connection import Connection  # noqa: PLC0415
    from cekura_dashboards_mcp.web.serve import serve_http  # noqa: PLC0415

    given = Settings(base_url=api, api_key=SecretStr(KEY), timeout_s=TIMEOUT_S)
    connection = Connection(given, _transport=HttpTransport(api, max_body_bytes=MOST_BYTES))
    serve_http(connection, "127.0.0.1:0", workers=1, with_metrics=False, loaded=lambda: None)


async def attacked(count: int, bodies: list[bytes], *, seed: int = 1) -> Outcome:
    """Send ``count`` random requests and one with each of these bodies, while a client of each era works.

    Beside them connections are held open.
    """
    outcome, done = Outcome(), anyio.Event()
    async with a_server() as (process, url), anyio.create_task_group() as group:
        asked = questions()
        truth = {(tool, json.dumps(given)): await _answer(url, "auto", tool, given) for tool, given in asked}
        outcome.memory_mib.append(memory_mib(process) or 0.0)
        for era in ("auto", "legacy"):
            group.start_soon(_work, url, era, truth, outcome, done)
        group.start_soon(_watch, url, outcome, done)
        begun = time.perf_counter()
        async with held_connections(url):
            await _attack(url, count, bodies, seed, lambda: outcome.memory_mib.append(memory_mib(process) or 0.0))
        outcome.seconds = time.perf_counter() - begun
        done.set()
    return outcome


async def _attack(url: str, count: int, bodies: list[bytes], seed: int, quarter: Callable[[], None]) -> None:
    attacker, limiter = Attacker(url, seed), anyio.CapacityLimiter(AT_ONCE)
    jobs: list[bytes | None] = [*bodies, *[None] * count]
    random.Random(seed).shuffle(jobs)  # noqa: S311 - no secret
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:

        async def one(body: bytes | None) -> None:
            async with limiter:
                await (attacker.random_request(http) if body is None else attacker.directed_request(http, body))

        step = max(1, len(jobs) // 4)
        for start in range(0, len(jobs), step):
            async with anyio.create_task_group() as group:
                for job in jobs[start : start + step]:
                    group.start_soon(one, job)
            quarter()


async def _answer(url: str, era: Any, tool: str, arguments: Json) -> str:
    http = httpx2.AsyncClient(verify=NO_CERTIFICATES, timeout=PATIENCE_S)
    async with http, Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=era) as client:
        result = await client.call_tool(tool, arguments)
        return "".join(block.text for block in result.content if isinstance(block, TextContent))


async def _work(url: str, era: str, truth: dict[tuple[str, str], str], outcome: Outcome, done: anyio.Event) -> None:
    while not done.is_set():
        for (tool, given), right in truth.items():
            found = await _answer(url, era, tool, json.loads(given))
            outcome.answers += 1
            if found != right:
                outcome.wrong.append(found)
        await anyio.sleep(PAUSE_S)


WATCH = """
import http.client, sys, time
connection = http.client.HTTPConnection(sys.argv[1], timeout=30)
while True:
    begun = time.perf_counter()
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    print((time.perf_counter() - begun) * 1000, (answer.status, answer.read()) == (200, b""), flush=True)
    time.sleep(0.02)
"""
"""In a process of its own: beside the attack it would measure how busy the attacker is."""


async def _watch(url: str, outcome: Outcome, done: anyio.Event) -> None:
    async with await anyio.open_process([sys.executable, "-c", WATCH, urlsplit(url).netloc], stderr=None) as process:
        await done.wait()
        process.terminate()
        told = b""
        with contextlib.suppress(anyio.EndOfStream):
            while process.stdout:
                told += await process.stdout.receive()
    for line in told.decode().splitlines():
        took, right = line.split()
        outcome.health_ms.append(float(took))
        outcome.wrong += [] if right == "True" else ["/healthz"]


def main() -> None:
    bodies = directed() * 4
    found = anyio.run(lambda: attacked(1000, bodies))
    slow = sorted(found.health_ms)
    print(  # noqa: T201
        f"1000 random and {len(bodies)} directed requests in {found.seconds:.1f} s, {AT_ONCE} at once, "
        f"{HELD_EACH} connections held in each of {len(ways_to_hold('', ''))} ways"
    )
    print(f"answers to the client: {found.answers}, wrong: {len(found.wrong)}")  # noqa: T201
    print(  # noqa: T201
        f"/healthz: {len(slow)} requests, median {statistics.median(slow):.1f} ms, "
        f"p99 {slow[int(len(slow) * 0.99)]:.1f} ms, slowest {slow[-1]:.1f} ms"
    )
    print("memory in MiB, before and after each quarter: " + " ".join(f"{size:.0f}" for size in found.memory_mib))  # noqa: T201


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(sys.argv[1])
    else:
        main()
