"""How windows and filters combine with saved ones: the same numbers for every API variant."""

import json
from itertools import product
from typing import Any, Literal

import pytest

from cekura_dashboards.api.wire import Response
from cekura_sandbox import ApiVariant
from support import Json, Sent, ask, connect, new_sandbox, open_tools, report_of, shared_sandbox, sql, text_of

pytestmark = pytest.mark.anyio
OVERRIDES: tuple[Literal["replace", "merge"], ...] = ("replace", "merge")
PREVIEWS: tuple[Literal["alone", "merge"], ...] = ("alone", "merge")
VARIANTS = [
    ApiVariant(override=override, preview=preview, clock_ahead_s=120 * ((override == "merge") == (preview == "merge")))
    for override, preview in product(OVERRIDES, PREVIEWS)
]
"""Every override with every preview; each of them once with the clock ahead."""
BULK, PREVIEW = "POST /dashboards/widgets/bulk_data/", "POST /dashboards/widgets/preview_data/"
BILLING = {"field": "topic", "op": "eq", "value": "billing question"}


@pytest.fixture(params=VARIANTS, ids=lambda r: f"{r.override}-{r.preview}-{r.clock_ahead_s}")
def readings(request: pytest.FixtureRequest) -> ApiVariant:
    result: ApiVariant = request.param
    return result


def count(readings: ApiVariant, where: str) -> int:
    [(number,)] = sql(shared_sandbox(readings), f"SELECT count(*) FROM calls WHERE {where}")
    return int(number)


@pytest.mark.no_cover
async def test_saved_data_is_read_in_one_request_without_an_override(readings: ApiVariant) -> None:
    async with open_tools(shared_sandbox(readings), history=False) as (context, recorder):
        _, answer = await ask(context, "get_widgets_data", dashboard_id=12)
        requests = [sent for sent in recorder.sent if sent.path.endswith("data/")]
    saved, monthly, counted = requests
    assert (saved.path, list(saved.body)) == ("/dashboards/widgets/bulk_data/", ["widget_ids"])
    assert (monthly.path, monthly.body["time_period"]) == (counted.path, "month"), "for the percentile of all calls"
    assert (counted.path, counted.body["field"]) == ("/dashboards/widgets/preview_data/", "agent_id"), (
        "for the evaluated share of its metrics"
    )
    reports = {report["widget"]["id"]: report for report in answer["widgets"]}
    assert reports[214]["n"] == count(readings, "agent_id = 33 AND ts >= '2026-11-04'")
    assert answer["window"]["source"] == "saved"
    assert reports[212]["n"] == count(readings, "agent_id = 33 AND ts >= '2026-11-04' AND NOT success")


async def test_a_window_within_the_saved_range_keeps_saved_filters(readings: ApiVariant) -> None:
    async with open_tools(shared_sandbox(readings), history=False) as (context, recorder):
        report = await report_of(context, widget_ids=[214], window="2026-11-10/2026-11-11")
        assert recorder.paths()[-1] == BULK
        sent: Json = recorder.sent[-1].body["filters"]
    assert report["n"] == count(readings, "agent_id = 33 AND ts >= '2026-11-10' AND ts < '2026-11-12'")
    assert [c.get("field") for c in sent["conditions"]] == ["agent.id", "timestamp", "timestamp"]


async def test_filters_without_a_window_keep_the_saved_range(readings: ApiVariant) -> None:
    async with open_tools(shared_sandbox(readings), history=False) as (context, recorder):
        report = await report_of(context, widget_ids=[214], filters=BILLING)
        assert recorder.paths()[-1] == BULK
    assert report["window"]["source"] == "saved"
    assert report["n"] == count(readings, "agent_id = 33 AND ts >= '2026-11-04' AND topic = 'billing question'")


async def test_widgets_with_equal_filters_share_one_request(readings: ApiVariant) -> None:
    async with open_tools(shared_sandbox(readings), history=False) as (context, recorder):
        await ask(context, "get_widgets_data", dashboard_id=12, window="2026-11-10/2026-11-11")
        bodies = [sent.body for sent in recorder.sent if sent.path.endswith("bulk_data/")]
    assert sorted(len(body["widget_ids"]) for body in bodies) == [1, 6]
    assert {sent.method for sent in recorder.sent if sent.path.endswith("/data/")} == set()


async def test_a_wider_window_is_previewed_without_the_dashboard(readings: ApiVariant) -> None:
    async with open_tools(shared_sandbox(readings), history=False) as (context, recorder):
        report = await report_of(context, widget_ids=[214], window="2026-10-25/2026-11-11")
        [sent] = [request for request in recorder.sent if request.path.endswith("preview_data/")]
    assert "dashboard" not in sent.body
    assert report["n"] == count(readings, "agent_id = 33 AND ts >= '2026-10-25' AND ts < '2026-11-12'")
    assert "not_tested" not in report
    assert any("limited to project 1 by its 7 agents" in text for text in report["notes"])


async def test_a_preview_without_dashboard_states_its_projects(readings: ApiVariant) -> None:
    pie = {"chart_type": "pie", "field": "topic"}
    async with open_tools(shared_sandbox(readings)) as (context, _):
        _, wide = await ask(context, "preview_widget", widget=pie, window="3d")
    assert any("all 2 projects" in text for text in wide["report"]["notes"])
    async with open_tools(shared_sandbox(readings), project_id=2) as (context, _):
        _, within_saved = await ask(context, "preview_widget", widget=pie, window="3d")
    assert within_saved["report"]["n"] == count(
        readings, "project = 2 AND ts >= '2026-11-15 15:30' AND ts < '2026-11-18 15:30'"
    )
    assert "limited to project 2 by its 5 agents" in within_saved["report"]["notes"]


async def test_a_window_before_the_saved_range_is_previewed(readings: ApiVariant) -> None:
    async with open_tools(shared_sandbox(readings), history=False) as (context, recorder):
        report = await report_of(context, widget_ids=[206], window="2026-10-25/2026-10-26")
        assert PREVIEW in recorder.paths()
    assert report["n"] == count(readings, "project = 1 AND ts >= '2026-10-25' AND ts < '2026-10-27'")


async def test_a_widget_without_a_date_range_shows_the_last_seven_days(readings: ApiVariant) -> None:
    async with open_tools(shared_sandbox(readings), history=False) as (context, recorder):
        report = await report_of(context, widget_ids=[219])
        assert recorder.paths()[-1] == BULK
    assert report["window"]["source"] == "default"
    assert any("last 7 days" in text for text in report["notes"])
    where = "project = 2 AND ts >= '2026-11-11 15:30' AND ts < '2026-11-18 15:30'"
    assert report["n"] == count(readings, where)


async def test_a_window_of_30_days_is_accepted_despite_clock_skew(readings: ApiVariant) -> None:
    async with open_tools(shared_sandbox(readings)) as (context, _):
        report = await report_of(context, widget_ids=[206], window="30d")
    assert report["n"] == count(readings, "project = 1 AND ts >= '2026-10-19 15:35' AND ts < '2026-11-18 15:30'")
    assert any("5 minutes inside" in text for text in report["notes"])


async def test_a_preview_within_the_saved_range_applies_dashboard_filters(readings: ApiVariant) -> None:
    widget = {"chart_type": "pie", "field": "topic", "filters": {"field": "success", "op": "eq", "value": True}}
    async with open_tools(shared_sandbox(readings), history=False) as (context, recorder):
        _, answer = await ask(context, "preview_widget", widget=widget, dashboard_id=12)
        assert recorder.sent[-1].body["dashboard"] == 12
    assert answer["report"]["n"] == count(readings, "agent_id = 33 AND success AND ts >= '2026-11-04'")
    assert answer["widget"] == widget


async def test_a_preview_beyond_the_saved_range_keeps_dashboard_filters(
    readings: ApiVariant,
) -> None:
    async with open_tools(shared_sandbox(readings), history=False) as (context, recorder):
        _, answer = await ask(
            context, "preview_widget", widget={"chart_type": "pie", "field": "topic"}, dashboard_id=12, window="20d"
        )
        [sent] = [request for request in recorder.sent if request.path.endswith("preview_data/")]
    assert "dashboard" not in sent.body
    assert answer["report"]["n"] == count(
        readings, "agent_id = 33 AND ts >= '2026-10-29 15:30' AND ts < '2026-11-18 15:30'"
    )


async def test_a_time_condition_within_or_is_kept_and_reported(readings: ApiVariant) -> None:
    either = {"operator": "or", "conditions": [{"field": "timestamp", "op": "lt", "value": "2026-11-16"}, BILLING]}
    saved = {"operator": "and", "conditions": [{"field": "timestamp", "op": "gte", "value": "today-6d"}, either]}
    app = new_sandbox(readings, count=2000)
    async with open_tools(app) as (context, _):
        _, receipt = await ask(context, "update_widget", widget_id=206, changes={"filters": saved})
        assert receipt["outcome"] == "applied"
        report = await report_of(context, widget_ids=[206], window="2026-11-15/2026-11-17")
    where = (
        "project = 1 AND ts >= '2026-11-15' AND ts < '2026-11-18' AND (ts < '2026-11-16' OR topic = 'billing question')"
    )
    assert [(report["n"],)] == sql(app, f"SELECT count(*) FROM calls WHERE {where}")
    assert any("inside or/same_row still applies" in text for text in report["notes"])


@pytest.mark.no_cover
async def test_widgets_over_the_same_calls_report_the_same_count(readings: ApiVariant) -> None:
    async with open_tools(shared_sandbox(readings)) as (context, _):
        for window in (None, "2026-11-13/2026-11-14", "25d"):
            arguments = {"window": window} if window else {}
            _, answer = await ask(context, "get_widgets_data", widget_ids=[201, 202, 205, 207, 208], **arguments)
            assert len({report["n"] for report in answer["widgets"]}) == 1


def fault_with(data: Any, chart_type: str) -> Any:

    envelope: Json = {"widget_id": 0, "chart_type": chart_type, "data": data, "metadata": {}}

    def fault(sent: Sent) -> Response | None:
        return Response(200, json.dumps(envelope).encode()) if sent.path.endswith("preview_data/") else None

    return fault


def bars(*days: str) -> list[Json]:
    return [{"time_interval": f"{day}T00:00:00Z", "value": 5, "sample_count": 5} for day in days]


async def test_labels_of_days_without_a_whole_call_are_comparable() -> None:
    days = [f"2026-11-{day:02}" for day in range(1, 19)]
    parts: Json = {"agent": 1e15, "caller": -1e15, "error": 5e-324}
    rows = [bar | {"value": value, "group": label} for bar in bars(*days) for label, value in parts.items()]
    of_days = fault_with(rows, "bar")
    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = lambda sent: of_days(sent) if sent.body and sent.body.get("chart_type") == "bar" else None
        report = await report_of(context, widget_ids=[205], window="7d", compare_to="previous_period")
    assert report["comparison"]["shares"]["top"]


async def test_rows_outside_the_window_are_omitted_with_a_note() -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = fault_with(bars("2026-10-20", "2026-11-01", "2026-11-02", "2026-11-17"), "bar")
        report = await report_of(context, widget_ids=[202], window="2026-11-01/2026-11-02")
    assert report["n"] == 10
    assert any(text.startswith("omitted: 2 rows outside the window") for text in report["notes"])


async def test_data_before_the_saved_range_is_missing_and_never_zero() -> None:
    async with open_tools(shared_sandbox(), history=False) as (context, recorder):
        recorder.fault = fault_with(bars("2026-11-11", "2026-11-12"), "bar")
        report = await report_of(context, widget_ids=[202], window="2026-11-01/2026-11-12")
    assert report["not_tested"] == [
        "2026-11-01T00:00Z to 2026-11-11T00:00Z: no data from before the saved date range",
        "trend, steps, outliers, outages: 2 full buckets, fewer than 8",
    ]
    assert report["series"]["start"] == "2026-11-11"
    assert report["facts"]["lowest"] == ["2026-11-11", 5]


async def test_a_pie_states_which_window_it_may_cover() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        report = await report_of(context, widget_ids=[205], window="20d")
    [note] = report["not_tested"]
    assert "this chart does not show whether" in note
    assert "from 2026-11-11T00:00Z" in note


async def test_a_bar_of_the_same_calls_confirms_the_window_of_a_pie(readings: ApiVariant) -> None:
    async with open_tools(shared_sandbox(readings)) as (context, _):
        _, answer = await ask(context, "get_widgets_data", widget_ids=[201, 205, 202], window="20d")
        stat, pie, bar = answer["widgets"]
        _, other = await ask(context, "get_widgets_data", widget_ids=[205, 209], window="20d")
    assert [report.get("not_tested") for report in (stat, pie)] == [None, None]
    assert {report["n"] for report in (stat, pie, bar)} == {bar["n"]}
    assert "this chart does not show whether" in other["widgets"][0]["not_tested"][0], (
        "a bar of other calls reveals nothing"
    )


def weeks(period: str = "week", **fields: Any) -> Json:
    return {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": period, **fields}


@pytest.mark.parametrize("window", ["last_week", "2026-11-09T00:00Z/2026-11-16T00:00Z"])
@pytest.mark.parametrize("fields", [{}, {"group_by": {"type": "field", "field": "agent.id"}}], ids=["whole", "grouped"])
async def test_a_week_cut_by_the_saved_range_is_complete(window: str, fields: Json, readings: ApiVariant) -> None:
    app = shared_sandbox(readings)
    async with open_tools(app) as (context, recorder):
        text, answer = await ask(context, "preview_widget", widget=weeks(**fields), dashboard_id=11, window=window)
        assert sum("/preview_data/" in sent.path for sent in recorder.sent) == 2, "the week, and a daily count"
    [(calls,)] = sql(app, "SELECT count(*) FROM calls WHERE project = 1 AND ts >= '2026-11-09' AND ts < '2026-11-16'")
    report = answer["report"]
    assert report["n"] == calls
    assert report["not_tested"] == ["trend, steps, outliers, outages: weeks are too few"]
    assert "incomplete" not in text


async def test_a_month_before_the_saved_range_is_partial_only_at_its_end() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        _, answer = await ask(context, "preview_widget", widget=weeks("month"), dashboard_id=11, window="this_month")
    report = answer["report"]
    assert report["not_tested"] == ["trend, steps, outliers, outages: months are too few"]
    assert (report["series"]["start"], report["series"]["partial"]) == ("2026-11-01", [0]), "the month is not over"


async def test_a_week_with_saved_days_only_is_reported_as_incomplete() -> None:
    def clipped(sent: Sent) -> Response | None:
        if not sent.path.endswith("preview_data/"):
            return None
        day = "2026-11-09" if sent.body["time_period"] == "week" else "2026-11-12"
        envelope: Json = {"widget_id": 0, "chart_type": "bar", "data": bars(day), "metadata": {}}
        return Response(200, json.dumps(envelope).encode())

    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = clipped
        _, answer = await ask(context, "preview_widget", widget=weeks(), dashboard_id=11, window="last_week")
    assert answer["report"]["not_tested"][0] == (
        "2026-11-09T00:00Z to 2026-11-11T00:00Z: no data from before the saved date range"
    )


async def test_a_returned_widget_definition_omits_the_window() -> None:
    widget = {"chart_type": "pie", "field": "topic"}
    async with open_tools(shared_sandbox()) as (context, _):
        _, answer = await ask(context, "preview_widget", widget=widget, window="24h")
    assert answer["widget"] == widget
    [warning] = answer["warnings"]
    assert '{"field": "timestamp", "op": "gte", "value": "today-7d"}' in warning


async def test_a_time_condition_in_filters_sets_the_window() -> None:
    since = {"operator": "and", "conditions": [BILLING, {"field": "timestamp", "op": "gte", "value": "now-2d"}]}
    async with open_tools(shared_sandbox()) as (context, _):
        report = await report_of(context, widget_ids=[206], filters=since)
    assert report["window"] == {"from": "2026-11-16T15:30Z", "to": "2026-11-18T15:30Z", "source": "asked"}


async def test_buckets_in_local_time_of_the_api_are_tested_in_that_time() -> None:
    days = [f"2026-{10 + (21 + i) // 31}-{(21 + i) % 31 + 1:02}" for i in range(28)]
    rates = [0.9 - 0.2 * (i >= 22) + 0.004 * (i % 3) for i in range(29)]

    def row(day: str, hour: int, rate: float, calls: int) -> Json:
        return {"time_interval": f"{day}T{hour:02}:00:00+09:00", "value": rate, "sample_count": calls}

    by_day = [row(day, 0, rate, 384) for day, rate in zip(days, rates, strict=False)]
    by_hour = [row(day, hour, rate, 16) for day, rate in zip(days, rates, strict=False) for hour in range(24)]
    by_hour.append(row("2026-11-19", 0, rates[-1], 8))  # the half hour before now
    envelope: Json = {"widget_id": 203, "chart_type": "bar", "metadata": {"data_type": "boolean"}}

    def fault(sent: Sent) -> Response | None:
        if not sent.path.endswith("_data/"):
            return None
        if "bulk" in sent.path:
            answer = {"count": 1, "next": None, "results": [{**envelope, "data": by_day[-7:]}]}
        else:
            answer = {**envelope, "data": by_hour if sent.body["time_period"] == "hour" else by_day}
        return Response(200, json.dumps(answer).encode())

    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = fault
        report = await report_of(context, widget_ids=[203])
    [step] = report["findings"]
    assert (days[22], step["at"]) == ("2026-11-13", "2026-11-13")
    assert "before_window" not in step


TOOL_CALLS: list[tuple[str, Json]] = [
    ("get_widgets_data", {"widget_ids": [202]}),
    ("preview_widget", {"widget": {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "day"}, "dashboard_id": 11}),
    ("explain_change", {"widget_id": 202, "compare_to": "2026-11-05/2026-11-08"}),
    ("list_calls", {"widget_id": 202, "limit": 1}),
    ("find_changes", {"dashboard_ids": [11], "compare_to": "2026-11-05/2026-11-08"}),
]  # fmt: skip
DATES = "2026-11-13/2026-11-16"
SAME_DATES = ["friday to monday", "2026-11-13T00:00Z/2026-11-17T00:00Z", "nov 13 - nov 16"]


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("tool", "given", "window"),
    [*((*call, DATES) for call in TOOL_CALLS), *((*TOOL_CALLS[0], window) for window in SAME_DATES)],
    ids=str,
)
async def test_date_intervals_include_their_last_day_in_every_tool(tool: str, given: Json, window: str) -> None:
    app = shared_sandbox()
    async with connect(app) as client:
        result = await client.call_tool(tool, {**given, "window": window})
    text = text_of(result)
    assert not result.is_error, text
    assert "2026-11-13T00:00Z to 2026-11-17T00:00Z" in text
    if "compare_to" in given:
        assert "2026-11-05T00:00Z to 2026-11-09T00:00Z" in text
    [(calls,)] = sql(app, "SELECT count(*) FROM calls WHERE project = 1 AND ts >= '2026-11-13' AND ts < '2026-11-17'")
    if tool in {"get_widgets_data", "preview_widget"}:
        assert f"n {calls}; total {calls}" in text
