"""``cekura-dashboards report``: what changed, and the charts, as one page that needs nothing else."""

from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

from mcp import Client
from mcp.types import CallToolResult
from msgspec import Struct

from cekura_dashboards.api.models import as_list, as_object
from cekura_dashboards.charts.target import format_instant
from cekura_dashboards.context import gather, gather_all
from cekura_dashboards.text import clean
from cekura_dashboards_mcp.cli.in_process import shows_charts, text_of
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.protocol.chart_view import CHART, chart_html, report_page
from cekura_dashboards_mcp.protocol.server import create_server

MAX_DASHBOARDS = 5
"""Dashboards that are shown unless some are named."""


class Report(Struct, frozen=True):
    """A page, and what of it could not be had: the errors of the tools."""

    page: str
    failed: list[str]


async def make_report(
    connection: Connection, *, dashboards: Sequence[int | str], window: str, compare_to: str
) -> Report:
    """Changes and charts of these dashboards; of all, and the charts of the first five, if none is named.

    Where the API holds no time to compare the window with, the charts are shown without a comparison.
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
    """What to show, each with its name, and what is said of those that are not shown."""
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
        f" Of the dashboards only the first {len(boards)} are drawn; the changes are those of all." if cut else "",
    )


def _about(changes: CallToolResult) -> str:
    data: dict[str, Any] = changes.structured_content or {}
    return ", against ".join(data[name] for name in ("window", "against") if data.get(name))


def _section(title: str, tool: str, result: CallToolResult) -> dict[str, Any]:
    """One part of the page; without a chart it shows the text."""
    chart = None if result.is_error else (result.meta or {}).get(CHART)
    return {"title": title, "tool": tool, "text": text_of(result), "chart": chart}
