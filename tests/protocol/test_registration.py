"""Advertised capabilities exist, and read-only mode names no tool that it omits."""

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


async def test_only_supported_capabilities_are_advertised(era: Era) -> None:
    supported = {"tools", "resources", "prompts", "completions"}
    async with connect(shared_sandbox(), era) as client:
        capabilities = client.server_capabilities
        assert capabilities is not None
        advertised: Json = capabilities.model_dump(exclude_none=True)
        assert {name for name in advertised if name not in {"experimental", "extensions"}} == supported
        assert not advertised["tools"].get("list_changed")


async def test_read_only_mode_names_only_the_tools_that_it_offers(era: Era) -> None:
    absent = {tool.name for tool in TOOLS} - {tool.name for tool in offered(read_only=True)}
    assert absent == {tool.name for tool in TOOLS if tool.writes} | {"preview_edit"}
    app = new_sandbox()
    empty = app.state.world.store.create_dashboard({"name": "Empty", "project": 1})["id"]
    calls = [
        *READS,
        *((tool, {"dashboard_id": empty}) for tool in ("get_dashboard", "get_widgets_data", "check_dashboard")),
    ]
    async with connect(app, era, read_only=True) as client:
        texts: list[Any] = [client.instructions]
        texts += [tool.model_dump(mode="json") for tool in (await client.list_tools()).tools]
        for tool, arguments in calls:
            result = await client.call_tool(tool, arguments)
            texts += [text_of(result), result.structured_content]
        assert len(client.instructions or "") > 300
    text = json.dumps(texts)
    assert not [name for name in absent if name in text]


async def test_tool_descriptions_are_complete_if_writing_is_allowed(era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        descriptions = {tool.name: tool.description for tool in (await client.list_tools()).tools}
    assert descriptions == {tool.name: tool.description for tool in TOOLS}
