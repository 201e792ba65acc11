"""When the answer to a write is lost, it is read back; nothing is repeated."""

from collections.abc import Iterator
from typing import Any

import pytest

from cekura_dashboards.api import errors
from cekura_dashboards.api.wire import Response
from cekura_dashboards.context import ToolContext
from support import PIE, Fault, Json, Sent, ask, content, new_sandbox, open_tools, stored, undo

pytestmark = pytest.mark.anyio
LOST_ANSWERS: list[Any] = [
    errors.ConnectionBroken("ReadError"),
    errors.DeadlinePassed(30),
    Response(502, b""),
    Response(200, b"<html>", "text/html"),
    Response(500, b""),
]
LOST_IDS = ["broken", "too slow", "502", "html", "500"]
WRITES: list[tuple[str, Json]] = [
    ("create_dashboard", {"name": "New", "project_id": 1}),
    ("create_dashboard", {"name": "Copied", "copy_of": 12}),
    ("update_dashboard", {"dashboard_id": 11, "name": "Renamed"}),
    ("delete_dashboard", {"dashboard_id": 13}),
    ("copy_widgets", {"widget_ids": [203], "dashboard_ids": [12, 13]}),
    ("update_dashboard", {"dashboard_id": 12, "daily_report": "add"}),
    ("save_alert", {"metric": 501, "project_id": 1, "kind": "trend"}),
    ("save_alert", {"alert_id": 701, "action": "off", "std_multiplier": 2.5}),
    ("save_alert", {"alert_id": 703, "action": "delete"}),
]


async def with_plan(context: ToolContext, tool: str, arguments: Json) -> Json:
    """The arguments, with a plan_id for a delete."""
    if tool != "delete_dashboard" and arguments.get("action") != "delete":
        return arguments
    _, plan = await ask(context, tool, **arguments)
    return {**arguments, "plan_id": plan["plan_id"]}


def on_write(outcome: Any) -> Fault:
    def fault(sent: Sent) -> Any:
        return outcome if sent.method == "PATCH" or sent.path.endswith("bulk_widgets/") else None

    return fault


@pytest.mark.parametrize("lost", LOST_ANSWERS, ids=LOST_IDS)
async def test_applied_widget_edits_with_a_lost_answer_are_reported_as_applied(lost: Any) -> None:
    app = new_sandbox()
    before = stored(app)
    async with open_tools(app) as (context, recorder):
        recorder.after = on_write(lost)
        _, one = await ask(context, "update_widget", widget_id=203, changes={"name": "New"})
        _, two = await ask(
            context,
            "bulk_edit_dashboard",
            dashboard_id=11,
            create=[PIE, PIE],
            update=[{"id": 202, "name": "N"}],
        )
        assert len(recorder.writes()) == 2
        assert all("was lost" in receipt["warnings"][-1] for receipt in (one, two))
        assert len({change["id"] for change in two["changes"]}) == 3
        recorder.after = None
        await undo(context, two)
        await undo(context, one)
    assert stored(app) == before


@pytest.mark.parametrize(
    "lost", [Response(500, b""), Response(503, b""), Response(200, b"<html>", "text/html")], ids=["500", "503", "html"]
)
async def test_failed_edits_are_reported_as_not_applied(lost: Any) -> None:
    app = new_sandbox()
    before = stored(app)
    async with open_tools(app) as (context, recorder):
        recorder.fault = on_write(lost)
        for tool, edit in (
            ("update_widget", {"widget_id": 203, "changes": {"name": "New"}}),
            ("bulk_edit_dashboard", {"dashboard_id": 11, "create": [PIE], "update": [{"id": 203, "name": "x"}]}),
        ):
            with pytest.raises(errors.EditFailed, match="nothing was changed, so it is safe") as caught:
                await ask(context, tool, **edit)
            assert set(caught.value.outcomes.values()) == {"not applied"}
        assert len(recorder.writes()) == 2
    assert stored(app) == before


@pytest.mark.parametrize("lost", LOST_ANSWERS[:3], ids=LOST_IDS[:3])
async def test_edits_that_may_still_arrive_are_reported_as_unknown(lost: Any) -> None:
    app = new_sandbox()
    async with open_tools(app) as (context, recorder):
        recorder.fault = on_write(lost)
        with pytest.raises(errors.EditFailed, match="may still take effect") as caught:
            await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=[PIE], update=[{"id": 203, "name": "x"}])
        assert set(caught.value.outcomes.values()) == {"unknown"}
        assert len(recorder.writes()) == 1
        assert recorder.paths().count("GET /dashboards/dashboards/11/") == 4


async def test_edits_that_cannot_be_read_back_are_reported_as_unknown() -> None:
    app = new_sandbox()
    async with open_tools(app) as (context, recorder):
        reads = iter([None])
        recorder.fault = lambda sent: (
            next(reads, errors.ConnectionBroken("x")) if sent.method == "GET" else errors.ConnectionBroken("x")
        )
        with pytest.raises(errors.EditFailed, match="unknown") as caught:
            await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=[PIE], update=[{"id": 203, "name": "x"}])
    assert caught.value.outcomes == {"create 1": "unknown", "update of widget 203": "unknown"}


async def test_errors_in_a_successful_answer_are_reported_after_reading_back() -> None:
    def partly(sent: Sent) -> Response | None:
        body = b'{"created": [], "updated": [], "deleted": [], "errors": [{"id": 203, "error": "locked"}]}'
        return Response(200, body) if sent.path.endswith("bulk_widgets/") else None

    async with open_tools(new_sandbox()) as (context, recorder):
        recorder.fault = partly
        with pytest.raises(errors.EditFailed, match="locked") as caught:
            await ask(context, "bulk_edit_dashboard", dashboard_id=11, update=[{"id": 203, "name": "x"}])
    assert caught.value.outcomes == {"update of widget 203": "not applied"}


ERRORS = b'{"created": [], "updated": [], "deleted": [], "errors": [{"id": 203, "name": ["locked", "by Q3"]}, "busy"]}'


@pytest.mark.parametrize("has_answer", [True, False], ids=["errors", "broken"])
async def test_a_partly_applied_edit_lists_its_parts_and_can_be_undone(has_answer: bool) -> None:  # noqa: FBT001 - a parameter
    app = new_sandbox(count=10)
    before, store = stored(app), app.state.world.store
    old = dict(store._widgets[203])  # noqa: SLF001 - a change that the API did not apply

    def partly(sent: Sent) -> Any:
        if not sent.path.endswith("bulk_widgets/"):
            return None
        store._widgets[203] = dict(old)  # noqa: SLF001 - see above
        [first] = [widget["id"] for widget in store.dashboard(11)["widgets"] if widget["name"] == "First"]
        del store._widgets[first]  # noqa: SLF001 - see above
        return Response(200, ERRORS) if has_answer else errors.ConnectionBroken("x")

    async with open_tools(app) as (context, recorder):
        edit: Json = {
            "dashboard_id": 11,
            "create": [{**PIE, "name": "First"}, {**PIE, "name": "Second"}],
            "update": [{"id": 203, "name": "x"}, {"id": 202, "name": "y"}],
            "delete": [205],
        }
        _, plan = await ask(context, "bulk_edit_dashboard", **edit)
        recorder.after = partly
        text, receipt = await ask(context, "bulk_edit_dashboard", **edit, plan_id=plan["plan_id"])
        assert receipt["outcome"] == "partly_applied"
        assert text.startswith("Partly done.")
        changes = [(change["op"], change.get("name")) for change in receipt["changes"]]
        assert changes == [("create", "Second"), ("update", "y"), ("delete", "Why calls end")]
        outcome = "not applied" if has_answer else "unknown"
        assert receipt["not_applied"][:2] == ["create 1: unknown", f"update of widget 203: {outcome}"]
        if has_answer:
            assert 'id 203, name "locked" "by Q3"; "busy".' in receipt["not_applied"][2]
        assert "differences" not in receipt
        recorder.after = None
        await undo(context, receipt)
    assert stored(app) == before


@pytest.mark.no_cover
@pytest.mark.parametrize(("tool", "arguments"), WRITES, ids=[f"{t}-{i}" for i, (t, _) in enumerate(WRITES)])
@pytest.mark.parametrize("lost", LOST_ANSWERS, ids=LOST_IDS)
async def test_every_edit_with_a_lost_answer_is_read_back_and_can_be_undone(
    lost: Any, tool: str, arguments: Json
) -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, recorder):
        arguments = await with_plan(context, tool, arguments)
        recorder.after = lambda sent: lost if sent in recorder.writes() else None
        _, receipt = await ask(context, tool, **arguments)
        assert receipt["outcome"] == "applied"
        assert "was lost" in receipt["warnings"][-1]
        assert len(recorder.writes()) == (2 if tool == "copy_widgets" else 1)
        recorder.after = None
        await undo(context, receipt)
    assert content(app) == before


@pytest.mark.parametrize(("tool", "arguments"), WRITES, ids=[f"{t}-{i}" for i, (t, _) in enumerate(WRITES)])
async def test_edits_that_did_not_arrive_are_reported_as_failed(tool: str, arguments: Json) -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, recorder):
        arguments = await with_plan(context, tool, arguments)
        for lost, outcome in ((Response(500, b""), "not applied"), (errors.DeadlinePassed(30), "unknown")):
            recorder.fault = lambda sent, lost=lost: lost if sent in recorder.writes() else None
            with pytest.raises(errors.EditFailed) as caught:
                await ask(context, tool, **arguments)
            assert set(caught.value.outcomes.values()) == {outcome}
    assert content(app) == before


UNREADABLE: list[Response] = [
    Response(200, b'{"id": 1'),
    Response(200, b"<html>", "text/html"),
    Response(200, b'{"id": "x", "widgets": "none", "results": {"0": 1}}'),
    Response(500, b""),
]
ALL_WRITES: list[tuple[str, Json]] = [
    *WRITES,
    ("update_widget", {"widget_id": 203, "changes": {"name": "New"}}),
    ("bulk_edit_dashboard", {"dashboard_id": 11, "create": [PIE], "update": [{"id": 203, "name": "x"}]}),
    ("copy_widgets", {"widget_ids": [203], "dashboard_ids": [12], "move": True}),
]
ALL_IDS = [f"{tool}-{index}" for index, (tool, _) in enumerate(ALL_WRITES)]


@pytest.mark.parametrize("arrived", [True, False], ids=["applied", "not applied"])
@pytest.mark.parametrize(("tool", "arguments"), ALL_WRITES, ids=ALL_IDS)
async def test_an_unreadable_read_back_is_repeated(tool: str, arguments: Json, arrived: bool) -> None:  # noqa: FBT001 - a parameter
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, recorder):
        arguments = await with_plan(context, tool, arguments)
        for spoiled in UNREADABLE:
            spoil = iter([spoiled])

            def lost(sent: Sent, spoil: Iterator[Response] = spoil) -> Any:
                if sent in recorder.writes():
                    return Response(500, b"")
                return next(spoil, None) if recorder.writes() and not arrived else None

            def with_unreadable_reads(sent: Sent, spoil: Iterator[Response] = spoil) -> Any:
                return lost(sent) if sent in recorder.writes() else next(spoil, None) if recorder.writes() else None

            recorder.sent.clear()
            if arrived:
                recorder.after = with_unreadable_reads
                _, receipt = await ask(context, tool, **arguments)
                assert receipt["outcome"] == "applied"
                assert next(spoil, None) is None
                recorder.after = None
                undone = await undo(context, receipt)
                assert content(app) == before
                if tool == "delete_dashboard":
                    arguments = await with_plan(context, tool, {"dashboard_id": undone["dashboard_id"]})
                if arguments.get("action") == "delete":
                    number = undone["changes"][0]["id"]
                    arguments = await with_plan(context, tool, {"alert_id": number, "action": "delete"})
            else:
                recorder.fault = lost
                with pytest.raises(errors.EditFailed) as caught:
                    await ask(context, tool, **arguments)
                assert set(caught.value.outcomes.values()) == {"not applied"}
                assert next(spoil, None) is None
                recorder.fault = None
    assert content(app) == before


async def test_a_copy_with_unreadable_widgets_reports_no_missing_ones() -> None:
    app = new_sandbox(count=10)
    made = b'{"id": 14, "name": "C", "project": 1, "filters": null, "widgets": []}'
    for spoiled, differences in ((1, False), (9, True)):
        spoil = iter([Response(200, b"<html>", "text/html")] * spoiled)
        async with open_tools(app) as (context, recorder):
            recorder.after = lambda sent, spoil=spoil: (
                Response(200, made.replace(b"14", b"%d" % max(row["id"] for row in app.state.world.store.dashboards())))
                if sent.path.endswith("/duplicate/")
                else next(spoil, None)
                if sent.method == "GET" and recorder.writes()
                else None
            )
            text, receipt = await ask(context, "create_dashboard", name="C", copy_of=13)
        assert "has no equal" not in text
        assert ("which widgets the copy has could not be read" in text) == differences
        assert len(receipt["changes"]) == (1 if differences else 6)
