"""Alerts beside charts and changes, and the daily report: one line each, without further round trips."""

import pytest

from cekura_dashboards.api import errors
from cekura_dashboards.api.wire import Response
from cekura_sandbox import ApiVariant
from support import Json, Sent, ask, new_sandbox, open_tools, shared_sandbox, undo

pytestmark = pytest.mark.anyio
WITHOUT_CHART: Json = {
    "id": 703, "name": "Cold calls", "setting": "threshold: below 40, 3 of the last 50 calls", "metric": 505,
}  # fmt: skip


@pytest.mark.parametrize("tool", ["get_dashboard", "check_dashboard"])
async def test_alerts_are_listed_with_their_charts_or_without_any(tool: str) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, tool, dashboard_id=12)
        booked = {"id": 702, "name": "Booking fails", "setting": "failure: each call that fails", "off": True,
                  "metric": 503, "where": "agent.id = 33", "widgets": [211]}  # fmt: skip
        assert answer["alerts"][1:] == [booked, WITHOUT_CHART]
        assert [alert["widgets"] for alert in answer["alerts"][:1]] == [[210]]
        assert "watches metric 505, which no chart shows" in text
        assert len([line for line in text.splitlines() if line.startswith("alert ")]) == 3
        _, answer = await ask(context, tool, dashboard_id=11)
        assert [alert["id"] for alert in answer["alerts"]] == [703], "the other alerts belong to another dashboard"
        text, answer = await ask(context, tool, dashboard_id=13)
        assert "alerts" not in answer
        assert "alert" not in text


async def test_unwatched_metrics_are_stated_only_for_charts_that_were_read() -> None:
    def incomplete_list(sent: Sent) -> Response | None:
        if not sent.path.endswith("/dashboards/widgets/"):
            return None
        return Response(200, b'{"count": 200, "next": "https://x.invalid/?page=2", "results": []}', "application/json")

    async with open_tools(new_sandbox()) as (context, recorder):
        recorder.fault = incomplete_list
        text, answer = await ask(context, "get_dashboard", dashboard_id=11)
    assert answer["charts_unread"] is True
    assert "which none of the charts checked shows" in text


@pytest.mark.no_cover
async def test_find_changes_lists_alerts_that_fired_in_the_last_seven_days() -> None:
    app = shared_sandbox()
    async with open_tools(app) as (context, _):
        counts = {hours: (await context.api.alert_fires(1, hours)).get(701, 0) for hours in (168, 24, 40, 16)}
        for window, text_part, count in (
            ("7d", "in the last 7 days", counts[168]),
            ("24h", "in the last 24 h", counts[24]),
            ("yesterday", "from 40 h to 16 h ago", counts[40] - counts[16]),
        ):
            text, answer = await ask(context, "find_changes", window=window, dashboard_ids=[12])
            line = f'alerts that fired {text_part}: 701 "Latency trend" {count} times (widget 210)'
            assert line in answer["notes"][0]
            assert line in text
            assert count > 0
        _, early = await ask(context, "find_changes", window="14d")
        assert (
            early["notes"][0] == "alerts were not read: the API reports how often they fired for the last 7 days only"
        )


async def test_dashboards_without_alerts_cost_no_further_requests() -> None:
    app = new_sandbox()
    for number in (701, 702, 703):
        app.state.world.store.alerts.delete(number)
    async with open_tools(app) as (context, recorder):
        for tool, arguments in (("find_changes", {}), ("get_dashboard", {"dashboard_id": 12})):
            text, _ = await ask(context, tool, **arguments)
            assert "alert" not in text
    assert [path for path in recorder.paths() if "summary" in path] == []


@pytest.mark.parametrize(
    ("tool", "arguments", "place"),
    [
        ("get_dashboard", {"dashboard_id": 12}, "notes"),
        ("check_dashboard", {"dashboard_id": 12}, "not_tested"),
        ("find_changes", {"dashboard_ids": [12]}, "notes"),
    ],
)
async def test_a_key_without_alert_rights_gets_the_rest_of_the_answer(tool: str, arguments: Json, place: str) -> None:
    answers = list[Json]()
    for readings in (None, ApiVariant(alerts="forbidden")):
        async with open_tools(shared_sandbox(readings)) as (context, _):
            _, answer = await ask(context, tool, **arguments)
            answers.append(answer)
    allowed, forbidden = answers
    assert forbidden[place][0] == "alerts were not read (403)"
    alert_keys = {"alerts", "requests", place}
    assert {k: v for k, v in forbidden.items() if k not in alert_keys} == {
        k: v for k, v in allowed.items() if k not in alert_keys
    }


async def test_adding_to_the_daily_report_writes_only_that_field() -> None:
    app = new_sandbox()
    store = app.state.world.store
    async with open_tools(app) as (context, recorder):
        text, added = await ask(context, "update_dashboard", dashboard_id="Booking agent", daily_report="add")
        assert store.daily_reports == {1: [11, 12], 2: []}
        [sent] = recorder.writes()
        assert (sent.path, sent.body) == ("/user/v1/projects/1/", {"daily_report_dashboard_ids": [11, 12]})
        assert 'update project 1 "Northside Clinics": daily_report_dashboard_ids: [11] → [11,12]' in text
        _, again = await ask(context, "update_dashboard", dashboard_id=12, daily_report="add")
        assert again["outcome"] == "nothing_to_do"
        _, other = await ask(context, "update_dashboard", dashboard_id=11, daily_report="remove")
        assert store.daily_reports[1] == [12]
        await undo(context, added)
        await undo(context, other)
        assert store.daily_reports[1] == [11]
        with pytest.raises(errors.PlanRefused, match="daily report of project 1 changed"):
            await undo(context, added)
    assert "secret" not in str(recorder.writes())


async def test_daily_report_edits_need_a_plan_and_are_read_back() -> None:
    app = new_sandbox()
    async with open_tools(app, confirm="writes") as (context, recorder):
        edit: Json = {"dashboard_id": 13, "daily_report": "add"}
        _, plan = await ask(context, "update_dashboard", **edit)
        assert (plan["outcome"], app.state.world.store.daily_reports[2]) == ("needs_plan", [])
        for lost in (Response(200, b'{"id": 2}'), errors.ConnectionBroken("x")):
            recorder.after = lambda sent, lost=lost: lost if sent.method == "PATCH" else None
            _, receipt = await ask(context, "update_dashboard", **edit, plan_id=plan["plan_id"])
            assert (receipt["outcome"], "was lost" in receipt["warnings"][-1]) == ("applied", True)
            recorder.after = None
            await undo(context, receipt)
        recorder.fault = lambda sent: Response(500, b"") if sent.method == "PATCH" else None
        with pytest.raises(errors.EditFailed) as caught:
            await ask(context, "update_dashboard", **edit, plan_id=plan["plan_id"])
        assert {*caught.value.outcomes.values()} == {"not applied"}
    assert app.state.world.store.daily_reports == {1: [11], 2: []}
