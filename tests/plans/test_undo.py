"""Undos: all comes back that this server can write, once, and what cannot is told before."""

import re

import pytest

from cekura_dashboards.api import errors
from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.wire import Answer
from support import PIE, Json, ask, carried_out, content, force, new_sandbox, open_tools, undo

pytestmark = pytest.mark.anyio


async def test_a_deleted_dashboard_is_brought_back_once_and_not_twice() -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, _):
        _, stopped = await ask(context, "delete_dashboard", dashboard_id=13)
        _, gone = await ask(context, "delete_dashboard", dashboard_id=13, plan_id=stopped["plan_id"])
        await ask(context, gone["undo"]["tool"], **gone["undo"]["arguments"])
        with pytest.raises(errors.PlanRefused, match="dashboards of this name changed"):
            await ask(context, gone["undo"]["tool"], **gone["undo"]["arguments"])
    assert content(app) == before


async def test_dashboards_of_one_name_that_were_deleted_one_by_one_all_come_back() -> None:
    app = new_sandbox(count=10)
    app.state.world.store.create_dashboard({"name": "Operations overview", "project": 1})
    before, undos = content(app), list[Json]()
    async with open_tools(app) as (context, _):
        for number in (max(row["id"] for row in app.state.world.store.dashboards()), 11):
            _, stopped = await ask(context, "delete_dashboard", dashboard_id=number)
            _, gone = await ask(context, "delete_dashboard", dashboard_id=number, plan_id=stopped["plan_id"])
            undos.append(gone["undo"])
        _, back = await ask(context, undos[1]["tool"], **undos[1]["arguments"])
        with pytest.raises(errors.PlanRefused, match="dashboards of this name changed"):
            await ask(context, undos[0]["tool"], **undos[0]["arguments"])
        await ask(context, undos[0]["tool"], **undos[0]["arguments"], restored=back["restored"])
    assert content(app) == before


async def test_a_large_dashboard_is_deleted_and_comes_back_whole() -> None:
    app = new_sandbox(count=10)
    for index in range(70):
        app.state.world.store.create_widget({"chart_type": "stat", "name": f"S{index}", "dashboard": 13})
    before = content(app)
    async with open_tools(app) as (context, _):
        _, stopped = await ask(context, "delete_dashboard", dashboard_id=13)
        assert "warnings" not in stopped
        _, gone = await ask(context, "delete_dashboard", dashboard_id=13, plan_id=stopped["plan_id"])
        await ask(context, gone["undo"]["tool"], **gone["undo"]["arguments"])
    assert content(app) == before


async def test_what_an_undo_cannot_put_back_is_told_before_the_edit_and_the_rest_is_put_back() -> None:
    app = new_sandbox(count=10)
    force(app, 203, filters={"field": "success", "op": "sounds_like", "value": "x"})
    edit: Json = {"dashboard_id": 11, "update": [{"id": 203, "clear": ["filters"]}], "delete": [205]}
    async with open_tools(app) as (context, _):
        _, stopped = await ask(context, "bulk_edit_dashboard", **edit)
        assert stopped["warnings"] == ["undo cannot put back widget 203: what is stored there this server cannot write"]
        _, receipt = await ask(context, "bulk_edit_dashboard", **edit, plan_id=stopped["plan_id"])
        _, back = await ask(context, receipt["undo"]["tool"], **receipt["undo"]["arguments"])
    assert [(change["op"], change["name"]) for change in back["changes"]] == [("create", "Why calls end")]


@pytest.mark.parametrize(
    ("number", "forced", "change"),
    [
        (207, {"chart_type": "pie"}, {"chart_type": "line"}),
        (203, {"group_by": {"type": "field", "field": "agent_id"}}, {"group_by": {"type": "field", "field": "topic"}}),
    ],
)
async def test_an_undo_puts_back_even_what_could_not_be_asked_for_anew(number: int, forced: Json, change: Json) -> None:
    app = new_sandbox(count=10)
    force(app, number, **forced)
    async with open_tools(app) as (context, recorder):
        _, receipt = await ask(context, "update_widget", widget_id=number, changes=change)
        undo = receipt["undo"]
        recorder.fault = lambda sent: Answer(400, b'{"detail": "No."}') if sent.method == "PATCH" else None
        with pytest.raises(errors.Refused):
            await ask(context, undo["tool"], **undo["arguments"])
        assert recorder.writes()[-1].body == forced


async def test_a_receipt_of_an_undo_lists_new_ids_that_its_own_undo_takes_too() -> None:
    app = new_sandbox()
    async with open_tools(app) as (context, _):
        deleted = await carried_out(context, "bulk_edit_dashboard", {"dashboard_id": 11, "delete": [205, 206]})
        back = await undo(context, deleted)
        gone = await undo(context, back, *back["restored"])
        again = await undo(context, gone)
        await undo(context, again, *back["restored"], *again["restored"])


@pytest.mark.parametrize(
    ("tool", "arguments", "path"),
    [
        ("bulk_edit_dashboard", {"dashboard_id": 11, "create": [{**PIE, "was": 203}]}, "create[0].was"),
        ("create_dashboard", {"name": "New", "project_id": 1, "was": 11}, "was"),
        ("create_dashboard", {"name": "New", "project_id": 1, "widgets": [PIE, {**PIE, "was": 203}]}, "widgets[1].was"),
    ],
)
async def test_what_was_never_deleted_cannot_be_restored(tool: str, arguments: Json, path: str) -> None:
    async with open_tools(new_sandbox()) as (context, recorder):
        with pytest.raises(InvalidArguments, match=re.escape(f"{path}: belongs to an undo")):
            await ask(context, tool, **arguments)
        if tool == "bulk_edit_dashboard":
            _, dry = await ask(context, "preview_edit", **arguments)
            with pytest.raises(InvalidArguments, match="belongs to an undo"):
                await ask(context, tool, **arguments, plan_id=dry["plan_id"])
    assert recorder.writes() == []
