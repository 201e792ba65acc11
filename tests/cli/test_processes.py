"""Processes stop quietly on request, and the HTTP server survives clients that hold connections open."""

import json
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager
from typing import Any, cast

import anyio
import anyio.abc
import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response

from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.web.app import http_app
from cekura_dashboards_mcp.web.middleware import (
    MAX_REQUEST_BYTES,
    CompleteRequests,
    LimitedProtocol,
    RateLimitedLog,
    server_config,
)
from support import PLAIN_HTTP, TIMEOUT_S, Json, run_cli, served, settings, shared_sandbox

INITIALIZE: Json = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}  # fmt: skip
LIST: Json = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "list_dashboards", "arguments": {}}}
HEADERS = {"Accept": "application/json, text/event-stream"}
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and limits")


@contextmanager
def started(*arguments: str, files: int | None = None, **environment: str) -> Generator[subprocess.Popen[bytes]]:
    """The program with these arguments and an optional limit on open files."""
    program = [sys.executable, "-m", "cekura_dashboards_mcp", "serve", *arguments]
    if files is not None:
        program = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *program]
    pipe = subprocess.PIPE
    with subprocess.Popen(program, stdin=pipe, stdout=pipe, stderr=pipe, env=environment or None) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def over_stdio() -> Generator[subprocess.Popen[bytes]]:
    """A server that has answered one request and waits for the next line."""
    with started("--sandbox") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
        process.stdin.flush()
        assert b'"serverInfo"' in process.stdout.readline()
        yield process


def exit_of(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    code = process.wait(TIMEOUT_S)
    assert process.stderr is not None
    return code, process.stderr.read().decode()


@posix
def test_ctrl_c_stops_a_stdio_server_quietly() -> None:
    with over_stdio() as process:
        process.send_signal(signal.SIGINT)
        assert exit_of(process) == (130, "")


@posix
def test_a_closed_stdout_stops_a_stdio_server_quietly() -> None:
    with over_stdio() as process:
        assert process.stdout is not None
        process.stdout.close()
        assert exit_of(process) == (0, "")


@contextmanager
def over_http(*arguments: str, **options: Any) -> Generator[tuple[subprocess.Popen[bytes], str]]:
    with started("--http", "127.0.0.1:0", *arguments, **options) as process:
        assert process.stderr is not None
        line = process.stderr.readline().decode().strip()
        assert line.startswith("Serving MCP at http://127.0.0.1:")
        yield process, line.rpartition(" ")[2].removesuffix("/mcp")


@posix
def test_ctrl_c_stops_an_http_server_without_a_traceback() -> None:
    with over_http("--sandbox") as (process, _):
        process.send_signal(signal.SIGINT)
        assert exit_of(process) == (130, "")


def test_an_address_in_use_is_reported_in_one_line() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run_cli("serve", "--http", address, "--sandbox")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"cekura-dashboards: {address} cannot be served:")
    assert result.stderr.count("\n") == 1


@posix
@pytest.mark.anyio
async def test_active_calls_are_answered_before_the_server_stops() -> None:
    requested = anyio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - ASGI
        requested.set()
        await released.wait()
        body = b'{"count": 0, "next": null, "results": []}'
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})

    released, api = anyio.Event(), Starlette()
    api.mount("/", slow)
    answers = list[httpx.Response]()

    async def call(url: str) -> None:
        async with httpx.AsyncClient(**PLAIN_HTTP, headers={**HEADERS, "X-CEKURA-API-KEY": "k"}) as http:
            answers.append(await http.post(f"{url}/mcp", json=LIST))

    async with served(api) as base_url:
        with over_http(CEKURA_BASE_URL=base_url) as (process, url):
            async with anyio.create_task_group() as group:
                group.start_soon(call, url)
                with anyio.fail_after(TIMEOUT_S):
                    await requested.wait()
                process.send_signal(signal.SIGTERM)
                assert process.poll() is None
                released.set()
            code, stderr = await anyio.to_thread.run_sync(exit_of, process)
    assert (code, stderr) == (-signal.SIGTERM, "")
    assert "none among 0 read" in answers[0].text


@posix
def test_the_server_recovers_from_running_out_of_file_descriptors() -> None:
    with over_http("--sandbox", files=64) as (process, url):
        host, _, port = url.removeprefix("http://").rpartition(":")
        with ExitStack() as connections:
            for _ in range(300):
                connections.enter_context(closing(socket.create_connection((host, int(port)), TIMEOUT_S)))
        answer = httpx.get(f"{url}/healthz", timeout=TIMEOUT_S)
        process.send_signal(signal.SIGINT)
        _, stderr = exit_of(process)
    assert answer.status_code == 200
    assert len(stderr) < 20_000


@pytest.mark.anyio
@pytest.mark.parametrize("sent", [b"", b"POST /mcp HTTP/1.1\r\nHo", b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n"])
async def test_connections_without_a_complete_request_head_are_closed(sent: bytes) -> None:
    server = uvicorn.Server(server_config(http_app_of_a_sandbox(), within_s=0.05))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listening])
            async with await anyio.connect_tcp("127.0.0.1", listening.getsockname()[1]) as stream:
                if sent:
                    await stream.send(sent)
                with anyio.fail_after(TIMEOUT_S), pytest.raises(anyio.EndOfStream):
                    await stream.receive()
            server.should_exit = True


class ThreeConnections(LimitedProtocol):
    """A server with three connections, whose answers must be read immediately."""

    most_connections = 3
    unread_s = 0.05


@asynccontextmanager
async def serving(app: Any, protocol: type[LimitedProtocol]) -> AsyncGenerator[tuple[uvicorn.Server, str, int]]:
    """A server with this protocol class, its host and its port."""
    config = server_config(app)
    config.http = protocol
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listening])
            yield server, *listening.getsockname()
            server.should_exit = True


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def first_bytes(stream: anyio.abc.SocketStream) -> bytes:
    """The first bytes of the answer to a request on a kept-alive connection."""
    await stream.send(HEALTH)
    with anyio.fail_after(TIMEOUT_S):
        return await stream.receive()


@pytest.mark.anyio
async def test_idle_connections_outlive_those_of_a_load_balancer() -> None:
    async with (
        serving(http_app_of_a_sandbox(), LimitedProtocol) as (server, host, port),
        await anyio.connect_tcp(host, port) as stream,
    ):
        assert (await first_bytes(stream)).startswith(b"HTTP/1.1 200")
        [connection] = cast("set[LimitedProtocol]", server.server_state.connections)
        closes_at = connection.closes_at()
    assert closes_at is not None
    assert closes_at - anyio.current_time() > 60


@pytest.mark.anyio
async def test_a_server_at_capacity_closes_the_longest_idle_connection() -> None:
    async with serving(http_app_of_a_sandbox(), ThreeConnections) as (_, host, port), AsyncExitStack() as connections:
        streams = [await connections.enter_async_context(await anyio.connect_tcp(host, port)) for _ in range(3)]
        for place in (1, 0, 2):
            assert (await first_bytes(streams[place])).startswith(b"HTTP/1.1 200")
        async with await anyio.connect_tcp(host, port) as another:
            assert (await first_bytes(another)).startswith(b"HTTP/1.1 200")
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await first_bytes(streams[1])
            for place in (0, 2):
                assert (await first_bytes(streams[place])).startswith(b"HTTP/1.1 200")


@pytest.mark.anyio
async def test_connections_with_an_active_call_are_never_closed_for_new_ones() -> None:
    arrived, opened = anyio.Semaphore(0), anyio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            arrived.release()
            await opened.wait()
            await Response()(scope, receive, send)

    async with serving(slow, ThreeConnections) as (_, host, port), AsyncExitStack() as connections:
        streams = list[anyio.abc.SocketStream]()
        for _ in range(3):
            streams.append(await connections.enter_async_context(await anyio.connect_tcp(host, port)))
            await streams[-1].send(HEALTH)
            with anyio.fail_after(TIMEOUT_S):
                await arrived.acquire()
        async with await anyio.connect_tcp(host, port) as another:
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await first_bytes(another)
        opened.set()
        assert [(await stream.receive())[:12] for stream in streams] == [b"HTTP/1.1 200"] * 3


@pytest.mark.anyio
async def test_a_trickling_request_does_not_delay_the_shutdown(caplog: pytest.LogCaptureFixture) -> None:
    head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-CEKURA-API-KEY: key\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
    async with AsyncExitStack() as connections, serving(http_app_of_a_sandbox(), LimitedProtocol) as (_, host, port):
        stream = await connections.enter_async_context(await anyio.connect_tcp(host, port))
        await stream.send(head)
        with anyio.fail_after(TIMEOUT_S):
            assert (await stream.receive()).startswith(b"HTTP/1.1 100")  # the server waits for the body
    assert caplog.records == []


@pytest.mark.anyio
async def test_clients_that_never_read_their_answer_are_disconnected() -> None:
    finished = anyio.Event()

    async def large(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(256):
                await send({"type": "http.response.body", "body": bytes(2**18), "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            finished.set()

    async with serving(large, ThreeConnections) as (_, host, port), await anyio.connect_tcp(host, port) as stream:
        await stream.send(HEALTH)
        with anyio.fail_after(TIMEOUT_S):
            await finished.wait()


def http_app_of_a_sandbox() -> Starlette:
    return http_app(Connection(settings(), key_per_request=True, app_factory=shared_sandbox))


async def never(*_: Any) -> None:
    raise AssertionError("the request was handed on")


async def status_after(messages: list[Any]) -> Any:
    """The status of the answer to a request with these messages, after which the client sends nothing."""
    sent = list[Any]()

    async def receive() -> Any:
        if messages:
            return messages.pop(0)
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    await CompleteRequests(never, within_s=0.05)({"type": "http", "method": "POST", "headers": []}, receive, send)
    return sent[0]["status"] if sent else None


@pytest.mark.anyio
async def test_incomplete_and_oversized_bodies_are_rejected() -> None:
    part = {"type": "http.request", "body": b"x" * 1000, "more_body": True}
    assert await status_after([part, part]) == 408
    assert await status_after([part] * (MAX_REQUEST_BYTES // 1000 + 1)) == 413
    assert await status_after([part, {"type": "http.disconnect"}]) is None


def test_repeated_log_messages_are_rate_limited() -> None:
    times = iter([0.0, 1.0, 9.0, 10.5, 10.6])
    log = RateLimitedLog(lambda: next(times))
    record = logging.LogRecord("asyncio", logging.ERROR, "", 0, "socket.accept() out of system resource", None, None)
    assert [bool(log.filter(record)) for _ in range(5)] == [True, False, False, True, False]
