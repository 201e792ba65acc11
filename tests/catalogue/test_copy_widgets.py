"""copy_widgets: the same charts on many dashboards."""

import json
import re
from typing import Any

import pytest

from cekura_dashboards.api import errors
from cekura_dashboards.api.wire import Response
from support import LAST_3_DAYS, Json, ask, content, force, new_sandbox, on_write, open_tools, stored, undo

pytestmark = pytest.mark.anyio


async def test_a_partial_copy_reports_failed_dashboards_and_the_remaining_call() -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, recorder):
        recorder.fault = on_write("/12/bulk_widgets/", Response(400, b'{"detail": "Locked."}'))
        _, receipt = await ask(context, "copy_widgets", widget_ids=[218], dashboard_ids=[11, 12])
        assert receipt["outcome"] == "partly_applied"
        assert [change["dashboard_id"] for change in receipt["changes"]] == [11]
        assert "dashboard 12: " in receipt["not_applied"][0]
        assert "Locked." in receipt["not_applied"][0]
        assert receipt["remaining"][0]["arguments"]["dashboard_ids"] == [12]
        recorder.fault = None
        _, remaining = await ask(context, receipt["remaining"][0]["tool"], **receipt["remaining"][0]["arguments"])
        await undo(context, remaining)
        await undo(context, receipt)
    assert content(app) == before


async def test_copies_to_twelve_dashboards_share_one_plan_and_one_undo() -> None:
    app = new_sandbox(count=10)
    store = app.state.world.store
    targets = [
        store.create_dashboard({"name": f"Site {i}", "project": 1, "filters": LAST_3_DAYS})["id"] for i in range(12)
    ]
    before = content(app)
    async with open_tools(app, confirm="writes") as (context, recorder):
        arguments = {"widget_ids": [202, 203, 205], "dashboard_ids": targets}
        dry, plan = await ask(context, "copy_widgets", **arguments)
        assert recorder.writes() == []
        text, receipt = await ask(context, "copy_widgets", **arguments, plan_id=plan["plan_id"])
        assert [len(store.dashboard(number)["widgets"]) for number in targets] == [3] * 12
        assert max(len(dry), len(text)) < 9000
        await undo(context, receipt)
    assert content(app) == before


async def test_copies_go_below_existing_widgets_if_the_dashboard_has_a_layout() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, _):
        _, receipt = await ask(context, "copy_widgets", widget_ids=[203], dashboard_ids=[12, 13])
    where = {change["dashboard_id"]: app.state.world.store.widget(change["id"]) for change in receipt["changes"]}
    assert where[12]["metadata"] == {"layout": {"x": 6, "y": 12, "w": 6, "h": 4}}
    assert where[13]["metadata"] == app.state.world.store.widget(203)["metadata"]


async def test_copying_is_rejected_if_the_target_project_lacks_the_metric() -> None:
    async with open_tools(new_sandbox(count=10)) as (context, recorder):
        with pytest.raises(
            errors.InvalidArguments, match='widget 211 on dashboard 13: no metric "Appointment booked" in project 2'
        ):
            await ask(context, "copy_widgets", widget_ids=[211], dashboard_ids=[11, 13])
        assert recorder.writes() == []


async def test_copies_to_another_project_use_its_metric_of_the_same_name() -> None:
    app = new_sandbox(count=10)
    before, store = content(app), app.state.world.store
    async with open_tools(app) as (context, _):
        text, receipt = await ask(context, "copy_widgets", widget_ids=[210], dashboard_ids=[11, 13])
        metrics = {change["dashboard_id"]: store.widget(change["id"])["metric"] for change in receipt["changes"]}
        assert metrics == {11: 501, 13: 506}
        assert 'note: metric 501 "Response latency" was replaced by 506 of project 2' in text
        undone = await undo(context, receipt)
        assert content(app) == before
        await undo(context, undone)
        _, duplicate = await ask(context, "copy_widgets", widget_ids=[210], dashboard_ids=[13])
    assert "dashboard 13 already has a copy of widget 210" in duplicate["warnings"][0]


def agents(*rows: tuple[int, str, int]) -> Response:
    results = [{"id": number, "name": name, "project": project} for number, name, project in rows]
    return Response(200, json.dumps({"count": len(results), "next": None, "results": results}).encode())


AGENTS = agents(
    (33, "Booking", 1), (34, "Triage", 1), (41, "Booking", 2), (42, "Same", 2), (43, "Same", 2), (35, "Same", 1)
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (33, 41),
        ([33, 41], [41, 41]),
        ("33", 41),
        (34, 'no agent "Triage" in project 2'),
        ([33, 35], '2 agents of project 2 are called "Same": 42, 43'),
        (99, "no agent 99 in project 2, and its name is unknown"),
    ],
)
async def test_copied_filters_use_agents_of_the_same_name(value: Any, expected: Any) -> None:
    app = new_sandbox(count=10)
    own: Json = {"field": "agent.id", "op": "in" if isinstance(value, list) else "eq", "value": value}
    app.state.world.store.update_widget(212, {"filters": {"operator": "or", "conditions": [own, LAST_3_DAYS]}})
    async with open_tools(app) as (context, recorder):
        recorder.fault = lambda sent: AGENTS if sent.path.endswith("/aiagents/") else None
        if isinstance(expected, str):
            with pytest.raises(errors.InvalidArguments, match=f"widget 212 on dashboard 13: {re.escape(expected)}"):
                await ask(context, "copy_widgets", widget_ids=[212], dashboard_ids=[13])
            assert recorder.writes() == []
            return
        _, receipt = await ask(context, "copy_widgets", widget_ids=[212], dashboard_ids=[13])
        stored = app.state.world.store.widget(receipt["changes"][0]["id"])
        assert stored["filters"]["conditions"] == [{**own, "value": expected}, LAST_3_DAYS]
        with pytest.raises(errors.InvalidArguments, match="a move cannot change the widget; omit move"):
            await ask(context, "copy_widgets", widget_ids=[212], dashboard_ids=[13], move=True)


@pytest.mark.parametrize(
    ("condition", "missing"),
    [
        ({"field": "agent.agent_name", "op": "eq", "value": "booking"}, None),
        ({"field": "agent.agent_name", "op": "contains", "value": "Tri"}, None),
        ({"field": "agent.agent_name", "op": "in", "value": ["Booking", "Triage"]}, 'no agent "Triage" in project 2'),
        ({"field": "metric_evaluations.metric.name", "op": "eq", "value": "Response latency"}, None),
        (
            {"field": "metric_evaluations.metric.name", "op": "eq", "value": "Empathy"},
            'no metric "Empathy" in project 2',
        ),
    ],
)
async def test_names_in_copied_filters_must_exist_in_the_target_project(condition: Json, missing: str | None) -> None:
    app = new_sandbox(count=10)
    filters = {"operator": "and", "conditions": [condition, LAST_3_DAYS]}
    app.state.world.store.update_widget(212, {"filters": filters})
    async with open_tools(app) as (context, recorder):
        recorder.fault = lambda sent: AGENTS if sent.path.endswith("/aiagents/") else None
        if missing is not None:
            with pytest.raises(errors.InvalidArguments, match=f"widget 212 on dashboard 13: {missing}"):
                await ask(context, "copy_widgets", widget_ids=[212], dashboard_ids=[13])
            return
        _, receipt = await ask(context, "copy_widgets", widget_ids=[212], dashboard_ids=[13])
        assert app.state.world.store.widget(receipt["changes"][0]["id"])["filters"] == filters


async def test_copies_skip_the_own_dashboard_and_warn_about_duplicates() -> None:
    async with open_tools(new_sandbox(count=10)) as (context, _):
        _, receipt = await ask(context, "copy_widgets", widget_ids=[218], dashboard_ids=[11, 13])
        assert "widget 218 is already on dashboard 13 and not copied" in receipt["notes"][0]
        assert len(receipt["changes"]) == 1
        _, again = await ask(context, "copy_widgets", widget_ids=[219], dashboard_ids=[11])
        _, duplicate = await ask(context, "copy_widgets", widget_ids=[again["changes"][0]["id"]], dashboard_ids=[13])
    assert "already has a copy of widget" in duplicate["warnings"][0]


async def test_copies_are_removed_only_by_an_undo() -> None:
    async with open_tools(new_sandbox(count=10)) as (context, recorder):
        with pytest.raises(errors.InvalidArguments, match="remove: belongs to an undo"):
            await ask(context, "copy_widgets", widget_ids=[203], dashboard_ids=[12], remove=[209])
        with pytest.raises(errors.PlanRefused):
            await ask(context, "copy_widgets", widget_ids=[203], dashboard_ids=[12], remove=[209], plan_id="a.b.c.d")
        assert recorder.writes() == []


async def test_project_metrics_are_read_once_for_many_dashboards() -> None:
    app = new_sandbox(count=10)
    store = app.state.world.store
    targets = [
        store.create_dashboard({"name": f"Site {i}", "project": 1, "filters": LAST_3_DAYS})["id"] for i in range(4)
    ]
    async with open_tools(app) as (context, recorder):
        _, receipt = await ask(context, "copy_widgets", widget_ids=[210, 211], dashboard_ids=targets)
        assert len(receipt["changes"]) == 8
        assert len([sent for sent in recorder.sent if sent.path.endswith("/metrics/")]) == 1
        recorder.sent.clear()
        recorder.fault = lambda sent: Response(403, b"{}") if sent.path.endswith("/metrics/") else None
        _, receipt = await ask(context, "copy_widgets", widget_ids=[210, 211], dashboard_ids=targets)
        assert len(receipt["changes"]) == 8
        assert len([sent for sent in recorder.sent if sent.path.endswith("/metrics/")]) == 1
    assert any("the metrics of project 1 could not be read" in text for text in receipt["warnings"])


async def test_moved_widgets_keep_their_ids_and_share_one_undo() -> None:
    app = new_sandbox(count=10)
    store, before = app.state.world.store, stored(app)
    async with open_tools(app) as (context, recorder):
        text, receipt = await ask(context, "copy_widgets", widget_ids=[203, 205, 209], dashboard_ids=[12], move=True)
        assert [store.widget(number)["dashboard"] for number in (203, 205, 209)] == [12, 12, 12]
        assert store.widget(203)["metadata"] == {"layout": {"x": 6, "y": 12, "w": 6, "h": 4}}
        assert [change["id"] for change in receipt["changes"]] == [203, 205]
        assert "widget 209 is already on dashboard 12" in text
        assert "the filters of dashboard 12 apply to moved widgets" in text
        assert [request.method for request in recorder.writes()] == ["PATCH", "PATCH"]
        _, undone = await ask(context, receipt["undo"]["tool"], **receipt["undo"]["arguments"])
        assert stored(app) == before
        await undo(context, undone)
        assert [store.widget(number)["dashboard"] for number in (203, 205)] == [12, 12]


async def test_a_move_can_be_undone_after_a_delete_and_restore() -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, _):
        _, moved = await ask(context, "copy_widgets", widget_ids=[203, 205], dashboard_ids=[12], move=True)
        _, plan = await ask(context, "bulk_edit_dashboard", dashboard_id=12, delete=[205])
        _, deleted = await ask(context, "bulk_edit_dashboard", dashboard_id=12, delete=[205], plan_id=plan["plan_id"])
        undone = await undo(context, deleted)
        again = await undo(context, moved, *undone["restored"])
        assert len(again["changes"]) == 2
    assert content(app) == before


async def test_moves_of_widgets_without_a_reported_dashboard_have_no_undo() -> None:
    app = new_sandbox(count=10)
    force(app, 203, dashboard=None)
    async with open_tools(app) as (context, _):
        text, receipt = await ask(context, "copy_widgets", widget_ids=[203, 205], dashboard_ids=[12], move=True)
        assert [app.state.world.store.widget(number)["dashboard"] for number in (203, 205)] == [12, 12]
        assert receipt["changes"][0]["fields"]["dashboard"] == [None, 12]
        assert "undo cannot restore widget 203: the API does not report its dashboard" in text
        await undo(context, receipt)
        assert [app.state.world.store.widget(number)["dashboard"] for number in (203, 205)] == [12, 11]
        force(app, 203, dashboard=None)
        _, alone = await ask(context, "copy_widgets", widget_ids=[203], dashboard_ids=[12], move=True)
    assert "undo" not in alone
    assert app.state.world.store.widget(203)["dashboard"] == 12


async def test_a_widget_belongs_to_the_dashboard_that_lists_it() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, recorder):
        nameless = json.dumps({**app.state.world.store.widget(203), "dashboard": None}).encode()
        recorder.fault = lambda sent: Response(200, nameless) if sent.path.endswith("/widgets/203/") else None
        for move in (True, False):
            text, _ = await ask(context, "copy_widgets", widget_ids=[203, 210], dashboard_ids=[11], move=move)
            assert "widget 203 is already on dashboard 11" in text


async def test_a_planned_move_is_rejected_after_another_move() -> None:
    app = new_sandbox(count=10)
    arguments = {"widget_ids": [203], "dashboard_ids": [12], "move": True}
    async with open_tools(app, confirm="writes") as (context, _):
        _, plan = await ask(context, "copy_widgets", **arguments)
        app.state.world.store.update_widget(203, {"dashboard": 13})
        with pytest.raises(errors.PlanRefused, match="widget 203 changed"):
            await ask(context, "copy_widgets", **arguments, plan_id=plan["plan_id"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widget_ids": [203], "dashboard_ids": [12, 13], "move": True}, "widgets are moved to one dashboard"),
        (
            {"widget_ids": [210], "dashboard_ids": [13], "move": True},
            '"Response latency" was replaced by 506 of project 2; a move cannot change the widget',
        ),
        ({"widget_ids": [211], "dashboard_ids": [13], "move": True}, 'no metric "Appointment booked" in project 2'),
        (
            {
                "widget_ids": [203],
                "dashboard_ids": [12],
                "move": True,
                "back": [{"id": 203, "dashboard_id": 13}],
            },
            "back: is only allowed in an undo",
        ),
        (
            {"widget_ids": [203], "dashboard_ids": [12], "move": True, "back": [{"id": 999, "dashboard_id": 13}]},
            "back: names other widgets than widget_ids",
        ),
    ],
)
async def test_impossible_moves_are_rejected(arguments: Json, message: str) -> None:
    app = new_sandbox(count=10)
    before = stored(app)
    async with open_tools(app) as (context, _):
        with pytest.raises(errors.DashboardsError, match=message):
            await ask(context, "copy_widgets", **arguments)
    assert stored(app) == before


async def test_a_partly_failed_move_reports_the_outcome_of_each_widget() -> None:
    app = new_sandbox(count=10)
    before = stored(app)
    arguments = {"widget_ids": [203, 205], "dashboard_ids": [12], "move": True}
    async with open_tools(app) as (context, recorder):
        recorder.after = on_write("/widgets/203/", errors.ConnectionBroken("gone"))
        recorder.fault = on_write("/widgets/205/", Response(400, b'{"dashboard": ["Locked."]}'))
        _, receipt = await ask(context, "copy_widgets", **arguments)
        recorder.after = recorder.fault = None
        assert receipt["outcome"] == "partly_applied"
        assert "Locked." in receipt["not_applied"][0]
        assert any("read back" in warning for warning in receipt["warnings"])
        [remaining] = receipt["remaining"]
        assert remaining["arguments"] == {"widget_ids": [205], "dashboard_ids": [12], "move": True}
        await undo(context, receipt)
        assert stored(app) == before


@pytest.mark.parametrize("move", [True, False], ids=["move", "copy"])
async def test_a_partly_failed_undo_can_be_completed(move: bool) -> None:  # noqa: FBT001 - a parameter
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, recorder):
        arguments: Json = (
            {"widget_ids": [203, 205], "dashboard_ids": [12]}
            if move
            else {"widget_ids": [205], "dashboard_ids": [12, 13]}
        )
        _, receipt = await ask(context, "copy_widgets", **arguments, move=move)
        recorder.fault = on_write("/205/" if move else "/12/bulk_widgets/", Response(400, b'{"detail": "Locked."}'))
        _, partly = await ask(context, receipt["undo"]["tool"], **receipt["undo"]["arguments"])
        assert partly["outcome"] == "partly_applied"
        recorder.fault = None
        [remaining] = partly["remaining"]
        _, edit_receipt = await ask(context, remaining["tool"], **remaining["arguments"])
        assert edit_receipt["outcome"] == "applied"
        assert content(app) == before
        await undo(context, edit_receipt)
        await undo(context, partly)
        assert content(app) != before
