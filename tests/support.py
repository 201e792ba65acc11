"""What the tests share: one clock, sandboxes, and a transport that records and can fail on purpose."""

import asyncio
import gc
import os
import ssl
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from contextlib import asynccontextmanager, chdir, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import anyio.lowlevel
import duckdb
import fastapi.dependencies.models
import hypothesis
import jsonschema_rs
import msgspec
import pytest
import uvicorn
from anyio.from_thread import start_blocking_portal
from click.testing import CliRunner, Result
from fastapi import FastAPI
from mcp import Client
from mcp.types import CallToolResult, Implementation, TextContent
from pydantic import SecretStr
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cekura_dashboards import TOOLS, Settings, Tool, ToolContext, call_tool
from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.transport import HttpTransport
from cekura_dashboards.api.wire import MAX_BODY_BYTES, Response, Transport
from cekura_dashboards.arguments.schema import input_schemas
from cekura_dashboards_mcp.cli.main import main
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.protocol.server import create_server
from cekura_sandbox import ApiVariant, create_app
from cekura_sandbox.app import World, app_of
from cekura_sandbox.faults import Faults
from cekura_sandbox.store import Store

NOW = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)
"""A Wednesday; client and sandbox share it."""
KEY = "test-key-3f9a"
Era = Literal["auto", "legacy"]
ERAS: list[Era] = ["auto", "legacy"]
BY_NAME: dict[str, Tool[Any, Any]] = {tool.name: tool for tool in TOOLS}
Json = dict[str, Any]
PIE: Json = {"name": "Topics again", "chart_type": "pie", "field": "topic"}
MAX_CACHED_BYTES = 2**20
"""Larger answers of a shared sandbox are made anew."""
LOOP_TURNS = 5
"""Of the event loop, before an answer that was remembered is given again."""
SAMPLE_ARGUMENTS: Json = {
    "dashboard_id": 11, "dashboard_ids": [11], "widget_id": 203, "widget_ids": [203], "widget": PIE, "project_id": 1,
    "agent_id": 31, "metric": 501, "window": "7d", "name": "New", "search": "booking",
}  # fmt: skip
"""A value on the sandbox for each argument that tools require by this name."""
LAST_3_DAYS: Json = {"field": "timestamp", "op": "gte", "value": "today-3d"}
TIMEOUT_S = 120
"""After so many seconds, what a test waits for is taken to hang. Far longer than a slow, busy machine needs."""
PLAIN_HTTP: dict[str, Any] = {"verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "timeout": TIMEOUT_S}
"""For clients of plain HTTP, each of which would read the certificates of all authorities first."""


def now() -> datetime:
    return NOW


def separate_install(variable: str, needed: str) -> str:
    """The place, named by an environment variable, of what a test needs but this project does not.

    Skips where there is none, but never in CI.
    """
    place = os.environ.get(variable)
    if place:
        return place
    missing = f"install {needed} apart from this project, and name the place in {variable}"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def scaled_examples(count: int) -> int:
    """So many where Hypothesis makes 100 examples, in proportion under its other profiles."""
    return max(1, count * hypothesis.settings().max_examples // 100)


_databases = dict[tuple[Any, ...], duckdb.DuckDBPyConnection]()
_in_use, _available = list[FastAPI](), list[FastAPI]()
_shared = dict[tuple[ApiVariant | None, int], FastAPI]()


class ReusedWorld(World):
    """A sandbox's data, whose calls are generated once in a process for all that have the same: tests only read them."""

    def generate(self) -> duckdb.DuckDBPyConnection:
        readings = self.readings
        evaluated = readings.passed, readings.sample_rate, readings.trigger, readings.evaluated_since_days
        calls = self._seed, self._count, self._quiet, *evaluated, readings.placeholders
        if calls not in _databases:
            _databases[calls] = super().generate()
        return _databases[calls]

    def close(self) -> None:
        """The database stays for the next test."""

    def renew(self, fresh: World) -> None:
        """Become another one, for the same routes; what is stored is still that of this one."""
        self.__dict__ |= {name: value for name, value in vars(fresh).items() if name != "store"}


def _world(
    readings: ApiVariant | None, count: int, *, seed: int = 1, quiet: bool = False, time_zone: str = "UTC"
) -> ReusedWorld:
    given = readings or ApiVariant()
    return ReusedWorld(now=now, seed=seed, count=count, key=KEY, readings=given, quiet=quiet, time_zone=time_zone)


def new_sandbox(
    readings: ApiVariant | None = None,
    *,
    count: int = 300,
    seed: int = 1,
    quiet: bool = False,
    time_zone: str = "UTC",
) -> FastAPI:
    """One of its own, for tests that edit what is stored but not the calls. It goes back after the test.

    To make the routes takes 70 ms, so those of another test are lent again, with data as good as new.
    """
    world = _world(readings, count, seed=seed, quiet=quiet, time_zone=time_zone)
    if _available:
        app = _available.pop()
        app.state.world.renew(world)
        restore(app)
    else:
        app = app_of(world)
    _in_use.append(app)
    return app


def shared_sandbox(readings: ApiVariant | None = None, count: int = 6000) -> FastAPI:
    """One for all tests that only read."""
    kind = readings, count
    if kind not in _shared:
        _shared[kind] = read_only(app_of(_world(readings, count)))
    return _shared[kind]


def read_only(app: FastAPI) -> FastAPI:
    """The sandbox, which from now on gives a request that was made before the same answer."""
    app.add_middleware(CachedAnswers)
    return app


class CachedAnswers:
    """Gives a request that was made before the answer of then: what is shared is only read, and its clock stands."""

    def __init__(self, app: ASGIApp) -> None:
        self._app, self._answers = app, dict[tuple[Any, ...], list[Message]]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await Request(scope, receive).body()
        key = scope["method"], scope["path"], scope["query_string"], body, *map(tuple, scope["headers"])
        answer = self._answers.get(key) or list[Message]()
        if not answer:
            waiting: list[Message] = [{"type": "http.request", "body": body}]

            async def given() -> Message:
                return waiting.pop() if waiting else await receive()

            async def kept(message: Message) -> None:
                answer.append(message)

            await self._app(scope, given, kept)
            if sum(len(message.get("body", b"")) for message in answer) < MAX_CACHED_BYTES:
                self._answers[key] = answer
        for _ in range(LOOP_TURNS):  # requests are under way at once, as where an answer takes its time
            await anyio.lowlevel.checkpoint()
        for message in answer:
            await send(message)


def restore(app: FastAPI) -> None:
    """What is stored in one that was lent is again what it was at first, and no fault is to come."""
    app.state.world.store.__dict__ |= vars(Store(app.state.world.now, scored=app.state.world.readings.scored))
    app.state.faults.__dict__ |= vars(Faults())


def release_sandboxes() -> None:
    """Bring back those that were lent."""
    _available.extend(_in_use)
    _in_use.clear()


def close_sandboxes() -> None:
    """Close every database, and forget the sandboxes."""
    for database in _databases.values():
        database.close()
    for known in (_databases, _shared, _in_use, _available):
        known.clear()
    # FastAPI remembers the functions of all routes, and so each sandbox; freed only after the interpreter's end, their
    # databases are reported as leaks
    for remembered in vars(fastapi.dependencies.models).values():
        if callable(forget := getattr(remembered, "cache_clear", None)):
            forget()
    gc.collect()


def force(app: FastAPI, number: int, **fields: Any) -> None:
    """Store in a widget what the API alone could."""
    app.state.world.store._widgets[number] |= fields  # noqa: SLF001 - see above


def sql(app: FastAPI, query: str) -> list[tuple[Any, ...]]:
    """The sandbox's calls, asked without going through its API."""
    rows: list[tuple[Any, ...]] = app.state.world.con.cursor().execute(query).fetchall()
    return rows


def settings(**given: Any) -> Settings:
    return Settings(api_key=SecretStr(KEY), base_url="http://localhost", **given)


@dataclass
class Sent:
    """One request that went out."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


Fault = Callable[[Sent], Response | Exception | None]


@dataclass
class Recorder:
    """Passes requests on to an inner transport and keeps them; ``fault`` may answer or raise in its place.

    ``after``: as ``fault``, but once the request was carried out, so that its answer is lost.
    """

    inner: Transport
    sent: list[Sent] = field(default_factory=list[Sent])
    fault: Fault | None = None
    after: Fault | None = None
    keys: set[str] = field(default_factory=set[str], repr=False)

    async def send(
        self, method: str, path: str, *, key: SecretStr, timeout_s: float, query: dict[str, str], body: bytes | None
    ) -> Response:
        request = Sent(method, path, query, msgspec.json.decode(body) if body else None)
        self.sent.append(request)
        self.keys.add(key.get_secret_value())
        if (replaced := _replaced(self.fault, request)) is not None:
            return replaced
        answer = await self.inner.send(method, path, key=key, timeout_s=timeout_s, query=query, body=body)
        return _replaced(self.after, request) or answer

    async def aclose(self) -> None:
        await self.inner.aclose()

    def paths(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.sent]

    def writes(self) -> list[Sent]:
        reads = {"/dashboards/widgets/bulk_data/", "/dashboards/widgets/preview_data/"}
        return [request for request in self.sent if request.method != "GET" and request.path not in reads]


def _replaced(fault: Fault | None, request: Sent) -> Response | None:
    result = fault(request) if fault else None
    if isinstance(result, Exception):
        raise result
    return result


async def no_wait(_seconds: float) -> None:
    """Stands in for sleeping between tries."""


@asynccontextmanager
async def open_tools(app: FastAPI, **given: Any) -> AsyncGenerator[tuple[ToolContext, Recorder]]:
    """A context against a sandbox, and the recorder of what it sends."""
    recorder = Recorder(HttpTransport("http://localhost", app=app))
    client = CekuraClient(transport=recorder, key=SecretStr(KEY), now=now, sleep=no_wait)
    try:
        yield ToolContext(client, settings(**given), now), recorder
    finally:
        await recorder.aclose()


@asynccontextmanager
async def served(app: Any) -> AsyncGenerator[str]:
    """An ASGI application on a free port of this machine, and gone at once: a graceful end takes a fifth of a second."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, log_level="critical", access_log=False)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        for listening in server.servers:
            listening.close()
        connections = [*server.server_state.connections]
        for connection in connections:
            connection.shutdown()
        under_way = [*server.server_state.tasks]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        for connection in connections:
            connection.transport.abort()  # shutdown() leaves one open whose answer was under way
        await anyio.lowlevel.checkpoint()
        await server.lifespan.shutdown()


@contextmanager
def sandbox_address(calls: int) -> Generator[str]:
    """The address of a sandbox on the machine's clock, which a thread of this process serves."""
    app = create_app(count=calls)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served(app)) as address:
        yield address


@asynccontextmanager
async def open_tools_at(
    url: str, *, timeout_s: float = 30, max_body_bytes: int = MAX_BODY_BYTES, **given: Any
) -> AsyncGenerator[tuple[ToolContext, Recorder]]:
    """As ``open_tools``, over a real connection."""
    recorder = Recorder(HttpTransport(url, max_body_bytes=max_body_bytes))
    client = CekuraClient(transport=recorder, key=SecretStr(KEY), timeout_s=timeout_s, now=now, sleep=no_wait)
    try:
        yield ToolContext(client, settings(timeout_s=timeout_s, **given), now), recorder
    finally:
        await recorder.aclose()


async def ask(context: ToolContext, tool: str, **arguments: Any) -> tuple[str, Json]:
    """Text and structure of one call."""
    answer = await call_tool(context, BY_NAME[tool], arguments)
    return answer.text, answer.structured


ONE_OF: dict[str, Json] = {
    "preview_alert": {"metric": 501, "project_id": 1, "kind": "trend"},
    "save_alert": {"metric": 501, "project_id": 1, "kind": "trend"},
}
"""By tool that takes one of several arguments: some that are enough."""


def sample_calls(without: Iterable[str], *, writes: bool, values: Json = SAMPLE_ARGUMENTS) -> list[tuple[str, Json]]:
    """A call with the required arguments alone, of each reading or writing tool that is not in ``without``.

    So a new tool has its row in every table of calls; a table that says more of it names it.
    """
    tools = [tool for name, tool in BY_NAME.items() if name not in {*without} and tool.writes == writes]
    schemas = [input_schemas([tool.request])[tool.request] for tool in tools]
    required = [schema.get("required", []) for schema in schemas]
    return [
        (
            tool.name,
            {name: values.get(name, value) for name, value in ONE_OF.get(tool.name, {}).items()}
            | {name: values[name] for name in names},
        )
        for tool, names in zip(tools, required, strict=True)
    ]


@cache
def result_validator(tool: str) -> Any:
    """Of the structure that a tool answers with; made once in a process, as it takes 30 ms."""
    return jsonschema_rs.validator_for(BY_NAME[tool].result.model_json_schema(mode="serialization"))


async def report_of(context: ToolContext, **arguments: Any) -> Json:
    """The one report of a get_widgets_data call."""
    _, answer = await ask(context, "get_widgets_data", **arguments)
    [report] = answer["widgets"]
    result: Json = report
    return result


@asynccontextmanager
async def connect(app: Any, era: Era = "auto", client_name: str = "test", **given: Any) -> AsyncGenerator[Client]:
    """An MCP client of one protocol era, in memory, to a server over a sandbox."""
    connection = Connection(settings(**given), app_factory=lambda: app, now=now)
    info = Implementation(name=client_name, version="1")
    async with Client(create_server(connection), mode=era, client_info=info) as client:
        yield client


def run_cli(
    *arguments: str, environment: Mapping[str, str] | None = None, stdin: str = "", folder: Path | None = None
) -> Result:
    """The command line with these settings alone, in this process: to start another takes longer than most commands.

    What would end the program with a traceback is raised.
    """
    ours = [name for name in os.environ if name.startswith("CEKURA_")]
    with chdir(folder or Path()):
        runner = CliRunner(catch_exceptions=False)
        return runner.invoke(main, arguments, input=stdin, env={**dict.fromkeys(ours), **(environment or {})})


def printed(program: str, folder: Path, environment: Mapping[str, str]) -> str:
    """The output of a Python program with these settings alone, run in this process."""
    with pytest.MonkeyPatch.context() as patch, chdir(folder), redirect_stdout(StringIO()) as output:
        for name in [name for name in os.environ if name.startswith("CEKURA_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        exec(program, {"__name__": "__main__"})  # noqa: S102 - the program is one of this repository's own pages
    return output.getvalue()


def text_of(result: CallToolResult) -> str:
    [block] = result.content
    assert isinstance(block, TextContent)
    return block.text


ASSIGNED_FIELDS = {"id", "created_at", "updated_at"}
ALERT_CONTENT = ("name", "enabled", "project", "source_id", "source", "threshold", "notifications")
IGNORED_FIELDS = {*ASSIGNED_FIELDS, "widgets", "widget_count", "dashboard", "effective_filters", "metric_name"}


def content(app: FastAPI) -> list[Any]:
    """Every dashboard with its widgets, without ids and times, in the order of their names."""
    store = app.state.world.store
    results = list[Any]()
    for row in store.dashboards():
        whole = store.dashboard(row["id"])
        widgets = [plain(widget) for widget in whole["widgets"]]
        results.append([plain(whole), sorted(widgets, key=repr)])
    results += [[name, numbers] for name, numbers in store.daily_reports.items()]
    results += [[{name: alert[name] or None for name in ALERT_CONTENT}] for alert in store.alerts.list()]
    return sorted(results, key=repr)


def plain(record: Json) -> Json:
    return {name: value or None for name, value in record.items() if name not in IGNORED_FIELDS}


def stored(app: FastAPI, dashboard_id: int = 11) -> list[Json]:
    """The widgets as the sandbox holds them, without ids and times, in the order of their names."""
    widgets = app.state.world.store.dashboard(dashboard_id)["widgets"]
    kept = [{k: (v or None) for k, v in widget.items() if k not in ASSIGNED_FIELDS} for widget in widgets]
    return sorted(kept, key=lambda widget: str(widget["name"]))


async def undo(context: ToolContext, receipt: Json, *restored: str) -> Json:
    arguments = dict(receipt["undo"]["arguments"])
    arguments["plan_id"] = "; ".join([arguments["plan_id"], *restored])
    _, answer = await ask(context, receipt["undo"]["tool"], **arguments)
    assert answer["outcome"] == "applied"
    assert "differences" not in answer
    return answer


async def apply_edit(context: ToolContext, tool: str, arguments: Json) -> Json:
    """The receipt of an edit, planned first where it must be."""
    _, receipt = await ask(context, tool, **arguments)
    if receipt["outcome"] == "needs_plan":
        _, receipt = await ask(context, tool, **arguments, plan_id=receipt["plan_id"])
    assert receipt["outcome"] == "applied"
    assert "differences" not in receipt
    return receipt


def on_write(path_end: str, outcome: Any) -> Fault:
    return lambda sent: outcome if sent.method != "GET" and sent.path.endswith(path_end) else None
