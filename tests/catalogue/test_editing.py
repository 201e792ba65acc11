"""update_widget and bulk_edit_dashboard: changes, receipts and undo."""

import pytest

from cekura_dashboards.api import errors
from cekura_dashboards.api.wire import Response
from support import PIE, Json, Sent, ask, new_sandbox, open_tools, stored, undo

pytestmark = pytest.mark.anyio


CHANGES: list[Json] = [
    {"changes": {"name": "Renamed"}},
    {"changes": {"filters": {"field": "success", "op": "eq", "value": True}}},
    {"changes": {"group_by": {"type": "field", "field": "metadata.region"}}},
    {"changes": {"group_by": {"type": "bucket", "interval": 3_600_000}}},
    {"changes": {"metadata": {"colour": "red"}}},
    {"changes": {"metadata": {"layout": {"x": 9}}}},
    {"changes": {"chart_type": "pie"}, "clear": ["aggregation_function", "time_period"]},
    {"changes": {"field": "metric_evaluations.value", "metric": 501, "aggregation_function": "p95"}},
    {"changes": {"time_period": "hour", "data_type": "boolean"}},
    {"clear": ["name", "metadata"]},
    {"changes": {"metadata": {"only": 1}}, "clear": ["metadata"]},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
async def test_widget_changes_can_be_undone_and_redone(change: Json) -> None:
    app = new_sandbox()
    before = stored(app)
    async with open_tools(app) as (context, _):
        _, receipt = await ask(context, "update_widget", widget_id=203, **change)
        assert receipt["outcome"] == "applied"
        assert "differences" not in receipt
        assert stored(app) != before
        redo = await undo(context, receipt)
        assert stored(app) == before
        await undo(context, redo)
        assert stored(app) != before


async def test_only_changed_fields_are_sent_and_metadata_is_merged() -> None:
    app = new_sandbox()
    async with open_tools(app) as (context, recorder):
        await ask(
            context, "update_widget", widget_id=203, changes={"name": "Success rate", "metadata": {"colour": "red"}}
        )
        [write] = recorder.writes()
    assert write.body == {"metadata": {"layout": {"x": 6, "y": 2, "w": 6, "h": 4}, "colour": "red"}}


async def test_a_receipt_shows_values_before_and_after_the_edit() -> None:
    async with open_tools(new_sandbox()) as (context, _):
        text, receipt = await ask(context, "update_widget", widget_id=203, changes={"name": "New"})
    assert receipt["changes"] == [
        {"op": "update", "id": 203, "name": "New", "fields": {"name": ["Success rate", "New"]}}
    ]
    assert 'name: "Success rate" → "New"' in text
    assert receipt["undo"]["arguments"]["plan_id"] in text


async def test_null_changes_are_ignored_and_reported() -> None:
    async with open_tools(new_sandbox()) as (context, _):
        text, receipt = await ask(context, "update_widget", widget_id=203, changes={"name": "New", "filters": None})
    assert "empty values were ignored for filters" in text
    assert receipt["notes"]
    assert list(receipt["changes"][0]["fields"]) == ["name"]


async def test_unchanged_values_are_not_sent() -> None:
    async with open_tools(new_sandbox()) as (context, recorder):
        text, receipt = await ask(context, "update_widget", widget_id=203, changes={"name": "Success rate"})
        assert (receipt["outcome"], recorder.writes()) == ("nothing_to_do", [])
        assert text.startswith("Nothing to do")
        _, receipt = await ask(
            context, "bulk_edit_dashboard", dashboard_id=11, update=[{"id": 203, "name": "Success rate"}]
        )
        assert (receipt["outcome"], recorder.writes()) == ("nothing_to_do", [])


async def test_widget_fields_stored_differently_are_reported() -> None:
    def drop_the_name(sent: Sent) -> Response | None:
        return Response(200, b'{"id": 203, "dashboard": 11, "name": "Success rate", "chart_type": "bar", "field": "success", '
                           b'"aggregation_function": "avg", "time_period": "hour"}') if sent.method == "PATCH" else None  # fmt: skip

    async with open_tools(new_sandbox()) as (context, recorder):
        recorder.after = drop_the_name
        text, receipt = await ask(context, "update_widget", widget_id=203, changes={"name": "New"})
    assert receipt["differences"][0] == 'widget 203 name: sent "New", stored "Success rate"'
    assert any('time_period: also changed, from "day" to "hour"' in difference for difference in receipt["differences"])
    assert "NOT as requested" in text


async def test_a_delete_without_a_plan_only_lists_what_it_would_delete() -> None:
    app = new_sandbox()
    before = stored(app)
    async with open_tools(app) as (context, recorder):
        text, plan = await ask(context, "bulk_edit_dashboard", dashboard_id=11, delete=[205, 206])
        assert (plan["outcome"], recorder.writes(), stored(app) == before) == ("needs_plan", [], True)
        assert [change["name"] for change in plan["changes"]] == ["Why calls end", "Topics"]
        assert plan["plan_id"] in text
        _, receipt = await ask(
            context, "bulk_edit_dashboard", dashboard_id=11, delete=[205, 206], plan_id=plan["plan_id"]
        )
        assert (receipt["outcome"], len(stored(app))) == ("applied", 6)
        await undo(context, receipt)
    assert stored(app) == before


async def test_a_mixed_edit_and_its_undo_are_one_request_each() -> None:
    app = new_sandbox()
    before = stored(app)
    edit = {"dashboard_id": 11, "create": [PIE], "update": [{"id": 203, "clear": ["name"]}], "delete": [205]}
    async with open_tools(app) as (context, recorder):
        _, plan = await ask(context, "bulk_edit_dashboard", **edit)
        _, receipt = await ask(context, "bulk_edit_dashboard", **edit, plan_id=plan["plan_id"])
        assert [change["op"] for change in receipt["changes"]] == ["create", "update", "delete"]
        await undo(context, receipt)
        assert len(recorder.writes()) == 2
    assert stored(app) == before


async def test_a_chain_of_edits_is_undone_in_reverse_order() -> None:
    app = new_sandbox()
    before = stored(app)
    async with open_tools(app) as (context, _):
        receipts = list[Json]()
        for edit in (
            {"create": [PIE]},
            {"update": [{"id": 203, "name": "A"}]},
            {"update": [{"id": 203, "name": "B"}]},
        ):
            _, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=11, **edit)
            receipts.append(receipt)
        for receipt in reversed(receipts):
            await undo(context, receipt)
    assert stored(app) == before


async def test_a_plan_is_rejected_after_a_concurrent_edit() -> None:
    app = new_sandbox()
    async with open_tools(app) as (context, _):
        _, plan = await ask(context, "bulk_edit_dashboard", dashboard_id=11, delete=[205])
        app.state.world.store.update_widget(205, {"name": "Renamed by a colleague"})
        with pytest.raises(errors.PlanRefused, match='widget 205 changed: name is now "Renamed by a colleague"'):
            await ask(context, "bulk_edit_dashboard", dashboard_id=11, delete=[205], plan_id=plan["plan_id"])
    assert app.state.world.store.widget(205)["name"] == "Renamed by a colleague"


async def test_an_undo_is_rejected_after_a_concurrent_edit() -> None:
    app = new_sandbox()
    async with open_tools(app) as (context, _):
        _, receipt = await ask(context, "update_widget", widget_id=203, changes={"name": "Mine"})
        app.state.world.store.update_widget(203, {"name": "Theirs"})
        with pytest.raises(errors.PlanRefused, match='name is now "Theirs"'):
            await undo(context, receipt)
    assert app.state.world.store.widget(203)["name"] == "Theirs"


async def test_a_planned_create_is_rejected_after_another_create() -> None:
    app, edit = new_sandbox(), {"dashboard_id": 11, "create": [PIE]}
    async with open_tools(app) as (context, recorder):
        _, dry = await ask(context, "preview_edit", **edit)
        app.state.world.store.create_widget({**PIE, "dashboard": 11})
        with pytest.raises(errors.PlanRefused, match="dashboard 11 changed: widgets is now"):
            await ask(context, "bulk_edit_dashboard", **edit, plan_id=dry["plan_id"])
    assert recorder.writes() == []


@pytest.mark.parametrize(
    ("edit", "faults"),
    [
        ({"update": [{"id": 216, "name": "x"}], "delete": [9999]}, ["update[0].id", "delete[0]"]),
        ({"create": [{"chart_type": "line", "field": "topic"}]}, ["create[0].chart_type"]),
        ({"create": [{"chart_type": "bar", "field": "duration"}]}, ["create[0].aggregation_function", "create[0].time_period"]),
        ({"create": [{"chart_type": "pie", "field": "metric_evaluations.value", "metric": 999}]}, ["create[0].metric"]),
        ({"create": [{"chart_type": "line", "field": "metric_evaluations.value", "metric": 504}]}, ["create[0].chart_type"]),
        ({"create": [PIE, {"chart_type": "stat", "field": "topic"}]}, ["create[1].field"]),
        ({"update": [{"id": 202, "aggregation_function": "avg"}, {"id": 203, "aggregation_function": "sum"}]}, ["update[1].aggregation_function"]),
    ],
)  # fmt: skip
async def test_all_faults_of_an_edit_are_reported_before_any_write(edit: Json, faults: list[str]) -> None:
    app = new_sandbox()
    before = stored(app)
    async with open_tools(app) as (context, recorder):
        with pytest.raises(errors.InvalidArguments, match="Nothing was changed") as caught:
            await ask(context, "bulk_edit_dashboard", dashboard_id=11, **edit)
        assert [fault.path for fault in caught.value.faults] == faults
        assert recorder.writes() == []
    assert stored(app) == before


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({}, "Give create, update, delete or arrange"),
        ({"delete": [201, 201]}, "more than once"),
        ({"update": [{"id": 201, "name": "x"}], "delete": [201]}, "more than once"),
        ({"update": [{"id": 201, "name": "x", "clear": ["name"]}]}, "do only one of these"),
        ({"update": [{"name": "x"}]}, r"update\[0\].id: is missing"),
        ({"create": [{**PIE, "id": 3}]}, r"create\[0\].id` is not an argument"),
    ],
)
async def test_contradictory_edits_are_rejected_before_any_request(edit: Json, message: str) -> None:
    async with open_tools(new_sandbox()) as (context, recorder):
        with pytest.raises(errors.InvalidArguments, match=message):
            await ask(context, "bulk_edit_dashboard", dashboard_id=11, **edit)
        assert recorder.sent == []


async def test_faults_in_unchanged_fields_are_ignored() -> None:
    app = new_sandbox()
    app.state.world.store._widgets[203]["field"] = "a_field_of_tomorrow"  # noqa: SLF001 - only the API could store it
    async with open_tools(app) as (context, recorder):
        recorder.fault = lambda sent: Response(200, b'{"id": 203, "name": "New", "chart_type": "bar", "field": "a_field_of_tomorrow"}') if sent.method == "PATCH" else None  # fmt: skip
        _, receipt = await ask(context, "update_widget", widget_id=203, changes={"name": "New"})
    assert receipt["outcome"] == "applied"


async def test_charts_that_the_api_would_reject_are_warned_about() -> None:
    async with open_tools(new_sandbox()) as (context, _):
        _, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=13, create=[PIE])
        assert "the API would refuse the chart (400)" in receipt["warnings"][0]
        _, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=[PIE])
        assert "warnings" not in receipt


async def test_an_edit_without_a_possible_undo_is_applied_with_a_warning() -> None:
    app = new_sandbox()
    for number in (202, 203):
        app.state.world.store._widgets[number]["field"] = "a_field_of_tomorrow"  # noqa: SLF001 - only the API could store it
    change = {"field": "success", "aggregation_function": "avg"}
    async with open_tools(app) as (context, _):
        _, one = await ask(context, "update_widget", widget_id=203, changes=change)
        _, two = await ask(context, "bulk_edit_dashboard", dashboard_id=11, update=[{"id": 202, **change}])
    for receipt in (one, two):
        assert (receipt["outcome"], "undo" in receipt) == ("applied", False)
        assert any("there is no undo" in text for text in receipt["warnings"])


async def test_date_range_warnings_consider_the_dashboard_filters() -> None:
    failed = {"filters": {"field": "success", "op": "eq", "value": False}}
    async with open_tools(new_sandbox()) as (context, _):
        _, receipt = await ask(context, "update_widget", widget_id=203, changes=failed)
        assert "warnings" not in receipt
        _, receipt = await ask(context, "update_widget", widget_id=219, changes=failed)
        assert "neither the widget nor its dashboard has a date range" in receipt["warnings"][0]


async def test_deleting_a_widget_that_undo_cannot_restore_warns_first() -> None:
    app = new_sandbox()
    app.state.world.store._widgets[205]["chart_type"] = "list"  # noqa: SLF001 - only the API could store it
    async with open_tools(app) as (context, _):
        _, plan = await ask(context, "bulk_edit_dashboard", dashboard_id=11, delete=[205])
        assert "there is no undo" in plan["warnings"][0]
        _, plan = await ask(context, "bulk_edit_dashboard", dashboard_id=11, delete=[205, 206])
        assert "undo cannot restore widget 205" in plan["warnings"][0]
        _, receipt = await ask(
            context, "bulk_edit_dashboard", dashboard_id=11, delete=[205, 206], plan_id=plan["plan_id"]
        )
        undone = await undo(context, receipt)
        assert [change["name"] for change in undone["changes"]] == ["Topics"]


async def test_an_edit_with_an_oversized_undo_is_rejected_with_a_split() -> None:
    app = new_sandbox()
    for number in range(201, 209):
        app.state.world.store.update_widget(number, {"metadata": {"styling": "x" * 4000}})
    async with open_tools(app) as (context, recorder):
        with pytest.raises(errors.InvalidArguments, match="split it into calls with fewer widgets"):
            await ask(context, "bulk_edit_dashboard", dashboard_id=11, delete=list(range(201, 209)))
        assert recorder.writes() == []


async def test_the_receipt_of_sixty_updates_stays_within_the_budget() -> None:
    app = new_sandbox()
    async with open_tools(app) as (context, _):
        many = [{**PIE, "name": f"Pie number {i} with a name of some length"} for i in range(60)]
        _, created = await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=many)
        updates = [
            {"id": change["id"], "name": f"Renamed {i} to something of some length"}
            for i, change in enumerate(created["changes"])
        ]
        text, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=11, update=updates)
    assert len(receipt["changes"]) == 60
    without_undo = text[: text.index("\nundo:")]
    assert len(without_undo) <= 9000
