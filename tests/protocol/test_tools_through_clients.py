"""Tools through a real MCP client in memory, in both protocol eras."""

import json
import re
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest

from cekura_dashboards import TOOLS
from cekura_dashboards.api.models import is_list, is_object
from support import Era, Json, connect, new_sandbox, shared_sandbox, text_of

pytestmark = pytest.mark.anyio
PIE: Json = {"name": "Topics again", "chart_type": "pie", "field": "topic"}
CALLS: list[tuple[str, Json]] = [
    ("list_dashboards", {}),
    ("get_dashboard", {"dashboard_id": 12}),
    ("look_up", {"kind": "fields"}),
    ("look_up", {"kind": "values", "field": "call_ended_reason"}),
    ("look_up", {"kind": "metrics"}),
    ("look_up", {"kind": "predefined_widgets"}),
    ("get_widgets_data", {"dashboard_id": 11}),
    ("get_widgets_data", {"dashboard_id": 12, "window": "last_week"}),
    ("get_widgets_data", {"widget_ids": [204]}),
    ("get_widgets_data", {"widget_ids": [207], "window": "20d"}),
    ("preview_widget", {"widget": PIE, "window": "yesterday"}),
    ("update_widget", {"widget_id": 203, "changes": {"name": "Renamed"}}),
    ("bulk_edit_dashboard", {"dashboard_id": 11, "create": [PIE], "update": [{"id": 202, "name": "N"}]}),
    ("bulk_edit_dashboard", {"dashboard_id": 11, "delete": [205]}),
    (
        "preview_edit",
        {"dashboard_id": 11, "create": [{**PIE, "place": "top"}], "update": [{"id": 203, "time_period": "week"}]},
    ),
    ("check_dashboard", {"dashboard_id": 11}),
    ("get_widgets_data", {"widget_ids": [204], "window": "7d", "compare_to": "previous_period"}),
    ("list_calls", {"widget_id": 205, "label": "voicemail-reached", "limit": 2}),
    ("explain_change", {"widget_id": 203, "window": "5d"}),
    ("create_dashboard", {"name": "New", "project_id": 1, "widgets": [PIE]}),
    ("create_dashboard", {"name": "Copied", "copy_of": 12}),
    ("update_dashboard", {"dashboard_id": 11, "clear": ["filters", "date_range"]}),
    ("delete_dashboard", {"dashboard_id": 13}),
    ("copy_widgets", {"widget_ids": [203, 218], "dashboard_ids": [11, 12, 13]}),
]
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?")


def ids(calls: list[tuple[str, Json]]) -> list[str]:
    return [f"{tool}-{index}" for index, (tool, _) in enumerate(calls)]


def numbers(value: Any) -> set[str]:
    """Every number in a JSON value, without booleans."""
    if is_object(value):
        return set[str]().union(*(numbers(item) for item in value.values()))
    if is_list(value):
        return set[str]().union(*(numbers(item) for item in value))
    return {json.dumps(value)} if isinstance(value, int | float) and not isinstance(value, bool) else set()


@pytest.mark.no_cover
@pytest.mark.parametrize(("tool", "arguments"), CALLS, ids=ids(CALLS))
async def test_text_and_structure_contain_the_same_numbers(tool: str, arguments: Json, era: Era) -> None:
    app = shared_sandbox() if not next(t for t in TOOLS if t.name == tool).writes else new_sandbox()
    async with connect(app, era) as client:
        result = await client.call_tool(tool, arguments)
    assert not result.is_error
    text, structure = text_of(result), result.structured_content
    assert structure is not None
    missing = {number for number in numbers(structure) if number not in text}
    assert missing == set()
    flat = json.dumps(structure, ensure_ascii=False)
    missing_in_structure = {number for number in NUMBER.findall(text) if number not in flat}
    assert missing_in_structure == set()
    for key in ("notes", "warnings", "notes", "omitted", "differences", "plan_id"):
        for message in re.findall(rf'"{key}": (\[.*?\]|".*?")', flat):
            values: Any = json.loads(message)
            assert all(value in text for value in (values if is_list(values) else [values]))


GOLDEN = [call for call in CALLS if call[0] not in {tool.name for tool in TOOLS if tool.writes}]


@pytest.mark.parametrize(("tool", "arguments"), GOLDEN, ids=ids(GOLDEN))
async def test_answers_match_the_golden_files(tool: str, arguments: Json, golden: Callable[[str, str], None]) -> None:
    async with connect(shared_sandbox()) as client:
        result = await client.call_tool(tool, arguments)
    name = f"{tool}-{GOLDEN.index((tool, arguments))}.txt"
    structure = json.dumps(result.structured_content, indent=1, ensure_ascii=False)
    golden(name, f"{text_of(result)}\n\n{structure}")


async def test_a_dashboard_can_be_found_read_edited_and_undone(era: Era) -> None:
    app = new_sandbox()
    async with connect(app, era) as client:

        async def ask(tool: str, arguments: Json) -> Json:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, text_of(result)
            assert result.structured_content is not None
            answer: Json = result.structured_content
            return answer

        board = (await ask("list_dashboards", {"search": "booking"}))["dashboards"][0]
        data = await ask("get_widgets_data", {"dashboard_id": board["id"]})
        assert len(data["widgets"]) == board["widgets"]
        preview = await ask("preview_widget", {"widget": PIE, "dashboard_id": board["id"]})
        receipt = await ask("bulk_edit_dashboard", {"dashboard_id": board["id"], "create": [preview["widget"]]})
        assert (await ask("list_dashboards", {"search": "booking"}))["dashboards"][0]["widgets"] == board["widgets"] + 1
        await ask(receipt["undo"]["tool"], receipt["undo"]["arguments"])
        assert (await ask("list_dashboards", {"search": "booking"}))["dashboards"][0]["widgets"] == board["widgets"]


MISTAKES: list[tuple[str, Json, str]] = [
    ("get_dashboard", {}, "Nothing was sent. dashboard_id: is missing; give an id or a name; list_dashboards shows them."),
    ("get_dashboard", {"dashboard_id": 42}, "No dashboard 42 for this key. list_dashboards shows the ones you can use."),
    ("get_dashboard", {"dashbord_id": 11, "dashboard_id": 11}, "Nothing was sent. `dashbord_id` is not an argument here; did you mean `dashboard_id`?"),
    ("preview_widget", {"widget": {"chart_type": "pie", "feild": "topic"}}, "Nothing was sent. `widget.feild` is not an argument here; did you mean `field`?"),
    ("get_widgets_data", {"dashboard_id": 11, "window": "lastweek"}, 'Nothing was sent. window: "lastweek" is not a window; did you mean last_week?'),
    ("get_widgets_data", {}, "Nothing was sent. Give dashboard_id or widget_ids. list_dashboards shows the dashboards."),
    ("get_widgets_data", {"dashboard_id": 11, "points": 99}, "Nothing was sent. points: 99 is out of range; it must be at most 60."),
    ("get_widgets_data", {"dashboard_id": 11, "filters": {"operator": "and", "conditions": [{"field": "success", "op": "sounds", "value": True}]}},
     ('Nothing was sent. filters.conditions[0].op: "sounds" is not allowed; use `eq`, `neq`, `gt`, `gte`, `lt`, `lte`, `contains`, '
     "`startswith`, `endswith`, `in`, `isnull` or `regex`.")),
    ("look_up", {"kind": "metrix"}, 'Nothing was sent. kind: "metrix" is not allowed; did you mean `metrics`?'),
    ("look_up", {"kind": "values"}, "Nothing was sent. field: is missing; whose values? e.g. topic, call_ended_reason, metadata.region."),
    ("update_widget", {"widget_id": [1, 2], "changes": {"name": "x"}}, "Nothing was sent. widget_id: [1, 2] is not valid; it must be an id or a name."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("tool", "arguments", "message"), MISTAKES, ids=[f"{m[0]}-{i}" for i, m in enumerate(MISTAKES)]
)
async def test_mistakes_are_answered_with_a_next_step(tool: str, arguments: Json, message: str, era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert result.structured_content is None
    assert text_of(result) == message


CONVERTED: list[tuple[str, Json, str]] = [
    ("get_dashboard", {"dashboard_id": "11"}, 'dashboard_id: "11" was read as 11'),
    ("get_widgets_data", {"widget_ids": 205}, "widget_ids: one value was read as a list"),
    ("get_widgets_data", {"widget_ids": "[205, 206]"}, "widget_ids: JSON text was read as the list in it"),
    (
        "get_widgets_data",
        {"widget_ids": [205], "filters": {"field": "success", "op": "eq", "value": "False"}},
        'filters.value: "False" was read as false',
    ),
    (
        "get_widgets_data",
        {"widget_ids": [205], "filters": {"field": "duration", "op": "gt", "value": "60.5"}},
        'filters.value: "60.5" was read as 60.5',
    ),
    (
        "get_widgets_data",
        {"widget_ids": [205], "filters": {"field": "topic", "op": "in", "value": "complaint"}},
        "filters.value: one value was read as a list",
    ),
    (
        "get_widgets_data",
        {"widget_ids": [205], "filters": {"field": "agent.id", "op": "in", "value": ["33", 31]}},
        'filters.value: ["33", 31] was read as [33, 31]',
    ),
    ("preview_widget", {"widget": json.dumps(PIE)}, "widget: JSON text was read as the object in it"),
    ("preview_widget", {"widget": {**PIE, "chart_type": "Pie"}}, 'widget.chart_type: "Pie" was read as "pie"'),
]


@pytest.mark.parametrize(("tool", "arguments", "note"), CONVERTED, ids=[m[2] for m in CONVERTED])
async def test_unambiguous_values_are_converted_and_reported(tool: str, arguments: Json, note: str, era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    assert note in result.structured_content["notes"]
    assert f"note: {note}" in text_of(result)


async def test_read_only_mode_omits_tools_that_write(era: Era) -> None:
    async with connect(shared_sandbox(), era, read_only=True) as client:
        offered = {tool.name for tool in (await client.list_tools()).tools}
        assert offered == {tool.name for tool in TOOLS if not tool.writes} - {"preview_edit"}
        result = await client.call_tool("update_widget", {"widget_id": 203, "changes": {"name": "x"}})
        assert result.is_error


async def test_an_internal_error_reveals_no_details(era: Era) -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise ZeroDivisionError("detail")

    async with connect(app, era) as client:
        result = await client.call_tool("list_dashboards", {})
    assert result.is_error
    assert "failed unexpectedly (ZeroDivisionError)" in text_of(result)
    assert "detail" not in text_of(result)


async def test_the_server_reports_its_name_and_version(era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        assert client.server_info is not None
        assert client.server_info.name == "cekura-dashboards"
        assert client.server_info.version == version("cekura-dashboards-mcp")
        assert "undo" in (client.instructions or "")
