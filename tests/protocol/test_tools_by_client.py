"""``CEKURA_TOOLS=by-client``: who names itself as a client of the table gets the small profile, all others every tool."""

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
from cekura_dashboards_mcp.protocol.tools import CHART_DATA, CORE, CORE_CLIENTS
from cekura_dashboards_mcp.web.app import http_app
from support import BY_NAME, KEY, PLAIN, Era, Json, connect, new_sandbox, now, served, settings, shared_sandbox, text_of

pytestmark = pytest.mark.anyio
LISTED, OTHER = "LocalAI", "claude-code"
ABSENT = {tool.name for tool in TOOLS} - CORE
WRITING_PROMPTS = {"build_dashboard", "dashboards_as_code"}
ADDRESS = "skill://cekura-build-dashboard/SKILL.md"


def connect_as(name: str, era: Era, app: Any = None, tools: str = "by-client") -> AbstractAsyncContextManager[Client]:
    """A client of that name, in memory."""
    return connect(app or shared_sandbox(), era, name, tools=tools)


async def listed_to(client: Client) -> set[str]:
    return {tool.name for tool in (await client.list_tools()).tools} - {CHART_DATA}


@pytest.mark.parametrize("name", [*CORE_CLIENTS, "LocalAI (via mcp-remote 0.15.1)"])
async def test_a_client_of_the_table_gets_what_the_small_profile_has(name: str, era: Era) -> None:
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


@pytest.mark.parametrize("name", [OTHER, "mcp", "", "localai", "LocalAI-assistant"])
async def test_any_other_client_gets_all_tools(name: str, era: Era) -> None:
    async with connect_as(name, era) as client, connect(shared_sandbox(), era) as whole:
        for listed in ("list_tools", "list_prompts", "list_resources", "list_resource_templates"):
            assert await getattr(client, listed)() == await getattr(whole, listed)()
        assert await client.read_resource("cekura://guide") == await whole.read_resource("cekura://guide")
        assert await listed_to(client) == {*BY_NAME}
        assert not (await client.call_tool("look_up", {"kind": "agents"})).is_error


@pytest.mark.parametrize("name", [LISTED, OTHER])
async def test_the_instructions_are_the_same_for_all_and_name_no_tool_that_some_lack(name: str, era: Era) -> None:
    async with connect_as(name, era) as client:
        assert not [tool for tool in ABSENT if tool in (client.instructions or "")]


@pytest.mark.parametrize("name", [LISTED, OTHER])
async def test_it_is_off_by_default(name: str, era: Era) -> None:
    async with connect_as(name, era, tools="") as client:
        assert await listed_to(client) == {*BY_NAME}


async def test_a_client_of_the_table_gets_no_prompt_skill_or_completion_of_a_missing_tool(era: Era) -> None:
    async with connect_as(LISTED, era) as client:
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
async def test_an_answer_to_a_client_of_the_table_names_no_missing_tool(question: Question, era: Era) -> None:
    async with connect_as(LISTED, era) as client:
        result = await client.call_tool(question.tool, question.arguments)
    assert not result.is_error, text_of(result)
    assert not [name for name in ABSENT if name in json.dumps(result.structured_content) + text_of(result)]


async def test_a_client_of_the_table_edits_and_undoes(era: Era) -> None:
    async with connect_as(LISTED, era, new_sandbox(count=10)) as client:
        edit = {"dashboard_id": 11, "date_range": "30d", "name": "New"}
        done: Json = (await client.call_tool("update_dashboard", edit)).structured_content or {}
        undone = await client.call_tool(done["undo"]["tool"], done["undo"]["arguments"])
    assert (undone.structured_content or {})["outcome"] == "applied"


@pytest.mark.parametrize(
    ("tools", "name", "expected"),
    [
        ("by-client, look_up", LISTED, CORE | {"look_up"}),
        ("by-client, look_up", OTHER, {*BY_NAME}),
        ("aaaaaaaaaaaa=all; *=by-client", LISTED, CORE),
        ("aaaaaaaaaaaa=by-client; *=read", LISTED, {name for name, tool in BY_NAME.items() if not tool.writes}),
    ],
)
async def test_it_goes_with_names_and_keys(tools: str, name: str, expected: Collection[str], era: Era) -> None:
    async with connect_as(name, era, tools=tools) as client:
        assert await listed_to(client) == {*expected}


@pytest.mark.parametrize(
    ("era", "name", "expected"),
    [
        ("auto", LISTED, CORE),
        ("auto", OTHER, {*BY_NAME}),
        ("legacy", LISTED, {*BY_NAME}),
        ("legacy", OTHER, {*BY_NAME}),
    ],
)
async def test_over_http_each_request_decides_alone_on_every_replica(
    era: Era, name: str, expected: Collection[str]
) -> None:
    """Requests of the older protocol carry no name there."""
    for _ in range(2):
        connection = Connection(settings(tools="by-client"), key_per_request=True, app_factory=shared_sandbox, now=now)
        async with (
            served(http_app(connection)) as url,
            httpx2.AsyncClient(**PLAIN, headers={"X-CEKURA-API-KEY": KEY}) as http,
            Client(
                streamable_http_client(f"{url}/mcp", http_client=http),
                mode=era,
                client_info=Implementation(name=name, version="1"),
            ) as client,
        ):
            assert await listed_to(client) == {*expected}
            result = await client.call_tool("look_up", {"kind": "agents"})
        assert result.is_error == ("look_up" not in expected)
