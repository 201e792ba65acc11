"""Null, and "null" as text, count as absent in optional arguments; internal arguments of clients are ignored."""

from collections.abc import Callable
from typing import Any

import pytest

from cekura_dashboards import TOOLS
from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.arguments.reader import parse
from cekura_dashboards.tool import Request
from support import BY_NAME, PIE, Era, Json, ask, connect, new_sandbox, open_tools, shared_sandbox, stored, text_of

FREE_TEXTS = {"search", "label", "group", "said"}
NAMES = {"name"}
SAMPLE_VALUES: Json = {
    "dashboard_id": 11, "widget_id": 203, "kind": "metrics", "widget": PIE, "widget_ids": [203], "dashboard_ids": [12], "name": "New",
}  # fmt: skip
MINIMAL_ARGUMENTS: dict[str, Json] = {
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
"""By tool that needs more than its required arguments: the fewest arguments that are valid."""


def required_arguments(model: type[Request]) -> Json:
    return {name: SAMPLE_VALUES[name] for name, info in model.model_fields.items() if info.is_required()}


@pytest.mark.parametrize("null", [None, "null", "NULL", " null "])
@pytest.mark.parametrize("tool", [tool.name for tool in TOOLS])
def test_null_optional_arguments_count_as_absent(tool: str, null: str | None) -> None:
    model = BY_NAME[tool].request
    minimal = MINIMAL_ARGUMENTS.get(tool) or required_arguments(model)
    plain, _ = parse(model, minimal)
    for name in model.model_fields.keys() - minimal.keys() - (FREE_TEXTS | NAMES if null else set()):
        parsed, notes = parse(model, {**minimal, name: null})
        assert parsed.model_dump() == plain.model_dump(), name
        assert notes == []


@pytest.mark.parametrize("null", [None, "null"])
def test_null_counts_as_absent_in_widgets_filters_groupings_and_layouts(null: str | None) -> None:
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
    parsed, _ = parse(model, {"dashboard_id": 11, "create": [widget]})
    assert parsed.create[0].values() == parse(model, {"dashboard_id": 11, "create": [PIE]})[0].create[0].values()


@pytest.mark.parametrize(
    ("nulls", "without_label"),
    [(["label"], True), (["label", "page"], False), (["label", "window"], False), (["label", "sort", "limit"], False)],
)
def test_a_null_label_selects_calls_without_a_value_if_it_is_the_only_null(
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
def test_the_text_null_is_a_valid_search_term(tool: str, arguments: Json, name: str) -> None:
    parsed, _ = parse(BY_NAME[tool].request, {**arguments, name: "null"})
    assert getattr(parsed, name) == "null"


def test_the_text_null_is_a_valid_filter_value() -> None:
    condition = {"field": "metadata.campaign", "op": "eq", "value": "null"}
    parsed, _ = parse(BY_NAME["get_widgets_data"].request, {"dashboard_id": 11, "filters": condition})
    assert parsed.filters.to_json() == condition


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
def test_null_is_rejected_as_a_new_name(tool: str, with_name: Callable[[str], Json], null: str) -> None:
    parse(BY_NAME[tool].request, with_name("Null values"))
    with pytest.raises(InvalidArguments, match=rf'name: "{null}" counts as no value; give another name'):
        parse(BY_NAME[tool].request, with_name(null))


@pytest.mark.anyio
async def test_undo_restores_a_name_that_was_the_text_null() -> None:
    app = new_sandbox()
    app.state.world.store._widgets[203]["name"] = "null"  # noqa: SLF001 - such names are possible in the web interface
    before = stored(app)
    async with open_tools(app) as (context, _):
        _, receipt = await ask(context, "update_widget", widget_id=203, changes={"name": "Success"})
        await ask(context, receipt["undo"]["tool"], **receipt["undo"]["arguments"])
    assert stored(app) == before


def test_a_null_required_argument_is_reported_as_missing() -> None:
    with pytest.raises(InvalidArguments, match="dashboard_id: is missing"):
        parse(BY_NAME["get_dashboard"].request, {"dashboard_id": None})


CLIENT_ARGUMENTS: Json = {
    "toolCallId": "call_1", "sessionId": "4f2a", "action": "sendMessage", "chatInput": "How was the week?",
}  # fmt: skip


@pytest.mark.anyio
@pytest.mark.parametrize("tool", [tool.name for tool in TOOLS])
async def test_internal_arguments_of_a_client_are_ignored_and_reported(tool: str) -> None:
    model = BY_NAME[tool].request
    minimal = MINIMAL_ARGUMENTS.get(tool) or required_arguments(model)
    parsed, notes = parse(model, {**CLIENT_ARGUMENTS, **minimal})
    assert parsed == parse(model, minimal)[0]
    assert notes == ["toolCallId, sessionId, action, chatInput: ignored, internal to the client"]


def test_an_action_that_the_tool_accepts_is_kept_among_client_arguments() -> None:
    parsed, notes = parse(BY_NAME["save_alert"].request, {**CLIENT_ARGUMENTS, "alert_id": 701, "action": "off"})
    assert parsed == parse(BY_NAME["save_alert"].request, {"alert_id": 701, "action": "off"})[0]
    assert notes == ["toolCallId, sessionId, chatInput: ignored, internal to the client"]


@pytest.mark.anyio
async def test_a_client_that_adds_internal_arguments_gets_its_answer(era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        result = await client.call_tool("list_dashboards", {**CLIENT_ARGUMENTS, "page": None, "search": None})
    assert not result.is_error
    assert "Operations overview" in text_of(result)
    assert "chatInput: ignored" in text_of(result)


@pytest.mark.parametrize(
    "given",
    [
        {"toolcallid": "x"}, {"session_id": "x"}, {"sessionID": "x"}, {"chat_input": "x"}, {"Action": "x"},
        {"filters": {**CLIENT_ARGUMENTS, "field": "success", "op": "eq", "value": True}}, {"serch": "x"}, {"colour": None},
    ],
)  # fmt: skip
def test_misspelled_arguments_are_rejected(given: Any) -> None:
    with pytest.raises(InvalidArguments, match="is not an argument here"):
        parse(BY_NAME["get_widgets_data"].request, {"dashboard_id": 11, **given})
