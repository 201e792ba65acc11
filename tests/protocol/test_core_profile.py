"""The core profile: at most eight tools that answer every question of the benchmark and name no other tool."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from benchmarks.questions import QUESTIONS, Question

from cekura_dashboards import TOOLS
from cekura_dashboards.api.models import is_list, is_object
from cekura_dashboards_mcp.protocol.profiles import CORE
from cekura_dashboards_mcp.protocol.tools import CHART_DATA
from support import PIE, Era, Json, connect, new_sandbox, shared_sandbox, text_of

pytestmark = pytest.mark.anyio
MODEL_BUDGET = 15_500
"""Bytes of name, description and input schema together: 3,900 tokens of o200k, by ``benchmarks.sizes``."""
ABSENT = {tool.name for tool in TOOLS} - CORE
EDITS: list[tuple[str, Json]] = [
    (
        "bulk_edit_dashboard",
        {"dashboard_id": 11, "create": [PIE], "update": [{"id": 203, "name": "Rate"}], "delete": [206]},
    ),
    ("update_dashboard", {"dashboard_id": 11, "date_range": "30d", "name": "New"}),
]


def calls_in(value: Any) -> Iterator[str]:
    """The tools of all calls that an answer contains."""
    if is_list(value):
        for item in value:
            yield from calls_in(item)
    elif is_object(value):
        if {"tool", "arguments"} <= {*value}:
            yield str(value["tool"])
        for item in value.values():
            yield from calls_in(item)


async def test_the_core_profile_lists_eight_tools_within_the_budget(era: Era) -> None:
    async with connect(shared_sandbox(), era, tools="core") as client:
        listed = [tool for tool in (await client.list_tools()).tools if tool.name != CHART_DATA]
    assert {tool.name for tool in listed} == CORE
    assert len(CORE) <= 8
    assert "create_dashboard" not in CORE
    observed = [
        {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema} for tool in listed
    ]
    assert len(json.dumps(observed, separators=(",", ":"), ensure_ascii=False).encode()) < MODEL_BUDGET


@pytest.mark.no_cover
@pytest.mark.parametrize("question", QUESTIONS, ids=[question.text for question in QUESTIONS])
async def test_core_tools_answer_every_question_and_name_only_core_tools(question: Question, era: Era) -> None:
    async with connect(new_sandbox(count=3000), era, tools="core") as client:
        result = await client.call_tool(question.tool, question.arguments)
    assert not result.is_error, text_of(result)
    assert {*calls_in(result.structured_content)} <= CORE
    assert not [name for name in ABSENT if name in json.dumps(result.structured_content) + text_of(result)]


@pytest.mark.parametrize(("tool", "arguments"), EDITS)
async def test_edits_and_undos_need_only_core_tools(tool: str, arguments: Json, era: Era) -> None:
    async with connect(new_sandbox(count=10), era, tools="core") as client:
        receipt: Json = (await client.call_tool(tool, arguments)).structured_content or {}
        if receipt["outcome"] == "needs_plan":
            receipt = (
                await client.call_tool(tool, {**arguments, "plan_id": receipt["plan_id"]})
            ).structured_content or {}
        assert {*calls_in(receipt)} == {tool}
        undone = await client.call_tool(receipt["undo"]["tool"], receipt["undo"]["arguments"])
    assert (undone.structured_content or {})["outcome"] == "applied"


async def test_tools_outside_the_core_profile_are_rejected_and_never_named(era: Era) -> None:
    async with connect(shared_sandbox(), era, tools="core") as client:
        refused = await client.call_tool("create_dashboard", {"name": "New"})
        guide = await client.read_resource("cekura://guide")
        prompts = [
            await client.get_prompt(prompt.name, {argument.name: "x" for argument in prompt.arguments or []})
            for prompt in (await client.list_prompts()).prompts
        ]
        unknown = await client.call_tool("get_widgets_data", {"dashboard_id": 99})
        texts = [
            client.instructions,
            guide.model_dump(mode="json"),
            [prompt.model_dump(mode="json") for prompt in prompts],
        ]
        texts += [tool.model_dump(mode="json") for tool in (await client.list_tools()).tools]
    assert refused.is_error
    assert "may not use create_dashboard" in text_of(refused)
    assert "No dashboard 99" in text_of(unknown)
    text = json.dumps(texts) + text_of(unknown)
    assert not [name for name in ABSENT if name in text]
