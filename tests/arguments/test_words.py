"""Unambiguous aliases of arguments and values are accepted and reported; names are accepted for ids."""

from typing import Any

import pytest

from cekura_dashboards.api import errors
from cekura_dashboards.api.models import AGGREGATIONS, CHART_TYPES, FILTER_OPS, FILTERED, PLOTTED, TIME_PERIODS
from cekura_dashboards.api.wire import Response
from cekura_dashboards.arguments import shapes
from cekura_dashboards.arguments.reader import parse
from support import BY_NAME, Era, Json, ask, connect, force, new_sandbox, open_tools, shared_sandbox, text_of

pytestmark = pytest.mark.anyio
BAR: Json = {"chart_type": "bar", "field": "duration", "aggregation_function": "avg", "time_period": "day"}

ALIASES: list[tuple[str, Json, Json, str]] = [
    ("preview_widget", {"widget": {"type": "donut", "field": "topics", "title": "T"}},
     {"widget": {"chart_type": "pie", "field": "topic", "name": "T"}}, "widget.type was read as chart_type"),
    ("preview_widget", {"widget": {"chartType": "Column", "field": "duration", "aggregation": "Average", "interval": "daily"}},
     {"widget": BAR}, 'widget.aggregation_function: "Average" was read as "avg"'),
    ("preview_widget", {"widget": {**BAR, "groupBy": {"type": "field", "field": "agent.id"}}},
     {"widget": {**BAR, "group_by": {"type": "field", "field": "agent.id"}}}, "widget.groupBy was read as group_by"),
    ("preview_widget", {"widget": {**BAR, "field": "agent", "aggregation_function": "count"}, "time_range": "last 7 days"},
     {"widget": {**BAR, "field": "agent_id", "aggregation_function": "count"}, "window": "7d"}, 'window: "last 7 days" was read as "7d"'),
    ("get_widgets_data", {"id": 11, "filter": {"column": "agent_id", "operator": "==", "value": 33}},
     {"dashboard_id": 11, "filters": {"field": "agent.id", "op": "eq", "value": 33}}, 'filters.op: "==" was read as "eq"'),
    ("get_widgets_data", {"ids": [203], "filters": {"operator": "any", "conditions": [{"field": "duration", "op": ">=", "value": "60"}]}},
     {"widget_ids": [203], "filters": {"operator": "or", "conditions": [{"field": "duration", "op": "gte", "value": 60}]}}, 'filters.operator: "any" was read as "or"'),
    ("get_dashboard", {"dashboard": "11"}, {"dashboard_id": 11}, "dashboard was read as dashboard_id"),
    ("look_up", {"type": "metric", "query": "lat"}, {"kind": "metrics", "search": "lat"}, 'kind: "metric" was read as "metrics"'),
    ("update_widget", {"widget": 203, "set": {"label": "N"}}, {"widget_id": 203, "changes": {"name": "N"}}, "changes.label was read as name"),
    ("bulk_edit_dashboard", {"dashboardId": 11, "add": [{**BAR}], "remove": [205]},
     {"dashboard_id": 11, "create": [BAR], "delete": [205]}, "remove was read as delete"),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "aliased", "expected", "note"), ALIASES, ids=[g[3] for g in ALIASES])
def test_unambiguous_aliases_are_accepted_and_reported(tool: str, aliased: Json, expected: Json, note: str) -> None:
    model = BY_NAME[tool].request
    request, notes = parse(model, aliased)
    plain, none = parse(model, expected)
    assert request == plain
    assert note in notes
    assert none == []


def test_an_alias_is_rejected_beside_its_argument() -> None:
    with pytest.raises(errors.InvalidArguments, match=r"`widget\.type` is not an argument here"):
        parse(BY_NAME["preview_widget"].request, {"widget": {**BAR, "type": "pie"}})


def test_every_alias_maps_to_a_known_argument_or_value() -> None:
    fields = {name for tool in BY_NAME.values() for name in _fields(tool.request)}
    assert {name for options in shapes.ARGUMENTS.values() for name in options} <= fields | {"compare_to"}
    choices = {
        "chart_type": CHART_TYPES,
        "aggregation_function": AGGREGATIONS,
        "time_period": TIME_PERIODS,
        "op": FILTER_OPS,
    }
    for argument, known in choices.items():
        assert set(shapes.VALUES[argument].values()) <= set(known)
        assert not set(shapes.VALUES[argument]) & set(known)
    assert set(shapes.PLOTTED_FIELDS.values()) <= set(PLOTTED)
    assert set(shapes.FILTER_FIELDS.values()) <= set(FILTERED)


def _fields(model: Any) -> set[str]:
    fields = set[str](model.model_fields)
    inner = [getattr(kind, "__args__", ()) for kind in (info.annotation for info in model.model_fields.values())]
    for kinds in inner:
        for kind in kinds:
            for part in (kind, *getattr(kind, "__args__", ())):
                if hasattr(part, "model_fields") and part is not model:
                    fields |= _fields(part)
    return fields


NEAR_MISSES: list[tuple[str, Json, str]] = [
    ("preview_widget", {"widget": {"chart_type": "pai", "field": "topic"}}, 'widget.chart_type: "pai" is not allowed; did you mean `pie`?'),
    ("preview_widget", {"widget": {**BAR, "aggregation_function": "cuont"}}, "did you mean `count`?"),
    ("preview_widget", {"widget": {**BAR, "field": "duraton"}}, 'widget.field: "duraton" cannot be plotted; did you mean `duration`?'),
    ("preview_widget", {"widget": {**BAR, "group_by": {"type": "field", "field": "agent.ids"}}}, "did you mean `agent.id`?"),
    ("preview_widget", {"widget": {**BAR, "filters": {"field": "topc", "op": "eq", "value": "x"}}}, 'widget.filters.field: "topc" cannot be filtered; did you mean `topic`?'),
    ("preview_widget", {"widget": {**BAR, "filters": {"field": "topic", "op": "contain", "value": "x"}}}, "did you mean `contains`?"),
    ("preview_widget", {"widget": {**BAR, "colour": 1}}, "`widget.colour` is not an argument here"),
    ("preview_widget", {"widget": BAR, "project_id": 1}, "not an argument here; give dashboard_id, which is in one project."),
    ("update_dashboard", {"dashboard_id": 11, "nmae": "x"}, "did you mean `name`?"),
    ("get_dashboard", {"dashboard_id": "Operation overview"}, 'Not found. dashboard_id: no dashboard "Operation overview"; did you mean "Operations overview" (11)?'),
    ("update_widget", {"widget_id": "Sucess rate", "changes": {"name": "x"}}, 'Not found. widget_id: no widget "Sucess rate"; did you mean "Success rate" (203)?'),
    ("get_dashboard", {"dashboard_id": "zzzzzz"}, 'no dashboard "zzzzzz"; list_dashboards shows them.'),
    ("bulk_edit_dashboard", {"dashboard_id": 13, "delete": ["Success rate"]}, 'delete[0]: no widget "Success rate"; get_dashboard lists'),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "arguments", "message"), NEAR_MISSES, ids=[n[2] for n in NEAR_MISSES])
async def test_near_misses_are_rejected_with_a_suggestion(tool: str, arguments: Json, message: str, era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert message in text_of(result)


@pytest.mark.parametrize(
    ("tool", "given", "path"),
    [
        ("get_dashboard", {"dashboard_id": [1]}, "dashboard_id"),
        ("get_widgets_data", {"widget_ids": [203, None]}, "widget_ids[1]"),
        ("list_dashboards", {"project_id": True}, "project_id"),
        ("preview_widget", {"widget": {**BAR, "metric": 1.5}}, "widget.metric"),
    ],
)
async def test_values_that_are_neither_ids_nor_names_are_rejected(tool: str, given: Json, path: str) -> None:
    with pytest.raises(errors.InvalidArguments) as refusal:
        parse(BY_NAME[tool].request, given)
    assert f"{path}: " in str(refusal.value)
    assert "is not valid; it must be an id or a name." in str(refusal.value)


async def test_exact_names_are_resolved_to_ids_and_reported() -> None:
    async with open_tools(new_sandbox(count=200)) as (context, _):
        _, answer = await ask(context, "get_dashboard", dashboard_id="Booking agent")
        assert answer["id"] == 12
        assert 'dashboard_id: "Booking agent" was read as dashboard 12' in answer["notes"]
        text, edited = await ask(
            context,
            "bulk_edit_dashboard",
            dashboard_id="operations overview",
            update=[{"id": "Topics", "name": "Subjects"}],
        )
        assert edited["changes"][0]["id"] == 206
        assert 'update[0].id: "Topics" was read as widget 206' in text
        _, copied = await ask(context, "copy_widgets", widget_ids="Success rate", dashboard_ids=["Booking agent", 13])
        assert {change["dashboard_id"] for change in copied["changes"]} == {12, 13}


async def test_an_ambiguous_name_is_rejected_with_all_ids() -> None:
    app = new_sandbox(count=10)
    app.state.world.store.create_dashboard({"name": "Booking agent", "project": 2})
    async with open_tools(app) as (context, recorder):
        with pytest.raises(
            errors.InvalidArguments,
            match=r'2 dashboards are called "Booking agent"; give the id: 12 \(project 1\), 14 \(project 2\)',
        ):
            await ask(context, "delete_dashboard", dashboard_id="Booking agent")
        await ask(context, "copy_widgets", widget_ids=[203], dashboard_ids=[12])
        with pytest.raises(
            errors.InvalidArguments,
            match=r'"Success rate"; give the id: 203 \(dashboard 11 "Operations overview"\), \d+ \(dashboard 12 "Booking agent"\)',
        ):
            await ask(context, "update_widget", widget_id="Success rate", changes={"name": "x"})
        _, receipt = await ask(
            context, "bulk_edit_dashboard", dashboard_id=11, update=[{"id": "Success rate", "name": "x"}]
        )
        assert receipt["changes"][0]["id"] == 203
        assert len(recorder.writes()) == 2


async def test_equally_named_widgets_are_listed_with_type_and_field() -> None:
    app = new_sandbox(count=10)
    force(app, 202, name="Success rate")
    async with open_tools(app) as (context, _):
        with pytest.raises(
            errors.InvalidArguments, match=r"give the id: 202 \(bar of agent_id\), 203 \(bar of success\)"
        ):
            await ask(context, "bulk_edit_dashboard", dashboard_id=11, update=[{"id": "Success rate", "name": "x"}])


async def test_ids_of_an_ambiguous_name_are_limited_to_six_and_a_count() -> None:
    app = new_sandbox(count=10)
    for number in range(202, 210):
        force(app, number, name="Same")
    async with open_tools(app) as (context, _):
        with pytest.raises(
            errors.InvalidArguments, match=r"8 widgets are called \"Same\"; give the id: 202 .* and 2 more\."
        ):
            await ask(context, "list_calls", widget_id="Same")


async def test_ambiguous_names_are_listed_by_id_if_dashboards_are_unreadable() -> None:
    app = new_sandbox(count=10)
    app.state.world.store.create_dashboard({"name": "Booking agent", "project": 2})
    async with open_tools(app) as (context, recorder):
        await ask(context, "copy_widgets", widget_ids=[203], dashboard_ids=[12])
        recorder.fault = lambda sent: Response(403, b"{}") if sent.path == "/dashboards/dashboards/" else None
        with pytest.raises(
            errors.InvalidArguments, match=r'2 widgets are called "Success rate"; give the id: 203, \d+\.'
        ):
            await ask(context, "list_calls", widget_id="Success rate")


async def test_names_are_resolved_only_if_all_other_arguments_are_valid() -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        with pytest.raises(errors.InvalidArguments):
            await ask(context, "get_widgets_data", dashboard_id="Booking agent", points=99)
        assert recorder.sent == []
