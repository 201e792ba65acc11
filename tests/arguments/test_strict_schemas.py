"""Strict clients close every object and fill in every property: schemas allow it, and blanks count as absent."""

from collections.abc import Iterator
from typing import Any

import pytest

from cekura_dashboards import TOOLS
from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.models import as_object
from cekura_dashboards.arguments.reader import parse
from cekura_dashboards.arguments.schema import input_schemas
from support import BY_NAME, PIE, Json, ask, new_sandbox, open_tools

INPUTS = {tool.name: input_schemas([tool.request])[tool.request] for tool in TOOLS}
LATENCY: Json = {"chart_type": "bar", "field": "duration", "aggregation_function": "p95", "time_period": "day"}
FAILED: Json = {"field": "success", "op": "eq", "value": False}
BOTH: Json = {"operator": "and", "conditions": [FAILED, {"field": "agent.id", "op": "eq", "value": 33}]}
CALLS: list[tuple[str, Json]] = [
    ("list_dashboards", {}),
    ("get_dashboard", {"dashboard_id": 11}),
    ("look_up", {"kind": "values", "field": "topic"}),
    ("get_widgets_data", {"dashboard_id": 11, "points": 12}),
    ("get_widgets_data", {"widget_ids": [203], "points": 12, "filters": FAILED, "window": "7d"}),
    ("get_widgets_data", {"widget_ids": [203], "points": 12, "compare_filters": FAILED}),
    ("get_widgets_data", {"widget_ids": [203], "points": 12, "profile": "weekday", "time_zone": "Europe/Berlin"}),
    ("preview_widget", {"widget": LATENCY, "points": 12, "window": "7d"}),
    ("preview_widget", {"widget": {**PIE, "filters": BOTH}, "points": 12, "dashboard_id": 11}),
    ("preview_widget", {"widget": {**LATENCY, "group_by": {"type": "field", "field": "agent.id"}}, "points": 12}),
    ("find_changes", {"dashboard_ids": [11], "limit": 9}),
    ("explain_change", {"widget_id": 203}),
    ("explain_change", {"widget": LATENCY, "window": "7d", "by": ["topic"]}),
    ("list_calls", {"widget_id": 206, "label": "billing question", "limit": 3, "sort": "longest"}),
    ("preview_edit", {"dashboard_id": 11, "create": [PIE], "delete": [206]}),
    (
        "bulk_edit_dashboard",
        {
            "dashboard_id": 11,
            "update": [{"id": 202, "time_period": "hour", "layout": {"x": 0, "y": 2, "w": 4, "h": 4}}],
        },
    ),
    ("update_widget", {"widget_id": 203, "changes": {"name": "Rate"}}),
    ("update_widget", {"widget_id": 203, "changes": {"chart_type": "pie"}, "clear": ["group_by"]}),
    ("create_dashboard", {"name": "New", "project_id": 1, "filters": FAILED, "widgets": [PIE]}),
    ("update_dashboard", {"dashboard_id": 11, "date_range": "30d"}),
    ("delete_dashboard", {"dashboard_id": 13}),
    ("copy_widgets", {"widget_ids": [203], "dashboard_ids": [12]}),
    ("check_dashboard", {"dashboard_id": 11}),
]


def objects(schema: Any, path: str = "") -> Iterator[tuple[str, Json]]:
    if schema.get("type") == "object":
        yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from objects(child, f"{path}.{name}")
    if "items" in schema:
        yield from objects(schema["items"], f"{path}[]")


BLANKS: dict[str, Json] = {
    "of its type": {"integer": 0, "number": 0, "boolean": False, "array": [], "string": ""},
    "null": {},
    "null as text": dict.fromkeys(["integer", "number", "boolean", "array", "string"], "null"),
}
TEXTS = {"search", "label", "group", "said", "name"}
"""Arguments that take "null" as ordinary text."""


def fill_in(schema: Json, given: Any, blanks: str = "of its type") -> Any:
    """What a strict client sends instead of these arguments: every property, blank where none is given."""
    kind = schema.get("type")
    if kind == "object":
        arguments = as_object(given) or {}
        whole: Json = {
            name: fill_in(child, arguments.get(name), "null" if name in TEXTS and blanks != "of its type" else blanks)
            for name, child in schema["properties"].items()
        }
        return whole | {name: value for name, value in arguments.items() if name not in whole}
    if given is not None:
        return [fill_in(schema["items"], item, blanks) for item in given] if kind == "array" else given
    if "anyOf" in schema:
        return fill_in(schema["anyOf"][0], None, blanks)
    if "enum" in schema and blanks == "of its type":
        return "none" if "none" in schema["enum"] else schema["enum"][0]
    return BLANKS[blanks].get(str(kind))


@pytest.mark.parametrize("name", list(BY_NAME))
def test_every_object_schema_declares_its_properties(name: str) -> None:
    assert [path for path, schema in objects(INPUTS[name]) if not schema["properties"]] == []


@pytest.mark.parametrize("blanks", BLANKS)
@pytest.mark.parametrize(("tool", "arguments"), CALLS)
def test_blanks_of_strict_clients_leave_the_request_unchanged(tool: str, arguments: Json, blanks: str) -> None:
    request, _ = parse(BY_NAME[tool].request, arguments)
    strict, _ = parse(BY_NAME[tool].request, fill_in(INPUTS[tool], arguments, blanks))
    assert strict.model_dump(exclude_none=True, exclude_defaults=True) == request.model_dump(
        exclude_none=True, exclude_defaults=True
    )


@pytest.mark.parametrize(
    "given",
    [
        {"filters": {"op": "eq", "value": False}},
        {"filters": {"field": "", "op": "eq", "value": True, "operator": "and", "conditions": []}},
        {"filters": {"operator": "and", "conditions": []}},
        {"profile": "nothing"},
    ],
)
def test_incomplete_filters_are_rejected(given: Json) -> None:
    with pytest.raises(InvalidArguments):
        parse(BY_NAME["get_widgets_data"].request, {"dashboard_id": 11, **given})


def test_a_layout_at_the_top_left_corner_is_kept() -> None:
    request, _ = parse(
        BY_NAME["bulk_edit_dashboard"].request,
        {"dashboard_id": 11, "update": [{"id": 202, "layout": {"x": 0, "y": 0}}]},
    )
    assert request.update[0].layout.model_dump(exclude_none=True) == {"x": 0, "y": 0}


@pytest.mark.anyio
async def test_a_strict_client_can_read_edit_and_undo() -> None:
    async with open_tools(new_sandbox()) as (context, _):
        arguments: Json = {"dashboard_id": 11, "update": [{"id": 202, "time_period": "hour"}]}
        text, receipt = await ask(context, "bulk_edit_dashboard", **fill_in(INPUTS["bulk_edit_dashboard"], arguments))
        assert receipt["outcome"] == "applied", text
        assert receipt["changes"][0]["fields"] == {"time_period": ["day", "hour"]}
        undo = receipt["undo"]
        _, undone = await ask(context, undo["tool"], **fill_in(INPUTS[undo["tool"]], undo["arguments"]))
        assert undone["outcome"] == "applied"
        _, answer = await ask(context, "get_dashboard", **fill_in(INPUTS["get_dashboard"], {"dashboard_id": 11}))
    assert "per day" in str(answer["widgets"][1]) or answer["widgets"][1]["time_period"] == "day"
