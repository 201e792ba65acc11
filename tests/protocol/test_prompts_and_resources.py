"""Prompts, resources and completions, through clients of both eras."""

import json
import re
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.types import PromptReference, ResourceTemplateReference, TextContent, TextResourceContents
from pydantic import SecretStr

from cekura_dashboards import call_tool
from cekura_dashboards.reports.guide import FILTERS, WIDGETS
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.protocol.prompts import PROMPTS
from cekura_dashboards_mcp.protocol.server import create_server
from support import BY_NAME, PIE, Era, Json, ask, connect, new_sandbox, now, open_tools, settings, shared_sandbox

pytestmark = pytest.mark.anyio
PROMPT_ARGUMENTS: dict[str, dict[str, str]] = {
    "weekly_review": {"dashboard": "Booking agent", "window": "last_week"},
    "why_did_it_move": {"widget": "Success rate", "window": "7d", "dashboard": "Operations overview"},
    "build_dashboard": {
        "about": "latency of the booking agent",
        "agent": "Booking",
        "metric": "501",
        "name": "Booking agent",
    },
    "monday_report": {"dashboard": "11", "audience": "the support team"},
    "morning_check": {"dashboard": "Booking agent"},
    "dashboards_as_code": {"dashboard": "Booking agent"},
}
CALL = re.compile(r"`(\w+) (\{.*\})`")


async def text_of_prompt(client: Client, name: str, given: dict[str, str]) -> str:
    [message] = (await client.get_prompt(name, given)).messages
    assert message.role == "user"
    assert isinstance(message.content, TextContent)
    return message.content.text


async def test_prompts_are_listed_with_their_arguments(era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        result = (await client.list_prompts()).prompts
    assert [prompt.name for prompt in result] == [*PROMPTS]
    for prompt in result:
        assert prompt.title
        assert (prompt.description or "").endswith(".")
        assert prompt.arguments
        assert all(argument.description for argument in prompt.arguments)
    required = {(p.name, a.name) for p in result for a in p.arguments or [] if a.required}
    assert required == {("why_did_it_move", "widget"), ("build_dashboard", "about")}


@pytest.mark.no_cover
@pytest.mark.parametrize("name", PROMPTS)
async def test_every_call_in_a_prompt_succeeds(name: str) -> None:
    required = {key: text for key, text in PROMPT_ARGUMENTS[name].items() if key in {"widget", "about"}}
    async with connect(shared_sandbox()) as client:
        for given in (required, PROMPT_ARGUMENTS[name]):
            text = await text_of_prompt(client, name, given)
            assert set(re.findall(r"\b[a-z]+_[a-z_]+\b", text)) & set(BY_NAME)
            for value in given.values():
                assert value in text
            calls = [(tool, arguments) for tool, arguments in CALL.findall(text) if "<" not in arguments]
            for tool, arguments in calls:
                result = await client.call_tool(tool, json.loads(arguments))
                assert not result.is_error, (tool, arguments, result.content)


async def test_a_prompt_inserts_its_arguments_into_the_calls(era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        call_arguments = {"widget": "Success rate", "window": "yesterday", "dashboard": "11"}
        text = await text_of_prompt(client, "why_did_it_move", call_arguments)
        report = await text_of_prompt(client, "monday_report", {})
    calls = {tool: json.loads(arguments) for tool, arguments in CALL.findall(text)}
    assert calls["get_widgets_data"] == {"dashboard_id": 11, "window": "yesterday", "points": 0}
    assert calls["explain_change"] == {
        "widget_id": "Success rate", "window": "yesterday", "compare_to": "previous_period",
    }  # fmt: skip
    assert "\n- widget: Success rate\n- window: yesterday\n- dashboard: 11\n\n" in text
    calls = {tool: json.loads(arguments) for tool, arguments in CALL.findall(report)}
    assert calls["find_changes"] == {"window": "last_week", "compare_to": "previous_week"}
    assert calls["get_widgets_data"]["dashboard_id"] == "<dashboard>"


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("why_did_it_move", {}, "why_did_it_move: widget is missing"),
        ("why_did_it_move", {"widget": " "}, "why_did_it_move: widget is missing"),
        ("weekly_review", {"dashbord": "x"}, "did you mean `dashboard`"),
        ("weakly_review", {}, 'No prompt "weakly_review"; available: morning_check, weekly_review'),
    ],
)
async def test_invalid_prompt_requests_are_rejected_with_a_suggestion(
    name: str, given: dict[str, str], message: str, era: Era
) -> None:
    async with connect(shared_sandbox(), era) as client:
        with pytest.raises(MCPError) as refused:
            await client.get_prompt(name, given)
    assert refused.value.code == -32602
    assert message in str(refused.value)


async def test_read_only_mode_omits_prompts_and_tools_that_write(era: Era) -> None:
    async with connect(shared_sandbox(), era, read_only=True) as client:
        names = [prompt.name for prompt in (await client.list_prompts()).prompts]
        assert names == [name for name in PROMPTS if name not in {"build_dashboard", "dashboards_as_code"}]
        texts = [await text_of_prompt(client, name, PROMPT_ARGUMENTS[name]) for name in names]
        with pytest.raises(MCPError):
            await client.get_prompt("build_dashboard", PROMPT_ARGUMENTS["build_dashboard"])
    absent = [name for name, tool in BY_NAME.items() if tool.writes or name == "preview_edit"]
    assert not [name for name in absent if name in " ".join(texts)]


async def read(client: Client, address: str) -> str:
    [content] = (await client.read_resource(address)).contents
    assert isinstance(content, TextResourceContents)
    return content.text


async def test_a_dashboard_resource_equals_the_answer_of_get_dashboard(era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        by_id = await read(client, "cekura://dashboards/12")
        by_name = await read(client, "cekura://dashboards/Booking%20agent")
        for address, message in (
            ("cekura://dashboards/99", "No dashboard 99 for this key."),
            ("cekura://dashboards/Boking%20agent", 'did you mean "Booking agent" (12)'),
        ):
            with pytest.raises(MCPError, match=re.escape(message)):
                await client.read_resource(address)
    async with open_tools(shared_sandbox()) as (context, _):
        text, _ = await ask(context, "get_dashboard", dashboard_id=12)
    assert by_id == text
    assert by_name.startswith(text.split("\nnote:")[0])


LONG_NUMBER = "1" * 5000
ADDRESSES = [
    (f"cekura://dashboards/{LONG_NUMBER}", 'no dashboard "111'), ("cekura://dashboards/" + "%5B" * 3000, 'no dashboard "[[['),
    ("cekura://dashboards/" + '{"a":' * 2000, "no dashboard"), ("cekura://" + "a/" * 3000, "available: cekura://guide and"),
    ("cekura://dashboards/" + "a" * 300_000, "available: cekura://guide and"), ("cekura://dashboards/12?x=1", 'No resource "cekura://dashboards/12?x=1"'),
]  # fmt: skip


@pytest.mark.parametrize(("address", "message"), ADDRESSES, ids=[address[:24] for address, _ in ADDRESSES])
async def test_invalid_resource_uris_are_rejected_in_one_line(address: str, message: str, era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        with pytest.raises(MCPError) as refused:
            await client.read_resource(address)
    assert refused.value.code == -32602
    assert message in str(refused.value)
    assert len(str(refused.value)) < 240
    assert "\n" not in str(refused.value)


async def test_prompts_accept_very_long_numeric_names(era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        for prompt in (await client.list_prompts()).prompts:
            asked = await client.get_prompt(
                prompt.name, {argument.name: LONG_NUMBER for argument in prompt.arguments or []}
            )
            assert LONG_NUMBER in str(asked.messages)


async def test_resources_list_guide_skills_views_and_dashboards(era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        listed = [resource.uri for resource in (await client.list_resources()).resources]
        [template] = (await client.list_resource_templates()).resource_templates
        guide = await read(client, "cekura://guide")
    assert [str(uri) for uri in listed if not str(uri).startswith(("ui://", "skill://"))] == ["cekura://guide"]
    assert template.uri_template == "cekura://dashboards/{id}"
    assert guide.startswith("# Fields, filters, times and limits\n")
    assert len(guide) < 8000


async def test_every_example_of_the_guide_is_accepted() -> None:
    app = shared_sandbox()
    async with open_tools(app) as (context, _):
        for widget in WIDGETS.values():
            await call_tool(context, BY_NAME["preview_widget"], {"widget": widget, "window": "7d", "dashboard_id": 11})
        for filters in FILTERS.values():
            await call_tool(context, BY_NAME["preview_widget"], {"widget": {**PIE, "filters": filters}})


async def complete(client: Client, argument: str, typed: str, prompt: str = "", **given: str) -> Any:
    reference: Any = (
        PromptReference(type="ref/prompt", name=prompt)
        if prompt
        else ResourceTemplateReference(type="ref/resource", uri="cekura://dashboards/{id}")
    )
    answer = await client.complete(reference, {"name": argument, "value": typed}, context_arguments=given)
    return answer.completion


async def test_completions_match_any_part_of_a_name(era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        assert (await complete(client, "dashboard", "BOOK", "weekly_review")).values == ["Booking agent"]
        assert (await complete(client, "dashboard", "12", "monday_report")).values == ["Booking agent"]
        assert "Booking" in (await complete(client, "agent", "", "build_dashboard")).values
        assert (await complete(client, "window", "last", "weekly_review")).values == ["last_week", "last_month"]
        assert (await complete(client, "compare_to", "", "why_did_it_move")).values == [
            "previous_period", "previous_week",
        ]  # fmt: skip
        assert (await complete(client, "id", "over")).values == ["11"]
        assert (await complete(client, "about", "x", "build_dashboard")).values == []
        of_one = await complete(client, "widget", "succ", "why_did_it_move", dashboard="Operations overview")
        assert of_one.values == ["Success rate", "Success rate by agent"]
        everywhere = await complete(client, "widget", "succ", "why_did_it_move")
        assert set(of_one.values) < set(everywhere.values)


async def test_completed_values_are_accepted_by_tools() -> None:
    app = new_sandbox()
    for name in ("Same", "Same", "odd\u202ename"):
        app.state.world.store.create_dashboard({"name": name, "project": 1})
    async with connect(app) as client:
        values = (await complete(client, "dashboard", "", "weekly_review")).values
        for value in values:
            arguments: Json = {"dashboard_id": int(value) if value.isdecimal() else value}
            assert not (await client.call_tool("get_dashboard", arguments)).is_error
    assert len({*values}) == len(values) == 6
    assert not [value for value in values if "\u202e" in value]


async def test_completions_are_limited_to_100_with_a_total() -> None:
    app = new_sandbox()
    for number in range(120):
        app.state.world.store.create_dashboard({"name": f"Board {number}", "project": 1})
    async with connect(app) as client:
        result = await complete(client, "dashboard", "board", "weekly_review")
    assert (len(result.values), result.total, result.has_more) == (100, 120, True)


async def test_completions_are_empty_if_the_api_rejects_the_key() -> None:
    wrong = settings().model_copy(update={"api_key": SecretStr("wrong")})
    async with Client(create_server(Connection(wrong, app_factory=shared_sandbox, now=now))) as client:
        assert (await complete(client, "dashboard", "", "weekly_review")).values == []
        with pytest.raises(MCPError, match="rejected the key"):
            await client.read_resource("cekura://dashboards/11")
