"""The chart view as a client receives it: the extension, the pages, and the chart data of an answer."""

import json
import re
from typing import Any

import pytest
from mcp import Client

from cekura_dashboards import TOOLS
from cekura_dashboards.pipeline import MAX_BYTES_WITH_DRAWING
from cekura_dashboards.stats.significance import wilson_interval
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.protocol.chart_view import chart_html
from cekura_dashboards_mcp.protocol.server import create_server
from support import PIE, Era, Json, connect, new_sandbox, now, settings, shared_sandbox, text_of
from view.host import WITH_MCP_APPS

pytestmark = pytest.mark.anyio
KEY = "cekura/chart"
MIME = "text/html;profile=mcp-app"
DATE = re.compile(r"\d{4}-\d\d-\d\d")
"""A date on an axis."""
TOOLS_WITH_CHARTS = [tool.name for tool in TOOLS if tool.is_drawn]
CALLS: list[tuple[str, Json]] = [
    ("get_widgets_data", {"dashboard_id": 11}),
    ("get_widgets_data", {"widget_ids": [204], "window": "7d", "compare_to": "previous_period"}),
    ("get_widgets_data", {"dashboard_id": 12, "profile": "hour_of_day"}),
    ("preview_widget", {"widget": PIE, "window": "3d"}),
    ("preview_edit", {"dashboard_id": 11, "update": [{"id": 203, "time_period": "week"}]}),
    ("explain_change", {"widget_id": 203, "window": "5d"}),
    ("find_changes", {}),
    ("list_calls", {"widget_id": 202, "limit": 3}),
]
IDS = [f"{tool} {i}" for i, (tool, _) in enumerate(CALLS)]


def shows_apps(app: Any, era: Era = "auto") -> Client:
    connection = Connection(settings(), app_factory=lambda: app, now=now)
    return Client(create_server(connection), mode=era, extensions=WITH_MCP_APPS)


def words(text: str) -> set[str]:
    """The words of a text without axes, column headings and punctuation."""
    return {word for word in re.findall(r"[\w.:-]+", text) if word != "0"} - {"current", "baseline", "difference"}


def compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


async def test_tools_with_charts_link_to_a_readable_view(era: Era) -> None:
    async with shows_apps(shared_sandbox(), era) as client:
        tools = {tool.name: tool.meta or {} for tool in (await client.list_tools()).tools}
        assert [name for name, meta in tools.items() if "resourceUri" in meta.get("ui", {})] == TOOLS_WITH_CHARTS
        for name in TOOLS_WITH_CHARTS:
            address = tools[name]["ui"]["resourceUri"]
            assert tools[name]["ui/resourceUri"] == address
            [content] = (await client.read_resource(address)).contents
            page: Json = content.model_dump(by_alias=True)
            assert page["mimeType"] == MIME
            assert f'{{"tool":"{name}"}}' in page["text"]
        assert tools["chart_data"]["ui"] == {"visibility": ["app"]}


async def test_the_apps_extension_is_advertised() -> None:
    async with shows_apps(shared_sandbox()) as client:
        assert client.server_capabilities is not None
        assert (client.server_capabilities.extensions or {})["io.modelcontextprotocol/ui"] == {}


async def test_the_chart_data_tool_is_hidden_from_clients_without_apps(era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        assert "chart_data" not in [tool.name for tool in (await client.list_tools()).tools]


@pytest.mark.parametrize(("tool", "arguments"), CALLS, ids=IDS)
async def test_chart_data_leaves_the_answer_unchanged_and_is_reproducible(tool: str, arguments: Json) -> None:
    app = shared_sandbox()
    async with shows_apps(app) as shows, connect(app) as plain:
        drawn, bare = await shows.call_tool(tool, arguments), await plain.call_tool(tool, arguments)
        again = await shows.call_tool("chart_data", {"tool": tool, "arguments": arguments})
    assert drawn.structured_content == bare.structured_content
    assert KEY not in (bare.meta or {})
    assert words(text_of(drawn)) <= words(text_of(bare))
    assert not [word for word in words(text_of(bare)) - words(text_of(drawn)) if not DATE.fullmatch(word)]
    assert drawn.meta is not None
    drawing = drawn.meta[KEY]
    assert drawing["tool"] == tool
    assert drawing["answer"].keys() == (bare.structured_content or {}).keys()
    assert len(compact(drawn.model_dump(by_alias=True, exclude_none=True))) < MAX_BYTES_WITH_DRAWING + 1000
    assert again.meta is not None
    assert again.meta[KEY] == drawing
    assert again.structured_content is None
    assert len(text_of(again)) < 40


async def test_both_protocol_eras_receive_the_same_chart_data() -> None:
    app, (tool, arguments) = shared_sandbox(), CALLS[1]
    async with shows_apps(app) as new, shows_apps(app, "legacy") as old, connect(app, "legacy") as plain:
        drawn, alike = await new.call_tool(tool, arguments), await old.call_tool(tool, arguments)
        bare = await plain.call_tool(tool, arguments)
    assert (drawn.meta or {})[KEY] == (alike.meta or {})[KEY]
    assert text_of(drawn) == text_of(alike)
    assert KEY not in (bare.meta or {})
    assert bare.structured_content == drawn.structured_content


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "tool is one of get_widgets_data, "),
        ({"tool": "delete_dashboard", "arguments": {"dashboard_id": 11}}, "tool is one of "),
        ({"tool": "find_changes", "arguments": []}, None),
        ({"tool": "find_changes", "arguments": 7}, "arguments an object"),
        ({"tool": "get_widgets_data", "arguments": {"dashboard_id": 99}}, "No dashboard 99 for this key."),
    ],
)
async def test_chart_data_accepts_only_reading_tools(given: Json, message: str | None) -> None:
    async with shows_apps(shared_sandbox()) as client:
        result = await client.call_tool("chart_data", given)
    assert result.is_error is (message is not None)
    assert message is None or message in text_of(result)


@pytest.mark.no_cover
async def test_chart_data_of_many_charts_stays_within_its_size_limit() -> None:
    app = new_sandbox(count=6000)
    store = app.state.world.store
    hourly = {
        "chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "hour",
        "group_by": {"type": "field", "field": "agent.id"},
    }  # fmt: skip
    month = {"field": "timestamp", "op": "gte", "value": "today-29d"}
    board = store.create_dashboard({"name": "Many", "project": 1, "filters": month})["id"]
    store.bulk(board, {"create": [{"name": f"Chart {i}", **hourly} for i in range(20)]})
    async with shows_apps(app) as client:
        result = await client.call_tool("get_widgets_data", {"dashboard_id": board})
    assert result.meta is not None
    drawing = result.meta[KEY]
    assert len(compact(result.model_dump(by_alias=True, exclude_none=True))) < MAX_BYTES_WITH_DRAWING + 1000
    assert len(drawing["answer"]["widgets"]) == len(drawing["plots"]) == 20
    assert all(len(plot["courses"][0]["value"]) > 10 for plot in drawing["plots"])


async def test_the_finest_series_adds_up_to_the_total() -> None:
    async with shows_apps(shared_sandbox()) as client:
        result = await client.call_tool("get_widgets_data", {"widget_ids": [202, 208]})
    assert result.meta is not None
    drawing = result.meta[KEY]
    for report, plot in zip(drawing["answer"]["widgets"], drawing["plots"], strict=True):
        assert sum(plot["courses"][0]["value"]) == report["facts"]["total"]


@pytest.mark.parametrize(
    ("widget", "title", "is_rate"),
    [
        (202, "Calls, per day", False),
        (203, "Success rate, per day", True),
        (204, "Success rate, per day, by agent", True),
        (205, "Calls by ended reason", False),
        (207, "Average call duration", False),
    ],
)
async def test_charts_have_readable_titles_and_rates_have_daily_intervals(
    widget: int, title: str, *, is_rate: bool
) -> None:
    async with shows_apps(shared_sandbox()) as client:
        result = await client.call_tool("get_widgets_data", {"widget_ids": [widget]})
    assert result.meta is not None
    [plot] = result.meta[KEY]["plots"]
    assert plot["title"] == title
    intervals = [course for course in plot["courses"] if course.get("interval")]
    assert [course["role"] for course in intervals] == (["current"] if is_rate else [])
    for course in intervals:
        for value, n, low, high in zip(course["value"], course["n"], course["low"], course["high"], strict=True):
            assert (low, high) == pytest.approx(wilson_interval(value, n), abs=2e-3)


async def test_every_change_is_plotted_with_days_before_and_after() -> None:
    async with shows_apps(new_sandbox(count=60_000)) as client:
        result = await client.call_tool("find_changes", {})
    assert result.meta is not None
    drawing = result.meta[KEY]
    changes = drawing["answer"]["changes"]
    assert {"step", "group", "share", "outage"} <= {change["kind"] for change in changes}
    for change, plot in zip(changes, drawing["plots"], strict=True):
        [course] = plot["courses"]
        assert len([value for value in course["value"] if value is not None]) >= 5
        assert course.get("label") == change.get("part")
        if change["kind"] == "share":
            assert plot["unit"] == "percent"
            assert max(value or 0 for value in course["value"]) > change["after"] - 10


SMALL = 42 * 1024
"""Bytes of the page. A choice: 15 KB compressed; intervals and levels of rates take 1.7 KB of it."""


def test_the_chart_page_is_one_small_self_contained_file() -> None:
    page = chart_html()
    assert len(page.encode()) < SMALL
    assert "src=" not in page
    assert "innerHTML" not in page
    assert "eval(" not in page
    for address in ("http://", "https://"):
        assert {line.strip() for line in page.splitlines() if address in line} <= {
            line.strip() for line in page.splitlines() if "createElementNS('http://www.w3.org/2000/svg'" in line
        }
