"""HTTP for teams: tokens, host names, concurrency limits, rate limits of the API, readiness, and workers."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cekura_dashboards.settings import SettingsError
from cekura_dashboards_mcp.cli.terminal import Stopped
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.web.app import http_app
from cekura_dashboards_mcp.web.middleware import SHARE, ConcurrencyLimit
from cekura_dashboards_mcp.web.serve import serve_http
from cekura_dashboards_mcp.web.settings import ServerSettings, load_server_settings
from support import KEY, PLAIN_HTTP, TIMEOUT_S, Era, Json, now, run_cli, served, settings, shared_sandbox

OLD_TOKEN, NEW_TOKEN = "a-token-of-the-old-months", "a-token-of-the-new-months"
LIST: Json = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "list_dashboards", "arguments": {}}}
HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "X-CEKURA-API-KEY": KEY}
posix = pytest.mark.skipif(sys.platform == "win32", reason="workers require POSIX")


@asynccontextmanager
async def serving(api: Any = None, **options: Any) -> AsyncGenerator[str]:
    connection = Connection(settings(), key_per_request=True, app_factory=api or shared_sandbox, now=now)
    async with served(http_app(connection, ServerSettings(**options))) as url:
        yield url


async def post(url: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(**PLAIN_HTTP) as http:
        return await http.post(f"{url}/mcp", json=LIST, headers={**HEADERS, **headers})


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {OLD_TOKEN}", 200), (f"bearer  {NEW_TOKEN}", 200), (f"Bearer {OLD_TOKEN},{NEW_TOKEN}", 401), (f"Bearer {OLD_TOKEN[:-1]}", 401),
        (f"Basic {OLD_TOKEN}", 401), ("Bearer", 401), ("", 401),
    ],
)  # fmt: skip
async def test_only_configured_bearer_tokens_are_accepted(header: str, status: int) -> None:
    async with serving(server_token=SecretStr(f"{OLD_TOKEN}, {NEW_TOKEN}")) as url:
        answer = await post(url, Authorization=header)
    assert answer.status_code == status
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer TOKEN" in answer.json()["error"]
        assert OLD_TOKEN not in answer.text


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("Host", "mcp.team.example", 200), ("Host", "MCP.team.example", 200), ("Host", "mcp.team.example:8443", 200),
        ("Host", "mcp.team.example:1", 421), ("Host", "x.mcp.team.example", 421), ("Host", "mcp.team.example.evil", 421),
        ("Origin", "https://chat.team.example", 200), ("Origin", "https://chat.team.example.evil", 403),
        ("Origin", "http://chat.team.example", 403), ("Origin", "null", 403),
    ],
)  # fmt: skip
async def test_hosts_and_origins_must_match_exactly(name: str, value: str, status: int) -> None:
    known = {"allowed_hosts": "mcp.team.example, mcp.team.example:8443", "allowed_origins": "https://chat.team.example"}
    async with serving(**known) as url:
        assert (await post(url, **{name: value})).status_code == status


@pytest.mark.anyio
async def test_metrics_require_the_server_token() -> None:
    connection = Connection(settings(), key_per_request=True, app_factory=shared_sandbox, now=now)
    app = http_app(connection, ServerSettings(server_token=SecretStr(OLD_TOKEN)), with_metrics=True)
    async with served(app) as url, httpx.AsyncClient(**PLAIN_HTTP) as http:
        assert (await http.get(f"{url}/metrics")).status_code == 401
        assert (await http.get(f"{url}/metrics", headers={"Authorization": f"Bearer {OLD_TOKEN}"})).status_code == 200


@pytest.mark.anyio
async def test_probes_need_no_token_and_return_empty_bodies() -> None:
    async with serving(server_token=SecretStr(OLD_TOKEN)) as url, httpx.AsyncClient(**PLAIN_HTTP) as http:
        for path in ("/healthz", "/readyz"):
            answer = await http.get(url + path, headers={"Host": "10.0.0.7:8000"})
            assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.anyio
@pytest.mark.parametrize(("status", "ready"), [(200, 200), (401, 200), (500, 503)])
async def test_readiness_depends_on_the_api_and_is_cached(status: int, ready: int) -> None:
    requests = list[str]()

    async def projects(request: Request) -> Response:
        requests.append(request.headers.get("x-cekura-api-key", ""))
        return Response(status_code=status)

    api = Starlette(routes=[Route("/user/v1/projects/", projects)])
    async with serving(lambda: api) as url, httpx.AsyncClient(**PLAIN_HTTP) as http:
        answers = [(await http.get(f"{url}/readyz")).status_code for _ in range(3)]
    assert answers == [ready] * 3
    assert requests == [""]


@pytest.mark.anyio
async def test_an_unreachable_api_makes_the_server_alive_but_not_ready() -> None:
    nowhere = settings().model_copy(update={"base_url": "http://127.0.0.1:9"})
    async with (
        served(http_app(Connection(nowhere, key_per_request=True))) as url,
        httpx.AsyncClient(**PLAIN_HTTP) as http,
    ):
        assert [(await http.get(f"{url}/{path}")).status_code for path in ("healthz", "readyz")] == [200, 503]


class GatedApi:
    """An API whose lists of dashboards wait until it is opened."""

    def __init__(self) -> None:
        self.arrived, self.opened = asyncio.Queue[str](), anyio.Event()
        self.app = Starlette(routes=[Route("/dashboards/dashboards/", self.answer)])

    async def answer(self, request: Request) -> Response:
        await self.arrived.put(request.headers["x-cekura-api-key"])
        await self.opened.wait()
        return JSONResponse({"count": 0, "next": None, "results": []})

    async def next_key(self) -> str:
        """The key of the next request that arrives."""
        with anyio.fail_after(TIMEOUT_S):
            return await self.arrived.get()


@pytest.mark.anyio
async def test_calls_over_the_limit_of_a_key_get_429_and_other_keys_are_served() -> None:
    gate, answers, refused = GatedApi(), asyncio.Queue[httpx.Response](), list[httpx.Response]()
    async with serving(lambda: gate.app, max_in_flight_per_key=3) as url:

        async def call(key: str) -> None:
            await answers.put(await post(url, **{"X-CEKURA-API-KEY": key}))

        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(call, "greedy")
            refused += [await answers.get() for _ in range(5)]
            group.start_soon(call, "modest")
            assert sorted([await gate.next_key() for _ in range(4)]) == ["greedy"] * 3 + ["modest"]
            gate.opened.set()
        assert [(await answers.get()).status_code for _ in range(4)] == [200] * 4
        assert {answer.status_code for answer in refused} == {429}
        assert refused[0].headers["retry-after"] == "1"
        error: Json = refused[0].json()
        assert (error["id"], error["error"]["message"]) == (
            7,
            "This key has 3 active calls, the maximum. Try again in 1 s.",
        )


@dataclass
class Caller:
    """A caller that has sent its request completely and stays connected until it leaves."""

    key: str
    left: anyio.Event = field(default_factory=anyio.Event)
    _sent: bool = False

    async def ask(self, limit: ConcurrencyLimit) -> None:
        headers = [(b"x-cekura-api-key", self.key.encode())]
        path = "/dashboards/dashboards/"
        scope = {"type": "http", "method": "GET", "path": path, "headers": headers, "query_string": b""}
        await limit(scope, self.receive, forget)

    async def receive(self) -> Json:
        if not self._sent:
            self._sent = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}


async def forget(_message: Any) -> None:
    """Discard a message of the answer."""


def active_calls(limit: ConcurrencyLimit) -> int:
    result: Counter[bytes] = vars(limit)["_under_way"]
    return result.total()


@pytest.mark.anyio
async def test_a_key_is_limited_to_its_share_while_others_are_active() -> None:
    gate, finished = GatedApi(), list[str]()
    limit = ConcurrencyLimit(gate.app, 100, 50)

    async def ask(key: str) -> None:
        await Caller(key).ask(limit)
        finished.append(key)

    async with anyio.create_task_group() as group:
        for key in ["modest", *["greedy"] * 20]:
            group.start_soon(ask, key)
        assert sorted([await gate.next_key() for _ in range(1 + SHARE)]) == ["greedy"] * SHARE + ["modest"]
        for _ in range(SHARE):
            group.start_soon(ask, "modest")
        assert [await gate.next_key() for _ in range(SHARE - 1)] == ["modest"] * (SHARE - 1)
        await anyio.wait_all_tasks_blocked()
        assert gate.arrived.empty()
        gate.opened.set()
    assert Counter(finished) == {"greedy": 20, "modest": 1 + SHARE}
    assert active_calls(limit) == 0
    assert not vars(limit)["_limiters"]


@pytest.mark.anyio
async def test_a_single_active_key_is_unlimited_and_queued_calls_resume() -> None:
    gate, modest = GatedApi(), Caller("modest")
    limit = ConcurrencyLimit(gate.app, 100, 50)
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(Caller("greedy").ask, limit)
        assert [await gate.next_key() for _ in range(20)] == ["greedy"] * 20
        async with anyio.create_task_group() as stopped:
            stopped.start_soon(modest.ask, limit)
            assert await gate.next_key() == "modest"
            group.start_soon(Caller("greedy").ask, limit)
            await anyio.wait_all_tasks_blocked()
            assert gate.arrived.empty()
            stopped.cancel_scope.cancel()
        assert await gate.next_key() == "greedy"
        gate.opened.set()
    assert active_calls(limit) == 0
    assert not vars(limit)["_limiters"]


@pytest.mark.anyio
@pytest.mark.parametrize("cancelled", [False, True])
async def test_callers_that_disconnect_while_queued_are_never_run(cancelled: bool) -> None:  # noqa: FBT001 - a parameter
    gate, waiting = GatedApi(), [Caller("greedy") for _ in range(6)]
    limit = ConcurrencyLimit(gate.app, 100, SHARE + len(waiting))
    async with anyio.create_task_group() as group:
        for key in ["modest", *["greedy"] * SHARE]:
            group.start_soon(Caller(key).ask, limit)
        assert sorted([await gate.next_key() for _ in range(1 + SHARE)]) == ["greedy"] * SHARE + ["modest"]
        async with anyio.create_task_group() as leaving:
            for caller in waiting:
                leaving.start_soon(caller.ask, limit)
            await anyio.wait_all_tasks_blocked()
            assert active_calls(limit) == 1 + SHARE + len(waiting)
            for caller in waiting:
                if not cancelled:
                    caller.left.set()
            if cancelled:
                leaving.cancel_scope.cancel()
        assert active_calls(limit) == 1 + SHARE
        group.start_soon(Caller("greedy").ask, limit)
        gate.opened.set()
    assert gate.arrived.qsize() == 1
    assert active_calls(limit) == 0
    assert not vars(limit)["_limiters"]


@pytest.mark.anyio
async def test_closed_connections_release_their_place_in_the_queue() -> None:
    gate = GatedApi()
    limit = ConcurrencyLimit(gate.app, 100, 50)
    async with served(limit) as url, httpx.AsyncClient(**PLAIN_HTTP) as http, anyio.create_task_group() as group:

        async def ask(key: str) -> None:
            await http.get(f"{url}/dashboards/dashboards/", headers={"X-CEKURA-API-KEY": key})

        with anyio.fail_after(TIMEOUT_S):
            for key in ["modest", *["greedy"] * SHARE]:
                group.start_soon(ask, key)
                assert await gate.next_key() == key
            async with anyio.create_task_group() as leaving:
                for _ in range(10):
                    leaving.start_soon(ask, "greedy")
                while active_calls(limit) < 11 + SHARE:
                    await anyio.lowlevel.checkpoint()
                leaving.cancel_scope.cancel()
            while active_calls(limit) > 1 + SHARE:
                await anyio.lowlevel.checkpoint()
        gate.opened.set()
    assert gate.arrived.empty()


@pytest.mark.anyio
async def test_get_streams_of_legacy_clients_are_rejected_and_occupy_no_slot() -> None:
    streams = [KEY] * SHARE + ["another-key"]
    accept = {"Accept": "text/event-stream"}
    async with serving() as url, httpx.AsyncClient(**PLAIN_HTTP) as http, AsyncExitStack() as connections:
        for key in streams:
            headers = {**accept, "X-CEKURA-API-KEY": key, "MCP-Protocol-Version": "2025-11-25"}
            stream = await connections.enter_async_context(http.stream("GET", f"{url}/mcp", headers=headers))
            assert (stream.status_code, stream.headers["allow"]) == (405, "POST")
        with anyio.fail_after(TIMEOUT_S):
            assert "Operations overview" in (await post(url)).text


@pytest.mark.anyio
async def test_many_clients_of_several_keys_are_all_answered(era: Era) -> None:
    async with serving() as url, AsyncExitStack() as connected:
        clients = list[Client]()
        for key in [*[KEY] * (SHARE + 1), "another-key"]:
            http = await connected.enter_async_context(
                httpx2.AsyncClient(**PLAIN_HTTP, headers={"X-CEKURA-API-KEY": key})
            )
            client = Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=era)
            clients.append(await connected.enter_async_context(client))
        with anyio.fail_after(TIMEOUT_S):
            answers = [await client.call_tool("list_dashboards", {}) for client in clients]
    assert [answer.is_error for answer in answers] == [False] * (SHARE + 1) + [True]


@pytest.mark.anyio
@pytest.mark.parametrize("version", ["", "2024-11-05", "2025-11-25", "2026-07-28"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PUT", "OPTIONS"])
async def test_methods_other_than_post_are_rejected_even_at_capacity(method: str, version: str) -> None:
    gate = GatedApi()
    async with serving(lambda: gate.app, max_in_flight=1) as url, anyio.create_task_group() as group:
        group.start_soon(post, url)
        assert await gate.next_key() == KEY
        async with httpx.AsyncClient(**PLAIN_HTTP) as http:
            headers = {**HEADERS, **({"MCP-Protocol-Version": version} if version else {})}
            answer = await http.request(method, f"{url}/mcp", headers=headers)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        gate.opened.set()


@pytest.mark.anyio
async def test_a_disconnected_event_stream_releases_its_slot(era: Era) -> None:
    gate = GatedApi()
    async with serving(lambda: gate.app, max_in_flight=1) as url, anyio.create_task_group() as group:

        async def listen_for_progress() -> None:
            async with (
                httpx2.AsyncClient(**PLAIN_HTTP, headers={"X-CEKURA-API-KEY": "leaves"}) as http,
                Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=era) as client,
            ):
                await client.call_tool("list_dashboards", {}, progress_callback=forget_progress)

        async def call_until_there_is_room() -> None:
            while (await post(url)).status_code == 429:
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as leaving:
            leaving.start_soon(listen_for_progress)
            assert await gate.next_key() == "leaves"
            leaving.cancel_scope.cancel()
        group.start_soon(call_until_there_is_room)
        assert await gate.next_key() == KEY
        gate.opened.set()


async def forget_progress(progress: float, total: float | None, message: str | None) -> None:
    """A progress callback, which makes a client request a stream."""


def call_with_id(number: str) -> bytes:
    return b'{"jsonrpc":"2.0","id":%s,"method":"tools/list"}' % number.encode()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "number"),
    [
        (call_with_id("7"), 7), (call_with_id('"seven"'), "seven"), (call_with_id("7.5"), None),
        (call_with_id("NaN"), None), (call_with_id("9" * 5000), None), (call_with_id(r'"\ud83d"'), None),
        (call_with_id("[" * 5000), None), (b"[" * 100_000, None), (b'{"id":' * 50_000, None), (b"\xff\xfe", None),
        (b'"\xff"', None), (b"", None), (b"[]", None), (b"7", None),
    ],
    ids=range(14),
)  # fmt: skip
async def test_a_server_at_capacity_answers_any_body_with_429(body: bytes, number: Any) -> None:
    gate = GatedApi()
    async with serving(lambda: gate.app, max_in_flight=1) as url, anyio.create_task_group() as group:
        group.start_soon(post, url)
        assert await gate.next_key() == KEY
        async with httpx.AsyncClient(**PLAIN_HTTP) as http:
            answer = await http.post(f"{url}/mcp", content=body, headers=HEADERS)
        assert (answer.status_code, answer.json()["id"]) == (429, number)
        gate.opened.set()


@pytest.mark.anyio
async def test_a_server_at_capacity_sends_a_message_that_clients_show(era: Era) -> None:
    gate = GatedApi()
    async with (
        serving(lambda: gate.app, max_in_flight=1) as url,
        httpx2.AsyncClient(**PLAIN_HTTP, headers={"X-CEKURA-API-KEY": "b"}) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=era) as client,
        anyio.create_task_group() as group,
    ):
        group.start_soon(post, url)
        assert await gate.next_key() == KEY
        with pytest.raises(MCPError, match=r"as many active calls as it can handle. Try again in 1 s."):
            await client.call_tool("list_dashboards", {})
        gate.opened.set()


@pytest.mark.anyio
async def test_a_retry_after_applies_to_all_calls_of_that_key() -> None:
    sent = Counter[str]()

    async def limited(request: Request) -> Response:
        key = request.headers["x-cekura-api-key"]
        sent[key] += 1
        if key == "greedy":
            return Response(status_code=429, headers={"Retry-After": "60"})
        return JSONResponse({"count": 0, "next": None, "results": []})

    api = Starlette(routes=[Route("/dashboards/dashboards/", limited)])
    async with serving(lambda: api) as url:
        answers = [await post(url, **{"X-CEKURA-API-KEY": "greedy"}) for _ in range(4)]
        modest = await post(url, **{"X-CEKURA-API-KEY": "modest"})
    assert sent == {"greedy": 1, "modest": 1}
    assert all("(429). Try again in" in answer.text for answer in answers)
    assert '"isError":true' not in modest.text


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("CEKURA_SERVER_TOKEN", "short", "CEKURA_SERVER_TOKEN must be different tokens of at least 24 characters"),
        ("CEKURA_SERVER_TOKEN", f"{OLD_TOKEN},{OLD_TOKEN}", "must be different tokens"),
        ("CEKURA_SERVER_TOKEN", f"{OLD_TOKEN}, ", "must be different tokens"),
        ("CEKURA_ALLOWED_HOSTS", "https://x.example", "must be names as in the Host header"),
        ("CEKURA_ALLOWED_ORIGINS", "x.example", "must be origins such as https://chat.example"),
        ("CEKURA_ALLOWED_ORIGINS", "https://x.example/path", "must be origins"),
        ("CEKURA_MAX_IN_FLIGHT", "0", "greater than or equal to 1"),
    ],
)
def test_invalid_settings_are_reported_by_name_without_the_token(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_server_settings()
    assert message in str(refused.value)
    assert OLD_TOKEN not in str(refused.value)


def program(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CEKURA_")}
    return subprocess.Popen(
        [sys.executable, "-m", "cekura_dashboards_mcp", "serve", *arguments], stderr=subprocess.PIPE, text=True,
        env={**inherited, **environment},
    )  # fmt: skip


def refusal(address: str, *, own_key: bool = False, workers: int = 1) -> str:
    """Why a server with the settings of the environment does not start; the test fails if it would."""
    with pytest.raises(Stopped) as stopped:
        serve_http(
            Connection(settings(), key_per_request=not own_key), address, workers=workers, with_metrics=False,
            loaded=lambda: pytest.fail("the server starts with these settings"),
        )  # fmt: skip
    return str(stopped.value)


def test_public_addresses_require_all_protective_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for own_key in (False, True):
        message = "reachable from other machines: set CEKURA_ALLOWED_HOSTS"
        assert message in refusal("0.0.0.0:0", own_key=own_key)
    monkeypatch.setenv("CEKURA_ALLOWED_HOSTS", "x.example")
    assert "so set CEKURA_SERVER_TOKEN" in refusal("0.0.0.0:0", own_key=True)


def test_serve_exits_with_2_if_protective_settings_are_missing() -> None:
    environment = {"CEKURA_ALLOWED_HOSTS": "x.example"}
    result = run_cli("serve", "--http", "0.0.0.0:0", "--sandbox", environment=environment)
    assert (result.exit_code, "so set CEKURA_SERVER_TOKEN" in result.stderr) == (2, True)
    without_key = run_cli("serve", "--http", "0.0.0.0:0", "--own-key", environment=environment)
    assert (without_key.exit_code, "No API key" in without_key.stderr) == (2, True)


def test_invalid_settings_prevent_the_start_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    oauth = {"CEKURA_OAUTH_ISSUER": "https://id.example", "CEKURA_OAUTH_AUDIENCE": "https://mcp.example/mcp"}
    for name, value in {**oauth, "CEKURA_OAUTH_KEYS_FILE": "/not/there"}.items():
        monkeypatch.setenv(name, value)
    assert refusal("127.0.0.1:0", workers=2 if sys.platform != "win32" else 1).startswith(
        "CEKURA_OAUTH_KEYS_FILE cannot be read"
    )


def test_workers_require_the_http_option() -> None:
    result = run_cli("serve", "--workers", "2", "--sandbox")
    assert (result.exit_code, "need --http" in result.stderr) == (2, True)


@contextmanager
def workers(count: int, *arguments: str, **environment: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    with program("--http", "127.0.0.1:0", "--workers", str(count), *arguments, **environment) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        try:
            yield process, line.split()[-1].removesuffix("/mcp")
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def children(process: subprocess.Popen[str]) -> list[int]:
    text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
    return [int(number) for number in text.split()]


@posix
@pytest.mark.anyio
async def test_workers_share_connections_and_dead_ones_are_replaced() -> None:
    observed = Counter[int]()

    async def count_connection(request: Request) -> Response:
        assert request.client is not None
        observed[request.client.port] += 1
        return JSONResponse({"count": 0, "next": None, "results": []})

    api = Starlette(routes=[Route("/dashboards/dashboards/", count_connection)])
    async with served(api) as upstream:
        with workers(2, CEKURA_BASE_URL=upstream) as (process, url):
            answers = [await post(url) for _ in range(8)]
            assert {answer.status_code for answer in answers} == {200}
            assert sorted(observed.values()) == [4, 4]  # each worker holds one connection to the API
            before = children(process)
            os.kill(before[0], signal.SIGKILL)
            with anyio.fail_after(TIMEOUT_S):
                assert "starting another" in await anyio.to_thread.run_sync(next_line, process, abandon_on_cancel=True)
            assert {(await post(url)).status_code for _ in range(4)} == {200}
            assert len(children(process)) == 2
            assert before[0] not in children(process)
            process.send_signal(signal.SIGTERM)
            assert await anyio.to_thread.run_sync(process.wait, 20) == -signal.SIGTERM


@posix
@pytest.mark.anyio
async def test_active_calls_are_answered_before_workers_stop() -> None:
    gate, answers = GatedApi(), list[httpx.Response]()

    async def call(url: str) -> None:
        answers.append(await post(url))

    async with served(gate.app) as upstream:
        with workers(2, CEKURA_BASE_URL=upstream) as (process, url):
            async with anyio.create_task_group() as group:
                group.start_soon(call, url)
                assert await gate.next_key() == KEY
                process.send_signal(signal.SIGTERM)
                gate.opened.set()
            await anyio.to_thread.run_sync(process.wait, 20)
    assert [answer.status_code for answer in answers] == [200]
    assert json.loads(answers[0].text)["result"]["content"]


TEAM_ORIGIN = "https://chat.team.example"
PREFLIGHT = {
    "Origin": TEAM_ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Private-Network": "true",
    "Access-Control-Request-Headers": "content-type,mcp-method,mcp-name,mcp-protocol-version,x-cekura-api-key",
}


@pytest.mark.anyio
async def test_cors_preflight_of_an_allowed_origin_needs_no_credentials() -> None:
    async with (
        serving(allowed_origins=TEAM_ORIGIN, server_token=SecretStr(OLD_TOKEN)) as url,
        httpx.AsyncClient(**PLAIN_HTTP) as http,
    ):
        preflight = await http.options(f"{url}/mcp", headers=PREFLIGHT)
        refused = await http.post(f"{url}/mcp", json=LIST, headers={**HEADERS, "Origin": TEAM_ORIGIN})
        answered = await http.post(
            f"{url}/mcp",
            json=LIST,
            headers={**HEADERS, "Origin": TEAM_ORIGIN, "Authorization": f"Bearer {OLD_TOKEN}"},
        )
        stream = await http.options(f"{url}/mcp", headers={**PREFLIGHT, "Access-Control-Request-Method": "GET"})
    assert (preflight.status_code, refused.status_code, answered.status_code, stream.status_code) == (
        200,
        401,
        200,
        200,
    )
    for answer in (preflight, refused, answered, stream):
        assert answer.headers["access-control-allow-origin"] == TEAM_ORIGIN
        assert "access-control-allow-credentials" not in answer.headers
        assert "Origin" in answer.headers["vary"]
    assert preflight.headers["access-control-allow-private-network"] == "true"
    allowed = {name.strip().lower() for name in preflight.headers["access-control-allow-headers"].split(",")}
    assert {*PREFLIGHT["Access-Control-Request-Headers"].split(","), "authorization", "mcp-session-id"} <= allowed
    readable = {name.strip() for name in refused.headers["access-control-expose-headers"].split(",")}
    assert {"Mcp-Session-Id", "WWW-Authenticate"} <= readable


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("allowed", "origin", "status"),
    [
        (TEAM_ORIGIN, "https://evil.example", 403),
        (TEAM_ORIGIN, "http://localhost:5173", 400),
        ("", "http://localhost:5173", 403),
    ],
)
async def test_cors_headers_are_omitted_for_other_origins(allowed: str, origin: str, status: int) -> None:
    async with serving(allowed_origins=allowed) as url, httpx.AsyncClient(**PLAIN_HTTP) as http:
        preflight = await http.options(f"{url}/mcp", headers={**PREFLIGHT, "Origin": origin})
        sent = await http.post(f"{url}/mcp", json=LIST, headers={**HEADERS, "Origin": origin})
    assert preflight.status_code == status
    assert not any("access-control-allow-origin" in answer.headers for answer in (preflight, sent))
