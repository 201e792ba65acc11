"""Telemetry: log lines, request ids in errors, metrics, spans, the audit log, and allowed tools."""

import json
import logging
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import PromptReference
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cekura_dashboards.settings import SettingsError
from cekura_dashboards_mcp.audit import AUDIT
from cekura_dashboards_mcp.connection import Connection, allowed_tools, caller_of
from cekura_dashboards_mcp.protocol.calls import CALLS
from cekura_dashboards_mcp.protocol.server import create_server
from cekura_dashboards_mcp.web.app import http_app
from cekura_sandbox.calls import SECRETS
from support import (
    BY_NAME,
    KEY,
    PIE,
    PLAIN_HTTP,
    Era,
    Json,
    connect,
    new_sandbox,
    now,
    served,
    settings,
    shared_sandbox,
    text_of,
)

pytestmark = pytest.mark.anyio
CALLER = caller_of(SecretStr(KEY))


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """Reads the logged lines of calls or of the audit."""
    for logger in (CALLS, AUDIT):
        logger.propagate = True
        caplog.set_level(logging.INFO, logger.name)

    def found(logger: logging.Logger) -> list[Json]:
        return [json.loads(record.getMessage()) for record in caplog.records if record.name == logger.name]

    return found


async def test_each_call_is_logged_in_one_line_without_key_or_content(lines: Any, era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        first = await client.call_tool("get_widgets_data", {"dashboard_id": 11, "window": "7d"})
        await client.call_tool("get_dashboard", {"dashboard_id": 99})
    read, missed = lines(CALLS)
    assert (read["tool"], read["outcome"], read["caller"]) == ("get_widgets_data", "ok", CALLER)
    assert (read["trips"], read["retries"]) == (2, 0)
    assert read["requests"] > 8
    assert read["points"] > 100
    assert read["characters"] == len(text_of(first))
    assert (missed["tool"], missed["outcome"]) == ("get_dashboard", "NotFound")
    text = json.dumps([read, missed])
    assert not [word for word in (KEY, "Operations", "Booking", "success") if word in text]


async def test_errors_beyond_the_control_of_the_caller_carry_the_request_id(lines: Any) -> None:
    async def broken(_request: Request) -> Response:
        return Response(status_code=500)

    api = Starlette(routes=[Route("/{path:path}", broken)])
    async with connect(api) as client:
        failed = text_of(await client.call_tool("list_dashboards", {}))
        wrong = text_of(await client.call_tool("look_up", {"kind": "colours"}))
    line, _ = lines(CALLS)
    assert failed.endswith(f"(request {line['request']})")
    assert "(request" not in wrong


async def test_cached_names_and_retries_are_counted(lines: Any) -> None:
    answers = [503, 503, 200]

    async def flaky(_request: Request) -> Response:
        status = answers.pop(0) if answers else 200
        return JSONResponse({"count": 0, "next": None, "results": []}, status)

    api = Starlette(routes=[Route("/dashboards/dashboards/", flaky)])
    async with connect(api) as client:
        await client.call_tool("list_dashboards", {})
    async with connect(shared_sandbox()) as client:
        for _ in range(2):
            await client.call_tool("get_widgets_data", {"widget_ids": [204]})
    flawed, first, second = lines(CALLS)
    assert (flawed["requests"], flawed["retries"]) == (3, 2)
    assert second["remembered"] > first["remembered"]
    assert second["requests"] < first["requests"]


async def test_prometheus_metrics_include_calls_and_requests() -> None:
    connection = Connection(settings(), key_per_request=True, app_factory=shared_sandbox, now=now)
    app = http_app(connection, with_metrics=True)
    async with served(app) as url, httpx.AsyncClient(**PLAIN_HTTP) as http:
        async with (
            httpx2.AsyncClient(**PLAIN_HTTP, headers={"X-CEKURA-API-KEY": KEY}) as client_with_key,
            Client(streamable_http_client(f"{url}/mcp", http_client=client_with_key)) as client,
        ):
            await client.call_tool("list_dashboards", {})
        metrics = (await http.get(f"{url}/metrics", headers={"Host": "10.0.0.7:8000"})).text
    assert "cekura_tool_calls_total{" in metrics
    assert 'outcome="ok"' in metrics
    assert "cekura_tool_duration_seconds_bucket{" in metrics
    assert "cekura_upstream_requests_total{" in metrics
    assert KEY not in metrics


async def test_spans_carry_counts_and_propagate_to_the_api() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    observed = list[str | None]()

    async def list_dashboards(request: Request) -> Response:
        observed.append(request.headers.get("traceparent"))
        return JSONResponse({"count": 0, "next": None, "results": []})

    api = Starlette(routes=[Route("/dashboards/dashboards/", list_dashboards)])
    async with connect(api) as client:
        await client.call_tool("list_dashboards", {})
        trace.set_tracer_provider(provider)
        await client.call_tool("list_dashboards", {})
    assert observed[0] is None
    [span] = [span for span in exporter.get_finished_spans() if (span.attributes or {}).get("cekura.tool")]
    context = span.get_span_context()
    assert context is not None
    assert observed[1] is not None
    assert f"{context.trace_id:032x}" in observed[1]
    assert (span.attributes or {})["cekura.requests"] == 1


async def test_spans_contain_no_project_secrets() -> None:
    exporter = InMemorySpanExporter()
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(TracerProvider())
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with connect(shared_sandbox()) as client:
        await client.call_tool("look_up", {"kind": "projects"})
        await client.call_tool("find_changes", {"project_id": 99})
    spans = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert "cekura.requests" in spans
    assert not [secret for secret in SECRETS.values() if secret in spans]


async def test_every_write_is_audited_with_caller_changes_and_states(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    async with connect(new_sandbox(), audit_log=str(file)) as client:
        await client.call_tool("get_dashboard", {"dashboard_id": 11})
        changed = await client.call_tool("update_widget", {"widget_id": 203, "changes": {"name": "Mine"}})
        receipt: Json = changed.structured_content or {}
        undo: Json = receipt["undo"]
        await client.call_tool(undo["tool"], undo["arguments"])
        await client.call_tool("bulk_edit_dashboard", {"dashboard_id": 11, "create": [PIE], "delete": [206]})
        await client.call_tool("update_widget", {"widget_id": 999, "changes": {"name": "Mine"}})
    edited, undone, refused, failed = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert file.stat().st_mode & 0o777 == 0o600
    assert {line["caller"] for line in (edited, undone, refused, failed)} == {CALLER}
    assert (edited["tool"], edited["outcome"], edited["dashboard"]) == ("update_widget", "applied", 11)
    assert edited["changes"] == [["update", "widget", 203]]
    assert (edited["before"], edited["after"]) == (undone["after"], undone["before"])
    assert edited["before"] != edited["after"]
    assert undone["plan_id"] == undo["arguments"]["plan_id"]
    assert (refused["outcome"], failed["outcome"]) == ("needs_plan", "NotFound")
    text = file.read_text(encoding="utf-8")
    assert not [word for word in (KEY, "Mine", "Success rate", "Topics") if word in text]


async def test_a_write_that_crashes_is_audited(tmp_path: Path) -> None:
    file, app = tmp_path / "audit.jsonl", new_sandbox()

    async def faulty(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "PATCH":
            raise ZeroDivisionError  # like a bug of this server
        await app(scope, receive, send)

    async with connect(faulty, audit_log=str(file)) as client:
        result = await client.call_tool("update_widget", {"widget_id": 203, "changes": {"name": "Mine"}})
    assert "failed unexpectedly (ZeroDivisionError)" in text_of(result)
    [line] = [json.loads(text) for text in file.read_text(encoding="utf-8").splitlines()]
    assert (line["tool"], line["outcome"]) == ("update_widget", "ZeroDivisionError")


async def test_a_missing_audit_file_does_not_affect_the_receipt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AUDIT, "propagate", True)
    folder = tmp_path / "audit"
    folder.mkdir()
    async with connect(new_sandbox(), audit_log=str(folder / "lines")) as client:
        (folder / "lines").unlink()
        folder.rmdir()
        result = await client.call_tool("update_widget", {"widget_id": 203, "changes": {"name": "Mine"}})
    assert "undo: update_widget" in text_of(result)
    line, cause = [record.getMessage() for record in caplog.records if record.name == AUDIT.name]
    assert json.loads(line)["outcome"] == "applied"
    assert "cannot be written: No such file or directory" in cause


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file size limit")
@pytest.mark.parametrize("room", [0, 1, 100])
async def test_a_full_disk_moves_audit_lines_to_the_log(
    room: int, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AUDIT, "propagate", True)
    import resource  # noqa: PLC0415 - missing on Windows

    file, (soft, hard) = tmp_path / "lines", resource.getrlimit(resource.RLIMIT_FSIZE)
    async with connect(new_sandbox(), audit_log=str(file)) as client:

        async def rename(name: str) -> None:
            renamed = await client.call_tool("update_widget", {"widget_id": 203, "changes": {"name": name}})
            assert "undo: update_widget" in text_of(renamed)

        await rename("first")
        resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + room, hard))
        try:
            await rename("second")
            await rename("third")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await rename("fourth")
    first, fourth = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    logged = [record.getMessage() for record in caplog.records if record.name == AUDIT.name]
    second, third = [json.loads(line) for line in logged if line.startswith("{")]
    for one, next_one in ((first, second), (second, third), (third, fourth)):
        assert one["after"] == next_one["before"]


async def test_an_incomplete_audit_line_is_followed_by_a_line_break(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_text('{"time": "2026', encoding="utf-8")
    async with connect(new_sandbox(), audit_log=str(file)) as client:
        for name in ("first", "second"):
            await client.call_tool("update_widget", {"widget_id": 203, "changes": {"name": name}})
    half, *whole = file.read_text(encoding="utf-8").splitlines()
    assert half == '{"time": "2026'
    assert [json.loads(line)["outcome"] for line in whole] == ["applied", "applied"]


def test_an_unwritable_audit_file_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"CEKURA_AUDIT_LOG is .*: No such file or directory"):
        Connection(settings(audit_log=str(tmp_path / "nowhere" / "lines")))


async def test_the_audit_goes_to_the_log_without_a_file(lines: Any) -> None:
    async with connect(new_sandbox()) as client:
        await client.call_tool("update_widget", {"widget_id": 203, "changes": {"name": "Mine"}})
    [line] = lines(AUDIT)
    assert (line["tool"], line["outcome"]) == ("update_widget", "applied")


@asynccontextmanager
async def client_with_key(app: Any, tools: str, key: str, era: Era) -> AsyncGenerator[Client]:
    connection = Connection(settings(tools=tools), key_per_request=True, app_factory=lambda: app, now=now)
    async with (
        served(http_app(connection)) as url,
        httpx2.AsyncClient(**PLAIN_HTTP, headers={"X-CEKURA-API-KEY": key}) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=era) as client,
    ):
        yield client


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("tools", "key", "allowed"),
    [
        ("list_dashboards, get_dashboard", KEY, {"list_dashboards", "get_dashboard"}),
        ("read", KEY, {name for name, tool in BY_NAME.items() if not tool.writes}),
        (f"{CALLER}=all; *=list_dashboards", KEY, {*BY_NAME}),
        (f"{CALLER}=all; *=list_dashboards", "another", {"list_dashboards"}),
        (f"{CALLER}=read", "another", set[str]()),
        ("", "another", {*BY_NAME}),
    ],
)
async def test_keys_can_list_and_call_only_their_allowed_tools(
    tools: str, key: str, allowed: set[str], era: Era
) -> None:
    async with client_with_key(shared_sandbox(), tools, key, era) as client:
        list_dashboards = {tool.name for tool in (await client.list_tools()).tools} - {"chart_data"}
        assert list_dashboards == allowed
        for tool in BY_NAME:
            text = text_of(await client.call_tool(tool, {}))
            assert (f"This key may not use {tool} on this server" in text) is (tool not in allowed)


async def test_chart_data_respects_the_allowed_tools(era: Era) -> None:
    async with client_with_key(shared_sandbox(), "list_dashboards", KEY, era) as client:
        arguments = {"tool": "get_widgets_data", "arguments": {"dashboard_id": 11}}
        assert "chart_data" not in {tool.name for tool in (await client.list_tools()).tools}
        assert "This key may not use" in text_of(await client.call_tool("chart_data", arguments))


async def test_resources_and_completions_respect_the_allowed_tools(era: Era) -> None:
    reference = PromptReference(type="ref/prompt", name="build_dashboard")
    async with client_with_key(shared_sandbox(), "list_dashboards", KEY, era) as client:
        with pytest.raises(MCPError, match="This key may not use get_dashboard"):
            await client.read_resource("cekura://dashboards/11")
        completions = {
            name: (await client.complete(reference, {"name": name, "value": ""})).completion.values
            for name in ("dashboard", "widget", "agent", "metric")
        }
    assert completions == {"dashboard": completions["dashboard"], "widget": [], "agent": [], "metric": []}
    assert len(completions["dashboard"]) == 3


def test_unknown_tool_names_in_settings_are_rejected() -> None:
    for text in ("list_dashbords", "aaaaaaaaaaaa=reads"):
        with pytest.raises(SettingsError, match=r"CEKURA_TOOLS names .* which is not a tool; did you mean"):
            allowed_tools(text)
    with pytest.raises(SettingsError):
        create_server(Connection(settings(tools="nothing")))
