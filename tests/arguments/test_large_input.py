"""Oversized arguments are rejected before any work is done; blanks that strict clients fill in count as absent."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.arguments.reader import MOST_CHARACTERS, MOST_ITEMS, parse
from support import BY_NAME, PIE, Json, ask, new_sandbox, open_tools, shared_sandbox

TOO_LARGE: dict[str, tuple[str, Json]] = {
    "30,000 unknown arguments": ("get_widgets_data", {f"argument {i}": i for i in range(30_000)}),
    "60,000 names": ("get_widgets_data", {"widget_ids": [f"name {i}" for i in range(60_000)]}),
    "many names in JSON text": ("get_widgets_data", {"widget_ids": json.dumps([f"name {i}" for i in range(9_000)])}),
    "a long text": ("list_dashboards", {"search": "x" * MOST_CHARACTERS}),
    "many small objects": ("preview_widget", {"widget": {"metadata": [[[[i]] * 400] * 400 for i in range(400)]}}),
    "keys in metadata": ("preview_widget", {"widget": {**PIE, "metadata": {str(i): i for i in range(MOST_ITEMS + 1)}}}),
}  # fmt: skip


@pytest.mark.anyio
@pytest.mark.parametrize("case", TOO_LARGE)
async def test_oversized_arguments_are_rejected_by_size_before_any_request(case: str) -> None:
    tool, arguments = TOO_LARGE[case]
    async with open_tools(shared_sandbox()) as (context, recorder):
        with pytest.raises(
            InvalidArguments,
            match=r"[0-9]+ items in one object or list are too many|characters in total, which is too large",
        ):
            await ask(context, tool, **arguments)
    assert recorder.sent == []


LONE_SURROGATES: list[tuple[str, Json, str]] = [
    ("list_dashboards", {"search": "a\ud83d"}, r'search: "a\\ud83d" contains half a character'),
    ("get_dashboard", {"dashboard_id": "\udc00"}, "dashboard_id: "),
    ("update_widget", {"widget_id": 203, "changes": {"name": "\ud83d"}}, "changes.name: "),
    ("preview_widget", {"widget": {**PIE, "metadata": {"\ud83d": 1}}}, "widget.metadata: "),
    ("get_widgets_data", {"widget_ids": ["\ud83d"]}, r"widget_ids\[0\]: "),
    ("preview_widget", {"widget": r'{"chart_type":"pie","field":"topic","name":"\ud83d"}'}, "widget.name: "),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("tool", "arguments", "message"), LONE_SURROGATES)
async def test_a_lone_surrogate_is_rejected_with_its_argument_path(tool: str, arguments: Json, message: str) -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        with pytest.raises(InvalidArguments, match=message):
            await ask(context, tool, **arguments)
    assert recorder.sent == []


def test_a_surrogate_pair_is_decoded_as_one_character() -> None:
    request, _ = parse(BY_NAME["list_dashboards"].request, {"search": json.loads(r'"\ud83d\ude00"')})
    assert request.model_dump()["search"] == "😀"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "number", [10**309, -(10**4000), float("inf"), float("nan")], ids=["309", "4000", "inf", "nan"]
)
async def test_numbers_too_large_for_json_are_rejected_in_every_argument(number: float) -> None:
    condition: Json = {"field": "duration", "op": "gt", "value": number}
    calls: list[tuple[str, Json]] = [
        ("get_dashboard", {"dashboard_id": number}),
        ("get_widgets_data", {"dashboard_id": 11, "filters": {"operator": "and", "conditions": [condition]}}),
        ("preview_widget", {"widget": {**PIE, "metadata": {"layout": [number]}}}),
        ("update_dashboard", {"dashboard_id": 11, "filters": condition}),
    ]
    async with open_tools(shared_sandbox()) as (context, recorder):
        for tool, arguments in calls:
            with pytest.raises(
                InvalidArguments,
                match=r"(dashboard_id|value|layout).*: is too large a number for JSON; at most 308 digits",
            ):
                await ask(context, tool, **arguments)
    assert recorder.sent == []


def test_an_error_lists_the_first_eight_faults_and_counts_the_rest() -> None:
    with pytest.raises(InvalidArguments) as caught:
        parse(BY_NAME["get_widgets_data"].request, {f"argument {i}": i for i in range(MOST_ITEMS)})
    assert str(caught.value).endswith(f"… and {MOST_ITEMS - 8} more")


def nest(depth: int, wrap: Callable[[Any], Any]) -> Any:
    value: Any = {"success": True}
    for _ in range(depth):
        value = wrap(value)
    return value


WRAPPERS: list[Callable[[Any], Any]] = [
    lambda inner: {"not": inner},
    lambda inner: {"not": {"and": [inner]}},
    lambda inner: {"operator": "same_row", "conditions": [inner]},
    lambda inner: [inner],
    lambda inner: {"success": {"not": inner}},
]


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("depth", [60, 250])
@pytest.mark.parametrize("wrap", WRAPPERS)
def test_arguments_nested_over_40_levels_deep_are_rejected(
    depth: int, wrap: Callable[[Any], Any], *, as_text: bool
) -> None:
    deep = nest(depth, wrap)
    with pytest.raises(InvalidArguments, match="nested more than 40 levels deep"):
        parse(
            BY_NAME["get_widgets_data"].request, {"dashboard_id": 11, "filters": json.dumps(deep) if as_text else deep}
        )


BLANKS: list[tuple[str, Json, Json]] = [
    ("get_widgets_data", {"dashboard_id": 11}, {"widget_ids": [], "window": "", "filters": {}, "compare_to": "", "compare_filters": {}}),
    ("get_widgets_data", {"widget_ids": [203]}, {"dashboard_id": 0, "filters": {"field": "", "value": "", "conditions": []}}),
    ("list_dashboards", {}, {"project_id": 0, "search": "", "page": 0}),
    ("look_up", {"kind": "agents"}, {"search": "", "field": "", "project_id": 0, "agent_id": 0}),
    ("list_calls", {"widget_id": 203}, {"widget": {}, "dashboard_id": 0, "window": "", "label": "", "group": "", "transcript": 0, "filters": {}}),
    ("preview_widget", {"widget": PIE, "dashboard_id": 11}, {"share_where": {}, "compare_to": "", "window": ""}),
    ("explain_change", {"widget_id": 203}, {"by": [], "widget": {}, "dashboard_id": 0, "compare_to": "", "project_id": 0}),
    ("update_widget", {"widget_id": 203, "changes": {"name": "New"}}, {"plan_id": "", "restored": [], "clear": []}),
    ("bulk_edit_dashboard", {"dashboard_id": 11, "create": [PIE]}, {"update": [], "delete": [], "plan_id": "", "restored": []}),
    ("create_dashboard", {"name": "New", "project_id": 1}, {"filters": {}, "widgets": [], "copy_of": 0, "plan_id": ""}),
    ("update_dashboard", {"dashboard_id": 11, "name": "New"}, {"filters": {}, "clear": [], "plan_id": ""}),
    ("copy_widgets", {"widget_ids": [203], "dashboard_ids": [12]}, {"remove": [], "plan_id": "", "restored": []}),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "arguments", "blanks"), BLANKS, ids=[f"{i}-{b[0]}" for i, b in enumerate(BLANKS)])
def test_blank_optional_arguments_count_as_absent(tool: str, arguments: Json, blanks: Json) -> None:
    model = BY_NAME[tool].request
    plain, _ = parse(model, arguments)
    filled, notes = parse(model, {**arguments, **blanks})
    assert filled.model_dump() == plain.model_dump()
    assert notes == []


def test_blank_widget_properties_count_as_absent() -> None:
    blanks: Json = {
        "metric": 0,
        "data_type": "",
        "time_period": "",
        "aggregation_function": "",
        "group_by": {},
        "filters": {},
    }
    plain, _ = parse(BY_NAME["preview_widget"].request, {"widget": PIE})
    filled, _ = parse(BY_NAME["preview_widget"].request, {"widget": {**PIE, **blanks, "metadata": {}}})
    assert filled.model_dump() == plain.model_dump()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"points": 0, "dashboard_id": 11}, "points"), ({"dashboard_id": 11, "filters": {"field": "topic", "op": "eq", "value": ""}}, "filters")],
)  # fmt: skip
def test_falsy_values_with_a_meaning_are_kept(arguments: Json, name: str) -> None:
    request, _ = parse(BY_NAME["get_widgets_data"].request, arguments)
    parsed = request.model_dump(exclude_none=True)[name]
    assert parsed == arguments[name]


@pytest.mark.anyio
async def test_a_client_that_fills_in_every_property_can_edit_a_widget() -> None:
    async with open_tools(new_sandbox()) as (context, _):
        filled: Json = {
            "name": "New",
            "field": "",
            "metric": 0,
            "time_period": "",
            "filters": {},
            "group_by": {},
            "metadata": {},
        }
        text, answer = await ask(
            context, "update_widget", widget_id=203, changes=filled, clear=[], plan_id="", restored=[]
        )
    assert answer["outcome"] == "applied"
    assert list(answer["changes"][0]["fields"]) == ["name"]
    assert "empty values were ignored for field, filters, group_by, metadata, metric, time_period" in text
