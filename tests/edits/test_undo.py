"""Undo: restores everything that this server can write, once, and reports limits before the edit."""

import re

import pytest

from cekura_dashboards.api import errors
from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.wire import Response
from support import PIE, Json, apply_edit, ask, content, force, new_sandbox, on_write, open_tools, undo

pytestmark = pytest.mark.anyio


async def test_a_deleted_dashboard_is_restored_only_once() -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, _):
        _, plan = await ask(context, "delete_dashboard", dashboard_id=13)
        _, deleted = await ask(context, "delete_dashboard", dashboard_id=13, plan_id=plan["plan_id"])
        await ask(context, deleted["undo"]["tool"], **deleted["undo"]["arguments"])
        with pytest.raises(errors.PlanRefused, match="dashboards of this name changed"):
            await ask(context, deleted["undo"]["tool"], **deleted["undo"]["arguments"])
    assert content(app) == before


async def test_deleted_dashboards_of_equal_names_are_all_restored() -> None:
    app = new_sandbox(count=10)
    app.state.world.store.report_daily(
        1, {"daily_report_dashboard_ids": []}
    )  # undo does not restore entries of a report
    app.state.world.store.create_dashboard({"name": "Operations overview", "project": 1})
    before, undos = content(app), list[Json]()
    async with open_tools(app) as (context, _):
        for number in (max(row["id"] for row in app.state.world.store.dashboards()), 11):
            _, plan = await ask(context, "delete_dashboard", dashboard_id=number)
            _, deleted = await ask(context, "delete_dashboard", dashboard_id=number, plan_id=plan["plan_id"])
            undos.append(deleted["undo"])
        _, undone = await ask(context, undos[1]["tool"], **undos[1]["arguments"])
        with pytest.raises(errors.PlanRefused, match="dashboards of this name changed"):
            await ask(context, undos[0]["tool"], **undos[0]["arguments"])
        await ask(context, undos[0]["tool"], **undos[0]["arguments"], restored=undone["restored"])
    assert content(app) == before


async def test_a_large_dashboard_is_restored_completely() -> None:
    app = new_sandbox(count=10)
    for index in range(70):
        app.state.world.store.create_widget({"chart_type": "stat", "name": f"S{index}", "dashboard": 13})
    before = content(app)
    async with open_tools(app) as (context, _):
        _, plan = await ask(context, "delete_dashboard", dashboard_id=13)
        assert "warnings" not in plan
        _, deleted = await ask(context, "delete_dashboard", dashboard_id=13, plan_id=plan["plan_id"])
        await ask(context, deleted["undo"]["tool"], **deleted["undo"]["arguments"])
    assert content(app) == before


async def test_a_partly_restored_dashboard_can_be_completed() -> None:
    app = new_sandbox(count=10)
    for index in range(70):
        app.state.world.store.create_widget({"chart_type": "stat", "name": f"S{index}", "dashboard": 13})
    before = content(app)
    async with open_tools(app) as (context, recorder):
        deleted = await apply_edit(context, "delete_dashboard", {"dashboard_id": 13})
        recorder.fault = on_write("bulk_widgets/", Response(500, b""))
        _, partly = await ask(context, deleted["undo"]["tool"], **deleted["undo"]["arguments"])
        assert partly["outcome"] == "partly_applied"
        recorder.fault = None
        [remaining] = partly["remaining"]
        _, receipt = await ask(context, remaining["tool"], **remaining["arguments"])
        assert receipt["outcome"] == "applied"
        assert len(receipt["restored"]) == 75
        assert content(app) == before
        with pytest.raises(errors.PlanRefused, match="widgets like those that were deleted"):
            await ask(context, remaining["tool"], **remaining["arguments"])


async def test_values_that_undo_cannot_restore_are_reported_before_the_edit() -> None:
    app = new_sandbox(count=10)
    force(app, 203, filters={"field": "success", "op": "sounds_like", "value": "x"})
    edit: Json = {"dashboard_id": 11, "update": [{"id": 203, "clear": ["filters"]}], "delete": [205]}
    async with open_tools(app) as (context, _):
        _, plan = await ask(context, "bulk_edit_dashboard", **edit)
        assert plan["warnings"] == ["undo cannot restore widget 203: this server cannot write the stored values"]
        _, receipt = await ask(context, "bulk_edit_dashboard", **edit, plan_id=plan["plan_id"])
        _, undone = await ask(context, receipt["undo"]["tool"], **receipt["undo"]["arguments"])
    assert [(change["op"], change["name"]) for change in undone["changes"]] == [("create", "Why calls end")]


@pytest.mark.parametrize(
    ("number", "forced", "change"),
    [
        (207, {"chart_type": "pie"}, {"chart_type": "line"}),
        (203, {"group_by": {"type": "field", "field": "agent_id"}}, {"group_by": {"type": "field", "field": "topic"}}),
    ],
)
async def test_undo_restores_values_that_an_edit_could_not_set(number: int, forced: Json, change: Json) -> None:
    app = new_sandbox(count=10)
    force(app, number, **forced)
    async with open_tools(app) as (context, recorder):
        _, receipt = await ask(context, "update_widget", widget_id=number, changes=change)
        undo = receipt["undo"]
        recorder.fault = lambda sent: Response(400, b'{"detail": "No."}') if sent.method == "PATCH" else None
        with pytest.raises(errors.Refused):
            await ask(context, undo["tool"], **undo["arguments"])
        assert recorder.writes()[-1].body == forced


async def test_restored_ids_of_an_undo_are_accepted_by_its_own_undo() -> None:
    app = new_sandbox()
    async with open_tools(app) as (context, _):
        deleted = await apply_edit(context, "bulk_edit_dashboard", {"dashboard_id": 11, "delete": [205, 206]})
        undone = await undo(context, deleted)
        gone = await undo(context, undone, *undone["restored"])
        again = await undo(context, gone)
        await undo(context, again, *undone["restored"], *again["restored"])


@pytest.mark.parametrize(
    ("tool", "arguments", "path"),
    [
        ("bulk_edit_dashboard", {"dashboard_id": 11, "create": [{**PIE, "old_id": 203}]}, "create[0].old_id"),
        ("create_dashboard", {"name": "New", "project_id": 1, "old_id": 11}, "old_id"),
        (
            "create_dashboard",
            {"name": "New", "project_id": 1, "widgets": [PIE, {**PIE, "old_id": 203}]},
            "widgets[1].old_id",
        ),
    ],
)
async def test_old_ids_are_rejected_outside_an_undo(tool: str, arguments: Json, path: str) -> None:
    async with open_tools(new_sandbox()) as (context, recorder):
        with pytest.raises(InvalidArguments, match=re.escape(f"{path}: is only allowed in an undo")):
            await ask(context, tool, **arguments)
        if tool == "bulk_edit_dashboard":
            _, dry = await ask(context, "preview_edit", **arguments)
            with pytest.raises(InvalidArguments, match="is only allowed in an undo"):
                await ask(context, tool, **arguments, plan_id=dry["plan_id"])
    assert recorder.writes() == []


NEW_WIDGET: Json = {"name": "Booked", "chart_type": "stat"}
COVERED: list[tuple[str, Json]] = [
    ("bulk_edit_dashboard", {"dashboard_id": 11, "create": [PIE]}),
    ("bulk_edit_dashboard", {"dashboard_id": 11, "create": [PIE, {**PIE, "name": "Second", "layout": {"x": 0, "y": 14}}]}),
    ("bulk_edit_dashboard", {"dashboard_id": 11, "delete": [205, 206]}),
    ("bulk_edit_dashboard", {"dashboard_id": 11, "delete": [201]}),
    ("bulk_edit_dashboard", {"dashboard_id": 11, "create": [PIE], "update": [{"id": 203, "name": "x"}], "delete": [205]}),
    ("bulk_edit_dashboard", {"dashboard_id": 13, "arrange": True}),
    ("update_widget", {"widget_id": 203, "changes": {"name": "x"}}),
    ("update_dashboard", {"dashboard_id": 11, "name": "x"}),
    ("update_dashboard", {"dashboard_id": 12, "date_range": "7d"}),
    ("copy_widgets", {"widget_ids": [203, 205], "dashboard_ids": [12, 13]}),
    ("copy_widgets", {"widget_ids": [203, 205], "dashboard_ids": [12], "move": True}),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "arguments"), COVERED, ids=[f"{tool}-{i}" for i, (tool, _) in enumerate(COVERED)])
async def test_undo_keeps_changes_that_others_made_meanwhile(tool: str, arguments: Json) -> None:
    app = new_sandbox(count=10)
    store, before = app.state.world.store, content(app)
    async with open_tools(app) as (context, _):
        receipt = await apply_edit(context, tool, arguments)
        others = list[int]()

        def edit_as_others() -> None:
            there = [row["id"] for row in store.dashboards()]
            others.extend(store.create_widget({**NEW_WIDGET, "dashboard": number})["id"] for number in there)
            store.update_widget(202, {"name": f"Renamed {len(others)}"})

        edit_as_others()
        redo = await undo(context, receipt)
        edit_as_others()
        again = await undo(context, redo)
        edit_as_others()
        await undo(context, again)
    for number in others:
        assert store.widget(number)["name"] == "Booked"
        store.delete_widget(number)
    store.update_widget(202, {"name": "Calls per day"})
    assert content(app) == before


@pytest.mark.parametrize("arguments", [{"project_id": 1, "widgets": [PIE]}, {"copy_of": 12}], ids=["new", "copy"])
async def test_undoing_a_create_is_rejected_if_others_added_widgets(arguments: Json) -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, recorder):
        _, created = await ask(context, "create_dashboard", name="New", **arguments)
        app.state.world.store.create_widget({**NEW_WIDGET, "dashboard": created["dashboard_id"]})
        call, writes = created["undo"], len(recorder.writes())
        with pytest.raises(errors.PlanRefused, match=r"things were added or removed; now: dashboard 14, widget 221"):
            await ask(context, call["tool"], **call["arguments"])
        assert len(recorder.writes()) == writes
        text, plan = await ask(context, "delete_dashboard", dashboard_id=created["dashboard_id"])
        assert '"Booked"' in text
        await ask(context, "delete_dashboard", dashboard_id=created["dashboard_id"], plan_id=plan["plan_id"])
    assert content(app) == before


@pytest.mark.parametrize("change", [{}, {"name": "Other"}, {"field": "topic"}], ids=["unchanged", "renamed", "changed"])
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("bulk_edit_dashboard", {"dashboard_id": 11, "delete": [205]}),
        ("copy_widgets", {"widget_ids": [205], "dashboard_ids": [12, 13]}),
    ],
)
async def test_a_repeated_undo_of_a_delete_is_rejected(tool: str, arguments: Json, change: Json) -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, recorder):
        receipt = await apply_edit(context, tool, arguments)
        if tool == "copy_widgets":
            receipt = await undo(context, receipt)
        undone = await undo(context, receipt)
        app.state.world.store.update_widget(undone["changes"][0]["id"], change)
        writes = len(recorder.writes())
        with pytest.raises(errors.PlanRefused, match="widgets like those that were deleted is now"):
            await undo(context, receipt)
        assert len(recorder.writes()) == writes


async def test_a_restored_widget_that_overlaps_another_is_warned_about() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, _):
        deleted = await apply_edit(context, "bulk_edit_dashboard", {"dashboard_id": 11, "delete": [208]})
        new = {**NEW_WIDGET, "metadata": {"layout": {"x": 0, "y": 14, "w": 6, "h": 4}}, "dashboard": 11}
        number = app.state.world.store.create_widget(new)["id"]
        undone = await undo(context, deleted)
    assert undone["warnings"] == [f'"Calls per hour" overlaps widget {number} if restored; arrange makes room']
