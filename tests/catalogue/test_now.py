"""Ongoing outages, dated by the last call, and steps before the window: each is reported once."""

from functools import cache

import pytest
from benchmarks.trips import rounds_of
from fastapi import FastAPI

from cekura_dashboards.context import Memory
from support import (
    KEY,
    Json,
    ask,
    ask_once,
    changed_sandbox,
    now,
    open_tools,
    read_only,
    report_of,
    shared_sandbox,
    sql,
)

pytestmark = pytest.mark.anyio
LARGE = 60_000
HOURS_AGO, TODAY, YESTERDAY = "2026-11-18 12:44:00", "2026-11-18 14:50:00", "2026-11-17 20:10:00"
"""The first is four full and two partial hours ago, the second within the hour, the third on the day before."""


@cache
def stopped_sandbox(since: str) -> FastAPI:
    """A sandbox without calls since then."""
    return read_only(changed_sandbox(f"DELETE FROM calls WHERE ts >= '{since}'", count=LARGE))


def last_call(app: FastAPI, project: int = 1) -> str:
    [(text,)] = sql(app, f"SELECT strftime(max(ts), '%Y-%m-%dT%H:%MZ') FROM calls WHERE project = {project}")
    return str(text)


@pytest.mark.no_cover
@pytest.mark.parametrize("since", [HOURS_AGO, TODAY, YESTERDAY])
@pytest.mark.parametrize("window", ["7d", "24h"])
async def test_an_ongoing_outage_is_reported_first_and_once(since: str, window: str) -> None:
    app = stopped_sandbox(since)
    only: Json = {} if window == "7d" else {"dashboard_ids": [11]}
    text, answer = await ask_once(app, "find_changes", window=window, **only)
    first, *others = answer["changes"]
    assert (first["kind"], first["still"], first["verdict"]) == ("outage", True, "clear")
    assert first["at"] == last_call(app)
    assert 208 in first["widgets"]
    assert "until" not in first
    assert f"no calls since {first['at']}, expected {first['before']:g} by now; ongoing" in text
    assert not [row for row in others if row["kind"] == "outage" and "before_window" not in row]
    assert not [row for row in others if row["kind"] == "outlier" and row["after"] < row["before"]], (
        "the low day is the start of the outage"
    )


async def test_the_expected_count_of_an_outage_is_the_usual_one_of_its_hours() -> None:
    app = stopped_sandbox(HOURS_AGO)
    _, answer = await ask_once(app, "find_changes", window="7d")
    [(usual,)] = sql(
        app,
        "SELECT count(*) / 19.0 FROM calls WHERE project = 1 AND dayofweek(ts) BETWEEN 1 AND 5 AND ts < '2026-11-18' "
        "AND ts >= '2026-10-23' AND ts::TIME >= '13:00' AND ts::TIME < '15:15'",
    )
    assert answer["changes"][0]["before"] == pytest.approx(usual, rel=0.2)


async def test_a_dashboard_reports_an_outage_once_and_lists_affected_charts() -> None:
    app = stopped_sandbox(HOURS_AGO)
    async with open_tools(app) as (context, _):
        text, answer = await ask(context, "get_widgets_data", dashboard_id=11)
    assert text.count("outage since") == 1
    assert f"outage since {last_call(app)}: no calls, expected" in text
    findings: list[Json] = [item for report in answer["widgets"] for item in report.get("findings", [])]
    [outage] = [item for item in findings if item["kind"] == "outage"]
    assert outage["widgets"] == [203, 204, 207]
    assert [report["widget"]["id"] for report in answer["widgets"] if report.get("outage_of") == 208] == [203, 204, 207]


async def test_charts_without_hours_date_an_outage_by_the_last_call() -> None:
    app = stopped_sandbox(HOURS_AGO)
    async with open_tools(app) as (context, _):
        text, answer = await ask(context, "get_widgets_data", widget_ids=[203, 207, 202])
    success, line, count = answer["widgets"]
    assert [item["kind"] for item in count["findings"]] == ["outage"]
    assert (count["findings"][0]["from"], count["findings"][0]["widgets"]) == (last_call(app), [207])
    assert (line["outage_of"], "outage_of" in success) == (202, False)
    assert text.count("outage since") == 1
    assert "no trend, step or outlier\n" in text


@pytest.mark.parametrize("widget", [202, 203, 207, 208])
async def test_every_kind_of_chart_shows_an_ongoing_outage(widget: int) -> None:
    async with open_tools(stopped_sandbox(HOURS_AGO)) as (context, _):
        report = await report_of(context, widget_ids=[widget], window="7d")
    [outage] = [item for item in report["findings"] if item["kind"] == "outage"]
    assert outage["still"] is True
    assert outage["from"][:13] in {"2026-11-18T12", "2026-11-18T13"}


async def test_the_last_call_is_read_only_for_an_ongoing_outage() -> None:
    call: tuple[str, Json] = ("find_changes", {"dashboard_ids": [11]})
    ongoing = await rounds_of(stopped_sandbox(HOURS_AGO), KEY, *call, Memory(0), now)
    over = await rounds_of(shared_sandbox(count=LARGE), KEY, *call, Memory(0), now)
    looks = [
        [text for text in calls.sent if '"chart_type": "line"' in text.replace('":"', '": "')]
        for calls in (ongoing, over)
    ]
    assert [len(requests) for requests in looks] == [1, 0]
    assert ongoing.trips <= 3


async def test_a_step_before_the_window_is_reported_as_lasting_and_listed_last() -> None:
    app = shared_sandbox(count=LARGE)
    async with open_tools(app) as (context, _):
        text, answer = await ask_once(app, "find_changes", window="24h")
        [step] = [row for row in answer["changes"] if row["kind"] == "step" and row["widgets"][0] == 209]
        assert step["still"] is True
        assert step["at"][:10] in {"2026-11-12", "2026-11-13"}
        assert f"since {step['at']}, before the window: " in text
        follow_up, _ = await ask(context, step["next"]["tool"], **step["next"]["arguments"])
        assert f"{step['at']} to " in follow_up
        _, week = await ask_once(app, "find_changes")
    early = [row.get("before_window", False) for row in week["changes"]]
    assert any(early)
    assert early == sorted(early)


def quiet_sandbox(*changes: str) -> FastAPI:
    """A quiet month with these changes, and charts of calls per day and per hour, and a stat."""
    app = changed_sandbox(*changes, count=20_000, quiet=True)
    store = app.state.world.store
    for dashboard in [*store.dashboards()]:
        store.delete_dashboard(dashboard["id"])
    calls: Json = {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count"}
    dashboard = store.create_dashboard({"name": "Planted", "project": 1, "filters": None})
    charts = [{"name": period, **calls, "time_period": period} for period in ("day", "hour")]
    store.bulk(dashboard["id"], {"create": [*charts, {"name": "stat", "chart_type": "stat"}]})
    return read_only(app)


async def test_a_past_outage_is_reported_with_its_end() -> None:
    app = quiet_sandbox("DELETE FROM calls WHERE ts >= '2026-11-18 09:00' AND ts < '2026-11-18 13:00'")
    async with open_tools(app) as (context, _):
        for window in ("7d", "24h"):
            _, answer = await ask(context, "find_changes", window=window)
            [outage] = [row for row in answer["changes"] if row["kind"] == "outage" and "before_window" not in row]
            assert (outage["at"], outage["until"]) == ("2026-11-18T09:00Z", "2026-11-18T13:00Z")
            assert "still" not in outage


async def test_a_multi_day_outage_is_one_finding_even_without_calls() -> None:
    app = quiet_sandbox("DELETE FROM calls WHERE ts >= '2026-11-15 11:12'")
    since = last_call(app)
    async with open_tools(app) as (context, _):
        for window in ("7d", "24h"):
            _, answer = await ask(context, "find_changes", window=window)
            assert [(row["kind"], row["at"], row["still"]) for row in answer["changes"]] == [("outage", since, True)]
            text, answer = await ask(context, "get_widgets_data", dashboard_id=14, window=window)
            findings = [item for report in answer["widgets"] for item in report.get("findings", [])]
            assert [(item["kind"], item["from"], item["still"]) for item in findings] == [
                ("outage", "2026-11-15T12:00Z", True)
            ]
            assert "outage since 2026-11-15T12:00Z: no calls, expected " in text


async def test_a_one_day_outage_is_one_finding() -> None:
    app = quiet_sandbox("DELETE FROM calls WHERE ts >= '2026-11-12 09:00' AND ts < '2026-11-13 09:00'")
    week: Json = {"window": "7d", "compare_to": "previous_period"}
    async with open_tools(app) as (context, _):
        _, answer = await ask(context, "find_changes", **week)
        assert [(row["kind"], row["at"]) for row in answer["changes"]] == [("outage", "2026-11-12T09:00Z")]
        _, answer = await ask(context, "get_widgets_data", dashboard_id=14, **week)
    days, hours, stat = answer["widgets"]
    assert (days["findings"], days["outage_of"]) == ([], hours["widget"]["id"])
    assert [item["kind"] for item in hours["findings"]] == ["outage"]
    total = next(row for row in stat["comparison"]["figures"] if row["figure"] == "total_calls")
    assert {report["comparison"].get("verdict") for report in (days, hours)} == {total["verdict"]} == {"clear"}
    assert not [
        note for report in answer["widgets"] for note in report.get("notes", []) if "outage in the baseline" in note
    ]


async def test_a_drop_of_calls_today_is_the_only_outlier() -> None:
    app = quiet_sandbox("DELETE FROM calls WHERE ts >= '2026-11-18 10:00' AND u(id, 'broken') < 0.9")
    async with open_tools(app) as (context, _):
        text, answer = await ask(context, "find_changes", window="24h")
    [row] = answer["changes"]
    assert (row["kind"], row["at"], row["until"]) == ("outlier", "2026-11-18T10:00Z", "2026-11-18T15:00Z")
    assert row["after"] < row["before"] / 4
    assert "outlier from 2026-11-18T10:00Z to 2026-11-18T15:00Z: " in text
