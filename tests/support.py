"""Shared by all tests: a fixed clock, sandboxes, and a transport that records requests and injects faults."""

import asyncio
import gc
import json
import os
import ssl
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from contextlib import asynccontextmanager, chdir, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from io import StringIO
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
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
"""A Wednesday; the clock of both client and sandbox."""
KEY = "test-key-3f9a"
Era = Literal["auto", "legacy"]
ERAS: list[Era] = ["auto", "legacy"]
BY_NAME: dict[str, Tool[Any, Any]] = {tool.name: tool for tool in TOOLS}
Json = dict[str, Any]
PIE: Json = {"name": "Topics again", "chart_type": "pie", "field": "topic"}
MAX_CACHED_BYTES = 2**20
"""Larger answers of a shared sandbox are not cached."""
LOOP_TURNS = 5
"""Turns of the event loop before a cached answer is sent."""
SAMPLE_ARGUMENTS: Json = {
    "dashboard_id": 11, "dashboard_ids": [11], "widget_id": 203, "widget_ids": [203], "widget": PIE, "project_id": 1,
    "agent_id": 31, "metric": 501, "window": "7d", "name": "New", "search": "booking",
}  # fmt: skip
"""For each argument that a tool requires: a value that is valid on the sandbox."""
LAST_3_DAYS: Json = {"field": "timestamp", "op": "gte", "value": "today-3d"}
UNCHANGED = {"_now", "_lock", "alerts"}
"""Attributes of a sandbox's store that are the same after every edit."""
TIMEOUT_S = 120
"""A test that waits longer for something fails. Much more than a slow, busy machine needs."""
PLAIN_HTTP: dict[str, Any] = {"verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "timeout": TIMEOUT_S}
"""Options for clients of plain HTTP: without them, each client would load all certificate authorities first."""


def now() -> datetime:
    return NOW


def separate_install(variable: str, needed: str) -> str:
    """The path, from an environment variable, of software that a test needs but this project does not.

    Without the variable the test is skipped, in CI it fails.
    """
    path = os.environ.get(variable)
    if path:
        return path
    missing = f"install {needed} outside this project, and set {variable} to its path"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def scaled_examples(count: int) -> int:
    """``count`` in a profile of 100 examples, and in proportion under the other profiles of Hypothesis."""
    return max(1, count * hypothesis.settings().max_examples // 100)


_databases = dict[tuple[Any, ...], duckdb.DuckDBPyConnection]()
_in_use, _available = list[FastAPI](), list[FastAPI]()
_shared = dict[tuple[ApiVariant | None, int, str], FastAPI]()
_files = list[TemporaryDirectory[str]]()
_answers = dict[tuple[FastAPI, str, str], tuple[str, dict[str, Any]]]()


class ReusedWorld(World):
    """A sandbox's data, whose calls are generated once per process and set of options, as tests only read them.

    ``changes``: SQL statements that change a copy of the calls, because generating takes longer than copying.
    """

    changes: tuple[str, ...] = ()

    def generate(self) -> duckdb.DuckDBPyConnection:
        readings = self.readings
        evaluated = readings.passed, readings.sample_rate, readings.trigger, readings.evaluated_since_days
        options = self._seed, self._count, self._quiet, *evaluated, readings.placeholders
        if options not in _databases:
            _databases[options] = super().generate()
        if not self.changes:
            return _databases[options]
        if (*options, *self.changes) not in _databases:
            changed = _copy_of(_databases[options])
            for change in self.changes:
                changed.execute(change)
            _databases[*options, *self.changes] = changed
        return _databases[*options, *self.changes]

    def close(self) -> None:
        """Keep the database for the next test."""

    def renew(self, fresh: World) -> None:
        """Take over the options of ``fresh`` but keep the routes and the store."""
        self.__dict__ |= {name: value for name, value in vars(fresh).items() if name != "store"}


def _copy_of(database: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A copy in a file of its own; the first copy of a database is written by it, the next are of that file."""
    if not _files:
        _files.append(TemporaryDirectory())
    first, copy = (Path(_files[0].name) / f"{name}.db" for name in (id(database), len(_databases)))
    if not first.exists():
        database.execute(f"ATTACH '{first}' AS file; COPY FROM DATABASE memory TO file; DETACH file")
    copyfile(first, copy)
    return duckdb.connect(copy)


def _world(
    readings: ApiVariant | None, count: int, *, seed: int = 1, quiet: bool = False, time_zone: str = "UTC"
) -> ReusedWorld:
    variant = readings or ApiVariant()
    return ReusedWorld(now=now, seed=seed, count=count, key=KEY, readings=variant, quiet=quiet, time_zone=time_zone)


def new_sandbox(
    readings: ApiVariant | None = None,
    *,
    count: int = 300,
    seed: int = 1,
    quiet: bool = False,
    time_zone: str = "UTC",
) -> FastAPI:
    """A sandbox for one test, which may edit everything stored except calls. It is released after the test.

    Creating routes takes 70 ms, so a released sandbox is reset and reused.
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


def shared_sandbox(readings: ApiVariant | None = None, count: int = 6000, *, time_zone: str = "UTC") -> FastAPI:
    """One sandbox for all tests that only read."""
    kind = readings, count, time_zone
    if kind not in _shared:
        _shared[kind] = read_only(app_of(_world(readings, count, time_zone=time_zone)))
    return _shared[kind]


def changed_sandbox(*changes: str, count: int, quiet: bool = False) -> FastAPI:
    """A sandbox for one module, whose calls these SQL statements changed. Its calls are only read."""
    world = _world(None, count, quiet=quiet)
    world.changes = changes
    world.generate()
    return app_of(world)


def read_only(app: FastAPI) -> FastAPI:
    """The same sandbox, which from now on answers repeated requests from a cache."""
    app.add_middleware(CachedAnswers)
    return app


class CachedAnswers:
    """Middleware that answers repeated requests from a cache: shared data is only read and the clock is fixed."""

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

            async def replay() -> Message:
                return waiting.pop() if waiting else await receive()

            async def record(message: Message) -> None:
                answer.append(message)

            await self._app(scope, replay, record)
            if sum(len(message.get("body", b"")) for message in answer) < MAX_CACHED_BYTES:
                self._answers[key] = answer
        for _ in range(LOOP_TURNS):  # so that requests overlap, as they do with a slower server
            await anyio.lowlevel.checkpoint()
        for message in answer:
            await send(message)


def restore(app: FastAPI) -> None:
    """Reset a sandbox: its store is as it was at first, and no faults are scheduled."""
    world = app.state.world
    for part, state in zip(_parts(world.store), msgspec.msgpack.decode(_new_state(world.readings.scored)), strict=True):
        part.__dict__ |= state
    app.state.faults.__dict__ |= vars(Faults())


@cache
def _new_state(scored: bool) -> bytes:  # noqa: FBT001 - one of two kinds
    """The records of a new store: creating them takes 0.3 ms, decoding them 0.03 ms."""
    parts = _parts(Store(now, scored=scored))
    states: list[Json] = [vars(part) for part in parts]
    state = [{name: value for name, value in fields.items() if name not in UNCHANGED} for fields in states]
    return msgspec.msgpack.encode(state)


def _parts(store: Store) -> list[Any]:
    return [store, store.alerts]


def release_sandboxes() -> None:
    """Make the sandboxes of a finished test available to the next one."""
    _available.extend(_in_use)
    _in_use.clear()


def close_sandboxes() -> None:
    """Close every database, and drop all sandboxes."""
    for database in _databases.values():
        database.close()
    for folder in _files:
        folder.cleanup()
    for collection in (_files, _databases, _shared, _answers, _in_use, _available):
        collection.clear()
    # FastAPI caches the functions of all routes and with them each sandbox; databases that are freed only when the
    # interpreter exits are reported as leaks
    for cached in vars(fastapi.dependencies.models).values():
        if callable(clear := getattr(cached, "cache_clear", None)):
            clear()
    gc.collect()


def force(app: FastAPI, number: int, **fields: Any) -> None:
    """Set fields of a stored widget that the tools cannot set."""
    app.state.world.store._widgets[number] |= fields  # noqa: SLF001 - see above


def sql(app: FastAPI, query: str) -> list[tuple[Any, ...]]:
    """Query the sandbox's calls directly, not through its API."""
    rows: list[tuple[Any, ...]] = app.state.world.con.cursor().execute(query).fetchall()
    return rows


def settings(**options: Any) -> Settings:
    return Settings(api_key=SecretStr(KEY), base_url="http://localhost", **options)


@dataclass
class Sent:
    """A request that was sent."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


Fault = Callable[[Sent], Response | Exception | None]


@dataclass
class Recorder:
    """Records requests and passes them on to an inner transport; ``fault`` may answer or raise in its place.

    ``after``: as ``fault``, but after the inner transport has answered, so that its answer is lost.
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
        return [request for request in self.sent if is_write(request.method, request.path)]


def is_write(method: str, path: str) -> bool:
    return method != "GET" and path not in {"/dashboards/widgets/bulk_data/", "/dashboards/widgets/preview_data/"}


def _replaced(fault: Fault | None, request: Sent) -> Response | None:
    result = fault(request) if fault else None
    if isinstance(result, Exception):
        raise result
    return result


async def no_wait(_seconds: float) -> None:
    """Replaces the sleep between retries."""


@asynccontextmanager
async def open_tools(app: ASGIApp, **options: Any) -> AsyncGenerator[tuple[ToolContext, Recorder]]:
    """A context connected to a sandbox, and the recorder of its requests."""
    recorder = Recorder(HttpTransport("http://localhost", app=app))
    client = CekuraClient(transport=recorder, key=SecretStr(KEY), now=now, sleep=no_wait)
    try:
        yield ToolContext(client, settings(**options), now), recorder
    finally:
        await recorder.aclose()


@asynccontextmanager
async def served(app: Any) -> AsyncGenerator[str]:
    """Serve an ASGI application on a free local port, and stop it at once: a graceful shutdown takes 0.2 s."""
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
            connection.transport.abort()  # shutdown() leaves connections with an unfinished answer open
        await anyio.lowlevel.checkpoint()
        await server.lifespan.shutdown()


@contextmanager
def sandbox_address(calls: int) -> Generator[str]:
    """The address of a sandbox with the real clock, served by a thread of this process."""
    app = create_app(count=calls)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served(app)) as address:
        yield address


@asynccontextmanager
async def open_tools_at(
    url: str, *, timeout_s: float = 30, max_body_bytes: int = MAX_BODY_BYTES, **options: Any
) -> AsyncGenerator[tuple[ToolContext, Recorder]]:
    """Like ``open_tools``, over a real connection."""
    recorder = Recorder(HttpTransport(url, max_body_bytes=max_body_bytes))
    client = CekuraClient(transport=recorder, key=SecretStr(KEY), timeout_s=timeout_s, now=now, sleep=no_wait)
    try:
        yield ToolContext(client, settings(timeout_s=timeout_s, **options), now), recorder
    finally:
        await recorder.aclose()


async def ask(context: ToolContext, tool: str, **arguments: Any) -> tuple[str, Json]:
    """The text and the structured content of one call."""
    answer = await call_tool(context, BY_NAME[tool], arguments)
    return answer.text, answer.structured


async def ask_once(app: FastAPI, tool: str, **arguments: Any) -> tuple[str, Json]:
    """The answer of a tool about a shared sandbox, asked once per process, as the statistics take most of the time."""
    call = app, tool, json.dumps(arguments, sort_keys=True)
    if call not in _answers:
        async with open_tools(app) as (context, _):
            _answers[call] = await ask(context, tool, **arguments)
    return _answers[call]


ONE_OF: dict[str, Json] = {
    "preview_alert": {"metric": 501, "project_id": 1, "kind": "trend"},
    "save_alert": {"metric": 501, "project_id": 1, "kind": "trend"},
}
"""For each tool that needs one of several arguments: a sufficient set."""


def sample_calls(without: Iterable[str], *, writes: bool, values: Json = SAMPLE_ARGUMENTS) -> list[tuple[str, Json]]:
    """For each reading or writing tool not in ``without``: a call with only its required arguments.

    This gives a new tool a row in every table of calls. A table with its own row for a tool lists it in ``without``.
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
    """The validator of a tool's output schema, created once per process, as that takes 30 ms."""
    return jsonschema_rs.validator_for(BY_NAME[tool].result.model_json_schema(mode="serialization"))


async def report_of(context: ToolContext, **arguments: Any) -> Json:
    """The only report in the answer to a call of get_widgets_data."""
    _, answer = await ask(context, "get_widgets_data", **arguments)
    [report] = answer["widgets"]
    result: Json = report
    return result


@asynccontextmanager
async def connect(app: Any, era: Era = "auto", client_name: str = "test", **options: Any) -> AsyncGenerator[Client]:
    """An MCP client of one protocol era, connected in memory to a server on a sandbox."""
    connection = Connection(settings(**options), app_factory=lambda: app, now=now)
    info = Implementation(name=client_name, version="1")
    async with Client(create_server(connection), mode=era, client_info=info) as client:
        yield client


def run_cli(
    *arguments: str, environment: Mapping[str, str] | None = None, stdin: str = "", folder: Path | None = None
) -> Result:
    """Run the command line with only these settings, in this process, as most commands take less time than its start.

    Exceptions that would end the program with a traceback are raised.
    """
    ours = [name for name in os.environ if name.startswith("CEKURA_")]
    with chdir(folder or Path()):
        runner = CliRunner(catch_exceptions=False)
        return runner.invoke(main, arguments, input=stdin, env={**dict.fromkeys(ours), **(environment or {})})


def run_program(program: str, folder: Path, environment: Mapping[str, str]) -> str:
    """The output of a Python program that runs in this process with only these settings."""
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
    """All dashboards with their widgets, daily reports and alerts, without ids and times, sorted."""
    store = app.state.world.store
    results = list[Any]()
    for row in store.dashboards():
        dashboard = store.dashboard(row["id"])
        widgets = [plain(widget) for widget in dashboard["widgets"]]
        results.append([plain(dashboard), sorted(widgets, key=repr)])
    results += [[name, numbers] for name, numbers in store.daily_reports.items()]
    results += [[{name: alert[name] or None for name in ALERT_CONTENT}] for alert in store.alerts.list()]
    return sorted(results, key=repr)


def plain(record: Json) -> Json:
    return {name: value or None for name, value in record.items() if name not in IGNORED_FIELDS}


def stored(app: FastAPI, dashboard_id: int = 11) -> list[Json]:
    """The widgets as the sandbox stores them, without ids and times, sorted by name."""
    widgets = app.state.world.store.dashboard(dashboard_id)["widgets"]
    content_of_widgets = [{k: (v or None) for k, v in widget.items() if k not in ASSIGNED_FIELDS} for widget in widgets]
    return sorted(content_of_widgets, key=lambda widget: str(widget["name"]))


async def undo(context: ToolContext, receipt: Json, *restored: str) -> Json:
    arguments = dict(receipt["undo"]["arguments"])
    arguments["plan_id"] = "; ".join([arguments["plan_id"], *restored])
    _, answer = await ask(context, receipt["undo"]["tool"], **arguments)
    assert answer["outcome"] == "applied"
    assert "differences" not in answer
    return answer


async def apply_edit(context: ToolContext, tool: str, arguments: Json) -> Json:
    """Apply an edit, with a plan if it needs one, and return its receipt."""
    _, receipt = await ask(context, tool, **arguments)
    if receipt["outcome"] == "needs_plan":
        _, receipt = await ask(context, tool, **arguments, plan_id=receipt["plan_id"])
    assert receipt["outcome"] == "applied"
    assert "differences" not in receipt
    return receipt


def on_write(path_end: str, outcome: Any) -> Fault:
    return lambda sent: outcome if sent.method != "GET" and sent.path.endswith(path_end) else None
