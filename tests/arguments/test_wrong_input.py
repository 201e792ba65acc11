"""Invalid input: no crash, no request, and every error names the argument and a fix."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cekura_dashboards import Tool
from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.models import is_list, is_object
from cekura_dashboards.arguments.reader import parse
from cekura_dashboards.arguments.schema import input_schemas
from support import BY_NAME, Json, ask, open_tools, sample_calls, shared_sandbox

WORDS = [
    "widget",
    "id",
    "name",
    "chart_type",
    "field",
    "op",
    "value",
    "filters",
    "conditions",
    "operator",
    "window",
    "plan_id",
    "kind",
]
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["11", "true", "[1]", '{"a": 1}', "{", "[" * 50, "\x00", "\u202e", "💥", "pie", "topic", "7d", "-1", "1e400"])
)  # fmt: skip
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=15,
)
arbitrary = st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=8), anything, max_size=5)
VALID: dict[str, Json] = {
    "list_dashboards": {"project_id": 1, "search": "x", "page": 1},
    "get_dashboard": {"dashboard_id": 11},
    "look_up": {"kind": "values", "field": "topic", "project_id": 1},
    "get_widgets_data": {"dashboard_id": 11, "widget_ids": [201], "window": "7d", "filters": {"field": "success", "op": "eq", "value": True}, "points": 5},
    "preview_widget": {"widget": {"name": "x", "chart_type": "bar", "field": "duration", "aggregation_function": "avg", "time_period": "day",
                                  "group_by": {"type": "field", "field": "topic"},
                                  "filters": {"operator": "and", "conditions": [{"field": "topic", "op": "in", "value": ["a"]}]}}, "dashboard_id": 11},
    "update_widget": {"widget_id": 203, "changes": {"name": "x", "metadata": {"a": 1}}, "clear": ["filters"], "plan_id": "x"},
    "bulk_edit_dashboard": {"dashboard_id": 11, "create": [{"chart_type": "pie", "field": "topic"}], "update": [{"id": 203, "name": "x"}], "delete": [205], "plan_id": "x; widget 1 = 2 #AAAAAAAA"},
    "preview_edit": {"dashboard_id": 11, "create": [{"chart_type": "pie", "field": "topic", "place": "top"}], "update": [{"id": 203, "clear": ["name"]}], "delete": [205]},
    "create_dashboard": {"name": "x", "project_id": 1, "filters": {"field": "success", "op": "eq", "value": True}, "widgets": [{"chart_type": "stat"}], "copy_of": 11},
    "update_dashboard": {"dashboard_id": 11, "name": "x", "clear": ["filters"], "plan_id": "x"},
    "delete_dashboard": {"dashboard_id": 11, "plan_id": "x"},
    "copy_widgets": {"widget_ids": [203], "dashboard_ids": [12, 13], "remove": [301], "plan_id": "x"},
    "check_dashboard": {"dashboard_id": 11},
    "list_calls": {"widget": {"chart_type": "pie", "field": "topic"}, "dashboard_id": 11, "window": "7d", "label": "x", "filters": {"field": "success", "op": "eq", "value": True}, "limit": 3},
    "find_changes": {"dashboard_ids": [11], "project_id": 1, "window": "7d", "compare_to": "previous_week", "limit": 5},
    "explain_change": {"widget_id": 203, "window": "7d", "compare_to": "previous_week", "by": ["topic"], "project_id": 1},
}  # fmt: skip
VALID.update(call for writes in (False, True) for call in sample_calls(VALID, writes=writes))


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every element of a JSON value."""
    inner: list[tuple[Any, Any]] = (
        list(value.items()) if is_object(value) else list(enumerate(value)) if is_list(value) else []
    )
    return [path, *(place for key, item in inner for place in paths(item, (*path, key)))]


def replace_at(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy: Any = dict(value) if is_object(value) else list(value)
    copy[path[0]] = replace_at(value[path[0]], path[1:], new)
    return copy


@st.composite
def near_valid(draw: st.DrawFn, name: str) -> Json:
    """Valid arguments with one or two elements replaced, or one unknown argument added."""
    result: Any = VALID[name]
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(paths(result)[1:] or [()]))
        result = replace_at(result, path, draw(anything)) if path else {**result, draw(st.text(max_size=6)): 1}
    arguments: Json = result
    return arguments


def check_parsed(tool: Tool[Any, Any], arguments: Json) -> None:
    """Arguments are accepted, or rejected with their names and a fix."""
    refusal = rejection_of(tool, arguments)
    if refusal is None:
        return
    assert refusal.faults
    assert str(refusal).startswith("Nothing was sent.")
    for fault in refusal.faults:
        assert len(fault.message) > 5
        assert "pydantic" not in fault.message
        assert "validation error" not in fault.message
        assert len(str(fault)) < 700


def rejection_of(tool: Tool[Any, Any], arguments: Json) -> InvalidArguments | None:
    try:
        parse(tool.request, arguments)
    except InvalidArguments as error:
        return error
    return None


@pytest.mark.no_cover
@pytest.mark.parametrize("name", BY_NAME)
def test_arbitrary_json_is_accepted_or_rejected_with_a_fix(name: str) -> None:
    @given(arbitrary)
    def run(arguments: Json) -> None:
        check_parsed(BY_NAME[name], arguments)

    run()


@pytest.mark.no_cover
@pytest.mark.parametrize("name", BY_NAME)
def test_nearly_valid_arguments_are_accepted_or_rejected_with_a_fix(name: str) -> None:
    @given(near_valid(name))
    def run(arguments: Json) -> None:
        check_parsed(BY_NAME[name], arguments)

    run()


@pytest.mark.anyio
@pytest.mark.parametrize("name", BY_NAME)
async def test_rejected_arguments_send_no_request(name: str) -> None:
    wrong: list[Json] = [
        {**VALID[name], "colour": "red"},
        {key: {"not": ["what", "was", "asked"]} for key in VALID[name]},
        dict.fromkeys(VALID[name]),
        {"arguments": json.dumps(VALID[name])},
    ]  # fmt: skip
    async with open_tools(shared_sandbox()) as (context, recorder):
        for arguments in wrong[:2]:
            with pytest.raises(InvalidArguments):
                await ask(context, name, **arguments)
        for arguments in wrong[2:]:
            if rejection_of(BY_NAME[name], arguments):
                with pytest.raises(InvalidArguments):
                    await ask(context, name, **arguments)
        assert recorder.sent == []


REQUIRED = [
    (tool, argument)
    for tool in BY_NAME.values()
    for argument, info in tool.request.model_fields.items()
    if info.is_required()
]


@pytest.mark.parametrize(("tool", "argument"), REQUIRED, ids=[f"{tool.name} {name}" for tool, name in REQUIRED])
def test_a_missing_required_argument_is_reported_with_a_fix(tool: Tool[Any, Any], argument: str) -> None:
    with pytest.raises(InvalidArguments) as refusal:
        parse(tool.request, {})
    [fault] = [fault for fault in refusal.value.faults if fault.path == argument]
    assert re.search(r"is missing.*; (give |use )", fault.message)
    if argument.endswith(("_id", "_ids")):
        assert re.search("(list_dashboards|get_dashboard) ", fault.message)


@pytest.mark.parametrize("name", BY_NAME)
def test_the_sample_arguments_are_valid(name: str) -> None:
    _, notes = parse(BY_NAME[name].request, VALID[name])
    assert notes == []
    assert set(VALID[name]) <= set(input_schemas([BY_NAME[name].request])[BY_NAME[name].request]["properties"])
