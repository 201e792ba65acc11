"""Dashboards: create, copy, change, delete; their receipts and undo."""

import pytest

from cekura_dashboards.api import errors
from cekura_dashboards.api.wire import Response
from support import (
    LAST_3_DAYS,
    PIE,
    Json,
    Sent,
    apply_edit,
    ask,
    content,
    new_sandbox,
    on_write,
    open_tools,
    plain,
    undo,
)

pytestmark = pytest.mark.anyio


EDITS: list[tuple[str, Json]] = [
    ("create_dashboard", {"name": "New", "project_id": 1}),
    (
        "create_dashboard",
        {"name": "New", "project_id": 2, "filters": LAST_3_DAYS, "widgets": [PIE, {"chart_type": "stat"}]},
    ),
    ("create_dashboard", {"name": "A copy", "copy_of": 12}),
    ("create_dashboard", {"name": "A copy", "copy_of": 12, "filters": LAST_3_DAYS, "widgets": [PIE]}),
    ("create_dashboard", {"name": "Operations overview", "copy_of": 11, "project_id": 1}),
    ("update_dashboard", {"dashboard_id": 11, "name": "Renamed"}),
    ("update_dashboard", {"dashboard_id": 12, "filters": LAST_3_DAYS}),
    ("update_dashboard", {"dashboard_id": 12, "name": "Renamed", "clear": ["filters", "date_range"]}),
    ("update_dashboard", {"dashboard_id": 13, "filters": LAST_3_DAYS, "clear": ["name"]}),
    ("delete_dashboard", {"dashboard_id": 12}),
    ("copy_widgets", {"widget_ids": [203], "dashboard_ids": [12]}),
    ("copy_widgets", {"widget_ids": [203, 218], "dashboard_ids": [11, 12, 13]}),
]


@pytest.mark.parametrize(("tool", "arguments"), EDITS, ids=[f"{tool}-{i}" for i, (tool, _) in enumerate(EDITS)])
async def test_dashboard_edits_can_be_undone_and_redone(tool: str, arguments: Json) -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, _):
        receipt = await apply_edit(context, tool, arguments)
        after = content(app)
        assert after != before
        redo = await undo(context, receipt)
        assert content(app) == before
        again = await undo(context, redo)
        assert content(app) == after
        await undo(context, again)
        assert content(app) == before


async def test_a_copied_dashboard_has_all_widgets_and_the_new_name_and_filters() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, recorder):
        text, receipt = await ask(context, "create_dashboard", name="Mine", copy_of=12, filters=LAST_3_DAYS)
        assert [sent.path for sent in recorder.writes()] == [
            "/dashboards/dashboards/12/duplicate/",
            f"/dashboards/dashboards/{receipt['dashboard_id']}/",
        ]
    created = app.state.world.store.dashboard(receipt["dashboard_id"])
    assert (created["name"], created["filters"]) == ("Mine", LAST_3_DAYS)
    assert [plain(w) for w in created["widgets"]] == [plain(w) for w in app.state.world.store.dashboard(12)["widgets"]]
    assert f"create dashboard {created['id']} " in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "name: is empty"),
        ({"name": "x"}, 'project_id: is missing; the key has several projects: 1 "Northside'),
        ({"name": "x", "project_id": 2, "copy_of": 12},
         r'filters: no agent "Booking" in project 2, .* such as {"field":"timestamp","op":"gte","value":"today-14d"}'),
        ({"name": "x", "project_id": 99, "copy_of": 11}, "project_id: no project 99 for this key; look_up projects"),
        ({"name": "x", "copy_of": 12, "widgets": [{**PIE, "place": "after 203"}]}, "widget 203 is the same one, or not on this dashboard"),
        ({"name": "x", "project_id": 1, "widgets": [{**PIE, "layout": {"w": 13}}]}, r"widgets\[0\].layout: is wider than"),
        ({"name": "x", "project_id": 1, "widgets": [{"chart_type": "line", "field": "topic"}]}, r"widgets\[0\].chart_type"),
        ({"name": "x", "project_id": 1, "widgets": [{"chart_type": "pie", "field": "metric_evaluations.value", "metric": 507}]},
         r"no metric 507 in project 1"),
    ],
)  # fmt: skip
async def test_invalid_dashboards_are_rejected_before_any_write(arguments: Json, message: str) -> None:
    async with open_tools(new_sandbox(count=10)) as (context, recorder):
        with pytest.raises(errors.InvalidArguments, match=message):
            await ask(context, "create_dashboard", **arguments)
        assert recorder.writes() == []


async def test_the_default_project_is_used_and_duplicate_names_are_warned_about() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app, project_id=2) as (context, _):
        _, receipt = await ask(context, "create_dashboard", name="Telecom quality")
    assert app.state.world.store.dashboard(receipt["dashboard_id"])["project"] == 2
    assert 'there is a dashboard "Telecom quality" already: 13' in receipt["warnings"][0]


async def test_a_dashboard_without_its_widgets_can_be_completed_or_undone() -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, recorder):
        recorder.fault = on_write("bulk_widgets/", Response(500, b""))
        text, receipt = await ask(
            context, "create_dashboard", name="Half", project_id=1, filters=LAST_3_DAYS, widgets=[PIE]
        )
        assert receipt["outcome"] == "partly_applied"
        assert text.startswith("Partly done.")
        assert receipt["not_applied"][0].startswith("its 1 widget: ")
        [made] = [change for change in receipt["changes"] if change["op"] == "create"]
        assert made["kind"] == "dashboard"
        recorder.fault = None
        [remaining] = receipt["remaining"]
        _, completed = await ask(context, remaining["tool"], **remaining["arguments"])
        assert completed["outcome"] == "applied"
        await undo(context, completed)
        await undo(context, receipt)
    assert content(app) == before


async def test_widgets_with_an_unknown_outcome_are_not_offered_for_retry() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, recorder):
        recorder.fault = on_write("bulk_widgets/", errors.DeadlinePassed(30))
        _, receipt = await ask(context, "create_dashboard", name="Half", project_id=1, widgets=[PIE])
    assert receipt["outcome"] == "partly_applied"
    assert "create 1 unknown" in receipt["not_applied"][0]
    assert "remaining" not in receipt


async def test_a_copy_with_failed_filters_returns_the_call_that_sets_them() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, recorder):
        recorder.fault = lambda sent: Response(400, b'{"filters": ["No."]}') if sent.method == "PATCH" else None
        _, receipt = await ask(context, "create_dashboard", name="C", copy_of=12, filters=LAST_3_DAYS)
    assert receipt["outcome"] == "partly_applied"
    number = receipt["dashboard_id"]
    assert receipt["remaining"] == [
        {"tool": "update_dashboard", "arguments": {"dashboard_id": number, "filters": LAST_3_DAYS}}
    ]


async def test_a_delete_plan_is_rejected_after_a_concurrent_edit() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, recorder):
        _, plan = await ask(context, "delete_dashboard", dashboard_id=13)
        app.state.world.store.update_widget(218, {"name": "Mine now"})
        with pytest.raises(errors.PlanRefused, match="widget 218 changed"):
            await ask(context, "delete_dashboard", dashboard_id=13, plan_id=plan["plan_id"])
        assert recorder.writes() == []


async def test_undoing_dashboard_filters_is_rejected_after_a_concurrent_edit() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, _):
        _, receipt = await ask(context, "update_dashboard", dashboard_id=11, filters=LAST_3_DAYS)
        app.state.world.store.update_dashboard(11, {"filters": None})
        with pytest.raises(errors.PlanRefused, match="dashboard 11 changed: filters is now null"):
            await undo(context, receipt)


async def test_clearing_a_date_range_warns_about_affected_widgets() -> None:
    async with open_tools(new_sandbox(count=10)) as (context, _):
        _, receipt = await ask(context, "update_dashboard", dashboard_id=11, clear=["filters", "date_range"])
        assert '201 "This week at a glance"' in receipt["warnings"][0]
        assert "and 2 more" in receipt["warnings"][0]


async def test_older_undo_calls_work_for_widgets_restored_under_new_ids() -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, _):
        renamed = await apply_edit(context, "update_widget", {"widget_id": 218, "changes": {"name": "Renamed"}})
        mixed = {"dashboard_id": 13, "create": [PIE], "delete": [218]}
        edited = await apply_edit(context, "bulk_edit_dashboard", mixed)
        deleted = await apply_edit(context, "delete_dashboard", {"dashboard_id": 13})
        undone = await undo(context, deleted)
        assert undone["restored"][0].startswith(f"dashboard 13 = {undone['dashboard_id']} #")
        undone_again = await undo(context, edited, *undone["restored"])
        assert undone_again["restored"][0].startswith("widget 218 = ")
        with pytest.raises(errors.NotFound):
            await undo(context, renamed)
        await undo(context, renamed, *undone["restored"], *undone_again["restored"])
    assert content(app) == before


async def test_restored_lines_are_accepted_only_verbatim_from_a_receipt() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, _):
        renamed = await apply_edit(context, "update_widget", {"widget_id": 218, "changes": {"name": "Renamed"}})
        with pytest.raises(errors.PlanRefused, match="a line that is not from a receipt for this key"):
            await undo(context, renamed, "widget 218 = 219 #AAAAAAAA")
        with pytest.raises(errors.InvalidArguments, match="restored: must contain lines exactly as in receipts"):
            await undo(context, renamed, "218 is 219")


async def test_widgets_missing_from_a_copy_are_reported() -> None:
    app = new_sandbox(count=10)

    def without_a_widget(sent: Sent) -> Response | None:
        if not sent.path.endswith("duplicate/"):
            return None
        app.state.world.store.delete_widget(221)
        return Response(201, b'{"id": 14, "name": "C", "project": 2, "filters": null}')

    async with open_tools(app) as (context, recorder):
        recorder.after = without_a_widget
        text, receipt = await ask(context, "create_dashboard", name="C", copy_of=13)
    assert 'widget 216 "Issues resolved" has no equal in the copy' in receipt["differences"]
    assert "NOT as requested" in text


async def test_a_copy_is_read_back_if_the_answer_omits_its_widgets() -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, recorder):
        recorder.after = lambda sent: (
            Response(201, b'{"id": 14, "name": "C", "project": 2, "filters": null}')
            if sent.path.endswith("duplicate/")
            else None
        )
        _, receipt = await ask(context, "create_dashboard", name="C", copy_of=13)
        assert "differences" not in receipt
        recorder.after = None
        await undo(context, receipt)
    assert content(app) == before


async def test_dashboard_fields_stored_differently_are_reported() -> None:
    async with open_tools(new_sandbox(count=10)) as (context, recorder):
        recorder.after = lambda sent: (
            Response(200, b'{"id": 11, "name": "Old", "project": 1, "filters": null, "widgets": []}')
            if sent.method == "PATCH"
            else None
        )
        text, receipt = await ask(context, "update_dashboard", dashboard_id=11, name="New")
    assert receipt["differences"][0] == 'dashboard 11 name: sent "New", stored "Old"'
    assert any("filters: sent" in difference for difference in receipt["differences"])
    assert "NOT as requested" in text


async def test_deleting_a_dashboard_of_the_daily_report_warns_first() -> None:
    async with open_tools(new_sandbox()) as (context, recorder):
        _, shown = await ask(context, "delete_dashboard", dashboard_id=11)
        _, another = await ask(context, "delete_dashboard", dashboard_id=12)
        recorder.fault = lambda sent: Response(500, b"") if "projects" in sent.path else None
        _, unread = await ask(context, "delete_dashboard", dashboard_id=11)
    assert shown["warnings"] == [
        'the daily report of project 1 "Northside Clinics" shows it, and an undo does not put it back there'
    ]
    assert another["outcome"] == unread["outcome"] == "needs_plan"
    assert "warnings" not in another


async def test_a_copy_to_another_project_maps_metrics_and_lists_omissions() -> None:
    app = new_sandbox(count=10)
    before, wanted = content(app), {"name": "Latency", "copy_of": 12, "project_id": 2, "filters": LAST_3_DAYS}
    missing = [
        'widget 211 "Appointments booked" is left out: no metric "Appointment booked" in project 2',
        'widget 213 "Customer satisfaction" is left out: no metric "Customer satisfaction" in project 2',
    ]
    async with open_tools(app, confirm="writes") as (context, _):
        _, dry = await ask(context, "create_dashboard", **wanted)
        assert dry["warnings"] == missing
        assert content(app) == before
        _, receipt = await ask(context, "create_dashboard", **wanted, plan_id=dry["plan_id"])
        assert (receipt["outcome"], receipt["not_applied"]) == ("partly_applied", missing)
        assert "warnings" not in receipt
        assert 'metric 501 "Response latency" was replaced by 506 of project 2' in receipt["notes"]
        created = app.state.world.store.dashboard(receipt["dashboard_id"])
        assert (created["project"], created["filters"]) == (2, LAST_3_DAYS)
        originals = {w["name"]: plain(w) for w in app.state.world.store.dashboard(12)["widgets"]}
        assert [plain(widget) for widget in created["widgets"]] == [
            {**held, "metric": 506 if held["metric"] else None}
            for name, held in originals.items()
            if name not in {"Appointments booked", "Customer satisfaction"}
        ]
        undone = await undo(context, receipt)
        assert content(app) == before
        await undo(context, undone)
    assert plain(app.state.world.store.dashboard(15)) == plain(created)


async def test_a_copy_to_another_project_keeps_layout_around_new_widgets() -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, recorder):
        new = [{**PIE, "place": "top"}]
        _, created = await ask(context, "create_dashboard", name="There", copy_of=11, project_id=2, widgets=new)
        assert created["outcome"] == "applied"
        assert [sent.path for sent in recorder.sent if sent.path.endswith(("/metrics/", "/aiagents/"))] == []
        rows = {w["name"]: w["metadata"]["layout"]["y"] for w in app.state.world.store.dashboard(14)["widgets"]}
        assert rows[PIE["name"]] == 0
        assert {name: row - 4 for name, row in rows.items() if row} == {
            w["name"]: w["metadata"]["layout"]["y"] for w in app.state.world.store.dashboard(11)["widgets"]
        }
        await undo(context, created)
    assert content(app) == before


async def test_a_dashboard_without_copyable_widgets_is_rejected() -> None:
    app = new_sandbox(count=10)
    for number in (216, 217, 218, 219, 220):
        metric = {"chart_type": "bar", "field": "metric_evaluations.value", "metric": 507, "time_period": "day"}
        app.state.world.store.update_widget(number, {**metric, "aggregation_function": "avg"})
    async with open_tools(app) as (context, recorder):
        with pytest.raises(
            errors.InvalidArguments, match=r"no widget of the original can be copied to project 1: widget 216"
        ):
            await ask(context, "create_dashboard", name="x", copy_of=13, project_id=1)
        assert recorder.writes() == []
        recorder.fault = lambda sent: Response(403, b"{}") if sent.path.endswith("/metrics/") else None
        with pytest.raises(errors.DashboardsError):
            await ask(context, "create_dashboard", name="x", copy_of=13, project_id=1)
        assert recorder.writes() == []


async def test_failed_widgets_of_a_copy_can_be_created_in_batches() -> None:
    app = new_sandbox(count=10)
    for index in range(61):
        app.state.world.store.create_widget({"chart_type": "stat", "name": f"S{index}", "dashboard": 11})
    async with open_tools(app) as (context, recorder):
        recorder.fault = on_write("bulk_widgets/", Response(500, b""))
        _, created = await ask(context, "create_dashboard", name="There", copy_of=11, project_id=2)
        recorder.fault = None
        assert [len(call["arguments"]["create"]) for call in created["remaining"]] == [60, 9]
        for call in created["remaining"]:
            await ask(context, call["tool"], **call["arguments"])
    there = app.state.world.store.dashboard(created["dashboard_id"])["widgets"]
    assert [plain(w) for w in there] == [plain(w) for w in app.state.world.store.dashboard(11)["widgets"]]
