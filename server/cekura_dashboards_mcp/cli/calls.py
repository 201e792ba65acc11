"""Calls that the commands make through an MCP client: one tool, a report of several, a conversation."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import Any

import click
from mcp import Client
from mcp.client.extension import ClientExtension, advertise
from mcp.client.stdio import StdioServerParameters
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from mcp.types import CallToolResult, TextContent, Tool
from msgspec import Struct

from cekura_dashboards.api.models import as_list, as_object
from cekura_dashboards.charts.target import format_instant
from cekura_dashboards.context import gather, gather_all
from cekura_dashboards.reports.budget import CSV_LINE_END, csv_lines
from cekura_dashboards.summaries.model import Cell
from cekura_dashboards.text import clean
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.protocol.chart_view import CHART, chart_html, report_page, standalone
from cekura_dashboards_mcp.protocol.server import create_server


async def list_tools(connection: Connection) -> list[Tool]:
    async with Client(create_server(connection)) as client:
        return (await client.list_tools()).tools


def shows_charts() -> list[ClientExtension]:
    """The capabilities that a client with charts declares."""
    return [advertise(EXTENSION_ID, {"mimeTypes": [APP_MIME_TYPE]})]


async def call_one(
    connection: Connection, tool: str, arguments: dict[str, Any], *, draws: bool = False
) -> CallToolResult:
    """Call one tool; ``draws``: as a client that shows charts."""
    async with Client(create_server(connection), extensions=shows_charts() if draws else None) as client:
        return await client.call_tool(tool, arguments)


def page_of(result: CallToolResult, tool: str, arguments: dict[str, Any]) -> str | None:
    """A page that shows a result in any browser; None if it has nothing to draw."""
    drawing = (result.meta or {}).get(CHART)
    return None if drawing is None else standalone(tool, arguments, drawing)


def text_of(result: CallToolResult) -> str:
    """All text of a result."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


WITH_TABLES = ("get_widgets_data", "preview_widget")
"""The tools whose answers can contain a table."""


async def csv_of(connection: Connection, tool: str, arguments: dict[str, Any]) -> tuple[str, bool]:
    """All rows of the one table of an answer as CSV, page after page; or an error, and True."""
    if tool not in WITH_TABLES:
        return f"{tool} has no table; --csv is for {' and '.join(WITH_TABLES)}.", True
    columns, rows, total, start = list[str](), list[list[Cell]](), None, connection.now()
    at_start = replace(connection, now=lambda: start)  # otherwise the window would move between two pages
    async with Client(create_server(at_start)) as client:
        while total is None or len(rows) < total:
            page = {**arguments, "table": "csv", "from_row": len(rows) + 1}
            result = await client.call_tool(tool, page)
            if result.is_error:
                return text_of(result), True
            answer: dict[str, Any] = result.structured_content or {}
            reports = [answer["report"]] if "report" in answer else as_list(answer.get("widgets")) or []
            tables = [table for item in reports if (table := (as_object(item) or {}).get("table"))]
            if len(reports) != 1 or not tables:
                return f"--csv writes one table, but this answer has {len(tables)}: ask for one widget.", True
            [table] = tables
            columns, total = table["columns"], table["total_rows"]
            if not table["rows"] and total:
                return text_of(result), True
            rows += table["rows"]
    return "".join(line + CSV_LINE_END for line in csv_lines(columns, rows)), False


MAX_DASHBOARDS = 5
"""The number of dashboards shown if none is named."""


class Report(Struct, frozen=True):
    """A page, and the errors of tools whose parts are missing from it."""

    page: str
    failed: list[str]


async def make_report(
    connection: Connection, *, dashboards: Sequence[int | str], window: str, compare_to: str
) -> Report:
    """Changes and charts of these dashboards; if none is named, the changes of all and the charts of the first five.

    If the API has no data for the baseline, the charts are shown without a comparison.
    """
    times = {"window": window, "compare_to": compare_to}
    chosen = {"dashboard_ids": [*dashboards]} if dashboards else {}
    async with Client(create_server(connection), extensions=shows_charts()) as client:
        changes, listed = await gather(
            client.call_tool("find_changes", {**chosen, **times}), client.call_tool("list_dashboards", {})
        )
        boards, more = _boards(listed, dashboards)
        ask = partial(client.call_tool, "get_widgets_data")
        compared = changes.structured_content is None or "against" in changes.structured_content
        times = times if compared else {"window": window}
        charts = await gather_all(ask({"dashboard_id": number, **times}) for number, _ in boards)
    sections = [_section("What changed", "find_changes", changes)]
    sections += [
        _section(name, "get_widgets_data", chart_result) for (_, name), chart_result in zip(boards, charts, strict=True)
    ]
    now = format_instant(connection.now())
    page = report_page({
        "title": f"Cekura report, {window}" + (f" against {compare_to.replace('_', ' ')}" if compared else ""),
        "about": _about(changes),
        "end": f"Made {now} by cekura-dashboards {version('cekura-dashboards-mcp')}.{more}",
        "view": chart_html(),
        "sections": sections,
    })  # fmt: skip
    failed = [text_of(result) for result in (changes, *charts) if result.is_error]
    return Report(page, failed)


def _boards(listed: CallToolResult, dashboards: Sequence[int | str]) -> tuple[list[tuple[int | str, str]], str]:
    """The dashboards to show, each with its name, and a note on those left out."""
    data: dict[str, Any] = listed.structured_content or {}
    rows = [row for item in as_list(data.get("dashboards")) or [] if (row := as_object(item)) is not None]
    names: dict[int | str, str] = {row["id"]: clean(str(row.get("name") or row["id"])) for row in rows}
    if dashboards:
        named = [names.get(board, f"Dashboard {board}" if isinstance(board, int) else board) for board in dashboards]
        return [*zip(dashboards, named, strict=True)], ""
    boards = [*names.items()][:MAX_DASHBOARDS]
    cut = len(boards) < len(names) or bool(data.get("more"))
    return (
        boards,
        f" Only the first {len(boards)} dashboards are drawn; the changes cover all." if cut else "",
    )


def _about(changes: CallToolResult) -> str:
    data: dict[str, Any] = changes.structured_content or {}
    return ", against ".join(data[name] for name in ("window", "against") if data.get(name))


def _section(title: str, tool: str, result: CallToolResult) -> dict[str, Any]:
    """One part of the page; without a chart it shows the text."""
    chart = None if result.is_error else (result.meta or {}).get(CHART)
    return {"title": title, "tool": tool, "text": text_of(result), "chart": chart}


NEXT = """\
This was a sandbox of generated calls. Next steps:
  - your own dashboards: set CEKURA_API_KEY and add the server to your chat client (README, "Connect a client")
  - the sandbox in a chat client: the same, with --sandbox instead of a key
  - a single tool: cekura-dashboards call get_widgets_data '{"dashboard_id": 11, "window": "today"}' --sandbox"""
WIDGET = {
    "name": "Latency p95", "chart_type": "bar", "field": "metric_evaluations.value", "metric": 501,
    "aggregation_function": "p95", "time_period": "day",
}  # fmt: skip


class DemoFailed(click.ClickException):
    """A call failed."""


async def run_demo() -> None:
    started = time.perf_counter()
    click.secho("Starting the server over stdio, as a chat client does …", dim=True)
    server = StdioServerParameters(command=sys.executable, args=["-m", "cekura_dashboards_mcp", "serve", "--sandbox"])
    failure: Exception | None = None
    async with Client(server) as client:
        try:
            offered = (await client.list_tools()).tools
            click.secho(f"{len(offered)} tools after {time.perf_counter() - started:.1f} s.", dim=True)
            click.secho("Filling the sandbox with 60,000 calls of the last 30 days …", dim=True)
            await _conversation(client)
        except (DemoFailed, BrokenPipeError) as error:  # inside, it would become an exception group
            failure = error
    if failure is not None:
        raise failure
    click.echo()
    click.echo(NEXT)


async def _conversation(client: Client) -> None:
    await _ask(client, "Which dashboards are there?", "list_dashboards", {})
    await _ask(client, "How did the week go?", "get_widgets_data", {"dashboard_id": 11, "window": "7d"})
    await _ask(client, "What can be charted?", "look_up", {"kind": "fields"})
    preview = await _ask(
        client, "Show me the latency per day.", "preview_widget", {"widget": WIDGET, "dashboard_id": 11}
    )
    edit = {"dashboard_id": 11, "create": [preview["widget"]], "delete": [206]}
    planned = await _ask(client, "Put it in place of the pie of topics; show me first.", "preview_edit", edit)
    done = await _ask(client, "Do it.", "bulk_edit_dashboard", {**edit, "plan_id": planned["plan_id"]})
    await _ask(client, "Take it back.", done["undo"]["tool"], done["undo"]["arguments"])
    await _ask(client, "Is anything wrong with this dashboard?", "check_dashboard", {"dashboard_id": 11})


async def _ask(client: Client, question: str, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """One question, the call that an assistant would make, and the answer."""
    click.echo()
    click.secho(f"“{question}”", bold=True)
    click.secho(f"→ {tool} {json.dumps(arguments, ensure_ascii=False)}", fg="cyan")
    begun = time.perf_counter()
    result: CallToolResult = await client.call_tool(tool, arguments)
    took_ms = (time.perf_counter() - begun) * 1000
    text = text_of(result)
    click.echo(text)
    click.secho(f"({len(text)} characters, {took_ms:.0f} ms)", dim=True)
    if result.is_error or result.structured_content is None:
        raise DemoFailed(f"{tool} failed, so the demo stops here")
    answer: dict[str, Any] = result.structured_content
    return answer
