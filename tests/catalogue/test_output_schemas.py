"""Every answer matches the output schema of its tool, even if calls lack values or there are no calls."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mcp import Client

from cekura_dashboards.api.models import is_list, is_object
from cekura_dashboards.arguments.schema import input_schemas, output_schemas
from support import BY_NAME, PIE, Json, connect, new_sandbox, shared_sandbox, text_of

pytestmark = pytest.mark.anyio
BAR: Json = {"chart_type": "bar", "field": "success", "aggregation_function": "avg", "time_period": "day"}
COUNT: Json = {**BAR, "field": "agent_id", "aggregation_function": "count"}
LEADING = {"appointment", "customer-ended-call", "Booking", "web", "north", "a", 33, "33"}
"""Agent 33 drives the change in the sandbox's calls; the others lead where they occur."""
CALLS: list[tuple[str, Json]] = [
    ("list_dashboards", {}),
    ("get_dashboard", {"dashboard_id": 11}),
    *(("look_up", {"kind": kind, "project_id": 1}) for kind in ("fields", "metrics", "agents", "metadata_keys", "topics")),
    ("look_up", {"kind": "predefined_widgets"}),
    ("get_widgets_data", {"dashboard_id": 11}),
    ("get_widgets_data", {"dashboard_id": 12, "window": "7d", "compare_to": "previous_period"}),
    ("preview_widget", {"widget": PIE, "window": "14d", "compare_to": "previous_period"}),
    ("preview_widget", {"widget": {"chart_type": "line", "field": "duration"}, "window": "7d"}),
    ("preview_widget", {"widget": {**BAR, "group_by": {"type": "field", "field": "agent.id"}}, "window": "7d", "compare_to": "previous_period"}),
    ("preview_widget", {"widget": COUNT, "window": "7d", "share_where": {"field": "success", "op": "eq", "value": True}}),
    ("preview_edit", {"dashboard_id": 11, "create": [PIE], "update": [{"id": 203, "group_by": {"type": "field", "field": "agent.id"}}]}),
    ("check_dashboard", {"dashboard_id": 11}),
    ("list_calls", {"widget_id": 205, "label": "null"}),
    ("find_changes", {"dashboard_ids": [11, 12]}),
    ("explain_change", {"widget_id": 203, "by": ["dropoff_point"], "window": "6d"}),
    ("explain_change", {"widget_id": 203, "by": ["agent.id", "topic"], "window": "6d"}),
    ("explain_change", {"widget": COUNT, "by": ["agent.id"], "window": "6d"}),
]  # fmt: skip
WRITES: list[tuple[str, Json]] = [
    ("update_widget", {"widget_id": 203, "changes": {"name": "New"}}),
    ("bulk_edit_dashboard", {"dashboard_id": 11, "create": [PIE], "delete": [203]}),
    ("create_dashboard", {"name": "New", "project_id": 1, "widgets": [PIE]}),
    ("update_dashboard", {"dashboard_id": 12, "name": "New"}),
    ("delete_dashboard", {"dashboard_id": 13}),
    ("copy_widgets", {"widget_ids": [203], "dashboard_ids": [12, 13]}),
    ("copy_widgets", {"widget_ids": [203], "dashboard_ids": [12], "move": True}),
    ("save_alert", {"metric": 501, "project_id": 1, "kind": "trend"}),
]


REUSED_FIELDS: dict[str, list[str]] = {
    "list_dashboards": ["dashboards[].id", "page", "more"],
    "get_dashboard": ["id", "project", "widgets[].id"],
    "look_up": ["rows", "total"],
    "get_widgets_data": ["widgets[].widget.id", "widgets[].findings"],
    "preview_widget": ["widget", "report.findings"],
    "find_changes": ["changes[].verdict", "changes[].next.tool", "changes[].next.arguments", "more"],
    "explain_change": ["comparison.verdict", "dimensions[].verdict", "examples"],
    "list_calls": ["calls[].id", "total", "page", "project"],
    "preview_edit": ["plan_id", "changes[].id", "dashboard_id"],
    "preview_alert": ["project", "replay.calls[].id", "next.tool", "next.arguments"],
    "check_dashboard": ["findings[].fix.tool", "findings[].fix.arguments"],
}
RECEIPT = ["outcome", "plan_id", "changes[].id", "undo.tool", "undo.arguments", "remaining[].tool", "restored"]


def paths(schema: Json, path: str = "") -> Iterator[str]:
    """Every path in a value of this schema."""
    yield path
    for name, child in schema.get("properties", {}).items():
        yield from paths(child, f"{path}.{name}" if path else name)
    if schema.get("type") == "array":
        yield from paths(schema.get("items", {}), f"{path}[]")


@pytest.mark.parametrize("tool", BY_NAME)
def test_output_schemas_declare_the_fields_that_callers_reuse(tool: str) -> None:
    shape = output_schemas([BY_NAME[tool].result])[BY_NAME[tool].result]
    assert {*REUSED_FIELDS.get(tool, RECEIPT)} <= {*paths(shape)}


@pytest.mark.parametrize("tool", BY_NAME)
def test_output_lists_are_bounded_by_an_argument_or_the_schema(tool: str) -> None:
    shape = output_schemas([BY_NAME[tool].result])[BY_NAME[tool].result]
    lists = [child for child in shape["properties"].values() if child.get("type") == "array"]
    arguments = input_schemas([BY_NAME[tool].request])[BY_NAME[tool].request]["properties"]
    assert (
        not lists
        or {"page", "limit"} & {*arguments}
        or "description" in shape
        or all("maxItems" in one for one in lists)
    )


def without_leading_group(value: Any) -> Any:
    """Chart data in which the leading group, label or slice is null."""
    if is_list(value):
        return [without_leading_group(item) for item in value]
    if not is_object(value):
        return None if isinstance(value, str | int) and value in LEADING else value
    names = {"value", "sample_count", "percentage", "id", "widget_id", "metadata"}
    return {name: inner if name in names else without_leading_group(inner) for name, inner in value.items()}


def without_data(value: Any) -> Any:
    if is_list(value):
        return [without_data(item) for item in value]
    if is_object(value):
        return {name: type(inner)() if name == "data" else without_data(inner) for name, inner in value.items()}
    return value


def with_changed_charts(app: Any, change: Callable[[Any], Any]) -> Any:
    """The sandbox with changed answers about charts."""

    async def changed(scope: Any, receive: Any, send: Any) -> None:
        parts = list[bytes]()

        async def keep(message: Any) -> None:
            if message["type"] == "http.response.body":
                parts.append(message.get("body", b""))

        if scope["type"] != "http" or not scope["path"].endswith(("/bulk_data/", "/preview_data/")):
            await app(scope, receive, send)
            return
        await app(scope, receive, keep)
        body = json.dumps(change(json.loads(b"".join(parts)))).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})

    return changed


async def structured_answer(client: Client, tool: str, arguments: Json) -> Json:
    """The structure of an answer; the client raises if it does not match the output schema."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    value: Json = result.structured_content or {}
    return value


@pytest.mark.no_cover
@pytest.mark.parametrize("change", [None, without_leading_group, without_data])
async def test_answers_of_reading_tools_match_their_output_schema(change: Callable[[Any], Any] | None) -> None:
    app = shared_sandbox(count=60_000)
    async with connect(with_changed_charts(app, change) if change else app) as client:
        await client.list_tools()
        for tool, arguments in CALLS:
            assert await structured_answer(client, tool, arguments), (tool, arguments)


@pytest.mark.parametrize("call", WRITES, ids=[f"{i}-{tool}" for i, (tool, _) in enumerate(WRITES)])
async def test_receipts_and_undo_receipts_match_their_output_schema(call: tuple[str, Json]) -> None:
    async with connect(new_sandbox(count=10)) as client:
        await client.list_tools()
        tool, arguments = call
        receipt = await structured_answer(client, tool, arguments)
        if receipt["outcome"] == "needs_plan":
            receipt = await structured_answer(client, tool, {**arguments, "plan_id": receipt["plan_id"]})
        assert receipt["outcome"] == "applied"
        if "undo" in receipt:
            assert (await structured_answer(client, receipt["undo"]["tool"], receipt["undo"]["arguments"]))[
                "outcome"
            ] == "applied"


async def test_a_driving_group_without_a_value_is_shown_as_null() -> None:
    async with connect(shared_sandbox(count=60_000)) as client:
        await client.list_tools()
        arguments = {"widget_id": 203, "by": ["dropoff_point"], "window": "6d"}
        result = await client.call_tool("explain_change", arguments)
    value = result.structured_content
    assert value is not None
    assert value["dimensions"][0]["groups"] == [None]
    assert "group" not in value["drill_down"]
    assert "within dropoff_point null, by " in text_of(result)
