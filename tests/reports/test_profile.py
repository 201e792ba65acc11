"""Profiles by hour and weekday in local time, and local days: the same figures as SQL."""

import pytest
from benchmarks.verdicts import quiet_calls

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.stats.timeline import Clock
from cekura_dashboards.summaries.model import Bucket
from cekura_dashboards.summaries.profile import profile
from cekura_sandbox import ApiVariant
from support import Json, ask, open_tools, report_of, shared_sandbox, sql

pytestmark = pytest.mark.anyio
LARGE = 60_000
FOUR_WEEKS = "2026-10-21/2026-11-17"
LOCAL = "timezone('America/Los_Angeles', timezone('UTC', ts))"
LOCAL_WINDOW = f"project = 1 AND {LOCAL} >= '2026-10-21' AND {LOCAL} < '2026-11-18'"


async def test_a_profile_reports_the_busiest_hour_in_local_time() -> None:
    app = shared_sandbox(count=LARGE)
    async with open_tools(app) as (context, _):
        text, answer = await ask(
            context,
            "get_widgets_data",
            widget_ids=[202],
            profile="hour_of_day",
            time_zone="Los Angeles",
            window=FOUR_WEEKS,
        )
    [report] = answer["widgets"]
    result = report["profile"]
    hours = sql(
        app, f"SELECT hour({LOCAL}), count(*) / 20 FROM calls WHERE {LOCAL_WINDOW} AND isodow({LOCAL}) < 6 GROUP BY 1"
    )
    busiest = max(hours, key=lambda row: row[1])
    assert result["highest_on_weekdays"] == {
        "slot": f"{busiest[0]:02d}:00",
        "value": pytest.approx(busiest[1], rel=1e-3),
    }
    assert result["weekdays"] == [pytest.approx(value, rel=1e-3) for _, value in sorted(hours)]
    every = sql(app, f"SELECT hour({LOCAL}), count(*) / 28 FROM calls WHERE {LOCAL_WINDOW} GROUP BY 1 ORDER BY 1")
    assert result["value"] == [pytest.approx(value, rel=1e-3) for _, value in every]
    assert (result["time_zone"], result["verdict"]) == ("America/Los_Angeles", "clear")
    assert result["above"][0] == result["highest"]["slot"]
    assert report["n"] == sql(app, f"SELECT count(*) FROM calls WHERE {LOCAL_WINDOW}")[0][0]
    assert f"highest on weekdays {busiest[0]:02d}:00" in text


@pytest.mark.parametrize(
    ("widget", "by", "measure"),
    [
        ({"chart_type": "line", "field": "duration"}, "weekday", "avg(duration)"),
        (
            {"chart_type": "bar", "field": "success", "aggregation_function": "avg", "time_period": "week"},
            "weekday",
            "avg(CAST(success AS INT))",
        ),
        ({"chart_type": "pie", "field": "success"}, "hour_of_day", "avg(CAST(success AS INT))"),
        ({"chart_type": "line", "field": "duration"}, "hour_of_week", "avg(duration)"),
    ],
)
async def test_profile_means_cover_all_calls_of_a_slot(widget: Json, by: str, measure: str) -> None:
    app = shared_sandbox(count=LARGE)
    slot = {
        "weekday": f"isodow({LOCAL}) - 1",
        "hour_of_day": f"hour({LOCAL})",
        "hour_of_week": f"(isodow({LOCAL}) - 1) * 24 + hour({LOCAL})",
    }[by]
    rows = sql(app, f"SELECT {slot}, {measure}, count(*) FROM calls WHERE {LOCAL_WINDOW} GROUP BY 1 ORDER BY 1")
    async with open_tools(app, time_zone="America/Los_Angeles") as (context, _):
        _, answer = await ask(context, "preview_widget", widget=widget, dashboard_id=11, profile=by, window=FOUR_WEEKS)
    result = answer["report"]["profile"]
    digits = 5e-3 if by == "hour_of_week" else 1e-3
    assert result["value"] == [pytest.approx(row[1], rel=digits) for row in rows]
    if widget["field"] == "duration" and by == "weekday":
        assert result["n"] == [row[2] for row in rows]
        assert result["slots"][0] == "Monday"


async def test_local_days_start_at_local_midnight_for_every_api_variant() -> None:
    for readings in (ApiVariant(), ApiVariant(preview="merge", override="merge"), ApiVariant(grouped="nested")):
        app = shared_sandbox(readings)
        async with open_tools(app, time_zone="America/Los_Angeles") as (context, _):
            report = await report_of(context, widget_ids=[202], by="local_day", window="2026-11-12/2026-11-17")
            grouped = await report_of(context, widget_ids=[204], by="local_day", window="yesterday")
            utc = await report_of(context, widget_ids=[202], window="2026-11-12/2026-11-17")
        days = sql(
            app,
            f"SELECT count(*) FROM calls WHERE project = 1 AND {LOCAL} >= '2026-11-12' AND {LOCAL} < '2026-11-18' "
            f"GROUP BY {LOCAL}::DATE ORDER BY {LOCAL}::DATE",
        )
        assert report["series"]["value"] == [n for (n,) in days]
        assert report["series"]["start"] == "2026-11-12"
        assert "partial" not in report["series"]
        assert "days are those of America/Los_Angeles" in report["notes"]
        assert "days are UTC days, not those of America/Los_Angeles" in utc["notes"]
        agents = dict(
            sql(
                app,
                f"SELECT agent_id, count(success) FROM calls WHERE project = 1 AND {LOCAL}::DATE = '2026-11-17' GROUP BY 1",
            )
        )
        assert {row[0]: row[1] for row in grouped["groups"]["top"]}["Reception (31)"] == agents[31]


async def test_yesterday_by_local_day_is_the_local_day() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        local = await report_of(context, widget_ids=[202], by="local day", window="yesterday", time_zone="Tokyo")
    assert local["window"] == {"from": "2026-11-17T15:00Z", "to": "2026-11-18T15:00Z", "source": "asked"}
    assert len(local["series"]["value"]) == 1
    assert local["series"]["value"][0] == local["n"]


INVALID: list[tuple[Json, str]] = [
    ({"profile": "hour_of_day", "compare_to": "previous_week"}, "compare_to: and profile exclude each other"),
    ({"profile": "hour_of_day", "by": "local_day"}, "by: and profile exclude each other"),
    ({"profile": "fortnight"}, '"fortnight" is not allowed'),
    ({"time_zone": "Los Angelos"}, "did you mean America/Los_Angeles"),
    ({"time_zone": "Qqqqq"}, "give an IANA name"),
]


@pytest.mark.parametrize(("arguments", "message"), INVALID, ids=[message for _, message in INVALID])
async def test_conflicting_arguments_are_rejected_before_any_request(arguments: Json, message: str) -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        with pytest.raises(InvalidArguments, match=message):
            await ask(context, "get_widgets_data", widget_ids=[202], **arguments)
        assert recorder.sent == []


async def test_a_profile_reports_how_its_filters_were_interpreted() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(
            context,
            "get_widgets_data",
            widget_ids=[202],
            profile="weekday",
            filters={"field": "topic", "op": "neq", "value": "a"},
        )
    note = "filters: neq also counts calls without a value of topic; add isnull false to exclude them"
    assert note in answer["notes"]
    assert note in text


def test_a_profile_of_too_few_days_is_not_tested() -> None:
    few = [Bucket(hour * 3600.0, 5, 5) for hour in range(24)]
    result = profile(few, "hour_of_day", function="count", clock=Clock(), zone="UTC")
    assert result is not None
    assert result.verdict == "not tested"
    assert profile([], "weekday", function="count", clock=Clock(), zone="UTC") is None


@pytest.mark.no_cover
def test_success_without_seasonality_rarely_gets_a_clear_profile() -> None:
    """``python -m benchmarks.verdicts`` runs more seeds."""
    assert quiet_calls.quiet_answers(quiet_calls.PROFILES, range(900, 904)).holds


@pytest.mark.parametrize(
    ("zone", "window", "days"),
    [
        ("America/Los_Angeles", "2026-10-30/2026-11-03", 5),
        ("Asia/Kolkata", "today", 1),
        ("Asia/Kathmandu", "2026-11-10/2026-11-13", 4),
        ("Europe/Berlin", "2026-10-24/2026-10-27", 4),
    ],
)
async def test_local_windows_count_every_call_across_clock_changes(zone: str, window: str, days: int) -> None:
    app = shared_sandbox(count=LARGE)
    async with open_tools(app, time_zone=zone) as (context, _):
        local = await report_of(context, widget_ids=[202], by="local_day", window=window)
        utc = await report_of(context, widget_ids=[202], window=window)
    start, end = (local["window"][edge].replace("T", " ").rstrip("Z") for edge in ("from", "to"))
    [(expected,)] = sql(app, f"SELECT count(*) FROM calls WHERE project = 1 AND ts >= '{start}' AND ts < '{end}'")
    assert local["n"] == utc["n"] == expected
    assert len(local["series"]["value"]) == days
    odd = any("up to half an hour off" in note for note in local["notes"])
    assert odd is (zone in {"Asia/Kolkata", "Asia/Kathmandu"})


@pytest.mark.parametrize(
    ("zone", "day"),
    [("Europe/Berlin", "2026-10-25"), ("America/New_York", "2026-11-01"), ("Australia/Lord_Howe", "2026-11-15")],
)
async def test_a_day_with_a_clock_change_is_complete(zone: str, day: str) -> None:
    async with open_tools(shared_sandbox(count=LARGE), time_zone=zone) as (context, _):
        one = await report_of(context, widget_ids=[202], by="local_day", window=day)
        week = await report_of(context, widget_ids=[202], by="local_day", window=f"2026-10-22/{day}")
    assert "partial" not in one["series"]
    assert "partial" not in week["series"]
    assert one["series"]["value"] == week["series"]["value"][-1:]


@pytest.mark.parametrize("window", ["yesterday", "last_week", "2026-11-12T18:30Z/2026-11-13T18:30Z"])
@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "Pacific/Chatham"])
async def test_local_days_with_fractional_offsets_are_tested(zone: str, window: str) -> None:
    async with open_tools(shared_sandbox(count=LARGE), time_zone=zone) as (context, _):
        local = await report_of(context, widget_ids=[203], by="local_day", window=window)
    assert "not_tested" not in local, (
        "no agent is missing: the window only cuts an hour that is complete in the history"
    )
    assert "findings" in local


async def test_groups_of_local_days_are_compared_over_the_stated_days() -> None:
    app = shared_sandbox(count=LARGE)
    async with open_tools(app, time_zone="America/Los_Angeles") as (context, _):
        report = await report_of(context, widget_ids=[215], by="local_day", window="2026-11-05/2026-11-17")
    result = report["group_changes"]
    assert (
        result["against"] == "2026-11-12T08:00Z to 2026-11-18T08:00Z against 2026-11-05T08:00Z to 2026-11-11T08:00Z"
    ), "both sides of the step, without the day on which it may have occurred"
    rows = {row["group"]: row for row in result["top"]}
    [(n, rate)] = sql(
        app,
        "SELECT count(success), avg(CAST(success AS INT)) FROM calls WHERE agent_id = 33 AND ts >= '2026-11-12 08:00' "
        "AND ts < '2026-11-18 08:00' AND json_extract_string(metadata, '$.app_version') = '2.4.0'",
    )
    assert (rows["2.4.0"]["n"][1], rows["2.4.0"]["current"]) == (n, pytest.approx(rate, abs=1e-3))


async def test_partial_hours_are_excluded_from_a_profile_with_a_note() -> None:
    async with open_tools(shared_sandbox(count=LARGE)) as (context, _):
        short = await report_of(context, widget_ids=[202], profile="hour_of_day", window="1h")
        week = await report_of(context, widget_ids=[203], profile="hour_of_week", window="14d")
    assert short["n"] > 0
    assert "profile" not in short
    assert any("that the window cuts" in note for note in short["notes"])
    assert len(week["profile"]["value"]) == 168
