"""What a client is told of is there: capabilities, and in read-only mode no way to a tool that is not."""

import json
from typing import Any

import pytest

from cekura_dashboards import TOOLS
from cekura_dashboards_mcp.protocol.tools import offered
from support import PIE, Era, Json, connect, new_sandbox, shared_sandbox, text_of

pytestmark = pytest.mark.anyio
READS: list[tuple[str, Json]] = [
    ("list_dashboards", {}),
    ("get_dashboard", {"dashboard_id": 11}),
    ("get_dashboard", {"dashboard_id": 99}),
    *(("look_up", {"kind": kind, "project_id": 1}) for kind in ("fields", "metrics", "predefined_widgets")),
    ("get_widgets_data", {"dashboard_id": 11}),
    ("preview_widget", {"widget": PIE, "window": "7d"}),
    ("preview_widget", {"widget": {**PIE, "chart_type": "line"}}),
    ("explain_change", {"widget_id": 203}),
    ("explain_change", {"widget_id": 205}),
    ("list_calls", {"widget_id": 203}),
    ("check_dashboard", {"dashboard_id": 11}),
]


async def test_no_capability_is_advertised_that_is_not_there(era: Era) -> None:
    there = {"tools", "resources", "prompts", "completions"}
    async with connect(shared_sandbox(), era) as client:
        capabilities = client.server_capabilities
        assert capabilities is not None
        advertised: Json = capabilities.model_dump(exclude_none=True)
        assert {name for name in advertised if name not in {"experimental", "extensions"}} == there
        assert not advertised["tools"].get("list_changed")


async def test_read_only_mode_points_to_no_tool_that_it_does_not_offer(era: Era) -> None:
    absent = {tool.name for tool in TOOLS} - {tool.name for tool in offered(read_only=True)}
    assert absent == {tool.name for tool in TOOLS if tool.writes} | {"preview_edit"}
    app = new_sandbox()
    empty = app.state.world.store.create_dashboard({"name": "Empty", "project": 1})["id"]
    calls = [
        *READS,
        *((tool, {"dashboard_id": empty}) for tool in ("get_dashboard", "get_widgets_data", "check_dashboard")),
    ]
    async with connect(app, era, read_only=True) as client:
        said: list[Any] = [client.instructions]
        said += [tool.model_dump(mode="json") for tool in (await client.list_tools()).tools]
        for tool, arguments in calls:
            result = await client.call_tool(tool, arguments)
            said += [text_of(result), result.structured_content]
        assert len(client.instructions or "") > 300
    whole = json.dumps(said)
    assert not [name for name in absent if name in whole]


async def test_where_writing_is_offered_everything_said_stays_whole(era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        told = {tool.name: tool.description for tool in (await client.list_tools()).tools}
    assert told == {tool.name: tool.description for tool in TOOLS}
