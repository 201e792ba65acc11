"""Null, and the text of it, stand for nothing where nothing may be said; a host's own arguments are not the tool's."""

from collections.abc import Callable
from typing import Any

import pytest

from cekura_dashboards import TOOLS
from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.arguments.reader import parse
from cekura_dashboards.tool import Request
from support import BY_NAME, PIE, Era, Json, ask, connect, new_sandbox, open_tools, shared_sandbox, stored, text_of

TEXTS = {"search", "label", "group", "said"}
NAMES = {"name"}
ANY: Json = {
    "dashboard_id": 11, "widget_id": 203, "kind": "metrics", "widget": PIE, "widget_ids": [203], "dashboard_ids": [12], "name": "New",
}  # fmt: skip
LEAST: dict[str, Json] = {
    "get_widgets_data": {"dashboard_id": 11},
    "explain_change": {"widget_id": 203},
    "list_calls": {"widget_id": 203},
    "preview_edit": {"dashboard_id": 11, "delete": [205]},
    "bulk_edit_dashboard": {"dashboard_id": 11, "delete": [205]},
    "update_widget": {"widget_id": 203, "changes": {"name": "New"}},
    "update_dashboard": {"dashboard_id": 11, "date_range": "7d"},
    "preview_alert": {"alert_id": 701},
    "save_alert": {"alert_id": 701, "kind": "failure"},
}
"""Of tools that need more than what is required of them: what they can be called with."""


def needed(model: type[Request]) -> Json:
    return {name: ANY[name] for name, info in model.model_fields.items() if info.is_required()}


@pytest.mark.parametrize("null", [None, "null", "NULL", " null "])
@pytest.mark.parametrize("tool", [tool.name for tool in TOOLS])
def test_null_is_absent_wherever_absent_is_allowed(tool: str, null: str | None) -> None:
    model = BY_NAME[tool].request
    least = LEAST.get(tool) or needed(model)
    plain, _ = parse(model, least)
    for name in model.model_fields.keys() - least.keys() - (TEXTS | NAMES if null else set()):
        given, notes = parse(model, {**least, name: null})
        assert given.model_dump() == plain.model_dump(), name
        assert notes == []


@pytest.mark.parametrize("null", [None, "null"])
def test_null_is_absent_inside_widgets_filters_groupings_and_layouts_too(null: str | None) -> None:
    model = BY_NAME["bulk_edit_dashboard"].request
    nothing = dict.fromkeys(["field", "op", "value", "operator", "conditions"], null)
    widget = {
        **PIE,
        "metric": null,
        "time_period": null,
        "aggregation_function": null,
        "place": null,
        "data_type": null,
    }
    widget |= {"filters": nothing, "group_by": {"type": "field", "field": null, "interval": null}, "metadata": null}
    widget |= {"layout": dict.fromkeys("xywh", null)}
    given, _ = parse(model, {"dashboard_id": 11, "create": [widget]})
    assert given.create[0].values() == parse(model, {"dashboard_id": 11, "create": [PIE]})[0].create[0].values()


@pytest.mark.parametrize(
    ("nulls", "without_label"),
    [(["label"], True), (["label", "page"], False), (["label", "window"], False), (["label", "sort", "limit"], False)],
)
def test_a_null_label_means_calls_without_a_value_unless_other_nulls_are_filled_in(
    nulls: list[str], *, without_label: bool
) -> None:
    request, _ = parse(BY_NAME["list_calls"].request, {"widget_id": 206, **dict.fromkeys(nulls)})
    assert request.without_label is without_label


@pytest.mark.parametrize(
    ("tool", "arguments", "name"),
    [
        ("list_dashboards", {}, "search"),
        ("look_up", {"kind": "topics"}, "search"),
        ("list_calls", {"widget_id": 206}, "label"),
        ("list_calls", {"widget_id": 206}, "group"),
        ("list_calls", {"widget_id": 206}, "said"),
    ],
)
def test_what_is_looked_for_may_be_the_text_null(tool: str, arguments: Json, name: str) -> None:
    given, _ = parse(BY_NAME[tool].request, {**arguments, name: "null"})
    assert getattr(given, name) == "null"


def test_a_filter_may_ask_for_the_text_null() -> None:
    asked = {"field": "metadata.campaign", "op": "eq", "value": "null"}
    given, _ = parse(BY_NAME["get_widgets_data"].request, {"dashboard_id": 11, "filters": asked})
    assert given.filters.to_json() == asked


WITH_NAME: list[tuple[str, Callable[[str], Json]]] = [
    ("create_dashboard", lambda name: {"name": name, "project_id": 1}),
    ("create_dashboard", lambda name: {"name": "New", "project_id": 1, "widgets": [{**PIE, "name": name}]}),
    ("update_dashboard", lambda name: {"dashboard_id": 11, "name": name}),
    ("update_widget", lambda name: {"widget_id": 203, "changes": {"name": name, "time_period": "week"}}),
    ("update_widget", lambda name: {"widget_id": 203, "changes": {"name": name}}),
    ("bulk_edit_dashboard", lambda name: {"dashboard_id": 11, "update": [{"id": 203, "name": name}]}),
    ("bulk_edit_dashboard", lambda name: {"dashboard_id": 11, "create": [{**PIE, "name": name}]}),
    ("preview_edit", lambda name: {"dashboard_id": 11, "create": [{**PIE, "name": name}]}),
]


@pytest.mark.parametrize("null", ["null", "Null"])
@pytest.mark.parametrize(("tool", "with_name"), WITH_NAME)
def test_null_is_no_new_name(tool: str, with_name: Callable[[str], Json], null: str) -> None:
    parse(BY_NAME[tool].request, with_name("Null values"))
    with pytest.raises(InvalidArguments, match=rf'name: "{null}" counts as no value; give another name'):
        parse(BY_NAME[tool].request, with_name(null))


@pytest.mark.anyio
async def test_a_name_that_was_null_before_is_put_back_by_undo() -> None:
    app = new_sandbox()
    app.state.world.store._widgets[203]["name"] = "null"  # noqa: SLF001 - people can name it so in the web interface
    before = stored(app)
    async with open_tools(app) as (context, _):
        _, done = await ask(context, "update_widget", widget_id=203, changes={"name": "Success"})
        await ask(context, done["undo"]["tool"], **done["undo"]["arguments"])
    assert stored(app) == before


def test_what_is_required_and_null_is_missing() -> None:
    with pytest.raises(InvalidArguments, match="dashboard_id: is missing"):
        parse(BY_NAME["get_dashboard"].request, {"dashboard_id": None})


HOST: Json = {
    "toolCallId": "call_1", "sessionId": "4f2a", "action": "sendMessage", "chatInput": "How was the week?",
}  # fmt: skip


@pytest.mark.anyio
@pytest.mark.parametrize("tool", [tool.name for tool in TOOLS])
async def test_a_hosts_bookkeeping_is_dropped_and_told(tool: str) -> None:
    model = BY_NAME[tool].request
    least = LEAST.get(tool) or needed(model)
    given, notes = parse(model, {**HOST, **least})
    assert given == parse(model, least)[0]
    assert notes == ["toolCallId, sessionId, action, chatInput: ignored, internal to the client"]


def test_an_action_of_the_tool_is_kept_beside_a_hosts_bookkeeping() -> None:
    given, notes = parse(BY_NAME["save_alert"].request, {**HOST, "alert_id": 701, "action": "off"})
    assert given == parse(BY_NAME["save_alert"].request, {"alert_id": 701, "action": "off"})[0]
    assert notes == ["toolCallId, sessionId, chatInput: ignored, internal to the client"]


@pytest.mark.anyio
async def test_a_host_that_adds_its_bookkeeping_gets_its_answer(era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        result = await client.call_tool("list_dashboards", {**HOST, "page": None, "search": None})
    assert not result.is_error
    assert "Operations overview" in text_of(result)
    assert "chatInput: ignored" in text_of(result)


@pytest.mark.parametrize(
    "given",
    [
        {"toolcallid": "x"}, {"session_id": "x"}, {"sessionID": "x"}, {"chat_input": "x"}, {"Action": "x"},
        {"filters": {**HOST, "field": "success", "op": "eq", "value": True}}, {"serch": "x"}, {"colour": None},
    ],
)  # fmt: skip
def test_misspellings_stay_refused(given: Any) -> None:
    with pytest.raises(InvalidArguments, match="is not an argument here"):
        parse(BY_NAME["get_widgets_data"].request, {"dashboard_id": 11, **given})
