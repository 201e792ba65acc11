"""find_changes: real changes are ranked first, and quiet data yields none."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from benchmarks.verdicts import many_charts, quiet_calls

from cekura_dashboards.api.models import Widget
from cekura_dashboards.api.wire import Response
from cekura_dashboards.charts.target import Window
from cekura_dashboards.reports.changes import ComparedSpans, MeasureTests, rank_changes, surveys
from cekura_dashboards.stats.change import Change, How
from cekura_dashboards.stats.significance import benjamini_hochberg
from cekura_sandbox import create_app
from support import KEY, Json, ask, ask_once, new_sandbox, now, on_write, open_tools, shared_sandbox, sql

pytestmark = pytest.mark.anyio
LARGE = 60_000


def only_change(changes: list[Json], **wanted: Any) -> Json:
    results = [row for row in changes if all(row.get(name) == value for name, value in wanted.items())]
    assert len(results) == 1, (wanted, changes)
    return results[0]


async def test_find_changes_ranks_all_known_changes_first() -> None:
    app = shared_sandbox(count=LARGE)
    async with open_tools(app) as (context, recorder):
        text, answer = await ask(context, "find_changes")
    rows: list[Json] = answer["changes"]
    assert len(text) <= 6000
    assert {row["verdict"] for row in rows} == {"clear"}
    outage = only_change(rows, kind="outage")
    assert (outage["widgets"], outage["at"], outage["until"]) == ([208], "2026-11-08T13:00Z", "2026-11-08T15:00Z")
    release = only_change(rows, kind="group", by="agent.id")
    figures = sql(
        app,
        "SELECT count(success), avg(CAST(success AS INT)) FROM calls WHERE agent_id = 33 "
        "AND ts >= '2026-11-04' AND ts < '2026-11-18' GROUP BY ts >= '2026-11-11' ORDER BY ts >= '2026-11-11'",
    )
    assert (release["widgets"], release["part"]) == ([204], "Booking (33)")
    assert release["n"] == [row[0] for row in figures]
    assert [release["before"], release["after"]] == [pytest.approx(row[1], abs=1e-3) for row in figures]
    version = only_change(rows, kind="new group")
    assert (version["part"], version["n"][0]) == ("2.4.0", 0)
    step, of_all_agents = (row for row in rows if row["kind"] == "step")
    assert (step["widgets"][0], step["at"][:9]) == (209, "2026-11-1")
    assert step["before"] > 0.88
    assert step["after"] < 0.74
    assert (of_all_agents["widgets"], of_all_agents["at"][:9]) == ([203, 201], "2026-11-1"), "a time series first"
    assert of_all_agents["next"]["arguments"]["widget_id"] == 203
    latency = only_change(rows, kind="trend")
    assert (latency["widgets"], latency["pct"] > 20) == ([210], True)
    topic = only_change(rows, kind="share", by="topic")
    assert (topic["part"], topic["at"]) == ("billing question", "2026-11-15")
    assert topic["after"] > topic["before"] + 8
    assert {row["widgets"][0] for row in rows} <= {203, 204, 206, 208, 209, 210, 212, 215}, "no other chart changed"
    assert answer["charts"]["total"] == 20
    names = {"/user/v1/projects/", "/test_framework/v2/aiagents/"}
    assert answer["requests"] == len([sent for sent in recorder.sent if sent.path not in names])


@pytest.mark.no_cover
async def test_the_next_call_of_every_change_works() -> None:
    app = shared_sandbox(count=LARGE)
    async with open_tools(app) as (context, _):
        _, answer = await ask_once(app, "find_changes")
        for row in answer["changes"]:
            if row["kind"] != "outage":
                text, _ = await ask(context, row["next"]["tool"], **row["next"]["arguments"])
                assert text


@pytest.mark.no_cover
def test_quiet_data_yields_no_clear_change() -> None:
    """Seeds that would yield one without a correction for many tests; ``python -m benchmarks.verdicts`` runs more."""
    assert quiet_calls.quiet_answers(quiet_calls.CHANGES, (501, 502, 503, 505)).holds


@pytest.mark.no_cover
def test_weekly_and_daily_seasonality_is_not_reported_as_a_change() -> None:
    """With a Saturday for all single days; ``python -m benchmarks.verdicts`` runs more."""
    windows = "this week", "2026-11-14", "6h", "24h", "14d"
    case = replace(quiet_calls.RHYTHM, arguments=tuple({"window": window} for window in windows))
    assert quiet_calls.quiet_answers(case, range(1)).holds


@pytest.mark.no_cover
def test_three_changes_are_detected_among_forty_charts() -> None:
    """With a seed whose changes are seen only as steps; ``python -m benchmarks.verdicts`` runs more."""
    row = many_charts.planted_charts(40, (3,))
    assert row.plants == 3
    assert row.reported >= 0.8


async def test_charts_of_quiet_data_are_counted_as_not_significant() -> None:
    for app in quiet_calls.quiet_worlds([500], calls=4000, key=KEY):
        async with open_tools(app) as (context, _):
            _, answer = await ask(context, "find_changes", window="7d")
        assert answer["changes"] == []
        assert answer["charts"]["failed"] == 0
        assert answer["charts"]["not_significant"] >= answer["charts"]["total"] - 6


async def test_shares_are_of_all_calls_before_and_after_within_the_window() -> None:
    app = shared_sandbox(count=LARGE)
    async with open_tools(app) as (context, _):
        _, answer = await ask(context, "find_changes", dashboard_ids=[11])
        _, early = await ask(context, "find_changes", window="2026-11-12/2026-11-16")
    topic = only_change(answer["changes"], kind="share", by="topic")
    shares = sql(
        app,
        "SELECT count(*), 100.0 * count(*) FILTER (topic = 'billing question') / count(*) FROM calls WHERE project = 1 "
        "AND ts >= '2026-10-20' AND ts < '2026-11-18' GROUP BY ts >= '2026-11-15' ORDER BY ts >= '2026-11-15'",
    )
    assert topic["n"] == [row[0] for row in shares]
    assert [topic["before"], topic["after"]] == [pytest.approx(row[1], abs=0.06) for row in shares]
    [(until,)] = sql(app, "SELECT count(*) FROM calls WHERE project = 1 AND ts >= '2026-11-12' AND ts < '2026-11-17'")
    assert all(row["n"][1] <= until for row in early["changes"] if row.get("n"))


async def test_many_changes_are_listed_shortened_or_counted() -> None:
    app = create_app(now=now, count=12_000, key=KEY, quiet=True)
    store = app.state.world.store
    store.delete_dashboard(12)
    agents = [{"field": "agent.id", "op": "eq", "value": agent} for agent in (31, 32, 33, 34, 35)]
    bars = [
        {"chart_type": "bar", "field": field, "aggregation_function": function, "time_period": "day", "filters": agent}
        for field, function in (("success", "avg"), ("duration", "avg"), ("duration", "p95"), ("duration", "sum"))
        for agent in agents
    ]
    store.bulk(11, {"create": [*bars, {**bars[0], "time_period": "hour"}], "delete": [*range(201, 209)]})
    set_back = "success = false WHERE ts >= '2026-11-13' AND random() < 0.6"
    app.state.world.con.execute(f"SELECT setseed(0.5); UPDATE calls SET {set_back}")
    app.state.world.con.execute("UPDATE calls SET duration = duration * 3 WHERE ts >= '2026-11-13'")
    async with open_tools(app) as (context, _):
        text, answer = await ask(context, "find_changes", dashboard_ids=[11])
        rows: list[Json] = answer["changes"]
        assert len(text) <= 6000
        assert len(rows) + answer.get("more", 0) == 20
        assert all("next" in row for row in rows[:4])
        assert [row["measure"] for row in rows if len(row["widgets"]) > 1] == ["avg of success"], (
            "a daily and an hourly chart"
        )
        shortened = [row for row in rows if "next" not in row]
        assert shortened
        assert {*answer.get("more_widgets", [])}.isdisjoint(row["widgets"][0] for row in rows)
        if "more" in answer:
            assert f'next: get_widgets_data {{"widget_ids":{answer["more_widgets"]}}}'.replace(", ", ",") in text
    app.state.world.close()


async def test_charts_beyond_the_limit_are_counted() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "find_changes", dashboard_ids=[11], limit=3)
    assert answer["charts"]["total"] == 3
    assert "of dashboard 11 only 3 of 8 charts were tested; raise limit" in text


async def test_the_limit_cuts_at_whole_dashboards_and_offers_the_next() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        _, first = await ask(context, "find_changes", limit=10)
        assert first["charts"]["total"] == 8
        assert first["next"] == {"tool": "find_changes", "arguments": {"dashboard_ids": [12, 13]}}
        _, remaining = await ask(context, "find_changes", **first["next"]["arguments"])
        assert remaining["charts"]["total"] == 12
        assert "next" not in remaining
        _, mine = await ask(context, "find_changes", project_id="Harbour Telecom")
        assert mine["charts"]["total"] == 5


async def test_failed_and_untestable_charts_are_counted_and_listed() -> None:
    app = new_sandbox(count=2000)
    app.state.world.store.update_widget(205, {"chart_type": "line", "field": "timestamp"})
    async with open_tools(app) as (context, recorder):

        def fault(sent: Any) -> Response | None:
            failing = sent.body and sent.body.get("field") == "agent_id" and sent.body.get("time_period") == "hour"
            return Response(400, b'{"detail": "Not today."}') if failing else None

        recorder.fault = fault
        text, answer = await ask(context, "find_changes", dashboard_ids=[11])
        assert (answer["charts"]["failed"], answer["charts"]["not_tested"]) == (1, 1)
        assert "widget 208 could not be read" in text
        assert "Not today." in text
        assert "widget 205 not tested: its values cannot be followed over time" in text
        recorder.fault = lambda sent: Response(503, b"{}") if "data" in sent.path else None
        text, answer = await ask(context, "find_changes", dashboard_ids=[11])
        assert (answer["charts"]["failed"], answer["charts"]["not_significant"]) == (7, 0)
        assert text.splitlines()[1] == "no chart could be tested"
        recorder.fault = on_write("/preview_data/", Response(401, b"{}"))
        with pytest.raises(Exception, match="key"):
            await ask(context, "find_changes")


@pytest.mark.no_cover
@pytest.mark.parametrize("window", ["today", "24h", "yesterday", "this_week", "2026-11-05/2026-11-11", "14d"])
async def test_every_kind_of_window_is_answered(window: str) -> None:
    only: Json = {} if window in {"this_week", "14d"} else {"dashboard_ids": [11]}
    text, answer = await ask_once(shared_sandbox(count=LARGE), "find_changes", window=window, **only)
    assert answer["window"].startswith("2026-11-")
    assert len(text) <= 6000
    if window == "2026-11-05/2026-11-11":
        assert any(row["kind"] == "outage" and "before_window" not in row for row in answer["changes"])


@pytest.mark.parametrize(
    ("how", "p_value", "listed"),
    [("step", 4e-4, True), ("step", 6e-4, False), ("comparison", 3e-4, True), ("comparison", 4e-4, False),
     ("outlier", 1e-4, True), ("outlier", 2e-4, False)],
)  # fmt: skip
def test_p_value_thresholds_are_looser_for_steps_than_for_outliers(how: How, p_value: float, *, listed: bool) -> None:
    widget = Widget(id=1, chart_type="bar", field="success", aggregation_function="avg", time_period="day")
    [survey], _ = surveys([widget], {}, now(), "day")
    change = Change(how=how, p_value=p_value, size=0.5, before=0.9, after=0.8, pct=-11.1, at="2026-11-13")
    times = ComparedSpans(Window(now() - timedelta(days=7), now(), ""), None, now())
    assert bool(rank_changes([MeasureTests(survey, [change], 200)], times)) == listed


def test_the_false_discovery_rate_is_controlled_across_tests() -> None:
    assert benjamini_hochberg([0.04], 0.05, 1) == 0.04
    assert benjamini_hochberg([0.04], 0.05, 2) == 0.0
    assert benjamini_hochberg([0.01, 0.02, 0.03, 0.9], 0.05, 4) == 0.03
    assert benjamini_hochberg([], 0.05, 10) == 0.0
    assert Change(how="outage", p_value=0.5, size=1.0).strongest_verdict == "clear"


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("given", "note_part"),
    [
        (
            {"window": "15d"},
            "the longest window that can be compared like this is the last 14 days (14d)",
        ),
        ({"window": "30d"}, "the last 14 days (14d)"),
        ({"window": "this_month"}, "the last 14 days (14d)"),
        ({"window": "2026-10-25/2026-11-11"}, "the last 14 days (14d)"),
        ({"window": "30d", "compare_to": "previous_week"}, "previous_week overlaps a window longer than a week; use window 7d"),
    ],
    ids=["15d", "30d", "this_month", "an interval", "previous_week"],
)  # fmt: skip
async def test_windows_without_a_baseline_are_tested_without_comparison(given: Json, note_part: str) -> None:
    app = shared_sandbox(count=LARGE)
    charts, only = (20, Json()) if given == {"window": "30d"} else (8, Json(dashboard_ids=[11]))
    text, answer = await ask_once(app, "find_changes", **given, **only)
    assert "against" not in answer
    [note] = [note for note in answer["notes"] if note.startswith("not compared: ")]
    assert note_part in note
    assert note in text, "the suggestion is complete"
    assert only_change(answer["changes"], kind="outage")["at"] == "2026-11-08T13:00Z"
    assert answer["charts"]["not_significant"] == charts - answer["charts"]["changed"] - answer["charts"]["not_tested"]
    if given == {"window": "30d"}:
        calls = [row["next"] for row in answer["changes"] if row["kind"] != "outage"]
        one_of_each = {(call["tool"], *call["arguments"]): call for call in calls}
        assert one_of_each
        async with open_tools(app) as (context, _):
            for call in one_of_each.values():
                follow_up, _ = await ask(context, call["tool"], **call["arguments"])
                assert follow_up
    suggestion = "7d" if "7d" in note_part else "14d"
    _, suggested = await ask_once(app, "find_changes", **given | {"window": suggestion}, **only)
    assert suggested["against"], "the suggested window works"


async def test_the_next_call_of_a_step_compares_after_with_before_it() -> None:
    _, answer = await ask_once(shared_sandbox(count=LARGE), "find_changes", window="30d")
    step = only_change(answer["changes"], kind="step", dashboard_id=12)
    assert step["at"] == "2026-11-13"
    times = {"window": "2026-11-13T00:00Z/2026-11-18T00:00Z", "compare_to": "2026-10-20T00:00Z/2026-11-13T00:00Z"}
    assert step["next"]["arguments"] == {"widget_id": 209, **times}
    assert answer["window"] == "2026-10-20T00:00Z to 2026-11-18T00:00Z (asked)", "a partial day is excluded"


async def test_utc_days_are_noted_if_another_time_zone_is_set() -> None:
    async with open_tools(shared_sandbox(), time_zone="Asia/Kolkata") as (context, _):
        _, days = await ask(context, "find_changes", window="last_week", dashboard_ids=[13])
        _, hours = await ask(context, "find_changes", window="yesterday", dashboard_ids=[13])
    note_part = "days are UTC days, not those of Asia/Kolkata"
    assert note_part in days["notes"]
    assert note_part not in (hours.get("notes") or [])


async def test_an_empty_dashboard_gets_no_verdict() -> None:
    async with open_tools(new_sandbox(count=10)) as (context, _):
        await ask(context, "create_dashboard", name="Empty", project_id=1)
        text, answer = await ask(context, "find_changes", dashboard_ids=["Empty"])
    assert answer["charts"]["total"] == 0
    assert "no charts to test" in text
    assert "no significant change" not in text
