"""Links in user text are inert in texts, exact in structures, and accepted as printed."""

import json
import re
from typing import Any

import pytest
from fastapi import FastAPI

from cekura_dashboards.api.errors import InvalidArguments
from support import Json, ask, connect, force, new_sandbox, open_tools, sql, text_of

pytestmark = pytest.mark.anyio
NAMES = [
    "![i](https://x.example/p)", "[t](https://x.com)", "[t]: https://x.com", "<https://x.com>", "Calls of www.x.com/a_b",
    "<img src=x> *new* _calls_ [VIP] (all)", 'A "quoted" name', "x" * 200, "https&#58;//x.com", "a\\.com",
]  # fmt: skip
PLAIN = [
    "snake_case *bold* [VIP] (all) [a] [b]",
    "5 < 6 > 4, 10:30, e.g. v1.2: A & B",
    "AT&T; p < .05",
    r"^a\.b$ and a\d",
]


@pytest.fixture
def app() -> FastAPI:
    return new_sandbox()


def printed_name(text: str, number: int) -> str:
    """The quoted name after a number."""
    result = re.search(rf'\b{number} "([^"]*)"', text)
    assert result is not None, text
    return result[1]


@pytest.mark.no_cover
@pytest.mark.parametrize("name", NAMES)
async def test_names_are_accepted_as_printed(app: FastAPI, name: str) -> None:
    force(app, 203, name=name)
    app.state.world.store.update_dashboard(11, {"name": name})
    async with connect(app) as client:
        text = text_of(await client.call_tool("get_dashboard", {"dashboard_id": 11}))
        for reference in (printed_name(text, 11), name):
            answer = await client.call_tool("get_dashboard", {"dashboard_id": reference})
            assert (answer.structured_content or {})["id"] == 11, text_of(answer)
        for reference in (printed_name(text, 203), name):
            read = await client.call_tool("get_widgets_data", {"widget_ids": [reference], "window": "7d"})
            assert (read.structured_content or {})["widgets"][0]["widget"]["id"] == 203


@pytest.mark.no_cover
@pytest.mark.parametrize("name", NAMES[:6])
async def test_names_are_exact_in_structures_and_arguments(app: FastAPI, name: str) -> None:
    force(app, 203, name=name, filters={"field": "topic", "op": "eq", "value": name})
    async with open_tools(app) as (context, _):
        text, setup = await ask(context, "get_dashboard", dashboard_id=11)
        widget = next(row for row in setup["widgets"] if row["id"] == 203)
        assert (widget["name"], widget["filters"]["value"]) == (name, name)
        line = next(line for line in text.splitlines() if line.startswith("widget 203 "))
        assert name not in line
        handed = re.search(r'\{"field":"topic".*?\}', line)
        assert handed is not None
        assert json.loads(handed[0])["value"] == name
        _, receipt = await ask(context, "update_widget", widget_id=203, changes={"name": "Plain"})
        await ask(context, receipt["undo"]["tool"], **receipt["undo"]["arguments"])
    assert app.state.world.store.widget(203)["name"] == name


async def test_labels_and_filter_values_are_accepted_as_printed() -> None:
    name, app = "[t](https://x.com/?a=1)", new_sandbox(count=299)  # no other test uses these calls
    sql(app, f"update calls set topic = '{name}' where topic = 'appointment'")
    async with open_tools(app) as (context, _):
        text, answer = await ask(context, "look_up", kind="values", field="topic")
        assert name not in text
        assert name in json.dumps(answer)
        printed = next(line for line in text.splitlines() if "[t]" in line).split('"')[1]
        widget: Json = {"chart_type": "pie", "field": "topic"}
        for label in (printed, name, json.dumps(name)[1:-1].replace("](", r"]\u0028")):
            _, calls = await ask(context, "list_calls", widget=widget, project_id=1, window="7d", label=label, limit=2)
            assert calls["calls"][0]["topic"] == name
        filters = {"field": "topic", "op": "in", "value": [printed]}
        _, read = await ask(context, "preview_widget", widget={**widget, "filters": filters}, window="7d")
        assert read["report"]["n"] > 0
        assert read["widget"]["filters"]["value"] == [name]


async def test_a_printed_name_is_stored_in_its_original_form(app: FastAPI) -> None:
    async with open_tools(app) as (context, _):
        changes: Json = {"name": "Copy of [t]﹙https﹕//x﹒com)"}
        await ask(context, "update_widget", widget_id=203, changes=changes)
    assert app.state.world.store.widget(203)["name"] == "Copy of [t](https://x.com)"


@pytest.mark.parametrize("name", PLAIN)
async def test_names_without_links_are_printed_unchanged(app: FastAPI, name: str) -> None:
    force(app, 203, name=name)
    async with open_tools(app) as (context, _):
        text, _ = await ask(context, "get_dashboard", dashboard_id=11)
    assert f'widget 203 "{name}"' in text


async def test_links_in_error_messages_are_inert(app: FastAPI) -> None:
    async with open_tools(app) as (context, _):
        for arguments in ({"dashboard_id": "![i](https://x.example)"}, {"dashboard_id": 11, "![i](https://x.com)": 1}):
            with pytest.raises(InvalidArguments) as refused:
                await ask(context, "get_dashboard", **arguments)
            assert "](" not in str(refused.value)
            assert "://" not in str(refused.value)


async def test_links_in_prompts_are_inert(app: FastAPI) -> None:
    async with connect(app) as client:
        arguments: dict[str, Any] = {"dashboard": "![i](https://x.example)"}
        result = await client.get_prompt("weekly_review", arguments)
        text = str(result.messages[0].content)
    assert "](" not in text
    assert "://" not in text
