"""``CEKURA_TOOLS=by-client``: clients of the table get the core profile, all others every tool."""

import json
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx2
import pytest
from benchmarks.questions import QUESTIONS, Question
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import Implementation, PromptReference

from cekura_dashboards import TOOLS
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.protocol.profiles import CORE
from cekura_dashboards_mcp.protocol.tools import CHART_DATA, CORE_CLIENTS
from cekura_dashboards_mcp.web.app import http_app
from support import (
    BY_NAME,
    KEY,
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
LISTED_CLIENT, OTHER_CLIENT = "LocalAI", "claude-code"
ABSENT = {tool.name for tool in TOOLS} - CORE
WRITING_PROMPTS = {"build_dashboard", "dashboards_as_code"}
ADDRESS = "skill://cekura-build-dashboard/SKILL.md"


def connect_as(name: str, era: Era, app: Any = None, tools: str = "by-client") -> AbstractAsyncContextManager[Client]:
    """An in-memory client with this name."""
    return connect(app or shared_sandbox(), era, name, tools=tools)


async def listed_to(client: Client) -> set[str]:
    return {tool.name for tool in (await client.list_tools()).tools} - {CHART_DATA}


@pytest.mark.parametrize("name", [*CORE_CLIENTS, "LocalAI (via mcp-remote 0.15.1)"])
async def test_listed_clients_get_the_core_profile(name: str, era: Era) -> None:
    async with connect_as(name, era) as client, connect(shared_sandbox(), era, tools="core") as core:
        for listed in ("list_tools", "list_prompts", "list_resources", "list_resource_templates"):
            assert await getattr(client, listed)() == await getattr(core, listed)()
        assert await client.read_resource("cekura://guide") == await core.read_resource("cekura://guide")
        assert client.instructions == core.instructions
        refused = await client.call_tool("create_dashboard", {"name": "New"})
        unknown = await client.call_tool("get_widgets_data", {"dashboard_id": 99})
        assert text_of(unknown) == text_of(await core.call_tool("get_widgets_data", {"dashboard_id": 99}))
    assert refused.is_error
    assert "This client may not use create_dashboard" in text_of(refused)


@pytest.mark.parametrize("name", [OTHER_CLIENT, "mcp", "", "localai", "LocalAI-assistant"])
async def test_other_clients_get_all_tools(name: str, era: Era) -> None:
    async with connect_as(name, era) as client, connect(shared_sandbox(), era) as unlimited:
        for listed in ("list_tools", "list_prompts", "list_resources", "list_resource_templates"):
            assert await getattr(client, listed)() == await getattr(unlimited, listed)()
        assert await client.read_resource("cekura://guide") == await unlimited.read_resource("cekura://guide")
        assert await listed_to(client) == {*BY_NAME}
        assert not (await client.call_tool("look_up", {"kind": "agents"})).is_error


@pytest.mark.parametrize("name", [LISTED_CLIENT, OTHER_CLIENT])
async def test_instructions_by_client_name_only_core_tools(name: str, era: Era) -> None:
    async with connect_as(name, era) as client:
        assert not [tool for tool in ABSENT if tool in (client.instructions or "")]


@pytest.mark.parametrize("name", [LISTED_CLIENT, OTHER_CLIENT])
async def test_profiles_by_client_are_off_by_default(name: str, era: Era) -> None:
    async with connect_as(name, era, tools="") as client:
        assert await listed_to(client) == {*BY_NAME}


async def test_listed_clients_get_no_prompts_or_skills_of_missing_tools(era: Era) -> None:
    async with connect_as(LISTED_CLIENT, era) as client:
        assert not WRITING_PROMPTS & {prompt.name for prompt in (await client.list_prompts()).prompts}
        with pytest.raises(MCPError, match='No prompt "build_dashboard"; available: morning_check'):
            await client.get_prompt("build_dashboard", {"about": "bookings"})
        with pytest.raises(MCPError, match="No resource"):
            await client.read_resource(ADDRESS)
        with pytest.raises(MCPError, match="This client may not use get_dashboard"):
            await client.read_resource("cekura://dashboards/11")
        reference = PromptReference(type="ref/prompt", name="why_did_it_move")
        completed = await client.complete(reference, {"name": "widget", "value": ""})
    assert completed.completion.values == []


@pytest.mark.no_cover
@pytest.mark.parametrize("question", QUESTIONS[:3], ids=[question.text for question in QUESTIONS[:3]])
async def test_answers_to_listed_clients_name_no_missing_tools(question: Question, era: Era) -> None:
    async with connect_as(LISTED_CLIENT, era) as client:
        result = await client.call_tool(question.tool, question.arguments)
    assert not result.is_error, text_of(result)
    assert not [name for name in ABSENT if name in json.dumps(result.structured_content) + text_of(result)]


async def test_listed_clients_can_edit_and_undo(era: Era) -> None:
    async with connect_as(LISTED_CLIENT, era, new_sandbox(count=10)) as client:
        edit = {"dashboard_id": 11, "date_range": "30d", "name": "New"}
        receipt: Json = (await client.call_tool("update_dashboard", edit)).structured_content or {}
        undone = await client.call_tool(receipt["undo"]["tool"], receipt["undo"]["arguments"])
    assert (undone.structured_content or {})["outcome"] == "applied"


@pytest.mark.parametrize(
    ("tools", "name", "expected"),
    [
        ("by-client, look_up", LISTED_CLIENT, CORE | {"look_up"}),
        ("by-client, look_up", OTHER_CLIENT, {*BY_NAME}),
        ("aaaaaaaaaaaa=all; *=by-client", LISTED_CLIENT, CORE),
        ("aaaaaaaaaaaa=by-client; *=read", LISTED_CLIENT, {name for name, tool in BY_NAME.items() if not tool.writes}),
    ],
)
async def test_by_client_combines_with_tool_names_and_keys(
    tools: str, name: str, expected: Collection[str], era: Era
) -> None:
    async with connect_as(name, era, tools=tools) as client:
        assert await listed_to(client) == {*expected}


@pytest.mark.parametrize(
    ("era", "name", "expected"),
    [
        ("auto", LISTED_CLIENT, CORE),
        ("auto", OTHER_CLIENT, {*BY_NAME}),
        ("legacy", LISTED_CLIENT, {*BY_NAME}),
        ("legacy", OTHER_CLIENT, {*BY_NAME}),
    ],
)
async def test_the_profile_is_decided_per_request_over_http(era: Era, name: str, expected: Collection[str]) -> None:
    """Requests of the older protocol carry no client name over HTTP."""
    for _ in range(2):
        connection = Connection(settings(tools="by-client"), key_per_request=True, app_factory=shared_sandbox, now=now)
        async with (
            served(http_app(connection)) as url,
            httpx2.AsyncClient(**PLAIN_HTTP, headers={"X-CEKURA-API-KEY": KEY}) as http,
            Client(
                streamable_http_client(f"{url}/mcp", http_client=http),
                mode=era,
                client_info=Implementation(name=name, version="1"),
            ) as client,
        ):
            assert await listed_to(client) == {*expected}
            result = await client.call_tool("look_up", {"kind": "agents"})
        assert result.is_error == ("look_up" not in expected)
