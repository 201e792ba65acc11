"""Processes end when they are told to, quietly, and the HTTP server lives through whoever holds connections open."""

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
from support import HANGS_S, PLAIN, Json, served, settings, shared_sandbox

INITIALIZE: Json = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}  # fmt: skip
LIST: Json = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "list_dashboards", "arguments": {}}}
HEADERS = {"Accept": "application/json, text/event-stream"}
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")


@contextmanager
def started(*arguments: str, files: int | None = None, **environment: str) -> Generator[subprocess.Popen[bytes]]:
    """The program with these arguments, perhaps with a limit on open files."""
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
    """A server that has answered once and waits for the next line."""
    with started("--sandbox") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
        process.stdin.flush()
        assert b'"serverInfo"' in process.stdout.readline()
        yield process


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    code = process.wait(HANGS_S)
    assert process.stderr is not None
    return code, process.stderr.read().decode()


@posix
def test_ctrl_c_ends_a_server_over_stdio_at_once_and_quietly() -> None:
    with over_stdio() as process:
        process.send_signal(signal.SIGINT)
        assert ended(process) == (130, "")


@posix
def test_a_closed_standard_output_ends_it_quietly() -> None:
    with over_stdio() as process:
        assert process.stdout is not None
        process.stdout.close()
        assert ended(process) == (0, "")


def test_a_closed_standard_input_ends_it_quietly() -> None:
    with over_stdio() as process:
        assert process.stdin is not None
        process.stdin.close()
        assert ended(process) == (0, "")


@contextmanager
def over_http(*arguments: str, **given: Any) -> Generator[tuple[subprocess.Popen[bytes], str]]:
    with started("--http", "127.0.0.1:0", *arguments, **given) as process:
        assert process.stderr is not None
        line = process.stderr.readline().decode().strip()
        assert line.startswith("Serving MCP at http://127.0.0.1:")
        yield process, line.rpartition(" ")[2].removesuffix("/mcp")


@posix
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_stopped_http_server_ends_without_a_traceback(sent: signal.Signals, code: int) -> None:
    with over_http("--sandbox") as (process, _):
        process.send_signal(sent)
        assert ended(process) == (code, "")


def test_an_address_that_is_taken_is_one_line() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with started("--http", address, "--sandbox") as process:
            code, told = ended(process)
    assert code == 2
    assert told.startswith(f"cekura-dashboards: {address} cannot be served:")
    assert told.count("\n") == 1


@posix
@pytest.mark.anyio
async def test_a_running_call_is_answered_before_the_server_ends() -> None:
    asked = anyio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - ASGI
        asked.set()
        await let_go.wait()
        body = b'{"count": 0, "next": null, "results": []}'
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})

    let_go, api = anyio.Event(), Starlette()
    api.mount("/", slow)
    answers = list[httpx.Response]()

    async def call(url: str) -> None:
        async with httpx.AsyncClient(**PLAIN, headers={**HEADERS, "X-CEKURA-API-KEY": "k"}) as http:
            answers.append(await http.post(f"{url}/mcp", json=LIST))

    async with served(api) as base_url:
        with over_http(CEKURA_BASE_URL=base_url) as (process, url):
            async with anyio.create_task_group() as group:
                group.start_soon(call, url)
                with anyio.fail_after(HANGS_S):
                    await asked.wait()
                process.send_signal(signal.SIGTERM)
                assert process.poll() is None
                let_go.set()
            code, told = await anyio.to_thread.run_sync(ended, process)
    assert (code, told) == (-signal.SIGTERM, "")
    assert "none among 0 read" in answers[0].text


@posix
def test_out_of_descriptors_the_server_says_little_and_answers_again_afterwards() -> None:
    with over_http("--sandbox", files=64) as (process, url):
        host, _, port = url.removeprefix("http://").rpartition(":")
        with ExitStack() as held:
            for _ in range(300):
                held.enter_context(closing(socket.create_connection((host, int(port)), HANGS_S)))
        answer = httpx.get(f"{url}/healthz", timeout=HANGS_S)
        process.send_signal(signal.SIGINT)
        _, told = ended(process)
    assert answer.status_code == 200
    assert len(told) < 20_000


@pytest.mark.anyio
@pytest.mark.parametrize("sent", [b"", b"POST /mcp HTTP/1.1\r\nHo", b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n"])
async def test_a_connection_without_a_whole_request_head_is_closed(sent: bytes) -> None:
    server = uvicorn.Server(server_config(http_app_of_a_sandbox(), within_s=0.05))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listening])
            async with await anyio.connect_tcp("127.0.0.1", listening.getsockname()[1]) as stream:
                if sent:
                    await stream.send(sent)
                with anyio.fail_after(HANGS_S), pytest.raises(anyio.EndOfStream):
                    await stream.receive()
            server.should_exit = True


class Small(LimitedProtocol):
    """For a server of three connections, whose answers are to be read at once."""

    most_connections = 3
    unread_s = 0.05


@asynccontextmanager
async def serving(app: Any, protocol: type[LimitedProtocol]) -> AsyncGenerator[tuple[uvicorn.Server, str, int]]:
    """A server as it is configured here, but for the protocol, with its host and port."""
    config = server_config(app)
    config.http = protocol
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listening])
            yield server, *listening.getsockname()
            server.should_exit = True


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def asked(stream: anyio.abc.SocketStream) -> bytes:
    """What comes back at first for a request on a connection that stays open."""
    await stream.send(HEALTH)
    with anyio.fail_after(HANGS_S):
        return await stream.receive()


@pytest.mark.anyio
async def test_a_connection_between_requests_is_kept_longer_than_a_balancer_keeps_it() -> None:
    async with (
        serving(http_app_of_a_sandbox(), LimitedProtocol) as (server, host, port),
        await anyio.connect_tcp(host, port) as stream,
    ):
        assert (await asked(stream)).startswith(b"HTTP/1.1 200")
        [connection] = cast("set[LimitedProtocol]", server.server_state.connections)
        closes_at = connection.closes_at()
    assert closes_at is not None
    assert closes_at - anyio.current_time() > 60


@pytest.mark.anyio
async def test_a_full_server_closes_the_connection_that_is_idle_the_longest_for_a_new_one() -> None:
    async with serving(http_app_of_a_sandbox(), Small) as (_, host, port), AsyncExitStack() as held:
        streams = [await held.enter_async_context(await anyio.connect_tcp(host, port)) for _ in range(3)]
        for place in (1, 0, 2):
            assert (await asked(streams[place])).startswith(b"HTTP/1.1 200")
        async with await anyio.connect_tcp(host, port) as another:
            assert (await asked(another)).startswith(b"HTTP/1.1 200")
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await asked(streams[1])
            for place in (0, 2):
                assert (await asked(streams[place])).startswith(b"HTTP/1.1 200")


@pytest.mark.anyio
async def test_a_connection_with_a_call_under_way_is_never_closed_for_a_new_one() -> None:
    came, opened = anyio.Semaphore(0), anyio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            came.release()
            await opened.wait()
            await Response()(scope, receive, send)

    async with serving(slow, Small) as (_, host, port), AsyncExitStack() as held:
        streams = list[anyio.abc.SocketStream]()
        for _ in range(3):
            streams.append(await held.enter_async_context(await anyio.connect_tcp(host, port)))
            await streams[-1].send(HEALTH)
            with anyio.fail_after(HANGS_S):
                await came.acquire()
        async with await anyio.connect_tcp(host, port) as another:
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await asked(another)
        opened.set()
        assert [(await stream.receive())[:12] for stream in streams] == [b"HTTP/1.1 200"] * 3


@pytest.mark.anyio
async def test_a_request_that_trickles_in_does_not_keep_a_stopped_server(caplog: pytest.LogCaptureFixture) -> None:
    head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-CEKURA-API-KEY: key\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
    async with AsyncExitStack() as held, serving(http_app_of_a_sandbox(), LimitedProtocol) as (_, host, port):
        stream = await held.enter_async_context(await anyio.connect_tcp(host, port))
        await stream.send(head)
        with anyio.fail_after(HANGS_S):
            assert (await stream.receive()).startswith(b"HTTP/1.1 100")  # the body is waited for
    assert caplog.records == []


@pytest.mark.anyio
async def test_a_client_that_reads_nothing_of_its_answer_is_hung_up_on() -> None:
    ended = anyio.Event()

    async def large(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(256):
                await send({"type": "http.response.body", "body": bytes(2**18), "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            ended.set()

    async with serving(large, Small) as (_, host, port), await anyio.connect_tcp(host, port) as stream:
        await stream.send(HEALTH)
        with anyio.fail_after(HANGS_S):
            await ended.wait()


def http_app_of_a_sandbox() -> Starlette:
    return http_app(Connection(settings(), key_per_request=True, app_factory=shared_sandbox))


async def never(*_: Any) -> None:
    raise AssertionError("the request was handed on")


async def sent_through(messages: list[Any]) -> Any:
    """The status that a request with these messages gets; after them nothing comes any more."""
    told = list[Any]()

    async def receive() -> Any:
        if messages:
            return messages.pop(0)
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Any) -> None:
        told.append(message)

    await CompleteRequests(never, within_s=0.05)({"type": "http", "method": "POST", "headers": []}, receive, send)
    return told[0]["status"] if told else None


@pytest.mark.anyio
async def test_a_body_that_does_not_arrive_whole_or_is_too_large_is_refused() -> None:
    part = {"type": "http.request", "body": b"x" * 1000, "more_body": True}
    assert await sent_through([part, part]) == 408
    assert await sent_through([part] * (MAX_REQUEST_BYTES // 1000 + 1)) == 413
    assert await sent_through([part, {"type": "http.disconnect"}]) is None


def test_the_same_message_is_logged_once_in_a_while() -> None:
    times = iter([0.0, 1.0, 9.0, 10.5, 10.6])
    kept = RateLimitedLog(lambda: next(times))
    record = logging.LogRecord("asyncio", logging.ERROR, "", 0, "socket.accept() out of system resource", None, None)
    assert [bool(kept.filter(record)) for _ in range(5)] == [True, False, False, True, False]
